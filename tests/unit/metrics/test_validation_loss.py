"""``val_cfg=dict(loss=True)``: the model's losses beside its metrics."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.errors import ConfigError, ModelError
from mm2pl.metrics.losses import count_samples, first_samples
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.registry import LOOPS
from mm2pl.mmengine.runner import ValLoop
from mm2pl.mmengine.structures import BaseDataElement
from mm2pl.runner import Runner
from mm2pl.translate import translate
from tests.unit.metrics.metric_toys import ACCURACY, GUESS, TRUTH, Guesser, loader, settings

LOSS = {"val_cfg": {"loss": True}, "test_cfg": {"loss": True}}
WRONG = float((GUESS != TRUTH).float().mean())
SQUARES = sum(i * i for i in range(10)) / 10


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Runner]:
    return lambda **changes: Runner(**settings(tmp_path, **{**LOSS, **changes}))


@pytest.mark.parametrize("batch", [1, 3, 4, 10])
@pytest.mark.proves("LOOPS.ValLoop.loss", "eval_cfg.loss")
def test_losses_are_averaged_over_the_samples(run: Callable[..., Runner], batch: int) -> None:
    """Batches of several sizes: an average over batches would not give these."""
    found = run(val_dataloader=loader(batch)).val()
    expected = {"val_loss_x": SQUARES, "val_loss_wrong": WRONG, "val_loss": SQUARES + WRONG}
    right = {"val_acc": 1 - WRONG, "MulticlassAccuracy": 1 - WRONG}
    assert found == pytest.approx({**expected, **right})


@pytest.mark.proves("LOOPS.TestLoop.loss")
def test_it_is_there_in_a_test_too(run: Callable[..., Runner]) -> None:
    assert run().test()["test_loss"] == pytest.approx(SQUARES + WRONG)


def test_without_it_there_is_none(run: Callable[..., Runner]) -> None:
    assert list(run(val_cfg={}).val()) == ["MulticlassAccuracy"]


def test_save_best_and_early_stopping_look_at_it(
    run: Callable[..., Runner], tmp_path: Path
) -> None:
    runner = run(
        default_hooks={"checkpoint": {"type": "CheckpointHook", "save_best": "val_loss"}},
        custom_hooks=[{"type": "EarlyStoppingHook", "monitor": "val_loss", "patience": 5}],
        train_cfg={"by_epoch": True, "max_epochs": 2},
    )
    runner.train()
    assert (tmp_path / "best_val_loss_epoch_2.pth").exists()
    logged = runner.message_hub.get_scalar("val/val_loss").current()
    assert logged == runner.trainer.callback_metrics["val_loss"] == runner.final_metrics["val_loss"]


@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("hierarchy", [False, True])
def test_a_line_shows_the_loss_of_that_validation_alone(
    run: Callable[..., Runner], tmp_path: Path, several: bool, hierarchy: bool
) -> None:
    losses: list[float] = []
    name = "0/val_loss" if several else "val_loss"

    class Look(Hook):
        def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
            losses.append(metrics[name])

    run(
        custom_hooks=[Look()],
        log_processor={"type": "LogProcessor", "log_with_hierarchy": hierarchy},
        val_dataloader=[loader(), loader()] if several else loader(),
        train_cfg={"by_epoch": True, "max_epochs": 3},
    ).train()
    (file,) = tmp_path.rglob("scalars.json")
    key = f"val/{name}" if hierarchy else name
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [line[key] for line in lines if key in line] == losses
    assert len(set(losses)) == 3


def _trained(run: Callable[..., Runner], **changes: Any) -> list[Any]:
    runner = run(model=Guesser(noisy=True), **changes)
    runner.train()
    return [runner.model.weight.item(), torch.get_rng_state().tolist()]


def test_training_is_the_same_with_and_without_it(run: Callable[..., Runner]) -> None:
    """Also where the loss draws random numbers."""
    assert _trained(run) == _trained(run, val_cfg={})


class Changing(Guesser):
    """Changes itself when its loss is asked for."""

    def __init__(self, change: Callable[[Any, torch.Tensor], Any]) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(1)
        self.follower = nn.Parameter(torch.zeros(1), requires_grad=False)
        self.register_buffer("queue", torch.zeros(1))
        self.register_buffer("late", None)
        self.change = change

    def forward(self, guess: Any, truth: Any, x: Any, mode: str = "tensor") -> Any:
        found = super().forward(guess, truth, x, mode=mode)
        if mode == "loss":
            column = torch.stack(x)[:, None]
            self.change(self, column)
            late = 0 if self.late is None else self.late
            mixed = self.norm(column * self.weight).sum() + self.queue + self.follower + late
            found["loss_x"] = found["loss_x"] + (mixed * self.weight).sum()
        return found


def _fill(model: Any, x: torch.Tensor) -> None:
    model.queue.add_(x.mean())


def _replace(model: Any, x: torch.Tensor) -> None:
    model.queue = model.queue + x.mean().reshape(1)


def _register(model: Any, x: torch.Tensor) -> None:
    model.late = x.mean().reshape(1) + (0 if model.late is None else model.late)


def _follow(model: Any, x: torch.Tensor) -> None:
    model.follower.data = model.follower.data * 0.9 + model.weight.data * 0.1


@pytest.mark.parametrize(
    "change",
    [lambda model, x: model.train(), _fill, _replace, _register, _follow],
    ids=["statistics", "queue", "queue anew", "late buffer", "momentum"],
)
def test_training_is_the_same_though_the_loss_changes_the_model(
    run: Callable[..., Runner], change: Any
) -> None:
    def trained(**changes: Any) -> Any:
        runner = run(model=Changing(change), **changes)
        runner.train()
        return {name: value.tolist() for name, value in runner.model.state_dict().items()}

    assert trained() == trained(val_cfg={})


class Scribbler(Guesser):
    """Overwrites the batch, both when it predicts and for its loss."""

    def forward(self, guess: Any, truth: Any, x: Any, mode: str = "tensor") -> Any:
        found = super().forward(guess, truth, x, mode=mode)
        for one in truth:
            one.fill_(7)
        return found


def test_the_loss_has_a_batch_of_its_own(run: Callable[..., Runner]) -> None:
    batches: list[Any] = []

    class Look(Hook):
        def after_val_iter(self, runner: Any, *, data_batch: Any, **_: Any) -> None:
            batches.append([int(one) for one in data_batch["truth"]])

    found = run(model=Scribbler(), custom_hooks=[Look()]).val()
    assert found["val_loss_wrong"] == pytest.approx(WRONG)
    assert batches[0] == [7] * 4


class Watching(Guesser):
    """Notes in which mode and under what it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Any] = []

    def forward(self, *args: Any, mode: str = "tensor", **kwargs: Any) -> Any:
        self.seen.append((mode, self.training, torch.is_grad_enabled()))
        return super().forward(*args, mode=mode, **kwargs)


