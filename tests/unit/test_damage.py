"""A checkpoint that was changed by hand is one clear error at every door, or goes on as before."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from mm2pl import checkpoint
from mm2pl._lightning import quiet
from mm2pl.checkpoint_io import MMCheckpointIO
from mm2pl.cli import main
from mm2pl.convert import Choices, convert
from mm2pl.errors import CheckpointError
from mm2pl.mmengine.logging import _pickling
from mm2pl.runner import Runner
from tests.unit.resume.resume_runs import checkpoints, config, epochs, run

_LIGHTNINGS = ("loops", "optimizer_states", "lr_schedulers", "callbacks", "epoch", "global_step")
ABSENT = object()


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What is in a file of a run in the middle of its only epoch."""
    folder = tmp_path_factory.mktemp("whole")
    run(_config(folder, default_hooks=checkpoints(by_epoch=False, interval=4)))
    loaded: dict[str, Any] = checkpoint.read(folder / "iter_4.pth")
    return loaded


def _config(folder: Path, **changes: Any) -> dict[str, Any]:
    without = {"val_dataloader": None, "val_cfg": None, "val_evaluator": None}
    return config(folder, **{"train_cfg": epochs(1), "default_hooks": {}, **without, **changes})


def _changed(whole: dict[str, Any], folder: Path, path: str, value: Any) -> str:
    """Write the file with another value at a place, and return its path."""
    content = inner = copy.deepcopy(whole)
    *above, last = [int(one) if one.isdigit() else one for one in path.split(".")]
    for key in above:
        inner = inner[key]
    if value is ABSENT:
        del inner[last]
    else:
        inner[last] = value
    name = folder / "a.pth"
    with name.open("wb") as file:
        torch.save(content, file, pickle_module=_pickling)
    return str(name)


def _train(path: str, **changes: Any) -> None:
    Runner(**_config(Path(path).parent / "work", load_from=path, **changes)).train()


def _fit(path: str) -> None:
    runner = Runner(**_config(Path(path).parent / "work"))
    with quiet():
        runner.trainer.fit(runner.module, runner.datamodule, ckpt_path=path)


RESUMING: dict[str, Callable[[str], Any]] = {
    "resume": lambda path: _train(path, resume=True),
    "as MMEngine does": lambda path: _train(path, resume={"exact": False}),
    "ckpt_path": _fit,
}
LOADING = {**RESUMING, "load_from": _train}

REFUSED: dict[str, tuple[str, Any, str]] = {
    "hub is text": ("message_hub", "text", "its message_hub is a str, not a dict"),
    "hub is None": ("message_hub", None, "its message_hub is None, not a dict"),
    "hub is a list": ("message_hub", [], "its message_hub is a list, not a dict"),
    "empty hub": ("message_hub", {}, r"its message_hub\.log_scalars is missing"),
    "scalars are None": ("message_hub.log_scalars", None, r"its message_hub\.log_scalars is None"),
    "flags are text": ("message_hub.resumed_keys", "a", r"its message_hub\.resumed_keys is a str"),
    "meta is None": ("meta", None, "its meta is None, not a dict"),
    "no epoch": ("meta.epoch", ABSENT, r"its meta\.epoch is missing"),
    "epoch is None": ("meta.epoch", None, r"its meta\.epoch is None, not a number from 0 on"),
    "epoch is text": ("meta.epoch", "two", r"its meta\.epoch is a str"),
    "no iter": ("meta.iter", ABSENT, r"its meta\.iter is missing"),
    "negative iter": ("meta.iter", -3, r"its meta\.iter is -3"),
    "seed is text": ("meta.seed", "x", r"its meta\.seed is a str"),
    "seed is negative": ("meta.seed", -1, r"its meta\.seed is -1"),
    "optimizer is a list": ("optimizer", [], "its optimizer is a list, not a dict"),
    "optimizer is None": ("optimizer", None, "its optimizer is None, not a dict"),
    "groups are text": ("optimizer.param_groups", "a", r"its optimizer\.param_groups is a str"),
    "group is None": (
        "optimizer.param_groups.0",
        None,
        r"its optimizer\.param_groups\[0\] is None",
    ),
    "no params": (
        "optimizer.param_groups.0.params",
        ABSENT,
        r"its optimizer\.param_groups\[0\]\.params is missing",
    ),
    "lr is text": ("optimizer.param_groups.0.lr", "a", r"\[0\]\.lr is a str, not a number"),
    "states are None": ("optimizer.state", None, r"its optimizer\.state is None"),
    "state is None": ("optimizer.state.0", None, r"its optimizer\.state is a dict, not a dict of"),
    "schedules are text": ("param_schedulers", "a", "its param_schedulers is a str, not a list"),
    "schedule is None": ("param_schedulers.0", None, r"its param_schedulers\[0\] is None"),
    "schedule is a list": ("param_schedulers.1", [1], r"its param_schedulers\[1\] is a list"),
    "step is None": ("param_schedulers.0.last_step", None, r"\[0\]\.last_step is None"),
    "callbacks are a list": ("callbacks", [], "its callbacks is a list"),
    "steps are text": ("global_step", "a", "its global_step is a str"),
}


