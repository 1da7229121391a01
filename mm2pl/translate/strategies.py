"""What becomes of the key ``strategy``, which ``FlexibleRunner`` alone reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.plan import Status
from mm2pl.translate.report import Report, type_name

_DDP = "strategy=dict(type='DDPStrategy') trains over several processes"
_OWN_ENGINE = "its engine takes the backward pass, the update, clipping and accumulation over"
# Strategy -> the reason why not, and what to do instead.
REFUSED = {
    "DeepSpeedStrategy": (
        f"{_OWN_ENGINE} from the OptimWrapper, whose state hooks and checkpoints hold",
        _DDP,
    ),
    "FSDPStrategy": (
        "parameters would be sharded when the Trainer starts, after the optimizers were built and"
        " behind the hooks that read weights and save checkpoints",
        _DDP,
    ),
    "ColossalAIStrategy": (
        f"ColossalAI has no strategy in Lightning; {_OWN_ENGINE}",
        _DDP,
    ),
}
FLEXIBLE = "FlexibleRunner"


def plan_strategy(cfg: Mapping[str, Any], report: Report) -> None:
    """Note what becomes of the strategy, and refuse what is not done."""
    strategy = cfg.get("strategy")
    if strategy is None:
        return
    if type_name(cfg.get("runner_type", "Runner")) != FLEXIBLE:
        report.note("strategy", Status.NO_EFFECT, f"runner_type={FLEXIBLE!r} alone reads it")
        return
    kind = strategy.get("type") if isinstance(strategy, Mapping) else type(strategy)
    if kind is None:
        report.problem("strategy has no type", "strategy", _DDP)
        return
    name = type_name(kind)
    if name in REFUSED:
        reason, hint = REFUSED[name]
        report.unsupported(name, "strategy.type", reason, hint)


def check_wrapper(cfg: Mapping[str, Any], report: Report) -> None:
    """Refuse the wrapper that shards, wherever it is named."""
    strategy = cfg.get("strategy")
    places = {"model_wrapper_cfg": cfg.get("model_wrapper_cfg")}
    if isinstance(strategy, Mapping):
        places["strategy.model_wrapper"] = strategy.get("model_wrapper")
    for path, wrapper in places.items():
        if isinstance(wrapper, Mapping) and type_name(wrapper.get("type")) == SHARDING:
            report.unsupported(SHARDING, f"{path}.type", *REFUSED["FSDPStrategy"])


SHARDING = "MMFullyShardedDataParallel"
