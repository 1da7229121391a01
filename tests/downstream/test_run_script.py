"""Scripts of real libraries, unmodified: ``mm2pl run`` does with them what MMEngine does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tools import reference as reference_tool

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
STUBS = ROOT / "tests" / "downstream" / "stubs"
# The real mmcv under the version of a newer one.
NEWER_MMCV = """import mmcv.version
mmcv.version.__version__ = '2.5.0'
"""
CONFIG = """
default_scope = 'mmpretrain'
model = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet_CIFAR', depth=18, base_channels=8, stem_channels=8),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=2, in_channels=64,
              loss=dict(type='CrossEntropyLoss')))
data_preprocessor = dict(num_classes=2, mean=[125.] * 3, std=[51.] * 3, to_rgb=True)
pipeline = [dict(type='LoadImageFromFile'), dict(type='RandomFlip', prob=0.5),
            dict(type='PackInputs')]
train_dataloader = dict(
    batch_size=2, num_workers=1, sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(type='CustomDataset', data_prefix='data', pipeline=pipeline))
val_dataloader = test_dataloader = dict(
    batch_size=2, num_workers=1, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='CustomDataset', data_prefix='data', pipeline=pipeline))
val_evaluator = test_evaluator = dict(type='Accuracy', topk=(1,))
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1))
train_cfg = dict(by_epoch=True, max_epochs=2)
val_cfg = test_cfg = dict()
default_hooks = dict(logger=dict(type='LoggerHook', interval=1))
visualizer = dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
randomness = dict(seed=0)
"""
SCALARS = "train/*/vis_data/scalars.json"
# In this order: later ones read what earlier ones write.
TOOLS = {
    "train": "train config.py --work-dir train",
    "test": "test config.py train/epoch_2.pth --work-dir test --out predictions.pkl",
    "metrics": "test config.py train/epoch_2.pth --work-dir test --out-item metrics --out m.json",
    "flops": "analysis_tools/get_flops config.py --shape 32",
    "eval": "analysis_tools/eval_metric predictions.pkl --metric type=Accuracy topk=1",
    "confusion": "analysis_tools/confusion_matrix config.py predictions.pkl",
    "time": f"analysis_tools/analyze_logs cal_train_time {SCALARS}",
    "curve": f"analysis_tools/analyze_logs plot_curve {SCALARS} --keys loss --out loss.png",
    "browse": "visualization/browse_dataset config.py -o shown --not-show -n 3 -m original",
    "verify": "misc/verify_dataset config.py --phase train --out-path broken.log",
    "publish": "model_converters/publish_model train/epoch_2.pth published.pth",
    "no such config": "train nowhere.py",
}
HELPS = [f"{name}:{tool}" for name in ("mmseg", "mmdet", "mmpose") for tool in ("train", "test")]
HELPS += ["mmaction:train", "mmaction:test", "mmpretrain:kfold-cross-valid"]


def environment(engine: str, **more: str) -> dict[str, str]:
    site = {"mm2pl": ROOT, "mmengine": reference_tool.SITE}[engine]
    path = [more.pop("first", ""), str(STUBS), str(reference_tool.LIBRARIES), str(site)]
    # The reference's libraries call torch.load bare; mm2pl run needs no such switch.
    unsafe = {"TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"} if engine == "mmengine" else {}
    python_path = os.pathsep.join(filter(None, path))
    threads = {"OMP_NUM_THREADS": "1", "PYTHONPATH": python_path, "MM2PL_STUB_MMCV_OPS": "1"}
    return {**os.environ, **threads, **unsafe, **more}


def run(
    engine: str, folder: Path, tool: str, *options: str, **more: str
) -> subprocess.CompletedProcess[str]:
    """Run ``PACKAGE:TOOL ARGS`` with an engine; ``*`` in an argument finds files."""
    name, *arguments = tool.split()
    package, _, path = name.partition(":")
    script = reference_tool.LIBRARIES / package / ".mim" / "tools" / f"{path}.py"
    command = ["-m", "mm2pl", "run", *options, name] if engine == "mm2pl" else [str(script)]
    found = [
        str(next(folder.glob(one)).relative_to(folder)) if "*" in one else one for one in arguments
    ]
    return subprocess.run(
        [sys.executable, *command, *found],
        cwd=folder,
        env=environment(engine, **more),
        capture_output=True,
        text=True,
    )


def write_inputs(folder: Path) -> Path:
    rng = np.random.default_rng(0)
    for index in range(8):
        image = Image.fromarray(rng.integers(0, 255, (32, 32, 3), dtype=np.uint8))
        path = folder / "data" / "ab"[index % 2] / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path)
    (folder / "config.py").write_text(CONFIG)
    return folder


Ended = dict[str, subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    reference_tool.install()
    return {one: write_inputs(tmp_path_factory.mktemp(one)) for one in ("mmengine", "mm2pl")}


@pytest.fixture(scope="module")
def ended(folders: dict[str, Path]) -> dict[str, Ended]:
    return {
        engine: {name: run(engine, folder, f"mmpretrain:{tool}") for name, tool in TOOLS.items()}
        for engine, folder in folders.items()
    }


@pytest.mark.parametrize("name", TOOLS)
def test_a_tool_of_mmpretrain_ends_as_with_mmengine(ended: dict[str, Ended], name: str) -> None:
    expected, found = ended["mmengine"][name], ended["mm2pl"][name]
    assert (found.returncode != 0) is (name == "no such config"), found.stderr
    assert found.returncode == expected.returncode, expected.stderr


@pytest.mark.parametrize("name", ["flops", "eval"])
def test_a_tool_prints_what_it_prints_with_mmengine(ended: dict[str, Ended], name: str) -> None:
    def numbers(text: str) -> list[str]:
        return re.findall(r"\d+\.\d+\w?", re.sub(r"\S+ \d+:\d+:\d+", "", text))

    expected = numbers(ended["mmengine"][name].stdout)
    assert expected
    assert numbers(ended["mm2pl"][name].stdout) == expected


def test_training_and_testing_give_the_same_numbers(
    ended: dict[str, Ended], folders: dict[str, Path]
) -> None:
    def numbers(folder: Path) -> list[dict[str, float]]:
        lines = next(folder.glob(SCALARS)).read_text().splitlines()
        records = [*map(json.loads, lines), json.loads((folder / "m.json").read_text())]
        return [{k: v for k, v in one.items() if "time" not in k} for one in records]

    expected = numbers(folders["mmengine"])
    assert [one["loss"] for one in expected if "loss" in one]
    assert numbers(folders["mm2pl"]) == expected


def test_the_tools_write_the_same_files(ended: dict[str, Ended], folders: dict[str, Path]) -> None:
    def names(folder: Path) -> list[str]:
        every = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        # Times, and what publish_model makes of the file's bytes.
        return sorted(re.sub(r"\d{8}(_\d{6}|-\w{8})", "TIME", name) for name in every)

    assert names(folders["mm2pl"]) == names(folders["mmengine"])


@pytest.mark.parametrize("tool", HELPS)
def test_the_help_of_a_librarys_script_is_its_own(folders: dict[str, Path], tool: str) -> None:
    expected = run("mmengine", folders["mmengine"], f"{tool} --help")
    found = run("mm2pl", folders["mm2pl"], f"{tool} --help")
    assert "usage: " in expected.stdout
    assert (found.returncode, found.stdout) == (expected.returncode, expected.stdout)


# --------------------------------------------------------------------------- what is installed


@pytest.fixture(scope="module")
def newer_mmcv(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a folder that, first on ``PYTHONPATH``, gives mmcv another version."""
    folder = tmp_path_factory.mktemp("newer")
    (folder / "mmcv").mkdir()
    real = reference_tool.LIBRARIES / "mmcv"
    (folder / "mmcv" / "__init__.py").write_text(
        f"__path__.append({str(real)!r})\n{NEWER_MMCV}"
        f"exec(compile(open({str(real / '__init__.py')!r}).read(), __file__, 'exec'))\n"
    )
    return str(folder)


