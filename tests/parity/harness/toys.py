"""Small models, datasets, transforms and metrics for the scenarios, written against mmengine."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel, BaseModule
from mmengine.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from mmengine.structures import BaseDataElement
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset

FEATURES, CLASSES = 6, 3


def sample(index: int) -> tuple[Tensor, int]:
    """Return features and label of one sample; noise is drawn from all three generators."""
    label = index % CLASSES
    generator = torch.Generator().manual_seed(index)
    features = torch.randn(FEATURES, generator=generator) + label
    noise = torch.randn(FEATURES) + float(np.random.rand()) + random.random()
    return features + 0.1 * noise, label


@DATASETS.register_module()
class ToyDataset(Dataset):  # type: ignore[type-arg]
    """Samples as ``dict``, ``tuple``, ``list``, or with a data element (``element``)."""

    metainfo = {"classes": ("a", "b", "c"), "version": 1}

    def __init__(self, size: int = 22, form: str = "dict") -> None:
        self.size = size
        self.form = form

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Any:
        inputs, label = sample(index)
        if self.form == "dict":
            return {"inputs": inputs, "data_samples": label}
        if self.form == "element":
            return {"inputs": inputs, "data_samples": BaseDataElement(gt_label=label)}
        return [inputs, label] if self.form == "list" else (inputs, label)


@DATASETS.register_module()
class NoMetaDataset(ToyDataset):
    """Has no ``metainfo``, which the loops mention in the log."""

    metainfo = property()  # type: ignore[assignment]  # hasattr() is false


@DATASETS.register_module()
class ListDataset(BaseDataset):
    """A BaseDataset whose annotations are made up."""

    METAINFO = {"classes": ("a", "b", "c")}

    def __init__(self, size: int = 22, start: int = 0, **kwargs: Any) -> None:
        self.size = size
        self.start = start
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        # Uneven classes, for ClassBalancedDataset: 0 is frequent, 2 is rare.
        indices = range(self.start, self.start + self.size)
        return [{"index": i, "label": 0 if i % 4 else i % 3} for i in indices]

    def get_cat_ids(self, idx: int) -> list[int]:
        return [self.get_data_info(idx)["label"]]


@TRANSFORMS.register_module()
class LoadSample:
    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        return {**results, "inputs": sample(results["index"])[0]}


@TRANSFORMS.register_module()
class MaybeFlip:
    """Flips with a probability; drops a sample now and then if ``drop`` is set."""

    def __init__(self, probability: float = 0.5, drop: float = 0.0) -> None:
        self.probability = probability
        self.drop = drop

    def __call__(self, results: dict[str, Any]) -> dict[str, Any] | None:
        if np.random.rand() < self.drop:
            return None  # BaseDataset then takes another sample
        if np.random.rand() < self.probability:
            results["inputs"] = results["inputs"].flip(0)
        return results


@TRANSFORMS.register_module()
class PackSample:
    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        info = {"sample_idx": results["sample_idx"]}
        element = BaseDataElement(gt_label=results["label"], metainfo=info)
        return {"inputs": results["inputs"], "data_samples": element}


PIPELINE: list[dict[str, Any]] = [
    {"type": "LoadSample"},
    {"type": "MaybeFlip", "probability": 0.4},
    {"type": "PackSample"},
]


def labels_of(data_samples: Any) -> Tensor:
    if isinstance(data_samples, Tensor):
        return data_samples
    items = [getattr(item, "gt_label", item) for item in data_samples]
    return torch.tensor([int(item) for item in items])


@MODELS.register_module()
class ToyModel(BaseModel):
    """Linear, batch norm, dropout, linear; everything that has state or draws at random."""

    def __init__(
        self, data_preprocessor: Any = None, init_cfg: Any = None, norm: str = "BatchNorm1d"
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.first = nn.Linear(FEATURES, 8)
        self.norm = getattr(nn, norm)(8)
        self.dropout = nn.Dropout(0.2)
        self.head = nn.Linear(8, CLASSES)

    def logits(self, inputs: Any) -> Tensor:
        if not isinstance(inputs, Tensor):
            inputs = torch.stack(list(inputs))
        scores: Tensor = self.head(self.dropout(F.relu(self.norm(self.first(inputs)))))
        return scores

    def losses(self, logits: Tensor, labels: Tensor) -> dict[str, Any]:
        return {"loss": F.cross_entropy(logits, labels)}

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        logits = self.logits(inputs)
        if mode == "loss":
            return self.losses(logits, labels_of(data_samples))
        if mode == "predict":
            return self.predict(logits, labels_of(data_samples))
        return logits

    def predict(self, logits: Tensor, labels: Tensor) -> list[BaseDataElement]:
        pairs = zip(logits, labels, strict=True)
        return [BaseDataElement(pred_score=score, gt_label=label) for score, label in pairs]


@MODELS.register_module()
class ManyLossesModel(ToyModel):
    """Losses as lists and under nested names, and values that are no losses."""

    def losses(self, logits: Tensor, labels: Tensor) -> dict[str, Any]:
        per_sample = F.cross_entropy(logits, labels, reduction="none")
        return {
            "head.loss_cls": per_sample,
            "aux.0.loss_list": [per_sample.mean() * 0.1, per_sample.max() * 0.01],
            "acc": (logits.argmax(1) == labels).float().mean(),
            "scores": [logits.mean().detach(), logits.max().detach()],
        }


@MODELS.register_module()
class ValLossModel(ToyModel):
    """Appends an element that only holds losses to its predictions, as the loops allow."""

    def predict(self, logits: Tensor, labels: Tensor) -> list[BaseDataElement]:
        loss = F.cross_entropy(logits, labels)
        losses = {"loss_cls": loss, "loss_parts": [loss / 2, loss / 3], "acc": loss * 0 + 0.25}
        return [*super().predict(logits, labels), BaseDataElement(loss=losses)]


@MODELS.register_module()
class InitModel(BaseModel):
    """Draws its weights by ``init_cfg`` rows, its own and those of a submodule."""

    def __init__(self, init_cfg: Any = None, block_cfg: Any = None, **kwargs: Any) -> None:
        super().__init__(init_cfg=init_cfg, **kwargs)
        self.block = InitBlock(block_cfg)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        logits = self.head(self.block(torch.stack(list(inputs))))
        if mode == "loss":
            return {"loss": F.cross_entropy(logits, labels_of(data_samples))}
        if mode == "predict":
            pairs = zip(logits, labels_of(data_samples), strict=True)
            return [BaseDataElement(pred_score=score, gt_label=label) for score, label in pairs]
        return logits


class InitBlock(BaseModule):
    def __init__(self, init_cfg: Any = None) -> None:
        super().__init__(init_cfg)
        self.conv = nn.Conv1d(1, 2, 3)
        self.norm = nn.BatchNorm1d(2)
        self.linear = nn.Linear(2 * (FEATURES - 2), 8)

    def forward(self, inputs: Tensor) -> Tensor:
        hidden = F.relu(self.norm(self.conv(inputs[:, None])))
        out: Tensor = self.linear(hidden.flatten(1))
        return out


@MODELS.register_module()
class TinyImageModel(BaseModel):
    """A convolution on images that ImgDataPreprocessor normalises, pads and stacks."""

    def __init__(self, data_preprocessor: Any = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.conv = nn.Conv2d(3, 4, 3)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, inputs: Tensor, data_samples: Any = None, mode: str = "tensor") -> Any:
        logits = self.head(self.conv(inputs).mean((2, 3)))
        if mode == "loss":
            return {"loss": F.cross_entropy(logits, labels_of(data_samples))}
        if mode == "predict":
            pairs = zip(logits, labels_of(data_samples), strict=True)
            return [BaseDataElement(pred_score=score, gt_label=label) for score, label in pairs]
        return logits


@DATASETS.register_module()
class ImageDataset(Dataset):  # type: ignore[type-arg]
    """Images of unequal sizes as uint8 tensors."""

    metainfo = {"classes": ("a", "b", "c")}

    def __len__(self) -> int:
        return 14

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(index)
        size = (3, 5 + index % 3, 6 + index % 2)
        image = torch.randint(0, 255, size, generator=generator, dtype=torch.uint8)
        element = BaseDataElement(gt_label=index % CLASSES, metainfo={"img_shape": size[1:]})
        return {"inputs": image, "data_samples": element}


@METRICS.register_module()
class ToyAccuracy(BaseMetric):
    default_prefix = "toy"

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        for item in data_samples:
            hit = int(item["pred_score"].argmax()) == int(item["gt_label"])
            self.results.append({"hit": hit})

    def compute_metrics(self, results: list[Any]) -> dict[str, float]:
        return {"accuracy": sum(item["hit"] for item in results) / len(results)}


@METRICS.register_module()
class ScoreMetric(BaseMetric):
    """No default prefix; gives a scalar, a tensor, an array and a list."""

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        self.results += [item["pred_score"] for item in data_samples]

    def compute_metrics(self, results: list[Any]) -> dict[str, Any]:
        scores = torch.stack(results)
        classes = (self.dataset_meta or {}).get("classes", ())
        return {
            "mean": scores.mean(),
            "spread": float(scores.std()),
            "per_class": scores.mean(0).numpy(),
            "number_of_classes": len(classes),
        }
