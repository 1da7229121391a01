"""Install the reference, MMEngine 0.10.7, and real libraries, each in a folder of its own.

Nothing of MMEngine is ever imported by mm2pl: tests start a process of its own with ``SITE`` in
front of ``PYTHONPATH``. The libraries in ``LIBRARIES`` (mmpretrain, mmcv-lite and so on) run on
either, also in a process of their own. ``MM2PL_REFERENCE`` moves the folder (default ``.reference``
in the repository).
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(os.environ.get("MM2PL_REFERENCE", Path(__file__).parents[1] / ".reference"))
# One for each Python: there are compiled packages in it.
SITE = ROOT / f"site-{sys.version_info.major}.{sys.version_info.minor}"
LIBRARIES = ROOT / f"libraries-{sys.version_info.major}.{sys.version_info.minor}"
WHEELS = ROOT / "wheels"  # unpacked: wheels/mmdet/.mim/configs ...

# What `import mmengine` and its Runner need beyond mm2pl's own dependencies and its extra `dev`
# (numpy, pillow, matplotlib, OpenCV). They come without their dependencies: a second numpy or torch
# in front of the environment's would compare two things at once.
PACKAGES = [
    "mmengine==0.10.7",
    "setuptools<81",  # setuptools 81 dropped the pkg_resources that MMEngine imports
    "yapf==0.43.0",  # newer ones may format a dumped config otherwise
    "platformdirs",  # of yapf
    "termcolor",
    "addict",
]
# Real libraries, and what they import beyond the extra `dev`. torchvision is the build for the
# torch of constraints.txt; its operators are stubbed where it is used (tests/downstream/stubs).
LIBRARY_PACKAGES = [
    "mmpretrain==1.2.0",
    "mmdet==3.3.0",
    "mmsegmentation==1.2.2",
    "mmpose==1.3.2",
    "mmaction2==1.2.0",
    "mmcv-lite==2.1.0",
    "torchvision==0.28.0",
    "einops",
    "mat4py",
    "model-index==0.1.11",  # imported as modelindex
    "ordered-set",
    "markdown",
    "click",
    "importlib-metadata==8.7.0",
    "zipp",
    "yapf==0.43.0",  # mmcv's own use
    "platformdirs",
    "ftfy",
    "regex",
    "wcwidth",
    "prettytable",
    "pycocotools",
    "shapely",
    "terminaltables",
    "json-tricks",
    "munkres",
    "decord",
    "six",  # of mmdet and mmaction2
]
CONFIG_WHEELS = ["mmpretrain==1.2.0", "mmdet==3.3.0", "mmsegmentation==1.2.2"]


class InstallError(RuntimeError):
    """The reference could not be installed; says why and what to do."""


def install() -> Path:
    """Install what is missing; return the root folder.

    Several processes may call this at once: one installs, the others wait. Each part is made
    under another name and moved into place when it is complete, so that a run that broke off
    leaves nothing half done.

    Raises:
        InstallError: pip failed, for instance without a network.
    """
    if all(_is_done(folder, specs) for folder, specs, _ in _parts()):
        return ROOT
    ROOT.mkdir(parents=True, exist_ok=True)
    with _lock(ROOT / "lock"):
        for folder, specs, make in _parts():
            if not _is_done(folder, specs):
                _install_part(folder, specs, make)
    return ROOT


def environment() -> dict[str, str]:
    """Return the environment variables for a process that runs the real MMEngine."""
    # MMEngine pickles HistoryBuffer into its checkpoints and cannot read that back on torch >= 2.6.
    return {**os.environ, "PYTHONPATH": str(SITE), "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}


def _parts() -> list[tuple[Path, list[str], Callable[[Path, list[str]], None]]]:
    return [
        (SITE, PACKAGES, _make_site),
        (WHEELS, CONFIG_WHEELS, _make_wheels),
        (LIBRARIES, LIBRARY_PACKAGES, _make_site),
    ]


def _stamp(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.complete")


def _fingerprint(specs: list[str]) -> str:
    """Return a digest of what is to be installed: other pins install anew."""
    return hashlib.sha256(json.dumps(specs).encode()).hexdigest()


def _is_done(folder: Path, specs: list[str]) -> bool:
    stamp = _stamp(folder)
    return folder.is_dir() and stamp.is_file() and stamp.read_text() == _fingerprint(specs)


def _install_part(folder: Path, specs: list[str], make: Callable[[Path, list[str]], None]) -> None:
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    make(partial, specs)
    _stamp(folder).unlink(missing_ok=True)
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    _stamp(folder).write_text(_fingerprint(specs))


def _make_site(folder: Path, specs: list[str]) -> None:
    _pip("install", "--no-deps", "--target", str(folder), *specs)


def _make_wheels(folder: Path, specs: list[str]) -> None:
    downloads = folder / "downloads"
    _pip("download", "--no-deps", "--only-binary", ":all:", "--dest", str(downloads), *specs)
    for wheel in downloads.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    shutil.rmtree(downloads)


def _pip(*args: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *args, "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        reason = "\n".join(done.stderr.strip().splitlines()[-8:])
        raise InstallError(
            f"the reference (MMEngine 0.10.7, which the tests compare with) cannot be installed "
            f"to {ROOT}:\n{reason}\n"
            "Hint: a package index must be reachable once; or set MM2PL_REFERENCE to a folder that "
            "`python tools/reference.py` filled elsewhere."
        )


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold an exclusive lock that the system releases if this process dies."""
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        print(install())
    except InstallError as error:
        sys.exit(f"error: {error}")
