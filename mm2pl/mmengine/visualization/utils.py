"""What the drawing methods share: checks of arguments, colours, heat maps and waiting for a key."""

from __future__ import annotations

import warnings
from typing import Any, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import torch

from mm2pl.mmengine.visualization._packages import Package, cv2

_base = Package("matplotlib.backend_bases")
_colors = Package("matplotlib.colors")
_pyplot = Package("matplotlib.pyplot")

T = TypeVar("T")
Types: TypeAlias = type[Any] | tuple[type[Any], ...]
Color: TypeAlias = str | tuple[float, ...]
Colors: TypeAlias = Color | list[str] | list[tuple[float, ...]] | list[Color]
Image: TypeAlias = npt.NDArray[np.uint8]


def tensor2ndarray(value: Any) -> Any:
    """Return a tensor as an array on the CPU, and anything else as it is."""
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value


def value2list(value: Any, valid_type: Types, expand_dim: int) -> Any:
    """Return a list of ``expand_dim`` times ``value`` if that is a ``valid_type``, else itself."""
    return [value] * expand_dim if isinstance(value, valid_type) else value


def check_type(name: str, value: Any, valid_type: Types) -> None:
    """Check the type of an argument.

    Raises:
        TypeError: It is another one.
    """
    if not isinstance(value, valid_type):
        types = valid_type if isinstance(valid_type, tuple) else (valid_type,)
        names = " or ".join(one.__name__ for one in types)
        raise TypeError(f"`{name}` should be {names}, but got {type(value).__name__}: {value!r}")


def check_length(name: str, value: Any, valid_length: int) -> None:
    """Check the length of an argument if it is a list.

    Raises:
        AssertionError: The list is shorter than ``valid_length``.
    """
    if isinstance(value, list) and len(value) < valid_length:
        raise AssertionError(
            f"`{name}` has {len(value)} entries, but there are {valid_length} things to draw. "
            "Hint: give one value for all, or one for each."
        )


def check_type_and_length(name: str, value: Any, valid_type: Types, valid_length: int) -> None:
    """Check the type of an argument, and its length if it is a list.

    Raises:
        TypeError: It has another type.
        AssertionError: The list is shorter than ``valid_length``.
    """
    check_type(name, value, valid_type)
    check_length(name, value, valid_length)


def color_val_matplotlib(colors: Any) -> Any:
    """Return a colour, or a list of colours, as matplotlib takes it.

    Args:
        colors: A name (returned as it is), three numbers from 0 to 255 (returned as three from 0 to
            1), in the order RGB, or a list of such.

    Raises:
        AssertionError: A tuple has another length, or a number is out of range.
        TypeError: It is something else.
    """
    if isinstance(colors, str):
        return colors
    if isinstance(colors, list):
        return [color_val_matplotlib(color) for color in colors]
    check_type("colors", colors, (str, tuple, list))
    check_rgb(colors)
    return tuple(channel / 255 for channel in colors)


def check_rgb(color: Any) -> None:
    """Check that a colour is three numbers from 0 to 255.

    Raises:
        AssertionError: It is not.
    """
    if len(color) != 3 or not all(0 <= channel <= 255 for channel in color):
        raise AssertionError(f"a colour is three numbers from 0 to 255 (RGB), got {color!r}")


def color_str2rgb(color: str) -> tuple[int, ...]:
    """Return matplotlib's colour of that name as RGB from 0 to 255; a transparency is dropped."""
    return tuple(int(channel * 255) for channel in _colors.to_rgb(color))


