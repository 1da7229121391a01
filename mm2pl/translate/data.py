"""The dataloaders' sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.plan import Status
from mm2pl.translate.classes import read_typed
from mm2pl.translate.report import Report, Rule, brief, one_of, raw_items, whole_number
from mm2pl.translate.values import check_loader, want_dict

_TORCH = "torch.utils.data.DataLoader's argument"
LOADER_RULES = (
    Rule("dataset", Status.BY_CLASS, "built by the DATASETS registry"),
    Rule("sampler", Status.AS_IS, "built by the DATA_SAMPLERS registry"),
    Rule("batch_sampler", Status.AS_IS, "built by the DATA_SAMPLERS registry"),
    Rule("collate_fn", Status.AS_IS, "a function from the FUNCTIONS registry"),
    Rule("worker_init_fn", Status.AS_IS, "a function from the FUNCTIONS registry"),
    Rule(
        "num_batch_per_epoch",
        Status.AS_IS,
        "the dataset is cut to that many batches",
        one_of(int),
    ),
    Rule("disable_subprocess_warning", Status.AS_IS, "workers but the first do not warn"),
    Rule("batch_size", Status.AS_IS, _TORCH, whole_number(1)),
    Rule("num_workers", Status.AS_IS, _TORCH, whole_number(0)),
    *(
        Rule(key, Status.AS_IS, _TORCH)
        for key in (
            "persistent_workers",
            "drop_last",
            "pin_memory",
            "prefetch_factor",
            "timeout",
            "multiprocessing_context",
            "generator",
            "pin_memory_device",
            "shuffle",
            "in_order",
        )
    ),
)
# Which registry builds a part of a loader.
_PARTS = {
    "sampler": "DATA_SAMPLERS",
    "batch_sampler": "DATA_SAMPLERS",
    "collate_fn": "FUNCTIONS",
    "worker_init_fn": "FUNCTIONS",
}


def read_dataloader(section: Any, path: str, report: Report) -> Any:
    """Read a loader's section, or a list of them, by its rules and return it."""
    if isinstance(section, (list, tuple)):
        for index, one in enumerate(section):
            _read_one_of_several(one, f"{path}[{index}]", report)
        return section
    report.read(section, LOADER_RULES, path)
    if isinstance(section, Mapping):
        given = dict(raw_items(section))
        if "dataset" not in given:
            hint = "add dataset=dict(type=...)"
            report.later("the dataloader has no 'dataset'", path, hint)
        for key, registry in _PARTS.items():
            read_typed(given.get(key), registry, f"{path}.{key}", report)
        check_loader(given, path, report)
        if "dataset" in given:
            _check_dataset(given["dataset"], f"{path}.dataset", report)
        _read_dataset(given.get("dataset"), f"{path}.dataset", report)
    return section


def _read_one_of_several(section: Any, path: str, report: Report) -> None:
    """Read an entry of a list of loaders, which may have a name."""
    if isinstance(section, Mapping):
        given = dict(raw_items(section))
        if "name" in given:
            what = "before the names of the metrics on these data, with a slash"
            report.apply(
                Rule("name", Status.AS_IS, what, one_of(str)), f"{path}.name", given["name"]
            )
        section = {key: value for key, value in given.items() if key != "name"}
        if list(section) == ["dataloader"]:
            report.note(f"{path}.dataloader", Status.AS_IS, "a loader")
            section, path = section["dataloader"], f"{path}.dataloader"
    if not want_dict(section, path, report, none=False):
        read_dataloader(section, path, report)


def _check_dataset(dataset: Any, path: str, report: Report) -> None:
    """Tell what is neither a dataset nor the config of one; a list is one, of its items."""
    several = isinstance(dataset, (list, tuple)) and dataset
    if several and all(isinstance(one, Mapping) and "type" in one for one in dataset):
        hint = "several datasets are dict(type='ConcatDataset', datasets=[...])"
        report.later("is a list of configs, which nothing builds", path, hint)
    elif dataset is None or isinstance(dataset, (str, int, float)):
        report.later(f"must be a dict, got {brief(dataset)}", path, "e.g. dataset=dict(type=...)")


def _read_dataset(section: Any, path: str, report: Report) -> None:
    """Read a dataset, and those that one of MMEngine's wrappers holds."""
    if not isinstance(section, Mapping):
        return
    known = read_typed(section, "DATASETS", path, report)
    if known is None:
        return
    given = dict(raw_items(section))
    _read_dataset(given.get("dataset"), f"{path}.dataset", report)
    inner = given.get("datasets")
    for index, one in enumerate(inner if isinstance(inner, (list, tuple)) else ()):
        _read_dataset(one, f"{path}.datasets[{index}]", report)
