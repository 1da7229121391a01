"""Builds MMEngine's dataloaders and hands them to Lightning so late that nothing is drawn early."""

from __future__ import annotations

import copy
from collections.abc import Callable, Generator, Iterator, Mapping, Sized
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

import lightning.pytorch as pl
from torch.utils.data import DataLoader

from mm2pl import _lightning
from mm2pl.driving import Driver, driver_of
from mm2pl.errors import ConfigError, ConfigTypeError, DataError
from mm2pl.limits import FirstBatches
from mm2pl.mmengine.dataset import worker_init_fn as default_worker_init_fn
from mm2pl.mmengine.dist import get_rank, get_world_size
from mm2pl.mmengine.registry import DATA_SAMPLERS, DATASETS, FUNCTIONS
from mm2pl.mmengine.registry._unknown import unknown_type
from mm2pl.mmengine.registry.build_functions import refused_arguments
from mm2pl.mmengine.registry.errors import at_key
from mm2pl.mmengine.runner._reading import batches

if TYPE_CHECKING:
    from mm2pl.runner import Runner


def build_dataloader(
    dataloader: DataLoader[Any] | Mapping[str, Any],
    seed: int | None = None,
    diff_rank_seed: bool = False,
) -> DataLoader[Any]:
    """Build dataset, sampler, batch sampler and loader from a config.

    Args:
        dataloader: The config; a built loader is returned as it is.
        seed: Seed for the sampler and the workers.
        diff_rank_seed: Leave the sampler's seed to the ranks' agreement.

    Raises:
        ConfigError: A key is missing or has the wrong type.
        DataError: The dataset is empty.
    """
    if not isinstance(dataloader, Mapping):
        return dataloader
    cfg = copy.deepcopy(dict(dataloader))
    if "dataset" not in cfg:
        raise ConfigError("the dataloader has no 'dataset'", hint="add dataset=dict(type=...)")
    with at_key("dataset"):
        dataset = _build_dataset(cfg.pop("dataset"))
        _refuse_empty(dataset)
    per_epoch = cfg.pop("num_batch_per_epoch", None)
    if per_epoch is not None:
        dataset = SlicedDataset(dataset, per_epoch * _batch_size(cfg) * get_world_size())
    sampler = cfg.pop("sampler", None)  # without one the samples come in order
    if isinstance(sampler, dict):
        with at_key("sampler"):
            sampler = DATA_SAMPLERS.build(
                sampler,
                default_args={"dataset": dataset, "seed": None if diff_rank_seed else seed},
            )
    batch_sampler = cfg.pop("batch_sampler", None)
    if isinstance(batch_sampler, dict):
        with at_key("batch_sampler"):
            batch_sampler = DATA_SAMPLERS.build(
                batch_sampler,
                default_args={"sampler": sampler, "batch_size": cfg.pop("batch_size")},
            )
    arguments = {
        "dataset": dataset,
        "sampler": sampler if batch_sampler is None else None,
        "batch_sampler": batch_sampler,
        "collate_fn": _collate_fn(cfg.pop("collate_fn", {"type": "pseudo_collate"})),
        "worker_init_fn": _worker_init_fn(cfg, seed),
        **cfg,
    }
    try:
        loader: DataLoader[Any] = DataLoader(**arguments)
    except TypeError as error:
        raise refused_arguments(error, DataLoader, arguments) or error from None
    _refuse_no_batch(loader)
    return loader


def _build_dataset(cfg: Any) -> Any:
    if not isinstance(cfg, dict):
        return cfg
    dataset = DATASETS.build(cfg)
    if hasattr(dataset, "full_init"):
        dataset.full_init()
    return dataset


def _refuse_empty(dataset: Any) -> None:
    if hasattr(dataset, "__len__") and len(dataset) == 0:
        raise DataError(
            f"{type(dataset).__name__} has no samples",
            hint="check data_root, ann_file, data_prefix and filter_cfg",
        )


