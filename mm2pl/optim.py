"""Builds optimizer wrappers and schedulers for a run, and binds the wrappers to Lightning."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.optim import Optimizer

from mm2pl.errors import (
    CheckpointError,
    ConfigAssertionError,
    ConfigError,
    ConfigKeyError,
    ConfigTypeError,
    nearest,
)
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.optim import (
    OptimWrapper,
    OptimWrapperDict,
    _ParamScheduler,
    build_optim_wrapper,
)
from mm2pl.mmengine.optim.optimizer._stepping import stepping_by
from mm2pl.mmengine.optim.scheduler._per_update import PER_UPDATE, in_updates
from mm2pl.mmengine.registry import OPTIM_WRAPPERS, PARAM_SCHEDULERS
from mm2pl.mmengine.registry.errors import at_key
from mm2pl.torch_schedulers import TorchSchedule, torch_schedule

if TYPE_CHECKING:
    from mm2pl.nonfinite import LossGuard

_PATH = "param_scheduler"
_CONFIGS = (Mapping, list, tuple)
Schedulers = list[_ParamScheduler] | dict[str, list[_ParamScheduler]]


def make_optim_wrapper(model: nn.Module, given: Any) -> OptimWrapper | OptimWrapperDict:
    """Return the wrapper that a config, or a mapping of built wrappers, describes.

    Args:
        model: The model whose parameters are optimized.
        given: A wrapper, a config with ``optimizer`` or ``constructor``, or wrappers by name.
    """
    if isinstance(given, OptimWrapper):
        return given
    if not isinstance(given, Mapping):
        raise ConfigTypeError(
            f"optim_wrapper must be an OptimWrapper or a dict, got {given!r}",
            key_path="optim_wrapper",
        )
    optimizer = given.get("optimizer")
    with at_key("optim_wrapper"):
        if isinstance(optimizer, Optimizer):
            built: OptimWrapper = OPTIM_WRAPPERS.build({"type": "OptimWrapper", **given})
            return built
        if optimizer is not None or "constructor" in given:
            return build_optim_wrapper(model, dict(given))
        return _wrappers_by_name(given)


def _wrappers_by_name(given: Mapping[str, Any]) -> OptimWrapperDict:
    for name, wrapper in given.items():
        if not isinstance(wrapper, OptimWrapper):
            raise ConfigError(
                f"optim_wrapper has neither 'optimizer' nor 'constructor', so each of its values"
                f" must be an OptimWrapper, but {name!r} is {wrapper!r}",
                hint="add optimizer=dict(type='SGD', lr=...), or a constructor for several"
                " optimizers",
            )
    return OptimWrapperDict(**given)


def make_schedulers(
    given: Any, wrapper: OptimWrapper | OptimWrapperDict, defaults: Mapping[str, int]
) -> Schedulers:
    """Return the schedulers of each optimizer.

    Args:
        given: A scheduler, a config, a list of them, or a dict of those by optimizer name.
        wrapper: The built wrapper or wrappers.
        defaults: ``max_epochs`` and ``max_iters``, where schedules end that do not say it, and
            ``epoch_length`` in iterations. With a true ``per_update`` the schedules that count
            iterations are to count updates of their optimizer.
    """
    by_name = isinstance(given, Mapping) and "type" not in given
    if not isinstance(wrapper, OptimWrapperDict):
        if by_name and given and all(isinstance(one, _CONFIGS) for one in given.values()):
            raise ConfigKeyError(
                "schedules by name need several optimizers, and there is one without a name",
                key_path=_PATH,
                hint="give the list of schedules itself",
            )
        return _schedulers_of_one(given, wrapper, _lengths(defaults, wrapper, alone=True))
    if by_name:
        _check_names(given, wrapper)
    return {
        name: _schedulers_of_one(
            given[name] if by_name else given,
            one,
            _lengths(defaults, one, alone=False),
            f"{_PATH}.{name}" if by_name else _PATH,
        )
        for name, one in wrapper.items()
    }


def _lengths(
    defaults: Mapping[str, int], wrapper: OptimWrapper, *, alone: bool
) -> Mapping[str, int]:
    return in_updates(defaults, wrapper, alone=alone) if defaults.get(PER_UPDATE) else defaults


def _check_names(given: Mapping[str, Any], wrapper: OptimWrapperDict) -> None:
    """Refuse an optimizer without schedules; warn of schedules without an optimizer."""
    names = list(wrapper.keys())
    for name in given:
        if name not in names:
            print_log(
                f"{_PATH}.{name} has no effect: there is no optimizer of this name, only"
                f" {', '.join(names)}",
                logger="current",
                level=logging.WARNING,
            )
    for name in names:
        if name not in given:
            raise ConfigKeyError(
                f"optimizer {name!r} has no schedule",
                key_path=_PATH,
                choices=[one for one in nearest(name, given) if one not in names],
                hint=f"add {name}=[...], an empty list for none",
            )


def _schedulers_of_one(
    given: Any, wrapper: OptimWrapper, defaults: Mapping[str, int], place: str = _PATH
) -> list[_ParamScheduler]:
    entries = given if isinstance(given, Sequence) else [given]
    built = []
    for index, entry in enumerate(entries):
        if isinstance(entry, _ParamScheduler):
            built.append(entry)
            continue
        path = f"{place}[{index}]" if isinstance(given, Sequence) else place
        if not isinstance(entry, Mapping):
            raise ConfigTypeError(
                f"a scheduler must be a _ParamScheduler or a dict, got {entry!r}", key_path=path
            )
        cfg = copy.deepcopy(dict(entry))
        ends = "max_epochs" if cfg.get("by_epoch", True) else "max_iters"
        if ends in defaults:
            cfg.setdefault("end", defaults[ends])
        with at_key(path):
            built.append(_scheduler(cfg, wrapper, defaults["epoch_length"]))
    return built


def _scheduler(cfg: dict[str, Any], wrapper: OptimWrapper, epoch_length: int) -> _ParamScheduler:
    kind = torch_schedule(cfg.get("type"))
    if kind is not None:
        return TorchSchedule(wrapper, kind, **{key: cfg[key] for key in cfg if key != "type"})
    arguments = {"optimizer": wrapper, "epoch_length": epoch_length}
    built: _ParamScheduler = PARAM_SCHEDULERS.build(cfg, default_args=arguments)
    return built


def refuse_other_counts(schedulers: Schedulers, wrapper: Any, was: bool, now: bool) -> None:
    """Refuse states of schedules that counted iterations where these count updates, or vice versa.

    Args:
        schedulers: The built schedulers.
        wrapper: The built wrapper or wrappers.
        was: Whether those of the checkpoint stepped per update.
        now: Whether these do.

    Raises:
        CheckpointError: They differ, and it makes a difference.
    """
    lists = schedulers.values() if isinstance(schedulers, dict) else [schedulers]
    wrappers = wrappers_of(wrapper)
    same = len(wrappers) == 1 and getattr(wrappers[0], "_accumulative_counts", 1) == 1
    if was == now or same or all(one.by_epoch for listed in lists for one in listed):
        return
    counts = ("iterations", "updates")
    raise CheckpointError(
        f"the schedules in the checkpoint count {counts[was]}, these count {counts[now]}",
        key_path="trainer.schedule_per_update",
        hint=f"set it to {was} as in that run, or start from the weights alone: resume=False",
    )


def wrappers_of(wrapper: Any) -> list[OptimWrapper]:
    """Return the single wrappers of a wrapper or a dict of wrappers."""
    if isinstance(wrapper, OptimWrapperDict):
        return list(wrapper.values())
    return [wrapper] if isinstance(wrapper, OptimWrapper) else []


def torch_optimizers(wrapper: Any) -> list[Optimizer]:
    """Return the torch optimizers below a wrapper, each once."""
    return list({id(one.optimizer): one.optimizer for one in wrappers_of(wrapper)}.values())


def scale_learning_rates(wrapper: Any, ratio: float) -> None:
    """Multiply the learning rate of every parameter group."""
    for one in wrappers_of(wrapper):
        for group in one.optimizer.param_groups:
            group["lr"] = group["lr"] * ratio


def scale_to_batch_size(
    wrapper: Any, size: int, scaling: Mapping[str, Any], logger: logging.Logger
) -> None:
    """Scale the learning rates, which are meant for another batch size, and log it.

    Args:
        wrapper: The built wrapper or wrappers.
        size: Samples of a step over all processes.
        scaling: ``auto_scale_lr``, whose ``base_batch_size`` is that of the rates.
        logger: The run's.

    Raises:
        ConfigError: There is no ``base_batch_size`` (an ``AssertionError`` too, as in MMEngine).
    """
    if "base_batch_size" not in scaling:
        raise ConfigAssertionError(
            "the batch size that the rates are meant for is missing",
            key_path="auto_scale_lr.base_batch_size",
            hint="for example auto_scale_lr=dict(enable=True, base_batch_size=256)",
        )
    base = scaling["base_batch_size"]
    ratio = float(size) / float(base)
    logger.info(
        f"LR is set based on batch size of {base} and the current batch size is {size}."
        f" Scaling the original LR by {ratio}."
    )
    scale_learning_rates(wrapper, ratio)


def bind_to_lightning(
    wrapper: Any,
    backward: Callable[..., None],
    optimizers: Sequence[Any],
    guard: LossGuard | None = None,
    step_of: Callable[[Any], Callable[..., Any] | None] = lambda optimizer: None,
) -> None:
    """Let wrappers backpropagate and step through Lightning.

    ``manual_backward`` is what synchronises gradients between ranks, and only steps of a
    ``LightningOptimizer`` are counted in ``trainer.global_step``.

    Args:
        wrapper: The wrapper or dict of wrappers.
        backward: ``LightningModule.manual_backward``.
        optimizers: Lightning's optimizers, in the order of :func:`torch_optimizers`.
        guard: Looks at the losses, if asked to.
    """
    steps = {id(one.optimizer): (one.step, step_of(one)) for one in optimizers}
    for one in wrappers_of(wrapper):
        run_backward = guard.guarded(one, backward) if guard else backward
        one.bind(backward=run_backward, step=_step_of(one, *steps[id(one.optimizer)]))


def _step_of(
    wrapper: OptimWrapper, bound_step: Callable[..., Any], short: Callable[..., Any] | None
) -> Callable[..., Any]:
    """Return a step through Lightning, or a plain one once a hook has replaced the optimizer."""
    bound = wrapper.optimizer

    def run(closure: Callable[[], Any], **kwargs: Any) -> None:
        closure()  # Lightning's own, with its hooks
        bound.step(**kwargs)

    def step(**kwargs: Any) -> None:
        if wrapper.optimizer is not bound:
            wrapper.optimizer.step(**kwargs)
        elif "closure" in kwargs:
            bound_step(**kwargs)
        elif short is not None:
            short(**kwargs)
        else:  # Lightning gives one always, which not every optimizer takes or ignores
            with stepping_by(bound, run):
                bound_step(**kwargs)

    return step


def unbind(wrapper: Any) -> None:
    """Undo :func:`bind_to_lightning`: after a run the wrappers work by themselves again."""
    for one in wrappers_of(wrapper):
        one.bind()
