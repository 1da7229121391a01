"""``train_cfg``, ``val_cfg`` and ``test_cfg``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from mm2pl.plan import EvalPlan, Status, TrainPlan
from mm2pl.translate.classes import read_typed
from mm2pl.translate.data import read_dataloader
from mm2pl.translate.evaluators import read_evaluator
from mm2pl.translate.report import Report, Rule, brief, one_of, raw_items, type_name, whole_number
from mm2pl.translate.values import is_plain, milestones_and_intervals

EPOCH_LOOP, ITER_LOOP = "EpochBasedTrainLoop", "IterBasedTrainLoop"
# How long each loop trains, and what its time counts.
LENGTHS = {EPOCH_LOOP: ("max_epochs", "epoch"), ITER_LOOP: ("max_iters", "iteration")}
UPDATE = "update"
_EVAL_LOOPS = {"val": "ValLoop", "test": "TestLoop"}
_WHEN = "when the Trainer validates"
TRAIN_RULES = (
    Rule("by_epoch", Status.TRANSLATED, "the loop's type"),
    Rule("val_begin", Status.TRANSLATED, _WHEN, whole_number(0)),
    Rule("val_interval", Status.TRANSLATED, _WHEN, whole_number(1)),
    Rule("dynamic_intervals", Status.TRANSLATED, _WHEN, milestones_and_intervals),
)
LENGTH_RULES = {
    "max_epochs": Rule("max_epochs", Status.TRANSLATED, "Trainer(max_epochs)", whole_number(0)),
    "max_iters": Rule(
        "max_iters", Status.TRANSLATED, "the length of one Lightning epoch", whole_number(0)
    ),
}
EVAL_RULES = (
    Rule("fp16", Status.AS_IS, "predictions under autocast"),
    Rule(
        "loss",
        Status.AS_IS,
        "the model's losses on these data, beside the metrics",
        one_of(bool),
        own=True,
    ),
)


@dataclass(frozen=True)
class Length:
    """How long training is, as far as the config alone tells.

    Attributes:
        loop: The loop's class.
        steps: Epochs or iterations; None if only the loop's class knows.
        unit: ``epoch``, ``iteration`` or ``update``.
        step: What schedules count that do not count epochs: ``iteration`` or ``update``.
    """

    loop: str
    steps: int | None
    unit: str
    step: str = "iteration"

    @property
    def end(self) -> str:
        return f"training ends at {self.unit} {self.steps}"

    def in_updates(self, counts: int | None) -> Length:
        """Return the same where schedules count updates of the optimizer.

        Args:
            counts: Iterations of an update; None if that is not known.
        """
        if self.unit == "epoch":
            return replace(self, step=UPDATE)
        known = self.steps is not None and counts is not None
        steps = -(-self.steps // counts) if known else None  # type: ignore[operator]
        return Length(self.loop, steps, UPDATE, UPDATE)


def length_of(loop: Mapping[str, Any] | None) -> Length | None:
    """Return how long a ``train_cfg`` trains; None without a loop of MMEngine's."""
    loop = with_type(loop) if isinstance(loop, Mapping) else {}
    name = type_name(loop.get("type", ""))
    if name not in LENGTHS:
        return None
    key, unit = LENGTHS[name]
    steps = loop.get(key)
    known = whole_number(0)(steps) is None
    return Length(name, int(steps) if known else None, unit)  # type: ignore[arg-type]


