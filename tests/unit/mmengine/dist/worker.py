"""One of two processes that talk over gloo: ``python worker.py PACKAGE RANK FILE``."""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import torch
import torch.distributed as torch_dist

from tests.unit.mmengine.utils.differential import Package, outcome, plain


def reduced(m: Package, rank: int) -> Any:
    results: dict[str, Any] = {}
    for op in ("sum", "mean", "product", "min", "max", "band", "bor", "bxor", "MEAN"):
        tensor = torch.tensor([2 + rank, 5 * rank, 7])
        m.dist.all_reduce(tensor, op)
        results[op] = tensor
    results["nonsense"] = outcome(m.dist.all_reduce, torch.ones(1), "nonsense")
    mean = torch.tensor([1.5, rank])
    m.dist.all_reduce(mean, "mean")
    table = {"b": torch.tensor([rank, 1]), "a": torch.tensor([[0.5 + rank]])}
    m.dist.all_reduce_dict(table, "sum")
    return results, mean, table


def reduced_params(m: Package, rank: int) -> Any:
    results = []
    for coalesce, bucket in ((True, -1), (True, 1), (False, -1)):
        big = torch.full((300_000,), float(rank))
        params = [big, torch.tensor([rank, 5]), torch.tensor([[1.0 + rank]]), big.clone()]
        m.dist.all_reduce_params(iter(params), coalesce, bucket, op="mean")
        results.append([params[0].unique(), *params[1:3], params[3].unique()])
    return results


def moved(m: Package, rank: int) -> Any:
    tensor = torch.tensor([rank, 10 + rank])
    transposed = torch.full((2, 3), float(rank)).t()
    received, objects = tensor.clone(), [rank, {"from": rank}]
    m.dist.broadcast(received, src=1)
    m.dist.broadcast(transposed, src=0)
    m.dist.broadcast_object_list(objects, src=1)
    return [
        m.dist.all_gather(tensor),
        m.dist.gather(tensor, dst=1),
        received,
        transposed,
        objects,
        m.dist.all_gather_object(("rank", rank)),
        m.dist.gather_object({"rank": rank}, dst=0),
    ]


def collected(m: Package, rank: int) -> Any:
    part = [f"sample {2 * i + rank}" for i in range(3 - rank)]
    return [
        m.dist.collect_results(part, 5),
        m.dist.collect_results(part, 4, device="gpu"),
        m.dist.collect_results([None, rank, [rank]], 9),
        m.dist.collect_results([] if rank else ["only one"], 3),
        m.dist.collect_results_cpu(part, 2, tmpdir=None),
    ]


def state(m: Package, rank: int) -> Any:
    before = outcome(m.dist.get_local_rank)
    m.dist.init_local_group(0, 2)
    np.random.seed(rank)
    return [
        before,
        m.dist.is_distributed(),
        m.dist.get_dist_info(),
        [m.dist.get_local_rank(), m.dist.get_local_size()],
        m.dist.get_dist_info(m.dist.get_local_group()),
        outcome(m.dist.init_local_group, 0, 2),
        m.dist.get_backend(),
        str(m.dist.get_comm_device()),
        m.dist.is_main_process(),
        m.dist.master_only(lambda: "ran")(),
        m.dist.barrier(),
        m.dist.sync_random_seed(),
        m.dist.get_default_group() is torch_dist.group.WORLD,
    ]


if __name__ == "__main__":
    package, rank, file = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    torch_dist.init_process_group("gloo", f"file://{file}", rank=rank, world_size=2)
    cases = (state, reduced, reduced_params, moved, collected)
    print(json.dumps({case.__name__: plain(case(Package(package), rank)) for case in cases}))
    torch_dist.destroy_process_group()
