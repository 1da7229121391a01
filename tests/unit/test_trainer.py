"""The Trainer's arguments in real short runs: what each does to loops, hooks, logs and data."""

from __future__ import annotations

import gc
import json
import os
import warnings
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from mm2pl import checkpoint
from mm2pl.errors import ConfigError
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.dataset import DefaultSampler, InfiniteSampler, default_collate
from mm2pl.mmengine.device import get_device
from mm2pl.mmengine.device.utils import stay_on_cpu
from mm2pl.mmengine.evaluator import BaseMetric
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.model import BaseModel
from mm2pl.mmengine.runner import EpochBasedTrainLoop
from mm2pl.runner import Runner
from mm2pl.trainer import scratch_folder
from mm2pl.translate import translate

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec")
SEEN: list[list[float]] = []


class Points(torch.utils.data.Dataset):  # type: ignore[type-arg]
    metainfo = {"classes": ("a", "b")}

    def __init__(self, length: int = 24) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        return {"inputs": torch.tensor([index / 24, 1.0]), "target": torch.tensor([index % 2.0])}


class Line(BaseModel):
    def __init__(self, nan: bool = False) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 1)
        self.nan = nan

    def forward(self, inputs, target, mode="tensor"):
        out = self.fc(inputs)
        if mode == "loss":
            SEEN.append([round(float(one) * 24) for one in inputs[:, 0]])
            loss = ((out - target) ** 2).mean()
            return {"loss": torch.sqrt(loss * 0) if self.nan else loss}
        return [out]


class Count(BaseMetric):
    runs: list[float] = []

    def process(self, data_batch, data_samples):
        self.results.append(len(data_samples[0]))

    def compute_metrics(self, results):
        self.runs.append(float(sum(results)))
        return {"count": float(sum(results)), "accuracy": 0.5}


class Broken(Count):
    def compute_metrics(self, results):
        raise ArithmeticError("broken metric")


class Record(Hook):
    priority = "LOWEST"

    def __init__(self) -> None:
        self.points: list[str] = []

    def count(self, point: str) -> int:
        return self.points.count(point)


def _note(point: str) -> Any:
    return lambda self, runner, **_: self.points.append(point)


for _point in Hook.stages:
    setattr(Record, _point, _note(_point))


class StopAt(pl.Callback):
    """Asks Lightning to stop after a batch."""

    def __init__(self, batch: int) -> None:
        self.batch = batch
        self.batches = 0

    def on_train_batch_end(self, trainer, *_: Any) -> None:
        self.batches += 1
        trainer.should_stop = self.batches >= self.batch


class OwnLoop(EpochBasedTrainLoop):
    def run(self) -> Any:
        return super().run()


def loader(length: int = 24, shuffle: bool = False, **changes: Any) -> dict[str, Any]:
    return {
        "batch_size": 4,
        "dataset": {"type": Points, "length": length},
        "sampler": {"type": DefaultSampler, "shuffle": shuffle},
        "collate_fn": {"type": default_collate},
        **changes,
    }


def config(folder: Path, trainer: Any = None, **changes: Any) -> dict[str, Any]:
    cfg = {
        "model": {"type": Line},
        "work_dir": str(folder),
        "train_dataloader": loader(shuffle=True),
        "train_cfg": {"by_epoch": True, "max_epochs": 3},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.1}},
        "custom_hooks": [{"type": Record}],
        "default_hooks": {"logger": {"type": "LoggerHook", "interval": 2}},
        "log_level": "ERROR",
        "randomness": {"seed": 0},
        "trainer": trainer,
    }
    for stage in ("val", "test"):
        cfg |= {f"{stage}_dataloader": loader(16), f"{stage}_cfg": {}}
        cfg[f"{stage}_evaluator"] = {"type": Count}
    return {key: value for key, value in (cfg | changes).items() if value is not None}


ITERATIONS = {"type": "IterBasedTrainLoop", "max_iters": 20, "val_interval": 5}


@pytest.fixture
def fit(tmp_path):
    """Return a function that trains and returns the runner and what its hooks were called for."""
    SEEN.clear()
    Count.runs.clear()

    def run(trainer: Any = None, **changes: Any) -> tuple[Runner, Record]:
        runner = Runner.from_cfg(config(tmp_path, trainer, **changes))
        runner.train()
        (record,) = (hook for hook in runner.hooks if isinstance(hook, Record))
        return runner, record

    return run


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def log_of(folder: Path) -> str:
    (file,) = folder.glob("*/*.log")
    return file.read_text()


