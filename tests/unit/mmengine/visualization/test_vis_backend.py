"""The backends: files equal to MMEngine's, opened when first needed."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from mm2pl.mmengine import visualization
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.registry import VISBACKENDS
from mm2pl.mmengine.visualization import (
    BaseVisBackend,
    LocalVisBackend,
    TensorboardVisBackend,
)
from mm2pl.mmengine.visualization.vis_backend import force_init_env


def recorded(package: str, folder: str) -> dict[str, Any]:
    """Return the files that LocalVisBackend writes; runs with MMEngine and with mm2pl."""
    import importlib
    import os
    from collections import OrderedDict

    import numpy as np
    import torch

    make = importlib.import_module(f"{package}.visualization").LocalVisBackend
    config = importlib.import_module(f"{package}.config").Config
    found: dict[str, Any] = {}

    def files() -> dict[str, str]:
        paths = [os.path.join(base, name) for base, _, names in os.walk(folder) for name in names]
        contents = {}
        for path in paths:
            if path.endswith(".json"):
                with open(path) as opened:
                    contents[os.path.relpath(path, folder)] = opened.read()
            else:
                contents[os.path.relpath(path, folder)] = ""
        return contents

    backend = make(os.path.join(folder, "a", "vis_data"))
    found["nothing yet"] = files()
    found["itself"] = backend.experiment is backend
    numbers = [1, 0.1, 1e-9, 12345678901234567890, True, np.float64(0.3), float("nan"), -0.0]
    arrays = [np.float32(0.1), np.int64(7), np.array(2.5), np.array([1.5]), np.arange(3)]
    for step, value in enumerate([*numbers, *arrays, torch.tensor(0.1), torch.tensor(3)]):
        backend.add_scalar("train/löss", value, step)
    tag = OrderedDict(lr=0.01, loss=np.float64(0.25), epoch=1, iter=50, memory=np.int64(120))
    backend.add_scalars(tag, 50, "20240101_000000.json")
    backend.add_scalars({"step": 3, "acc": 1.0, "rows": {1, 2}, "range": range(2)}, 7)
    backend.add_scalars({}, 8)
    backend.add_image("image", np.zeros((4, 5, 3), np.uint8), 3)
    backend.add_config(config({"a": 1}))
    backend.add_graph(torch.nn.Linear(1, 1), [])
    backend.close()
    found["written"] = files()
    found["kept"] = list(tag)

    other = make(os.path.join(folder, "b"), "images", "cfg.py", "numbers.json")
    other.add_image("image", np.zeros((4, 5, 3), np.uint8))
    other.add_config(config({"a": 1}))
    other.add_scalar("a", 1)
    found["other names"] = sorted(files())

    def error_of(call: Any, *arguments: Any, **options: Any) -> str:
        try:
            call(*arguments, **options)
        except Exception as error:
            return type(error).__name__
        return "no error"

    found["refused"] = [
        error_of(make, folder, config_save_file="config.yaml"),
        error_of(make, folder, scalar_save_file="scalars.txt"),
        error_of(backend.add_scalars, [1]),
        error_of(backend.add_scalars, {"a": 1}, file_path="x.txt"),
        error_of(backend.add_scalars, {"a": 1}, file_path="scalars.json"),
        error_of(backend.add_image, "x", np.zeros((4, 5, 3))),
        error_of(backend.add_config, {"a": 1}),
        error_of(backend.add_scalars, {"a": object()}),
    ]
    return found


def events(package: str, folder: str) -> Any:
    """Return what TensorboardVisBackend writes; runs with MMEngine and with mm2pl."""
    import importlib
    import os
    import warnings

    import numpy as np
    import torch
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    make = importlib.import_module(f"{package}.visualization").TensorboardVisBackend
    backend = make(os.path.join(folder, "vis_data"))
    early = os.listdir(folder)
    backend.add_scalar("a", 0.5, 1)
    backend.add_scalar("a", np.float32(1.5), 2)
    backend.add_scalars({"b": torch.tensor(2.5), "c/d": np.array([3.5])}, 3, "unused.json")
    backend.add_image("image", np.arange(60, dtype=np.uint8).reshape(4, 5, 3) * 4, 3)
    backend.add_image("rgba", np.arange(80, dtype=np.uint8).reshape(4, 5, 4))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        backend.add_scalar("text", "x")
    refused = []
    for wrong in ([1], {"step": 1}):
        try:
            backend.add_scalars(wrong)
        except Exception as error:
            refused.append(type(error).__name__)
    writer = type(backend.experiment).__name__
    backend.close()
    backend.close()
    read = EventAccumulator(os.path.join(folder, "vis_data"))
    read.Reload()
    tags = read.Tags()
    return [
        early,
        [name.rsplit(".", 5)[0][:19] for name in os.listdir(os.path.join(folder, "vis_data"))],
        {tag: [(e.step, e.value) for e in read.Scalars(tag)] for tag in tags["scalars"]},
        {
            tag: [(e.step, e.encoded_image_string.hex()) for e in read.Images(tag)]
            for tag in tags["images"]
        },
        len([one for one in caught if one.category is UserWarning]),
        refused,
        writer,
    ]


@pytest.fixture(scope="module")
def theirs(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folders = [str(tmp_path_factory.mktemp("theirs")) for _ in range(2)]
    source = "\n".join(inspect.getsource(function) for function in (recorded, events))
    return reference.run(
        f"from __future__ import annotations\nimport json\nfrom typing import Any\n{source}\n"
        f"print(json.dumps([recorded('mmengine', {folders[0]!r}),"
        f" events('mmengine', {folders[1]!r})]))"
    )


def test_local_files_equal_mmengines(theirs: Any, tmp_path: Path) -> None:
    ours = json.loads(json.dumps(recorded("mm2pl.mmengine", str(tmp_path))))
    for case, expected in theirs[0].items():
        assert (case, ours[case]) == (case, expected)


def test_tensorboard_events_equal_mmengines(theirs: Any, tmp_path: Path) -> None:
    assert json.loads(json.dumps(events("mm2pl.mmengine", str(tmp_path)))) == theirs[1]


@pytest.mark.parametrize("shape", [(7, 5, 3), (1, 1, 3), (300, 2, 3), (7, 5, 4), (7, 5, 1), (7, 5)])
def test_an_image_is_read_back_equal(shape: tuple[int, ...], tmp_path: Path) -> None:
    import cv2

    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    LocalVisBackend(str(tmp_path)).add_image("val/image", image[:, ::-1], 3)
    read = cv2.imread(str(tmp_path / "vis_image" / "val" / "image_3.png"), cv2.IMREAD_UNCHANGED)
    expected = np.broadcast_to(np.atleast_3d(image)[..., :3], (*shape[:2], 3))
    assert np.array_equal(read[:, ::-1, ::-1], expected)


@pytest.mark.parametrize("shape", [(4,), (4, 5, 2), (1, 4, 5, 3)])
def test_an_image_of_another_shape_is_refused(shape: tuple[int, ...], tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match=r"must have shape \(H, W, 3\)"):
        LocalVisBackend(str(tmp_path)).add_image("x", np.zeros(shape, np.uint8))


def test_the_config_is_reloaded_equal(tmp_path: Path) -> None:
    config = Config({"model": {"type": "A", "sizes": [1, (2, 3)]}, "title": "it's"})
    LocalVisBackend(str(tmp_path)).add_config(config)
    assert Config.fromfile(tmp_path / "config.py").to_dict() == config.to_dict()


def test_scalars_in_a_dict_may_be_tensors(tmp_path: Path) -> None:
    LocalVisBackend(str(tmp_path)).add_scalars({"a": torch.tensor(0.5)}, 1)
    assert (tmp_path / "scalars.json").read_text() == '{"a": 0.5, "step": 1}\n'


def test_hyperparameters_lie_beside_the_config(tmp_path: Path) -> None:
    backend = LocalVisBackend(str(tmp_path))
    backend.add_config(Config({"a": 1}))
    backend.add_hyperparams(
        {"lr": 0.1, "model": torch.nn.ReLU(), "sizes": (1, None), 3: {"x": True}}
    )
    assert yaml.safe_load((tmp_path / "hparams.yaml").read_text()) == {
        "lr": 0.1,
        "model": "ReLU()",
        "sizes": [1, None],
        "3": {"x": True},
    }
    assert Config.fromfile(tmp_path / "config.py").a == 1


def test_tensorboard_holds_config_and_hyperparameters(tmp_path: Path) -> None:
    backend = TensorboardVisBackend(str(tmp_path))
    backend.add_config(Config({"a": 1}))
    backend.add_hyperparams({"lr": 0.1})
    backend.close()
    (file,) = tmp_path.iterdir()
    assert b"lr: 0.1" in file.read_bytes()
    assert b"a = 1" in file.read_bytes()


def graph_nodes(folder: Path) -> list[str]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder))
    read.Reload()
    return [node.op for node in read.Graph().node] if read.Tags()["graph"] else []


# torch's own tracer, of what it uses itself.
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_tensorboard_holds_the_graph_of_a_model_that_a_batch_traces(tmp_path: Path) -> None:
    backend = TensorboardVisBackend(str(tmp_path))
    backend.add_graph(torch.nn.Linear(2, 1), (torch.ones(3, 2),))  # type: ignore[arg-type]
    backend.close()
    assert "aten::linear" in graph_nodes(tmp_path)


def test_without_a_batch_there_is_no_graph(tmp_path: Path) -> None:
    backend = TensorboardVisBackend(str(tmp_path))
    backend.add_graph(torch.nn.Linear(2, 1), None)
    backend.close()
    assert graph_nodes(tmp_path) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_graph_that_cannot_be_traced_is_left_out_with_a_warning(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Fails(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> None:
            raise KeyError("data_samples")

    backend = TensorboardVisBackend(str(tmp_path))
    with pytest.warns(UserWarning, match=r"cannot be traced.*data_samples"):
        backend.add_graph(Fails(), (torch.ones(1),))  # type: ignore[arg-type]
    backend.close()
    capsys.readouterr()


def test_closing_what_was_not_used_opens_nothing(tmp_path: Path) -> None:
    TensorboardVisBackend(str(tmp_path / "x")).close()
    assert list(tmp_path.iterdir()) == []


class Counting(BaseVisBackend):
    """A user's backend."""

    started = 0
    configs: list[Any]

    def _init_env(self) -> None:
        self.started += 1
        self.configs = []

    @property
    @force_init_env
    def experiment(self) -> str:
        return "experiment"

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        self.configs.append(config)


