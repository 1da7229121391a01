"""Prints what scripts of libraries, or the options of our commands, make of configs.

``python program.py mmengine FILE`` runs the libraries' own train.py and test.py up to
``Runner.from_cfg``; ``python program.py mm2pl FILE`` our commands. FILE holds
``{name: [library, script, [argument, ...]]}``. The last line is ``{name: config}`` as JSON, where a
value that JSON does not have is its ``repr``; an error is ``{"error": what it says}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import sys
from pathlib import Path
from typing import Any

COMMANDS = {"train": "fit", "test": "test"}
READY = "the config is ready"


def theirs(library: str, script: str, arguments: list[str]) -> Any:
    """Run the library's script until it asks for a runner."""
    from importlib.util import find_spec

    from mmengine.runner import Runner

    def stop(cfg: Any) -> None:
        raise Ready(cfg)

    class Ready(Exception):
        pass

    Runner.from_cfg = staticmethod(stop)
    folder = Path(next(iter(find_spec(library).submodule_search_locations)))
    path = folder / ".mim" / "tools" / f"{script}.py"
    before, sys.argv = sys.argv, [str(path), *arguments]
    try:
        runpy.run_path(str(path), run_name="__main__")
    except Ready as ready:
        return ready.args[0].to_dict()
    finally:
        sys.argv = before
    raise AssertionError("the script did not ask for a runner")


def ours(library: str, script: str, arguments: list[str]) -> Any:
    """Let our options change the config, and the library's profile."""
    from mm2pl import profiles
    from mm2pl.cli import parse
    from mm2pl.cli.config_run import load

    command = COMMANDS[script]
    cfg, after = load(parse(command, arguments), import_custom_modules=False)
    cfg, _ = profiles.with_profile(cfg, command)
    values = cfg.to_dict()
    return {**values, "after": after.metrics_file} if after.metrics_file else values


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(plain, value)]
    return value if isinstance(value, (str, int, float, bool, type(None))) else repr(value)


def main() -> None:
    engine, file = sys.argv[1:3]
    of = theirs if engine == "mmengine" else ours
    results = {}
    for name, case in json.loads(Path(file).read_text()).items():
        os.environ.pop("LOCAL_RANK", None)
        try:
            with contextlib.redirect_stdout(sys.stderr):
                results[name] = plain(of(*case))
        except SystemExit as end:
            results[name] = {"error": f"exit {end.code}"}
        except Exception as error:
            results[name] = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(results))


if __name__ == "__main__":
    main()
