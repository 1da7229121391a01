"""Optimizers of other packages, under the names MMEngine gives them, imported when first used."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from mm2pl.errors import ConfigKeyError, MissingPackageError, nearest
from mm2pl.mmengine.registry import OPTIMIZERS


@dataclass(frozen=True)
class Package:
    """A package that brings optimizers.

    Attributes:
        module: The module that holds them.
        names: Their names there. Newer versions may lack some and have others.
        install: What ``pip install`` takes.
    """

    module: str
    names: tuple[str, ...]
    install: str


_WIDTHS = ("", "8bit", "32bit")
_PAGED = ("PagedAdam", "PagedAdamW", "PagedAdEMAMix", "PagedLion")
_BITS = ("Adagrad", "Adam", "AdamW", "AdEMAMix", "LAMB", "LARS", "Lion", "RMSprop", "SGD", *_PAGED)

# In MMEngine's order, which decides who gets a name that two packages have.
PACKAGES = (
    Package("dadaptation", ("DAdaptAdaGrad", "DAdaptAdam", "DAdaptSGD"), "dadaptation"),
    Package("lion_pytorch", ("Lion",), "lion-pytorch"),
    Package("Sophia", ("SophiaG",), "git+https://github.com/Liuhong99/Sophia.git"),
    Package(
        "bitsandbytes.optim",
        tuple(name + width for name in _BITS for width in _WIDTHS),
        "bitsandbytes",
    ),
    Package("transformers", ("Adafactor",), "transformers"),
)

# Should torch have optimizers of these names they are registered as Torch<name>: configs that use
# the names mean the others, installed or not.
TAKEN = frozenset(
    [n for p in PACKAGES if p.module != "bitsandbytes.optim" for n in p.names]
    + ["ZeroRedundancyOptimizer"]
)


def register(module: str) -> list[str]:
    """Register the optimizers of one of :data:`PACKAGES`, if it is installed; return their names.

    A name of bitsandbytes' that is taken already becomes ``bnb_<name>``.
    """
    package = next(package for package in PACKAGES if package.module == module)
    top = module.partition(".")[0]
    if top not in sys.modules and find_spec(top) is None:
        return []
    registered = []
    for name in package.names:
        taken = module == "bitsandbytes.optim" and name in OPTIMIZERS.module_dict
        registered.append(f"bnb_{name}" if taken else name)
        OPTIMIZERS.register_module(name=registered[-1], module=_maker(module, name))
    return registered


def check_installed(name: str) -> None:
    """Raise an error that says what to install for an optimizer that is registered with it alone.

    Args:
        name: The name, which the registry does not know.

    Raises:
        ConfigKeyError: One of :data:`PACKAGES` has an optimizer of that name.
    """
    for package in PACKAGES:
        if name in package.names:
            raise ConfigKeyError(
                f"{name} is in the package {package.module.partition('.')[0]}, which is not"
                " installed",
                key_path="optimizer.type",
                hint=f"pip install {package.install}",
            )


def _maker(module: str, name: str) -> Callable[..., Any]:
    def make(params: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
        return _load(module, name)(params, *args, **kwargs)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"Return a ``{module}.{name}`` over ``params``."
    return make


def _load(module: str, name: str) -> Callable[..., Any]:
    try:
        loaded = import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"optimizer {name} is in {module}, whose import failed: {error}"
        ) from error
    if not hasattr(loaded, name):
        raise MissingPackageError(
            f"the installed version of {module} has no {name}",
            choices=nearest(name, dir(loaded)),
        )
    return getattr(loaded, name)  # type: ignore[no-any-return]
