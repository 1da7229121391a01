"""Writes the log: lines of text, scalars for the visualizer, and test results as JSON."""

from __future__ import annotations

import logging
import os
import os.path as osp
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mm2pl.errors import ConfigError, ConfigTypeError
from mm2pl.mmengine.fileio import dump
from mm2pl.mmengine.fileio.file_client import check_client_args, log_warning
from mm2pl.mmengine.hooks._common import experiment_dir, storage, trains
from mm2pl.mmengine.hooks.hook import DATA_BATCH, Hook
from mm2pl.mmengine.registry import HOOKS
from mm2pl.mmengine.utils import is_seq_of, scandir


@HOOKS.register_module()
class LoggerHook(Hook):
    """Logs what ``runner.log_processor`` makes of the message hub.

    Args:
        interval: Log every so many iterations (counted anew in each epoch).
        ignore_last: Leave out the rest of an epoch that is shorter than ``interval``; an epoch
            that is shorter than ``interval`` as a whole is logged at its end all the same.
        interval_exp_name: Log the experiment's name every so many iterations.
        out_dir: Copy the log files to ``out_dir/<last level of work_dir>`` at the end.
        out_suffix: Endings of the files to copy.
        keep_local: Keep the copied files in ``work_dir`` too.
        file_client_args: Old form of ``backend_args``.
        log_metric_by_epoch: The step of a validation's metrics is the epoch, else the iteration.
        backend_args: Arguments of the file backend for ``out_dir``.
    """

    priority = "BELOW_NORMAL"
    json_log_path: str | None

    def __init__(
        self,
        interval: int = 10,
        ignore_last: bool = True,
        interval_exp_name: int = 1000,
        out_dir: str | Path | None = None,
        out_suffix: Sequence[str] | str = (".json", ".log", ".py", "yaml"),
        keep_local: bool = True,
        file_client_args: dict[str, Any] | None = None,
        log_metric_by_epoch: bool = True,
        backend_args: dict[str, Any] | None = None,
    ) -> None:
        _check_positive("interval", interval)
        _check_type("ignore_last", ignore_last, bool, "a boolean")
        _check_positive("interval_exp_name", interval_exp_name)
        if out_dir is not None:
            _check_type("out_dir", out_dir, (str, Path), "a str or Path object")
        elif file_client_args is not None:
            raise ConfigError(
                'file_client_args should be "None" when `out_dir` is not specified.',
                key_path="file_client_args",
            )
        _check_type("keep_local", keep_local, bool, "a boolean")
        check_client_args(file_client_args, backend_args, log_warning)
        if not isinstance(out_suffix, str) and not is_seq_of(out_suffix, str):
            raise ConfigTypeError(
                f"out_suffix should be a string or a sequence of string, but got {out_suffix!r}",
                key_path="out_suffix",
            )
        self.interval = interval
        self.ignore_last = ignore_last
        self.interval_exp_name = interval_exp_name
        self.out_dir = out_dir
        self.out_suffix = out_suffix
        self.keep_local = keep_local
        self.file_client_args = file_client_args
        self.log_metric_by_epoch = log_metric_by_epoch
        self.json_log_path = None
        if out_dir is not None:
            self.file_backend = storage(out_dir, file_client_args, backend_args)

    def before_run(self, runner: Any) -> None:
        """Name the files of this run."""
        if self.out_dir is not None:
            self.out_dir = experiment_dir(self.file_backend, self.out_dir, runner.work_dir)
            runner.logger.info(
                f"Text logs will be saved to {self.out_dir} after the training process."
            )
        self.json_log_path = f"{runner.timestamp}.json"

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Log a training iteration, if it is one to log."""
        loader = runner.train_dataloader
        ends = self.end_of_epoch(loader, batch_idx)
        if ends or self.every_n_train_iters(runner, self.interval_exp_name):
            runner.logger.info(f"Exp name: {runner.experiment_name}")
        if self._logs(loader, batch_idx, ends):
            tag, text = runner.log_processor.get_log_after_iter(runner, batch_idx, "train")
            runner.logger.info(text)
            runner.visualizer.add_scalars(tag, step=runner.iter + 1, file_path=self.json_log_path)

    def logs_after_train_iter(self, runner: Any, batch_idx: int) -> bool:
        """Say whether a training iteration is one to log. Only mm2pl has this."""
        loader = runner.train_dataloader
        return self._logs(loader, batch_idx, self.end_of_epoch(loader, batch_idx))

    def _logs(self, loader: Any, batch_idx: int, ends: bool) -> bool:
        if self.every_n_inner_iters(batch_idx, self.interval):
            return True
        return ends and (not self.ignore_last or len(loader) <= self.interval)

    def after_val_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Log a validation iteration, as text alone."""
        self._log_iter(runner, batch_idx, "val")

    def after_test_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        """Log a test iteration, as text alone."""
        self._log_iter(runner, batch_idx, "test")

    def _log_iter(self, runner: Any, batch_idx: int, mode: str) -> None:
        if self.every_n_inner_iters(batch_idx, self.interval):
            _, text = runner.log_processor.get_log_after_iter(runner, batch_idx, mode)
            runner.logger.info(text)

    def after_val_epoch(self, runner: Any, metrics: dict[str, Any] | None = None) -> None:
        """Log the metrics of a validation; alone, with no training loop, its step is 0."""
        tag, text = runner.log_processor.get_log_after_epoch(
            runner, len(runner.val_dataloader), "val"
        )
        runner.logger.info(text)
        step = 0
        if trains(runner):
            step = runner.epoch if self.log_metric_by_epoch else runner.iter
        runner.visualizer.add_scalars(tag, step=step, file_path=self.json_log_path)

    def after_test_epoch(self, runner: Any, metrics: dict[str, Any] | None = None) -> None:
        """Log the metrics of a test and write them to a JSON file beside the log."""
        tag, text = runner.log_processor.get_log_after_epoch(
            runner, len(runner.test_dataloader), "test", with_non_scalar=True
        )
        runner.logger.info(text)
        dump(self._process_tags(tag), osp.join(runner.log_dir, str(self.json_log_path)))

    @staticmethod
    def _process_tags(tags: dict[str, Any]) -> dict[str, Any]:
        """Return ``tags`` as JSON can hold them; what it cannot hold becomes null."""
        return {name: _jsonable(value) for name, value in tags.items()}

    def after_run(self, runner: Any) -> None:
        """Close the visualizer and copy the log files to ``out_dir``."""
        runner.visualizer.close()
        if self.out_dir is None:
            return
        copied = [self._copy(runner, name) for name in self._log_files(runner)]
        if not self.keep_local:
            for handler in runner.logger.handlers:
                if isinstance(handler, logging.FileHandler):
                    handler.close()
            for path in copied:
                os.remove(path)

    def _log_files(self, runner: Any) -> list[str]:
        suffix = self.out_suffix if isinstance(self.out_suffix, str) else tuple(self.out_suffix)
        return list(scandir(runner._log_dir, suffix, True))

    def _copy(self, runner: Any, name: str) -> str:
        source = osp.join(runner._log_dir, name)
        target = self.file_backend.join_path(self.out_dir, name)
        with open(source) as file:
            self.file_backend.put_text(file.read(), target)
        runner.logger.info(f"The file {source} has been uploaded to {target}.")
        if not self.keep_local:
            runner.logger.info(
                f"{source} was removed due to the `self.keep_local=False`. "
                f"You can check the running logs in {target}"
            )
        return source


def _jsonable(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return [_jsonable(item) for item in value]
    if isinstance(value, dict):
        return {key: _jsonable(item) for key, item in value.items()}
    if isinstance(value, (torch.Tensor, np.ndarray)):
        return value.tolist()
    return value if value is None or isinstance(value, (str, int, float)) else None


def _check_type(name: str, value: object, kinds: type | tuple[type, ...], description: str) -> None:
    if not isinstance(value, kinds):
        raise ConfigTypeError(
            f"{name} must be {description}, but got {value!r}",
            key_path=name,
        )


def _check_positive(name: str, value: int) -> None:
    _check_type(name, value, int, "an integer")
    if value <= 0:
        raise ConfigError(
            f"{name} must be greater than 0, but got {value}",
            key_path=name,
        )
