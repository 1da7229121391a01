"""Run real libraries' inferencers on tiny models with the engine that ``import mmengine`` gives.

Usage: python program.py (mmengine | mm2pl) FOLDER CHECKPOINTS

Inputs lie in FOLDER, outputs go to the working directory. Configs come from the libraries' wheels,
made small. MMEngine writes the checkpoints, mm2pl reads those that MMEngine wrote. The last line
printed is the JSON of all results; tensors, arrays and image files stand there as digests.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np

CASES: list[Callable[..., Any]] = []
ENGINE = INPUTS = CHECKPOINTS = ""


def case(function: Callable[..., Any]) -> Callable[..., Any]:
    CASES.append(function)
    return function


def main(engine: str, inputs: str, checkpoints: str) -> None:
    global ENGINE, INPUTS, CHECKPOINTS
    ENGINE, INPUTS, CHECKPOINTS = engine, inputs, checkpoints
    warnings.simplefilter("ignore")
    if engine == "mm2pl":
        import mm2pl

        mm2pl.install_as_mmengine()
    results = {"torchvision": torchvision_models()}
    for function in CASES:
        try:
            results[function.__name__] = plain(function())
        except Exception:
            results[function.__name__] = f"failed\n{traceback.format_exc()}"
    print()
    print(json.dumps(results))


def plain(value: Any) -> Any:
    """Return a value as JSON, exactly: floats in full, digests of what is large."""
    if hasattr(value, "all_items"):
        return {type(value).__name__: plain(dict(value.all_items()))}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in sorted(value.items(), key=str)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "detach"):
        value = value.detach().numpy()
    if isinstance(value, (np.ndarray, np.generic)):
        data = np.ascontiguousarray(value)
        return [list(data.shape), str(data.dtype), hashlib.sha256(data.tobytes()).hexdigest()[:16]]
    if isinstance(value, float):
        return value.hex()
    return value if value is None or isinstance(value, (bool, int, str)) else str(type(value))


def written(folder: str) -> Any:
    """Return what lies below a folder: images by their pixels, other files by their bytes."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        if path.suffix in (".png", ".jpg"):
            found[path.relative_to(folder).as_posix()] = cv2.imread(str(path))
        elif path.is_file():
            found[path.relative_to(folder).as_posix()] = path.read_bytes().hex()[:200]
    assert found, f"nothing was written to {folder}"
    return found


def image(number: int = 0) -> str:
    return f"{INPUTS}/{number}.png"


def tiny(library: str, config: str, changes: dict[str, Any], meta: Any = None) -> tuple[str, str]:
    """Return the paths of a zoo config with changes and of a checkpoint of its model."""
    import importlib

    import torch
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope
    from mmengine.runner import save_checkpoint

    module = importlib.import_module(library)
    cfg = Config.fromfile(f"{module.__path__[0]}/.mim/configs/{config}")
    cfg.merge_from_dict(changes)
    path, weights = f"{library}.py", f"{CHECKPOINTS}/{library}.pth"
    cfg.dump(path)
    if not os.path.exists(weights):
        assert ENGINE == "mmengine", "MMEngine writes the checkpoints"
        init_default_scope(library)
        importlib.import_module(f"{library}.utils").register_all_modules()
        torch.manual_seed(0)
        text = cfg.pretty_text  # models change their configs
        model = MODELS.build(cfg.model)
        model.init_weights()
        state = {"meta": {"cfg": text, **(meta or {})}, "message_hub": {}}
        save_checkpoint({**state, "state_dict": model.state_dict()}, weights)
    return path, weights


# --------------------------------------------------------------------------- hub and metafiles


def torchvision_models() -> Any:
    from mmengine.runner import get_torchvision_models

    return get_torchvision_models()


@case
def published_models() -> Any:
    from mmengine.infer import BaseInferencer

    names = {scope: BaseInferencer.list_models(scope) for scope in ("mmdet", "mmaction")}
    return [names, BaseInferencer.list_models("mmseg", "pspnet.*cityscapes")]


