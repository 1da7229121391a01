"""Convolutions joined with BatchNorm."""

from __future__ import annotations

import importlib

import torch
from common import ROOT, digest, outcome
from torch import nn

joined = importlib.import_module(f"{ROOT}.model.efficient_conv_bn_eval")


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.plain = nn.Conv2d(3, 4, 3, padding=1)
        self.plain_norm = nn.BatchNorm2d(4)
        self.bare = nn.Conv2d(4, 4, 3, stride=2, bias=False)
        self.bare_norm = nn.BatchNorm2d(4, affine=False)
        self.shared = nn.Conv2d(4, 2, 1)
        self.shared_norm = nn.BatchNorm2d(2)

    def forward(self, x):
        x = self.bare_norm(self.bare(torch.relu(self.plain_norm(self.plain(x)))))
        y = self.shared(x)  # the norm is not alone in reading it
        return y + self.shared_norm(y)


class Branches(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


def trained():
    torch.manual_seed(0)
    model = nn.ModuleDict({"body": Block(), "other": nn.Linear(2, 2)})
    for _ in range(2):
        model["body"](torch.randn(4, 3, 8, 8))
    return model


def case_joined():
    results = []
    for training in (True, False):
        model = trained().train(training)
        joined.turn_on_efficient_conv_bn_eval(model, "body" if training else ["body", "other"])
        output = model["body"](torch.randn(2, 3, 8, 8))
        output.sum().backward()
        grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        results += [digest(output), digest(grads), digest(dict(model.state_dict()))]
        results.append(str(model["body"].forward.__self__.code).count("efficient_conv_bn_eval"))
    results.append(outcome(lambda: joined.turn_on_efficient_conv_bn_eval(Branches(), ["no"])))
    results.append(
        outcome(lambda: joined.turn_on_efficient_conv_bn_eval_for_single_model(Branches()))
    )
    return results


def case_joined_1d_and_3d():
    results = []
    for conv, norm, size in ((nn.Conv1d, nn.BatchNorm1d, 1), (nn.Conv3d, nn.BatchNorm3d, 3)):
        torch.manual_seed(0)
        layers = conv(2, 3, 2), norm(3).eval()
        x = torch.randn(2, 2, *[4] * size)
        results.append(digest(joined.efficient_conv_bn_eval_forward(*reversed(layers), x)))
        results.append(digest(joined.efficient_conv_bn_eval_control(*reversed(layers), x)))
    return results
