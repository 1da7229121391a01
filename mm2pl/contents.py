"""What a checkpoint file holds, and who wrote it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

import torch

from mm2pl.errors import CheckpointError

LIGHTNING = "pytorch-lightning_version"
OURS = "mm2pl"
RAW = "ema_state_dict"
_OF_RAW = "module."  # in front of each name there
_MOST_NAMES = 5


def kind(loaded: Mapping[str, Any]) -> str:
    """Return who wrote a checkpoint: mm2pl, mmengine, lightning, mmcv or nobody known."""
    meta = meta_of(loaded)
    if OURS in loaded or ("mmengine_version" in meta and LIGHTNING in loaded):
        return "mm2pl"
    if "mmengine_version" in meta:
        return "mmengine"
    if LIGHTNING in loaded:
        return "lightning"
    return "mmcv" if "mmcv_version" in meta else "unknown"


def meta_of(loaded: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a checkpoint's ``meta``, empty if it has none."""
    meta = loaded.get("meta")
    return meta if isinstance(meta, Mapping) else {}


def is_run(loaded: Mapping[str, Any]) -> bool:
    """Whether MMEngine and mm2pl can go on with the training."""
    return "message_hub" in loaded and "optimizer" in loaded and "epoch" in meta_of(loaded)


def is_lightning_run(loaded: Mapping[str, Any]) -> bool:
    """Whether a plain Trainer can go on with the training."""
    return {LIGHTNING, "loops", "optimizer_states"} <= set(loaded)


def weights_in(loaded: Any, name: str) -> tuple[str | None, Mapping[str, Any]]:
    """Return the weights of a checkpoint, and the key that they stand under, if there is one.

    Args:
        loaded: The checkpoint.
        name: What errors call it.

    Raises:
        CheckpointError: There are none.
    """
    if not isinstance(loaded, Mapping):
        raise CheckpointError(f"{name} holds a {type(loaded).__name__}, not weights")
    if isinstance(loaded.get("state_dict"), Mapping):
        if not all(isinstance(key, str) for key in loaded["state_dict"]):
            raise CheckpointError(f"{name} holds no weights: the names in its state_dict are none")
        return "state_dict", loaded["state_dict"]
    if _are_weights(loaded):
        return None, loaded
    found = [str(key) for key, value in loaded.items() if _are_weights(value)]
    if len(found) != 1:
        some = ", ".join(map(str, list(loaded)[:_MOST_NAMES])) or "nothing"
        raise CheckpointError(
            f"{name} holds no weights under `state_dict`; it holds {some}",
            hint=f"there are weights under {', '.join(found)}" if found else None,
        )
    return found[0], loaded[found[0]]


def raw_weights(loaded: Mapping[str, Any]) -> dict[str, Any]:
    """Return the weights in training, where ``state_dict`` has their moving average."""
    kept = loaded[RAW].items()
    return {key[len(_OF_RAW) :]: value for key, value in kept if key.startswith(_OF_RAW)}


def _are_weights(value: Any) -> bool:
    if not isinstance(value, Mapping) or not value:
        return False
    return all(isinstance(one, torch.Tensor) for one in value.values())


# --------------------------------------------------------------------------- description


def describe(loaded: Any, name: str) -> dict[str, Any]:
    """Return what a checkpoint holds, as values that JSON has.

    Args:
        loaded: The checkpoint.
        name: What errors call it.

    Raises:
        CheckpointError: It holds no weights.
    """
    key, weights = weights_in(loaded, name)
    meta = meta_of(loaded)
    facts: dict[str, Any] = {"written by": _writer(loaded), "resumed by": _resumed_by(loaded)}
    for shown in ("epoch", "iter", "time", "seed", "experiment_name"):
        if isinstance(meta.get(shown), (str, int)):
            facts[shown] = meta[shown]
    if "epoch" not in meta and LIGHTNING in loaded:
        facts |= {"epoch": loaded.get("epoch"), "global_step": loaded.get("global_step")}
    facts["weights"] = _summary(weights)
    if key not in (None, "state_dict"):
        facts["weights"]["under"] = key
    if RAW in loaded:
        facts["weights before averaging"] = _summary(raw_weights(loaded))
    facts |= _training(loaded)
    if loaded.get("callbacks"):
        facts["callbacks"] = [str(one).partition("{")[0] for one in loaded["callbacks"]]
    classes = _classes(meta)
    if classes:
        facts["classes"] = classes
    known = {"state_dict", "meta", RAW, "optimizer", "param_schedulers", "message_hub", OURS}
    known |= {LIGHTNING, "optimizer_states", "lr_schedulers", "loops", "epoch", "global_step"}
    known |= {str(key), "callbacks"}
    more = [str(one) for one in loaded if one not in known] if key is not None else []
    if more:
        facts["more"] = more
    return facts


def lines(facts: Mapping[str, Any]) -> dict[str, str]:
    """Return the values of :func:`describe` as text."""
    return {title: _line(title, value) for title, value in facts.items()}


def as_size(count: int) -> str:
    """Return a number of bytes in bytes, kB or MB."""
    if count < 1000:
        return f"{count} bytes"
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"


