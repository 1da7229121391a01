"""Torch's own schedules in ``param_scheduler``: ``type='torch.optim.lr_scheduler.CyclicLR'``."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch.optim import Optimizer, lr_scheduler
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from mm2pl.errors import ConfigError, ConfigKeyError, ConfigTypeError, UnsupportedError, nearest
from mm2pl.mmengine.optim import OptimWrapper, _ParamScheduler
from mm2pl.mmengine.optim.scheduler._base import INF, count_steps
from mm2pl.mmengine.registry import PARAM_SCHEDULERS
from mm2pl.mmengine.registry.build_functions import refused_arguments
from mm2pl.translate.torch_schedules import NAMES


def torch_schedule(kind: Any) -> type[LRScheduler] | None:
    """Return the class of torch's that a ``type`` means; None if it is none of torch's.

    Args:
        kind: A class, or its name; a dotted one is imported.
    """
    if isinstance(kind, str):
        home, _, name = kind.rpartition(".")
        if home == lr_scheduler.__name__ and not hasattr(lr_scheduler, name):
            known = [one for one in dir(lr_scheduler) if one.endswith(("LR", "Plateau"))]
            close = nearest(name, known)
            raise ConfigKeyError(f"{home} has no {name!r}", key_path="type", choices=close)
        kind = PARAM_SCHEDULERS.get(kind)
        if kind is None and name in NAMES and not home:
            raise ConfigKeyError(
                f"{name} is torch's, and only MMEngine's schedules go without their module",
                key_path="type",
                choices=[f"{lr_scheduler.__name__}.{name}"],
            )
    return kind if isinstance(kind, type) and issubclass(kind, LRScheduler) else None


class TorchSchedule(_ParamScheduler):
    """Lets a schedule of torch's change the groups of an optimizer wrapper.

    It runs on a shadow of the optimizer, which gets the groups' options before each step and gives
    them back after it. So torch's schedules stand beside MMEngine's in one list, may begin late,
    and may step more often than the optimizer does.

    Args:
        optimizer: The optimizer wrapper, or torch's optimizer.
        kind: Torch's class.
        begin: The first step (epoch or iteration) of the schedule; torch's own counting begins
            there.
        end: The step from which on it changes nothing.
        by_epoch: Whether steps are epochs or iterations.
        monitor: For ``ReduceLROnPlateau``, the name of the metric that it waits for.
        kwargs: What torch's class takes.

    Raises:
        ConfigError: ``monitor`` is given and nothing waits for it, or a plateau counts iterations.
        TypeError: Torch's class does not take the arguments.
    """

    _not_in_state: ClassVar[tuple[str, ...]] = (
        "optimizer",
        "need_val_args",
        "made_with",
        "_make",
        "_schedule",
    )

    def __init__(
        self,
        optimizer: OptimWrapper | Optimizer,
        kind: type[LRScheduler],
        begin: int = 0,
        end: int = INF,
        by_epoch: bool = True,
        monitor: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.need_val_args = issubclass(kind, ReduceLROnPlateau)
        self._check(kind, by_epoch, monitor, kwargs)
        own = {"begin": begin, "end": end, "by_epoch": by_epoch, "monitor": monitor}
        self.made_with: dict[str, Any] = {"type": kind.__name__, **own, **kwargs}
        self._attach(optimizer, "lr", begin, end, -1, by_epoch, False)
        count_steps(optimizer)
        self.monitor = monitor
        self._make: Callable[[], LRScheduler] = lambda: kind(_shadow_of(optimizer), **kwargs)
        # Made once at any rate: a wrong argument is told now, not when the schedule begins.
        self._schedule: LRScheduler | None = self._try(kind, kwargs)
        self._check_total(self._schedule)
        self._global_step = 0
        if begin <= 0 < end:
            self.last_step = 0
            self._give_back()
        else:
            self._schedule = None
        self._last_value = self._values()

    def _note_initial_values(self) -> None:
        """Leave it to torch: CyclicLR and OneCycleLR bring initial rates of their own."""

    def _check(
        self, kind: type[LRScheduler], by_epoch: bool, monitor: str | None, kwargs: dict[str, Any]
    ) -> None:
        if kwargs.pop("convert_to_iter_based", False):
            raise UnsupportedError(
                f"{kind.__name__} is torch's: which of its arguments count epochs is not known",
                key_path="convert_to_iter_based",
                hint="write the arguments in iterations, and by_epoch=False",
            )
        if "schedulers" in inspect.signature(kind).parameters:
            raise UnsupportedError(
                f"{kind.__name__} is made of schedules that are built already",
                key_path="type",
                hint="list them one by one in param_scheduler, each with begin and end",
            )
        if self.need_val_args:
            if not by_epoch:
                raise ConfigError("the plateau is looked for by epoch only", key_path="by_epoch")
            if monitor is None:
                raise ConfigTypeError(
                    f"{kind.__name__} needs the name of a metric",
                    key_path="monitor",
                    hint="for example monitor='accuracy', mode='max'",
                )
        elif monitor is not None:
            raise ConfigError(f"{kind.__name__} waits for no metric", key_path="monitor")

    def _try(self, kind: type[LRScheduler], arguments: dict[str, Any]) -> LRScheduler:
        try:
            return self._make()
        except TypeError as error:
            refused = refused_arguments(error, kind, {"optimizer": self.optimizer, **arguments})
            if refused is None:
                raise
            raise refused from error

    def _check_total(self, schedule: Any) -> None:
        """Tell before the training, not in its midst, that a cycle has fewer steps than there are.

        Torch's OneCycleLR raises an error one step after its last.
        """
        total = getattr(schedule, "total_steps", None)
        if total is not None and self.end != INF and self.end - self.begin > total + 1:
            raise ConfigError(
                f"{type(schedule).__name__} has {total} steps, and is to make"
                f" {self.end - self.begin}, from {self.begin} to {self.end}",
                key_path="total_steps",
                hint=f"set end={self.begin + total}, or total_steps={self.end - self.begin}",
            )

    def step(self, metrics: dict[str, float] | None = None) -> None:
        """Move on by one epoch or iteration; a plateau, with metrics, by one validation."""
        if self.need_val_args and metrics is not None:
            self._judge(metrics)
            return
        self._global_step += 1
        if self.begin <= self._global_step < self.end and not self.need_val_args:
            self.last_step += 1
            if self._schedule is None:
                self._schedule = self._make()
            else:
                self._advance(self._schedule)
            self._give_back()
        self._last_value = self._values()

    def _judge(self, metrics: dict[str, float]) -> None:
        assert self.monitor is not None
        if self.monitor not in metrics:
            raise ConfigKeyError(
                f"metric {self.monitor!r} is not among {', '.join(map(repr, metrics))}",
                choices=nearest(self.monitor, metrics),
                hint="set the scheduler's monitor",
            )
        if self.begin <= self._global_step < self.end:
            self.last_step += 1
            self._schedule = self._schedule or self._make()
            self._advance(self._schedule, metrics[self.monitor])
            self._give_back()
        self._last_value = self._values()

    def _advance(self, schedule: Any, *metric: float) -> None:
        _copy_options(self.optimizer.param_groups, schedule.optimizer.param_groups)
        schedule.optimizer.step()  # torch warns of a schedule that is ahead of its optimizer
        schedule.step(*metric)

    def _give_back(self) -> None:
        assert self._schedule is not None
        _copy_options(self._schedule.optimizer.param_groups, self.optimizer.param_groups)

    def state_dict(self) -> dict[str, Any]:
        """Return the counters, and torch's own state under ``torch``."""
        schedule = self._schedule
        return {**super().state_dict(), "torch": schedule and schedule.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned; the groups are left as they are."""
        state = dict(state_dict)
        own = state.pop("torch")
        super().load_state_dict(state)
        self._schedule = None
        if own is not None:
            self._schedule = self._make()
            self._schedule.load_state_dict(own)


class _Shadow(Optimizer):
    """An optimizer that holds options alone."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Do nothing."""


def _shadow_of(optimizer: OptimWrapper | Optimizer) -> _Shadow:
    groups = [{"params": [torch.zeros(1)], **_options(one)} for one in optimizer.param_groups]
    return _Shadow(groups, dict(getattr(optimizer, "optimizer", optimizer).defaults))


def _options(group: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in group.items() if key != "params"}


def _copy_options(source: list[dict[str, Any]], target: list[dict[str, Any]]) -> None:
    for one, other in zip(source, target, strict=True):
        other.update(_options(one))
