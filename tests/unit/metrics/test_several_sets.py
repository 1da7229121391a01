"""``val_dataloader=[...]`` and ``test_dataloader=[...]``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch.utils.data import DataLoader

from mm2pl.errors import ConfigError, DataError
from mm2pl.mmengine.dataset import pseudo_collate
from mm2pl.mmengine.evaluator import BaseMetric, Evaluator
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.registry import LOOPS
from mm2pl.mmengine.runner import ValLoop
from mm2pl.runner import Runner
from mm2pl.translate import translate
from tests.unit.metrics.metric_toys import (
    ACCURACY,
    GUESS,
    TRUTH,
    Guesser,
    Points,
    loader,
    settings,
)

RIGHT = (GUESS == TRUTH).float()
NAME = "MulticlassAccuracy"


class Count(BaseMetric):
    """Counts the samples, and says what it was told of the data."""

    default_prefix = ""

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += data_samples

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        assert self.dataset_meta is not None
        return {"count": len(results), "of": self.dataset_meta.get("dataset_name", "?")}


SETS = [loader(4), loader(3, length=5)]
BOTH = {f"0/{NAME}": float(RIGHT.mean()), f"1/{NAME}": float(RIGHT[:5].mean())}


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Runner]:
    def build(**changes: Any) -> Runner:
        sets = {"val_dataloader": SETS, "test_dataloader": SETS}
        return Runner(**settings(tmp_path, **{**sets, **changes}))

    return build


@pytest.mark.parametrize("how", ["val", "test"])
def test_each_set_has_its_metrics(run: Callable[..., Runner], how: str) -> None:
    assert getattr(run(), how)() == pytest.approx(BOTH)


def test_the_order_and_names_are_those_of_the_list(run: Callable[..., Runner]) -> None:
    first, second = {**loader(), "name": "clean"}, {**loader(length=5), "name": "noisy"}
    assert list(run(val_dataloader=[first, second]).val()) == [f"clean/{NAME}", f"noisy/{NAME}"]
    assert list(run(val_dataloader=[second, first]).val()) == [f"noisy/{NAME}", f"clean/{NAME}"]


def test_datasets_that_have_names_give_them(run: Callable[..., Runner]) -> None:
    found = run(val_dataloader=[loader(name="coco"), loader(name="voc")], val_evaluator=Count())
    assert found.val() == {
        "coco/count": 10,
        "coco/of": "coco",
        "voc/count": 10,
        "voc/of": "voc",
    }


def test_the_places_name_sets_of_the_same_dataset(run: Callable[..., Runner]) -> None:
    runner = run(val_dataloader=[loader(name="coco"), loader(name="coco", length=5)])
    assert list(runner.val()) == [f"0/{NAME}", f"1/{NAME}"]


def test_built_loaders_may_be_named_too(run: Callable[..., Runner]) -> None:
    built = [DataLoader(Points(n), batch_size=4, collate_fn=pseudo_collate) for n in (10, 5)]
    runner = run(val_dataloader=[{"name": "a", "dataloader": built[0]}, built[1]])
    assert runner.val() == pytest.approx({f"a/{NAME}": 0.6, f"1/{NAME}": float(RIGHT[:5].mean())})


@pytest.mark.parametrize(
    "evaluators",
    [
        [[ACCURACY], [Count()]],
        [ACCURACY, [Count()]],
        [{"metrics": ACCURACY}, {"metrics": [Count()]}],
        [Evaluator(ACCURACY), Evaluator(Count())],
    ],
    ids=["lists", "one bare", "sections", "built"],
)
def test_each_set_may_have_its_evaluator(run: Callable[..., Runner], evaluators: Any) -> None:
    assert run(val_evaluator=evaluators).val() == pytest.approx(
        {f"0/{NAME}": 0.6, "1/count": 5, "1/of": "?"}
    )


def test_a_list_of_metrics_is_one_evaluator_for_all(run: Callable[..., Runner]) -> None:
    found = run(val_evaluator=[ACCURACY, Count()]).val()
    assert [found["0/count"], found["1/count"]] == [10, 5]
    assert len(found) == 6


def test_a_list_of_one_set_has_a_prefix_too(run: Callable[..., Runner]) -> None:
    assert list(run(val_dataloader=[loader()]).val()) == [f"0/{NAME}"]


class Recorder(Hook):
    """Notes the validation's points, with the loader that is at hand."""

    def __init__(self) -> None:
        self.points: list[Any] = []

    def before_val(self, runner: Any) -> None:
        self.points.append("before_val")

    def before_val_epoch(self, runner: Any) -> None:
        self.points.append("before_val_epoch")

    def before_val_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        self.points.append(("before", batch_idx, len(runner.val_dataloader.dataset)))

    def after_val_iter(self, runner: Any, batch_idx: int, *, outputs: Any, **_: Any) -> None:
        self.points.append(("after", batch_idx, len(outputs)))

    def after_val_epoch(self, runner: Any, metrics: Any = None) -> None:
        self.points.append(("after_val_epoch", metrics))

    def after_val(self, runner: Any) -> None:
        self.points.append("after_val")


