"""The strategies' names, signatures and refusals; what they train is in tests/parity."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from mm2pl import checkpoint
from mm2pl.errors import ConfigError, UnsupportedError
from mm2pl.mmengine import _strategy
from mm2pl.mmengine.registry import STRATEGIES
from mm2pl.mmengine.runner import FlexibleRunner

SOURCE = """
import inspect, json
import mmengine._strategy as s
from mmengine.runner import FlexibleRunner
def names(kind):
    return sorted(n for n, v in inspect.getmembers(kind) if not n.startswith("__") and callable(v))
kinds = [s.BaseStrategy, s.SingleDeviceStrategy, s.DDPStrategy]
print(json.dumps({
    "all": sorted(s.__all__),
    "members": {kind.__name__: names(kind) for kind in kinds},
    "properties": sorted(n for n, v in inspect.getmembers(s.BaseStrategy)
                         if isinstance(v, property)),
    "runner": list(inspect.signature(FlexibleRunner.__init__).parameters),
    "kinds": [str(p.kind) for p in inspect.signature(FlexibleRunner.__init__).parameters.values()],
    "prepare": list(inspect.signature(s.SingleDeviceStrategy.prepare).parameters),
    "init": list(inspect.signature(s.DDPStrategy.__init__).parameters),
}))
"""


@pytest.fixture(scope="module")
def theirs(reference: Any) -> Any:
    return reference.run(SOURCE)


def test_the_public_names_are_mmengines(theirs: Any) -> None:
    assert sorted(_strategy.__all__) == theirs["all"]


@pytest.mark.parametrize("kind", ["BaseStrategy", "SingleDeviceStrategy", "DDPStrategy"])
def test_a_strategy_has_the_methods_of_mmengines(theirs: Any, kind: str) -> None:
    private = {"_build_param_scheduler"}
    assert set(theirs["members"][kind]) - private <= set(dir(getattr(_strategy, kind)))
    assert set(theirs["properties"]) <= set(dir(getattr(_strategy, kind)))


def test_signatures_are_mmengines(theirs: Any) -> None:
    runner = inspect.signature(FlexibleRunner.__init__).parameters
    assert list(runner) == theirs["runner"]
    assert [str(one.kind) for one in runner.values()] == theirs["kinds"]
    prepare = inspect.signature(_strategy.SingleDeviceStrategy.prepare)
    assert list(prepare.parameters) == theirs["prepare"]
    assert list(inspect.signature(_strategy.DDPStrategy.__init__).parameters) == theirs["init"]


@pytest.mark.parametrize("name", ["DeepSpeedStrategy", "FSDPStrategy", "ColossalAIStrategy"])
def test_a_strategy_that_is_not_done_says_why(name: str) -> None:
    with pytest.raises(UnsupportedError, match=name):
        STRATEGIES.build({"type": name})


def test_without_an_optimizer_a_strategy_cannot_resume_one(tmp_path: Path) -> None:
    strategy = _strategy.SingleDeviceStrategy(work_dir=str(tmp_path))
    strategy.prepare(nn.Linear(1, 1))
    start = str(tmp_path / "saved.pth")
    saved = {"state_dict": nn.Linear(1, 1).state_dict(), "optimizer": {}, "meta": {}}
    checkpoint.write(saved, start)
    with pytest.raises(ConfigError, match=r"there is no optimizer(?s:.*)resume_optimizer=False"):
        strategy.resume(start)
    assert strategy.resume(start, resume_optimizer=False).keys() >= {"optimizer", "meta"}
