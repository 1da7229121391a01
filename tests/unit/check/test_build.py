"""``--build`` on small configs: classes, arguments, the model; nothing is left or downloaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
OWN = """
import torch
from mmengine.model import BaseModel
from mmengine.registry import HOOKS, METRICS, MODELS
from torch import nn

@MODELS.register_module()
class Net(BaseModel):
    def __init__(self, width=8, depth=2, fail=None, **kwargs):
        super().__init__(kwargs.get("data_preprocessor"))
        if fail == "value":
            raise ValueError("fail must not be 'value'")
        if fail == "net":
            import urllib.request
            urllib.request.urlopen("http://example.com/weights.pth")
        if fail == "meta":
            torch.zeros(3).tolist()
        if fail == "package":
            import no_such_package
        rates = [x.item() for x in torch.linspace(0, 1, depth)]
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in rates)

    def forward(self, *args, **kwargs):
        pass

@MODELS.register_module()
class Strict(Net):
    def __init__(self, width, data_preprocessor=None):
        super().__init__(width)

@HOOKS.register_module()
class Own:
    def __init__(self, interval=1):
        pass
"""
IN_ONE_PROCESS = {
    "huge": "model = dict(type='Net', width=200_000, depth=3)\n",
    "argument": "model = dict(type='Strict', widht=3)\n",
    "name": "model = dict(type='Nett')\ncustom_hooks = [dict(type='Owm'), dict(type='X')]\n",
    "hook": "model = dict(type='Net')\ncustom_hooks = [dict(type='Own', interva=2, priority=3)]\n",
    "value": "model = dict(type='Net',\n    fail='value')\n",
    "net": "model = dict(type='Net', fail='net')\n",
    "meta": "model = dict(type='Net', fail='meta')\n",
    "package": "model = dict(type='Net', fail='package')\n",
    "unsupported": "model = dict(type='Net')\ncustom_hooks = [dict(type='NPUProfilerHook')]\n",
}
# These import something else, so each has a process of its own.
ALONE = {
    "library": "default_scope = 'mmnothing'\nmodel = dict(type='A', neck=dict(type='B'))\n",
    "known_library": "default_scope = 'mmdet3d'\nmodel = dict(type='A')\n",
    "no_module": "custom_imports = dict(imports=['not_there'])\nmodel = dict(type='A')\n",
    "told_once": "custom_imports = dict(imports=['broken'])\ndefault_scope = 'broken'\n"
    "model = dict(type='A')\n",
    "exits": "custom_imports = dict(imports=['exiting'])\nmodel = dict(type='A')\n",
}


def check(folder: Path, bodies: dict[str, str], custom: str = "") -> dict[str, Any]:
    """Return the reports by the names of the configs; leave what was said in ``stderr``."""
    for name, body in bodies.items():
        (folder / f"{name}.py").write_text(custom + body)
    files = [f"{name}.py" for name in bodies]
    done = subprocess.run(
        [sys.executable, "-m", "mm2pl", "check", "--build", "--json", "--jobs", "1", *files],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode in (1, 2), done.stderr
    (folder / "stderr").write_text(done.stderr)
    return {Path(one["file"]).stem: one for one in json.loads(done.stdout)["files"]}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("build")
    (folder / "own_classes.py").write_text(OWN)
    return folder


@pytest.fixture(scope="module")
def reports(work: Path) -> dict[str, Any]:
    return check(work, IN_ONE_PROCESS, "custom_imports = dict(imports=['own_classes'])\n")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("alone")
    (folder / "exiting.py").write_text("raise SystemExit(3)\n")
    (folder / "broken.py").write_text("import not_there\n")
    return check(folder, ALONE)


def problems(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["key_path"]: one for one in report["problems"]}


def test_a_model_takes_no_memory_for_its_weights(reports: dict[str, Any]) -> None:
    model = reports["huge"]["build"]["model"]  # 480 GB
    assert model == {
        "name": "Net",
        "parameters": 3 * (200_000 * 200_000 + 200_000),
        "not_built_because": None,
    }
    assert reports["huge"]["problems"] == []


def test_an_unknown_argument_is_found_with_its_line(reports: dict[str, Any]) -> None:
    one = problems(reports["argument"])["model.widht"]
    assert (one["status"], one["file"], one["line"]) == ("wrong", "argument.py", 2)
    assert one["choices"][0] == "width"


def test_names_that_no_registry_has_are_found_with_the_nearest(reports: dict[str, Any]) -> None:
    found = problems(reports["name"])
    assert found["model.type"]["choices"][0] == "Net"
    assert found["custom_hooks[0].type"]["choices"][0] == "Own"
    assert found["custom_hooks[1].type"]["status"] == "missing"
    assert "custom_imports" in found["custom_hooks[1].type"]["hint"]
    assert reports["name"]["build"]["missing"] == 3


def test_what_is_taken_out_before_a_class_is_built_is_no_argument_of_it(
    reports: dict[str, Any],
) -> None:
    assert list(problems(reports["hook"])) == ["custom_hooks[0].interva"]


def test_a_value_that_the_model_refuses_is_a_finding(reports: dict[str, Any]) -> None:
    one = problems(reports["value"])["model"]
    assert "the model cannot be built: ValueError: fail must not be 'value'" in one["text"]


@pytest.mark.parametrize(("name", "reason"), [("net", "downloads nothing"), ("meta", "meta")])
def test_what_only_this_cannot_build_is_a_note(
    reports: dict[str, Any], name: str, reason: str
) -> None:
    assert reports[name]["problems"] == []
    assert reason in reports[name]["build"]["model"]["not_built_because"]


def test_a_package_that_the_model_lacks_is_a_finding(reports: dict[str, Any]) -> None:
    one = problems(reports["package"])["model"]
    assert one["status"] == "missing"
    assert "no_such_package" in one["text"]


def test_an_unsupported_class_says_why(reports: dict[str, Any]) -> None:
    found = reports["unsupported"]["problems"] + reports["unsupported"]["notes"]
    assert {one["status"] for one in found} == {"unsupported"}


def test_nothing_is_left_and_nothing_else_is_said(reports: dict[str, Any], work: Path) -> None:
    names = {path.name for path in work.rglob("*")}
    assert names == {"own_classes.py", "stderr", *(f"{name}.py" for name in IN_ONE_PROCESS)}
    assert (work / "stderr").read_text() == ""


@pytest.mark.slow
class TestOfOtherModules:
    def test_a_library_that_is_not_installed_is_told_once(self, alone: dict[str, Any]) -> None:
        (one,) = alone["library"]["problems"]
        assert (one["key_path"], one["status"], one["line"]) == ("default_scope", "missing", 1)
        assert one["text"] == "mmnothing is not installed; so A, B cannot be found"

    def test_the_package_of_a_known_library_is_named(self, alone: dict[str, Any]) -> None:
        hint = problems(alone["known_library"])["default_scope"]["hint"]
        assert hint == "pip install mmdet3d"

    def test_one_that_cannot_be_imported_is_a_finding(self, alone: dict[str, Any]) -> None:
        one = problems(alone["no_module"])["custom_imports"]
        assert "not_there" in one["text"]
        assert (one["status"], one["line"]) == ("missing", 1)

    def test_what_keeps_all_from_being_imported_is_told_once(self, alone: dict[str, Any]) -> None:
        (one,) = alone["told_once"]["problems"]
        assert one["key_path"] == "custom_imports"
        assert one["text"].endswith("No module named 'not_there'; so A cannot be found")

    def test_one_that_ends_the_program_ends_nothing(self, alone: dict[str, Any]) -> None:
        assert alone["exits"]["status"] == "unreadable"
        assert "SystemExit: 3" in alone["exits"]["error"]["text"]
