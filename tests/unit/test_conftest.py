"""The leak check of tests/conftest.py: a test that leaves state behind fails and says which."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# name: (body of a test, what the report must say; None: the test must pass)
CASES: dict[str, tuple[str, str | None]] = {
    "environment": ("os.environ['LEFT'] = '1'", "environment variables: added LEFT"),
    "thread": (
        "threading.Thread(target=time.sleep, args=(4,), name='left').start()",
        "threads: added left",
    ),
    "directory": ("os.chdir('/')", "working directory changed"),
    "dtype": ("torch.set_default_dtype(torch.float64)", "default dtype changed"),
    "grad": ("torch.set_grad_enabled(False)", "gradients enabled changed"),
    "deterministic": (
        "torch.use_deterministic_algorithms(True)",
        "deterministic algorithms changed",
    ),
    "registry": (
        "MODELS.register_module(name='Left', module=type('Left', (), {'__module__': 'x'}))",
        "registries: added model: 'Left'",
    ),
    "child_registry": (
        "Registry('model', parent=MODELS, scope='left')",
        "registries: added model: child registry 'left'",
    ),
    "alias": ("mm2pl.install_as_mmengine()", "import finders changed"),
    "singleton": ("MessageHub.get_instance('left')", None),
    "singleton_forgotten": ("assert not MessageHub.check_instance_created('left')", None),
    "tidy": (
        "thread = threading.Thread(target=time.sleep, args=(0.1,)); thread.start(); torch.rand(1)",
        None,
    ),
}

HEAD = """
import os, threading, time, torch, mm2pl
from mm2pl.mmengine.logging import MessageHub
from mm2pl.mmengine.registry import MODELS, Registry
"""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Run all cases with our conftest in one pytest of its own; return what it prints."""
    folder = tmp_path_factory.mktemp("leaks")
    shutil.copy(ROOT / "tests/conftest.py", folder)
    tests = [f"def test_{name}():\n    {body}\n" for name, (body, _) in CASES.items()]
    (folder / "test_cases.py").write_text(HEAD + "\n".join(tests))
    command = [sys.executable, "-m", "pytest", "-rA", "-p", "no:cacheprovider", "--color=no"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*command, "test_cases.py"], cwd=folder, env=environment, capture_output=True, text=True
    )
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_leak_fails_the_test_that_leaked(name: str, report: str) -> None:
    expected = CASES[name][1]
    failed = re.search(rf"ERROR at teardown of test_{name} _.*?(?=\n___|\n===)", report, re.DOTALL)
    assert f"PASSED test_cases.py::test_{name}\n" in report, report
    if expected is None:
        assert failed is None, report
    else:
        assert failed, report
        assert expected in failed.group(), failed.group()
