"""The benchmark's arithmetic."""

from __future__ import annotations

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


def test_table_shows_every_row_against_the_raw_loop_and_mmengine() -> None:
    figures = {(process, kind): 1e-4 for _, process, kind in bench.ROWS}
    figures["mmengine", "engine"] = 3e-4
    figures["mm2pl", "engine"] = 6e-4
    ratios = {key: value / 1e-4 for key, value in figures.items()}
    last = bench.table(figures, ratios).splitlines()[-1].split()
    assert last[-4:] == ["600", "us", "6.00", "2.00"]
