"""Processes that a program with the alias starts have it too, before they unpickle anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mm2pl import alias

ROOT = Path(__file__).parents[2]

LIBRARY = """
import mmengine
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.logging import HistoryBuffer
from mmengine.registry import DATASETS


@DATASETS.register_module()
class Numbers(BaseDataset):
    def __init__(self, length):
        self.length = length
        super().__init__(lazy_init=True)
        self.full_init()

    def load_data_list(self):
        return [{"value": i} for i in range(self.length)]

    def __getitem__(self, index):
        assert mmengine.__name__ == "mm2pl.mmengine"
        return {"value": self.get_data_info(index)["value"] ** 2, "mean": history(index)}


def history(index):
    return HistoryBuffer([float(index)], [1])


def report(queue, buffer):
    import importlib.metadata, sys
    names = [name for name in sys.modules if name.partition(".")[0] == "mmengine"]
    same = all(sys.modules[name] is sys.modules[f"mm2pl.{name}"] for name in names)
    version = importlib.metadata.version("mmengine")
    queue.put((mmengine.__version__, version, same, float(buffer.mean())))
"""

LOADER = """
import sys
import mm2pl

if __name__ == "__main__":
    mm2pl.install_as_mmengine()
    from torch.utils.data import DataLoader
    from library import Numbers, pseudo_collate

    loader = DataLoader(Numbers(6), batch_size=2, num_workers=2, collate_fn=pseudo_collate,
                        multiprocessing_context=sys.argv[1])
    for batch in loader:
        print(batch["value"], [float(one.mean()) for one in batch["mean"]])
"""

PROCESS = """
import multiprocessing, sys
import mm2pl

def nested(context, queue, buffer):
    from library import report
    child = multiprocessing.get_context(context).Process(target=report, args=(queue, buffer))
    child.start()
    child.join()

if __name__ == "__main__":
    method = sys.argv[1]
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    if "early" in sys.argv:  # the fork server runs before the alias is there
        context.Process(target=print, args=("early",)).start()
    mm2pl.install_as_mmengine()
    from library import HistoryBuffer, report
    buffer = HistoryBuffer([0.5], [1])
    if "nested" in sys.argv:
        child = context.Process(target=nested, args=(method, queue, buffer))
    else:
        child = context.Process(target=report, args=(queue, buffer))
    child.start()
    print(queue.get(timeout=60))
    child.join()
"""

SHOW = (
    "import mmengine, importlib.metadata as m, mmengine.version as v;"
    "print(mmengine.__name__, mmengine.__version__, m.version('mmengine'), v.__name__)"
)
SERVED = "mm2pl.mmengine 0.10.7 0.10.7 mm2pl.mmengine.version"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A user's project; its programs cannot see the repository unless told."""
    for name, text in (("library", LIBRARY), ("loader", LOADER), ("process", PROCESS)):
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


def run(folder: Path, *command: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_loader_workers_unpickle_a_librarys_dataset(method: str, folder: Path) -> None:
    assert run(folder, "loader.py", method).splitlines() == [
        "[0, 1] [0.0, 1.0]",
        "[4, 9] [2.0, 3.0]",
        "[16, 25] [4.0, 5.0]",
    ]


@pytest.mark.parametrize(
    "arguments",
    [("spawn",), ("forkserver",), ("forkserver", "early"), ("spawn", "nested")],
    ids=" ".join,
)
@pytest.mark.slow
def test_processes_have_the_alias_before_they_unpickle(
    arguments: tuple[str, ...], folder: Path
) -> None:
    said = run(folder, "process.py", *arguments).splitlines()
    assert said[-1] == "('0.10.7', '0.10.7', True, 0.5)"


@pytest.mark.slow
def test_spawned_workers_take_ours_before_an_mmengine_in_the_programs_folder(folder: Path) -> None:
    (folder / "mmengine").mkdir()
    (folder / "mmengine/__init__.py").write_text("raise ImportError('the wrong one')")
    assert run(folder, "process.py", "spawn") == "('0.10.7', '0.10.7', True, 0.5)"


@pytest.mark.slow
def test_so_do_those_of_mm2pl_run(folder: Path) -> None:
    (folder / "mmengine").mkdir()
    (folder / "mmengine/__init__.py").write_text("raise ImportError('the wrong one')")
    (folder / "sub").mkdir()
    (folder / "library.py").rename(folder / "sub/library.py")
    script = PROCESS.replace("mm2pl.install_as_mmengine()", "pass")
    (folder / "sub/process.py").write_text(script)
    said = run(folder, "-m", "mm2pl", "run", "sub/process.py", "spawn")
    assert said == "('0.10.7', '0.10.7', True, 0.5)"


# --------------------------------------------------------------------------- other programs


def _child(code: str, *flags: str) -> str:
    return (
        "import mm2pl, subprocess, sys; mm2pl.install_as_mmengine()\n"
        f"subprocess.run([sys.executable, *{flags!r}, '-c', {code!r}], check=True)"
    )


def test_a_program_that_is_started_has_it(folder: Path) -> None:
    assert run(folder, "-c", _child(SHOW)) == SERVED


def test_a_programs_grandchildren_have_it(folder: Path) -> None:
    again = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {SHOW!r}], check=True)"
    assert run(folder, "-c", _child(again)) == SERVED


