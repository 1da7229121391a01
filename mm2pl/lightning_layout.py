"""Lightning's keys in MMEngine's checkpoints: one file that both can go on from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from typing import TYPE_CHECKING, Any, NamedTuple

from lightning import __version__ as lightning_version

from mm2pl import contents
from mm2pl.optim import wrappers_of
from mm2pl.resume.loaders import length_of

if TYPE_CHECKING:
    from mm2pl.runner import Runner

_Saved = MutableMapping[str, Any]

_LIGHTNINGS = (
    "epoch",
    "global_step",
    contents.LIGHTNING,
    "state_dict",
    "loops",
    "callbacks",
    "optimizer_states",
    "lr_schedulers",
    "MixedPrecision",
)
_DONE = ("ready", "completed")
_STARTED = ("ready", "started", "completed")
_PROCESSED = ("ready", "started", "processed", "completed")
# What a torch schedule counts by, and what MMEngine's schedules call it.
_SCHEDULE = {
    "last_epoch": "last_step",
    "_step_count": "_global_step",
    "base_lrs": "base_values",
    "_last_lr": "_last_value",
}


class Progress(NamedTuple):
    """Where a run is, between two batches.

    Attributes:
        epochs: Whole epochs, or rounds over the data of a run that counts iterations.
        batches: Batches of the epoch at hand.
        iters: Batches of all epochs.
        steps: Steps of all optimizers, which Lightning counts.
    """

    epochs: int
    batches: int
    iters: int
    steps: int


def progress_of(runner: Runner, meta: Mapping[str, Any], steps: int) -> Progress:
    """Return where a run is that goes on with the counters of a checkpoint.

    Args:
        runner: The run.
        meta: The checkpoint's, with ``epoch`` and ``iter``.
        steps: Steps of the optimizers so far.
    """
    loop: Any = runner._train_loop
    epochs, iters = int(meta["epoch"]), int(meta["iter"])
    length = length_of(getattr(loop, "dataloader", None)) or 0
    if not getattr(loop, "by_epoch", True):
        # To MMEngine such a run has no epochs; a plain Trainer goes round by round.
        epochs, batches = divmod(iters, length) if length else (0, iters)
    else:
        reading: Any = getattr(loop, "reading", None)
        within = reading is not None and epochs == loop._epoch
        batches = int(reading.place.given) if within else 0
        if length and batches >= length:
            epochs, batches = epochs + 1, 0
    return Progress(epochs, batches, iters, steps)


def add(checkpoint: _Saved, progress: Progress, order: Iterable[str] | None = None) -> None:
    """Add Lightning's keys to a checkpoint in MMEngine's layout; nothing is copied.

    Without optimizers it becomes what Lightning calls a checkpoint of the weights only.

    Args:
        checkpoint: What is about to be written, or was read.
        progress: Where the run is.
        order: The names of several optimizers, in Lightning's order; by default all.
    """
    checkpoint["epoch"] = progress.epochs
    checkpoint["global_step"] = progress.steps
    checkpoint[contents.LIGHTNING] = lightning_version
    checkpoint["loops"] = _loops(progress)
    if "optimizer" not in checkpoint:
        return
    states = _by_name(checkpoint["optimizer"], order)
    checkpoint["optimizer_states"] = [
        {"state": state["state"], "param_groups": state["param_groups"]} for state in states
    ]
    checkpoint["lr_schedulers"] = [
        _schedule(state) for state in _flat(checkpoint.get("param_schedulers") or [])
    ]
    checkpoint.setdefault("callbacks", {})
    scalers = [state["loss_scaler"] for state in states if state.get("loss_scaler")]
    if len(scalers) == 1:  # Lightning has one for all optimizers
        checkpoint["MixedPrecision"] = scalers[0]


def optimizer_names(wrapper: Any) -> list[str] | None:
    """Return the names of several wrappers, each torch optimizer once, as Lightning knows them."""
    if len(wrappers_of(wrapper)) < 2:
        return None
    names: dict[int, str] = {}
    for name, one in wrapper.items():
        names.setdefault(id(one.optimizer), name)
    return list(names.values())


def complete(checkpoint: _Saved) -> None:
    """Add Lightning's keys to what was read, if it is MMEngine's.

    MMEngine's files tell neither the steps of the optimizers, for which iterations are taken, nor
    how long an epoch is: in the middle of one it begins again, as in MMEngine.

    Args:
        checkpoint: The content of a file.
    """
    if contents.LIGHTNING not in checkpoint:
        meta = contents.meta_of(checkpoint)
        epochs, iters = int(meta.get("epoch", 0)), int(meta.get("iter", 0))
        add(checkpoint, Progress(epochs, 0, iters, steps_of(checkpoint)))


def only_lightnings(checkpoint: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Lightning looks at in a checkpoint, which any ``torch.load`` reads.

    Of weights with a moving average those in training, with which the optimizers' states go.

    Args:
        checkpoint: The content of a file, MMEngine's too.
    """
    whole = dict(checkpoint)
    complete(whole)
    kept = {key: whole[key] for key in _LIGHTNINGS if key in whole}
    kept["state_dict"] = in_training(kept["state_dict"], whole)
    return kept


