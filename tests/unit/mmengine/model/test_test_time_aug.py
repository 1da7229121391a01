"""Test-time augmentation against MMEngine's."""

from __future__ import annotations

from typing import Any

import pytest
from torch import nn

from mm2pl.errors import ModelError
from mm2pl.mmengine.model import BaseTTAModel


class Merges(BaseTTAModel):
    def merge_preds(self, data_samples_list: list[tuple[Any, ...]]) -> list[Any]:
        return [max(each) for each in data_samples_list]


def test_augmentations_are_taken_apart_and_merged_alike(both: Any) -> None:
    both.assert_same("test_time_augmentation")


def test_model_without_test_step_is_refused() -> None:
    with pytest.raises(ModelError, match="Linear needs a `test_step`"):
        Merges(nn.Linear(1, 1))


@pytest.mark.proves("MODELS.BaseTTAModel.data_preprocessor")
def test_data_preprocessor_goes_into_the_config_of_the_model() -> None:
    cfg: dict[str, Any] = dict(type="BaseTTAModel")
    with pytest.raises(TypeError):
        Merges(cfg, data_preprocessor=dict(type="ImgDataPreprocessor"))
    assert cfg["data_preprocessor"] == dict(type="ImgDataPreprocessor")
