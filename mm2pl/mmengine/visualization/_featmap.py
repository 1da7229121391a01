"""Drawing of feature maps."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch.nn.functional import interpolate

from mm2pl.mmengine.visualization._packages import Package, cv2
from mm2pl.mmengine.visualization.utils import (
    Image,
    convert_overlay_heatmap,
    img_from_canvas,
    set_pixels,
)

_agg = Package("matplotlib.backends.backend_agg")
_figure = Package("matplotlib.figure")


def draw_featmap(
    featmap: torch.Tensor,
    overlaid_image: Image | None = None,
    channel_reduction: str | None = "squeeze_mean",
    topk: int = 20,
    arrangement: tuple[int, int] = (4, 5),
    resize_shape: tuple[int, int] | None = None,
    alpha: float = 0.5,
) -> Image:
    """Draw a feature map in colours, over an image if there is one.

    Differs: pyplot is not used, so that the backend for the screen does not matter.

    Args:
        featmap: Shape (C, H, W).
        overlaid_image: An RGB image of shape (H, W, 3), or a grey one of shape (H, W), uint8. If
            its size is another one, the feature map is resized to it, with a warning.
        channel_reduction: What is drawn of the channels: ``"squeeze_mean"`` for their mean,
            ``"select_max"`` for the one with the greatest sum, ``None`` for what ``topk`` says.
        topk: How many channels are drawn, those with the greatest sums, each in its place of a
            grid and with its number. Without one (0 or less) the feature map must have one or
            three channels and is drawn as an image.
        arrangement: Rows and columns of that grid.
        resize_shape: The height and width in pixels to which feature map and image are resized.
        alpha: The weight of the feature map over the image, from 0 to 1.

    Returns:
        An RGB image of type uint8 and shape (H, W, 3); with a grid (rows * H, columns * W, 3).

    Raises:
        AssertionError: ``featmap`` is no tensor or has another shape, ``channel_reduction`` is
            something else, the grid has too few places.
    """
    if not (isinstance(featmap, torch.Tensor) and featmap.ndim == 3):
        what = tuple(featmap.shape) if isinstance(featmap, torch.Tensor) else type(featmap).__name__
        raise AssertionError(f"`featmap` should be a tensor of shape (C, H, W), but got {what}")
    featmap, image = _resized(featmap.detach().cpu(), overlaid_image, resize_shape)
    if channel_reduction is not None:
        return convert_overlay_heatmap(_reduced(featmap, channel_reduction), image, alpha)
    if topk > 0:
        return _grid(featmap, image, topk, arrangement, alpha)
    if len(featmap) not in (1, 3):
        raise AssertionError(
            f"`featmap` has {len(featmap)} channels; 1 or 3 can be drawn as an image. "
            "Hint: set topk greater than 0, or give a channel_reduction."
        )
    return convert_overlay_heatmap(featmap, image, alpha)


def _resized(
    featmap: torch.Tensor, image: Image | None, shape: tuple[int, int] | None
) -> tuple[torch.Tensor, Image | None]:
    """Return a feature map and an image (RGB) of one size."""
    target: Any = shape
    if image is not None:
        if image.ndim == 2:
            image = cv2.cvtColor(image, cv2.COLOR_GRAY2RGB)
        size = image.shape[:2]
        if size != featmap.shape[1:]:
            warnings.warn(
                f"Since the spatial dimensions of overlaid_image: {size} and featmap: "
                f"{featmap.shape[1:]} are not same, the feature map will be interpolated. "
                "This may cause mismatch problems !"
            )
            target = size if shape is None else shape
    if target is not None:
        (featmap,) = interpolate(featmap[None], target, mode="bilinear", align_corners=False)
    if shape is not None and image is not None:
        image = cv2.resize(image, shape[::-1])
    return featmap, image


def _reduced(featmap: torch.Tensor, channel_reduction: str) -> torch.Tensor:
    if channel_reduction == "squeeze_mean":
        return featmap.mean(0)
    if channel_reduction == "select_max":
        return featmap[_greatest(featmap, 1)]
    raise AssertionError(
        "`channel_reduction` should be 'squeeze_mean', 'select_max' or None, "
        f"but got {channel_reduction!r}"
    )


def _greatest(featmap: torch.Tensor, count: int) -> torch.Tensor:
    """Return which channels have the greatest sums, in their order."""
    return featmap.sum((1, 2)).topk(count).indices


def _grid(
    featmap: torch.Tensor,
    image: Image | None,
    topk: int,
    arrangement: tuple[int, int],
    alpha: float,
) -> Image:
    rows, columns = arrangement
    if rows * columns < topk:
        raise AssertionError(
            f"`arrangement` has {rows} x {columns} places, too few for topk={topk} channels"
        )
    channels, height, width = featmap.shape
    figure = _figure.Figure(frameon=False)
    canvas = _agg.FigureCanvasAgg(figure)
    figure.subplots_adjust(left=0, right=1, bottom=0, top=1, wspace=0, hspace=0)
    set_pixels(figure, width * columns, height * rows)
    for place, channel in enumerate(_greatest(featmap, min(topk, channels)).tolist()):
        axes = figure.add_subplot(rows, columns, place + 1)
        axes.axis("off")
        axes.text(2, 15, f"channel: {channel}", fontsize=10)
        axes.imshow(convert_overlay_heatmap(featmap[channel], image, alpha))
    return img_from_canvas(canvas)