@case
def hub_configs() -> Any:
    from mmengine.hub import get_config

    configs = [
        get_config("mmdet::detr/detr_r50_8xb2-150e_coco.py", pretrained=True),
        get_config("mmdet::_base_/default_runtime.py"),
        get_config("mmpretrain::resnet/resnet18_8xb16_cifar10.py", pretrained=True),
        get_config("mmseg::unet/unet-s5-d16_fcn_4xb4-40k_chase-db1-128x128.py", pretrained=True),
    ]
    return [cfg.to_dict() for cfg in configs]


@case
def hub_models() -> Any:
    import torch
    from mmengine.hub import get_model
    from mmengine.registry import DefaultScope

    torch.manual_seed(0)
    model = get_model("mmpretrain::resnet/resnet18_8xb16_cifar10.py")
    return [model.state_dict(), str(DefaultScope.get_current_instance())]


# --------------------------------------------------------------------------- mmpretrain


def classifier() -> tuple[str, str]:
    small = {"model.backbone.base_channels": 8, "model.backbone.stem_channels": 8}
    small |= {"model.head.in_channels": 64}
    meta = {"dataset_meta": {"classes": [f"class {number}" for number in range(10)]}}
    return tiny("mmpretrain", "resnet/resnet18_8xb16_cifar10.py", small, meta)


@case
def mmpretrain_classification() -> Any:
    from mmpretrain import ImageClassificationInferencer

    config, weights = classifier()
    infer = ImageClassificationInferencer(config, pretrained=weights, device="cpu")
    images = [cv2.imread(image(number)) for number in range(3)]
    return [
        infer(image(), show_dir="classified", resize=60),
        infer([image(0), image(1), image(2)], batch_size=2),
        infer(images, batch_size=3, return_datasamples=True),
        infer(images, show_dir="classified", draw_score=False, rescale_factor=2.0),
        infer(INPUTS),
        written("classified"),
        infer.model._dataset_meta,
    ]


@case
def mmpretrain_features() -> Any:
    from mmpretrain import FeatureExtractor

    config, weights = classifier()
    extract = FeatureExtractor(config, pretrained=weights, device="cpu")
    return [extract(image()), extract([image(1), image(2)], stage="backbone", batch_size=2)]


@case
def mmpretrain_retrieval() -> Any:
    import torch
    from mmengine.config import Config
    from mmpretrain import ImageRetrievalInferencer

    cfg = Config.fromfile(classifier()[0])
    cfg.model = {
        "type": "ImageToImageRetriever",
        "image_encoder": [cfg.model.backbone, cfg.model.neck],
        "head": {**cfg.model.head, "type": "LinearClsHead"},
        "prototype": f"{INPUTS}/proto.pth",
        "data_preprocessor": cfg.data_preprocessor,
    }
    torch.manual_seed(0)
    infer = ImageRetrievalInferencer(cfg, prototype=INPUTS, pretrained=False, device="cpu")
    result = infer(image(1), topk=2)
    return [[one["match_score"] for one in found] for found in result]


@case
def mmpretrain_functions() -> Any:
    from mmpretrain import get_model, inference_model, init_model, list_models

    config, weights = classifier()
    model = init_model(config, weights, device="cpu")
    named = get_model("resnet18_8xb16_cifar10", pretrained=False)
    narrow = dict(backbone=dict(base_channels=8, stem_channels=8), head=dict(in_channels=64))
    built = get_model("resnet18_8xb16_cifar10", pretrained=weights, **narrow)
    return [
        model.state_dict(),
        type(named).__name__,
        sum(weight.numel() for weight in named.parameters()),
        built.state_dict(),
        inference_model(built, image(), device="cpu"),
        list_models("resnet18*"),
        len(list_models()),
        list_models("swin", exclude_patterns=["*in1k*"], task="Image Classification"),
    ]


# --------------------------------------------------------------------------- mmseg


