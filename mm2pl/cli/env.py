"""``mm2pl env``: the versions that matter for a bug report."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from mm2pl import __version__
from mm2pl.libraries import LIBRARIES

_SHORT = ("torch", "lightning")
_PACKAGES = (
    "torch",
    "torchvision",
    "lightning",
    "pytorch-lightning",
    "torchmetrics",
    "numpy",
    "addict",
    "PyYAML",
    "rich",
    "jsonargparse",
    "tensorboard",
    "opencv-python",
    "opencv-python-headless",
    "matplotlib",
)
# What changes a run; never what may hold a secret.
_VARIABLES = re.compile(
    r"(CUDA|NCCL|GLOO|TORCH|PYTORCH|OMP|MKL|KMP|MM2PL|MMENGINE|MMCV|PL|LIGHTNING|SLURM|OMPI)_\w+"
    r"|PYTHONPATH|PYTHONHASHSEED|RANK|LOCAL_RANK|WORLD_SIZE|MASTER_ADDR|MASTER_PORT|NO_COLOR"
    r"|TERM|VIRTUAL_ENV|CONDA_DEFAULT_ENV|LD_LIBRARY_PATH"
)
_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_IMPORT = (
    "import sys, mm2pl; mm2pl.install_as_mmengine(); import importlib;"
    " importlib.import_module(sys.argv[1])"
)
_PATIENCE = 120  # seconds for an import
_EXAMPLES = """examples:
  mm2pl env                paste it into a bug report
  mm2pl env --json
  mm2pl env --no-imports   without trying to import the installed libraries
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.epilog = _EXAMPLES
    parser.add_argument("--json", action="store_true", help="print it as JSON")
    parser.add_argument(
        "--no-imports",
        action="store_true",
        help="do not try whether the installed OpenMMLab libraries can be imported",
    )


def run(args: argparse.Namespace) -> int:
    """Print the report."""
    from mm2pl.cli.output import print_last

    report = collect(imports=not args.no_imports)
    print_last(json.dumps(report, indent=2) if args.json else as_markdown(report))
    return 0


def short() -> str:
    """Return the line that ``mm2pl --version`` prints."""
    versions = [f"{name} {_version(name) or 'missing'}" for name in _SHORT]
    return f"mm2pl {__version__} (Python {platform.python_version()}, {', '.join(versions)})"


