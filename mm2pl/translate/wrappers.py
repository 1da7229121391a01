"""Optimizer wrappers: their arguments, the optimizer within, and gradient clipping."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.errors import nearest
from mm2pl.plan import Status
from mm2pl.translate.classes import KnownClass, classes, find, read_typed
from mm2pl.translate.paramwise import Optimizer, read_paramwise
from mm2pl.translate.report import Report, Rule, raw_items

_OF_CONSTRUCTOR = "decided by the constructor's class"
RULES = (
    Rule("optimizer", Status.AS_IS, "built by the OPTIMIZERS registry"),
    Rule("paramwise_cfg", Status.AS_IS, "the constructor's options per parameter"),
    Rule("accumulative_counts", Status.AS_IS, "MMEngine's accumulation"),
    Rule("clip_grad", Status.AS_IS, "clips before the step, after unscaling"),
)
_CONSTRUCTOR = Rule("constructor", Status.AS_IS, "makes the parameter groups")
AMP_RULES = (
    Rule("loss_scale", Status.AS_IS, "the wrapper's own GradScaler"),
    Rule("dtype", Status.AS_IS, "the wrapper's own autocast"),
    Rule("use_fsdp", Status.AS_IS, "the scaler is torch's ShardedGradScaler; no more than that"),
)
# Option of apex's -> the values with which torch's autocast does the same, beside None.
NOT_IN_TORCH: Mapping[str, tuple[Any, ...]] = {
    "cast_model_type": (),
    "patch_torch_functions": (True,),
    "keep_batchnorm_fp32": (True, "True"),
    "master_weights": (True,),
    "cast_model_outputs": (),
    "num_losses": (1,),
}
PLAIN = (str, int, float, list, tuple)  # values that are nothing built
_AMP, _APEX = "AmpOptimWrapper", "ApexOptimWrapper"
LEVELS = ("O0", "O1", "O2", "O3")
DTYPES = ("float16", "bfloat16", "float32", "float64")
# Kind of clipping -> torch's function, its arguments, and the one it cannot do without.
CLIPPING = {
    "norm": ("clip_grad_norm_", ("max_norm", "norm_type", "error_if_nonfinite", "foreach")),
    "value": ("clip_grad_value_", ("clip_value", "foreach")),
}
_SCALER = ("init_scale", "growth_factor", "backoff_factor", "growth_interval", "enabled")


def is_number(text: str) -> bool:
    """Whether a text is that of a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def is_wrapper(value: Any) -> bool:
    """Whether a value is the config of a wrapper with its optimizer."""
    return isinstance(value, Mapping) and isinstance(value.get("optimizer"), Mapping)


def read_wrapper(
    given: Mapping[str, Any], path: str, constructor: str, watched: bool, report: Report
) -> None:
    """Read a wrapper that a constructor of mm2pl's makes.

    Args:
        given: Its section.
        path: Key path of the section.
        constructor: The constructor's name.
        watched: Whether a library's hook may read options of the parameter groups.
        report: Where the notes go.
    """
    section = {key: value for key, value in raw_items(given) if key != "constructor"}
    _read_arguments(section, path, (*RULES, _CONSTRUCTOR), report)
    optimizer = section.get("optimizer")
    if isinstance(optimizer, Mapping):
        known = read_optimizer(optimizer, f"{path}.optimizer", report)
        is_closed = known is not None and not known.open
        carried = [one for one in known.arguments if one != "params"] if known else []
        about = Optimizer(optimizer, carried if is_closed else None, watched)
        options = section.get("paramwise_cfg")
        read_paramwise(options, f"{path}.paramwise_cfg", constructor, about, report)
    elif isinstance(optimizer, PLAIN):
        hint = "e.g. optimizer=dict(type='SGD', lr=...)"
        report.later(f"must be a dict, got {optimizer!r}", f"{path}.optimizer", hint)


def read_foreign(given: Mapping[str, Any], path: str, report: Report) -> None:
    """Read a wrapper, or several by name, whose constructor is a library's and decides the rest."""
    section = dict(raw_items(given))
    kind = find(section.get("type", "OptimWrapper"), "OPTIM_WRAPPERS", report.scope).known
    rules = tuple(rule for rule in RULES if rule.key != "paramwise_cfg")
    arguments = {rule.key for rule in (*rules, *AMP_RULES)} | {"type", "_scope_"}
    arguments |= set(kind.arguments if kind else ())
    own = {key: value for key, value in section.items() if key in arguments}
    _read_arguments(own, path, rules, report)
    if isinstance(own.get("optimizer"), Mapping):
        read_optimizer(own["optimizer"], f"{path}.optimizer", report)
    for key, value in section.items():
        where = f"{path}.{key}"
        if key in arguments or where == "optim_wrapper.constructor":
            continue
        if is_wrapper(value):
            report.note(where, Status.BY_CLASS, "the wrapper of one of several optimizers")
            read_foreign(value, where, report)
        else:
            _note_all(value, where, report, nearest(str(key), arguments))


def _note_all(value: Any, path: str, report: Report, choices: list[str]) -> None:
    """Note a key whose meaning its class knows, and those below it."""
    report.note(path, Status.BY_CLASS, _OF_CONSTRUCTOR, choices)
    for key, below in raw_items(value) if isinstance(value, Mapping) else ():
        _note_all(below, f"{path}.{key}", report, [])


