# A student and its teacher: labelled and unlabelled pictures in a batch, branches of a pipeline,
# the teacher moved by a hook, a validation loop that runs both; counted in iterations.
_base_ = [
    "mmdet::_base_/models/retinanet_r50_fpn.py",
    "mmdet::_base_/default_runtime.py",
    "mmdet::_base_/datasets/semi_coco_detection.py",
]

data_root = "data/coco/"
classes = dict(classes=("person", "car"), palette=[(220, 20, 60), (0, 60, 200)])
detector = _base_.model
detector.backbone.update(depth=18, base_channels=8, stem_channels=8, init_cfg=None)
detector.neck.update(in_channels=[8, 16, 32, 64], out_channels=8)
detector.bbox_head.update(num_classes=2, in_channels=8, feat_channels=8, stacked_convs=1)
detector.test_cfg.update(nms_pre=20, score_thr=0.0, max_per_img=10)
model = dict(
    _delete_=True,
    type="SemiBaseDetector",
    detector=detector,
    data_preprocessor=dict(
        type="MultiBranchDataPreprocessor", data_preprocessor=detector.data_preprocessor
    ),
    semi_train_cfg=dict(
        freeze_teacher=True,
        sup_weight=1.0,
        unsup_weight=4.0,
        cls_pseudo_thr=0.01,
        min_pseudo_bbox_wh=(1e-2, 1e-2),
    ),
    semi_test_cfg=dict(predict_on="teacher"),
)
scale = [(96, 60), (96, 80)]
branches = ["sup", "unsup_teacher", "unsup_student"]
meta_keys = (
    "img_id",
    "img_path",
    "ori_shape",
    "img_shape",
    "scale_factor",
    "flip",
    "flip_direction",
    "homography_matrix",
)
weak_pipeline = [
    dict(type="RandomResize", scale=scale, keep_ratio=True),
    dict(type="RandomFlip", prob=0.5),
    dict(type="PackDetInputs", meta_keys=meta_keys),
]
strong_pipeline = [
    dict(type="RandomResize", scale=scale, keep_ratio=True),
    dict(type="RandomFlip", prob=0.5),
    dict(
        type="RandomOrder",
        transforms=[
            dict(type="RandAugment", aug_space=_base_.color_space, aug_num=1),
            dict(type="RandAugment", aug_space=_base_.geometric, aug_num=1),
        ],
    ),
    dict(type="RandomErasing", n_patches=(1, 5), ratio=(0, 0.2)),
    dict(type="FilterAnnotations", min_gt_bbox_wh=(1e-2, 1e-2)),
    dict(type="PackDetInputs", meta_keys=meta_keys),
]
labelled = dict(
    type="CocoDataset",
    data_root=data_root,
    metainfo=classes,
    ann_file="annotations/train.json",
    data_prefix=dict(img="train/"),
    filter_cfg=dict(filter_empty_gt=True, min_size=32),
    pipeline=[
        dict(type="LoadImageFromFile"),
        dict(type="LoadAnnotations", with_bbox=True),
        dict(type="RandomResize", scale=scale, keep_ratio=True),
        dict(type="RandomFlip", prob=0.5),
        dict(type="RandAugment", aug_space=_base_.color_space, aug_num=1),
        dict(type="FilterAnnotations", min_gt_bbox_wh=(1e-2, 1e-2)),
        dict(type="MultiBranch", branch_field=branches, sup=dict(type="PackDetInputs")),
    ],
)
unlabelled = dict(
    type="CocoDataset",
    data_root=data_root,
    metainfo=classes,
    ann_file="annotations/train.json",
    data_prefix=dict(img="train/"),
    filter_cfg=dict(filter_empty_gt=False),
    pipeline=[
        dict(type="LoadImageFromFile"),
        dict(type="LoadEmptyAnnotations"),
        dict(
            type="MultiBranch",
            branch_field=branches,
            unsup_teacher=weak_pipeline,
            unsup_student=strong_pipeline,
        ),
    ],
)
train_dataloader = dict(
    batch_size=4,
    num_workers=1,
    sampler=dict(batch_size=4, source_ratio=[1, 3]),
    dataset=dict(datasets=[labelled, unlabelled]),
)
val_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root=data_root,
        metainfo=classes,
        ann_file="annotations/val.json",
        data_prefix=dict(img="val/"),
        pipeline=[
            dict(type="LoadImageFromFile"),
            dict(type="Resize", scale=(96, 64), keep_ratio=True),
            dict(
                type="PackDetInputs",
                meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
            ),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + "annotations/val.json")
test_evaluator = val_evaluator
train_cfg = dict(type="IterBasedTrainLoop", max_iters=6, val_interval=3)
val_cfg = dict(type="TeacherStudentValLoop")
test_cfg = dict(type="TestLoop")
param_scheduler = [
    dict(type="LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=2),
    dict(type="MultiStepLR", begin=0, end=6, by_epoch=False, milestones=[3, 5], gamma=0.1),
]
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=0.0001),
    clip_grad=dict(max_norm=10, norm_type=2),
)
randomness = dict(seed=3)
default_hooks = dict(
    logger=dict(interval=1), checkpoint=dict(by_epoch=False, interval=6, max_keep_ckpts=2)
)
log_processor = dict(by_epoch=False)
custom_hooks = [dict(type="MeanTeacherHook", momentum=0.1, skip_buffer=False)]
