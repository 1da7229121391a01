"""The average of the weights: when it begins, what it holds, where it is used, saved and loaded."""

from __future__ import annotations

from typing import Any

from case import Case, loader
from mmengine.hooks import EMAHook
from mmengine.model import ExponentialMovingAverage
from mmengine.registry import HOOKS, MODELS
from torch import Tensor
from tracing import digest

SHORT = {"by_epoch": True, "max_epochs": 2}
ITERATIONS = {"type": "IterBasedTrainLoop", "max_iters": 10, "val_interval": 4}
BY_ITERATION = {"checkpoint": {"type": "CheckpointHook", "interval": 4, "by_epoch": False}}
ENDLESS = loader(sampler={"type": "InfiniteSampler"})


def _ema(**options: Any) -> list[dict[str, Any]]:
    return [{"type": "EMAHook", "momentum": 0.1, **options}]


def _train(case: Case, ema: list[dict[str, Any]], **changes: Any) -> Any:
    """Train, and note the average at the end, its buffers and its counter."""
    runner = case.train(custom_hooks=ema, **{"train_cfg": SHORT, **changes})
    for hook in runner.hooks:
        if isinstance(hook, EMAHook):
            case.note({k: digest(v) for k, v in hook.ema_model.state_dict().items()})
    return runner


def default_settings(case: Case) -> None:
    runner = _train(case, [{"type": "EMAHook"}])
    runner.test()


def begins_at_an_iteration(case: Case) -> None:
    _train(case, _ema(begin_iter=4))


def begins_at_an_epoch(case: Case) -> None:
    _train(case, _ema(begin_epoch=2), train_cfg={"by_epoch": True, "max_epochs": 3})


def averaged_buffers(case: Case) -> None:
    _train(case, _ema(update_buffers=True)).test()


def averaged_at_intervals(case: Case) -> None:
    _train(case, _ema(interval=3))


def annealed_momentum(case: Case) -> None:
    _train(case, [{"type": "EMAHook", "ema_type": "MomentumAnnealingEMA", "gamma": 5}])


def plain_mean(case: Case) -> None:
    _train(case, [{"type": "EMAHook", "ema_type": "StochasticWeightAverage"}])


def two_averages(case: Case) -> None:
    """Each exchanges its weights with the model's: their order shows."""
    _train(case, [*_ema(priority="HIGH"), *_ema(momentum=0.3)])


def around_all_other_hooks(case: Case) -> None:
    """The log and the best checkpoint come between the exchanges of the two."""
    best = {"type": "CheckpointHook", "interval": 1, "save_best": "auto", "save_optimizer": False}
    rows = [*_ema(momentum=0.3, priority="LOWEST"), *_ema(priority="HIGHEST")]
    _train(case, rows, default_hooks={"checkpoint": best})


@MODELS.register_module()
class FadingEMA(ExponentialMovingAverage):
    """An average of a library's own, with the arguments that its base takes by position."""

    def __init__(self, model: Any, momentum: float = 0.1, gamma: int = 5, **options: Any) -> None:
        super().__init__(model=model, momentum=momentum, **options)
        self.gamma = gamma

    def avg_func(self, averaged_param: Tensor, source_param: Tensor, steps: Any) -> None:
        share = (1 - self.momentum) * 2.0 ** (-float(1 + steps) / self.gamma) + self.momentum
        averaged_param.lerp_(source_param, share)


def average_of_a_librarys_own(case: Case) -> None:
    """From the second epoch on, resumed before and after it."""
    row = {"type": "EMAHook", "ema_type": "FadingEMA", "update_buffers": True, "begin_epoch": 2}
    changes: dict[str, Any] = {"train_cfg": {"by_epoch": True, "max_epochs": 3}}
    _train(case, [{**row, "priority": 49}], **changes)
    for epoch in (1, 2):
        start = str(case.work_dir / f"epoch_{epoch}.pth")
        _train(case, [{**row, "priority": 49}], **changes, resume=True, load_from=start)


@HOOKS.register_module()
class EvaluateBoth(EMAHook):
    """Evaluates the weights in training after the average, as mmpretrain's hook can."""

    def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
        super().after_val_epoch(runner, metrics)
        self._again(runner, runner.val_loop, "val")

    def after_test_epoch(self, runner: Any, metrics: Any = None) -> None:
        super().after_test_epoch(runner, metrics)
        self._again(runner, runner.test_loop, "test")

    def _again(self, runner: Any, loop: Any, stage: str) -> None:
        runner.model.eval()
        for index, batch in enumerate(loop.dataloader):
            loop.run_iter(index, batch)
        metrics = loop.evaluator.evaluate(len(loop.dataloader.dataset))
        for name, value in metrics.items():
            runner.message_hub.update_scalar(f"{stage}/{name}_origin", value)