def test_a_program_started_after_the_undo_has_it_not(folder: Path) -> None:
    code = "import importlib.util; print(importlib.util.find_spec('mmengine'))"
    undone = _child(code).replace("\n", "; mm2pl.uninstall_as_mmengine()\n")
    assert run(folder, "-c", undone) == "None"


@pytest.mark.parametrize("flag", ["-I", "-E"])
def test_a_program_that_ignores_the_environment_has_it_not(flag: str, folder: Path) -> None:
    code = "import importlib.util; print(importlib.util.find_spec('mmengine'))"
    assert run(folder, "-c", _child(code, flag)) == "None"


def test_mm2pl_is_found_by_a_program_that_has_only_the_folder(folder: Path) -> None:
    assert run(folder, "-c", SHOW, PYTHONPATH=alias.SERVED) == SERVED


def test_a_child_that_installs_it_again_changes_nothing(folder: Path) -> None:
    code = (
        "import os, sys; before = [*sys.path], dict(os.environ); import mm2pl;"
        "mm2pl.install_as_mmengine(); print(before == ([*sys.path], dict(os.environ)))"
    )
    assert run(folder, "-c", _child(code)) == "True"


# --------------------------------------------------------------------------- torchrun

DDP = """
import os, sys
{head}
import torch.distributed as dist
import mmengine
from library import history

dist.init_process_group("gloo")
everyone = [None, None]
dist.all_gather_object(everyone, history(dist.get_rank()))
dist.barrier()  # before torch 2.8 destroying can wait for ever for a thread that frees a tensor
dist.destroy_process_group()
if os.environ["RANK"] == "0":
    print("RESULT", mmengine.__name__, [float(one.mean()) for one in everyone])
"""
TORCHRUN = ("torch.distributed.run", "--nproc_per_node=2", "--standalone")
RESULT = "RESULT mm2pl.mmengine [0.0, 1.0]"


@pytest.mark.slow
def test_torchrun_of_a_script_that_installs_it(folder: Path) -> None:
    (folder / "ddp.py").write_text(DDP.format(head="import mm2pl; mm2pl.install_as_mmengine()"))
    assert RESULT in run(folder, "-m", *TORCHRUN, "ddp.py")


@pytest.mark.slow
def test_torchrun_of_a_script_as_it_stands(folder: Path) -> None:
    """With the folder on PYTHONPATH, as it is below a process that installed the alias."""
    (folder / "ddp.py").write_text(DDP.format(head=""))
    path = os.pathsep.join([alias.SERVED, str(ROOT)])
    assert RESULT in run(folder, "-m", *TORCHRUN, "ddp.py", PYTHONPATH=path)


@pytest.mark.slow
def test_torchrun_started_by_a_program_with_the_alias(folder: Path) -> None:
    (folder / "ddp.py").write_text(DDP.format(head=""))
    (folder / "launch.py").write_text(
        "import subprocess, sys, mm2pl; mm2pl.install_as_mmengine()\n"
        f"sys.exit(subprocess.run([sys.executable, '-m', *{TORCHRUN!r}, 'ddp.py']).returncode)"
    )
    assert RESULT in run(folder, "launch.py")


@pytest.mark.slow
def test_the_wheel_brings_the_folder(folder: Path) -> None:
    """Installed from a wheel, outside the repository, a child still has the alias."""
    source = folder / "source"
    shutil.copytree(ROOT / "mm2pl", source / "mm2pl", ignore=shutil.ignore_patterns("*.pyc"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    run(folder, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", ".", "./source")
    (wheel,) = folder.glob("mm2pl-*.whl")
    run(folder, "-m", "zipfile", "-e", str(wheel), "site")
    assert run(folder, "-c", _child(SHOW), PYTHONPATH=str(folder / "site")) == SERVED
    assert run(folder, "-c", SHOW, PYTHONPATH=str(folder / "site/mm2pl/_served")) == SERVED