@pytest.mark.parametrize("door", RESUMING)
@pytest.mark.parametrize("name", REFUSED)
def test_a_part_of_another_kind_is_named(
    name: str, door: str, whole: dict[str, Any], tmp_path: Path
) -> None:
    path, value, message = REFUSED[name]
    file = _changed(whole, tmp_path, path, value)
    with pytest.raises(CheckpointError, match=rf"a\.pth cannot be resumed: .*{message}") as caught:
        RESUMING[door](file)
    assert str(caught.value).endswith(
        "Hint: use load_from without resume to start from these weights"
    )


@pytest.mark.parametrize("door", LOADING)
@pytest.mark.parametrize("value", [None, "text", [1], {3: torch.ones(1)}])
def test_what_is_no_weights_is_named(
    value: Any, door: str, whole: dict[str, Any], tmp_path: Path
) -> None:
    file = _changed(whole, tmp_path, "state_dict", value)
    with pytest.raises(CheckpointError, match=r"a\.pth cannot be loaded: its state_dict is "):
        LOADING[door](file)


@pytest.mark.parametrize("value", [None, [1.0, 2.0]])
def test_a_weight_that_is_no_tensor_is_a_missing_one(
    value: Any, whole: dict[str, Any], tmp_path: Path
) -> None:
    file = _changed({**whole}, tmp_path, "state_dict", {**whole["state_dict"], "head.bias": value})
    with pytest.raises(CheckpointError, match=r"head\.bias: missing in the checkpoint, \(2,\)"):
        RESUMING["resume"](file)


# What MMEngine goes on with, mm2pl does as well.
TAKEN: dict[str, tuple[str, Any]] = {
    "no schedules": ("param_schedulers", ABSENT),
    "empty schedules": ("param_schedulers", []),
    "schedules are None": ("param_schedulers", None),
    "config is none": ("meta.cfg", 3),
    "no seed": ("meta.seed", None),
    "averages without a hook": ("ema_state_dict", "text"),
    "another state of the optimizer": ("optimizer.state.extra", 1),
    "ours is text": ("mm2pl", "text"),
    "ours is empty": ("mm2pl", {}),
    "no processes": ("mm2pl.ranks", []),
}


@pytest.mark.parametrize("door", RESUMING)
@pytest.mark.parametrize("name", TAKEN)
def test_what_is_not_needed_is_no_error(
    name: str, door: str, whole: dict[str, Any], tmp_path: Path
) -> None:
    RESUMING[door](_changed(whole, tmp_path, *TAKEN[name]))