def both_weights_evaluated(case: Case) -> None:
    row = {"type": "EvaluateBoth", "momentum": 0.1}
    _train(case, [row]).test()
    changes = {"train_cfg": ITERATIONS, "train_dataloader": ENDLESS}
    _train(case, [{**row, "priority": "ABOVE_NORMAL"}], **changes).test()


def large_momentum(case: Case) -> None:
    """Is warned of."""
    _train(case, _ema(momentum=0.7))


def drawn_weights(case: Case) -> None:
    """The copy is made before the model draws its weights; the first update takes them."""
    normal = {"type": "Normal", "layer": "Linear", "std": 0.1}
    _train(case, _ema(begin_iter=3), model={"type": "InitModel", "init_cfg": normal})


def accumulated_gradients(case: Case) -> None:
    optimizer = {"type": "SGD", "lr": 0.05, "momentum": 0.9}
    _train(case, _ema(), optim_wrapper={"optimizer": optimizer, "accumulative_counts": 3})


def iteration_loop(case: Case) -> None:
    _train(case, _ema(), train_cfg=ITERATIONS, train_dataloader=ENDLESS, default_hooks=BY_ITERATION)


def best_checkpoint(case: Case) -> None:
    """Is saved after the validation, when the weights are exchanged back."""
    hook = {"type": "CheckpointHook", "save_best": "auto", "max_keep_ckpts": 1}
    _train(case, _ema(), default_hooks={"checkpoint": hook})


def validated_and_tested_alone(case: Case) -> None:
    _train(case, _ema())
    runner = case.runner(custom_hooks=_ema(), load_from=str(case.work_dir / "epoch_2.pth"))
    case.note(runner.val())
    case.note(runner.test())


def resumed(case: Case) -> None:
    ema = _ema(begin_iter=2)
    _train(case, ema, train_cfg={"by_epoch": True, "max_epochs": 3})
    start = str(case.work_dir / "epoch_1.pth")
    _train(case, ema, train_cfg={"by_epoch": True, "max_epochs": 3}, resume=True, load_from=start)


def resumed_at_an_iteration_border(case: Case) -> None:
    changes: dict[str, Any] = {
        "train_dataloader": ENDLESS,
        "train_cfg": ITERATIONS,
        "default_hooks": BY_ITERATION,
    }
    _train(case, _ema(update_buffers=True), **changes)
    start = str(case.work_dir / "iter_4.pth")
    _train(case, _ema(update_buffers=True), **changes, resume=True, load_from=start)


def resumed_from_the_other_engine(case: Case) -> None:
    _train(case, _ema(), train_cfg={"by_epoch": True, "max_epochs": 3})
    start = str(case.exchange("epoch_2.pth"))
    changes = {"train_cfg": {"by_epoch": True, "max_epochs": 3}, "resume": True}
    _train(case, _ema(), **changes, load_from=start)


def resumed_without_an_average(case: Case) -> None:
    """The checkpoint has none, which is warned of; its weights begin one."""
    _train(case, [])
    _train(case, _ema(), train_cfg={"by_epoch": True, "max_epochs": 3}, resume=True)


def begun_from_averaged_weights(case: Case) -> None:
    """``load_from`` without ``resume``: the average in the file is where both begin."""
    _train(case, _ema())
    _train(case, _ema(strict_load=True), load_from=str(case.work_dir / "epoch_2.pth"))


def exported_weights(case: Case) -> None:
    """A run without the hook loads the average."""
    _train(case, _ema())
    _train(case, [], load_from=str(case.work_dir / "epoch_2.pth"))


def wrong_settings(case: Case) -> None:
    """Are refused where MMEngine refuses them."""
    for options in ({"begin_iter": 1, "begin_epoch": 1}, {"begin_iter": -1}, {"begin_epoch": -1}):
        case.note(_refused(lambda options=options: EMAHook(**options)))
    late = {"begin_iter": 50}, {"begin_epoch": 3}
    for options in late:
        case.note(
            _refused(
                lambda options=options: case.runner(
                    custom_hooks=_ema(**options), train_cfg=SHORT
                ).train()
            )
        )
    case.runners.clear()


def _refused(call: Any) -> bool:
    try:
        call()
    except AssertionError:
        return True
    return False