def in_training(weights: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a checkpoint's weights, those in training where they are their moving average."""
    if contents.RAW not in checkpoint:
        return weights
    return {**weights, **contents.raw_weights(checkpoint)}


def steps_of(checkpoint: Mapping[str, Any]) -> int:
    """Return Lightning's count of optimizer steps; in MMEngine's files, one for each iteration."""
    if "global_step" in checkpoint:
        return int(checkpoint["global_step"])
    iters = int(contents.meta_of(checkpoint).get("iter", 0))
    return iters * max(1, len(_by_name(checkpoint.get("optimizer"))))


def _by_name(optimizer: Any, order: Iterable[str] | None = None) -> list[dict[str, Any]]:
    """Return the states of one optimizer, or of several by name, in a list."""
    if not isinstance(optimizer, Mapping):
        return []
    if "param_groups" in optimizer:
        return [optimizer]  # type: ignore[list-item]
    names = optimizer if order is None else order
    states = map(optimizer.get, names)
    return [one for one in states if isinstance(one, dict) and "param_groups" in one]


def _flat(schedules: Any) -> list[Mapping[str, Any]]:
    """Return the states of the learning rates' schedules, those of several optimizers in a row."""
    if isinstance(schedules, Mapping):
        return [state for listed in schedules.values() for state in _flat(listed)]
    return [state for state in schedules if state.get("param_name", "lr") == "lr"]


def _schedule(state: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a schedule of torch's takes up; what else makes it a schedule it keeps."""
    if isinstance(state.get("torch"), Mapping):  # it is one
        return state["torch"]  # type: ignore[no-any-return]
    return {torchs: state[name] for torchs, name in _SCHEDULE.items() if name in state}


def _loops(progress: Progress) -> dict[str, Any]:
    """Return the state of Lightning's loops between two batches.

    Not that of the Trainer's own loops, which stand in the middle of a hook when a run is saved.
    """
    epochs, batches, iters, steps = progress
    begun = epochs + (batches > 0)
    epoch = {"ready": begun, "started": begun, "processed": epochs, "completed": epochs}
    optimizer = {"step": _both(_DONE, steps), "zero_grad": _both(_STARTED, steps)}
    part = "epoch_loop."
    fit: dict[str, Any] = {
        "state_dict": {},
        f"{part}state_dict": {"_batches_that_stepped": iters},
        f"{part}batch_progress": _batches(iters, batches),
        f"{part}scheduler_progress": _both(_DONE, 0),
        f"{part}automatic_optimization.state_dict": {},
        f"{part}automatic_optimization.optim_progress": {"optimizer": optimizer},
        f"{part}manual_optimization.state_dict": {},
        f"{part}manual_optimization.optim_step_progress": _both(_DONE, steps),
        f"{part}val_loop.state_dict": {},
        f"{part}val_loop.batch_progress": _batches(0, 0),
        "epoch_progress": {"total": dict(epoch), "current": dict(epoch)},
    }
    return {
        "fit_loop": fit,
        "validate_loop": {"state_dict": {}, "batch_progress": _batches(0, 0)},
        "test_loop": {"state_dict": {}, "batch_progress": _batches(0, 0)},
        "predict_loop": {"state_dict": {}, "batch_progress": _both(_PROCESSED, 0)},
    }


def _both(counters: tuple[str, ...], total: int, current: int | None = None) -> dict[str, Any]:
    now = total if current is None else current
    return {"total": dict.fromkeys(counters, total), "current": dict.fromkeys(counters, now)}


def _batches(total: int, current: int) -> dict[str, Any]:
    return {**_both(_PROCESSED, total, current), "is_last_batch": False}
