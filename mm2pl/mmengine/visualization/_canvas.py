"""Drawing on an image: points, texts, lines, circles, boxes, polygons and masks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt
import torch
from typing_extensions import Self

from mm2pl.mmengine.dist import master_only
from mm2pl.mmengine.visualization._packages import Package, cv2
from mm2pl.mmengine.visualization.utils import (
    Colors,
    Image,
    check_rgb,
    check_type,
    check_type_and_length,
    color_str2rgb,
    color_val_matplotlib,
    img_from_canvas,
    set_pixels,
    tensor2ndarray,
    value2list,
)

_agg = Package("matplotlib.backends.backend_agg")
_collections = Package("matplotlib.collections")
_figure = Package("matplotlib.figure")
_fonts = Package("matplotlib.font_manager")
_patches = Package("matplotlib.patches")

Array: TypeAlias = npt.NDArray[Any] | torch.Tensor
Widths: TypeAlias = float | Sequence[float]
F = TypeVar("F", bound=Callable[..., Any])


def in_main_process(method: F) -> F:
    """``master_only``, typed as in the main process, for which chains of calls are written."""
    return cast(F, master_only(method))


class Canvas:
    """An image and what is drawn on it; the part of ``Visualizer`` that draws.

    All positions are (x, y) in pixels from the upper left corner of the image. A colour is a name
    of matplotlib's or three numbers from 0 to 255 in a tuple (RGB). What may differ from one thing
    to the next is given once for all, or as a list with an entry for each. Methods that draw return
    the object itself, so that calls can be chained; other processes than the main one do nothing
    and return ``None``.

    The figure is made when it is first needed: a run that draws nothing needs no matplotlib.
    Drawing that needs the image's size raises ``AttributeError`` while there is no image.

    Attributes:
        fig_save_cfg: Arguments of the matplotlib figure that is drawn on.
        fig_save: That figure; ``fig_save_canvas`` is its Agg canvas, ``ax_save`` its axes and
            ``dpi`` its dots per inch.
        width: The image's width in pixels, ``height`` its height.
    """

    fig_save_cfg: dict[str, Any]
    width: int
    height: int
    _image: Image
    _default_font_size: float

    @cached_property
    def _drawn_on(self) -> tuple[Any, Any, Any]:
        return self._initialize_fig(self.fig_save_cfg)

    # Cached, not plain properties: subclasses may set these attributes.
    fig_save_canvas = cached_property(lambda self: self._drawn_on[0])
    fig_save = cached_property(lambda self: self._drawn_on[1])
    ax_save = cached_property(lambda self: self._drawn_on[2])
    dpi = cached_property(lambda self: self.fig_save.get_dpi())

    def _initialize_fig(self, fig_cfg: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Return the canvas, figure and axes for drawing, without a margin, unknown to pyplot."""
        figure = _figure.Figure(**fig_cfg)
        canvas = _agg.FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.axis(False)
        figure.subplots_adjust(left=0, right=1, bottom=0, top=1)
        return canvas, figure, axes

    @in_main_process
    def set_image(self, image: npt.NDArray[Any]) -> None:
        """Take an image to draw on; what was drawn before is gone.

        Args:
            image: RGB of shape (H, W, 3), values from 0 to 255; it is made uint8.
        """
        if image is None:
            raise AssertionError("`image` should be an array of shape (H, W, 3), but got None")
        self._image = image.astype("uint8")
        self.height, self.width = image.shape[:2]
        self._default_font_size = max(10, math.sqrt(image.shape[0] * image.shape[1]) // 90)
        set_pixels(self.fig_save, self.width, self.height)
        self.ax_save.cla()
        self.ax_save.axis(False)
        self._put(self._image, "none")

    @in_main_process
    def get_image(self) -> Image:
        """Return the image with what was drawn: RGB of shape (H, W, 3) and type uint8.

        Raises:
            AttributeError: There is no image.
        """
        self._need("_image")
        return img_from_canvas(self.fig_save_canvas)

    @in_main_process
    def draw_points(
        self,
        positions: Array,
        colors: Colors = "g",
        marker: str | None = None,
        sizes: Array | None = None,
    ) -> Self:
        """Draw points.

        Args:
            positions: Shape (N, 2) or (2,).
            colors: One, or N.
            marker: Matplotlib's name of their form; a disc by default.
            sizes: Areas in square points, one or N.
        """
        points = _array("positions", positions)
        if points.ndim == 1:
            points = points[None]
        _check_shape("positions", points, points.shape[-1] == 2, "(N, 2)")
        self.ax_save.scatter(
            points[:, 0], points[:, 1], c=color_val_matplotlib(colors), s=sizes, marker=marker
        )
        return self

    @in_main_process
    def draw_texts(
        self,
        texts: str | list[str],
        positions: Array,
        font_sizes: float | list[float] | None = None,
        colors: Colors = "g",
        vertical_alignments: str | list[str] = "top",
        horizontal_alignments: str | list[str] = "left",
        font_families: str | list[str] = "sans-serif",
        bboxes: dict[str, Any] | list[dict[str, Any]] | None = None,
        font_properties: Any = None,
    ) -> Self:
        """Draw texts.

        Args:
            texts: One, or N.
            positions: Shape (N, 2), or (2,) for one text.
            font_sizes: In points, by default in proportion to the image and at least 10.
            colors: Theirs.
            vertical_alignments: Which part of a text is at its position: ``"top"``, ``"center"``,
                ``"bottom"`` or ``"baseline"``.
            horizontal_alignments: As well: ``"left"``, ``"center"`` or ``"right"``.
            font_families: Such as ``"sans-serif"`` or ``"monospace"``.
            bboxes: Arguments of the box behind a text, a ``FancyBboxPatch`` of matplotlib.
            font_properties: Matplotlib's ``FontProperties``, for instance to name a font file.
        """
        check_type("texts", texts, (str, list))
        texts = value2list(texts, str, 1)
        count = len(texts)
        points = _array("positions", positions)
        if points.ndim == 1:
            points = points[None]
        _check_shape("positions", points, points.shape == (count, 2), f"({count}, 2)")
        self._warn_if_outside("text", points)

        def each(name: str, value: Any, *types: type[Any]) -> Any:
            check_type_and_length(name, value, (*types, list), count)
            return value2list(value, types, count)

        def each_or_none(name: str, value: Any, *types: type[Any]) -> Any:
            return [None] * count if value is None else each(name, value, *types)

        if font_sizes is None:
            font_sizes = self._default_font_size
        options = {
            "size": each("font_sizes", font_sizes, int, float),
            "color": color_val_matplotlib(each("colors", colors, str, tuple)),
            "verticalalignment": each("vertical_alignments", vertical_alignments, str),
            "horizontalalignment": each("horizontal_alignments", horizontal_alignments, str),
            "family": each("font_families", font_families, str),
            "fontproperties": each_or_none(
                "font_properties", font_properties, _fonts.FontProperties
            ),
            "bbox": each_or_none("bboxes", bboxes, dict),
        }
        for index, ((x, y), text) in enumerate(zip(points.tolist(), texts, strict=True)):
            own = {name: values[index] for name, values in options.items()}
            self.ax_save.text(x, y, text, **own)
        return self

    @in_main_process
    def draw_lines(
        self,
        x_datas: Array,
        y_datas: Array,
        colors: Colors = "g",
        line_styles: str | list[str] = "-",
        line_widths: Widths = 2,
    ) -> Self:
        """Draw lines from one point to another.

        Args:
            x_datas: Where they begin and end, of shape (N, 2) or (2,).
            y_datas: As well.
            colors: Theirs.
            line_styles: Matplotlib's names of them.
            line_widths: In points.
        """
        xs, ys = _array("x_datas", x_datas), _array("y_datas", y_datas)
        _check_shape("x_datas", xs, xs.shape[-1] == 2, "(N, 2)")
        _check_shape("y_datas", ys, ys.shape == xs.shape, f"{xs.shape}, that of `x_datas`,")
        lines = np.stack((xs.reshape(-1, 2), ys.reshape(-1, 2)), -1)
        colors = color_val_matplotlib(colors)
        self._warn_if_outside("line", lines)
        self.ax_save.add_collection(
            _collections.LineCollection(
                lines.tolist(), colors=colors, linestyles=line_styles, linewidths=line_widths
            )
        )
        return self

    @in_main_process
    def draw_circles(
        self,
        center: Array,
        radius: Array,
        edge_colors: Colors = "g",
        line_styles: str | list[str] = "-",
        line_widths: Widths = 2,
        face_colors: Colors = "none",
        alpha: float = 0.8,
    ) -> Self:
        """Draw circles.

        Args:
            center: Shape (N, 2) or (2,).
            radius: In pixels, of shape (N,).
            edge_colors: Of their lines.
            line_styles: Matplotlib's names of them.
            line_widths: In points; at least 1, at most a quarter of the default font size.
            face_colors: What fills them.
            alpha: How opaque they are, from 0 to 1.
        """
        centers, radii = _array("center", center), _array("radius", radius)
        if centers.ndim == 1:
            centers = centers[None]
        shape = (radii.shape[0], 2)
        _check_shape("center", centers, centers.shape == shape, f"{shape}, one for each radius,")
        reach = radii.reshape(-1, 1)
        self._warn_if_outside("circle", centers - reach, centers + reach)
        circles = [
            _patches.Circle(tuple(middle), size)
            for middle, size in zip(centers.tolist(), radii.tolist(), strict=True)
        ]
        self.ax_save.add_collection(
            _collections.PatchCollection(
                circles,
                alpha=alpha,
                facecolors=color_val_matplotlib(face_colors),
                edgecolors=color_val_matplotlib(edge_colors),
                linewidths=self._widths(line_widths, len(circles)),
                linestyles=line_styles,
            )
        )
        return self

    @in_main_process
    def draw_bboxes(
        self,
        bboxes: Array,
        edge_colors: Colors = "g",
        line_styles: str | list[str] = "-",
        line_widths: Widths = 2,
        face_colors: Colors = "none",
        alpha: float = 0.8,
    ) -> Self:
        """Draw boxes, by ``draw_polygons``.

        Args:
            bboxes: Shape (N, 4) or (4,): left, top, right, bottom.
            edge_colors: Of their lines.
            line_styles: Matplotlib's names of them.
            line_widths: In points; at least 1, at most a quarter of the default font size.
            face_colors: What fills them.
            alpha: How opaque they are, from 0 to 1.
        """
        boxes = _array("bboxes", bboxes)
        if boxes.ndim == 1:
            boxes = boxes[None]
        _check_shape("bboxes", boxes, boxes.shape[-1] == 4, "(N, 4)")
        if not (boxes[:, :2] <= boxes[:, 2:]).all():
            raise AssertionError(
                "`bboxes` should be (left, top, right, bottom), with left <= right"
            )
        self._warn_if_outside("bbox", boxes.reshape(-1, 2, 2))
        corners = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
        return self.draw_polygons(
            list(corners),
            alpha=alpha,
            edge_colors=edge_colors,
            line_styles=line_styles,
            line_widths=line_widths,
            face_colors=face_colors,
        )

    @in_main_process
    def draw_polygons(
        self,
        polygons: Array | list[Any],
        edge_colors: Colors = "g",
        line_styles: str | list[str] = "-",
        line_widths: Widths = 2,
        face_colors: Colors = "none",
        alpha: float = 0.8,
    ) -> Self:
        """Draw polygons.

        Args:
            polygons: Their corners: an array or tensor of shape (M, 2), or a list of such.
            edge_colors: Of their lines.
            line_styles: Matplotlib's names of them.
            line_widths: In points; at least 1, at most a quarter of the default font size.
            face_colors: What fills them.
            alpha: How opaque they are, from 0 to 1.
        """
        check_type("polygons", polygons, (list, np.ndarray, torch.Tensor))
        rings = [
            tensor2ndarray(ring) for ring in value2list(polygons, (np.ndarray, torch.Tensor), 1)
        ]
        for ring in rings:
            _check_shape("polygons", ring, ring.shape[1] == 2, "(M, 2) each")
        for ring in rings:
            self._warn_if_outside("polygon", ring)
        self.ax_save.add_collection(
            _collections.PolyCollection(
                rings,
                alpha=alpha,
                facecolor=color_val_matplotlib(face_colors),
                linestyles=line_styles,
                edgecolors=color_val_matplotlib(edge_colors),
                linewidths=self._widths(line_widths, len(rings)),
            )
        )
        return self

    @in_main_process
    def draw_binary_masks(
        self,
        binary_masks: Array,
        colors: Colors = "g",
        alphas: float | list[float] = 0.8,
    ) -> Self:
        """Colour the pixels of masks, one mask over the other.

        Differs: ``alphas`` may be an int.

        Args:
            binary_masks: Of type bool and shape (N, H, W) or (H, W), the size of the image.
            colors: Of the masks.
            alphas: How opaque they are, from 0 to 1.
        """
        masks = _array("binary_masks", binary_masks)
        if masks.dtype != np.bool_:
            raise AssertionError(f"`binary_masks` should be of type bool, but got {masks.dtype}")
        drawn = self.get_image()
        if masks.ndim == 2:
            masks = masks[None]
        size = drawn.shape[:2]
        _check_shape("binary_masks", masks, masks.shape[1:] == size, f"(N, {size[0]}, {size[1]})")
        check_type_and_length("colors", colors, (str, tuple, list), len(masks))
        fills = [
            color_str2rgb(color) if isinstance(color, str) else color
            for color in value2list(colors, (str, tuple), len(masks))
        ]
        for color in fills:
            check_rgb(color)
        weights = value2list(alphas, (int, float), len(masks))
        for mask, color, alpha in zip(masks, fills, weights, strict=False):
            plain = np.full_like(drawn, np.array(color, np.uint8))
            filled = cv2.copyTo(plain, mask.astype(np.uint8), drawn.copy())
            drawn = cv2.addWeighted(drawn, 1 - alpha, filled, alpha, 0)
        self._put(drawn, "nearest")
        return self

    def _need(self, attribute: str) -> None:
        if getattr(self, attribute, None) is None:
            raise AttributeError("there is no image to draw on. Hint: call set_image(image) first.")

    def _put(self, image: Image, interpolation: str) -> None:
        extent = (0, self.width, self.height, 0)
        self.ax_save.imshow(image, extent=extent, interpolation=interpolation)

    def _is_posion_valid(self, position: npt.NDArray[Any]) -> bool:
        """Tell whether all positions, of shape (..., 2), are within the image."""
        size = np.array([self.width, self.height])
        return bool((position >= 0).all() and (position < size).all())

    def _warn_if_outside(self, thing: str, *positions: npt.NDArray[Any]) -> None:
        self._need("width")
        if not all(self._is_posion_valid(position) for position in positions):
            warnings.warn(
                f"Warning: The {thing} is out of bounds, the drawn {thing} may not be in the image"
            )

    def _widths(self, line_widths: Widths, count: int) -> list[float]:
        self._need("_default_font_size")
        most = self._default_font_size / 4
        return [min(max(width, 1), most) for width in value2list(line_widths, (int, float), count)]


def _array(name: str, value: Any) -> npt.NDArray[Any]:
    check_type(name, value, (np.ndarray, torch.Tensor))
    array: npt.NDArray[Any] = tensor2ndarray(value)
    return array


def _check_shape(name: str, array: npt.NDArray[Any], right: bool, wanted: str) -> None:
    if not right:
        raise AssertionError(f"the shape of `{name}` should be {wanted}, but got {array.shape}")
