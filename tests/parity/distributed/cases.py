"""Runs over several processes, each a function from a work folder to what it left."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mmengine.dist as dist
import torch
import toys
from mmengine._strategy import SingleDeviceStrategy
from mmengine.dataset import pseudo_collate
from mmengine.logging import MessageHub
from mmengine.registry import RUNNERS
from mmengine.runner import FlexibleRunner, Runner

SGD = {"type": "SGD", "lr": 0.1, "momentum": 0.9}
TRACE = {"type": "Trace"}
SAVING = {"type": "CheckpointHook", "by_epoch": False}


def config(name: str, folder: str, **changes: Any) -> dict[str, Any]:
    """Return a small run: three epochs with validation, over the launched processes."""
    shuffled = {"type": "DefaultSampler", "shuffle": True}
    train = {"batch_size": 4, "num_workers": 0, "sampler": shuffled}
    ordered = {**train, "sampler": {"type": "DefaultSampler", "shuffle": False}}
    base = {
        "model": {"type": "Net"},
        "work_dir": f"{folder}/{name}",
        "experiment_name": name,
        "train_dataloader": {**train, "dataset": {"type": "Points", "length": 30}},
        "train_cfg": {"by_epoch": True, "max_epochs": 3},
        "optim_wrapper": {"optimizer": SGD},
        "param_scheduler": {"type": "LinearLR", "start_factor": 0.1, "by_epoch": False, "end": 7},
        "val_dataloader": {**ordered, "dataset": {"type": "Points", "length": 21}},
        "val_cfg": {},
        "val_evaluator": {"type": "Hits"},
        "default_hooks": {"logger": {"type": "LoggerHook", "interval": 2}},
        "custom_hooks": [TRACE],
        "launcher": "pytorch",
        "env_cfg": {"dist_cfg": {"backend": "gloo"}},
        "randomness": {"seed": 5},
    }
    return {key: value for key, value in {**base, **changes}.items() if value is not None}


NO_VALIDATION = {"val_dataloader": None, "val_cfg": None, "val_evaluator": None}


def left_by(runner: Any) -> dict[str, Any]:
    """Return what a finished run holds, less what a clock wrote."""
    trace = next(hook for hook in runner.hooks if isinstance(hook, toys.Trace))
    scalars = MessageHub.get_current_instance().log_scalars
    clocks = ("time", "memory")
    history = {
        name: [float(value) for value in buffer.data[0]]
        for name, buffer in scalars.items()
        if not any(word in name for word in clocks)
    }
    return {
        "trace": trace.events,
        "history": history,
        "weights": toys.digest(runner.model.state_dict()),
        "keys": sorted(runner.model.state_dict()),
        "optimizer": toys.digest(runner.optim_wrapper.state_dict()),
    }


def train(cfg: dict[str, Any]) -> dict[str, Any]:
    runner = Runner.from_cfg(cfg)
    returned = runner.train()
    return {**left_by(runner), "returned": type(returned).__name__}


def epochs(name: str, folder: str) -> Any:
    return train(config(name, folder))


def iterations(name: str, folder: str) -> Any:
    cfg = config(name, folder, train_cfg={"by_epoch": False, "max_iters": 9, "val_interval": 4})
    cfg["train_dataloader"]["sampler"] = {"type": "InfiniteSampler", "shuffle": True}
    cfg["default_hooks"]["checkpoint"] = {**SAVING, "interval": 4}
    cfg["log_processor"] = {"by_epoch": False}
    return train(cfg)


def accumulation(name: str, folder: str) -> Any:
    wrapper = {"optimizer": SGD, "accumulative_counts": 3, "clip_grad": {"max_norm": 0.3}}
    return train(config(name, folder, optim_wrapper=wrapper))


def accumulated_iterations(name: str, folder: str) -> Any:
    wrapper = {"optimizer": {"type": "AdamW", "lr": 0.01}, "accumulative_counts": 4}
    loop = {"by_epoch": False, "max_iters": 10, "val_interval": 3}
    cfg = config(name, folder, optim_wrapper=wrapper, train_cfg=loop)
    cfg["train_dataloader"]["sampler"] = {"type": "InfiniteSampler", "shuffle": True}
    return train(cfg)


def sharded_optimizer(name: str, folder: str) -> Any:
    kind = {"type": "ZeroRedundancyOptimizer", "optimizer_type": "AdamW", "lr": 0.01}
    cfg = config(name, folder, optim_wrapper={"optimizer": kind})
    # MMEngine waits for ever for the other ranks when it saves this optimizer's state.
    cfg["default_hooks"]["checkpoint"] = {"type": "CheckpointHook", "save_optimizer": False}
    return train(cfg)


def _gan(name: str, folder: str, counts: int, **options: Any) -> Any:
    cfg = config(name, folder, param_scheduler=None, **NO_VALIDATION)
    cfg["model"] = {"type": "Gan"}
    cfg["optim_wrapper"] = {"constructor": "OnePerPart", "counts": counts}
    cfg["model_wrapper_cfg"] = {"type": "MMSeparateDistributedDataParallel", **options}
    return train(cfg)


def two_optimizers(name: str, folder: str) -> Any:
    return _gan(name, folder, 1)


def two_optimizers_that_accumulate(name: str, folder: str) -> Any:
    return _gan(name, folder, 3)


def two_optimizers_with_arguments(name: str, folder: str) -> Any:
    options = {"broadcast_buffers": True, "find_unused_parameters": True, "bucket_cap_mb": 1}
    return _gan(name, folder, 1, **options)


def resumed(name: str, folder: str) -> Any:
    first = train(config(name, folder, train_cfg={"by_epoch": True, "max_epochs": 2}))
    cfg = config(name, folder, train_cfg={"by_epoch": True, "max_epochs": 4}, resume=True)
    cfg["experiment_name"] = f"{name}_again"
    return [first, train(cfg)]


def resumed_iterations(name: str, folder: str) -> Any:
    def half(iters: int, run: str, **more: Any) -> Any:
        cfg = config(name, folder, train_cfg={"by_epoch": False, "max_iters": iters}, **more)
        cfg["train_dataloader"]["sampler"] = {"type": "InfiniteSampler", "shuffle": True}
        cfg["default_hooks"]["checkpoint"] = {**SAVING, "interval": 3}
        cfg["experiment_name"] = run
        return train(cfg)

    return [half(6, f"{name}_1"), half(11, f"{name}_2", resume=True)]


def a_seed_for_each_rank(name: str, folder: str) -> Any:
    return train(config(name, folder, randomness={"seed": 5, "diff_rank_seed": True}))


def a_drawn_seed(name: str, folder: str) -> Any:
    runner = Runner.from_cfg(config(name, folder, randomness={"seed": None}))
    runner.train()
    same = [runner.seed, runner.timestamp, runner.experiment_name]
    return [toys.same_everywhere(one) for one in (*same, toys.digest(runner.model.state_dict()))]


def averaged_buffers(name: str, folder: str) -> Any:
    return train(config(name, folder, custom_hooks=[{"type": "SyncBuffersHook"}, TRACE]))


def averaged_weights(name: str, folder: str) -> Any:
    return train(config(name, folder, custom_hooks=[{"type": "EMAHook"}, TRACE]))


def results_by_files(name: str, folder: str) -> Any:
    evaluator = {"type": "Hits", "collect_device": "cpu", "collect_dir": f"{folder}/collected"}
    return train(config(name, folder, val_evaluator=evaluator))


def results_by_messages(name: str, folder: str) -> Any:
    return train(config(name, folder, val_evaluator={"type": "Hits", "collect_device": "gpu"}))


def unused_parameters(name: str, folder: str) -> Any:
    cfg = config(name, folder, model={"type": "Net", "unused": True}, find_unused_parameters=True)
    return train(cfg)


def arguments_of_the_wrapper(name: str, folder: str) -> Any:
    wrapper = {"broadcast_buffers": True, "static_graph": True, "bucket_cap_mb": 1}
    return train(config(name, folder, model_wrapper_cfg=wrapper))


def anomalous_parameters(name: str, folder: str) -> Any:
    wrapper = {"detect_anomalous_params": True, "find_unused_parameters": True}
    model = {"type": "Net", "unused": True}
    return train(config(name, folder, model=model, model_wrapper_cfg=wrapper))


def a_wrapper_of_ones_own(name: str, folder: str) -> Any:
    return train(config(name, folder, model_wrapper_cfg={"type": "Doubling"}))


def a_scaled_rate(name: str, folder: str) -> Any:
    return train(config(name, folder, auto_scale_lr={"base_batch_size": 32, "enable": True}))


def val_and_test(name: str, folder: str) -> Any:
    cfg = config(name, folder)
    cfg |= {f"test_{part}": cfg[f"val_{part}"] for part in ("dataloader", "evaluator", "cfg")}
    runner = Runner.from_cfg(cfg)
    trace = next(hook for hook in runner.hooks if isinstance(hook, toys.Trace))
    return [runner.val(), runner.test(), trace.events]


def a_rank_without_validation_data(name: str, folder: str) -> Any:
    cfg = config(name, folder)
    cfg["val_dataloader"]["dataset"]["length"] = 1
    cfg["val_dataloader"]["sampler"]["round_up"] = False
    return train(cfg)


def synchronized_norm_needs_a_gpu(name: str, folder: str) -> Any:
    try:
        Runner.from_cfg(config(name, folder, sync_bn="torch"))
    except ValueError as error:
        return str(error).splitlines()[0]
    return "no error"


def an_unknown_synchronized_norm(name: str, folder: str) -> Any:
    try:
        Runner.from_cfg(config(name, folder, sync_bn="apex"))
    except ValueError:
        return "ValueError"
    return "no error"


def a_model_that_is_wrapped(name: str, folder: str) -> Any:
    torch.manual_seed(3)
    model = toys.MMDistributedDataParallel(toys.Net(), broadcast_buffers=False)
    runner = Runner(**config(name, folder, model=model))
    runner.train()
    found = left_by(runner)
    cfg = {"model_wrapper_cfg": {"dim": 0}}
    try:
        Runner(**config(f"{name}_twice", folder, model=model), cfg=cfg)
    except TypeError:
        return [found, "TypeError"]
    return [found, "no error"]


def one_rank_alone_writes(name: str, folder: str) -> Any:
    runner = Runner.from_cfg(config(name, folder))
    runner.train()
    rank = dist.get_rank()
    return [rank, runner.logger.log_file is not None, bool(runner.visualizer._vis_backends)]


# Runs of a FlexibleRunner: over processes, and in one


def flexible(cfg: dict[str, Any], **more: Any) -> dict[str, Any]:
    runner = FlexibleRunner.from_cfg({**cfg, **more})
    runner.train()
    return {**left_by(runner), "strategy": type(runner.strategy).__name__}


def flexible_by_launcher(name: str, folder: str) -> Any:
    return flexible(config(name, folder))


def flexible_with_a_wrapper(name: str, folder: str) -> Any:
    wrapper = {"type": "MMDistributedDataParallel", "find_unused_parameters": True}
    strategy = {"type": "DDPStrategy", "model_wrapper": wrapper}
    model = {"type": "Net", "unused": True}
    return flexible(config(name, folder, model=model), strategy=strategy)


def flexible_that_accumulates(name: str, folder: str) -> Any:
    wrapper = {"optimizer": SGD, "accumulative_counts": 3, "clip_grad": {"max_norm": 0.3}}
    return flexible(config(name, folder, optim_wrapper=wrapper))


def flexible_and_resumed(name: str, folder: str) -> Any:
    first = flexible(config(name, folder, train_cfg={"by_epoch": True, "max_epochs": 2}))
    cfg = config(name, folder, train_cfg={"by_epoch": True, "max_epochs": 4}, resume=True)
    return [first, flexible(cfg, experiment_name=f"{name}_again")]


def flexible_with_synchronized_norms(name: str, folder: str) -> Any:
    strategy = {"type": "DDPStrategy", "sync_bn": "torch"}
    try:
        flexible(config(name, folder), strategy=strategy)
    except ValueError as error:  # SyncBatchNorm needs a GPU
        return str(error).splitlines()[0]
    return "no error"


def _one_process(name: str, folder: str, **changes: Any) -> dict[str, Any]:
    return config(name, folder, launcher="none", env_cfg={}, **changes)


def alone(name: str, folder: str) -> Any:
    return flexible(_one_process(name, folder))


def alone_by_iterations(name: str, folder: str) -> Any:
    loop = {"by_epoch": False, "max_iters": 9, "val_interval": 4}
    cfg = _one_process(name, folder, train_cfg=loop, strategy={"type": "SingleDeviceStrategy"})
    cfg["train_dataloader"]["sampler"] = {"type": "InfiniteSampler", "shuffle": True}
    return flexible(cfg)


def alone_by_the_registry(name: str, folder: str) -> Any:
    runner = RUNNERS.build({**_one_process(name, folder), "runner_type": "FlexibleRunner"})
    runner.train()
    return left_by(runner)


def alone_with_accumulation(name: str, folder: str) -> Any:
    wrapper = {"optimizer": SGD, "accumulative_counts": 3, "clip_grad": {"max_norm": 0.3}}
    scaling = {"base_batch_size": 32, "enable": True}
    return flexible(_one_process(name, folder, optim_wrapper=wrapper, auto_scale_lr=scaling))


def alone_with_two_optimizers(name: str, folder: str) -> Any:
    cfg = _one_process(name, folder, param_scheduler=None, **NO_VALIDATION)
    cfg["model"] = {"type": "Gan"}
    cfg["optim_wrapper"] = {"constructor": "OnePerPart", "counts": 2}
    return flexible(cfg)


def alone_and_resumed(name: str, folder: str) -> Any:
    first = flexible(_one_process(name, folder, train_cfg={"by_epoch": True, "max_epochs": 2}))
    cfg = _one_process(name, folder, train_cfg={"by_epoch": True, "max_epochs": 4}, resume=True)
    return [first, flexible(cfg, experiment_name=f"{name}_again")]


def alone_val_and_test(name: str, folder: str) -> Any:
    cfg = _one_process(name, folder)
    cfg |= {f"test_{part}": cfg[f"val_{part}"] for part in ("dataloader", "evaluator", "cfg")}
    runner = FlexibleRunner.from_cfg(cfg)
    trace = next(hook for hook in runner.hooks if isinstance(hook, toys.Trace))
    return [runner.val(), runner.test(), trace.events]


def alone_with_and_without_initial_weights(name: str, folder: str) -> Any:
    found = []
    for wanted in (True, False):
        cfg = _one_process(f"{name}_{wanted}", folder, model={"type": "Filled"})
        runner = FlexibleRunner.from_cfg({**cfg, "init_weights_for_test_or_val": wanted})
        found.append([runner.val(), toys.digest(runner.model.state_dict())])
    return found


def alone_and_compiled(name: str, folder: str) -> Any:
    runner = FlexibleRunner(**_one_process(name, folder), compile={"backend": "eager"})
    runner.train()
    return left_by(runner)


def alone_and_compiled_forward(name: str, folder: str) -> Any:
    options = {"backend": "eager", "target": "forward"}
    runner = FlexibleRunner(**_one_process(name, folder), compile=options)
    runner.train()
    return left_by(runner)


def compiled_runner(name: str, folder: str) -> Any:
    return train(_one_process(name, folder, compile={"backend": "eager"}))


def compiled_runner_with_a_target(name: str, folder: str) -> Any:
    try:
        train(_one_process(name, folder, compile={"target": "forward"}))
    except TypeError:  # Runner knows no target: torch.compile refuses it
        return "TypeError"
    return "no error"


def strategy_without_a_runner(name: str, folder: str) -> Any:
    strategy = SingleDeviceStrategy(
        work_dir=f"{folder}/{name}",
        experiment_name=name,
        env_kwargs={"launcher": "none", "randomness": {"seed": 3}},
    )
    lengths = {"max_iters": 7, "max_epochs": 3, "epoch_length": 3}
    model, optim, schedulers = strategy.prepare(
        {"type": "Net"},
        optim_wrapper={"optimizer": SGD, "accumulative_counts": 2},
        param_scheduler={"type": "LinearLR", "by_epoch": True, "start_factor": 0.5},
        dispatch_kwargs=lengths,
    )
    batch = pseudo_collate([toys.Points(8)[index] for index in range(4)])
    losses = [float(model.train_step(batch, optim)["loss"]).hex() for _ in range(5)]
    file = f"{folder}/{name}/kept.pth"
    strategy.save_checkpoint(file, extra_ckpt={"meta": {"iter": 5, "epoch": 1}})
    rest = strategy.resume(file)
    facts = [strategy.rank, strategy.world_size, strategy.seed, strategy.launcher]
    counts = [optim._inner_count, optim._max_counts, len(schedulers), schedulers[0].end]
    return [
        losses,
        toys.digest(model.state_dict()),
        toys.keys(rest),
        sorted(rest["meta"]),
        facts,
        counts,
    ]


ALONE: list[Callable[[str, str], Any]] = [
    alone,
    alone_by_iterations,
    alone_by_the_registry,
    alone_with_accumulation,
    alone_with_two_optimizers,
    alone_and_resumed,
    alone_val_and_test,
    alone_with_and_without_initial_weights,
    alone_and_compiled,
    alone_and_compiled_forward,
    compiled_runner,
    compiled_runner_with_a_target,
    strategy_without_a_runner,
]
CASES: list[Callable[[str, str], Any]] = [
    epochs,
    iterations,
    accumulation,
    accumulated_iterations,
    sharded_optimizer,
    two_optimizers,
    two_optimizers_that_accumulate,
    two_optimizers_with_arguments,
    resumed,
    resumed_iterations,
    a_seed_for_each_rank,
    a_drawn_seed,
    averaged_buffers,
    averaged_weights,
    results_by_files,
    results_by_messages,
    unused_parameters,
    arguments_of_the_wrapper,
    anomalous_parameters,
    a_wrapper_of_ones_own,
    a_scaled_rate,
    val_and_test,
    a_rank_without_validation_data,
    synchronized_norm_needs_a_gpu,
    an_unknown_synchronized_norm,
    a_model_that_is_wrapped,
    one_rank_alone_writes,
    flexible_by_launcher,
    flexible_with_a_wrapper,
    flexible_that_accumulates,
    flexible_and_resumed,
    flexible_with_synchronized_norms,
]
