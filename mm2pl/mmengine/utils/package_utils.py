"""Installed packages, by ``importlib.metadata`` (setuptools no longer brings pkg_resources)."""

from __future__ import annotations

import importlib
import os.path as osp
import subprocess
import sys
from importlib.machinery import ModuleSpec
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from importlib.util import find_spec

from packaging.requirements import InvalidRequirement, Requirement


def _find_distribution(package: str) -> Distribution | None:
    """Find an installed distribution by name, or by a requirement such as ``mmcv>=2.0``."""
    try:
        requirement = Requirement(package)
        found = distribution(requirement.name)
    except (InvalidRequirement, PackageNotFoundError):
        return None
    return found if requirement.specifier.contains(found.version, prereleases=True) else None


def _find_module(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except (ImportError, ValueError):
        return None


def is_installed(package: str) -> bool:
    """Tell whether a package is installed, or importable as a module that is no namespace."""
    importlib.invalidate_caches()
    if _find_distribution(package) is not None:
        return True
    spec = _find_module(package)
    return spec is not None and spec.origin is not None


def get_installed_path(package: str) -> str:
    """Return the folder of an installed package's module.

    Raises:
        RuntimeError: It is a namespace package.
        PackageNotFoundError: It is not installed (an ``ImportError``; MMEngine's is
            ``pkg_resources.DistributionNotFound``).
    """
    found = _find_distribution(package)
    if found is None:
        spec = _find_module(package)
        if spec is None:
            raise PackageNotFoundError(package)
        if spec.origin is None:
            raise RuntimeError(
                f"{package} is a namespace package, which is invalid for `get_install_path`"
            )
        return osp.dirname(spec.origin)

    location = str(found.locate_file(""))
    beside = osp.join(location, package)
    if osp.exists(beside):
        return beside
    module = package2module(package)
    path = osp.join(location, module)
    spec = None if osp.exists(path) else _find_module(module)
    # An editable installation keeps its sources elsewhere, where MMEngine does not look.
    return osp.dirname(spec.origin) if spec is not None and spec.origin else path


def package2module(package: str) -> str:
    """Return the name of the (first) module that a package installs.

    Raises:
        PackageNotFoundError: It is not installed.
        ValueError: Its metadata does not tell.
    """
    found = _find_distribution(package)
    if found is None:
        raise PackageNotFoundError(package)
    names = found.read_text("top_level.txt")
    if names is None:
        raise ValueError(f"can not infer the module name of {package}")
    return names.split("\n")[0]


def call_command(cmd: list[str]) -> None:
    """Run a command; raise if it fails."""
    subprocess.check_call(cmd)


def install_package(package: str) -> None:
    """Install a package with this Python's pip unless it is installed.

    Differs: MMEngine takes the first ``python`` on the ``PATH``.
    """
    if not is_installed(package):
        call_command([sys.executable, "-m", "pip", "install", package])
