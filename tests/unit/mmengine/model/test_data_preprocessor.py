"""Data preprocessors against MMEngine's, and their errors."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
import torch

from mm2pl.errors import ConfigError, DataError, ModelError
from mm2pl.mmengine.model import BaseDataPreprocessor, BaseModel, ImgDataPreprocessor
from mm2pl.mmengine.registry import MODELS


class Teacher(BaseModel):
    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        raise NotImplementedError


class Student(Teacher):
    def __init__(self, teacher: dict[str, Any]) -> None:
        super().__init__()
        self.teacher = MODELS.build(teacher)


def test_data_of_every_kind_is_cast_alike(both: Any) -> None:
    both.assert_same("cast_data")


def test_images_come_out_alike(both: Any) -> None:
    both.assert_same("image_preprocessor")


def test_batch_is_moved_to_the_device_of_the_module() -> None:
    preprocessor = BaseDataPreprocessor().to("meta")
    moved = preprocessor(dict(inputs=[torch.ones(2)], data_samples=(torch.ones(1), "text")))
    assert moved["inputs"][0].device.type == "meta"
    assert moved["data_samples"][0].device.type == "meta"


def test_device_survives_a_copy() -> None:
    assert deepcopy(BaseDataPreprocessor().to("meta")).device.type == "meta"


def test_device_can_be_set_as_in_mmengine() -> None:
    preprocessor = BaseDataPreprocessor()
    preprocessor._device = torch.device("meta")
    assert preprocessor.device == torch.device("meta")


def test_subclass_that_overrides_cast_data_is_asked_at_every_depth() -> None:
    class Doubles(BaseDataPreprocessor):
        def cast_data(self, data: Any) -> Any:
            return data * 2 if isinstance(data, int) else super().cast_data(data)

    assert Doubles()(dict(a=[1, (2,)])) == dict(a=[2, (4,)])


def test_missing_inputs_names_what_is_there() -> None:
    with pytest.raises(DataError, match=r"no `inputs` in the batch, only \['img'\]"):
        ImgDataPreprocessor()(dict(img=1))


def test_batch_that_is_no_dict_is_refused() -> None:
    with pytest.raises(ModelError, match=r"needs a batch that is a dict.*got tuple"):
        ImgDataPreprocessor()((torch.ones(1),))


def test_inputs_of_other_things_are_described() -> None:
    with pytest.raises(ModelError, match="got list of int, str"):
        ImgDataPreprocessor()(dict(inputs=[1, "x"]))


def test_wrong_number_of_means_names_the_key() -> None:
    with pytest.raises(ConfigError, match=r"^mean: mean needs 1 value .*got 2"):
        ImgDataPreprocessor(mean=[1, 2], std=[1, 2])


def test_wrong_number_of_means_is_located_wherever_the_model_stands() -> None:
    stats = dict(mean=[1, 2], std=[1, 2])
    teacher = dict(type=Teacher, data_preprocessor=dict(type="ImgDataPreprocessor", **stats))
    with pytest.raises(ConfigError, match=r"^teacher\.data_preprocessor\.mean: "):
        MODELS.build(dict(type=Student, teacher=teacher))