def with_type(loop: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of a ``train_cfg`` with the type that ``by_epoch`` stands for."""
    loop = dict(raw_items(loop))
    if "type" not in loop:
        loop["type"] = EPOCH_LOOP if loop.pop("by_epoch", True) else ITER_LOOP
    return loop


def plan_train(cfg: Mapping[str, Any], report: Report) -> TrainPlan | None:
    """Read ``train_cfg`` and ``train_dataloader``; MMEngine wants both and ``optim_wrapper``."""
    complete = _complete(cfg, ("train_dataloader", "train_cfg", "optim_wrapper"), report)
    given = cfg.get("train_cfg")
    loop = with_type(given) if isinstance(given, Mapping) else {}
    if loop:
        _read_train_loop(given, type_name(loop["type"]), report)
        if cfg.get("val_cfg") is not None:
            _note_idle_validation(loop, report)
    elif is_plain(given):
        hint = "give train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=...)"
        report.problem(f"must be a dict, got {brief(given)}", "train_cfg", hint)
    elif given is not None:
        report.unsupported(
            "a train_cfg that is a built loop",
            "train_cfg",
            "Lightning's Trainer is made before the loop",
            "give train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=...)",
        )
    loader = read_dataloader(cfg.get("train_dataloader"), "train_dataloader", report)
    several = isinstance(loader, (list, tuple)) and not hasattr(loader, "dataset")
    if several and type_name(loop.get("type")) in LENGTHS:
        hint = "dict(type='ConcatDataset', datasets=[...]) joins datasets"
        report.problem("only val and test take a list of dataloaders", "train_dataloader", hint)
    return TrainPlan(loop, loader) if complete and loop else None


def _read_train_loop(given: Any, name: str, report: Report) -> None:
    if "type" in given and "by_epoch" in given:
        # Raised by the loop's builder: MMEngine tests such a config, and some of mmdet's are.
        report.later("only one of 'type' and 'by_epoch' may be given", "train_cfg")
    key = LENGTHS[name][0] if name in LENGTHS else None
    rows = tuple(LENGTH_RULES[one] for one in ([key] if key else LENGTH_RULES))
    known = read_typed(
        given,
        "LOOPS",
        "train_cfg",
        report,
        default=name,
        rules=(*TRAIN_RULES, *rows),
        status=Status.TRANSLATED,
    )
    if known is not None and known.name in _EVAL_LOOPS.values():
        hint = f"{' or '.join(map(repr, LENGTHS))} trains"
        report.later(f"{known.name} does not train", "train_cfg.type", hint)
    if key is None or known is None:
        return
    if key not in given:
        report.problem(f"{name} needs {key!r}", "train_cfg", f"add {key}=... to train_cfg")
    for other in LENGTH_RULES:
        if other != key and other in given:
            right = next(one for one in LENGTHS if LENGTHS[one][0] == other)
            report.later(
                f"{name} takes no {other}", f"train_cfg.{other}", f"give {key}, or type={right!r}"
            )


def _note_idle_validation(loop: Mapping[str, Any], report: Report) -> None:
    """Note what says when to validate, and never applies."""
    length = length_of(loop)
    if length is None or length.steps is None:
        return
    begin = loop.get("val_begin", 1)
    if isinstance(begin, (int, float)) and begin > length.steps:
        text = f"{length.end}, so it never validates"
        report.instead("train_cfg.val_begin", Status.NO_EFFECT, text)
    intervals = loop.get("dynamic_intervals")
    for index, pair in enumerate(intervals if isinstance(intervals, (list, tuple)) else ()):
        milestone = pair[0] if isinstance(pair, (list, tuple)) and pair else None
        if isinstance(milestone, (int, float)) and milestone > length.steps:
            path = f"train_cfg.dynamic_intervals[{index}]"
            report.note(path, Status.NO_EFFECT, f"it holds from {milestone} on; {length.end}")


def plan_eval(cfg: Mapping[str, Any], stage: str, report: Report) -> EvalPlan | None:
    """Read the loop, loader and evaluator of ``stage``, ``val`` or ``test``."""
    keys = (f"{stage}_dataloader", f"{stage}_cfg", f"{stage}_evaluator")
    complete = _complete(cfg, keys, report)
    loader, given, evaluator = (cfg.get(key) for key in keys)
    if isinstance(given, Mapping):
        default = _EVAL_LOOPS[stage]
        known = read_typed(
            given,
            "LOOPS",
            keys[1],
            report,
            default=default,
            rules=EVAL_RULES,
            status=Status.TRANSLATED,
        )
        if known is not None and known.name in LENGTHS:
            report.later(f"{known.name} trains", f"{keys[1]}.type", f"type={default!r}, or no type")
        given = {"type": default, **dict(raw_items(given))}
    elif is_plain(given):
        report.problem(f"must be a dict, got {brief(given)}", keys[1], f"give {keys[1]}=dict()")
        complete = False
    elif given is not None:
        report.unsupported(
            f"a {keys[1]} that is a built loop", keys[1], "Lightning's Trainer drives the loop"
        )
        complete = False
    read_dataloader(loader, keys[0], report)
    if evaluator is not None:
        sets = len(loader) if isinstance(loader, (list, tuple)) else None
        read_evaluator(evaluator, keys[2], report, sets)
    return EvalPlan(given, loader, evaluator) if complete else None  # type: ignore[arg-type]


def _complete(cfg: Mapping[str, Any], keys: tuple[str, ...], report: Report) -> bool:
    missing = [key for key in keys if cfg.get(key) is None]
    if missing and len(missing) < len(keys):
        # Told of a key that is there: it has a file and a line.
        report.problem(
            f"{' and '.join(missing)} {'are' if len(missing) > 1 else 'is'} missing beside it",
            next(key for key in keys if key not in missing),
            f"{', '.join(keys)} belong together: give all of them or none",
        )
    return not missing
