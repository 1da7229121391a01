"""Programs around the runner, written against mmengine; prints what each gives, as JSON.

Run as ``python runner_cases.py ours|mmengine FOLDER [CASE ...]``: with ``ours``, mm2pl serves
``mmengine``.
"""

# ruff: noqa: E402  (mmengine is there only once mm2pl serves it)

from __future__ import annotations

import contextlib
import copy
import hashlib
import io
import json
import logging
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

OURS = sys.argv[1] == "ours"
if OURS:
    sys.path.insert(0, str(Path(__file__).parents[2]))
    import mm2pl

    mm2pl.install_as_mmengine()
    from mm2pl.runner import Runner as OwnRunner

    # Resumed in MMEngine's way; the exact way is compared with runs that were never interrupted.
    OwnRunner.resumes_exactly = False
sys.path.insert(0, str(Path(__file__).parents[1] / "parity" / "harness"))

import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.hooks import Hook
from mmengine.optim import LinearLR, OptimWrapper
from mmengine.registry import METRICS, MODELS, RUNNERS
from mmengine.runner import (
    CheckpointLoader,
    Runner,
    autocast,
    find_latest_checkpoint,
    get_state_dict,
    load_checkpoint,
    load_state_dict,
    save_checkpoint,
    set_random_seed,
)
from mmengine.runner.activation_checkpointing import turn_on_activation_checkpointing
from mmengine.runner.checkpoint import _load_checkpoint_with_prefix
from mmengine.runner.utils import calc_dynamic_intervals
from mmengine.visualization import Visualizer
from toys import ToyModel

CASES: list[Callable[[str], Any]] = []


def case(function: Callable[[str], Any]) -> Callable[[str], Any]:
    CASES.append(function)
    return function


# --------------------------------------------------------------------------- what the cases share


@METRICS.register_module()
class MeanScore(BaseMetric):
    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [float(sample["pred_score"].sum()) for sample in data_samples]

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        return {"score": sum(results) / len(results), "n": len(results)}


