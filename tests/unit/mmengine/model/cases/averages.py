"""Weight averages, and SyncBatchNorm to and fro."""

from __future__ import annotations

import torch
from common import M, digest, outcome, state
from torch import nn


def case_averages():
    kinds = {
        "swa": (M.StochasticWeightAverage, {}),
        "swa_interval": (M.StochasticWeightAverage, dict(interval=3)),
        "ema": (M.ExponentialMovingAverage, dict(momentum=0.1)),
        "ema_buffers": (M.ExponentialMovingAverage, dict(momentum=0.1, update_buffers=True)),
        "ema_interval": (M.ExponentialMovingAverage, dict(momentum=0.3, interval=2)),
        "annealing": (M.MomentumAnnealingEMA, dict(momentum=0.01, gamma=3)),
        "annealing_buffers": (M.MomentumAnnealingEMA, dict(gamma=3, update_buffers=True)),
        "large_momentum": (M.ExponentialMovingAverage, dict(momentum=0.9)),
        "momentum_0": (M.ExponentialMovingAverage, dict(momentum=0)),
        "momentum_1": (M.ExponentialMovingAverage, dict(momentum=1.0)),
        "gamma_0": (M.MomentumAnnealingEMA, dict(gamma=0)),
        "unknown": (M.MomentumAnnealingEMA, dict(gama=0)),
    }

    def run(kind, kwargs):
        torch.manual_seed(7)
        model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        average = kind(model, **kwargs)
        states = []
        for _ in range(7):
            with torch.no_grad():
                for param in model.parameters():
                    param.add_(torch.randn_like(param))
            model(torch.randn(4, 2))
            average.update_parameters(model)
            states.append(state(average))
        frozen = not any(param.requires_grad for param in average.parameters())
        return [states, average(torch.ones(2, 2)), frozen]

    return {
        name: outcome(lambda k=kind, a=kwargs: run(k, a)) for name, (kind, kwargs) in kinds.items()
    }


def case_sync_batchnorm():
    def net():
        return nn.Sequential(
            nn.BatchNorm2d(2, eps=0.1, momentum=0.3),
            nn.Sequential(nn.BatchNorm1d(3, affine=False)),
            nn.BatchNorm3d(1, track_running_stats=False),
            nn.GroupNorm(1, 1),
        ).eval()

    torch.manual_seed(8)
    converted = M.convert_sync_batchnorm(net())
    training = [each.training for each in converted.modules()]
    reverted = M.revert_sync_batchnorm(converted)
    rank_5 = M.revert_sync_batchnorm(nn.SyncBatchNorm(2))(torch.randn(2, 2, 1, 2, 1))
    return [
        repr(converted),
        training,
        repr(reverted),
        [each.training for each in reverted.modules()],
        state(reverted),
        digest(rank_5),
        outcome(lambda: M.convert_sync_batchnorm(net(), "apex")),
    ]
