"""What every backend is: nothing is opened before something is recorded."""

from __future__ import annotations

import functools
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, ParamSpec, TypeAlias, TypeVar

import torch

from mm2pl.errors import MissingPackageError
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.utils import scandir
from mm2pl.mmengine.visualization.utils import Image

P = ParamSpec("P")
T = TypeVar("T")
Suffix: TypeAlias = tuple[str, ...] | str


def force_init_env(old_func: Callable[P, T]) -> Callable[P, T]:
    """Make a method call ``_init_env`` first, if that has not happened yet.

    Raises:
        AttributeError: When called, if the object has no ``_init_env``.
    """

    @functools.wraps(old_func)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        backend: Any = args[0]
        if not hasattr(backend, "_init_env"):
            raise AttributeError(f"{type(backend).__name__} has no _init_env method")
        if not getattr(backend, "_env_initialized", False):
            print_log(f"{type(backend).__name__}: set up on first use", "current", logging.DEBUG)
            backend._init_env()
            backend._env_initialized = True
        return old_func(*args, **kwargs)

    return wrapper


class BaseVisBackend(ABC):
    """One place where a run is recorded. It opens nothing before something is recorded.

    Args:
        save_dir: The folder for its files.
    """

    def __init__(self, save_dir: str | None) -> None:
        # A required one is given: the visualizer leaves out what lacks it.
        self._save_dir: str = save_dir  # type: ignore[assignment]
        self._env_initialized = False

    @property
    @abstractmethod
    def experiment(self) -> Any:
        """The object that does the recording, e.g. a ``SummaryWriter``."""

    @abstractmethod
    def _init_env(self) -> Any:
        """Create the folder, open the connection: what :func:`force_init_env` does once."""

    def add_config(self, config: Config, **kwargs: Any) -> None:  # noqa: B027 - optional
        """Record the config."""

    def add_hyperparams(self, params: dict[str, Any]) -> None:
        """Record hyperparameters of Lightning code. Only mm2pl has this."""
        self.add_config(Config({"hparams": params}))

    def add_graph(  # noqa: B027 - optional
        self, model: torch.nn.Module, data_batch: Sequence[Any] | None, **kwargs: Any
    ) -> None:
        """Record the graph of a model, traced with a batch."""

    def add_image(  # noqa: B027 - optional
        self, name: str, image: Image, step: int = 0, **kwargs: Any
    ) -> None:
        """Record an RGB image of shape (H, W, 3) and type uint8."""

    def add_scalar(  # noqa: B027 - optional
        self, name: str, value: float, step: int = 0, **kwargs: Any
    ) -> None:
        """Record a number."""

    def add_scalars(  # noqa: B027 - optional
        self,
        scalar_dict: dict[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Record numbers by name; ``file_path`` names one more file that should get them."""

    def close(self) -> None:  # noqa: B027 - optional
        """Close what was opened."""


class OneByOne(BaseVisBackend):
    """A backend whose service takes one number at a time."""

    _refuses_step = False

    @force_init_env
    def add_scalars(
        self,
        scalar_dict: dict[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Record several numbers, each under its name (``file_path`` is not used).

        Raises:
            AssertionError: One is named ``step``, where MMEngine's backend refuses that.
        """
        if self._refuses_step:
            refuse_step(scalar_dict)
        for name, value in scalar_dict.items():
            self.add_scalar(name, value, step)


def import_for(backend: BaseVisBackend, module: str) -> Any:
    """Return the module of a backend's optional package.

    Raises:
        MissingPackageError: It cannot be imported.
    """
    package = module.partition(".")[0]
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"{type(backend).__name__} needs {package}, which cannot be imported: {error}",
            hint=f"pip install 'mm2pl[{package}]'",
        ) from error


def stored_files(
    config: Config | None, suffix: Suffix, recursive: bool = True
) -> list[tuple[str, str]]:
    """Return the names and paths of a run's files: those of its config's ``work_dir``."""
    folder = config.get("work_dir") if config else None
    if not folder or not os.path.isdir(folder):
        return []
    endings = suffix if isinstance(suffix, str) else tuple(suffix)
    return [(name, os.path.join(folder, name)) for name in scandir(folder, endings, recursive)]


def require_type(name: str, value: Any, kind: type) -> None:
    """Refuse an argument of another type.

    Raises:
        AssertionError: As in MMEngine.
    """
    if not isinstance(value, kind):
        raise AssertionError(f"{name} must be a {kind.__name__}, got {type(value).__name__}")


def refuse_step(scalar_dict: dict[str, Any]) -> None:
    """Refuse a scalar named ``step``, and what is no dict.

    Raises:
        AssertionError: Which of them it is.
    """
    require_type("scalar_dict", scalar_dict, dict)
    if "step" in scalar_dict:
        raise AssertionError("no scalar may be named 'step'. Hint: use the argument step.")
