"""On ``PYTHONPATH`` of a process that runs a real library: what this machine cannot have, in name.

The registry's torchvision is a CUDA build, whose compiled part does not load beside CPU torch. Its
Python part imports once its operators are known, which nothing under test calls. With
``MM2PL_STUB_MMCV_OPS`` set, mmcv-lite gets names for the operators of a compiled mmcv too; calling
one raises.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

_OPERATORS = [
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "box_iou_rotated(Tensor boxes1, Tensor boxes2) -> Tensor",
    "_cuda_version() -> int",
    *(
        f"{name}(Tensor[] tensors, float[] numbers) -> Tensor[]"
        for stem in ("roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d")
        for name in (stem, f"_{stem}_backward")
    ),
    "qroi_align(Tensor[] tensors, float[] numbers) -> Tensor[]",
]


class _Stubs(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Declares torchvision's operators when it is first imported, and finds ``mmcv._ext``."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname == "torchvision" and not hasattr(self, "library"):
            # Declaring what is there already would end the process.
            self.library = None if _compiled_part_loads() else _declared()
        if fullname == "mmcv._ext" and "MM2PL_STUB_MMCV_OPS" in os.environ:
            return importlib.machinery.ModuleSpec(fullname, self)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return _Operators(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def _declared() -> Any:
    import torch

    library = torch.library.Library("torchvision", "DEF")
    for schema in _OPERATORS:
        library.define(schema)
    return library


def _compiled_part_loads() -> bool:
    """Say whether torchvision brings its operators, beside a CUDA build of torch, say."""
    import torch

    found = importlib.machinery.PathFinder.find_spec("torchvision")
    if found is None or found.origin is None:
        return False
    try:
        torch.ops.load_library(Path(found.origin).with_name("_C.so"))
    except OSError:
        return False
    return True


class _Operators(ModuleType):
    """A module in which every operator exists, and none can be called."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)

        def refuse(*args: object, **kwargs: object) -> NoReturn:
            raise RuntimeError(f"mmcv's operator {name} needs a compiled mmcv")

        return refuse


sys.meta_path.insert(0, _Stubs())
