# The zoo's config, with what a user adds for data of one's own.
_base_ = ["mmpretrain::resnet/resnet18_8xb16_cifar10.py"]

custom_imports = dict(imports=["small_cifar10", "recorder"])

train_dataloader = dict(dataset=dict(type="SmallCIFAR10"))
val_dataloader = dict(dataset=dict(type="SmallCIFAR10"))
test_dataloader = dict(dataset=dict(type="SmallCIFAR10"))
