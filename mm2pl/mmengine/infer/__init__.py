"""Inference: from images and the like to predictions, in one call."""

from mm2pl.mmengine.infer.infer import BaseInferencer

__all__ = ["BaseInferencer"]
