"""The pickle module that writes MMEngine's names."""

from __future__ import annotations

import io
import pickle
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


def test_text_that_looks_like_a_name_stays_as_it_is() -> None:
    name = f"{HistoryBuffer.__module__}\nHistoryBuffer\n"
    text = f"c{name} and {HistoryBuffer.__module__}"
    data = written({"text": text, "class": HistoryBuffer, text: print_log})
    assert pickle.loads(data.replace(b"cmmengine.", b"cmm2pl.mmengine.")) == {
        "text": text,
        "class": HistoryBuffer,
        text: print_log,
    }


def test_what_is_written_is_what_the_pickler_in_python_writes() -> None:
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    value = {"a": [history, history.mean, HistoryBuffer.max], "b": "mm2pl.mmengine.x", 3: print_log}
    slow = io.BytesIO()
    _pickling._SlowPickler(slow, 2).dump(value)
    assert pickletools.optimize(written(value)) == pickletools.optimize(slow.getvalue())


def test_tensors_are_kept_apart_where_the_pickler_in_python_has_to_write() -> None:
    text = f"c{HistoryBuffer.__module__}\nHistoryBuffer\n"
    buffer = io.BytesIO()
    weight = torch.arange(1000.0)
    torch.save([text, HistoryBuffer, weight, weight], buffer, pickle_module=_pickling)
    assert len(buffer.getvalue()) < 6000
