"""Snapshots hold what was there when they were taken; work goes on beside the training."""

from __future__ import annotations

import io
import threading
import time
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mm2pl.background_writing import Background, Pickled, Snapshot
from mm2pl.mmengine.config import ConfigDict
from mm2pl.mmengine.logging import HistoryBuffer


def _parts() -> dict[str, Any]:
    base = torch.arange(12.0)
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    model = nn.Linear(2, 2)
    model.register_buffer("mean", torch.ones(2))
    tensor = torch.ones(3)
    tensor.note = ["kept"]  # type: ignore[attr-defined]
    return {
        "base": base,
        "view": base[3:6],
        "transposed": base.view(3, 4).t(),
        "weights": model.state_dict(),
        "parameter": nn.Parameter(torch.zeros(2), requires_grad=False),
        "gradient": torch.full((2,), 3.0),
        "noted": tensor,
        "sparse": torch.eye(3).to_sparse(),
        "small": torch.ones(2, dtype=torch.bfloat16),
        "empty": torch.empty(0),
        "history": history,
        "array": np.arange(4),
        "list": [1, [2, {"three": 3}]],
        "config": ConfigDict(a=1, b=[2]),
        "ordered": OrderedDict(x=torch.ones(1)),
    }


def _saved(value: Any) -> Any:
    file = io.BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def _plain(value: Any) -> Any:
    """Return a value in a form that can be compared, with what tensors and arrays are."""
    if isinstance(value, torch.Tensor):
        dense = value.to_dense() if value.is_sparse else value
        shape = (tuple(value.shape), () if value.is_sparse else value.stride())
        kind = (type(value), value.dtype, value.requires_grad, vars(value), *shape)
        return kind, dense.tolist()
    if isinstance(value, np.ndarray):
        return value.dtype, value.tolist()
    if isinstance(value, HistoryBuffer):
        return [array.tolist() for array in value.data]
    if isinstance(value, dict):
        return type(value), [(key, _plain(one)) for key, one in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value), [_plain(one) for one in value]
    return value


def _change(parts: dict[str, Any]) -> None:
    with torch.no_grad():
        for value in parts.values():
            if isinstance(value, torch.Tensor) and not value.is_sparse:
                value.fill_(-1)
        parts["sparse"].values().fill_(-1)
        for weight in parts["weights"].values():
            weight.fill_(-1)
        parts["ordered"]["x"].fill_(-1)
    parts["noted"].note.append("later")
    parts["history"].update(9.0)
    parts["array"][:] = -1
    parts["list"][1][1]["three"] = -1
    parts["config"].b.append(-1)
    del parts["ordered"]["x"]


def test_a_snapshot_is_what_a_file_would_have_held_whatever_changes_later() -> None:
    parts = _parts()
    expected = _plain(_saved(parts))
    snapshot = Snapshot(Pickled(parts))
    _change(parts)
    assert _plain(_saved(parts)) != expected
    assert _plain(_saved(snapshot.value())) == expected
    assert _plain(snapshot.value()) == expected


def test_tensors_that_share_memory_go_on_sharing_it_and_nothing_with_the_run() -> None:
    parts = _parts()
    found = Snapshot(Pickled(parts)).value()
    assert found["view"].data_ptr() == found["base"].data_ptr() + 3 * 4
    assert found["transposed"].data_ptr() == found["base"].data_ptr()
    assert found["base"].data_ptr() != parts["base"].data_ptr()
    size = [len(_bytes(value)) for value in (parts, found)]
    assert abs(size[0] - size[1]) < 200


def _bytes(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def test_memory_of_an_earlier_snapshot_is_used_again_and_only_once() -> None:
    first = Snapshot(Pickled([torch.zeros(100), torch.ones(100), torch.ones(7)]))
    second = Snapshot(Pickled([torch.full((100,), 2.0), torch.full((100,), 3.0)]), first.storages)
    places = {storage.data_ptr() for storage in first.storages}
    assert {storage.data_ptr() for storage in second.storages} <= places
    assert [one.tolist() for one in second.value()] == [[2.0] * 100, [3.0] * 100]


def test_what_cannot_be_saved_is_an_error_at_once() -> None:
    with pytest.raises((TypeError, AttributeError, RuntimeError), match=r"pickle|local"):
        Pickled({"lock": threading.Lock()})


def test_one_piece_of_work_waits_for_the_one_before() -> None:
    done: list[int] = []
    go_on = threading.Event()
    background = Background()
    background.start([go_on.wait, lambda: done.append(1)])
    assert background.busy
    assert done == []
    threading.Timer(0.05, go_on.set).start()
    background.start([lambda: done.append(2)])
    background.wait()
    assert done == [1, 2]
    assert not background.busy


def test_what_fails_is_raised_once_and_what_comes_behind_it_is_not_done() -> None:
    def fail() -> None:
        raise OSError("full")

    done: list[int] = []
    background = Background()
    background.start([fail, lambda: done.append(1)])
    end = time.monotonic() + 5
    while background.busy and time.monotonic() < end:
        time.sleep(0.001)
    with pytest.raises(OSError, match="full"):
        background.check()
    background.check()
    background.wait()
    assert done == []


def test_a_look_does_not_wait() -> None:
    go_on = threading.Event()
    background = Background()
    background.start([go_on.wait])
    background.check()
    assert background.busy
    go_on.set()
    background.wait()


def test_equal_values_are_pickled_alike_in_whatever_memory_they_lie() -> None:
    one, other = nn.Linear(2, 2), nn.Linear(2, 2)
    other.load_state_dict(one.state_dict())
    same = [Pickled([module.state_dict(), "text", 3]) for module in (one, other)]
    assert same[0].equals(same[1])
    with torch.no_grad():
        other.weight[0, 0] += 1
    assert not same[0].equals(Pickled([other.state_dict(), "text", 3]))
    assert not same[0].equals(Pickled([one.state_dict(), "text", 4]))
