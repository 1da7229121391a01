"""Classes whose instances are found by name from anywhere, such as loggers and message hubs."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections import OrderedDict
from typing import Any

from typing_extensions import Self

# Reentrant, because the constructor of one managed class may ask for an instance of another.
_lock = threading.RLock()


class ManagerMeta(type):
    """Gives each class its own ``_instance_dict``, in the order of creation.

    Raises:
        AssertionError: The constructor has no ``name`` argument.
    """

    _instance_dict: OrderedDict[str, Any]

    def __init__(cls, *args: Any) -> None:
        cls._instance_dict = OrderedDict()
        if "name" not in inspect.getfullargspec(cls).args:
            raise AssertionError(f"{cls} must have the `name` argument")
        super().__init__(*args)


class ManagerMixin(metaclass=ManagerMeta):
    """Base of classes with global, named instances.

    Args:
        name: Name of the instance, not empty.
    """

    def __init__(self, name: str = "", **kwargs: Any) -> None:
        if not (isinstance(name, str) and name):
            raise AssertionError("name argument must be an non-empty string.")
        self._instance_name = name

    @classmethod
    def get_instance(cls, name: str, **kwargs: Any) -> Self:
        """Return this class's instance called ``name``, made with ``kwargs`` at the first call.

        Differs: the lock is released also when the constructor raises.
        """
        if not isinstance(name, str):
            raise AssertionError(f"type of name should be str, but got {type(name)}")
        with _lock:
            if name not in cls._instance_dict:
                cls._instance_dict[name] = cls(name=name, **kwargs)
            elif kwargs:
                warnings.warn(
                    f"{cls} instance named of {name} has been created, the method "
                    "`get_instance` should not accept any other arguments"
                )
            instance: Self = cls._instance_dict[name]
            return instance

    @classmethod
    def get_current_instance(cls) -> Any:
        """Return the instance created last.

        Raises:
            RuntimeError: There is none yet.
        """
        with _lock:
            if not cls._instance_dict:
                raise RuntimeError(
                    f"Before calling {cls.__name__}.get_current_instance(), you should call "
                    "get_instance(name=xxx) at least once."
                )
            return cls._instance_dict[next(reversed(cls._instance_dict))]

    @classmethod
    def check_instance_created(cls, name: str) -> bool:
        """Tell whether ``get_instance(name)`` has been called."""
        return name in cls._instance_dict

    @property
    def instance_name(self) -> str:
        """The name this instance is registered under."""
        return self._instance_name
