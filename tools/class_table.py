"""Writes mm2pl/translate/classes.json: the arguments of every class that a config names by `type`.

python tools/class_table.py           write the file
python tools/class_table.py --check   exit with 1 and show the difference if it is stale
"""

from __future__ import annotations

import difflib
import inspect
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from mm2pl.mmengine import _strategy, registry
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.model.wrappers import MMDistributedDataParallel
from mm2pl.mmengine.optim.optimizer import _third_party
from mm2pl.support import counterpart

FILE = Path(__file__).parents[1] / "mm2pl" / "translate" / "classes.json"
# What a class fills in itself, so that a config cannot: `lr` and `momentum` are the names of what
# these schedule.
_FILLED = {"LRSchedulerMixin": "param_name", "MomentumSchedulerMixin": "param_name"}
# Whose arguments **kwargs are, where it is not the next base class.
_KWARGS = {"MMSeparateDistributedDataParallel": MMDistributedDataParallel}
# Hands **kwargs to a class that another argument names.
_TO_ANOTHER = ("ZeroRedundancyOptimizer",)
# Takes **kwargs that nothing can use: the call that saves refuses any.
_CLOSED = ("CheckpointHook",)
# What stands beside MMEngine's classes, and MMEngine does not have.
_OWN = ("CSVVisBackend",)
# Registries of parts that lie inside a model or a data pipeline, whose classes are the library's.
_INSIDE = ("TASK_UTILS", "TRANSFORMS", "WEIGHT_INITIALIZERS", "INFERENCERS", "RUNNER_CONSTRUCTORS")
assert _strategy.__all__  # imported for what it registers


def generate() -> dict[str, Any]:
    """Return the table: for each registry, its classes by name."""
    table: dict[str, Any] = {"torch": torch_version()}
    for name, root in sorted(vars(registry).items()):
        if isinstance(root, registry.Registry) and name not in _INSIDE:
            root.import_from_location()
            members = {key: kind for key, kind in root.module_dict.items() if _is_known(kind)}
            rows = {key: describe(kind) for key, kind in members.items()}
            if name == "OPTIMIZERS":
                rows = {**_of_other_packages(rows), **rows}
            table[name] = {key: rows[key] for key in sorted(rows)}
    return table


def describe(kind: Any) -> dict[str, Any]:
    """Return the row of one class.

    ``arguments`` maps a name to ``[]`` if it is required, to its default in a list if that is a
    plain value, and to null if it is another one.
    """
    marker = getattr(kind, "__marker__", None)
    if marker is not None:
        package = marker.name.rpartition(".")[0]
        row = {"module": package, "open": True, "arguments": {}, "reason": marker.reason}
        return row | ({"hint": marker.hint} if marker.hint else {})
    arguments, is_open = _arguments(kind)
    module = kind.__module__
    if kind.__name__ not in _OWN:
        module = module.replace("mm2pl.mmengine.", "mmengine.")
    row = {"module": module, "arguments": {n: _default(p) for n, p in arguments.items()}}
    mark = counterpart(kind)
    if mark is not None:
        row["becomes"] = [mark.status.value, mark.text]
    if inspect.isclass(kind) and issubclass(kind, Hook):
        row |= {"priority": kind.priority, "points": Hook.get_triggered_stages(kind.__new__(kind))}
    return row | ({"open": True} if is_open and kind.__name__ not in _CLOSED else {})


def torch_version() -> str:
    """Return the version of torch that is installed, without its last number."""
    return ".".join(torch.__version__.split(".")[:2])


def _is_known(kind: Any) -> bool:
    """Whether it is mm2pl's own or torch's; those of other packages depend on what is installed."""
    if getattr(kind, "__marker__", None) is not None:
        return True
    module = str(kind.__module__)
    return module.startswith(("mm2pl.", "torch")) and not module.startswith(_third_party.__name__)


def _of_other_packages(taken: dict[str, Any]) -> dict[str, Any]:
    """Return the optimizers that need a package, whether or not it is installed."""
    rows: dict[str, Any] = {}
    for package in _third_party.PACKAGES:
        for name in package.names:
            prefix = "bnb_" * (package.module == "bitsandbytes.optim" and name in {**taken, **rows})
            rows[prefix + name] = {"module": package.module, "open": True, "arguments": {}}
    return rows


def _arguments(kind: Any) -> tuple[dict[str, inspect.Parameter], bool]:
    """Return the arguments with those that ``**kwargs`` hands to the bases; whether more may go."""
    found: dict[str, inspect.Parameter] = {}
    filled: set[str] = set()
    is_open = False
    for owner, function in _initializers(kind):
        parameters = list(inspect.signature(function).parameters.values())
        for one in parameters[inspect.isclass(kind) :]:
            if one.kind not in _VARIABLE and one.name not in filled:
                found.setdefault(one.name, one)
        filled.add(_FILLED.get(owner, ""))
        is_open = any(one.kind is one.VAR_KEYWORD for one in parameters)
        if not is_open:
            break
    return found, is_open


_VARIABLE = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _initializers(kind: Any) -> Iterator[tuple[str, Callable[..., Any]]]:
    if not inspect.isclass(kind):
        yield kind.__name__, kind
        return
    for base in inspect.getmro(kind):
        if "__init__" in vars(base) and base is not object:
            yield base.__name__, vars(base)["__init__"]
            if base.__name__ in _TO_ANOTHER:
                return
            if base.__name__ in _KWARGS:
                yield from _initializers(_KWARGS[base.__name__])
                return


def _default(parameter: inspect.Parameter) -> list[Any] | None:
    value = parameter.default
    if value is parameter.empty:
        return []
    plain = isinstance(value, (str, int, float, bool, tuple, type(None)))
    return [list(value) if isinstance(value, tuple) else value] if plain else None


def text(table: dict[str, Any]) -> str:
    """Return the file's text, one class a line."""
    parts = []
    for name, rows in table.items():
        if isinstance(rows, str):
            parts.append(f" {json.dumps(name)}: {json.dumps(rows)}")
            continue
        lines = [f"  {json.dumps(key)}: {json.dumps(row)}" for key, row in rows.items()]
        inside = ",\n".join(lines)
        parts.append(f" {json.dumps(name)}: {{\n{inside}\n }}")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def as_of_torch(table: dict[str, Any], written: dict[str, Any]) -> dict[str, Any]:
    """Return the table with the rows of another version of torch, where those are torch's."""
    if written["torch"] == table["torch"]:
        return table
    of_torch = {
        name: {key: row for key, row in written[name].items() if _depends_on_torch(name, row)}
        for name in ("OPTIMIZERS", "MODEL_WRAPPERS")
    }
    same: dict[str, Any] = {**table, "torch": written["torch"]}
    for name, rows in of_torch.items():
        own = {k: row for k, row in table[name].items() if not _depends_on_torch(name, row)}
        same[name] = dict(sorted({**own, **rows}.items()))
    return same


def _depends_on_torch(registry_name: str, row: dict[str, Any]) -> bool:
    return registry_name == "MODEL_WRAPPERS" or str(row["module"]).startswith("torch")


def main(arguments: list[str]) -> int:
    """Write or check the file; return the exit status."""
    table = generate()
    if arguments != ["--check"]:
        FILE.write_text(text(table))
        return 0
    old = FILE.read_text() if FILE.exists() else ""
    new = text(as_of_torch(table, json.loads(old)) if FILE.exists() else table)
    stale = list(difflib.unified_diff(old.splitlines(), new.splitlines(), "file", "code", n=0))
    if stale:
        print(*stale, f"{FILE.name} is stale: run `make matrix`", sep="\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
