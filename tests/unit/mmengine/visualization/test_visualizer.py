"""The visualizer: which backends it has, and what they get."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mm2pl.mmengine import dist
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.registry import VISUALIZERS
from mm2pl.mmengine.visualization import BaseVisBackend, LocalVisBackend, Visualizer


def visualizers(package: str, folder: str) -> dict[str, Any]:
    """Return what visualizers hold and write; runs with MMEngine and with mm2pl."""
    import importlib
    import inspect
    import os
    import warnings

    module = importlib.import_module(f"{package}.visualization")
    make = module.Visualizer
    local = {"type": "LocalVisBackend"}

    class Free(module.LocalVisBackend):  # type: ignore[name-defined,misc]
        def __init__(self, save_dir: Any = None) -> None:
            super().__init__(save_dir)

    def held(**arguments: Any) -> Any:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                made = make(**arguments)
            except Exception as error:
                return [kind.__name__ for kind in type(error).__mro__]
        kinds = [
            [name, type(one).__name__, one._save_dir] for name, one in made._vis_backends.items()
        ]
        return [made.instance_name, kinds, len(caught)]

    found = {
        "none": held(),
        "a dict": held(vis_backends=dict(local), save_dir="x"),
        "a list": held(name="me", vis_backends=[dict(local)], save_dir="x/y"),
        "an object": held(vis_backends=module.LocalVisBackend("own"), save_dir="x"),
        "a name": held(vis_backends=[dict(local), {**local, "name": "b"}], save_dir="x"),
        "its own folder": held(vis_backends=[{**local, "save_dir": "own"}], save_dir="x"),
        "no folder": held(vis_backends=[dict(local), {"type": "TensorboardVisBackend"}]),
        "no folder, none needed": held(vis_backends=[Free()]),
        "two of a name": held(vis_backends=[dict(local), dict(local)], save_dir="x"),
        "text": held(vis_backends="LocalVisBackend"),
        "a list of text": held(vis_backends=["LocalVisBackend"]),
    }
    visualizer = make(
        vis_backends=[dict(local), {**local, "name": "b", "save_dir": folder + "/b"}],
        save_dir=folder,
    )
    found["early"] = os.listdir(folder)
    visualizer.add_scalar("a", 0.5, 1)
    visualizer.add_scalar("a", 0.5)
    visualizer.add_scalars({"b": 1, "c": 2}, 3, "extra.json")
    visualizer.add_config(importlib.import_module(f"{package}.config").Config({"a": 1}))
    visualizer.close()
    written = {}
    for base, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(base, name)) as opened:
                text = opened.read() if name.endswith(".json") else ""
            written[os.path.relpath(os.path.join(base, name), folder)] = text
    found["written"] = written
    visualizer.dataset_meta = {"classes": ["a"]}
    found["meta"] = visualizer.dataset_meta
    found["backends"] = [
        visualizer.get_backend("b")._save_dir == folder + "/b",
        visualizer.get_backend("none"),
    ]
    found["sample"] = visualizer.add_datasample("x", None)

    class Mine(make):  # type: ignore[misc,valid-type]
        pass

    mine = Mine.get_instance("mine")
    current = [make.get_current_instance(), make.get_instance("mine"), Mine.get_current_instance()]
    found["instances"] = [one is mine for one in current]
    Mine._instance_dict.clear()

    def signatures(holder: Any) -> dict[str, Any]:
        methods = {name: getattr(holder, name) for name in dir(holder) if name[0] != "_"}
        return {
            name: [
                [one.name, str(one.kind), repr(one.default)]
                for one in inspect.signature(method).parameters.values()
            ]
            for name, method in methods.items()
            if inspect.isfunction(method) and name != "add_hyperparams"  # which mm2pl adds
        }

    kinds = [make, module.BaseVisBackend, module.LocalVisBackend, module.TensorboardVisBackend]
    found["signatures"] = {kind.__name__: signatures(kind) for kind in kinds}
    found["constructors"] = [str(inspect.signature(kind).parameters.keys()) for kind in kinds]
    found["names"] = sorted(module.__all__)
    return found


@pytest.fixture(scope="module")
def theirs(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = str(tmp_path_factory.mktemp("theirs"))
    return reference.run(
        "from __future__ import annotations\nimport json\nfrom typing import Any\n"
        f"{inspect.getsource(visualizers)}\nprint(json.dumps(visualizers('mmengine', {folder!r})))"
    )


@pytest.mark.slow
def test_backends_and_files_equal_mmengines(theirs: Any, tmp_path: Path) -> None:
    ours = json.loads(json.dumps(visualizers("mm2pl.mmengine", str(tmp_path))))
    for case in ("two of a name", "text", "a list of text"):
        assert theirs[case][0] in ours[case]  # ours may be a subclass
        del theirs[case]
    for case, expected in theirs.items():
        assert (case, ours[case]) == (case, expected)


class Recording(BaseVisBackend):
    """Remembers what it is given."""

    def __init__(self) -> None:
        super().__init__("folder")
        self.got: list[Any] = []

    def _init_env(self) -> None: ...

    @property
    def experiment(self) -> None: ...

    def __getattribute__(self, name: str) -> Any:
        if not name.startswith("add_") and name != "close":
            return super().__getattribute__(name)
        return lambda *args, **kwargs: self.got.append((name, args, kwargs))


CONFIG = Config({"a": 1})
IMAGE = np.zeros((1, 1, 3), np.uint8)
MODEL = torch.nn.Linear(1, 1)
CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any], tuple[Any, ...]]] = [
    ("add_config", (CONFIG,), {"more": 1}, (CONFIG,)),
    ("add_hyperparams", ({"lr": 1},), {}, ({"lr": 1},)),
    ("add_graph", (MODEL, [1]), {"more": 1}, (MODEL, [1])),
    ("add_image", ("x", IMAGE, 3), {}, ("x", IMAGE, 3)),
    ("add_scalar", ("x", 0.5), {"more": 1}, ("x", 0.5, 0)),
    ("add_scalars", ({"x": 0.5},), {"more": 1}, ({"x": 0.5}, 0, None)),
    ("close", (), {}, ()),
]


@pytest.mark.parametrize(("name", "args", "kwargs", "arrives"), CALLS, ids=[c[0] for c in CALLS])
def test_every_backend_gets_everything_once(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any], arrives: tuple[Any, ...]
) -> None:
    backends = [Recording(), Recording()]
    visualizer = Visualizer()
    visualizer._vis_backends = {"a": backends[0], "b": backends[1]}
    getattr(visualizer, name)(*args, **kwargs)
    assert [backend.got for backend in backends] == [[(name, arrives, kwargs)]] * 2


def test_only_rank_0_records(monkeypatch: pytest.MonkeyPatch) -> None:
    from mm2pl.mmengine.dist import utils

    monkeypatch.setattr(utils, "get_rank", lambda group=None: 1)
    assert not dist.is_main_process()
    backend = Recording()
    visualizer = Visualizer(vis_backends=backend)
    for name, args, kwargs, _ in CALLS[:-1]:
        getattr(visualizer, name)(*args, **kwargs)
    assert (backend.got, visualizer.get_backend("Recording"), visualizer.dataset_meta) == (
        [],
        None,
        None,
    )


def test_the_backends_configs_are_left_as_they_were(tmp_path: Path) -> None:
    cfg = {"type": "LocalVisBackend", "name": "x"}
    visualizer = Visualizer(vis_backends=[cfg], save_dir=str(tmp_path))
    assert isinstance(visualizer.get_backend("x"), LocalVisBackend)
    assert cfg == {"type": "LocalVisBackend", "name": "x"}


def test_a_wrong_backend_names_its_place_in_the_config() -> None:
    with pytest.raises(TypeError, match=r"^vis_backends: .*got \[3\]"):
        Visualizer(vis_backends=[{"type": "LocalVisBackend"}, 3])  # type: ignore[list-item]


def test_it_is_built_by_its_name(tmp_path: Path) -> None:
    built = VISUALIZERS.build({"type": "Visualizer", "name": "built", "save_dir": str(tmp_path)})
    assert built is Visualizer.get_instance("built")


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return what is imported once something was recorded, and once something was drawn."""
    folder = str(tmp_path_factory.mktemp("imported"))
    source = (
        "import sys, numpy, torch\nfrom mm2pl.mmengine.visualization import Visualizer\n"
        f"v = Visualizer(vis_backends=[dict(type='LocalVisBackend')], save_dir={folder!r})\n"
        "v.add_image('x', numpy.zeros((2, 2, 3), 'uint8')); v.add_scalar('a', 1)\n"
        "names = {'matplotlib', 'cv2', 'PIL', 'tensorboard', 'lightning'}\n"
        "print(sorted(names & set(sys.modules)))\n"
        "v.set_image(numpy.zeros((20, 20, 3), 'uint8'))\n"
        "v.draw_texts('a', numpy.array([1, 2])).draw_binary_masks(numpy.ones((20, 20), bool))\n"
        "v.draw_featmap(torch.rand(6, 9, 9), channel_reduction=None, topk=3)\n"
        "print(sorted({'matplotlib', 'matplotlib.pyplot'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow
def test_to_record_neither_matplotlib_nor_opencv_nor_pillow_is_imported(
    imported: list[str],
) -> None:
    assert imported[0] == "[]"


@pytest.mark.slow
def test_to_draw_pyplot_is_not_imported(imported: list[str]) -> None:
    assert imported[1] == "['matplotlib']"