def collect(imports: bool = True) -> dict[str, dict[str, Any]]:
    """Return the report, by section.

    Args:
        imports: Whether each installed OpenMMLab library is imported, in a process of its own.
    """
    return {
        "mm2pl": _ourselves(),
        "system": _system(),
        "torch": _torch(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
        "OpenMMLab": _libraries(imports),
        "environment": {
            name: value
            for name, value in sorted(os.environ.items())
            if _VARIABLES.fullmatch(name) and not _SECRET.search(name)
        },
    }


def as_markdown(report: dict[str, dict[str, Any]]) -> str:
    """Return the report as lists that are readable as they are, and in an issue."""
    lines: list[str] = []
    for section, values in report.items():
        lines += [f"**{section}**", *(f"- {name}: {value}" for name, value in values.items()), ""]
    return "\n".join(lines).rstrip()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _ourselves() -> dict[str, Any]:
    folder = Path(__file__).parents[1]
    facts: dict[str, Any] = {"version": __version__, "path": str(folder)}
    if (folder.parent / ".git").exists():
        commit = _output("git", "-C", str(folder.parent), "rev-parse", "--short", "HEAD")
        changed = _output("git", "-C", str(folder.parent), "status", "--porcelain", "-uno")
        facts["commit"] = (commit or "unknown") + (" with changes" if changed else "")
    return facts


def _system() -> dict[str, Any]:
    return {
        "OS": platform.platform(),
        "Python": f"{sys.version.split()[0]} ({sys.executable})",
        "CPU": f"{_cpu()}, {os.cpu_count()} cores",
    }


def _cpu() -> str:
    facts = Path("/proc/cpuinfo")
    text = facts.read_text() if facts.exists() else ""
    named = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return named[1] if named else platform.processor() or platform.machine()


def _torch() -> dict[str, Any]:
    try:
        import torch
    except (ImportError, OSError) as error:
        return {"torch": f"cannot be imported: {_last_line(str(error))}"}
    built_for = {"CUDA": torch.version.cuda, "ROCm": torch.version.hip}
    facts: dict[str, Any] = {
        "torch": torch.__version__,
        "built for": ", ".join(f"{name} {of}" for name, of in built_for.items() if of) or "CPU",
        "threads": torch.get_num_threads(),
        "backends": ", ".join(_backends(torch.distributed)) or "none",
    }
    if torch.cuda.is_available():
        facts["cuDNN"] = _version_of_cudnn(torch.backends.cudnn)
        for number in range(torch.cuda.device_count()):
            facts[f"GPU {number}"] = torch.cuda.get_device_name(number)
        driver = ("--query-gpu=driver_version", "--format=csv,noheader")
        facts["driver"] = (_output("nvidia-smi", *driver) or "unknown").partition("\n")[0]
    else:
        facts["GPU"] = "none that torch can use"
    return facts


def _version_of_cudnn(cudnn: Any) -> Any:
    return cudnn.version()


def _backends(distributed: Any) -> Iterable[str]:
    for name in ("gloo", "nccl", "mpi") if distributed.is_available() else ():
        if getattr(distributed, f"is_{name}_available")():
            yield name


def _libraries(imports: bool) -> dict[str, Any]:
    """Return the installed OpenMMLab libraries, mmcv's kind, and whose ``mmengine`` it is."""
    # The same distribution may be found more than once on the path.
    found = {
        scope: version
        for scope, library in LIBRARIES.items()
        if (version := _version(library.package))
    }
    names = [scope for scope in found if find_spec(scope) is not None] if imports else []
    mmcv = _mmcv()
    if imports and mmcv and find_spec("mmcv") is not None:
        names.append("mmcv")
    with ThreadPoolExecutor(max_workers=2) as pool:
        said = dict(zip(names, pool.map(_import, names), strict=True))
    facts: dict[str, Any] = {"mmengine": _mmengine()}
    if mmcv:
        facts["mmcv"] = "; ".join(filter(None, (mmcv, said.get("mmcv"))))
    for scope, version in found.items():
        package = LIBRARIES[scope].package
        name = scope if scope == package else f"{scope} ({package})"
        state = said.get(scope, "its module cannot be found" if imports else None)
        facts[name] = "; ".join(filter(None, (version, state)))
    return facts


def _mmengine() -> str:
    ours = f"mm2pl.mmengine is what mm2pl's commands give (as {_served()})"
    spec = find_spec("mmengine")
    if spec is None:
        return f"not installed; {ours}"
    if spec.origin is None or "mm2pl" in Path(spec.origin).parts:
        return ours
    installed = _version("mmengine") or _version("mmengine-lite") or "without a version"
    return f"{installed} in {Path(spec.origin).parent}; {ours}"


def _served() -> str:
    from mm2pl.mmengine.version import __version__ as served

    return served


def _mmcv() -> str | None:
    found = [f"{name} {version}" for name in ("mmcv", "mmcv-lite") if (version := _version(name))]
    if not found:
        return None
    spec = find_spec("mmcv")
    folders = spec.submodule_search_locations if spec else None
    compiled = any(next(Path(one).glob("_ext*.*"), None) for one in folders or ())
    kind = "with compiled operators (_ext)" if compiled else "without compiled operators (no _ext)"
    both = "; both are installed, remove one" if len(found) > 1 else ""
    return f"{' and '.join(found)}, {kind}{both}"


def _import(name: str) -> str:
    """Return whether a library imports, in a process of its own."""
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[2]), *sys.path]))
    try:
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", _IMPORT, name],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
        )
    except subprocess.TimeoutExpired:
        return f"its import takes more than {_PATIENCE} s"
    if done.returncode == 0:
        return "imports"
    return f"does not import: {_last_line(done.stderr) or f'exit status {done.returncode}'}"


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1]


def _output(*command: str) -> str | None:
    """Return what a command prints, None if there is no such command or it fails."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
