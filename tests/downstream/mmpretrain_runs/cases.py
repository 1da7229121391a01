"""The configs of mmpretrain's zoo that are run, and how they are made small."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent

# Two epochs of three iterations, on two cores.
_SHORT = ("train_cfg.max_epochs=2", "train_dataloader.batch_size=4", "randomness.seed=3")
_RECORD = ("default_hooks.recorder.type=mmengine.Recorder", "default_hooks.logger.interval=2")
_SHORT_WARMUP = ("param_scheduler.0.end=1", "param_scheduler.1.begin=1")
_TINY_RESNET = ("model.backbone.base_channels=8", "model.backbone.stem_channels=8")


def _loaders(stages: str, root: str, workers: int = 0) -> tuple[str, ...]:
    options: list[str] = []
    for stage in stages.split():
        options += [
            f"{stage}_dataloader.num_workers={workers}",
            f"{stage}_dataloader.dataset.data_root={{data}}/{root}",
        ]
        if stage != "train":
            options.append(f"{stage}_dataloader.batch_size=3")
        if not workers:  # torch refuses them without workers
            options.append(f"{stage}_dataloader.persistent_workers=False")
    return tuple(options)


def _sizes(train: str, *evaluation: str) -> tuple[str, ...]:
    """Return options for image sizes: ``PATH=VALUE`` below the pipelines."""
    options = [f"train_dataloader.dataset.pipeline.{train}"]
    for stage in ("val", "test"):
        options += [f"{stage}_dataloader.dataset.pipeline.{one}" for one in evaluation]
    return tuple(options)


def _view(index: int, jitter: int = 1) -> tuple[str, str]:
    path = f"train_dataloader.dataset.pipeline.1.transforms.{index}"
    # mmcv 2.1.0 turns negative hues into uint8, which NumPy 2 refuses.
    return f"{path}.0.scale=32", f"{path}.{jitter}.transforms.0.hue=0.0"


@dataclass(frozen=True)
class Case:
    """One config of the zoo.

    Attributes:
        config: Its path below ``.mim/configs``, or a file of this folder.
        options: For ``--cfg-options``; ``{data}`` is the folder of the data sets.
        tests: Whether it has a test section.
        test_args: More arguments of ``tools/test.py``.
        resumes: Whether to go on from the first epoch's checkpoint too.
        tests_copy: Whether the test reads the copy of the config that training left, as it is.
        processes: ``own_fit``, ``own_run``: commands to run in a process of their own too.
        doors: How mm2pl trains; MMEngine does so by ``train``, the library's script.
        distributed: Whether to train in two processes too.
        after: A job whose files ``{runs}`` in the options leads to.
    """

    config: str
    options: tuple[str, ...]
    tests: bool = True
    test_args: tuple[str, ...] = ()
    resumes: bool = False
    tests_copy: bool = False
    processes: tuple[str, ...] = ()
    doors: tuple[str, ...] = ("train", "fit", "from_cfg")
    after: str | None = None
    distributed: bool = False

    def path(self, library: Path) -> str:
        """Return the config's file."""
        own = HERE / self.config
        return str(own if own.exists() else library / ".mim/configs" / self.config)

    def all_options(self, data: str, runs: Path) -> list[str]:
        """Return all options."""
        options = (*_SHORT, *_RECORD, *self.options)
        return [one.replace("{data}", data).replace("{runs}", str(runs)) for one in options]


_ALL = "train val test"
_TEN_CLASSES = ("model.head.num_classes=10", "data_preprocessor.num_classes=10")
_SMALL_IMAGES = _sizes("1.scale=32", "1.scale=36", "2.crop_size=32")
_SMALL_VIEWS = (
    *_view(0),
    *_loaders("train", "imagenet"),
    *_TINY_RESNET,
)
_TINY_TRANSFORMER = (
    "model.backbone.arch._delete_=True",
    "model.backbone.arch.embed_dims=24",
    "model.backbone.arch.num_layers=2",
    "model.backbone.arch.num_heads=2",
    "model.backbone.arch.feedforward_channels=48",
    "model.backbone.img_size=32",
)

