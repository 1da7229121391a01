"""Loading, resuming and saving of a run."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mm2pl import _lightning, checkpoint, contents, damage, lightning_layout
from mm2pl.callbacks.native import save_states_of_others
from mm2pl.distributed import together
from mm2pl.environment import take_up_seed
from mm2pl.errors import ConfigTypeError
from mm2pl.latest_checkpoint import is_marked, naming_a_good_one, newest_good
from mm2pl.mmengine.device import get_device
from mm2pl.mmengine.dist import master_only
from mm2pl.mmengine.fileio import join_path
from mm2pl.mmengine.fileio.file_client import as_backend_args
from mm2pl.mmengine.optim.optimizer.zero_optimizer import gather_shards
from mm2pl.mmengine.registry.errors import at_key
from mm2pl.mmengine.runner.checkpoint import (
    _load_checkpoint,
    _load_checkpoint_to_model,
)
from mm2pl.optim import refuse_other_counts, torch_optimizers
from mm2pl.resume import changes, exact, fitting
from mm2pl.resume.settings import note
from mm2pl.resume.versions import drop_unknown


class RunnerCheckpoints:
    """The runner's methods around checkpoint files."""

    # Of the optimizer wrappers, from a checkpoint, until they are told where training begins.
    _resumed_counts: list[int] | None = None
    # Hooks whose states cannot be in checkpoints, as was told.
    _hooks_left_out: frozenset[str] = frozenset()
    # What the run was made with, for its checkpoints.
    _settings: dict[str, Any] | None = None
    # What is each process's own, for the next checkpoint, where there are several.
    _states_of_ranks: list[dict[str, Any]] | None = None
    # What Lightning was told to load, until the run is prepared; and whose word the source is.
    _ckpt_path: str | None = None
    _source_key = "load_from"

    @property
    def resumes_exactly(self: Any) -> bool:
        """Whether a resumed run is to be the same run to the last bit, not MMEngine's."""
        return bool(self.plan.runtime.exact_resume)

    @property
    def skips_unread(self: Any) -> bool:
        """Whether there is a checkpoint to go on from without reading what it was trained on."""
        if not self._resume or not self.resumes_exactly:
            return False
        return bool(self._load_from) or is_marked(self.work_dir)

    def gather_states(self: Any, meta: dict[str, Any]) -> None:
        """Collect what is each process's own for the next checkpoint; called on all of them.

        Args:
            meta: The checkpoint's, with ``epoch`` and ``iter``.
        """
        exact.gather(self, meta)

    def _take_ckpt_path(self: Any, stage: str) -> None:
        """Let what Lightning was told to load be what the config says."""
        path, self._ckpt_path = self._ckpt_path, None
        if path is None:
            return
        fit = stage == "fit"
        if self._source_key == "load_from" and (self._load_from or (fit and self._resume)):
            self.logger.info("ckpt_path takes the place of the config's load_from and resume")
        self._source_key = "ckpt_path"
        self._load_from, self._resume, self._has_loaded = path, fit, False
        if fit and self.iter:  # another fit of this runner: its data are elsewhere by now
            train = self.plan.train
            self._train_loop, self._train_dataloader = train.loop, train.dataloader
            self.bare_model.zero_grad()

    def load_or_resume(self: Any) -> None:
        """Load weights or go on from a checkpoint, once, as the config says."""
        note(self)
        if self._has_loaded:
            return
        if self._resume:
            source = self._load_from
            if source is None:
                source = newest_good(self.work_dir, self.logger.warning)
                self.logger.info(f"Auto resumed from the latest checkpoint {source}.")
            if source is not None:
                with self._reading(source, "go on from"):
                    self.resume(source)
        elif self._load_from is not None:
            with self._reading(self._load_from, "load"):
                loaded = self.load_checkpoint(self._load_from)
                checkpoint.refuse_stranger(loaded, self.bare_model, self._load_from)

    @contextmanager
    def _reading(self: Any, path: str, deed: str) -> Iterator[None]:
        """Let errors say which file it is and who named it; one process's are all processes'."""
        with together(f"{deed} the checkpoint"), at_key(self._source_key), damage.of_file(path):
            yield

    def resume(
        self: Any,
        filename: str,
        resume_optimizer: bool = True,
        resume_param_scheduler: bool = True,
        map_location: Any = "default",
    ) -> None:
        """Go on from a checkpoint: weights, counters, optimizers, schedules and histories.

        Args:
            filename: The checkpoint's path or URI.
            resume_optimizer: Whether to take up the optimizers' state.
            resume_param_scheduler: Whether to take up the schedulers' state.
            map_location: As in :func:`torch.load`; by default the device in use.
        """
        device = get_device() if map_location == "default" else map_location
        loaded = self.load_checkpoint(filename, map_location=device)
        drop_unknown(loaded, contents.OURS, self.logger)
        exactly = resume_optimizer and self.resumes_exactly
        checkpoint.refuse_partial(loaded, filename, exactly)
        if exactly:
            if fitting.leave_average(self, loaded):
                _load_checkpoint_to_model(self.bare_model, loaded)
            fitting.refuse_other_weights(self, loaded, filename)
        meta = loaded["meta"]
        self.train_loop._epoch, self.train_loop._iter = meta["epoch"], meta["iter"]
        if take_up_seed(meta.get("seed"), self._randomness_cfg, self.logger):
            self.set_randomness(**self._randomness_cfg)
        self._warn_of_other_metainfo(meta)
        with damage.taking_up(filename, "message_hub"):
            self.message_hub.load_state_dict(loaded["message_hub"])
        _lightning.set_steps(self.trainer, lightning_layout.steps_of(loaded), meta["iter"])
        if "callbacks" in loaded:  # of Lightning's
            self._hook_callback.resumed = loaded
        both = resume_optimizer and resume_param_scheduler
        fresh = changes.prepare(self, loaded) if both else None
        if "optimizer" in loaded and resume_optimizer:
            self.optim_wrapper = self.build_optim_wrapper(self.optim_wrapper)
            with damage.taking_up(filename, "optimizer"):
                self.optim_wrapper.load_state_dict(loaded["optimizer"])
        if self.param_schedulers is None and resume_param_scheduler:
            self.logger.warning(
                "`resume_param_scheduler` is True but `self.param_schedulers` is None, so skip"
                " resuming parameter schedulers"
            )
        elif loaded.get("param_schedulers") is not None and resume_param_scheduler:
            self.param_schedulers = self.build_param_scheduler(self.param_schedulers)
            was = bool(meta.get("schedule_per_update"))
            now = self._schedules_per_update
            refuse_other_counts(self.param_schedulers, self.optim_wrapper, was, now)
            if fresh is None:
                with damage.taking_up(filename, "param_schedulers"):
                    states = loaded["param_schedulers"]
                    checkpoint.load_scheduler_states(self.param_schedulers, states)
        if fresh is not None:
            with damage.taking_up(filename, "param_schedulers"):
                changes.honour(self, loaded, fresh)
        self.logger.info(f"resumed epoch: {self.epoch}, iter: {self.iter}")
        exact.take_up(self, loaded)

    def _warn_of_other_metainfo(self: Any, meta: Mapping[str, Any]) -> None:
        metainfo = getattr(self.train_dataloader.dataset, "metainfo", None)
        # Values may be arrays, which have no single truth: compare what they pickle to.
        if pickle.dumps(meta.get("dataset_meta")) != pickle.dumps(metainfo):
            self.logger.warning(
                "The dataset metainfo from the resumed checkpoint is different from the current"
                " training dataset, please check the correctness of the checkpoint or the training"
                " dataset."
            )

    def load_checkpoint(
        self: Any,
        filename: str,
        map_location: Any = "cpu",
        strict: bool = False,
        revise_keys: list[tuple[str, str]] = [(r"^module.", "")],  # noqa: B006  MMEngine's
    ) -> Any:
        """Load weights into the model.

        Args:
            filename: The checkpoint's path or URI.
            map_location: As in :func:`torch.load`.
            strict: Raise where names or shapes differ.
            revise_keys: ``(pattern, replacement)`` pairs applied to the names.

        Returns:
            The whole checkpoint.
        """
        with naming_a_good_one(filename):
            loaded = _load_checkpoint(filename, map_location=map_location)
        damage.refuse_no_weights(loaded, filename)
        self.call_hook("after_load_checkpoint", checkpoint=loaded)
        _load_checkpoint_to_model(self.bare_model, loaded, strict, revise_keys=revise_keys)
        self._has_loaded = True
        self.logger.info(f"Load checkpoint from {filename}")
        return loaded

    def save_checkpoint(
        self: Any,
        out_dir: str,
        filename: str,
        file_client_args: Any = None,
        save_optimizer: bool = True,
        save_param_scheduler: bool = True,
        meta: dict[str, Any] | None = None,
        by_epoch: bool = True,
        backend_args: Any = None,
    ) -> None:
        """Save the run.

        Args:
            out_dir: The folder or URI.
            filename: The file's name in it.
            file_client_args: Deprecated name of ``backend_args``.
            save_optimizer: Whether to save the optimizers' state.
            save_param_scheduler: Whether to save the schedulers' state.
            meta: Goes into ``meta``.
            by_epoch: Whether this is an epoch's end, which is not counted yet.
            backend_args: Arguments of the file backend.
        """
        if save_optimizer:
            # Differs: MMEngine asks on rank 0 alone, which waits for the others for ever.
            gather_shards(torch_optimizers(self.optim_wrapper))
        self._save_checkpoint(
            out_dir,
            filename,
            save_optimizer,
            save_param_scheduler,
            meta,
            by_epoch,
            backend_args or as_backend_args(file_client_args),
        )

    @master_only
    def _save_checkpoint(
        self: Any,
        out_dir: str,
        filename: str,
        save_optimizer: bool,
        save_param_scheduler: bool,
        meta: dict[str, Any] | None,
        by_epoch: bool,
        backend_args: Any,
    ) -> None:
        if meta is not None and not isinstance(meta, dict):
            raise ConfigTypeError(f"meta must be a dict or None, got {type(meta)}")
        meta = meta or {}
        meta.setdefault("epoch", self.epoch + 1 if by_epoch else self.epoch)
        meta.setdefault("iter", self.iter if by_epoch else self.iter + 1)
        collected = self._collect(meta, save_optimizer, save_param_scheduler)
        path = join_path(out_dir, filename, backend_args=backend_args)
        checkpoint.write(collected, str(path), backend_args)

    def _collect(
        self: Any,
        meta: dict[str, Any],
        save_optimizer: bool,
        save_param_scheduler: bool,
        exactly: bool = True,
    ) -> dict[str, Any]:
        """Gather what a file holds, with what hooks and callbacks add, for MMEngine and Lightning.

        Args:
            meta: The checkpoint's, with the counters to go on from.
            save_optimizer: Whether to put in the optimizers' state.
            save_param_scheduler: Whether to put in the schedulers' state.
            exactly: Whether the moment is one between two batches.
        """
        collected = checkpoint.collect(
            self,
            meta=meta,
            save_optimizer=save_optimizer,
            save_param_scheduler=save_param_scheduler,
        )
        own = exact.collect(self, meta) if save_optimizer and exactly else None
        if own is not None:
            collected[contents.OURS] = own
        self.call_hook("before_save_checkpoint", checkpoint=collected)
        save_states_of_others(self, collected)
        progress = lightning_layout.progress_of(self, meta, _lightning.steps(self.trainer))
        names = lightning_layout.optimizer_names(self.optim_wrapper)
        lightning_layout.add(collected, progress, names)
        return collected
