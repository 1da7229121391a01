"""``mm2pl env`` tells what is installed and what of it can be imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from mm2pl import __version__, cli
from mm2pl.cli import env
from tests.cli.calls import ROOT

SECTIONS = ["mm2pl", "system", "torch", "packages", "OpenMMLab", "environment"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with libraries: one that imports, one that does not, one half removed."""
    folder = tmp_path_factory.mktemp("installed")
    for package, version in {
        "mmdet": "3.3.0",
        "mmsegmentation": "1.2.2",
        "mmpose": "1.3.2",
        "mmcv-lite": "2.1.0",
        "mmengine": "0.9.9",
    }.items():
        info = folder / f"{package.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n"
        )
    for module, source in {
        "mmdet": "import mmengine.config\nassert mmengine.__name__ == 'mm2pl.mmengine'\n",
        "mmseg": "import no_such_package\n",
        "mmcv": "",
        "mmengine": "raise RuntimeError('the real one')\n",
    }.items():
        (folder / module).mkdir()
        (folder / module / "__init__.py").write_text(source)
    return folder


def run(folder: Path, *options: str, **more: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(folder), str(ROOT)])
    return subprocess.run(
        [sys.executable, "-m", "mm2pl", "env", *options],
        env={**os.environ, "PYTHONPATH": path, **more},
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.fixture(scope="module")
def report(installed: Path) -> Any:
    secrets = {"LIGHTNING_API_KEY": "hidden", "NCCL_DEBUG": "INFO", "HOMEWORK": "mine"}
    return json.loads(run(installed, "--json", **secrets).stdout)


def test_the_report_has_sections(report: Any) -> None:
    assert list(report) == SECTIONS


def test_it_says_which_mm2pl_and_commit_it_is(report: Any) -> None:
    assert report["mm2pl"]["version"] == __version__
    assert report["mm2pl"]["path"] == str(ROOT / "mm2pl")
    assert ("commit" in report["mm2pl"]) is (ROOT / ".git").exists()


def test_it_says_what_torch_was_built_for(report: Any) -> None:
    assert report["torch"]["torch"] == torch.__version__
    built_for = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU"
    assert report["torch"]["built for"] == built_for


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mmdet", "3.3.0; imports"),
        (
            "mmseg (mmsegmentation)",
            "1.2.2; does not import: ModuleNotFoundError: No module named 'no_such_package'",
        ),
        ("mmpose", "1.3.2; its module cannot be found"),
        ("mmcv", "mmcv-lite 2.1.0, without compiled operators (no _ext); imports"),
    ],
)
def test_it_says_which_libraries_import(report: Any, name: str, told: str) -> None:
    assert report["OpenMMLab"][name] == told


def test_it_says_whose_mmengine_the_commands_give(report: Any, installed: Path) -> None:
    assert report["OpenMMLab"]["mmengine"] == (
        f"0.9.9 in {installed / 'mmengine'}; mm2pl.mmengine is what mm2pl's commands give"
        " (as 0.10.7)"
    )


def test_it_shows_what_changes_a_run_and_no_secrets(report: Any) -> None:
    assert report["environment"]["NCCL_DEBUG"] == "INFO"
    assert {"LIGHTNING_API_KEY", "HOMEWORK"} & set(report["environment"]) == set()


def test_as_text_it_can_be_pasted(installed: Path) -> None:
    text = run(installed, "--no-imports").stdout
    assert text.startswith(f"**mm2pl**\n- version: {__version__}\n")
    assert "\n- mmseg (mmsegmentation): 1.2.2\n" in text
    lines = [line for line in text.splitlines() if line]
    assert [line for line in lines if not line.startswith(("**", "- "))] == []


def test_a_compiled_mmcv_beside_mmcv_lite_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mmcv").mkdir()
    (tmp_path / "mmcv" / "__init__.py").touch()
    (tmp_path / "mmcv" / "_ext.cpython-311.so").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(env, "_version", lambda name: "2.1.0")
    assert env._mmcv() == (
        "mmcv 2.1.0 and mmcv-lite 2.1.0, with compiled operators (_ext); both are installed,"
        " remove one"
    )


def test_a_torch_that_does_not_import_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "cannot be imported" in env.collect(imports=False)["torch"]["torch"]


def test_the_version_tells_of_a_package_that_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(env, "_version", lambda name: None)
    with pytest.raises(SystemExit):
        cli.main(["--version"])
    assert capsys.readouterr().out.endswith("torch missing, lightning missing)\n")
