"""Hooks run point by point in the order of their priorities."""

from __future__ import annotations

from typing import Any

import pytest

from mm2pl.callbacks import HookCollection
from mm2pl.mmengine.hooks import Hook

RUNNER = object()


class Named(Hook):
    def __init__(self, name: str, priority: Any, called: list[str]) -> None:
        self.name, self.priority, self.called = name, priority, called

    def before_run(self, runner: Any) -> None:
        assert runner is RUNNER
        self.called.append(self.name)

    def own_point(self, runner: Any, value: int) -> None:
        self.called.append(f"{self.name}{value}")


def collection(*hooks: Hook) -> HookCollection:
    made = HookCollection(RUNNER, [])
    for hook in hooks:
        made.add(hook)
    return made


def test_hooks_are_ordered_by_priority_and_then_by_registration():
    called: list[str] = []
    rows = [("a", "NORMAL"), ("b", 10), ("c", "LOWEST"), ("d", "NORMAL"), ("e", 50)]
    collection(*(Named(*row, called) for row in rows)).call("before_run")
    assert called == ["b", "a", "d", "e", "c"]


def test_points_of_ones_own_are_called_on_the_hooks_that_have_them():
    called: list[str] = []
    collection(Hook(), Named("a", 50, called)).call("own_point", value=3)
    assert called == ["a3"]


def test_a_method_put_on_a_hook_object_is_called():
    called: list[str] = []
    hook = Hook()
    hook.before_run = lambda runner: called.append("own")  # type: ignore[method-assign]
    collection(hook).call("before_run")
    assert called == ["own"]


def test_a_hook_of_the_shared_methods_is_called_at_the_points_of_all_phases():
    class Shared(Hook):
        def _after_iter(self, runner, batch_idx, data_batch=None, outputs=None, mode="train"):
            called.append(mode)

    called: list[str] = []
    made = collection(Shared())
    for mode in ("train", "val", "test"):
        made.call(f"after_{mode}_iter", batch_idx=0)
    assert called == ["train", "val", "test"]


def test_changes_of_the_list_from_outside_are_seen():
    called: list[str] = []
    made = collection(Named("a", 50, called))
    made.call("before_run")
    made.hooks.append(Named("b", 50, called))
    made.call("before_run")
    made.hooks.pop(0)
    made.call("before_run")
    assert called == ["a", "a", "b", "b"]


def test_a_hook_that_fails_is_named():
    class Wrong(Hook):
        def before_train(self) -> None:  # type: ignore[override]
            """Lacks the runner."""

    with pytest.raises(TypeError) as caught:
        collection(Wrong()).call("before_train")
    assert "Wrong" in "".join([str(caught.value), *caught.value.__notes__])


def test_the_table_lists_each_point_with_its_hooks_in_order():
    called: list[str] = []
    table = collection(Named("a", 55, called), Named("b", "HIGH", called)).table()
    assert table.splitlines()[:3] == [
        "before_run:",
        f"({'HIGH':<12}) {'Named':<35}",
        f"({'55':<12}) {'Named':<35}",
    ]


def test_what_is_put_on_a_hook_while_a_run_goes_on_is_called():
    called: list[str] = []
    hook = Named("a", 50, called)
    made = collection(hook)
    made.call("before_run")
    hook.before_run = lambda runner: called.append("own")  # type: ignore[method-assign]
    hook._before_iter = (  # type: ignore[method-assign]
        lambda runner, batch_idx, data_batch, mode: called.append(mode)
    )
    made.call("before_run")
    made.call("before_val_iter", batch_idx=0)
    assert called == ["a", "own", "val"]


def test_what_a_hook_says_of_its_points_does_not_matter():
    class Silent(Named):
        def get_triggered_stages(self) -> list[str]:
            return []

    called: list[str] = []
    collection(Silent("a", 50, called)).call("before_run")
    assert called == ["a"]


def test_what_has_a_point_is_called_though_it_is_no_hook():
    class Duck:
        def before_run(self, runner: Any) -> None:
            called.append("duck")

    called: list[str] = []
    made = collection(Named("a", 50, called))
    made.hooks.append(Duck())  # type: ignore[arg-type]
    made.call("before_run")
    made.call("after_run")
    assert called == ["a", "duck"]
