"""Libraries that assert the version of another one when they are imported, and the way past it.

mmdet's ``__init__``, for example, asserts ``mmcv < 2.2``. :func:`failed_gate` turns such an
``AssertionError`` into an error that says what to install. :func:`relax` lets the packages be
imported all the same: the assertions alone become warnings, and every version stays what it is.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib import metadata
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType, ModuleType
from typing import Any

from mm2pl import child_path
from mm2pl.errors import Mm2plError, with_causes

# On PYTHONPATH it brings a child process here when it starts.
_FOR_CHILDREN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_relaxed")
_OURS = "mmengine"
# As OpenMMLab's packages word it; the names below hold the ends of the range.
_INCOMPATIBLE = re.compile(r"(\w+)==(\S+) is used but incompatible")
_LOWEST, _HIGHEST = "{}_minimum_version {}_min_version {}_min", "{}_maximum_version {}_max"


class VersionGateError(Mm2plError, AssertionError):
    """A library does not take the version of another one that is installed."""

    exit_status = 2


class VersionGateWarning(UserWarning):
    """A library runs with a version of another one that it does not take."""


def failed_gate(error: BaseException | None) -> VersionGateError | None:
    """Return what to say of an error that a version gate raised or caused, None for any other."""
    for one in with_causes(error):
        names = _names_of_gate(one)
        if names is not None:
            return _gate_error(names, str(one))
    return None


def _names_of_gate(error: BaseException) -> Mapping[str, Any] | None:
    """Return the globals of the package whose ``__init__`` asserted a version."""
    trace = error.__traceback__
    if not isinstance(error, AssertionError) or trace is None:
        return None
    while trace.tb_next is not None:
        trace = trace.tb_next
    frame = trace.tb_frame
    is_package = frame.f_code.co_name == "<module>" and "__path__" in frame.f_globals
    return frame.f_globals if is_package and _INCOMPATIBLE.search(str(error)) else None


def _gate_error(names: Mapping[str, Any], message: str) -> VersionGateError:
    library = " ".join(str(names[key]) for key in ("__name__", "__version__") if key in names)
    found = _INCOMPATIBLE.search(message)
    if found is None:
        return VersionGateError(f"{library}: {message}", hint=_RELAX)
    needed, version = found.group(1).lower(), found.group(2)
    wanted = f"{needed}{_range(names, needed, message)}"
    hint = (
        f"mm2pl stands in for {_OURS} {version}: install a {names['__name__']} that takes it, or"
        if needed == _OURS
        else f"pip install '{wanted.replace(needed, _distribution(needed), 1)}', or"
    )
    return VersionGateError(
        f"{library} does not take {needed} {version}: it asks for {wanted}",
        hint=f"{hint} {_RELAX}",
    )


_RELAX = "run with --relax-version-gates to try it all the same"


def _range(names: Mapping[str, Any], needed: str, message: str) -> str:
    """Return ``>=2.0.0,<2.2.0``; the message's own words may lack an end, or show tuples."""
    by_lower = {key.lower(): value for key, value in names.items() if isinstance(value, str)}

    def end(patterns: str) -> str | None:
        keys = patterns.format(*[needed] * 3).split()
        return next((by_lower[key] for key in keys if key in by_lower), None)

    lowest, highest = end(_LOWEST), end(_HIGHEST)
    below = "<=" if re.search(r",\s*<=", message) else "<"
    ends = [f">={lowest}" if lowest else "", f"{below}{highest}" if highest else ""]
    return ",".join(filter(None, ends))


def _distribution(module: str) -> str:
    """Return the package to install: mmcv's build without operators has a name of its own."""
    installed = {name for name in (module, f"{module}-lite") if _is_installed(name)}
    return f"{module}-lite" if installed == {f"{module}-lite"} else module


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


# --------------------------------------------------------------------------- the way past


def relax() -> None:
    """Turn the version gates of packages that are imported from now on into warnings.

    So it is in this process and in the Python processes that it starts.
    """
    child_path.add(_FOR_CHILDREN)
    if not any(isinstance(finder, _Gates) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Gates())


def restore() -> None:
    """Undo :func:`relax`; what is imported stays so."""
    child_path.remove(_FOR_CHILDREN)
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _Gates)]


class _Gates(MetaPathFinder):
    """Finds top-level packages as the others do, and loads those with a gate in its own way."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if "." in fullname:
            return None
        others = (finder for finder in sys.meta_path if finder is not self)
        finds = (getattr(finder, "find_spec", None) for finder in others)
        specs = (find(fullname, path, target) for find in finds if find is not None)
        spec = next((one for one in specs if one is not None), None)
        if spec is not None and type(spec.loader) is SourceFileLoader and _may_have_gate(spec):
            spec.loader = _GateLoader(spec.loader.name, spec.loader.path)
        return spec


def _may_have_gate(spec: ModuleSpec) -> bool:
    if not spec.submodule_search_locations or not spec.origin:
        return False
    with open(spec.origin, "rb") as file:
        source = file.read()
    return b"assert" in source and (b"mmcv" in source or b"mmengine" in source)


class _GateLoader(SourceFileLoader):
    """Compiles a package's ``__init__`` with its version gates as warnings, uncached."""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        tree = ast.parse(self.get_data(path), path)
        tree.body = [_relaxed(node) for node in tree.body]
        return compile(ast.fix_missing_locations(tree), path, "exec", dont_inherit=True)


def _relaxed(node: ast.stmt) -> ast.stmt:
    """Return ``if not test: passed(...)`` for the assertion of a version."""
    if not isinstance(node, ast.Assert) or not _is_about_version(node.test):
        return node
    call = ast.parse(f"__import__({__name__!r}, fromlist=['_']).passed(globals(), 0)", mode="eval")
    assert isinstance(call.body, ast.Call)
    call.body.args[1] = node.msg or ast.Constant(ast.unparse(node.test))
    warning = ast.Expr(call.body)
    for part in ast.walk(warning):
        ast.copy_location(part, node)
    test = ast.copy_location(ast.UnaryOp(ast.Not(), node.test), node)
    return ast.copy_location(ast.If(test, [warning], []), node)


def _is_about_version(test: ast.expr) -> bool:
    words = (getattr(part, "id", getattr(part, "attr", "")) for part in ast.walk(test))
    return any("version" in word.lower() for word in words)


def passed(names: Mapping[str, Any], message: str) -> None:
    """Warn of a gate that was passed; called from the package that has it.

    Args:
        names: The globals of the package.
        message: What its assertion says.
    """
    error = _gate_error(names, message)
    warnings.warn(
        f"version gate passed: {error.message}; what fails from here on may be due to it",
        VersionGateWarning,
        stacklevel=2,
    )


def add_option(parser: argparse._ActionsContainer) -> None:
    """Add ``--relax-version-gates`` to a command."""
    parser.add_argument(
        "--relax-version-gates",
        action="store_true",
        help="warn, and go on, where a library does not take the version of another one",
    )