@pytest.mark.parametrize("door", LOADING)
def test_to_start_from_its_weights_a_file_needs_nothing_else(
    door: str, whole: dict[str, Any], tmp_path: Path
) -> None:
    content = {**whole, "meta": None, "optimizer": [], "message_hub": 3, "param_schedulers": "a"}
    torch.save(content, tmp_path / "a.pth")
    if door == "load_from":
        LOADING[door](str(tmp_path / "a.pth"))
    else:
        with pytest.raises(CheckpointError, match="its meta is None"):
            LOADING[door](str(tmp_path / "a.pth"))


@pytest.mark.parametrize("count", [1, 3])
def test_schedules_that_are_not_those_it_was_written_with_are_told(
    count: int, whole: dict[str, Any], tmp_path: Path
) -> None:
    states = (whole["param_schedulers"] * 2)[:count]
    file = _changed(whole, tmp_path, "param_schedulers", states)
    with pytest.raises(
        CheckpointError, match=rf"{file}.*{count} schedules, and was written with 2"
    ):
        RESUMING["resume"](file)
    RESUMING["as MMEngine does"](file)


@pytest.mark.parametrize(
    ("path", "value", "part"),
    [
        ("optimizer", {}, "optimizer"),
        ("optimizer", {"a": {}}, "optimizer"),
        ("param_schedulers", {"a": [{}]}, "param_schedulers"),
    ],
)
def test_what_no_table_knows_is_named_as_it_fails(
    path: str, value: Any, part: str, whole: dict[str, Any], tmp_path: Path
) -> None:
    file = _changed(whole, tmp_path, path, value)
    with pytest.raises(CheckpointError, match=rf"a\.pth cannot be resumed: its {part} is not as"):
        RESUMING["as MMEngine does"](file)


EMA = {"custom_hooks": [{"type": "EMAHook"}]}


@pytest.mark.parametrize("value", [None, "text", {"module.other": torch.ones(1)}])
def test_averages_of_another_kind_are_named_where_a_hook_wants_them(
    value: Any, whole: dict[str, Any], tmp_path: Path
) -> None:
    file = _changed(whole, tmp_path, "ema_state_dict", value)
    with pytest.raises(CheckpointError, match=rf"{file}.* its ema_state_dict is "):
        _train(file, resume=True, **EMA)


def test_averages_begin_with_the_weights_of_a_file_that_is_nothing_else(
    whole: dict[str, Any], tmp_path: Path
) -> None:
    torch.save(dict(whole["state_dict"]), tmp_path / "a.pth")
    _train(str(tmp_path / "a.pth"), **EMA)


def _mmengines(whole: dict[str, Any]) -> dict[str, Any]:
    """The file as MMEngine would have written it."""
    ours = {*_LIGHTNINGS, "mm2pl", "pytorch-lightning_version"}
    return {key: value for key, value in whole.items() if key not in ours}


@pytest.mark.parametrize(
    ("path", "value"),
    [("meta.epoch", "two"), ("optimizer.state", ABSENT), ("param_schedulers", ["a"])],
)
def test_doors_that_convert_say_it_too(
    path: str, value: Any, whole: dict[str, Any], tmp_path: Path
) -> None:
    file = _changed(_mmengines(whole), tmp_path, path, value)
    with pytest.raises(CheckpointError, match=r"a\.pth cannot be converted: its content is not"):
        convert(file, str(tmp_path / "b.ckpt"), Choices(plain=True))
    with pytest.raises(CheckpointError, match=r"a\.pth cannot be loaded: its content is not"):
        MMCheckpointIO().load_checkpoint(file)
    assert [one.name for one in tmp_path.iterdir()] == ["a.pth"]


def test_so_does_one_that_describes(
    whole: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["convert", _changed(whole, tmp_path, "param_schedulers", 3)]) == 1
    said = capsys.readouterr().err
    assert "a.pth cannot be described: its content is not" in said
    assert "Traceback" not in said
