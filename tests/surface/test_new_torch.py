"""What MMEngine has trouble with on a new torch and NumPy works here, and what works stays so."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mm2pl.mmengine.utils import digit_version

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
CASES = HERE / "new_torch_cases.py"
ON_NEW_TORCH = digit_version(torch.__version__) >= digit_version("2.6")

# case: (what the reference gives, what is right)
TROUBLES: dict[str, tuple[Any, Any]] = {
    "its_own_checkpoint_loads": ("raises UnpicklingError", 1.5),
    "a_folder_is_found_without_pkg_resources": ("ModuleNotFoundError", "numpy"),
    "mixed_precision_works_without_a_gpu": ("raises AssertionError", "torch.bfloat16"),
    "a_muon_of_ones_own_takes_the_name": ("raises KeyError", True),
    "numpys_bool_is_logged": ("raises AssertionError", 1.0),
}
# What MMEngine does right on this torch, and is to be the same here.
SAME = {
    "torchs_optimizers_that_are_not_registered": [],
    "an_sgd_of_ones_own_does_not": None,
    "muon_trains": "Muon",
    "adafactor_trains": "Adafactor",
    "fused_adam_with_a_tensor_for_lr_is_scheduled": None,
    "what_it_imports_warns_of_nothing": "False False",
    "numpys_types_are_logged": None,
    "numpys_types_are_dumped": None,
    "numpys_types_in_a_config_are_written_as_numbers": None,
    "torchs_version_compares_as_one": [True, True],
    "a_compiled_train_step_trains": ["loss"],
    "workers_load_data": None,
}


_ALREADY = {"raises KeyError", "raises AlreadyRegisteredError"}  # ours is a KeyError too


@pytest.fixture(scope="module")
def theirs(reference: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(reference.process(str(CASES)).splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    environment.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)
    command = [sys.executable, str(CASES), "--ours"]
    output = subprocess.check_output(command, env=environment, text=True)
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


def test_every_case_is_looked_at(ours: dict[str, Any]) -> None:
    assert sorted(ours) == sorted([*TROUBLES, *SAME])


@pytest.mark.parametrize("case", TROUBLES)
def test_a_trouble_of_mmengines_is_gone(ours: dict[str, Any], case: str) -> None:
    assert ours[case] == TROUBLES[case][1]


@pytest.mark.skipif(not ON_NEW_TORCH, reason="the troubles begin with torch 2.6")
@pytest.mark.parametrize("case", TROUBLES)
def test_the_trouble_is_one_of_mmengines(theirs: dict[str, Any], case: str) -> None:
    assert theirs[case] == TROUBLES[case][0]


@pytest.mark.parametrize("case", SAME)
def test_what_works_with_mmengine_works_the_same(
    theirs: dict[str, Any], ours: dict[str, Any], case: str
) -> None:
    if case == "an_sgd_of_ones_own_does_not":
        assert {ours[case], theirs[case]} == _ALREADY
    elif case == "what_it_imports_warns_of_nothing" and sys.version_info >= (3, 13):
        assert "DeprecationWarning" in theirs[case]  # the reference alone warns there
    else:
        assert ours[case] == theirs[case]
    if SAME[case] is not None:
        assert ours[case] == SAME[case]


def test_no_source_of_ours_imports_pkg_resources() -> None:
    sources = (HERE.parents[1] / "mm2pl").rglob("*.py")
    assert [path for path in sources if "import pkg_resources" in path.read_text()] == []
