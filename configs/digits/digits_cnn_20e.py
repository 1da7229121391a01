_base_ = [
    "../_base_/models/digits_cnn.py",
    "../_base_/datasets/digits.py",
    "../_base_/schedules/adamw_20e.py",
    "../_base_/default_runtime.py",
]
custom_imports = dict(imports=["configs.digits.digits"], allow_failed_imports=False)

default_hooks = dict(
    checkpoint=dict(max_keep_ckpts=2, save_best="digits/accuracy", rule="greater"),
)
