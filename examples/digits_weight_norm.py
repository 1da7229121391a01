_base_ = ["../configs/digits/digits_cnn_20e.py"]
custom_imports = dict(imports=["configs.digits.digits", "examples.weight_norm_hook"])
custom_hooks = [dict(type="WeightNormHook", interval=10)]
