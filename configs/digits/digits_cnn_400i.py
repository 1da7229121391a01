_base_ = [
    "../_base_/models/digits_cnn.py",
    "../_base_/datasets/digits.py",
    "../_base_/schedules/sgd_400i.py",
    "../_base_/default_runtime.py",
]
custom_imports = dict(imports=["configs.digits.digits"], allow_failed_imports=False)

train_dataloader = dict(sampler=dict(type="InfiniteSampler"))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=200))
log_processor = dict(by_epoch=False)