def convert_overlay_heatmap(
    feat_map: torch.Tensor | npt.NDArray[Any], img: Image | None = None, alpha: float = 0.5
) -> Image:
    """Draw numbers as colours from blue (the least) to red (the greatest), over an image.

    Args:
        feat_map: The numbers, of shape (H, W), (1, H, W) or (3, H, W); three channels are taken as
            an image, whose grey values are coloured.
        img: An RGB image of shape (H, W, 3) and type uint8.
        alpha: The weight of the heat map over the image, from 0 to 1.

    Returns:
        An RGB image of shape (H, W, 3) and type uint8.

    Raises:
        AssertionError: ``feat_map`` has another shape.
    """
    if feat_map.ndim != 2 and not (feat_map.ndim == 3 and feat_map.shape[0] in (1, 3)):
        raise AssertionError(
            "`feat_map` should have shape (H, W), (1, H, W) or (3, H, W), "
            f"but got {tuple(feat_map.shape)}"
        )
    values = tensor2ndarray(feat_map)
    if values.ndim == 3:
        values = values.transpose(1, 2, 0)
    scaled = cv2.normalize(values, None, 0, 255, cv2.NORM_MINMAX)
    heat = cv2.applyColorMap(scaled.astype(np.uint8), cv2.COLORMAP_JET)
    drawn: Image = cv2.cvtColor(heat, cv2.COLOR_BGR2RGB)
    if img is not None:
        drawn = cv2.addWeighted(img, 1 - alpha, drawn, alpha, 0)
    return drawn


def wait_continue(figure: Any, timeout: float = 0, continue_key: str = " ") -> int:
    """Show a figure and wait until its window is closed or a key is pressed.

    Differs: nothing is waited for, with a warning, where no key can ever come: without a timeout
    on a backend without windows, such as Agg. MMEngine waits forever.

    Args:
        figure: A matplotlib figure.
        timeout: How many seconds to wait; 0 for ever.
        continue_key: The key.

    Returns:
        1 if the window was closed, else 0: the key was pressed, the time is over, or there is
        nothing to wait for, as in a notebook.
    """
    if "inline" in _pyplot.get_backend():
        return 0
    canvas = figure.canvas
    if canvas.manager:
        figure.show()
    if timeout <= 0 and _is_deaf(canvas):
        warnings.warn(
            f"matplotlib's backend {_pyplot.get_backend()} has no window to press a key in. "
            "Hint: choose one that has, or give a wait_time."
        )
        return 0
    while True:
        events = _next_events(canvas, timeout)
        if any(isinstance(event, _base.CloseEvent) for event in events):
            return 1
        if not events or events[-1].key == continue_key:
            return 0


def _is_deaf(canvas: Any) -> bool:
    """Tell whether a canvas has matplotlib's plain event loop, and no window that feeds it."""
    loop = getattr(canvas.start_event_loop, "__func__", None)
    plain = loop is _base.FigureCanvasBase.start_event_loop
    return plain and getattr(canvas, "manager_class", None) is _base.FigureManagerBase


def _next_events(canvas: Any, timeout: float) -> list[Any]:
    """Return what happens at once when a key is pressed or the window closed; nothing in time."""
    events: list[Any] = []

    def remember(event: Any) -> None:
        events.append(event)  # Qt sends the key and the closing together
        canvas.stop_event_loop()

    ids = [canvas.mpl_connect(kind, remember) for kind in ("key_press_event", "close_event")]
    try:
        canvas.start_event_loop(timeout)
    finally:
        for one in ids:
            canvas.mpl_disconnect(one)
    return events


def set_pixels(figure: Any, width: int, height: int) -> None:
    """Set the size of a figure in pixels."""
    # matplotlib cuts the size off; 0.01 pixels keep it from losing one (matplotlib #15363).
    figure.set_size_inches((np.array([width, height]) + 1e-2) / figure.get_dpi())


def img_from_canvas(canvas: Any) -> Image:
    """Draw an Agg canvas and return it as an RGB image of shape (H, W, 3) and type uint8."""
    buffer, (width, height) = canvas.print_to_buffer()
    rgba = np.frombuffer(buffer, np.uint8).reshape(height, width, 4)
    rgb: Image = rgba[..., :3].copy()
    return rgb
