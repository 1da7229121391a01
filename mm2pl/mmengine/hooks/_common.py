"""What several hooks share: where files go, which way a metric is better, whether a run trains."""

from __future__ import annotations

import os.path as osp
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from mm2pl.errors import ConfigError
from mm2pl.mmengine.fileio import FileClient, get_file_backend

GREATER_KEYS = [
    "acc",
    "top",
    "AR@",
    "auc",
    "precision",
    "mAP",
    "mDice",
    "mIoU",
    "mAcc",
    "aAcc",
]
LESS_KEYS = ["loss"]
# What a rule says of a new and an old score.
BETTER: dict[str, Callable[[Any, Any], bool]] = {
    "greater": lambda new, old: bool(new > old),
    "less": lambda new, old: bool(new < old),
}


def trains(runner: Any) -> bool:
    """Say whether the runner has a training loop, without asking for one to be built."""
    loop = runner._train_loop
    return loop is not None and not isinstance(loop, Mapping)


def storage(
    uri: str | Path,
    file_client_args: dict[str, Any] | None,
    backend_args: dict[str, Any] | None,
) -> Any:
    """Return the file backend for ``uri``."""
    if file_client_args is not None:
        return FileClient.infer_client(file_client_args, uri)
    return get_file_backend(uri, backend_args=backend_args)


def experiment_dir(backend: Any, root: str | Path, work_dir: str) -> str:
    """Return the folder below ``root`` that is named like the last level of ``work_dir``."""
    return str(backend.join_path(root, osp.basename(work_dir.rstrip(osp.sep))))


def infer_rule(metric: str, greater_keys: Iterable[str], less_keys: Iterable[str]) -> str:
    """Return ``greater`` or ``less``, by what the metric's name is or contains, in any case.

    Raises:
        ConfigError: No key fits.
    """
    name = metric.lower()
    keys = {
        "greater": {key.lower() for key in greater_keys},
        "less": {key.lower() for key in less_keys},
    }
    for rule, exact in keys.items():
        if name in exact:
            return rule
    for rule, parts in keys.items():
        if any(part in name for part in parts):
            return rule
    raise ConfigError(
        f"Cannot infer the rule for {metric}, thus a specific rule must be specified.",
        choices=["rule='greater'", "rule='less'"],
    )
