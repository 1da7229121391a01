"""For each key of a config: the file and the line where the value that won was set."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mm2pl.mmengine.config import Config
from mm2pl.mmengine.config._positions import Position, Positions


def write(folder: Path, **files: str) -> str:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return str(folder / list(files)[-1].replace("__", "."))


def found(file: str, *paths: str, options: dict[str, Any] | None = None) -> list[str | None]:
    """Return ``name:line`` for each path, in brackets where only a key around it is found."""
    positions = Positions(file, options)
    every = [positions.find(path) for path in paths]
    return [
        None if one is None else (f"{name(one)}" if one.exact else f"[{name(one)}]")
        for one in every
    ]


def name(position: Position) -> str:
    return str(position._replace(file=Path(position.file).name))


SCHEDULE = """\
optim_wrapper = dict(
    type='OptimWrapper',
    optimizer=dict(
        type='SGD', lr=0.1,
        weight_decay=0),
)
param_scheduler = [
    dict(type='LinearLR', end=5),
    dict(
        type='MultiStepLR',
        milestones=[1,
                    2]),
]
"""


def test_a_key_stands_in_the_file_that_set_it_last(tmp_path: Path) -> None:
    main = "_base_ = ['base.py']\n\noptim_wrapper = dict(\n    optimizer=dict(lr=0.2))\n"
    file = write(tmp_path, base__py=SCHEDULE, main__py=main)
    paths = {
        "optim_wrapper": "main.py:3",
        "optim_wrapper.optimizer": "main.py:4",
        "optim_wrapper.optimizer.lr": "main.py:4",
        "optim_wrapper.optimizer.weight_decay": "base.py:5",
        "optim_wrapper.type": "base.py:2",
        "param_scheduler": "base.py:7",
        "param_scheduler[0].end": "base.py:8",
        "param_scheduler[1]": "base.py:9",
        "param_scheduler.1.milestones": "base.py:11",
    }
    assert dict(zip(paths, found(file, *paths), strict=True)) == paths


def test_of_a_key_that_is_not_there_the_nearest_around_it_is_told(tmp_path: Path) -> None:
    file = write(tmp_path, a__py=SCHEDULE)
    assert found(file, "optim_wrapper.optimizer.momentum") == ["[a.py:3]"]
    assert found(file, "param_scheduler[1].milestones[0]") == ["[a.py:11]"]
    assert found(file, "param_scheduler[7].end") == ["[a.py:7]"]
    assert found(file, "model.backbone", "model", "") == [None, None, None]


def test_a_deleted_part_of_a_base_is_not_found(tmp_path: Path) -> None:
    main = "_base_ = ['base.py']\noptim_wrapper = dict(optimizer=dict(_delete_=True, type='A'))\n"
    file = write(tmp_path, base__py=SCHEDULE, main__py=main)
    assert found(file, "optim_wrapper.optimizer.lr") == ["[main.py:2]"]
    assert found(file, "optim_wrapper.type") == ["base.py:2"]


def test_values_that_come_through_variables_stand_where_they_are_written(tmp_path: Path) -> None:
    code = (
        "norm = dict(\n    type='BN')\npipeline = [\n    dict(type='Load'),\n"
        "    dict(type='Crop', size=3),\n]\nloader = dict(\n    dataset=dict(pipeline=pipeline),\n"
        "    norm=norm)\nother = dict(**norm, x=1)\n"
    )
    paths = ("loader.dataset.pipeline", "loader.dataset.pipeline[1].size", "loader.norm.type")
    assert found(write(tmp_path, a__py=code), *paths) == ["a.py:8", "a.py:5", "a.py:2"]
    assert found(str(tmp_path / "a.py"), "other.type", "other.x") == ["a.py:2", "a.py:10"]


def test_values_of_a_base_that_are_used_again_stand_in_the_base(tmp_path: Path) -> None:
    base = "p = [\n    dict(x=1)]\nd = dict(\n    y=2)\n"
    main = "_base_ = 'base.py'\na = dict(p={{_base_.p}})\nb = _base_.d\nc = dict(d=_base_.d)\n"
    file = write(tmp_path, base__py=base, main__py=main)
    assert found(file, "a.p", "a.p[0].x", "b.y", "c.d", "c.d.y") == [
        "main.py:2",
        "base.py:2",
        "base.py:4",
        "main.py:4",
        "base.py:4",
    ]


def test_changes_stand_where_they_are_made(tmp_path: Path) -> None:
    code = (
        "a = dict(x=1, y=2)\na['x'] = 3\na.update(\n    z=4)\na.update(dict(y=5))\ndel a['z']\n"
        "b = [dict(c=1)]\nb[0]['c'] = 2\nb += [dict(c=3)]\n"
    )
    paths = ("a.x", "a.y", "a.z", "b[0].c", "b[1].c")
    file = write(tmp_path, a__py=code)
    assert found(file, *paths) == ["a.py:2", "a.py:5", "[a.py:1]", "a.py:8", "a.py:9"]


def test_what_code_makes_is_not_guessed(tmp_path: Path) -> None:
    code = (
        "a = make(\n    x=1)\n"
        "b = dict(x=1, y=[dict(z=1)])\nfor i in range(2):\n    b['x'] = i\n"
        "if a:\n    c = dict(x=1)\nelse:\n    c = dict(x=2)\n"
        "d = dict(\n    x=sum([1]),\n    y=dict(z=2))\n"
        "e = dict(x=1)\ne.update(make())\n"
        "f = dict(\n    **make(), x=1)\n"
    )
    file = write(tmp_path, a__py=code)
    assert found(file, "a", "a.x") == ["a.py:1", "[a.py:1]"]
    assert found(file, "b", "b.x", "b.y[0].z") == ["a.py:3", "[a.py:3]", "[a.py:3]"]
    assert found(file, "c.x") == ["[a.py:9]"]
    assert found(file, "d.x", "d.y.z") == ["a.py:11", "a.py:12"]
    assert found(file, "e.x") == ["[a.py:13]"]
    assert found(file, "f.x", "f.y") == ["a.py:16", "[a.py:15]"]


def test_a_name_within_a_function_is_not_that_of_the_config(tmp_path: Path) -> None:
    code = "a = dict(x=1)\ndef f():\n    a = 1\n    return a\nb = [a for a in (1, 2)]\n"
    assert found(write(tmp_path, a__py=code), "a.x", "a", "b") == ["a.py:1", "a.py:1", "a.py:5"]


def test_a_base_that_code_makes_hides_nothing_of_the_child(tmp_path: Path) -> None:
    main = "_base_ = ['base.py', str('none.py')]\na = dict(\n    x=1)\n"
    file = write(tmp_path, base__py="a = make()\nb = dict(y=1)\n", main__py=main)
    assert found(file, "a.x", "a.z", "b.y") == ["main.py:3", "[main.py:2]", "base.py:2"]


def test_keys_with_dots_in_them_are_found(tmp_path: Path) -> None:
    code = "p = dict(custom_keys={\n    'backbone.layer0': dict(\n        lr_mult=0.1)})\n"
    paths = ("p.custom_keys.backbone.layer0", "p.custom_keys.backbone.layer0.lr_mult")
    assert found(write(tmp_path, a__py=code), *paths) == ["a.py:2", "a.py:3"]


def test_the_command_line_is_where_its_options_stand(tmp_path: Path) -> None:
    options = {"optim_wrapper.optimizer.lr": 1, "param_scheduler.0.end": 3, "new": dict(x=1)}
    paths = ("optim_wrapper.optimizer.lr", "param_scheduler[0].end", "new.x", "optim_wrapper")
    file = write(tmp_path, a__py=SCHEDULE)
    line = "the command line"
    assert found(file, *paths, options=options) == [line, line, line, "a.py:1"]


def test_pure_python_configs_have_positions_too(tmp_path: Path) -> None:
    base = (
        "from torch.optim import SGD\noptim = dict(\n    type=SGD,\n    lr=1)\nother = dict(x=1)\n"
    )
    main = (
        "from mmengine.config import read_base\nwith read_base():\n    from .base import *\n"
        "    from .base import other as mine\noptim.update(\n    lr=0.1)\nmine.y = 2\n"
    )
    file = write(tmp_path, base__py=base, main__py=main)
    assert found(file, "optim", "optim.type", "optim.lr") == ["base.py:2", "base.py:3", "main.py:6"]
    assert found(file, "mine", "mine.x", "mine.y") == ["base.py:5", "base.py:5", "main.py:7"]


def test_yaml_files_have_positions(tmp_path: Path) -> None:
    base = "optim:\n  type: SGD\n  lr: 1\nlist:\n  - a: 1\n    b: 2\n  - {a: 3,\n     b: 4}\n"
    main = "_base_: base.yaml\noptim:\n\n  lr: 2\nx: &x\n  y: 1\nz:\n  <<: *x\n  w: 2\nv: *x\n"
    file = write(tmp_path, base__yaml=base, main__yml=main)
    assert found(file, "optim", "optim.type", "optim.lr", "list[1].b") == [
        "main.yml:2",
        "base.yaml:2",
        "main.yml:4",
        "base.yaml:8",
    ]
    assert found(file, "z.y", "z.w", "v.y") == ["main.yml:6", "main.yml:9", "main.yml:6"]


def test_json_files_have_positions(tmp_path: Path) -> None:
    text = (
        '{\n\t"a": {\n\t\t"path": "c:\\/x",\n\t\t"b": null, "c": [true,\n\t\t\t{"d": 1e5}]},'
        '\n"e": {{_base_.f}}}'
    )
    (tmp_path / "base.py").write_text("f = 1\n")
    file = write(tmp_path, main__json=text.replace('"a"', '"_base_": "base.py", "a"'))
    assert found(file, "a", "a.path", "a.b", "a.c[1].d", "e", "f") == [
        "main.json:2",
        "main.json:3",
        "main.json:4",
        "main.json:5",
        "main.json:6",
        "base.py:1",
    ]


def test_a_file_is_named_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", a__py="x = 1\n")
    monkeypatch.chdir(tmp_path)
    assert str(Positions("sub/a.py").find("x")) == "sub/a.py:1"
    monkeypatch.chdir(tmp_path / "sub")
    write(tmp_path, a__py="x = 1\n")
    assert str(Positions("../a.py").find("x")) == f"{tmp_path}/a.py:1"


def test_a_file_that_cannot_be_read_has_no_positions(tmp_path: Path) -> None:
    file = write(tmp_path, a__py="x = (\n")
    assert found(file, "x") == found(str(tmp_path / "none.py"), "x") == [None]


def test_nothing_is_said_twice_of_a_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SOME_LR", "1")
    file = write(tmp_path, a__py="_deprecation_ = dict()\nx = {{$SOME_LR:2}}\n")
    with caplog.at_level("DEBUG"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert found(file, "x") == ["a.py:2"]
    assert caplog.messages == []


def test_keys_that_look_like_the_notes_of_places_do_no_harm(tmp_path: Path) -> None:
    code = "a = {'x': 1, '\ue001x': 99, '\ue001': -1, '\ue002': True}\nb = a['x']\n"
    assert found(write(tmp_path, a__py=code), "a.x", "a", "b") == ["[a.py:1]", "a.py:1", "a.py:2"]


def test_nothing_is_run(tmp_path: Path) -> None:
    file = write(tmp_path, a__py=f"x = dict(y=open({str(tmp_path / 'trace')!r}, 'w'))\n")
    assert found(file, "x.y") == ["a.py:1"]
    assert not (tmp_path / "trace").exists()


def every_key(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the key paths of a config, each with its last key."""
    if isinstance(value, dict):
        for key, item in dict.items(value):
            inner = f"{path}.{key}" if path else str(key)
            yield inner, str(key)
            yield from every_key(item, inner)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from every_key(item, f"{path}[{index}]")


@pytest.mark.slow
def test_the_lines_found_in_real_configs_name_the_keys(
    reference: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tools import bench_config

    monkeypatch.syspath_prepend(str(bench_config.reference.WHEELS.resolve()))
    texts: dict[str, list[str]] = {}
    exact = around = 0
    for file in bench_config.config_files()[::10]:
        cfg = Config.fromfile(file, import_custom_modules=False)
        positions = Positions(file)
        for path, key in every_key(cfg._cfg_dict):
            place = positions.find(path)
            assert place, (file, path)
            assert place.line, (file, path)
            exact, around = exact + place.exact, around + (not place.exact)
            lines = texts.setdefault(place.file, Path(place.file).read_text().splitlines())
            if place.exact:
                assert re.search(rf"\b{re.escape(key)}\b", lines[place.line - 1]), (path, place)
    assert exact > 50_000
    assert around < exact / 20
