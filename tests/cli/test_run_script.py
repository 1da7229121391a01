"""``mm2pl run`` runs a script as ``python`` does, with mm2pl's modules in MMEngine's place."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.calls import Done, command, environment

pytestmark = pytest.mark.slow  # a hundred processes
STATE = """import json, sys
names = vars(sys.modules['__main__']).items()
values = {name: value if type(value) is str else type(value).__name__ for name, value in names}
print(json.dumps([values, sys.argv, sys.path[0], __spec__ and __spec__.name],
                 sort_keys=True))
"""
PROGRAMS = {
    "state.py": STATE,
    "exits.py": "import sys\nsys.exit(7)\n",
    "says.py": "import sys\nsys.exit('no')\n",
    "fails.py": "def f():\n    raise ValueError('x')\n\nf()\n",
    "chains.py": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise OSError from e\n",
    "syntax.py": "x = (\n",
    "interrupted.py": "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n",
    "helps.py": "import argparse\np = argparse.ArgumentParser()\np.add_argument('--relax')\n"
    "print(p.parse_args())\n",
    "late.py": "import atexit, threading, time\natexit.register(lambda: print('exit', STATE))\n"
    "def work():\n    time.sleep(0.1)\n    print('thread', STATE)\n"
    "threading.Thread(target=work).start()\nSTATE = 1\n",
    "imports.py": "import beside\nprint(beside.__file__)\n",
    "beside.py": "",
    "package/__init__.py": "",
    "package/__main__.py": STATE,
    "package/fails.py": "1 / 0\n",
    "spawns.py": "import multiprocessing, sys\n"
    "class Thing:\n    value = 3\n"
    "def work(thing):\n    print(thing.value, __name__, sys.argv, flush=True)\n"
    "if __name__ == '__main__':\n"
    "    spawned = multiprocessing.get_context('spawn').Process(target=work, args=(Thing(),))\n"
    "    spawned.start(); spawned.join(); sys.exit(spawned.exitcode)\n",
}
LIKE_PYTHON = [
    "state.py",
    "state.py --help -m x -- y",
    "folder/../state.py a",
    "link.py",
    "-m state a --version",
    "-m package a",
    "exits.py",
    "says.py",
    "fails.py",
    "chains.py",
    "syntax.py",
    "interrupted.py",
    "helps.py --help",
    "helps.py --relax-version-gates",
    "late.py",
    "imports.py",
    "folder/imports.py",
    "spawns.py a",
    "-m spawns a",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scripts")
    (folder / "package").mkdir()
    (folder / "folder").mkdir()
    for name, source in PROGRAMS.items():
        (folder / name).write_text(source)
    (folder / "link.py").symlink_to("folder/linked.py")
    (folder / "folder" / "linked.py").write_text(STATE)
    (folder / "folder" / "imports.py").write_text(PROGRAMS["imports.py"])
    (folder / "folder" / "beside.py").write_text("")
    return folder


Call = Callable[..., Done]


@pytest.fixture
def run(folder: Path) -> Call:
    """Give a function that calls ``mm2pl run``, or another program, in the folder."""

    def call(*arguments: str, program: list[str] | None = None, **more: str) -> Done:
        done = subprocess.run(
            [*(program or command("run")), *arguments],
            cwd=folder,
            env={**environment(), **more},
            capture_output=True,
            text=True,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return call


@pytest.mark.parametrize("arguments", LIKE_PYTHON)
def test_a_script_runs_as_by_python(run: Call, arguments: str) -> None:
    expected = run(*arguments.split(), program=[sys.executable])
    assert run(*arguments.split()) == expected


def test_a_modules_traceback_begins_in_the_module(run: Call, folder: Path) -> None:
    lines = run("-m", "package.fails").err.splitlines()
    assert lines[:2] == [
        "Traceback (most recent call last):",
        f'  File "{folder}/package/fails.py", line 1, in <module>',
    ]


def test_the_script_gets_our_mmengine_at_its_first_line(run: Call, folder: Path) -> None:
    (folder / "engine.py").write_text(
        "import mmengine.config as config\nimport sys\n"
        "print(config.Config is sys.modules['mm2pl.mmengine.config'].Config)\n"
    )
    assert run("engine.py").out == "True\n"


def test_nothing_heavy_is_imported_before_the_script(run: Call, folder: Path) -> None:
    (folder / "light.py").write_text(
        "import sys\nprint(sorted({'torch', 'lightning', 'numpy'} & set(sys.modules)))\n"
    )
    assert run("light.py").out == "[]\n"


def test_under_the_console_script_the_scripts_folder_comes_first(run: Call, folder: Path) -> None:
    (folder / "bin").mkdir()
    (folder / "bin" / "mm2pl").write_text(
        "import sys\nfrom mm2pl.cli import main\nsys.exit(main())"
    )
    done = run("bin/mm2pl", "run", "folder/imports.py", program=[sys.executable])
    assert done.out == f"{folder}/folder/beside.py\n"


def test_ctrl_c_reaches_the_script(folder: Path) -> None:
    (folder / "waits.py").write_text(
        "import time\ntry:\n    print('ready', flush=True)\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    print('stopped', flush=True)\n    raise SystemExit(5)\n"
    )
    process = subprocess.Popen(
        command("run", "waits.py"), cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.05)
        process.send_signal(2)
        assert process.stdout.read() == "stopped\n"
    assert process.returncode == 5


# --------------------------------------------------------------------------- mistakes

MISTAKES = {
    "": ["which script?", "mm2pl run SCRIPT"],
    "-m": ["which script?"],
    "stat.py": ["stat.py does not exist", "Did you mean: state.py"],
    "folder/import.py": ["does not exist", "Did you mean: folder/imports.py"],
    "nowhere/a.py": ["nor does the folder nowhere"],
    "folder": ["is a folder"],
    "start.sh": ["start.sh is not Python", "torchrun ... -m mm2pl run"],
    "weights.pth": ["weights.pth is not Python", "mm2pl fit CONFIG"],
    "config.py": ["config.py does nothing but set names", "mm2pl fit config.py"],
    "-m nowhere": ["there is no module nowhere"],
    "-m package.nowhere": ["there is no module package.nowhere"],
    "-m folder": ["there is no module folder", "__main__.py"],
    "--relax state.py.": ["state.py. does not exist"],
    "--foo state.py": ["usage: mm2pl run ", "unknown option --foo"],
    "mmfoo:train": ["the package mmfoo is not installed"],
    "mmcls:train": ["mmcls is not installed", "pip install mmpretrain, which came after mmcls"],
    "mmtools:trian": ["mmtools has no tool 'trian'", "Did you mean: mmtools:train"],
    "mmtools:flops": ["Did you mean: mmtools:analysis_tools/get_flops"],
    "package:train": ["package is installed without its tools"],
}


@pytest.fixture(scope="module")
def tools(folder: Path) -> Path:
    tools = folder / "mmtools" / ".mim" / "tools"
    (tools / "analysis_tools").mkdir(parents=True)
    (folder / "mmtools" / "__init__.py").write_text("raise AssertionError('not to be imported')\n")
    (tools / "train.py").write_text("import sys\nprint(sys.argv, sys.path[0])\n")
    (tools / "analysis_tools" / "get_flops.py").write_text("print('flops')\n")
    (folder / "start.sh").write_text("echo hi there\n")
    (folder / "config.py").write_text("'''A config.'''\nmodel = dict(type='A')\nx: int = 1\n")
    (folder / "weights.pth").write_bytes(b"PK\x03\x04\x00\xff\n")
    return tools


@pytest.mark.parametrize("arguments", MISTAKES)
def test_a_wrong_call_ends_with_status_2_and_says_what_to_do(
    run: Call, tools: Path, arguments: str
) -> None:
    done = run(*arguments.split())
    assert [text for text in MISTAKES[arguments] if text not in done.err] == []
    assert (done.status, done.out, "Traceback" in done.err) == (2, "", False)


def test_a_librarys_tool_runs_by_its_short_name(run: Call, tools: Path) -> None:
    assert run("mmtools:train", "-x").out == f"['{tools}/train.py', '-x'] {tools}\n"
    assert run("mmtools:analysis_tools/get_flops").out == "flops\n"


def test_the_real_mmengine_imported_before_is_an_error(run: Call, folder: Path) -> None:
    early = folder / "early"
    early.mkdir()
    (early / "mmengine.py").write_text("")
    (early / "sitecustomize.py").write_text("import mmengine\n")
    path = os.pathsep.join([str(early), environment()["PYTHONPATH"]])
    done = run("state.py", PYTHONPATH=path)
    assert (done.status, done.out) == (1, "")
    assert "the real mmengine is imported already" in done.err


def test_a_version_gate_is_explained_below_the_traceback(run: Call, folder: Path) -> None:
    (folder / "gated").mkdir()
    (folder / "gated" / "__init__.py").write_text(
        "MMCV_MIN, MMCV_MAX, mmcv_version = '2.0.0', '2.2.0', 3\n"
        "assert mmcv_version < 2, 'MMCV==2.5.0 is used but incompatible.'\n"
    )
    (folder / "uses.py").write_text("import gated\nprint('on')\n")
    refused, relaxed = run("uses.py"), run("--relax-version-gates", "uses.py")
    assert (refused.status, refused.out) == (1, "")
    assert "mm2pl: gated does not take mmcv 2.5.0: it asks for mmcv>=2.0.0,<2.2.0\n" in refused.err
    assert "AssertionError: MMCV==2.5.0 is used" in refused.err
    assert (relaxed.status, relaxed.out) == (0, "on\n")
    assert "version gate passed: gated does not take mmcv 2.5.0" in relaxed.err


def test_a_missing_library_is_named_below_the_traceback(run: Call, folder: Path) -> None:
    (folder / "needs.py").write_text("import mmaction.apis\n")
    done = run("needs.py")
    assert done.status == 1
    assert done.err.endswith(
        "ModuleNotFoundError: No module named 'mmaction'\nmm2pl: Hint: pip install mmaction2\n"
    )
