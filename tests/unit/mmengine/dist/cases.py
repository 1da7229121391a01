"""Cases of mmengine.dist and mmengine.device in a process of its own; see differential.py."""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Any
from unittest import mock

import numpy as np
import torch

from tests.unit.mmengine.utils.differential import Package, outcome

CPU, META = torch.device("cpu"), torch.device("meta")
ENVIRONMENTS = [
    {},
    {"WORLD_SIZE": "2", "SLURM_NTASKS": "2"},
    {"SLURM_NTASKS": "2", "OMPI_COMM_WORLD_LOCAL_RANK": "0"},
    {"OMPI_COMM_WORLD_LOCAL_RANK": "0"},
]


def names(m: Package) -> Any:
    return [sorted(m.dist.__all__), sorted(m.device.__all__)]


def state(m: Package) -> Any:
    functions = (
        "is_distributed get_local_group get_backend get_world_size get_rank get_local_size "
        "get_local_rank get_dist_info is_main_process barrier get_default_group get_comm_device"
    )
    return [[name, outcome(getattr(m.dist, name))] for name in functions.split()]


def launchers(m: Package) -> Any:
    found = []
    for environment in ENVIRONMENTS:
        with mock.patch.dict(os.environ, environment, clear=True):
            found.append(m.dist.infer_launcher())
    bad = [
        outcome(m.dist.init_dist, "nonsense"),
        outcome(m.dist.init_dist, "pytorch", timeout="long"),
    ]
    return found, bad


def collectives(m: Package) -> Any:
    tensor, table, objects = torch.ones(2), {"a": torch.ones(1)}, [1, "b"]
    results = [
        m.dist.all_reduce(tensor, "mean"),
        m.dist.all_gather(tensor),
        m.dist.gather(tensor),
        m.dist.broadcast(tensor),
        m.dist.broadcast_object_list(objects),
        m.dist.all_reduce_dict(table),
        m.dist.all_gather_object({"x": 1}),
        m.dist.gather_object("x"),
        m.dist.collect_results([1, None, 3], 2),
        m.dist.collect_results([1, 2, 3], 2, device="gpu"),
        m.dist.collect_results_cpu([1, 2], 5),
        m.dist.collect_results_gpu([1, 2], 1),
        m.dist.all_reduce_params([tensor]),
    ]
    errors = [
        outcome(m.dist.broadcast_object_list, (1, 2)),
        outcome(m.dist.all_reduce_dict, [1]),
        outcome(m.dist.collect_results, [1], 1, device="tpu"),
        outcome(m.dist.collect_results, [1], 1, device="gpu", tmpdir="x"),
    ]
    return results, tensor, table, objects, errors


def seeds(m: Package) -> Any:
    np.random.seed(7)
    return m.dist.sync_random_seed(), m.dist.sync_random_seed(), np.random.randint(1000)


def only_master(m: Package) -> Any:
    def function(x: int, y: int = 0) -> tuple[int, int]:
        """Doc."""
        return x, y

    wrapped = m.dist.master_only(function)
    return wrapped(1, y=2), wrapped.__name__, wrapped.__doc__


def devices_of_data(m: Package) -> Any:
    cpu, meta = torch.ones(1), torch.ones(1, device="meta")
    datas = [
        cpu,
        [cpu, (cpu, {"a": meta})],
        {"a": meta, "b": [meta]},
        [],
        {},
        "text",
        5,
        [cpu, "text"],
        np.ones(1),
    ]
    return [outcome(lambda data=data: str(m.dist.get_data_device(data))) for data in datas]


def cast_data(m: Package) -> Any:
    def moved(data: Any, out: Any = None) -> Any:
        result = m.dist.cast_data_device(data, CPU, out)
        return result, out

    ones = torch.ones(2)
    return [
        outcome(moved, ones),
        outcome(moved, [ones, (ones,)]),
        outcome(moved, OrderedDict(a=ones, b=[ones])),
        outcome(moved, ones, torch.zeros(2)),
        outcome(moved, [ones, ones * 2], [torch.zeros(2), torch.zeros(2)]),
        outcome(moved, [ones, ones * 2], [torch.zeros(2)]),
        outcome(moved, {"a": ones}, {"a": torch.zeros(2)}),
        outcome(moved, {"a": ones}, {"a": torch.zeros(2), "b": torch.zeros(1)}),
        outcome(moved, {"a": ones}, {"b": torch.zeros(2)}),
        outcome(moved, [ones], (torch.zeros(2),)),
        outcome(moved, {ones}, {ones}),
        outcome(moved, []),
        outcome(moved, {}),
        outcome(moved, "text"),
        outcome(moved, np.ones(1)),
        outcome(moved, 5),
        str(m.dist.cast_data_device(ones, META).device),
        m.dist.cast_data_device(ones, CPU) is ones,
    ]


def devices(m: Package) -> Any:
    questions = [name for name in sorted(m.device.__all__) if name.startswith("is_")]
    return [m.device.get_device(), [[name, getattr(m.device, name)()] for name in questions]]


CASES = {
    case.__name__: case
    for case in (
        *(names, state, launchers, collectives, seeds, only_master),
        *(devices_of_data, cast_data, devices),
    )
}
