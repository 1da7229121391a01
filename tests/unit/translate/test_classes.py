"""The table of classes is that of the live ones; a `type` and its arguments are read by it."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from typing import Any

import pytest

from mm2pl.mmengine import registry
from mm2pl.mmengine.config.lazy import LazyObject
from mm2pl.plan import Note, Status
from mm2pl.translate.classes import FILE, KnownClass, classes, find, read_typed
from mm2pl.translate.report import Report, Rule
from tools import class_table

TABLE = [(name, known) for name, rows in classes().items() for known in rows.values()]


def live(registry_name: str, known: KnownClass) -> Any:
    """Return the class or function that a row is of; None if another package brings it."""
    root = getattr(registry, registry_name)
    root.import_from_location()
    return None if known.is_optional else root.module_dict[known.name]


def of_this_torch(known: KnownClass) -> bool:
    return json.loads(FILE.read_text())["torch"] == class_table.torch_version()


def parameters(function: Any) -> dict[str, inspect.Parameter]:
    found = inspect.signature(function).parameters
    return {name: one for name, one in found.items() if one.kind not in (2, 4)}


@pytest.fixture(scope="module")
def generated() -> dict[str, Any]:
    return class_table.generate()


def test_the_file_is_what_the_code_says(generated: dict[str, Any]) -> None:
    written = json.loads(FILE.read_text())
    same = json.loads(class_table.text(class_table.as_of_torch(generated, written)))
    for name in {*written, *same}:
        assert written.get(name) == same.get(name), f"{name}: run `make matrix`"


def test_rows_of_torchs_classes_may_be_those_of_another_torch(generated: dict[str, Any]) -> None:
    written = json.loads(json.dumps({**generated, "torch": "1.0"}))
    written["OPTIMIZERS"]["SGD"]["arguments"] = {"params": [], "momentum": [0]}
    written["HOOKS"]["EMAHook"]["arguments"] = {}
    same = class_table.as_of_torch(generated, written)
    assert same["OPTIMIZERS"] == written["OPTIMIZERS"]
    assert same["HOOKS"] == generated["HOOKS"] != written["HOOKS"]


def test_every_row_without_further_arguments_has_those_of_the_live_signature() -> None:
    compared = 0
    for name, known in TABLE:
        kind = live(name, known)
        if kind is None or known.reason or not of_this_torch(known):
            continue
        signature = inspect.signature(kind)
        names = set(parameters(kind))
        if any(one.kind is one.VAR_KEYWORD for one in signature.parameters.values()):
            assert names <= set(known.arguments), known.name
        else:
            assert names == set(known.arguments), known.name
        compared += 1
    assert compared > 80


def test_every_argument_of_a_row_is_one_of_the_live_class_or_of_its_bases() -> None:
    for name, known in TABLE:
        kind = live(name, known)
        if kind is None or known.reason or not of_this_torch(known):
            continue
        bases = inspect.getmro(kind) if inspect.isclass(kind) else (kind,)
        given = {argument for base in bases for argument in _own_parameters(base)}
        # MMSeparateDistributedDataParallel hands them to a wrapper that is no base of it.
        if known.name == "MMSeparateDistributedDataParallel":
            given |= set(classes()[name]["MMDistributedDataParallel"].arguments)
        assert set(known.arguments) <= given, known.name


def _own_parameters(kind: Any) -> set[str]:
    return set(parameters(kind.__init__ if inspect.isclass(kind) else kind))


def test_every_live_class_has_a_row() -> None:
    for name in classes():
        root = getattr(registry, name)
        root.import_from_location()
        ours = {
            key
            for key, kind in root.module_dict.items()
            if str(getattr(kind, "__module__", "")).startswith("mm2pl.")
            or hasattr(kind, "__marker__")
        }
        assert ours <= set(classes()[name]), name


def test_defaults_are_those_of_the_live_signature() -> None:
    schedule = classes()["PARAM_SCHEDULERS"]["LinearLR"]
    assert schedule.defaults["end_factor"] == 1.0
    assert "optimizer" not in schedule.defaults
    assert classes()["HOOKS"]["LoggerHook"].defaults["interval"] == 10


def test_what_is_marked_unsupported_carries_the_reason() -> None:
    strategy = classes()["STRATEGIES"]["DeepSpeedStrategy"]
    assert strategy.reason
    assert find("DeepSpeedStrategy", "STRATEGIES").status is Status.UNSUPPORTED


def test_the_table_is_read_in_a_few_milliseconds() -> None:
    code = (
        "import time; from mm2pl.translate.classes import classes\n"
        "start = time.perf_counter(); classes(); print(time.perf_counter() - start)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.1  # 2 ms here; machines are busy


@pytest.mark.parametrize(
    ("kind", "registry_name", "scope", "status", "choice"),
    [
        ("CheckpointHook", "HOOKS", None, Status.AS_IS, None),
        ("CheckpointHook", "HOOKS", "mmdet", Status.AS_IS, None),
        ("mmengine.CheckpointHook", "HOOKS", "mmdet", Status.AS_IS, None),
        ("mmengine.hooks.CheckpointHook", "HOOKS", None, Status.AS_IS, None),
        ("mmdet.CheckpointHook", "HOOKS", None, Status.AS_IS, None),
        ("torch.optim.SGD", "OPTIMIZERS", "mmdet", Status.AS_IS, None),
        ("torch.optim.lr_scheduler.LinearLR", "PARAM_SCHEDULERS", None, Status.BY_CLASS, None),
        ("torch.optim.SDG", "OPTIMIZERS", None, Status.UNKNOWN, "torch.optim.SGD"),
        (LazyObject("mmengine.hooks", "EMAHook"), "HOOKS", "mmpretrain", Status.AS_IS, None),
        (LazyObject("mmdet.hooks", "EMAHook"), "HOOKS", None, Status.BY_CLASS, None),
        (LazyObject("torch.optim", "SGD"), "OPTIMIZERS", None, Status.AS_IS, None),
        (
            LazyObject("mmengine.hooks", "ChekpointHook"),
            "HOOKS",
            None,
            Status.UNKNOWN,
            "CheckpointHook",
        ),
        ("EMAHook", "HOOKS", "mmpretrain", Status.BY_CLASS, None),
        ("mmpretrain.EMAHook", "HOOKS", "mmdet", Status.BY_CLASS, None),
        ("EMAHook", "HOOKS", "mmcls", Status.BY_CLASS, None),
        ("EMAHook", "HOOKS", "mmdet", Status.AS_IS, None),
        ("mmdet.QuadraticWarmupLR", "PARAM_SCHEDULERS", None, Status.BY_CLASS, None),
        ("my_package.hooks.MyHook", "HOOKS", None, Status.BY_CLASS, None),
        ("MyHook", "HOOKS", None, Status.BY_CLASS, None),
        ("MyEMAHook", "HOOKS", None, Status.BY_CLASS, "EMAHook"),
        ("LinearLr", "PARAM_SCHEDULERS", "mmseg", Status.UNKNOWN, "LinearLR"),
        ("mmengine.LinearLr", "PARAM_SCHEDULERS", None, Status.UNKNOWN, "LinearLR"),
        (
            "mmdett.DetVisualizationHook",
            "HOOKS",
            None,
            Status.UNKNOWN,
            "mmdet.DetVisualizationHook",
        ),
        ("Adan", "OPTIMIZERS", "mmpretrain", Status.BY_CLASS, None),
        ("Lion", "OPTIMIZERS", None, Status.AS_IS, None),
        (KnownClass, "HOOKS", None, Status.BY_CLASS, None),
    ],
)
def test_what_a_type_stands_for(
    kind: Any, registry_name: str, scope: str | None, status: Status, choice: str | None
) -> None:
    found = find(kind, registry_name, scope)
    assert found.status is status
    if choice is not None:
        assert found.choices[0] == choice


def test_a_live_class_is_known_too() -> None:
    hook = live("HOOKS", classes()["HOOKS"]["EMAHook"])
    found = find(hook, "HOOKS", "mmpretrain")
    assert found.known is classes()["HOOKS"]["EMAHook"]


def read(section: Any, registry_name: str, **more: Any) -> tuple[dict[str, Note], Report]:
    report = Report(scope=more.pop("scope", None))
    read_typed(section, registry_name, "at", report, **more)
    return {note.key_path: note for note in report.notes}, report


def test_a_known_argument_is_as_is_and_an_unknown_one_names_the_nearest() -> None:
    notes, _ = read({"type": "LoggerHook", "interval": 5, "intervall": 6}, "HOOKS")
    assert notes["at.interval"].status is Status.AS_IS
    assert notes["at.intervall"].status is Status.UNKNOWN
    assert notes["at.intervall"].choices[0] == "interval"


def test_the_arguments_of_a_librarys_class_are_its_own() -> None:
    notes, report = read({"type": "mmdet.SyncNormHook", "anything": 1}, "HOOKS")
    assert {note.status for note in notes.values()} == {Status.BY_CLASS}
    assert not report.problems


def test_the_arguments_of_a_misspelt_type_are_those_of_the_one_that_was_meant() -> None:
    notes, _ = read({"type": "LinearLr", "start_factor": 0.1}, "PARAM_SCHEDULERS")
    assert notes["at.type"].status is Status.UNKNOWN
    assert notes["at.start_factor"].status is Status.AS_IS


def test_a_scope_of_the_section_goes_before_that_of_the_config() -> None:
    section = {"type": "EMAHook", "_scope_": "mmpretrain"}
    notes, _ = read(section, "HOOKS", scope="mmdet")
    assert notes["at.type"].status is Status.BY_CLASS


def test_an_argument_that_is_missing_is_a_problem_that_is_raised_later() -> None:
    _, report = read({"type": "MultiStepLR", "milestone": [1]}, "PARAM_SCHEDULERS")
    assert [str(error) for error in report.deferred] == [str(error) for error in report.problems]
    assert "needs 'milestones'" in str(report.problems[0])
    assert "'milestone'" in str(report.problems[0])


def test_what_the_builder_adds_is_not_missing() -> None:
    assert not read({"type": "DefaultSampler", "shuffle": True}, "DATA_SAMPLERS")[1].problems


def test_a_rule_says_what_becomes_of_its_key() -> None:
    rule = Rule("interval", Status.TRANSLATED, "Trainer(log_every_n_steps)")
    notes, _ = read({"type": "LoggerHook", "interval": 5}, "HOOKS", rules=(rule,))
    assert notes["at.interval"].text == "Trainer(log_every_n_steps)"


def test_a_built_object_is_left_alone() -> None:
    assert read(object(), "HOOKS")[0] == {}


def test_no_class_is_imported_for_it() -> None:
    code = (
        "import sys; from mm2pl.translate.classes import find\n"
        "from mm2pl.translate import examine\n"
        "find('EMAHook', 'HOOKS'); examine({'model': {}})\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('torch', 'lightning', 'numpy')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
