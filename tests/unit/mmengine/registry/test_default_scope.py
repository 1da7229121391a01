from __future__ import annotations

from typing import Any

import pytest

from mm2pl.mmengine.registry import DefaultScope, init_default_scope


def test_the_instances_are_the_same_objects_after_overwriting(default_scope: Any) -> None:
    """MMEngine puts copies back."""
    before = default_scope("first")
    with DefaultScope.overwrite_default_scope("second"):
        assert DefaultScope.get_current_instance() is not before
    assert DefaultScope.get_current_instance() is before


def test_overwriting_in_quick_succession_needs_no_waiting(default_scope: Any) -> None:
    for number in range(100):
        with DefaultScope.overwrite_default_scope(f"scope{number}"):
            current = DefaultScope.get_current_instance()
            assert current is not None
            assert current.scope_name == f"scope{number}"


def test_replacing_the_default_scope_is_warned_of(default_scope: Any, logged: Any) -> None:
    for scope in ("first", "second", "first"):
        init_default_scope(scope)
    current = DefaultScope.get_current_instance()
    assert current is not None
    assert current.scope_name == "first"
    assert logged == [
        (
            30,
            'The current default scope "second" is not "first", `init_default_scope` will force '
            'set the current default scope to "first".',
        )
    ]


def test_a_scope_that_is_no_string_is_refused(default_scope: Any) -> None:
    with pytest.raises(AssertionError, match="scope_name should be a string, but got 1"):
        default_scope(1)
