# Warm-up by iterations, the library's own schedule and constructor, factors per parameter,
# gradients accumulated and clipped, a repeated data set, averaged weights, hard pixels only,
# sliding windows, epochs that are counted beside iterations.
_base_ = "./seg_fcn.py"

model = dict(
    _delete_=True,
    type="EncoderDecoder",
    data_preprocessor=dict(
        type="SegDataPreProcessor",
        mean=[120.0] * 3,
        std=[60.0] * 3,
        bgr_to_rgb=True,
        seg_pad_val=255,
        size_divisor=16,
        test_cfg=dict(size_divisor=32),
    ),
    backbone=dict(
        type="MixVisionTransformer",
        embed_dims=8,
        num_layers=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        sr_ratios=[8, 4, 2, 1],
        drop_path_rate=0.1,
    ),
    decode_head=dict(
        type="SegformerHead",
        in_channels=[8, 8, 16, 16],
        in_index=[0, 1, 2, 3],
        channels=16,
        dropout_ratio=0.1,
        num_classes=6,
        norm_cfg=dict(type="SyncBN", requires_grad=True),
        align_corners=False,
        sampler=dict(type="OHEMPixelSampler", thresh=0.7, min_kept=500),
        loss_decode=[
            dict(type="CrossEntropyLoss", loss_weight=1.0, avg_non_ignore=True),
            dict(type="CrossEntropyLoss", loss_weight=0.5, loss_name="loss_again"),
        ],
    ),
    test_cfg=dict(mode="slide", crop_size=(48, 48), stride=(32, 32)),
)
train_dataloader = dict(
    batch_size=3,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type="DefaultSampler"),
    dataset=dict(
        _delete_=True,
        type="RepeatDataset",
        times=2,
        dataset=dict(
            data_prefix=dict(img_path="img/train", seg_map_path="ann/train"),
            pipeline=_base_.train_pipeline,
            **_base_.dataset,
        ),
    ),
)
optim_wrapper = dict(
    _delete_=True,
    type="OptimWrapper",
    constructor="ForceDefaultOptimWrapperConstructor",
    optimizer=dict(type="AdamW", lr=6e-4, weight_decay=0.01),
    accumulative_counts=2,
    clip_grad=dict(max_norm=1.0, norm_type=2),
    paramwise_cfg=dict(
        norm_decay_mult=0.0,
        force_default_settings=True,
        custom_keys=dict(norm=dict(decay_mult=0.0), head=dict(lr_mult=10.0)),
    ),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=1e-6, by_epoch=False, begin=0, end=2),
    dict(type="PolyLRRatio", eta_min_ratio=3e-2, power=0.9, begin=2, end=8, by_epoch=False),
]
train_cfg = dict(_delete_=True, type="EpochBasedTrainLoop", max_epochs=2, val_interval=1)
log_processor = dict(by_epoch=True)
default_hooks = dict(
    logger=dict(interval=1, log_metric_by_epoch=True),
    checkpoint=dict(by_epoch=True, interval=1, save_best=["mIoU", "aAcc"]),
)
custom_hooks = [dict(type="EMAHook", momentum=0.1)]
tta_pipeline = [
    dict(type="LoadImageFromFile"),
    dict(
        type="TestTimeAug",
        transforms=[
            [dict(type="Resize", scale_factor=ratio, keep_ratio=True) for ratio in (0.75, 1.0)],
            [dict(type="RandomFlip", prob=p, direction="horizontal") for p in (0.0, 1.0)],
            [dict(type="LoadAnnotations")],
            [dict(type="PackSegInputs")],
        ],
    ),
]