def segmentor() -> tuple[str, str]:
    small = {
        "crop_size": (64, 64),
        "data_preprocessor.size": (64, 64),
        "model.data_preprocessor.size": (64, 64),
        "model.backbone.base_channels": 4,
        "model.decode_head.in_channels": 4,
        "model.decode_head.channels": 4,
        "model.auxiliary_head.in_channels": 8,
        "model.auxiliary_head.channels": 4,
        "model.test_cfg": {"mode": "whole", "_delete_": True},
        "test_pipeline.1.scale": (96, 64),
        "test_dataloader.dataset.pipeline.1.scale": (96, 64),
    }
    names = {"classes": ("road", "sidewalk"), "palette": [[128, 64, 128], [244, 35, 232]]}
    name = "unet/unet-s5-d16_fcn_4xb4-40k_chase-db1-128x128.py"
    return tiny("mmseg", name, small, {"dataset_meta": names})


@case
def mmseg_inferencer() -> Any:
    from mmseg.apis import MMSegInferencer

    config, weights = segmentor()
    infer = MMSegInferencer(config, weights, device="cpu")
    images = [cv2.imread(image(number)) for number in range(2)]
    return [
        infer(image(), out_dir="segmented", return_vis=True),
        infer(images, batch_size=2, return_datasamples=True),
        infer(images, return_vis=True, opacity=0.3, with_labels=False),
        written("segmented"),
        infer.model.dataset_meta,
        infer.visualizer.dataset_meta,
    ]


@case
def mmseg_functions() -> Any:
    from mmseg.apis import inference_model, init_model, show_result_pyplot

    config, weights = segmentor()
    model = init_model(config, weights, device="cpu")
    result = inference_model(model, image())
    several = inference_model(model, [image(0), image(1)])
    drawn = show_result_pyplot(
        model, image(), result, show=False, save_dir="shown", out_file="shown/x.png"
    )
    return [result, several, drawn, written("shown")]


# --------------------------------------------------------------------------- mmdet


def detector() -> tuple[str, str]:
    attention = {"embed_dims": 16, "num_heads": 2}
    layer = {"self_attn_cfg": attention, "ffn_cfg": {"embed_dims": 16, "feedforward_channels": 32}}
    small = {
        "model.num_queries": 5,
        "model.backbone.depth": 18,
        "model.backbone.base_channels": 8,
        "model.backbone.init_cfg": None,
        "model.neck.in_channels": [64],
        "model.neck.out_channels": 16,
        "model.encoder": {"num_layers": 1, "layer_cfg": layer},
        "model.decoder": {"num_layers": 1, "layer_cfg": {**layer, "cross_attn_cfg": attention}},
        "model.positional_encoding.num_feats": 8,
        "model.bbox_head.embed_dims": 16,
        "model.test_cfg.max_per_img": 5,
        "test_dataloader.dataset.pipeline.1.scale": (96, 64),
        "test_pipeline.1.scale": (96, 64),
    }
    return tiny("mmdet", "detr/detr_r50_8xb2-150e_coco.py", small)


@case
def mmdet_inferencer() -> Any:
    from mmdet.apis import DetInferencer

    config, weights = detector()
    infer = DetInferencer(config, weights, device="cpu", palette="coco", show_progress=False)
    images = [cv2.imread(image(number)) for number in range(3)]
    low = {"pred_score_thr": 0.0}
    return [
        infer(image(), out_dir="detected", no_save_pred=False, **low),
        infer(images, batch_size=2, return_vis=True, **low),
        infer([image(1)], return_datasamples=True),
        infer(INPUTS, out_dir="all", batch_size=3, **low),
        written("detected"),
        written("all"),
    ]


@case
def mmdet_from_the_checkpoint_alone() -> Any:
    from mmdet.apis import DetInferencer

    _, weights = detector()
    infer = DetInferencer(weights=weights, device="cpu", show_progress=True)
    return [infer(image()), infer.cfg.model.num_queries]


@case
def mmdet_functions() -> Any:
    from mmdet.apis import inference_detector, init_detector

    config, weights = detector()
    model = init_detector(config, weights, device="cpu", palette="random")
    other = init_detector(config, None, device="cpu", cfg_options={"model.num_queries": 3})
    return [
        inference_detector(model, image()),
        inference_detector(model, [cv2.imread(image(1)), cv2.imread(image(2))]),
        other.dataset_meta["classes"][:3],
        other.query_embedding.weight.shape[0],
    ]


# --------------------------------------------------------------------------- mmpose


