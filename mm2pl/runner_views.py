"""What hooks, metrics and scripts read from a runner, under MMEngine's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from mm2pl.distributed import without_wrapper
from mm2pl.environment import ProcessFacts
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.runner.base_loop import BaseLoop
from mm2pl.mmengine.runner.loops import EpochBasedTrainLoop, IterBasedTrainLoop, TestLoop, ValLoop

_LOOPS = (EpochBasedTrainLoop, IterBasedTrainLoop, ValLoop, TestLoop)


class RunnerViews(ProcessFacts):
    """The runner's properties; loops are built when they are first asked for."""

    _model: Any
    _hooks: list[Hook]
    _train_loop: Any
    _val_loop: Any
    _test_loop: Any
    _model_name: str
    _deterministic: bool
    _randomness_cfg: dict[str, Any]

    @property
    def model_name(self) -> str:
        """Name of the model's class."""
        return self._model_name

    @property
    def deterministic(self) -> bool:
        """Whether deterministic algorithms were asked for."""
        return self._deterministic

    @property
    def randomness(self) -> Mapping[str, Any]:
        """The ``randomness`` section."""
        return self._randomness_cfg

    @property
    def hooks(self) -> list[Hook]:
        """The hooks by priority."""
        return self._hooks

    @property
    def model(self) -> Any:
        """The model that steps are run on."""
        return self._model

    @model.setter
    def model(self, model: Any) -> None:
        self._model = model
        self.module.model = model  # type: ignore[attr-defined]

    @property
    def bare_model(self) -> nn.Module:
        """The model without a wrapper."""
        return without_wrapper(self._model)  # type: ignore[no-any-return]

    @property
    def train_loop(self) -> Any:
        """The training loop."""
        return self._loop("train")

    @property
    def val_loop(self) -> Any:
        """The validation loop."""
        return self._loop("val")

    @property
    def test_loop(self) -> Any:
        """The test loop."""
        return self._loop("test")

    def eval_loop(self, stage: str) -> Any:
        """Return the loop of ``val`` or ``test``."""
        return self._loop(stage)

    def _loop(self, stage: str) -> Any:
        name = f"_{stage}_loop"
        loop = getattr(self, name)
        if loop is not None and not _is_loop(loop):
            loop = getattr(self, f"build_{stage}_loop")(loop)
            setattr(self, name, loop)
        return loop

    @property
    def train_dataloader(self) -> Any:
        """The training loader."""
        return self.train_loop.dataloader

    @property
    def val_dataloader(self) -> Any:
        """The validation loader."""
        return self.val_loop.dataloader

    @property
    def test_dataloader(self) -> Any:
        """The test loader."""
        return self.test_loop.dataloader

    @property
    def val_evaluator(self) -> Any:
        """The validation's evaluator."""
        return self.val_loop.evaluator

    @property
    def test_evaluator(self) -> Any:
        """The test's evaluator."""
        return self.test_loop.evaluator

    @property
    def val_interval(self) -> int:
        """Epochs or iterations between validations."""
        return self.train_loop.val_interval  # type: ignore[no-any-return]

    @property
    def val_begin(self) -> int:
        """First epoch or iteration after which to validate."""
        return self.train_loop.val_begin  # type: ignore[no-any-return]

    # Differs: MMEngine builds the training data when a lone validation reads a counter.

    @property
    def epoch(self) -> int:
        """Finished epochs."""
        return self._train_loop.epoch if _is_loop(self._train_loop) else 0

    @property
    def iter(self) -> int:
        """Finished iterations."""
        return self._train_loop.iter if _is_loop(self._train_loop) else 0

    @property
    def max_epochs(self) -> int:
        """Epochs to train."""
        return self.train_loop.max_epochs if self._train_loop is not None else 0

    @property
    def max_iters(self) -> int:
        """Iterations to train."""
        return self.train_loop.max_iters if self._train_loop is not None else 0


def _is_loop(loop: Any) -> bool:
    """Whether a loop is built; asked many times a step, where an ABC takes its time."""
    return type(loop) in _LOOPS or isinstance(loop, BaseLoop)
