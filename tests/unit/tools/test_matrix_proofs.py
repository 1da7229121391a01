"""Rows, the tests that prove them, and what is said of a row or a mark that stands alone."""

from __future__ import annotations

from typing import Any

import pytest

from mm2pl.plan import Status
from tools.matrix import proofs
from tools.matrix.rows import Row
from tools.matrix.uses import Uses

GROUPS = {name: Uses() for name in (proofs.SIGNATURES, proofs.MARKS, proofs.REFUSALS)}


def row(name: str, status: Status = Status.AS_IS, text: str = "") -> Row:
    return Row(name, f"`{name}`", status.value, text)


def prove(
    *rows: Row, tests: dict[str, Uses] | None = None, config: dict[str, Any] | None = None
) -> proofs.Proofs:
    run = {"configs": [config] if config else [], "sections": [], "attributes": ["train"]}
    return proofs.Proofs(rows, {**GROUPS, **(tests or {})}, {"scenarios": {"x.y": run}})


def test_a_row_without_a_test_is_unproven() -> None:
    assert prove(row("train_cfg.val_begin")).unproven() == ["train_cfg.val_begin"]


def test_a_row_that_a_class_decides_needs_no_test() -> None:
    assert prove(row("model", Status.BY_CLASS)).unproven() == []


def test_a_mark_that_fits_no_row_is_told_with_its_test() -> None:
    found = prove(row("a"), tests={"t.py::test_a": Uses(proves={"a", "gone"})})
    assert found.unknown_claims == {"gone": ["t.py::test_a"]}
    assert found.tests["a"] == ["t.py::test_a"]


def test_a_group_whose_test_is_gone_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no test"):
        proofs.Proofs([row("a")], {}, {})


EMA = {"type": "EMAHook", "momentum": 1}
SAMPLER = {"type": "DefaultSampler"}


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("work_dir", {"work_dir": "x"}),
        ("train_cfg.val_begin", {"train_cfg": {"val_begin": 1}}),
        ("LOOPS.IterBasedTrainLoop.max_iters", {"train_cfg": {"by_epoch": False, "max_iters": 1}}),
        ("eval_cfg.fp16", {"test_cfg": {"fp16": True}}),
        ("LOOPS.TestLoop.fp16", {"test_cfg": {"fp16": True}}),
        ("dataloader.batch_size", {"val_dataloader": {"batch_size": 1}}),
        ("DATA_SAMPLERS.DefaultSampler", {"val_dataloader": {"sampler": SAMPLER}}),
        ("clip_grad.norm.max_norm", {"optim_wrapper": {"clip_grad": {"max_norm": 1}}}),
        ("OPTIM_WRAPPERS.OptimWrapper.clip_grad", {"optim_wrapper": {"clip_grad": {}}}),
        ("paramwise_cfg.custom_keys", {"optim_wrapper": {"paramwise_cfg": {"custom_keys": {}}}}),
        ("HOOKS.EMAHook", {"custom_hooks": [EMA]}),
        ("MODELS.ExponentialMovingAverage.momentum", {"custom_hooks": [EMA]}),
        ("default_hooks.timer", {"model": {}}),
        ("HOOKS.IterTimerHook", {"model": {}}),
        ("param_scheduler.monitor", {"param_scheduler": [{"monitor": "x"}]}),
        ("env_cfg.mp_cfg.mp_start_method", {"env_cfg": {"mp_cfg": {"mp_start_method": "fork"}}}),
        ("launcher.none", {"model": {}}),
        ("RUNNERS.FlexibleRunner", {"runner_type": "FlexibleRunner"}),
        ("Runner.train", {"model": {}}),
    ],
)
def test_a_scenario_proves_what_its_config_uses(name: str, config: dict[str, Any]) -> None:
    assert prove(row(name), config=config).tests[name] == ["parity: x.y"]


def test_a_hook_that_is_left_out_is_not_proven() -> None:
    found = prove(row("HOOKS.IterTimerHook"), config={"default_hooks": {"timer": None}})
    assert found.tests["HOOKS.IterTimerHook"] == []


def test_a_test_proves_arguments_by_name_and_by_place() -> None:
    used = Uses(given={"StepLR": {"gamma"}}, positional={"StepLR": 2})
    rows = [row(f"PARAM_SCHEDULERS.StepLR.{one}") for one in ("gamma", "begin", "step_size")]
    found = prove(*rows, tests={"unit/x.py::test_a": used})
    assert found.unproven() == [
        "PARAM_SCHEDULERS.StepLR.begin",
        "PARAM_SCHEDULERS.StepLR.step_size",
    ]


def test_tests_of_what_is_said_of_configs_prove_no_class() -> None:
    used = {"unit/translate/test_x.py::test_a": Uses(given={"EMAHook": set()})}
    assert prove(row("HOOKS.EMAHook"), tests=used).unproven() == ["HOOKS.EMAHook"]


@pytest.mark.parametrize(
    ("test", "imported", "proven"),
    [
        ("unit/mmengine/utils/test_x.py::test_a", set(), True),
        ("unit/mmengine/hooks/test_x.py::test_a", set(), False),
        ("unit/test_x.py::test_a", {"mm2pl.mmengine.utils.is_str"}, True),
        ("unit/test_x.py::test_a", {"mmengine.utils.misc.is_str"}, True),
        ("unit/test_x.py::test_a", {"mmengine.hooks.is_str"}, False),
    ],
)
def test_a_public_name_is_proven_where_its_package_is_tested_or_it_is_imported(
    test: str, imported: set[str], proven: bool
) -> None:
    name = "mmengine.utils.is_str"
    used = Uses(words={"is_str"}, imported=imported)
    assert (test in prove(row(name), tests={test: used}).tests[name]) is proven


def test_a_name_that_nothing_uses_has_its_signature_proven() -> None:
    found = prove(row("mmengine.utils.is_str"))
    assert found.tests["mmengine.utils.is_str"] == [proofs.SIGNATURES]


def test_what_is_unsupported_is_proven_by_its_error_alone() -> None:
    refused = row("HOOKS.NPUProfilerHook", Status.UNSUPPORTED, "a rule's reason")
    config = {"custom_hooks": [{"type": "NPUProfilerHook"}]}
    assert prove(refused, config=config).tests[refused.name] == [proofs.REFUSALS]


def test_a_mark_goes_before_a_scenario_and_this_before_a_mere_use() -> None:
    used = {
        "unit/test_b.py::test_b": Uses(given={"EMAHook": set()}),
        "unit/test_a.py::test_a": Uses(proves={"HOOKS.EMAHook"}),
    }
    config = {"custom_hooks": [{"type": "EMAHook"}]}
    assert prove(row("HOOKS.EMAHook"), tests=used, config=config).tests["HOOKS.EMAHook"] == [
        "unit/test_a.py::test_a",
        "parity: x.y",
        "unit/test_b.py::test_b",
    ]
