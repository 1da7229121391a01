"""A tiny model and data set for mmaction2's retrieval loops, whose own need a language model."""

from __future__ import annotations

from typing import Any

import torch
from mmaction.registry import DATASETS, MODELS
from mmaction.structures import ActionDataSample
from mmengine.dataset import BaseDataset
from mmengine.model import BaseModel
from torch import nn


@DATASETS.register_module()
class Pairs(BaseDataset):
    """Features of a clip and of a text that belong together."""

    num_videos = num_texts = 6

    def load_data_list(self) -> list[dict[str, Any]]:
        features = torch.rand(self.num_videos, 5, generator=torch.Generator().manual_seed(1))
        return [{"features": one, "number": number} for number, one in enumerate(features)]

    def prepare_data(self, idx: int) -> dict[str, Any]:
        item = self.get_data_info(idx)
        sample = ActionDataSample(metainfo={"number": item["number"]})
        return {"inputs": item["features"], "data_samples": sample}


@MODELS.register_module()
class TwoTowers(BaseModel):
    """Gives losses in training, features in the loop, and scores of all pairs at its end."""

    def __init__(self) -> None:
        super().__init__()
        self.video = nn.Linear(5, 4)
        self.text = nn.Sequential(nn.Linear(5, 4), nn.Dropout(0.2))

    def forward(self, inputs: list[torch.Tensor], data_samples: Any, mode: str) -> Any:
        features = {
            "video": self.video(torch.stack(inputs)),
            "text": self.text(torch.stack(inputs)),
        }
        if mode == "tensor":
            return features
        scores = features["video"] @ features["text"].T
        return {"loss": nn.functional.cross_entropy(scores, torch.arange(len(scores)))}

    def predict_all(
        self, features: dict[str, torch.Tensor], samples: list[Any], num_images: int, num_texts: int
    ) -> tuple[list[Any], list[Any]]:
        scores = features["video"] @ features["text"].T
        return self._samples(scores[:, :num_texts]), self._samples(scores.T[:, :num_images])

    def _samples(self, scores: torch.Tensor) -> list[Any]:
        found = []
        for number, row in enumerate(scores):
            found.append(ActionDataSample().set_pred_score(row).set_gt_label(number))
        return found