class Recorder(Hook):
    """Notes every point with the counters and the model's mode."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.points: list[str] = []


def _note(point: str) -> Callable[..., None]:
    def method(self: Recorder, runner: Any, **_: Any) -> None:
        self.points.append(f"{point} {runner.epoch} {runner.iter} {runner.model.training}")

    return method


for _point in Hook.stages:
    setattr(Recorder, _point, _note(_point))


class At(Hook):
    """Does something at one point, each time ``when`` holds."""

    def __init__(self, point: str, do: Callable[[Any], Any], when: Any = None) -> None:
        def method(runner: Any, **_: Any) -> None:
            if when is None or when(runner):
                do(runner)

        setattr(self, point, method)


class FailOnce(Hook):
    def __init__(self, point: str, when: Callable[[Any], bool]) -> None:
        self.failed = False
        setattr(self, point, lambda runner, **_: self.fail(when(runner)))

    def fail(self, now: bool) -> None:
        if now and not self.failed:
            self.failed = True
            raise ArithmeticError("here")


def loader(size: int = 22, shuffle: bool = True, **changes: Any) -> dict[str, Any]:
    return {
        "batch_size": 4,
        "num_workers": 0,
        "dataset": {"type": "ToyDataset", "size": size},
        "sampler": {"type": "DefaultSampler", "shuffle": shuffle},
        **changes,
    }


_made = 0


def config(work_dir: str, **changes: Any) -> dict[str, Any]:
    global _made
    _made += 1  # runs of one name in one second would share their log in MMEngine
    evaluation = {"dataloader": loader(9, False), "evaluator": {"type": "MeanScore"}, "cfg": {}}
    cfg = {
        "model": {"type": "ToyModel"},
        "work_dir": work_dir,
        "train_dataloader": loader(),
        "train_cfg": {"by_epoch": True, "max_epochs": 3},
        "optim_wrapper": {"optimizer": {"type": "Adam", "lr": 0.01}},
        "param_scheduler": [
            {"type": "LinearLR", "by_epoch": False, "start_factor": 0.1, "end": 4},
            {"type": "MultiStepLR", "milestones": [2]},
        ],
        **{f"val_{key}": value for key, value in copy.deepcopy(evaluation).items()},
        **{f"test_{key}": value for key, value in copy.deepcopy(evaluation).items()},
        "randomness": {"seed": 7},
        "log_level": "ERROR",
        "experiment_name": f"case{_made}",
        **changes,
    }
    return {key: value for key, value in cfg.items() if value is not None}


ITERATIONS: dict[str, Any] = {
    "train_cfg": {"by_epoch": False, "max_iters": 8, "val_interval": 4},
    "train_dataloader": loader(sampler={"type": "InfiniteSampler"}),
    "default_hooks": {"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": 3}},
}
ONE_EPOCH = {"by_epoch": True, "max_epochs": 1}


def made(work_dir: str, *hooks: Hook, **changes: Any) -> Any:
    runner = Runner.from_cfg(config(work_dir, **copy.deepcopy(changes)))
    for hook in hooks:
        runner.register_hook(hook)
    return runner


def digest(state: Any) -> str:
    hashed = hashlib.sha256()
    for key, value in state.items():
        hashed.update(key.encode() + value.detach().numpy().tobytes())
    return hashed.hexdigest()[:16]


def trained(runner: Any) -> str:
    return digest(runner.train().state_dict())


def errors(*calls: Callable[[], Any], kinds: tuple[type, ...] = (Exception,)) -> list[Any]:
    """Return for each call which of the kinds its error is."""
    found: list[Any] = []
    for call in calls:
        try:
            call()
            found.append("no error")
        except Exception as error:
            found.append([kind.__name__ for kind in kinds if isinstance(error, kind)])
    return found


# --------------------------------------------------------------------------- running


@case
def training_goes_on_from_a_checkpoint_loaded_by_hand(folder: str) -> Any:
    made(f"{folder}/a", train_cfg={"by_epoch": True, "max_epochs": 2}).train()
    runner = made(f"{folder}/b")
    runner.resume(f"{folder}/a/epoch_2.pth")
    weights = trained(runner)
    return runner.epoch, runner.iter, weights, [one.last_step for one in runner.param_schedulers]


@case
def test_and_validation_resume_before_training_does(folder: str) -> Any:
    made(folder, train_cfg={"by_epoch": True, "max_epochs": 2}).train()
    runner = made(folder, resume=True)
    return runner.test(), runner.val(), trained(runner)


@case
def test_and_validation_resume_an_iteration_based_run(folder: str) -> Any:
    made(folder, **ITERATIONS).train()
    longer = {**ITERATIONS, "train_cfg": {"by_epoch": False, "max_iters": 11, "val_interval": 4}}
    runner = made(folder, resume=True, **longer)
    return runner.test(), runner.val(), trained(runner)


def _stop(runner: Any) -> None:
    runner.train_loop.stop_training = True


@case
def a_run_stopped_before_its_first_step_does_nothing(folder: str) -> Any:
    recorders = Recorder(), Recorder()
    made(f"{folder}/a", At("before_train", _stop), recorders[0]).train()
    made(f"{folder}/b", At("before_train", _stop), recorders[1], **ITERATIONS).train()
    return [one.points for one in recorders]


@case
def a_second_training_has_nothing_left_to_do(folder: str) -> Any:
    recorder = Recorder()
    runner = made(folder, recorder)
    runner.train()
    before = len(recorder.points)
    return trained(runner), recorder.points[before:]


@case
def a_run_made_longer_goes_on(folder: str) -> Any:
    recorder = Recorder()
    runner = made(folder, recorder)
    runner.train()
    runner.test()
    runner.train_loop._max_epochs, runner.train_loop._max_iters = 4, 24
    return trained(runner), recorder.points


@case
def a_stopped_run_stays_stopped_until_the_flag_is_taken_back(folder: str) -> Any:
    recorder = Recorder()
    stop = At("after_train_epoch", _stop, lambda runner: runner.epoch == 0)
    runner = made(folder, stop, recorder)
    weights = [trained(runner), trained(runner)]
    runner.train_loop.stop_training = False
    return [*weights, trained(runner)], recorder.points


@case
def training_again_after_an_error_in_a_training_step(folder: str) -> Any:
    recorder = Recorder()
    runner = made(folder, FailOnce("before_train_iter", lambda one: one.iter == 8), recorder)
    failed = errors(runner.train, kinds=(ArithmeticError,))
    return failed, trained(runner), recorder.points


@case
def training_again_after_an_error_in_a_validation_step(folder: str) -> Any:
    recorder = Recorder()
    runner = made(folder, FailOnce("before_val_iter", lambda one: True), recorder)
    failed = errors(runner.train, kinds=(ArithmeticError,))
    return failed, torch.is_grad_enabled(), trained(runner), recorder.points


def _swap(stage: str, size: int, shuffle: bool) -> Callable[[Any], None]:
    def swap(runner: Any) -> None:
        new = runner.build_dataloader(loader(size, shuffle), seed=1)
        getattr(runner, f"{stage}_loop").dataloader = new

    return swap


@case
def a_training_loader_swapped_for_a_longer_or_shorter_one(folder: str) -> Any:
    results = []
    for size, epoch in ((30, 1), (10, 1), (30, 0)):
        recorder = Recorder()
        point = "before_train_epoch"
        hook = At(point, _swap("train", size, True), lambda one, epoch=epoch: one.epoch == epoch)
        results.append((trained(made(f"{folder}/{size}{epoch}", hook, recorder)), recorder.points))
    return results


@case
def a_validation_loader_swapped_for_a_longer_or_shorter_one(folder: str) -> Any:
    results = []
    for size in (17, 4):
        recorder = Recorder()
        hook = At("before_val", _swap("val", size, False), lambda one: one.epoch == 2)
        results.append((trained(made(f"{folder}/{size}", hook, recorder)), recorder.points))
    return results


@case
def test_then_validation_then_training(folder: str) -> Any:
    runner = made(folder, train_cfg=ONE_EPOCH)
    return runner.test(), runner.val(), trained(runner)


@case
def weights_alone_are_loaded_from_a_bare_state_dict(folder: str) -> Any:
    torch.manual_seed(0)
    state = {f"module.{key}": value for key, value in ToyModel().state_dict().items()}
    torch.save(state, f"{folder}/weights.pth")
    runner = made(f"{folder}/run", load_from=f"{folder}/weights.pth")
    return runner.val(), digest(runner.model.state_dict())


def shapes_in_few_words(text: str) -> str:
    """Take out the words around shapes that differ: ours stand in a table."""
    text = re.sub(r"weights with another shape:\nweight +in the .*\n", "", text)
    sentence = r"size mismatch for (\S+): .*?Size\((.*?)\).*?Size\((.*?)\)\."
    return " ".join(re.sub(sentence, r"\1 \2 \3", text).split())


@case
def a_checkpoint_of_openmmlab_1_gives_weights_but_no_run(folder: str) -> Any:
    torch.manual_seed(0)
    state = ToyModel().state_dict()
    state["head.weight"] = torch.zeros(5, 8)
    state["extra"] = torch.zeros(1)
    del state["first.bias"]
    meta = {"epoch": 3, "iter": 4, "mmcv_version": "1.3.0", "CLASSES": ("a",), "config": "a = 1"}
    file = f"{folder}/old.pth"
    torch.save({"state_dict": state, "meta": meta, "optimizer": {}}, file)
    runner = made(f"{folder}/run")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        loaded = runner.load_checkpoint(file)
    return (
        sorted(loaded),
        digest({"first": runner.model.first.weight}),
        shapes_in_few_words(printed.getvalue().replace(folder, "FOLDER")),
        errors(lambda: runner.load_checkpoint(file, strict=True), kinds=(RuntimeError,)),
        errors(lambda: runner.resume(file)) != ["no error"],
    )


@case
def activation_checkpointing_changes_no_weights(folder: str) -> Any:
    return trained(made(folder, activation_checkpointing=["first", "head"]))


@case
def parts_given_as_objects_are_used_as_they_are(folder: str) -> Any:
    torch.manual_seed(0)
    model = ToyModel()
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.1))
    loaders = [Runner.build_dataloader(loader(size, False), seed=3) for size in (22, 9)]
    visualizer = Visualizer("own", vis_backends=[{"type": "LocalVisBackend"}], save_dir=folder)
    evaluator = Evaluator(MeanScore())
    runner = Runner(
        model,
        folder,
        train_dataloader=loaders[0],
        val_dataloader=loaders[1],
        train_cfg={"by_epoch": True, "max_epochs": 2},
        val_cfg={"type": "ValLoop", "fp16": True},
        optim_wrapper=wrapper,
        param_scheduler=LinearLR(wrapper, end=3),
        val_evaluator=evaluator,
        default_hooks={"timer": None, "logger": None},
        custom_hooks=[Recorder()],
        visualizer=visualizer,
        randomness={"seed": 1},
        log_level="ERROR",
        experiment_name="objects",
        cfg={"a": 1},
    )
    out = runner.train()
    same = [
        out is model,
        runner.optim_wrapper is wrapper,
        runner.train_dataloader is loaders[0],
        runner.val_evaluator is evaluator,
        runner.visualizer is visualizer,
    ]
    return same, [type(hook).__name__ for hook in runner.hooks], digest(out.state_dict())


# --------------------------------------------------------------------------- the runner's surface


@case
def hooks_may_be_put_together_by_hand(folder: str) -> Any:
    called: list[int] = []
    hook = Hook()
    hook.after_train_epoch = lambda runner: called.append(runner.epoch)  # type: ignore[method-assign]
    runner = made(folder, hook)
    runner.register_hooks({"timer": None}, [{"type": "EmptyCacheHook"}])
    runner.register_default_hooks()
    names = [type(one).__name__ for one in runner._hooks]
    runner._hooks.remove(hook)
    runner.train()
    again = made(f"{folder}/b", hook)
    again.train()
    return names, called


@case
def no_scope_is_made_where_the_config_says_none(folder: str) -> Any:
    cfg = config(folder)
    cfg["default_scope"] = None
    return str(Runner.from_cfg(cfg).default_scope)


@case
def learning_rates_are_scaled_only_between_wrapper_and_schedules(folder: str) -> Any:
    settings = {"enable": True, "base_batch_size": 8}
    runner = made(folder, train_cfg=ONE_EPOCH)
    unbuilt = errors(
        lambda: runner.scale_lr(runner.optim_wrapper, settings), kinds=(AssertionError,)
    )
    runner.train()
    return unbuilt, errors(
        lambda: runner.scale_lr(runner.optim_wrapper, settings), kinds=(RuntimeError,)
    )


@case
def attributes_before_training(folder: str) -> Any:
    runner = made(folder)
    return (
        *(runner.max_epochs, runner.max_iters, runner.epoch, runner.iter),
        *(runner.val_interval, runner.val_begin, len(runner.train_dataloader)),
        *(len(runner.val_dataloader), type(runner.val_evaluator).__name__),
        *(type(runner.test_loop).__name__, runner._has_loaded, runner.deterministic, runner.seed),
    )


@case
def attributes_and_errors_of_a_runner_without_sections(folder: str) -> Any:
    runner = Runner({"type": "ToyModel"}, folder, log_level="ERROR", experiment_name="bare")
    names = ("train_dataloader", "val_evaluator", "val_interval")
    return (
        [runner.train_loop, runner.val_loop, runner.test_loop],
        [runner.epoch, runner.iter, runner.max_epochs, runner.max_iters],
        errors(*(lambda name=name: getattr(runner, name) for name in names)),
        errors(runner.train, runner.val, runner.test, kinds=(RuntimeError,)),
    )


@case
def a_registered_subclass_is_built_by_its_name(folder: str) -> Any:
    @RUNNERS.register_module()
    class CountingRunner(Runner):  # type: ignore[misc, valid-type]
        built = 0

        def build_optim_wrapper(self, optim_wrapper: Any) -> Any:
            self.built += 1
            return super().build_optim_wrapper(optim_wrapper)

    runner = RUNNERS.build(Config(config(folder, runner_type="CountingRunner")))
    runner.train()
    return type(runner).__name__, runner.built


@case
def the_config_is_left_as_it_was(folder: str) -> Any:
    wrapper = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1}}
    scale = {"enable": True, "base_batch_size": 8}
    cfg = Config(config(folder, optim_wrapper=wrapper, auto_scale_lr=scale))
    before = copy.deepcopy(cfg.to_dict())
    runner = Runner.from_cfg(cfg)
    runner.train()
    return cfg.to_dict() == before, [group["lr"] for group in runner.optim_wrapper.param_groups]


@case
def loops_built_by_hand(folder: str) -> Any:
    runner = made(folder)
    loop = runner.build_train_loop({"type": "IterBasedTrainLoop", "max_iters": 3.0})
    wrong = (
        {"by_epoch": True, "max_epochs": 1.5},
        {"by_epoch": True, "type": "EpochBasedTrainLoop", "max_epochs": 1},
        3,
        {"type": "NoSuchLoop"},
    )
    kinds = (AssertionError, RuntimeError, TypeError, KeyError)
    return (
        [loop.max_iters, loop.max_epochs, loop.epoch, loop.iter, loop.val_begin],
        [loop.val_interval, loop.dynamic_milestones, loop.dynamic_intervals],
        runner.build_val_loop({"type": "ValLoop"}).fp16,
        # In the kind that MMEngine raises; ours may be of others besides.
        [
            kind in found[0]
            for kind, found in zip(
                [kind.__name__ for kind in kinds],
                (
                    errors(lambda one=one: runner.build_train_loop(one), kinds=kinds)
                    for one in wrong
                ),
                strict=True,
            )
        ],
    )


@case
def files_and_meta_of_a_run(folder: str) -> Any:
    made(folder, train_cfg=ONE_EPOCH).train()
    checkpoint = torch.load(f"{folder}/epoch_1.pth", weights_only=False) if not OURS else None
    if checkpoint is None:
        from mm2pl.checkpoint import read

        checkpoint = read(f"{folder}/epoch_1.pth")
    meta = {
        key: value
        for key, value in checkpoint["meta"].items()
        if key not in ("time", "cfg", "experiment_name")
    }
    files = [re.sub(r"\d{8}_\d{6}", "TIME", name) for name in sorted(os.listdir(folder))]
    keys = list(checkpoint)[:5]  # in mm2pl Lightning's follow, and what an exact resume needs
    return keys, sorted(checkpoint["meta"]), meta, files


# --------------------------------------------------------------------------- weights and files


class Renaming(torch.nn.Module):
    """Renames its child's weights when it is loaded, as libraries do for their old files."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(2, 2)
        self.norm = torch.nn.BatchNorm1d(2)

    def _load_from_state_dict(self, state: Any, prefix: str, *args: Any) -> None:
        for key in [key for key in state if key.startswith(f"{prefix}old.")]:
            state[f"{prefix}inner.{key.removeprefix(prefix)[4:]}"] = state.pop(key)
        super()._load_from_state_dict(state, prefix, *args)


