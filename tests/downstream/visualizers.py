"""Draws with real libraries' visualizers, on MMEngine or on mm2pl: a program, run on its own.

Usage: ``python visualizers.py (mmengine | mm2pl) FOLDER``. Files are written to FOLDER, and beside
them ``results.npz``: what each call returned, and the contents of each file that it wrote.
"""

from __future__ import annotations

import importlib
import os
import sys
import types
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

CLASSES = ["cat", "dog", "bird"]
PALETTE = [(220, 20, 60), (119, 11, 32), (0, 0, 142)]
META = {"classes": CLASSES, "palette": PALETTE}
IMAGE = np.random.default_rng(0).integers(0, 256, (120, 160, 3), "uint8")
BOXES = torch.tensor([[10.0, 12.0, 70.0, 60.0], [50.5, 30.25, 150.0, 110.0], [5.0, 5.0, 9.0, 9.0]])
LABELS = torch.tensor([0, 2, 1])
SCORES = torch.tensor([0.9, 0.512, 0.1])
MASKS = np.zeros((3, 120, 160), bool)
MASKS[0, 12:60, 10:70] = MASKS[1, 30:110, 50:150] = MASKS[2, 5:9, 5:9] = True
SEGMENTS = torch.from_numpy(np.indices((120, 160))[1] // 60)[None]
Cases = Iterator[tuple[str, Callable[[], Any]]]


def mmpretrain(folder: str) -> Cases:
    import cv2
    from mmpretrain.structures import DataSample
    from mmpretrain.visualization import UniversalVisualizer

    for number in range(3):
        cv2.imwrite(f"{folder}/{number}.png", np.roll(IMAGE, number * 20, 1))

    class Prototypes:
        def get_data_info(self, index: int) -> dict[str, str]:
            return {"img_path": f"{folder}/{index}.png"}

    def visualizer() -> Any:
        made = UniversalVisualizer(vis_backends=[{"type": "LocalVisBackend"}], save_dir=folder)
        made.dataset_meta = {"classes": CLASSES}
        return made

    sample = DataSample().set_gt_label([0, 2]).set_pred_label(1).set_pred_score(SCORES)
    sample.set_field(MASKS[0].astype("uint8"), "mask")
    sample.set_field("a caption that is longer than the image is wide, and wrapped", "pred_caption")
    sample.set_field("what is it?", "question")
    sample.set_field("a bird", "pred_answer")
    sample.set_field("the bird", "text")

    def grounded() -> Any:
        own = sample.clone()
        own.set_field(BOXES.clone(), "pred_bboxes")
        own.set_field(BOXES.clone() + 1, "gt_bboxes")
        return own

    calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
        ("cls", (), {}),
        ("cls", (), {"resize": 224, "draw_score": False}),
        ("cls", (), {"rescale_factor": 2.0, "text_cfg": {"color": "r", "size": 20}}),
        ("cls", (), {"draw_gt": False, "out_file": f"{folder}/cls/out.png"}),
        ("image_retrieval", (Prototypes(),), {"topk": 2}),
        ("masked_image", (), {}),
        ("masked_image", (), {"color": (9, 90, 200), "alpha": 0.4, "resize": (80, 60)}),
        ("image_caption", (), {"resize": 100}),
        ("vqa", (), {}),
        ("visual_grounding", (), {"resize": 200, "line_width": 7}),
        ("i2t_retrieval", (["one", "two", "three"],), {"topk": 3}),
    ]
    for number, (method, more, options) in enumerate(calls):
        own = grounded() if method == "visual_grounding" else sample
        call = getattr(visualizer(), f"visualize_{method}")
        given = {"name": f"{method}", "step": number, **options}
        yield f"{number} {method}", lambda c=call, o=own, m=more, g=given: c(IMAGE, o, *m, **g)
    text = visualizer().visualize_t2i_retrieval
    yield "t2i", lambda: text("a text", sample, Prototypes(), topk=2, name="t2i")


