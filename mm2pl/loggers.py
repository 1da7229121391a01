"""The Lightning logger of a run: what Lightning code logs goes where the run's own log goes."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from mm2pl.mmengine.config import Config
from mm2pl.mmengine.visualization import Visualizer
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
        with _unfed(self._visualizer):
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
            with _unfed(self._visualizer):
                self._visualizer.add_hyperparams(dict(params))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Close the backends, if it was Lightning code that used them."""
        if self._written:
            self._visualizer.close()
        self._written = False


class LoggerBackend(BaseVisBackend):
    """Hands what the hooks record to one more of Lightning's loggers.

    What Lightning code logs reaches that logger by itself.

    Args:
        logger: The logger.

    Attributes:
        idle: Whether to hand on nothing.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__(save_dir="")
        self._logger = logger
        self.idle = False

    @property
    def experiment(self) -> Any:
        """The logger's own object."""
        return self._logger.experiment  # type: ignore[attr-defined]

    def _init_env(self) -> None:
        """The logger opens what it needs itself."""

    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record the config as hyperparameters."""
        self._logger.log_hyperparams(config.to_dict())

    def add_hyperparams(self, params: dict[str, Any]) -> None:
        """Leave them out: they are Lightning code's."""

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
        if self.idle:
            return
        numbers = {name: _number(value) for name, value in scalar_dict.items() if name != "step"}
        self._logger.log_metrics(numbers, step=step)
        self._logger.save()


@contextmanager
def _unfed(visualizer: Visualizer) -> Iterator[None]:
    """Hand nothing on to loggers that Lightning writes to itself."""
    backends = [one for one in visualizer._vis_backends.values() if isinstance(one, LoggerBackend)]
    for one in backends:
        one.idle = True
    try:
        yield
    finally:
        for one in backends:
            one.idle = False


def feed(visualizer: Visualizer, loggers: Iterable[Logger]) -> None:
    """Let loggers receive what a visualizer's backends do.

    Args:
        visualizer: The run's.
        loggers: More loggers of the Trainer's.
    """
    for index, logger in enumerate(loggers):
        visualizer._vis_backends[f"trainer.logger[{index}]"] = LoggerBackend(logger)


def _number(value: Any) -> Any:
    return value.item() if isinstance(value, torch.Tensor) else value
