"""A user's first program: a ResNet of torchvision on CIFAR-10, all parts given as objects."""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F
import torchvision
import torchvision.transforms as transforms
from mmengine.evaluator import BaseMetric
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.optim import SGD
from torch.utils.data import DataLoader


class ResNetClassifier(BaseModel):
    def __init__(self):
        super().__init__()
        self.resnet = torchvision.models.resnet50(num_classes=10)

    def forward(self, imgs, labels, mode):
        x = self.resnet(imgs)
        if mode == "loss":
            return {"loss": F.cross_entropy(x, labels)}
        if mode == "predict":
            return x, labels
        return x


class Accuracy(BaseMetric):
    def process(self, data_batch, data_samples):
        score, gt = data_samples
        self.results.append(
            {"batch_size": len(gt), "correct": (score.argmax(dim=1) == gt).sum().cpu()}
        )

    def compute_metrics(self, results):
        correct = sum(item["correct"] for item in results)
        total = sum(item["batch_size"] for item in results)
        return dict(accuracy=100 * correct / total)


def loaders():
    norm = dict(mean=[0.491, 0.482, 0.447], std=[0.202, 0.199, 0.201])
    train = [
        transforms.RandomCrop(32, padding=4),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize(**norm),
    ]
    plain = [transforms.ToTensor(), transforms.Normalize(**norm)]
    train_set = torchvision.datasets.CIFAR10(
        "data/cifar10", train=True, download=True, transform=transforms.Compose(train)
    )
    valid_set = torchvision.datasets.CIFAR10(
        "data/cifar10", train=False, download=True, transform=transforms.Compose(plain)
    )
    return (
        DataLoader(batch_size=16, shuffle=True, dataset=train_set),
        DataLoader(batch_size=16, shuffle=False, dataset=valid_set),
    )


parser = argparse.ArgumentParser()
parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
args = parser.parse_args()

train_dataloader, val_dataloader = loaders()
runner = Runner(
    model=ResNetClassifier(),
    work_dir="./work_dir",
    train_dataloader=train_dataloader,
    optim_wrapper=dict(optimizer=dict(type=SGD, lr=0.001, momentum=0.9)),
    train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=1),
    val_dataloader=val_dataloader,
    val_cfg=dict(),
    val_evaluator=dict(type=Accuracy),
    launcher=args.launcher,
)
runner.train()

# What the tutorial goes on to: resume from the newest checkpoint, accumulate gradients, schedule.
resumed = Runner(
    model=ResNetClassifier(),
    work_dir="./work_dir",
    train_dataloader=train_dataloader,
    optim_wrapper=dict(
        type="OptimWrapper", accumulative_counts=2, optimizer=dict(type=SGD, lr=0.001)
    ),
    param_scheduler=dict(type="MultiStepLR", milestones=[2], gamma=0.1),
    train_cfg=dict(by_epoch=True, max_epochs=3, val_interval=1),
    val_dataloader=val_dataloader,
    val_cfg=dict(),
    val_evaluator=dict(type=Accuracy),
    resume=True,
    experiment_name="resumed",
)
resumed.train()
metrics = resumed.val()
assert isinstance(resumed.model, torch.nn.Module)