def _refuse_no_batch(loader: DataLoader[Any]) -> None:
    """Differs: MMEngine trains on nothing, without a word, where all samples are dropped."""
    sampler = loader.sampler
    if loader.drop_last and isinstance(sampler, Sized) and len(sampler) and not len(loader):
        raise DataError(
            f"{len(sampler)} samples make no batch of {loader.batch_size} with drop_last=True",
            key_path="drop_last",
            hint="take a smaller batch_size, or drop_last=False",
        )


def _batch_size(cfg: Mapping[str, Any]) -> int:
    for section in (cfg, cfg.get("batch_sampler") or {}):
        if "batch_size" in section:
            return int(section["batch_size"])
    raise ConfigError("num_batch_per_epoch needs a batch_size in the loader or its batch_sampler")


def _collate_fn(cfg: Any) -> Callable[..., Any]:
    if isinstance(cfg, dict):
        kind = cfg.pop("type")
        return partial(_function(kind, "collate_fn"), **cfg)
    if callable(cfg):
        return cfg  # type: ignore[no-any-return]
    raise ConfigTypeError(
        f"collate_fn must be a dict or a callable, got {cfg!r}",
        key_path="collate_fn",
        hint="name a function as collate_fn=dict(type='pseudo_collate')",
    )


def _function(kind: Any, key: str) -> Callable[..., Any]:
    """Return the function that a ``type`` names."""
    with at_key(key):
        function = FUNCTIONS.get(kind) if isinstance(kind, str) else kind
        if function is None:
            raise unknown_type(kind, FUNCTIONS)
        if not callable(function):
            raise ConfigTypeError(f"type must be a callable, got {kind!r}")
    return function  # type: ignore[no-any-return]


def _worker_init_fn(cfg: dict[str, Any], seed: int | None) -> Callable[..., Any] | None:
    """Take the worker's init function out of the loader's config."""
    if "worker_init_fn" in cfg:
        given = cfg.pop("worker_init_fn")
        kind = given.pop("type")
        return partial(_function(kind, "worker_init_fn"), **given)
    if seed is None:
        return None
    return partial(
        default_worker_init_fn,
        num_workers=cfg.get("num_workers", 0),
        rank=get_rank(),
        seed=seed,
        disable_subprocess_warning=cfg.pop("disable_subprocess_warning", False),
    )


class SlicedDataset:
    """A dataset's first samples; everything else is the dataset's.

    Args:
        dataset: The whole dataset.
        length: How many samples an epoch has.
    """

    def __init__(self, dataset: Any, length: int) -> None:
        self._dataset = dataset
        self._length = length

    def __getattr__(self, name: str) -> Any:
        if name == "_dataset":  # while unpickling, in a spawned worker
            raise AttributeError(name)
        return getattr(self._dataset, name)

    def __getitem__(self, index: int) -> Any:
        return self._dataset[index]

    def __len__(self) -> int:
        return self._length


class LateLoader:
    """Opens a loop's loader at the first batch, not when Lightning asks for an iterator.

    Lightning calls ``iter(loader)`` before the hooks that MMEngine runs first, and it would draw
    the workers' base seed and start the workers by it. The loop, too, is asked for each time,
    because hooks replace it and its loader.

    Args:
        find_loop: Returns the loop; one that drives itself has a single "batch", its whole run.
        place: Which of the loop's loaders, if it has several sets.
    """

    def __init__(self, find_loop: Callable[[], Any], place: int | None = None) -> None:
        self._find_loop = find_loop
        self._place = place
        self._open: Generator[Any, None, None] | None = None

    def __len__(self) -> int:
        loop = self._find_loop()
        if loop is None:
            return 0
        if driver_of(loop) is Driver.ITSELF:
            return 1
        # Nor would Lightning go through a validation without data, or with data on some ranks only.
        loader = loop.dataloader if self._place is None else loop.loader(self._place)
        length = len(loader) if _length_is_certain(loader) else 0
        if length and hasattr(loop, "reading"):
            length -= loop.reading.skipped
        return max(0, length) or _lightning.UNKNOWN

    def __iter__(self) -> Iterator[Any]:
        self._open = self._batches()
        return self._open

    def _batches(self) -> Generator[Any, None, None]:
        loop = self._find_loop()
        yield from [loop] if driver_of(loop) is Driver.ITSELF else batches(loop, self._place)

    def finish(self) -> None:
        """Read the end of the data as a ``for`` loop does, which also lets the workers go."""
        if self._open is not None:
            next(self._open, None)
            self.abandon()  # there may be more than the loader said

    def abandon(self) -> None:
        """Let the workers go without reading on."""
        if self._open is not None:
            self._open.close()
            self._open = None


