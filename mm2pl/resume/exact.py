"""What a checkpoint holds beyond MMEngine's layout, so that a resumed run is the same run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mm2pl.optim import wrappers_of
from mm2pl.resume import random_states
from mm2pl.resume.reading import Place, Resumed

if TYPE_CHECKING:
    from mm2pl.runner import Runner

KEY = "mm2pl"
_VERSION = 1


def collect(runner: Runner, meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is to stand under ``mm2pl`` in a checkpoint, as plain values and tensors.

    Args:
        runner: The run.
        meta: The checkpoint's, whose counters are already those to go on from.
    """
    loop = runner._train_loop
    if not hasattr(loop, "reading"):
        return None  # not built, or a loop of one's own with a way of its own to read
    place = _place(loop, meta)
    return {
        "version": _VERSION,
        "epoch": meta["epoch"],
        "iter": meta["iter"],
        "validated": bool(loop.validating or runner.trainer.validating),
        "counts": [wrapper._inner_count for wrapper in wrappers_of(runner.optim_wrapper)],
        "ranks": [
            {
                "random": random_states.to_plain(random_states.take()),
                "reading": None if place is None else place.to_plain(),
                "gradients": _gradients(runner.bare_model),
            }
        ],
    }


def _place(loop: Any, meta: Mapping[str, Any]) -> Place | None:
    """Return the place in the data, if it is known and fits the counters."""
    if loop.by_epoch:
        fits = meta["epoch"] == loop._epoch or not loop.reading.place.given
        return loop.reading.state(loop.dataloader) if fits else None
    iterator = loop.dataloader_iterator
    if getattr(iterator, "total", None) != meta["iter"]:
        return None  # a hook has put another in its place
    return iterator.place()  # type: ignore[no-any-return]


def _gradients(model: nn.Module) -> dict[str, Any]:
    """Return the gradients at hand; of those that are zero, the names."""
    found: dict[str, Any] = {}
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        if gradient is not None:
            zero = not gradient.is_sparse and not gradient.any()
            found[name] = 0 if zero else gradient.detach().cpu()
    return found


def take_up(runner: Runner, loaded: Mapping[str, Any]) -> None:
    """Prepare the run to go on exactly where a checkpoint was written.

    Args:
        runner: The run, with the checkpoint's weights and counters.
        loaded: The checkpoint.
    """
    loop: Any = runner.train_loop
    if not runner.resumes_exactly or not hasattr(loop, "reading"):
        return
    loop.resumed = Resumed()
    state, meta = loaded.get(KEY), loaded["meta"]
    if state is None or (state["epoch"], state["iter"]) != (meta["epoch"], meta["iter"]):
        return  # MMEngine's, or one that was changed since
    own = state["ranks"][min(runner.rank, len(state["ranks"]) - 1)]
    now = random_states.from_plain(own["random"])
    place = None if own["reading"] is None else Place.from_plain(own["reading"])
    at_border = not loop.by_epoch or place is None or not place.given
    put = partial(_put_gradients, runner.bare_model, own["gradients"])
    put()  # now too: the optimizer wrappers will look whether a window is whole
    loop.resumed = Resumed(place, now, at_border and not state["validated"], put)
    if place is not None:
        place.now = now if place.given else None
        if loop.by_epoch:
            loop.reading.go_to(place)
    runner._resumed_counts = state["counts"]


def _put_gradients(model: nn.Module, gradients: Mapping[str, Any]) -> None:
    for name, parameter in model.named_parameters():
        gradient = gradients.get(name)
        if isinstance(gradient, torch.Tensor):
            parameter.grad = gradient.to(parameter.device)
        elif gradient is not None:
            parameter.grad = torch.zeros_like(parameter)


def put_counts(runner: Runner) -> None:
    """Let the optimizer wrappers count on from where they were in their accumulation windows."""
    counts, runner._resumed_counts = runner._resumed_counts, None
    wrappers = wrappers_of(runner.optim_wrapper)
    if counts is not None and len(counts) == len(wrappers):
        for wrapper, count in zip(wrappers, counts, strict=True):
            wrapper._inner_count = count
