"""What is found in the config files of three libraries: each finding was looked up in their files.

Parts of configs (``_base_``, and files without a model) are left out.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tools import bench_config, reference

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

# (status, key) -> in how many files, and why it is true.
EXPECTED = {
    ("no effect", "cudnn_benchmark"): (9, "SSD's base sets it outside env_cfg, which has False"),
    ("no effect", "data"): (8, "MMCV's data=dict(samples_per_gpu=...), left over"),
    ("no effect", "fp16"): (2, "beside an OptimWrapper without amp, though `amp` is in the name"),
    ("no effect", "optimizer_config"): (1, "Guided Anchoring clips gradients only there"),
    ("no effect", "runner"): (5, "MMCV's runner, left over"),
    ("no effect", "optim_wrapper.paramwise_cfg._delete"): (6, "means _delete_"),
    ("no effect", "optim_wrapper.paramwise_cfg.custom_keys.phi.wd_mult"): (2, "means decay_mult"),
    ("no effect", "optim_wrapper.paramwise_cfg.custom_keys.theta.wd_mult"): (2, "the same"),
    ("no effect", "param_scheduler.milestones"): (5, "the last one is the end of training"),
    ("no effect", "param_scheduler[].milestones"): (4, "milestones behind the schedule's end"),
    ("no effect", "train_cfg.val_begin"): (6, "MaskTrack R-CNN: 13 of 12 epochs, on purpose"),
    ("approximated", "optim_wrapper.type"): (3, "DeepSpeedOptimWrapper"),
    ("unsupported", "strategy.type"): (5, "DeepSpeedStrategy, FSDPStrategy"),
    ("problem", "strategy.type"): (5, "the same, which is refused"),
    ("problem", "fp16.accum_type"): (1, "ViT on IPU, an older form, for Graphcore's own hook"),
    ("problem", "fp16.velocity_accum_type"): (1, "the same"),
    ("problem", "train_cfg"): (6, "type and by_epoch; ViT on IPU has none"),
    ("problem", "val_cfg"): (5, "ResNeSt and ViT on IPU: a loader and no val_cfg"),
    ("problem", "test_cfg"): (5, "the same"),
    ("problem", "train_dataloader"): (1, "QDTrack's base has none"),
    ("problem", "val_dataloader"): (5, "a val_cfg and no loader"),
    ("problem", "test_dataloader"): (6, "the same, and a headless CLIP"),
}


@pytest.fixture(scope="module")
def printed() -> dict[str, Any]:
    reference.install()
    files = [file for file in bench_config.config_files() if "/_base_/" not in file]
    paths = (ROOT, reference.WHEELS.resolve())
    done = subprocess.run(
        [sys.executable, str(HERE / "config_files" / "findings.py")],
        input="\n".join(files),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths))},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def test_what_is_found_in_the_files_is_what_is_wrong_with_them(printed: Any) -> None:
    counted: Counter[tuple[str, str]] = Counter()
    for rows in printed["found"].values():
        if any(text == "the config has no model" for _, _, text in rows):
            continue
        counted.update({(status, re.sub(r"\[\d+\]", "[]", path)) for status, path, _ in rows})
    assert dict(counted) == {key: count for key, (count, _) in EXPECTED.items()}


def test_no_key_of_any_file_is_unknown(printed: Any) -> None:
    statuses = {status for rows in printed["found"].values() for status, _, _ in rows}
    assert "unknown" not in statuses


def test_a_config_is_examined_in_a_few_milliseconds(printed: Any) -> None:
    assert printed["milliseconds"] < 20  # 1.4 here; machines are busy
