"""Which accelerators this machine has.

Differs: a vendor's torch plugin is imported at the first question about it, not at import.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

import torch

_FIRST_NPU_WITH_FULL_PRECISION = 220
_choice = {"cpu": False}


def stay_on_cpu(stay: bool) -> None:
    """Leave the machine's accelerators alone, or use them again: ``trainer.accelerator='cpu'``.

    Only mm2pl has this. ``get_device`` and the questions after accelerators answer accordingly.
    """
    _choice["cpu"] = stay


@cache
def _plugin_works(name: str) -> bool:
    """Tell whether ``torch_<name>`` imports; plugins without their driver raise all sorts."""
    try:
        import_module(f"torch_{name}")
    except Exception:
        return False
    return True


def _peak_megabytes(device_module: Any, device: torch.device | None) -> int:
    return int(device_module.max_memory_allocated(device=device)) // (1024 * 1024)


def get_max_cuda_memory(device: torch.device | None = None) -> int:
    """Return the peak of GPU memory taken by tensors, in MB, and start a new peak.

    Args:
        device: The device; the current one by default.
    """
    peak = _peak_megabytes(torch.cuda, device)
    torch.cuda.reset_peak_memory_stats()
    return peak


def get_max_musa_memory(device: torch.device | None = None) -> int:
    """Return the peak of MUSA memory taken by tensors, in MB."""
    return _peak_megabytes(getattr(torch, "musa"), device)  # noqa: B009 (torch_musa adds it)


def is_cuda_available() -> bool:
    """Tell whether there is a CUDA device."""
    return torch.cuda.is_available() and not _choice["cpu"]


def is_npu_available() -> bool:
    """Tell whether there are Ascend's torch plugin and an NPU."""
    return _plugin_works("npu") and bool(getattr(torch, "npu").is_available())  # noqa: B009


def is_mlu_available() -> bool:
    """Tell whether there are Cambricon's torch plugin and an MLU."""
    return _plugin_works("mlu") and bool(getattr(torch, "mlu").is_available())  # noqa: B009


def is_mps_available() -> bool:
    """Tell whether there is an Apple GPU."""
    return torch.backends.mps.is_available()


def is_dipu_available() -> bool:
    """Tell whether the DIPU plugin imports."""
    return _plugin_works("dipu")


def is_musa_available() -> bool:
    """Tell whether the MUSA plugin imports."""
    return _plugin_works("musa")


def is_npu_support_full_precision() -> bool:
    """Tell whether there is an NPU that trains in full precision."""
    if not is_npu_available():
        return False
    version = import_module("torch_npu.npu.utils").get_soc_version()
    return bool(version >= _FIRST_NPU_WITH_FULL_PRECISION)


# In the order in which MMEngine prefers them.
_AVAILABLE = {
    "npu": is_npu_available,
    "cuda": is_cuda_available,
    "mlu": is_mlu_available,
    "mps": is_mps_available,
    "dipu": is_dipu_available,
    "musa": is_musa_available,
}


# MMEngine's constants, worked out when they are asked for.
_CONSTANTS = {f"IS_{name.upper()}_AVAILABLE": name for name in ("npu", "mlu", "dipu", "musa")}


def __getattr__(name: str) -> Any:
    if name == "DEVICE":
        return get_device()
    if name in _CONSTANTS:
        return _AVAILABLE[_CONSTANTS[name]]()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def get_device() -> str:
    """Return the type of device to use: npu, cuda, mlu, mps, dipu, musa or else cpu."""
    if _choice["cpu"]:
        return "cpu"
    return next((name for name, available in _AVAILABLE.items() if available()), "cpu")