def weights(runner: Runner) -> list[float]:
    values: list[float] = runner.model.fc.weight.flatten().tolist()
    return values


# --------------------------------------------------------------------------- fast_dev_run


@pytest.mark.parametrize("loop", [{"by_epoch": True, "max_epochs": 3}, ITERATIONS])
def test_a_trial_runs_its_batches_of_each_stage(fit, loop):
    runner, record = fit({"fast_dev_run": 2}, train_cfg=loop)
    assert (record.count("after_train_iter"), record.count("after_val_iter")) == (2, 2)
    assert runner.final_metrics["count"] == 8
    assert runner.test()["count"] == 8


def test_a_trial_writes_nothing(fit, tmp_path):
    _, record = fit({"fast_dev_run": True})
    assert not files(tmp_path)
    assert record.count("before_save_checkpoint") == 0


def test_the_folder_of_a_trial_goes_with_its_runner(tmp_path):
    class Owner:
        plan = translate(config(tmp_path, {"fast_dev_run": True}))

    owner = Owner()
    folder = scratch_folder(owner)
    assert folder is not None
    assert Path(folder).is_dir()
    del owner
    gc.collect()
    assert not Path(folder).exists()


def test_a_trial_is_told_to_lightnings_callbacks(fit):
    runner, _ = fit(
        {"fast_dev_run": True, "callbacks": [{"type": "ModelCheckpoint", "monitor": "count"}]}
    )
    assert runner.trainer.fast_dev_run is True
    assert not list(Path(runner.work_dir).rglob("*.ckpt"))


# --------------------------------------------------------------------------- limits


def test_an_epoch_has_as_many_batches_as_the_limit(fit):
    runner, record = fit({"limit_train_batches": 2, "max_epochs": 2})
    assert (len(runner.train_dataloader), runner.max_iters, runner.iter) == (2, 4, 4)
    assert record.count("after_train_iter") == 4


def test_a_limited_epoch_gives_other_data_each_time(fit):
    fit({"limit_train_batches": 2, "max_epochs": 2})
    assert SEEN[:2] != SEEN[2:]


def test_schedules_count_limited_epochs(fit):
    schedule = {"type": "LinearLR", "start_factor": 0.5, "end": 2, "convert_to_iter_based": True}
    runner, _ = fit({"limit_train_batches": 3, "max_epochs": 2}, param_scheduler=schedule)
    assert runner.param_schedulers[0].end == 6


def test_a_fraction_is_one_of_the_loader(fit):
    runner, _ = fit({"limit_val_batches": 0.5, "limit_train_batches": 0.5, "max_epochs": 1})
    assert (len(runner.train_dataloader), len(runner.val_dataloader)) == (3, 2)
    assert runner.final_metrics["count"] == 8


def test_a_fraction_that_leaves_no_batch_is_refused(fit):
    with pytest.raises(ConfigError, match=r"trainer.limit_val_batches: 0.01 of 4 batches"):
        fit({"limit_val_batches": 0.01})


def test_no_validation_batches_is_no_validation(fit):
    _, record = fit({"limit_val_batches": 0, "max_epochs": 1})
    assert record.count("before_val") == 0


def test_a_limit_holds_for_a_loop_of_ones_own(fit):
    loop = {"type": OwnLoop, "max_epochs": 1}
    _, record = fit({"limit_train_batches": 2}, train_cfg=loop)
    assert record.count("after_train_iter") == 2


def test_the_test_loader_is_limited(tmp_path):
    runner = Runner.from_cfg(config(tmp_path, {"limit_test_batches": 1}))
    assert runner.test()["count"] == 4


def test_a_loader_that_was_given_built_stays_as_it_is(tmp_path):
    data = torch.utils.data.DataLoader(Points(), batch_size=4, collate_fn=default_collate)
    cfg = config(tmp_path, {"limit_train_batches": 2, "max_epochs": 1}, train_dataloader=None)
    arguments = {key: value for key, value in cfg.items() if key != "trainer"}
    cfg = Config({"trainer": cfg["trainer"]})
    runner = Runner(**arguments, train_dataloader=data, cfg=cfg)
    runner.train()
    assert (runner.iter, len(data)) == (2, 6)