def _read_arguments(
    section: Mapping[str, Any], path: str, rules: tuple[Rule, ...], report: Report
) -> None:
    kind = find(section.get("type", "OptimWrapper"), "OPTIM_WRAPPERS", report.scope).known
    amp = kind is not None and kind.name == _AMP
    read_typed(
        section,
        "OPTIM_WRAPPERS",
        path,
        report,
        default="OptimWrapper",
        rules=(*rules, *AMP_RULES) if amp else rules,
        status=Status.TRANSLATED,
    )
    if amp:
        _check_amp(section, path, report)
    if kind is not None and kind.name == _APEX:
        _check_apex(section, path, report)
    _check_counts(section.get("accumulative_counts", 1), f"{path}.accumulative_counts", report)
    read_clipping(section.get("clip_grad"), f"{path}.clip_grad", report)


def _check_counts(counts: Any, path: str, report: Report) -> None:
    if not isinstance(counts, (int, float)) or counts < 1:
        hint = "1 updates at every iteration"
        report.later(f"must be a whole number of at least 1, got {counts!r}", path, hint)
    elif counts % 1:
        text = f"no whole number: an update comes only at multiples of {counts} iterations"
        report.instead(path, Status.APPROXIMATED, text)


def _check_amp(given: Mapping[str, Any], path: str, report: Report) -> None:
    dtype, scale = given.get("dtype"), given.get("loss_scale", "dynamic")
    if isinstance(dtype, str) and dtype not in DTYPES:
        message = f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}"
        report.later(message, f"{path}.dtype", choices=nearest(dtype, DTYPES))
    if isinstance(dtype, (int, float, list, tuple)):
        report.later(f"dtype must be a name or a torch.dtype, got {dtype!r}", f"{path}.dtype")
    if scale is None or (isinstance(scale, (str, bool, list, tuple)) and scale != "dynamic"):
        message = f"loss_scale must be a number, a dict or 'dynamic', got {scale!r}"
        report.later(message, f"{path}.loss_scale", choices=("dynamic",))
    if isinstance(scale, Mapping):
        _read_call("GradScaler", _SCALER, scale, f"{path}.loss_scale", report)


def _check_apex(given: Mapping[str, Any], path: str, report: Report) -> None:
    level, scale = given.get("opt_level", "O1"), given.get("loss_scale", "dynamic")
    if level not in LEVELS:
        message = f"opt_level must be one of {', '.join(LEVELS)}, got {level!r}"
        report.later(message, f"{path}.opt_level", choices=nearest(str(level), LEVELS))
    if level in ("O2", "O3"):
        text = "as O1: autocast, with float32 weights"
        report.instead(f"{path}.opt_level", Status.APPROXIMATED, text)
    if isinstance(scale, str) and scale != "dynamic" and not is_number(scale):
        message = f"loss_scale must be 'dynamic' or a number, got {scale!r}"
        report.later(message, f"{path}.loss_scale", choices=("dynamic",))
    for option, met in NOT_IN_TORCH.items():
        if given.get(option) not in (None, *met):
            text = "torch.amp has no such option"
            report.instead(f"{path}.{option}", Status.NO_EFFECT, text)


def read_optimizer(given: Mapping[str, Any], path: str, report: Report) -> KnownClass | None:
    """Read an optimizer's section, and return its class if it is one of torch's."""
    inner = classes()["OPTIMIZERS"].get(str(given.get("optimizer_type")))
    known = read_typed(given, "OPTIMIZERS", path, report, handed=inner)
    if "type" not in given:
        for key in nearest("type", given, 1):
            report.note(f"{path}.{key}", Status.UNKNOWN, "nothing reads this key", ("type",))
        report.later("the optimizer needs a 'type'", path, "e.g. type='SGD'", ("type",))
    if known is not None and known.name == "SGD" and given.get("nesterov") is True:
        momentum, dampening = given.get("momentum", 0), given.get("dampening", 0)
        if momentum in (0, None) or dampening not in (0, None):
            text = "nesterov needs a momentum above 0 and no dampening"
            report.later(text, f"{path}.nesterov", "e.g. momentum=0.9")
    return known


def read_clipping(given: Any, path: str, report: Report) -> None:
    """Read ``clip_grad``, the arguments of one of torch's functions."""
    if given is None:
        return
    if not isinstance(given, Mapping):
        hint = "e.g. clip_grad=dict(max_norm=1.0)"
        report.later(f"must be a dict, got {given!r}", path, hint)
        return
    kind = given.get("type", "norm")
    if not isinstance(kind, str) or kind not in CLIPPING:
        choices = nearest(str(kind), CLIPPING) or tuple(CLIPPING)
        report.later(f"must be 'norm' or 'value', got {kind!r}", f"{path}.type", choices=choices)
        return
    function, arguments = CLIPPING[kind]
    if "type" in given:
        report.note(f"{path}.type", Status.AS_IS, f"torch.nn.utils.{function}")
    rest = {key: value for key, value in raw_items(given) if key != "type"}
    _read_call(function, arguments, rest, path, report)
    if arguments[0] not in rest:
        needed = arguments[0]
        report.later(f"{function} needs {needed!r}", path, f"add {needed}=...", (needed,))


def _read_call(
    function: str,
    arguments: tuple[str, ...],
    given: Mapping[str, Any],
    path: str,
    report: Report,
) -> None:
    for key, _ in raw_items(given):
        where = f"{path}.{key}"
        if key in arguments:
            report.note(where, Status.AS_IS, f"{function}'s argument")
        else:
            choices = nearest(str(key), arguments)
            report.note(where, Status.UNKNOWN, f"{function} has no such argument", choices)
