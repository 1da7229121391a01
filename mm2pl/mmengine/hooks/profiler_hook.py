"""Profiling with torch's profiler."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import torch
from torch import profiler

from mm2pl.errors import ConfigError, MissingPackageError
from mm2pl.mmengine.hooks.hook import DATA_BATCH, Hook
from mm2pl.mmengine.registry import HOOKS
from mm2pl.support import unsupported

NPUProfilerHook = unsupported(
    "mmengine.hooks.NPUProfilerHook",
    "it drives the profiler of Huawei's NPUs, which Lightning does not run on",
    "ProfilerHook profiles CPU and CUDA",
)
HOOKS.register_module(name="NPUProfilerHook", module=NPUProfilerHook)


@HOOKS.register_module()
class ProfilerHook(Hook):
    """Profiles the first epoch, or the first iterations, of the training.

    Differs: the trace is written once; MMEngine tries it twice if ``profile_times`` iterations end
    in a later epoch than the first, at whose end it has closed the profiler.

    Args:
        by_epoch: Whether ``profile_times`` counts epochs, else iterations.
        profile_times: How many are profiled; of epochs, one.
        activity_with_cpu: Profile what the CPU does.
        activity_with_cuda: Profile what CUDA does.
        schedule: Arguments of ``torch.profiler.schedule``.
        on_trace_ready: What is done with a trace: a function of the profiler;
            ``dict(type='log_trace', **arguments of its table)``, which prints a table;
            ``dict(type='tb_trace', **arguments of tensorboard_trace_handler)``, for which
            ``dir_name`` is below the run's log folder, by default ``tf_tracing_logs``.
        record_shapes: Record the shapes of inputs.
        profile_memory: Record the memory that is taken and given back.
        with_stack: Record where in the source an operator is called.
        with_flops: Estimate operations of products and convolutions.
        json_trace_path: A file for the trace, in Chrome's format.

    Raises:
        ValueError: ``profile_times`` is below 1, or above 1 with epochs.
        AssertionError: An argument is of the wrong type.
    """

    priority = "VERY_LOW"
    profiler: profiler.profile

    def __init__(
        self,
        *,
        by_epoch: bool = True,
        profile_times: int = 1,
        activity_with_cpu: bool = True,
        activity_with_cuda: bool = False,
        schedule: dict[str, Any] | None = None,
        on_trace_ready: Callable[..., Any] | dict[str, Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        json_trace_path: str | None = None,
    ) -> None:
        _check("by_epoch", by_epoch, bool)
        if profile_times < 1:
            raise ConfigError(
                f"profile_times should be greater than 0, but got {profile_times}",
                key_path="profile_times",
            )
        if by_epoch and profile_times > 1:
            raise ConfigError(
                f"{profile_times} epochs are too many to profile, which is slow: one is enough",
                key_path="profile_times",
                hint="by_epoch=False counts iterations",
            )
        _check("activity_with_cpu", activity_with_cpu, bool)
        _check("activity_with_cuda", activity_with_cuda, bool)
        if schedule is not None:
            _check("schedule", schedule, dict)
        self.by_epoch = by_epoch
        self.profile_times = profile_times
        wanted = {
            profiler.ProfilerActivity.CPU: activity_with_cpu,
            profiler.ProfilerActivity.CUDA: activity_with_cuda,
        }
        self.activities = [activity for activity, is_wanted in wanted.items() if is_wanted]
        self.schedule = None if schedule is None else profiler.schedule(**schedule)
        self.on_trace_ready = on_trace_ready
        self.record_shapes = record_shapes
        self.profile_memory = profile_memory
        self.with_stack = with_stack
        self.with_flops = with_flops
        self.json_trace_path = json_trace_path
        self._closed = False

    def before_run(self, runner: Any) -> None:
        """Start the profiler.

        Raises:
            ValueError: More is to be profiled than the run has, or ``on_trace_ready`` is wrong.
        """
        length = runner.max_epochs if self.by_epoch else runner.max_iters
        if length < self.profile_times:
            raise ConfigError(
                f"``profile_times`` should not be greater than {length}",
                key_path="profile_times",
            )
        self.profiler = profiler.profile(
            activities=self.activities,
            schedule=self.schedule,
            on_trace_ready=self._parse_trace_config(runner),
            record_shapes=self.record_shapes,
            profile_memory=self.profile_memory,
            with_stack=self.with_stack,
            with_flops=self.with_flops,
        )
        self.profiler.__enter__()  # type: ignore[no-untyped-call]
        runner.logger.info("profiler is profiling...")

    def _parse_trace_config(self, runner: Any) -> Callable[..., Any] | None:
        """Return what is done with a trace."""
        given = self.on_trace_ready
        if given is None or callable(given):
            return given
        if not isinstance(given, dict):
            raise ConfigError(
                f"``on_trace_ready`` should be a handler, or dict, or None, but got {given!r}",
                key_path="on_trace_ready",
            )
        arguments = dict(given)
        kind = arguments.pop("type")
        if kind == "log_trace":
            return lambda done: print(done.key_averages().table(**arguments))  # noqa: T201
        if kind == "tb_trace":
            return self._tensorboard(runner, arguments)
        raise ConfigError(
            f'trace_type should be "log_trace" or "tb_trace", but got {kind}',
            key_path="on_trace_ready.type",
        )

    def _tensorboard(self, runner: Any, arguments: dict[str, Any]) -> Callable[..., Any]:
        if find_spec("torch_tb_profiler") is None:
            raise MissingPackageError(
                "on_trace_ready=dict(type='tb_trace') needs torch-tb-profiler, which shows traces",
                hint="pip install torch-tb-profiler",
            )
        arguments["dir_name"] = os.path.join(
            runner.log_dir, arguments.get("dir_name", "tf_tracing_logs")
        )
        runner.logger.info(f"trace_files of ProfilerHook will be saved to {arguments['dir_name']}.")
        if self.json_trace_path is not None:
            runner.logger.warning(
                "tb_trace writes JSON itself, in files named by its worker_name; "
                "json_trace_path may not get the whole trace"
            )
        handler: Callable[..., Any] = torch.profiler.tensorboard_trace_handler(**arguments)
        return handler

    def after_train_epoch(self, runner: Any) -> None:
        """Finish; in an iteration loop this comes once, at its end."""
        if not self._closed:
            self._export_chrome_trace(runner)

    def after_train_iter(
        self,
        runner: Any,
        batch_idx: int,
        data_batch: DATA_BATCH = None,
        outputs: dict[str, Any] | None = None,
    ) -> None:
        """Go a step on, and finish after the last iteration to profile."""
        if self._closed:
            return
        self.profiler.step()
        if not self.by_epoch and runner.iter == self.profile_times - 1:
            self._export_chrome_trace(runner)

    def _export_chrome_trace(self, runner: Any) -> None:
        """Stop the profiler and write the trace."""
        self._closed = True
        runner.logger.info("profiler may take a few minutes...")
        self.profiler.__exit__(None, None, None)  # type: ignore[no-untyped-call]
        if self.json_trace_path is not None:
            self.profiler.export_chrome_trace(self.json_trace_path)


def _check(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise AssertionError(f"``{name}`` should be a {kind.__name__}, got {value!r}")
