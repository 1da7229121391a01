"""Batches, collation, samplers, dataset wrappers and workers."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from case import Case, eval_loader, loader
from mmengine.model import BaseModel
from mmengine.registry import DATA_SAMPLERS, FUNCTIONS, MODELS
from torch import nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler
from toys import PIPELINE, labels_of

LIST_DATASET = {"type": "ListDataset", "size": 18, "pipeline": PIPELINE}
SHORT = {"by_epoch": True, "max_epochs": 2}


def _forms(case: Case, form: str, collate: str | None = None) -> None:
    options: dict[str, Any] = {"form": form}
    if collate:
        options["collate_fn"] = {"type": collate}
    case.train(
        train_dataloader=loader(**options), val_dataloader=eval_loader(**options), train_cfg=SHORT
    )


def dict_batches(case: Case) -> None:
    _forms(case, "dict")


def tuple_batches(case: Case) -> None:
    _forms(case, "tuple")


def list_batches(case: Case) -> None:
    _forms(case, "list")


def data_elements(case: Case) -> None:
    _forms(case, "element")


def default_collate_of_dicts(case: Case) -> None:
    _forms(case, "dict", "default_collate")


def default_collate_of_tuples(case: Case) -> None:
    _forms(case, "tuple", "default_collate")


@MODELS.register_module()
class SampleListModel(BaseModel):
    """Takes the batch as a plain list of samples, by overriding the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, torch.Tensor]:
        with optim_wrapper.optim_context(self):
            logits = self.head(torch.stack([item["inputs"] for item in data]))
            labels = labels_of([item["data_samples"] for item in data])
        loss, log_vars = self.parse_losses({"loss": F.cross_entropy(logits, labels)})
        optim_wrapper.update_params(loss)
        return log_vars

    def val_step(self, data: Any) -> list[dict[str, Any]]:
        logits = self.head(torch.stack([item["inputs"] for item in data]))
        labels = [item["data_samples"] for item in data]
        pairs = zip(logits, labels, strict=True)
        return [{"pred_score": score, "gt_label": label} for score, label in pairs]

    def forward(self, inputs: Any, data_samples: Any = None, mode: str = "tensor") -> Any:
        raise NotImplementedError


@FUNCTIONS.register_module()
def _keep_samples(batch: list[Any], copies: int = 1) -> list[Any]:
    return batch * copies


def uncollated_samples_and_own_steps(case: Case) -> None:
    collate = {"type": "_keep_samples", "copies": 2}
    case.train(
        model={"type": "SampleListModel"},
        train_dataloader=loader(collate_fn=collate),
        val_dataloader=eval_loader(collate_fn=collate),
        train_cfg=SHORT,
    )


@DATA_SAMPLERS.register_module()
class EvenFirstBatchSampler(BatchSampler):
    """Groups even and odd indices; what it is built with is what MMEngine passes."""

    def __init__(self, sampler: Any, batch_size: int, drop_last: bool = False) -> None:
        super().__init__(sampler, batch_size, drop_last)

    def __iter__(self) -> Any:
        indices = sorted(self.sampler, key=lambda index: index % 2)
        for start in range(0, len(indices), self.batch_size):
            yield indices[start : start + self.batch_size]


def batch_sampler(case: Case) -> None:
    case.train(
        train_dataloader=loader(batch_sampler={"type": "EvenFirstBatchSampler"}), train_cfg=SHORT
    )


def base_dataset(case: Case) -> None:
    case.train(train_dataloader=loader(of=LIST_DATASET), train_cfg=SHORT)


def base_dataset_that_drops_samples(case: Case) -> None:
    pipeline = [PIPELINE[0], {"type": "MaybeFlip", "drop": 0.3}, PIPELINE[2]]
    dataset = {**LIST_DATASET, "pipeline": pipeline, "indices": 15, "lazy_init": True}
    case.train(train_dataloader=loader(of=dataset), train_cfg=SHORT)


def concat_dataset(case: Case) -> None:
    parts = [LIST_DATASET, {**LIST_DATASET, "start": 40, "size": 8}]
    dataset = {"type": "ConcatDataset", "datasets": parts}
    case.train(train_dataloader=loader(of=dataset), train_cfg=SHORT)


def repeat_dataset(case: Case) -> None:
    dataset = {"type": "RepeatDataset", "times": 2, "dataset": {**LIST_DATASET, "size": 9}}
    case.train(train_dataloader=loader(of=dataset), train_cfg=SHORT)


def class_balanced_dataset(case: Case) -> None:
    dataset = {"type": "ClassBalancedDataset", "oversample_thr": 0.5, "dataset": LIST_DATASET}
    case.train(train_dataloader=loader(of=dataset), train_cfg=SHORT)


def num_batch_per_epoch(case: Case) -> None:
    case.train(train_dataloader=loader(num_batch_per_epoch=3), train_cfg=SHORT)


def dataset_without_metainfo(case: Case) -> None:
    plain = "NoMetaDataset"
    case.train(train_dataloader=loader(plain), val_dataloader=eval_loader(plain), train_cfg=SHORT)


def sampler_that_does_not_round_up(case: Case) -> None:
    sampler = {"type": "DefaultSampler", "shuffle": True, "seed": 3, "round_up": False}
    case.train(train_dataloader=loader(sampler=sampler), train_cfg=SHORT)


@FUNCTIONS.register_module()
def _seed_by_worker(worker_id: int, base: int = 0) -> None:
    np.random.seed(base + worker_id)
    torch.manual_seed(base + worker_id)


def workers(case: Case) -> None:
    case.train(train_dataloader=loader(num_workers=2), val_dataloader=eval_loader(num_workers=1))


def persistent_workers(case: Case) -> None:
    options = {"num_workers": 2, "persistent_workers": True}
    case.train(train_dataloader=loader(**options), val_dataloader=eval_loader(**options))


def worker_init_fn(case: Case) -> None:
    init = {"type": "_seed_by_worker", "base": 100}
    case.train(train_dataloader=loader(num_workers=2, worker_init_fn=init), train_cfg=SHORT)


def image_preprocessor(case: Case) -> None:
    preprocessor = {
        "type": "ImgDataPreprocessor",
        "mean": [123.675, 116.28, 103.53],
        "std": [58.395, 57.12, 57.375],
        "pad_size_divisor": 4,
        "pad_value": 1,
        "bgr_to_rgb": True,
    }
    images = {"of": {"type": "ImageDataset"}}
    case.train(
        model={"type": "TinyImageModel", "data_preprocessor": preprocessor},
        train_dataloader=loader(**images),
        val_dataloader=eval_loader(**images),
        train_cfg=SHORT,
    )


def preprocessor_beside_the_model(case: Case) -> None:
    preprocessor = {"type": "BaseDataPreprocessor", "non_blocking": True}
    case.train(data_preprocessor=preprocessor, train_cfg=SHORT)