def pose_estimator() -> tuple[str, str]:
    small = {
        "model.backbone.depth": 18,
        "model.backbone.base_channels": 8,
        "model.backbone.init_cfg": None,
        "model.head.in_channels": 64,
        "model.head.deconv_out_channels": (8, 8, 8),
        # The one on OpenCV makes numbers of arrays, which NumPy 2.4 no longer does.
        "visualizer.backend": "matplotlib",
    }
    name = "body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py"
    return tiny("mmpose", name, small)


@case
def mmpose_inferencer() -> Any:
    from mmpose.apis import MMPoseInferencer

    config, weights = pose_estimator()
    infer = MMPoseInferencer(
        pose2d=config, pose2d_weights=weights, device="cpu", det_model="whole_image"
    )
    results = [
        list(infer(image(), out_dir="posed", kpt_thr=0.0, draw_bbox=True)),
        list(infer([image(0), image(1)], batch_size=2, return_vis=True, kpt_thr=0.0)),
        list(infer(cv2.imread(image(2)), return_datasamples=True)),
        list(infer(image(1), bboxes=[[2, 3, 50, 60]], black_background=True, return_vis=True)),
        list(infer(image(1), draw_heatmap=True, return_vis=True, skeleton_style="openpose")),
    ]
    return [*results, written("posed")]


@case
def mmpose_functions() -> Any:
    from mmpose.apis import inference_topdown, init_model, visualize
    from mmpose.visualization import PoseLocalVisualizer

    config, weights = pose_estimator()
    model = init_model(config, weights, device="cpu")
    result = inference_topdown(model, image(), bboxes=np.array([[5, 5, 40, 60.0]]))
    drawn = visualize(
        image(),
        result[0].pred_instances.keypoints,
        metainfo="configs/_base_/datasets/coco.py",
        visualizer=PoseLocalVisualizer(backend="matplotlib"),
        show_kpt_idx=True,
    )
    return [result, drawn]


# --------------------------------------------------------------------------- mmaction


def recognizer() -> tuple[str, str]:
    # The wheel of 1.2.0 lacks this folder, without which its models cannot be imported.
    stub = ModuleType("mmaction.models.localizers.drn.drn")
    vars(stub)["DRN"] = object
    sys.modules.setdefault(stub.__name__, stub)
    sys.modules.setdefault("mmaction.models.localizers.drn", ModuleType("drn"))
    small = {
        "model.backbone.depth": 18,
        "model.backbone.pretrained": None,
        "model.cls_head.num_classes": 4,
        "model.cls_head.in_channels": 512,
        "test_dataloader.dataset.pipeline.1.num_clips": 2,
        "test_dataloader.dataset.pipeline.3.scale": (-1, 40),
        "test_dataloader.dataset.pipeline.4.crop_size": 32,
    }
    name = "tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb.py"
    return tiny("mmaction", f"recognition/{name}", small)


def frames() -> np.ndarray:
    return np.stack([cv2.imread(image(number % 3)) for number in range(6)])


@case
def mmaction_recognition() -> Any:
    from mmaction.apis.inferencers import ActionRecogInferencer

    config, weights = recognizer()
    infer = ActionRecogInferencer(
        config, weights, device="cpu", label_file=f"{INPUTS}/video/labels.txt", input_format="array"
    )
    return [
        infer(frames(), pred_out_file="actions.json", print_result=True),
        infer([frames(), frames()], batch_size=2, return_datasamples=True),
    ]


@case
def mmaction_from_a_video() -> Any:
    from mmaction.apis.inferencers import MMAction2Inferencer

    config, weights = recognizer()
    infer = MMAction2Inferencer(
        config, weights, device="cpu", label_file=f"{INPUTS}/video/labels.txt", input_format="video"
    )
    return infer(f"{INPUTS}/video/clip.avi", print_result=False)


@case
def mmaction_functions() -> Any:
    from mmaction.apis import inference_recognizer, init_recognizer

    config, weights = recognizer()
    model = init_recognizer(config, weights, device="cpu")
    return inference_recognizer(model, f"{INPUTS}/video/clip.avi")


if __name__ == "__main__":
    main(*sys.argv[1:])
