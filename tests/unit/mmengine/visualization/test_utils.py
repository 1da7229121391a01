"""The helpers for drawing, as MMEngine's."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest


def helped(package: str) -> dict[str, Any]:
    """Return what the helpers return and raise; runs with MMEngine and with mm2pl."""
    import importlib

    import numpy as np
    import torch
    from matplotlib.backend_bases import CloseEvent, KeyEvent
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    utils = importlib.import_module(f"{package}.visualization.utils")

    def outcome(name: str, *args: Any) -> Any:
        try:
            found = getattr(utils, name)(*args)
        except Exception as error:
            return [kind.__name__ for kind in type(error).__mro__]
        if isinstance(found, np.ndarray):
            return [str(found.dtype), found.tolist()]
        return [type(found).__name__, found]

    ramp = np.arange(12.0).reshape(3, 4)
    gray = np.arange(12, dtype="uint8").reshape(3, 4)
    image = np.stack([gray * 20, gray, gray + 100], -1)
    calls: list[tuple[Any, ...]] = [
        ("tensor2ndarray", torch.ones(2, requires_grad=True)),
        ("tensor2ndarray", ramp),
        ("tensor2ndarray", "x"),
        ("value2list", 1, int, 3),
        ("value2list", 1.0, int, 3),
        ("value2list", [1], (int, list), 2),
        ("value2list", "ab", str, 0),
        ("value2list", None, (int, float), 2),
        ("check_type", "x", 1, int),
        ("check_type", "x", 1, (str, int)),
        ("check_type", "x", 1, str),
        ("check_type", "x", None, (str, int)),
        ("check_length", "x", [1, 2], 2),
        ("check_length", "x", [1, 2], 3),
        ("check_length", "x", (1, 2), 3),
        ("check_length", "x", "a", 3),
        ("check_type_and_length", "x", [1, 2], (int, list), 2),
        ("check_type_and_length", "x", [1, 2], (int, list), 3),
        ("check_type_and_length", "x", [1, 2], (int, str), 3),
        *(("color_val_matplotlib", color) for color in ("r", (0, 255, 10), (0.5, 1, 2), [], 3)),
        *(("color_val_matplotlib", color) for color in (["r", (1, 2, 3)], [["b"]], [(1, 2)])),
        *(("color_val_matplotlib", color) for color in ((1, 2), (1, 2, 256), (-1, 2, 3), ())),
        *(("color_str2rgb", color) for color in ("r", "green", "#ff80007f", "C1", "0.5", "x", 3)),
        ("convert_overlay_heatmap", ramp),
        ("convert_overlay_heatmap", torch.from_numpy(ramp).requires_grad_()),
        ("convert_overlay_heatmap", torch.from_numpy(ramp).float()[None]),
        ("convert_overlay_heatmap", torch.from_numpy(ramp)[None]),
        ("convert_overlay_heatmap", image.transpose(2, 0, 1)),
        ("convert_overlay_heatmap", gray, image),
        ("convert_overlay_heatmap", gray.astype("int64"), image, 0.9),
        ("convert_overlay_heatmap", gray > 5, image, 0.0),
        ("convert_overlay_heatmap", np.zeros((3, 4)), image, 1),
        ("convert_overlay_heatmap", np.full((3, 4), -3.5), image),
        ("convert_overlay_heatmap", np.zeros((2, 3, 4))),
        ("convert_overlay_heatmap", np.zeros(4)),
        ("convert_overlay_heatmap", ramp, image[:2]),
    ]
    found: dict[str, Any] = {f"{n} {call[0]}": outcome(*call) for n, call in enumerate(calls)}

    class Canvas:
        def print_to_buffer(self) -> Any:
            return bytes(range(24)), (3, 2)

    found["canvas"] = outcome("img_from_canvas", Canvas())

    def waited(key: str, *rounds: list[str], timeout: float = 0) -> Any:
        """Let each round of the event loop see keys pressed, or the window closed."""
        figure = Figure()
        canvas: Any = FigureCanvasAgg(figure)
        left = list(rounds)
        timeouts = []

        def loop(timeout: float) -> None:
            timeouts.append(timeout)
            for event in left.pop(0):
                if event == "close":
                    canvas.callbacks.process("close_event", CloseEvent("close_event", canvas))
                else:
                    canvas.callbacks.process(
                        "key_press_event", KeyEvent("key_press_event", canvas, event)
                    )

        canvas.start_event_loop = loop
        back = utils.wait_continue(figure, timeout, key)
        listening = [kind for kind in ("key_press_event", "close_event")
                     if canvas.callbacks.callbacks.get(kind)]  # fmt: skip
        return [back, timeouts, len(left), listening]

    found["a key"] = waited(" ", [" "], ["unused"])
    found["another key first"] = waited("c", ["x"], ["x", "c"], ["unused"], timeout=2.5)
    found["the window"] = waited(" ", ["x"], ["close"], ["unused"])
    found["a key and the window"] = [
        waited(" ", [" ", "close"], ["unused"]),
        waited(" ", ["close", " "], ["unused"]),
    ]
    found["the time"] = waited(" ", [], ["unused"], timeout=0.5)
    return found


@pytest.fixture(scope="module")
def theirs(reference: Any) -> Any:
    return reference.run(
        "from __future__ import annotations\nimport json\nfrom typing import Any\n"
        f"{inspect.getsource(helped)}\nprint(json.dumps(helped('mmengine')))"
    )


def test_helpers_return_and_raise_what_mmengines_do(theirs: Any) -> None:
    ours = json.loads(json.dumps(helped("mm2pl.mmengine")))
    assert list(ours) == list(theirs)
    for case, expected in theirs.items():
        assert (case, ours[case]) == (case, expected)
