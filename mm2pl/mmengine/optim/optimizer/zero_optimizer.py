"""An optimizer whose state is shared out over the processes."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from functools import cache
from typing import Any

import torch
from torch.optim import Optimizer

from mm2pl.errors import ConfigError, ConfigTypeError, nearest
from mm2pl.mmengine.dist import is_distributed, is_main_process
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.registry import OPTIMIZERS
from mm2pl.plan import Status
from mm2pl.support import becomes

# What shares the state out; a process that is alone has no use for it.
_SHARING = ("process_group", "parameters_as_bucket_view", "overlap_with_ddp")


class UnknownOptimizerError(ConfigError, AttributeError):
    """``optimizer_type`` is in ``torch.optim`` not to be found (``AttributeError`` in MMEngine)."""


@OPTIMIZERS.register_module()
@becomes(
    Status.TRANSLATED,
    "torch's own, which shares the state out over the processes; in one process the plain"
    " optimizer of that type, with equal results",
)
class ZeroRedundancyOptimizer(Optimizer):
    """torch's ``ZeroRedundancyOptimizer``, given the optimizer by name.

    Differs: where there is no process group, this makes the plain optimizer; torch's class, whose
    import takes long, is a base only of what is made where there is one. ``optimizer_type`` may
    also be a class.

    Args:
        params: Parameters or groups of them.
        optimizer_type: Name of an optimizer in ``torch.optim``.
        process_group: The processes; None is all.
        parameters_as_bucket_view: Keep parameters in one buffer for their broadcast.
        overlap_with_ddp: Update during backward; torch then needs a hook of DDP's.
        **kwargs: Arguments of that optimizer.

    Raises:
        ConfigError: There is no such optimizer (an ``AttributeError`` too, as in MMEngine).
    """

    def __new__(cls, params: Iterable[Any] = (), *args: Any, **kwargs: Any) -> Any:
        """Make the sharded optimizer, or the plain one where this process is alone."""
        if issubclass(cls, _Gathering):
            return super().__new__(cls)
        if is_distributed():
            kind: Any = cls  # mypy: torch's Optimizer is not Hashable
            return object.__new__(_sharded(kind))  # whose __init__ Python calls next
        return _plain(params, *args, **kwargs)

    def __init__(
        self,
        params: Iterable[Any],
        optimizer_type: str,
        process_group: Any = None,
        parameters_as_bucket_view: bool = False,
        overlap_with_ddp: bool = False,
        **kwargs: Any,
    ) -> None:
        # What comes next is torch's class, see _sharded.
        super().__init__(
            list(params),
            _kind(optimizer_type),
            process_group=process_group,  # type: ignore[call-arg]
            parameters_as_bucket_view=parameters_as_bucket_view,
            overlap_with_ddp=overlap_with_ddp,
            **kwargs,
        )


class _Gathering:
    """Gathers the shards once an update, so that a checkpoint's state can be read on one rank."""

    _is_gathered = False

    def consolidate_state_dict(self, to: int = 0) -> None:
        super().consolidate_state_dict(to)  # type: ignore[misc]
        self._is_gathered = True

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._is_gathered = False
        super().load_state_dict(state_dict)  # type: ignore[misc]

    def step(self, *args: Any, **kwargs: Any) -> Any:
        self._is_gathered = False
        return super().step(*args, **kwargs)  # type: ignore[misc]

    def state_dict(self) -> dict[str, Any]:
        """Return the whole state on rank 0, and nothing on others. All ranks call it, unless the
        shards have been gathered since the last update.
        """
        if not self._is_gathered:
            self.consolidate_state_dict()
        return super().state_dict() if is_main_process() else {}  # type: ignore[misc]


@cache
def _sharded(kind: Any) -> Any:
    """Return the class with torch's as its base."""
    torchs = importlib.import_module("torch.distributed.optim").ZeroRedundancyOptimizer
    return type(torchs)(kind.__name__, (kind, _Gathering, torchs), {"__module__": kind.__module__})


def _plain(params: Iterable[Any], optimizer_type: str, **kwargs: Any) -> Any:
    kind = _kind(optimizer_type)
    print_log(
        f"ZeroRedundancyOptimizer: this process is alone, so the optimizer is a plain"
        f" {kind.__name__}",
        logger="current",
    )
    return kind(params, **{key: kwargs[key] for key in kwargs if key not in _SHARING})


def _kind(name: Any) -> Any:
    if inspect.isclass(name) and issubclass(name, Optimizer):
        return name
    if not isinstance(name, str):
        raise ConfigTypeError(
            f"must be the name of an optimizer in torch.optim, got {name!r}",
            key_path="optimizer_type",
        )
    kinds = {
        key: kind
        for key, kind in vars(torch.optim).items()
        if inspect.isclass(kind) and issubclass(kind, Optimizer) and kind is not Optimizer
    }
    if name not in kinds:
        raise UnknownOptimizerError(
            f"torch.optim has no {name!r}",
            key_path="optimizer_type",
            choices=nearest(name, kinds),
        )
    return kinds[name]


def gather_shards(optimizers: Iterable[Optimizer]) -> None:
    """Let all ranks bring together on rank 0 what each holds of the optimizers' states."""
    for optimizer in optimizers:
        if isinstance(optimizer, _Gathering):
            optimizer.consolidate_state_dict()
