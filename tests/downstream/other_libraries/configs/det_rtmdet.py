# The pipeline is switched in the run, pictures are cached; averaged weights; AdamW without decay
# of norms and biases; classes sampled evenly.
_base_ = "mmdet::rtmdet/rtmdet_tiny_8xb32-300e_coco.py"

data_root = "data/coco/"
classes = dict(classes=("person", "car"), palette=[(220, 20, 60), (0, 60, 200)])
size = (64, 64)
model = dict(
    backbone=dict(deepen_factor=0.1, widen_factor=0.125, init_cfg=None),
    neck=dict(in_channels=[32, 64, 128], out_channels=16),
    bbox_head=dict(num_classes=2, in_channels=16, feat_channels=16),
    test_cfg=dict(nms_pre=100, score_thr=0.0, max_per_img=10),
)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="CachedMosaic", img_scale=size, pad_val=114.0, max_cached_images=6, random_pop=False),
    dict(type="RandomResize", scale=(128, 128), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=size),
    dict(type="YOLOXHSVRandomAug"),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Pad", size=size, pad_val=dict(img=(114, 114, 114))),
    dict(
        type="CachedMixUp",
        img_scale=size,
        ratio_range=(1.0, 1.0),
        max_cached_images=6,
        random_pop=False,
        pad_val=(114, 114, 114),
        prob=0.5,
    ),
    dict(type="PackDetInputs"),
]
second_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="RandomResize", scale=size, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type="RandomCrop", crop_size=size),
    dict(type="RandomFlip", prob=0.5),
    dict(type="Pad", size=size, pad_val=dict(img=(114, 114, 114))),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=size, keep_ratio=True),
    dict(type="Pad", size=size, pad_val=dict(img=(114, 114, 114))),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]
train_dataloader = dict(
    batch_size=3,
    num_workers=1,
    sampler=dict(_delete_=True, type="ClassAwareSampler", num_sample_class=1),
    dataset=dict(
        data_root=data_root,
        metainfo=classes,
        ann_file="annotations/train.json",
        data_prefix=dict(img="train/"),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=2,
    num_workers=1,
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
train_cfg = dict(max_epochs=3, val_interval=2, dynamic_intervals=[(2, 1)])
param_scheduler = [
    dict(type="LinearLR", start_factor=1.0e-5, by_epoch=False, begin=0, end=3),
    dict(
        type="CosineAnnealingLR",
        eta_min=0.0002,
        begin=1,
        end=3,
        T_max=2,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
randomness = dict(seed=3)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=2))
custom_hooks = [
    dict(
        type="EMAHook", ema_type="ExpMomentumEMA", momentum=0.05, update_buffers=True, priority=49
    ),
    dict(type="PipelineSwitchHook", switch_epoch=2, switch_pipeline=second_pipeline),
]
