"""What a run ran on."""

from __future__ import annotations

import os
import os.path as osp
import subprocess
import sys
import sysconfig
from collections import OrderedDict, defaultdict
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch

from mm2pl.mmengine import __version__
from mm2pl.mmengine.device import is_cuda_available, is_musa_available
from mm2pl.mmengine.utils.dl_utils.parrots_wrapper import _get_cuda_home, get_build_config

_UNAVAILABLE = "Not Available"


def collect_env() -> dict[str, Any]:
    """Return the versions of Python, torch, compilers and libraries, and the GPUs.

    Keys are MMEngine's, in its order. Differs: on Windows the compiler is not looked for.
    """
    info: dict[str, Any] = OrderedDict()
    info["sys.platform"] = sys.platform
    info["Python"] = sys.version.replace("\n", "")
    info["CUDA available"] = is_cuda_available()
    info["MUSA available"] = is_musa_available()
    state: Any = np.random.get_state()
    info["numpy_random_seed"] = state[1][0]
    if info["CUDA available"]:
        info.update(_gpus(torch.cuda))
        info.update(_cuda_toolkit(_get_cuda_home()))
    elif info["MUSA available"]:
        info.update(_gpus(getattr(torch, "musa")))  # noqa: B009 (torch_musa adds it)
        info.update(_musa_toolkit(os.environ.get("MUSA_HOME")))
    compiler = (sysconfig.get_config_var("CC") or "").split()
    info["GCC"] = _first_line(osp.basename(compiler[0]), "--version") if compiler else "n/a"
    info["PyTorch"] = torch.__version__
    info["PyTorch compiling details"] = get_build_config()
    info.update(_libraries())
    info["MMEngine"] = __version__
    return info


def _gpus(device_module: Any) -> dict[str, str]:
    """Return names of GPUs, those of one name together: ``{"GPU 0,1": name}``."""
    numbers = defaultdict(list)
    for number in range(device_module.device_count()):
        numbers[device_module.get_device_name(number)].append(str(number))
    return {f"GPU {','.join(same)}": name for name, same in numbers.items()}


def _cuda_toolkit(home: str | None) -> dict[str, Any]:
    info: dict[str, Any] = {"CUDA_HOME": home}
    if home is not None and osp.isdir(home):
        rocm = home == "/opt/rocm"
        program = osp.join(home, "hip/bin/hipcc" if rocm else "bin/nvcc")
        text = _output(program, "--version" if rocm else "-V")
        start = text.rfind("HIP version:" if rocm else "Cuda compilation tools")
        end = len(text) if rocm else text.rfind("Build ")
        info["NVCC"] = text[start:end].strip() if text else _UNAVAILABLE
    return info


def _musa_toolkit(home: str | None) -> dict[str, Any]:
    info: dict[str, Any] = {"MUSA_HOME": home}
    if home is not None and osp.isdir(home):
        program = osp.join(home, "bin/mcc")
        info["mcc"] = program if _output(program, "-v") else _UNAVAILABLE
    return info


def _libraries() -> dict[str, str]:
    info = {}
    with suppress(PackageNotFoundError):
        # Not imported: it takes long, and raises if it was built for another torch.
        info["TorchVision"] = version("torchvision")
    with suppress(ImportError):
        info["OpenCV"] = import_module("cv2").__version__
    return info


def _output(*command: str) -> str:
    """Return what a program prints, nothing if it cannot be run or fails."""
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return (done.stdout or done.stderr).strip()


def _first_line(*command: str) -> str:
    return _output(*command).partition("\n")[0] or "n/a"
