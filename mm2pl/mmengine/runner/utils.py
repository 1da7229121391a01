"""Seeds and validation intervals."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence

import numpy as np
import torch

from mm2pl.mmengine.dist import get_rank, sync_random_seed
from mm2pl.mmengine.logging import print_log

__all__ = ["calc_dynamic_intervals", "set_random_seed"]


def calc_dynamic_intervals(
    start_interval: int, dynamic_interval_list: Sequence[tuple[int, int]] | None = None
) -> tuple[list[int], list[int]]:
    """Return the milestones, from 0 on, and the validation interval that holds from each.

    Args:
        start_interval: The interval that holds from the start.
        dynamic_interval_list: ``(milestone, interval)`` pairs.
    """
    pairs = [(0, start_interval), *(dynamic_interval_list or ())]
    return [milestone for milestone, _ in pairs], [interval for _, interval in pairs]


def set_random_seed(
    seed: int | None = None, deterministic: bool = False, diff_rank_seed: bool = False
) -> int:
    """Seed Python, NumPy and torch, and return the seed.

    Args:
        seed: The seed; ``None`` draws one, the same on all ranks.
        deterministic: Ask torch and cuDNN for deterministic algorithms.
        diff_rank_seed: Add the rank to the seed.
    """
    if seed is None:
        seed = int(sync_random_seed())
    if diff_rank_seed:
        seed += get_rank()
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.cuda.manual_seed_all(seed)
    if deterministic:
        if torch.backends.cudnn.benchmark:
            print_log(
                "torch.backends.cudnn.benchmark is going to be set as `False` to cause cuDNN to"
                " deterministically select an algorithm",
                logger="current",
                level=logging.WARNING,
            )
        torch.backends.cudnn.deterministic = True
        torch.backends.cudnn.benchmark = False
        torch.use_deterministic_algorithms(True)
    return seed
