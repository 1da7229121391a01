"""LogProcessor: MMEngine's log lines and tags, character by character."""

from __future__ import annotations

import inspect
import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mm2pl.mmengine.logging import MessageHub
from mm2pl.mmengine.registry import LOG_PROCESSORS
from mm2pl.mmengine.runner import log_processor as module
from mm2pl.mmengine.runner.log_processor import LogProcessor


def logs(package: str) -> dict[str, Any]:
    """Return lines and tags for many settings and states; runs with MMEngine and with mm2pl."""
    import importlib
    import itertools
    import random
    from types import SimpleNamespace

    import numpy as np
    import torch

    processor = importlib.import_module(f"{package}.runner.log_processor").LogProcessor
    hub_class = importlib.import_module(f"{package}.logging").MessageHub
    count = iter(range(10**6))

    def full_hub(eta: bool) -> Any:
        hub = hub_class(f"hub {next(count)}")
        for mode in ("train", "val", "test"):
            for step in range(25):
                hub.update_scalar(f"{mode}/time", 0.01 * step + 0.1)
                hub.update_scalar(f"{mode}/data_time", 0.001 * step)
                hub.update_scalar(f"{mode}/loss", 1 / (step + 1), 2)
                hub.update_scalar(f"{mode}/loss_cls", step)
            hub.update_scalar(f"{mode}/base_lr", 0.000123)
            hub.update_scalar(f"{mode}/lr", 1)
            hub.update_scalar(f"{mode}/grad_norm", 3.14159)
            hub.update_scalar(f"{mode}/accuracy/top1", 97.123456)
            hub.update_scalar(f"{mode}/images", 12345)
            hub.update_scalar(f"{mode}/flag", True)
            hub.update_scalar(f"{mode}/val/loss", 0.25)
            hub.update_info(f"{mode}/matrix", np.arange(4).reshape(2, 2))
            hub.update_info(f"{mode}/classes", ["cat", "dog"])
            hub.update_info(f"{mode}/tensor", torch.ones(2))
            hub.update_info(f"{mode}/ratio", 0.5)
        hub.update_scalar("training", 7.0)
        hub.update_scalar("other/loss", 8.0)
        if eta:
            hub.update_info("eta", 93784.9)
        return hub

    def runner(train_loop: Any, length: int, position: int, hub: Any) -> Any:
        loops = [SimpleNamespace(dataloader=range(length * size)) for size in (1, 2, 3)]
        return SimpleNamespace(
            message_hub=hub,
            iter=position,
            epoch=position // length,
            max_epochs=120,
            max_iters=20000,
            train_loop=loops[0],
            val_loop=loops[1],
            test_loop=loops[2],
            _train_loop=train_loop,
            model=torch.nn.Module(),
        )

    custom = [
        {"data_src": "loss", "method_name": "mean", "window_size": "global"},
        {"data_src": "loss", "log_name": "worst", "method_name": "max", "window_size": 7},
        {"data_src": "accuracy/top1", "log_name": "now", "method_name": "current"},
        {"data_src": "absent", "method_name": "mean"},
    ]
    settings: dict[str, dict[str, Any]] = {
        "default": {},
        "iterations": {"by_epoch": False},
        "hierarchy": {"log_with_hierarchy": True},
        "hierarchy of iterations": {"log_with_hierarchy": True, "by_epoch": False},
        "window and digits": {"window_size": 3, "num_digits": 6},
        "pattern": {"mean_pattern": ".*accuracy.*"},
        "custom": {"custom_cfg": custom},
        "custom hierarchy": {"custom_cfg": custom, "log_with_hierarchy": True},
        "custom epoch": {
            "custom_cfg": [
                {"data_src": "time", "method_name": "max", "window_size": "epoch"},
                {"data_src": "loss", "log_name": "x", "method_name": "min", "window_size": "epoch"},
            ]
        },
    }
    draw = random.Random(8)
    names = ["loss", "loss_cls", "lr", "base_lr", "time", "data_time", "images", "val/loss", "flag"]
    for number in range(40):
        by_epoch = draw.random() < 0.5
        windows = [None, 0, 1, 4, 99, "global", *(["epoch"] if by_epoch else [])]
        columns = [
            {
                "data_src": name,
                "method_name": draw.choice(["mean", "max", "min"]),
                "window_size": draw.choice(windows),
                **(
                    {"log_name": f"{index}_{draw.choice(['lr', 'x'])}"}
                    if draw.random() < 0.5
                    else {}
                ),
            }
            for index, name in enumerate(draw.sample(names, draw.randint(0, 5)))
        ]
        settings[f"random {number}"] = {
            "window_size": draw.choice([1, 2, 5, 10, 24, 25, 26, 1000]),
            "by_epoch": by_epoch,
            "custom_cfg": draw.choice([columns, None]),
            "num_digits": draw.randint(0, 8),
            "log_with_hierarchy": draw.random() < 0.5,
            "mean_pattern": draw.choice([".*(acc|images).*", "^$", "lr", "val.*|loss", "(?i)LOSS"]),
        }
    found: dict[str, Any] = {}
    hubs = {"eta": full_hub(True), "no eta": full_hub(False), "empty": hub_class("empty")}
    for (name, arguments), (kind, hub), loop, mode in itertools.product(
        settings.items(), hubs.items(), ("built", "config", "none"), ("train", "val", "test")
    ):
        made = processor(**arguments)
        train_loop = {"built": object(), "config": {}, "none": None}[loop]
        for length, position in ((7, 3), (1200, 11999)):
            case = f"{name} / {kind} / {loop} / {mode} / {position}"
            state = runner(train_loop, length, position, hub)
            results = [made.get_log_after_iter(state, position % length, mode)]
            if mode != "train":
                results += [
                    made.get_log_after_epoch(state, length, mode, with_non_scalar=flag)
                    for flag in (False, True)
                ]
            found[case] = [
                [line, [[key, repr(value)] for key, value in tag.items()]] for tag, line in results
            ]
    return found


