"""How loops read their loaders."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader

from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.registry.errors import used_at
from mm2pl.mmengine.runner.base_loop import BaseLoop
from mm2pl.resume import random_states
from mm2pl.resume.opening import is_plain, is_stream
from mm2pl.resume.reading import Place, Reading, Resumed, draw_base_seed, tell_read_again
from mm2pl.resume.sigterm import sheltered

_SKIPS = (
    "The checkpoint holds no random states: the {} batches that it was trained on are skipped"
    " without being read. If reading them draws at random, resume=dict(exact=False) goes on as"
    " MMEngine would: it reads them."
)


class _InfiniteDataloaderIterator:
    """Reads a loader over and over, telling its sampler the round.

    Differs: MMEngine sleeps two seconds between rounds.

    Args:
        dataloader: The loader.
        late: Open it only at the first batch: the run is about to go to another place.

    Attributes:
        total: Batches given so far, those of a run that this one goes on with included.
        reading: Where it is in its data.
    """

    def __init__(self, dataloader: DataLoader[Any], late: bool = False) -> None:
        self._dataloader = dataloader
        self.reading = Reading()
        self._epoch = 0
        self.total = 0
        self._iterator: Iterator[Any] | None = None
        # It is opened here, not at the first batch, and draws the workers' base seed.
        self._before = random_states.take()
        if late and (is_plain(dataloader) or is_stream(dataloader)):
            draw_base_seed(dataloader)
        else:
            self._iterator = self.reading.batches(dataloader, self._next_round)

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self._iterator is None:
            self._open()
        try:
            batch = next(self._iterator)  # type: ignore[arg-type]
        except StopIteration:
            print_log(
                "Reach the end of the dataloader, it will be restarted and continue to iterate."
                " It is recommended to use `mmengine.dataset.InfiniteSampler` to enable the"
                " dataloader to iterate infinitely.",
                logger="current",
                level=logging.WARNING,
            )
            self._next_round()
            self._iterator = self.reading.batches(self._dataloader, self._next_round)
            batch = next(self._iterator)
        self.total += 1
        return batch

    def _next_round(self) -> None:
        self._epoch += 1
        set_sampler_epoch(self._dataloader, self._epoch)

    def _open(self) -> None:
        with random_states.kept():
            random_states.give(self._before)
            self._iterator = self.reading.batches(self._dataloader, self._next_round)

    def go_to(self, place: Place, total: int) -> None:
        """Go on at a place without reading what comes before, if nothing was read yet.

        Args:
            place: The place.
            total: How many batches come before it, over all rounds.
        """
        now = place.now
        if place.loader:
            self._iterator = None
        if self._iterator is not None:
            tell_read_again(self._dataloader, total - self.total)
            while self.total < total:
                next(self)
        else:
            self.reading.go_to(place, self._dataloader)
            if place.round:
                self._epoch = place.round
                set_sampler_epoch(self._dataloader, place.round)
            self._open()
            self.total = total
        if now is not None:
            random_states.give(now)

    def place(self) -> Place:
        """Return where it is."""
        place = self.reading.state(self._dataloader)
        place.round = self._epoch
        return place


class Resumable:
    """A training loop that can go on exactly where another run ended.

    Attributes:
        reading: Where a loop over epochs is in its data.
        resumed: What is to be taken up from a checkpoint.
        validating: Whether this is a validation that Lightning does not drive.
        approximated: Why runs that go on from this one cannot be exact, as far as it was said.
    """

    validation_due: Callable[[], bool]
    dataloader_iterator: Any
    _iter: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.reading = Reading()
        self.resumed: Resumed | None = None
        self.validating = False
        self.approximated: set[str] = set()

    def take_up(self) -> bool:
        """Go back to the random states of the run that this one goes on with.

        Returns:
            Whether that run was about to validate.
        """
        resumed, self.resumed = self.resumed, None
        if resumed is None or resumed.now is None:
            return False
        if resumed.put is not None:
            resumed.put()
        random_states.give(resumed.now)
        return resumed.pending and self.validation_due()

    def _skips_unread(self) -> bool:
        """Go past batches without reading them; say whether that can be done."""
        resumed, iterator = self.resumed, self.dataloader_iterator
        if resumed is None or not isinstance(iterator, _InfiniteDataloaderIterator):
            return False
        if resumed.now is None:
            print_log(_SKIPS.format(self._iter), logger="current")
        iterator.go_to(resumed.place or Place(given=self._iter), self._iter)
        return True


def batches(loop: BaseLoop, place: int | None = None) -> Iterator[Any]:
    """Read the loop's loader, or that of one of its sets; an error says whose it is."""
    try:
        reading: Reading | None = getattr(loop, "reading", None)
        if reading is not None:
            yield from reading.batches(loop.dataloader)
        else:
            loader: Any = loop.dataloader if place is None else loop.loader(place)  # type: ignore[attr-defined]
            yield from sheltered(loader)
    except Exception as error:
        used_at(error, f"{loop.stage}_dataloader")
        raise


def set_sampler_epoch(dataloader: Any, epoch: int) -> None:
    """Tell the loader's sampler, or else its batch sampler's, which round over the data it is."""
    for sampler in (
        getattr(dataloader, "sampler", None),
        getattr(getattr(dataloader, "batch_sampler", None), "sampler", None),
    ):
        if sampler is not None and hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch)
            return