def _points() -> list[Any]:
    steps = [(0, 10, 4), (1, 10, 4), (2, 10, 2), (0, 5, 3), (1, 5, 2)]
    both = [[("before", i, size), ("after", i, n)] for i, size, n in steps]
    begin, end = ["before_val", "before_val_epoch"], ["after_val"]
    return [*begin, *[one for two in both for one in two], ("after_val_epoch", BOTH), *end]


def test_hooks_see_one_validation_with_indices_of_each_set(run: Callable[..., Runner]) -> None:
    recorder = Recorder()
    run(custom_hooks=[recorder]).val()
    assert recorder.points[-2][1] == pytest.approx(BOTH)
    recorder.points[-2] = _points()[-2]
    assert recorder.points == _points()


def test_a_validation_in_training_and_a_second_one(run: Callable[..., Runner]) -> None:
    recorder = Recorder()
    runner = run(custom_hooks=[recorder])
    runner.train()
    assert runner.final_metrics == pytest.approx(BOTH)
    assert runner.trainer.callback_metrics[f"1/{NAME}"] == pytest.approx(BOTH[f"1/{NAME}"])
    assert len(recorder.points) == 2 * len(_points())
    assert runner.message_hub.get_scalar(f"val/1/{NAME}").current() == BOTH[f"1/{NAME}"]


def test_the_loop_by_itself_gives_the_same(run: Callable[..., Runner]) -> None:
    """As a loop or hook of one's own calls it, within a run."""
    recorder = Recorder()
    runner = run(custom_hooks=[recorder])
    assert runner.val_loop.run() == pytest.approx(BOTH)
    recorder.points[-2] = _points()[-2]
    assert recorder.points == _points()


def test_save_best_and_early_stopping_by_the_full_name(
    run: Callable[..., Runner], tmp_path: Path
) -> None:
    best = {"type": "CheckpointHook", "save_best": f"1/{NAME}", "rule": "greater"}
    stop = {"type": "EarlyStoppingHook", "monitor": f"1/{NAME}", "rule": "greater", "patience": 1}
    runner = run(
        default_hooks={"checkpoint": best},
        custom_hooks=[stop],
        train_cfg={"by_epoch": True, "max_epochs": 4},
    )
    runner.train()
    assert (tmp_path / f"best_1_{NAME}_epoch_1.pth").exists()
    assert runner.epoch == 2


def test_a_short_name_that_two_sets_have_is_refused(run: Callable[..., Runner]) -> None:
    hook = {"type": "EarlyStoppingHook", "monitor": NAME, "rule": "greater"}
    runner = run(custom_hooks=[hook])
    with pytest.raises(Exception, match=NAME):
        runner.train()


def test_losses_of_each_set(run: Callable[..., Runner]) -> None:
    found = run(val_cfg={"loss": True}, model=Guesser()).val()
    wrong = 1 - RIGHT
    squares = [sum(i * i for i in range(n)) / n for n in (10, 5)]
    assert found["0/val_loss"] == pytest.approx(squares[0] + float(wrong.mean()))
    assert found["1/val_loss"] == pytest.approx(squares[1] + float(wrong[:5].mean()))


def test_workers_read_each_set(run: Callable[..., Runner]) -> None:
    sets = [{**one, "num_workers": 1} for one in SETS]
    assert run(val_dataloader=sets).val() == pytest.approx(BOTH)


