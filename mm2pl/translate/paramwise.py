"""``paramwise_cfg``: the options by parameter of the optimizer wrapper's constructor."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from mm2pl.errors import nearest
from mm2pl.plan import Status
from mm2pl.translate.report import Report, raw_items

# What DefaultOptimWrapperConstructor of MMEngine 0.10.7 reads.
_TIMES_DECAY = "times the optimizer's weight_decay, for"
_TIMES_LR = "times the optimizer's lr, for"
OPTIONS = {
    "custom_keys": "options by a part of the parameter's name; the longest key in it counts",
    "bias_lr_mult": f"{_TIMES_LR} biases",
    "bias_decay_mult": f"{_TIMES_DECAY} biases",
    "norm_decay_mult": f"{_TIMES_DECAY} norm layers",
    "flat_decay_mult": f"{_TIMES_DECAY} other parameters of one dimension",
    "dwconv_decay_mult": f"{_TIMES_DECAY} depth-wise convolutions",
    "dcn_offset_lr_mult": f"{_TIMES_LR} the offsets of deformable convolutions",
    "bypass_duplicate": "parameters that came before are left out",
}
_LAYER_DECAY = {
    "num_layers": "layers of the backbone",
    "decay_rate": "the factor of the rate from one layer to the one below it",
    "decay_type": "'layer_wise' or 'stage_wise'",
}
DEFAULT = "DefaultOptimWrapperConstructor"
# The constructors that mm2pl has, and what each reads; those of the second's it cannot do without.
CONSTRUCTORS = {DEFAULT: OPTIONS, "LearningRateDecayOptimizerConstructor": _LAYER_DECAY}
_REQUIRED = ("num_layers", "decay_rate")
# The default one refuses these without a weight_decay; of flat_decay_mult it says nothing.
_NEED_DECAY = ("bias_decay_mult", "norm_decay_mult", "dwconv_decay_mult")
_FACTORS = {
    "lr_mult": "times the optimizer's lr, for these parameters",
    "decay_mult": "times the optimizer's weight_decay, for these parameters",
}
# What was probably meant, where the spelling does not show it.
_MEANT = {
    "lr_mult": "custom_keys",
    "decay_mult": "custom_keys",
    "_delete": "_delete_",
    "wd_mult": "decay_mult",
    "weight_decay_mult": "decay_mult",
}


@dataclass(frozen=True)
class Optimizer:
    """What is known of the optimizer whose options ``paramwise_cfg`` changes.

    Attributes:
        given: Its config.
        options: The options that its groups may carry; None if a library's class decides it.
        watched: Whether a library's hook may read further options of the groups.
    """

    given: Mapping[str, Any]
    options: Collection[str] | None
    watched: bool = False


def read_paramwise(
    given: Any, path: str, constructor: str, optimizer: Optimizer, report: Report
) -> None:
    """Read the options of a constructor of mm2pl's.

    Args:
        given: The value of ``paramwise_cfg``.
        path: Its key path.
        constructor: One of :data:`CONSTRUCTORS`.
        optimizer: The optimizer beside it.
        report: Where the notes go.
    """
    if not isinstance(given, Mapping):
        if given is not None:
            report.later(f"must be a dict, got {given!r}", path)
        return
    options = CONSTRUCTORS[constructor]
    for key in _REQUIRED if options is _LAYER_DECAY else ():
        if given.get(key) is None:
            report.later(f"{constructor} needs {key!r}", path, f"add {key}=...", (key,))
    for key, value in raw_items(given):
        where = f"{path}.{key}"
        if key not in options:
            _note_inert(str(key), value, where, constructor, report)
            continue
        if key == "flat_decay_mult" and optimizer.given.get("weight_decay") is None:
            report.note(where, Status.NO_EFFECT, "the optimizer has no weight_decay to multiply")
            continue
        report.note(where, Status.AS_IS, options[key])
        if key in _NEED_DECAY:
            _need("weight_decay", where, optimizer, report)
        elif key == "custom_keys":
            _read_custom_keys(value, where, optimizer, report)


def _note_inert(key: str, value: Any, where: str, constructor: str, report: Report) -> None:
    """Note a key that the constructor does not look at."""
    options = CONSTRUCTORS[constructor]
    if constructor != DEFAULT:
        report.note(where, Status.NO_EFFECT, f"{constructor} ignores it", nearest(key, options))
    elif isinstance(value, Mapping):
        text = "names of parameters are looked up in custom_keys only"
        report.note(where, Status.NO_EFFECT, text, ("custom_keys",))
    elif key in _FACTORS:
        text = f"only an entry of custom_keys has {key}; for all parameters change the optimizer"
        report.note(where, Status.NO_EFFECT, text, (_MEANT[key],))
    else:
        meant = [_MEANT[key]] if key in _MEANT else nearest(key, options)
        report.note(where, Status.NO_EFFECT, f"{constructor} ignores it", meant)


def _read_custom_keys(given: Any, path: str, optimizer: Optimizer, report: Report) -> None:
    if not isinstance(given, Mapping):
        report.later(f"must be a dict, got {given!r}", path)
        return
    for name, options in raw_items(given):
        where = f"{path}.{name}"
        if not isinstance(options, Mapping):
            hint = f"give {name!r}: dict(lr_mult=..., decay_mult=...)"
            report.later(f"must be a dict of options, got {options!r}", where, hint)
            continue
        report.note(where, Status.AS_IS, "for parameters with this in their name")
        _need("lr", where, optimizer, report)
        for option, value in raw_items(options):
            _read_option(str(option), value, f"{where}.{option}", optimizer, report)


def _read_option(option: str, value: Any, where: str, optimizer: Optimizer, report: Report) -> None:
    if option in _FACTORS:
        report.note(where, Status.AS_IS, _FACTORS[option])
        if option == "decay_mult":
            _need("weight_decay", where, optimizer, report)
    elif optimizer.options is None:
        report.note(where, Status.BY_CLASS, "an option of the optimizer's class")
    elif option in optimizer.options:
        report.note(where, Status.AS_IS, "the optimizer's option, for these parameters")
    else:
        known = [*_FACTORS, *optimizer.options]
        meant = [_MEANT[option]] if option in _MEANT else nearest(option, known)
        if optimizer.watched and not meant:
            text = "the optimizer does not read it; a hook of the library may"
            report.note(where, Status.BY_CLASS, text)
        else:
            text = "the parameter group carries it, and the optimizer does not read it"
            report.note(where, Status.NO_EFFECT, text, meant)


def _need(option: str, where: str, optimizer: Optimizer, report: Report) -> None:
    if optimizer.given.get(option) is None:
        hint = f"set optim_wrapper.optimizer.{option}"
        report.later(f"the optimizer has no {option} to multiply", where, hint)