def _length_is_certain(loader: Any) -> bool:
    """Whether a loader yields as many batches as it says.

    Samplers of one's own may say one length and yield another (those that sort by shape into
    buckets do), and MMEngine just reads on to the end.
    """
    makers = (getattr(loader, "batch_sampler", None), getattr(loader, "sampler", None))
    own = ("torch.", "mm2pl.", "mmengine.")
    whole = [one.whole if isinstance(one, FirstBatches) else one for one in makers]
    return all(type(maker).__module__.startswith(own) for maker in whole)


class IterationLoader:
    """The batches that an iteration-based loop still has to run, as one Lightning epoch.

    Its length follows the loop's counter and end, which hooks may change in mid run.
    """

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self._given = 0

    def __len__(self) -> int:
        to_go: int = self._loop._max_iters - self._loop._iter
        return self._given + max(0, to_go)

    def __iter__(self) -> Iterator[Any]:
        # A generator: nothing is read before the first step.
        self._given = 0
        while not self._loop.finished:
            batch = self._next_batch()
            self._given += 1
            yield batch

    @_lightning.no_end_of_data
    def _next_batch(self) -> Any:
        return self._loop.next_batch()

    def finish(self) -> None:
        """Nothing to let go: the loop owns the iterator."""

    abandon = finish


class RunnerDataModule(pl.LightningDataModule):
    """The runner's loaders as a DataModule.

    Args:
        runner: The runner whose loops hold the loaders.
    """

    def __init__(self, runner: Runner) -> None:
        super().__init__()
        self._runner = runner
        self._late: dict[str, list[LateLoader | IterationLoader]] = {}

    def train_dataloader(self) -> LateLoader | IterationLoader:
        loop = self._runner.train_loop
        if driver_of(loop) is Driver.ITSELF or loop.by_epoch:
            late: LateLoader | IterationLoader = LateLoader(lambda: loop)
        else:
            late = IterationLoader(loop)
        self._late["train"] = [late]
        return late

    def val_dataloader(self) -> LateLoader | list[LateLoader]:
        return self._eval_loader("val")

    def test_dataloader(self) -> LateLoader | list[LateLoader]:
        return self._eval_loader("test")

    def _eval_loader(self, stage: str) -> LateLoader | list[LateLoader]:
        """Return the stage's loader, or a list of them if its loop has several sets."""
        runner = self._runner
        loop = runner.eval_loop(stage)
        count = len(getattr(loop, "sets", ()))
        several = count and driver_of(loop) is not Driver.ITSELF
        places: list[int | None] = [*range(count)] if several else [None]
        late = [LateLoader(lambda: runner.eval_loop(stage), place) for place in places]
        self._late[stage] = [*late]
        return late if several else late[0]

    def finish(self, stage: str, early: bool = False, place: int | None = None) -> None:
        """Close the stage's open iterators at the end of an epoch.

        Args:
            stage: ``train``, ``val`` or ``test``.
            early: There is more data.
            place: Close only that of one of several sets.
        """
        loaders = self._late.get(stage, [])
        for late in loaders if place is None else [loaders[place]]:
            late.abandon() if early else late.finish()

    def on_exception(self, exception: BaseException) -> None:
        """End the workers of a run that failed; the runner would keep them alive."""
        for late in chain.from_iterable(self._late.values()):
            late.abandon()
