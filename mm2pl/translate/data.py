"""The dataloaders' sections."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mm2pl.plan import Status
from mm2pl.translate.report import Report, Rule, whole_number

_TORCH = "torch.utils.data.DataLoader's argument"
LOADER_RULES = (
    Rule("_scope_", Status.AS_IS, "the registry scope of this section"),
    Rule("dataset", Status.BY_CLASS, "built by the DATASETS registry"),
    Rule("sampler", Status.BY_CLASS, "built by the DATA_SAMPLERS registry"),
    Rule("batch_sampler", Status.BY_CLASS, "built by the DATA_SAMPLERS registry"),
    Rule("collate_fn", Status.AS_IS, "a function from the FUNCTIONS registry"),
    Rule("worker_init_fn", Status.AS_IS, "a function from the FUNCTIONS registry"),
    Rule("num_batch_per_epoch", Status.AS_IS, "the dataset is cut to that many batches"),
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


def read_dataloader(section: Any, path: str, report: Report) -> Any:
    """Read a loader's section by its rules and return it."""
    report.read(section, LOADER_RULES, path)
    if isinstance(section, Mapping):
        for key in ("dataset", "sampler"):
            if key not in section:
                report.problem(
                    f"the dataloader has no {key!r}",
                    path,
                    "MMEngine's loaders need dataset=dict(type=...) and"
                    " sampler=dict(type='DefaultSampler', shuffle=...)",
                )
    return section
