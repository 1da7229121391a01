"""The Lightning loggers of a run: what Lightning code logs goes where the run's own log goes."""

from __future__ import annotations

import inspect
import warnings
from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.loggers import CSVLogger, Logger, MLFlowLogger, TensorBoardLogger
from lightning.pytorch.utilities import rank_zero_only

from mm2pl.backend_loggers import logger_of
from mm2pl.errors import MissingPackageError
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.visualization import Visualizer
from mm2pl.mmengine.visualization.utils import Image
from mm2pl.mmengine.visualization.vis_backend import BaseVisBackend


class VisualizerLogger(Logger):
    """Hands what ``self.log`` and ``save_hyperparameters`` record to a visualizer's backends.

    The run's hooks write to the same visualizer: there is one writer for each backend, so what the
    hooks record is not to be logged to Lightning as well.

    Args:
        visualizer: The visualizer.
        save_dir: The work folder of the experiment.
        name: The name of the experiment.
        version: The name of the run, such as its timestamp; its logs lie in ``save_dir/version``.
    """

    def __init__(
        self, visualizer: Visualizer, save_dir: str, name: str = "mm2pl", version: str = ""
    ) -> None:
        super().__init__()
        self._visualizer = visualizer
        self._save_dir = save_dir
        self._name = name
        self._version = version
        self._written = False
        self._of_hooks: frozenset[str] = frozenset()
        self._reached: set[str] = set()

    @property
    def experiment(self) -> Visualizer:
        """The visualizer."""
        return self._visualizer

    @property
    def name(self) -> str:
        """The name of the experiment."""
        return self._name

    @property
    def version(self) -> str:
        """The name of the run."""
        return self._version

    @property
    def save_dir(self) -> str:
        """The work folder of the experiment."""
        return self._save_dir

    @property
    def root_dir(self) -> str:
        """The folder that holds the folders of all runs."""
        return self._save_dir

    @property
    def log_dir(self) -> str:
        """The folder of this run's logs."""
        return str(Path(self._save_dir) / self._version)

    @property
    def of_hooks(self) -> frozenset[str]:
        """The metrics that the hooks have written."""
        return self._of_hooks

    def leave_to_hooks(self, names: Iterable[str]) -> None:
        """Write none of these metrics until the next call: the hooks have written them."""
        self._of_hooks = frozenset(names)

    def beside(self) -> list[Logger]:
        """Return Lightning's loggers on the backends, for ``trainer.loggers`` beside this one.

        What Lightning code logs reaches these by themselves from here on.
        """
        found: list[Logger] = []
        for name, backend in self._backends.items():
            is_fed = isinstance(backend, LoggerBackend)
            logger = backend.logger if is_fed else logger_of(backend)  # type: ignore[attr-defined]
            if is_fed:
                backend.reached = True  # type: ignore[attr-defined]
            if logger is not None:
                self._reached.add(name)
                found.append(logger)
        return found

    @property
    def _backends(self) -> Mapping[str, BaseVisBackend]:
        # What a tool passes in a visualizer's place, such as a mock, has none.
        return getattr(self._visualizer, "_vis_backends", {})

    def _others(self) -> AbstractContextManager[None]:
        """Write to none of the backends that Lightning writes to itself."""
        backends = self._backends.items()
        fed = {name for name, one in backends if isinstance(one, LoggerBackend) and one.reached}
        return _without(self._visualizer, fed | self._reached)

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Record numbers; ``step`` is Lightning's count of optimizer steps."""
        own = metrics.keys() - self._of_hooks
        if len(own) < len(metrics) and own <= {"epoch", "step"}:  # those Lightning adds
            return
        self._written = True
        numbers = {name: _number(value) for name, value in metrics.items() if name in own}
        # TensorBoard has no scalar named step, and a line of JSON has only one.
        logged = numbers.pop("step", 0)
        with self._others():
            self._visualizer.add_scalars(numbers, step=int(logged) if step is None else step)

    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        """Record hyperparameters, beside the config and not in its place."""
        if isinstance(params, Namespace):
            params = vars(params)
        if params:
            self._written = True
            with self._others():
                self._visualizer.add_hyperparams(dict(params))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the backends, if it was Lightning code that used them."""
        if self._written:
            self._visualizer.close()
        self._written = False


class LoggerBackend(BaseVisBackend):
    """Hands what the hooks record to one of Lightning's loggers.

    Args:
        logger: The logger.
        reached: Whether Lightning code's records reach the logger by itself, as one of the
            Trainer's.
    """

    def __init__(self, logger: Logger, reached: bool = False) -> None:
        super().__init__(save_dir="")
        self.logger = logger
        self.reached = reached
        self._no_images = False

    @property
    def experiment(self) -> Any:
        """The logger's own object."""
        return self.logger.experiment  # type: ignore[attr-defined]

    def _init_env(self) -> None:
        """The logger opens what it needs itself."""

    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record the config as hyperparameters."""
        self.logger.log_hyperparams(config.to_dict())

    def add_hyperparams(self, params: dict[str, Any]) -> None:
        """Record hyperparameters of Lightning code."""
        self.logger.log_hyperparams(params)

    def add_graph(
        self, model: torch.nn.Module, data_batch: Sequence[Any] | None, **kwargs: Any
    ) -> None:
        """Record the graph, by a logger that can watch a model or trace one with a batch."""
        if hasattr(self.logger, "watch"):
            self.logger.watch(model)
        elif data_batch is not None and isinstance(self.logger, TensorBoardLogger):
            self.experiment.add_graph(model, data_batch)

    def add_image(self, name: str, image: Image, step: int = 0, **kwargs: Any) -> None:
        """Record an image, by a logger that holds images; others say once that they do not."""
        if isinstance(self.logger, TensorBoardLogger):
            self.experiment.add_image(name, image, step, dataformats="HWC")
        elif isinstance(self.logger, MLFlowLogger):
            self.experiment.log_image(self.logger.run_id, image, f"{name}_{step}.png")
        elif hasattr(self.logger, "log_image"):
            self.logger.log_image(key=name, images=[image], step=step)
        elif not self._no_images:
            self._no_images = True
            warnings.warn(f"{type(self.logger).__name__} holds no images: they are left out")

    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a number."""
        self.add_scalars({name: value}, step)

    def add_scalars(
        self,
        scalar_dict: dict[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Record numbers by name."""
        numbers = {name: _number(value) for name, value in scalar_dict.items() if name != "step"}
        self.logger.log_metrics(numbers, step=step)
        self.logger.save()

    def close(self) -> None:
        """Let the logger write what it holds back, unless the Trainer does."""
        if not self.reached:
            self.logger.finalize("success")


def logger_backend(kind: type, given: Any, save_dir: str | None) -> LoggerBackend | None:
    """Return the backend of a logger that a visualizer's ``vis_backends`` names.

    Args:
        kind: The logger's class.
        given: Its config, or an object of it.
        save_dir: Where it writes, unless it is told.

    Returns:
        None for a logger that needs a folder where there is none.

    Raises:
        MissingPackageError: The logger's package is missing.
    """
    from mm2pl.natives import build_logger

    needed = inspect.signature(kind).parameters.get("save_dir")
    lacking = save_dir is None and needed is not None and needed.default is needed.empty
    if lacking and isinstance(given, Mapping) and "save_dir" not in given:
        return None
    try:
        return LoggerBackend(build_logger(kind, given, save_dir))
    except ModuleNotFoundError as error:
        extra = kind.__name__.removesuffix("Logger").lower()
        hint = f"pip install 'mm2pl[{extra}]'" if extra in ("wandb", "mlflow") else None
        raise MissingPackageError(f"{kind.__name__}: {error}", hint=hint) from error


def csv_logger(save_dir: str) -> CSVLogger:
    """Return a logger that writes ``csv/metrics.csv`` in a folder."""
    return CSVLogger(save_dir, name="csv", version="")


@contextmanager
def _without(visualizer: Visualizer, names: Iterable[str]) -> Iterator[None]:
    """Leave out backends for a while."""
    every = visualizer._vis_backends
    left_out = set(names)
    visualizer._vis_backends = {k: one for k, one in every.items() if k not in left_out}
    try:
        yield
    finally:
        visualizer._vis_backends = every


def feed(visualizer: Visualizer, loggers: Iterable[Logger]) -> None:
    """Let loggers receive what a visualizer's backends do.

    Args:
        visualizer: The run's.
        loggers: More loggers of the Trainer's.
    """
    for index, logger in enumerate(loggers):
        visualizer._vis_backends[f"trainer.logger[{index}]"] = LoggerBackend(logger, reached=True)


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, torch.Tensor) else value
