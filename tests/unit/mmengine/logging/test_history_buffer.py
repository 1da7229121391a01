"""HistoryBuffer: the same numbers as MMEngine's, read late, appended cheaply."""

from __future__ import annotations

import copy
import inspect
import io
import json
import pickle
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from mm2pl.mmengine.logging import HistoryBuffer


def histories(package: str) -> dict[str, Any]:
    """Return what statistics of many histories give; runs with MMEngine and with mm2pl."""
    import importlib
    import random
    import warnings

    import numpy as np

    make = importlib.import_module(f"{package}.logging.history_buffer").HistoryBuffer
    draw = random.Random(7)
    steps: dict[str, tuple[Any, list[Any]]] = {
        "empty": (([], []), []),
        "one int": (([], []), [1]),
        "ints from the constructor": (([1, 2], [1, 1]), [3, 4]),
        "an int, then floats": (([1], [1]), [2.5, 3]),
        "bools, then an int": (([True], [1]), [False, 2]),
        "a big int among small ones": (([1], [1]), [2**63, 1.5]),
        "ints that floats cannot hold": (([1], [1]), [2**53 + 1, 0.5]),
        "nan and infinity": (([0.0], [1]), [float("nan"), float("inf"), 1.0]),
        "numpy floats": (([np.float64(0.1)], [1]), [np.float64(0.2)]),
        "a float32 array": ((np.array([0.1, 0.2], np.float32), np.array([1, 2])), [0.3]),
        "counts": (([0.5], [4]), [(1.5, 2), (2.5, 0), (3.5, 1.5)]),
        "truncated": (([1.0, 2.0, 3.0], [1, 2, 3], 4), [4.0, 5.0, 6.0]),
        "truncated at once": (([1.0, 2.0, 3.0], [1, 2, 3], 2), []),
        "many": (([0.0], [1]), [draw.gauss(0, 1) * 10 ** draw.randint(-9, 9) for _ in range(3000)]),
        "many, truncated": (([0.0], [1], 1500), [draw.random() for _ in range(4000)]),
    }
    found: dict[str, Any] = {}
    for name, (arguments, values) in steps.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            history = make(*arguments)
            reads: list[Any] = []
            for index, value in enumerate(values):
                history.update(*(value if isinstance(value, tuple) else (value,)))
                if index % 700 == 3:
                    reads.append(repr(history.mean(10)))
            for method in ("mean", "max", "min"):
                for window in (None, 0, 1, 2, 10, 10**6):
                    try:
                        reads.append(repr(history.statistics(method, window_size=window)))
                    except ValueError as error:
                        reads.append(type(error).__name__)
            try:
                reads.append(repr(history.current()))
            except ValueError as error:
                reads.append(type(error).__name__)
        for array in history.data:
            reads += [str(array.dtype), list(array.shape), [repr(x) for x in array.tolist()]]
        found[name] = reads
    return found


def refusals(package: str) -> dict[str, list[str]]:
    """Return the kinds of error, with their bases, that wrong use gives."""
    import importlib
    from collections.abc import Callable

    make = importlib.import_module(f"{package}.logging.history_buffer").HistoryBuffer
    full = make([1], [1])
    calls: dict[str, Callable[[], Any]] = {
        "a count too few": lambda: make([1, 2], [1]),
        "text": lambda: full.update("1"),
        "a count of None": lambda: full.update(1, None),
        "a numpy scalar that is no float": lambda: full.update(__import__("numpy").float32(1)),
        "a window of 1.5": lambda: full.mean(1.5),
        "an unknown statistic": lambda: full.statistics("median"),
        "a statistic twice": lambda: make.register_statistics(make.mean),
        "current of nothing": lambda: make().current(),
        "max of nothing": lambda: make().max(),
    }
    found = {}
    for name, call in calls.items():
        try:
            call()
            found[name] = ["no error"]
        except Exception as error:
            found[name] = [kind.__name__ for kind in type(error).__mro__]
    return found


@pytest.fixture(scope="module")
def theirs(reference: Any) -> Any:
    source = "\n".join(inspect.getsource(function) for function in (histories, refusals))
    return reference.run(
        f"from __future__ import annotations\nimport json\nfrom typing import Any\n{source}\n"
        "print(json.dumps([histories('mmengine'), refusals('mmengine')]))"
    )


def test_statistics_equal_mmengines_in_value_and_type(theirs: Any) -> None:
    assert json.loads(json.dumps(histories("mm2pl.mmengine"))) == theirs[0]


def test_wrong_use_raises_what_mmengine_raises(theirs: Any) -> None:
    ours = refusals("mm2pl.mmengine")
    assert {name: kinds[0] in ours[name] for name, kinds in theirs[1].items()} == dict.fromkeys(
        theirs[1], True
    )


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool]
)
def test_a_deferred_tensor_becomes_the_number_that_item_gives(dtype: torch.dtype) -> None:
    tensors = [torch.tensor(value).to(dtype) for value in (0.1, 3.3, 1.0)]
    late, early = HistoryBuffer([True], [1]), HistoryBuffer([True], [1])
    for tensor in tensors:
        late.defer(tensor)
        early.update(tensor.item())
    assert late.data[0].dtype == early.data[0].dtype
    assert late.data[0].tolist() == early.data[0].tolist()


