"""Collective operations. In one process alone they do what a group of one would."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain, zip_longest
from typing import Any

import numpy as np
import torch
import torch.distributed as torch_dist
from torch import Tensor
from torch.distributed import ProcessGroup

from mm2pl.mmengine.dist.utils import (
    cast_data_device,
    get_comm_device,
    get_default_group,
    get_dist_info,
    get_world_size,
)

_REDUCE_OPS = ("sum", "product", "min", "max", "band", "bor", "bxor")

# The default group and the gloo group made beside it: a later default group makes it void.
_cpu_group: tuple[ProcessGroup, ProcessGroup] | None = None


def _reduce_op(name: str) -> torch_dist.ReduceOp.RedOpType:
    if name.lower() not in _REDUCE_OPS:
        raise ValueError(f"reduce op should be one of {_REDUCE_OPS}, but got {name}")
    op: torch_dist.ReduceOp.RedOpType = getattr(torch_dist.ReduceOp, name.upper())
    return op


def all_reduce(data: Tensor, op: str = "sum", group: ProcessGroup | None = None) -> None:
    """Reduce a tensor over a group; each process has the result in ``data``.

    Args:
        data: A tensor of the same shape in each process; changed in place.
        op: sum, mean, product, min, max, band, bor or bxor.
        group: The default group by default.
    """
    world_size = get_world_size(group)
    if world_size == 1:
        return
    moved = cast_data_device(data, get_comm_device(group))
    mean = op.lower() == "mean"
    torch_dist.all_reduce(moved, _reduce_op("sum" if mean else op), group)
    if mean:
        moved = torch.true_divide(moved, world_size)
    cast_data_device(moved, data.device, out=data)


def all_gather(data: Tensor, group: ProcessGroup | None = None) -> list[Tensor]:
    """Return the tensors of all processes of a group, by rank; all of one shape."""
    world_size = get_world_size(group)
    if world_size == 1:
        return [data]
    moved = cast_data_device(data, get_comm_device(group))
    gathered = [torch.empty_like(moved) for _ in range(world_size)]
    torch_dist.all_gather(gathered, moved, group)
    return [cast_data_device(tensor, data.device) for tensor in gathered]


def gather(data: Tensor, dst: int = 0, group: ProcessGroup | None = None) -> list[Tensor | None]:
    """Return the tensors of all processes, by rank, in process ``dst``; an empty list elsewhere.

    Args:
        data: A tensor of the same shape in each process.
        dst: Global rank of the receiver.
        group: The default group by default.
    """
    world_size = get_world_size(group)
    if world_size == 1:
        return [data]
    moved = cast_data_device(data, get_comm_device(group))
    receives = torch_dist.get_rank() == dst
    gathered = [torch.empty_like(moved) for _ in range(world_size if receives else 0)]
    torch_dist.gather(moved, gathered if receives else None, dst, group)
    return [cast_data_device(tensor, data.device) for tensor in gathered]


def broadcast(data: Tensor, src: int = 0, group: ProcessGroup | None = None) -> None:
    """Copy the tensor of process ``src`` (global rank) into ``data`` of all processes."""
    if get_world_size(group) == 1:
        return
    moved = cast_data_device(data, get_comm_device(group)).contiguous()
    torch_dist.broadcast(moved, src, group)
    if torch_dist.get_rank() != src:
        cast_data_device(moved, data.device, out=data)


def sync_random_seed(group: ProcessGroup | None = None) -> int:
    """Draw a seed from NumPy's global generator and return rank 0's in all processes."""
    seed = np.random.randint(2**31)
    if get_world_size(group) == 1:
        return seed
    shared = torch.tensor(seed, dtype=torch.int32, device=get_comm_device(group))
    torch_dist.broadcast(shared, src=0, group=group)
    return int(shared.item())


def broadcast_object_list(data: list[Any], src: int = 0, group: ProcessGroup | None = None) -> None:
    """Replace the objects in ``data`` by those of process ``src`` (global rank).

    Args:
        data: A list of the same length in each process, of objects that can be pickled.
        src: Global rank of the sender.
        group: The default group by default.
    """
    if not isinstance(data, list):
        raise AssertionError(f"data should be a list, but got {type(data)}")
    if get_world_size(group) > 1:
        torch_dist.broadcast_object_list(data, src, group)


def all_reduce_dict(
    data: dict[str, Tensor], op: str = "sum", group: ProcessGroup | None = None
) -> None:
    """Reduce the tensors of a dict, by key, in one message; see :func:`all_reduce`.

    Tensors of several dtypes all get the one that torch promotes them to.
    """
    if not isinstance(data, dict):
        raise AssertionError(f"data should be a dict, but got {type(data)}")
    if get_world_size(group) == 1:
        return
    keys = sorted(data)
    data.update(zip(keys, _reduced([data[key] for key in keys], op, group), strict=True))


def _reduced(tensors: list[Tensor], op: str, group: ProcessGroup | None) -> Iterator[Tensor]:
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    all_reduce(flat, op, group)
    parts = torch.split(flat, [tensor.numel() for tensor in tensors])
    return (part.reshape(old.shape) for part, old in zip(parts, tensors, strict=True))


def all_gather_object(data: Any, group: ProcessGroup | None = None) -> list[Any]:
    """Return the objects of all processes of a group, by rank."""
    world_size = get_world_size(group)
    if world_size == 1:
        return [data]
    gathered: list[Any] = [None] * world_size
    torch_dist.all_gather_object(gathered, data, group)
    return gathered


def gather_object(data: Any, dst: int = 0, group: ProcessGroup | None = None) -> list[Any] | None:
    """Return the objects of all processes in process ``dst`` (global rank), ``None`` elsewhere."""
    world_size = get_world_size(group)
    if world_size == 1:
        return [data]
    gathered: list[Any] | None = None
    if torch_dist.get_rank() == dst:
        gathered = [None] * world_size
    torch_dist.gather_object(data, gathered, dst, group)
    return gathered


def collect_results(
    results: list[Any], size: int, device: str = "cpu", tmpdir: str | None = None
) -> list[Any] | None:
    """Bring the results of all processes into the order of the dataset.

    Process ``r`` of ``n`` holds the results of samples ``r, r + n, r + 2 n, ...``.

    Args:
        results: This process's results.
        size: Number of samples; what samplers padded beyond is cut off.
        device: ``"cpu"`` (over gloo), or ``"gpu"`` or ``"npu"`` (over the default group).
        tmpdir: See :func:`collect_results_cpu`.

    Returns:
        The ordered results in the main process, ``None`` in the others.
    """
    if device not in ("gpu", "cpu", "npu"):
        raise NotImplementedError(f"device must be 'cpu' , 'gpu' or 'npu', but got {device}")
    if device == "cpu":
        return collect_results_cpu(results, size, tmpdir)
    if tmpdir is not None:
        raise AssertionError(f"tmpdir should be None when device is {device}")
    return collect_results_gpu(results, size)


def collect_results_cpu(
    result_part: list[Any], size: int, tmpdir: str | None = None
) -> list[Any] | None:
    """Collect results over the CPU; see :func:`collect_results`.

    Differs: results go over gloo, so no folder is needed that all machines share; ``tmpdir`` is
    accepted and not used.
    """
    return _collect(result_part, size, _group_for_cpu())


def collect_results_gpu(result_part: list[Any], size: int) -> list[Any] | None:
    """Collect results over the default group; see :func:`collect_results`."""
    return _collect(result_part, size, None)


def _collect(part: list[Any], size: int, group: ProcessGroup | None) -> list[Any] | None:
    if get_world_size() == 1:
        return part[:size]
    parts = gather_object(part, group=group)
    if parts is None:
        return None
    interleaved = chain.from_iterable(zip_longest(*parts))
    return [result for result in interleaved if result is not None][:size]


def _group_for_cpu() -> ProcessGroup | None:
    """Return a group over all processes whose messages stay on the CPU; ``None``: the default."""
    global _cpu_group
    if get_dist_info()[1] == 1 or get_comm_device().type == "cpu":
        return None
    default = get_default_group()
    if default is not None and (_cpu_group is None or _cpu_group[0] is not default):
        _cpu_group = (default, torch_dist.new_group(backend="gloo"))
    return None if _cpu_group is None else _cpu_group[1]


def all_reduce_params(
    params: Iterable[Tensor],
    coalesce: bool = True,
    bucket_size_mb: int = -1,
    op: str = "sum",
    group: ProcessGroup | None = None,
) -> None:
    """Reduce parameters or buffers in place.

    Args:
        params: The tensors, in the same order in each process.
        coalesce: Send many tensors in one message.
        bucket_size_mb: Size from which on a message is sent; no limit if not positive.
        op: As for :func:`all_reduce`.
        group: The default group by default.
    """
    if get_world_size(group) == 1:
        return
    tensors = [param.data for param in params]
    if not coalesce:
        for tensor in tensors:
            all_reduce(tensor, op, group)
        return
    for bucket in _buckets(tensors, bucket_size_mb * 1024 * 1024):
        for tensor, reduced in zip(bucket, _reduced(bucket, op, group), strict=True):
            tensor.copy_(reduced)


def _buckets(tensors: Iterable[Tensor], limit: int) -> Iterator[list[Tensor]]:
    """Group tensors by type, and if ``limit`` (bytes) is positive, cut groups that reach it."""
    groups: dict[str, list[Tensor]] = {}
    for tensor in tensors:
        bucket = groups.setdefault(tensor.type(), [])
        bucket.append(tensor)
        if 0 < limit <= sum(t.numel() * t.element_size() for t in bucket):
            yield groups.pop(tensor.type())
    yield from groups.values()
