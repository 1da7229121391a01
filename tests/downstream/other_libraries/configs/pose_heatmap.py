# Heat maps of people in boxes: the best kept, bad cases looked for in the test.
_base_ = "mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py"

codec = dict(type="MSRAHeatmap", input_size=(32, 64), heatmap_size=(8, 16), sigma=1)
model = dict(
    backbone=dict(depth=18, base_channels=8, stem_channels=8, init_cfg=None),
    head=dict(in_channels=64, deconv_out_channels=(8, 8, 8), decoder=codec),
)
ends = [dict(type="LoadImage"), dict(type="GetBBoxCenterScale")]
train_pipeline = [
    *ends,
    dict(type="RandomFlip", direction="horizontal"),
    dict(type="RandomHalfBody"),
    dict(type="RandomBBoxTransform"),
    dict(type="TopdownAffine", input_size=codec["input_size"]),
    dict(type="GenerateTarget", encoder=codec),
    dict(type="PackPoseInputs"),
]
val_pipeline = [
    *ends,
    dict(type="TopdownAffine", input_size=codec["input_size"]),
    dict(type="PackPoseInputs"),
]
train_dataloader = dict(
    batch_size=3,
    num_workers=1,
    dataset=dict(
        ann_file="annotations/keypoints_train.json",
        data_prefix=dict(img="train/"),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=2,
    num_workers=1,
    dataset=dict(
        ann_file="annotations/keypoints_val.json",
        bbox_file=None,
        data_prefix=dict(img="val/"),
        pipeline=val_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = [
    dict(type="CocoMetric", ann_file="data/coco/annotations/keypoints_val.json"),
    dict(type="PCKAccuracy", thr=0.5),
    dict(type="EPE"),
]
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=2, val_interval=1)
param_scheduler = [
    dict(type="LinearLR", begin=0, end=3, start_factor=0.001, by_epoch=False),
    dict(type="MultiStepLR", begin=0, end=2, milestones=[1], gamma=0.1, by_epoch=True),
]
auto_scale_lr = dict(enable=True)
randomness = dict(seed=3)
default_hooks = dict(
    logger=dict(interval=2),
    checkpoint=dict(interval=1),
    badcase=dict(enable=True, metric_type="loss", badcase_thr=1000),
)
