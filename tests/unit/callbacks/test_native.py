"""Lightning's callbacks among MMEngine's hooks, in short runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import (
    EarlyStopping,
    GradientAccumulationScheduler,
    LambdaCallback,
    ModelCheckpoint,
    TQDMProgressBar,
    device_stats_monitor,
)
from torch import nn

from mm2pl import checkpoint
from mm2pl.callbacks import NativeCallback
from mm2pl.callbacks.native import TWINS
from mm2pl.errors import ConfigError, Mm2plError
from mm2pl.flexible_runner import FlexibleRunner
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.dataset import DefaultSampler, default_collate
from mm2pl.mmengine.evaluator import BaseMetric
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.model import BaseModel
from mm2pl.mmengine.registry import HOOKS
from mm2pl.mmengine.runner import EpochBasedTrainLoop
from mm2pl.runner import Runner
from tests.unit.test_log_reads import DeviceReads

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec")
MONITORS = "lightning.pytorch.callbacks"
STOP = f"{MONITORS}.EarlyStopping"
EPOCHS = {"by_epoch": True, "max_epochs": 1}
ITERATIONS = {"type": "IterBasedTrainLoop", "max_iters": 4, "val_interval": 2}
CALLED: list[str] = []


class Points(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Any:
        return {"inputs": torch.tensor([index / 4, 1.0])}


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.losses: list[float] = []

    def forward(self, inputs, mode="tensor"):
        out = self.fc(inputs)
        if mode == "loss":
            loss = (out**2).mean()
            self.losses.append(loss.item())
            return {"loss": loss}
        return [out]


class Same(BaseMetric):
    """Says the same each time, so that nothing gets better."""

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        return {"score": 0.5}


class Loss(Same):
    def compute_metrics(self, results):
        return {"loss": 0.5}


class Note(Hook):
    """Notes each point."""

    def __init__(self, name: str) -> None:
        self.name = name


class Native(pl.Callback):
    """Notes each of Lightning's points that has a twin among MMEngine's."""

    def __init__(self, name: str) -> None:
        self.name = name


def noting(point: str) -> Any:
    def note(self: Any, *args: Any, **kwargs: Any) -> None:
        CALLED.append(f"{self.name} {point}")

    return note


for stage in Hook.stages:
    setattr(Note, stage, noting(stage))
for twin in (*TWINS, "on_train_epoch_end"):
    setattr(Native, twin, noting(twin))


class Low(Native):
    priority = "LOW"


class Counts(pl.Callback):
    def __init__(self) -> None:
        self.steps = 0
        self.given: Any = None

    def setup(self, trainer, pl_module, stage):
        self.given = "setup"

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        self.steps += 1

    def state_dict(self):
        return {"steps": self.steps}

    def load_state_dict(self, state_dict):
        assert self.given == "Counts"  # after the callback was set up
        self.steps = state_dict["steps"]

    def on_save_checkpoint(self, trainer, pl_module, checkpoint):
        checkpoint["saved_by"] = type(self).__name__

    def on_load_checkpoint(self, trainer, pl_module, checkpoint):
        self.given = checkpoint["saved_by"]


class Quiet(Line):
    """Keeps no list of its losses but their number."""

    def forward(self, inputs, mode="tensor"):
        out = self.fc(inputs)
        if mode == "loss":
            self.losses.append(0.0)
            return {"loss": (out**2).mean()}
        return [out]


class ReadsAtSteps(Hook):
    """Tells which steps ended with reads of tensors."""

    priority = "LOWEST"
    found: ClassVar[list[int]] = []

    def __init__(self, reads: DeviceReads) -> None:
        self.reads = reads
        self.found.clear()

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.reads.new.clear()

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.reads.new:
            self.found.append(batch_idx)


class OwnLoop(EpochBasedTrainLoop):
    def run_iter(self, idx, data_batch):
        self._step(idx, data_batch)


class Itself(EpochBasedTrainLoop):
    def run(self):
        return super().run()


@pytest.fixture(autouse=True)
def no_calls():
    CALLED.clear()
    HOOKS.register_module(name="RegisteredNative", module=Native, force=True)
    yield
    HOOKS.module_dict.pop("RegisteredNative")


def config(folder: Path, hooks: Any = None, loop: Any = None, **changes: Any) -> Any:
    loader = {
        "batch_size": 2,
        "dataset": {"type": Points},
        "sampler": {"type": DefaultSampler, "shuffle": False},
        "collate_fn": default_collate,
    }
    cfg = {
        "model": {"type": Line},
        "work_dir": str(folder),
        "train_dataloader": loader,
        "val_dataloader": loader,
        "test_dataloader": loader,
        "train_cfg": loop or EPOCHS,
        "val_cfg": {},
        "test_cfg": {},
        "val_evaluator": {"type": Same},
        "test_evaluator": {"type": Same},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
        "custom_hooks": hooks,
        "default_hooks": {"checkpoint": None},
        "log_level": "ERROR",
        "randomness": {"seed": 0},
    }
    return {key: value for key, value in (cfg | changes).items() if value is not None}


@pytest.fixture
def build(tmp_path):
    """Return a function that builds a runner with some custom hooks."""

    def run(hooks: Any = None, loop: Any = None, **changes: Any) -> Runner:
        cfg = config(tmp_path, hooks, loop, **changes)
        more = cfg.pop("cfg", {})
        if all(isinstance(hook, dict) for hook in hooks or ()):
            cfg |= more
            return Runner.from_cfg(cfg)
        return Runner(**cfg)  # a config cannot hold objects

    return run


def note(name: str, priority: Any = None) -> dict[str, Any]:
    return {"type": Note, "name": name, **({} if priority is None else {"priority": priority})}


def native(name: str, priority: Any = None) -> dict[str, Any]:
    return {**note(name, priority), "type": Native}


def twice(calls: list[str], points: str) -> list[str]:
    return [call for call in calls if call.split()[1] in points.split()]


# --------------------------------------------------------------------------- order


MIXED = [note("last", 100), native("n1"), note("h1"), native("early", 10), note("first", 0)]
ORDER = ["first", "early", "n1", "h1", "last"]


@pytest.mark.parametrize("loop", [EPOCHS, ITERATIONS])
def test_a_callback_runs_between_the_hooks_of_higher_and_lower_priority(build, loop):
    """At every point: all hooks come by each, and each callback by its twin, in one order."""
    build(MIXED, loop).train()
    in_loop = dict(TWINS)
    if loop is ITERATIONS:  # its hooks have begun the epoch before Lightning does
        del in_loop["on_train_epoch_start"]
    for lightnings, point in in_loop.items():
        if "test" in point:
            continue
        calls = [call.split()[0] for call in twice(CALLED, f"{lightnings} {point}")]
        assert calls == ORDER * (len(calls) // len(ORDER)) != [], lightnings


def test_a_test_has_its_order_too(build):
    build(MIXED).test()
    for lightnings, point in TWINS.items():
        if "test" in point:
            calls = [call.split()[0] for call in twice(CALLED, f"{lightnings} {point}")]
            assert calls == ORDER * (len(calls) // len(ORDER)) != [], lightnings


def test_a_point_is_over_for_all_before_the_next_begins(build):
    build([note("a", 0), native("n"), note("z", 100)]).train()
    last = len(CALLED) - CALLED[::-1].index("z after_train_iter")
    assert CALLED[last : last + 2] == ["a after_train_epoch", "z after_train_epoch"]
    assert CALLED[-2:] == ["a after_run", "z after_run"]


def test_an_epochs_end_is_lightnings_behind_the_validation(build):
    build([native("n"), note("z", 100)]).train()
    end = CALLED.index("n on_train_epoch_end")
    assert CALLED.index("z after_train_epoch") < CALLED.index("z after_val") < end
    assert end < CALLED.index("n on_train_end")


def test_hooks_see_what_they_see_without_callbacks(build):
    """Same points in the same order with a callback in between, and the same weights."""
    hooks = [note("a", 0), note("z", 100)]
    plain = build(hooks)
    plain.train()
    expected = list(CALLED)
    CALLED.clear()
    mixed = build([*hooks, native("n"), native("m", 99)])
    mixed.train()
    assert [one for one in CALLED if one[0] in "az"] == expected
    assert torch.equal(plain.model.fc.weight, mixed.model.fc.weight)


@pytest.mark.parametrize(
    ("given", "priority"),
    [
        (native("n"), "NORMAL"),
        (native("n", "VERY_LOW"), "VERY_LOW"),
        (native("n", 33), "33"),
        ({"type": Low, "name": "n"}, "LOW"),
        (Low("n"), "LOW"),
        ({"type": "RegisteredNative", "name": "n", "priority": "high"}, "HIGH"),
        ({"type": f"{LambdaCallback.__module__}.LambdaCallback"}, "NORMAL"),
        ({"type": "pytorch_lightning.callbacks.LearningRateMonitor"}, "NORMAL"),
        ({"type": ModelCheckpoint}, "VERY_LOW"),
    ],
)
def test_its_priority_is_that_of_config_class_or_kind(build, given, priority):
    runner = build([given])
    (hook,) = (hook for hook in runner.hooks if isinstance(hook, NativeCallback))
    name = type(hook.callback).__name__
    shown = hook.priority if isinstance(hook.priority, str) else str(hook.priority)
    assert shown.upper() == priority
    if name == "Native":
        lines = [line for line in runner.get_hooks_info().splitlines() if f" {name} " in line]
        assert len(lines) == len(set(TWINS.values()))


def test_a_callback_may_be_registered_later(build):
    runner = build()
    seen = EarlyStopping("score")
    runner.register_hook(seen, priority="LOWEST")
    runner.register_custom_hooks([native("n", 10), LambdaCallback()])
    kinds = [type(hook.callback) for hook in runner.hooks if isinstance(hook, NativeCallback)]
    assert kinds == [Native, LambdaCallback, EarlyStopping]
    assert runner.trainer.early_stopping_callbacks == [seen]


def test_one_that_is_taken_out_of_the_list_of_hooks_runs_no_more(build):
    runner = build([native("n"), native("m"), note("z", 100)])
    runner.hooks.remove(next(one for one in runner.hooks if isinstance(one, NativeCallback)))
    runner.train()
    steps = twice(CALLED, "on_train_batch_end after_train_iter")
    assert [one.split()[0] for one in steps] == ["m", "z"] * 2
    assert len([one for one in runner.trainer.callbacks if isinstance(one, Native)]) == 1


def test_one_that_a_hook_brings_when_the_run_begins_is_set_up(build):
    counts = Counts()

    class Brings(Hook):
        def before_run(self, runner):
            runner.register_hook(counts)

    build([Brings()]).train()
    assert (counts.given, counts.steps) == ("setup", 2)


def test_one_that_a_hook_brings_in_mid_run_joins_at_the_next_point(build):
    class Brings(Hook):
        def after_train_iter(self, runner, batch_idx, **more):
            if batch_idx == 0:
                runner.register_hook(Native("late"))

    build([Brings(), note("z", 100)]).train()
    assert CALLED.count("z after_train_iter") == 2
    assert CALLED.count("late on_train_batch_end") == 1


def test_a_loop_with_steps_of_its_own_calls_its_hooks_first(build):
    loop = {"type": OwnLoop, "max_epochs": 1}
    build([note("a", 0), native("n"), note("z", 100)], loop).train()
    steps = twice(CALLED, "after_train_iter on_train_batch_end after_train_epoch")
    assert [one.split()[0] for one in steps] == ["a", "z", "n"] * 2 + ["a", "z"]


def test_a_loop_that_runs_itself_lies_between_the_callbacks_first_and_last_points(build):
    loop = {"type": Itself, "max_epochs": 1}
    build([note("a", 0), native("n"), note("z", 100)], loop).train()
    steps = twice(CALLED, "on_train_start before_train after_train on_train_end after_run")
    assert [one.split()[0] for one in steps] == ["n", "a", "z", "a", "z", "n", "a", "z"]


def test_a_sanity_validation_runs_without_hooks(build):
    hooks = [note("a", 0), native("n"), note("z", 100)]
    build(hooks, cfg={"trainer": {"num_sanity_val_steps": 1}}).train()
    start = CALLED.index("a before_train")
    assert {one.split()[0] for one in CALLED[1 + CALLED.index("z before_run") : start]} == {"n"}
    assert CALLED.count("z after_val") == 1


def test_hooks_run_where_nothing_is_left_to_train(build, tmp_path):
    saving = {"checkpoint": {"type": "CheckpointHook", "interval": 1}}
    build(default_hooks=saving).train()
    path = str(tmp_path / "epoch_1.pth")
    build([note("a", 0), native("n"), note("z", 100)], load_from=path, resume=True).train()
    for point in ("before_train", "after_train", "after_run"):
        assert CALLED.count(f"z {point}") == 1
    assert not [one for one in CALLED if one.startswith("n")]


def test_one_runner_may_run_again_and_again(build):
    runner = build([note("a", 0), native("n"), note("z", 100)])
    runner.val()
    runner.train()
    runner.test()
    for name in ("after_val", "after_test", "after_train"):
        twin = next(one for one, point in TWINS.items() if point == name)
        calls = [one.split()[0] for one in twice(CALLED, f"{name} {twin}")]
        assert calls == ["a", "n", "z"] * (len(calls) // 3) != []


# --------------------------------------------------------------------------- Lightning's side


def test_lightning_finds_it_among_the_trainers_callbacks(build):
    saving = ModelCheckpoint(monitor="score")
    runner = build([{"type": STOP, "monitor": "score"}, saving, TQDMProgressBar()])
    trainer = runner.trainer
    assert [one.monitor for one in trainer.early_stopping_callbacks] == ["score"]
    assert trainer.checkpoint_callback is saving
    assert isinstance(trainer.progress_bar_callback, TQDMProgressBar)


def test_a_callback_object_is_used_as_it_is(build):
    counts = Counts()
    build([counts]).train()
    assert counts.steps == 2


@pytest.mark.parametrize("loop", [{"by_epoch": True, "max_epochs": 9}, ITERATIONS])
def test_early_stopping_ends_the_training_with_all_hooks(build, loop):
    stop = {"type": STOP, "monitor": "score", "mode": "max", "patience": 1}
    hooks = [note("z", 100), stop]
    runner = build(hooks, {**loop, **({"max_iters": 40} if loop is ITERATIONS else {})})
    runner.train()
    assert CALLED.count("z after_val") == 2
    assert CALLED[-3:] == ["z after_train_epoch", "z after_train", "z after_run"] or (
        CALLED[-2:] == ["z after_train", "z after_run"]
    )
    assert runner.trainer.early_stopping_callbacks[0].stopped_epoch in (0, 1)


@pytest.mark.parametrize("monitor", ["loss", "train/loss"])
def test_early_stopping_sees_losses_without_a_validation(build, monitor):
    stop = {"type": STOP, "monitor": monitor, "stopping_threshold": 1e9}
    nothing = dict.fromkeys(("val_dataloader", "val_cfg", "val_evaluator"))
    runner = build([stop], {"by_epoch": True, "max_epochs": 5}, **nothing)
    runner.train()
    assert runner.epoch == 1


def test_the_last_steps_losses_are_callback_metrics(build):
    runner = build()
    runner.train()
    losses = runner.model.losses
    metrics = runner.trainer.callback_metrics
    assert metrics["train/loss"].item() == metrics["loss"].item() == losses[-1]
    assert not metrics["loss"].requires_grad


def test_looking_at_losses_waits_for_no_device_between_lines(build):
    """EarlyStopping on a loss reads it at the end of an epoch, and nothing at a step."""
    with DeviceReads() as reads:
        stop = EarlyStopping("loss", check_on_train_epoch_end=True)
        runner = build([stop, ReadsAtSteps(reads)], model={"type": Quiet})
        runner.train()
    assert ReadsAtSteps.found == [1]  # of two: the one behind which a line is written


def test_device_stats_reach_the_backends(build, monkeypatch):
    monkeypatch.setattr(device_stats_monitor, "_PSUTIL_AVAILABLE", True)
    monkeypatch.setattr(CPUAccelerator, "get_device_stats", lambda self, device: {"load": 0.5})
    logger = {"logger": {"type": "LoggerHook", "interval": 1}}
    runner = build([{"type": f"{MONITORS}.DeviceStatsMonitor"}], default_hooks=logger)
    runner.train()
    (file,) = Path(runner.work_dir).rglob("scalars.json")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    stats = [line for line in lines if "DeviceStatsMonitor.on_train_batch_end/load" in line]
    assert [line["step"] for line in stats] == [0, 1]


def test_a_missing_package_of_the_monitor_is_named(build, monkeypatch):
    monkeypatch.setattr(device_stats_monitor, "_PSUTIL_AVAILABLE", False)
    with pytest.raises(ModuleNotFoundError, match="psutil"):
        build([{"type": f"{MONITORS}.DeviceStatsMonitor"}]).train()


def test_learning_rates_are_written_at_the_logs_pace(build):
    logger = {"logger": {"type": "LoggerHook", "interval": 2}}
    monitor = {"type": f"{MONITORS}.LearningRateMonitor", "logging_interval": "step"}
    runner = build([monitor], {"by_epoch": True, "max_epochs": 2}, default_hooks=logger)
    runner.train()
    (file,) = Path(runner.work_dir).rglob("scalars.json")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["step"] for line in lines if "lr-SGD" in line] == [1, 3]


def test_the_flexible_runner_takes_callbacks_too(tmp_path):
    cfg = config(tmp_path, MIXED, runner_type="FlexibleRunner")
    runner = FlexibleRunner.from_cfg(cfg)
    runner.train()
    calls = twice(CALLED, "after_train_iter on_train_batch_end")
    assert [one.split()[0] for one in calls] == ORDER * 2


def test_a_metric_of_the_validation_keeps_its_name(build):
    runner = build(loop={"by_epoch": True, "max_epochs": 2}, val_evaluator={"type": Loss})
    seen = []

    class Look(pl.Callback):
        def on_train_batch_end(self, trainer, *rest):
            metrics = trainer.callback_metrics
            seen.append((metrics["train/loss"].item(), metrics["loss"].item()))

    runner.register_hook(Look())
    runner.train()
    assert seen[0][0] == seen[0][1]
    assert seen[2][1] == seen[3][1]
    assert seen[3][0] != seen[3][1]


def test_its_state_goes_into_checkpoints_and_back(build, tmp_path):
    saving = {"checkpoint": {"type": "CheckpointHook", "interval": 1}}
    build([Counts()], default_hooks=saving).train()
    path = tmp_path / "epoch_1.pth"
    saved = checkpoint.read(path)
    assert list(saved["callbacks"].values()) == [{"steps": 2}]
    counts = Counts()
    loop = {"by_epoch": True, "max_epochs": 2}
    build([counts], loop, load_from=str(path), resume=True).train()
    assert (counts.steps, counts.given) == (4, "Counts")


def test_the_trainers_other_callbacks_have_their_states_there_too(build, tmp_path):
    saving = {"checkpoint": {"type": "CheckpointHook", "interval": 1}}
    trainer = {"trainer": {"callbacks": [{"type": f"{Counts.__module__}.Counts"}]}}
    build(default_hooks=saving, **trainer).train()
    path = tmp_path / "epoch_1.pth"
    # They run behind the hooks: when the hook saves, their last step is not over.
    assert list(checkpoint.read(path)["callbacks"].values()) == [{"steps": 1}]
    loop = {"by_epoch": True, "max_epochs": 2}
    runner = build(None, loop, load_from=str(path), resume=True, **trainer)
    runner.train()
    (counts,) = (one for one in runner.trainer.callbacks if isinstance(one, Counts))
    assert counts.steps == 3


@pytest.mark.parametrize("start", [1, 2, 3])
def test_a_resumed_run_stops_early_where_the_run_itself_does(build, tmp_path, start):
    saving = {"checkpoint": {"type": "CheckpointHook", "interval": 1}}
    stop = [{"type": STOP, "monitor": "score", "mode": "max", "patience": 3}]
    loop = {"by_epoch": True, "max_epochs": 9}
    whole = build(stop, loop, default_hooks=saving)
    whole.train()
    path = str(tmp_path / f"epoch_{start}.pth")
    resumed = build(stop, loop, load_from=path, resume=True)
    resumed.train()
    assert resumed.epoch == whole.epoch == 4
    assert torch.equal(resumed.model.fc.weight, whole.model.fc.weight)


def test_weights_that_are_loaded_bring_no_state(build, tmp_path):
    saving = {"checkpoint": {"type": "CheckpointHook", "interval": 1}}
    build([Counts()], default_hooks=saving).train()
    counts = Counts()
    build([counts], load_from=str(tmp_path / "epoch_1.pth")).train()
    assert counts.steps == 2


def test_lightnings_own_checkpoints_hold_its_state(build, tmp_path):
    saving = ModelCheckpoint(str(tmp_path / "mine"), filename="last")
    counts = Counts()
    build([saving, counts]).train()
    loaded = checkpoint.read(tmp_path / "mine/last.ckpt")
    assert loaded["callbacks"][counts.state_key] == {"steps": 2}


# --------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "given",
    [
        {"type": "lightning.pytorch.callbacks.GradientAccumulationScheduler", "scheduling": {0: 2}},
        {"type": GradientAccumulationScheduler, "scheduling": {0: 2}},
        GradientAccumulationScheduler({0: 2}),
    ],
)
def test_what_cannot_work_is_refused_with_the_reason(build, given):
    with pytest.raises(Mm2plError, match=r"custom_hooks\[0\].*wrapper accumulates, by a fixed"):
        build([given])


def test_one_registered_later_is_refused_as_well(build):
    with pytest.raises(ConfigError, match="GradientAccumulationScheduler cannot work here"):
        build().register_hook(GradientAccumulationScheduler({0: 2}))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"type": "lightning.pytorch.callbacks.EarlyStoping"}, "Did you mean: EarlyStopping"),
        ({"type": "EarlyStopping"}, "type='lightning.pytorch.callbacks.EarlyStopping'"),
        ({"type": STOP, "moniter": "x"}, "Did you mean: monitor"),
        ({"type": STOP}, "needs 'monitor'|monitor"),
        ({"type": STOP, "monitor": "x", "priority": "LATE"}, "is not a priority"),
    ],
)
def test_wrong_names_and_arguments_are_told_with_their_place(build, given, message):
    with pytest.raises(ValueError, match=rf"custom_hooks\[0\](.|\n)*({message})"):
        build([given])


def test_two_that_would_share_a_state_are_refused(build):
    with pytest.raises(ConfigError, match="two Countss whose states"):
        build([Counts(), Counts()])


def test_a_callback_may_stand_in_default_hooks(build):
    runner = build(default_hooks={"early": {"type": STOP, "monitor": "score"}})
    assert len(runner.trainer.early_stopping_callbacks) == 1


def test_a_class_of_a_new_style_config_is_built(tmp_path):
    file = tmp_path / "new.py"
    file.write_text(
        "from mmengine.config import read_base\n"
        "from lightning.pytorch.callbacks import EarlyStopping\n"
        "custom_hooks = [dict(type=EarlyStopping, monitor='score', priority='LOW')]\n"
    )
    cfg = Config.fromfile(str(file), lazy_import=True)
    given = config(tmp_path / "run")
    given.pop("custom_hooks", None)
    runner = Runner.from_cfg(Config({**given, "custom_hooks": cfg.custom_hooks}))
    assert [hook.priority for hook in runner.hooks if isinstance(hook, NativeCallback)] == ["LOW"]
