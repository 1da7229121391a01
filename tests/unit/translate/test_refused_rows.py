"""What a row refuses is an error with the row's reason, which is its proof in compat_matrix.md."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterator
from typing import Any

from mm2pl.errors import UnsupportedError
from mm2pl.plan import Status
from mm2pl.translate import examine
from mm2pl.translate.report import Rule
from mm2pl.translate.trainer_args import TRAINER_RULES


def _rules(value: Any) -> Iterator[Rule]:
    if isinstance(value, Rule):
        yield value
    elif isinstance(value, dict):
        yield from (rule for item in value.values() for rule in _rules(item))
    elif isinstance(value, (list, tuple)):
        yield from (rule for item in value for rule in _rules(item))


def _refused() -> list[Rule]:
    package = sys.modules[examine.__module__]
    modules = [
        importlib.import_module(f"{package.__name__}.{found.name}")
        for found in pkgutil.iter_modules(package.__path__)
    ]
    rules = {id(rule): rule for module in modules for rule in _rules(list(vars(module).values()))}
    return [rule for rule in rules.values() if rule.status is Status.UNSUPPORTED]


def test_what_a_rule_refuses_is_told_with_its_reason() -> None:
    for rule in TRAINER_RULES:
        if rule.status is Status.UNSUPPORTED:
            cfg = {"model": {"type": "Net"}, "trainer": {rule.key: "given"}}
            problems = [p for p in examine(cfg).problems if p.key_path == f"trainer.{rule.key}"]
            assert [type(problem) for problem in problems] == [UnsupportedError], rule.key
            assert rule.text in problems[0].message
            assert problems[0].hint == rule.hint


def test_there_are_no_other_rules_that_refuse() -> None:
    assert {rule.key for rule in _refused()} == {
        rule.key for rule in TRAINER_RULES if rule.status is Status.UNSUPPORTED
    }
