"""What of mmengine.utils is ours alone, or that a comparison of values cannot show."""

from __future__ import annotations

import io
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from mm2pl.mmengine.utils import (
    ProgressBar,
    get_installed_path,
    get_object_from_string,
    import_modules_from_strings,
    install_package,
    is_installed,
    package_utils,
    track_progress_rich,
)


def test_importing_utils_brings_neither_torch_nor_rich() -> None:
    code = (
        "import sys, mm2pl.mmengine.utils;"
        "sys.exit(any(name in sys.modules for name in ('torch', 'rich', 'pkg_resources')))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_failed_import_names_its_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needs_more.py").write_text("import no_such_dependency")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"needs_more.*no_such_dependency"):
        import_modules_from_strings(["needs_more"])


def test_failed_import_that_is_allowed_warns() -> None:
    with pytest.warns(UserWarning, match="no_such_module failed to import and is ignored"):
        assert import_modules_from_strings("no_such_module", allow_failed_imports=True) is None


def test_function_goes_before_submodule_of_the_same_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "ops_package"
    package.mkdir()
    (package / "__init__.py").write_text("from ops_package.nms import nms\n")
    (package / "nms.py").write_text("def nms(): return 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert get_object_from_string("ops_package.nms")() == 1


def test_progress_bar_writes_to_the_standard_output_of_the_moment(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ProgressBar(2)
    assert "0/2" in capsys.readouterr().out


def make_package(site: Path, name: str, version: str, top_level: str | None) -> None:
    info = site / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    if top_level is not None:
        (info / "top_level.txt").write_text(f"{top_level}\n")


def test_installed_path_is_that_of_the_module_a_package_brings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_package(tmp_path, "some_full", "2.0", top_level="some_module")
    (tmp_path / "some_module").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert get_installed_path("some-full") == str(tmp_path / "some_module")


def test_installed_path_finds_sources_that_are_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_package(tmp_path / "site", "editable_package", "1.0", top_level="editable_module")
    module = tmp_path / "sources" / "editable_module"
    module.mkdir(parents=True)
    (module / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "sources")
    assert get_installed_path("editable_package") == str(module)


def test_module_of_a_package_is_unknown_without_its_metadata(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_package(tmp_path, "silent_package", "1.0", top_level=None)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ValueError, match="can not infer the module name of silent_package"):
        package_utils.package2module("silent_package")


@pytest.mark.parametrize(("wanted", "found"), [(">=2.0", True), (">=2.1", False)])
def test_is_installed_reads_requirements(
    wanted: str, found: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_package(tmp_path, "versioned_package", "2.0", "x")
    monkeypatch.syspath_prepend(tmp_path)
    assert is_installed(f"versioned_package{wanted}") is found


def test_installed_path_of_a_missing_package_raises_an_import_error() -> None:
    with pytest.raises(PackageNotFoundError, match="no_such_package"):
        get_installed_path("no_such_package")


def test_namespace_packages_have_no_installed_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "only_a_folder").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    assert not is_installed("only_a_folder")
    with pytest.raises(RuntimeError, match="namespace package"):
        get_installed_path("only_a_folder")


def test_install_package_runs_pip_of_this_python_for_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(package_utils, "call_command", commands.append)
    install_package("torch")
    install_package("no-such-package")
    assert commands == [[sys.executable, "-m", "pip", "install", "no-such-package"]]


def test_rich_progress_passes_on_what_a_task_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    with pytest.raises(ZeroDivisionError):
        track_progress_rich(divmod, [(1, 0)])
