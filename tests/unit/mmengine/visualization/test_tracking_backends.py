"""The backends of other packages: MMEngine's calls of each, and what the packages then hold."""

from __future__ import annotations

import inspect
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mm2pl.errors import MissingPackageError
from mm2pl.mmengine.registry import VISBACKENDS
from mm2pl.mmengine.visualization import (
    MLflowVisBackend,
    WandbVisBackend,
)
from mm2pl.mmengine.visualization.vis_backend import force_init_env


class Fake:
    """A module, or anything of it: it tells a list what is called, with which arguments."""

    def __init__(self, name: str, calls: list[Any]) -> None:
        self.__dict__.update(_name=name, _calls=calls, __spec__=None)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Fake(f"{self._name}.{name}", self._calls)

    def __getitem__(self, name: str) -> Any:
        return Fake(f"{self._name}[{name}]", self._calls)

    def __setitem__(self, name: str, value: Any) -> None:
        self._calls.append([f"{self._name}[{name}] = ", plain(value)])

    def __setattr__(self, name: str, value: Any) -> None:
        self._calls.append([f"{self._name}.{name} = ", plain(value)])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._name.endswith((".Image", ".as_image", ".from_content")):
            return [self._name, [plain(arg) for arg in args]]
        named = {key: plain(value) for key, value in sorted(kwargs.items())}
        if self._name == "wandb.define_metric" and args:
            args, named = (), {"name": args[0], **named}
        self._calls.append([self._name, [plain(arg) for arg in args], named])
        name = f"{self._name}()"
        return None if name.endswith("get_experiment_by_name()") else Fake(name, self._calls)


def plain(value: Any) -> Any:
    """Return what JSON holds for an argument."""
    import numpy as np
    import torch

    if isinstance(value, dict):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, (np.ndarray, torch.Tensor)):
        if value.ndim == 0:  # MMEngine hands DVCLive an array, which it refuses
            return value.item()
        return [str(value.dtype), value.tolist()]
    if isinstance(value, torch.nn.Module):
        return repr(value)
    if isinstance(value, str) and "work_dir = " in value:  # a config's text, formatted otherwise
        read: dict[str, Any] = {}
        exec(value, read)
        return {key: plain(one) for key, one in read.items() if not key.startswith("__")}
    return getattr(value, "_name", value)


MODULES = ("wandb", "mlflow", "clearml", "neptune", "neptune.types", "dvclive", "pygit2", "aim")
KINDS = {
    "WandbVisBackend": [
        {},
        {"init_kwargs": {"project": "p", "allow_val_change": True}, "commit": False},
        {"define_metric_cfg": {"acc": "max", "loss": "min"}, "watch_kwargs": {"log": "all"}},
        {"define_metric_cfg": [{"name": "loss", "step_metric": "epoch"}], "log_code_name": "c"},
        {"init_kwargs": {"dir": "elsewhere"}},
    ],
    "MLflowVisBackend": [
        {},
        {"exp_name": "e", "run_name": "r", "tags": {"t": 1}, "params": {"p": 2}},
        {"tracking_uri": "http://h", "artifact_location": "s3://b", "artifact_suffix": ".json"},
        {"tracked_config_keys": ["model"]},
    ],
    "ClearMLVisBackend": [{}, {"init_kwargs": {"a": 1}, "artifact_suffix": (".py", ".json")}],
    "NeptuneVisBackend": [{}, {"init_kwargs": {"project": "p"}}, {"init_kwargs": {}}],
    "DVCLiveVisBackend": [{}, {"init_kwargs": {"save_dvc_exp": False}}, {"artifact_suffix": ".py"}],
    "AimVisBackend": [{}, {"init_kwargs": {"repo": "r"}}],
}


def recorded(package: str, folder: str, kinds: dict[str, list[dict[str, Any]]]) -> Any:
    """Return the calls that each backend makes; runs with MMEngine and with mm2pl."""
    import importlib
    import json
    import os
    import sys

    import numpy as np
    import torch

    visualization = importlib.import_module(f"{package}.visualization")
    config_class = importlib.import_module(f"{package}.config").Config
    found = {}
    for name, variants in kinds.items():
        for index, options in enumerate(variants):
            calls: list[Any] = []
            kept = {module: sys.modules.get(module) for module in MODULES}
            sys.modules.update({module: Fake(module, calls) for module in MODULES})
            save_dir = os.path.join(folder, "exp", "run")
            os.makedirs(os.path.join(save_dir, "sub"), exist_ok=True)
            for file in ("a.json", "sub/b.py", "c.py", "d.txt", "e.pth", "sub/f.json"):
                with open(os.path.join(save_dir, file), "w"):
                    pass
            backend = getattr(visualization, name)(save_dir=save_dir, **options)
            backend.close()
            before = len(calls)
            model = {"type": "A", "sizes": [1, 2], "parts": [{"b": 1}, {"c": (1, 2)}]}
            config = config_class({"model": model, "work_dir": save_dir, "lr": 0.1})
            backend.add_config(config)
            backend.add_graph(torch.nn.Linear(2, 1), None)
            backend.add_scalar("loss", 0.5, 1)
            backend.add_scalar("tensor", torch.tensor(0.25), 2)
            backend.add_scalars({"acc": 1, "iter": 3}, 3, "unused.json")
            backend.add_image("image.png", np.full((1, 2, 3), 255, np.uint8), 4)
            refused = "nothing"
            try:
                backend.add_scalars({"step": 1}, 3)
            except AssertionError:
                refused = "AssertionError"
            experiment = plain(backend.experiment)
            backend.close()
            for module, old in kept.items():
                sys.modules.pop(module, None)
                if old is not None:
                    sys.modules[module] = old
            made = json.loads(json.dumps(calls).replace(folder, "FOLDER"))
            # The order of a folder's files is the file system's.
            files = [call for call in made if "artifact" in call[0]]
            rest = [call for call in made if "artifact" not in call[0]]
            found[f"{name}{index}"] = [before, experiment, refused, rest, sorted(files, key=str)]
    return found


