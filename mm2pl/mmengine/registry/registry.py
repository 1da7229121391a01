"""A registry maps names to classes and functions and builds what a config names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, cast, overload

from mm2pl.errors import ConfigAssertionError, ConfigTypeAssertionError
from mm2pl.mmengine.config.utils import MODULE2PACKAGE
from mm2pl.mmengine.registry._imports import (
    OWN_PACKAGE,
    debug,
    import_location,
    import_scope,
    load,
    object_by_name,
    warn,
)
from mm2pl.mmengine.registry.default_scope import DefaultScope
from mm2pl.mmengine.registry.errors import (
    AlreadyRegisteredError,
    ImportFailedError,
    LookupFailedError,
    add_note,
    import_failed,
)

T = TypeVar("T")


class Registry:
    """Maps names to classes and functions; a tree of registries spans several packages.

    Differs: a name that neither a registry nor its ancestors hold is looked up once more after the
    ancestors' locations are imported, so the root registries need no import of ``mmengine.hooks``
    and its like beforehand. A registry without a parent imports its locations only then.

    Args:
        name: What the registry holds, such as ``"model"``.
        build_func: Builds an object as ``build_func(cfg, *args, registry=self, **kwargs)``. By
            default the parent's, or :func:`build_from_cfg`.
        parent: The registry to fall back to.
        scope: The package that the registry speaks for, by default the one whose code creates it.
        locations: Modules that register into this registry; imported when a name is first wanted.

    Raises:
        AssertionError: ``scope`` is no string, ``parent`` no registry, or ``parent`` has a child of
            that scope already.
    """

    def __init__(
        self,
        name: str,
        build_func: Callable[..., Any] | None = None,
        parent: Registry | None = None,
        scope: str | None = None,
        locations: Sequence[str] = [],
    ) -> None:
        from mm2pl.mmengine.registry.build_functions import build_from_cfg

        if not isinstance(scope, str | None):
            raise ConfigTypeAssertionError(f"scope should be a str or None, but got {type(scope)}")
        if not isinstance(parent, Registry | None):
            raise ConfigTypeAssertionError(
                f"parent should be a Registry or None, but got {type(parent)}"
            )
        self._name = name
        self._module_dict: dict[str, Any] = {}
        self._give_way: set[str] = set()  # names that a later registration takes over
        self._children: dict[str, Registry] = {}
        self._locations = locations
        self._imported = False
        self._scope = self.infer_scope() if scope is None else scope
        self.parent = parent
        if parent is not None:
            parent._add_child(self)
        inherited = build_from_cfg if parent is None else parent.build_func
        self.build_func: Callable[..., Any] = inherited if build_func is None else build_func

    def __len__(self) -> int:
        return len(self._module_dict)

    def __contains__(self, key: str) -> bool:
        return self.get(key) is not None

    def __repr__(self) -> str:
        from rich.console import Console
        from rich.table import Table

        table = Table(title=f"Registry of {self._name}")
        table.add_column("Names", justify="left", style="cyan")
        table.add_column("Objects", justify="left", style="green")
        for name, registered in sorted(self._module_dict.items()):
            table.add_row(name, str(registered))
        console = Console()
        with console.capture() as capture:
            console.print(table, end="")
        return capture.get()

    @staticmethod
    def infer_scope() -> str:
        """Return the package of the code that creates the registry.

        For use in ``__init__``: looks two frames up. Code of mm2pl counts as ``mmengine``, and so
        does, with a warning, code that stands in no file (a prompt, a notebook).
        """
        frame = sys._getframe(2)
        module = sys.modules.get(frame.f_globals.get("__name__", ""))
        in_file = getattr(module, "__file__", None) and not frame.f_code.co_filename.startswith("<")
        if module is None or not in_file:
            warn(
                'set scope as "mmengine" when scope can not be inferred. You can silence this '
                'warning by passing a "scope" argument to Registry like '
                '`Registry(name, scope="toy")`'
            )
            return "mmengine"
        package = module.__name__.split(".")[0]
        return "mmengine" if package == OWN_PACKAGE else package

    @staticmethod
    def split_scope_key(key: str) -> tuple[str | None, str]:
        """Split off the first scope: ``mmdet.ResNet`` gives ``("mmdet", "ResNet")``."""
        scope, dot, rest = key.partition(".")
        return (scope, rest) if dot else (None, key)

    @property
    def name(self) -> str:
        """What the registry holds."""
        return self._name

    @property
    def scope(self) -> str:
        """The package that the registry speaks for."""
        return self._scope

    @property
    def module_dict(self) -> dict[str, Any]:
        """The registered objects by name."""
        return self._module_dict

    @property
    def children(self) -> dict[str, Registry]:
        """The child registries by scope."""
        return self._children

    @property
    def root(self) -> Registry:
        """The registry at the top of the tree."""
        return self._get_root_registry()

    @contextmanager
    def switch_scope_and_registry(self, scope: str | None) -> Iterator[Registry]:
        """Make ``scope`` the default scope for a while and yield the tree's registry of that scope.

        Without ``scope`` the default scope stays as it is. Yields this registry if there is no
        default scope, or (with a warning) if the tree has no registry of that scope.
        """
        with DefaultScope.overwrite_default_scope(scope):
            current = DefaultScope.get_current_instance()
            yield self if current is None else self._of_scope(current.scope_name)

    def _of_scope(self, scope: str) -> Registry:
        with _importing(f"{scope}.registry", self):
            error = import_scope(scope)
        if error is not None:
            warn(_import_warning(f"{scope}.registry", error))
        root = self._get_root_registry()
        registry = root._search_child(scope)
        if registry is None:
            warn(
                f'Failed to search registry with scope "{scope}" in the "{root.name}" registry '
                f'tree. The current "{self.name}" registry in "{self.scope}" is used instead; '
                "names that only the other one holds will not be found. Is the scope spelt "
                "correctly, and is its registry imported?"
            )
            return self
        return registry

    def _get_root_registry(self) -> Registry:
        *_, root = self._chain()
        return root

    def _chain(self) -> Iterator[Registry]:
        """Yield this registry and then its ancestors, nearest first."""
        registry: Registry | None = self
        while registry is not None:
            yield registry
            registry = registry.parent

    def import_from_location(self) -> None:
        """Import the locations, once.

        A registry of an OpenMMLab package without locations calls that package's
        ``register_all_modules`` instead.

        Raises:
            ImportError: A location cannot be imported; says why.
        Exception: What else the import raises, with a note on what was imported.
        """
        if self._imported:
            return
        self._imported = True  # first: the imported code may look up names here
        try:
            for location in self._locations:
                with _importing(location, self):
                    import_location(location)
                debug(f"Imported {location}, a location of {self.scope}'s {self.name} registry")
            if not self._locations and self.scope in MODULE2PACKAGE:
                self._register_all_modules()
        except BaseException:
            self._imported = False
            raise

    def _register_all_modules(self) -> None:
        utils = f"{self.scope}.utils"
        debug(f"{self.scope}'s {self.name} registry has no locations; calling {utils}")
        try:
            module = load(utils)
        except (ImportError, AttributeError) as error:
            warn(_import_warning(utils, error))
            return
        with _importing(f"{utils}.register_all_modules", self):
            module.register_all_modules(False)

    def get(self, key: str) -> Any:
        """Return the class or function of a name, or None.

        ``Name`` is searched here, then in the ancestors; ``scope.Name`` in the registry of that
        scope, whose package is imported for it; what is found in neither way is taken for the
        dotted name of an importable object, such as ``torch.nn.Linear``.

        Raises:
            TypeError: ``key`` is no string.
            RuntimeError: importing the object by its dotted name failed otherwise than by a missing
                module; the cause is chained.
        """
        if not isinstance(key, str):
            raise ConfigTypeAssertionError(
                f"The key argument of `Registry.get` must be a str, got {type(key)}"
            )
        found = self._find(key)
        if found is not None:
            return found
        try:
            return object_by_name(key)
        except Exception as error:
            raise LookupFailedError(
                f"Failed to get {key}: {type(error).__name__}: {error}"
            ) from error

    def _find(self, key: str) -> Any:
        scope, name = self.split_scope_key(key)
        if self.parent is not None:
            self.import_from_location()
        if scope is None:
            return self._find_upwards(name)
        if scope == self._scope:
            return self._find_here(name)
        if not scope:
            return None
        with _importing(f"{scope}.registry", self, key):
            import_scope(scope)
        if scope in self._children:
            return self._children[scope].get(name)
        root = self._get_root_registry()
        if scope == root._scope or scope in root._children:
            return root.get(key)
        return None

    def _find_upwards(self, name: str) -> Any:
        for registry in self._chain():
            if name in registry._module_dict:
                return registry._find_here(name)
        found = (registry._find_here(name) for registry in self._chain())
        return next((registered for registered in found if registered is not None), None)

    def _find_here(self, name: str) -> Any:
        if name not in self._module_dict:
            self.import_from_location()
        found = self._module_dict.get(name)
        if found is not None:
            class_name = getattr(found, "__name__", str(found))
            debug(f'Get class `{class_name}` from "{self.name}" registry in "{self.scope}"')
        return found

    def _search_child(self, scope: str) -> Registry | None:
        """Return the registry of ``scope``, this one or one below it, depth first."""
        if self._scope == scope:
            return self
        below = (child._search_child(scope) for child in self._children.values())
        return next((registry for registry in below if registry is not None), None)

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """Build an object from a config with :attr:`build_func`."""
        return self.build_func(cfg, *args, **kwargs, registry=self)

    def _add_child(self, registry: Registry) -> None:
        if registry.scope in self.children:
            raise ConfigAssertionError(
                f"scope {registry.scope} exists in {self.name} registry",
                hint=f"give the new registry `{registry.name}` another scope",
            )
        self.children[registry.scope] = registry

    def _register_module(
        self, module: Any, module_name: str | Sequence[str] | None = None, force: bool = False
    ) -> None:
        if not callable(module):
            raise ConfigTypeAssertionError(f"module must be Callable, but got {type(module)}")
        if module_name is None:
            module_name = cast(str, cast(Any, module).__name__)
        for name in [module_name] if isinstance(module_name, str) else module_name:
            if not force and name in self._module_dict and name not in self._give_way:
                raise AlreadyRegisteredError(name, self._module_dict[name], self.name)
            self._give_way.discard(name)
            self._module_dict[name] = module

    @overload
    def register_module(
        self, name: str | Sequence[str] | None = None, force: bool = False, module: None = None
    ) -> Callable[[T], T]: ...

    @overload
    def register_module(
        self, name: str | Sequence[str] | None = None, force: bool = False, *, module: T
    ) -> T: ...

    def register_module(
        self,
        name: str | Sequence[str] | None = None,
        force: bool = False,
        module: T | None = None,
    ) -> T | Callable[[T], T]:
        """Register a class or function, directly or as a decorator.

        Args:
            name: The name, or several; by default that of the class or function.
            force: Replace what is registered under the name.
            module: The class or function; without it a decorator is returned.

        Raises:
            TypeError: An argument is of the wrong type.
            KeyError: The name is taken and ``force`` is not set.
        """
        if not isinstance(force, bool):
            raise ConfigTypeAssertionError(f"force must be a boolean, but got {type(force)}")
        if not _is_name(name):
            raise ConfigTypeAssertionError(
                f"name must be None, an instance of str, or a sequence of str, but got {type(name)}"
            )

        def register(module: T) -> T:
            self._register_module(module, name, force)
            return module

        return register if module is None else register(module)


def _is_name(name: object) -> bool:
    if name is None or isinstance(name, str):
        return True
    return isinstance(name, Sequence) and all(isinstance(part, str) for part in name)


@contextmanager
def _importing(what: str, registry: Registry, key: str | None = None) -> Iterator[None]:
    """Say in an exception what was imported when it was raised, and for which registry."""
    wanted_for = f"{registry.scope}::{registry.name}" + (f" (to find `{key}`)" if key else "")
    try:
        yield
    except ImportFailedError:
        raise
    except ImportError as error:
        raise import_failed(what, wanted_for, error) from error
    except Exception as error:
        add_note(error, f"While importing {what} for {wanted_for}")
        raise


def _import_warning(module: str, error: Exception) -> str:
    scope = module.partition(".")[0]
    missing = isinstance(error, ModuleNotFoundError) and error.name == scope
    if missing and scope in MODULE2PACKAGE:
        return (
            f"{scope} is not installed and its modules will not be registered. If you want to use "
            f"modules defined in {scope}, Please install {scope} by "
            f"`pip install {MODULE2PACKAGE[scope]}`."
        )
    return f"Failed to import `{module}`: {type(error).__name__}: {error}"
