"""Hooks that write down what they see at each of the 22 points, with values to the last bit."""

from __future__ import annotations

import hashlib
import pickle
import random
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.structures import BaseDataElement

EVENTS: list[dict[str, Any]] = []
HISTORY: list[dict[str, list[str]]] = []  # one entry per run: all scalars of its message hub

TIMES = ("time", "data_time", "eta", "memory")


def exact(value: Any) -> Any:
    """Return a JSON value that differs whenever ``value`` differs in a bit, a type or an order."""
    if isinstance(value, torch.Tensor):
        if value.numel() == 1 and value.is_floating_point():
            return f"tensor {value.item().hex()}"
        data = value.detach().cpu().contiguous()
        if data.dtype is torch.bfloat16:  # which numpy has not
            return f"bfloat16 {exact(data.float())}"
        return f"tensor {value.dtype} {tuple(value.shape)} {_digest(data.numpy().tobytes())}"
    if isinstance(value, np.ndarray):
        return f"array {value.dtype} {value.shape} {_digest(value.tobytes())}"
    if isinstance(value, (bool, int, str)) or value is None:
        return value
    if isinstance(value, (float, np.floating)):
        return float(value).hex()
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, dict):
        return {str(key): exact(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(exact, value)]
    if isinstance(value, BaseDataElement):
        fields = sorted(value.all_items())  # sets inside: their order changes with the hash seed
        return {"element": type(value).__name__, **{key: exact(item) for key, item in fields}}
    return type(value).__name__


def digest(value: Any) -> str:
    """Return a short digest of ``exact(value)``."""
    return _digest(repr(exact(value)).encode())


def random_state() -> str:
    """Return a digest of the state of torch's, numpy's and Python's generators."""
    state = torch.get_rng_state().numpy().tobytes()
    return _digest(state + pickle.dumps((np.random.get_state(), random.getstate())))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=6).hexdigest()


def without_times(scalars: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in scalars.items() if key.split("/")[-1] not in TIMES}


class _Recorder(Hook):
    """What all tracing hooks share: the writing down."""

    def __init__(self, tag: str, full: bool = False) -> None:
        self.tag = tag
        self.full = full
        self.trained = False

    def record(self, point: str, runner: Any, **seen: Any) -> None:
        event: dict[str, Any] = {"point": point, "tag": self.tag, "random": random_state()}
        # Asking for the epoch builds the train loop if there is none yet: only when training.
        self.trained = self.trained or point == "before_train"
        if self.trained:
            event |= {"epoch": runner.epoch, "iter": runner.iter}
        if self.full:
            event |= self._details(runner)
        EVENTS.append({**event, **seen})
        if self.full and point == "after_run":
            HISTORY.append(_history(runner))

    def _details(self, runner: Any) -> dict[str, Any]:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        details = {
            "training": model.training,
            "gradients": torch.is_grad_enabled() and not torch.is_inference_mode_enabled(),
            "weights": digest(dict(model.state_dict())),
            "stage": runner.message_hub.runtime_info.get("loop_stage"),
        }
        if self.trained:
            wrapper, loop = runner.optim_wrapper, runner.train_loop
            details |= {
                "lr": exact(wrapper.get_lr()),
                "momentum": exact(wrapper.get_momentum()),
                "optimizer": digest(wrapper.state_dict()),
                "limits": [runner.max_epochs, runner.max_iters, loop.val_interval, loop.val_begin],
                "stop": loop.stop_training,
            }
        return details


def _history(runner: Any) -> dict[str, list[str]]:
    scalars = without_times(runner.message_hub.log_scalars)
    return {name: [exact(v) for v in buffer.data[0]] for name, buffer in sorted(scalars.items())}


def _plain(point: str) -> Any:
    def method(self: _Recorder, runner: Any) -> None:
        self.record(point, runner)

    return method


def _checkpoint(point: str) -> Any:
    def method(self: _Recorder, runner: Any, checkpoint: dict[str, Any]) -> None:
        meta = checkpoint.get("meta", {})
        seen = {"epoch": meta.get("epoch"), "iter": meta.get("iter"), "keys": sorted(meta)}
        saved = digest(dict(checkpoint.get("state_dict", checkpoint)))
        self.record(point, runner, meta=seen, saved=saved)

    return method


def _epoch_end(point: str) -> Any:
    def method(self: _Recorder, runner: Any, metrics: dict[str, float] | None = None) -> None:
        self.record(point, runner, metrics=exact(metrics))

    return method


def _before_iter(point: str) -> Any:
    def method(self: _Recorder, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        self.record(point, runner, batch_idx=batch_idx, batch=digest(data_batch))

    return method


def _after_iter(point: str) -> Any:
    def method(
        self: _Recorder, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        shown = exact(outputs) if point == "after_train_iter" else digest(outputs)
        batch = digest(data_batch)
        self.record(point, runner, batch_idx=batch_idx, batch=batch, outputs=shown)

    return method


def _method(point: str) -> Any:
    if point.endswith("checkpoint"):
        return _checkpoint(point)
    if point in ("after_val_epoch", "after_test_epoch"):
        return _epoch_end(point)
    if point.endswith("_iter"):
        return _before_iter(point) if point.startswith("before") else _after_iter(point)
    return _plain(point)


# Methods of the class itself: the runner finds out which points a hook overrides.
Tracer = type("Tracer", (_Recorder,), {point: _method(point) for point in Hook.stages})
HOOKS.register_module(module=Tracer)


@HOOKS.register_module()
class IterTracer(_Recorder):
    """Implements only the underscored methods, which stand for three points each."""

    def _before_epoch(self, runner: Any, mode: str = "train") -> None:
        self.record(f"_before_epoch {mode}", runner)

    def _after_epoch(self, runner: Any, mode: str = "train") -> None:
        self.record(f"_after_epoch {mode}", runner)

    def _before_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, mode: str = "train"
    ) -> None:
        self.record(f"_before_iter {mode}", runner, batch_idx=batch_idx, batch=digest(data_batch))

    def _after_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Any = None,
        mode: str = "train",
    ) -> None:
        self.record(f"_after_iter {mode}", runner, batch_idx=batch_idx, outputs=digest(outputs))


def tracers() -> list[dict[str, Any]]:
    """Return configs of the three tracing hooks that every scenario has."""
    return [
        {"type": "Tracer", "tag": "last", "full": True, "priority": "LOWEST"},
        {"type": "Tracer", "tag": "normal"},
        {"type": "Tracer", "tag": "first", "priority": 0},
    ]
