from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from unittest import mock

import pytest
import torch
import torch.multiprocessing as mp

from mm2pl.errors import UnsupportedError
from mm2pl.mmengine.utils.dl_utils import (
    TimeCounter,
    is_jit_tracing,
    set_multi_processing,
    time_counter,
    torch_meshgrid,
)
from mm2pl.mmengine.utils.dl_utils.visualize import fake_run


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    method, counters = mp.get_start_method(allow_none=True), dict(TimeCounter.instance_dict)
    yield
    mp.set_start_method(method, force=True)
    TimeCounter.instance_dict.clear()
    TimeCounter.instance_dict.update(counters)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the counter sees; code under test adds to it."""
    now = [0.0]
    monkeypatch.setattr(time_counter.time, "perf_counter", lambda: now[0])
    return now


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(time_counter, "print_log", lambda text, logger: lines.append(text))
    return lines


def test_time_counter_logs_averages_after_the_warm_up(
    clock: list[float], logged: list[str]
) -> None:
    @TimeCounter(log_interval=2, warmup_interval=2)
    def work(seconds: float) -> float:
        clock[0] += seconds
        return seconds

    assert [work(s) for s in (9, 1, 2, 3)] == [9, 1, 2, 3]
    assert logged == [
        "[work]-time per run averaged in the past 2 runs: 1000.0 ms",
        "[work]-time per run averaged in the past 4 runs: 2000.0 ms",
    ]


def test_time_counters_of_one_tag_are_one(clock: list[float], logged: list[str]) -> None:
    for seconds in (1, 2):
        with TimeCounter(tag="block"):
            clock[0] += seconds
    assert logged[-1] == "[block]-time per run averaged in the past 2 runs: 1500.0 ms"


def test_time_counter_as_a_context_needs_a_tag() -> None:
    with pytest.raises(AssertionError, match="tag"), TimeCounter():
        pass


def test_time_counter_leaves_functions_alone_outside_of_the_main_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(time_counter, "is_main_process", lambda: False)
    assert TimeCounter(tag="other rank")(abs) is abs


def test_start_method_is_forced_with_a_warning() -> None:
    mp.set_start_method("spawn", force=True)
    with pytest.warns(UserWarning, match="`fork` is different from the previous setting `spawn`"):
        set_multi_processing(mp_start_method="fork")
    assert mp.get_start_method() == "fork"


def test_threads_are_limited_in_distributed_runs_unless_set() -> None:
    mp.set_start_method("fork", force=True)
    with mock.patch.dict(os.environ, {"OMP_NUM_THREADS": "3"}):
        os.environ.pop("MKL_NUM_THREADS", None)
        with pytest.warns(UserWarning, match="Setting MKL_NUM_THREADS") as caught:
            set_multi_processing(distributed=True)
        assert len(caught) == 1
        assert (os.environ["OMP_NUM_THREADS"], os.environ["MKL_NUM_THREADS"]) == ("3", "1")


def test_meshgrid_indexes_as_matrices_do() -> None:
    rows, columns = torch_meshgrid(torch.arange(2), torch.arange(3))
    assert rows.tolist() == [[0, 0, 0], [1, 1, 1]]
    assert columns.tolist() == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_jit_tracing_is_seen_while_tracing() -> None:
    seen = []

    def function(x: torch.Tensor) -> torch.Tensor:
        seen.append(is_jit_tracing())
        return x + 1

    torch.jit.trace(function, torch.zeros(1), check_trace=False)
    assert (seen, is_jit_tracing()) == ([True], False)


def test_deprecated_functions_log_when_called() -> None:
    from mm2pl.mmengine.utils import deprecated_function

    with mock.patch("mm2pl.mmengine.logging.print_log") as print_log:
        assert deprecated_function("1.0", "2.0", "use that")(abs)(-1) == 1
    text, options = print_log.call_args.args[0], print_log.call_args.kwargs
    assert "'builtins.abs' is deprecated in version 1.0" in text
    assert options == {"logger": "current", "level": logging.WARNING}


def test_fake_run_says_that_it_is_not_supported() -> None:
    with pytest.raises(UnsupportedError, match=r"visualize\.fake_run is not supported"):
        fake_run({})
