"""What NaiveVisualizationHook hands to the visualizer, beside MMEngine's."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest


def handed(package: str) -> dict[str, Any]:
    """Return the visualizer's calls; runs with MMEngine and with mm2pl."""
    import importlib
    from types import SimpleNamespace

    import numpy as np
    import torch

    make = importlib.import_module(f"{package}.hooks").NaiveVisualizationHook
    sample_of = importlib.import_module(f"{package}.structures").BaseDataElement
    calls: list[Any] = []

    class Visualizer:
        def add_graph(self, *args: Any) -> None:
            calls.append(args)

        def add_datasample(self, name: str, image: Any, *args: Any) -> None:
            told = [one if isinstance(one, (bool, str)) else sorted(one.keys()) for one in args]
            calls.append([name, str(image.dtype), image.tolist(), *told])

    runner = SimpleNamespace(visualizer=Visualizer(), model="the model")

    def given(**options: Any) -> list[dict[str, Any]]:
        picture = torch.arange(3 * 6 * 8.0).reshape(1, 3, 6, 8) / 10
        known = {"ori_height": 5, "ori_width": 7, "img_path": "folder/x.jpg", **options}
        return [{"inputs": picture, "data_sample": sample_of(metainfo=known)}]

    def calls_of(data: Any, outputs: Any, index: int = 0, **options: Any) -> list[Any]:
        calls.clear()
        make(**options).after_test_iter(runner, index, data, outputs)
        return list(calls)

    norm = {"mean": (1, 2, 3), "std": (0.5, 2, 1), "to_bgr": False}
    output = sample_of(label=1)
    found: dict[str, Any] = {
        "plain": calls_of(given(), [output]),
        "normalized": calls_of(given(img_norm_cfg=norm), [output], draw_gt=False),
        "padded": calls_of(given(pad_shape=(6, 8, 3)), [output], draw_pred=False),
        "scaled": calls_of(given(pad_shape=(6, 8, 3), scale=(4, 3)), [output]),
        "two": calls_of(given() + given(img_path="y"), [output, sample_of()]),
        "more than outputs": calls_of(given() + given(), [output]),
        "in an array": calls_of(given() + given(), np.array([output, None])[[0, 0]]),
        "every third": [len(calls_of(given(), [output], n, interval=3)) for n in range(7)],
        "never": calls_of(given(), [output], interval=0),
    }
    calls.clear()
    make().before_train(runner)
    found["graph"] = list(calls)
    found["priority"] = make.priority
    return found


@pytest.fixture(scope="module")
def theirs(reference: Any) -> Any:
    return reference.run(
        "from __future__ import annotations\nimport json\nfrom typing import Any\n"
        f"{inspect.getsource(handed)}\nprint(json.dumps(handed('mmengine')))"
    )


@pytest.mark.proves("HOOKS.NaiveVisualizationHook", "HOOKS.NaiveVisualizationHook.*")
def test_the_visualizer_gets_what_it_gets_from_mmengines(theirs: Any) -> None:
    ours = json.loads(json.dumps(handed("mm2pl.mmengine")))
    assert list(ours) == list(theirs)
    for case, expected in theirs.items():
        assert (case, ours[case]) == (case, expected)
