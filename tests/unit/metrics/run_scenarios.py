"""Validations and tests of a run with odd predictions, metrics and evaluators, MMEngine's or ours.

``python run_scenarios.py mmengine`` prints what MMEngine does; ``run("mm2pl.mmengine")`` returns
what we do, in the same form.
"""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

# What follows the predictions, as keys of a data element, by the batch.
TAILS: dict[str, Callable[[Tensor], list[dict[str, Any]]]] = {
    "nothing": lambda x: [],
    "losses": lambda x: [{"loss": {"loss_a": x.mean(), "acc": x.sum()}}],
    "lists": lambda x: [{"loss": {"loss_a": [x.min(), x.max()], "count": torch.tensor(1)}}],
    "no tensor": lambda x: [{"loss": {"loss_a": 1.5, "loss_b": x.mean()}}],
    "an empty list": lambda x: [{"loss": {"loss_a": [], "loss_b": x.mean()}}],
    "no losses": lambda x: [{"loss": {}}],
    "something beside": lambda x: [{"loss": {"loss_a": x.mean()}, "p": 1}],
    "a bare loss": lambda x: [{"loss": x.mean()}],
    "several numbers": lambda x: [{"loss": {"loss_a": x}}],
    "mixed": lambda x: [{"loss": {"loss_a": [x.mean(), 1.0]}}],
    "no loss by name": lambda x: [{"loss": {"acc": x.mean()}}],
    "a tuple": lambda x: [{"loss": {"loss_a": (x.min(), x.max())}}],
    "two": lambda x: [{"loss": {"loss_a": x.mean()}}, {"loss": {"loss_b": x.mean()}}],
}
RESULTS: dict[str, Any] = {
    "a tensor": {"a": torch.tensor(1.0)},
    "nested": {"a": {"b": 1}},
    "a list": [1],
    "none": {},
    "of the losses' name": {"val_loss": 3},
}


class Five(Dataset[Any]):
    def __len__(self) -> int:
        return 5

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"x": torch.tensor(float(index))}


class Named(Five):
    metainfo = {"classes": ("a",)}


class Duck:
    """Does what an evaluator does."""

    dataset_meta: Any = None

    def process(self, data_samples: Any, data_batch: Any) -> None:
        pass

    def evaluate(self, size: int) -> dict[str, Any]:
        return {"size": size}


class World:
    """One engine, and the classes that derive from its own."""

    def __init__(self, root: str) -> None:
        self.count = 0
        self.root = root
        self.runner = importlib.import_module(f"{root}.runner").Runner
        self.evaluator = importlib.import_module(f"{root}.evaluator")
        element = importlib.import_module(f"{root}.structures").BaseDataElement

        class Model(importlib.import_module(f"{root}.model").BaseModel):  # type: ignore[misc]
            def __init__(self, tail: str, kind: type) -> None:
                super().__init__()
                self.tail, self.kind = TAILS[tail], kind
                self.weight = nn.Parameter(torch.ones(1))

            def forward(self, x: Any, mode: str = "tensor") -> Any:
                x = torch.stack(x)
                every = [*({"p": value} for value in x), *self.tail(x)]
                return self.kind(element(**one) for one in every)

        class Sum(self.evaluator.BaseMetric):  # type: ignore[misc, name-defined]
            def __init__(self, result: Any = None, prefix: Any = None) -> None:
                super().__init__(prefix=prefix)
                self.result = result

            def process(self, data_batch: Any, data_samples: Any) -> None:
                self.results += [float(one.get("p", -1)) for one in data_samples]

            def compute_metrics(self, results: Any) -> Any:
                found = {"count": len(results), "sum": sum(results)}
                return found if self.result is None else self.result

        class Look(importlib.import_module(f"{root}.hooks").Hook):  # type: ignore[misc]
            def __init__(self, seen: list[Any]) -> None:
                self.seen = seen

            def after_val_iter(self, runner: Any, *, outputs: Any, **_: Any) -> None:
                self.seen.append([type(outputs).__name__, len(outputs)])

            def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
                self.seen.append(repr(metrics))

        self.model, self.metric, self.hook = Model, Sum, Look

    def go(
        self,
        tail: str = "nothing",
        kind: type = list,
        evaluator: Any = None,
        stage: str = "val",
        data: type = Named,
    ) -> Any:
        self.count += 1
        seen: list[Any] = []
        sampler = {"type": "DefaultSampler", "shuffle": False}
        loader = {"batch_size": 2, "num_workers": 0, "dataset": data(), "sampler": sampler}
        evaluator = [self.metric()] if evaluator is None else evaluator
        parts = {"dataloader": loader, "cfg": {}, "evaluator": evaluator}
        with tempfile.TemporaryDirectory() as folder:
            runner = self.runner(
                model=self.model(tail, kind),
                work_dir=folder,
                experiment_name=f"{self.root}_{self.count}",
                log_level="ERROR",
                custom_hooks=[self.hook(seen)],
                **{f"{stage}_{key}": value for key, value in parts.items()},
            )
            try:
                found = [repr(getattr(runner, stage)()) for _ in range(2)]
                meta = getattr(runner, f"{stage}_loop").evaluator.dataset_meta
                return [found, repr(meta), repr(runner.visualizer.dataset_meta), seen]
            except Exception as error:
                return [[base.__name__ for base in type(error).__mro__], seen]


def run(root: str) -> dict[str, Any]:
    world = World(root)
    found = {
        f"{tail} in a {k.__name__}": world.go(tail, k) for tail in TAILS for k in (list, tuple)
    }
    for tail in ("losses", "lists"):
        found[f"{tail} in a test"] = world.go(tail, stage="test")
    for name, result in RESULTS.items():
        for prefix in (None, "pre"):
            metric = world.metric(result, prefix)
            found[f"{name} behind {prefix}"] = world.go("losses", evaluator=[metric])
    found["no metainfo"] = world.go(data=Five)
    found["a built evaluator"] = world.go(evaluator=world.evaluator.Evaluator(world.metric()))
    found["a section"] = world.go(evaluator={"metrics": [world.metric()]})
    found["no metrics"] = world.go(evaluator=[])
    found["two of one name"] = world.go(evaluator=[world.metric(), world.metric()])
    found["a number"] = world.go(evaluator=3)
    found["something like an evaluator"] = world.go(evaluator=Duck(), stage="test")
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1])))
