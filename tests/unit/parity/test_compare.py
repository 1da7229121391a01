"""The comparison of two reports finds a difference where it is, and shows what is around it."""

from __future__ import annotations

from tests.parity.compare import first_difference


def test_equal_reports_have_no_difference() -> None:
    report = {"a": [1, {"b": None}], "c": "x"}
    assert first_difference(report, {"a": [1, {"b": None}], "c": "x"}) is None


def test_first_differing_event_is_named_with_its_neighbours() -> None:
    theirs = [{"point": f"p{number}"} for number in range(9)]
    ours = [*theirs[:5], {"point": "other"}, *theirs[6:]]
    text = first_difference(ours, theirs)
    assert text is not None
    assert text.startswith("[5]['point'] differs\n  mm2pl:    other\n  mmengine: p5")
    assert "> 5: {'point': 'p5'}" in text


def test_missing_and_added_entries_differ() -> None:
    assert "mm2pl:    (absent)" in str(first_difference([1], [1, 2]))
    assert "mmengine: (absent)" in str(first_difference({"a": 1}, {}))


def test_types_count() -> None:
    assert first_difference({"a": 1}, {"a": 1.0}) is not None
    assert first_difference({"a": True}, {"a": 1}) is not None
