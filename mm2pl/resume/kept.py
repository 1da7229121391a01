"""What datasets and transforms keep for themselves, on its way into a checkpoint and back."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from mm2pl.resume import own_states
from mm2pl.resume.opening import is_stream
from mm2pl.resume.reading import Place, Reading, knows


def taken(loop: Any, place: Place | None, logger: logging.Logger) -> dict[str, Any]:
    """Return what the training data keep in this process, and say what of it is left out.

    Args:
        loop: The training loop.
        place: The place in the data; is told whether the dataset knows it.
        logger: Is told once.
    """
    reasons: set[str] = set()
    loader = loop.dataloader
    states = own_states.take(_keepers(loader), reasons)
    if place is not None and place.given and is_stream(loader) and not loader.num_workers:
        place.told = "dataset" in states
    reasons |= _reading_of(loop).reasons
    for reason in sorted(reasons - loop.approximated):
        logger.warning(f"A run that goes on from this one's checkpoints is approximated: {reason}.")
    loop.approximated |= reasons
    return {"states": states, "approximated": sorted(reasons)}


def _keepers(loader: Any) -> dict[str, own_states.Keeper]:
    return own_states.keepers(dataset=getattr(loader, "dataset", None))


def _reading_of(loop: Any) -> Any:
    # A hook may have put another iterator into a loop over iterations.
    reading = loop.reading if loop.by_epoch else getattr(loop.dataloader_iterator, "reading", None)
    return reading if isinstance(reading, Reading) else loop.reading


def put_back(
    loop: Any, place: Place | None, data: Mapping[str, Any] | None, logger: logging.Logger
) -> None:
    """Put back what the training data kept, and say where that cannot be done.

    Args:
        loop: The training loop.
        place: The place in the data.
        data: From :func:`taken`; None if the checkpoint has nothing of it.
        logger: Is told.
    """
    reasons = set() if data is None else set(data["approximated"])
    states = {} if data is None else own_states.on_cpu(data["states"])
    loader = loop.dataloader
    if place is None or not place.given or knows(loader, place):
        found = _keepers(loader)
        has_state = own_states.take(found, set())
        for path in own_states.give(found, states):
            reasons.add(f"there is nothing at {path} to go on with the state in the checkpoint")
        for path in has_state.keys() - states.keys():
            reasons.add(f"the state of {found[path].name} is not in the checkpoint")
    for reason in sorted(reasons):
        logger.warning(f"The resumed run is approximated: {reason}.")
