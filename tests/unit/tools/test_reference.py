"""The reference installer: complete or not at all, once, and with a clear error."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tools import reference


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    monkeypatch.setattr(reference, "SITE", tmp_path / "site")
    monkeypatch.setattr(reference, "WHEELS", tmp_path / "wheels")
    return tmp_path


@pytest.fixture
def pip_calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace pip by one that writes a file into its target."""
    calls: list[str] = []

    def pip(command: str, *args: str) -> None:
        calls.append(command)
        option = "--target" if command == "install" else "--dest"
        target = Path(args[args.index(option) + 1])
        target.mkdir(parents=True, exist_ok=True)
        time.sleep(0.05)
        (target / "installed.txt").write_text(command)

    monkeypatch.setattr(reference, "_pip", pip)
    return calls


def fail(*args: str) -> None:
    raise reference.InstallError("no network")


def test_installs_each_part_once(root: Path, pip_calls: list[str]) -> None:
    reference.install()
    reference.install()
    assert pip_calls == ["install", "download"]
    assert (root / "site/installed.txt").is_file()


def test_other_pins_install_that_part_anew(
    root: Path, pip_calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reference.install()
    monkeypatch.setattr(reference, "PACKAGES", ["mmengine==0.10.6"])
    reference.install()
    assert pip_calls == ["install", "download", "install"]


def test_broken_off_installation_is_done_again(
    root: Path, pip_calls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(reference, "_pip", fail)
        with pytest.raises(reference.InstallError):
            reference.install()
    assert not (root / "site").exists()
    reference.install()
    assert (root / "site/installed.txt").is_file()


def test_of_two_at_once_one_installs_and_the_other_waits(root: Path, pip_calls: list[str]) -> None:
    threads = [threading.Thread(target=reference.install) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pip_calls == ["install", "download"]


def test_failure_of_pip_names_the_cause_and_the_way_out(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(root / "empty"))
    with pytest.raises(
        reference.InstallError, match=r"(?s)mmengine==0\.10\.7.*Hint: .*MM2PL_REFERENCE"
    ):
        reference.install()


@pytest.mark.slow
def test_the_reference_runs_beside_nothing_of_ours(reference: object) -> None:
    run: Callable[[str], object] = reference.run  # type: ignore[attr-defined]
    assert run(
        "import json, sys, mmengine.runner;"
        "print(json.dumps([mmengine.__version__, any(m.startswith('mm2pl') for m in sys.modules)]))"
    ) == ["0.10.7", False]


def test_each_python_has_a_folder_of_its_own() -> None:
    assert reference.SITE.name == "site-{}.{}".format(*sys.version_info[:2])