def test_limits_hold_for_each_set(run: Callable[..., Runner]) -> None:
    runner = run(
        val_dataloader=[{**SETS[0], "name": "a"}, SETS[1]],
        val_evaluator=Count(),
        train_cfg=None,
        train_dataloader=None,
        optim_wrapper=None,
        cfg={"trainer": {"limit_val_batches": 1}},
    )
    found = runner.val()
    assert (found["a/count"], found["1/count"]) == (4, 3)


def test_a_loader_that_a_hook_replaces_counts(run: Callable[..., Runner]) -> None:
    class Replace(Hook):
        def before_val(self, runner: Any) -> None:
            loop = runner.val_loop
            loop.dataloader = runner.build_dataloader(loader(4, length=2))

    found = run(custom_hooks=[Replace()], val_evaluator=Count()).val()
    assert (found["0/count"], found["1/count"]) == (2, 5)


# ------------------------------------------------------------------------------ refused


DUMP = {"type": "DumpResults", "out_file_path": "out.pkl"}
NAMED = {**loader(), "name": "a"}


@pytest.mark.parametrize(
    ("given", "key", "message"),
    [
        ({"val_evaluator": [[ACCURACY]] * 3}, "val_evaluator", "3 evaluators for 2 dataloaders"),
        ({"val_dataloader": [NAMED] * 2}, "val_dataloader", "two of the dataloaders are named 'a'"),
        ({"val_dataloader": []}, "val_dataloader", "the list has no dataloader"),
        ({"val_dataloader": [loader(), 3]}, "val_dataloader[1]", "a dict or a DataLoader, got 3"),
        ({"val_dataloader": [[loader()]]}, "val_dataloader[0]", "a dict or a DataLoader, got"),
        ({"val_evaluator": [[ACCURACY], None]}, "val_evaluator[1]", "got None"),
        ({"val_evaluator": [DUMP]}, "val_evaluator", "DumpResults would write"),
    ],
)
def test_what_does_not_fit_is_refused(
    run: Callable[..., Runner], given: Any, key: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        run(**given).val()
    assert caught.value.key_path == key


def test_several_sets_to_train_on(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="only val and test take a list") as caught:
        Runner(**settings(tmp_path, train_dataloader=SETS))
    assert caught.value.key_path == "train_dataloader"


def test_an_error_names_the_set(run: Callable[..., Runner]) -> None:
    wrong = {**loader(), "sampler": {"type": "DefaultSample"}}
    with pytest.raises(ConfigError) as caught:
        run(val_dataloader=[loader(), wrong]).val()
    assert "val_dataloader[1].sampler" in str(caught.value)


@pytest.mark.parametrize("each", [False, True])
def test_an_error_in_a_metric_names_its_evaluator(run: Callable[..., Runner], each: bool) -> None:
    wrong = [{**ACCURACY, "pred_key": "x"}]
    with pytest.raises(DataError) as caught:
        run(val_evaluator=[[ACCURACY], wrong] if each else wrong).val()
    assert caught.value.key_path == ("val_evaluator[1]" if each else "val_evaluator")


def test_a_loop_that_runs_by_itself(run: Callable[..., Runner]) -> None:
    class Own(ValLoop):
        def run(self) -> dict[str, Any]:
            return {}

    LOOPS.register_module(name="Own", module=Own)
    try:
        with pytest.raises(ConfigError, match="Own runs by itself, through one dataloader"):
            run(val_cfg={"type": "Own"}).val()
    finally:
        LOOPS.module_dict.pop("Own")


def test_the_plan_knows_names_and_evaluators(tmp_path: Path) -> None:
    sets = [{**loader(), "name": "a"}, {**loader(), "nam": "b"}]
    evaluators = [[ACCURACY], {"metrics": [ACCURACY]}]
    changes = {"val_dataloader": sets, "val_evaluator": evaluators}
    plan = translate(settings(tmp_path, **changes))
    notes = {note.key_path: note for note in plan.notes}
    assert notes["val_dataloader[0].name"].text.startswith("before the names of the metrics")
    assert notes["val_evaluator"].text == "an evaluator for each of the dataloaders"
    assert notes["val_evaluator[1].metrics[0].num_classes"].status.value == "decided by its class"
    assert [one.key_path for one in plan.notes if one.status.is_finding] == [
        "val_dataloader[1].nam"
    ]
