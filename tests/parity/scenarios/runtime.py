"""Logs, checkpoints, resuming, and the runner's own arguments."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from case import Case, eval_loader, loader
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook, LoggerHook
from mmengine.optim import MultiStepLR, OptimWrapper
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS
from mmengine.runner import Runner
from toys import ToyAccuracy, ToyDataset, ToyModel
from tracing import tracers

SHORT = {"by_epoch": True, "max_epochs": 2}
WARMUP = {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 9}
STEPS = {"type": "MultiStepLR", "milestones": [1, 2], "gamma": 0.5}
QUIET: dict[str, Any] = {"type": "ToyDataset", "size": 22}


def log_processor_settings(case: Case) -> None:
    columns = [
        {"data_src": "loss", "method_name": "max", "window_size": "global", "log_name": "worst"},
        {"data_src": "loss", "method_name": "mean", "window_size": "epoch", "log_name": "whole"},
    ]
    processor = {
        "type": "LogProcessor",
        "window_size": 3,
        "by_epoch": True,
        "custom_cfg": columns,
        "num_digits": 6,
        "mean_pattern": r".*(loss|time|data_time).*",
    }
    case.train(log_processor=processor, train_cfg=SHORT)


@HOOKS.register_module()
class Recorder(Hook):
    """Records scalars with counts, for other phases, and facts that are no numbers."""

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        hub = runner.message_hub
        hub.update_scalar("train/images", 4, 4)
        hub.update_scalar("train/grad_norm", batch_idx * 1.5)
        weighted = {"value": outputs["loss"], "count": 3}
        hub.update_scalars({"train/loss_x": weighted, "train/aux_lr": 1e-3, "other": 1.0})
        hub.update_scalar("train/forgotten", 1.0 * batch_idx, resumed=False)
        hub.update_info("train/list", [1, 2])
        hub.update_info("val/matrix", np.arange(3))

    def after_val_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        runner.message_hub.update_scalar("val/val/loss_v", 0.1 * batch_idx)
        runner.message_hub.update_scalar("val/loss_w", 0.1 * batch_idx)
        runner.message_hub.update_info("val/text", "hello")

    def after_test_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        runner.message_hub.update_scalar("test/n", batch_idx)


def _train_with_random_log(case: Case, draw: random.Random, by_epoch: bool, nested: bool) -> None:
    """Train, validate and test with any settings of the log."""
    windows = [1, 3, 100, "global", *(["epoch"] if by_epoch else [])]
    names = ["loss", "lr", "grad_norm", "toy/accuracy", "images", "absent", "val/loss_v", "loss_x"]
    columns = [
        {
            "data_src": name,
            "method_name": draw.choice(["mean", "max", "min"]),
            "window_size": draw.choice(windows),
            **({"log_name": f"column_{name}"} if draw.random() < 0.5 else {}),
        }
        for name in draw.sample(names, 4)
    ]
    processor = {
        "window_size": draw.choice([1, 2, 3, 10, 100]),
        "by_epoch": by_epoch,
        "custom_cfg": columns,
        "num_digits": draw.choice([0, 2, 7]),
        "log_with_hierarchy": nested,
        "mean_pattern": draw.choice([".*(acc|images).*", "^$", "lr", "train.*|loss"]),
    }
    logger = {
        "type": "LoggerHook",
        "interval": draw.choice([1, 2, 4, 5, 20]),
        "ignore_last": draw.random() < 0.5,
        "interval_exp_name": draw.choice([1, 3, 5]),
        "log_metric_by_epoch": draw.random() < 0.5,
    }
    changes: dict[str, Any] = {"train_cfg": SHORT}
    if not by_epoch:
        loop = {"type": "IterBasedTrainLoop", "max_iters": 11, "val_interval": 4}
        changes = {"train_cfg": loop}
        changes["train_dataloader"] = loader(sampler={"type": "InfiniteSampler"})
    runner = case.train(
        log_processor=processor,
        default_hooks={"logger": logger},
        custom_hooks=[{"type": "Recorder", "priority": draw.choice(["HIGH", "VERY_LOW"])}],
        val_dataloader=eval_loader(batch_size=draw.choice([1, 3])),
        param_scheduler=WARMUP,
        **changes,
    )
    runner.test()


def random_logs_of_epochs(case: Case) -> None:
    draw = random.Random(5)
    for nested in (False, True):
        _train_with_random_log(case, draw, by_epoch=True, nested=nested)


def random_logs_of_iterations(case: Case) -> None:
    draw = random.Random(6)
    for nested in (False, True):
        _train_with_random_log(case, draw, by_epoch=False, nested=nested)


def logs_copied_and_moved(case: Case) -> None:
    """One kind of file each time: files are found in any order."""
    for suffix, keep in (("scalars.json", False), (".log", True)):
        logger = {"type": "LoggerHook", "out_dir": str(case.work_dir / "out")}
        logger |= {"out_suffix": suffix, "keep_local": keep}
        case.train(default_hooks={"logger": logger}, train_cfg=SHORT)


def logger_settings(case: Case) -> None:
    logger = {"type": "LoggerHook", "interval": 4, "ignore_last": False, "interval_exp_name": 5}
    case.train(default_hooks={"logger": logger}, log_level="WARNING", train_cfg=SHORT)


def tensorboard(case: Case) -> None:
    backends = [{"type": "LocalVisBackend"}, {"type": "TensorboardVisBackend"}]
    visualizer = {"type": "Visualizer", "vis_backends": backends}
    case.train(visualizer=visualizer, train_cfg=SHORT)


def experiment_name(case: Case) -> None:
    case.train(experiment_name="toy-experiment", train_cfg=SHORT)


def config_file(case: Case) -> None:
    """A Config that was read from a file names the copy and the experiment."""
    path = case.work_dir / "my_config.py"
    config = Config(case.config(train_cfg=SHORT, custom_hooks=tracers()))
    config.dump(path)
    config = Config.fromfile(path)
    config.work_dir = str(case.work_dir / "run")
    case.keep(Runner.from_cfg, config).train()


def environment_settings(case: Case) -> None:
    env = {
        "cudnn_benchmark": False,
        "mp_cfg": {"mp_start_method": "fork", "opencv_num_threads": 0},
        "dist_cfg": {"backend": "gloo"},
        "resource_limit": 2048,
    }
    case.train(env_cfg=env, train_cfg=SHORT, train_dataloader=loader(num_workers=1))
    case.note(torch.multiprocessing.get_start_method(allow_none=True))


def deterministic(case: Case) -> None:
    case.train(randomness={"seed": 3, "deterministic": True}, train_cfg=SHORT)
    case.note(torch.backends.cudnn.deterministic, torch.are_deterministic_algorithms_enabled())


def checkpoint_settings(case: Case) -> None:
    hook = {
        "type": "CheckpointHook",
        "interval": 2,
        "save_begin": 1,
        "max_keep_ckpts": 2,
        "save_last": True,
        "save_optimizer": False,
        "save_param_scheduler": False,
        "filename_tmpl": "mine_{}.pth",
    }
    case.train(default_hooks={"checkpoint": hook}, train_cfg={"by_epoch": True, "max_epochs": 6})


def checkpoints_elsewhere(case: Case) -> None:
    hook = {"type": "CheckpointHook", "interval": 1, "out_dir": str(case.work_dir / "elsewhere")}
    case.train(default_hooks={"checkpoint": hook}, train_cfg=SHORT)


def no_checkpoints(case: Case) -> None:
    hook = {"type": "CheckpointHook", "interval": -1, "save_last": False}
    case.train(default_hooks={"checkpoint": hook}, train_cfg=SHORT)


def resumed_at_an_epoch_border(case: Case) -> None:
    case.train(param_scheduler=[WARMUP, STEPS])
    start = str(case.work_dir / "epoch_1.pth")
    case.train(param_scheduler=[WARMUP, STEPS], resume=True, load_from=start)


def resumed_from_the_last_checkpoint(case: Case) -> None:
    case.train(train_cfg=SHORT)
    case.train(train_cfg={"by_epoch": True, "max_epochs": 4}, resume=True)


def resumed_with_nothing_to_resume(case: Case) -> None:
    case.train(train_cfg=SHORT, resume=True)


def resumed_with_another_seed(case: Case) -> None:
    case.train(train_cfg=SHORT)
    case.train(train_cfg={"by_epoch": True, "max_epochs": 3}, resume=True, randomness={"seed": 8})


def resumed_at_an_iteration_border(case: Case) -> None:
    """MMEngine reads and drops the data of the iterations before."""
    changes: dict[str, Any] = {
        "train_dataloader": loader(sampler={"type": "InfiniteSampler"}),
        "train_cfg": {"type": "IterBasedTrainLoop", "max_iters": 12, "val_interval": 5},
        "default_hooks": {
            "checkpoint": {"type": "CheckpointHook", "interval": 4, "by_epoch": False}
        },
        "param_scheduler": [WARMUP, {**STEPS, "milestones": [5, 9], "by_epoch": False}],
        "log_processor": {"by_epoch": False},
    }
    case.train(**changes)
    case.train(**changes, resume=True, load_from=str(case.work_dir / "iter_8.pth"))


def resumed_by_hand(case: Case) -> None:
    case.train(train_cfg=SHORT)
    runner = case.runner(train_cfg={"by_epoch": True, "max_epochs": 3})
    runner.load_checkpoint(str(case.work_dir / "epoch_1.pth"))
    runner.train()


def resumed_from_the_other_engine(case: Case) -> None:
    """Each engine goes on from the other's checkpoint as from its own."""
    changes: dict[str, Any] = {
        "param_scheduler": [WARMUP, STEPS],
        "optim_wrapper": {"optimizer": {"type": "AdamW", "lr": 0.01}},
    }
    case.train(**changes)
    case.train(**changes, resume=True, load_from=str(case.exchange("epoch_2.pth")))


