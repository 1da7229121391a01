"""The hub that holds the scalars and facts of a run, by name."""

from __future__ import annotations

import copy
import logging
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mm2pl.errors import nearest
from mm2pl.mmengine.logging.history_buffer import HistoryBuffer
from mm2pl.mmengine.logging.logger import print_log
from mm2pl.mmengine.utils.manager import ManagerMixin

if TYPE_CHECKING:
    import torch

    Scalar = int | float | np.number[Any] | npt.NDArray[Any] | torch.Tensor


class MessageHub(ManagerMixin):
    """Scalars with their history, and facts ("runtime info") of which the latest counts.

    Differs: a tensor on an accelerator is read when its history is, not at every update;
    :meth:`state_dict` returns a copy of ``resumed_keys``.

    Args:
        name: The name of the instance (see ``get_instance``).
        log_scalars: Histories to begin with, by key.
        runtime_info: Facts to begin with, by key.
        resumed_keys: For keys of the two above: whether checkpoints keep them.

    Raises:
        TypeError: One of the three is neither a dict nor None.
        AssertionError: A scalar is no ``HistoryBuffer``, or a resumed key is in neither dict.
    """

    def __init__(
        self,
        name: str,
        log_scalars: dict[str, HistoryBuffer] | None = None,
        runtime_info: dict[str, Any] | None = None,
        resumed_keys: dict[str, bool] | None = None,
    ) -> None:
        super().__init__(name)
        self._log_scalars: OrderedDict[str, HistoryBuffer]
        self._runtime_info: OrderedDict[str, Any]
        self._resumed_keys: OrderedDict[str, bool]
        self._log_scalars = _ordered("log_scalars", log_scalars)
        self._runtime_info = _ordered("runtime_info", runtime_info)
        self._resumed_keys = _ordered("resumed_keys", resumed_keys)
        for key, value in self._log_scalars.items():
            if not isinstance(value, HistoryBuffer):
                raise AssertionError(
                    f"log_scalars[{key!r}] must be a HistoryBuffer, got {type(value).__name__}"
                )
        for key in self._resumed_keys:
            if not self._known(key):
                raise AssertionError(
                    f"resumed_keys has {key!r}, which is in neither log_scalars nor runtime_info"
                )

    @classmethod
    def get_current_instance(cls) -> MessageHub:
        """Return the newest instance; make one named ``mmengine`` if there is none."""
        if not cls._instance_dict:
            cls.get_instance("mmengine")
        current: MessageHub = super().get_current_instance()
        return current

    def update_scalar(self, key: str, value: Scalar, count: int = 1, resumed: bool = True) -> None:
        """Append a value to the history of ``key``.

        Args:
            key: The scalar's name; ``train/``, ``val/`` or ``test/`` in front sends it to that log.
            value: A number, or an array or tensor of one element.
            count: How many observations the value stands for; smoothing divides by it.
            resumed: Whether checkpoints keep this scalar. Must stay the same for a key.

        Raises:
            AssertionError: ``value`` has several elements, ``count`` is no int, or ``resumed``
                changed.
        """
        if self._resumed_keys.setdefault(key, resumed) != resumed:
            self._refuse_change(key, resumed)
        if not isinstance(count, int):
            raise AssertionError(f"count must be an int, got {type(count).__name__} for {key!r}")
        history = self._log_scalars.get(key)
        number = value if isinstance(value, (int, float)) else _number(key, value)
        if isinstance(number, (int, float)):
            if history is None:
                self._log_scalars[key] = HistoryBuffer([number], [count])
            else:
                history.update(number, count)
            return
        if history is None:
            # Not of the empty history's type: that would turn integers into floats.
            history = self._log_scalars[key] = HistoryBuffer(
                np.array([], dtype=bool), np.array([], dtype=int)
            )
        history.defer(number, count)

    def update_scalars(self, log_dict: dict[str, Any], resumed: bool = True) -> None:
        """Append several values; one may be ``dict(value=..., count=...)``.

        Raises:
            AssertionError: ``log_dict`` is no dict, a dict in it lacks ``value``, or as in
                :meth:`update_scalar`.
        """
        _require_dict("log_dict", log_dict)
        for key, value in log_dict.items():
            if not isinstance(value, dict):
                self.update_scalar(key, value, 1, resumed)
                continue
            if "value" not in value:
                raise AssertionError(f"log_dict[{key!r}] has no 'value': {value}")
            count: Any = value.get("count", 1)
            self.update_scalar(key, value["value"], _item(count), resumed)

    def update_info(self, key: str, value: Any, resumed: bool = True) -> None:
        """Set a fact.

        Args:
            key: Its name.
            value: Anything; to be kept in checkpoints it must be picklable.
            resumed: Whether checkpoints keep it. Must stay the same for a key.
        """
        if self._resumed_keys.setdefault(key, resumed) != resumed:
            self._refuse_change(key, resumed)
        self._runtime_info[key] = value

    def update_info_dict(self, info_dict: dict[str, Any], resumed: bool = True) -> None:
        """Set several facts."""
        _require_dict("info_dict", info_dict)
        for key, value in info_dict.items():
            self.update_info(key, value, resumed)

    def pop_info(self, key: str, default: Any = None) -> Any:
        """Remove a fact and return it, or ``default``."""
        return self._runtime_info.pop(key, default)

    def _refuse_change(self, key: str, resumed: bool) -> None:
        raise AssertionError(
            f"{key!r} was first given with resumed={self._resumed_keys[key]}, now with"
            f" resumed={resumed}; it must stay the same"
        )

    def _known(self, key: str) -> bool:
        return key in self._log_scalars or key in self._runtime_info

    @property
    def log_scalars(self) -> OrderedDict[str, HistoryBuffer]:
        """All histories by key (the dict itself, no copy)."""
        return self._log_scalars

    @property
    def runtime_info(self) -> OrderedDict[str, Any]:
        """All facts by key (the dict itself, no copy)."""
        return self._runtime_info

    def get_scalar(self, key: str) -> HistoryBuffer:
        """Return the history of ``key`` (itself, no copy).

        Raises:
            KeyError: There is none.
        """
        if key not in self._log_scalars:
            close = nearest(key, self._log_scalars)
            raise KeyError(
                f"no scalar {key!r} in the message hub {self.instance_name!r}"
                + (f"; nearest: {', '.join(close)}" if close else "")
            )
        return self._log_scalars[key]

    def get_info(self, key: str, default: Any = None) -> Any:
        """Return a fact (itself, no copy), or ``default``."""
        return self._runtime_info.get(key, default)

    def state_dict(self) -> dict[str, Any]:
        """Return copies of the scalars and facts that checkpoints keep, and ``resumed_keys``."""
        resumed = self._resumed_keys
        return {
            "log_scalars": OrderedDict(
                (key, copy.deepcopy(history))
                for key, history in self._log_scalars.items()
                if resumed.get(key, False)
            ),
            "runtime_info": OrderedDict(
                (key, _copied(key, value))
                for key, value in self._runtime_info.items()
                if resumed.get(key, False)
            ),
            "resumed_keys": OrderedDict(resumed),
        }

    def load_state_dict(self, state_dict: MessageHub | dict[str, Any]) -> None:
        """Take over what :meth:`state_dict` returned, or everything of another hub.

        Of a dict, entries replace those of the same key and others stay; what cannot be used is
        skipped with a warning in the log.

        Raises:
            AssertionError: A dict that lacks one of the three entries.
        """
        if not isinstance(state_dict, dict):
            self._log_scalars = copy.deepcopy(state_dict._log_scalars)
            self._runtime_info = copy.deepcopy(state_dict._runtime_info)
            self._resumed_keys = copy.deepcopy(state_dict._resumed_keys)
            return
        for part in ("log_scalars", "runtime_info", "resumed_keys"):
            if part not in state_dict:
                raise AssertionError(f"the message hub's state has no {part!r}: {[*state_dict]}")
        for key, history in state_dict["log_scalars"].items():
            if isinstance(history, HistoryBuffer):
                self._log_scalars[key] = history
            else:
                _warn(f"message hub: scalar {key!r} is no HistoryBuffer and is not resumed")
        for key, value in state_dict["runtime_info"].items():
            self._runtime_info[key] = _copied(key, value)
        for key, resumed in state_dict["resumed_keys"].items():
            self._resume_key(key, resumed)

    def _resume_key(self, key: str, resumed: bool) -> None:
        if not self._known(key):
            _warn(f"message hub: no value came with the resumed key {key!r}, which is skipped")
            return
        if not resumed:
            _warn(f"message hub: {key!r} is loaded although it says that it should not be resumed")
        self._resumed_keys[key] = resumed