@pytest.fixture(scope="module")
def theirs(reference: Any) -> Any:
    return reference.run(
        "from __future__ import annotations\nimport json\nfrom typing import Any\n"
        f"{inspect.getsource(logs)}\nprint(json.dumps(logs('mmengine')))"
    )


def test_lines_and_tags_equal_mmengines(theirs: Any) -> None:
    ours = json.loads(json.dumps(logs("mm2pl.mmengine")))
    assert len(theirs) > 2000
    for case, expected in theirs.items():
        assert (case, ours[case]) == (case, expected)


def runner(**attributes: Any) -> Any:
    loop = SimpleNamespace(dataloader=range(10))
    counters = {"iter": 4, "epoch": 0, "max_epochs": 3, "max_iters": 30}
    loops = dict.fromkeys(("train_loop", "_train_loop", "val_loop", "test_loop"), loop)
    defaults = {"message_hub": MessageHub("hub"), "model": None, **counters, **loops}
    return SimpleNamespace(**{**defaults, **attributes})


def test_memory_is_shown_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_cuda_available", lambda: True)
    monkeypatch.setattr(module, "get_max_cuda_memory", lambda device: 1234)
    state = runner()
    state.message_hub.update_scalar("train/loss", 0.5)
    tag, line = LogProcessor().get_log_after_iter(state, 4, "train")
    assert line == "Epoch(train) [1][ 5/10]    memory: 1234  loss: 0.5000"
    assert list(tag.items())[-2:] == [("iter", 5), ("memory", 1234)]


def test_a_custom_statistic_that_is_no_number_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    from mm2pl.mmengine.logging import HistoryBuffer

    monkeypatch.setitem(HistoryBuffer._statistics_methods, "both", lambda self: np.array([1, 2]))
    processor = LogProcessor(custom_cfg=[{"data_src": "loss", "method_name": "both"}])
    state = runner()
    state.message_hub.update_scalar("train/loss", 0.5)
    assert processor.get_log_after_iter(state, 4, "train")[1].endswith("loss: [1 2]")


def test_a_subclass_may_count_batches_its_own_way() -> None:
    class Endless(LogProcessor):
        def _get_dataloader_size(self, runner: Any, mode: str) -> int:
            return 777

    lines = [Endless().get_log_after_iter(runner(), 4, "train")[1]]
    lines.append(Endless().get_log_after_epoch(runner(), 4, "test")[1])
    assert [line.strip() for line in lines] == [
        "Epoch(train) [1][  5/777]",
        "Epoch(test) [777/777]",
    ]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"custom_cfg": [{"method_name": "mean"}]}, r"custom_cfg\[0\]: data_src is missing"),
        (
            {"custom_cfg": [{"data_src": "a"}, {"data_src": "b", "log_name": "a"}]},
            r"custom_cfg\[1\]: 'a' is given twice",
        ),
        (
            {"custom_cfg": [{"data_src": "a", "window_size": "epoch"}], "by_epoch": False},
            r"custom_cfg\[0\].window_size: 'epoch' needs by_epoch=True",
        ),
    ],
)
def test_a_wrong_custom_cfg_is_refused(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        LogProcessor(**arguments)


def test_custom_statistics_of_iterations_need_no_window() -> None:
    processor = LogProcessor(
        custom_cfg=[{"data_src": "loss", "method_name": "current"}], by_epoch=False
    )
    state = runner()
    state.message_hub.update_scalar("train/loss", 0.5)
    assert processor.get_log_after_iter(state, 4, "train")[0]["loss"] == 0.5


def test_the_custom_cfg_is_left_as_it_was() -> None:
    custom = [{"data_src": "loss", "method_name": "mean", "window_size": "epoch", "log_name": "x"}]
    before = [dict(cfg) for cfg in custom]
    state = runner()
    state.message_hub.update_scalar("val/loss", 0.5)
    processor = LogProcessor(custom_cfg=custom)
    for _ in range(2):
        assert processor.get_log_after_epoch(state, 3, "val")[0]["x"] == 0.5
    assert custom == before


def test_a_window_of_an_unknown_kind_is_refused() -> None:
    processor = LogProcessor(custom_cfg=[{"data_src": "loss", "window_size": "all"}])
    with pytest.raises(TypeError, match="'epoch' or 'global', got 'all'"):
        processor.get_log_after_iter(runner(), 0, "train")


@pytest.mark.parametrize(
    ("method", "mode"),
    [("get_log_after_iter", "predict"), ("get_log_after_epoch", "train")],
)
def test_an_unknown_mode_is_refused(method: str, mode: str) -> None:
    with pytest.raises(AssertionError, match=f"got '{mode}'"):
        getattr(LogProcessor(), method)(runner(), 0, mode)


def test_it_is_built_by_its_name() -> None:
    built = LOG_PROCESSORS.build({"type": "LogProcessor", "window_size": 50})
    assert isinstance(built, LogProcessor)
    assert built.window_size == 50


def test_the_pattern_may_be_changed_afterwards() -> None:
    """By a string too, as in MMEngine."""
    processor = LogProcessor()
    processor.mean_pattern = "images"  # type: ignore[assignment]
    state = runner()
    for value in (1, 2):
        state.message_hub.update_scalar("train/images", value)
        state.message_hub.update_scalar("train/loss", value)
    tag, _ = processor.get_log_after_iter(state, 4, "train")
    assert (tag["images"], tag["loss"]) == (1.5, 2)
