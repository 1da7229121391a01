"""``mm2pl check --build``: every class that a config names, and the model without its memory.

The libraries and the config's own modules are imported, so this runs in a process of its own. It
downloads nothing, reads no data and leaves no files.
"""

from __future__ import annotations

import copy
import inspect
import io
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import replace
from typing import Any

from mm2pl import version_gates
from mm2pl.check.findings import MISSING, WRONG, Finding, FreshProcessNeeded
from mm2pl.check.places import ANY, Place, places
from mm2pl.errors import Mm2plError, UnsupportedError, nearest, with_causes
from mm2pl.failures import installation_hints, traceback_line
from mm2pl.libraries import LIBRARIES, how_to_get
from mm2pl.plan import Status

# Keys beside `type` that what builds a class of this kind takes out before.
_TAKEN_OUT = {
    "HOOKS": ("priority",),
    "OPTIM_WRAPPERS": ("constructor", "paramwise_cfg"),
    "PARAM_SCHEDULERS": ("convert_to_iter_based",),
    "LOOPS": ("by_epoch",),
}
_WRONG_VALUE = (TypeError, ValueError, LookupError, AttributeError, AssertionError)


class OfflineError(RuntimeError):
    """What a constructor wanted to download; no kind of error after which code tries again."""


class Builder:
    """Imports what configs name, one config after the other that imports the same modules.

    Args:
        relax_version_gates: Whether a library's check of a version becomes a warning.
    """

    def __init__(self, *, relax_version_gates: bool = False) -> None:
        self._imported: str | None = None
        os.environ["HF_HUB_OFFLINE"] = "1"  # of Hugging Face's packages: files on disk are enough
        sys.addaudithook(_stay_offline)
        if relax_version_gates:
            version_gates.relax()

    def look_at(self, cfg: Any) -> tuple[dict[str, Any], list[Finding]]:
        """Return what was built, and what is wrong.

        Raises:
            FreshProcessNeeded: Another config's modules are imported, which this one's may clash
                with.
        """
        modules = repr((cfg.get("default_scope"), cfg.get("custom_imports")))
        if self._imported not in (None, modules):
            raise FreshProcessNeeded
        self._imported = modules
        look = _Look(cfg)
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # what libraries have to say is said again by the run
            look.at_all()
        return look.built, list(look.found.values())


