"""An error becomes one message and an exit status."""

from __future__ import annotations

import gc
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mm2pl.errors import ConfigError, ConfigErrors, DataError
from mm2pl.failures import advice, describe, exit_status
from mm2pl.mmengine.config._positions import Positions
from mm2pl.mmengine.registry.errors import add_note, at_key, used_at


def caught(raising: Any) -> Exception:
    with pytest.raises(Exception) as info:  # noqa: PT011 - the test looks closer
        raising()
    return info.value


def built(error: Exception) -> Exception:
    def build() -> None:
        with at_key("model"):
            raise error

    return caught(build)


def used(error: Exception) -> Exception:
    used_at(error, "model")
    return error


class Broken(Dataset[Any]):
    def __init__(self, error: Exception) -> None:
        self.error = error

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Any:
        raise self.error


def told_of_worker(error: Exception) -> str:
    loader: DataLoader[Any] = DataLoader(Broken(error), num_workers=1)
    try:
        list(loader)
    except Exception as raised:
        text = describe(raised, "c.py")
    gc.collect()  # the error's frames, which keep the worker alive, refer to it
    return text


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ConfigError("wrong"), 2),
        (DataError("empty"), 1),
        (ValueError("while running"), 1),
        (built(ValueError("Invalid learning rate")), 2),
        (built(FileNotFoundError("annotations.json")), 2),
        (built(RuntimeError("no network")), 1),
        (used(ValueError("in forward")), 1),
    ],
)
def test_the_status_tells_wrong_configs_from_failed_runs(error: Exception, status: int) -> None:
    assert exit_status(error) == status


def test_an_error_of_ours_says_itself_where_it_is() -> None:
    error = ConfigError("wrong", key_path="a.b", file="c.py", hint="do this")
    assert describe(error, "other.py") == "c.py, a.b: wrong\nHint: do this"


def test_any_other_error_gets_file_key_path_and_place() -> None:
    def fail() -> None:
        raise KeyError("label")

    text = describe(used(caught(fail)), "c.py").splitlines()
    assert text[0] == "c.py, model: KeyError: 'label'"
    assert text[1].endswith('in fail: raise KeyError("label")')
    assert len(text) == 2


def test_an_error_without_words_gets_its_name() -> None:
    assert describe(AssertionError(), "c.py") == "c.py: AssertionError"


def test_the_place_is_the_users_line_not_one_in_torch() -> None:
    error = caught(lambda: torch.nn.Linear(2, 1)(torch.zeros(3)))
    assert "test_failures.py:" in describe(error, "c.py")


def test_the_place_is_not_one_in_the_standard_library() -> None:
    error = caught(lambda: json.loads("{"))
    assert "test_failures.py:" in describe(error, "c.py")


def test_what_was_being_done_is_said_below() -> None:
    error = RuntimeError("no")
    add_note(error, "In the hook Failing at before_run")
    assert describe(error, "c.py").splitlines()[-1] == "  In the hook Failing at before_run"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (IndexError("image 3 is broken"), "c.py: IndexError: image 3 is broken (in "),
        (KeyError("img"), "c.py: KeyError: 'img' (in "),
        (DataError("not found", hint="check"), "not found\nHint: check (in "),
        (ValueError("two\nlines"), "c.py: ValueError: two\nlines (in "),
    ],
)
def test_a_workers_error_is_told_without_its_traceback(error: Exception, expected: str) -> None:
    text = told_of_worker(error)
    assert expected in text
    assert "DataLoader worker process 0" in text
    assert "Traceback" not in text


@pytest.mark.slow
def test_a_workers_error_is_placed_where_the_worker_raised_it() -> None:
    last = told_of_worker(ValueError("x")).splitlines()[-1]
    assert last.endswith("in __getitem__: raise self.error")


# --------------------------------------------------------------------------- what is installed

