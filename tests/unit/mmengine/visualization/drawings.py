"""Draws many things with ``import mmengine`` or with mm2pl, for a comparison of every pixel.

``python drawings.py PACKAGE FILE`` writes an ``.npz`` file: under each case's name the image, or
the kinds of the error that was raised, and under ``<name> warnings`` what was warned of.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

Call = tuple[str, dict[str, Any]]
RNG = np.random.default_rng(0)
POINTS = np.array([[5.0, 6.0], [20.5, 30.25], [40.0, 10.0]])
BOXES = np.array([[2, 3, 30, 20], [10, 10, 47.5, 60.25]])
RINGS = [
    np.array([[0, 0], [30, 0], [30, 30], [0, 30]]),
    torch.tensor([[5.5, 5.5], [40.0, 9.0], [20.0, 50.0]]),
]
XS, YS = np.array([[1, 40], [5, 5.5]]), np.array([[3, 30], [60, 2]])
CENTERS, RADII = np.array([[20, 20], [30.5, 40]]), np.array([5, 7.5])
MASKS = np.zeros((3, 64, 48), bool)
MASKS[0, 5:30, 5:20] = MASKS[1, 20:50, 10:40] = MASKS[2, ::7] = True
RGB: list[Any] = [(255, 0, 10), (1, 2, 3)]
FEATURES = torch.from_numpy(RNG.normal(size=(6, 16, 12)).astype("float32"))
FEATURES[3] += 1


def image(height: int = 64, width: int = 48, *channels: int) -> Any:
    return np.random.default_rng(1).integers(0, 256, (height, width, *(channels or (3,))), "uint8")


def points() -> Iterator[Call]:
    for given in (
        {},
        {"colors": "r"},
        {"colors": (200, 100, 0)},
        {"colors": ["r", (0, 0, 255), "#12345678"]},
        {"marker": "*", "sizes": np.array([5.0, 50.0, 500.0])},
        {"sizes": torch.tensor([100.0])},
        {"colors": ["r", "g"]},
        {"colors": (256, 0, 0)},
        {"colors": (-1, 0, 0)},
        {"colors": (1, 2)},
        {"colors": 3},
        {"colors": "nocolour"},
        {"marker": "nomarker"},
        {"positions": POINTS[0]},
        {"positions": torch.from_numpy(POINTS)},
        {"positions": POINTS.astype("uint8")},
        {"positions": np.array([[-5, 10], [100, 100]])},
        {"positions": np.zeros((0, 2))},
        {"positions": [1, 2]},
        {"positions": np.zeros((2, 3))},
    ):
        yield "draw_points", {"positions": POINTS, **given}


def texts() -> Iterator[Call]:
    one = {"texts": "ä text", "positions": np.array([5, 5])}
    two = {"texts": ["one", "two\nlines"], "positions": torch.tensor([[3.5, 5.0], [10.0, 30.0]])}
    box = {"facecolor": "black", "alpha": 0.8, "pad": 0.7, "edgecolor": "none"}
    for options in (
        {},
        {"font_sizes": 7},
        {"font_sizes": 12.5, "colors": (0, 255, 100)},
        {"vertical_alignments": "bottom", "horizontal_alignments": "right"},
        {"vertical_alignments": "nowhere"},
        {"font_families": "monospace", "bboxes": box},
        {"font_sizes": "7"},
        {"colors": 1},
        {"bboxes": "x"},
        {"font_properties": 3},
        {"vertical_alignments": 1},
        {"horizontal_alignments": None},
        {"font_families": ()},
    ):
        yield "draw_texts", {**one, **options}
        yield "draw_texts", {**two, **options}
    for options in (
        {"font_sizes": [7, 9.5]},
        {"font_sizes": [7, 9, 11]},
        {"font_sizes": [7]},
        {"colors": ["r", (1, 2, 3)]},
        {"colors": ["r"]},
        {"colors": [(300, 0, 0), "r"]},
        {"vertical_alignments": ["center", "baseline"]},
        {"vertical_alignments": ["center"]},
        {"horizontal_alignments": ["center", "left"]},
        {"font_families": ["serif", "sans-serif"]},
        {"bboxes": [box, {"boxstyle": "round"}]},
        {"bboxes": [box]},
        {"texts": ["a"]},
        {"texts": ("a", "b")},
        {"texts": "a"},
        {"positions": [[1, 2], [3, 4]]},
        {"positions": np.array([[1, 2], [70, 4]])},
        {"positions": np.array([[1, 2], [7, -4]])},
        {"positions": np.zeros((2, 3))},
    ):
        yield "draw_texts", {**two, **options}
    yield "draw_texts", {"texts": [], "positions": np.zeros((0, 2))}


def font_properties() -> Iterator[Call]:
    from matplotlib.font_manager import FontProperties

    heavy, small = FontProperties(weight="bold"), FontProperties(size=6)
    where = np.array([[3, 5], [10, 30]])
    for given in (heavy, [heavy, small], [heavy]):
        call = {"texts": ["one", "two"], "positions": where, "font_properties": given}
        yield "draw_texts", call


def lines() -> Iterator[Call]:
    for given in (
        {},
        {"colors": (9, 90, 200), "line_styles": "--", "line_widths": 4},
        {"colors": ["r", (1, 2, 3)], "line_styles": ["-", ":"], "line_widths": [1, 2.5]},
        {"colors": ["r"]},
        {"x_datas": XS[0], "y_datas": YS[0]},
        {"x_datas": torch.tensor([1, 40]), "y_datas": torch.tensor([3, 30])},
        {"x_datas": XS.reshape(2, 1, 2), "y_datas": YS.reshape(2, 1, 2)},
        {"x_datas": XS + 20},
        {"x_datas": XS - 2},
        {"x_datas": XS[0]},
        {"x_datas": np.zeros((2, 3)), "y_datas": np.zeros((2, 3))},
        {"x_datas": [1, 2]},
        {"y_datas": [1, 2]},
        {"line_styles": "no style"},
        {"colors": None},
    ):
        yield "draw_lines", {"x_datas": XS, "y_datas": YS, **given}


OUTLINES: tuple[dict[str, Any], ...] = (
    {},
    {"edge_colors": "b", "line_styles": "--", "line_widths": 0.1},
    {"edge_colors": (9, 90, 200), "face_colors": (200, 20, 2), "alpha": 0.3, "line_widths": 30},
    {"edge_colors": RGB, "face_colors": ["g", (1, 2, 3)], "line_widths": [1, 2.2]},
    {"line_styles": ["-", ":"], "alpha": 1},
    {"edge_colors": "none", "face_colors": RGB},
    {"line_widths": [1]},
    {"edge_colors": 1},
    {"face_colors": (1, 2, 300)},
    {"edge_colors": "nocolour"},
    {"alpha": "x"},
)


def circles() -> Iterator[Call]:
    for given in (
        *OUTLINES,
        {"center": CENTERS[0], "radius": RADII[:1]},
        {"center": torch.from_numpy(CENTERS), "radius": torch.from_numpy(RADII)},
        {"radius": RADII * 5},
        {"center": CENTERS + 20},
        {"center": CENTERS[0]},
        {"radius": RADII[:1]},
        {"center": [1, 2]},
        {"radius": 5},
        {"center": np.zeros((0, 2)), "radius": np.zeros(0)},
    ):
        yield "draw_circles", {"center": CENTERS, "radius": RADII, **given}


def bboxes() -> Iterator[Call]:
    for given in (
        *OUTLINES,
        {"bboxes": BOXES[0]},
        {"bboxes": torch.from_numpy(BOXES)},
        {"bboxes": torch.tensor([[1, 2, 3, 4]])},
        {"bboxes": BOXES + 5},
        {"bboxes": BOXES - 5},
        {"bboxes": np.array([1, 1, 1, 1])},
        {"bboxes": np.array([5, 1, 4, 3])},
        {"bboxes": np.array([1, 5, 3, 4])},
        {"bboxes": np.zeros((0, 4))},
        {"bboxes": np.zeros((1, 5))},
        {"bboxes": [1, 1, 2, 2]},
    ):
        yield "draw_bboxes", {"bboxes": BOXES, **given}


def polygons() -> Iterator[Call]:
    for given in (
        *OUTLINES,
        {"polygons": RINGS[0]},
        {"polygons": RINGS[1]},
        {"polygons": [RINGS[0] + 40]},
        {"polygons": [RINGS[0] + 30, RINGS[1] * 10]},
        {"polygons": []},
        {"polygons": np.zeros((3, 3))},
        {"polygons": [RINGS[0], np.zeros((3, 3))]},
        {"polygons": np.zeros(4)},
        {"polygons": tuple(RINGS)},
        {"polygons": RINGS * 3, "edge_colors": RGB * 3},
    ):
        yield "draw_polygons", {"polygons": RINGS, **given}


def masks() -> Iterator[Call]:
    for given in (
        {},
        {"colors": "#ff8000"},
        {"colors": (10, 20, 30), "alphas": 0.33},
        {"colors": [*RGB, "b"], "alphas": [0.1, 1.0, 0.0]},
        {"colors": (10.7, 20.2, 30.9)},
        {"alphas": [0.5]},
        {"binary_masks": MASKS[0]},
        {"binary_masks": torch.from_numpy(MASKS)},
        {"binary_masks": MASKS[:0]},
        {"binary_masks": MASKS.astype("uint8")},
        {"binary_masks": MASKS[:, :, 1:]},
        {"binary_masks": MASKS.tolist()},
        {"colors": ["r"]},
        {"colors": (1, 2)},
        {"colors": (1, 2, 256)},
        {"colors": 3},
        {"colors": "nocolour"},
    ):
        yield "draw_binary_masks", {"binary_masks": MASKS, **given}


def chains() -> Iterator[list[Call]]:
    """Several calls on one image, each on what the ones before have drawn."""
    box, mask = ("draw_bboxes", {"bboxes": BOXES}), ("draw_binary_masks", {"binary_masks": MASKS})
    text = ("draw_texts", {"texts": "x", "positions": POINTS[0]})
    circle = ("draw_circles", {"center": CENTERS, "radius": RADII, "face_colors": "y"})
    line = ("draw_lines", {"x_datas": XS, "y_datas": YS})
    ring, dots = ("draw_polygons", {"polygons": RINGS}), ("draw_points", {"positions": POINTS})
    yield [box, mask, text, circle, line, ring, dots]
    yield [mask, mask, box, mask]
    yield [dots, text, ring, line, circle, mask, box]


def heat_maps() -> Iterator[dict[str, Any]]:
    gray = image(16, 12)[..., 0]
    for given in (
        {},
        {"channel_reduction": "select_max"},
        {"overlaid_image": image(16, 12), "alpha": 0.2},
        {"overlaid_image": gray},
        {"overlaid_image": image(33, 20)},
        {"overlaid_image": image(33, 20), "resize_shape": (24, 18)},
        {"overlaid_image": image(16, 12), "resize_shape": (40, 31)},
        {"overlaid_image": gray, "channel_reduction": "select_max", "resize_shape": (9, 7)},
        {"resize_shape": (30, 20)},
        {"channel_reduction": None, "topk": 4, "arrangement": (2, 2), "resize_shape": (60, 80)},
        {"channel_reduction": None, "resize_shape": (40, 50)},
        {"channel_reduction": None, "topk": 3, "arrangement": (2, 3)},
        {"channel_reduction": None, "topk": 5, "arrangement": (1, 6), "overlaid_image": image()},
        {"channel_reduction": None, "topk": 7, "arrangement": (2, 3)},
        {"channel_reduction": None, "topk": 0},
        {"channel_reduction": None, "topk": -1, "featmap": FEATURES[:3]},
        {"channel_reduction": None, "topk": -1, "featmap": FEATURES[:1]},
        {"channel_reduction": None, "topk": -1, "featmap": FEATURES[:1].double()},
        {"channel_reduction": None, "topk": 2, "featmap": FEATURES[:1], "arrangement": (1, 2)},
        {"featmap": FEATURES.double()},
        {"featmap": FEATURES.clone().requires_grad_()},
        {"featmap": torch.ones(2, 5, 5)},
        {"channel_reduction": "mean"},
        {"featmap": FEATURES[0]},
        {"featmap": FEATURES.numpy()},
        {"overlaid_image": image(16, 12).astype("float32")},
    ):
        yield {"featmap": FEATURES, **given}


SIZES = ((1, 1), (5, 300), (101, 77), (64, 48, 4), (64, 48, 1))


def results(package: str) -> dict[str, Any]:
    """Return each case's image or its error's kinds, and the warnings."""
    make = importlib.import_module(f"{package}.visualization").Visualizer
    found: dict[str, Any] = {}

    def note(name: str, draw: Callable[[], Any]) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                found[name] = draw()
            except Exception as error:
                found[name] = np.array([kind.__name__ for kind in type(error).__mro__])
        texts = [f"{one.category.__name__}: {one.message}" for one in caught]
        found[f"{name} warnings"] = np.array(texts, dtype=str)

    def drawn(calls: list[Call], on: Any, **options: Any) -> Any:
        visualizer = make(image=on, **options)
        at = visualizer
        for method, arguments in calls:
            at = getattr(at, method)(**arguments)
        assert at is visualizer
        return visualizer.get_image()

    for group in (points, texts, font_properties, lines, circles, bboxes, polygons, masks):
        for number, call in enumerate(group()):
            note(f"{group.__name__} {number}", lambda call=call: drawn([call], image()))
    for number, calls in enumerate(chains()):
        note(f"chain {number}", lambda calls=calls: drawn(calls, image()))
    for number, given in enumerate(heat_maps()):
        note(f"heat map {number}", lambda given=given: make.draw_featmap(**given))
    box = ("draw_bboxes", {"bboxes": np.array([0, 0, 1, 1])})
    text = ("draw_texts", {"texts": "x", "positions": np.array([0, 0])})
    for size in SIZES:
        note(f"size {size}", lambda size=size: drawn([box, text], image(*size)))
    # From here on the default size of the font is more than 10.
    note("large", lambda: drawn([box, text], image(1000, 1000)))
    note("size (64, 48)", lambda: drawn([box], image()[..., 0]))
    note("floats", lambda: drawn([box], image() * 0.7))
    note("ints", lambda: drawn([box], image().astype("int64") + 3))
    note("dpi", lambda: drawn([box, text], image(), fig_save_cfg={"frameon": True, "dpi": 200}))
    note("a list", lambda: make(image=[[1]]))
    note("nothing", lambda: make().set_image(None))
    note("no image", lambda: make().get_image())
    for method, arguments in (text, box, *list(circles())[:1], *list(lines())[:1], *masks()):
        note(f"{method} without an image", lambda m=method, a=arguments: getattr(make(), m)(**a))

    def again() -> Any:
        visualizer = make(image=image())
        visualizer.draw_bboxes(BOXES).set_image(image(30, 20))
        visualizer.draw_points(POINTS)
        return visualizer.get_image()

    note("a second image", again)
    return found


if __name__ == "__main__":
    np.savez(sys.argv[2], **results(sys.argv[1]))
