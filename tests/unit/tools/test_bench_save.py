"""The arithmetic of the benchmark of saving."""

from __future__ import annotations

from tools import bench_save


def _figures(ours: list[float]) -> bench_save.Measurements:
    theirs = [(1.0, 0.5, 1.0), (2.0, 0.5, 1.0), (4.0, 0.5, 1.0)]
    found: bench_save.Measurements = {}
    for kind in bench_save.KINDS:
        found["mm2pl", kind, 10] = [(one, 0.25, 1.5) for one in ours]
        if not kind.startswith("async"):
            found["mmengine", kind, 10] = theirs
    return found


def test_a_save_is_set_against_the_one_beside_it() -> None:
    figures = _figures([0.5, 1.0, 4.0])  # the machine was slower from round to round
    assert bench_save.ratio(figures, "plain", 10) == 0.5
    assert bench_save.ratio(figures, "async best", 10) == 0.5
    assert bench_save.ratio(figures, "plain", 10, 1) == 0.5


def test_the_table_has_a_line_for_each_kind_and_the_steps_beside_those_in_the_background() -> None:
    lines = bench_save.table(_figures([1.0, 1.0, 1.0]), [10]).splitlines()
    assert len(lines) == 1 + len(bench_save.KINDS)
    assert lines[1].split()[-6:] == ["2000", "ms", "1000", "ms", "0.50", "0.50"]
    assert lines[3].endswith("x 1.50")
