"""A hook that writes down all that a run computes, to the last bit.

Among the default hooks of a config (``default_hooks.recorder``) it runs with either engine and
through any door, a library's own scripts included.
"""

from __future__ import annotations

import json
import os
from typing import Any

import mmengine
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from torch.nn.parallel import DistributedDataParallel
from tracing import digest, exact, random_state, without_times


def _let_mmengine_train_on_a_cpu() -> None:
    """Undo what makes MMEngine's DDP fail without a GPU, and nothing else."""
    original = DistributedDataParallel.__init__

    def without_devices(self: Any, module: Any, device_ids: Any = None, **kwargs: Any) -> None:
        original(self, module, **kwargs)

    torch.cuda.set_device = lambda device: None
    DistributedDataParallel.__init__ = without_devices  # type: ignore[method-assign]


if mmengine.__name__ == "mmengine" and not torch.cuda.is_available():
    _let_mmengine_train_on_a_cpu()


@HOOKS.register_module()
class Recorder(Hook):
    """Records batches, losses, learning rates, momenta, metrics and, at the end, all state."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.trained = False

    def before_train(self, runner: Any) -> None:
        self.trained = True
        self.events.append({"initial weights": digest(dict(_bare(runner).state_dict()))})

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        wrapper = runner.optim_wrapper
        rates = {"lr": exact(wrapper.get_lr()), "momentum": exact(wrapper.get_momentum())}
        batch = digest(data_batch)
        self.events.append({"iter": runner.iter, "batch": batch, "rng": random_state(), **rates})

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.events.append({"iter": runner.iter, "losses": exact(outputs)})

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.events.append({"val": batch_idx, "outputs": digest(outputs)})

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.events.append({"test": batch_idx, "outputs": digest(outputs)})

    def after_val_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        self.events.append({"val metrics": exact(metrics)})

    def after_test_epoch(self, runner: Any, metrics: dict[str, float] | None = None) -> None:
        self.events.append({"test metrics": exact(metrics)})

    def after_run(self, runner: Any) -> None:
        scalars = without_times(runner.message_hub.log_scalars)
        outcome: dict[str, Any] = {
            "weights": {key: exact(value) for key, value in _bare(runner).state_dict().items()},
            "history": {name: exact(list(one.data[0])) for name, one in sorted(scalars.items())},
            "hooks": runner.get_hooks_info().splitlines(),
        }
        if self.trained:
            outcome["optimizer"] = exact(runner.optim_wrapper.state_dict())
        report = {"trace": self.events, **outcome}
        rank = "" if runner.rank == 0 else f".{runner.rank}"
        with open(f"{os.environ['RECORD']}{rank}", "w") as file:
            json.dump(report, file)


def _bare(runner: Any) -> Any:
    return runner.model.module if is_model_wrapper(runner.model) else runner.model