CASES: dict[str, Case] = {
    "resnet_cifar10": Case(
        "cifar10_resnet18.py",
        (
            *_loaders(_ALL, "cifar10"),
            "model.backbone.base_channels=8",
            "model.head.in_channels=64",
            "param_scheduler.milestones=[1]",
        ),
        resumes=True,
        test_args=("--out", "{work_dir}/predictions.pkl"),
        processes=("own_fit", "own_run"),
        distributed=True,
    ),
    "resnet": Case(
        "resnet/resnet50_8xb32-coslr-preciseBN_in1k.py",
        (
            *_TEN_CLASSES,
            *_loaders(_ALL, "imagenet", workers=2),
            *_SMALL_IMAGES,
            *_TINY_RESNET,
            "model.head.in_channels=256",
        ),
        test_args=("--out", "{work_dir}/metrics.json", "--out-item", "metrics"),
    ),
    "vit": Case(
        "vision_transformer/vit-base-p16_64xb64_in1k.py",
        (
            *_TEN_CLASSES,
            *_loaders(_ALL, "imagenet"),
            *_SMALL_IMAGES,
            *_TINY_TRANSFORMER,
            "model.head.in_channels=24",
            "model.head.hidden_dim=20",
        ),
        test_args=("--tta",),
        tests_copy=True,  # --cfg-options would not go into the model in the TTA model
    ),
    "swin": Case(
        "swin_transformer/swin-tiny_16xb64_in1k.py",
        (
            *_TEN_CLASSES,
            *_loaders(_ALL, "imagenet"),
            *_sizes("1.scale=64", "1.scale=70", "2.crop_size=64"),
            "model.backbone.arch._delete_=True",
            "model.backbone.arch.embed_dims=12",
            "model.backbone.arch.depths=[1,1,2,1]",
            "model.backbone.arch.num_heads=[1,1,2,2]",
            "model.backbone.img_size=64",
            "model.backbone.window_size=2",
            "model.head.in_channels=96",
            *_SHORT_WARMUP,
            "optim_wrapper.accumulative_counts=2",
        ),
    ),
    "convnext": Case(
        "convnext/convnext-tiny_32xb128_in1k.py",
        (
            *_TEN_CLASSES,
            *_loaders(_ALL, "imagenet"),
            *_SMALL_IMAGES,
            "model.backbone.arch._delete_=True",
            "model.backbone.arch.channels=[8,12,16,24]",
            "model.backbone.arch.depths=[1,1,2,1]",
            "model.head.in_channels=24",
            *_SHORT_WARMUP,
            "custom_hooks.0.momentum=0.1",
            "custom_hooks.0.evaluate_on_origin=True",
        ),
        resumes=True,
    ),
    "efficientnet": Case(
        "efficientnet/efficientnet-b0_8xb32_in1k.py",
        (
            *_TEN_CLASSES,
            *_loaders(_ALL, "imagenet"),
            "train_dataloader.dataset.pipeline.1.scale=32",
            "val_dataloader.dataset.pipeline.1.crop_size=32",
            "test_dataloader.dataset.pipeline.1.crop_size=32",
        ),
    ),
    "multi_label": Case(
        "csra/resnet101-csra_1xb16_voc07-448px.py",
        (
            *_loaders(_ALL, "VOC2007"),
            *_sizes("1.scale=48", "1.scale=48"),
            *_TINY_RESNET,
            "model.backbone.init_cfg=None",
            "model.head.in_channels=256",
        ),
    ),
    "mae": Case(
        "mae/mae_vit-base-p16_8xb512-amp-coslr-300e_in1k.py",
        (
            *_loaders("train", "imagenet"),
            "train_dataloader.dataset.pipeline.1.scale=32",
            *_TINY_TRANSFORMER,
            "model.neck.num_patches=4",
            "model.neck.embed_dim=24",
            "model.neck.decoder_embed_dim=16",
            "model.neck.decoder_depth=1",
            "model.neck.decoder_num_heads=2",
            # MMEngine's AmpOptimWrapper needs a GPU.
            "optim_wrapper._delete_=True",
            "optim_wrapper.optimizer.type=AdamW",
            "optim_wrapper.optimizer.lr=0.0024",
            "optim_wrapper.optimizer.weight_decay=0.05",
            "optim_wrapper.optimizer.betas=[0.9,0.95]",
            "optim_wrapper.paramwise_cfg.custom_keys.bias.decay_mult=0.0",
            "optim_wrapper.paramwise_cfg.custom_keys.pos_embed.decay_mult=0.0",
        ),
        tests=False,
        resumes=True,
    ),
    "mocov2": Case(
        "mocov2/mocov2_resnet50_8xb32-coslr-200e_in1k.py",
        (
            *_SMALL_VIEWS,
            "model.queue_len=16",
            "model.neck.in_channels=256",
            "model.neck.hid_channels=32",
        ),
        tests=False,
    ),
    "byol": Case(
        "byol/byol_resnet50_16xb256-coslr-200e_in1k.py",
        (
            *_view(0, jitter=2),
            *_view(1, jitter=2),
            *_loaders("train", "imagenet"),
            *_TINY_RESNET,
            "model.neck.in_channels=256",
            "model.neck.hid_channels=32",
            "model.head.predictor.hid_channels=32",
        ),
        tests=False,
    ),
    "simsiam": Case(
        "simsiam/simsiam_resnet50_8xb32-coslr-100e_in1k.py",
        (
            *_SMALL_VIEWS,
            "model.neck.in_channels=256",
            "model.neck.hid_channels=32",
            "model.neck.out_channels=24",
            "model.head.predictor.in_channels=24",
            "model.head.predictor.hid_channels=16",
            "model.head.predictor.out_channels=24",
            "default_hooks.checkpoint.interval=1",
        ),
        tests=False,
    ),
    "simclr": Case(
        "simclr/simclr_resnet50_8xb32-coslr-200e_in1k.py",
        (
            *_view(0, jitter=2),
            *_loaders("train", "imagenet"),
            *_TINY_RESNET,
            "model.neck.in_channels=256",
            "model.neck.hid_channels=32",
            "default_hooks.checkpoint.interval=1",
        ),
        tests=False,
    ),
    # Hooks, samplers and optimizers of the library's own, by its script alone.
    "switched_recipe": Case(
        "mobileone_recipes.py",
        (
            *_TEN_CLASSES,
            "data_preprocessor.to_onehot=True",
            *_loaders(_ALL, "imagenet", workers=1),
            *_SMALL_IMAGES,
            *_SHORT_WARMUP,
        ),
        doors=("train",),
        resumes=True,
    ),
    "rsb": Case(
        "resnet/resnet50_8xb256-rsb-a2-300e_in1k.py",
        (
            *_TEN_CLASSES,
            *_loaders(_ALL, "imagenet"),
            *_SMALL_IMAGES,
            *_TINY_RESNET,
            *_SHORT_WARMUP,
            "model.head.in_channels=256",
        ),
        doors=("train",),
    ),
    "swav": Case(
        "swav/swav_resnet50_8xb32-mcrop-coslr-200e_in1k-224px-96px.py",
        (
            *_view(0),
            *_view(1),
            "train_dataloader.num_workers=0",
            "train_dataloader.persistent_workers=False",
            "train_dataloader.dataset.data_root={data}/imagenet",
            *_TINY_RESNET,
            "model.neck.in_channels=256",
            "model.neck.hid_channels=32",
            "model.neck.out_channels=16",
            "model.head.loss.feat_dim=16",
            "model.head.loss.num_prototypes=20",
            "custom_hooks.0.batch_size=4",
            "custom_hooks.0.feat_dim=16",
            "custom_hooks.0.epoch_queue_starts=1",
            "custom_hooks.0.queue_length=8",
            "custom_hooks.0.frozen_layers_cfg.prototypes=2",
            "default_hooks.checkpoint.interval=1",
        ),
        tests=False,
        doors=("train",),
    ),
    "retrieval": Case(
        "arcface/resnet50-arcface_8xb32_inshop.py",
        (
            *_loaders(_ALL, "inshop"),
            *_sizes("1.scale=40", "1.scale=40", "2.crop_size=32"),
            "train_dataloader.dataset.pipeline.2.crop_size=32",
            *_SHORT_WARMUP,
            "model.image_encoder.0.init_cfg=None",
            "model.image_encoder.0.base_channels=8",
            "model.image_encoder.0.stem_channels=8",
            "model.head.in_channels=256",
            "model.head.num_classes=4",
            "data_preprocessor.num_classes=4",
            "model.prototype.dataset.data_root={data}/inshop",
            "model.prototype.dataset.pipeline.1.scale=40",
            "model.prototype.dataset.pipeline.2.crop_size=32",
            "model.prototype.num_workers=0",
            "model.prototype.batch_size=3",
        ),
        doors=("train",),
    ),
    "fine_tuned": Case(
        "mae/benchmarks/vit-base-p16_8xb128-coslr-100e_in1k.py",
        (
            *_TEN_CLASSES,
            *_loaders(_ALL, "imagenet"),
            *_SMALL_IMAGES,
            *_TINY_TRANSFORMER,
            *_SHORT_WARMUP,
            "model.head.in_channels=24",
            "model.backbone.init_cfg.checkpoint={runs}/mae/train/epoch_2.pth",
        ),
        doors=("train",),
        after="mae train",
    ),
}
