"""What is drawn: every pixel, error and warning as with MMEngine, and nothing left behind."""

from __future__ import annotations

import gc
import inspect
import runpy
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mm2pl.errors import MissingPackageError
from mm2pl.mmengine.visualization import Visualizer, visualizer
from mm2pl.mmengine.visualization._packages import Package

DRAWINGS = Path(__file__).with_name("drawings.py")
IMAGE = np.full((20, 30, 3), 200, np.uint8)
BOX = np.array([2, 3, 10, 12])


@pytest.fixture(scope="module")
def theirs(reference: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    file = tmp_path_factory.mktemp("theirs") / "drawings.npz"
    reference.process(str(DRAWINGS), "mmengine", str(file))
    return dict(np.load(file))


@pytest.fixture(scope="module")
def ours() -> dict[str, Any]:
    found: dict[str, Any] = runpy.run_path(str(DRAWINGS))["results"]("mm2pl.mmengine")
    return found


def images(found: dict[str, Any]) -> dict[str, Any]:
    return {name: one for name, one in found.items() if one.dtype == np.uint8}


@pytest.mark.slow
def test_the_same_cases_are_drawn(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    assert (list(ours), list(images(ours))) == (list(theirs), list(images(theirs)))
    assert len(images(ours)) > 120


@pytest.mark.slow
def test_every_pixel_equals_mmengines(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    drawn = images(theirs)
    assert [name for name in drawn if not np.array_equal(drawn[name], ours[name])] == []


@pytest.mark.slow
def test_errors_are_of_mmengines_kinds(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    kinds = {name: str(one[0]) for name, one in theirs.items() if one.ndim == 1 and one.size > 1}
    errors = {name: kind for name, kind in kinds.items() if not name.endswith("warnings")}
    assert len(errors) > 80
    assert {name: kind for name, kind in errors.items() if kind not in ours[name]} == {}


@pytest.mark.slow
def test_warnings_equal_mmengines(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    names = [name for name in theirs if name.endswith("warnings")]
    assert {name: ours[name].tolist() for name in names} == {
        name: theirs[name].tolist() for name in names
    }


def test_the_masks_opacity_may_be_an_int() -> None:
    mask = np.ones(IMAGE.shape[:2], bool)
    drawn = Visualizer(image=IMAGE).draw_binary_masks(mask, colors=(1, 2, 3), alphas=1)
    assert (drawn.get_image() == (1, 2, 3)).all()


def test_points_can_be_drawn_without_an_image() -> None:
    one = Visualizer()
    assert one.draw_points(BOX[:2]) is one


@pytest.mark.parametrize("method", ["get_image", "draw_bboxes", "draw_polygons"])
def test_an_image_that_is_missing_is_asked_for(method: str) -> None:
    arguments: Any = {"draw_bboxes": [BOX], "draw_polygons": [[]]}.get(method, [])
    with pytest.raises(AttributeError, match=r"no image.*Hint: call set_image"):
        getattr(Visualizer(), method)(*arguments)


def test_a_wrong_argument_is_named_with_what_it_should_be() -> None:
    drawer = Visualizer(image=IMAGE)
    with pytest.raises(TypeError, match=r"`bboxes` should be ndarray or Tensor, but got list: \[1"):
        drawer.draw_bboxes([1])  # type: ignore[arg-type]
    with pytest.raises(AssertionError, match=r"shape of `positions` should be \(2, 2\), .* \(1, 2"):
        drawer.draw_texts(["a", "b"], BOX[None, :2])
    with pytest.raises(AssertionError, match="`font_sizes` has 1 entries, but there are 2 things"):
        drawer.draw_texts(["a", "b"], BOX.reshape(2, 2), font_sizes=[3])


def test_the_given_image_and_the_drawn_one_are_left_alone() -> None:
    given = IMAGE.copy()
    drawer = Visualizer(image=given)
    before = drawer.get_image()
    drawn = drawer.draw_bboxes(BOX, face_colors="r").draw_binary_masks(given[..., 0] > 0)
    assert not np.array_equal(before, drawn.get_image())
    assert np.array_equal(given, IMAGE)
    assert np.array_equal(before, IMAGE)
    assert before.flags.c_contiguous
    assert before.flags.writeable


def test_boxes_are_drawn_by_a_subclasss_polygons() -> None:
    class Mine(Visualizer):
        def draw_polygons(self, polygons: Any, *args: Any, **kwargs: Any) -> Any:
            return [ring.tolist() for ring in polygons], kwargs["edge_colors"]

    drawn: Any = Mine(image=IMAGE).draw_bboxes(BOX, edge_colors="r")
    assert drawn == ([[[2, 3], [10, 3], [10, 12], [2, 12]]], "r")


def test_a_subclass_may_make_the_figure_and_replace_it() -> None:
    class Mine(Visualizer):
        def _initialize_fig(self, fig_cfg: dict[str, Any]) -> tuple[Any, Any, Any]:
            return super()._initialize_fig({**fig_cfg, "dpi": 50})

    mine = Mine(image=IMAGE)
    assert mine.dpi == mine.fig_save.get_dpi() == mine.fig_save_canvas.figure.get_dpi() == 50
    mine.fig_save_canvas, mine.fig_save, mine.ax_save = mine._initialize_fig({"dpi": 70})
    mine.set_image(IMAGE)
    assert np.array_equal(mine.get_image(), IMAGE)


def test_only_rank_0_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    from mm2pl.mmengine.dist import utils

    monkeypatch.setattr(utils, "get_rank", lambda group=None: 1)
    drawer: Any = Visualizer(image=IMAGE)
    assert (drawer.draw_bboxes(BOX), drawer.get_image(), drawer.draw_featmap(None)) == (None,) * 3


def test_nothing_piles_up_over_many_images() -> None:
    drawer = Visualizer()

    def draw() -> None:
        drawer.set_image(IMAGE)
        drawer.draw_bboxes(BOX).draw_texts("a", BOX[:2]).draw_points(BOX[:2])
        drawer.draw_binary_masks(IMAGE[..., 0] > 0).get_image()

    for _ in range(5):
        draw()
    gc.collect()
    before = len(gc.get_objects())
    for _ in range(30):
        draw()
    gc.collect()
    assert len(gc.get_objects()) - before < 30  # one artist alone is more than that


def test_threads_draw_each_with_its_own() -> None:
    drawn: list[Any] = []

    def draw() -> None:
        for _ in range(5):
            drawer = Visualizer(image=IMAGE)
            drawn.append(drawer.draw_bboxes(BOX).draw_texts("a", BOX[:2]).get_image())

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(drawn) == 20
    assert all(np.array_equal(one, drawn[0]) for one in drawn)


@pytest.mark.parametrize(
    ("module", "name"),
    [("matplotlib.figure", "matplotlib"), ("cv2", "cv2")],
)
def test_a_missing_package_is_named_with_its_extra(
    module: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=f"drawing needs {name}") as caught:
        Visualizer(image=IMAGE).draw_binary_masks(IMAGE[..., 0] > 0)
    assert caught.value.hint == "pip install 'mm2pl[drawing]'"
    assert isinstance(caught.value, ImportError)


def test_looking_at_a_package_does_not_import_it() -> None:
    inspect.unwrap(Package("no_such_package"))  # type: ignore[arg-type]
    assert not hasattr(Package("no_such_package"), "__wrapped__")


# --------------------------------------------------------------------------- the window


class Window:
    """A window without a screen, which can be closed as a toolkit's can."""

    def __init__(self, figure: Any) -> None:
        self.canvas = figure.canvas
        self.titles: list[str] = []
        self.closed = False

    def set_window_title(self, title: str) -> None:
        if self.closed:
            raise RuntimeError("wrapped C/C++ object has been deleted")
        self.titles.append(title)


@pytest.fixture
def pyplot(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Matplotlib's pyplot on Agg, with windows that are a ``Window``."""
    from matplotlib import pyplot
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    pyplot.switch_backend("Agg")

    def window(num: int, FigureClass: Any, **options: Any) -> Window:
        figure = FigureClass(**options)
        FigureCanvasAgg(figure)
        return Window(figure)

    monkeypatch.setattr(pyplot, "new_figure_manager", window)
    yield pyplot
    assert pyplot.get_fignums() == []


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []

    def wait(figure: Any, timeout: float, continue_key: str) -> int:
        shown = np.asarray(figure.axes[0].images[0].get_array())
        found.append((shown, timeout, continue_key, figure.get_frameon()))
        return 0

    monkeypatch.setattr(visualizer, "wait_continue", wait)
    return found


def test_the_drawn_image_is_shown_in_a_window(pyplot: Any, waited: list[Any]) -> None:
    drawer = Visualizer(image=IMAGE).draw_bboxes(BOX)
    assert drawer.show() is None
    ((shown, *options),) = waited
    assert np.array_equal(shown, drawer.get_image())
    assert options == [0.0, " ", False]
    assert drawer.manager.titles == ["image"]


def test_images_are_shown_in_one_window_until_it_is_closed(pyplot: Any, waited: list[Any]) -> None:
    drawer = Visualizer(fig_show_cfg={"frameon": True})
    drawer.show(IMAGE, "first", 0.5, "c")
    first = drawer.manager
    drawer.show(IMAGE[:5], "second")
    assert drawer.manager is first
    assert first.titles == ["first", "second"]
    first.closed = True
    drawer.show(IMAGE, "third")
    assert drawer.manager.titles == ["third"]
    assert [one[1:] for one in waited] == [(0.5, "c", True), (0.0, " ", True), (0.0, " ", True)]
    assert [len(one[0]) for one in waited] == [20, 5, 20]


def test_a_notebook_gets_the_figure(
    pyplot: Any, waited: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pyplot, "get_backend", lambda: "module://matplotlib_inline.backend_inline")
    figure = Visualizer().show(IMAGE)
    assert (len(figure.axes[0].images), waited) == (1, [])


def test_opencvs_window_is_one_for_all_images(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    class Stub:
        def __getattr__(self, name: str) -> Any:
            return lambda *args, **kwargs: calls.append((name, *args, *kwargs.values()))

    monkeypatch.setattr(visualizer, "cv2", Stub())
    drawer = Visualizer(image=IMAGE)
    drawer.show(IMAGE, "title", 0.0121, backend="cv2")
    window = str(id(drawer))
    assert calls == [
        ("namedWindow", window),
        ("setWindowTitle", window, "title"),
        ("imshow", window, IMAGE),
        ("waitKey", 13),
    ]
    calls.clear()
    drawer.show(backend="cv2")
    assert np.array_equal(calls[2][2], IMAGE)
    assert calls[3] == ("waitKey", 0)


def test_another_way_to_show_is_refused() -> None:
    with pytest.raises(ValueError, match="should be 'matplotlib' or 'cv2', but got 'tk'"):
        Visualizer().show(IMAGE, backend="tk")


def test_without_a_screen_nothing_is_waited_for(pyplot: Any) -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    with pytest.warns(UserWarning, match="Agg has no window to press a key in. Hint: "):
        assert visualizer.wait_continue(figure) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert visualizer.wait_continue(figure, timeout=0.02) == 0


def test_showing_without_a_screen_ends_in_time_and_leaves_no_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from matplotlib import pyplot

    monkeypatch.delenv("DISPLAY", raising=False)
    pyplot.switch_backend("Agg")
    drawer = Visualizer(image=IMAGE)
    drawer.show(wait_time=0.02)
    shown = drawer.manager
    drawer.show(wait_time=0.02)
    assert drawer.manager is shown
    assert pyplot.get_fignums() == []