def mmpretrain_run(folder: str) -> None:
    """Train two epochs with mmpretrain's hook, which draws the validation's images."""
    import cv2
    from mmengine.config import Config
    from mmengine.runner import Runner

    for number, name in enumerate(CLASSES):
        os.makedirs(f"{folder}/images/{name}")
        cv2.imwrite(f"{folder}/images/{name}/{name}.png", np.roll(IMAGE, number * 20, 1)[:64, :64])
    hook = {"type": "VisualizationHook", "enable": True, "interval": 2}
    loader = {
        "batch_size": 2,
        "sampler": {"type": "DefaultSampler", "shuffle": False},
        "dataset": {
            "type": "CustomDataset",
            "data_root": f"{folder}/images",
            "pipeline": [{"type": "LoadImageFromFile"}, {"type": "PackInputs"}],
        },
    }
    config = {
        "default_scope": "mmpretrain",
        "model": {
            "type": "ImageClassifier",
            "backbone": {"type": "ResNet_CIFAR", "depth": 18},
            "neck": {"type": "GlobalAveragePooling"},
            "head": {"type": "LinearClsHead", "num_classes": 3, "in_channels": 512},
            "data_preprocessor": {"mean": [127.0] * 3, "std": [60.0] * 3, "to_rgb": True},
        },
        "train_dataloader": loader,
        "val_dataloader": loader,
        "train_cfg": {"by_epoch": True, "max_epochs": 2},
        "val_cfg": {},
        "val_evaluator": {"type": "Accuracy", "topk": 1},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.01}},
        "default_hooks": {"visualization": hook},
        "custom_hooks": [{**hook, "out_dir": f"{folder}/own"}],
        "visualizer": {
            "type": "UniversalVisualizer",
            "vis_backends": [{"type": "LocalVisBackend"}],
            "save_dir": f"{folder}/drawn",
        },
        "randomness": {"seed": 0},
        "work_dir": f"{folder}/work",
    }
    Runner.from_cfg(Config(config)).train()


def mmseg(folder: str) -> Cases:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample
    from mmseg.visualization import SegLocalVisualizer

    sample = SegDataSample(gt_sem_seg=PixelData(data=SEGMENTS))
    sample.pred_sem_seg = PixelData(data=2 - SEGMENTS)
    depth = SegDataSample(gt_depth_map=PixelData(data=torch.rand(1, 60, 80)))
    depth.pred_depth_map = PixelData(data=torch.rand(1, 120, 160).numpy())
    for number, (own, options) in enumerate(
        (
            (sample, {}),
            (sample, {"with_labels": False, "draw_gt": False}),
            (sample, {"draw_pred": False, "out_file": f"{folder}/out.png"}),
            (depth, {}),
        )
    ):
        backends = [{"type": "LocalVisBackend"}]
        made = SegLocalVisualizer(vis_backends=backends, save_dir=folder, alpha=0.5)
        made.dataset_meta = META
        yield (
            str(number),
            lambda m=made, n=number, s=own, o=options: (
                m.add_datasample("seg", IMAGE, s, step=n, **o),
                m.get_image(),
            )[1],
        )


def mmdet(folder: str) -> Cases:
    from mmdet.structures import DetDataSample
    from mmdet.visualization import DetLocalVisualizer, TrackLocalVisualizer, local_visualizer
    from mmengine.structures import InstanceData, PixelData

    truth = InstanceData(bboxes=BOXES, labels=LABELS, masks=MASKS)
    found = InstanceData(bboxes=BOXES + 3, labels=LABELS, scores=SCORES)
    bare = InstanceData(labels=LABELS, masks=torch.from_numpy(MASKS), scores=SCORES)
    sample = DetDataSample(gt_instances=truth)
    sample.pred_instances = found
    masks = DetDataSample(pred_instances=bare)
    segments = DetDataSample(gt_sem_seg=PixelData(sem_seg=SEGMENTS))
    panoptic = DetDataSample(
        gt_panoptic_seg=PixelData(sem_seg=(SEGMENTS + 1000 * (SEGMENTS > 0)).numpy()),
    )
    panoptic.pred_panoptic_seg = PixelData(sem_seg=2 - SEGMENTS)
    for number, (own, options) in enumerate(
        (
            (sample, {}),
            (sample, {"draw_gt": False, "pred_score_thr": 0.0}),
            (sample, {"draw_pred": False, "out_file": f"{folder}/out.png"}),
            (masks, {"draw_gt": False}),
            (segments, {"draw_pred": False}),
            (panoptic, {}),
            (None, {}),
        )
    ):
        made = DetLocalVisualizer(
            vis_backends={"type": "LocalVisBackend"}, save_dir=folder, line_width=2
        )
        made.dataset_meta = META

        def draw(made: Any = made, own: Any = own, n: int = number, options: Any = options) -> Any:
            np.random.seed(0)  # mmdet shifts the masks' colours at random
            made.add_datasample("det", IMAGE, own, step=n, **options)
            return made.get_image()

        yield str(number), draw

    # What seaborn is asked for, which is not there.
    local_visualizer.sns = types.SimpleNamespace(color_palette=lambda: np.eye(3) * 0.7)
    tracks = InstanceData(bboxes=BOXES, labels=LABELS, scores=SCORES, masks=MASKS)
    tracks.instances_id = torch.tensor([5, 6, 7])
    tracked = DetDataSample(gt_instances=tracks)
    tracked.pred_track_instances = tracks
    tracker = TrackLocalVisualizer(vis_backends={"type": "LocalVisBackend"}, save_dir=folder)

    def track() -> Any:
        tracker.add_datasample("track", IMAGE, tracked)
        return tracker.get_image()

    yield "tracks", track


