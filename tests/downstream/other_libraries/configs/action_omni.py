# The library's loop over several loaders: clips of one, images of another library's data set.
_base_ = (
    "mmaction::recognition/omnisource/slowonly_r50_8xb16-8x8x1-256e_imagenet-kinetics400-rgb.py"
)

model = dict(
    backbone=dict(layers=[1, 1, 1, 1]),
    cls_head=dict(image_classes=2, video_classes=3),
)
ends = [dict(type="FormatShape", input_format="NCTHW"), dict(type="PackActionInputs")]
sampled = dict(type="SampleFrames", clip_len=2, frame_interval=1, num_clips=1)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type="RawframeDataset",
        ann_file="data/frames/train.txt",
        data_prefix=dict(img="data/frames/train"),
        pipeline=[
            sampled,
            dict(type="RawFrameDecode"),
            dict(type="RandomResizedCrop"),
            dict(type="Resize", scale=(32, 32), keep_ratio=False),
            dict(type="Flip", flip_ratio=0.5),
            *ends,
        ],
    ),
)
held_out = dict(
    batch_size=2,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        _delete_=True,
        type="RawframeDataset",
        ann_file="data/frames/val.txt",
        data_prefix=dict(img="data/frames/val"),
        test_mode=True,
        pipeline=[
            dict(test_mode=True, **sampled),
            dict(type="RawFrameDecode"),
            dict(type="Resize", scale=(32, 32), keep_ratio=False),
            *ends,
        ],
    ),
)
val_dataloader = held_out
test_dataloader = held_out
image_dataloader = dict(
    batch_size=2,
    num_workers=0,
    dataset=dict(
        type="mmpretrain.ImageNet",
        data_root="data/frames",
        ann_file="pictures.txt",
        data_prefix="train",
        split="",
        pipeline=[
            dict(type="LoadRGBFromFile"),
            dict(type="mmpretrain.RandomResizedCrop", scale=32),
            dict(type="mmpretrain.RandomFlip", prob=0.5, direction="horizontal"),
            dict(type="mmpretrain.PackInputs"),
        ],
    ),
    sampler=dict(type="DefaultSampler", shuffle=True),
)
train_cfg = dict(other_loaders=[image_dataloader], max_epochs=2, val_interval=1)
param_scheduler = [
    dict(
        type="LinearLR",
        start_factor=0.1,
        by_epoch=True,
        begin=0,
        end=1,
        convert_to_iter_based=True,
    ),
    dict(
        type="CosineAnnealingLR",
        T_max=1,
        eta_min=0,
        by_epoch=True,
        begin=1,
        end=2,
        convert_to_iter_based=True,
    ),
]
randomness = dict(seed=3)
default_hooks = dict(logger=dict(interval=1), checkpoint=dict(interval=1, save_best=None))
