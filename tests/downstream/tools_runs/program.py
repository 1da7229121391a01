"""Run libraries' own tools with the engine that ``import mmengine`` gives here.

Usage: python program.py (mmengine | mm2pl) LIBRARIES

Works in the current folder. The last line printed is JSON: for each tool its outcome, what it
printed, and digests of the images that it wrote.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import runpy
import sys
import traceback
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np

PRETRAIN = "mmpretrain/.mim/tools"
POSE = "body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py"
ACTION = "recognition/tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb.py"
LOADER = """{name}_dataloader = dict(
    batch_size=4,
    num_workers=1,
    dataset=dict(type='CustomDataset', data_root='data', data_prefix='{name}', pipeline={pipe}),
    sampler=dict(type='DefaultSampler', shuffle={shuffle}))
"""
CONFIG = """
default_scope = 'mmpretrain'
data_preprocessor = dict(num_classes=3, mean=[100] * 3, std=[50] * 3, to_rgb=True)
model = dict(
    type='ImageClassifier',
    backbone=dict(type='ResNet', depth=18, base_channels=4, stem_channels=4),
    neck=dict(type='GlobalAveragePooling'),
    head=dict(type='LinearClsHead', num_classes=3, in_channels=32, topk=(1, 2),
              loss=dict(type='CrossEntropyLoss')))
ends = [dict(type='LoadImageFromFile'), dict(type='PackInputs')]
train_pipe = [ends[0], dict(type='RandomResizedCrop', scale=32), ends[1]]
test_pipe = [ends[0], dict(type='Resize', scale=(32, 32)), ends[1]]
val_evaluator = test_evaluator = dict(type='Accuracy', topk=(1, 2))
val_cfg = test_cfg = dict()
train_cfg = dict(by_epoch=True, max_epochs=2, val_interval=1)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9))
param_scheduler = [
    dict(type='LinearLR', start_factor=0.1, by_epoch=True, end=1, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', T_max=1, by_epoch=True, begin=1, end=2)]
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=1),
    param_scheduler=dict(type='ParamSchedulerHook'),
    timer=dict(type='IterTimerHook'),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    checkpoint=dict(type='CheckpointHook', interval=2))
visualizer = dict(type='UniversalVisualizer', vis_backends=[dict(type='LocalVisBackend')])
env_cfg = dict(cudnn_benchmark=False)
randomness = dict(seed=3)
load_from, resume, launcher, log_level = None, False, 'none', 'INFO'
"""
RUNS = {
    "train": f"{PRETRAIN}/train.py cfg.py --work-dir work",
    "test": f"{PRETRAIN}/test.py cfg.py work/epoch_2.pth --work-dir tested"
    " --out pred.pkl --out-item pred",
    "eval_metric": f"{PRETRAIN}/analysis_tools/eval_metric.py pred.pkl"
    " --metric type=Accuracy topk=1,2 --metric type=SingleLabelMetric items=precision,recall",
    "analyze_results": f"{PRETRAIN}/analysis_tools/analyze_results.py cfg.py pred.pkl"
    " --out-dir analyzed --topk 2",
    "confusion_matrix": f"{PRETRAIN}/analysis_tools/confusion_matrix.py cfg.py pred.pkl"
    " --include-values",
    "plot_curve": f"{PRETRAIN}/analysis_tools/analyze_logs.py plot_curve SCALARS"
    " --keys loss accuracy/top1 --out curve.png",
    "browse_dataset": f"{PRETRAIN}/visualization/browse_dataset.py cfg.py -o browsed"
    " --not-show -m original -p val -n 4",
    "vis_scheduler": f"{PRETRAIN}/visualization/vis_scheduler.py cfg.py"
    " --not-show --dataset-size 12 --save-path lr.png",
    "mmpose flops": f"mmpose/.mim/tools/analysis_tools/get_flops.py mmpose/.mim/configs/{POSE}"
    " --input-shape 64 64 --cfg-options model.backbone.init_cfg=None",
    "mmaction flops": "mmaction/.mim/tools/analysis_tools/get_flops.py"
    f" mmaction/.mim/configs/{ACTION} --shape 1 3 32 32",
}
PRINTS_THE_SAME = [name for name in RUNS if name not in ("train", "test", "browse_dataset")]


def main(engine: str, libraries: str) -> None:
    warnings.simplefilter("ignore")
    if engine == "mm2pl":
        import mm2pl

        mm2pl.install_as_mmengine()
    # The wheel of mmaction2 1.2.0 lacks this folder, without which its models cannot be imported.
    stub = ModuleType("mmaction.models.localizers.drn.drn")
    vars(stub)["DRN"] = object
    sys.modules |= {stub.__name__: stub, "mmaction.models.localizers.drn": ModuleType("drn")}
    write_inputs()
    report = {name: run(command, libraries) for name, command in RUNS.items()}
    report["predictions"] = predictions()
    report["images"] = {str(path): digest(cv2.imread(str(path))) for path in pictures()}
    print()
    print(json.dumps(report))


def write_inputs() -> None:
    random = np.random.RandomState(0)
    for name in ("train", "val"):
        for kind in ("a", "b", "c"):
            folder = Path("data", name, kind)
            folder.mkdir(parents=True)
            for number in range(4):
                picture = random.randint(0, 255, (40, 36, 3)).astype(np.uint8)
                cv2.imwrite(str(folder / f"{number}.png"), picture)
    train = LOADER.format(name="train", pipe="train_pipe", shuffle=True)
    val = LOADER.format(name="val", pipe="test_pipe", shuffle=False)
    Path("cfg.py").write_text(f"{CONFIG}{train}{val}test_dataloader = val_dataloader\n")


def run(line: str, libraries: str) -> list[Any]:
    """Run a script as the main program; return its outcome and the lines that it printed."""
    command = [f"{libraries}/{part}" if "/.mim/" in part else part for part in line.split()]
    if "SCALARS" in command:
        command[command.index("SCALARS")] = str(next(Path("work").rglob("scalars.json")))
    out = io.StringIO()
    outcome = "done"
    sys.argv = command
    sys.path.insert(0, str(Path(command[0]).parent))
    try:
        with contextlib.redirect_stdout(out):
            runpy.run_path(command[0], run_name="__main__")
    except SystemExit as error:
        outcome = f"exit {error.code}"
    except Exception:
        outcome = traceback.format_exc()
    finally:
        del sys.path[0]
    printed = [line for line in out.getvalue().splitlines() if "- mmengine -" not in line]
    return [outcome, [line for line in printed if ".json" not in line]]


def predictions() -> Any:
    import mmengine

    found = mmengine.load("pred.pkl")
    return [{key: digest(np.asarray(one[key])) for key in sorted(one)} for one in found]


def pictures() -> list[Path]:
    return sorted(path for path in Path().rglob("*.png") if path.parts[0] != "data")


def digest(array: np.ndarray) -> str:
    return f"{array.shape} {hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]}"


if __name__ == "__main__":
    main(*sys.argv[1:])
