"""Shared fixtures: the reference MMEngine in its own process, and a check for leaked state."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tools import reference as reference_tool


class Reference:
    """Runs Python source with the real MMEngine 0.10.7, in a process of its own."""

    site = reference_tool.SITE
    wheels = reference_tool.WHEELS

    def process(self, *args: str, cwd: str | Path | None = None) -> str:
        """Run ``python ARGS`` beside the real MMEngine and return its standard output."""
        done = subprocess.run(
            [sys.executable, *args],
            env=reference_tool.environment(),
            cwd=cwd or tempfile.gettempdir(),
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise RuntimeError(f"the reference failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def run(self, source: str) -> Any:
        """Run Python source; return the JSON that it prints as its last line."""
        return json.loads(self.process("-c", source).strip().splitlines()[-1])


@pytest.fixture(scope="session")
def reference() -> Reference:
    reference_tool.install()
    return Reference()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let one worker of pytest-xdist run the tests that share a fixture (loadgroup).

    Otherwise each worker would make it for itself, mostly by a run of the reference.
    """
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        if isinstance(item, pytest.Function) and not item.get_closest_marker("xdist_group"):
            definitions = item._fixtureinfo.name2fixturedefs.values()
            homes = {home for found in definitions for one in found if (home := _shared_in(one))}
            if homes:  # a folder's conftest.py before a file
                item.add_marker(pytest.mark.xdist_group(min(homes, key=len)))


def _shared_in(fixture: pytest.FixtureDef[Any]) -> str | None:
    """Return the file or folder below this one whose tests share a fixture."""
    below = fixture.baseid.startswith("tests/")
    return fixture.baseid if below and fixture.scope in ("module", "session") else None


# --------------------------------------------------------------------------- leaked state


@pytest.fixture(autouse=True)
def _nothing_leaks() -> Iterator[None]:
    """Fail a test that leaves global state behind, in that test and not in a later one.

    What fixtures of a wider scope make lies outside the two looks and is theirs to clean up.
    """
    before = {name: look() for name, look in _LOOKS.items()}
    yield
    _let_threads_end(before["threads"])
    leaks = []
    for name, look in _LOOKS.items():
        leaks += _differences(name, before[name], look())
    if leaks:
        pytest.fail("the test leaks state:\n  " + "\n  ".join(leaks), pytrace=False)


@pytest.fixture(autouse=True)
def _own_singletons() -> Iterator[None]:
    """Let each test begin without loggers, message hubs, visualizers, scopes; forget its own.

    A logger writes to the standard output of its making, which ``capsys`` replaces in each test.
    """
    before = [(kind, dict(kind._instance_dict)) for kind in _manager_classes()]
    for kind, _ in before:
        kind._instance_dict.clear()
    yield
    for kind in _manager_classes():  # those that the test imported or defined too
        for instance in kind._instance_dict.values():
            for handler in getattr(instance, "handlers", ()):
                handler.close()
        kind._instance_dict.clear()
    for kind, instances in before:
        kind._instance_dict.update(instances)


def _threads() -> dict[str, Any]:
    return {f"{thread.name} ({thread.ident})": None for thread in threading.enumerate()}


def _children() -> dict[str, Any]:
    return {f"{child.name} ({child.pid})": None for child in multiprocessing.active_children()}


def _environment() -> dict[str, Any]:
    # pytest itself writes the first, OpenCV the second when it is imported; torch and OpenMP write
    # the others when they are first used.
    ours = ("PYTEST_CURRENT_TEST", "LD_LIBRARY_PATH", "KMP_", "TORCHINDUCTOR_", "TORCH_NCCL_")
    ours += ("CUDA_MODULE_LOADING", "PYTORCH_NVML_")  # the latter is Lightning's, when imported
    return {key: value for key, value in os.environ.items() if not key.startswith(ours)}


def _process() -> dict[str, Any]:
    finders = [type(finder) for finder in sys.meta_path]
    aliases = [finder.__qualname__ for finder in finders if finder.__module__.startswith("mm2pl")]
    return {
        "working directory": os.getcwd(),
        "import finders": aliases,
        "import mmengine": "mmengine" in sys.modules,
    }


def _torch_flags() -> dict[str, Any]:
    """Return torch's global switches; its defaults while it is not imported."""
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "distributed"):
        return _TORCH_DEFAULTS
    group = torch.distributed
    return {
        "default dtype": str(torch.get_default_dtype()),
        "default device": str(torch.get_default_device()),
        "gradients enabled": torch.is_grad_enabled(),
        "inference mode": torch.is_inference_mode_enabled(),
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "cudnn.deterministic": torch.backends.cudnn.deterministic,
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "process group": group.is_available() and group.is_initialized(),
    }


_TORCH_DEFAULTS = {
    "default dtype": "torch.float32",
    "default device": "cpu",
    "gradients enabled": True,
    "inference mode": False,
    "deterministic algorithms": False,
    "cudnn.deterministic": False,
    "cudnn.benchmark": False,
    "process group": False,
}


def _manager_classes() -> list[Any]:
    module = sys.modules.get("mm2pl.mmengine.utils.manager")
    kinds: list[Any] = [] if module is None else list(module.ManagerMixin.__subclasses__())
    for kind in kinds:  # grows while it is read: subclasses of subclasses
        kinds += kind.__subclasses__()
    return kinds


def _registries() -> dict[str, Any]:
    """Return the root registries' entries, less those that a lazy import of ours added."""
    module = sys.modules.get("mm2pl.mmengine.registry")
    registry_class = getattr(module, "Registry", None)
    if module is None or registry_class is None:
        return {}
    found: dict[str, Any] = {}
    for root in [value for value in vars(module).values() if isinstance(value, registry_class)]:
        for child in root.children:
            found[f"{root.name}: child registry {child!r}"] = None
        for key, value in root.module_dict.items():
            if not str(getattr(value, "__module__", "")).startswith(
                ("mm2pl.", "mmengine.", "torch")
            ):
                found[f"{root.name}: {key!r}"] = id(value)
    return found


_LOOKS: dict[str, Callable[[], dict[str, Any]]] = {
    "threads": _threads,
    "child processes": _children,
    "environment variables": _environment,
    "process": _process,
    "torch": _torch_flags,
    "registries": _registries,
}


def _let_threads_end(before: dict[str, Any]) -> None:
    """Give threads and workers that were told to stop a moment to do so."""
    deadline = time.monotonic() + 2
    while (set(_threads()) - set(before) or _children()) and time.monotonic() < deadline:
        time.sleep(0.01)


def _differences(name: str, before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    added = [f"{name}: added {key}" for key in after if key not in before]
    removed = [
        f"{name}: removed {key}"
        for key in before
        if key not in after and name not in ("threads", "child processes")
    ]
    changed = [
        f"{name}: {key} changed from {before[key]!r} to {after[key]!r}"
        for key in after
        if key in before and after[key] != before[key]
    ]
    return added + removed + changed
