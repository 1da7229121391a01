"""Metrics and evaluators, MMEngine's or ours.

``python scenarios.py mmengine`` prints what MMEngine does; ``run("mm2pl.mmengine")`` returns what
we do, in the same form.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import sys
import tempfile
from typing import Any

import torch


class World:
    """The evaluator module, two metrics, and the log they write."""

    def __init__(self, root: str, folder: str) -> None:
        self.folder = folder
        self.module = importlib.import_module(f"{root}.evaluator")
        self.metric_module = importlib.import_module(f"{root}.evaluator.metric")
        self.element = importlib.import_module(f"{root}.structures").BaseDataElement
        self.registry = importlib.import_module(f"{root}.registry").METRICS
        self.log: list[Any] = []
        self.calls: list[Any] = []
        calls = self.calls

        class Count(self.module.BaseMetric):  # type: ignore[misc, name-defined]
            def process(self, data_batch: Any, data_samples: Any) -> None:
                calls.append([repr(data_batch), repr(data_samples)])
                self.results.extend(data_samples)

            def compute_metrics(self, results: Any) -> dict[str, Any]:
                return {"count": len(results), "devices": sorted({str(type(r)) for r in results})}

        class Named(Count):
            default_prefix = "named"

        self.count, self.named = Count, Named

    def print_log(self, message: str, logger: Any = None, level: int = 20) -> None:
        self.log.append([message.replace(self.folder, "FOLDER"), logger, level])


def evaluator_cases(world: World) -> dict[str, Any]:
    module = world.module
    one = module.Evaluator(world.named())
    found: dict[str, Any] = {"single": [len(one.metrics), one.dataset_meta]}
    two = module.Evaluator([world.named(), world.named(prefix="own"), world.count()])
    two.dataset_meta = {"classes": [1]}
    found["meta"] = [two.dataset_meta, [metric.dataset_meta for metric in two.metrics]]
    element = world.element(metainfo={"id": 3})
    element.pred = torch.ones(1)
    two.process([element, {"a": 1}], {"inputs": 1})
    two.process([{"a": 2}])
    found["results"] = two.evaluate(3)
    found["padding is dropped"] = [two.process([1, 2, 3]), two.evaluate(2)][1]
    found["nothing processed"] = two.evaluate(0)
    for size in (1, 2, 3, 10):
        data = [{"x": i} for i in range(5)]
        found[f"offline {size}"] = two.offline_evaluate([0, 1, 2, 3, 4], data, size)
        found[f"offline without data {size}"] = two.offline_evaluate(iter(range(4)), None, size)
    found["calls"] = world.calls
    return found


def dump_case(world: World) -> Any:
    path = os.path.join(world.folder, "out.pkl")
    evaluator = world.module.Evaluator({"type": "DumpResults", "out_file_path": path})
    evaluator.process([{"a": torch.ones(2), "b": (1, [torch.zeros(1)])}, 3])
    results = evaluator.evaluate(2)
    with open(path, "rb") as file:
        return [results, repr(pickle.load(file))]


def value_cases(world: World) -> dict[str, Any]:
    metrics = {"a/x": 1, "b/x": 2, "a/y": 3, "z": 4}
    get = world.module.get_metric_value
    names = ["a/x", "y", "z", "x", "b/y", "q"]
    return {name: caught(lambda n=name: get(n, metrics)) for name in names}


def caught(action: Any) -> Any:
    """Return the result, or the names of what the error can be caught as, its own first."""
    try:
        return action()
    except Exception as error:
        return [base.__name__ for base in type(error).__mro__]


def error_cases(world: World) -> dict[str, Any]:
    module = world.module

    def same_names() -> None:
        evaluator = module.Evaluator([world.named(), world.named()])
        evaluator.process([1])
        evaluator.evaluate(1)

    return {
        "same names": caught(same_names),
        "other lengths": caught(lambda: module.Evaluator([]).offline_evaluate([1], [1, 2])),
        "collect_dir on a gpu": caught(lambda: world.count("gpu", None, "dir")),
        "no pickle file": caught(lambda: module.DumpResults("out.json")),
        "abstract": caught(lambda: module.BaseMetric()),
        "unknown metric": caught(lambda: module.Evaluator({"type": "NoSuchMetric"})),
    }


def run(root: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        world = World(root, folder)
        real = world.metric_module.print_log
        world.metric_module.print_log = world.print_log
        try:
            found = {
                "evaluator": evaluator_cases(world),
                "dump": dump_case(world),
                "value": value_cases(world),
                "error": error_cases(world),
                "log": world.log,
                "all": sorted(world.module.__all__),
                "to cpu": repr(world.metric_module._to_cpu([(torch.ones(1), {"a": "b"})])),
            }
        finally:
            world.metric_module.print_log = real
        result: dict[str, Any] = json.loads(json.dumps(found))
        return result


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1])))
