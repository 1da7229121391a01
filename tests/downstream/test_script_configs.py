"""Our options make of real configs what the libraries' own train.py and test.py make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.downstream.engines import HERE, run_both
from tools import reference as reference_tool

pytestmark = pytest.mark.slow

REAL = {
    "resnet": ("mmpretrain", "resnet/resnet18_8xb16_cifar10.py"),
    "simmim": ("mmpretrain", "simmim/simmim_swin-base-w6_8xb256-amp-coslr-100e_in1k-192px.py"),
    "faster": ("mmdet", "faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py"),
    "yolov3": ("mmdet", "yolo/yolov3_d53_8xb8-amp-ms-608-273e_coco.py"),
    "fcn": ("mmseg", "fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py"),
    "convnext": ("mmseg", "convnext/convnext-tiny_upernet_8xb2-amp-160k_ade20k-512x512.py"),
    "hrnet": (
        "mmpose",
        "body_2d_keypoint/topdown_heatmap/coco/td-hm_hrnet-w32_8xb64-210e_coco-256x192.py",
    ),
    "tsn": (
        "mmaction",
        "recognition/tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb.py",
    ),
}
# Configs of a user: a real one, and what they change. The name begins with the real one's.
_OTHER = "optim_wrapper = dict(type='OtherWrapper')"
CHANGED = {
    "tsn_shown": "default_hooks = dict(visualization=dict(type='VisualizationHook'))",
    "hrnet_other": _OTHER,
    "fcn_other": _OTHER,
    "faster_other": _OTHER,
    "faster_scaled": "optim_wrapper = dict(type='AmpOptimWrapper', loss_scale=64)",
    "resnet_scaled": "optim_wrapper = dict(type='AmpOptimWrapper', loss_scale=64)",
    "resnet_unscaled": "auto_scale_lr = None",
    "faster_unscaled": "auto_scale_lr = dict(_delete_=True, enable=False)",
    "faster_hookless": "default_hooks = dict(visualization=None)",
    "resnet_tta": "tta_model = dict(type='Own')\n"
    "tta_pipeline = [dict(type='TestTimeAug', transforms=[[dict(type='Resize', scale=8)]])]",
    "fcn_no_tta": "tta_model = None",
    "faster_nested": "test_dataloader = dict(dataset=dict(_delete_=True, type='RepeatDataset',"
    " times=1, dataset=dict(type='CocoDataset', pipeline=[dict(type='PackDetInputs')])))",
    "resnet_load": "load_from = 'pretrained.pth'",
    "fcn_load": "load_from = '../w.pth'",
    "tsn_seeded": "randomness = dict(seed=1)",
    "fcn_several": "test_evaluator = [dict(type='IoUMetric'), dict(type='IoUMetric')]",
}
MANY = tuple(REAL)
SHOWN = ("resnet", "faster", "fcn", "hrnet", "tsn_shown", "tsn", "faster_hookless")
AMP = (*MANY, "hrnet_other", "fcn_other", "faster_other", "faster_scaled", "resnet_scaled")
SCALED = ("resnet", "hrnet", "tsn", "faster", "simmim", "resnet_unscaled", "faster_unscaled")
# The options, and the configs whose library's script has them.
TRAIN: dict[str, tuple[str, ...]] = {
    "": (*MANY, "resnet_load", "fcn_load"),
    "--work-dir here": MANY,
    "--resume": (*MANY, "resnet_load", "fcn_load"),
    "--resume ../w.pth": ("resnet", "faster", "hrnet", "tsn", "resnet_load"),
    "--amp": AMP,
    "--amp --launcher pytorch": ("faster", "fcn"),
    "--auto-scale-lr": SCALED,
    "--no-validate": ("resnet", "hrnet", "tsn"),
    "--no-pin-memory --no-persistent-workers": ("resnet", "simmim"),
    "--cfg-options train_cfg.max_epochs=3 env_cfg.cudnn_benchmark=True": MANY,
    "--seed 3 --diff-rank-seed --deterministic": ("tsn", "tsn_seeded"),
}
TEST: dict[str, tuple[str, ...]] = {
    "": MANY,
    "--show-dir painted": SHOWN,
    "--show": SHOWN,
    "--show --show-dir painted --wait-time 0.5": SHOWN,
    "--show-dir painted --interval 7": ("resnet", "hrnet", "tsn_shown"),
    "--tta": (
        *("resnet", "resnet_tta", "faster", "yolov3", "faster_nested"),
        *("fcn", "convnext", "fcn_no_tta"),
    ),
    "--amp": ("resnet",),
    "--dump predictions.pkl": ("hrnet", "tsn"),
    "--dump predictions.txt": ("hrnet", "tsn"),
    "--out folder": ("fcn", "fcn_several"),
    "--no-pin-memory": ("resnet",),
}
# What differs on purpose, as mm2pl/cli/habits.py says: the keys, or for an error of ours "error".
_MODEL_KEPT = ("tta_model.module",)  # the script leaves the model there too
DIFFERENT: dict[str, tuple[str, ...]] = {
    # The file is looked for before anything is built.
    "train resnet_load": ("error",),
    "train fcn_load --resume": ("load_from",),
    "train faster_other --amp": ("error",),
    "train faster_scaled --amp": ("optim_wrapper.loss_scale",),
    "train tsn_seeded --seed 3 --diff-rank-seed --deterministic": (
        "randomness.deterministic",
        "randomness.diff_rank_seed",
        "randomness.seed",
    ),
    "test faster_nested --tta": (
        "test_dataloader.dataset.dataset.pipeline.0.transforms",
        "test_dataloader.dataset.dataset.pipeline.0.type",
        "test_dataloader.dataset.pipeline",
    ),
    "test fcn --tta": _MODEL_KEPT,
    "test convnext --tta": _MODEL_KEPT,
}
CASES = [
    (f"{script} {name} {options}".strip(), name, script, options)
    for script, table in (("train", TRAIN), ("test", TEST))
    for options, names in table.items()
    for name in names
]


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return, for each engine and case, the config that the runner gets, or the error."""
    program = HERE / "script_configs" / "program.py"
    return run_both(tmp_path_factory, program, lambda folder: [str(folder / "cases.json")], write)


