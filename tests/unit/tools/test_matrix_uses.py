"""What a test uses is read from its source, with what it reaches in its module."""

from __future__ import annotations

from pathlib import Path

from tools.matrix import uses


def read(tmp_path: Path, source: str, name: str = "test_x.py") -> dict[str, uses.Uses]:
    (tmp_path / name).write_text(source)
    return uses.by_test(tmp_path)


def test_a_call_gives_its_arguments_to_the_class(tmp_path: Path) -> None:
    found = read(tmp_path, "def test_a():\n    hooks.EMAHook(1, momentum=2)\n")["test_x.py::test_a"]
    assert found.given["EMAHook"] == {"momentum"}
    assert found.positional["EMAHook"] == 1


def test_a_section_gives_its_keys_to_its_type(tmp_path: Path) -> None:
    source = (
        "def test_a():\n    build({'type': 'mmengine.StepLR', 'gamma': 1})\n"
        "def test_b():\n    build(dict(type=StepLR, step_size=1))\n"
    )
    found = read(tmp_path, source)
    assert found["test_x.py::test_a"].given["StepLR"] == {"gamma"}
    assert found["test_x.py::test_b"].given["StepLR"] == {"step_size"}


def test_a_class_beside_its_arguments_gets_them(tmp_path: Path) -> None:
    found = read(tmp_path, "def test_a():\n    run([('StepLR', {'gamma': 1})])\n")
    assert found["test_x.py::test_a"].given["StepLR"] == {"gamma"}


def test_helpers_tables_and_fixtures_of_the_module_count(tmp_path: Path) -> None:
    source = (
        "import pytest\nTABLE = {'a': dict(type='A', x=1)}\n"
        "def helper():\n    return TABLE\n"
        "@pytest.fixture\ndef made():\n    return B(y=1)\n"
        "def other():\n    C()\n"
        "def test_a(made):\n    helper()\n"
    )
    found = read(tmp_path, source)["test_x.py::test_a"]
    assert {"A", "B"} <= set(found.given)
    assert "C" not in found.given


def test_another_test_does_not_count(tmp_path: Path) -> None:
    source = "def test_a():\n    A()\ndef test_b():\n    assert test_a\n"
    assert "A" not in read(tmp_path, source)["test_x.py::test_b"].given


def test_programs_in_strings_are_read(tmp_path: Path) -> None:
    source = 'PROGRAM = """\nfrom mmengine.hooks import EMAHook\nEMAHook(momentum=1)\n"""\n'
    found = read(tmp_path, f"{source}def test_a():\n    run(PROGRAM)\n")["test_x.py::test_a"]
    assert found.given["EMAHook"] == {"momentum"}
    assert "mmengine.hooks.EMAHook" in found.imported


def test_marks_in_strings_prove_nothing(tmp_path: Path) -> None:
    source = (
        "def test_a():\n    run('import pytest\\n@pytest.mark.proves(1)\\ndef test_b(): ...')\n"
    )
    assert uses.marks(read(tmp_path, source)) == {}


def test_arguments_of_the_trainer_are_found_in_all_forms(tmp_path: Path) -> None:
    source = "def test_a():\n    run('--trainer.max_epochs=1', trainer=dict(devices=2))\n"
    found = read(tmp_path, source)["test_x.py::test_a"]
    assert found.trainer == {"max_epochs", "devices"}


def test_a_file_of_cases_counts_if_a_test_beside_it_names_it(tmp_path: Path) -> None:
    (tmp_path / "scenarios.py").write_text("A(x=1)\n")
    (tmp_path / "forgotten.py").write_text("B(x=1)\n")
    found = read(tmp_path, "PATH = 'scenarios.py'\n")
    assert found["scenarios.py"].given["A"] == {"x"}
    assert "forgotten.py" not in found


def test_marks_name_rows_with_braces_for_several(tmp_path: Path) -> None:
    source = "import pytest\n@pytest.mark.proves('a.{b,c}.{d,e}', 'f')\ndef test_a(): ...\n"
    claimed = uses.marks(read(tmp_path, source))
    assert sorted(claimed) == ["a.b.d", "a.b.e", "a.c.d", "a.c.e", "f"]
    assert claimed["f"] == ["test_x.py::test_a"]


def test_a_mark_of_a_module_is_one_of_all_its_tests(tmp_path: Path) -> None:
    source = "import pytest\npytestmark = pytest.mark.proves('a')\ndef test_a(): ...\n"
    assert uses.marks(read(tmp_path, source)) == {"a": ["test_x.py::test_a"]}