def resumed_one_cycle_from_the_other_engine(case: Case) -> None:
    """MMEngine pickles a function into the state of this schedule."""
    cycle = {"type": "OneCycleLR", "eta_max": 0.1, "total_steps": 18, "by_epoch": False}
    case.train(param_scheduler=cycle)
    start = case.exchange("epoch_1.pth")
    case.train(param_scheduler=cycle, resume=True, load_from=str(start))


def objects_instead_of_configs(case: Case) -> None:
    """Model, loaders, optimizer, schedulers, evaluator and hooks as objects."""
    model = ToyModel()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    wrapper = OptimWrapper(optimizer=optimizer)
    data, held_out = ToyDataset(), ToyDataset(size=14)
    collate = Runner.build_dataloader(loader(), seed=7).collate_fn
    train = torch.utils.data.DataLoader(data, batch_size=4, shuffle=True, collate_fn=collate)
    val = torch.utils.data.DataLoader(held_out, batch_size=5, collate_fn=collate)
    runner = case.keep(
        Runner,
        model=model,
        work_dir=str(case.work_dir),
        train_dataloader=train,
        val_dataloader=val,
        optim_wrapper=wrapper,
        param_scheduler=MultiStepLR(wrapper, milestones=[1], gamma=0.1),
        train_cfg={"by_epoch": True, "max_epochs": 2},
        val_cfg={},
        val_evaluator=Evaluator(ToyAccuracy()),
        default_hooks={"logger": LoggerHook(interval=3)},
        custom_hooks=tracers(),
        randomness={"seed": 7},
        experiment_name="objects",
    )
    runner.train()


