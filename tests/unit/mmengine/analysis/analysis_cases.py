"""Analyses of small models; run with MMEngine as a script and with mm2pl's modules put in."""

import json
import warnings

import torch
import torch.nn.functional as F
from mmengine.analysis import (
    ActivationAnalyzer,
    FlopAnalyzer,
    get_model_complexity_info,
    parameter_count_table,
)
from mmengine.analysis.print_helper import complexity_stats_table
from torch import nn


class Model(nn.Module):
    def __init__(self, forward, **children):
        super().__init__()
        self.run = forward
        for name, child in children.items():
            self.add_module(name, child)

    def forward(self, x):
        return self.run(self, x)


def convolutions(self, x):
    return self.back(self.grouped(self.conv(x))) + F.conv1d(x.flatten(2), self.line).mean()


def norms(self, x):
    x = self.instance(self.group(self.batch(x)))
    return self.layer(x) + F.layer_norm(x, x.shape[-1:]) + self.train_batch(x)


def products(self, x):
    x = x.flatten(1)[:, :8]
    y = torch.addmm(self.bias, x, self.square) + torch.mm(x, self.square) + x @ self.square
    z = torch.bmm(y[None], y.t()[None]) + torch.einsum("bij,bkj->bik", y[None], y[None])
    y = torch.einsum("ab,cb->ac", y, self.square)
    return self.linear(y).sum() + z.sum() + self.square[0] @ self.square[1]


def attention(self, x):
    x = x.flatten(2).transpose(1, 2)
    x = self.attention(x, x, x, need_weights=False)[0]
    return F.scaled_dot_product_attention(x, x, x)


def resampling(self, x):
    x = F.interpolate(x, scale_factor=2) + F.interpolate(x, scale_factor=2, mode="bilinear")
    grid = torch.zeros(x.shape[0], 3, 3, 2)
    x = F.grid_sample(x, grid, align_corners=False)
    return self.pool(self.drop(self.nothing(x))) + F.adaptive_avg_pool1d(x.flatten(2), 2).mean()


def unbatched(self, x):
    return self.back(self.conv(x[0])) + F.conv1d(x[0].flatten(1), self.line).mean()


def shared(self, x):
    return self.first(self.second(x)) + self.holder[0](x) + self.unused.weight.sum()


def one_child(self, x):
    return self.outer(x)


def models():
    same = nn.Conv2d(4, 4, 1)
    with_weight = {
        "convolutions": Model(
            convolutions,
            conv=nn.Conv2d(4, 8, 3, padding=1, stride=2),
            grouped=nn.Conv2d(8, 8, 3, groups=4, dilation=2, padding=2, bias=False),
            back=nn.ConvTranspose2d(8, 4, 2, stride=2),
        ),
        "norms": Model(
            norms,
            batch=nn.BatchNorm2d(4).eval(),
            train_batch=nn.BatchNorm2d(4, affine=False),
            group=nn.GroupNorm(2, 4),
            instance=nn.InstanceNorm2d(4),
            layer=nn.LayerNorm(6),
        ),
        "products": Model(products, linear=nn.Linear(8, 3)),
        "attention": Model(attention, attention=nn.MultiheadAttention(4, 2, batch_first=True)),
        "resampling": Model(
            resampling,
            pool=nn.AdaptiveAvgPool2d(2),
            drop=nn.Dropout(),
            nothing=nn.Identity(),
            spare=nn.Linear(1, 1),
        ),
        "unbatched": Model(
            unbatched, conv=nn.Conv2d(4, 8, 3, stride=2), back=nn.ConvTranspose2d(8, 4, 2)
        ),
        "shared": Model(
            shared, first=same, second=same, holder=nn.ModuleList([same]), unused=nn.Linear(2, 2)
        ),
        "one_child": Model(
            one_child, outer=nn.Sequential(nn.Sequential(nn.Conv2d(4, 2, 1), nn.ReLU()))
        ),
    }
    for name in ("convolutions", "unbatched"):
        with_weight[name].line = nn.Parameter(torch.zeros(2, 4, 3))
    with_weight["products"].square = nn.Parameter(torch.zeros(8, 8))
    with_weight["products"].bias = nn.Parameter(torch.zeros(8))
    return with_weight


def analyse(model):
    x = torch.zeros(1, 4, 6, 6)
    flops, activations = FlopAnalyzer(model, (x,)), ActivationAnalyzer(model, (x,))
    for analyzer in (flops, activations):
        analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    info = get_model_complexity_info(model, inputs=(x,))
    return {
        "flops": [info["flops"], info["flops_str"], info["params"], info["params_str"]],
        "activations": [info["activations"], info["activations_str"]],
        "by module": [flops.by_module(), activations.by_module()],
        "by operator": [flops.by_module_and_operator(), activations.by_operator()],
        "by caller": FlopAnalyzer(model, x).ancestor_mode("caller").by_module(),
        "uncalled": [sorted(flops.uncalled_modules()), sorted(activations.uncalled_modules())],
        "table": info["out_table"],
        "table without shapes": complexity_stats_table(
            flops, max_depth=1, activations=activations, show_param_shapes=False
        ),
        "parameters": parameter_count_table(model),
        "arch": info["out_arch"].strip(),
    }


def run():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return {name: analyse(model) for name, model in models().items()}


if __name__ == "__main__":
    print(json.dumps(run()))
