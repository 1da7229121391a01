"""Data, models and metrics that go right or wrong as asked, written against mmengine."""

import time

import torch
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, FUNCTIONS, HOOKS, METRICS, MODELS, TRANSFORMS
from torch.utils.data import Dataset


@DATASETS.register_module()
class Numbers(Dataset):
    metainfo = dict(classes=("a",))

    def __init__(self, length=8, fail_at=None, sleep=0):
        self.length, self.fail_at, self.sleep = length, fail_at, sleep

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        time.sleep(self.sleep)
        if index == self.fail_at:
            raise IndexError(f"image {index} is broken")
        return torch.full((2,), index / 8), torch.tensor(index / 8)


@DATASETS.register_module()
class Listed(BaseDataset):
    def load_data_list(self):
        return [dict(value=i / 8) for i in range(8)]


@DATASETS.register_module()
class NoInit(Dataset):
    def __init__(self):
        raise RuntimeError("cannot make this dataset")


@TRANSFORMS.register_module()
class Pack:
    def __init__(self, fail=False):
        self.fail = fail

    def __call__(self, results):
        if self.fail:
            raise ValueError("this transform fails")
        return dict(
            inputs=torch.full((2,), results["value"]), labels=torch.tensor(results["value"])
        )


@FUNCTIONS.register_module()
def as_text(batch):
    return "a batch"


@FUNCTIONS.register_module()
def as_tensor(batch):
    return torch.stack([x for x, _ in batch])


@MODELS.register_module()
class Net(BaseModel):
    def __init__(self, width=2, fail=False, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.fail = fail
        self.linear = torch.nn.Linear(width, 1)

    def forward(self, inputs, labels=None, mode="tensor"):
        if self.fail:
            raise RuntimeError("the model failed")
        if isinstance(inputs, (list, tuple)):
            inputs, labels = torch.stack(list(inputs)), torch.stack(list(labels))
        out = self.linear(inputs)[:, 0]
        if mode == "loss":
            return dict(loss=(out - labels).square().mean())
        return list(out)


@MODELS.register_module()
class NoMode(Net):
    def forward(self, inputs, labels=None):
        return dict(loss=self.linear(torch.stack(list(inputs))).sum())


@MODELS.register_module()
class OnlyInputs(Net):
    def forward(self, inputs, mode="tensor"):
        return dict(loss=self.linear(torch.stack(list(inputs))).sum())


@MODELS.register_module()
class LossIsNumber(Net):
    def forward(self, inputs, labels=None, mode="tensor"):
        return dict(loss=1.0)


@MODELS.register_module()
class LossIsTensor(Net):
    def forward(self, inputs, labels=None, mode="tensor"):
        return self.linear(torch.stack(list(inputs))).sum()


@MODELS.register_module()
class LossDetached(Net):
    def forward(self, inputs, labels=None, mode="tensor"):
        return dict(loss=torch.tensor(1.0))


@MODELS.register_module()
class PredictsNone(Net):
    def forward(self, inputs, labels=None, mode="tensor"):
        if mode == "predict":
            return None
        return super().forward(inputs, labels, mode)


@MODELS.register_module()
class NoSteps(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(2, 1)


@MODELS.register_module()
class NoValStep(NoSteps):
    def train_step(self, data, optim_wrapper):
        loss = self.linear(data[0][0]).sum()
        optim_wrapper.update_params(loss)
        return dict(loss=loss)


@MODELS.register_module()
def not_a_module():
    return 3


@METRICS.register_module()
class Mean(BaseMetric):
    default_prefix = "toy"

    def __init__(self, fail=None, **kwargs):
        super().__init__(**kwargs)
        self.fail = fail

    def process(self, data_batch, data_samples):
        if self.fail == "process":
            raise KeyError("gt_label")
        self.results += [float(x) for x in data_samples]

    def compute_metrics(self, results):
        if self.fail == "compute":
            raise ZeroDivisionError("division by zero")
        return dict(mean=sum(results) / len(results))


@HOOKS.register_module()
class Failing(Hook):
    def __init__(self, point="after_train_iter"):
        setattr(self, point, self._fail)

    def _fail(self, runner, **kwargs):
        raise RuntimeError("the hook failed")

    def after_train_iter(self, runner, **kwargs):
        self._fail(runner)


@HOOKS.register_module()
class Slow(Hook):
    def after_train_iter(self, runner, **kwargs):
        time.sleep(0.05)


@HOOKS.register_module()
class WrongSignature(Hook):
    def after_train_iter(self, runner, index):
        pass
