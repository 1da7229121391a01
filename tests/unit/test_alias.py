"""``import mmengine`` gives mm2pl's modules; each case in a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


INSTALL = "import mm2pl; mm2pl.install_as_mmengine()\n"


@pytest.mark.parametrize(
    "statement",
    [
        "import mmengine.registry as theirs; import mm2pl.mmengine.registry as ours",
        "import mmengine as theirs; import mm2pl.mmengine as ours",
        "import mmengine.config.utils as theirs; import mm2pl.mmengine.config.utils as ours",
        "from mmengine import registry as theirs; from mm2pl.mmengine import registry as ours",
    ],
)
def test_a_module_is_the_same_object_under_both_names(statement):
    assert run(f"{INSTALL}{statement}; print(theirs is ours)") == "True"


def test_a_class_is_the_same_under_both_names():
    code = "from mmengine import Config as a; from mm2pl.mmengine.config import Config as b"
    assert run(f"{INSTALL}{code}; print(a is b)") == "True"


def test_modules_keep_their_own_spec():
    code = "import mmengine.registry as m; print(m.__spec__.name, m.__name__)"
    assert run(INSTALL + code) == "mm2pl.mmengine.registry mm2pl.mmengine.registry"


def test_the_version_is_mmengines():
    assert run(f"{INSTALL}import mmengine; print(mmengine.__version__)") == "0.10.7"


def test_a_missing_submodule_is_an_import_error():
    code = "try:\n    import mmengine.nothing\nexcept ModuleNotFoundError as e: print(e.name)"
    assert run(INSTALL + code) == "mmengine.nothing"


def test_nothing_is_served_after_the_undo():
    code = (
        "import mmengine.registry\nmm2pl.uninstall_as_mmengine()\n"
        "try:\n    import mmengine\nexcept ModuleNotFoundError: print('gone')"
    )
    assert run(INSTALL + code) == "gone"


def test_a_real_mmengine_that_is_imported_already_is_an_error():
    code = (
        "import sys, types; sys.modules['mmengine'] = types.ModuleType('mmengine')\n"
        "import mm2pl\n"
        "try:\n    mm2pl.install_as_mmengine()\n"
        "except mm2pl.errors.Mm2plError as e: print('Hint' in str(e))"
    )
    assert run(code) == "True"
