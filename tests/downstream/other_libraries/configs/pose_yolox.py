# People and keypoints at once: mosaics that a hook ends, averaged weights that load leniently,
# every schedule of the zoo's config.
_base_ = "mmpose::body_2d_keypoint/yoloxpose/coco/yoloxpose_tiny_4xb64-300e_coco-416.py"

input_size = (64, 64)
codec = dict(type="YOLOXPoseAnnotationProcessor", input_size=input_size)
model = dict(
    data_preprocessor=dict(
        batch_augments=[
            dict(
                type="BatchSyncRandomResize",
                random_size_range=(32, 96),
                size_divisor=32,
                interval=1,
            )
        ]
    ),
    backbone=dict(deepen_factor=0.1, widen_factor=0.125, init_cfg=None),
    neck=dict(in_channels=[32, 64, 128], out_channels=32),
    head=dict(head_module_cfg=dict(in_channels=256, feat_channels=64, widen_factor=0.125)),
    test_cfg=dict(score_thr=0.0),
)
load = dict(type="LoadImage", backend_args=None)
affine = dict(
    type="BottomupRandomAffine",
    input_size=input_size,
    pad_val=114,
    bbox_keep_corner=False,
    clip_border=True,
)
common = [
    dict(type="YOLOXHSVRandomAug"),
    dict(type="RandomFlip"),
    dict(type="FilterAnnotations", by_kpt=True, by_box=True, keep_empty=False),
    dict(type="GenerateTarget", encoder=codec),
    dict(type="PackPoseInputs"),
]
first_pipeline = [
    load,
    dict(type="Mosaic", img_scale=input_size, pad_val=114.0, pre_transform=[load]),
    dict(
        shift_factor=0.1,
        rotate_factor=10,
        scale_factor=(0.75, 1.0),
        distribution="uniform",
        transform_mode="perspective",
        **affine,
    ),
    dict(
        type="YOLOXMixUp",
        img_scale=input_size,
        ratio_range=(0.8, 1.6),
        pad_val=114.0,
        pre_transform=[load],
    ),
    *common,
]
second_pipeline = [
    load,
    dict(shift_prob=0, rotate_prob=0, scale_prob=0, scale_type="long", **affine),
    *common,
]
train_dataloader = dict(
    batch_size=3,
    num_workers=1,
    dataset=dict(
        ann_file="coco/annotations/keypoints_train.json",
        data_prefix=dict(img="coco/train/"),
        pipeline=first_pipeline,
    ),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        ann_file="coco/annotations/keypoints_val.json",
        data_prefix=dict(img="coco/val/"),
        pipeline=[
            dict(type="LoadImage"),
            dict(type="BottomupResize", input_size=input_size, pad_val=(114, 114, 114)),
            dict(
                type="PackPoseInputs",
                meta_keys=(
                    "id",
                    "img_id",
                    "img_path",
                    "ori_shape",
                    "img_shape",
                    "input_size",
                    "input_center",
                    "input_scale",
                ),
            ),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file="data/coco/annotations/keypoints_val.json")
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=4, val_interval=3, dynamic_intervals=[(3, 1)])
param_scheduler = [
    dict(type="QuadraticWarmupLR", by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
    dict(
        type="CosineAnnealingLR",
        eta_min=0.0002,
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
    dict(
        type="YOLOXPoseModeSwitchHook",
        num_last_epochs=2,
        new_train_pipeline=second_pipeline,
        priority=48,
    ),
    dict(type="SyncNormHook", priority=48),
    dict(
        type="EMAHook",
        ema_type="ExpMomentumEMA",
        momentum=0.05,
        update_buffers=True,
        strict_load=False,
        priority=49,
    ),
]