def test_a_version_gate_stops_a_script_and_says_what_to_install(
    folders: dict[str, Path], newer_mmcv: str
) -> None:
    done = run("mm2pl", folders["mm2pl"], "mmseg:train config.py", first=newer_mmcv)
    assert done.returncode == 1
    assert "asks for mmcv>=2.0.0rc4,<2.2.0\nHint: pip install 'mmcv-lite>=2.0.0" in done.stderr


def test_a_script_gets_past_a_version_gate_with_a_warning(
    folders: dict[str, Path], newer_mmcv: str
) -> None:
    relax = ["--relax-version-gates"]
    done = run("mm2pl", folders["mm2pl"], "mmseg:train --help", *relax, first=newer_mmcv)
    assert done.returncode == 0, done.stderr
    assert "version gate passed: mmseg 1.2.2 does not take mmcv 2.5.0" in done.stderr


@pytest.mark.parametrize(("options", "status"), [([], 2), (["--relax-version-gates"], 0)])
def test_a_config_meets_and_passes_the_gate_too(
    folders: dict[str, Path], newer_mmcv: str, options: list[str], status: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mm2pl", "validate", "config.py", *options],
        cwd=folders["mm2pl"],
        env=environment("mm2pl", first=newer_mmcv),
        capture_output=True,
        text=True,
    )
    assert done.returncode == status, done.stderr
    assert (
        "mmpretrain 1.2.0 does not take mmcv 2.5.0: it asks for mmcv>=2.0.0,<2.4.0" in done.stderr
    )
