from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mm2pl.mmengine.analysis import (
    ActivationAnalyzer,
    FlopAnalyzer,
    flop_count,
    get_model_complexity_info,
    parameter_count,
)
from mm2pl.mmengine.analysis.jit_handles import einsum_flop_jit, get_shape

PROGRAM = Path(__file__).with_name("analysis_cases.py")


@pytest.fixture(scope="module")
def theirs(reference: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(reference.process(str(PROGRAM)).splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "analysis_cases"}
    source = PROGRAM.read_text().replace("from mmengine", "from mm2pl.mmengine")
    exec(compile(source, PROGRAM, "exec"), namespace)
    found: dict[str, Any] = json.loads(json.dumps(namespace["run"]()))
    return found


CASES = [
    *("convolutions", "norms", "products", "attention", "resampling", "unbatched", "shared"),
    "one_child",
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "what", ["flops", "activations", "by module", "by operator", "by caller", "uncalled"]
)
def test_counts_are_mmengines(
    theirs: dict[str, Any], ours: dict[str, Any], case: str, what: str
) -> None:
    assert ours[case][what] == theirs[case][what]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("what", ["table", "table without shapes", "parameters"])
def test_tables_are_mmengines(
    theirs: dict[str, Any], ours: dict[str, Any], case: str, what: str
) -> None:
    assert ours[case][what] == theirs[case][what]


@pytest.mark.parametrize("case", CASES)
def test_the_annotated_repr_is_mmengines_below_its_first_sentence(
    theirs: dict[str, Any], ours: dict[str, Any], case: str
) -> None:
    mine, yours = (found[case]["arch"].splitlines() for found in (ours, theirs))
    if yours[0].startswith("N/A"):
        assert mine.pop(0).startswith("N/A")
        yours.pop(0)
    assert mine == yours


def test_all_cases_are_compared(theirs: dict[str, Any]) -> None:
    assert sorted(theirs) == sorted(CASES)


def test_input_shapes_make_an_input_each() -> None:
    info = get_model_complexity_info(nn.Bilinear(3, 4, 2), input_shape=((3,), (4,)))
    assert info["params"] == 3 * 4 * 2 + 2


@pytest.mark.parametrize(
    "arguments",
    [{}, {"input_shape": (1,), "inputs": torch.ones(1)}, {"input_shape": [1]}],
    ids=["neither", "both", "a list"],
)
def test_wrong_inputs_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="input_shape"):
        get_model_complexity_info(nn.Linear(1, 1), **arguments)


def test_tables_are_made_on_demand() -> None:
    info = get_model_complexity_info(nn.Linear(2, 2), (2,), show_table=False, show_arch=False)
    assert (info["out_table"], info["out_arch"]) == ("", "")


def test_a_handle_of_ones_own_counts() -> None:
    def count(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        return Counter({"mine": len(get_shape(inputs[0]) or ())})

    analyzer = FlopAnalyzer(nn.Softmax(-1), torch.ones(1, 2, 3))
    assert analyzer.set_op_handle("aten::softmax", count).by_operator() == {"mine": 3}


def test_a_handle_may_return_a_number_of_numpys() -> None:
    analyzer = FlopAnalyzer(nn.Softmax(-1), torch.ones(1, 2))
    assert analyzer.set_op_handle("aten::softmax", lambda i, o: np.int64(3)).total() == 3


def test_a_handle_of_none_leaves_an_operator_out() -> None:
    analyzer = FlopAnalyzer(nn.Linear(2, 2), torch.ones(1, 2))
    assert analyzer.total() == 4
    assert analyzer.clear_op_handles().set_op_handle("aten::linear", None).total() == 0
    assert not analyzer.unsupported_ops()


def test_a_handle_that_returns_text_is_refused() -> None:
    analyzer = FlopAnalyzer(nn.Linear(2, 2), torch.ones(1, 2))
    analyzer.set_op_handle("aten::linear", lambda i, o: "4")  # type: ignore[arg-type,return-value]
    with pytest.raises(ValueError, match=r"aten::linear returned a str"):
        analyzer.total()


def test_unsupported_operators_are_counted_once_there_is_a_result() -> None:
    analyzer = FlopAnalyzer(nn.Softmax(-1), torch.ones(1, 2))
    with pytest.raises(RuntimeError, match="before calling"):
        analyzer.unsupported_ops()
    analyzer.total()
    assert analyzer.unsupported_ops() == {"aten::softmax": 1}
    assert flop_count(nn.Softmax(-1), (torch.ones(1, 2),))[1] == {"aten::softmax": 1}


def test_a_misspelt_module_is_named_with_its_neighbours() -> None:
    analyzer = ActivationAnalyzer(nn.ModuleDict({"linear": nn.Linear(1, 1)}), torch.ones(1))
    with pytest.raises(KeyError, match="linear"):
        analyzer.canonical_module_name("liner")


@pytest.mark.parametrize("choose", ["tracer_warnings", "ancestor_mode"])
def test_an_unknown_mode_is_refused(choose: str) -> None:
    analyzer = FlopAnalyzer(nn.Linear(2, 2), torch.ones(1, 2))
    with pytest.raises(ValueError, match="unknown"):
        getattr(analyzer, choose)("some")


def test_a_copy_has_the_handles_and_another_model() -> None:
    analyzer = FlopAnalyzer(nn.Linear(2, 2), torch.ones(1, 2))
    assert analyzer.copy(nn.Linear(3, 3), torch.ones(1, 3)).total() == 9


def test_the_model_is_left_as_it_was() -> None:
    class Keeper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> Any:
            self.kept = torch.zeros(1, 2)
            return self.linear(x)

    model = Keeper()
    FlopAnalyzer(model, torch.ones(1, 2)).total()
    assert not model._forward_hooks
    assert not model.linear._forward_pre_hooks
    model.linear(model.kept).sum().backward()  # a tensor of inference mode would raise
    assert torch.backends.mha.get_fastpath_enabled()


def test_a_failing_model_leaves_no_hooks() -> None:
    model = nn.Linear(2, 2)
    with pytest.raises(RuntimeError):
        FlopAnalyzer(model, torch.ones(1, 3)).total()
    assert not model._forward_hooks


def test_parameters_are_counted_at_each_level() -> None:
    assert parameter_count(nn.Sequential(nn.Linear(2, 2)))["0"] == 6


@pytest.mark.parametrize(
    ("equation", "shapes", "cost"),
    [("bij, bik -> bjk", [(2, 3, 4), (2, 3, 5)], 120), ("ij,jk->ik", [(2, 3), (3, 4)], 24)],
)
def test_einsum_counts_multiply_adds(
    equation: str, shapes: list[tuple[int, ...]], cost: float
) -> None:
    tensors = [torch.zeros(shape) for shape in shapes]
    assert einsum_flop_jit([equation, tensors, None], []) == cost
