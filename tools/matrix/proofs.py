"""Which test proves which row.

Three sources: the configs that the parity scenarios run, the sources of all other tests, and the
mark ``pytest.mark.proves("row", "place.{row,row}")`` where a test proves more than it names.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from mm2pl.plan import Status
from mm2pl.translate.sections import SECTION_RULES
from tools.matrix import classes, scenarios, uses
from tools.matrix.classes import OWN
from tools.matrix.rows import Row

# Tests of whole groups of rows.
SIGNATURES = (
    "surface/test_surface.py::"
    "test_every_name_is_there_with_mmengines_kind_signature_bases_and_methods"
)
MARKS = "unit/test_support.py::test_using_what_is_marked_raises_its_reason"
REFUSALS = "unit/translate/test_refused_rows.py::test_what_a_rule_refuses_is_told_with_its_reason"
_ALL_RUNS = "parity: "
_TWO_PROCESSES = "parity, 2 processes: "
NEEDS_NONE = (Status.BY_CLASS.value, Status.VARIABLE.value, OWN)
# These look at what is said of a config or a wrong call, and prove nothing of a run.
_ABOUT_TEXTS = (
    *("unit/translate/", "unit/check/", "unit/explain/", "unit/cli/", "unit/tools/", "docs/"),
    *("cli/test_bad_input", "cli/test_check", "cli/test_completion", "cli/test_explain"),
    *("cli/test_habits", "cli/test_print_config", "cli/test_trainer_options"),
)
_OF_TRAINER = ("unit/test_trainer", "unit/translate/test_trainer")
# Here a runner is also called otherwise.
_OF_RUNNERS = ("unit/test_runner", "unit/runner_")
# Sections whose type may be left out.
_DEFAULT_TYPES = {
    "optim_wrapper": "OptimWrapper",
    "log_processor": "LogProcessor",
    "visualizer": "Visualizer",
    "val_cfg": "ValLoop",
    "test_cfg": "TestLoop",
    "val_evaluator": "Evaluator",
    "test_evaluator": "Evaluator",
    "paramwise_cfg": "DefaultOptimWrapperConstructor",
    "model_wrapper_cfg": "MMDistributedDataParallel",
    "model_wrapper": "MMDistributedDataParallel",
}
_SPECIAL = ("train_cfg", "val_cfg", "test_cfg", "default_hooks")


def collected(rows: Iterable[Row]) -> Proofs:
    """Return the proofs that all tests of the repository give."""
    done = subprocess.run(
        [sys.executable, scenarios.__file__], capture_output=True, text=True, check=True
    )
    return Proofs(rows, uses.by_test(), json.loads(done.stdout))


class Proofs:
    """The tests of each row.

    Args:
        rows: The rows.
        tests: What each test uses.
        runs: What ``scenarios.py`` prints.

    Raises:
        ValueError: A test that stands for a whole group of rows does not exist.

    Attributes:
        tests: Row name -> its tests, the most telling first.
        unknown_claims: Marks that fit no row, with their tests.
    """

    def __init__(
        self, rows: Iterable[Row], tests: Mapping[str, uses.Uses], runs: Mapping[str, Any]
    ) -> None:
        self._rows = {row.name: row for row in rows}
        self._found: dict[str, set[str]] = {name: set() for name in self._rows}
        self._claimed: set[tuple[str, str]] = set()
        self.unknown_claims = self._read_claims(uses.marks(tests))
        self._read_runs(runs)
        self._read_tests(tests)
        self._read_twins()
        self._read_groups(tests)
        reach: dict[str, int] = {}
        for found in self._found.values():
            for test in found:
                reach[test] = reach.get(test, 0) + 1
        self.tests = {
            name: sorted(found, key=lambda test, name=name: self._rank(name, test, reach))
            for name, found in self._found.items()
        }

    def unproven(self) -> list[str]:
        """Return the rows that need a proof and have none."""
        return [
            name
            for name, row in self._rows.items()
            if row.status not in NEEDS_NONE and not self.tests[name]
        ]

    def _rank(self, row: str, test: str, reach: Mapping[str, int]) -> tuple[int, int, str]:
        if (row, test) in self._claimed:
            kind = 0
        elif test.startswith(_ALL_RUNS[:6]):
            kind = 1
        elif test.startswith(_ABOUT_TEXTS):
            kind = 4
        else:
            kind = 2 if "mmengine.py" in test or "parity" in test else 3
        return kind, reach[test], test

    def _read_claims(self, claims: Mapping[str, list[str]]) -> dict[str, list[str]]:
        unknown = {}
        for pattern, tests in claims.items():
            names = [name for name in self._rows if fnmatchcase(name, pattern)]
            if not names:
                unknown[pattern] = tests
            for name in names:
                self._found[name].update(tests)
                self._claimed.update((name, test) for test in tests)
        return unknown

    def _prove(self, names: Iterable[str], test: str) -> None:
        for name in names:
            place, _, key = name.rpartition(".")
            if name not in self._found and key not in ("type", "_scope_", "priority"):
                name = f"{place}.{classes.FURTHER}"
            if name in self._found and self._rows[name].status != Status.UNSUPPORTED.value:
                self._found[name].add(test)

    def _read_runs(self, runs: Mapping[str, Any]) -> None:
        for group, noted in runs.items():
            prefix = _ALL_RUNS if group == "scenarios" else _TWO_PROCESSES
            for name, run in noted.items():
                test = prefix + name
                for config in run["configs"]:
                    self._prove(_of_config(config), test)
                self._prove(_of_value(run["sections"]), test)
                self._prove((f"Runner.{one}" for one in run["attributes"]), test)

    def _read_tests(self, tests: Mapping[str, uses.Uses]) -> None:
        orders = {
            (registry, kind): list(classes.arguments(value))
            for registry, members in classes.own_members()
            for kind, value in members.items()
        }
        names = [name for name in self._rows if name.startswith("mmengine.")]
        for test, used in tests.items():
            if test.startswith(_OF_TRAINER):
                self._prove((f"trainer.{one}" for one in used.words | used.trainer), test)
                self._prove(["trainer"], test)
            if test.startswith(_ABOUT_TEXTS):
                continue
            for (registry, kind), order in orders.items():
                if kind in used.given:
                    given = used.given[kind] | set(order[: used.positional.get(kind, 0)])
                    self._prove(_in_class(f"{registry}.{kind}", given), test)
            attributes = used.words if test.startswith(_OF_RUNNERS) else used.attributes
            self._prove((f"Runner.{one}" for one in attributes), test)
            self._prove((name for name in names if _is_used(name, test, used)), test)

    def _read_twins(self) -> None:
        """Let a class by its name, and a registry, have the tests of what ``type`` names."""
        by_class = {name.split(".")[1]: name for name in self._rows if _is_class(name)}
        for name in (one for one in self._rows if one.startswith("mmengine.")):
            last = name.rpartition(".")[2]
            twins = [twin for twin in by_class.values() if twin.startswith(f"{last}.")]
            for twin in twins or filter(None, [by_class.get(last)]):
                self._found[name] |= self._found[twin]

    def _read_groups(self, tests: Mapping[str, uses.Uses]) -> None:
        missing = {SIGNATURES, MARKS, REFUSALS} - set(tests)
        if missing:
            raise ValueError(f"there is no test {sorted(missing)}: tools/matrix/proofs.py names it")
        marked = {classes.why(marker) for marker in _all_markers()}
        for name, row in self._rows.items():
            if row.status == Status.UNSUPPORTED.value:
                self._found[name].add(MARKS if row.text in marked else REFUSALS)
            elif name.startswith("mmengine.") and not self._found[name]:
                self._found[name].add(SIGNATURES)


def _is_class(row: str) -> bool:
    registry, _, rest = row.partition(".")
    return registry.isupper() and "." not in rest


def _all_markers() -> Iterator[Any]:
    from mm2pl.support import MARKERS, MISSING_MODULES

    yield from (*MARKERS.values(), *MISSING_MODULES.values())


def _is_used(row: str, test: str, used: uses.Uses) -> bool:
    """Tell whether a test uses a public name: one of its package, or one that imports it."""
    package, _, name = row.rpartition(".")
    if name not in used.words:
        return False
    folder = "unit/" + "/".join(package.split(".")[:2]) + "/"
    modules = (package, f"mm2pl.{package}")
    imported = any(
        one.endswith(f".{name}") and one.startswith(tuple(f"{module}." for module in modules))
        for one in used.imported
    )
    return test.startswith(folder) or imported


def _of_config(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of the rows that a config uses."""
    yield from config
    yield f"launcher.{config.get('launcher', 'none')}"
    yield f"RUNNERS.{config.get('runner_type', 'Runner')}"
    loop = config.get("train_cfg")
    if isinstance(loop, dict):
        by_epoch = "EpochBasedTrainLoop" if loop.get("by_epoch", True) else "IterBasedTrainLoop"
        kind = loop.get("type", by_epoch)
        yield from _keys("train_cfg.", loop)
        yield from _of_class(kind, loop)
    for stage in ("train", "val", "test"):
        yield from _keys("dataloader.", config.get(f"{stage}_dataloader"))
        yield from _keys("eval_cfg.", config.get(f"{stage}_cfg") if stage != "train" else None)
    for section in ("optim_wrapper", "default_hooks", "trainer", *SECTION_RULES):
        for found in _at(section.split("."), config):
            yield from _keys(f"{section}.", found)
    for one in _schedules(config.get("param_scheduler")):
        yield from _keys("param_scheduler.", one)
    yield from _of_value({key: value for key, value in config.items() if key != "train_cfg"})
    yield from _hooks_that_are_left(config.get("default_hooks") or {})


