"""Checkpoint files into one another: torch's ``.pth``, Lightning's ``.ckpt``, ``.safetensors``."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from importlib import metadata
from pathlib import PurePosixPath
from typing import Any, NamedTuple

from mm2pl import checkpoint, contents, damage, durable, published
from mm2pl.errors import CheckpointError, ConfigError
from mm2pl.mmengine.fileio import exists
from mm2pl.mmengine.runner.checkpoint import CheckpointLoader

TORCH, LIGHTNING = (".pth", ".pt"), (".ckpt",)
SUFFIXES = (*TORCH, *LIGHTNING, published.SUFFIX)
_HELD = {  # what a key stands for, in the order in which it is said
    "optimizer": "the optimizers' states",
    "optimizer_states": "the optimizers' states",
    "param_schedulers": "the schedules' states",
    "lr_schedulers": "the schedules' states",
    "message_hub": "the histories",
    "ema_state_dict": None,  # said by itself
    "mm2pl": "random states and the place in the data",
    "loops": "the loops' progress",
    "callbacks": "the callbacks' states",
    "hparams_name": None,
    "epoch": None,
    "global_step": None,
    contents.LIGHTNING: None,
}
_MMENGINES: dict[str, str] = {  # what MMEngine and mm2pl alone read, and what it stands for
    "meta": "meta",
    "message_hub": "the histories",
    "mm2pl": "random states and the place in the data",
    contents.RAW: "the averaged weights",
}
_EPOCHS = "the file does not say how long an epoch is: from within one, Lightning begins it again"


class Choices(NamedTuple):
    """What is to be written of a file.

    Args:
        strip_prefix: Only the weights whose names begin so, without it.
        add_prefix: Put before the names of all weights.
        raw: The weights in training where the file has their moving average as well.
        weights_only: Leave out what a run needs to go on.
        plain: Of a ``.ckpt`` only what any Lightning reads, without mm2pl and MMEngine.
    """

    strip_prefix: str = ""
    add_prefix: str = ""
    raw: bool = False
    weights_only: bool = False
    plain: bool = False


def load(path: str) -> Any:
    """Read what is to be converted, onto the CPU, from a path, URI or a model zoo's name.

    Raises:
        CheckpointError: The file is missing, broken, or holds objects that are not allowed.
    """
    if "://" not in path:
        return checkpoint.read(path, "cpu")
    return CheckpointLoader.load_checkpoint(path, "cpu", logger="silent")


def refuse_target(source: str, target: str, force: bool = False) -> None:
    """Refuse a target that cannot be meant, before anything is read.

    Raises:
        ConfigError: It has an unknown suffix, is a folder, the source, or there is one already.
    """
    suffix = PurePosixPath(target).suffix
    if "://" not in target and os.path.isdir(target):
        raise ConfigError(f"{target} is a folder", hint=f"{target.rstrip('/')}/NAME.pth")
    if suffix not in SUFFIXES:
        raise ConfigError(
            f"{target} must end in {', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}: that says what"
            " it is to be"
        )
    if _same(source, target):
        raise ConfigError(f"{target} is the file that is read", hint="write to another one")
    if not force and exists(target):
        raise ConfigError(f"{target} is there already", hint="--force replaces it")


def convert(
    source: str, target: str, choices: Choices | None = None, force: bool = False
) -> list[str]:
    """Write a checkpoint in the format that the target's suffix says.

    Args:
        source: A path, a URI, or a model zoo's name.
        target: A path or URI that ends in ``.pth``, ``.pt``, ``.ckpt`` or ``.safetensors``.
        choices: What is to be written.
        force: Replace the target if it is there.

    Returns:
        Notes: what could not be carried over, and what else is to be known.

    Raises:
        CheckpointError: The source cannot be read, or the target not written.
        ConfigError: The target cannot be meant.
    """
    refuse_target(source, target, force)
    choices = choices or Choices()
    if choices.plain and PurePosixPath(target).suffix not in LIGHTNING:
        raise ConfigError(f"{target} is no .ckpt, and only such a file can be a plain one")
    loaded = load(source)
    with damage.taking_up(source, "content", "converted"):
        content, notes = converted(loaded, source, target, choices)
    _remove_leftovers(target)
    if PurePosixPath(target).suffix == published.SUFFIX:
        data, more = published.pack(content["state_dict"], content["meta"], target)
        checkpoint.write_by(lambda file: file.write(data), target)
        return notes + more
    checkpoint.write(content, target)
    return notes


def _remove_leftovers(target: str) -> None:
    """Remove what a conversion to the same file left that was killed."""
    if "://" not in target:
        real = os.path.realpath(target)
        durable.remove_leftovers(os.path.dirname(real), os.path.basename(real))


def converted(
    loaded: Any, source: str, target: str, choices: Choices
) -> tuple[dict[str, Any], list[str]]:
    """Return what to write, and notes on what is not carried over.

    Args:
        loaded: What was read.
        source: Where from, for messages.
        target: Its suffix says what is to be written.
        choices: What is to be written.
    """
    suffix = PurePosixPath(target).suffix
    key, weights = contents.weights_in(loaded, source)
    chosen, notes = _chosen(loaded, weights, source, choices)
    of_lightning = contents.kind(loaded) == "lightning"
    whole = key == "state_dict" and not choices.weights_only
    if suffix in LIGHTNING and whole and (choices.plain or of_lightning):
        content, more = _by_lightning(loaded, chosen)
        notes += more
    elif any(choices) or suffix == published.SUFFIX or key != "state_dict" or of_lightning:
        content = {"meta": _meta(loaded), "state_dict": chosen}
        if key is not None:  # else the file is nothing but weights
            notes += _left_out(loaded, key)
        if contents.RAW in loaded and not (choices.raw or choices.plain):
            notes.append("the averaged weights are written; --raw takes those in training")
        starts = {str(name).partition(".")[0] for name in chosen}
        if of_lightning and len(starts) == 1:
            start = f"{starts.pop()}."
            notes.append(f"all names begin with {start}: --strip-prefix {start} takes it off")
    else:
        content = dict(loaded)
    if suffix in LIGHTNING and contents.LIGHTNING not in content:
        notes += _complete(content)
    if choices.plain and not of_lightning:
        content.pop("meta", None)
    return content, notes


def _chosen(
    loaded: Mapping[str, Any], weights: Mapping[str, Any], source: str, choices: Choices
) -> tuple[Mapping[str, Any], list[str]]:
    """Return the weights that are wanted, under the names that are wanted, and notes."""
    notes = []
    averaged = contents.RAW in loaded
    if choices.raw and not averaged:
        raise CheckpointError(
            f"{source} holds one set of weights, none averaged", hint="leave out --raw"
        )
    versions = getattr(weights, "_metadata", {})
    # A plain Trainer knows no average: it goes on with those in training.
    if choices.raw or (averaged and choices.plain):
        weights = {**weights, **contents.raw_weights(loaded)}
    start, added = choices.strip_prefix, choices.add_prefix
    if not weights:
        raise CheckpointError(f"{source} holds no weights")
    found = {name: value for name, value in weights.items() if str(name).startswith(start)}
    if not found:
        firsts = dict.fromkeys(str(name).partition(".")[0] for name in weights)
        raise CheckpointError(
            f"no weight in {source} begins with {start!r}; they begin with {', '.join(firsts)}"
        )
    if len(found) < len(weights):
        notes.append(f"{len(weights) - len(found)} weights do not begin with {start!r}: left out")
    renamed: Any = OrderedDict((added + name[len(start) :], one) for name, one in found.items())
    renamed._metadata = _renamed_modules(versions, start, added)
    return renamed, notes


def _renamed_modules(versions: Mapping[str, Any], start: str, added: str) -> OrderedDict[str, Any]:
    """Return a state dict's metadata by the new names; a module's ends where its weights' begin."""
    kept = ((f"{name}." if name else "", one) for name, one in versions.items())
    moved = ((added + name[len(start) :], one) for name, one in kept if name.startswith(start))
    return OrderedDict((name.removesuffix("."), one) for name, one in moved)


