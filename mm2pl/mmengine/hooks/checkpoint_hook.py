"""Saves checkpoints: every so often, the last one, and the best by a metric."""

from __future__ import annotations

import hashlib
import os.path as osp
import pickle
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from mm2pl import durable
from mm2pl.errors import ConfigError
from mm2pl.mmengine.dist import is_main_process, master_only
from mm2pl.mmengine.fileio import LocalBackend
from mm2pl.mmengine.fileio.file_client import check_client_args, log_warning
from mm2pl.mmengine.hooks._best_metrics import BestMetrics, strings, wrong
from mm2pl.mmengine.hooks._checkpoint_files import CheckpointFiles
from mm2pl.mmengine.hooks._common import GREATER_KEYS, LESS_KEYS, experiment_dir, storage
from mm2pl.mmengine.hooks.hook import DATA_BATCH, Hook
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.registry import HOOKS

# Where the message hub keeps the file that save_between has written, and those that are to go.
_BETWEEN, _OLD = "preempted_ckpt", "superseded_ckpts"


@HOOKS.register_module()
class CheckpointHook(BestMetrics, Hook):
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
        async_save: Write in the background, while the training goes on, what the run is at the
            moment of the save; only mm2pl has this.
        kwargs: Passed on to ``runner.save_checkpoint``.

    Differs: in a validation without training there is no checkpoint to call the best, and
    nothing is saved; MMEngine stops with an ``AttributeError``.
    """

    priority = "VERY_LOW"

    # Libraries add their own metrics' names to these.
    _default_greater_keys = GREATER_KEYS
    _default_less_keys = LESS_KEYS

    out_dir: str | Path | None
    # Set when training begins.
    file_backend: Any = None

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
        async_save: bool = False,
        **kwargs: Any,
    ) -> None:
        check_client_args(file_client_args, backend_args, log_warning)
        if save_begin < 0:
            raise wrong("save_begin", f"should not be less than 0, but got {save_begin}")
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
        self.checkpoint_files = CheckpointFiles(async_save)
        self.last_ckpt: str | None = None
        self.last_iter: int | None = None  # at which it was saved
        self._saved_before = False  # whether an earlier part of the run has saved a last one
        self._superseded: list[str] = []  # best files that are to go with the next save
        self.key_indicators: list[str] = []
        self.rules: list[str | None] = []
        self.keep_ckpt_ids: deque[int] = deque()
        self.published_keys = strings("published_keys", published_keys)
        greater, less = strings("greater_keys", greater_keys), strings("less_keys", less_keys)
        self.greater_keys = self._default_greater_keys if greater is None else greater
        self.less_keys = self._default_less_keys if less is None else less
        self.save_best = strings("save_best", save_best)
        self._set_rules(strings("rule", rule))

    def state_dict(self) -> dict[str, Any]:
        """Return what a run that goes on cannot learn from the message hub.

        Differs: MMEngine's resumed run has no last checkpoint to save again with the best one.
        """
        return {"has_saved_last": self._saved_before or self.last_ckpt is not None}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take up what :meth:`state_dict` returned."""
        self._saved_before = state_dict["has_saved_last"]

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
        self.checkpoint_files.check()
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
        self.checkpoint_files.release()
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

    def _save_checkpoint_with_step(self, runner: Any, step: int, meta: dict[str, Any]) -> None:
        """Save, note it as the last one in the hub and in ``last_checkpoint``, and make room.

        Differs: older files are removed once the new one is complete; MMEngine removes them first.

        Args:
            runner: The run.
            step: The epoch or iteration, for the name.
            meta: The counters to go on from.
        """
        with self.checkpoint_files.together():
            name = self._note_step(runner, step)
            path = str(self.last_ckpt)
            with self.checkpoint_files.writing(path):
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
            if is_main_process():
                self.checkpoint_files.then(partial(self._note_last, runner, path))
            self.last_iter = meta["iter"]
            self._remove_old(runner)

    def _note_step(self, runner: Any, step: int) -> str:
        """Let the message hub say what will be once this step is saved; return the file's name."""
        info = runner.message_hub.runtime_info
        surplus = self._keep(runner, step) if self.max_keep_ckpts > 0 else None
        between = info.pop(_BETWEEN, None)
        name = self.filename_tmpl.format(step)
        self.last_ckpt = self.file_backend.join_path(self.out_dir, name)
        # Before saving, so that the file itself holds them.
        runner.message_hub.update_info("last_ckpt", self.last_ckpt)
        old = [*self._superseded, surplus and self._path_of(surplus), between, *info.get(_OLD, ())]
        old = [path for path in dict.fromkeys(old) if path not in (None, self.last_ckpt)]
        if old:
            runner.message_hub.update_info(_OLD, old)
        return name

    def _note_last(self, runner: Any, path: str) -> None:
        marker = Path(runner.work_dir, "last_checkpoint")
        if marker.is_dir():  # resuming has warned of it
            marker.rename(f"{marker}.folder")
        written = ""
        with suppress(OSError):  # not there, or not to be read
            written = marker.read_text(errors="replace")
        if written != str(path):
            durable.write_text(marker, str(path))

    def _remove_old(self, runner: Any) -> None:
        """Remove what the last file has taken the place of; it lists them, in case we get no turn.

        Differs: MMEngine's list of kept files forgets a file that was not removed in time.
        """
        old = runner.message_hub.runtime_info.pop(_OLD, ())
        best, self._superseded = self._superseded, []
        if is_main_process():
            self.checkpoint_files.then(partial(self._remove_all, runner, old, best))

    def _remove_all(self, runner: Any, old: Sequence[str], best: Sequence[str]) -> None:
        for path in old:
            if self._remove(path) and path in best:
                runner.logger.info(f"The previous best checkpoint {path} is removed")

    def save_between(self, runner: Any) -> str:
        """Save where none is due, between two iterations, until the next one; return the path.

        Only mm2pl has this: for a run that is told to end.
        """
        self.checkpoint_files.wait()
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
        if is_main_process():
            self._note_last(runner, path)
            if before not in (None, path):
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
        """Remove a checkpoint, a folder in case of a sharded one; say whether it was there.

        Differs: only what lies in the folder of this run, which may have begun with another's
        file; MMEngine removes the best one of that run, too.
        """
        if not str(path).startswith(str(self.file_backend.join_path(self.out_dir, ""))):
            return False
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
        names: dict[str, str] = {}
        superseded: list[str | None] = []
        for metric, rule in zip(self.key_indicators, self.rules, strict=True):
            if self._is_best(runner, metrics, metric, str(rule)):
                superseded.append(self._best_path(metric))
                names[metric] = self._note_best(runner, metric, step)
        if not names:
            return
        best = [self._best_path(metric) for metric in self.key_indicators]
        self._superseded = [path for path in superseded if path is not None and path not in best]
        # Not None either where a class of the user's saves the last one by itself.
        saves_last = self.state_dict()["has_saved_last"]
        with self.checkpoint_files.together(several=True):
            # The last checkpoint was written before the score was known: a run that resumes from
            # it would not remove this best one when it finds a better. It is saved again, and
            # says the same as the best ones, with this step noted before.
            if saves_last:
                self._note_step(runner, step)
            elif self._superseded:
                runner.message_hub.update_info(_OLD, self._superseded)
            for metric, name in names.items():
                self._save_best_of(runner, name, meta)
                runner.logger.info(
                    f"The best checkpoint with {metrics[metric]:0.4f} {metric} "
                    f"at {step} {unit} is saved to {name}."
                )
            if saves_last:
                self._save_checkpoint_with_step(runner, step, meta)
            self._remove_old(runner)

    def _note_best(self, runner: Any, metric: str, step: int) -> str:
        """Let the message hub name the best file of a metric; return its name."""
        # A metric's prefix ends with a slash, which would be a folder.
        name = f"best_{metric}_{self.filename_tmpl.format(step)}".replace("/", "_")
        path = self.file_backend.join_path(self.out_dir, name)
        self._set_best_path(metric, path)
        runner.message_hub.update_info(self._info_key("best_ckpt", metric), path)
        return name

    def _save_best_of(self, runner: Any, name: str, meta: dict[str, Any]) -> None:
        """Save the best checkpoint of one metric.

        Differs: it holds the optimizer and the schedules like any other, so that a run can go on
        from it; MMEngine leaves them out, and a run that resumes from it starts them anew.
        """
        with self.checkpoint_files.writing(str(self.file_backend.join_path(self.out_dir, name))):
            _gather(runner, meta)
            runner.save_checkpoint(
                self.out_dir,
                filename=name,
                file_client_args=self.file_client_args,
                save_optimizer=self.save_optimizer,
                # Without a warning, which that of the last one has given.
                save_param_scheduler=self.save_param_scheduler
                and runner.param_schedulers is not None,
                meta=dict(meta),
                by_epoch=False,
                backend_args=self.backend_args,
            )


def _gather(runner: Any, meta: dict[str, Any]) -> None:
    """Let all processes give their random states to the checkpoint that rank 0 writes next."""
    gather = getattr(runner, "gather_states", None)
    if gather is not None:
        gather(meta)
