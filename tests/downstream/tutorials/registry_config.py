"""The config of registry.py: every part by its registered name."""

_train = 48
custom_imports = dict(imports=["parts"], allow_failed_imports=False)
model = dict(
    type="Classifier",
    backbone=dict(type="TinyNet", width=8, activation=dict(type="Swish")),
    num_classes=4,
    data_preprocessor=dict(type="BaseDataPreprocessor"),
)
pipeline = [dict(type="Noise", scale=0.05), dict(type="PackAsTensor")]
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    dataset=dict(type="Clouds", size=_train, pipeline=pipeline),
    sampler=dict(type="DefaultSampler", shuffle=True),
    collate_fn=dict(type="default_collate"),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    dataset=dict(type="Clouds", size=20, start=100, pipeline=pipeline[1:]),
    sampler=dict(type="DefaultSampler", shuffle=False),
    collate_fn=dict(type="default_collate"),
)
test_dataloader = val_dataloader
optim_wrapper = dict(
    type="OptimWrapper",
    optimizer=dict(type="Adam", lr=0.01, weight_decay=1e-4),
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(norm_decay_mult=0.0),
)
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=6),
    dict(type="CosineAnnealingLR", T_max=3, eta_min=1e-4),
]
train_cfg = dict(by_epoch=True, max_epochs=3, val_interval=1)
val_cfg = dict()
test_cfg = dict()
val_evaluator = [dict(type="Accuracy"), dict(type="Accuracy", topk=2, prefix="wide")]
test_evaluator = val_evaluator
default_hooks = dict(
    logger=dict(type="LoggerHook", interval=2),
    checkpoint=dict(type="CheckpointHook", interval=1, save_best="accuracy", max_keep_ckpts=2),
)
custom_hooks = [
    dict(type="CheckInvalidLoss", interval=3),
    dict(type="EMAHook", momentum=0.1),
]
randomness = dict(seed=3)
experiment_name = "registry"
work_dir = "./work_dir"
