"""``mm2pl print-config``: a config with its bases and options put together."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from mm2pl.cli.config_file import add_cfg_options, read_config
from mm2pl.cli.output import colours, print_last, say
from mm2pl.errors import ConfigError, ConfigKeyError, ConfigTypeError, nearest

_FORMATS = ("py", "yaml", "json")
_SUFFIXES = {".py": "py", ".yaml": "yaml", ".yml": "yaml", ".json": "json"}
_LEXERS = {"py": "python"}
_EXAMPLES = """\
Bases and --cfg-options are merged in; custom_imports is not run. Each format reads back as an
equal config, but in JSON for what a note names: it has no tuples.

examples:
  mm2pl print-config config.py
  mm2pl print-config config.py --cfg-options model.depth=50 --output resolved.py
  mm2pl print-config config.py --key optim_wrapper.optimizer.lr
  mm2pl print-config config.py --key train_dataloader.dataset.pipeline.0 --format yaml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``print-config``."""
    parser.epilog = _EXAMPLES
    add_cfg_options(parser)
    add = parser.add_argument
    add("--format", choices=_FORMATS, help="default: that of FILE's suffix, else py")
    add("--output", metavar="FILE", help="write to FILE instead of standard output")
    add("--key", metavar="PATH", help="print only what stands there, e.g. model.backbone")


def run(args: argparse.Namespace) -> int:
    """Print the config."""
    suffix = Path(args.output).suffix if args.output else ""
    if args.output and suffix not in _SUFFIXES:
        args.parser.error(f"--output: {args.output} must end in {', '.join(_SUFFIXES)}")
    kind = args.format or _SUFFIXES.get(suffix, "py")
    if args.output and _SUFFIXES[suffix] != kind:
        args.parser.error(f"--output {args.output} and --format {kind} do not fit each other")
    cfg = read_config(args.config, args.cfg_options)
    # As the Python form does: a config of plain Python may hold what it computes with.
    code = (FunctionType, ModuleType)
    values = {k: v for k, v in cfg.to_dict().items() if not isinstance(v, code)}
    if args.key:
        values = value_at(values, args.key, args.config)
    text, notes = _WRITERS[kind](values)
    for note in notes:
        say(f"note: {note}")
    if args.output:
        _write(args.output, text)
    elif colours(sys.stdout):
        _show(text, _LEXERS.get(kind, kind))
    else:
        print_last(text.rstrip("\n"))
    return 0


def value_at(values: Any, key_path: str, file: str) -> Any:
    """Return what stands at ``a.b.0.c``.

    Raises:
        ConfigKeyError: Nothing does.
    """
    done: list[str] = []
    for part in key_path.split("."):
        keys = _keys_of(values)
        if part not in keys:
            where = ".".join(done) or "the config"
            what = "has no" if keys else f"is {values!r}, which holds no"
            near = nearest(part, keys)
            some = ", ".join(keys[:12]) + (", ..." if len(keys) > 12 else "")
            raise ConfigKeyError(
                f"--key {key_path}: {where} {what} {part!r}",
                file=file,
                choices=near,
                hint=f"there is {some}" if keys and not near else None,
            )
        done.append(part)
        values = values[part] if isinstance(values, dict) else values[int(part)]
    return values


def _keys_of(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [key for key in value if isinstance(key, str)]
    return [str(i) for i in range(len(value))] if isinstance(value, (list, tuple)) else []


def as_python(values: Any) -> tuple[str, list[str]]:
    """Return Python code: of a dict the assignments, of another value the value."""
    from mm2pl.mmengine.config._format import python_code, value_code

    text = python_code(values) if isinstance(values, dict) else value_code(values) + "\n"
    return text, []


def as_yaml(values: Any) -> tuple[str, list[str]]:
    """Return YAML in which tuples are marked, so that they read back as tuples."""
    import yaml

    class Dumper(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:
            return True  # what is shared reads as well when it is written twice

    def add_tuple(dumper: Any, value: tuple[Any, ...]) -> Any:
        return dumper.represent_sequence("tag:yaml.org,2002:python/tuple", list(value))

    def add_text(dumper: Any, text: str) -> Any:
        style = '"' if "{{" in text else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)

    Dumper.add_representer(tuple, add_tuple)
    Dumper.add_representer(str, add_text)
    sets = [where for where, value in _all(values) if isinstance(value, frozenset)]
    text = yaml.dump(_plain(values), Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1000)
    # A config's reader would fill in what looks like a template.
    text = re.sub(r"\{(?=\{)", r"\\x7b", text)
    return text.removesuffix("...\n"), _loss("YAML has no", "frozenset", sets, "a set")


def as_json(values: Any) -> tuple[str, list[str]]:
    """Return JSON, and notes on what it cannot hold."""
    import json

    found: dict[str, list[str]] = {"tuple": [], "set": [], "key": []}
    for where, value in _all(values):
        if isinstance(value, (set, frozenset)):
            found["set"].append(where)
        elif isinstance(value, tuple):
            found["tuple"].append(where)
        elif isinstance(value, dict) and not all(isinstance(key, str) for key in value):
            found["key"].append(where)
    text = json.dumps(_plain(values), indent=2, ensure_ascii=False, default=_for_json)
    notes = _loss("JSON has no", "tuple", found["tuple"], "a list")
    notes += _loss("JSON has no", "set", found["set"], "a list")
    notes += _loss("JSON has only text as keys, no", "other key", found["key"], "text")
    return text.replace("{{", "\\u007b{") + "\n", notes


_WRITERS: dict[str, Callable[[Any], tuple[str, list[str]]]] = {
    "py": as_python,
    "yaml": as_yaml,
    "json": as_json,
}


def _for_json(value: Any) -> Any:
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=repr)
    raise ConfigTypeError(
        f"JSON cannot hold {value!r}", hint="print it as Python: --format py, or YAML"
    )


def _loss(what: str, kind: str, places: list[str], instead: str) -> list[str]:
    if not places:
        return []
    more = f" and {len(places) - 3} more" if len(places) > 3 else ""
    return [
        f"{what} {kind}s: written as {instead} (py and yaml keep it): {', '.join(places[:3])}{more}"
    ]


def _all(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each value with its key path."""
    yield path, value
    items: Any = value.items() if isinstance(value, dict) else ()
    if isinstance(value, (list, tuple)):
        items = enumerate(value)
    for key, inner in items:
        yield from _all(inner, f"{path}.{key}" if path else str(key))