class Caught(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelname, record.getMessage()))


def caught() -> tuple[logging.Logger, list[tuple[str, str]]]:
    logger, handler = logging.getLogger("caught"), Caught()
    logger.handlers, logger.propagate = [handler], False
    logger.setLevel(0)
    return logger, handler.lines


def network() -> torch.nn.Module:
    return torch.nn.Sequential(Renaming(), torch.nn.Linear(2, 1))


@case
def a_module_may_rename_the_weights_of_its_children(folder: str) -> Any:
    logger, lines = caught()
    model = network()
    state = model.state_dict()
    ones = {key.replace("inner", "old"): torch.ones_like(value) for key, value in state.items()}
    load_state_dict(model, ones, strict=True, logger=logger)
    return lines, digest(model.state_dict())


@case
def weights_that_do_not_fit(folder: str) -> Any:
    results = []
    for strict in (False, True):
        logger, lines = caught()
        model = network()
        state = model.state_dict()
        state["1.weight"], state["extra.a"] = torch.zeros(4, 2), torch.zeros(1)
        del state["1.bias"], state["0.norm.num_batches_tracked"]
        try:
            load_state_dict(model, state, strict=strict, logger=logger)
            results.append("loaded")
        except RuntimeError as error:
            results.append(shapes_in_few_words(str(error)))
        results.append([[level, shapes_in_few_words(text)] for level, text in lines])
    return results


