# Coordinates as classes: another library's backbone and hook, the pipeline switched, averaged
# weights, two data sets sampled by a ratio and evaluated apart, keypoints mapped.
_base_ = "mmpose::body_2d_keypoint/rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py"

codec = dict(
    type="SimCCLabel",
    input_size=(32, 64),
    sigma=(2.0, 2.5),
    simcc_split_ratio=2.0,
    normalize=False,
    use_dark=False,
)
model = dict(
    backbone=dict(deepen_factor=0.1, widen_factor=0.125, init_cfg=None),
    head=dict(
        in_channels=128,
        input_size=codec["input_size"],
        in_featuremap_size=(1, 2),
        final_layer_kernel_size=3,
        gau_cfg=dict(hidden_dims=16, s=8, drop_path=0.1),
        decoder=codec,
    ),
)
ends = [dict(type="LoadImage"), dict(type="GetBBoxCenterScale")]
first_pipeline = [
    *ends,
    dict(type="RandomFlip", direction="horizontal"),
    dict(type="RandomHalfBody"),
    dict(type="RandomBBoxTransform", scale_factor=[0.6, 1.4], rotate_factor=80),
    dict(type="TopdownAffine", input_size=codec["input_size"]),
    dict(type="mmdet.YOLOXHSVRandomAug"),
    dict(type="GenerateTarget", encoder=codec),
    dict(type="PackPoseInputs"),
]
second_pipeline = [
    *ends,
    dict(type="RandomFlip", direction="horizontal"),
    dict(type="RandomBBoxTransform", shift_factor=0.0, rotate_factor=60),
    dict(type="TopdownAffine", input_size=codec["input_size"]),
    dict(type="GenerateTarget", encoder=codec),
    dict(type="PackPoseInputs"),
]
val_pipeline = [
    *ends,
    dict(type="TopdownAffine", input_size=codec["input_size"]),
    dict(type="PackPoseInputs"),
]


def dataset(split, **more):
    return dict(
        type="CocoDataset",
        data_root="data/coco/",
        data_mode="topdown",
        ann_file=f"annotations/keypoints_{split}.json",
        data_prefix=dict(img=f"{split}/"),
        **more,
    )


train_dataloader = dict(
    batch_size=3,
    num_workers=1,
    sampler=dict(_delete_=True, type="MultiSourceSampler", batch_size=3, source_ratio=[2, 1]),
    dataset=dict(
        _delete_=True,
        type="CombinedDataset",
        metainfo=dict(from_file="configs/_base_/datasets/coco.py"),
        datasets=[dataset("train", pipeline=[]), dataset("val", pipeline=[])],
        pipeline=first_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dataset("val", test_mode=True, pipeline=val_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file="data/coco/annotations/keypoints_val.json")
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=3, val_interval=2)
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
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1, max_keep_ckpts=2))
custom_hooks = [
    dict(
        type="EMAHook", ema_type="ExpMomentumEMA", momentum=0.05, update_buffers=True, priority=49
    ),
    dict(type="mmdet.PipelineSwitchHook", switch_epoch=1, switch_pipeline=second_pipeline),
    dict(type="SyncBuffersHook"),
]
del dataset
