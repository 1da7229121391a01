"""Settings for several processes."""

from __future__ import annotations

import os
import platform
import warnings
from contextlib import suppress
from importlib import import_module

import torch.multiprocessing as mp

_ONE_THREAD = {"OMP_NUM_THREADS", "MKL_NUM_THREADS"}


def set_multi_processing(
    mp_start_method: str = "fork", opencv_num_threads: int = 0, distributed: bool = False
) -> None:
    """Set how processes start and how many threads each has.

    Args:
        mp_start_method: fork, spawn or forkserver; not used on Windows.
        opencv_num_threads: Threads of OpenCV, if that is installed.
        distributed: Whether to set OpenMP and MKL to one thread, where the environment does not
            say otherwise.
    """
    if platform.system() != "Windows":
        current = mp.get_start_method(allow_none=True)
        if current not in (None, mp_start_method):
            warnings.warn(
                f"Multi-processing start method `{mp_start_method}` is different from the "
                f"previous setting `{current}`.It will be force set to `{mp_start_method}`. You "
                "can change this behavior by changing `mp_start_method` in your config."
            )
        mp.set_start_method(mp_start_method, force=True)
    # Broken installations of OpenCV also end here, and are not this function's matter.
    with suppress(ImportError):
        import_module("cv2").setNumThreads(opencv_num_threads)
    if distributed:
        for variable in sorted(_ONE_THREAD - os.environ.keys(), reverse=True):
            warnings.warn(
                f"Setting {variable} environment variable for each process to be 1 in default, "
                "to avoid your system being overloaded, please further tune the variable for "
                "optimal performance in your application as needed."
            )
            os.environ[variable] = "1"
