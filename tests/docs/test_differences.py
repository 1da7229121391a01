from __future__ import annotations

from pathlib import Path

import pytest

from tools import differences


def _list(tmp_path: Path, source: str, module: str = "mmengine/hooks/x.py") -> str:
    path = tmp_path / "mm2pl" / module
    path.parent.mkdir(parents=True)
    path.write_text(source)
    return differences.generate(tmp_path / "mm2pl")


def test_the_list_says_what_the_code_says() -> None:
    document = differences.FILE.read_text()
    assert differences.renewed(document) == document, "stale: run `make matrix`"


def test_a_document_without_the_mark_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the line"):
        differences.renewed("# Differences\n")


def test_a_class_is_named_with_what_its_docstring_marks(tmp_path: Path) -> None:
    text = _list(tmp_path, 'class X:\n    """Does x.\n\n    Differs: no ``y``; see :meth:`z`."""\n')
    assert text == "### mmengine.hooks\n\n- `mmengine.hooks.x.X`: no `y`; see `z`.\n"


def test_a_comment_is_found_under_the_function_around_it(tmp_path: Path) -> None:
    text = _list(tmp_path, "def f():\n    # Differs: faster,\n    # and shorter.\n    return 1\n")
    assert "- `mmengine.hooks.x.f`: faster, and shorter.\n" in text


def test_a_private_function_is_described_by_its_summary(tmp_path: Path) -> None:
    text = _list(tmp_path, 'def _f():\n    """Parse it. Differs: no code is run."""\n')
    assert text.endswith("- `mmengine.hooks.x`: (parse it) no code is run.\n")


def test_code_above_mmengines_interface_is_listed_as_runs(tmp_path: Path) -> None:
    text = _list(tmp_path, '"""Runs. Differs: twice."""\n', "runner.py")
    assert text == "### runs\n\n- `runner`: twice.\n"


def test_docstrings_without_a_mark_give_nothing(tmp_path: Path) -> None:
    assert _list(tmp_path, '"""Runs."""\n# A comment.\n') == ""
