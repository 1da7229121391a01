# A zoo config of one stage: batches of one aspect ratio, warm-up by iterations, images of the
# results, the library's checks.
_base_ = "mmdet::retinanet/retinanet_r50_fpn_1x_coco.py"

data_root = "data/coco/"
classes = dict(classes=("person", "car"), palette=[(220, 20, 60), (0, 60, 200)])
model = dict(
    backbone=dict(depth=18, base_channels=8, stem_channels=8, init_cfg=None),
    neck=dict(in_channels=[8, 16, 32, 64], out_channels=8),
    bbox_head=dict(num_classes=2, in_channels=8, feat_channels=8, stacked_convs=1),
    test_cfg=dict(nms_pre=50, score_thr=0.0, max_per_img=10),
)
train_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="Resize", scale=(96, 64), keep_ratio=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs"),
]
test_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="Resize", scale=(96, 64), keep_ratio=True),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(
        type="PackDetInputs",
        meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
    ),
]
train_dataset = dict(
    type="CocoDataset",
    data_root=data_root,
    metainfo=classes,
    ann_file="annotations/train.json",
    data_prefix=dict(img="train/"),
    filter_cfg=dict(filter_empty_gt=True, min_size=32),
    pipeline=train_pipeline,
)
train_dataloader = dict(
    num_workers=1,
    dataset=dict(_delete_=True, **train_dataset),
)
val_dataloader = dict(
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
val_evaluator = dict(ann_file=data_root + "annotations/val.json", classwise=True)
test_evaluator = val_evaluator
train_cfg = dict(max_epochs=2)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=3),
    dict(type="MultiStepLR", begin=0, end=2, by_epoch=True, milestones=[1], gamma=0.1),
]
auto_scale_lr = dict(enable=True)
randomness = dict(seed=3)
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(save_best="auto"),
    visualization=dict(draw=True, interval=2, score_thr=0.0),
)
custom_hooks = [
    dict(type="NumClassCheckHook"),
    dict(type="CheckInvalidLossHook", interval=1),
]
vis_backends = [dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")]
visualizer = dict(vis_backends=vis_backends)
