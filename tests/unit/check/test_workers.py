"""Configs that loop, die or print harm neither the check nor its output."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from mm2pl.check.findings import FileReport, Settings
from mm2pl.check.workers import Request, Workers, default_jobs

MODEL = "model = dict(type='Net')\n"


def check(
    folder: Path, bodies: dict[str, str], jobs: int = 2, timeout: float = 60
) -> list[FileReport]:
    requests = []
    for name, body in bodies.items():
        (folder / name).write_text(body)
        requests.append(Request(str(folder / name), False))
    with Workers(Settings(), jobs, timeout) as workers:
        return list(workers.examine(requests))


def test_reports_come_in_the_order_of_the_files(tmp_path: Path) -> None:
    bodies = {f"{number}.py": MODEL for number in range(12)}
    reports = check(tmp_path, bodies)
    assert [Path(one.file).name for one in reports] == list(bodies)
    assert {one.status for one in reports} == {"clean"}


def test_a_config_that_ends_its_process_is_unreadable_and_the_others_are_read(
    tmp_path: Path,
) -> None:
    bodies = {
        "exits.py": "import os\nos._exit(0)\n",
        "killed.py": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)\n",
        "fine.py": MODEL,
    }
    exits, killed, fine = check(tmp_path, bodies, jobs=1)
    assert exits.error is not None
    assert killed.error is not None
    assert "ended the process that read it (exit status 0)" in exits.error.text
    assert "signal SIGKILL" in killed.error.text
    assert fine.status == "clean"


def test_a_config_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    bodies = {"loops.py": "while True:\n    pass\n", "fine.py": MODEL}
    loops, fine = check(tmp_path, bodies, jobs=1, timeout=1.5)
    assert loops.error is not None
    assert "took longer than 1.5 seconds" in loops.error.text
    assert fine.status == "clean"


def test_what_a_config_prints_goes_to_standard_error(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    body = "import os\nprint('by print')\nos.system('echo by a child')\n" + MODEL
    (report,) = check(tmp_path, {"prints.py": body})
    out, err = capfd.readouterr()
    assert (report.status, out) == ("clean", "")
    assert "by print" in err
    assert "by a child" in err


def test_a_config_finds_the_working_directory_and_mmengine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_settings.py").write_text("value = 'Net'\n")
    monkeypatch.chdir(tmp_path)
    body = "if True:\n    import own_settings\n    import mmengine.version\n"
    (report,) = check(tmp_path, {"x.py": f"{body}    model = dict(type=own_settings.value)\n"})
    assert (report.error, report.status) == (None, "clean")


def test_no_process_is_left_when_the_check_breaks_off(tmp_path: Path) -> None:
    (tmp_path / "loops.py").write_text("while True:\n    pass\n")
    with Workers(Settings(), 2, 60) as workers:
        workers.examine([Request(str(tmp_path / "loops.py"), False)] * 4)
        while not workers._started:
            time.sleep(0.01)
    assert all(one.process.poll() is not None for one in workers._started)


def test_few_files_need_one_process() -> None:
    assert default_jobs(0) == default_jobs(16) == 1
    if hasattr(os, "sched_getaffinity") and sys.platform == "linux":
        assert default_jobs(10_000) == len(os.sched_getaffinity(0))


def test_what_a_config_changes_of_its_process_does_not_reach_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mm2pl_shared_name.py").write_text(f"KIND = {name!r}\n")
    uses = "import os, sys\nsys.path.insert(0, {folder!r})\nexec('import mm2pl_shared_name as m')\n"
    bodies = {
        "moves.py": "import os\nos.chdir('/')\nos.environ['MM2PL_LEFT'] = '1'\n"
        "model = dict(type='Net')\ntrain_cfg = dict(val_inteval=1, max_epochs=1)\n",
        "one.py": uses.format(folder="one") + "model = dict(type=m.KIND)\ndel m\n",
        "two.py": uses.format(folder="two")
        + "assert m.KIND == 'two', m.KIND\nassert 'MM2PL_LEFT' not in os.environ\n"
        + "assert 'one' not in sys.path\nmodel = dict(type=m.KIND)\ndel m\n",
    }
    for name, body in bodies.items():
        (tmp_path / name).write_text(body)
    with Workers(Settings(), 1, 60) as workers:
        moves, one, two = workers.examine([Request(name, False) for name in bodies])
    assert [(note.key_path, note.file, note.line) for note in moves.notes] == [
        ("train_cfg.val_inteval", "moves.py", 5)
    ]
    assert (one.status, two.status, two.error) == ("clean", "clean", None)
