"""ProfilerHook and PrepareTTAHook: what they do to a run, as MMEngine's do."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.errors import UnsupportedError
from mm2pl.mmengine.config import Config, ConfigDict
from mm2pl.mmengine.dataset import DefaultSampler, default_collate
from mm2pl.mmengine.evaluator import BaseMetric
from mm2pl.mmengine.hooks import NPUProfilerHook, PrepareTTAHook, ProfilerHook
from mm2pl.mmengine.hooks.test_time_aug_hook import build_runner_with_tta
from mm2pl.mmengine.model import BaseModel, BaseTTAModel
from mm2pl.mmengine.registry import HOOKS, MODELS
from mm2pl.runner import Runner

PROFILES: dict[str, dict[str, Any]] = {
    "first epoch": {},
    "two iterations": {"by_epoch": False, "profile_times": 2},
    "scheduled": {"schedule": {"wait": 1, "warmup": 1, "active": 1, "repeat": 1}},
    "shapes": {"record_shapes": True, "profile_memory": True, "with_flops": True},
    "stacks": {"with_stack": True, "by_epoch": False},
    "table": {"on_trace_ready": {"type": "log_trace", "sort_by": "cpu_time_total"}},
    "no cpu": {"activity_with_cpu": True, "activity_with_cuda": True},
}
WRONG: list[dict[str, Any]] = [
    {"profile_times": 0},
    {"profile_times": 2},
    {"by_epoch": 1},
    {"activity_with_cpu": 1},
    {"activity_with_cuda": None},
    {"schedule": [1]},
    {"by_epoch": False, "profile_times": 7},
    {"on_trace_ready": "log_trace"},
    {"on_trace_ready": {"type": "other"}},
    {"on_trace_ready": {"type": "tb_trace"}},
]


def profiled(package: str, folder: str, profiles: Any, wrong: Any) -> Any:
    """Return what the profiles of two epochs of three iterations hold; for both packages."""
    import contextlib
    import importlib
    import io
    import json
    import logging
    import os
    from types import SimpleNamespace

    import torch

    hook_class = importlib.import_module(f"{package}.hooks").ProfilerHook
    runner = SimpleNamespace(max_epochs=2, max_iters=6, log_dir=folder, iter=0)
    runner.logger = logging.getLogger("quiet")
    runner.logger.setLevel("CRITICAL")

    def drive(hook: Any) -> None:
        hook.before_run(runner)
        runner.iter = 0
        for _ in range(2):
            for index in range(3):
                torch.ones(2, 2) @ torch.ones(2, 2)
                hook.after_train_iter(runner, index, None, None)
                runner.iter += 1
            hook.after_train_epoch(runner)

    found: dict[str, Any] = {"priority": hook_class.priority}
    for name, options in profiles.items():
        path = os.path.join(folder, f"{name}.json")
        times: list[int] = []
        given = {"on_trace_ready": lambda done, to=times: to.append(done.step_num)}
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            drive(hook_class(json_trace_path=path, **{**given, **options}))
        with open(path) as opened:
            events = json.load(opened)["traceEvents"]
        products = [event for event in events if event.get("name") == "aten::matmul"]
        steps = {e["name"] for e in events if str(e.get("name")).startswith("ProfilerStep")}
        keys = set().union(*(event["args"] for event in products)) if products else set()
        kept = keys & {"Input Dims", "Call stack", "Python parent id"}
        table = "aten::matmul" in printed.getvalue()
        found[name] = [len(products), sorted(steps), times, sorted(kept), table]
    errors = []
    for options in wrong:
        try:
            drive(hook_class(**options))
            errors.append("none")
        except Exception as error:
            kinds = (AssertionError, ImportError, ValueError)
            errors.append(next(kind.__name__ for kind in kinds if isinstance(error, kind)))
    return [found, errors]


@pytest.fixture(scope="module")
def both(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any]:
    folder = str(tmp_path_factory.mktemp("profiles"))
    theirs = reference.run(
        f"from __future__ import annotations\nimport json\nfrom typing import Any\n"
        f"{inspect.getsource(profiled)}\n"
        f"print(json.dumps(profiled('mmengine', {folder!r}, {PROFILES!r}, {WRONG!r})))"
    )
    return json.loads(json.dumps(profiled("mm2pl.mmengine", folder, PROFILES, WRONG))), theirs


pytestmark = pytest.mark.filterwarnings(
    "ignore:.*(CUDA is not available|Warmup|warmup|Profiler|profiler).*"
)


@pytest.mark.proves("HOOKS.ProfilerHook", "HOOKS.ProfilerHook.*")
@pytest.mark.parametrize("name", ["priority", *PROFILES])
def test_a_profile_holds_what_mmengines_does(both: Any, name: str) -> None:
    assert both[0][0][name] == both[1][0][name]
    assert name == "priority" or both[0][0][name][0] > 0


@pytest.mark.parametrize("index", range(len(WRONG)))
def test_wrong_arguments_are_refused_as_by_mmengine(both: Any, index: int) -> None:
    assert both[0][1][index] == both[1][1][index] != "none"


@pytest.mark.proves("HOOKS.ProfilerHook.on_trace_ready")
def test_traces_for_tensorboard_lie_in_the_runs_log_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = inspect.getmodule(ProfilerHook)
    monkeypatch.setattr(module, "find_spec", lambda name: object())
    for given, folder in (({}, "tf_tracing_logs"), ({"dir_name": "mine"}, "mine")):
        hook = ProfilerHook(on_trace_ready={"type": "tb_trace", "worker_name": "w", **given})
        Runner(**config(tmp_path), custom_hooks=[hook]).train()
        (trace,) = tmp_path.glob(f"*/{folder}/w.*.pt.trace.json")
        assert json.loads(trace.read_text())["traceEvents"]


def test_an_iteration_that_ends_in_a_later_epoch_does_not_write_the_trace_twice(
    tmp_path: Path,
) -> None:
    traces: list[int] = []
    hook = ProfilerHook(
        by_epoch=False, profile_times=3, on_trace_ready=lambda done: traces.append(1)
    )
    Runner(**config(tmp_path, epochs=2), custom_hooks=[hook]).train()
    assert traces == [1]


def test_huaweis_profiler_is_refused_with_the_reason() -> None:
    assert HOOKS.get("NPUProfilerHook") is NPUProfilerHook
    with pytest.raises(UnsupportedError, match="NPUs"):
        NPUProfilerHook()


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Linear(2, 1)

    def forward(self, inputs: Any, mode: str = "tensor") -> Any:
        if mode == "loss":
            return {"loss": self.fc(inputs).mean()}
        return list(self.fc(inputs).detach())


class Mean(BaseTTAModel):
    def test_step(self, data: Any) -> Any:
        return [torch.full_like(one, 7.0) for one in self.module.test_step(data)]

    def merge_preds(self, data_samples_list: Any) -> Any:
        raise NotImplementedError


class Sum(BaseMetric):
    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [float(one) for one in data_samples]

    def compute_metrics(self, results: Any) -> dict[str, float]:
        return {"sum": sum(results)}


def config(folder: Path, epochs: int = 1) -> dict[str, Any]:
    loader = {
        "batch_size": 1,
        "dataset": [{"inputs": torch.ones(2)} for _ in range(2)],
        "sampler": {"type": DefaultSampler, "shuffle": False},
        "collate_fn": {"type": default_collate},
    }
    return {
        "model": Line(),
        "work_dir": str(folder),
        "train_dataloader": loader,
        "train_cfg": {"by_epoch": True, "max_epochs": epochs},
        "optim_wrapper": {"optimizer": {"type": "SGD", "lr": 0.001}},
        "default_hooks": {"checkpoint": None},
        "test_dataloader": loader,
        "test_cfg": {},
        "test_evaluator": {"type": Sum},
        "log_level": "ERROR",
    }


@pytest.fixture
def mean() -> Any:
    MODELS.register_module(name="MeanTTA", module=Mean)
    yield
    MODELS.module_dict.pop("MeanTTA")


@pytest.mark.proves("HOOKS.PrepareTTAHook", "HOOKS.PrepareTTAHook.tta_cfg")
def test_a_test_runs_on_the_augmenting_model_each_time_wrapped_once(
    tmp_path: Path, mean: Any
) -> None:
    cfg = {"type": "MeanTTA"}
    runner = Runner(**config(tmp_path), custom_hooks=[PrepareTTAHook(cfg)])
    for _ in range(2):
        assert runner.test() == {"sum": 14.0}
        assert isinstance(runner.model, Mean)
        assert isinstance(runner.model.module, Line)
    assert cfg == {"type": "MeanTTA"}


def tta(package: str) -> Any:
    """Return what ``build_runner_with_tta`` makes of configs; for both packages."""
    import importlib
    from types import SimpleNamespace

    registry = importlib.import_module(f"{package}.registry")
    hooks = importlib.import_module(f"{package}.hooks.test_time_aug_hook")
    config_class = importlib.import_module(f"{package}.config").Config
    made: list[Any] = []

    class Recorder:
        model = "the model"

        @classmethod
        def from_cfg(cls, cfg: Any) -> Any:
            made.append(cfg["test_dataloader"]["dataset"]["pipeline"])
            return cls()

        def register_hook(self, hook: Any) -> None:
            hook.before_test(self)

    def wrapper(**options: Any) -> Any:
        return SimpleNamespace(**options)

    registry.RUNNERS.register_module(name="Recorder", module=Recorder)
    registry.MODELS.register_module(name="Wrapper", module=wrapper)
    full = {
        "runner_type": "Recorder",
        "tta_model": {"type": "Wrapper", "a": 1},
        "tta_pipeline": ["augmented"],
        "test_dataloader": {"dataset": {"pipeline": []}},
    }
    cfg = config_class(full)
    runner = hooks.build_runner_with_tta(cfg)
    errors = []
    for name in ("tta_model", "tta_pipeline"):
        lacking = config_class({key: value for key, value in full.items() if key != name})
        try:
            hooks.build_runner_with_tta(lacking)
        except AssertionError as error:
            errors.append(f"{name} is defined" in str(error))
    registry.RUNNERS.module_dict.pop("Recorder")
    registry.MODELS.module_dict.pop("Wrapper")
    changed = cfg.test_dataloader.dataset.pipeline
    return [made, vars(runner.model), changed, errors]


def test_a_runner_with_augmentation_is_built_as_by_mmengine(reference: Any) -> None:
    theirs = reference.run(
        f"from __future__ import annotations\nimport json\nfrom typing import Any\n"
        f"{inspect.getsource(tta)}\nprint(json.dumps(tta('mmengine')))"
    )
    assert json.loads(json.dumps(tta("mm2pl.mmengine"))) == theirs


def test_without_a_runner_type_it_is_the_ordinary_runner(tmp_path: Path, mean: Any) -> None:
    cfg = Config({key: value for key, value in config(tmp_path).items() if key != "model"})
    dataset = {"type": Numbers, "pipeline": []}
    cfg.test_dataloader = ConfigDict({**cfg.test_dataloader, "dataset": dataset})
    cfg.model, cfg.tta_model, cfg.tta_pipeline = {"type": Line}, {"type": "MeanTTA"}, ["x"]
    for key in ("train_dataloader", "train_cfg", "optim_wrapper"):
        cfg.pop(key)
    assert build_runner_with_tta(cfg).test() == {"sum": 14.0}


class Numbers:
    def __init__(self, pipeline: Any) -> None:
        assert pipeline == ["x"]

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Any:
        return {"inputs": torch.ones(2)}
