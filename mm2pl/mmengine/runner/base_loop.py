"""What all loops have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader

from mm2pl.errors import UnsupportedError
from mm2pl.mmengine.registry.errors import at_key

if TYPE_CHECKING:
    from mm2pl.runner import Runner

__all__ = ["BaseLoop"]


class BaseLoop:
    """Holds the data and the counters of a loop; Lightning's Trainer does the looping.

    Attributes:
        stage: ``train``, ``val`` or ``test``: begins the keys of the config that are the loop's.

    Args:
        runner: The runner that owns the loop.
        dataloader: A built loader, or the config of one.
    """

    stage = "train"

    def __init__(self, runner: Runner, dataloader: DataLoader[Any] | dict[str, Any]) -> None:
        self._runner = runner
        self.dataloader: Any
        if isinstance(dataloader, dict):
            with at_key(f"{self.stage}_dataloader", whole=True):
                self.dataloader = runner.build_dataloader(
                    dataloader,
                    seed=runner.seed,
                    diff_rank_seed=runner.randomness.get("diff_rank_seed", False),
                )
        else:
            self.dataloader = dataloader

    @property
    def runner(self) -> Any:
        return self._runner

    def run(self) -> Any:
        """Refuse: Differs from MMEngine, where a loop drives itself."""
        raise UnsupportedError(
            f"{type(self).__name__}.run() cannot be called: Lightning's Trainer drives the loop",
            hint="call runner.train(), runner.val() or runner.test()",
        )
