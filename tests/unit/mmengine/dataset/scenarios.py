"""Datasets, samplers and collate functions, MMEngine's or ours.

``python scenarios.py mmengine`` prints what MMEngine does; ``run("mm2pl.mmengine")`` returns what
we do, in the same form.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import json
import os
import random
import sys
import tempfile
from collections import OrderedDict, namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import torch

INDICES: list[Any] = [0, 1, 3, -1, -2, -4, [], [0], [2, 0, 2], [-1, 1], (1, 3)]
WRONG: dict[str, Any] = {
    "no annotation file": {"ann_file": ""},
    "annotations are a list": {"content": [1]},
    "no metainfo": {"content": {"data_list": []}},
    "no data_list": {"content": {"metainfo": {}}},
    "nothing to serialize": {"content": {"metainfo": {}, "data_list": []}},
    "an annotation is no dict": {"content": {"metainfo": {}, "data_list": [1]}, "data_prefix": {}},
    "a list of no dicts": {"content": {"metainfo": {}, "data_list": [[1]]}, "data_prefix": {}},
    "a prefix without its key": {"data_prefix": {"other": "x"}},
    "a prefix that is no string": {"data_prefix": {"img_path": 1}},
    "metainfo is a list": {"metainfo": [1]},
    "indices are a dict": {"indices": {}},
    "a transform that is no callable": {"pipeline": [1]},
    "an unknown transform": {"pipeline": [{"type": "NoSuchTransform"}]},
    "a test sample is given up": {"test_mode": True, "pipeline": [lambda _: None], "get": 0},
    "all samples are given up": {"max_refetch": 3, "pipeline": [lambda _: None], "get": 0},
    "out of range": {"get": 4},
    "out of range from the end": {"get": -5},
    "out of range, not serialized": {"get": 4, "serialize_data": False},
    "subset too long": {"subset": 5},
    "subset too long from the end": {"subset": -5},
    "subset out of range": {"subset": [4]},
    "subset by a dict": {"subset": {}},
}


def annotations() -> dict[str, Any]:
    data = [
        {"img_path": f"{i}.jpg", "label": i % 2, "boxes": [i] * i, "cats": [0, 1, 2][: i % 3 + 1]}
        for i in range(4)
    ]
    return {"metainfo": {"dataset_type": "file", "task": "file"}, "data_list": data}


class World:
    """A dataset module and a folder with an annotation file."""

    def __init__(self, root: str, folder: str) -> None:
        self.root = root
        self.folder = folder
        self.module = importlib.import_module(f"{root}.dataset")
        Path(folder, "ann.json").write_text(json.dumps(annotations()))
        Path(folder, "classes.txt").write_text("cat\ndog\n")
        base = self.module.BaseDataset

        class Data(base):  # type: ignore[misc, valid-type]
            METAINFO = {"task": "class", "palette": [1, 2]}

            def get_cat_ids(self, idx: int) -> list[int]:
                cats: list[int] = self.get_data_info(idx)["cats"]
                return cats

        self.kind = Data

    def make(self, **settings: Any) -> Any:
        content = settings.pop("content", None)
        name = "ann.json"
        if content is not None:
            name = "other.json"
            Path(self.folder, name).write_text(json.dumps(content))
        settings = {"data_prefix": {"img_path": "imgs"}, "data_root": self.folder} | settings
        return self.kind(**{"ann_file": name, **settings})

    def infos(self, dataset: Any) -> Any:
        found = [dataset.get_data_info(i) for i in range(len(dataset))]
        return json.loads(json.dumps(found).replace(self.folder, "FOLDER"))


def dataset_cases(world: World) -> dict[str, Any]:
    lines = os.path.join(world.folder, "classes.txt")
    found: dict[str, Any] = {}
    for serialize in (True, False):
        tag = "serialized" if serialize else "list"
        make = lambda **s: world.make(serialize_data=serialize, **s)  # noqa: B023, E731
        found[f"{tag} all"] = world.infos(make())
        found[f"{tag} last"] = make().get_data_info(-1)["sample_idx"]
        for indices in INDICES:
            if indices not in (0, [], -4):  # no data to serialize; MMEngine fails for all of them
                found[f"{tag} indices {indices}"] = world.infos(make(indices=indices))
            if indices == -4 and serialize:
                continue
            dataset = make()
            found[f"{tag} subset {indices}"] = world.infos(dataset.get_subset(indices))
            found[f"{tag} whole after {indices}"] = len(dataset)
            dataset.get_subset_(indices)
            found[f"{tag} cut {indices}"] = world.infos(dataset)
    found["metainfo"] = world.make().metainfo
    found["own metainfo"] = world.make(metainfo={"task": "own", "classes": lines, "n": 1}).metainfo
    found["lazy"] = [world.make(lazy_init=True)._fully_initialized, len(world.make(lazy_init=True))]
    found["absolute prefix"] = world.make(data_prefix={"img_path": "/abs"})[0]["img_path"]
    found["no root"] = world.make(data_prefix={}, filter_cfg={"a": 1}).filter_cfg
    return found


def pipeline_cases(world: World) -> Any:
    np.random.seed(3)
    fetched: list[int] = []

    def unlucky(info: dict[str, Any]) -> Any:
        fetched.append(info["sample_idx"])
        return info if len(fetched) % 3 == 0 else None

    dataset = world.make(pipeline=[unlucky, lambda info: info["label"]])
    samples = [dataset[i] for i in (0, 1, 2)]
    compose = world.module.Compose([abs, len])
    return [fetched, samples, repr(compose), world.module.Compose(None)({"a": 1})]


def wrapper_cases(world: World) -> dict[str, Any]:
    module = world.module
    one, two = world.make(), world.make(indices=2)
    found: dict[str, Any] = {}
    wrapped = {
        "concat": module.ConcatDataset([one, two]),
        "concat lazy": module.ConcatDataset(
            [world.make(lazy_init=True) for _ in range(2)], lazy_init=True
        ),
        "repeat": module.RepeatDataset(one, 3),
        "repeat lazy": module.RepeatDataset(one, 2, lazy_init=True),
        "balanced": module.ClassBalancedDataset(one, 0.9),
        "balanced lazy": module.ClassBalancedDataset(one, 0.3, lazy_init=True),
    }
    for name, dataset in wrapped.items():
        labels = [dataset[i]["sample_idx"] for i in range(len(dataset))]
        found[name] = [labels, world.infos(dataset), dataset.metainfo]
    found["concat from the end"] = [wrapped["concat"][-i]["sample_idx"] for i in (1, 2, 3, 6)]
    found["balanced classes"] = [wrapped["balanced"].get_cat_ids(i) for i in range(4)]
    found["balanced factors"] = wrapped["balanced"]._get_repeat_factors(one, 0.7)
    other = world.make(metainfo={"task": "other"})
    found["ignored keys"] = len(module.ConcatDataset([one, other], ignore_keys="task"))
    return found


def sampler_cases(world: World) -> dict[str, Any]:
    sampler_module = importlib.import_module(f"{world.root}.dataset.sampler")
    found: dict[str, Any] = {}
    real = sampler_module.get_dist_info
    try:
        for size, rank, count, shuffle in itertools.product(
            (1, 5, 8), (0, 2), (1, 3), (True, False)
        ):
            if rank >= count:
                continue
            sampler_module.get_dist_info = lambda: (rank, count)  # noqa: B023
            for round_up in (True, False):
                sampler = sampler_module.DefaultSampler(range(size), shuffle, 11, round_up)
                order = [list(sampler)]
                sampler.set_epoch(3)
                key = f"default {size} {rank}/{count} {shuffle} {round_up}"
                found[key] = [*order, list(sampler), len(sampler)]
            endless = sampler_module.InfiniteSampler(range(size), shuffle, 11)
            first = list(itertools.islice(endless, 2 * size + 1))
            found[f"infinite {size} {rank}/{count} {shuffle}"] = [first, len(endless)]
    finally:
        sampler_module.get_dist_info = real
    np.random.seed(5)
    agreed = [sampler_module.DefaultSampler([1]).seed, sampler_module.InfiniteSampler([1]).seed]
    found["seeds"] = [int(seed) for seed in agreed]
    loader = torch.utils.data.DataLoader(
        list(range(10)), batch_size=4, sampler=sampler_module.InfiniteSampler(range(10), True, 1)
    )
    found["loader"] = [batch.tolist() for batch in itertools.islice(loader, 7)]
    return found


Pair = namedtuple("Pair", ["a", "b"])


def shown(value: Any) -> Any:
    """Return types and values as JSON."""
    if isinstance(value, torch.Tensor):
        return ["tensor", str(value.dtype), value.tolist()]
    if isinstance(value, dict):
        return [type(value).__name__, {key: shown(item) for key, item in value.items()}]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, [shown(item) for item in value]]
    return [type(value).__name__, repr(value)]


def collate_cases(world: World) -> dict[str, Any]:
    element = importlib.import_module(f"{world.root}.structures").BaseDataElement
    batches: dict[str, Any] = {
        "numbers": [1, 2],
        "floats": [1.5, 2.5],
        "text": ["a", "b"],
        "bytes": [b"a", b"b"],
        "tensors": [torch.ones(2), torch.zeros(2)],
        "arrays": [np.ones(2), np.zeros(2)],
        "dicts": [{"x": 1, "y": "s"}, {"x": 2, "y": "t"}],
        "ordered dicts": [OrderedDict(x=1), OrderedDict(x=2)],
        "tuples": [(1, "a"), (2, "b")],
        "lists": [[1, "a"], [2, "b"]],
        "named tuples": [Pair(1, {"z": 1}), Pair(2, {"z": 2})],
        "nested": [{"x": [torch.tensor(1), (2, [3])]}, {"x": [torch.tensor(4), (5, [6])]}],
        "ranges": [range(2), range(2)],
        "empty lists": [[], []],
    }
    found = {}
    for name, batch in batches.items():
        for function in ("pseudo_collate", "default_collate"):
            found[f"{function} {name}"] = shown(getattr(world.module, function)(batch))
    elements = [{"e": element(metainfo={"id": i})} for i in range(2)]
    for function in ("pseudo_collate", "default_collate"):
        batch = getattr(world.module, function)(elements)
        found[f"{function} data elements"] = [type(batch).__name__, [e.id for e in batch["e"]]]
    return found


def worker_case(world: World) -> Any:
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        world.module.worker_init_fn(2, num_workers=4, rank=3, seed=100)
        return [
            random.random(),
            float(np.random.rand()),
            float(torch.rand(1)),
            torch.initial_seed(),
        ]
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


def caught(action: Any) -> list[str]:
    """Return the names of what the error can be caught as, its own first."""
    try:
        action()
    except Exception as error:
        return [base.__name__ for base in type(error).__mro__]
    return []


def error_cases(world: World) -> dict[str, list[str]]:
    module, one = world.module, world.make()
    other = world.make(metainfo={"task": "other"})
    more = world.make(metainfo={"more": 1})
    typed = world.make(metainfo={"task": 1})
    registry = importlib.import_module(f"{world.root}.registry").DATASETS

    def use(get: Any = None, subset: Any = None, **settings: Any) -> None:
        dataset = world.make(**settings)
        if get is not None:
            dataset[get]
        if subset is not None:
            dataset.get_subset(subset)

    found = {name: caught(lambda s=s: use(**s)) for name, s in WRONG.items()}
    concat = module.ConcatDataset
    found |= {
        "metainfo differs": caught(lambda: concat([one, other])),
        "metainfo has more": caught(lambda: concat([one, more])),
        "metainfo has another type": caught(lambda: concat([one, typed])),
        "ignore_keys of a wrong type": caught(lambda: concat([one, one], ignore_keys=1)),
        "concat of no dataset": caught(lambda: concat([one, 1])),
        "concat of an unknown type": caught(lambda: concat([{"type": "NoSuchDataset"}])),
        "concat out of range": caught(lambda: concat([one, one])[-9]),
        "concat past the end": caught(lambda: concat([one, one])[8]),
        "repeat of no dataset": caught(lambda: module.RepeatDataset(1, 2)),
        "balanced of no dataset": caught(lambda: module.ClassBalancedDataset([], 0.1)),
        "subset of a concat": caught(lambda: concat([one]).get_subset(1)),
        "subset of a repeat": caught(lambda: module.RepeatDataset(one, 2).get_subset_(1)),
        "no classes": caught(lambda: module.BaseDataset(lazy_init=True).get_cat_ids(0)),
        "unequal samples": caught(lambda: module.pseudo_collate([[1], [1, 2]])),
        "unequal samples to stack": caught(lambda: module.default_collate([[1], [1, 2]])),
        "no full_init": caught(lambda: module.force_full_init(len)([])),
        "unregistered": caught(lambda: registry.build({"type": "BaseDataset"})),
    }
    return found


def run(root: str) -> dict[str, Any]:
    state = np.random.get_state()
    try:
        with tempfile.TemporaryDirectory() as folder:
            world = World(root, folder)
            found = {
                "dataset": dataset_cases(world),
                "pipeline": pipeline_cases(world),
                "wrapper": wrapper_cases(world),
                "sampler": sampler_cases(world),
                "collate": collate_cases(world),
                "worker": worker_case(world),
                "error": error_cases(world),
                "all": sorted(world.module.__all__),
            }
            result: dict[str, Any] = json.loads(json.dumps(found).replace(folder, "FOLDER"))
            return result
    finally:
        np.random.set_state(state)


if __name__ == "__main__":
    # MMEngine collects garbage after each dataset, which is most of the time here.
    gc.collect = lambda generation=2: 0
    print(json.dumps(run(sys.argv[1])))
