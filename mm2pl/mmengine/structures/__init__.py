"""Containers for annotations and predictions."""

from mm2pl.mmengine.structures.base_data_element import BaseDataElement
from mm2pl.mmengine.structures.instance_data import InstanceData
from mm2pl.mmengine.structures.label_data import LabelData
from mm2pl.mmengine.structures.pixel_data import PixelData

__all__ = ["BaseDataElement", "InstanceData", "LabelData", "PixelData"]