def parts_of_objects(case: Case) -> None:
    """Objects inside config sections: a dataset, an optimizer's parameters, a metric."""
    changes = {
        "model": MODELS.build({"type": "ToyModel"}),
        "train_dataloader": {**loader(), "dataset": DATASETS.build(QUIET)},
        "val_evaluator": [METRICS.build({"type": "ToyAccuracy", "prefix": "built"})],
        "train_cfg": SHORT,
    }
    config = case.config(**changes)
    sections = ("model", "train_dataloader", "val_dataloader", "train_cfg", "val_cfg")
    sections += ("val_evaluator", "optim_wrapper", "randomness", "work_dir")
    chosen = {key: config[key] for key in sections}
    case.keep(Runner, **chosen, custom_hooks=tracers()).train()


def only_what_is_needed(case: Case) -> None:
    names = ("model", "work_dir", "train_dataloader", "train_cfg", "optim_wrapper", "randomness")
    config = {key: value for key, value in case.config().items() if key in names}
    case.runner(config).train()


def two_runners_at_once(case: Case) -> None:
    """Built one after the other, run in the other order: nothing is shared by accident."""
    first = case.runner(train_cfg=SHORT)
    second = case.runner(train_cfg=SHORT, randomness={"seed": 9})
    second.train()
    first.train()


def attributes(case: Case) -> None:
    """What user code reads from a runner before, during and after a run."""
    runner = case.runner(train_cfg=SHORT)
    _note(case, runner)
    runner.train()
    _note(case, runner)
    case.note(type(runner.train_loop).__name__, type(runner.val_loop).__name__)
    case.note(type(runner.optim_wrapper).__name__, len(runner.param_schedulers or []))
    case.note(len(runner.train_dataloader), len(runner.val_dataloader), runner.val_interval)
    case.note(sorted(runner.message_hub.runtime_info), sorted(runner.message_hub.log_scalars))
    case.note(runner.val_evaluator.dataset_meta, runner.visualizer.dataset_meta)


def _note(case: Case, runner: Any) -> None:
    case.note(runner.max_epochs, runner.max_iters, runner.epoch, runner.iter, runner.model_name)
    case.note(runner.rank, runner.world_size, runner.seed, runner.launcher, runner.distributed)
    case.note(runner.deterministic, runner.experiment_name == runner.timestamp)
    case.note(runner.work_dir == str(case.work_dir), runner.log_dir.endswith(runner.timestamp))


def train_returns_the_model(case: Case) -> None:
    runner = case.runner(train_cfg=SHORT, val_dataloader=eval_loader(size=6))
    case.note(runner.train() is runner.model)
