"""The benchmark's arithmetic."""

from __future__ import annotations

import pytest

from tools import bench


def test_work_that_an_engine_puts_off_until_it_logs_counts() -> None:
    steps = [0.1] * 9 + [1.1]  # the tenth step of each block logs
    stamps = [0.0]
    for step in steps * 5:
        stamps.append(stamps[-1] + step)
    assert abs(bench.seconds_a_step(stamps) - 0.2) < 1e-9


def test_one_disturbed_block_does_not_count() -> None:
    stamps = [float(step) for step in range(51)]
    stamps = [stamp + 100 * (stamp > 25) for stamp in stamps]
    assert bench.seconds_a_step(stamps) == 1.0


def figures(**costs: float) -> bench.Measurements:
    """Return three rounds of 100 microseconds a step, some processes with others."""
    rows = [row[1:] for rows in bench.SECTIONS.values() for row in rows]
    rows += [(process, raw) for process in bench.PROCESSES for raw in ("raw", "raw_validation")]
    found = {row: [1e-4] * 3 for row in rows}
    for name, cost in costs.items():
        for kind in bench.ENGINE:
            found[name, kind] = [cost, cost, 2 * cost]
    return found


def test_table_shows_steps_against_the_raw_loop_and_mmengine() -> None:
    lines = bench.table(figures(mmengine=3e-4, mm2pl=6e-4)).splitlines()
    rows = [line.split() for line in lines if line.startswith("mm2pl")]
    assert [row[-5:] for row in rows] == [["600", "us", "6.00", "2.00", "2.00"]] * 3


def test_a_slower_machine_does_not_count_against_an_engine() -> None:
    found = figures(mmengine=3e-4, mm2pl=6e-4)
    found["mm2pl", "raw"] = [2e-4] * 3
    assert bench.against(found, "mm2pl", "epochs") == 1.0
    assert bench.against(found, "mm2pl", "validation") == 2.0


@pytest.mark.slow
def test_a_step_makes_fewer_calls_than_mmengines() -> None:
    calls = bench.count_calls()
    ratios = {kind: calls["mm2pl", kind] / calls["mmengine", kind] for kind in bench.ENGINE}
    assert max(ratios.values()) < 0.9, ratios