def test_a_backend_is_set_up_once_on_first_use() -> None:
    backend = Counting("folder")
    assert backend.started == 0
    assert (backend.experiment, backend.experiment, backend.started) == (
        "experiment",
        "experiment",
        1,
    )


def test_a_users_backend_gets_hyperparameters_as_config() -> None:
    backend = Counting("folder")
    backend.add_hyperparams({"lr": 0.1})
    assert backend.configs[0].hparams.lr == 0.1


def test_a_backend_that_records_nothing_takes_everything() -> None:
    backend = Counting("folder")
    backend.add_scalar("a", 1.0)
    backend.add_scalars({"a": 1.0}, 1, "x.json")
    backend.add_image("a", np.zeros((1, 1, 3), np.uint8))
    backend.add_graph(torch.nn.Linear(1, 1), [])
    backend.close()
    assert backend.started == 0


def test_what_has_no_set_up_is_refused() -> None:
    class Bare:
        @force_init_env
        def use(self) -> None: ...

    with pytest.raises(AttributeError, match="Bare has no _init_env"):
        Bare().use()


@pytest.mark.parametrize(
    "name", sorted(set(visualization.__all__) - {"Visualizer", "BaseVisBackend"})
)
def test_each_backend_is_found_by_its_name(name: str) -> None:
    assert VISBACKENDS.get(name) is getattr(visualization, name)
