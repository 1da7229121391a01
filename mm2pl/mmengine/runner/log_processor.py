"""What a run has logged, turned into a log line and into scalars for the backends."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch

from mm2pl.mmengine.device import get_max_cuda_memory, is_cuda_available
from mm2pl.mmengine.registry import LOG_PROCESSORS

Tag = dict[str, Any]
_TIMES = ("time", "data_time")


@LOG_PROCESSORS.register_module()
class LogProcessor:
    """Formats the scalars of ``runner.message_hub``.

    Differs: ``custom_cfg`` entries need no ``window_size`` when ``by_epoch=False``.

    Args:
        window_size: Over how many iterations the scalars that match ``mean_pattern`` are averaged.
        by_epoch: Whether lines count epochs, ``Epoch(train)  [1][10/50]``, or iterations only.
        custom_cfg: Further statistics, each ``dict(data_src=..., method_name=...)`` with the
            method's arguments. ``log_name`` shows it beside the scalar, without it the scalar is
            replaced. ``window_size`` may be a number, ``"epoch"`` or ``"global"``.
        num_digits: Digits behind the point.
        log_with_hierarchy: Whether scalars go to the backends as ``train/loss``, not ``loss``.
        mean_pattern: A regular expression; of other scalars the newest value is shown.

    Raises:
        AssertionError: Two entries of ``custom_cfg`` have one name, one lacks ``data_src``, or one
            wants an epoch's window with ``by_epoch=False``.
    """

    def __init__(
        self,
        window_size: int = 10,
        by_epoch: bool = True,
        custom_cfg: list[dict[str, Any]] | None = None,
        num_digits: int = 4,
        log_with_hierarchy: bool = False,
        mean_pattern: str = r".*(loss|time|data_time|grad_norm).*",
    ) -> None:
        self.window_size = window_size
        self.by_epoch = by_epoch
        self.custom_cfg = custom_cfg or []
        self.num_digits = num_digits
        self.log_with_hierarchy = log_with_hierarchy
        self.mean_pattern = re.compile(mean_pattern)
        self._check_custom_cfg()

    def get_log_after_iter(self, runner: Any, batch_idx: int, mode: str) -> tuple[Tag, str]:
        """Return the scalars for the backends and the log line after an iteration.

        Args:
            runner: The runner.
            batch_idx: The index of the batch within its loop.
            mode: ``train``, ``val`` or ``test``.
        """
        _require_mode(mode, ("train", "val", "test"))
        custom_cfg = self._parse_windows_size(runner, batch_idx)
        shown = self._collect_scalars(custom_cfg, runner, mode)
        tag = dict(shown)
        if self.log_with_hierarchy:
            tag = self._collect_scalars(custom_cfg, runner, mode, reserve_prefix=True)

        rates = []
        for name in [name for name in tag if name.endswith("lr")]:
            short = self._remove_prefix(name, f"{mode}/")
            shown.pop(short, None)
            rates.append(f"{short}: {tag[name]:.{self.num_digits}e}")
        parts = [self._place(runner, batch_idx, mode), " ".join(rates)]
        if self.by_epoch and mode != "test":
            tag["epoch"] = self._get_epoch(runner, mode)
        tag["iter"] = runner.iter + 1 if _trains(runner) else 0

        hub = runner.message_hub
        if "eta" in hub.runtime_info and all(name in shown for name in _TIMES):
            eta = datetime.timedelta(seconds=int(hub.get_info("eta")))
            times = (f"{name}: {shown.pop(name):.{self.num_digits}f}" for name in _TIMES)
            parts += [f"eta: {eta}", *times]
        if is_cuda_available():
            tag["memory"] = self._get_max_memory(runner)
            parts.append(f"memory: {tag['memory']}")
        # In MMEngine's lines validation shows only what is named val/loss.. after its first prefix
        # is gone; its metrics are shown at the epoch's end.
        prefix = {"train": "", "val": "val/loss"}.get(mode)
        names = [name for name in shown if prefix is not None and name.startswith(prefix)]
        scalars = "  ".join(f"{name}: {self._number(shown[name])}" for name in names)
        return tag, "  ".join([*parts, scalars])

    def get_log_after_epoch(
        self, runner: Any, batch_idx: int, mode: str, with_non_scalar: bool = False
    ) -> tuple[Tag, str]:
        """Return the scalars for the backends and the log line after validation or testing.

        Args:
            runner: The runner.
            batch_idx: The index of the last batch within its loop.
            mode: ``val`` or ``test``.
            with_non_scalar: Whether the facts in ``message_hub.runtime_info`` are returned too.
        """
        _require_mode(mode, ("val", "test"))
        sources = {self._remove_prefix(cfg["data_src"], f"{mode}/") for cfg in self.custom_cfg}
        over_epoch = [
            {"data_src": name, "window_size": "epoch", "method_name": "mean"}
            for name in _TIMES
            if name not in sources
        ]
        custom_cfg = self._parse_windows_size(runner, batch_idx, [*self.custom_cfg, *over_epoch])
        scalars = self._collect_scalars(custom_cfg, runner, mode, self.log_with_hierarchy)
        others = self._collect_non_scalars(runner, mode)
        is_time = {*_TIMES, *(f"{mode}/{name}" for name in _TIMES)}.__contains__
        times = {name: value for name, value in scalars.items() if is_time(name)}
        tag = {name: value for name, value in scalars.items() if not is_time(name)}

        size = self._get_dataloader_size(runner, mode)
        count = f"[{size}/{size}]"
        if self.by_epoch and mode == "val":
            count = f"[{self._get_epoch(runner, mode)}]{count}"
        line = "  ".join(
            f"{name}: {self._text(value)}"
            for part in (tag, others, times)
            for name, value in part.items()
        )
        tag |= {**others, **times} if with_non_scalar else times
        return tag, f"{self._unit}({mode}) {count}    {line}"

    @property
    def _unit(self) -> str:
        return "Epoch" if self.by_epoch else "Iter"

    def _place(self, runner: Any, batch_idx: int, mode: str) -> str:
        """Return where the run is, in columns of equal width: ``Epoch(train)  [3][ 10/250]``."""
        if self.by_epoch or mode != "train":
            total = self._get_dataloader_size(runner, mode)
        else:
            total = runner.max_iters
        in_loop = not self.by_epoch and mode != "train"
        current = batch_idx + 1 if in_loop else self._get_iter(runner, batch_idx)
        count = f"[{str(current).rjust(len(str(total)))}/{total}]"
        if not self.by_epoch or mode == "test":
            return f"{self._unit}({mode}) {count}"
        epoch = f"[{self._get_epoch(runner, mode)}]"
        if _trains(runner):
            epoch = epoch.rjust(len(f" [{runner.max_epochs}]"))
        return f"Epoch({mode}){epoch}{count}"

    def _number(self, value: Any) -> str:
        return f"{value:.{self.num_digits}f}" if isinstance(value, float) else f"{value}"

    def _text(self, value: Any) -> str:
        if isinstance(value, (torch.Tensor, np.ndarray)):
            return f"\n{value}\n"  # tables begin on a line of their own
        return self._number(value)

    def _collect_scalars(
        self,
        custom_cfg: list[dict[str, Any]],
        runner: Any,
        mode: str,
        reserve_prefix: bool = False,
    ) -> Tag:
        """Return the statistics of the scalars of ``mode``, then those of ``custom_cfg``."""
        histories = {
            name if reserve_prefix else self._remove_prefix(name, f"{mode}/"): history
            for name, history in runner.message_hub.log_scalars.items()
            if name.startswith(mode)
        }
        # Differs: the losses of `val_cfg=dict(loss=True)` are those of one validation, where
        # MMEngine would show the mean of the last ten of what has such a name.
        exact = getattr(getattr(runner, f"{mode}_loop", None), "loss_names", ())
        tag = {
            name: history.mean(self.window_size)
            if re.search(self.mean_pattern, name) and name.removeprefix(f"{mode}/") not in exact
            else history.current()
            for name, history in histories.items()
        }
        prefix = f"{mode}/" if reserve_prefix else ""
        for cfg in custom_cfg:
            arguments = dict(cfg)
            source = arguments.pop("data_src")
            name = arguments.pop("log_name", source)
            if prefix + source in histories:
                tag[prefix + name] = histories[prefix + source].statistics(**arguments)
        return tag

    def _collect_non_scalars(self, runner: Any, mode: str) -> Tag:
        """Return the facts of ``mode``, e.g. a metric that is a confusion matrix."""
        return {
            name if self.log_with_hierarchy else self._remove_prefix(name, f"{mode}/"): value
            for name, value in runner.message_hub.runtime_info.items()
            if name.startswith(mode)
        }

    def _remove_prefix(self, string: str, prefix: str) -> str:
        return string.removeprefix(prefix)

    def _check_custom_cfg(self) -> None:
        names: set[str] = set()
        for index, cfg in enumerate(self.custom_cfg):
            where = f"log_processor.custom_cfg[{index}]"
            if "data_src" not in cfg:
                raise AssertionError(f"{where}: data_src is missing: {cfg}")
            name = cfg.get("log_name", cfg["data_src"])
            if name in names:
                raise AssertionError(
                    f"{where}: {name!r} is given twice. Hint: set another log_name."
                )
            names.add(name)
            if not self.by_epoch and cfg.get("window_size") == "epoch":
                raise AssertionError(
                    f"{where}.window_size: 'epoch' needs by_epoch=True. Hint: use a number."
                )

    def _parse_windows_size(
        self, runner: Any, batch_idx: int, custom_cfg: Sequence[dict[str, Any]] | None = None
    ) -> list[dict[str, Any]]:
        """Return a copy of ``custom_cfg`` with every window as a number.

        Raises:
            TypeError: A window is neither a number nor ``epoch`` nor ``global``.
        """
        copies = [dict(cfg) for cfg in (self.custom_cfg if custom_cfg is None else custom_cfg)]
        for cfg in copies:
            window = cfg.get("window_size")
            if window == "epoch":
                cfg["window_size"] = batch_idx + 1
            elif window == "global":
                cfg["window_size"] = runner.iter + 1
            elif window is not None and not isinstance(window, int):
                raise TypeError(f"window_size must be an int, 'epoch' or 'global', got {window!r}")
        return copies

    def _get_max_memory(self, runner: Any) -> int:
        """Return the most memory that tensors took on the model's GPU, in MB."""
        return get_max_cuda_memory(getattr(runner.model, "output_device", None))

    def _get_iter(self, runner: Any, batch_idx: int) -> int:
        return batch_idx + 1 if self.by_epoch else int(runner.iter) + 1

    def _get_epoch(self, runner: Any, mode: str) -> int:
        """Return the epoch of the line, from 1; 0 for a validation without training."""
        _require_mode(mode, ("train", "val"), ValueError)
        if mode == "train":
            return int(runner.epoch) + 1
        # MMEngine counts the epoch up before it validates.
        return int(runner.epoch) if _trains(runner) else 0

    def _get_cur_loop(self, runner: Any, mode: str) -> Any:
        return getattr(runner, f"{mode}_loop")

    def _get_dataloader_size(self, runner: Any, mode: str) -> int:
        return len(self._get_cur_loop(runner, mode).dataloader)


def _trains(runner: Any) -> bool:
    # Not runner.train_loop: MMEngine would build the loop, and with it the training data.
    return not (runner._train_loop is None or isinstance(runner._train_loop, dict))


def _require_mode(
    mode: str, choices: Iterable[str], kind: type[Exception] = AssertionError
) -> None:
    if mode not in choices:
        raise kind(f"mode must be one of {', '.join(choices)}, got {mode!r}")
