"""Builds wrong wrappers and schedulers with a Runner of either engine; prints their errors.

``bad_input.py`` runs with the real MMEngine, ``bad_input.py mm2pl`` with ours.
"""

from __future__ import annotations

import json
import logging
import sys
import tempfile
from typing import Any

SGD: dict[str, Any] = {"type": "SGD", "lr": 0.1}
BARE: dict[str, Any] = {"type": "Adam"}


def wrapper(optimizer: Any = SGD, **changes: Any) -> dict[str, Any]:
    return {"optimizer": optimizer, **changes}


def paramwise(optimizer: Any = SGD, **options: Any) -> dict[str, Any]:
    return wrapper(optimizer, paramwise_cfg=options)


# Wrapper -> (the key path and a word of what is told).
WRAPPERS: dict[str, tuple[Any, str, str]] = {
    "argument": (wrapper({**SGD, "bettas": 1}), "optim_wrapper.optimizer.bettas", "SGD takes"),
    "no type": (wrapper({"lr": 0.1}), "optim_wrapper.optimizer.type", "type='SGD'"),
    "unknown wrapper": (wrapper(type="OptimWraper"), "optim_wrapper.type", "OptimWrapper"),
    "its argument": (wrapper(acumulate=2), "optim_wrapper.acumulate", "OptimWrapper takes"),
    "constructor": (wrapper(constructor="Defalt"), "optim_wrapper.constructor", "Hint"),
    "zero count": (wrapper(accumulative_counts=0), "optim_wrapper.accumulative_counts", "Hint"),
    "negative count": (wrapper(accumulative_counts=-3), "optim_wrapper.accumulative_counts", "-3"),
    "clipping by a number": (wrapper(clip_grad=1.0), "optim_wrapper.clip_grad", "max_norm=1.0"),
    "clipping by a list": (wrapper(clip_grad=[1.0]), "optim_wrapper.clip_grad", "max_norm=1.0"),
    "clipping by nothing": (wrapper(clip_grad={}), "optim_wrapper.clip_grad", "max_norm=1.0"),
    "kind of clipping": (
        wrapper(clip_grad={"type": "nrm", "max_norm": 1}),
        "optim_wrapper.clip_grad.type",
        "Did you mean: norm",
    ),
    "decay of norms": (
        paramwise(norm_decay_mult=0.0),
        "optim_wrapper.paramwise_cfg.norm_decay_mult",
        "optimizer.weight_decay",
    ),
    "decay of a key": (
        paramwise(custom_keys={"fc": {"decay_mult": 0.0}}),
        "optim_wrapper.paramwise_cfg.custom_keys.fc",
        "optimizer.weight_decay",
    ),
    "rate of biases": (
        paramwise(BARE, bias_lr_mult=2.0),
        "optim_wrapper.paramwise_cfg.bias_lr_mult",
        "optimizer.lr",
    ),
    "rate of a key": (
        paramwise(BARE, custom_keys={"fc": {"lr_mult": 2.0}}),
        "optim_wrapper.paramwise_cfg.custom_keys.fc.lr_mult",
        "optimizer.lr",
    ),
    "factor as text": (
        paramwise(bias_lr_mult="2"),
        "optim_wrapper.paramwise_cfg.bias_lr_mult",
        "'2'",
    ),
    "options of a key": (
        paramwise(custom_keys={"fc": 2}),
        "optim_wrapper.paramwise_cfg.custom_keys.fc",
        "dict(lr_mult=0.1)",
    ),
    "keys": (paramwise(custom_keys=["fc"]), "optim_wrapper.paramwise_cfg.custom_keys", "dict"),
    "options": (wrapper(paramwise_cfg=["fc"]), "optim_wrapper.paramwise_cfg", "dict"),
    "a number": (3, "optim_wrapper", "OptimWrapper or a dict"),
}
# Schedules of one optimizer.
SCHEDULES: dict[str, tuple[Any, str, str]] = {
    "end": ([{"type": "LinearLR", "begin": 5, "end": 5}], "param_scheduler[0].end", "Hint"),
    "end before begin": ({"type": "LinearLR", "begin": 5, "end": 2}, "param_scheduler.end", "end"),
    "unknown": ([{"type": "LinarLR"}], "param_scheduler[0].type", "LinearLR"),
    "argument": (
        [{"type": "LinearLR", "start_factr": 1}],
        "param_scheduler[0].start_factr",
        "start_factor",
    ),
    "factor": ([{"type": "LinearLR", "start_factor": 3}], "param_scheduler[0]", "between 0 and 1"),
    "parameter": (
        [{"type": "LinearParamScheduler", "param_name": "lrr"}],
        "param_scheduler[0]",
        "Did you mean: lr",
    ),
    "by a name": ({"a": {"type": "LinearLR"}}, "param_scheduler", "the list of schedules"),
    "iterations converted": (
        [{"type": "LinearLR", "by_epoch": False, "convert_to_iter_based": True}],
        "param_scheduler[0].convert_to_iter_based",
        "epoch",
    ),
    "a number": (3, "param_scheduler", "dict"),
}
# Schedules of an optimizer without momentum, and of two optimizers, a and b.
MOMENTUM = {
    "momentum": ([{"type": "LinearMomentum"}], "param_scheduler[0].type", "momentum or betas"),
}
OF_TWO = {
    "one without": ({"a": {"type": "LinearLR"}}, "param_scheduler", "'b' has no schedule"),
    "another name": (
        {"a": {"type": "LinearLR"}, "bb": {"type": "LinearLR"}},
        "param_scheduler",
        "Did you mean: bb",
    ),
    "below a name": (
        {"a": [{"type": "LinearLR", "begin": 3, "end": 1}], "b": []},
        "param_scheduler.a[0].end",
        "end",
    ),
}