def _meta(loaded: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``meta`` in MMEngine's way; of Lightning's file its counters and hyperparameters."""
    meta = dict(contents.meta_of(loaded))
    if contents.kind(loaded) != "lightning" or "epoch" in meta:
        return meta
    loop = loaded.get("loops", {}).get("fit_loop", {})
    epochs = loop.get("epoch_progress", {}).get("current", {})
    batches = loop.get("epoch_loop.batch_progress", {}).get("total", {})
    meta["epoch"] = epochs.get("processed", loaded.get("epoch", 0))
    meta["iter"] = batches.get("processed", loaded.get("global_step", 0))
    meta["lightning_version"] = loaded[contents.LIGHTNING]
    if "hyper_parameters" in loaded:
        meta["hyper_parameters"] = loaded["hyper_parameters"]
    return meta


def _left_out(loaded: Mapping[str, Any], key: str) -> list[str]:
    """Say what stands beside weights and meta."""
    kept = {key, "meta", "hyper_parameters"}
    words = [_HELD.get(str(one), str(one)) for one in loaded if one not in kept]
    said = list(dict.fromkeys(filter(None, words)))
    return [f"left out: {', '.join(said)}"] if said else []


def _by_lightning(
    loaded: Mapping[str, Any], weights: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """Return what Lightning alone would have saved, with these weights, and notes."""
    from mm2pl import lightning_layout  # imports Lightning

    notes, held, content = [], [], dict(loaded)
    if contents.kind(loaded) != "lightning":
        held = [words for key, words in _MMENGINES.items() if key in loaded]
        content = lightning_layout.only_lightnings(loaded)
        if contents.is_lightning_run(content) and contents.LIGHTNING not in loaded:
            notes.append(_EPOCHS)
    content["state_dict"] = weights
    if len(weights) < len(loaded["state_dict"]):
        # Optimizers know weights by their numbers.
        for key in ("loops", "optimizer_states", "lr_schedulers"):
            content.pop(key, None)
        held.append("the run, as weights are missing")
    return content, [*notes, *([f"left out: {', '.join(held)}"] if held else [])]


def _complete(content: dict[str, Any]) -> list[str]:
    """Put in what Lightning needs to load a file, and to resume it if it holds a run."""
    from mm2pl import lightning_layout  # imports Lightning

    lightning_layout.complete(content)
    meta = contents.meta_of(content)
    content.setdefault("epoch", meta.get("epoch", 0))
    content.setdefault("global_step", meta.get("iter", 0))
    content.setdefault(contents.LIGHTNING, metadata.version("lightning"))
    if "hyper_parameters" in meta:  # load_from_checkpoint makes a module by them
        content["hyper_parameters"] = meta["hyper_parameters"]
    if not contents.is_lightning_run(content):
        return ["weights only: a Trainer of Lightning's can load them, and has nothing to resume"]
    notes = [_EPOCHS]
    if contents.RAW in content:
        notes.append(
            "it holds averaged weights: a plain Trainer goes on from them, mm2pl and MMEngine from"
            " those in training; --plain writes those in training alone"
        )
    # HistoryBuffer is pickled by MMEngine's name.
    return [*notes, "--plain writes one that Lightning reads where mm2pl is not installed"]


def _same(source: str, target: str) -> bool:
    if "://" in source or "://" in target:
        return source == target
    if os.path.exists(source) and os.path.exists(target):
        return os.path.samefile(source, target)
    return os.path.realpath(source) == os.path.realpath(target)
