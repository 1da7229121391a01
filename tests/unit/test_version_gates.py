"""A library that asserts another one's version: what is said of it, and the way past."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mm2pl import version_gates
from mm2pl.failures import advice, describe, exit_status
from mm2pl.version_gates import VersionGateWarning, failed_gate

# As mmdet words it; as mmseg does, whose message lacks an end of the range; with the ends included.
GATES = {
    "gated_plain": (
        "low, high = mmcv_minimum_version, mmcv_maximum_version = '2.0.0rc4', '2.2.0'\n"
        "mmcv_version = (2, 5)\n"
        "assert mmcv_version < (2, 2), 'MMCV==2.5.0 is used but incompatible. '"
        " f'Please install mmcv>={low}, <{high}.'\n",
        "mmcv>=2.0.0rc4,<2.2.0",
    ),
    "gated_short": (
        "MMCV_MIN, MMCV_MAX = '2.0.0rc4', '2.2.0'\n"
        "mmcv_min_version = mmcv_version = (2, 5)\n"
        "assert (mmcv_min_version <= mmcv_version < (2, 2)), 'MMCV==2.5.0 is used but incompatible."
        " Please install mmcv>=2.0.0rc4.'\n",
        "mmcv>=2.0.0rc4,<2.2.0",
    ),
    "gated_inclusive": (
        "mmcv_minimum_version, mmcv_maximum_version = '2.0.0', '2.4.0'\n"
        "mmcv_version = (2, 5)\n"
        "assert mmcv_version <= (2, 4), 'MMCV==2.5.0 is used but incompatible. '"
        " 'Please install mmcv>=2.0.0, <=2.4.0.'\n",
        "mmcv>=2.0.0,<=2.4.0",
    ),
    "gated_engine": (
        "mmengine_minimum_version, mmengine_maximum_version = '0.1.0', '0.2.0'\n"
        "mmengine_version = (0, 10, 7)\n"
        "assert mmengine_version < (0, 2), 'MMEngine==0.10.7 is used but incompatible. '"
        " 'Please install mmengine>=0.1.0, <0.2.0.'\n",
        "mmengine>=0.1.0,<0.2.0",
    ),
}


@pytest.fixture(autouse=True)
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name, (gate, _) in GATES.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(f"__version__ = '3.3.0'\n{gate}after = 1\n")
        (tmp_path / name / "below.py").write_text("after = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    python_path = os.environ.get("PYTHONPATH")
    yield tmp_path
    version_gates.restore()
    for name in [name for name in sys.modules if name.startswith("gated_")]:
        del sys.modules[name]
    assert os.environ.get("PYTHONPATH") == python_path


def failure(name: str) -> AssertionError:
    with pytest.raises(AssertionError) as info:
        importlib.import_module(name)
    return info.value


@pytest.mark.parametrize("name", GATES)
def test_the_error_says_who_asks_for_what(name: str) -> None:
    gate = failed_gate(failure(name))
    wanted = GATES[name][1]
    found = "mmengine 0.10.7" if "engine" in name else "mmcv 2.5.0"
    assert gate is not None
    assert gate.message == f"{name} 3.3.0 does not take {found}: it asks for {wanted}"
    assert "--relax-version-gates" in str(gate.hint)


def test_the_hint_is_a_line_for_pip() -> None:
    gate = failed_gate(failure("gated_plain"))
    assert "pip install 'mmcv>=2.0.0rc4,<2.2.0'" in str(gate)


def test_the_build_that_is_installed_is_the_one_to_install(tmp_path: Path) -> None:
    folder = tmp_path / "mmcv_lite-2.5.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: mmcv-lite\nVersion: 2.5.0\n")
    gate = failed_gate(failure("gated_plain"))
    assert "pip install 'mmcv-lite>=2.0.0rc4,<2.2.0'" in str(gate)


def test_nobody_is_told_to_install_mmengine() -> None:
    gate = failed_gate(failure("gated_engine"))
    assert "pip install" not in str(gate)
    assert "install a gated_engine that takes it" in str(gate)


def test_the_gate_is_found_behind_another_error() -> None:
    error = RuntimeError("cannot build")
    error.__cause__ = failure("gated_plain")
    gate = str(failed_gate(error))
    assert (describe(error, "c.py"), advice(error), exit_status(error)) == (gate, [gate], 2)


def test_other_assertions_are_no_gates(packages: Path) -> None:
    (packages / "gated_not").mkdir()
    (packages / "gated_not" / "__init__.py").write_text("assert not 'mmcv', 'something else'\n")
    assert failed_gate(failure("gated_not")) is None
    assert failed_gate(AssertionError("MMCV==2.5.0 is used but incompatible.")) is None


@pytest.mark.parametrize("name", GATES)
def test_a_relaxed_gate_warns_where_it_stands(name: str, packages: Path) -> None:
    version_gates.relax()
    with pytest.warns(VersionGateWarning, match=f"passed: {name} 3.3.0 does not take") as caught:
        module = importlib.import_module(f"{name}.below")
    assert [one.filename for one in caught] == [str(packages / name / "__init__.py")]
    assert (module.after, sys.modules[name].after) == (1, 1)


def test_a_relaxed_gate_that_holds_says_nothing(packages: Path) -> None:
    (packages / "gated_fine").mkdir()
    (packages / "gated_fine" / "__init__.py").write_text(
        "mmcv_version = 2\nassert mmcv_version < 3, 'never'\n"
    )
    version_gates.relax()
    importlib.import_module("gated_fine")  # warnings are errors


@pytest.mark.parametrize(
    "source", ["assert not 'mmcv'\n", "def f():\n    assert not 'mmcv_version'\nf()\n"]
)
def test_other_assertions_stay(packages: Path, source: str) -> None:
    (packages / "gated_not").mkdir()
    (packages / "gated_not" / "__init__.py").write_text(source)
    version_gates.relax()
    failure("gated_not")


def test_what_is_restored_asserts_again() -> None:
    version_gates.relax()
    version_gates.restore()
    failure("gated_plain")


def test_nothing_relaxed_is_kept_on_disk(packages: Path) -> None:
    version_gates.relax()
    with pytest.warns(VersionGateWarning):
        importlib.import_module("gated_plain")
    version_gates.restore()
    del sys.modules["gated_plain"]
    failure("gated_plain")


def test_child_processes_are_relaxed_and_keep_their_own_sitecustomize(packages: Path) -> None:
    (packages / "sitecustomize.py").write_text("import builtins\nbuiltins.own = 'own'\n")
    version_gates.relax()
    path = os.pathsep.join([os.environ["PYTHONPATH"], str(packages)])
    source = "import gated_plain, json; print(json.dumps([own, gated_plain.after]))"
    done = subprocess.run(
        [sys.executable, "-c", source],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        cwd=packages,
    )
    result: Any = json.loads(done.stdout)
    assert result == ["own", 1]
    assert "VersionGateWarning" in done.stderr