# How a run of W&B ends; what asks pygit2 is DVCLive's set-up in MMEngine.
RENAMED = {"wandb.join": "wandb.finish"}


def same(calls: list[Any]) -> list[Any]:
    kept = [call for call in calls if not call[0].startswith("pygit2")]
    return [[RENAMED.get(call[0], call[0]), *call[1:]] for call in kept]


@pytest.fixture(scope="module")
def theirs(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = str(tmp_path_factory.mktemp("theirs"))
    parts = "\n".join(inspect.getsource(part) for part in (Fake, plain, recorded))
    found: dict[str, Any] = reference.run(
        f"from __future__ import annotations\nimport json\nfrom typing import Any\n"
        f"MODULES = {MODULES!r}\n{parts}\n"
        f"print(json.dumps(recorded('mmengine', {folder!r}, {KINDS!r})))"
    )
    return found


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Any:
    before = os.environ.get("MLFLOW_ALLOW_FILE_STORE")
    folder = str(tmp_path_factory.mktemp("ours"))
    found = recorded("mm2pl.mmengine", folder, KINDS)
    if before is None:
        os.environ.pop("MLFLOW_ALLOW_FILE_STORE", None)
    return json.loads(json.dumps(found))


@pytest.mark.proves(
    "VISBACKENDS.{Wandb,MLflow,ClearML,Neptune,DVCLive,Aim}VisBackend",
    "VISBACKENDS.{Wandb,MLflow,ClearML,Neptune,DVCLive,Aim}VisBackend.save_dir",
    "VISBACKENDS.WandbVisBackend.{commit,define_metric_cfg}",
    "VISBACKENDS.WandbVisBackend.{init_kwargs,log_code_name,watch_kwargs}",
    "VISBACKENDS.MLflowVisBackend.{artifact_location,artifact_suffix,exp_name,params}",
    "VISBACKENDS.MLflowVisBackend.{run_name,tags,tracked_config_keys,tracking_uri}",
    "VISBACKENDS.ClearMLVisBackend.{artifact_suffix,init_kwargs}",
    "VISBACKENDS.NeptuneVisBackend.init_kwargs",
    "VISBACKENDS.DVCLiveVisBackend.{artifact_suffix,init_kwargs}",
    "VISBACKENDS.AimVisBackend.init_kwargs",
)
@pytest.mark.parametrize(
    "case", [f"{name}{index}" for name, sets in KINDS.items() for index in range(len(sets))]
)
def test_the_package_is_called_as_by_mmengine(case: str, theirs: Any, ours: Any) -> None:
    expected, found = theirs[case], ours[case]
    assert found[:3] == expected[:3]
    assert same(found[3]) == same(expected[3])
    assert found[4] == expected[4]


@pytest.mark.parametrize("name", sorted(KINDS))
def test_a_missing_package_is_told_with_its_extra_on_first_use(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = name.removesuffix("VisBackend").lower()
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    backend = VISBACKENDS.build({"type": name, "save_dir": str(tmp_path)})
    backend.close()
    with pytest.raises(MissingPackageError, match=rf"{name} needs {package}.*") as caught:
        backend.add_scalar("a", 1.0)
    assert f"mm2pl[{package}]" in str(caught.value)


def test_each_named_extra_is_in_pyproject() -> None:
    text = (Path(__file__).parents[4] / "pyproject.toml").read_text()
    extras = [name.removesuffix("VisBackend").lower() for name in KINDS]
    assert [extra for extra in extras if f"\n{extra} = [" not in text] == []


def test_metrics_that_are_no_dict_and_no_list_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="define_metric_cfg should be dict or list"):
        WandbVisBackend(str(tmp_path), define_metric_cfg="acc").add_scalar("a", 1)  # type: ignore[arg-type]


@pytest.fixture
def mlflow_calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Put a fake in the place of MLflow; it notes what is called."""
    calls: list[Any] = []
    monkeypatch.setitem(sys.modules, "mlflow", Fake("mlflow", calls))  # type: ignore[arg-type]
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    return calls


def test_an_image_without_an_ending_gets_one_for_mlflow(
    tmp_path: Path, mlflow_calls: list[Any]
) -> None:
    MLflowVisBackend(str(tmp_path)).add_image("val/image", np.zeros((1, 1, 3), np.uint8), 7)
    assert mlflow_calls[-1][1][1] == "val/image_7.png"


def test_a_run_of_mlflow_without_a_config_is_closed(
    tmp_path: Path, mlflow_calls: list[Any]
) -> None:
    backend = MLflowVisBackend(str(tmp_path))
    backend.add_scalar("a", 1.0)
    backend.close()
    assert mlflow_calls[-1][0] == "mlflow.end_run"


def test_a_library_may_subclass_a_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    monkeypatch.setitem(sys.modules, "wandb", Fake("wandb", calls))  # type: ignore[arg-type]

    class Videos(WandbVisBackend):
        @force_init_env
        def add_video(self, name: str) -> None:
            self._wandb.log({name: "video"}, commit=self._commit)

    Videos(str(tmp_path)).add_video("v")
    assert calls[-1] == ["wandb.log", [{"v": "video"}], {"commit": True}]
