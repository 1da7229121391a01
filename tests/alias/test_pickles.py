"""Pickles of MMEngine's objects are the same files on both sides; each side in its own process."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import pickletools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mm2pl.mmengine.config import ConfigDict
from mm2pl.mmengine.fileio import dump, load
from mm2pl.mmengine.logging import HistoryBuffer
from mm2pl.mmengine.structures import InstanceData

ROOT = Path(__file__).parents[2]
CASES = ROOT / "tests/alias/pickle_cases.py"


def ours(*arguments: str) -> Any:
    done = subprocess.run(
        [sys.executable, str(CASES), *arguments, "alias"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def found(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each side wrote, and what it found in the files of the other."""

    def theirs(*arguments: str) -> Any:
        return json.loads(reference.process(str(CASES), *arguments).splitlines()[-1])

    of_ours, of_theirs = (str(tmp_path_factory.mktemp(name)) for name in ("ours", "theirs"))
    return {
        "we wrote": ours("write", of_ours),
        "they wrote": theirs("write", of_theirs),
        "they read": theirs("read", of_ours),
        "we read": ours("read", of_theirs),
    }


def _files(results: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in results.items() if name not in ("globals", "copies")}


@pytest.mark.slow
@pytest.mark.parametrize(("wrote", "read"), [("we wrote", "they read"), ("they wrote", "we read")])
def test_each_side_reads_what_the_other_wrote(wrote: str, read: str, found: dict[str, Any]) -> None:
    written = _files(found[wrote])
    assert len(written) > 50
    assert written == _files(found[read])


@pytest.mark.slow
def test_both_sides_write_the_same_names(found: dict[str, Any]) -> None:
    assert found["we wrote"]["globals"]
    assert set(found["we wrote"]["globals"]) <= set(found["they wrote"]["globals"])


@pytest.mark.slow
def test_everything_can_be_copied(found: dict[str, Any]) -> None:
    assert found["we wrote"]["copies"] == []


@pytest.mark.slow
def test_public_classes_and_functions_name_the_modules_of_mmengine(reference: Any) -> None:
    """Of all that both have, under MMEngine's names, by which pickles find it."""
    code = (ROOT / "tests/alias/homes.py").read_text()
    theirs = reference.run(code)
    done = subprocess.run(
        [sys.executable, "-c", f"import mm2pl; mm2pl.install_as_mmengine()\n{code}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    homes = json.loads(done.stdout.splitlines()[-1])
    both = theirs.keys() & homes.keys()
    assert len(both) > 300
    assert {homes[name] for name in both if homes[name] != theirs[name]} == ELSEWHERE


# In private modules: neither abstract bases nor these functions are ever in a pickle.
ELSEWHERE = {
    "mmengine.config._action.DictAction",
    "mmengine.optim.scheduler._base._ParamScheduler",
    "mmengine.optim.scheduler._one_cycle.OneCycleParamScheduler",
    "mmengine.optim.scheduler._plateau.ReduceOnPlateauParamScheduler",
    "mmengine.runner._model_zoo.get_deprecated_model_names",
    "mmengine.runner._model_zoo.get_external_models",
    "mmengine.runner._model_zoo.get_mmcls_models",
    "mmengine.runner._model_zoo.get_torchvision_models",
    "mmengine.utils.misc.to_ntuple",
    "mmengine.utils.misc.to_ntuple.<locals>.parse",
}


# --------------------------------------------------------------------------- without the alias


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("to_file", [False, True])
def test_dump_writes_mmengines_names_also_without_the_alias(protocol: int, to_file: bool) -> None:
    value = [ConfigDict(a=1), HistoryBuffer([1.0], [1]), InstanceData(x=[1])]
    buffer = io.BytesIO()
    if to_file:
        dump(value, buffer, file_format="pkl", protocol=protocol)
    data = buffer.getvalue() if to_file else dump(value, file_format="pkl", protocol=protocol)
    texts = {str(argument) for _, argument, _ in pickletools.genops(data)}
    assert not any("mm2pl" in text for text in texts)
    assert "mmengine.config.config ConfigDict" in texts
    config, history, instances = load(io.BytesIO(data), file_format="pkl")
    assert (type(config), config.a, history.mean(), instances.x) == (ConfigDict, 1, 1.0, [1])
    assert type(history) is HistoryBuffer
    assert type(instances) is InstanceData


def test_a_pickle_of_other_things_is_pythons_own() -> None:
    value = {"a": [1, 2.5, "mmengine.x"], "b": {1}}
    assert dump(value, file_format="pkl") == pickle.dumps(value, 2)


@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))]
)
def test_a_data_elements_copy_keeps_the_order_of_its_fields(again: Any) -> None:
    names = [f"field{number}" for number in (3, 1, 9, 2, 0, 5)]
    element = InstanceData(metainfo=dict.fromkeys("zyx", 0))
    for name in names:
        element.set_field([1, 2], name)
    copied = again(element)
    assert (copied.keys(), copied.metainfo_keys()) == (names, ["z", "y", "x"])
    copied.new_field = [3, 4]
    assert "new_field" in copied
    assert "new_field" not in element
