"""The default scope: where names without a scope are looked up first."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

from mm2pl.errors import ConfigTypeAssertionError
from mm2pl.mmengine.utils import ManagerMixin

_temporary_names = (f"overwrite-{number}" for number in count())


class DefaultScope(ManagerMixin):
    """A scope that can be reached globally; the one created last is the current one.

    Args:
        name: Name of the instance.
        scope_name: The scope, a package such as ``mmdet``.

    Raises:
        AssertionError: ``scope_name`` is no string.
    """

    def __init__(self, name: str, scope_name: str) -> None:
        super().__init__(name)
        if not isinstance(scope_name, str):
            raise ConfigTypeAssertionError(f"scope_name should be a string, but got {scope_name}")
        self._scope_name = scope_name

    @property
    def scope_name(self) -> str:
        """The scope."""
        return self._scope_name

    @classmethod
    def get_current_instance(cls) -> DefaultScope | None:
        """Return the default scope that was created last, or None if there is none."""
        return super().get_current_instance() if cls._instance_dict else None

    @classmethod
    @contextmanager
    def overwrite_default_scope(cls, scope_name: str | None) -> Iterator[None]:
        """Make ``scope_name`` the current default scope for a while; None changes nothing."""
        if scope_name is None:
            yield
            return
        before = cls._instance_dict.copy()
        cls.get_instance(next(_temporary_names), scope_name=scope_name)
        try:
            yield
        finally:
            cls._instance_dict = before
