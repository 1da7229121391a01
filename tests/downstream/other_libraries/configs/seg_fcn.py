# A zoo config that counts iterations, made small: auxiliary head, SyncBN, images of the results.
_base_ = "mmseg::fcn/fcn_r50-d8_4xb4-80k_ade20k-512x512.py"

norm_cfg = dict(type="SyncBN", requires_grad=True)
data_preprocessor = dict(size=(48, 48))
model = dict(
    pretrained=None,
    data_preprocessor=data_preprocessor,
    backbone=dict(depth=18, base_channels=8, stem_channels=8),
    decode_head=dict(in_channels=64, channels=8, num_classes=6),
    auxiliary_head=dict(in_channels=32, channels=8, num_classes=6),
)
dataset = dict(
    type="BaseSegDataset",
    data_root="data/segmentation",
    metainfo=dict(classes=list("abcdef"), palette=[[40 * i, 90, 200 - 30 * i] for i in range(6)]),
    img_suffix=".png",
)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations"),
    dict(type="RandomResize", scale=(96, 72), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=(48, 48), cat_max_ratio=0.75),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PhotoMetricDistortion"),
    dict(type="PackSegInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(80, 64), keep_ratio=True),
    dict(type="LoadAnnotations"),
    dict(type="PackSegInputs"),
]
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    dataset=dict(
        _delete_=True,
        data_prefix=dict(img_path="img/train", seg_map_path="ann/train"),
        pipeline=train_pipeline,
        **dataset,
    ),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        data_prefix=dict(img_path="img/val", seg_map_path="ann/val"),
        pipeline=test_pipeline,
        **dataset,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(iou_metrics=["mIoU", "mDice"])
test_evaluator = val_evaluator
train_cfg = dict(max_iters=6, val_interval=3)
param_scheduler = [dict(type="PolyLR", eta_min=1e-4, power=0.9, begin=0, end=6, by_epoch=False)]
randomness = dict(seed=3)
default_hooks = dict(
    logger=dict(interval=2),
    checkpoint=dict(interval=3, save_best="mIoU", max_keep_ckpts=2),
    visualization=dict(draw=True, interval=2),
)
