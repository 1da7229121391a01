"""``BaseModel`` and the data preprocessors."""

from mm2pl.mmengine.model.base_model.base_model import BaseModel
from mm2pl.mmengine.model.base_model.data_preprocessor import (
    BaseDataPreprocessor,
    ImgDataPreprocessor,
)

__all__ = ["BaseDataPreprocessor", "BaseModel", "ImgDataPreprocessor"]
