"""Helpers for drawing, which is not supported yet: the names can be imported, using them raises."""

from __future__ import annotations

from typing import Any

from mm2pl.support import unsupported

REASON = "drawing comes with a later release"
HINT = "Training, validation and testing need no drawing: leave out the visualization hook."


def _drawing(name: str) -> type[Any]:
    return unsupported(f"mmengine.visualization.utils.{name}", REASON, HINT)


check_length = _drawing("check_length")
check_type = _drawing("check_type")
check_type_and_length = _drawing("check_type_and_length")
color_str2rgb = _drawing("color_str2rgb")
color_val_matplotlib = _drawing("color_val_matplotlib")
convert_overlay_heatmap = _drawing("convert_overlay_heatmap")
img_from_canvas = _drawing("img_from_canvas")
tensor2ndarray = _drawing("tensor2ndarray")
value2list = _drawing("value2list")
wait_continue = _drawing("wait_continue")
