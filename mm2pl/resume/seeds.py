"""Seeds that loaders were given or have drawn, on their way into a checkpoint and back.

A config without a seed has each process draw one anew, and the order of the samples with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from mm2pl.mmengine.dataset.utils import worker_init_fn

if TYPE_CHECKING:
    from mm2pl.runner import Runner

Seeds = dict[str, int]
_WORKERS = "workers"


def taken(runner: Runner) -> dict[str, Seeds]:
    """Return the seeds of the loaders of training and validation, by their keys in the config.

    Args:
        runner: The run, whose loops are built.
    """
    return {
        key: {path: seed for path, (_, seed) in _samplers(loader).items()} | _of_workers(loader)
        for key, loader, _ in _loaders(runner)
    }


def put_back(runner: Runner, seeds: Mapping[str, Seeds], same_processes: bool = True) -> None:
    """Let samplers and workers have the seeds of the run that this one goes on with.

    Differs: in MMEngine a run whose config has no seed goes on with another order of samples.

    Args:
        runner: The run; its loaders have not been read yet.
        seeds: From :func:`taken`.
        same_processes: Whether the workers' seeds are for this process.
    """
    for key, loader, cfg in _loaders(runner):
        known = seeds.get(key, {})
        for path, (sampler, seed) in _samplers(loader).items():
            was = known.get(path, seed)
            if was == seed:
                continue
            if _is_in(cfg, path):
                runner.logger.warning(
                    f"{key}.{path}.seed: {was} -> {seed}. From here on samples come in the order"
                    " of the new one."
                )
            else:
                sampler.seed = was
        if same_processes and _WORKERS in known and _of_workers(loader):
            function = loader.worker_init_fn
            loader.worker_init_fn = partial(
                function.func,
                *function.args,
                **{**function.keywords, "seed": known[_WORKERS]},
            )


def _loaders(runner: Runner) -> Iterator[tuple[str, Any, Any]]:
    """Go through the loaders with their keys and, if they were built from them, configs."""
    plan, validation = runner.plan, runner._val_loop
    train = None if plan.train is None else plan.train.dataloader
    yield "train_dataloader", getattr(runner.train_loop, "dataloader", None), train
    if not hasattr(validation, "loader"):
        return
    given: Any = None if plan.val is None else plan.val.dataloader
    for place in range(len(validation.sets) or 1):
        several = isinstance(given, (list, tuple))
        key = f"val_dataloader[{place}]" if several else "val_dataloader"
        yield key, validation.loader(place), given[place] if several else given


def _samplers(loader: Any) -> dict[str, tuple[Any, int]]:
    """Return the samplers that have a seed, and it, by their paths."""
    batches = getattr(loader, "batch_sampler", None)
    found = {
        "sampler": getattr(loader, "sampler", None),
        "batch_sampler": batches,
        "batch_sampler.sampler": getattr(batches, "sampler", None),
    }
    seeds: dict[str, tuple[Any, int]] = {}
    for path, sampler in found.items():
        seed = getattr(sampler, "__dict__", {}).get("seed")
        if type(seed) is int and all(sampler is not one for one, _ in seeds.values()):
            seeds[path] = sampler, seed
    return seeds


def _of_workers(loader: Any) -> Seeds:
    function: Any = getattr(loader, "worker_init_fn", None)
    ours = isinstance(function, partial) and function.func is worker_init_fn
    return {_WORKERS: function.keywords["seed"]} if ours and "seed" in function.keywords else {}


def _is_in(cfg: Any, path: str) -> bool:
    """Whether a loader's config names a seed."""
    for name in (*path.replace("batch_sampler.sampler", "sampler").split("."), "seed"):
        if not isinstance(cfg, Mapping) or cfg.get(name) is None:
            return False
        cfg = cfg[name]
    return True
