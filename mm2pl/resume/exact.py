"""What a checkpoint holds beyond MMEngine's layout, so that a resumed run is the same run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from mm2pl import contents
from mm2pl.mmengine.dist import all_gather_object
from mm2pl.optim import wrappers_of
from mm2pl.resume import changes, hook_states, kept, random_states, seeds
from mm2pl.resume.reading import Place, Resumed
from mm2pl.resume.versions import VERSION

if TYPE_CHECKING:
    from mm2pl.runner import Runner


def collect(runner: Runner, meta: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what is to stand under ``mm2pl`` in a checkpoint, as plain values and tensors.

    Args:
        runner: The run.
        meta: The checkpoint's, whose counters are already those to go on from.
    """
    loop = runner._train_loop
    if not hasattr(loop, "reading"):
        return None  # not built, or a loop of one's own with a way of its own to read
    gathered, runner._states_of_ranks = runner._states_of_ranks, None
    validating = loop.validating or runner.trainer.validating
    return {
        "version": VERSION,
        "epoch": meta["epoch"],
        "iter": meta["iter"],
        "validated": bool(validating or runner._hook_callback.validated_at == meta["iter"]),
        "counts": [wrapper._inner_count for wrapper in wrappers_of(runner.optim_wrapper)],
        "settings": runner._settings,
        "hooks": hook_states.collect(runner),
        "ranks": gathered or [_of_this_rank(runner, meta)],
    }


def gather(runner: Runner, meta: Mapping[str, Any]) -> None:
    """Collect what is each process's own for the next checkpoint; to be called on all of them."""
    if runner.world_size > 1 and hasattr(runner._train_loop, "reading"):
        runner._states_of_ranks = all_gather_object(_of_this_rank(runner, meta))


def _of_this_rank(runner: Runner, meta: Mapping[str, Any]) -> dict[str, Any]:
    place = _place(runner._train_loop, meta)
    data = kept.taken(runner._train_loop, place, runner.logger)
    return {
        "random": random_states.to_plain(random_states.take()),
        "reading": None if place is None else place.to_plain(),
        "data": data,
        "seeds": seeds.taken(runner),
        "gradients": _gradients(runner.bare_model),
        # Those of rank 0 are among the weights; statistics of BatchNorm are each rank's own.
        "buffers": {
            f"{begins}{name}": buffer.detach().cpu()
            for begins, model in _models(runner)
            for name, buffer in model.named_buffers()
            if runner.rank
        },
    }


def _models(runner: Runner) -> Iterator[tuple[str, nn.Module]]:
    """Go through the model and the averages of it, with what their names begin with."""
    yield "", runner.bare_model
    averages = [getattr(hook, "ema_model", None) for hook in runner.hooks]
    for index, average in enumerate(averages):
        if isinstance(average, nn.Module):
            yield f"hooks[{index}].", average


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
    state, meta = loaded.get(contents.OURS), loaded["meta"]
    if state is None or (state["epoch"], state["iter"]) != (meta["epoch"], meta["iter"]):
        return  # MMEngine's, or one that was changed since
    hook_states.put_back(runner, state.get("hooks", {}))
    if len(state["ranks"]) != runner.world_size:
        runner.logger.warning(
            f"The checkpoint holds the random states of {len(state['ranks'])} processes, not of"
            f" {runner.world_size}: random numbers begin anew, as in MMEngine."
        )
        seeds.put_back(runner, state["ranks"][0].get("seeds", {}), same_processes=False)
        _take_up_place(runner, state)
        return
    own = state["ranks"][runner.rank]
    seeds.put_back(runner, own.get("seeds", {}))
    now = random_states.from_plain(own["random"])
    place = None if own["reading"] is None else Place.from_plain(own["reading"])
    at_border = not loop.by_epoch or place is None or not place.given
    if place is not None:
        changes.move(runner, state, place)
    with torch.no_grad():
        for begins, model in _models(runner):
            for name, buffer in model.named_buffers():
                if f"{begins}{name}" in own["buffers"]:
                    buffer.copy_(own["buffers"][f"{begins}{name}"])
    kept.put_back(loop, place, own.get("data"), runner.logger)
    put = partial(_put_gradients, runner.bare_model, own["gradients"])
    put()  # now too: the optimizer wrappers will look whether a window is whole
    loop.resumed = Resumed(place, now, at_border and not state["validated"], put)
    if place is not None:
        place.now = now if place.given else None
        if loop.by_epoch:
            loop.reading.go_to(place, loop.dataloader)
    runner._resumed_counts = state["counts"]


def _take_up_place(runner: Runner, state: Mapping[str, Any]) -> None:
    """Go on at the place in the data, among other processes than those that read it."""
    loop: Any = runner.train_loop
    reading = state["ranks"][0]["reading"]
    if reading is None or not reading["given"]:
        return
    place = Place(given=reading["given"], round=reading["round"])
    changes.move(runner, state, place)
    loop.resumed = Resumed(place)
    if loop.by_epoch:
        loop.reading.go_to(place, loop.dataloader)


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