def test_deferred_tensors_of_different_types_keep_their_order_among_numbers() -> None:
    history = HistoryBuffer([0.5], [1])
    history.defer(torch.tensor(1, dtype=torch.int32))
    history.update(2.5)
    history.defer(torch.tensor([[3.5]], dtype=torch.float64, requires_grad=True))
    assert history.data[0].tolist() == [0.5, 1.0, 2.5, 3.5]


def test_a_deferred_tensor_may_be_overwritten() -> None:
    loss = torch.tensor(1.0)
    history = HistoryBuffer()
    history.defer(loss)
    loss.fill_(9.0)
    assert history.current() == 1.0


def test_a_history_that_nobody_reads_does_not_keep_all_its_tensors() -> None:
    history = HistoryBuffer()
    for _ in range(3000):
        history.defer(torch.tensor(1.0))
    assert len(history._pending) < 2000
    assert history.mean() == 1.0


def test_an_array_that_was_read_stays_as_it_was() -> None:
    history = HistoryBuffer([1.0], [1])
    before = history.data[0]
    for value in range(200):
        history.update(float(value))
    assert before.tolist() == [1.0]
    assert history.data[0].shape == (201,)


def test_the_callers_array_is_not_written_into() -> None:
    values = np.arange(4.0)
    history = HistoryBuffer(values, np.ones(4))
    history._log_history = values[:2]
    history._count_history = np.ones(2)
    history.update(9.0)
    assert values.tolist() == [0.0, 1.0, 2.0, 3.0]


def test_appending_does_not_slow_down_as_the_history_grows() -> None:
    def seconds(length: int) -> float:
        history = HistoryBuffer(np.zeros(length), np.ones(length))
        history.update(1.0)
        history.mean(10)  # from here on there is room
        start = time.thread_time()
        for _ in range(2000):
            history.update(1.0)
            history.mean(10)
        return time.thread_time() - start

    # Copying 800 kB each time, as np.append does, takes some twenty times as long.
    assert min(seconds(100_000) for _ in range(3)) < 4 * min(seconds(100) for _ in range(3))


@pytest.fixture
def _registered() -> Iterator[None]:
    before = dict(HistoryBuffer._statistics_methods)
    yield
    HistoryBuffer._statistics_methods.clear()
    HistoryBuffer._statistics_methods.update(before)


@pytest.mark.usefixtures("_registered")
def test_a_registered_statistic_reads_the_arrays_by_mmengines_names() -> None:
    @HistoryBuffer.register_statistics
    def weighted(self: HistoryBuffer, weight: float) -> Any:
        return (self._log_history * weight).sum() / self._count_history.sum()

    history = HistoryBuffer([1.0, 2.0], [1, 1])
    history.update(3.0)
    assert history.statistics("weighted", 2) == 4.0


def test_a_copy_is_independent() -> None:
    history = HistoryBuffer([1.0], [1])
    history.update(2.0)
    other = copy.deepcopy(history)
    history.update(3.0)
    other.update(4.0)
    assert (history.data[0].tolist(), other.data[0].tolist()) == ([1, 2, 3], [1, 2, 4])


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickling_keeps_the_data_and_the_limit(protocol: int) -> None:
    history = HistoryBuffer([1, 2], [3, 4], max_length=3)
    history.update(5)
    again = pickle.loads(pickle.dumps(history, protocol))
    again.update(6)
    assert [array.tolist() for array in again.data] == [[2, 5, 6], [4, 1, 1]]


def test_mmengine_reads_what_we_save(reference: Any, tmp_path: Any) -> None:
    from mm2pl.mmengine.logging import _pickling

    history = HistoryBuffer([0.5], [1])
    history.defer(torch.tensor(1.5))
    torch.save({"loss": history}, tmp_path / "x.pth", pickle_module=_pickling)
    read = reference.run(
        "import json, torch\n"
        f"history = torch.load({str(tmp_path / 'x.pth')!r}, weights_only=False)['loss']\n"
        "history.update(4.0)\n"
        "print(json.dumps([type(history).__module__, history.data[0].tolist(), history.mean(),"
        " history.statistics('max')]))"
    )
    assert read == ["mmengine.logging.history_buffer", [0.5, 1.5, 4.0], 2.0, 4.0]


def test_we_read_what_mmengine_saves(reference: Any, tmp_path: Any) -> None:
    path = tmp_path / "x.pkl"
    reference.run(
        "import pickle\nfrom mmengine.logging import HistoryBuffer\n"
        "history = HistoryBuffer([1, 2], [3, 4], max_length=3)\nhistory.update(5)\n"
        f"pickle.dump(history, open({str(path)!r}, 'wb'), protocol=2)\nprint(0)"
    )

    class Ours(pickle.Unpickler):
        def find_class(self, module: str, name: str) -> Any:
            return super().find_class(module.replace("mmengine.", "mm2pl.mmengine.", 1), name)

    history = Ours(io.BytesIO(path.read_bytes())).load()
    assert isinstance(history, HistoryBuffer)
    assert history.mean() == 1.0
    assert history.max_length == 3


def test_the_newest_known_value_is_told_without_waiting_for_a_later_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    history = HistoryBuffer()
    assert history.newest_known() is None
    history.defer(torch.tensor(1.0))
    with monkeypatch.context() as patched:
        patched.setattr(HistoryBuffer, "_settle", lambda self: pytest.fail("it waits"))
        assert history.newest_known() is None
        history.update(2.0)
        history.defer(torch.tensor(3.0))
        assert history.newest_known() == 2.0
    assert history.current() == 3.0
    assert history.newest_known() == 3.0
