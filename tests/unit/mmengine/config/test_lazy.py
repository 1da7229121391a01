"""Configs in pure Python, where ours goes further than MMEngine or must work without it."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from mm2pl.errors import ConfigError
from mm2pl.mmengine.config import Config, ConfigDict
from mm2pl.mmengine.config.lazy import LazyObject


def read(folder: Path, text: str, **files: str) -> Config:
    for name, content in {"main": text, **files}.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(content))
    return Config.fromfile(folder / "main.py")


@pytest.mark.parametrize(
    "text",
    [
        "import os.path as osp\nimport math\nx = osp.join('a', 'b')\ny = math.pi\n",
        "from copy import deepcopy\nx = deepcopy([1])\n",
        "from mmengine.config import Config\nx = Config(dict(a=1)).a\n",
        "from mmengine import Config\nx = Config(dict(a=1)).a\n",
    ],
)
def test_the_standard_library_and_mmengine_config_make_no_pure_python_config(
    tmp_path: Path, text: str
) -> None:
    cfg = read(tmp_path, "_base_ = 'base.py'\n", base=text)
    assert {"x", "y"} >= {key for key in cfg if key not in ("deepcopy", "Config")} >= {"x"}


@pytest.mark.parametrize(
    "text",
    [
        "import mmengine.config\nx = mmengine.config.Config\n",
        "import mmengine.config.lazy as lz\nx = lz.LazyObject('a')\n",
        "import json, os as o\nx = o.sep\n",
    ],
)
def test_imports_of_mmengine_config_need_no_mmengine(tmp_path: Path, text: str) -> None:
    assert "x" in read(tmp_path, text)
    assert "x" in read(tmp_path, f"from thelib import A\n{text}")
    assert "mmengine" not in sys.modules


def test_several_modules_in_one_import_are_lazy(tmp_path: Path) -> None:
    cfg = read(tmp_path, "import lib_a.x, lib_b as b, os\ny = dict(t=lib_a.x.N, u=b.M)\n")
    assert cfg.to_dict() == {"y": {"t": "lib_a.x.N", "u": "lib_b.M"}}


def test_configs_that_import_modules_can_be_copied_and_pickled(tmp_path: Path) -> None:
    text = """\
        from mmengine.config import read_base
        with read_base():
            from .base import *
        import os
        x = os.path.join(math.__name__, 'b')
        """
    cfg = read(tmp_path, text, base="import math\ny = math.floor(1.5)\n")
    for again in (copy.deepcopy(cfg), pickle.loads(pickle.dumps(cfg))):
        assert again.to_dict() == {"y": 1, "x": "math/b"}


def test_several_blocks_of_bases_are_read(tmp_path: Path) -> None:
    text = """\
        from mmengine.config import read_base
        with read_base():
            from .one import *
        with read_base():
            from .two import b as c
        d = a + c
        """
    assert read(tmp_path, text, one="a = 1\n", two="b = 2\n").to_dict() == {"a": 1, "c": 2, "d": 3}


def test_annotations_from_the_future_may_stand_first(tmp_path: Path) -> None:
    text = '"""Doc."""\nfrom __future__ import annotations\nimport thelib\nx = thelib.y\n'
    assert read(tmp_path, text).to_dict() == {"x": "thelib.y"}


def test_lazy_names_of_mmengine_are_built_from_ours(tmp_path: Path) -> None:
    cfg = read(tmp_path, "from mmengine.version import version_info\nx = dict(type=version_info)\n")
    import mm2pl.mmengine.version

    assert cfg.x.type is mm2pl.mmengine.version.version_info
    assert cfg.to_dict() == {"x": {"type": "mmengine.version.version_info"}}


def test_an_import_error_in_the_package_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mm2pl_broken.py").write_text("raise OSError('libfoo.so is missing')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    cfg = read(tmp_path, "from mm2pl_broken import A\nx = dict(type=A)\n")
    with pytest.raises(OSError, match=r"main\.py, line 1: .*libfoo\.so is missing") as caught:
        cfg.x.type
    assert isinstance(caught.value, ConfigError)


def test_reading_within_a_config_keeps_lazy_objects_lazy(tmp_path: Path) -> None:
    text = f"""\
        from thelib import A
        from mmengine.config import Config
        inner = Config.fromfile({str(tmp_path / "inner.py")!r}).to_dict()
        x = dict(type=A)
        y = x['type']
        z = dict(v=y.attr)
        """
    cfg = read(tmp_path, text, inner="from thelib import B\nv = B\n")
    assert cfg.to_dict()["z"] == {"v": "thelib.A.attr"}
    assert ConfigDict.lazy is False


def test_the_flag_is_reset_when_reading_fails(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read(tmp_path, "from thelib import A\nx = A()\n")
    assert ConfigDict.lazy is False


def test_a_changed_base_is_read_anew(tmp_path: Path) -> None:
    text = "from mmengine.config import read_base\nwith read_base():\n    from .base import *\n"
    assert read(tmp_path, text, base="a = 1\n").a == 1
    assert read(tmp_path, text, base="a = 2\n").a == 2


def test_two_reads_share_nothing(tmp_path: Path) -> None:
    text = "from thelib import A\nx = dict(y=[dict(type=A)])\n"
    one, two = read(tmp_path, text), read(tmp_path, text)
    one.x.y[0].z = 1
    one._imported_names.add("x")
    assert two.to_dict() == {"x": {"y": [{"type": "thelib.A"}]}}


def test_update_and_merge_keep_lazy_objects(tmp_path: Path) -> None:
    lazy = LazyObject("thelib", "A")
    cfg = ConfigDict(a={"b": lazy})
    cfg.update({"c": lazy}, d=[lazy])
    cfg.merge({"a": {"e": lazy}})
    other = ConfigDict(cfg)
    expected = {"a": {"b": "thelib.A", "e": "thelib.A"}, "c": "thelib.A", "d": ["thelib.A"]}
    assert copy.deepcopy(other).to_dict() == expected


def test_merging_options_does_not_import(tmp_path: Path) -> None:
    cfg = read(tmp_path, "from thelib import A\nx = dict(type=A, n=[dict(type=A)])\n")
    cfg.merge_from_dict({"x.n.0.k": 1, "x.m": 2})
    assert cfg.to_dict() == {"x": {"type": "thelib.A", "n": [{"type": "thelib.A", "k": 1}], "m": 2}}


def test_importing_the_package_brings_no_heavy_library() -> None:
    code = "import sys, mm2pl.mmengine.config; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"torch", "lightning", "numpy", "yaml", "rich", "mmengine"}
    assert heavy.isdisjoint(done.stdout.split())


def _loaded(text: str) -> Any:
    return Config.fromstring(textwrap.dedent(text), ".py")


def test_a_string_may_be_a_pure_python_config() -> None:
    cfg = _loaded("from thelib import A\nx = dict(type=A)\n")
    assert cfg.to_dict() == {"x": {"type": "thelib.A"}}
    assert cfg.text.startswith("from thelib")
