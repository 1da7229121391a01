"""Writes a config as Python code that reads back as an equal config."""

from __future__ import annotations

import ast
import keyword
import re
import sys
from collections.abc import Iterable
from numbers import Number
from pathlib import PurePath
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

from mm2pl.errors import ConfigTypeError

WIDTH = 79
_TEMPLATE = re.compile(r"\{(?=\{['\"]?\s*(?:\$|_base_\.|file(?:Dirname|Basename|Extname)))")
_BUILTINS = ("float", "complex", "set", "frozenset", "globals", "dict")


def python_code(values: dict[Any, Any]) -> str:
    """Return assignments that make ``values``; functions and modules at the top are left out.

    Keys are sorted, as in MMEngine. Differs: its code is not always readable again.

    Raises:
        ConfigTypeError: A value has no form in code.
    """
    kept = {k: v for k, v in values.items() if not isinstance(v, (FunctionType, ModuleType))}
    # A key that hides a builtin comes after all that may use it.
    keys = sorted(
        kept, key=lambda key: (_BUILTINS.index(key) if key in _BUILTINS else -1, str(key))
    )
    return "".join(
        f"{_target(key)} = {_code(kept[key], 0, str(key), _target(key))}\n" for key in keys
    )


def value_code(value: Any) -> str:
    """Return the expression that makes ``value``; raises as :func:`python_code` does."""
    return _code(value, 0, "")


def _target(key: Any) -> str:
    return key if _is_name(key) else f"globals()[{key!r}]"


def _is_name(key: Any) -> bool:
    # Python normalises other letters: a key written as a name could read back as another.
    name = isinstance(key, str) and key.isascii() and key.isidentifier()
    return name and not keyword.iskeyword(key) and key != "__debug__"


def _code(value: Any, indent: int, path: str, head: str = "") -> str:
    """Return the code of ``value``: one line after ``head`` if it fits, else one per item."""
    if not isinstance(value, (dict, list, tuple)):
        return _leaf(value, path)
    opening, closing, items = _parts(value, path)
    inner = indent + 4
    one_line = opening + ", ".join(f"{h}{_flat(v, p)}" for h, v, p in items) + closing
    if indent + len(head) + 4 + len(one_line) <= WIDTH:
        return one_line
    lines = "".join(f"{' ' * inner}{h}{_code(v, inner, p, h)},\n" for h, v, p in items)
    return f"{opening}\n{lines}{' ' * indent}{closing.lstrip(',')}"


def _flat(value: Any, path: str) -> str:
    if not isinstance(value, (dict, list, tuple)):
        return _leaf(value, path)
    opening, closing, items = _parts(value, path)
    return opening + ", ".join(f"{head}{_flat(item, p)}" for head, item, p in items) + closing


def _parts(value: Any, path: str) -> tuple[str, str, list[tuple[str, Any, str]]]:
    """Return brackets and, for each item, what stands before it, the item, and its key path."""
    if isinstance(value, dict):
        named = all(map(_is_name, value))
        keys = sorted(value, key=str)
        heads = [f"{key}=" if named else f"{_flat(key, path)}: " for key in keys]
        items = [(head, value[key], f"{path}.{key}") for head, key in zip(heads, keys, strict=True)]
        return "dict(" if named else "{", ")" if named else "}", items
    items = [("", item, f"{path}.{index}") for index, item in enumerate(value)]
    if isinstance(value, tuple):
        return "(", ",)" if len(value) == 1 else ")", items
    return "[", "]", items


def _leaf(value: Any, path: str) -> str:
    if isinstance(value, str):
        # What looks like a template in a value must not be filled in when it is read again.
        return _TEMPLATE.sub(r"\\x7b", str.__repr__(value))
    if isinstance(value, bool) or value is None or value is Ellipsis:
        return repr(value)
    if isinstance(value, PurePath):
        return _leaf(str(value), path)
    if isinstance(value, (set, frozenset)):
        return _set(value, path)
    if isinstance(value, (type, FunctionType, BuiltinFunctionType)):
        return repr(_dotted(value, path))
    if isinstance(value, Number):
        return _number(value)
    return _other(value, path)


def _number(value: Any) -> str:
    """Write numbers, numpy's and enumerations too, as Python's own; others as MMEngine does."""
    value = value.item() if hasattr(value, "item") else value
    kind = next((kind for kind in (int, float, complex) if isinstance(value, kind)), None)
    if kind is None:
        return str(value)
    text = kind.__repr__(value)
    special = "inf" in text or "nan" in text
    return f"{kind.__name__}('{text.strip('()')}')" if special else text


def _set(value: Iterable[Any], path: str) -> str:
    items = ", ".join(sorted(_flat(item, path) for item in value))
    if isinstance(value, frozenset):
        return f"frozenset([{items}])"
    return f"{{{items}}}" if items else "set()"


def _dotted(value: Any, path: str) -> str:
    """Return the dotted name of a class or function, which the registry can import."""
    found: Any = sys.modules.get(value.__module__ or "")
    for name in value.__qualname__.split("."):
        found = getattr(found, name, None)
    if found is not value:
        raise ConfigTypeError(
            f"{value!r} cannot be written to a config: no module has it under its name",
            key_path=path,
            hint="define it in a module, and register it.",
        )
    return f"{value.__module__}.{value.__qualname__}"


def _other(value: Any, path: str) -> str:
    """Write what MMEngine writes, the value's ``str``, if that is code at all."""
    text = str(value)
    try:
        ast.parse(text, mode="eval")
    except (SyntaxError, ValueError) as error:
        raise ConfigTypeError(
            f"a {type(value).__name__} cannot be written to a config: {text[:60]}",
            key_path=path,
            hint="use dict(type=...) and let a registry build the object.",
        ) from error
    return text