def write(folder: Path) -> None:
    """Write the cases, and what their command lines name; they run in folders of their own."""
    (folder / "w.pth").touch()
    cases = {}
    for label, name, script, options in CASES:
        real, _, changed = name.partition("_")
        library, path = REAL[real]
        config = reference_tool.LIBRARIES / library / ".mim" / "configs" / path
        if changed:
            text = f"_base_ = [{str(config)!r}]\n{CHANGED[name]}\n"
            config = folder / f"{name}.py"
            config.write_text(text)
        weights = ["../w.pth"] if script == "test" else []
        cases[label] = [library, script, [str(config), *weights, *options.split()]]
    (folder / "cases.json").write_text(json.dumps(cases))


@pytest.mark.parametrize("label", [case[0] for case in CASES])
def test_a_command_gives_the_runner_the_config_that_the_librarys_script_gives(
    configs: dict[str, Any], label: str
) -> None:
    expected, found = configs["mmengine"][label], configs["mm2pl"][label]
    assert differences(expected, found) == DIFFERENT.get(label, ())


def differences(expected: Any, found: Any) -> tuple[str, ...]:
    """Return the paths of the keys that differ, without those below them."""
    if "error" in expected and "error" in found:
        return ()
    if "error" in expected or "error" in found:
        return ("error",)
    if expected.get("launcher") == "none":  # what the scripts write without the option
        found.setdefault("launcher", "none")
    if expected.get("resume") is False:  # mmseg's writes it without the option
        found.setdefault("resume", False)
    return tuple(sorted(_different(expected, found, "")))


def _different(expected: Any, found: Any, path: str) -> list[str]:
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        # The first says which kind of sequence it is.
        expected, found = ({str(i - 1): one for i, one in enumerate(x)} for x in (expected, found))
    if not (isinstance(expected, dict) and isinstance(found, dict)):
        return [path] if expected != found else []
    keys = {**expected, **found}
    return [
        below
        for key in keys
        for below in (
            _different(expected[key], found[key], f"{path}.{key}" if path else key)
            if key in expected and key in found
            else [f"{path}.{key}" if path else key]
        )
    ]


def test_each_difference_is_of_a_case() -> None:
    assert set(DIFFERENT) <= {case[0] for case in CASES}
