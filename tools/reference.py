"""Install the reference, MMEngine 0.10.7, and the wheels whose configs are compared, in their own folder.

Nothing of it is ever imported by mm2pl: tests start a process of its own with ``site`` in front of
``PYTHONPATH``. ``MM2PL_REFERENCE`` moves the folder (default ``.reference`` in the repository).
"""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(os.environ.get("MM2PL_REFERENCE", Path(__file__).parents[1] / ".reference"))
SITE = ROOT / "site"
WHEELS = ROOT / "wheels"  # unpacked: wheels/mmdet/.mim/configs ...

# MMEngine imports these at run time; setuptools 81 dropped the pkg_resources that it needs.
PACKAGES = [
    "mmengine==0.10.7",
    "setuptools<81",
    "yapf==0.43.0",
    "platformdirs",
    "termcolor",
    "addict",
    "opencv-python-headless",
]
# These come with their dependencies' versions pinned to what the environment has (numpy above all).
LIBRARIES = ["matplotlib", "contourpy", "cycler", "fonttools", "kiwisolver", "pyparsing", "python-dateutil", "six"]
CONFIG_WHEELS = {"mmpretrain": "1.2.0", "mmdet": "3.3.0", "mmsegmentation": "1.2.2"}


def _pip(*args: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", *args, "--quiet"], check=True)


def install() -> Path:
    """Install what is missing; return the root folder."""
    done = ROOT / "complete"
    if done.exists():
        return ROOT
    ROOT.mkdir(parents=True, exist_ok=True)
    _pip("install", "--no-deps", "--target", str(SITE), "--upgrade", *PACKAGES, *LIBRARIES)
    downloads = ROOT / "downloads"
    specs = [f"{name}=={version}" for name, version in CONFIG_WHEELS.items()]
    _pip("download", "--no-deps", "--dest", str(downloads), *specs)
    for wheel in downloads.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(WHEELS)
    done.touch()
    return ROOT


def environment() -> dict[str, str]:
    """Return the environment variables for a process that runs the real MMEngine."""
    # MMEngine pickles HistoryBuffer into its checkpoints and cannot read that back on torch >= 2.6.
    return {**os.environ, "PYTHONPATH": str(SITE), "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1"}


if __name__ == "__main__":
    print(install())
