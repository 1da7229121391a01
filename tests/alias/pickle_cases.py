"""Writes, reads and describes pickles of MMEngine's objects; runs on MMEngine and on the alias.

python pickle_cases.py write|read FOLDER [alias]     prints JSON: {name: description}

``write`` also prints the names in the pickles, under ``globals``, and under ``copies`` the names
of what ``copy`` does not copy.
"""

from __future__ import annotations

import copy
import io
import itertools
import json
import pickle
import pickletools
import sys
import zipfile
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

if "alias" in sys.argv:
    import mm2pl

    mm2pl.install_as_mmengine()

import mmengine
import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.dataset import (
    BaseDataset,
    ConcatDataset,
    DefaultSampler,
    InfiniteSampler,
    pseudo_collate,
    worker_init_fn,
)
from mmengine.hooks import EMAHook, IterTimerHook
from mmengine.logging import HistoryBuffer, MessageHub
from mmengine.model import BaseDataPreprocessor, ImgDataPreprocessor, Sequential
from mmengine.structures import BaseDataElement, InstanceData, LabelData, PixelData


def history() -> HistoryBuffer:
    buffer = HistoryBuffer(max_length=5)
    for value in range(8):
        buffer.update(value / 4, 2)
    return buffer


def instances() -> InstanceData:
    data = InstanceData(metainfo={"img_shape": (3, 4)})
    data.labels, data.boxes = torch.arange(3), torch.arange(12.0).reshape(3, 4)
    data.names, data.scores = ["a", "b", "c"], np.array([0.5, 0.25, 1.0])
    return data


def sample() -> BaseDataElement:
    label = LabelData(metainfo={"num_classes": 3}, item=torch.tensor([0, 2]))
    pixels = PixelData(metainfo={"from": "x"}, sem_seg=torch.ones(1, 2, 3, dtype=torch.uint8))
    element = BaseDataElement(metainfo={"path": "a.png", "sizes": [1, 2]})
    element.gt_label, element.gt_sem_seg, element.pred = label, pixels, instances()
    element.set_field("p", "private", field_type="metainfo")
    return element


def config() -> Config:
    cfg = Config({"a": {"b": [1, {"c": 2}]}, "d": (3,), "_scope_": "mmengine"})
    cfg.merge_from_dict({"a.e": 5})
    return cfg


NUMBERS = itertools.count()


def hub() -> MessageHub:
    hub = MessageHub(f"pickles {next(NUMBERS)}")
    hub.update_scalar("train/loss", 0.5, 2)
    hub.update_scalar("train/loss", 0.25)
    hub.update_info("iter", 7)
    return hub


def dataset() -> BaseDataset:
    data = BaseDataset(lazy_init=True, metainfo={"classes": ("a", "b")})
    data.data_list = [{"img_path": f"{i}.png", "gt_label": i} for i in range(4)]
    data.data_bytes, data.data_address = data._serialize_data()
    data._fully_initialized = True
    return data


def weights() -> torch.nn.Module:
    torch.manual_seed(0)
    layers = Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
    return layers.eval()


MAKE: dict[str, Any] = {
    "HistoryBuffer": history,
    "Config": config,
    "ConfigDict": lambda: ConfigDict(a={"b": [1, {"c": 2}]}, d=None),
    "InstanceData": instances,
    "a data sample": sample,
    "a list of data samples": lambda: [sample(), sample()],
    "a message hub's state": lambda: hub().state_dict(),
    "a message hub's scalars": lambda: dict(hub().log_scalars),
    "a dataset": dataset,
    "a dataset of datasets": lambda: ConcatDataset([dataset(), dataset()]),
    "samplers": lambda: [
        DefaultSampler(range(5), shuffle=False),
        InfiniteSampler.__new__(InfiniteSampler).__class__,
    ],
    "hooks": lambda: [IterTimerHook(), EMAHook(momentum=0.1)],
    "modules": lambda: [weights(), BaseDataPreprocessor(), ImgDataPreprocessor([1.0], [2.0])],
    "functions": lambda: [
        pseudo_collate,
        partial(worker_init_fn, num_workers=2, rank=0, seed=3),
        mmengine.utils.is_str,
        mmengine.fileio.LocalBackend.get,
    ],
    "a checkpoint": lambda: {
        "meta": {"cfg": config(), "dataset_meta": ConfigDict(classes=("a",)), "iter": 3},
        "state_dict": OrderedDict(weights().state_dict()),
        "message_hub": hub().state_dict(),
    },
}