def _plain(value: Any) -> Any:
    """Return the value that its Python code makes: names for classes, text for paths."""
    import ast

    from mm2pl.mmengine.config._format import value_code

    if isinstance(value, dict):
        return {_plain(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return (list if isinstance(value, list) else tuple)(map(_plain, value))
    if isinstance(value, (set, frozenset)):
        return set(map(_plain, value))
    if value is None or type(value) in (str, int, float, bool):
        return value
    if hasattr(value, "item"):  # NumPy's numbers
        return _plain(value.item())
    code = value_code(value)
    try:
        return ast.literal_eval(code)
    except ValueError:
        raise ConfigTypeError(
            f"{code} has no form in YAML and JSON", hint="print it as Python: --format py"
        ) from None


def _write(file: str, text: str) -> None:
    try:
        Path(file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"--output: {file} cannot be written: {error.strerror}", hint="check the path"
        ) from error


def _show(text: str, lexer: str) -> None:
    from rich.console import Console
    from rich.syntax import Syntax

    # The terminal's own colours, whatever its background is.
    look = {"theme": "ansi_dark", "background_color": "default"}
    shown = Syntax(text.rstrip("\n"), lexer, word_wrap=True, **look)  # type: ignore[arg-type]
    Console(soft_wrap=True).print(shown)
