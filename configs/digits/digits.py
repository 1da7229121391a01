"""Dataset, transforms, model and metric for scikit-learn's digits, as one writes them for MMEngine.

The same file runs on MMEngine and on mm2pl; ``custom_imports`` in the configs beside it loads it.
"""

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.registry import DATASETS, METRICS, MODELS, TRANSFORMS
from mmengine.structures import BaseDataElement
from torch import nn


@DATASETS.register_module()
class Digits(BaseDataset):
    """1,797 real images, a fifth of each class held out; ``split_seed`` alone decides which."""

    METAINFO = dict(classes=tuple("0123456789"))

    def __init__(self, held_out=0.2, split_seed=0, **kwargs):
        self.held_out = held_out
        self.split_seed = split_seed
        super().__init__(**kwargs)

    def load_data_list(self):
        try:
            from sklearn.datasets import load_digits
        except ImportError as error:
            raise ImportError(
                "the digits come with scikit-learn: pip install 'mm2pl[digits]'"
            ) from error
        images, labels = load_digits(return_X_y=True)
        images = images.reshape(-1, 8, 8).astype(np.float32)
        rng = np.random.RandomState(self.split_seed)
        chosen = []
        for label in range(10):
            members = rng.permutation(np.flatnonzero(labels == label))
            split = round(len(members) * self.held_out)
            chosen.extend(members[:split] if self.test_mode else members[split:])
        return [dict(img=images[i], gt_label=int(labels[i])) for i in sorted(chosen)]


@TRANSFORMS.register_module()
class RandomShift:
    """Moves the image by up to ``max_shift`` pixels; what comes in from outside is empty."""

    def __init__(self, max_shift):
        self.max_shift = max_shift

    def __call__(self, results):
        n = self.max_shift
        down, right = np.random.randint(0, 2 * n + 1, size=2)
        height, width = results["img"].shape
        results["img"] = np.pad(results["img"], n)[down : down + height, right : right + width]
        return results


@TRANSFORMS.register_module()
class PackDigits:
    """Turns the image into a tensor of shape (1, 8, 8), the label into a data sample's."""

    def __call__(self, results):
        image = torch.from_numpy(np.ascontiguousarray(results["img"]))[None]
        sample = BaseDataElement(metainfo=dict(sample_idx=results["sample_idx"]))
        sample.gt_label = results["gt_label"]
        return dict(inputs=image, data_samples=sample)


@MODELS.register_module()
class DigitsNet(BaseModel):
    """Three convolutions, a pooling after the second, then the mean over the image."""

    def __init__(self, channels, num_classes, data_preprocessor=None, init_cfg=None):
        super().__init__(data_preprocessor, init_cfg)
        layers = []
        for before, after in zip((1, *channels), channels, strict=False):
            layers += [
                nn.Conv2d(before, after, 3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            ]
        layers.insert(6, nn.MaxPool2d(2))
        self.backbone = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = nn.Linear(channels[-1], num_classes)

    def forward(self, inputs, data_samples=None, mode="tensor"):
        scores = self.head(self.backbone(inputs))
        if mode == "loss":
            labels = torch.tensor([s.gt_label for s in data_samples], device=scores.device)
            accuracy = (scores.argmax(1) == labels).float().mean()
            return dict(loss=F.cross_entropy(scores, labels), accuracy=accuracy)
        if mode == "predict":
            for sample, label in zip(data_samples, scores.argmax(1).tolist(), strict=True):
                sample.pred_label = label
            return data_samples
        return scores


@METRICS.register_module()
class Accuracy(BaseMetric):
    """The share of images whose digit was recognised."""

    default_prefix = "digits"

    def process(self, data_batch, data_samples):
        for sample in data_samples:
            self.results.append(sample["pred_label"] == sample["gt_label"])

    def compute_metrics(self, results):
        return dict(accuracy=sum(results) / len(results))
