"""The history of one logged scalar, and the statistics that are read from it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from mm2pl.errors import nearest

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[Any]
Statistic = TypeVar("Statistic", bound=Callable[..., Any])

# Bounds what a history that nobody reads keeps waiting: device memory, if its values are tensors.
_MOST_PENDING = 1024
_FLOAT = np.dtype(np.float64)


class HistoryBuffer:
    """The values of one scalar over time, each with a count, for smoothed statistics.

    Differs: appending is amortised O(1) (MMEngine copies the whole history each time); a tensor may
    be given with :meth:`defer` and is read only when the history is; registered statistics are code
    and are not pickled with the data.

    Args:
        log_history: Values so far, oldest first.
        count_history: The count of each value.
        max_length: How many values are kept; the oldest go first.

    Raises:
        AssertionError: ``log_history`` and ``count_history`` differ in length.
    """

    _statistics_methods: ClassVar[dict[str, Callable[..., Any]]] = {}

    def __init__(
        self,
        log_history: Sequence[Any] | Array = (),
        count_history: Sequence[Any] | Array = (),
        max_length: int = 1000000,
    ) -> None:
        if len(log_history) != len(count_history):
            raise AssertionError(
                f"log_history has {len(log_history)} values, count_history {len(count_history)}; "
                "they must have one count per value"
            )
        if len(log_history) > max_length:
            warnings.warn(
                f"log_history has {len(log_history)} values, more than max_length={max_length}: "
                "the oldest are dropped"
            )
            log_history, count_history = log_history[-max_length:], count_history[-max_length:]
        self.max_length = max_length
        self._restore(np.array(log_history), np.array(count_history))

    def _restore(self, values: Array, counts: Array) -> None:
        self._values = _Column(values)
        self._counts = _Column(counts)
        self._pending: list[Any] = []
        self._pending_counts: list[int | float] = []

    def update(self, log_val: int | float, count: int = 1) -> None:
        """Append a value.

        Raises:
            TypeError: The value or the count is not a number.
        """
        if not isinstance(log_val, (int, float)) or not isinstance(count, (int, float)):
            raise TypeError(
                "log_val and count must be int or float, "
                f"got {type(log_val).__name__} and {type(count).__name__}"
            )
        self._append(log_val, count)

    def defer(self, log_val: torch.Tensor, count: int = 1) -> None:
        """Append a tensor of one element without waiting for the device that computes it.

        It is copied, so that the caller may overwrite it, and becomes the number that
        ``log_val.item()`` gives when the history is read next. Only mm2pl has this.
        """
        self._append(log_val.detach().clone().reshape(()), count)

    def _append(self, value: Any, count: int | float) -> None:
        self._pending.append(value)
        self._pending_counts.append(count)
        if len(self._pending) >= _MOST_PENDING:
            self._settle()

    def _settle(self) -> None:
        """Move what was appended since the last reading into the arrays."""
        if not self._pending:
            return
        values, counts = _numbers(self._pending), self._pending_counts
        self._pending, self._pending_counts = [], []
        for column, new in ((self._values, values), (self._counts, counts)):
            column.extend(new)
            column.keep_last(self.max_length)

    # MMEngine's names for the arrays: registered statistics read them.
    @property
    def _log_history(self) -> Array:
        self._settle()
        return self._values.array

    @_log_history.setter
    def _log_history(self, array: Array) -> None:
        self._settle()
        self._values = _Column(array)

    @property
    def _count_history(self) -> Array:
        self._settle()
        return self._counts.array

    @_count_history.setter
    def _count_history(self, array: Array) -> None:
        self._settle()
        self._counts = _Column(array)

    @property
    def data(self) -> tuple[Array, Array]:
        """The values and their counts, each of shape ``(length,)``, oldest first."""
        return self._log_history, self._count_history

    @classmethod
    def register_statistics(cls, method: Statistic) -> Statistic:
        """Make ``method(history, ...)`` available to :meth:`statistics`, by its name.

        Raises:
            AssertionError: The name is taken.
        """
        name = method.__name__
        if name in cls._statistics_methods:
            raise AssertionError(f"a statistic named {name!r} is registered already")
        cls._statistics_methods[name] = method
        return method

    def statistics(self, method_name: str, *arg: Any, **kwargs: Any) -> Any:
        """Return a registered statistic by name, e.g. ``statistics('mean', window_size=10)``.

        Raises:
            KeyError: There is no statistic of that name.
        """
        method = self._statistics_methods.get(method_name)
        if method is None:
            close = nearest(method_name, self._statistics_methods)
            raise KeyError(
                f"no statistic {method_name!r}; there are {sorted(self._statistics_methods)}"
                + (f", did you mean {close[0]!r}?" if close else "")
            )
        return method(self, *arg, **kwargs)

    def mean(self, window_size: int | None = None) -> Any:
        """Return the sum of the newest ``window_size`` values over the sum of their counts."""
        window = self._window(window_size)
        return self._log_history[window].sum() / self._count_history[window].sum()

    def max(self, window_size: int | None = None) -> Any:
        """Return the largest of the newest ``window_size`` values."""
        return self._log_history[self._window(window_size)].max()

    def min(self, window_size: int | None = None) -> Any:
        """Return the smallest of the newest ``window_size`` values."""
        return self._log_history[self._window(window_size)].min()

    def current(self) -> Any:
        """Return the newest value.

        Raises:
            ValueError: There is none yet.
        """
        history = self._log_history
        if len(history) == 0:
            raise ValueError("the history is empty: call update first")
        return history[-1]

    def newest_known(self) -> Any:
        """Return the newest value that is known without waiting for a device; None without any.

        Only mm2pl has this.
        """
        known = [value for value in self._pending if isinstance(value, (int, float))]
        values: Any = known or self._values.array
        return values[-1] if len(values) else None

    @staticmethod
    def _window(size: int | None) -> slice:
        """Return the slice of the newest ``size`` values; None and 0 mean all."""
        if size is None:
            return slice(None)
        if not isinstance(size, int):
            raise AssertionError(f"window_size must be an int or None, got {type(size).__name__}")
        return slice(-size, None)

    def __getstate__(self) -> dict[str, Any]:
        """Return the data in MMEngine's layout, so that MMEngine reads it too."""
        values, counts = self.data
        return {"max_length": self.max_length, "_log_history": values, "_count_history": counts}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take the data out of a state of ours or of MMEngine's, and its statistics we lack."""
        self.max_length = state["max_length"]
        self._restore(state["_log_history"], state["_count_history"])
        for name, method in state.get("statistics_methods", {}).items():
            self._statistics_methods.setdefault(name, method)


