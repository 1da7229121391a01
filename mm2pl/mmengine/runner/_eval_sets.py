"""Several validation or test sets in one loop."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mm2pl.errors import ConfigError, ConfigTypeError
from mm2pl.mmengine.evaluator import DumpResults, Evaluator
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.registry.errors import at_key
from mm2pl.translate.evaluators import one_for_each
from mm2pl.translate.values import is_plain

if TYPE_CHECKING:
    from mm2pl.runner import Runner


@dataclass
class EvalSet:
    """One of a loop's data sets.

    Attributes:
        name: What the names of its metrics begin with.
        dataloader: Its loader.
        evaluator: Its evaluator, or the one of all sets.
        evaluator_key: Where in the config that stands.
        metainfo: What evaluator and visualizer are told of the data.
    """

    name: str
    dataloader: Any
    evaluator: Evaluator
    evaluator_key: str
    metainfo: Any = None


def build_sets(
    runner: Runner, stage: str, dataloaders: Sequence[Any], evaluator: Any
) -> list[EvalSet]:
    """Build the loaders and evaluators of a list of dataloaders.

    Args:
        runner: Builds them.
        stage: ``val`` or ``test``.
        dataloaders: Loaders or configs of loaders, which may have a ``name``;
            ``dict(name=..., dataloader=...)`` names a built one.
        evaluator: One for all, or a list with one for each.

    Raises:
        ConfigError: Two sets have one name, or evaluators and sets are not as many.
    """
    key = f"{stage}_dataloader"
    given_names, loaders = [], []
    for index, given in enumerate(dataloaders):
        name, section = named(given)
        given_names.append(name)
        with at_key(f"{key}[{index}]", whole=True):
            loaders.append(build_loader(runner, section))
    with at_key(key, whole=True):
        names = _names(given_names, loaders)
    evaluators = _evaluators(runner, f"{stage}_evaluator", evaluator, len(loaders))
    parts = zip(names, loaders, evaluators, strict=True)
    return [EvalSet(name, loader, *found) for name, loader, found in parts]


def named(given: Any) -> tuple[str | None, Any]:
    """Return the name of a list's entry, and the loader or its config."""
    if not isinstance(given, Mapping):
        return None, given
    section = {key: value for key, value in given.items() if key != "name"}
    loader = section["dataloader"] if list(section) == ["dataloader"] else section
    return given.get("name"), loader


def build_loader(runner: Runner, section: Any) -> Any:
    """Return the loader of a config with the run's seed; a built one as it is."""
    if is_plain(section):
        raise ConfigTypeError(f"must be a dict or a DataLoader, got {section!r:.80}")
    return runner.build_dataloader(
        section, seed=runner.seed, diff_rank_seed=runner.randomness.get("diff_rank_seed", False)
    )


def _names(given: Sequence[str | None], loaders: Sequence[Any]) -> list[str]:
    """Return the given names; for those without one the dataset's own, or the place in the list."""
    if not given:
        raise ConfigError("the list has no dataloader")
    own = [_own_name(loader) for loader in loaders]
    differ = None not in own and len(set(own)) == len(own)
    names = [
        name or (str(own[index]) if differ else str(index)) for index, name in enumerate(given)
    ]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"two of the dataloaders are named {twice!r}", hint="name=... sets it")
    return names


def _own_name(loader: Any) -> Any:
    metainfo = getattr(getattr(loader, "dataset", None), "metainfo", None)
    return metainfo.get("dataset_name") if isinstance(metainfo, Mapping) else None


def _evaluators(runner: Runner, key: str, given: Any, count: int) -> list[tuple[Evaluator, str]]:
    """Return the evaluator of each set, and where it stands."""
    if one_for_each(given):
        built = []
        for index, one in enumerate(given):
            with at_key(f"{key}[{index}]", whole=True):
                built.append((runner.build_evaluator(one), f"{key}[{index}]"))
        with at_key(key, whole=True):
            if len(built) != count:
                raise ConfigError(f"{len(built)} evaluators for {count} dataloaders")
        return built
    with at_key(key, whole=True):
        shared = runner.build_evaluator(given)
        if count > 1 and any(isinstance(metric, DumpResults) for metric in shared.metrics):
            raise ConfigError(
                "DumpResults would write the predictions of each set over those of the one before",
                hint="give a list with an evaluator for each set, each a list of metrics",
            )
    return [(shared, key)] * count


def metainfo_of(dataloader: Any, readers: str) -> Any:
    """Return what a loader's dataset tells of itself; log that the readers get nothing, if so."""
    dataset: Any = getattr(dataloader, "dataset", None)
    if hasattr(dataset, "metainfo"):
        return dataset.metainfo
    print_log(
        f"Dataset {type(dataset).__name__} has no metainfo. ``dataset_meta`` in {readers} will be"
        " None.",
        logger="current",
        level=logging.WARNING,
    )
    return None
