"""The schedulers' base: when a schedule is active, what it changes, and its state."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Iterable
from functools import wraps
from typing import Any, ClassVar

from torch.optim import Optimizer
from typing_extensions import Self

from mm2pl.errors import ConfigAssertionError, ConfigError, ConfigKeyError, ConfigTypeError, nearest
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.optim.optimizer.base import BaseOptimWrapper

INF = int(1e9)

OptimizerType = BaseOptimWrapper | Optimizer

_ORDER_HELP = "See https://pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate"


class _ParamScheduler:
    """Base of all schedulers: changes one option of the optimizer's parameter groups at each step.

    A subclass sets what it needs, then calls this ``__init__``, which takes the first step; and
    it overrides ``_get_value``. Its other attributes are its state.

    Attributes:
        base_values: The option's value in each group before any schedule.
        last_step: Steps taken while active, minus 1; the schedule's own time.

    Args:
        optimizer: An optimizer wrapper or a torch optimizer.
        param_name: The option, e.g. ``lr`` or ``momentum``.
        begin: First step (epoch or iteration) at which the schedule is active.
        end: The step at which it no longer is.
        last_step: Where to go on without a state to load; the groups must have
            ``initial_<param_name>`` then.
        by_epoch: Whether steps are epochs or iterations.
        verbose: Log every value.

    Raises:
        ConfigTypeError: ``optimizer`` is none.
        ConfigError: ``end`` is not after ``begin``, or ``last_step`` is not a number from -1
            (then an ``AssertionError`` too, as in MMEngine).
        ConfigKeyError: A group has no option ``param_name``, or no initial value to go on from.
    """

    _not_in_state: ClassVar[tuple[str, ...]] = ("optimizer",)

    def __init__(
        self,
        optimizer: OptimizerType,
        param_name: str,
        begin: int = 0,
        end: int = INF,
        last_step: int = -1,
        by_epoch: bool = True,
        verbose: bool = False,
    ) -> None:
        self._attach(optimizer, param_name, begin, end, last_step, by_epoch, verbose)
        self.base_values: list[Any] = [
            group[f"initial_{param_name}"] for group in optimizer.param_groups
        ]
        count_steps(optimizer)
        self._global_step = -1
        self.step()

    def _attach(
        self,
        optimizer: OptimizerType,
        param_name: str,
        begin: int,
        end: int,
        last_step: int,
        by_epoch: bool,
        verbose: bool,
    ) -> None:
        if not isinstance(optimizer, (Optimizer, BaseOptimWrapper)):
            raise ConfigTypeError(
                f"a scheduler needs an optimizer or an optimizer wrapper, "
                f"not {type(optimizer).__name__}"
            )
        if end <= begin:
            raise ConfigError(
                f"end must be larger than begin, but begin={begin} and end={end}",
                key_path="end",
                hint="a schedule without `end` goes on to the end of training",
            )
        if not isinstance(last_step, int) or last_step < -1:
            raise ConfigAssertionError(
                f"last_step must be an integer from -1 on, not {last_step!r}"
            )
        self.optimizer = optimizer
        self.param_name = param_name
        self.begin = begin
        self.end = end
        self.by_epoch = by_epoch
        self.last_step = last_step
        self.verbose = verbose
        self._note_initial_values()

    def _note_initial_values(self) -> None:
        name, initial = self.param_name, f"initial_{self.param_name}"
        needed = name if self.last_step == -1 else initial
        for index, group in enumerate(self.optimizer.param_groups):
            if needed not in group and initial not in group:
                raise ConfigKeyError(
                    f"parameter group {index} of {type(self.optimizer).__name__} has no {needed!r}",
                    choices=nearest(name, (key for key in group if key != "params")),
                    hint=None if needed == name else "last_step >= 0 goes on from a former run",
                )
            if self.last_step == -1 and initial not in group:
                group[initial] = group[name]

    def state_dict(self) -> dict[str, Any]:
        """Return all attributes except the optimizer."""
        return {k: v for k, v in self.__dict__.items() if k not in self._not_in_state}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over the attributes that :meth:`state_dict`, or MMEngine's, returned."""
        self.__dict__.update(state_dict)

    def get_last_value(self) -> list[Any]:
        """Return the option's value in each group after the last step."""
        return self._last_value

    def _get_value(self) -> list[Any]:
        """Return each group's value for ``last_step``, from its value now."""
        raise NotImplementedError

    def _values(self) -> list[Any]:
        name = self.param_name
        return [group[name] for group in self.optimizer.param_groups]

    def print_value(self, is_verbose: bool, group: int, value: float) -> None:
        """Log a group's new value.

        Args:
            is_verbose: Whether to log at all.
            group: The group's index.
            value: Its value.
        """
        if is_verbose:
            message = f"Adjusting parameter value of group {group} to {value:.4e}."
            print_log(message, logger="current")

    def step(self) -> None:
        """Move on by one epoch or iteration and set the groups' values."""
        if self._global_step == 0:
            self._warn_if_out_of_order()
        self._global_step += 1
        groups, name = self.optimizer.param_groups, self.param_name
        if self.begin <= self._global_step < self.end:
            self.last_step += 1
            values = self._get_value()
            for group, value in zip(groups, values):  # noqa: B905  strict= costs as much as the rest
                group[name] = value
            if self.verbose:
                for index, value in enumerate(values):
                    self.print_value(True, index, value)
        self._last_value = [group[name] for group in groups]

    def _warn_if_out_of_order(self) -> None:
        if not hasattr(self.optimizer.step, "_with_counter"):
            warnings.warn(
                "optimizer.step() was replaced after the scheduler was made, so it cannot be seen "
                f"whether it is called before scheduler.step(), as it must be. {_ORDER_HELP}",
                UserWarning,
            )
        elif self.optimizer._global_step < 0:  # type: ignore[union-attr]
            warnings.warn(
                "scheduler.step() was called before optimizer.step(): the schedule's first value "
                f"is skipped. Call optimizer.step() first. {_ORDER_HELP}",
                UserWarning,
            )