for _method in (HistoryBuffer.min, HistoryBuffer.max, HistoryBuffer.current, HistoryBuffer.mean):
    HistoryBuffer.register_statistics(_method)


class _Column:
    """An array with room to grow, of the type that repeated ``np.append`` would give it."""

    __slots__ = ("_start", "_stop", "_store")

    def __init__(self, array: Array) -> None:
        self._store = array  # full: never write into what the caller may share
        self._start, self._stop = 0, len(array)

    @property
    def array(self) -> Array:
        """What is in it. Appending later leaves this view as it is."""
        return self._store[self._start : self._stop]

    def extend(self, values: list[Any]) -> None:
        dtype = _dtype(self._store.dtype, values)
        stop = self._stop + len(values)
        if dtype != self._store.dtype or stop > len(self._store) or self._store.ndim != 1:
            self._grow(dtype, len(values))
            stop = self._stop + len(values)
        self._store[self._stop : stop] = values
        self._stop = stop

    def _grow(self, dtype: np.dtype[Any], more: int) -> None:
        old = self.array.ravel()
        self._store = np.empty(max(2 * (len(old) + more), 64), dtype)
        self._store[: len(old)] = old
        self._start, self._stop = 0, len(old)

    def keep_last(self, count: int) -> None:
        if self._stop - self._start > count > 0:
            self._start = self._stop - count


def _dtype(old: np.dtype[Any], values: list[Any]) -> np.dtype[Any]:
    kinds = set(map(type, values))
    if kinds == {float}:
        return old if old is _FLOAT else np.result_type(old, _FLOAT)
    if kinds == {int}:
        whole = np.asarray(values).dtype
        if whole.kind == "i":  # else one is too large for it
            return np.result_type(old, whole)
    return np.result_type(old, *{np.asarray(value).dtype for value in values})


def _numbers(values: list[Any]) -> list[Any]:
    """Return ``values`` with the deferred tensors read, in one go if they are alike."""
    tensors = [value for value in values if not isinstance(value, (int, float))]
    if not tensors:
        return values
    import torch

    if len({(tensor.dtype, tensor.device) for tensor in tensors}) == 1:
        read = iter(torch.stack(tensors).tolist())
    else:
        read = iter([tensor.item() for tensor in tensors])
    return [value if isinstance(value, (int, float)) else next(read) for value in values]
