"""Compares two surfaces that describe.py wrote; yields each difference as one line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Described = dict[str, Any]


def differences(theirs: Described, ours: Described) -> Iterator[tuple[str, str]]:
    """Yield (qualified name, what differs) for each name of MMEngine's that is not the same here.

    A marker is not a difference: it says by itself that it is unsupported, and why.
    """
    for module, names in theirs["surface"].items():
        if module not in ours["surface"]:
            yield module, f"module cannot be imported: {ours['failed'].get(module)}"
            continue
        found = ours["surface"][module]
        if names["__all__"] is not None and set(names["__all__"]) != set(found["__all__"] or ()):
            odd = sorted(set(names["__all__"]) ^ set(found["__all__"] or ()))
            yield f"{module}.__all__", f"differs by {odd}"
        for name, value in names.items():
            if name == "__all__":
                continue
            path = f"{module}.{name}"
            if name not in found:
                yield path, "is missing"
            elif not _is_elsewhere(theirs["surface"], module, name, value):
                yield from _value(path, value, found[name])
            elif found[name] != ours["surface"].get(value["home"], {}).get(name):
                yield path, f"is not what {value['home']} has"


def _is_elsewhere(surface: Described, module: str, name: str, value: Described) -> bool:
    """Tell whether a name is also looked at in the module that it is from."""
    home = value.get("home", module)
    return home != module and name in surface.get(home, {})


def _value(path: str, theirs: Described, ours: Described) -> Iterator[tuple[str, str]]:
    if ours["kind"] == "marker":
        return
    if theirs["kind"] != ours["kind"]:
        yield path, f"is a {ours['kind']}, not a {theirs['kind']}"
    elif theirs["kind"] == "class":
        yield from _class(path, theirs, ours)
    elif theirs["kind"] == "function":
        yield from _signature(path, theirs["signature"], ours["signature"])
    elif theirs != ours:
        yield path, f"is {ours}, not {theirs}"


def _class(path: str, theirs: Described, ours: Described) -> Iterator[tuple[str, str]]:
    lost = [base for base in theirs["bases"] if base not in ours["bases"]]
    if lost:
        yield path, f"lacks the bases {lost}"
    for name, method in theirs["methods"].items():
        other = ours["methods"].get(name)
        if other is None:
            yield f"{path}.{name}", "is missing"
        elif method["kind"] != other["kind"]:
            yield f"{path}.{name}", f"is a {other['kind']}, not a {method['kind']}"
        elif method != other and "signature" in method:
            yield from _signature(f"{path}.{name}", method["signature"], other["signature"])


def _signature(path: str, theirs: Any, ours: Any) -> Iterator[tuple[str, str]]:
    if theirs is not None and (ours is None or not takes_the_same_calls(theirs, ours)):
        yield path, f"takes {_call(ours)}, not {_call(theirs)}"


def takes_the_same_calls(theirs: list[list[str]], ours: list[list[str]]) -> bool:
    """Tell whether each call that MMEngine takes is taken here and binds the same values.

    Ours may have more optional parameters, make a required one optional and take a keyword
    by ``**kwargs``.
    """
    kinds = {kind for _, kind, _ in ours}
    mine = [p for p in ours if p[1] in _POSITIONAL]
    for place, (name, kind, default) in enumerate(p for p in theirs if p[1] in _POSITIONAL):
        if place >= len(mine):
            if kinds >= {"VAR_POSITIONAL", "VAR_KEYWORD"}:
                break
            return False
        same_name = mine[place][0] == name or kind == "POSITIONAL_ONLY"
        if not same_name or (default and mine[place][2] != default):
            return False
    by_name = {p[0]: p for p in ours if p[1] in ("KEYWORD_ONLY", "POSITIONAL_OR_KEYWORD")}
    for name, kind, default in theirs:
        if kind in ("VAR_POSITIONAL", "VAR_KEYWORD") and kind not in kinds:
            return False
        if kind == "KEYWORD_ONLY":
            if name not in by_name and "VAR_KEYWORD" not in kinds:
                return False
            if name in by_name and default and by_name[name][2] != default:
                return False
    extra = {p[0] for p in ours} - {p[0] for p in theirs}
    return all(p[2] or p[1].startswith("VAR") for p in ours if p[0] in extra)


_POSITIONAL = ("POSITIONAL_ONLY", "POSITIONAL_OR_KEYWORD")


def _call(parameters: list[list[str]] | None) -> str:
    if parameters is None:
        return "(?)"
    marks = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**", "KEYWORD_ONLY": "[key] "}
    texts = [
        f"{marks.get(kind, '')}{name}{f'={default}' if default else ''}"
        for name, kind, default in parameters
    ]
    return f"({', '.join(texts)})"
