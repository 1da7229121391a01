"""Whether what a checkpoint says of its run can be understood."""

from __future__ import annotations

import logging
from typing import Any

from mm2pl.resume import random_states
from mm2pl.resume.reading import Place

# Raised when an older mm2pl would misread a file; new keys that it may leave out do not need that.
VERSION = 1
_INSTEAD = (
    "random states and the place in the data are not taken up; the run goes on as from a file of"
    " MMEngine's"
)


def drop_unknown(loaded: dict[str, Any], key: str, logger: logging.Logger) -> None:
    """Take our part out of a checkpoint, with a warning, if it is not one that can be used.

    Args:
        loaded: The checkpoint.
        key: The part's key.
        logger: Is told.
    """
    if loaded.get(key) is None:
        return
    problem = _problem(loaded[key])
    if problem is not None:
        logger.warning(f"The checkpoint's {key!r} {problem}: {_INSTEAD}.")
        del loaded[key]


def _problem(own: Any) -> str | None:
    """Say why a part cannot be used."""
    version = own.get("version") if isinstance(own, dict) else None
    if type(version) is not int:
        return "is not one of mm2pl's"
    if version > VERSION:
        return f"is of version {version}, and this mm2pl reads up to {VERSION}"
    try:
        _try(own)
    # Whatever a wrong value leads to.
    except Exception as error:
        return f"is damaged ({type(error).__name__}: {error})"
    return None


def _try(own: dict[str, Any]) -> None:
    """Read all of it, and raise what that raises."""
    _of_type(int, own["epoch"], own["iter"], *own["counts"])
    _of_type(bool, own["validated"])
    _of_type(list, own["ranks"])
    _of_type(dict, own.get("hooks", {}))
    settings = own.get("settings")
    if settings is not None:
        _of_type(dict, settings["run"], settings["optimizers"])
        for optimizer in settings["optimizers"].values():
            _of_type(dict, optimizer["made"], optimizer["groups"], *optimizer["schedules"])
    own["ranks"][0]  # that of the first process is needed
    for rank in own["ranks"]:
        _of_type(dict, rank["gradients"], rank["buffers"])
        states = [random_states.from_plain(rank["random"])]
        if rank["reading"] is not None:
            place = Place.from_plain(rank["reading"])
            _of_type(int, place.given, place.round, place.num_workers)
            states += [place.opened, place.created, *place.workers.values()]
        with random_states.kept():
            for one in filter(None, states):
                random_states.give({name: one[name] for name in one if name != "cuda"})
        # Not there in the first files:
        for seeds in rank.get("seeds", {}).values():
            _of_type(int, *seeds.values())
        data = rank.get("data")
        if data is not None:
            _of_type(dict, data["states"])
            _of_type(str, *data["approximated"])


def _of_type(kind: type, *values: Any) -> None:
    for value in values:
        if not isinstance(value, kind):
            raise TypeError(f"{value!r:.60} in place of {kind.__name__}")