def _at(path: list[str], value: Any) -> Iterator[Any]:
    """Yield what stands at a path; in a list, at each of its members."""
    if isinstance(value, list):
        for item in value:
            yield from _at(path, item)
    elif not path:
        yield value
    elif isinstance(value, dict):
        yield from _at(path[1:], value.get(path[0]))


def _schedules(given: Any) -> Iterator[Any]:
    if isinstance(given, dict) and "type" not in given:
        for part in given.values():
            yield from _schedules(part)
    else:
        yield from given if isinstance(given, list) else [given]


def _keys(place: str, section: Any) -> Iterator[str]:
    if isinstance(section, dict):
        yield from (f"{place}{key}" for key in section)


def _hooks_that_are_left(given: Mapping[str, Any]) -> Iterator[str]:
    from mm2pl.translate.hooks import DEFAULT_HOOKS

    for name, hook in DEFAULT_HOOKS.items():
        if given.get(name, hook) is not None:
            yield f"default_hooks.{name}"
            yield f"HOOKS.{hook['type']}"


def _of_value(value: Any, key: str = "") -> Iterator[str]:
    """Yield the rows of the classes that a section names, and of their arguments."""
    if isinstance(value, list):
        for item in value:
            yield from _of_value(item, key)
    if not isinstance(value, dict):
        return
    kind = value.get("type", _DEFAULT_TYPES.get(key))
    if isinstance(kind, str):
        yield from _of_class(kind.rsplit(".", 1)[-1], value)
    if key == "paramwise_cfg":
        yield from _keys("paramwise_cfg.", value)
    if key == "clip_grad":
        yield from _keys(f"clip_grad.{value.get('type', 'norm')}.", value)
    if kind == "EMAHook":  # hands its further arguments to the average
        yield from _of_class(value.get("ema_type", "ExponentialMovingAverage"), value)
    for inner, item in value.items():
        yield from _of_value(item, inner)


def _of_class(kind: str, given: Iterable[str]) -> Iterator[str]:
    for registry in _registries_of(kind):
        yield from _in_class(f"{registry}.{kind}", given)


def _in_class(place: str, given: Iterable[str]) -> Iterator[str]:
    yield place
    yield from (f"{place}.{argument}" for argument in given)


def _registries_of(kind: str) -> list[str]:
    return [registry for registry, members in classes.own_members() if kind in members]
