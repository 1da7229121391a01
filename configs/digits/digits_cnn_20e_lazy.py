"""The same as digits_cnn_20e.py in the new style: Python imports, and classes in place of names."""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.digits import *
    from .._base_.default_runtime import *
    from .._base_.models.digits_cnn import *
    from .._base_.schedules.adamw_20e import *

from mmengine.model import ImgDataPreprocessor
from mmengine.optim import OptimWrapper
from torch.optim import AdamW

from configs.digits.digits import Accuracy, Digits, DigitsNet, PackDigits, RandomShift

model.type = DigitsNet
model.data_preprocessor.type = ImgDataPreprocessor

train_pipeline = [dict(type=RandomShift, max_shift=1), dict(type=PackDigits)]
test_pipeline = [dict(type=PackDigits)]
train_dataloader.dataset.update(type=Digits, pipeline=train_pipeline)
val_dataloader.dataset.update(type=Digits, pipeline=test_pipeline)
val_evaluator.type = Accuracy
test_dataloader = val_dataloader
test_evaluator = val_evaluator

optim_wrapper.update(type=OptimWrapper)
optim_wrapper.optimizer.type = AdamW

default_hooks.checkpoint.update(max_keep_ckpts=2, save_best="digits/accuracy", rule="greater")
