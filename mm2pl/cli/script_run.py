"""``mm2pl run``: a script as ``python SCRIPT ARGS`` runs it, with mm2pl in MMEngine's place."""

from __future__ import annotations

import argparse
import ast
import builtins
import importlib.util
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any

from mm2pl import version_gates
from mm2pl.alias import install_as_mmengine
from mm2pl.cli.output import say
from mm2pl.errors import Mm2plError, nearest
from mm2pl.failures import advice
from mm2pl.libraries import how_to_get

_MAIN = "__main__"
_TOOLS = Path(".mim", "tools")


_EXAMPLES = """SCRIPT runs as by `python SCRIPT`, with mm2pl's modules for `import mmengine`.
PACKAGE:NAME is a script among the tools of an installed library.

examples:
  mm2pl run tools/train.py config.py --work-dir runs/a
  mm2pl run mmpretrain:train config.py
  mm2pl run mmpretrain:analysis_tools/get_flops config.py
  mm2pl run -m my_package.train --epochs 3
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that stand before the script."""
    parser.usage = "mm2pl run [--relax-version-gates] (SCRIPT | -m MODULE) [ARGS ...]"
    parser.epilog = _EXAMPLES
    version_gates.add_option(parser)


def run_command(command: Sequence[str], args: argparse.Namespace) -> int:
    """Run the script that ``command`` names; what it raises goes through."""
    try:
        install_as_mmengine()
        if args.relax_version_gates:
            version_gates.relax()
        show_tracebacks_as_python()
        script = find(command)
    except Mm2plError as error:
        say(f"error: {error}")
        return error.exit_status
    script.execute()
    return 0


class ScriptError(Mm2plError):
    """There is no such script, or it is not Python."""

    exit_status = 2


@dataclass
class Script:
    """A program that is ready to run.

    Attributes:
        code: Its compiled code.
        arguments: ``sys.argv``.
        folder: The first entry of ``sys.path``.
        names: What Python puts into the ``__main__`` module of such a program.
    """

    code: CodeType
    arguments: list[str]
    folder: str
    names: dict[str, Any] = field(default_factory=dict)

    def execute(self) -> None:
        """Run the program in this process, as its ``__main__``.

        Nothing is put back: like ``python SCRIPT``, it is the last thing that the process does, and
        its threads, exit functions and spawned workers go on looking at ``__main__``.
        """
        main = ModuleType(_MAIN)
        main.__dict__.update(self.names, __annotations__={}, __builtins__=builtins)
        sys.modules[_MAIN] = main
        sys.argv[:] = self.arguments
        sys.meta_path.insert(0, _CheckpointsFinder())
        if not getattr(sys.flags, "safe_path", False):
            sys.path[0] = self.folder
        install_as_mmengine()  # again: what spawned workers need may have stood in that place
        exec(self.code, main.__dict__)


class _CheckpointsFinder(MetaPathFinder):
    """Lets the script's own ``torch.load`` read checkpoints once our module for them is imported.

    Libraries' tools call it bare; since torch 2.6 it refuses what MMEngine puts into a checkpoint.
    """

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "mm2pl.checkpoint":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and isinstance(spec.loader, SourceFileLoader):
            spec.loader = _CheckpointsLoader(spec.loader.name, spec.loader.path)
        return spec


class _CheckpointsLoader(SourceFileLoader):
    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        module.allow_for_torch_load()


def split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divide the arguments into our own options and the script's command line."""
    for index, argument in enumerate(arguments):
        if argument == "--":
            return list(arguments[:index]), list(arguments[index + 1 :])
        if argument == "-m" or not argument.startswith("-"):
            return list(arguments[:index]), list(arguments[index:])
    return list(arguments), []


def find(command: Sequence[str]) -> Script:
    """Find and compile what is to be run.

    Args:
        command: ``SCRIPT ARGS...``, ``PACKAGE:SCRIPT ARGS...`` or ``-m MODULE ARGS...``.

    Raises:
        ScriptError: It does not exist or is not Python.
        SyntaxError: It is Python with a mistake in it.
    """
    if not command or list(command) == ["-m"]:
        raise ScriptError("which script?", hint="mm2pl run SCRIPT ARGS..., or -m MODULE ARGS...")
    if command[0] == "-m":
        return _module(command[1], command[2:])
    package, colon, name = command[0].partition(":")
    if colon and package.isidentifier() and not os.path.exists(command[0]):
        path = _tool(package, name)
        return _file(str(path), [str(path), *command[1:]])
    return _file(command[0], list(command))


