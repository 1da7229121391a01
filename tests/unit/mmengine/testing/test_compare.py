from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from mm2pl.mmengine.testing import check_python_script

# Run with MMEngine's modules and with ours; prints one JSON list.
CASES = """
import json, warnings
import numpy as np, torch
from torch import nn
import mmengine.testing as t
warnings.simplefilter("ignore")

def raised(function, *args, **kwargs):
    try:
        return function(*args, **kwargs)
    except Exception as error:
        return type(error).__name__

class Thing:
    a, b = 1, np.array([1, 2])

zero, one = nn.Linear(1, 1), nn.Linear(1, 1, bias=False)
for parameter in zero.parameters():
    nn.init.zeros_(parameter)
found = {
    "subset": [t.assert_dict_contains_subset({"a": 1, "b": [1, 2]}, part) for part in (
        {}, {"a": 1}, {"a": 2}, {"b": [1, 2]}, {"c": 1}, {"b": [2, 1]})],
    "tensors": [t.assert_dict_contains_subset({"a": torch.ones(2)}, {"a": torch.tensor(part)})
        for part in ([1.0, 1.0], [1.0, 2.0])],
    "attributes": [t.assert_attrs_equal(Thing(), part) for part in (
        {}, {"a": 1}, {"a": 0}, {"b": np.array([1, 2])}, {"b": np.array([1, 3])}, {"c": None})],
    "keys": [t.assert_dict_has_keys({"a": 1, "b": 2}, part) for part in (["a"], ["c"], [])],
    "equal keys": [t.assert_keys_equal(["a", "b"], part) for part in (["b", "a"], ["a"])],
    "norms": [t.assert_is_norm_layer(kind) for kind in (
        nn.BatchNorm3d(1), nn.InstanceNorm1d(1), nn.GroupNorm(1, 1), nn.LayerNorm(1),
        nn.SyncBatchNorm(1), nn.Conv2d(1, 1, 1))],
    "zeros": [t.assert_params_all_zeros(kind) for kind in (zero, one)],
    "close": [raised(t.assert_allclose, *pair, **how) for pair, how in (
        ((1.0, 1.0 + 1e-6), {}), ((1.0, 1.01), {}), ((1.0, 1.01), dict(rtol=0.1, atol=0)),
        (([1, 2], [1, 2]), {}), (([1, 2], [1, 3]), {}), ((float("nan"), float("nan")), {}),
        ((float("nan"), float("nan")), dict(equal_nan=False)),
        ((torch.ones(2), torch.ones(3)), {}), ((torch.ones(1), torch.ones(1).double()), {}),
        ((torch.ones(1).double(), torch.ones(1).double() + 1e-6), {}),
        ((torch.ones(1).half(), torch.ones(1) + 5e-4), {}), ((1.0, 2.0), dict(rtol=1)))],
}
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def theirs(reference: Any) -> Any:
    return reference.run(CASES)


@pytest.mark.parametrize(
    "case",
    [
        "subset",
        "tensors",
        "attributes",
        "keys",
        "equal keys",
        "norms",
        "zeros",
        "close",
    ],
)
def test_comparisons_give_what_mmengines_give(
    theirs: Any, case: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(CASES.replace("import mmengine.testing", "import mm2pl.mmengine.testing"), {})
    assert json.loads(capsys.readouterr().out)[case] == theirs[case]


def test_a_message_of_ones_own_is_the_errors() -> None:
    from mm2pl.mmengine.testing import assert_allclose

    with pytest.raises(AssertionError, match="mine"):
        assert_allclose(1.0, 2.0, msg="mine")


@pytest.mark.parametrize("command", ["python {} a 'b c'", "{} a 'b c'"])
def test_a_script_runs_here_with_its_arguments(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    script = tmp_path / "script.py"
    script.write_text("import sys; print(__name__, sys.argv[1:])")
    before = sys.argv
    check_python_script(command.format(script))
    assert capsys.readouterr().out == "__main__ ['a', 'b c']\n"
    assert sys.argv is before
