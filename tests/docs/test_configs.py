"""Every config below configs/ runs, shrunk, and gives MMEngine's weights."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mm2pl import checkpoint
from tools import reference

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "configs"
BASES = sorted((FOLDER / "_base_").rglob("*.py"))
CONFIGS = sorted(
    path
    for path in FOLDER.rglob("*.py")
    if path not in BASES and re.search(r"^_base_ =|read_base\(\)", path.read_text(), re.MULTILINE)
)
SHORT = [
    "train_dataloader.dataset.indices=80",
    "val_dataloader.dataset.indices=40",
    "train_dataloader.batch_size=16",
]
SHORT_LOOP = {
    "epochs": ["train_cfg.max_epochs=2"],
    "iterations": ["train_cfg.max_iters=8", "train_cfg.val_interval=4"],
}


def test_every_file_is_a_config_or_used_by_one() -> None:
    text = "\n".join(path.read_text() for path in CONFIGS)
    for path in set(FOLDER.rglob("*.py")) - set(CONFIGS):
        name = path.relative_to(FOLDER).with_suffix("")
        assert str(name) in text or str(name).replace("/", ".") in text, path


@pytest.mark.slow
@pytest.mark.parametrize("config", CONFIGS, ids=lambda path: path.stem)
def test_config_gives_mmengines_weights(config: Path, tmp_path: Path) -> None:
    reference.install()
    kind = "iterations" if "400i" in config.stem else "epochs"
    options = [*SHORT, *SHORT_LOOP[kind]]
    ours = ["-m", "mm2pl", "fit", str(config), "--work-dir", str(tmp_path / "ours")]
    output = _python([*ours, "--cfg-options", *options], os.environ | {"PYTHONPATH": str(ROOT)})
    assert "digits/accuracy" in output
    theirs = ["-m", "examples.train_config_mmengine", str(config)]
    theirs += ["--work-dir", str(tmp_path / "theirs")]
    _python([*theirs, "--cfg-options", *options], reference.environment())
    (name,) = {path.name for path in tmp_path.glob("*/last_checkpoint")}
    weights = [
        checkpoint.read((tmp_path / side / name).read_text())["state_dict"]
        for side in ("ours", "theirs")
    ]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


@pytest.mark.slow
def test_the_main_job_recognises_97_of_100_held_out_digits(tmp_path: Path) -> None:
    config = FOLDER / "digits/digits_cnn_20e.py"
    command = ["-m", "mm2pl", "fit", str(config), "--work-dir", str(tmp_path)]
    output = _python(command, os.environ | {"PYTHONPATH": str(ROOT)})
    accuracy = re.search(r"^ +digits/accuracy: (\S+)$", output, re.MULTILINE)
    assert accuracy is not None, output[-1000:]
    assert float(accuracy[1]) >= 0.97
    assert re.search(rf"^checkpoints: {tmp_path} ", output, re.MULTILINE)
    assert re.search(rf"^logs: {tmp_path}/\d+_\d+$", output, re.MULTILINE)


def _python(arguments: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**environment, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return done.stdout
