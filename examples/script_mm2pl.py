"""Trains on scikit-learn's digits with mm2pl; script_mmengine.py is the same on MMEngine."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import TensorDataset

from mm2pl.mmengine.evaluator import BaseMetric
from mm2pl.mmengine.model import BaseModel
from mm2pl.mmengine.runner import Runner


class Net(BaseModel):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))

    def forward(self, images, labels, mode="tensor"):
        scores = self.layers(images)
        if mode == "loss":
            return {"loss": F.cross_entropy(scores, labels)}
        return scores, labels


class Accuracy(BaseMetric):
    def process(self, data_batch, data_samples):
        scores, labels = data_samples
        self.results += (scores.argmax(1) == labels).tolist()

    def compute_metrics(self, results):
        return {"accuracy": sum(results) / len(results)}


def loader(images, labels, shuffle):
    return dict(
        batch_size=64,
        dataset=TensorDataset(images, labels),
        sampler=dict(type="DefaultSampler", shuffle=shuffle),
        collate_fn=dict(type="default_collate"),
    )


def main():
    images, labels = (torch.from_numpy(array) for array in load_digits(return_X_y=True))
    images = images.float() / 16
    runner = Runner(
        model=dict(type=Net),
        work_dir="work_dirs/script",
        train_dataloader=loader(images[:1400], labels[:1400], shuffle=True),
        train_cfg=dict(by_epoch=True, max_epochs=20),
        optim_wrapper=dict(optimizer=dict(type="AdamW", lr=5e-3)),
        param_scheduler=dict(type="MultiStepLR", milestones=[15]),
        val_dataloader=loader(images[1400:], labels[1400:], shuffle=False),
        val_cfg=dict(),
        val_evaluator=dict(type=Accuracy),
        randomness=dict(seed=0),
    )
    runner.train()
    print(runner.val())


if __name__ == "__main__":
    main()
