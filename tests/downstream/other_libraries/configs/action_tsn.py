# Frames of clips: the best kept by the library's default, buffers synchronized, pictures of the
# results, ten crops in the test, predictions dumped.
_base_ = "mmaction::recognition/tsn/tsn_imagenet-pretrained-r50_8xb32-1x1x3-100e_kinetics400-rgb.py"

model = dict(
    backbone=dict(pretrained=None, depth=18),
    cls_head=dict(num_classes=3, in_channels=512),
)
sampled = dict(type="SampleFrames", clip_len=1, frame_interval=1, num_clips=3)
ends = [dict(type="FormatShape", input_format="NCHW"), dict(type="PackActionInputs")]
train_pipeline = [
    sampled,
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(-1, 40)),
    dict(type="MultiScaleCrop", input_size=32, scales=(1, 0.875, 0.75), max_wh_scale_gap=1),
    dict(type="Resize", scale=(32, 32), keep_ratio=False),
    dict(type="Flip", flip_ratio=0.5),
    *ends,
]
val_pipeline = [
    dict(test_mode=True, **sampled),
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(-1, 40)),
    dict(type="CenterCrop", crop_size=32),
    *ends,
]
test_pipeline = [
    dict(test_mode=True, **sampled),
    dict(type="RawFrameDecode"),
    dict(type="Resize", scale=(-1, 40)),
    dict(type="TenCrop", crop_size=32),
    *ends,
]
frames = dict(_delete_=True, type="RawframeDataset")
train_dataloader = dict(
    batch_size=2,
    num_workers=1,
    dataset=dict(
        ann_file="data/frames/train.txt",
        data_prefix=dict(img="data/frames/train"),
        pipeline=train_pipeline,
        **frames,
    ),
)
val_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        ann_file="data/frames/val.txt",
        data_prefix=dict(img="data/frames/val"),
        pipeline=val_pipeline,
        test_mode=True,
        **frames,
    ),
)
test_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        ann_file="data/frames/val.txt",
        data_prefix=dict(img="data/frames/val"),
        pipeline=test_pipeline,
        test_mode=True,
        **frames,
    ),
)
val_evaluator = dict(metric_list=("top_k_accuracy", "mean_class_accuracy"))
test_evaluator = [dict(type="AccMetric"), dict(type="ConfusionMatrix")]
train_cfg = dict(max_epochs=2, val_begin=1, val_interval=1)
param_scheduler = [
    dict(type="MultiStepLR", begin=0, end=2, by_epoch=True, milestones=[1], gamma=0.1)
]
auto_scale_lr = dict(enable=True)
randomness = dict(seed=3)
default_hooks = dict(
    logger=dict(interval=2),
    checkpoint=dict(interval=1, max_keep_ckpts=3),
)
