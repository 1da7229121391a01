"""Wrappers built by hand, as the tutorial of MMEngine's optimizer wrapper does, without a Runner.

Prints the weights; with the real MMEngine, or ours: ``tutorial.py mm2pl``.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.optim import SGD, Adam

STEPS = 11


def net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def batches() -> list[tuple[torch.Tensor, torch.Tensor]]:
    torch.manual_seed(1)
    return [(torch.randn(6, 4), torch.randint(3, (6,))) for _ in range(STEPS)]


def weights(*models: nn.Module) -> list[str]:
    tensors = [one for model in models for one in model.state_dict().values()]
    return [hashlib.sha1(one.numpy().tobytes()).hexdigest() for one in tensors]


def by_torch() -> Any:
    """The tutorial's starting point: what the wrappers are compared with."""
    model = net()
    optimizer = SGD(model.parameters(), lr=0.01)
    for inputs, target in batches():
        functional.cross_entropy(model(inputs), target).backward()
        optimizer.step()
        optimizer.zero_grad()
    return weights(model)


def updated() -> Any:
    from mmengine.optim import OptimWrapper

    model = net()
    wrapper = OptimWrapper(optimizer=SGD(model.parameters(), lr=0.01))
    for inputs, target in batches():
        wrapper.update_params(functional.cross_entropy(model(inputs), target))
    return weights(model)


def step_by_step() -> Any:
    from mmengine.optim import OptimWrapper

    model = net()
    wrapper = OptimWrapper(optimizer=SGD(model.parameters(), lr=0.01))
    for inputs, target in batches():
        wrapper.zero_grad()
        wrapper.backward(functional.cross_entropy(model(inputs), target))
        wrapper.step()
    return weights(model)


def accumulated() -> Any:
    from mmengine.optim import OptimWrapper

    model = net()
    wrapper = OptimWrapper(SGD(model.parameters(), lr=0.01), accumulative_counts=4)
    for inputs, target in batches():
        with wrapper.optim_context(model):
            loss = functional.cross_entropy(model(inputs), target)
        wrapper.update_params(loss)
    return [weights(model), wrapper.should_update()]


def accumulated_to_a_known_end() -> Any:
    from mmengine.optim import OptimWrapper

    model = net()
    wrapper = OptimWrapper(SGD(model.parameters(), lr=0.01), accumulative_counts=4)
    wrapper.initialize_count_status(model, init_counts=0, max_counts=STEPS)
    for inputs, target in batches():
        with wrapper.optim_context(model):
            loss = functional.cross_entropy(model(inputs), target)
        wrapper.update_params(loss)
    return [weights(model), wrapper.should_update()]


def clipped(**clip_grad: Any) -> Any:
    from mmengine.optim import OptimWrapper

    model = net()
    wrapper = OptimWrapper(SGD(model.parameters(), lr=0.1), clip_grad=clip_grad)
    for inputs, target in batches():
        wrapper.update_params(functional.cross_entropy(model(inputs), target))
    return weights(model)


def clipped_by_norm() -> Any:
    return clipped(max_norm=0.1, norm_type=2)


def clipped_by_value() -> Any:
    return clipped(type="value", clip_value=0.01)


def rates_and_momenta() -> Any:
    from mmengine.optim import OptimWrapper

    model = net()
    groups = [{"params": model[0].parameters(), "lr": 0.5}, {"params": model[3].parameters()}]
    one = OptimWrapper(SGD(model.parameters(), lr=0.01, momentum=0.8))
    several = OptimWrapper(Adam(groups, lr=0.01))
    return [w.get_lr() | w.get_momentum() for w in (one, several)] + [one.param_groups[0]["lr"]]


def state_kept() -> Any:
    from mmengine.optim import OptimWrapper

    model = net()
    wrapper = OptimWrapper(SGD(model.parameters(), lr=0.1, momentum=0.9))
    rows = batches()
    for inputs, target in rows[:5]:
        wrapper.update_params(functional.cross_entropy(model(inputs), target))
    again = OptimWrapper(SGD(model.parameters(), lr=0.3, momentum=0.9))
    again.load_state_dict(wrapper.state_dict())
    for inputs, target in rows[5:]:
        again.update_params(functional.cross_entropy(model(inputs), target))
    return weights(model)


def gan() -> Any:
    """Two networks and two wrappers, of which one updates twice as often as the other."""
    from mmengine.optim import OptimWrapper, OptimWrapperDict

    torch.manual_seed(0)
    generator, discriminator = nn.Linear(2, 4), nn.Linear(4, 1)
    wrappers = OptimWrapperDict(
        generator=OptimWrapper(Adam(generator.parameters(), lr=0.01), clip_grad={"max_norm": 1}),
        discriminator=OptimWrapper(SGD(discriminator.parameters(), lr=0.1), accumulative_counts=2),
    )
    told = [sorted(wrappers.keys()), wrappers.get_lr(), wrappers.get_momentum()]
    for step, (real, _) in enumerate(batches()):
        noise = torch.randn(6, 2)
        with wrappers["discriminator"].optim_context(discriminator):
            made = generator(noise)
            loss = functional.softplus(discriminator(made.detach())).mean()
            loss = loss + functional.softplus(-discriminator(real)).mean()
        wrappers["discriminator"].update_params(loss)
        if step % 2:
            with wrappers["generator"].optim_context(generator):
                loss = functional.softplus(-discriminator(generator(noise))).mean()
            wrappers["generator"].update_params(loss)
            wrappers.zero_grad()
    return [weights(generator, discriminator), *told]


def built_from_a_config() -> Any:
    from mmengine.optim import build_optim_wrapper

    model = net()
    paramwise = {"norm_decay_mult": 0.0, "custom_keys": {"3": {"lr_mult": 0.1}}}
    optimizer = {"type": "SGD", "lr": 0.1, "weight_decay": 0.01}
    wrapper = build_optim_wrapper(
        model, {"type": "OptimWrapper", "optimizer": optimizer, "paramwise_cfg": paramwise}
    )
    for inputs, target in batches():
        wrapper.update_params(functional.cross_entropy(model(inputs), target))
    return [weights(model), [[g["lr"], g["weight_decay"]] for g in wrapper.param_groups]]


def scheduled() -> Any:
    """A wrapper in the place of an optimizer, driven by a schedule of MMEngine's."""
    from mmengine.optim import LinearLR, OptimWrapper

    model = net()
    wrapper = OptimWrapper(SGD(model.parameters(), lr=0.1))
    schedule = LinearLR(wrapper, start_factor=0.1, end=5, by_epoch=False)
    rates = []
    for inputs, target in batches():
        wrapper.update_params(functional.cross_entropy(model(inputs), target))
        schedule.step()
        rates.append(wrapper.get_lr()["lr"])
    return [weights(model), rates]


SNIPPETS: list[Callable[[], Any]] = [
    by_torch,
    updated,
    step_by_step,
    accumulated,
    accumulated_to_a_known_end,
    clipped_by_norm,
    clipped_by_value,
    rates_and_momenta,
    state_kept,
    gan,
    built_from_a_config,
    scheduled,
]

if __name__ == "__main__":
    if sys.argv[1:] == ["mm2pl"]:
        import mm2pl

        mm2pl.install_as_mmengine()
    print(json.dumps({snippet.__name__: snippet() for snippet in SNIPPETS}))
