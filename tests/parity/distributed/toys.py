"""Models, data and a recording hook for runs over several processes, on either engine."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import mmengine.dist as dist
import torch
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel, MMDistributedDataParallel, is_model_wrapper
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.registry import (
    DATASETS,
    HOOKS,
    METRICS,
    MODEL_WRAPPERS,
    MODELS,
    OPTIM_WRAPPER_CONSTRUCTORS,
)
from torch import nn
from torch.utils.data import Dataset

NOT_MMENGINES = (
    *("mm2pl", "epoch", "global_step", "pytorch-lightning_version"),
    *("loops", "callbacks", "optimizer_states", "lr_schedulers", "MixedPrecision"),
)


def keys(checkpoint: Any) -> list[str]:
    """Return the keys of a checkpoint but those of Lightning's and mm2pl's own."""
    return sorted(key for key in checkpoint if key not in NOT_MMENGINES)


def digest(state: Any) -> str:
    """Return a hash of all that a state holds, tensors to the last bit."""
    found = hashlib.sha1()

    def add(value: Any) -> None:
        if isinstance(value, dict):
            for key in sorted(value, key=str):
                found.update(str(key).encode())
                add(value[key])
        elif isinstance(value, (list, tuple)):
            for one in value:
                add(one)
        elif isinstance(value, torch.Tensor):
            found.update(value.detach().cpu().contiguous().numpy().tobytes())
        else:
            found.update(repr(value).encode())

    add(state)
    return found.hexdigest()[:12]


@DATASETS.register_module()
class Points(Dataset):
    """Points in four dimensions, of two classes."""

    metainfo = {"classes": ("a", "b")}

    def __init__(self, length: int) -> None:
        generator = torch.Generator().manual_seed(length)
        self.x = torch.randn(length, 4, generator=generator)
        self.y = (self.x.sum(1) > 0).long()

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"x": self.x[index], "y": self.y[index], "i": index}


def _stack(values: Any) -> torch.Tensor:
    return torch.stack(list(values)) if isinstance(values, (list, tuple)) else values


@MODELS.register_module()
class Net(BaseModel):
    """Linear, BatchNorm, Dropout, Linear; ``unused`` adds a layer that no loss depends on."""

    def __init__(self, unused: bool = False) -> None:
        super().__init__()
        self.first = nn.Linear(4, 8)
        self.norm = nn.BatchNorm1d(8)
        self.drop = nn.Dropout(0.3)
        self.last = nn.Linear(8, 2)
        if unused:
            self.unused = nn.Linear(3, 3)

    def forward(self, x: Any, y: Any = None, i: Any = None, mode: str = "tensor") -> Any:
        out = self.last(self.drop(self.norm(self.first(_stack(x))).relu()))
        if mode == "loss":
            return {"loss": nn.functional.cross_entropy(out, _stack(y))}
        return [
            {"hit": int(p.argmax() == t), "i": int(k)} for p, t, k in zip(out, y, i, strict=True)
        ]


@MODELS.register_module()
class Filled(Net):
    """Its initial weights are not those that it is made with."""

    def init_weights(self) -> None:
        nn.init.constant_(self.first.weight, 0.5)


@MODELS.register_module()
class Gan(BaseModel):
    """A generator and a discriminator, trained in turn, each with its own optimizer."""

    def __init__(self) -> None:
        super().__init__()
        self.generator = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4))
        self.discriminator = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Any]:
        real = _stack(self.data_preprocessor(data, True)["x"])
        noise = torch.randn(len(real), 3)
        critic, maker = optim_wrapper["discriminator"], optim_wrapper["generator"]
        with critic.optim_context(self.discriminator):
            fake = self.generator(noise).detach()
            loss_d = self.discriminator(fake).mean() - self.discriminator(real).mean()
        critic.update_params(loss_d)
        for parameter in self.discriminator.parameters():
            parameter.requires_grad = False
        with maker.optim_context(self.generator):
            loss_g = -self.discriminator(self.generator(noise)).mean()
        maker.update_params(loss_g)
        for parameter in self.discriminator.parameters():
            parameter.requires_grad = True
        return {"loss": loss_d + loss_g, "loss_d": loss_d, "loss_g": loss_g}

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError("train_step calls the parts")


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class OnePerPart:
    """Makes an Adam for each child that has parameters."""

    def __init__(self, optim_wrapper_cfg: Any, paramwise_cfg: Any = None) -> None:
        self.cfg = dict(optim_wrapper_cfg)

    def __call__(self, model: Any) -> OptimWrapperDict:
        model = model.module if is_model_wrapper(model) else model
        counts = self.cfg.get("counts", 1)
        wrappers = {}
        for name in ("generator", "discriminator"):
            optimizer = torch.optim.Adam(getattr(model, name).parameters(), lr=0.01)
            wrappers[name] = OptimWrapper(optimizer, accumulative_counts=counts)
        return OptimWrapperDict(**wrappers)


@MODEL_WRAPPERS.register_module()
class Doubling(MMDistributedDataParallel):
    """A wrapper of one's own, whose step doubles the loss."""

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, Any]:
        with optim_wrapper.optim_context(self):
            data = self.module.data_preprocessor(data, training=True)
            losses = self._run_forward(data, mode="loss")
        loss, to_log = self.module.parse_losses({"loss": losses["loss"] * 2})
        optim_wrapper.update_params(loss)
        return to_log


