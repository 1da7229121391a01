"""A run that is interrupted anywhere and resumed is the run that was not, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl import checkpoint
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.optim import OptimWrapper, OptimWrapperDict
from mm2pl.mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from tests.unit.resume.resume_runs import (
    SGD,
    Net,
    Noisy,
    checkpoints,
    config,
    disturb,
    epochs,
    iterations,
    loader,
    rest,
    run,
)

Make = Callable[[], dict[str, Any]]
PERSISTENT = {"num_workers": 2, "persistent_workers": True}
pytestmark = pytest.mark.filterwarnings("ignore:scheduler.step")


class _Two:
    """Makes a wrapper for each part of the toy model."""

    def __init__(self, optim_wrapper_cfg: Any, paramwise_cfg: Any = None) -> None:
        self.counts = optim_wrapper_cfg.get("accumulative_counts", 1)

    def __call__(self, model: Any) -> OptimWrapperDict:
        body = torch.optim.SGD(model.body.parameters(), lr=0.1, momentum=0.9)
        head = torch.optim.Adam(model.head.parameters())
        return OptimWrapperDict(body=OptimWrapper(body, self.counts), head=OptimWrapper(head))


@pytest.fixture(autouse=True)
def _two() -> Any:
    OPTIM_WRAPPER_CONSTRUCTORS.register_module(name="Two", module=_Two)
    yield
    OPTIM_WRAPPER_CONSTRUCTORS.module_dict.pop("Two")


def check(folder: Path, make: Make, *points: int) -> None:
    """Compare what follows each point with what followed it in the run without a break."""
    whole, end = run(config(folder / "whole", **make()))
    for point in points:
        disturb()
        start = str(folder / "whole" / f"iter_{point}.pth")
        again = config(folder / f"from_{point}", load_from=start, resume=True, **make())
        steps, again_end = run(again)
        assert steps == list(rest(whole, point)), f"resumed at iteration {point}"
        assert again_end == end, f"resumed at iteration {point}"


CASES: dict[str, tuple[Make, tuple[int, ...]]] = {
    # 6 batches an epoch: within one, at its last batch (whose end and validation come later), at
    # its first, at the end of the run
    "epochs": (lambda: {"train_cfg": epochs()}, (4, 6, 7, 18)),
    # 6 batches a round, a validation every 4
    "iterations": (lambda: {"train_cfg": iterations()}, (3, 4, 6, 7, 14)),
    "endless sampler": (
        lambda: {
            "train_cfg": iterations(),
            "train_dataloader": loader(sampler={"type": "InfiniteSampler"}),
        },
        (1, 9),
    ),
    "inside an accumulation window": (
        lambda: {"train_cfg": epochs(2), "optim_wrapper": {**SGD, "accumulative_counts": 4}},
        (1, 3, 6, 11),
    ),
    "several optimizers": (
        lambda: {
            "train_cfg": epochs(2),
            "model": Net(two=True),
            "optim_wrapper": {"constructor": "Two", "accumulative_counts": 3},
            "param_scheduler": None,
        },
        (2, 7),
    ),
    "average of the weights": (
        lambda: {
            "train_cfg": epochs(2),
            "custom_hooks": [{"type": "EMAHook", "momentum": 0.1, "update_buffers": True}],
        },
        (3, 6),
    ),
    "no validation": (
        lambda: {
            "train_cfg": epochs(2),
            "val_cfg": None,
            "val_dataloader": None,
            "val_evaluator": None,
        },
        (5,),
    ),
}
WITH_WORKERS: dict[str, tuple[Make, tuple[int, ...]]] = {
    "one worker": (lambda: {"train_dataloader": loader(num_workers=1)}, (4, 7)),
    "workers": (lambda: {"train_dataloader": loader(num_workers=2)}, (5, 6, 12)),
    "workers that stay": (lambda: {"train_dataloader": loader(**PERSISTENT)}, (1, 6, 9)),
    "workers that stay, one of which never reads": (
        lambda: {"train_dataloader": loader(Noisy(4), **PERSISTENT)},
        (1, 2),
    ),
    "workers and an endless sampler": (
        lambda: {
            "train_cfg": iterations(),
            "train_dataloader": loader(num_workers=2, sampler={"type": "InfiniteSampler"}),
        },
        (1, 8),
    ),
    "workers over rounds": (
        lambda: {"train_cfg": iterations(), "train_dataloader": loader(**PERSISTENT)},
        (7, 13),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_follows_is_equal(name: str, tmp_path: Path) -> None:
    make, points = CASES[name]
    check(tmp_path, make, *points)


@pytest.mark.slow
@pytest.mark.parametrize("name", WITH_WORKERS)
def test_what_follows_is_equal_with_worker_processes(name: str, tmp_path: Path) -> None:
    make, points = WITH_WORKERS[name]
    check(tmp_path, make, *points)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["epochs", "iterations", "inside an accumulation window"])
def test_any_iteration_will_do(name: str, tmp_path: Path) -> None:
    check(tmp_path, CASES[name][0], *range(1, 13))


def test_a_checkpoint_of_an_epoch_is_followed_by_its_validation(tmp_path: Path) -> None:
    settings = {"default_hooks": checkpoints(by_epoch=True)}
    whole, end = run(config(tmp_path / "whole", **settings))
    disturb()
    start = str(tmp_path / "whole" / "epoch_2.pth")
    steps, again_end = run(config(tmp_path / "again", load_from=start, resume=True, **settings))
    assert steps[0][:2] == ("validated", 2)
    assert steps == whole[-len(steps) :]
    assert again_end == end


def test_a_checkpoint_written_by_a_validation_is_not_followed_by_it(tmp_path: Path) -> None:
    hook = {"type": "CheckpointHook", "interval": 1, "save_best": "score", "rule": "greater"}
    settings: dict[str, Any] = {"default_hooks": {"checkpoint": hook}, "train_cfg": epochs(2)}
    whole, end = run(config(tmp_path / "whole", **settings))
    disturb()
    start = str(tmp_path / "whole" / "epoch_1.pth")  # written again for the first is the best
    steps, again_end = run(config(tmp_path / "again", load_from=start, resume=True, **settings))
    assert steps[0][0] == "read"
    assert steps == whole[-len(steps) :]
    assert again_end == end


def test_the_last_validation_that_a_resumed_run_does_is_not_done_again(tmp_path: Path) -> None:
    class Stop(Hook):
        """Ends the run when it is saved the second time: with the best file."""

        saves = 0

        def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
            self.saves += 1
            if self.saves == 2:
                raise InterruptedError

    hook = {"type": "CheckpointHook", "interval": 1, "save_best": "score", "rule": "greater"}
    settings: dict[str, Any] = {"default_hooks": {"checkpoint": hook}, "train_cfg": epochs(1)}
    with pytest.raises(InterruptedError):
        run(config(tmp_path, custom_hooks=[Stop()], **settings))
    steps, _ = run(config(tmp_path, resume=True, **settings))
    assert [step[0] for step in steps] == ["validated"]
    steps, _ = run(config(tmp_path, resume=True, **settings))
    assert steps == []


@pytest.mark.proves("Runner.resumes_exactly")
def test_mmengines_way_begins_the_epoch_again(tmp_path: Path) -> None:
    run(config(tmp_path / "whole", train_cfg=epochs(2)))
    start = str(tmp_path / "whole" / "iter_9.pth")
    again = config(
        tmp_path / "again", train_cfg=epochs(2), load_from=start, resume={"exact": False}
    )
    steps, _ = run(again)
    assert [step[1:4] for step in steps if step[0] == "read"] == [
        (1, 9 + index, index) for index in range(6)
    ]


def test_gradients_that_are_zero_are_stored_by_name_alone(tmp_path: Path) -> None:
    class Keeping(OptimWrapper):
        def zero_grad(self, **kwargs: Any) -> None:
            super().zero_grad(set_to_none=False)

    model = Net()
    wrapper = Keeping(torch.optim.SGD(model.parameters(), lr=0.1))
    run(config(tmp_path, model=model, optim_wrapper=wrapper, train_cfg=iterations(2)))
    saved = checkpoint.read(tmp_path / "iter_2.pth")
    gradients = saved["mm2pl"]["ranks"][0]["gradients"]
    assert gradients == dict.fromkeys(dict(nn.Module.named_parameters(model)), 0)


def test_what_is_stored_is_plain(tmp_path: Path) -> None:
    settings = {"optim_wrapper": {**SGD, "accumulative_counts": 4}, "train_cfg": iterations(3)}
    run(config(tmp_path, **settings))
    found = set()

    def visit(value: Any) -> None:
        found.add(type(value))
        parts = value.values() if isinstance(value, dict) else value
        for part in parts if isinstance(value, (dict, list)) else ():
            visit(part)

    visit(checkpoint.read(tmp_path / "iter_3.pth")["mm2pl"])
    assert found <= {dict, list, int, float, bool, str, type(None), torch.Tensor}
