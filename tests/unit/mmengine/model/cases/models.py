"""``BaseModel``, test-time augmentation and wrappers."""

from __future__ import annotations

import contextlib
import importlib
from functools import partial

import torch
from common import ROOT, M, outcome, state
from torch import nn


class Model(M.BaseModel):
    def __init__(self, losses=None, **kwargs):
        super().__init__(**kwargs)
        self.fc = nn.Linear(2, 2)
        self.losses = losses

    def forward(self, inputs, data_samples=None, mode="tensor"):
        scores = self.fc(inputs)
        if mode == "loss":
            return self.losses(scores) if self.losses else dict(loss=scores.sum())
        return [mode, scores, data_samples]


LOSSES = {
    "one": lambda x: dict(loss=x.sum()),
    "vector": lambda x: dict(loss_cls=x),
    "several": lambda x: dict(loss_a=x.sum(), acc=x.detach().max(), b_loss=x.mean(), lossy=x[0]),
    "lists": lambda x: dict(loss_rpn=[x[0], x[1].sum()], score=[x.sum()], loss_empty=[]),
    "only_empty_list": lambda x: dict(loss=[]),
    "own_loss_wins": lambda x: dict(loss_a=x.sum(), loss=x.mean()),
    "nested_names": lambda x: {"decode.loss_ce": x.mean(), "aux_0.acc_seg": x.max().detach()},
    "minus_zero": lambda x: dict(loss=-x.detach().abs().sum() * 0, loss_b=x.sum()),
    "half": lambda x: dict(loss=x.sum().half(), loss_b=x.mean().double()),
    "parameter": lambda x: dict(loss=x.sum(), scale=nn.Parameter(torch.tensor(3.0))),
    "none_to_train": lambda x: dict(acc=x.sum()),
    "nothing": lambda x: {},
    "integer": lambda x: dict(loss=x.sum(), n=torch.tensor(3)),
    "number": lambda x: dict(loss=x.sum(), n=3),
    "tuple": lambda x: dict(loss=(x.sum(), x.sum())),
    "nested": lambda x: dict(loss=dict(a=x.sum())),
    "mixed_list": lambda x: dict(loss=[x.sum(), 1.0]),
}


def case_parse_losses():
    results = {}
    for name, losses in LOSSES.items():
        torch.manual_seed(4)
        model = Model(losses)
        values = losses(model.fc(torch.randn(3, 2)))

        def run(model=model, values=values):
            loss, log_vars = model.parse_losses(values)
            grad = None
            if isinstance(loss, torch.Tensor) and loss.requires_grad:
                loss.backward()
                grad = model.fc.weight.grad
            return [loss, log_vars, grad]

        results[name] = outcome(run)
    return results


class Wrapper:
    """As much of an optimizer wrapper as ``train_step`` uses."""

    def __init__(self, model):
        self.optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def optim_context(self, model):
        return contextlib.nullcontext()

    def update_params(self, loss):
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


def train(model, batch):
    wrapper = Wrapper(model)
    return [model.train_step(batch, wrapper) for _ in range(3)]


def case_steps():
    x = torch.arange(6.0).view(3, 2)
    batches = {
        "dict": dict(inputs=x, data_samples=[1, 2, 3]),
        "dict_without_samples": dict(inputs=x),
        "tuple": (x, torch.tensor([1, 2, 3])),
        "list": [x],
        "tensor": x,
        "none": None,
        "wrong_key": dict(img=x),
        "too_many": [x, x, x, x],
    }
    results = {}
    for name, batch in batches.items():
        torch.manual_seed(5)
        model = Model(LOSSES["several"])
        results[name] = [
            outcome(partial(train, model, batch)),
            outcome(partial(model.val_step, batch)),
            outcome(partial(model.test_step, batch)),
            state(model),
        ]
    return results


def case_preprocessor_of_a_model():
    kinds = [
        None,
        dict(type="ImgDataPreprocessor"),
        nn.Identity(),
        M.BaseDataPreprocessor(),
        3,
        "x",
    ]
    return [
        outcome(lambda kind=kind: type(Model(data_preprocessor=kind).data_preprocessor).__name__)
        for kind in kinds
    ]


class TTA(M.BaseTTAModel):
    def merge_preds(self, data_samples_list):
        return [sum(each) for each in data_samples_list]


class Summer(nn.Module):
    def test_step(self, data):
        inputs = data["inputs"] if isinstance(data, dict) else data[0]
        return [each * 2 for each in inputs]


def case_test_time_augmentation():
    model = TTA(Summer())
    batch = [[1, 2, 3], [10, 20, 30]]
    return [
        model.test_step(dict(inputs=batch, data_samples=batch)),
        model.test_step((batch, batch)),
        outcome(lambda: model.test_step("x")),
        outcome(lambda: model.test_step(3)),
        outcome(lambda: model(1)),
        outcome(lambda: TTA(3)),
        outcome(lambda: TTA(nn.Linear(1, 1))),
        outcome(lambda: M.BaseTTAModel(Summer())),
        type(TTA(dict(type=Model)).module).__name__,
    ]


def case_is_model_wrapper():
    registry = importlib.import_module(f"{ROOT}.registry")
    child = registry.Registry("model_wrapper", parent=registry.MODEL_WRAPPERS, scope="childscope")

    @child.register_module()
    class ChildWrapper(nn.Module):
        pass

    models = [nn.Linear(1, 1), nn.DataParallel(nn.Linear(1, 1)), ChildWrapper(), "text"]
    return [M.is_model_wrapper(each) for each in models]


def case_names():
    return [
        sorted(M.__all__),
        *(
            sorted(importlib.import_module(f"{ROOT}.model.{name}").__all__)
            for name in ("base_model", "wrappers")
        ),
    ]