@pytest.mark.parametrize("workers", [0, 1])
def test_overfitting_shows_the_same_batches_in_each_epoch(fit, workers):
    fit(
        {"overfit_batches": 2, "max_epochs": 3, "limit_val_batches": 1},
        train_dataloader=loader(shuffle=True, num_workers=workers),
    )
    assert SEEN[:2] == SEEN[2:4] == SEEN[4:]
    assert Count.runs[0] == 8  # two batches: overfit_batches wins, as in Lightning


def test_overfitting_an_iteration_loop_repeats_the_first_batches(fit):
    data = loader(sampler={"type": InfiniteSampler, "shuffle": True})
    fit({"overfit_batches": 2}, train_cfg=ITERATIONS, train_dataloader=data)
    assert len(SEEN) == 20
    assert SEEN[:2] * 10 == SEEN


# --------------------------------------------------------------------------- steps and stops


def test_an_epoch_loop_ends_after_so_many_updates(fit):
    runner, record = fit({"max_steps": 4, "accumulate_grad_batches": 2})
    assert (runner.iter, runner.max_iters, runner.trainer.global_step) == (8, 8, 4)
    assert record.count("after_train_epoch") == 2
    assert record.count("after_val") == 2


def test_updates_of_an_epoch_loop_equal_those_of_an_iteration_loop(fit):
    by_epoch, _ = fit({"max_steps": 8}, val_cfg=None, val_dataloader=None, val_evaluator=None)
    by_iteration, _ = fit({"max_steps": 8}, train_cfg=ITERATIONS)
    assert weights(by_epoch) == weights(by_iteration)


def test_steps_beyond_the_last_epoch_change_nothing(fit):
    plain, _ = fit()
    runner, _ = fit({"max_steps": 1000})
    assert runner.iter == 18
    assert weights(runner) == weights(plain)


@pytest.mark.parametrize(("batch", "validations"), [(8, 2), (6, 1)])
def test_a_stop_of_a_callback_ends_the_epoch_with_one_validation(fit, tmp_path, batch, validations):
    callbacks = [{"type": StopAt, "batch": batch}]
    runner, record = fit({"callbacks": callbacks}, log_level="INFO")
    assert runner.iter == batch
    assert record.count("after_train_epoch") == validations
    assert record.count("before_val") == record.count("after_val") == validations
    assert record.points[-2:] == ["after_train", "after_run"]
    assert "a Lightning callback asked for it" in log_of(tmp_path)


def test_a_stop_of_a_callback_validates_only_where_the_config_would(fit):
    callbacks = [{"type": StopAt, "batch": 8}]
    _, record = fit({"callbacks": callbacks, "check_val_every_n_epoch": 3})
    assert record.count("before_val") == 0
    _, record = fit({"callbacks": callbacks}, train_cfg=ITERATIONS)
    assert record.count("before_val") == 1


def test_training_ends_when_its_time_is_up(fit):
    hooks = {"checkpoint": None, "logger": None}
    runner, record = fit(
        {"max_time": {"milliseconds": 300}, "max_epochs": 10**6}, default_hooks=hooks
    )
    assert 0 < runner.iter < 10**6
    assert record.points[-1] == "after_run"


@pytest.mark.parametrize("argument", [{"max_steps": 2}, {"max_time": "00:00:00:01"}])
def test_a_loop_with_a_run_of_its_own_cannot_be_stopped_by_lightning(fit, argument):
    with pytest.raises(
        ConfigError, match=f"trainer.{next(iter(argument))}: OwnLoop runs by itself"
    ):
        fit(argument, train_cfg={"type": OwnLoop, "max_epochs": 1})


# --------------------------------------------------------------------------- sanity check


def test_sanity_steps_compute_metrics_without_hooks_and_change_nothing(fit):
    plain, expected = fit()
    Count.runs.clear()
    runner, record = fit({"num_sanity_val_steps": 2})
    assert Count.runs[0] == 8
    assert record.points == expected.points
    assert weights(runner) == weights(plain)


def test_a_sanity_step_shows_a_broken_metric_before_training(fit):
    with pytest.raises(ArithmeticError, match="broken metric"):
        fit({"num_sanity_val_steps": -1}, val_evaluator={"type": Broken})
    assert not SEEN


# --------------------------------------------------------------------------- callbacks


