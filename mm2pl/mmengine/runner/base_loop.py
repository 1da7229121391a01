"""What all loops have in common."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from torch.utils.data import DataLoader

from mm2pl.mmengine.registry.errors import at_key

if TYPE_CHECKING:
    from mm2pl.runner import Runner

__all__ = ["BaseLoop"]


class BaseLoop(metaclass=ABCMeta):
    """What holds the data of a run over them; a subclass of one's own drives itself by ``run``.

    Attributes:
        stage: ``train``, ``val`` or ``test``, which begins the keys of the config that are the
            loop's; empty for a loop of one's own.

    Args:
        runner: The runner that owns the loop.
        dataloader: A built loader, or the config of one.
    """

    stage = ""

    def __init__(self, runner: Runner, dataloader: DataLoader[Any] | dict[str, Any]) -> None:
        self._runner = runner
        self.dataloader: Any
        if isinstance(dataloader, dict):
            with at_key(f"{self.stage}_dataloader", whole=True) if self.stage else nullcontext():
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

    @abstractmethod
    def run(self) -> Any:
        """Run to the end."""