@case
def checkpoints_with_prefixes(folder: str) -> Any:
    logger, lines = caught()
    state = network().state_dict()
    files = {
        "module": {"state_dict": {f"module.{key}": value for key, value in state.items()}},
        "bare": dict(state),
        "list": [1, 2],
        "backbone": {"state_dict": {f"backbone.{key}": value for key, value in state.items()}},
    }
    for name, content in files.items():
        torch.save(content, f"{folder}/{name}.pth")

    def load(name: str, **options: Any) -> Any:
        file = f"{folder}/{name}.pth"
        return load_checkpoint(network(), file, logger=logger, strict=True, **options)

    keys = [(r"^backbone\.", "")]
    backbone = f"{folder}/backbone.pth"
    return (
        [sorted(load("module")), sorted(load("bare")), sorted(load("backbone", revise_keys=keys))],
        errors(lambda: load("list"), kinds=(RuntimeError,)),
        errors(lambda: load("none"), kinds=(FileNotFoundError,)),
        sorted(_load_checkpoint_with_prefix("backbone", backbone)),
        errors(lambda: _load_checkpoint_with_prefix("no", backbone), kinds=(AssertionError,)),
        [(level, text.replace(folder, "FOLDER")) for level, text in lines],
    )


@case
def loaders_by_prefix(folder: str) -> Any:
    def load_from_x(filename: str, map_location: Any = None) -> Any:
        return "x", filename

    CheckpointLoader.register_scheme("xx://", load_from_x)

    @CheckpointLoader.register_scheme(["yy://", "yyy://"])
    def load_from_y(filename: str, map_location: Any = None) -> Any:
        return "y", filename

    results = [CheckpointLoader.load_checkpoint(one) for one in ("xx://a", "yy://b", "yyy://c")]
    taken = errors(
        lambda: CheckpointLoader.register_scheme("xx://", load_from_x), kinds=(KeyError,)
    )
    CheckpointLoader.register_scheme("xx://", load_from_y, force=True)
    return results, taken, CheckpointLoader.load_checkpoint("xx://a")


