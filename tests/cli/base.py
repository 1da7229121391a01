custom_imports = dict(imports=["cli_toys"])
model = dict(type="Net")
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    dataset=dict(type="Numbers"),
    sampler=dict(type="DefaultSampler", shuffle=True),
)
val_dataloader = dict(
    batch_size=2,
    num_workers=0,
    dataset=dict(type="Numbers"),
    sampler=dict(type="DefaultSampler", shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="Mean")
test_evaluator = dict(type="Mean")
train_cfg = dict(by_epoch=True, max_epochs=2)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.1))
param_scheduler = [dict(type="LinearLR", start_factor=0.1, by_epoch=False, end=4)]
default_hooks = dict(logger=dict(type="LoggerHook", interval=1))
randomness = dict(seed=1)