def _number(key: str, value: Any) -> Any:
    """Return ``value`` as a Python number, or as it is if reading it would wait for a device."""
    if isinstance(value, (np.ndarray, np.generic)):
        size = value.size
    elif hasattr(value, "numel"):
        size = value.numel()
    else:
        raise AssertionError(
            f"scalar {key!r} must be a number, an array or a tensor, got {type(value).__name__}"
        )
    if size != 1:
        raise AssertionError(f"scalar {key!r} must have one element, got {size}")
    return value if is_deferred(value) else value.item()


def is_deferred(value: Any) -> bool:
    """Whether a value is a tensor on an accelerator, which is not read at once."""
    # On a CPU, reading costs less than the copy that would make waiting safe.
    return getattr(value, "is_cpu", True) is False


def _item(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _ordered(name: str, value: dict[str, Any] | None) -> OrderedDict[str, Any]:
    if value is not None and not isinstance(value, dict):
        raise TypeError(f"{name} must be a dict or None, got {type(value).__name__}")
    return OrderedDict(value or {})


def _require_dict(name: str, value: object) -> None:
    if not isinstance(value, dict):
        raise AssertionError(f"{name} must be a dict, got {type(value).__name__}")


def _copied(key: str, value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception:  # any class may refuse in its own way; the fact is worth more than the copy
        _warn(f"message hub: {key!r} cannot be copied and is shared")
        return value


def _warn(message: str) -> None:
    print_log(message, logger="current", level=logging.WARNING)