def _line(title: str, value: Any) -> str:
    if title.startswith("weights"):
        kinds = ", ".join(f"{count} {dtype}" for dtype, count in value["dtypes"].items())
        parts = ", ".join(f"{part} ({count})" for part, count in value["parts"].items())
        under = f", under {value['under']!r}" if "under" in value else ""
        size = as_size(value["bytes"])
        return f"{value['count']} ({kinds}), {value['values']:,} values, {size}{under}: {parts}"
    if title == "file size":
        return as_size(value)
    if title == "optimizers":
        return "; ".join(map(_optimizer_line, value))
    if isinstance(value, list):
        some = ", ".join(value[:_MOST_NAMES])
        return f"{len(value)}: {some}{', ...' if len(value) > _MOST_NAMES else ''}"
    return str(value)


def _optimizer_line(one: Mapping[str, Any]) -> str:
    name = f"{one['name']}: " if one["name"] else ""
    rates = ", ".join(f"{rate:g}" for rate in one["lr"])
    states = f"states of {one['states']} parameters"
    groups = f"{one['groups']} group{'s' * (one['groups'] != 1)}"
    return f"{name}{states} in {groups}{f', lr {rates}' if rates else ''}"


def _writer(loaded: Mapping[str, Any]) -> str:
    meta = meta_of(loaded)
    lightning = f"Lightning {loaded.get(LIGHTNING)}"
    return {
        "mm2pl": f"mm2pl (as MMEngine {meta.get('mmengine_version')}"
        f"{f' and {lightning}' if LIGHTNING in loaded else ''})",
        "mmengine": f"MMEngine {meta.get('mmengine_version')}",
        "lightning": lightning,
        "mmcv": f"OpenMMLab 1.x ({', '.join(_versions(meta))})",
        "unknown": f"Lightning {of}" if (of := meta.get("lightning_version")) else "not said",
    }[kind(loaded)]


def _versions(meta: Mapping[str, Any]) -> list[str]:
    """Return what ``mmcv_version`` and its like say."""
    found = {re.fullmatch(r"(\w+)_version", str(key)): value for key, value in meta.items()}
    return [f"{match[1]} {value}" for match, value in found.items() if match]


def _resumed_by(loaded: Mapping[str, Any]) -> str:
    able = ["mm2pl", "MMEngine"] if is_run(loaded) else []
    able += ["Lightning"] if is_lightning_run(loaded) else []
    if not able and "message_hub" in loaded and "epoch" in meta_of(loaded):
        return "mm2pl with resume=dict(exact=False), MMEngine: with a new optimizer"
    return ", ".join(able) or "nobody: weights to start from"


def _summary(weights: Mapping[str, Any]) -> dict[str, Any]:
    tensors = [one for one in weights.values() if isinstance(one, torch.Tensor)]
    parts = Counter(str(name).partition(".")[0] for name in weights)
    return {
        "count": len(weights),
        "values": sum(one.numel() for one in tensors),
        "bytes": sum(one.numel() * one.element_size() for one in tensors),
        "dtypes": dict(Counter(str(one.dtype).removeprefix("torch.") for one in tensors)),
        "parts": dict(parts.most_common(_MOST_NAMES)),
    }


def _training(loaded: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is said of optimizers, schedules, random states and data."""
    facts: dict[str, Any] = {}
    optimizers = list(_optimizers(loaded))
    if optimizers:
        facts["optimizers"] = optimizers
    schedules = loaded.get("param_schedulers", loaded.get("lr_schedulers"))
    if isinstance(schedules, Mapping):
        schedules = [one for some in schedules.values() for one in some]
    if schedules:
        facts["schedulers"] = len(schedules)
    ranks = loaded[OURS].get("ranks") if isinstance(loaded.get(OURS), Mapping) else None
    if ranks:
        several = "" if len(ranks) == 1 else f" of {len(ranks)} processes"
        facts["random states, place in the data"] = f"yes{several}"
    hub = loaded.get("message_hub")
    if isinstance(hub, Mapping) and isinstance(hub.get("log_scalars"), Mapping):
        facts["histories"] = [str(one) for one in hub["log_scalars"]]
    return facts


def _optimizers(loaded: Mapping[str, Any]) -> Any:
    states = loaded.get("optimizer")
    if isinstance(states, Mapping) and "param_groups" in states:
        states = {"": states}
    if not isinstance(states, Mapping):
        states = dict(enumerate(loaded.get("optimizer_states") or ()))
    for name, state in states.items():
        if isinstance(state, Mapping) and "param_groups" in state:
            groups = state["param_groups"]
            rates = dict.fromkeys(float(group["lr"]) for group in groups if "lr" in group)
            yield {
                "name": str(name) if len(states) > 1 else "",
                "groups": len(groups),
                "states": len(state.get("state", ())),
                "lr": list(rates)[:_MOST_NAMES],
            }


def _classes(meta: Mapping[str, Any]) -> list[str]:
    """Return the classes in MMEngine's ``dataset_meta``, or in OpenMMLab 1.x's ``CLASSES``."""
    of_data = meta.get("dataset_meta")
    of_data = of_data if isinstance(of_data, Mapping) else {}
    given = of_data.get("classes", of_data.get("CLASSES", meta.get("CLASSES")))
    return list(map(str, given)) if isinstance(given, (list, tuple)) else []
