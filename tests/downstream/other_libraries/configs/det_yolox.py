# Mosaics of several pictures, whose end a hook brings about in the loader at work; averaged
# weights with their buffers; three schedules; validation after every epoch near the end.
_base_ = "mmdet::yolox/yolox_tiny_8xb8-300e_coco.py"

data_root = "data/coco/"
classes = dict(classes=("person", "car"), palette=[(220, 20, 60), (0, 60, 200)])
size = (64, 64)
model = dict(
    data_preprocessor=dict(
        batch_augments=[
            dict(
                type="BatchSyncRandomResize",
                random_size_range=(32, 96),
                size_divisor=32,
                interval=2,
            )
        ]
    ),
    backbone=dict(deepen_factor=0.1, widen_factor=0.125),
    neck=dict(in_channels=[32, 64, 128], out_channels=16),
    bbox_head=dict(num_classes=2, in_channels=16, feat_channels=16),
    test_cfg=dict(score_thr=0.0, max_per_img=10),
)
train_pipeline = [
    dict(type="Mosaic", img_scale=size, pad_val=114.0),
    dict(type="RandomAffine", scaling_ratio_range=(0.5, 1.5), border=(-32, -32)),
    dict(type="MixUp", img_scale=size, ratio_range=(0.8, 1.6), pad_val=114.0),
    dict(type="YOLOXHSVRandomAug"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Resize", scale=size, keep_ratio=True),
    dict(type="Pad", pad_to_square=True, pad_val=dict(img=(114.0, 114.0, 114.0))),
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1, 1), keep_empty=False),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=size, keep_ratio=True),
    dict(type="Pad", pad_to_square=True, pad_val=dict(img=(114.0, 114.0, 114.0))),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]
train_dataloader = dict(
    batch_size=3,
    num_workers=1,
    dataset=dict(
        dataset=dict(
            data_root=data_root,
            metainfo=classes,
            ann_file="annotations/train.json",
            data_prefix=dict(img="train/"),
        ),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        metainfo=classes,
        ann_file="annotations/val.json",
        data_prefix=dict(img="val/"),
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + "annotations/val.json")
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=4, val_interval=3, dynamic_intervals=[(3, 1)])
param_scheduler = [
    dict(type="mmdet.QuadraticWarmupLR", by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR",
        eta_min=0.0005,
        begin=1,
        T_max=3,
        end=3,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
    dict(type="ConstantLR", by_epoch=True, factor=1, begin=3, end=4),
]
randomness = dict(seed=3)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=2))
custom_hooks = [
    dict(type="YOLOXModeSwitchHook", num_last_epochs=2, priority=48),
    dict(type="SyncNormHook", priority=48),
    dict(
        type="EMAHook", ema_type="ExpMomentumEMA", momentum=0.05, update_buffers=True, priority=49
    ),
]