def describe(value: Any) -> Any:
    """Return what a value holds, in words that JSON has."""
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return [str(value.dtype), value.tolist()]
    if isinstance(value, HistoryBuffer):
        return ["HistoryBuffer", *map(describe, value.data), value.mean(), value.max_length]
    if isinstance(value, Config):
        return ["Config", bool(value.pretty_text), describe(value.to_dict())]
    if isinstance(value, BaseDataElement):
        # MMEngine's own come in no fixed order.
        fields = sorted((key, describe(one)) for key, one in value.all_items())
        return [type(value).__name__, fields, sorted(value.metainfo_keys())]
    if isinstance(value, ConcatDataset):
        return [describe(one) for one in value.datasets]
    if isinstance(value, BaseDataset):
        return [value.get_data_info(i) for i in range(len(value))] + [describe(value.metainfo)]
    if isinstance(value, torch.nn.Module):
        return [type(value).__name__, describe(dict(value.state_dict())), value.training]
    if isinstance(value, partial):
        return ["partial", describe(value.func), value.keywords]
    if isinstance(value, dict):
        return [type(value).__name__, [[key, describe(one)] for key, one in value.items()]]
    if isinstance(value, (list, tuple, set)):
        return [type(value).__name__, [describe(one) for one in value]]
    if isinstance(value, type) or callable(value):
        return value.__qualname__
    if type(value).__module__.startswith("mmengine"):
        return type(value).__name__
    return value


WRITERS = {
    "pickle2": lambda value: pickle.dumps(value, 2),
    "pickle5": lambda value: pickle.dumps(value, 5),
    "mmengine": lambda value: mmengine.dump(value, file_format="pkl"),
    "torch": lambda value: saved(value),
}


def saved(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def read(data: bytes, writer: str) -> Any:
    if writer == "torch":
        return torch.load(io.BytesIO(data), weights_only=False)
    if writer == "mmengine":
        return mmengine.load(io.BytesIO(data), file_format="pkl")
    return pickle.loads(data)


def globals_in(data: bytes) -> set[str]:
    """Return the modules and names that a pickle, or the one in torch's archive, refers to."""
    if data[:2] == b"PK":
        archive = zipfile.ZipFile(io.BytesIO(data))
        data = archive.read(next(n for n in archive.namelist() if n.endswith("data.pkl")))
    texts = [argument for _, argument, _ in pickletools.genops(data) if isinstance(argument, str)]
    return {text for text in texts if "mmengine." in text}


def main() -> None:
    folder = Path(sys.argv[2])
    results: dict[str, Any] = {}
    names: set[str] = set()
    for name, make in MAKE.items():
        for writer, write in WRITERS.items():
            file = folder / f"{name} {writer}"
            if sys.argv[1] == "write":
                value = make()
                file.write_bytes(write(value))
                names |= globals_in(file.read_bytes())
            else:
                value = read(file.read_bytes(), writer)
            results[file.name] = describe(value)
    if sys.argv[1] == "write":
        results["globals"] = sorted(names)
        results["copies"] = [
            name
            for name, make in MAKE.items()
            for do in (copy.copy, copy.deepcopy)
            if describe(do(make())) != describe(make())
        ]
    print(json.dumps(results))


if __name__ == "__main__":
    main()
