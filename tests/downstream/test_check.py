"""``mm2pl check`` on real libraries: all their config files, and with ``--build`` their classes."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tools import bench_config
from tools import reference as reference_tool

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
STUBS = ROOT / "tests" / "downstream" / "stubs"
CONFIGS = reference_tool.LIBRARIES / "mmpretrain" / ".mim" / "configs"
# Each with what the library's own metafile.yml says of its size, partly rounded.
MODELS = {
    "deit3/deit3-huge-p14_64xb32_in1k.py": 632_126_440,
    "densenet/densenet169_4xb256_in1k.py": 14_149_480,
    "efficientnet/efficientnet-b1_8xb32-01norm_in1k.py": 7_794_184,
    "mobilenet_v3/mobilenet-v3-small-075_8xb128_in1k.py": 2_040_000,
    "poolformer/poolformer-s12_32xb128_in1k.py": 11_915_176,
    "resnet/resnet50_8xb32_in1k.py": 25_560_000,
    "swin_transformer/swin-large_16xb64_in1k-384px.py": 196_740_000,
    "twins/twins-pcpvt-small_8xb128_in1k.py": 24_110_000,
    "vgg/vgg13_8xb32_in1k.py": 133_050_000,
    "vision_transformer/vit-base-p16_64xb64_in1k-384px.py": 86_859_496,
}


def check(
    folder: Path, *arguments: str, paths: tuple[Path, ...] = (), **variables: str
) -> dict[str, Any]:
    """Return what ``mm2pl check --json`` prints in ``folder``."""
    reference_tool.install()
    path = os.pathsep.join(map(str, [*paths, ROOT]))
    done = subprocess.run(
        [sys.executable, "-m", "mm2pl", "check", "--json", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **variables},
        capture_output=True,
        text=True,
    )
    document: dict[str, Any] = json.loads(done.stdout or pytest.fail(done.stderr))
    assert done.returncode == document["summary"]["exit_status"]
    return document


def build(folder: Path, *files: str, **variables: str) -> dict[str, Any]:
    """Check files beside the libraries with ``--build``; return the reports by name."""
    paths = (STUBS, reference_tool.LIBRARIES)
    document = check(folder, "--build", *files, paths=paths, **variables)
    return {Path(one["file"]).name: one for one in document["files"]}


def findings(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["key_path"]: one for one in report["problems"] + report["notes"]}


def test_2484_files_take_less_than_a_minute_on_two_processors(tmp_path: Path) -> None:
    reference_tool.install()
    files = bench_config.config_files()
    before = _seconds_of_children()
    document = check(tmp_path, *files, paths=(reference_tool.WHEELS.resolve(),))
    assert _seconds_of_children() - before < 2 * 60
    assert document["summary"]["files"] == len(files) == 2484
    # Ten are broken; the others say that they are code or parts without a key of a run.
    broken = [one for one in document["files"] if one["status"] == "unreadable"]
    text = "this is no config|this is Python code"
    reasons = [one["error"]["text"].startswith(tuple(text.split("|"))) for one in broken]
    assert reasons.count(False) == 10


def _seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_the_folders_of_three_libraries_hold_2023_configs(tmp_path: Path) -> None:
    reference_tool.install()
    folders = sorted(map(str, reference_tool.WHEELS.resolve().glob("*/.mim/configs")))
    document = check(tmp_path, *folders, paths=(reference_tool.WHEELS.resolve(),))
    assert (document["summary"]["files"], document["summary"]["unreadable"]) == (2023, 10)
    bases = [one for one in document["skipped"] if "/_base_/" in one["file"]]
    assert len(bases) == 442


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    reference_tool.install()
    folder = tmp_path_factory.mktemp("built")
    reports = build(folder, *(str(CONFIGS / name) for name in MODELS))
    assert list(folder.iterdir()) == []
    return reports


@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_the_parameters_that_its_library_says(built: dict[str, Any], name: str) -> None:
    report = built[Path(name).name]
    assert report["problems"] == []
    assert report["build"]["missing"] == 0
    assert report["build"]["model"]["parameters"] == pytest.approx(MODELS[name], rel=2e-3)


def test_mistakes_in_the_names_and_arguments_of_a_library_are_found(tmp_path: Path) -> None:
    (tmp_path / "wrong.py").write_text(
        "_base_ = ['mmpretrain::resnet/resnet50_8xb32_in1k.py']\n"
        "default_hooks = dict(logger=dict(type='LoggerHok'))\n"
        "custom_hooks = [dict(type='VisualizationHok')]\n"
        "val_evaluator = dict(topkk=(1, 5))\n"
        "train_dataloader = dict(dataset=dict(type='ImageNt'))\n"
    )
    (tmp_path / "depth.py").write_text(
        "_base_ = ['mmpretrain::resnet/resnet50_8xb32_in1k.py']\n"
        "model = dict(backbone=dict(depth=49))\n"
    )
    (tmp_path / "argument.py").write_text(
        "_base_ = ['mmpretrain::resnet/resnet50_8xb32_in1k.py']\n"
        "model = dict(\n    backbone=dict(stem_chanels=32))\n"
    )
    reports = build(tmp_path, "wrong.py", "depth.py", "argument.py")
    found = findings(reports["wrong.py"])
    assert {key: one["line"] for key, one in found.items()} == {
        "default_hooks.logger.type": 2,
        "custom_hooks[0].type": 3,
        "val_evaluator.topkk": 4,
        "train_dataloader.dataset.type": 5,
    }
    assert found["default_hooks.logger.type"]["choices"][0] == "LoggerHook"
    assert found["custom_hooks[0].type"]["choices"][0] == "VisualizationHook"
    assert found["val_evaluator.topkk"]["choices"][0] == "topk"
    assert found["train_dataloader.dataset.type"]["choices"][0] == "ImageNet"
    (one,) = findings(reports["depth.py"]).values()
    assert (one["key_path"], "invalid depth 49" in one["text"]) == ("model.backbone", True)
    (one,) = findings(reports["argument.py"]).values()
    assert (one["key_path"], one["line"]) == ("model.backbone.stem_chanels", 3)
    assert one["choices"][0] == "stem_channels"


DETECTOR = "_base_ = ['mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py']\n"


def test_a_detector_is_built_where_mmcv_has_operators(tmp_path: Path) -> None:
    (tmp_path / "detector.py").write_text(DETECTOR)
    report = build(tmp_path, "detector.py", MM2PL_STUB_MMCV_OPS="1")["detector.py"]
    assert report["problems"] == []
    assert report["build"]["model"]["name"] == "FasterRCNN"


def test_an_mmcv_without_operators_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "detector.py").write_text(DETECTOR)
    report = build(tmp_path, "detector.py")["detector.py"]
    (one,) = report["problems"]
    assert one["status"] == "missing"
    assert "No module named 'mmcv._ext'" in one["text"]
    assert "mmcv-lite has no operators" in one["hint"]
    assert "DetDataPreprocessor" in one["text"]


def test_a_version_gate_is_a_finding_and_can_be_relaxed(tmp_path: Path) -> None:
    package = tmp_path / "first" / "mmcv"
    package.mkdir(parents=True)
    real = reference_tool.LIBRARIES / "mmcv"
    (package / "__init__.py").write_text(
        f"__path__.append({str(real)!r})\n"
        "import mmcv.version\nmmcv.version.__version__ = '2.5.0'\n"
        f"exec(compile(open({str(real / '__init__.py')!r}).read(), __file__, 'exec'))\n"
    )
    (tmp_path / "config.py").write_text("_base_ = ['mmpretrain::resnet/resnet50_8xb32_in1k.py']\n")
    paths = (package.parent, STUBS, reference_tool.LIBRARIES)
    options = ("--build", "config.py")
    gated = check(tmp_path, *options, paths=paths)["files"][0]
    (one,) = gated["problems"]
    assert (one["key_path"], one["status"]) == ("default_scope", "missing")
    assert "does not take mmcv 2.5.0" in one["text"]
    assert "--relax-version-gates" in one["hint"]
    relaxed = check(tmp_path, *options, "--relax-version-gates", paths=paths)["files"][0]
    assert (relaxed["problems"], relaxed["build"]["model"]["name"]) == ([], "ImageClassifier")