def _stay_offline(event: str, args: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo"):
        address = args[1] if event == "socket.connect" else args[0]
        raise OfflineError(f"mm2pl check downloads nothing, and {address!r} was asked for")


class _Look:
    """One config: what is found in it.

    Attributes:
        built: What was built, as JSON has it.
        found: What is wrong, by key path.
    """

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg
        self.built: dict[str, Any] = {"types": 0, "missing": 0, "model": None}
        self.found: dict[str, Finding] = {}
        self._causes: dict[str, str] = {}  # why something is not imported -> where that is told
        self._not_looked_up: dict[str, list[str]] = {}  # the same -> the names it would have
        self._doubtful: list[Finding] = []

    def at_all(self) -> None:
        """Look at imports, classes and the model, in the order of a run."""
        from mm2pl.mmengine.logging import MMLogger
        from mm2pl.mmengine.registry import DefaultScope

        if not MMLogger.check_instance_created("mm2pl-check"):
            MMLogger.get_instance("mm2pl-check", log_level="ERROR")
        self.import_modules()
        scope = self.cfg.get("default_scope", "mmengine")
        with DefaultScope.overwrite_default_scope(scope if isinstance(scope, str) else None):
            self.at_types()
            self.at_model()

    # ------------------------------------------------------------------------- imports

    def import_modules(self) -> None:
        """Import the modules of ``custom_imports`` and the library of ``default_scope``."""
        from mm2pl.mmengine.registry._imports import import_scope
        from mm2pl.mmengine.utils import import_modules_from_strings

        custom = self.cfg.get("custom_imports")
        if custom:
            error = _error_of(lambda: import_modules_from_strings(**custom))
            if error is not None:
                self._causes[_cause(error)] = "custom_imports"
                self._add(_of_error(error, "custom_imports", MISSING))
        scope = self.cfg.get("default_scope")
        if not isinstance(scope, str) or scope == "mmengine":
            return
        error = _error_of(lambda: import_scope(scope))
        missing = error.name if isinstance(error, ModuleNotFoundError) else ""
        if error is None or missing == f"{scope}.registry":  # a package without registries
            return
        if _cause(error) in self._causes:  # told already
            return
        self._causes[_cause(error)] = "default_scope"
        if missing == scope:
            self._add(_not_installed(scope))
        else:
            finding = _of_error(error, "default_scope", MISSING)
            self._add(replace(finding, text=f"{scope} cannot be imported: {finding.text}"))

    # ------------------------------------------------------------------------- classes

    def at_types(self) -> None:
        """Look up every class, and look at its arguments."""
        from mm2pl.check import lookup

        for place in places(self.cfg):
            self.built["types"] += 1
            try:
                found = lookup.look_up(place)
            except Exception as error:
                self._not_found(place, error)
            else:
                self._at_class(place, found)
        for cause, names in self._not_looked_up.items():
            key_path = self._causes[cause]
            one = self.found[key_path]
            listed = ", ".join(dict.fromkeys(names))
            self.found[key_path] = replace(one, text=f"{one.text}; so {listed} cannot be found")

    def _not_found(self, place: Place, error: Exception) -> None:
        """Tell why a class is not found; of what fails for one reason, all at once."""
        from mm2pl.mmengine.registry.errors import UnknownTypeError

        finding = replace(_of_error(error, place.key_path), key_path=place.key_path)
        cause = _cause(error)
        is_unknown = isinstance(error, UnknownTypeError) and error.__cause__ is None
        if is_unknown and place.registry == ANY:
            # Some names are no classes: mmcv finds dict(type="nms") in a module of its own.
            self._doubtful.append(finding)
            return
        self.built["missing"] += 1
        if is_unknown:
            self._add(finding)
        elif cause in self._causes:
            self._not_looked_up.setdefault(cause, []).append(str(place.name))
        else:
            self._causes[cause] = place.key_path
            self._add(finding)

    def _at_class(self, place: Place, found: Any) -> None:
        from mm2pl.check.lookup import accepted
        from mm2pl.metrics.torch_metric import TORCH_METRIC_KEYS, is_torchmetric

        marker = vars(found).get("__marker__") if inspect.isclass(found) else None
        if marker is not None:
            text = f"{place.name} is not supported: {marker.reason}"
            self._add(Finding(place.key_path, Status.UNSUPPORTED.value, text, hint=marker.hint))
            return
        names = None if place.registry == ANY else accepted(found)
        if names is None:
            return
        if is_torchmetric(found):
            names = [*names, *TORCH_METRIC_KEYS]
        for key in place.arguments:
            if key not in names and key not in _TAKEN_OUT.get(place.registry, ()):
                text = f"{getattr(found, '__name__', found)} takes no such argument"
                choices = nearest(key, names)
                self._add(Finding(f"{place.section}.{key}", WRONG, text, tuple(choices)))

    # ------------------------------------------------------------------------- the model

    def at_model(self) -> None:
        """Build the model without memory for its weights, and count them."""
        model = getattr(self.cfg, "_cfg_dict", self.cfg).get("model")
        wrong = next((key for key in self.found if key.startswith("model.")), None)
        if isinstance(model, Mapping) and wrong is None:
            try:
                self._built(_make(model, self.cfg.get("data_preprocessor")))
            except Exception as error:
                wrong = self._not_built(error)
        if wrong is not None:
            self._model(reason=f"{wrong} is {self.found[wrong].status}")
        # What is in the model of a class that was built, is right.
        name = (self.built["model"] or {}).get("name")
        for one in self._doubtful:
            if one.choices and not (name and one.key_path.startswith("model.")):
                self.built["missing"] += 1
                self._add(one)

    def _built(self, model: Any) -> None:
        from torch.nn.parameter import is_lazy

        weights = [one for one in model.parameters() if not is_lazy(one)]
        self._model(type(model).__name__, sum(one.numel() for one in weights))

    def _not_built(self, error: Exception) -> str | None:
        """Return the key path that is at fault, if it is the config's fault."""
        finding = _of_error(error, "model")
        if not _is_the_configs(error):
            self._model(reason=finding.text)
            return None
        if _cause(error) in self._causes:
            return self._causes[_cause(error)]
        self._add(replace(finding, text=f"the model cannot be built: {finding.text}"))
        return finding.key_path

    def _model(
        self, name: str | None = None, parameters: int | None = None, reason: str | None = None
    ) -> None:
        self.built["model"] = {
            "name": name,
            "parameters": parameters,
            "not_built_because": reason,
        }

    def _add(self, finding: Finding) -> None:
        self.found.setdefault(finding.key_path, finding)


# --------------------------------------------------------------------------- making a model


def _make(model: Mapping[str, Any], data_preprocessor: Any) -> Any:
    """Build a model whose weights take no memory; nothing is initialised."""
    from torch import nn

    from mm2pl.check.weightless import Weightless
    from mm2pl.mmengine.registry import MODELS
    from mm2pl.mmengine.registry.errors import at_key

    cfg = copy.deepcopy(model)
    if data_preprocessor is not None and isinstance(cfg, dict):
        cfg.setdefault("data_preprocessor", copy.deepcopy(data_preprocessor))
    with at_key("model"), Weightless():
        built = MODELS.build(cfg)
    if not isinstance(built, nn.Module):
        raise TypeError(f"it is a {type(built).__name__}, not a torch.nn.Module")
    return built


def _is_the_configs(error: Exception) -> bool:
    """Whether a model could not be built because of what the config says or what is missing.

    What torch raises of weights without memory, and what wants a file or a download, is another
    matter: the run may well be able to.
    """
    if any(isinstance(one, OfflineError) for one in with_causes(error)):
        return False
    if isinstance(error, (UnsupportedError, ImportError)):
        return True
    frames = traceback.extract_tb(error.__traceback__)
    in_torch = bool(frames) and f"{os.sep}torch{os.sep}" in frames[-1].filename
    about_meta = re.search(r"\bmeta\b", str(error)) is not None
    return isinstance(error, _WRONG_VALUE) and not in_torch and not about_meta


# --------------------------------------------------------------------------- errors as findings


def _error_of(action: Callable[[], Any]) -> BaseException | None:
    """Return the error that a call raises or returns."""
    try:
        result = action()
    except Exception as error:
        return error
    return result if isinstance(result, BaseException) else None


def _not_installed(scope: str) -> Finding:
    text, hint = f"{scope} is not installed", how_to_get(scope)
    choices = () if hint else tuple(nearest(scope, LIBRARIES))
    return Finding("default_scope", MISSING, text, choices, hint)


def _cause(error: BaseException) -> str:
    """Return what first went wrong, in words that are the same wherever it shows."""
    *_, first = with_causes(error)
    return traceback_line(first)


def _of_error(error: BaseException, key_path: str, status: str | None = None) -> Finding:
    """Return an error as a finding, at the key path that it knows or else at this one."""
    from mm2pl.mmengine.registry.errors import UnknownTypeError, missing_package_hint, trail_of

    gate = version_gates.failed_gate(error)
    known = gate or error
    trail = trail_of(error)
    hints = [] if gate else installation_hints(error)
    text = traceback_line(error)
    choices: Sequence[str] = ()
    if trail is not None and trail.path:
        key_path = trail.path
    if isinstance(known, Mm2plError):
        text, choices = known.message, known.choices
        key_path = known.key_path or key_path
        # The nearest names are a better hint than where names come from.
        told = None if choices and error.__cause__ is None else known.hint
        hints = [hint for hint in [told, *hints] if hint]
    elif isinstance(error, ModuleNotFoundError) and not hints:
        hints = [missing_package_hint(error.name) or ""]
    if status is None:
        lacking = isinstance(known, (UnknownTypeError, ImportError)) or gate is not None
        status = MISSING if lacking else WRONG
        status = Status.UNSUPPORTED.value if isinstance(known, UnsupportedError) else status
    text = re.sub(r"\s*\n\s*", " ", text)
    hint = "; ".join(dict.fromkeys(hints)) or None
    return Finding(_in_brackets(key_path), status, text, tuple(choices), hint)


def _in_brackets(key_path: str) -> str:
    """Return ``a.0.b`` as ``a[0].b``, as key paths of lists are written."""
    return re.sub(r"\.(\d+)(?=\.|$|\[)", r"[\1]", key_path)
