# A transformer: other rate for the backbone, clipped gradients, a choice of sizes and crops,
# distorted pictures from two data sets; its validation needs no operator; best kept by a rule.
_base_ = "mmdet::detr/detr_r50_8xb2-150e_coco.py"

data_root = "data/coco/"
classes = dict(classes=("person", "car"), palette=[(220, 20, 60), (0, 60, 200)])
attention = dict(embed_dims=16, num_heads=2, dropout=0.1, batch_first=True)
ffn = dict(embed_dims=16, feedforward_channels=32)
model = dict(
    num_queries=8,
    backbone=dict(depth=18, base_channels=8, stem_channels=8, init_cfg=None),
    neck=dict(in_channels=[64], out_channels=16),
    encoder=dict(num_layers=1, layer_cfg=dict(self_attn_cfg=attention, ffn_cfg=ffn)),
    decoder=dict(
        num_layers=2,
        layer_cfg=dict(self_attn_cfg=attention, cross_attn_cfg=attention, ffn_cfg=ffn),
    ),
    positional_encoding=dict(num_feats=8),
    bbox_head=dict(num_classes=2, embed_dims=16),
    test_cfg=dict(max_per_img=8),
)
pipeline = [
    dict(type="LoadImageFromFile"),
    dict(type="LoadAnnotations", with_bbox=True),
    dict(type="RandomFlip", prob=0.5),
    dict(
        type="RandomChoice",
        transforms=[
            [dict(type="RandomChoiceResize", scales=[(48, 96), (64, 96)], keep_ratio=True)],
            [
                dict(type="RandomChoiceResize", scales=[(60, 96), (70, 96)], keep_ratio=True),
                dict(
                    type="RandomCrop",
                    crop_type="absolute_range",
                    crop_size=(40, 60),
                    allow_negative_crop=True,
                ),
            ],
        ],
    ),
    dict(type="PackDetInputs"),
]
dataset = dict(
    type="CocoDataset",
    data_root=data_root,
    metainfo=classes,
    ann_file="annotations/train.json",
    data_prefix=dict(img="train/"),
    filter_cfg=dict(filter_empty_gt=True),
    pipeline=pipeline,
)
train_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    sampler=dict(_delete_=True, type="MultiSourceSampler", batch_size=2, source_ratio=[1, 1]),
    batch_sampler=None,
    dataset=dict(_delete_=True, type="ConcatDataset", datasets=[dataset, dataset]),
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
            dict(type="LoadAnnotations", with_bbox=True),
            dict(
                type="PackDetInputs",
                meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor"),
            ),
        ],
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    ann_file=data_root + "annotations/val.json",
    metric=["bbox", "proposal"],
    proposal_nums=(1, 5, 8),
)
test_evaluator = val_evaluator
train_cfg = dict(_delete_=True, type="IterBasedTrainLoop", max_iters=6, val_interval=3)
param_scheduler = [dict(type="MultiStepLR", begin=0, end=6, by_epoch=False, milestones=[4])]
randomness = dict(seed=3)
default_hooks = dict(
    logger=dict(interval=2),
    checkpoint=dict(
        by_epoch=False,
        interval=3,
        save_best="coco/AR@100",
        rule="greater",
        save_optimizer=False,
        filename_tmpl="at_{}.pth",
    ),
)
log_processor = dict(by_epoch=False)
