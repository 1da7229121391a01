"""The iteration loop: samplers, when it validates, when it stops."""

from __future__ import annotations

from typing import Any

from case import Case, loader
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

BY_ITER = {
    "logger": {"type": "LoggerHook", "interval": 3, "log_metric_by_epoch": False},
    "checkpoint": {"type": "CheckpointHook", "interval": 4, "by_epoch": False},
}
PLAIN_LOG = {"by_epoch": False}


def _infinite(shuffle: bool = True, **options: Any) -> dict[str, Any]:
    return loader(sampler={"type": "InfiniteSampler", "shuffle": shuffle}, **options)


def _loop(**options: Any) -> dict[str, Any]:
    return {"type": "IterBasedTrainLoop", "max_iters": 13, "val_interval": 5, **options}


def _train(case: Case, **changes: Any) -> Any:
    changes.setdefault("train_dataloader", _infinite())
    changes.setdefault("train_cfg", _loop())
    return case.train(default_hooks=BY_ITER, log_processor=PLAIN_LOG, **changes)


@HOOKS.register_module()
class StopIterationsAt(Hook):
    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def before_train_epoch(self, runner: Any) -> None:
        runner.train_loop.stop_training = self.iteration < 0

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if runner.iter == self.iteration:
            runner.train_loop.stop_training = True


@HOOKS.register_module()
class SwapLoader(Hook):
    """Swaps the loader in mid run, as hooks of generative models do when the resolution grows."""

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter == 6:
            loop = runner.train_loop
            loop.dataloader = runner.build_dataloader(_infinite(size=9, batch_size=3))
            loop.dataloader_iterator = type(loop.dataloader_iterator)(loop.dataloader)


def infinite_sampler(case: Case) -> None:
    _train(case)


def infinite_sampler_in_order(case: Case) -> None:
    _train(case, train_dataloader=_infinite(shuffle=False))


def finite_sampler(case: Case) -> None:
    """The loader starts anew, with another order, whenever it is read to its end."""
    _train(case, train_dataloader=loader(), train_cfg=_loop(val_interval=4))


def interval_longer_than_the_run(case: Case) -> None:
    _train(case, train_cfg=_loop(val_interval=1000))


def val_begin(case: Case) -> None:
    _train(case, train_cfg=_loop(val_begin=7, val_interval=3))


def dynamic_intervals(case: Case) -> None:
    _train(case, train_cfg=_loop(val_interval=6, dynamic_intervals=[(7, 2), (11, 1)]))


def by_epoch_false(case: Case) -> None:
    _train(case, train_cfg={"by_epoch": False, "max_iters": 9, "val_interval": 4})


def default_log_processor(case: Case) -> None:
    """With the default log processor an iteration loop logs epochs."""
    case.train(train_dataloader=_infinite(), train_cfg=_loop(), default_hooks=BY_ITER)


def warmup_and_poly(case: Case) -> None:
    warmup = {"type": "LinearLR", "start_factor": 0.01, "by_epoch": False, "begin": 0, "end": 4}
    poly = {"type": "PolyLR", "power": 0.9, "eta_min": 1e-4, "begin": 4, "by_epoch": False}
    _train(case, param_scheduler=[warmup, poly])


def stopped_in_mid_run(case: Case) -> None:
    _train(case, custom_hooks=[{"type": "StopIterationsAt", "iteration": 6}])


def stopped_where_it_validates(case: Case) -> None:
    _train(case, custom_hooks=[{"type": "StopIterationsAt", "iteration": 9}])


def stopped_at_the_first_step(case: Case) -> None:
    _train(case, custom_hooks=[{"type": "StopIterationsAt", "iteration": 0}])


def stopped_before_the_first_step(case: Case) -> None:
    _train(case, custom_hooks=[{"type": "StopIterationsAt", "iteration": -1}])


def trained_twice(case: Case) -> None:
    _train(case, train_cfg=_loop(max_iters=4)).train()


def stopped_and_trained_again(case: Case) -> None:
    """``before_train_epoch`` of the hook resets ``stop_training``: the run goes on."""
    _train(case, custom_hooks=[{"type": "StopIterationsAt", "iteration": 6}]).train()


def swapped_loader(case: Case) -> None:
    _train(case, custom_hooks=[{"type": "SwapLoader"}])


def two_workers(case: Case) -> None:
    _train(case, train_dataloader=_infinite(num_workers=2, persistent_workers=True))