def _file(path: str, arguments: list[str]) -> Script:
    if not os.path.isfile(path):
        raise _missing(Path(path))
    full = os.path.join(os.getcwd(), path)
    with io.open_code(full) as file:
        source = file.read()
    try:
        code = compile(source, full, "exec", dont_inherit=True)
    except (SyntaxError, ValueError) as error:
        if path.endswith(".py"):
            raise
        raise _not_python(path) from error
    if _does_nothing(ast.parse(source).body):
        what = f"{path} does nothing but set names: it is a config, not a script"
        raise ScriptError(what, hint=f"a config is run by mm2pl fit {path}")
    names = {"__file__": full, "__loader__": SourceFileLoader(_MAIN, full), "__cached__": None}
    return Script(code, arguments, os.path.dirname(os.path.realpath(full)), names)


def _does_nothing(body: Sequence[ast.stmt]) -> bool:
    """Whether code only sets names to literals and ``dict(...)``, as most configs do."""
    calls = [one for node in body for one in ast.walk(node) if isinstance(one, ast.Call)]
    sets = [node for node in body if isinstance(node, (ast.Assign, ast.AnnAssign))]
    remarks = [
        node for node in body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    ]
    return (
        bool(sets)
        and len(sets) + len(remarks) == len(body)
        and all(isinstance(one.func, ast.Name) and one.func.id == "dict" for one in calls)
    )


def _missing(path: Path) -> ScriptError:
    folder = path.parent
    scripts = [str(one) for one in folder.glob("*.py")] if folder.is_dir() else []
    if path.is_dir():
        what, scripts = "is a folder", [str(one) for one in path.glob("*.py")]
    elif not folder.is_dir():
        what = f"does not exist, nor does the folder {folder}"
    else:
        what = "does not exist"
    return ScriptError(
        f"the script {path} {what}",
        choices=nearest(str(path), scripts),
        hint="a library's own script is run by mm2pl run PACKAGE:NAME, e.g. mmpretrain:train",
    )


def _not_python(path: str) -> ScriptError:
    hint = "mm2pl run takes Python scripts; a config is run by mm2pl fit CONFIG"
    if path.endswith(".sh"):
        hint = (
            "a shell script starts Python itself; run the Python script that it starts, for several"
            " processes: torchrun ... -m mm2pl run tools/train.py CONFIG --launcher pytorch"
        )
    return ScriptError(f"{path} is not Python", hint=hint)


def _tool(package: str, name: str) -> Path:
    """Return the script that an installed library has among its tools."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ScriptError(f"the package {package} is not installed", hint=how_to_get(package))
    for location in spec.submodule_search_locations:
        tools = Path(location, _TOOLS)
        path = tools / (name if name.endswith(".py") else f"{name}.py")
        if path.is_file():
            return path
    known = sorted(str(one.relative_to(tools).with_suffix("")) for one in tools.rglob("*.py"))
    stems = {one.rpartition("/")[2]: one for one in reversed(known)}
    close = [*nearest(name, known), *(stems[stem] for stem in nearest(Path(name).name, stems))]
    raise ScriptError(
        f"{package} has no tool {name!r}" if known else f"{package} is installed without its tools",
        file=str(tools),
        choices=[f"{package}:{one}" for one in dict.fromkeys(close)],
    )


def _module(name: str, arguments: Sequence[str]) -> Script:
    sys.path[0] = os.getcwd()  # already now: the module is looked for there
    spec = _spec(name)
    get_code = getattr(spec.loader, "get_code", None)
    code = get_code(spec.name) if get_code else None
    if code is None:
        raise ScriptError(f"the module {name} has no Python code")
    names = {
        "__file__": spec.origin,
        "__loader__": spec.loader,
        "__cached__": spec.cached,
        "__package__": spec.parent,
        # By its name spawned workers import it, under another one than __main__.
        "__spec__": spec,
    }
    return Script(code, [spec.origin or name, *arguments], os.getcwd(), names)


def _spec(name: str) -> ModuleSpec:
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.{_MAIN}")
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        spec = None
    if spec is None:
        hint = "is it installed, or below this folder? A package needs a __main__.py"
        raise ScriptError(f"there is no module {name} to run", hint=hint)
    return spec


def show_tracebacks_as_python() -> None:
    """Let tracebacks begin with the script's own frames, and say below them what is known."""
    previous = sys.excepthook

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        own = _without_ours(trace)
        previous(kind, error.with_traceback(own), own)
        for line in advice(error):
            say(line)

    sys.excepthook = show


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """Return the traceback from behind our last frame; None for a script's syntax error."""
    own = inner = trace
    while inner is not None:
        if inner.tb_frame.f_code.co_filename == __file__:
            own = inner.tb_next
        inner = inner.tb_next
    return own
