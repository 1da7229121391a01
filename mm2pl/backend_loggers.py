"""Lightning's own loggers on what a vis_backend has opened: one run, one writer.

Lightning code finds in ``trainer.loggers`` the class that it knows, and what it writes there goes
into the very event file or run that the hooks write to.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities import rank_zero_only

from mm2pl.mmengine.dist import is_main_process
from mm2pl.mmengine.visualization.vis_backend import (
    BaseVisBackend,
    MLflowVisBackend,
    TensorboardVisBackend,
    WandbVisBackend,
)


class _OfBackend:
    """What the loggers below share: the backend opens, closes and takes hyperparameters."""

    backend: Any

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kw: Any) -> None:
        """Record hyperparameters, beside the config."""
        found = vars(params) if isinstance(params, Namespace) else dict(params)
        if found:
            self.backend.add_hyperparams(found)

    def save(self) -> None:
        """Nothing is held back."""

    def finalize(self, status: str = "success") -> None:
        """Leave it open: the run's hooks may write on, and the visualizer closes it."""


class OwnTensorBoardLogger(_OfBackend, TensorBoardLogger):
    """Lightning's ``TensorBoardLogger`` on the event file of a ``TensorboardVisBackend``."""

    def __init__(self, backend: TensorboardVisBackend) -> None:
        super().__init__(backend._save_dir, name="", version="", default_hp_metric=False)
        self.backend = backend

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The ``SummaryWriter``."""
        return self.backend.experiment


class OwnWandbLogger(_OfBackend, WandbLogger):
    """Lightning's ``WandbLogger`` on the run of a ``WandbVisBackend``."""

    def __init__(self, backend: WandbVisBackend) -> None:
        given = backend._init_kwargs or {}
        super().__init__(
            given.get("name"), backend._save_dir, given.get("id"), project=given.get("project")
        )
        self.backend = backend

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The run."""
        return self.backend.experiment.run


class OwnMLFlowLogger(_OfBackend, MLFlowLogger):
    """Lightning's ``MLFlowLogger`` on the run of an ``MLflowVisBackend``."""

    def __init__(self, backend: MLflowVisBackend) -> None:
        super().__init__(backend._exp_name, tracking_uri=backend.uri)
        self.backend = backend

    @property
    @rank_zero_experiment
    def experiment(self) -> Any:
        """The client; the run is ``run_id``."""
        if self._run_id != self.backend.run_id:  # the backend was closed in between
            self._run_id = self.backend.run_id
            self._initialized = False
        return MLFlowLogger.experiment.fget(self)  # type: ignore[attr-defined]


_KINDS: dict[type[BaseVisBackend], Callable[[Any], Logger]] = {
    TensorboardVisBackend: OwnTensorBoardLogger,
    WandbVisBackend: OwnWandbLogger,
    MLflowVisBackend: OwnMLFlowLogger,
}


def logger_of(backend: BaseVisBackend) -> Logger | None:
    """Return Lightning's logger on a backend; None if there is none or its package is missing."""
    for kind, make in _KINDS.items():
        if isinstance(backend, kind):
            if not is_main_process():
                return DummyLogger()  # as many loggers in each process
            try:
                return make(backend)
            except ModuleNotFoundError:  # the backend names the extra when it is used
                return None
    return None
