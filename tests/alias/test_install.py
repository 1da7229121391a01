"""``import mmengine`` gives mm2pl's modules; in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mm2pl import alias
from mm2pl.mmengine import version

ROOT = Path(__file__).parents[2]
INSTALL = "import mm2pl; mm2pl.install_as_mmengine()\n"


def run(code: str, *, flags: tuple[str, ...] = (), path: str = str(ROOT), cwd: Path = ROOT) -> str:
    """Return what the code prints; its first folders to import from are in ``path``."""
    environment = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, *flags, "-c", code],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# What must be true in a process with the alias; each is an expression after some statements.
TRUE_EXPRESSIONS: dict[str, tuple[str, str]] = {
    "a package is the same object": (
        "import mmengine.registry as theirs, mm2pl.mmengine.registry as ours",
        "theirs is ours",
    ),
    "the top package is the same object": (
        "import mmengine as theirs, mm2pl.mmengine as ours",
        "theirs is ours",
    ),
    "a deep module is the same object": (
        "import mmengine.utils.dl_utils.time_counter as theirs\n"
        "import mm2pl.mmengine.utils.dl_utils.time_counter as ours",
        "theirs is ours",
    ),
    "a module taken from its package is the same object": (
        "from mmengine import fileio as theirs; from mm2pl.mmengine import fileio as ours",
        "theirs is ours",
    ),
    "a module imported by importlib is the same object": (
        "import importlib; import mm2pl.mmengine.hub as ours",
        "importlib.import_module('mmengine.hub') is importlib.import_module('.hub', 'mmengine')"
        " is ours",
    ),
    "a class taken from the top package is the same object": (
        "from mmengine import Config as theirs; from mm2pl.mmengine.config import Config as ours",
        "theirs is ours",
    ),
    "our own import leaves the other name too": (
        "import sys, mm2pl.mmengine.device.utils",
        "sys.modules['mmengine.device.utils'] is mm2pl.mmengine.device.utils",
    ),
    "parents have their children as attributes": (
        "import mmengine.config.utils, mmengine.dist.utils",
        "mmengine.config.utils.__name__ == 'mm2pl.mmengine.config.utils'"
        " and mmengine.dist.utils.__name__ == 'mm2pl.mmengine.dist.utils'",
    ),
    "all names in sys.modules are the same objects": (
        "import sys, mmengine.runner, mmengine.visualization\n"
        "theirs = {n: m for n, m in sys.modules.items() if n.partition('.')[0] == 'mmengine'}\n"
        "ours = {n for n in sys.modules if (n + '.').startswith('mm2pl.mmengine.')}",
        "{'mm2pl.' + n for n in theirs} == ours"
        " and all(m is sys.modules['mm2pl.' + n] for n, m in theirs.items())",
    ),
    "modules keep their own name and spec": (
        "import mmengine.device as m, mmengine.device.utils as n",
        "(m.__spec__.name, m.__name__, n.__spec__.name, n.__package__)"
        " == (*['mm2pl.mmengine.device'] * 2, 'mm2pl.mmengine.device.utils',"
        " 'mm2pl.mmengine.device')",
    ),
    "modules keep their own loader": (
        "import mmengine.structures.label_data as m\n"
        "from importlib.machinery import SourceFileLoader as loader",
        "type(m.__loader__) is type(m.__spec__.loader) is loader",
    ),
    "pkgutil lists the modules": (
        "import pkgutil, mmengine",
        "{m.name for m in pkgutil.iter_modules(mmengine.__path__)} >= {'config', 'version'}",
    ),
    "pkgutil walks down": (
        "import pkgutil, mmengine.config as m",
        "'mmengine.config.utils' in"
        " {m.name for m in pkgutil.walk_packages(m.__path__, 'mmengine.config.')}"
        " and 'mmengine' in {m.name for m in pkgutil.iter_modules()}",
    ),
    "inspect finds a class's module, file and source": (
        "import inspect\nfrom mmengine.logging import HistoryBuffer as kind",
        "inspect.getmodule(kind) is __import__('sys').modules['mmengine.logging.history_buffer']"
        " and inspect.getfile(kind).endswith('mm2pl/mmengine/logging/history_buffer.py')"
        " and inspect.getsource(kind).startswith('class HistoryBuffer')",
    ),
    "inspect finds a function's and a method's module and source": (
        "import inspect; from mmengine.utils import is_str, Timer",
        "inspect.getmodule(is_str).__name__ == 'mm2pl.mmengine.utils.misc'"
        " and inspect.getsource(is_str).startswith('def is_str')"
        " and 'def start' in inspect.getsource(Timer.start)",
    ),
    "annotations are resolved in the module": (
        "import typing; from mmengine.logging import HistoryBuffer as kind\n"
        "from mmengine.fileio import LocalBackend",
        "typing.get_type_hints(kind.update) and typing.get_type_hints(LocalBackend.put)"
        " and typing.get_type_hints(kind) is not None",
    ),
    "a module reloads in place": (
        "import importlib, mmengine.version as m; n = importlib.reload(m)",
        "n is m is mm2pl.mmengine.version and m.parse_version_info.__module__"
        " == 'mmengine.version'",
    ),
    "a package's files are its resources": (
        "import importlib.resources as r",
        "r.files('mmengine.config').joinpath('utils.py').is_file()",
    ),
    "classes say MMEngine's name": (
        "from mmengine.config import Config, ConfigDict; import mmengine.hooks",
        "repr(Config) == \"<class 'mmengine.config.config.Config'>\" and ConfigDict.__module__"
        " == 'mmengine.config.config' and mmengine.hooks.Hook.__module__ == 'mmengine.hooks.hook'",
    ),
    "functions and methods say MMEngine's name": (
        "from mmengine.config import Config; from mmengine.utils import is_str",
        "(is_str.__module__, Config.dump.__module__, Config.fromfile.__module__)"
        " == ('mmengine.utils.misc', *['mmengine.config.config'] * 2)",
    ),
    "the version is MMEngine's": (
        "import mmengine, mmengine.version as m",
        "mmengine.__version__ == m.__version__ == '0.10.7'"
        " and mmengine.version_info == m.version_info == (0, 10, 7)",
    ),
    "the metadata are MMEngine's": (
        "import importlib.metadata as m",
        "m.version('mmengine') == '0.10.7' == m.distribution('mmengine').version"
        " and m.metadata('mmengine')['Name'] == 'mmengine'"
        " and m.packages_distributions()['mmengine'][0] == 'mmengine'",
    ),
    "the version lies within what libraries ask for": (
        "from importlib.metadata import version; from mmengine.utils import digit_version\n"
        "from packaging.specifiers import SpecifierSet\n"
        "import mmengine; own = digit_version(mmengine.__version__)\n"
        # mmpretrain 1.2, mmdet 3.3, mmseg 1.2, mmpose 1.3, mmaction2 1.2
        "asked = [('0.8.3', '1.0.0'), ('0.7.1', '1.0.0'), ('0.5.0', '1.0.0'), ('0.6.0', '1.0.0')]",
        "all(digit_version(a) <= own < digit_version(b) and"
        " version('mmengine') in SpecifierSet(f'>={a},<{b}') for a, b in asked)",
    ),
    "mmengine counts as installed, where our modules are": (
        "import mmengine; from mmengine.utils import get_installed_path, is_installed\n"
        "from pathlib import Path",
        "is_installed('mmengine') and is_installed('mmengine>=0.8,<1')"
        " and Path(get_installed_path('mmengine')) == Path(mmengine.__file__).parent",
    ),
    "a second call changes nothing": (
        "import os, sys; before = [*sys.path], [*sys.meta_path], dict(os.environ)\n"
        "mm2pl.install_as_mmengine()",
        "before == ([*sys.path], [*sys.meta_path], dict(os.environ))",
    ),
    "the script's folder stays the first to import from": (
        "import sys",
        "sys.path[0] == '' and sys.path[1].endswith('_served')",
    ),
}


@pytest.fixture(scope="module")
def truths() -> dict[str, str]:
    lines = ["import sys\n", INSTALL]
    for name, (statements, expression) in TRUE_EXPRESSIONS.items():
        lines.append(
            f"def check():\n    space = {{'mm2pl': mm2pl}}\n    exec({statements!r}, space)\n"
            f"    return bool(eval({expression!r}, space))\n"
            f"try: print({name!r}, check(), sep='|')\n"
            f"except Exception as e: print({name!r}, repr(e), sep='|')\n"
        )
    rows = [line.split("|", 1) for line in run("".join(lines)).splitlines()]
    return {row[0]: row[1] for row in rows if len(row) == 2}


@pytest.mark.parametrize("name", TRUE_EXPRESSIONS)
def test_with_the_alias(name: str, truths: dict[str, str]) -> None:
    assert truths[name] == "True"


def test_a_module_is_found_without_being_imported() -> None:
    code = (
        "import sys; from importlib.util import find_spec; spec = find_spec('mmengine.hub')\n"
        "print(spec.origin, spec.submodule_search_locations, 'mm2pl.mmengine.hub' in sys.modules)\n"
        "print(find_spec('mmengine.nothing'))"
    )
    folder = ROOT / "mm2pl/mmengine/hub"
    assert run(INSTALL + code).splitlines() == [
        f"{folder / '__init__.py'} ['{folder}'] False",
        "None",
    ]


def test_a_missing_module_is_named_in_the_error() -> None:
    code = (
        "names = ['nothing', 'config.nothing', 'version.nothing']\n"
        "for name in names:\n"
        "    try: __import__(f'mmengine.{name}')\n"
        "    except ModuleNotFoundError as e: print(e.name)"
    )
    expected = ["mmengine.nothing", "mmengine.config.nothing", "mmengine.version.nothing"]
    assert run(INSTALL + code).splitlines() == expected


def test_the_metadatas_version_is_the_one_that_the_code_names() -> None:
    (folder,) = Path(alias.SERVED).glob("*.dist-info")
    assert folder.name == f"mmengine-{version.__version__}.dist-info"
    assert f"\nVersion: {version.__version__}\n" in (folder / "METADATA").read_text()


# --------------------------------------------------------------------------- install and undo


def test_the_undo_leaves_nothing() -> None:
    code = (
        "import os, sys, mm2pl, mm2pl.mmengine.config\n"
        "def state():\n"
        "    names = [n for n in sys.modules if n.startswith('mmengine')]\n"
        "    return [*sys.path], [*sys.meta_path], dict(os.environ), names\n"
        "before = state(); mm2pl.install_as_mmengine(); during = state()\n"
        "import mmengine.utils, mmengine.registry\n"
        "mm2pl.uninstall_as_mmengine()\n"
        "print([a != b for a, b in zip(before, during)], before == state())\n"
        "from mm2pl.mmengine.registry import Registry; from mm2pl.mmengine.config import Config\n"
        "print(Registry.__module__, Registry.build.__module__, Config.__module__)\n"
        "try: import mmengine\n"
        "except ModuleNotFoundError: print('gone')"
    )
    assert run(code).splitlines() == [
        "[True, True, True, True] True",
        "mm2pl.mmengine.registry.registry mm2pl.mmengine.registry.registry"
        " mm2pl.mmengine.config.config",
        "gone",
    ]


def test_the_undo_alone_changes_nothing() -> None:
    code = (
        "import os, sys, mm2pl; before = [*sys.path], [*sys.meta_path], dict(os.environ)\n"
        "mm2pl.uninstall_as_mmengine()\n"
        "print(before == ([*sys.path], [*sys.meta_path], dict(os.environ)))"
    )
    assert run(code) == "True"


def test_it_can_be_installed_again_after_the_undo() -> None:
    code = (
        "import mmengine.utils as first; mm2pl.uninstall_as_mmengine()\n"
        "mm2pl.install_as_mmengine(); import mmengine.utils as second\n"
        "print(first is second, second.Timer.__module__)"
    )
    assert run(INSTALL + code) == "True mmengine.utils.timer"


def test_the_undo_ends_what_a_parent_process_began() -> None:
    code = (
        "import mmengine, mm2pl, os; mm2pl.uninstall_as_mmengine()\n"
        "try: import mmengine\n"
        "except ModuleNotFoundError: print(os.environ.get('PYTHONPATH'))"
    )
    path = os.pathsep.join([alias.SERVED, str(ROOT)])
    assert run(code, path=path) == str(ROOT)


def _fake_mmengine(folder: Path) -> Path:
    (folder / "mmengine").mkdir(parents=True)
    (folder / "mmengine/__init__.py").write_text("__version__ = '0.1'")
    (folder / "mmengine-0.1.dist-info").mkdir()
    (folder / "mmengine-0.1.dist-info/METADATA").write_text(
        "Metadata-Version: 2.1\nName: mmengine\nVersion: 0.1\n"
    )
    return folder


SHOW = (
    "import mmengine, importlib.metadata as m; print(mmengine.__version__, m.version('mmengine'))"
)


def test_an_installed_mmengine_is_shadowed_until_the_undo(tmp_path: Path) -> None:
    path = os.pathsep.join([str(_fake_mmengine(tmp_path)), str(ROOT)])
    code = f"{INSTALL}{SHOW}\nmm2pl.uninstall_as_mmengine()\n{SHOW}"
    assert run(code, path=path).splitlines() == ["0.10.7 0.10.7", "0.1 0.1"]


def test_an_mmengine_in_the_programs_own_folder_is_shadowed(tmp_path: Path) -> None:
    assert run(INSTALL + SHOW, cwd=_fake_mmengine(tmp_path)) == "0.10.7 0.10.7"


def test_a_folder_of_that_name_without_code_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "mmengine").mkdir()
    assert run(SHOW, path=os.pathsep.join([alias.SERVED, str(ROOT)]), cwd=tmp_path).startswith(
        "0.10.7"
    )


def test_a_real_mmengine_that_is_imported_already_is_an_error(tmp_path: Path) -> None:
    path = os.pathsep.join([str(_fake_mmengine(tmp_path)), str(ROOT)])
    code = (
        "import sys, os, mmengine, mm2pl\n"
        "before = [*sys.path], [*sys.meta_path], dict(os.environ)\n"
        "try:\n    mm2pl.install_as_mmengine()\n"
        "except mm2pl.errors.Mm2plError as e: print(e)\n"
        "print(mmengine.__version__, sys.modules['mmengine'] is mmengine)\n"
        "print(before == ([*sys.path], [*sys.meta_path], dict(os.environ)))"
    )
    said, hint, *rest = run(code, path=path).splitlines()
    assert str(tmp_path / "mmengine/__init__.py") in said
    assert hint.startswith("Hint: call mm2pl.install_as_mmengine() first")
    assert rest == ["0.1 True", "True"]


@pytest.mark.parametrize(
    "flags", [("-I",), ("-E",), ("-s", "-P")[: 1 + (sys.version_info > (3, 11))]]
)
def test_pythons_flags_do_not_keep_it_from_the_process(flags: tuple[str, ...]) -> None:
    assert run(f"import sys; sys.path.append({str(ROOT)!r})\n{INSTALL}{SHOW}", flags=flags) == (
        "0.10.7 0.10.7"
    )


def test_threads_may_import_a_module_by_both_names_at_once() -> None:
    # Not a package and its own submodule at once: importlib itself may see a deadlock in that.
    code = (
        "import sys, threading; sys.setswitchinterval(1e-6)\n"
        "found, start = [], threading.Barrier(16)\n"
        "def load(name):\n"
        "    start.wait(); module = __import__(name, fromlist=['x'])\n"
        "    found.append((id(module), module.load.__module__, module.__spec__.name))\n"
        "names = ['mmengine.fileio', 'mm2pl.mmengine.fileio'] * 8\n"
        "threads = [threading.Thread(target=load, args=(n,)) for n in names]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "print(len(found), len(set(found)), *found[0][1:])"
    )
    assert run(INSTALL + code) == "16 1 mmengine.fileio.io mm2pl.mmengine.fileio"


def test_a_star_import_gives_mmengines_names(reference: Any) -> None:
    code = (
        "import json\nspace = {}\nexec('from mmengine import *', space)\n"
        "print(json.dumps([name for name in sorted(space) if not name.startswith('_')]))"
    )
    names = json.loads(run(INSTALL + code))
    assert names == reference.run(code)
    listed = run(f"{INSTALL}import mmengine\nprint(*dir(mmengine))").split()
    assert set(names) <= set(listed)