def test_early_stopping_reads_a_metric_of_the_evaluator(fit, tmp_path):
    stopping = {
        "class_path": "lightning.pytorch.callbacks.EarlyStopping",
        "init_args": {"monitor": "accuracy", "mode": "max", "patience": 1, "verbose": True},
    }
    runner, _ = fit({"max_epochs": 10, "callbacks": [stopping]}, log_level="INFO")
    assert runner.epoch == 2
    assert "Metric accuracy improved" in log_of(tmp_path)


def test_model_checkpoint_saves_the_models_weights(fit, tmp_path):
    saving = {"type": "ModelCheckpoint", "dirpath": str(tmp_path / "lightning"), "monitor": "count"}
    runner, _ = fit({"max_epochs": 1, "callbacks": saving})
    (file,) = (tmp_path / "lightning").iterdir()
    loaded = checkpoint.read(file)
    assert list(loaded["state_dict"]) == ["fc.weight", "fc.bias"]
    assert "epoch_1.pth" in files(tmp_path)
    other = Runner.from_cfg(config(tmp_path, load_from=str(file)))
    other.val()
    assert weights(other) == weights(runner)


def test_the_learning_rate_is_monitored_at_the_logs_pace(fit, tmp_path):
    fit({"max_epochs": 1, "callbacks": "LearningRateMonitor"})
    (file,) = tmp_path.glob("*/vis_data/scalars.json")
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line["step"] for line in lines if "lr-SGD" in line] == [0, 1, 3, 5]


def test_a_bar_of_lightnings_takes_the_place_of_ours(fit, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("tqdm.tqdm.monitor_interval", 0)  # else a thread stays
    runner, _ = fit({"max_epochs": 1, "callbacks": ["TQDMProgressBar"]})
    bars = [one for one in runner.trainer.callbacks if isinstance(one, pl.callbacks.ProgressBar)]
    assert [type(one).__name__ for one in bars] == ["TQDMProgressBar"]


def test_no_bar_where_none_is_wanted(fit, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", "xterm")
    runner, _ = fit({"max_epochs": 1, "enable_progress_bar": False})
    assert runner.trainer.progress_bar_callback is None


def test_the_model_is_summed_up_in_the_log(fit, tmp_path):
    fit({"max_epochs": 1, "enable_model_summary": True}, log_level="INFO")
    assert "model.fc" in log_of(tmp_path)


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        ({"type": "EarlyStoping"}, "Did you mean: EarlyStopping"),
        ({"type": "EarlyStopping", "moniter": "x"}, "Did you mean: monitor"),
        ({"class_path": "EarlyStopping", "monitor": "x"}, "init_args, not monitor"),
        ({"type": "no.such.Callback"}, "cannot be imported"),
        ({"monitor": "x"}, "must be a callback"),
        ({"type": Record}, "MMEngine's hooks go into custom_hooks"),
    ],
)
def test_a_callback_that_cannot_be_built_is_said_with_its_place(fit, callback, message):
    with pytest.raises(Exception, match=message) as caught:
        fit({"callbacks": [callback]})
    assert "trainer.callbacks" in str(caught.value)


def test_a_subclass_of_a_refused_callback_is_refused(fit):
    class Mine(pl.callbacks.StochasticWeightAveraging):
        pass

    with pytest.raises(ConfigError, match="Mine cannot work here"):
        fit({"callbacks": [Mine(swa_lrs=0.1)]})


def test_a_built_callback_runs_and_is_saved_as_its_class(fit, tmp_path):
    runner, _ = fit({"callbacks": [StopAt(2)]})
    assert runner.iter == 2
    saved = Config.fromfile(next(tmp_path.glob("*.py")), lazy_import=False)
    assert saved.trainer.callbacks[0].type.endswith("StopAt")


def test_few_batches_and_a_callback_are_no_reason_to_warn(fit):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit({"callbacks": [StopAt(9)], "limit_train_batches": 1, "max_epochs": 1})


def test_a_built_callback_is_the_one_that_was_given(fit):
    mine = StopAt(2)
    runner, _ = fit({"callbacks": [mine]})
    assert any(one is mine for one in runner.trainer.callbacks)


def test_a_share_of_an_iteration_loop_is_saved_as_its_number(fit, tmp_path):
    fit({"limit_train_batches": 0.5}, train_cfg=ITERATIONS)
    saved = Config.fromfile(next(tmp_path.glob("*.py")), lazy_import=False)
    assert saved.trainer.limit_train_batches == saved.train_cfg.max_iters


