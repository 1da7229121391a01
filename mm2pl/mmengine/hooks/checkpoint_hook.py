"""Saves checkpoints: every so often, the last one, and the best by a metric."""

from __future__ import annotations

import hashlib
import os.path as osp
import pickle
from collections import deque
from collections.abc import Callable, Sequence
from math import inf
from pathlib import Path
from typing import Any

from mm2pl import durable
from mm2pl.errors import ConfigError, ConfigKeyError, ConfigTypeAssertionError, nearest
from mm2pl.mmengine.dist import is_main_process, master_only
from mm2pl.mmengine.fileio import LocalBackend
from mm2pl.mmengine.fileio.file_client import check_client_args, log_warning
from mm2pl.mmengine.hooks._common import (
    BETTER,
    GREATER_KEYS,
    LESS_KEYS,
    experiment_dir,
    infer_rule,
    storage,
)
from mm2pl.mmengine.hooks.hook import DATA_BATCH, Hook
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.registry import HOOKS

# Where the message hub keeps the file that save_between has written, and those that are to go.
_BETWEEN, _OLD = "preempted_ckpt", "superseded_ckpts"


@HOOKS.register_module()
class CheckpointHook(Hook):
    """Saves checkpoints, removes those no longer wanted, and keeps track in the message hub.

    Args:
        interval: Save every so many epochs or iterations; -1 for never.
        by_epoch: Count epochs, else iterations.
        save_optimizer: Keep the optimizer's state in the file.
        save_param_scheduler: Keep the schedulers' state in the file.
        out_dir: Save to ``out_dir/<last level of work_dir>`` instead of ``work_dir``.
        max_keep_ckpts: Remove the oldest when there are more; -1 keeps all. The best are not
            counted.
        save_last: Save at the end of training as well.
        save_best: A metric, several, or ``auto`` for the first of the results: keep the best
            checkpoint by it.
        rule: ``greater`` or ``less`` is better: one for all or one for each of ``save_best``; by
            default found from the metric's name.
        greater_keys: Parts of metric names for which greater is better.
        less_keys: Parts of metric names for which less is better.
        file_client_args: Old form of ``backend_args``.
        filename_tmpl: Name of the files with ``{}`` for the epoch or iteration; by default
            ``epoch_{}.pth`` or ``iter_{}.pth``.
        backend_args: Arguments of the file backend for ``out_dir``.
        published_keys: At the end, write the last and the best checkpoints again with these keys
            alone, and a part of their hash in the name.
        save_begin: The first epoch or iteration at which to save.
        kwargs: Passed on to ``runner.save_checkpoint``.

    Differs: in a validation without training there is no checkpoint to call the best, and
    nothing is saved; MMEngine stops with an ``AttributeError``.
    """

    priority = "VERY_LOW"

    rule_map = BETTER
    init_value_map = {"greater": -inf, "less": inf}
    # Libraries add their own metrics' names to these.
    _default_greater_keys = GREATER_KEYS
    _default_less_keys = LESS_KEYS

    out_dir: str | Path | None
    # Set when training begins.
    file_backend: Any = None
    best_ckpt_path: str | None = None

    def __init__(
        self,
        interval: int = -1,
        by_epoch: bool = True,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        out_dir: str | Path | None = None,
        max_keep_ckpts: int = -1,
        save_last: bool = True,
        save_best: str | list[str] | None = None,
        rule: str | list[str] | None = None,
        greater_keys: Sequence[str] | None = None,
        less_keys: Sequence[str] | None = None,
        file_client_args: dict[str, Any] | None = None,
        filename_tmpl: str | None = None,
        backend_args: dict[str, Any] | None = None,
        published_keys: str | list[str] | None = None,
        save_begin: int = 0,
        **kwargs: Any,
    ) -> None:
        check_client_args(file_client_args, backend_args, log_warning)
        if save_begin < 0:
            raise _wrong("save_begin", f"should not be less than 0, but got {save_begin}")
        self.interval = interval
        self.by_epoch = by_epoch
        self.save_optimizer = save_optimizer
        self.save_param_scheduler = save_param_scheduler
        self.out_dir = out_dir
        self.max_keep_ckpts = max_keep_ckpts
        self.save_last = save_last
        self.file_client_args = file_client_args
        self.filename_tmpl = filename_tmpl or ("epoch_{}.pth" if by_epoch else "iter_{}.pth")
        self.backend_args = backend_args
        self.save_begin = save_begin
        self.args = kwargs
        self.last_ckpt: str | None = None
        self.last_iter: int | None = None  # at which it was saved
        self.key_indicators: list[str] = []
        self.rules: list[str | None] = []
        self.keep_ckpt_ids: deque[int] = deque()
        self.published_keys = _strings("published_keys", published_keys)
        greater, less = _strings("greater_keys", greater_keys), _strings("less_keys", less_keys)
        self.greater_keys = self._default_greater_keys if greater is None else greater
        self.less_keys = self._default_less_keys if less is None else less
        self.save_best = _strings("save_best", save_best)
        self._set_rules(_strings("rule", rule))

    def _set_rules(self, rules: list[str] | None) -> None:
        metrics = self.save_best
        if metrics is None:
            return
        if "auto" in metrics and len(metrics) > 1:
            raise _wrong("save_best", 'cannot hold other metrics beside "auto"')
        if rules is not None and len(rules) not in (1, len(metrics)):
            raise _wrong(
                "rule", f"must have 1 entry or one for each of save_best, but has {len(rules)}"
            )
        self.is_better_than: dict[str, Callable[[Any, Any], bool]] = {}
        self._init_rule(rules or [None], metrics)
        if len(self.key_indicators) > 1:
            self.best_ckpt_path_dict: dict[str, str | None] = dict.fromkeys(self.key_indicators)

    def _init_rule(self, rules: Sequence[str | None], key_indicators: list[str]) -> None:
        """Settle which way each metric is better; ``auto`` waits for the first results."""
        if len(rules) == 1:
            rules = [*rules] * len(key_indicators)
        self.rules = [
            self._rule_for(metric, rule) for metric, rule in zip(key_indicators, rules, strict=True)
        ]
        self.key_indicators = key_indicators
        for metric, rule in zip(key_indicators, self.rules, strict=True):
            if rule is not None:
                self.is_better_than[metric] = self.rule_map[rule]

    def _rule_for(self, metric: str, rule: str | None) -> str | None:
        if rule is None and metric != "auto":
            return infer_rule(metric, self.greater_keys, self.less_keys)
        if rule is not None and rule not in self.rule_map:
            raise ConfigKeyError(
                f"rule must be greater, less or None, but got {rule}.",
                key_path="rule",
            )
        return rule

    def before_train(self, runner: Any) -> None:
        """Settle the folder and take up what an earlier part of the run has saved."""
        if self.out_dir is None:
            self.out_dir = runner.work_dir
        self.file_backend = storage(self.out_dir, self.file_client_args, self.backend_args)
        if self.out_dir != runner.work_dir:
            self.out_dir = experiment_dir(self.file_backend, self.out_dir, runner.work_dir)
        self._make_ready(runner)
        runner.logger.info(f"Checkpoints will be saved to {self.out_dir}.")
        known = runner.message_hub.runtime_info
        for metric in self.key_indicators:
            self._set_best_path(metric, known.get(self._info_key("best_ckpt", metric)))
        self._remove_old(runner)
        if self.max_keep_ckpts > 0:
            kept = list(known.get("keep_ckpt_ids", ()))
            surplus, kept = kept[: -self.max_keep_ckpts], kept[-self.max_keep_ckpts :]
            for step in surplus if is_main_process() else ():
                self._remove(self._path_of(step))
            if surplus:
                runner.message_hub.update_info("keep_ckpt_ids", kept)
            self.keep_ckpt_ids = deque(kept)

    @master_only
    def _make_ready(self, runner: Any) -> None:
        """Refuse a folder that cannot be written, before the training; clear what was cut off."""
        for folder in dict.fromkeys((str(self.out_dir), str(runner.work_dir))):
            if folder == str(self.out_dir) and not isinstance(self.file_backend, LocalBackend):
                continue
            try:
                durable.check_writable(folder)
            except OSError as error:
                raise ConfigError(
                    f"checkpoints cannot be written to {folder}: {error.strerror}",
                    key_path="default_hooks.checkpoint",
                    hint="check its permissions, or choose another work_dir or out_dir",
                ) from error
            for name in durable.remove_leftovers(folder):
                runner.logger.info(f"Removed {name} in {folder}, which a killed run left there")

    def after_train_epoch(self, runner: Any) -> None:
        """Save if epochs count and this one is due or the last."""
        if self.by_epoch and (
            self.every_n_epochs(runner, self.interval, self.save_begin)
            or (self.save_last and self.is_last_train_epoch(runner))
        ):
            runner.logger.info(f"Saving checkpoint at {runner.epoch + 1} epochs")
            self._save_checkpoint(runner)

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Save if iterations count and this one is due or the last."""
        if not self.by_epoch and (
            self.every_n_train_iters(runner, self.interval, self.save_begin)
            or (self.save_last and self.is_last_train_iter(runner))
        ):
            runner.logger.info(f"Saving checkpoint at {runner.iter + 1} iterations")
            self._save_checkpoint(runner)

    def after_val_epoch(self, runner: Any, metrics: dict[str, Any] | None = None) -> None:
        """Save if this is the best so far."""
        if not metrics:
            runner.logger.warning(
                "Since `metrics` is an empty dict, the behavior to save the best checkpoint will "
                "be skipped in this evaluation."
            )
            return
        self._save_best_checkpoint(runner, metrics)

    def after_train(self, runner: Any) -> None:
        """Publish the last and the best checkpoints, if asked to."""
        if self.published_keys is None:
            return
        paths = [self.last_ckpt if self.save_last else None]
        paths += [self._best_path(metric) for metric in self.key_indicators]
        for path in paths:
            if path is not None:
                self._publish_model(runner, path)

    @master_only
    def _publish_model(self, runner: Any, ckpt_path: str) -> None:
        """Write ``<name>-<first 8 digits of its hash>.pth`` with ``published_keys`` alone."""
        from mm2pl.mmengine.runner.checkpoint import _load_checkpoint, save_checkpoint

        checkpoint = _load_checkpoint(ckpt_path)
        wanted = self.published_keys or ()
        removed = [key for key in checkpoint if key not in wanted]
        for key in removed:
            checkpoint.pop(key)
        if removed:
            print_log(
                f"Key {removed} will be removed because they are not found in published_keys. "
                f"If you want to keep them, please set `{removed}` in published_keys",
                logger="current",
            )
        digest = hashlib.sha256(pickle.dumps(checkpoint)).hexdigest()
        final_path = f"{osp.splitext(ckpt_path)[0]}-{digest[:8]}.pth"
        save_checkpoint(checkpoint, final_path)
        print_log(f"The checkpoint ({ckpt_path}) is published to {final_path}.", logger="current")

    def _save_checkpoint(self, runner: Any) -> None:
        """Save what follows this epoch or iteration, of which the counter is still short."""
        if self.by_epoch:
            step = runner.epoch + 1
            meta = {"epoch": step, "iter": runner.iter}
        else:
            step = runner.iter + 1
            meta = {"epoch": runner.epoch, "iter": step}
        self._save_checkpoint_with_step(runner, step, meta=meta)

    def _save_checkpoint_with_step(
        self, runner: Any, step: int, meta: dict[str, Any], superseded: Sequence[str] = ()
    ) -> None:
        """Save, note it as the last one in the hub and in ``last_checkpoint``, and make room.

        Differs: older files are removed once the new one is complete; MMEngine removes them first.

        Args:
            runner: The run.
            step: The epoch or iteration, for the name.
            meta: The counters to go on from.
            superseded: Files that are to go as well.
        """
        info = runner.message_hub.runtime_info
        surplus = self._keep(runner, step) if self.max_keep_ckpts > 0 else None
        between = info.pop(_BETWEEN, None)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        # Before saving, so that the file itself holds them.
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        old = [*superseded, surplus and self._path_of(surplus), between]
        old = [path for path in old if path not in (None, self.last_ckpt)]
        if old:
            runner.message_hub.update_info(_OLD, old)
        _gather(runner, meta)
        runner.save_checkpoint(
            self.out_dir,
            name,
            file_client_args=self.file_client_args,
            save_optimizer=self.save_optimizer,
            save_param_scheduler=self.save_param_scheduler,
            meta=meta,
            by_epoch=self.by_epoch,
            backend_args=self.backend_args,
            **self.args,
        )
        self._note_last(runner, self.last_ckpt)
        self.last_iter = meta["iter"]
        self._remove_old(runner, superseded)

    @master_only
    def _note_last(self, runner: Any, path: str) -> None:
        durable.write_text(Path(runner.work_dir, "last_checkpoint"), str(path))

    def _remove_old(self, runner: Any, best: Sequence[str] = ()) -> None:
        """Remove what the last file has taken the place of; it lists them, in case we get no turn.

        Differs: MMEngine's list of kept files forgets a file that was not removed in time.
        """
        for path in runner.message_hub.runtime_info.pop(_OLD, ()):
            if is_main_process() and self._remove(path) and path in best:
                runner.logger.info(f"The previous best checkpoint {path} is removed")

    def save_between(self, runner: Any) -> str:
        """Save where none is due, between two iterations, until the next one; return the path.

        Only mm2pl has this: for a run that is told to end.
        """
        hub = runner.message_hub
        before = hub.runtime_info.get(_BETWEEN)
        name = f"preempted_iter_{runner.iter}.pth"
        path: str = self.file_backend.join_path(self.out_dir, name)
        hub.update_info(_BETWEEN, path)
        meta = {"epoch": runner.epoch, "iter": runner.iter}
        _gather(runner, meta)
        runner.save_checkpoint(
            self.out_dir,
            name,
            file_client_args=self.file_client_args,
            meta=meta,
            backend_args=self.backend_args,
            **self.args,
        )
        self._note_last(runner, path)
        if before not in (None, path) and is_main_process():
            self._remove(before)
        return path

    def _keep(self, runner: Any, step: int) -> int | None:
        """Put a step on the list of those kept; return the one that is to go for it."""
        # The best checkpoint of an epoch makes the same step be saved again.
        if self.keep_ckpt_ids and self.keep_ckpt_ids[-1] == step:
            return None
        full = len(self.keep_ckpt_ids) == self.max_keep_ckpts
        surplus = self.keep_ckpt_ids.popleft() if full else None
        self.keep_ckpt_ids.append(step)
        runner.message_hub.update_info("keep_ckpt_ids", list(self.keep_ckpt_ids))
        return surplus if surplus != step else None

    def _path_of(self, step: int) -> str:
        name = self.filename_tmpl.format(step)
        return str(self.file_backend.join_path(self.out_dir, name))

    def _remove(self, path: str) -> bool:
        """Remove a checkpoint, a folder in case of a sharded one; say whether it was there."""
        if self.file_backend.isfile(path):
            self.file_backend.remove(path)
        elif self.file_backend.isdir(path):
            self.file_backend.rmtree(path)
        else:
            return False
        return True

    def _save_best_checkpoint(self, runner: Any, metrics: dict[str, Any]) -> None:
        """Save a checkpoint for each metric that is better than ever."""
        if not self.save_best or self.file_backend is None:
            return
        if "auto" in self.key_indicators:
            self._init_rule(self.rules, [next(iter(metrics))])
        unit = "epoch" if self.by_epoch else "iter"
        step = getattr(runner, unit)
        meta = {"epoch": runner.epoch, "iter": runner.iter}
        updated, superseded = False, []
        for metric, rule in zip(self.key_indicators, self.rules, strict=True):
            if self._is_best(runner, metrics, metric, str(rule)):
                updated = True
                superseded.append(self._best_path(metric))
                name = self._save_best_of(runner, metric, step, meta)
                runner.logger.info(
                    f"The best checkpoint with {metrics[metric]:0.4f} {metric} "
                    f"at {step} {unit} is saved to {name}."
                )
        # The last checkpoint was written before the score was known: a run that resumes from it
        # would not remove this best one when it finds a better.
        best = [self._best_path(metric) for metric in self.key_indicators]
        old = [path for path in superseded if path is not None and path not in best]
        if updated and self.last_ckpt is not None:
            self._save_checkpoint_with_step(runner, step, meta, old)
        elif old:
            runner.message_hub.update_info(_OLD, old)
            self._remove_old(runner, old)

    def _is_best(self, runner: Any, metrics: dict[str, Any], metric: str, rule: str) -> bool:
        """Compare with the best score in the message hub, and replace that."""
        if metric not in metrics:
            raise ConfigKeyError(
                f"The metric {metric!r} is not in the results of the validation",
                key_path="default_hooks.checkpoint.save_best",
                choices=nearest(metric, metrics) or list(metrics),
            )
        score = metrics[metric]
        key = self._info_key("best_score", metric)
        best = runner.message_hub.runtime_info.get(key, self.init_value_map[rule])
        if score is None or not self.is_better_than[metric](score, best):
            return False
        runner.message_hub.update_info(key, score)
        return True

    def _save_best_of(self, runner: Any, metric: str, step: int, meta: dict[str, Any]) -> str:
        """Save the best checkpoint of one metric, and return its name.

        Differs: it holds the optimizer and the schedules like any other, so that a run can go on
        from it; MMEngine leaves them out, and a run that resumes from it starts them anew.
        """
        # A metric's prefix ends with a slash, which would be a folder.
        name = f"best_{metric}_{self.filename_tmpl.format(step)}".replace("/", "_")
        path = self.file_backend.join_path(self.out_dir, name)
        self._set_best_path(metric, path)
        runner.message_hub.update_info(self._info_key("best_ckpt", metric), path)
        _gather(runner, meta)
        runner.save_checkpoint(
            self.out_dir,
            filename=name,
            file_client_args=self.file_client_args,
            save_optimizer=self.save_optimizer,
            # Without a warning, which that of the last one has given.
            save_param_scheduler=self.save_param_scheduler and runner.param_schedulers is not None,
            meta=dict(meta),
            by_epoch=False,
            backend_args=self.backend_args,
        )
        return name

    def _info_key(self, name: str, metric: str) -> str:
        """Return the message hub's key: one metric needs no name, several do."""
        return name if len(self.key_indicators) == 1 else f"{name}_{metric}"

    def _best_path(self, metric: str) -> str | None:
        if len(self.key_indicators) == 1:
            return self.best_ckpt_path
        return self.best_ckpt_path_dict[metric]

    def _set_best_path(self, metric: str, path: str | None) -> None:
        if len(self.key_indicators) == 1:
            self.best_ckpt_path = path
        else:
            self.best_ckpt_path_dict[metric] = path


def _gather(runner: Any, meta: dict[str, Any]) -> None:
    """Let all processes give their random states to the checkpoint that rank 0 writes next."""
    gather = getattr(runner, "gather_states", None)
    if gather is not None:
        gather(meta)


def _wrong(name: str, message: str) -> ConfigTypeAssertionError:
    return ConfigTypeAssertionError(f'"{name}" {message}', key_path=name)


def _strings(name: str, value: object) -> list[str] | None:
    """Return an argument that is None, a string or several different ones, as a list."""
    if value is None:
        return None
    if isinstance(value, str):
        return [value]
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        kind = "a sequence" if name.endswith("_keys") else "list"
        raise _wrong(name, f"should be a str or {kind} of str or None, but got {value!r}")
    if name in ("save_best", "published_keys") and len(set(value)) != len(value):
        raise _wrong(name, f"holds an element twice: {value}")
    return list(value)