def mmpose(folder: str) -> Cases:
    # Left out: keypoints on OpenCV, for which mmpose makes an array a number (NumPy 2.4 refuses),
    # and poses in space, for which it asks the canvas for RGB (gone from matplotlib 3.10).
    from mmengine.structures import InstanceData, PixelData
    from mmpose.structures import PoseDataSample
    from mmpose.visualization import PoseLocalVisualizer

    links = {
        "classes": CLASSES,
        "keypoint_colors": np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 0]]),
        "skeleton_links": [(0, 1), (1, 2), (2, 3)],
        "skeleton_link_colors": np.array([[0, 255, 255], [255, 0, 255], [128, 128, 0]]),
    }
    points = np.array([[[20, 20], [60, 30], [80, 90], [30, 80]]] * 3, "float32")
    points += np.arange(3, dtype="float32")[:, None, None] * 15
    people = InstanceData(
        keypoints=points,
        keypoints_visible=np.ones((3, 4), "float32"),
        keypoint_scores=np.linspace(0.2, 1, 12, dtype="float32").reshape(3, 4),
        bboxes=BOXES.numpy(),
        labels=LABELS.numpy(),
    )
    sample = PoseDataSample(gt_instances=people)
    sample.pred_instances = people
    sample.gt_fields = PixelData(heatmaps=torch.rand(4, 120, 160))
    sample.pred_fields = PixelData(heatmaps=torch.rand(4, 30, 40).numpy())
    boxed = PoseDataSample(gt_instances=InstanceData(bboxes=BOXES.numpy(), labels=LABELS.numpy()))
    boxed.gt_fields = sample.gt_fields
    everything = {"draw_bbox": True, "draw_heatmap": True, "show_kpt_idx": True}
    one = {"draw_gt": False, "out_file": f"{folder}/out.png", "kpt_thr": 0.6}
    for number, (backend, own, options) in enumerate(
        (
            ("opencv", boxed, everything),
            ("matplotlib", boxed, everything),
            ("matplotlib", sample, {}),
            ("matplotlib", sample, everything),
            ("matplotlib", sample, one),
        )
    ):
        made = PoseLocalVisualizer(
            vis_backends=[{"type": "LocalVisBackend"}],
            save_dir=folder,
            backend=backend,
            line_width=3,
            alpha=0.7,
        )
        made.set_dataset_meta(links)
        yield (
            str(number),
            lambda m=made, s=own, n=number, o=options: m.add_datasample(
                "pose", IMAGE, s, step=n, **o
            ),
        )


def mmaction(folder: str) -> Cases:
    from mmaction.structures import ActionDataSample
    from mmaction.visualization import ActionVisualizer
    from mmengine.structures import LabelData

    video = np.stack([np.roll(IMAGE, number * 9, 1) for number in range(3)])
    sample = ActionDataSample()
    sample.pred_labels = LabelData(item=torch.tensor([2, 0]), score=SCORES)
    for number, options in enumerate(
        (
            {},
            {"rescale_factor": 2.0, "draw_score": False},
            {"target_resolution": (100, -1), "text_cfg": {"colors": "r"}},
            {"out_path": f"{folder}/own/clip"},
        )
    ):
        made = ActionVisualizer(vis_backends=[{"type": "LocalVisBackend"}], save_dir=folder)
        made.dataset_meta = {"classes": CLASSES}
        yield (
            str(number),
            lambda m=made, n=number, o=options: m.add_datasample(
                "action", video, sample, step=n, **o
            ),
        )


def contents(folder: Path, suffix: str = "") -> Iterator[tuple[str, Any]]:
    import cv2

    for path in sorted(path for path in folder.rglob(f"*{suffix}") if path.is_file()):
        name = f"file {path.relative_to(folder).as_posix()}"
        if path.suffix == ".png":
            yield name, cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        else:
            yield name, np.frombuffer(path.read_bytes(), np.uint8)


def main(engine: str, folder: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    warnings.simplefilter("ignore")
    if engine == "mm2pl":
        import mm2pl

        mm2pl.install_as_mmengine()
    results: dict[str, Any] = {}
    mmpretrain_run(f"{folder}/run")
    results |= {f"run {name}": image for name, image in contents(Path(folder) / "run", ".png")}
    for cases in (mmpretrain, mmseg, mmdet, mmpose, mmaction):
        library = cases.__name__
        own = Path(folder) / library
        own.mkdir(parents=True)
        scope = importlib.import_module("mmengine.registry").DefaultScope
        scope.get_instance(library, scope_name=library)
        torch.manual_seed(0)
        for name, draw in cases(os.fspath(own)):
            drawn = np.asarray(draw())
            results[f"{library} {name}"] = drawn
        results |= {f"{library} {name}": content for name, content in contents(own)}
    np.savez(f"{folder}/results.npz", **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
