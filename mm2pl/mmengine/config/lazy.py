"""What an import in a pure-Python config becomes: a name that is imported on first use."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from mm2pl.errors import ConfigTypeError
from mm2pl.mmengine.config._errors import ConfigImportError, ConfigParsingError, described, kind_of


def _import(name: str) -> Any:
    """Import a module; ``mmengine`` is always ours, also where no alias is installed."""
    ours = name == "mmengine" or name.startswith("mmengine.")
    return import_module(f"mm2pl.{name}" if ours else name)


class _Lazy:
    """Common behaviour: any attribute is lazy as well, calling is refused, pickling is plain."""

    location: str | None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise ConfigParsingError(
            f"{self} is imported lazily and cannot be called while the config is read",
            file=self.location,
            hint="write dict(type=..., ...) and let the registry build it.",
        )

    # Without these two, pickle would find lazy attributes of these names.
    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ = state


class LazyObject(_Lazy):
    """A module, or a name in it, that is imported by :meth:`build`.

    Args:
        module: The module, or, for ``import a.b; import a.c``, all modules below one package.
        imported: The name to take from ``module``; None for the module itself.
        location: ``file, line n`` of the import statement.

    Raises:
        ConfigTypeError: ``module`` or ``imported`` are no strings.
    """

    def __init__(
        self,
        module: str | Sequence[str],
        imported: str | None = None,
        location: str | None = None,
    ) -> None:
        several = isinstance(module, (list, tuple)) and all(isinstance(m, str) for m in module)
        if not isinstance(module, str) and not several:
            raise ConfigTypeError(f"module must be a str or a list of str, not {type(module)}")
        if imported is not None and not isinstance(imported, str):
            raise ConfigTypeError(f"imported must be a str or None, not {type(imported)}")
        self._module = module
        self._imported = imported
        self.location = location

    @property
    def module(self) -> str:
        """The module, or the package that all modules lie in."""
        return self._module if isinstance(self._module, str) else self._module[0].split(".")[0]

    def build(self) -> Any:
        """Import and return the object.

        Raises:
            ConfigImportError: The module or the name in it does not exist. Other errors of the
                import are raised as the config error of their kind.
        """
        names = [self._module] if isinstance(self._module, str) else [*self._module, self.module]
        try:
            module = [_import(name) for name in names][-1]
        except Exception as error:
            raise kind_of(error)(
                f"Failed to import {', '.join(dict.fromkeys(names))}: {described(error)}",
                file=self.location,
            ) from error
        if self._imported is None:
            return module
        try:
            return getattr(module, self._imported)
        except AttributeError as error:
            raise ConfigImportError(
                f"Failed to import {self._imported} from {self._module}: {error}",
                file=self.location,
            ) from error

    def __getattr__(self, name: str) -> LazyAttr:
        # The line of an attribute access is not known, only its file.
        location = self.location.split(", line")[0] if self.location else None
        return LazyAttr(name, self, location)

    def __deepcopy__(self, memo: dict[int, Any]) -> LazyObject:
        return LazyObject(self._module, self._imported, self.location)

    def __str__(self) -> str:
        return self.module if self._imported is None else self._imported

    __repr__ = __str__


class LazyAttr(_Lazy):
    """An attribute of a lazy object, read when it is built.

    Args:
        name: The attribute.
        source: What it is an attribute of.
        location: The config file that reads it.
    """

    def __init__(
        self, name: str, source: LazyObject | LazyAttr, location: str | None = None
    ) -> None:
        self.name = name
        self.source = source
        self._module = _dotted(source)
        self.location = location

    @property
    def module(self) -> str:
        """The dotted name of what this is an attribute of."""
        return self._module

    def build(self) -> Any:
        """Build the source and return its attribute.

        Raises:
            ConfigImportError: There is no such attribute.
        """
        source = self.source.build()
        try:
            return getattr(source, self.name)
        except AttributeError as error:
            raise ConfigImportError(
                f"Failed to import {self.module}.{self.name}: {error}", file=self.location
            ) from error

    def __getattr__(self, name: str) -> LazyAttr:
        return LazyAttr(name, self, self.__dict__.get("location"))

    def __deepcopy__(self, memo: dict[int, Any]) -> LazyAttr:
        return LazyAttr(self.name, self.source, self.location)

    def __str__(self) -> str:
        return self.name

    __repr__ = __str__


def _dotted(source: LazyObject | LazyAttr) -> str:
    if isinstance(source, LazyAttr):
        return f"{source._module}.{source.name}"
    return source.module if source._imported is None else f"{source.module}.{source}"
