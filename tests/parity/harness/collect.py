"""Reads back what a run left in its work_dir, with times, paths and host names taken out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from tracing import digest, exact, without_times

CHECKPOINT_KEYS = ("state_dict", "ema_state_dict", "optimizer", "param_schedulers")

# MMEngine's warnings about its own use of its deprecated FileClient say nothing about the run.
# The best checkpoint before goes when the new one is complete, in MMEngine ahead of that.
NOISE = (
    '"(FileClient|HardDiskBackend)" (will be|is the alias)|'
    r"The previous best checkpoint \S+ is removed|"
    "the config has older forms"  # of which MMEngine is given today's
)

_MASKS = [
    # Of the run that wrote a checkpoint which this one went on from.
    (r"\d{8}_\d{6}", "<another run>"),
    (r"/\S*/tmp\w+/(work\b)?", "<another folder>"),
    (r"tfevents\.[^\s]+", "tfevents"),
    # The time columns of a line; their width follows the number.
    (r"\b(eta|data_time|time|memory): +[\d:., days]*\d", r"\1: <n>"),
    (r"0x[0-9a-f]{6,}", "<address>"),
    (r"-[0-9a-f]{8}\.pth", "-<hash>.pth"),
    # In mm2pl's files there are more.
    (r"\[('\w[\w-]*'(, )?)+\](?=( will be removed|` in published_keys))", "<keys>"),
    # Sentences that mm2pl words in its own way, at the same place in the log.
    (r"(Gradient accumulative may|gradients accumulate, but).*", "<accumulation and BatchNorm>"),
    (r"(Resumed iteration number is not|training resumes at iter).*", "<resumes in a window>"),
    (r"(EMA's momentum is the share|The value of momentum in EMA).*", "<large momentum of EMA>"),
]
# What CheckpointHook tells the message hub of its files.
_FILES = "best_|last_ckpt|keep_ckpt_ids"


class Masks:
    """Replaces what differs from run to run: work_dir and time stamps, the latter numbered."""

    def __init__(self, work_dir: Path) -> None:
        self.work_dir = str(work_dir)
        self.stamps = sorted({path.name for path in work_dir.rglob("*") if _is_stamp(path.name)})

    def __call__(self, text: str) -> str:
        text = text.replace(self.work_dir, "<work_dir>")
        for number, stamp in enumerate(self.stamps):
            text = text.replace(stamp, f"<run{number}>")
        for pattern, replacement in _MASKS:
            text = re.sub(pattern, replacement, text)
        return text


def _is_stamp(name: str) -> bool:
    return re.fullmatch(r"\d{8}_\d{6}", name) is not None


def collect(work_dir: Path) -> dict[str, Any]:
    """Return everything that is compared of a work_dir, by aspect."""
    mask = Masks(work_dir)
    paths = sorted(path for path in work_dir.rglob("*") if path.is_file())
    names = {mask(str(path.relative_to(work_dir))): path for path in paths}
    return {
        "files": sorted(names),
        "scalars": {n: _json_lines(p) for n, p in names.items() if n.endswith(".json")},
        "log": {n: _log(p, mask) for n, p in names.items() if n.endswith(".log")},
        "configs": {n: _config(p, mask) for n, p in names.items() if n.endswith(".py")},
        "checkpoints": {n: _checkpoint(p, mask) for n, p in names.items() if n.endswith(".pth")},
        "events": {n: _events(p) for n, p in names.items() if "tfevents" in n},
        "last_checkpoint": [
            Path(path.read_text()).name for name, path in names.items() if name == "last_checkpoint"
        ],
    }


def _json_lines(path: Path) -> list[Any]:
    return [exact(without_times(json.loads(line))) for line in path.read_text().splitlines()]


def _log(path: Path, mask: Masks) -> list[str]:
    """Return the entries of a text log without their times.

    Left out are the block about the environment, which names machine and versions, and the
    formatting of the config, which is free.
    """
    text = re.sub(r"(?m)^\d{4}[/-]\d\d[/-]\d\d \d\d:\d\d:\d\d(,\d+)? - ", "\x00", path.read_text())
    entries = [mask(entry.rstrip()) for entry in text.split("\x00")]
    entries = [re.sub(r"(?s)System environment:.*", "<environment>", entry) for entry in entries]
    entries = [entry for entry in entries if not re.search(NOISE, entry)]
    entries = [re.sub(r"(?s)Config:\n.*", "Config: <config>", entry) for entry in entries]
    return [line.rstrip() for entry in entries for line in entry.splitlines()]


def _config(path: Path, mask: Masks) -> Any:
    return json.loads(mask(json.dumps(exact(Config.fromfile(path).to_dict()))))


def _checkpoint(path: Path, mask: Masks) -> dict[str, Any]:
    """Return the part of a checkpoint that MMEngine knows."""
    state = torch.load(path, map_location="cpu", weights_only=False)
    meta = dict(state["meta"]) if "meta" in state else {}
    shown: dict[str, Any] = {"meta keys": sorted(meta)}
    for key in ("epoch", "iter", "seed", "experiment_name", "dataset_meta", "mmengine_version"):
        value = exact(meta.get(key))
        shown[f"meta.{key}"] = mask(value) if isinstance(value, str) else value
    # In mm2pl the best ones can be resumed; MMEngine's hold no optimizer and no schedules.
    best = path.name.startswith("best_")
    for key in CHECKPOINT_KEYS[:2] if best else CHECKPOINT_KEYS:
        shown[key] = exact(state[key]) if key in state else "absent"
    shown["state_dict order"] = list(state.get("state_dict", {}))
    hub = state.get("message_hub")
    if best and hub is not None:
        # MMEngine writes one after the other, mm2pl all that are due once all are known.
        for part in ("runtime_info", "resumed_keys"):
            known = {k: v for k, v in hub[part].items() if not re.match(_FILES, k)}
            hub = {**hub, part: known}
    shown["message_hub"] = _message_hub(hub, mask)
    return shown


def _message_hub(state: Any, mask: Masks) -> Any:
    if state is None:
        return None
    scalars = without_times(state["log_scalars"])
    # The name is that of the run before, if this one went on from its checkpoint.
    left_out = ("cfg", "eta", "experiment_name", "superseded_ckpts")
    info = {k: v for k, v in state["runtime_info"].items() if k not in left_out}
    resumed = {k: v for k, v in state["resumed_keys"].items() if k != "superseded_ckpts"}
    return {
        "log_scalars": {k: digest([list(b.data[0]), list(b.data[1])]) for k, b in scalars.items()},
        "runtime_info": json.loads(mask(json.dumps(exact(info), sort_keys=True))),
        "resumed_keys": exact(resumed),
    }


def _events(path: Path) -> list[Any]:
    """Return tag, step and value of every scalar of a TensorBoard file, and the texts' tags."""
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    found = []
    for event in EventFileLoader(str(path)).Load():
        for value in event.summary.value:
            if value.tag.split("/")[-1] in ("time", "data_time", "eta", "memory"):
                continue
            numbers = list(value.tensor.float_val)
            found.append([value.tag, event.step, [float(number).hex() for number in numbers]])
    return found