# --------------------------------------------------------------------------- loggers, profilers


def test_a_logger_gets_each_scalar_of_the_hooks_once(fit, tmp_path):
    fit({"max_epochs": 2, "logger": [{"type": "CSVLogger", "name": "csv", "version": "v"}]})
    (table,) = tmp_path.glob("*/csv/v/metrics.csv")
    head, *rows = [line.split(",") for line in table.read_text().splitlines()]
    by_name = {name: [row[i] for row in rows if row[i]] for i, name in enumerate(head)}
    assert by_name["count"] == ["16.0", "16.0"]
    assert len(by_name["loss"]) == 6
    assert by_name["iter"] == ["2", "4", "6", "8", "10", "12"]


def test_a_logger_is_one_of_the_trainers(fit):
    runner, _ = fit({"max_epochs": 1, "logger": "TensorBoardLogger"})
    kinds = [type(one).__name__ for one in runner.trainer.loggers]
    assert kinds == ["VisualizerLogger", "TensorBoardLogger"]


def test_no_logger_is_no_backend(fit, tmp_path):
    fit({"max_epochs": 1, "logger": False})
    assert not list(tmp_path.glob("*/vis_data"))


def test_the_profilers_report_names_hooks_and_is_in_the_log(fit, tmp_path):
    fit({"max_epochs": 1, "profiler": "simple"}, log_level="INFO")
    report = log_of(tmp_path).partition("FIT Profiler Report")[2]
    for action in (
        "[Hook]CheckpointHook.after_train_epoch",
        "train_dataloader_next",
        "training_step",
        "validation_step",
        "optimizer_step",
    ):
        assert action in report


def test_a_profiler_writes_where_it_is_told(fit, tmp_path):
    profiler = {"type": "AdvancedProfiler", "dirpath": str(tmp_path), "filename": "times"}
    fit({"max_epochs": 1, "profiler": profiler})
    assert "fit-times.txt" in files(tmp_path)


def test_an_anomaly_says_which_operation_made_it(fit):
    with (
        pytest.raises(RuntimeError, match="MulBackward0' returned nan"),
        pytest.warns(UserWarning, match="Error detected in MulBackward0"),
    ):
        fit({"detect_anomaly": True}, model={"type": Line, "nan": True})


# --------------------------------------------------------------------------- devices


def test_several_devices_in_one_process_are_refused_with_the_command(fit):
    with pytest.raises(ConfigError, match="torchrun --nproc_per_node=2"):
        fit({"devices": 2})


def test_an_accelerator_that_is_not_there_is_refused(fit):
    if torch.cuda.is_available() or torch.backends.mps.is_available():
        pytest.skip("there is one")
    with pytest.raises(ConfigError, match=r"trainer\.accelerator"):
        fit({"accelerator": "gpu"})


def test_the_cpu_is_the_device_of_everything(fit, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert get_device() == "cuda"
    try:
        runner, _ = fit({"accelerator": "cpu", "max_epochs": 1})
        assert get_device() == "cpu"
        assert runner.model.fc.weight.device.type == "cpu"
    finally:
        stay_on_cpu(False)


# --------------------------------------------------------------------------- what is told and kept


def test_the_settings_are_told_with_what_they_became(fit, tmp_path):
    fit({"max_epochs": 1, "limit_val_batches": 1}, log_level="INFO")
    text = log_of(tmp_path)
    assert "trainer.max_epochs: train_cfg.max_epochs=1 (was 3)" in text
    assert "trainer.limit_val_batches: 1\n" in text


def test_the_saved_config_is_the_one_that_ran(fit, tmp_path):
    fit({"max_epochs": 1, "accumulate_grad_batches": 2})
    saved = Config.fromfile(next(tmp_path.glob("*.py")), lazy_import=False)
    assert saved.train_cfg.max_epochs == 1
    assert saved.optim_wrapper.accumulative_counts == 2


def test_without_a_section_nothing_is_told_or_written(fit, tmp_path):
    runner, _ = fit(log_level="INFO")
    assert "Trainer settings" not in log_of(tmp_path)
    assert "trainer" not in Config.fromfile(next(tmp_path.glob("*.py")), lazy_import=False)
    assert runner.trainer.log_every_n_steps == 0
    assert os.path.samefile(runner.work_dir, tmp_path)
