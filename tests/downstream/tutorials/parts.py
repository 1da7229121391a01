"""The registered parts of registry_config.py."""

from __future__ import annotations

import torch
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel, BaseModule
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS, TRANSFORMS, Registry
from torch import nn

ACTIVATIONS = Registry("own activation", scope="parts")


@ACTIVATIONS.register_module()
class Swish(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x)


@TRANSFORMS.register_module()
class Noise:
    def __init__(self, scale):
        self.scale = scale

    def __call__(self, results):
        results["point"] = results["point"] + self.scale * torch.randn(6)
        return results


@TRANSFORMS.register_module()
class PackAsTensor:
    def __call__(self, results):
        return dict(inputs=results["point"], label=results["label"])


@DATASETS.register_module()
class Clouds(BaseDataset):
    METAINFO = dict(classes=("a", "b", "c", "d"))

    def __init__(self, size, start=0, **kwargs):
        self.size, self.start = size, start
        super().__init__(**kwargs)

    def load_data_list(self):
        generator = torch.Generator().manual_seed(self.start)
        points = torch.randn(self.size, 6, generator=generator)
        return [
            dict(point=point + index % 4, label=index % 4) for index, point in enumerate(points)
        ]


@MODELS.register_module()
class TinyNet(BaseModule):
    def __init__(self, width, activation, init_cfg=None):
        super().__init__(init_cfg or dict(type="Xavier", layer="Linear"))
        self.layers = nn.Sequential(
            nn.Linear(6, width), nn.BatchNorm1d(width), ACTIVATIONS.build(activation)
        )
        self.width = width

    def forward(self, x):
        return self.layers(x)


@MODELS.register_module()
class Classifier(BaseModel):
    def __init__(self, backbone, num_classes, data_preprocessor=None, init_cfg=None):
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        self.head = nn.Linear(self.backbone.width, num_classes)

    def forward(self, inputs, label=None, mode="tensor"):
        scores = self.head(self.backbone(inputs))
        if mode == "loss":
            loss = nn.functional.cross_entropy(scores, label)
            return dict(loss_cls=loss, loss_norm=1e-3 * scores.square().mean())
        if mode == "predict":
            pairs = zip(scores, label, strict=True)
            return [dict(scores=score, label=one) for score, one in pairs]
        return scores


@METRICS.register_module()
class Accuracy(BaseMetric):
    def __init__(self, topk=1, collect_device="cpu", prefix=None):
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.topk = topk

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            best = sample["scores"].topk(self.topk).indices
            self.results.append(bool((best == sample["label"]).any()))

    def compute_metrics(self, results):
        return dict(accuracy=sum(results) / len(results))


@HOOKS.register_module()
class CheckInvalidLoss(Hook):
    def __init__(self, interval=50):
        self.interval = interval

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.every_n_train_iters(runner, self.interval):
            assert torch.isfinite(outputs["loss"]), runner.logger.info(
                "loss become infinite or NaN!"
            )