@case
def checkpoints_saved_by_hand(folder: str) -> Any:
    save_checkpoint({"a": torch.ones(2)}, f"{folder}/x/y/z.pth")
    save_checkpoint({"a": 1}, f"{folder}/q.pth", backend_args={"backend": "local"})
    both = {"file_client_args": {"backend": "disk"}, "backend_args": {"backend": "local"}}
    wrong = errors(lambda: save_checkpoint({}, f"{folder}/w.pth", **both), kinds=(ValueError,))
    nothing = find_latest_checkpoint(folder)
    Path(folder, "last_checkpoint").write_text(" /p/q.pth\n")
    return (
        sorted(str(path.relative_to(folder)) for path in Path(folder).rglob("*.pth")),
        wrong,
        [nothing, find_latest_checkpoint(folder)],
    )


@case
def state_dicts(folder: str) -> Any:
    state = get_state_dict(network())
    return list(state), dict(state._metadata)


@case
def activation_checkpointing_by_hand(folder: str) -> Any:
    torch.manual_seed(0)
    model = network()
    turn_on_activation_checkpointing(model, "1")
    turn_on_activation_checkpointing(model, ["0.inner"])
    model[1](model[0].inner(torch.ones(3, 2, requires_grad=True))).sum().backward()
    return digest({name: one.grad for name, one in model.named_parameters() if "norm" not in name})


@case
def seeds_and_intervals(folder: str) -> Any:
    seeds = []
    for options in ({}, {"diff_rank_seed": True}):
        seeds.append((set_random_seed(3, **options), torch.rand(1).item()))
    return seeds, calc_dynamic_intervals(3), calc_dynamic_intervals(3, [(5, 1), (9, 2)])


@case
def mixed_precision_on_the_cpu(folder: str) -> Any:
    ones = torch.ones(2, 2)
    results = []
    for options in ({}, {"enabled": False}, {"dtype": torch.bfloat16}, {"device_type": "cpu"}):
        with autocast(**options):
            results.append(str((ones @ ones).dtype))
    return results


def main() -> None:
    torch.set_num_threads(1)
    results = {}
    for function in CASES:
        if sys.argv[3:] and function.__name__ not in sys.argv[3:]:
            continue
        folder = Path(sys.argv[2], function.__name__)
        folder.mkdir(parents=True)
        try:
            results[function.__name__] = function(str(folder))
        except Exception as error:
            results[function.__name__] = f"failed: {type(error).__name__}: {error}"
    print(json.dumps(results, default=str))


if __name__ == "__main__":
    assert MODELS.get("ToyModel") is ToyModel
    main()
