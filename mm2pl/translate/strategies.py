"""What becomes of the key ``strategy``, which ``FlexibleRunner`` alone reads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.plan import Status
from mm2pl.translate.classes import read_typed
from mm2pl.translate.report import Report, Rule, raw_items, type_name

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
_FROM_RUNNER = "given by the runner, unless it stands here"
_RULES = tuple(
    Rule(key, Status.AS_IS, _FROM_RUNNER)
    for key in ("work_dir", "experiment_name", "env_kwargs", "log_kwargs", "auto_scale_lr")
)


def plan_strategy(cfg: Mapping[str, Any], report: Report) -> None:
    """Note what becomes of the strategy, and refuse what is not done."""
    strategy = cfg.get("strategy")
    if strategy is None:
        return
    if type_name(cfg.get("runner_type", "Runner")) != FLEXIBLE:
        report.note("strategy", Status.NO_EFFECT, f"runner_type={FLEXIBLE!r} alone reads it")
        return
    if not isinstance(strategy, Mapping):
        return
    given = dict(raw_items(strategy))
    if "type" not in given:
        report.problem("strategy has no type", "strategy", _DDP)
        return
    name = type_name(given["type"])
    if name in REFUSED:
        reason, hint = REFUSED[name]
        report.unsupported(name, "strategy.type", reason, hint)
        return
    known = read_typed(
        strategy, "STRATEGIES", "strategy", report, rules=_RULES, status=Status.TRANSLATED
    )
    if known is not None and "model_wrapper" in known.arguments:
        wrapper, kind = given.get("model_wrapper"), "MMDistributedDataParallel"
        read_typed(wrapper, "MODEL_WRAPPERS", "strategy.model_wrapper", report, default=kind)


def check_wrapper(cfg: Mapping[str, Any], report: Report) -> None:
    """Refuse the wrapper that shards, wherever it is named."""
    strategy = cfg.get("strategy")
    places = {"model_wrapper_cfg": cfg.get("model_wrapper_cfg")}
    if isinstance(strategy, Mapping):
        places["strategy.model_wrapper"] = strategy.get("model_wrapper")
    for path, wrapper in places.items():
        if isinstance(wrapper, Mapping) and type_name(_raw_type(wrapper)) == SHARDING:
            report.unsupported(SHARDING, f"{path}.type", *REFUSED["FSDPStrategy"])


def _raw_type(section: Mapping[str, Any]) -> Any:
    return dict(raw_items(section)).get("type")


SHARDING = "MMFullyShardedDataParallel"
