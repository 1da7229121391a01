"""Writes compat_matrix.md from the rows that the code itself uses.

python tools/compat_matrix.py           write the file
python tools/compat_matrix.py --check   exit with 1 and show the difference if it is stale
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from mm2pl import mmengine
from mm2pl.distributed import LAUNCHERS
from mm2pl.mmengine import _strategy, registry
from mm2pl.plan import Status
from mm2pl.profiles import PROFILES, Default
from mm2pl.runner import Runner
from mm2pl.support import MARKERS, MISSING_MODULES, Marker
from mm2pl.translate.data import LOADER_RULES
from mm2pl.translate.hooks import DEFAULT_HOOKS
from mm2pl.translate.loops import EVAL_RULES, TRAIN_RULES
from mm2pl.translate.optim import WRAPPER_RULES
from mm2pl.translate.report import Rule
from mm2pl.translate.runtime import SECTION_RULES, TOP_RULES

FILE = Path(__file__).parents[1] / "compat_matrix.md"
OURS = mmengine.__name__
Row = tuple[str, str, str]

INTRODUCTION = """\
# What of MMEngine 0.10.7 works here

Written by `make matrix` from the rows that the code itself reads configs by, from the classes in
its registries and from its marks for what is unsupported; a test fails when this file is stale.

| status | meaning |
|---|---|
| as is | does what it does in MMEngine |
| translated | something of Lightning's does it, with the same result |
| approximated | does nearly the same; the row says what differs |
| no effect | is read and changes nothing here; the row says why |
| decided by its class | is handed to the class that `type` names |
| added by the library's profile | `mm2pl fit`, `validate` and `test` fill it in |
| mm2pl's own | MMEngine does not have it |
| unsupported | using it raises an error with this reason |

Smaller differences, in things that are supported: [docs/differences.md](docs/differences.md).
"""


def generate() -> str:
    """Return the text of compat_matrix.md."""
    modules = list(_modules())
    parts = [INTRODUCTION, "\n## Config keys\n"]
    for title, rules in _sections():
        parts += [f"\n### {title}\n\n", _table("key", map(_rule_row, rules))]
    parts += ["\n### `default_hooks`\n\n", _table("key", _default_hook_rows())]
    parts += ["\n### `launcher`\n\n", _table("value", _launcher_rows())]
    parts += ["\n### What a library's profile adds\n\n", _table("library", _profile_rows())]
    parts.append("\n## Classes that a config names by `type`\n\nOptimizers are torch's own.\n")
    for name, members in _registries():
        rows = [_class_row(key, members[key]) for key in sorted(members)]
        parts += [f"\n### `{name}`\n\n", _table("type", rows)]
    parts.append("\n## The runner\n\n")
    parts.append(_table("attribute", _runner_rows()))
    parts.append("\n## Modules and public names\n\n")
    parts.append(_table("module", [*_module_rows(modules), *_missing_rows()]))
    parts.append("\n### Unsupported names\n\n")
    parts.append(_table("names", _unsupported_rows()))
    return "".join(parts)


def _sections() -> Iterator[tuple[str, Iterable[Rule]]]:
    yield "Top level", TOP_RULES
    for loop, rules in TRAIN_RULES.items():
        yield f"`train_cfg` of {loop}", rules
    yield "`val_cfg` and `test_cfg`", EVAL_RULES
    yield "`train_dataloader`, `val_dataloader` and `test_dataloader`", LOADER_RULES
    yield "`optim_wrapper`", WRAPPER_RULES
    for section, section_rules in SECTION_RULES.items():
        yield f"`{section}`", section_rules


def _rule_row(rule: Rule) -> Row:
    return f"`{rule.key}`", rule.status.value, rule.text


def _default_hook_rows() -> Iterator[Row]:
    for name, hook in DEFAULT_HOOKS.items():
        options = ", ".join(f"{key}={value!r}" for key, value in hook.items() if key != "type")
        text = f"{hook['type']}({options})" if options else hook["type"]
        yield f"`{name}`", Status.TRANSLATED.value, f"{text}, unless the config says otherwise"


def _launcher_rows() -> Iterator[Row]:
    yield "`none`", Status.AS_IS.value, "a process that is alone"
    for name, (_, command) in LAUNCHERS.items():
        text = f"Lightning's DDPStrategy over the processes that `{command}` starts"
        yield f"`{name}`", Status.TRANSLATED.value, text


def _profile_rows() -> Iterator[Row]:
    for scope, profile in PROFILES.items():
        values: dict[str, list[str]] = {}
        for default in profile.defaults:
            values.setdefault(" and ".join(default.commands), []).append(_added(default))
        texts = [f"{commands}: {', '.join(added)}" for commands, added in values.items()]
        text = "; ".join([*texts, f"read from {profile.source}"])
        status = Status.ADDED if texts else Status.NO_EFFECT
        yield f"`{scope}`", status.value, text


def _added(default: Default) -> str:
    value = f"`{default.copied_from}`" if default.copied_from else f"`{default.value!r}`"
    return f"`{default.key_path}` = {value}"


def _runner_rows() -> Iterator[Row]:
    """Yield the runner's public attributes: those of the class, and what an instance keeps."""
    rows = {name: _summary(getattr(Runner, name)) for name in dir(Runner) if name[0] != "_"}
    for name, text in sorted({**rows, **RUNNER_KEEPS, **RUNNER_OWN}.items()):
        is_method = callable(getattr(Runner, name, None))
        status = Status.TRANSLATED if name in _RUN_BY_TRAINER else Status.AS_IS
        own = name in RUNNER_OWN
        yield f"`{name}{'()' * is_method}`", "mm2pl's own" if own else status.value, text


