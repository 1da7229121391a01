"""The pickle module that writes MMEngine's names."""

from __future__ import annotations

import io
import pickletools
from collections import OrderedDict
from typing import Any

import pytest
import torch

from mm2pl.mmengine.logging import HistoryBuffer, _pickling, print_log


def written(value: Any, protocol: int = 2) -> bytes:
    buffer = io.BytesIO()
    _pickling.Pickler(buffer, protocol).dump(value)
    return buffer.getvalue()


def globals_in(data: bytes) -> set[str]:
    return {
        str(argument) for code, argument, _ in pickletools.genops(data) if code.name == "GLOBAL"
    }


@pytest.mark.parametrize("protocol", [2, 4])
def test_our_classes_and_functions_get_mmengines_names(protocol: int) -> None:
    data = written([HistoryBuffer(), HistoryBuffer(), print_log], protocol)
    ours = {name for name in globals_in(data) if "mmengine" in name}
    assert ours == {
        "mmengine.logging.history_buffer HistoryBuffer",
        "mmengine.logging.logger print_log",
    }


def test_everything_else_keeps_its_name() -> None:
    assert globals_in(written([OrderedDict, torch.float16, len])) == {
        "collections OrderedDict",
        "torch float16",
        "__builtin__ len",
    }


def test_torch_saves_and_loads_tensors_by_it() -> None:
    weights = OrderedDict(a=torch.arange(3.0), b=torch.ones(2, dtype=torch.bfloat16))
    buffer = io.BytesIO()
    torch.save(weights, buffer, pickle_module=_pickling)
    buffer.seek(0)
    read = torch.load(buffer, weights_only=True)
    assert all(torch.equal(read[name], weights[name]) for name in weights)