def described(error: Exception) -> dict[str, Any]:
    names = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
    kinds = [name for name in names if name not in ("object", "BaseException", "Exception")]
    return {"kinds": kinds, "message": str(error)}


def collect() -> dict[str, Any]:
    import torch
    from mmengine.model import BaseModel
    from mmengine.optim import OptimWrapper, OptimWrapperDict
    from mmengine.runner import Runner

    class Net(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.fc, self.norm = torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2)

        def forward(self, inputs: Any, mode: str = "tensor") -> Any:
            return {"loss": self.fc(inputs).sum()}

    logging.disable(logging.CRITICAL)
    loader = {"batch_size": 1, "dataset": [1, 2], "sampler": {"type": "DefaultSampler"}}
    runner = Runner(
        Net(),
        work_dir=tempfile.mkdtemp(),
        train_dataloader={**loader, "num_workers": 0},
        train_cfg={"by_epoch": True, "max_epochs": 2},
        optim_wrapper=wrapper(),
        default_scope=None,
    )

    def attempt(build: Any, given: Any) -> Any:
        try:
            build(given)
        except Exception as error:
            return described(error)
        return "accepted"

    found = {
        "wrappers": {k: attempt(runner.build_optim_wrapper, v[0]) for k, v in WRAPPERS.items()}
    }
    net = Net()
    of = {name: OptimWrapper(torch.optim.SGD(net.parameters(), lr=0.1)) for name in "ab"}
    plain = torch.optim.Rprop(net.parameters())
    for name, wrapped, cases in (
        ("schedules", of["a"], SCHEDULES),
        ("momentum", OptimWrapper(plain), MOMENTUM),
        ("of_two", OptimWrapperDict(**of), OF_TWO),
    ):
        runner.optim_wrapper = wrapped
        build = runner.build_param_scheduler
        found[name] = {key: attempt(build, case[0]) for key, case in cases.items()}
    return found


if __name__ == "__main__":
    if sys.argv[1:] == ["mm2pl"]:
        import mm2pl

        mm2pl.install_as_mmengine()
    print(json.dumps(collect()))
