"""Hands what is predicted in a test to the visualizer, with the images in their original size."""

from __future__ import annotations

import os.path
from collections.abc import Sequence
from typing import Any

from mm2pl.mmengine.hooks.hook import DATA_BATCH, Hook
from mm2pl.mmengine.registry import HOOKS
from mm2pl.mmengine.utils.dl_utils import tensor2imgs
from mm2pl.mmengine.visualization._packages import cv2


@HOOKS.register_module()
class NaiveVisualizationHook(Hook):
    """Calls the visualizer's ``add_datasample`` for the samples of a test, and ``add_graph`` once.

    As with MMEngine, the call is ``add_datasample(name, image, data_sample, output, draw_gt,
    draw_pred)``, all by position: the visualizer must be written for it. Those of the libraries
    take other arguments and come with hooks of their own.

    The loader's batch must be a list of dicts, each with ``inputs``, images of shape (1, 3, H, W),
    and ``data_sample``. That tells ``ori_width`` and ``ori_height``, the size in pixels of the
    image that is drawn on, and ``img_path``, whose last part is its name. Optional are
    ``img_norm_cfg``, arguments of ``tensor2imgs``, and ``pad_shape``; if it is there, the image is
    cut to the width and height ``scale`` (by default the original ones) first.

    Args:
        interval: Every how many batches.
        draw_gt: Handed to the visualizer.
        draw_pred: Handed to the visualizer.
    """

    priority = "NORMAL"

    def __init__(self, interval: int = 1, draw_gt: bool = True, draw_pred: bool = True) -> None:
        self.draw_gt = draw_gt
        self.draw_pred = draw_pred
        self._interval = interval

    def before_train(self, runner: Any) -> None:
        """Hand the model to the visualizer's backends."""
        runner.visualizer.add_graph(runner.model, None)

    def after_test_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Hand a batch's images and predictions to the visualizer."""
        if not self.every_n_inner_iters(batch_idx, self._interval):
            return
        batch: Any = data_batch
        predictions: Any = outputs
        for data, output in zip(batch, predictions, strict=False):
            sample = data["data_sample"]
            runner.visualizer.add_datasample(
                os.path.basename(sample.img_path),
                self._original(data["inputs"], sample),
                sample,
                output,
                self.draw_gt,
                self.draw_pred,
            )

    def _original(self, inputs: Any, sample: Any) -> Any:
        """Return the image without what the pipeline did to it."""
        image = tensor2imgs(inputs, **sample.get("img_norm_cfg", {}))[0]
        size = (sample.ori_width, sample.ori_height)
        if "pad_shape" in sample:
            image = self._unpad(image, sample.get("scale", size))
        return cv2.resize(image, size)

    def _unpad(self, input: Any, unpad_shape: tuple[int, int]) -> Any:
        """Return the upper left part of an image, of this width and height."""
        width, height = unpad_shape
        return input[:height, :width]