class EpochSchedule(_ParamScheduler):
    """A schedule that can be given in epochs and run by iterations.

    A subclass names its arguments that count epochs in ``_epoch_args``.
    """

    _epoch_args: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def build_iter_from_epoch(
        cls,
        *args: Any,
        begin: int = 0,
        end: int = INF,
        by_epoch: bool = True,
        epoch_length: int | None = None,
        **kwargs: Any,
    ) -> Self:
        """Build the scheduler by iteration from arguments that count epochs.

        Args:
            epoch_length: Iterations in an epoch.
            begin, end, by_epoch, *args, **kwargs: As for the class itself.

        Raises:
            ConfigError: ``by_epoch`` is false, or ``epoch_length`` not positive (an
                ``AssertionError`` too, as in MMEngine).
        """
        if not by_epoch:
            raise ConfigAssertionError(
                f"{cls.__name__} counts iterations already (by_epoch=False)",
                hint="convert_to_iter_based needs by_epoch=True",
            )
        if epoch_length is None or epoch_length <= 0:
            raise ConfigAssertionError(
                f"epoch_length must be a positive integer, not {epoch_length}"
            )
        for name in cls._epoch_args:
            if kwargs.get(name) is not None:
                kwargs[name] = _times(kwargs[name], epoch_length)
        kwargs["begin"] = int(begin * epoch_length)
        kwargs["end"] = end if end == INF else int(end * epoch_length)
        kwargs["by_epoch"] = False
        return cls(*args, **kwargs)


def _times(epochs: Any, epoch_length: int) -> Any:
    if isinstance(epochs, Iterable):
        return [count * epoch_length for count in epochs]
    return epochs * epoch_length


def count_steps(optimizer: Any) -> None:
    """Make ``optimizer.step`` count its calls.

    ``_global_step`` is for the warning about the order of steps, ``_updates_due`` for
    :func:`~mm2pl.mmengine.optim.scheduler._per_update.step_per_update`.
    """
    step = optimizer.step
    if not getattr(step, "_with_counter", False):
        # A strong reference would make optimizer and function a cycle (pytorch issue 20124).
        owner, function = weakref.ref(step.__self__), step.__func__

        @wraps(function)
        def counted(*args: Any, **kwargs: Any) -> Any:
            instance = owner()
            instance._global_step += 1  # type: ignore[union-attr]
            instance._updates_due += 1  # type: ignore[union-attr]
            return function(instance, *args, **kwargs)

        counted._with_counter = True  # type: ignore[attr-defined]
        optimizer.step = counted
        optimizer._updates_due = 0
    optimizer._global_step = -1