RUNNER_KEEPS = {
    "auto_scale_lr": "The section of the config",
    "cfg": "The config, as it was given",
    "default_scope": "The registry scope in use",
    "log_processor": "Formats the log",
    "logger": "The text log",
    "message_hub": "Histories of scalars, and what hooks tell each other",
    "optim_wrapper": "The optimizer wrapper or wrappers; before training, their config",
    "param_schedulers": "The schedules; before training, their config",
    "visualizer": "Hands scalars and images to the backends",
}
RUNNER_OWN = {
    "bare_model": "The model without a wrapper",
    "datamodule": "The loaders as a LightningDataModule",
    "eval_loop": "Return the loop of `val` or `test`",
    "final_metrics": "Metrics of the last validation or test; empty before the first",
    "from_plan": "Build a runner from a plan, with what was changed since it was made",
    "module": "The LightningModule around the model",
    "plan": "What the settings were translated to",
    "prepare": "Do what comes before the first step; Lightning calls it through its `setup`",
    "randomness": "The `randomness` section",
    "trainer": "The Lightning Trainer",
}
_RUN_BY_TRAINER = ("train", "val", "test", "wrap_model")


def _registries() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each root registry that mm2pl itself fills, with those entries.

    Other entries (torch's optimizers, optional packages' ones) depend on what is installed.
    """
    for name, root in sorted(vars(registry).items()):
        if isinstance(root, registry.Registry):
            own = {key: kind for key, kind in root.module_dict.items() if _is_ours(kind)}
            if own:
                yield name, own


def _is_ours(kind: Any) -> bool:
    return _marker(kind) is not None or str(kind.__module__).startswith("mm2pl.")


def _marker(value: Any) -> Marker | None:
    return getattr(value, "__marker__", None)


def _class_row(name: str, kind: Any) -> Row:
    marker = _marker(kind)
    if marker is not None:
        return f"`{name}`", Status.UNSUPPORTED.value, _why(marker)
    status = Status.TRANSLATED if kind in _driven_by_lightning() else Status.AS_IS
    return f"`{name}`", status.value, _summary(kind)


def _summary(kind: Any) -> str:
    """Return the first sentence of a docstring, in Markdown."""
    first = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")
    first = re.sub(r":\w+:`[~.]?([^`]+)`", r"`\1`", first).replace("``", "`")
    return re.split(r"(?<=[\w`)])\.(?: |$)", first)[0]


def _driven_by_lightning() -> tuple[Any, ...]:
    loops, wrappers = registry.LOOPS, registry.OPTIM_WRAPPERS
    runners, strategies = registry.RUNNERS, registry.STRATEGIES
    roots = (loops, wrappers, runners, strategies)
    return tuple(kind for root in roots for kind in root.module_dict.values())


def _why(marker: Marker) -> str:
    return f"{marker.reason} (hint: {marker.hint.rstrip('.')})" if marker.hint else marker.reason


def _modules() -> Iterator[ModuleType]:
    """Import and yield every public module of our MMEngine surface."""
    for found in pkgutil.walk_packages(mmengine.__path__, f"{OURS}."):
        module = importlib.import_module(found.name)
        if module is _strategy or "._" not in found.name:
            yield module


def _public_name(module: ModuleType) -> str:
    return module.__name__.removeprefix("mm2pl.")


def _module_rows(modules: list[ModuleType]) -> Iterator[Row]:
    """Count names by package: those that the packages' ``__all__`` list."""
    for module in modules:
        names = getattr(module, "__all__", None)
        if not names or not hasattr(module, "__path__"):
            continue
        refused = sum(_marker(getattr(module, name)) is not None for name in names)
        status = Status.AS_IS if refused < len(names) else Status.UNSUPPORTED
        text = f"{len(names)} public names" + (f", {refused} unsupported" if refused else "")
        yield f"`{_public_name(module)}`", status.value, text


def _missing_rows() -> Iterator[Row]:
    for name, marker in MISSING_MODULES.items():
        yield f"`{name}`", Status.UNSUPPORTED.value, _why(marker)


def _unsupported_rows() -> Iterator[Row]:
    """Yield what is marked, names with the same reason in one row."""
    by_reason: dict[str, list[str]] = {}
    for name in sorted(MARKERS):
        by_reason.setdefault(_why(MARKERS[name]), []).append(f"`{name}`")
    for reason, names in by_reason.items():
        yield ", ".join(names), Status.UNSUPPORTED.value, reason


def _table(first: str, rows: Iterable[Row]) -> str:
    lines = [f"| {first} | status | what it becomes, or why not |", "|---|---|---|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def stale_lines(old: str, new: str) -> list[str]:
    """Return the lines that only one of two texts has, marked by ``-`` and ``+``."""
    changes = difflib.unified_diff(old.splitlines(), new.splitlines(), "file", "code", "", "", 0)
    return [line.rstrip() for line in changes]


def main(arguments: list[str]) -> int:
    """Write or check the file; return the exit status."""
    text = generate()
    if arguments != ["--check"]:
        FILE.write_text(text)
        return 0
    stale = stale_lines(FILE.read_text() if FILE.exists() else "", text)
    if stale:
        print(*stale, f"{FILE.name} is stale: run `make matrix`", sep="\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
