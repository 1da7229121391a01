"""Which of the samples that processes have gone through count."""

from __future__ import annotations

from collections.abc import Sequence


def kept_samples(seen: Sequence[int], size: int) -> list[int]:
    """Return how many samples of each process, its first ones, are the dataset's.

    As where MMEngine collects results: the processes' samples stand in turn, and what lies beyond
    the size of the dataset was added by a sampler.

    Args:
        seen: How many samples each process has gone through.
        size: Number of samples of the dataset.
    """
    if sum(seen) <= size:
        return list(seen)
    in_turn = sorted((place, rank) for rank, count in enumerate(seen) for place in range(count))
    ranks = [rank for _, rank in in_turn[:size]]
    return [ranks.count(rank) for rank in range(len(seen))]