TORCHVISION = RuntimeError("operator torchvision::nms does not exist")
INSTALLATION = [
    (TORCHVISION, "torchvision does not fit the installed torch"),
    (ModuleNotFoundError("No module named 'mmcv._ext'", name="mmcv._ext"), "full mmcv"),
    (RuntimeError("failed to listen, code: -98, name: EADDRINUSE"), "MASTER_PORT"),
    (ImportError("/x/mmcv/_ext.so: undefined symbol: _ZN3c10"), "compiled for another torch"),
    (ModuleNotFoundError("No module named 'mmseg'", name="mmseg.apis"), "mmsegmentation"),
    (ModuleNotFoundError("No module named 'mmedit'", name="mmedit"), "pip install mmagic, which"),
]


@pytest.mark.parametrize(("error", "hint"), INSTALLATION)
def test_what_does_not_fit_or_is_missing_is_said(error: Exception, hint: str) -> None:
    outer = OSError("cannot go on")
    outer.__cause__ = error
    for one in (error, outer):
        (line,) = advice(one)
        assert line.startswith("Hint: ")
        assert hint in line
        assert line in describe(one, "c.py").splitlines()


@pytest.mark.parametrize(
    "error", [RuntimeError("x"), ModuleNotFoundError("No module named 'x'", name="x")]
)
def test_of_other_errors_nothing_more_is_said(error: Exception) -> None:
    assert advice(error) == []


def test_a_hint_that_the_error_gives_itself_is_not_repeated() -> None:
    error = ConfigError("mmseg is missing", hint="pip install mmsegmentation")
    error.__cause__ = ModuleNotFoundError("No module named 'mmseg'", name="mmseg")
    assert describe(error, "c.py").count("Hint:") == 1


def test_an_error_that_is_its_own_cause_is_described() -> None:
    error = RuntimeError("x")
    error.__cause__ = error
    assert (advice(error), exit_status(error)) == ([], 1)
    assert describe(error, "c.py") == "c.py: RuntimeError: x"


class TestPositions:
    @pytest.fixture
    def file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "base.py").write_text("model = dict(\n    type='A')\n")
        (tmp_path / "c.py").write_text("_base_ = 'base.py'\n\nlr = dict(\n    x=1)\n")
        return "c.py"

    def test_an_error_of_ours_gets_the_line_of_its_key(self, file: str) -> None:
        error = ConfigError("wrong", key_path="lr.x", file=file)
        assert describe(error, file, Positions(file)) == "c.py:4, lr.x: wrong"
        assert str(error) == "c.py, lr.x: wrong"

    def test_the_line_may_be_one_of_a_base(self, file: str) -> None:
        error = ConfigError("wrong", key_path="model.type")
        assert describe(error, file, Positions(file)) == (
            "base.py:2 (a base of c.py), model.type: wrong"
        )

    def test_a_line_that_is_known_is_kept(self, file: str) -> None:
        error = ConfigError("wrong", key_path="lr.x", file="c.py:9")
        assert describe(error, file, Positions(file)) == "c.py:9, lr.x: wrong"

    def test_a_key_that_stands_nowhere_keeps_the_file(self, file: str) -> None:
        error = ConfigError("missing", key_path="train_cfg", file=file)
        assert describe(error, file, Positions(file)) == "c.py, train_cfg: missing"

    def test_each_of_several_problems_gets_its_line(self, file: str) -> None:
        problems = [ConfigError("no", key_path=key, file=file) for key in ("lr.x", "model.type")]
        told = describe(ConfigErrors(problems), file, Positions(file))
        assert told == (
            "2 problems in the config:\n  1. c.py:4, lr.x: no\n"
            "  2. base.py:2 (a base of c.py), model.type: no"
        )

    def test_any_other_error_gets_the_line_of_what_failed(self, file: str) -> None:
        told = describe(used(ValueError("bad")), file, Positions(file))
        assert told == "base.py:1 (a base of c.py), model: ValueError: bad"

    def test_a_key_that_an_option_sets_does_not_get_the_line_of_the_file(self, file: str) -> None:
        error = ConfigError("wrong", key_path="lr.x")
        told = describe(error, file, Positions(file, ["lr"]))
        assert told == "c.py (set by the command line), lr.x: wrong"


def test_several_problems_survive_a_process_border() -> None:
    again = pickle.loads(pickle.dumps(ConfigErrors([ConfigError("a"), ConfigError("b")])))
    assert [one.message for one in again.problems] == ["a", "b"]
    assert str(again) == "2 problems in the config:\n  1. a\n  2. b"
