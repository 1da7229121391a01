"""What becomes of ``strategy`` and of the wrapper that shards."""

from __future__ import annotations

from typing import Any

import pytest

from mm2pl.errors import ConfigError, UnsupportedError
from mm2pl.plan import Status
from mm2pl.translate import translate

MODEL = {"model": {"type": "Net"}, "work_dir": "work"}
FLEXIBLE = {**MODEL, "runner_type": "FlexibleRunner"}


def statuses(cfg: dict[str, Any], key: str) -> list[Status]:
    return [note.status for note in translate(cfg).notes if note.key_path == key]


@pytest.mark.parametrize("name", ["SingleDeviceStrategy", "DDPStrategy", "OneOfMine"])
def test_a_flexible_runners_strategy_stands_in_the_plan(name: str) -> None:
    plan = translate({**FLEXIBLE, "strategy": {"type": name}})
    assert plan.runtime.strategy == {"type": name}


def test_a_runners_strategy_has_no_effect() -> None:
    cfg = {**MODEL, "strategy": {"type": "DDPStrategy"}}
    assert Status.NO_EFFECT in statuses(cfg, "strategy")


@pytest.mark.parametrize("name", ["DeepSpeedStrategy", "FSDPStrategy", "ColossalAIStrategy"])
def test_what_is_not_done_is_refused_with_the_key_and_a_way_out(name: str) -> None:
    with pytest.raises(UnsupportedError, match=name) as caught:
        translate({**FLEXIBLE, "strategy": {"type": f"mmengine.{name}"}})
    assert caught.value.key_path == "strategy.type"
    assert "DDPStrategy" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"model_wrapper_cfg": {"type": "MMFullyShardedDataParallel"}}, "model_wrapper_cfg.type"),
        (
            {
                "strategy": {
                    "type": "DDPStrategy",
                    "model_wrapper": {"type": "MMFullyShardedDataParallel"},
                }
            },
            "strategy.model_wrapper.type",
        ),
    ],
)
def test_the_wrapper_that_shards_is_refused_where_it_stands(
    more: dict[str, Any], path: str
) -> None:
    with pytest.raises(UnsupportedError, match="sharded") as caught:
        translate({**FLEXIBLE, **more})
    assert caught.value.key_path == path


def test_a_strategy_without_a_type_is_refused() -> None:
    with pytest.raises(ConfigError, match="no type"):
        translate({**FLEXIBLE, "strategy": {"sync_bn": "torch"}})


@pytest.mark.parametrize(
    ("strategy", "path", "meant"),
    [
        ({"type": "DDPStrategey"}, "strategy.type", "DDPStrategy"),
        ({"type": "DDPStrategy", "sync_bm": "torch"}, "strategy.sync_bm", "sync_bn"),
        ({"type": "SingleDeviceStrategy", "workdir": "a"}, "strategy.workdir", "work_dir"),
        (
            {"type": "DDPStrategy", "model_wrapper": {"find_unused_parameter": True}},
            "strategy.model_wrapper.find_unused_parameter",
            "find_unused_parameters",
        ),
    ],
)
def test_a_misspelt_part_of_a_strategy_is_found(
    strategy: dict[str, Any], path: str, meant: str
) -> None:
    notes = translate({**FLEXIBLE, "strategy": strategy}).notes
    (found,) = [note for note in notes if note.status.is_finding]
    assert (found.key_path, found.choices[0]) == (path, meant)


def test_the_arguments_of_ones_own_strategy_are_decided_by_its_class() -> None:
    cfg = {**FLEXIBLE, "strategy": {"type": "OneOfMine", "shards": 3}}
    assert statuses(cfg, "strategy.shards") == [Status.BY_CLASS]
