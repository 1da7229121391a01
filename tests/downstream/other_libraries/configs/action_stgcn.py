# Skeletons from a pickle, a repeated data set; rates by iteration, Nesterov's momentum; stops
# early.
_base_ = "mmaction::skeleton/stgcn/stgcn_8xb16-joint-u100-80e_ntu60-xsub-keypoint-2d.py"

model = dict(
    backbone=dict(base_channels=8, num_stages=4, inflate_stages=[3], down_stages=[3]),
    cls_head=dict(num_classes=3, in_channels=16),
)


def pipeline(**sampled):
    return [
        dict(type="PreNormalize2D"),
        dict(type="GenSkeFeat", dataset="coco", feats=["j"]),
        dict(type="UniformSampleFrames", clip_len=8, **sampled),
        dict(type="PoseDecode"),
        dict(type="FormatGCNInput", num_person=2),
        dict(type="PackActionInputs"),
    ]


ann_file = "data/skeletons.pkl"
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(times=2, dataset=dict(ann_file=ann_file, pipeline=pipeline(), split="train")),
)
held_out = dict(ann_file=ann_file, split="val")
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=pipeline(num_clips=1, test_mode=True), **held_out),
)
test_dataloader = dict(
    num_workers=0,
    persistent_workers=False,
    dataset=dict(pipeline=pipeline(num_clips=3, test_mode=True), **held_out),
)
train_cfg = dict(max_epochs=6, val_begin=2, val_interval=1)
param_scheduler = [
    dict(type="CosineAnnealingLR", eta_min=0, T_max=6, by_epoch=True, convert_to_iter_based=True)
]
randomness = dict(seed=3)
default_hooks = dict(checkpoint=dict(interval=2), logger=dict(interval=1))
custom_hooks = [
    dict(type="EarlyStoppingHook", monitor="acc/top1", patience=1, min_delta=0.9, rule="greater")
]
del pipeline