@METRICS.register_module()
class Hits(BaseMetric):
    """The share of hits, and the order of the samples that they were gathered in."""

    default_prefix = "hits"

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += data_samples

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        share = sum(one["hit"] for one in results) / len(results)
        return {"share": share, "order": ",".join(str(one["i"]) for one in results)}


@HOOKS.register_module()
class Trace(Hook):
    """Keeps what happens, with the weights and the state of the random numbers."""

    priority = "VERY_LOW"

    def __init__(self) -> None:
        self.events: list[Any] = []

    def _note(self, runner: Any, point: str, *what: Any) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        random = digest(torch.get_rng_state())
        self.events.append(
            [point, runner.epoch, runner.iter, *what, digest(model.state_dict()), random]
        )

    def before_run(self, runner: Any) -> None:
        facts = [runner.rank, runner.world_size, runner.distributed]
        facts += [type(runner.model).__name__, is_model_wrapper(runner.model)]
        if not hasattr(runner, "strategy"):  # MMEngine's FlexibleRunner lacks these
            facts += [runner.launcher, runner.model_name, runner.deterministic]
        self._note(runner, "before_run", *facts)

    def before_train(self, runner: Any) -> None:
        self._note(runner, "before_train")

    def before_train_epoch(self, runner: Any) -> None:
        self._note(runner, "before_train_epoch")

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        losses = {name: float(value).hex() for name, value in outputs.items()}
        seen = [int(index) for index in data_batch["i"]]
        self._note(runner, "after_train_iter", batch_idx, losses, seen, _rates(runner))

    def after_train_epoch(self, runner: Any) -> None:
        self._note(runner, "after_train_epoch")

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self._note(runner, "after_val_iter", batch_idx, outputs)

    def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
        # Of one kind on both sides: through the messages of the group.
        self._note(runner, "after_val_epoch", json.loads(json.dumps(metrics)))

    def after_test_epoch(self, runner: Any, metrics: Any = None) -> None:
        self._note(runner, "after_test_epoch", json.loads(json.dumps(metrics)))

    def before_save_checkpoint(self, runner: Any, checkpoint: Any) -> None:
        self._note(runner, "before_save_checkpoint", keys(checkpoint))

    def after_load_checkpoint(self, runner: Any, checkpoint: Any) -> None:
        self._note(runner, "after_load_checkpoint", keys(checkpoint))

    def after_train(self, runner: Any) -> None:
        self._note(runner, "after_train")

    def after_run(self, runner: Any) -> None:
        self._note(runner, "after_run")


def _rates(runner: Any) -> dict[str, list[float]]:
    return runner.optim_wrapper.get_lr()  # type: ignore[no-any-return]


def same_everywhere(value: Any) -> bool:
    """Whether all ranks have the same value."""
    return len(set(map(repr, dist.all_gather_object(value)))) == 1
