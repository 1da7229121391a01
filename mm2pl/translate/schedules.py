"""``param_scheduler``: each schedule's arguments, and whether training ever comes to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from mm2pl.errors import ConfigTypeError, nearest
from mm2pl.plan import Status
from mm2pl.translate.classes import find, read_typed
from mm2pl.translate.loops import ITER_LOOP, UPDATE, Length
from mm2pl.translate.report import Report, Rule, raw_items, type_name
from mm2pl.translate.torch_schedules import MODULE, is_bare, is_torchs, read_torchs

_STEPPED = "stepped per iteration or epoch, beside Lightning's own"
_PER_UPDATE = "stepped per update of its optimizer or epoch, beside Lightning's own"
# Read by the registry's build function, which MMEngine gives every scheduler.
RULES = (
    Rule("convert_to_iter_based", Status.AS_IS, "epochs become iterations when it is built"),
    Rule("epoch_length", Status.AS_IS, "iterations in an epoch, for convert_to_iter_based"),
    Rule("monitor", Status.AS_IS, "a name among the metrics of the validation"),
)
# These wait for validations, which an iteration-based loop has in mid-epoch.
_BY_VALIDATION = "Plateau"
_RESTARTS = "CosineRestart"
# Options that a group may carry without being arguments of the optimizer: torch and other schedules
# put them there.
_PUT_THERE = ("initial_", "max_", "min_", "momentum", "decoupled_")


def read_schedules(
    given: Any, names: Collection[str] | None, length: Length | None, report: Report
) -> None:
    """Read ``param_scheduler``.

    Args:
        given: Its value.
        names: The names of the optimizers, empty if there is one without a name; None if the
            constructor's class decides it.
        length: How long training is, if that is known.
        report: Where the notes go.
    """
    path = "param_scheduler"
    if isinstance(given, Mapping) and "type" not in given:
        _read_by_optimizer(given, names, length, report)
    elif isinstance(given, (list, tuple)):
        _read_list(given, path, length, report)
    elif given is not None:
        _read_one(given, path, length, report)


def _read_by_optimizer(
    given: Mapping[str, Any],
    names: Collection[str] | None,
    length: Length | None,
    report: Report,
) -> None:
    values = raw_items(given)
    if any(isinstance(value, (str, int, float)) for _, value in values):
        _need_type(given, "param_scheduler", report)
        return
    if names is not None and not names:
        hint = "give a list of schedulers; names are for several optimizers"
        report.later("schedules by name need several optimizers", "param_scheduler", hint)
    for name, value in values:
        path = f"param_scheduler.{name}"
        if names and name not in names:
            text = "there is no optimizer of this name"
            report.note(path, Status.NO_EFFECT, text, nearest(str(name), names))
        elif isinstance(value, (list, tuple)):
            _read_list(value, path, length, report)
        else:
            _read_one(value, path, length, report)
    for name in names or ():
        if name not in given:
            report.later(f"optimizer {name!r} has no schedule", "param_scheduler", "add one, or []")


def _read_list(given: Any, path: str, length: Length | None, report: Report) -> None:
    for index, one in enumerate(given):
        _read_one(one, f"{path}[{index}]", length, report)


def _read_one(given: Any, path: str, length: Length | None, report: Report) -> None:
    counts_updates = length is not None and length.step == UPDATE
    report.note(path, Status.AS_IS, _PER_UPDATE if counts_updates else _STEPPED)
    if isinstance(given, (str, int, float, bool, list, tuple)):
        message = f"must be a scheduler, a dict or a list of them, got {given!r}"
        report.problems.append(ConfigTypeError(message, key_path=path, file=report.file))
    elif isinstance(given, Mapping) and "type" not in given:
        _need_type(given, path, report)
    elif isinstance(given, Mapping):
        arguments = dict(raw_items(given))
        name = None
        if is_torchs(arguments["type"]):
            read_torchs(arguments, path, report)
            name = type_name(arguments["type"])
        elif is_bare(arguments["type"], report.scope):
            right = (f"{MODULE}.{arguments['type']}",)
            text = "it is torch's, and only MMEngine's go without their module"
            report.note(f"{path}.type", Status.UNKNOWN, text, right)
        else:
            known = read_typed(given, "PARAM_SCHEDULERS", path, report, rules=RULES)
            name = known.name if known else None
        if name is not None:
            _check(name, arguments, path, length, report)


def _need_type(given: Mapping[str, Any], path: str, report: Report) -> None:
    for key in nearest("type", map(str, given), 1):
        report.note(f"{path}.{key}", Status.UNKNOWN, "nothing reads this key", ("type",))
    report.problem("a scheduler needs a 'type'", path, "e.g. type='MultiStepLR'")


def check_options(given: Any, optimizer: str, options: Collection[str], report: Report) -> None:
    """Tell which schedules are for an option that the optimizer does not have.

    Args:
        given: The schedules of one optimizer.
        optimizer: Its class.
        options: What its groups carry.
        report: Where the problems go.
    """
    several = isinstance(given, (list, tuple))
    for index, one in enumerate(given if several else [given]):
        arguments = dict(raw_items(one)) if isinstance(one, Mapping) else {}
        known = find(arguments.get("type", ""), "PARAM_SCHEDULERS", report.scope).known
        path = f"param_scheduler[{index}]" if several else "param_scheduler"
        option = arguments.get("param_name")
        if known is None:
            continue
        if known.name.endswith("Momentum") and not {"momentum", "betas"} & set(options):
            report.later(f"{optimizer} has neither momentum nor betas", f"{path}.type")
        elif isinstance(option, str) and not (option in options or option.startswith(_PUT_THERE)):
            choices = nearest(option, [name for name in options if name != "params"])
            report.later(f"{optimizer} has no {option!r}", f"{path}.param_name", choices=choices)


def _check(
    name: str,
    given: Mapping[str, Any],
    path: str,
    length: Length | None,
    report: Report,
) -> None:
    """Tell what building the scheduler would refuse, and what training never comes to."""
    by_epoch = given.get("by_epoch", True)
    if _BY_VALIDATION in name and not by_epoch:
        report.later(f"{name} looks for the plateau by epoch", f"{path}.by_epoch", "leave it out")
    if name.startswith(_RESTARTS):
        _check_restarts(given, path, report)
    if given.get("convert_to_iter_based"):
        if _BY_VALIDATION in name:
            where = f"{path}.convert_to_iter_based"
            report.later(f"{name} counts validations", where, "leave it out")
        elif not by_epoch:
            where = f"{path}.convert_to_iter_based"
            report.later("needs by_epoch=True: this schedule counts iterations already", where)
    begin, end = given.get("begin", 0), given.get("end")
    if not isinstance(begin, (int, float)) or not isinstance(end, (int, float, type(None))):
        return
    if isinstance(end, (int, float)) and end <= begin:
        report.later(f"end must be after begin, but begin={begin} and end={end}", f"{path}.end")
    elif length is not None and _BY_VALIDATION not in name:
        _note_what_is_never_reached(given, begin, path, length, report)


def _check_restarts(given: Mapping[str, Any], path: str, report: Report) -> None:
    periods, weights = given.get("periods"), given.get("restart_weights", (1,))
    counts = [len(one) for one in (periods, weights) if isinstance(one, (list, tuple))]
    if len(set(counts)) == 2:
        text = f"{counts[0]} periods need as many restart_weights, not {counts[1]}"
        report.later(text, f"{path}.restart_weights")
    if given.get("eta_min") is None and given.get("eta_min_ratio") is None:
        report.later("needs 'eta_min' or 'eta_min_ratio'", path, "add eta_min=0")


def _note_what_is_never_reached(
    given: Mapping[str, Any], begin: float, path: str, length: Length, report: Report
) -> None:
    by_epoch = bool(given.get("by_epoch", True))
    converted = bool(given.get("convert_to_iter_based"))
    if by_epoch and not converted and length.loop == ITER_LOOP:
        where = f"{path}.by_epoch" if "by_epoch" in given else path
        text = f"an {ITER_LOOP} is one epoch, so it stays at its first value; set by_epoch=False"
        report.instead(where, Status.NO_EFFECT, text)
        return
    counts = "epoch" if by_epoch else length.step
    if counts != length.unit or length.steps is None or "epoch_length" in given:
        return
    if begin >= length.steps:
        where = f"{path}.begin"
        if given.get("end") is None:
            report.later(f"{length.end}, where the schedule ends too if it has no 'end'", where)
        else:
            report.instead(where, Status.NO_EFFECT, f"{length.end}, before the schedule begins")
        return
    milestones = given.get("milestones")
    if isinstance(milestones, (list, tuple)):
        _note_late_milestones(milestones, given, begin, f"{path}.milestones", length, report)


def _note_late_milestones(
    milestones: Any,
    given: Mapping[str, Any],
    begin: float,
    where: str,
    length: Length,
    report: Report,
) -> None:
    """Note the milestones, which count from ``begin``, that come after the end."""
    last = min(length.steps or 0, given.get("end") or length.steps or 0)
    late = [one for one in milestones if isinstance(one, (int, float)) and begin + one >= last]
    if not late:
        return
    which = "no milestone is" if len(late) == len(milestones) else f"{_listed(late)} is never"
    ends = length.end if last == length.steps else f"the schedule ends at {length.unit} {last}"
    counted = f" (milestones count from begin={begin})" if begin else ""
    report.instead(where, Status.NO_EFFECT, f"{which} reached: {ends}{counted}")


def _listed(values: list[Any]) -> str:
    return ", ".join(map(str, values))