def test_the_model_is_in_eval_mode_without_gradients(run: Callable[..., Runner]) -> None:
    model = Watching()
    run(model=model).val()
    assert model.seen == [("predict", False, False), ("loss", False, False)] * 3


def test_hooks_see_predictions_alone(run: Callable[..., Runner]) -> None:
    lengths: list[int] = []

    class Look(Hook):
        def after_val_iter(self, runner: Any, *, outputs: Any, **_: Any) -> None:
            lengths.append(len(outputs))

    run(custom_hooks=[Look()]).val()
    assert lengths == [4, 4, 2]


def test_a_metric_of_the_same_name_is_refused(run: Callable[..., Runner]) -> None:
    with pytest.raises(ConfigError, match="a metric 'val_loss' beside the loss") as caught:
        run(val_evaluator={**ACCURACY, "name": "val_loss"}).val()
    assert caught.value.key_path == "val_evaluator"


class NoBase(nn.Module):
    def val_step(self, data: Any) -> Any:
        rows = zip(data["guess"], data["truth"], strict=True)
        return [{"pred_label": guess, "gt_label": truth} for guess, truth in rows]


def test_a_model_without_losses_is_refused(run: Callable[..., Runner]) -> None:
    with pytest.raises(ModelError, match="NoBase has no losses to average"):
        run(model=NoBase()).val()


def test_a_model_that_has_a_loss_in_training_only(run: Callable[..., Runner]) -> None:
    class Silent(Guesser):
        def forward(self, *args: Any, mode: str = "tensor", **kwargs: Any) -> Any:
            found = super().forward(*args, mode=mode, **kwargs)
            return {"acc": found["acc"]} if mode == "loss" else found

    with pytest.raises(ModelError, match=r"Silent.* returned no loss, only .*acc") as caught:
        run(model=Silent()).val()
    assert caught.value.key_path == "model"


def test_a_loop_that_passes_the_loss_by_is_refused(run: Callable[..., Runner]) -> None:
    class Passing(ValLoop):
        def run_iter(self, idx: int, data_batch: Any) -> None:
            self.evaluator.process(self.runner.model.val_step(data_batch), data_batch)

    LOOPS.register_module(name="Passing", module=Passing)
    try:
        with pytest.raises(ConfigError, match="Passing has not come to compute a loss"):
            run(val_cfg={"type": "Passing", "loss": True}).val()
    finally:
        LOOPS.module_dict.pop("Passing")


def test_the_plan_knows_it(tmp_path: Path) -> None:
    plan = translate(settings(tmp_path, **LOSS))
    notes = {note.key_path: note.text for note in plan.notes}
    assert "beside the metrics" in notes["val_cfg.loss"]
    with pytest.raises(ConfigError, match=r"val_cfg.loss: must be bool, got 3"):
        translate(settings(tmp_path, val_cfg={"loss": 3}))


IMAGES = [torch.zeros(2), torch.ones(2), torch.ones(2)]
ELEMENTS = [BaseDataElement(), BaseDataElement(), BaseDataElement()]
FORMS = {
    "dict of lists": {"inputs": IMAGES, "data_samples": ELEMENTS},
    "dict of tensors": {"x": torch.stack(IMAGES), "y": torch.ones(3)},
    "columns": [torch.stack(IMAGES), torch.ones(3)],
    "lists as columns": [IMAGES, [0, 1, 2]],
    "samples": [{"x": 1}, {"x": 2}, {"x": 3}],
    "elements": ELEMENTS,
    "branches": {"inputs": {"a": IMAGES, "b": IMAGES}, "data_samples": {"a": [0, 1, 2]}},
    "tensor": torch.stack(IMAGES),
    "columns and a dict of them": [torch.stack(IMAGES), {"labels": torch.ones(3)}],
    "beside sizes": {"img_size": (4, 4), "x": torch.stack(IMAGES)},
    "beside sizes, in lists": {"img_size": [4, 4], "inputs": IMAGES},
}


@pytest.mark.parametrize("name", FORMS)
def test_batches_of_any_form_are_counted_and_cut(name: str) -> None:
    batch = FORMS[name]
    assert count_samples(batch) == 3
    cut = first_samples(batch, 2)
    assert type(cut) is type(batch)
    assert count_samples(cut) == 2


def test_what_has_no_length_is_one_batch() -> None:
    assert count_samples(BaseDataElement()) is None
