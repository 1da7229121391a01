"""Hooks: what a run does at its 22 points, beside training, validating and testing."""

from __future__ import annotations

from mm2pl.mmengine.hooks.checkpoint_hook import CheckpointHook
from mm2pl.mmengine.hooks.early_stopping_hook import EarlyStoppingHook
from mm2pl.mmengine.hooks.ema_hook import EMAHook
from mm2pl.mmengine.hooks.empty_cache_hook import EmptyCacheHook
from mm2pl.mmengine.hooks.hook import Hook
from mm2pl.mmengine.hooks.iter_timer_hook import IterTimerHook
from mm2pl.mmengine.hooks.logger_hook import LoggerHook
from mm2pl.mmengine.hooks.naive_visualization_hook import NaiveVisualizationHook
from mm2pl.mmengine.hooks.param_scheduler_hook import ParamSchedulerHook
from mm2pl.mmengine.hooks.profiler_hook import NPUProfilerHook, ProfilerHook
from mm2pl.mmengine.hooks.runtime_info_hook import RuntimeInfoHook
from mm2pl.mmengine.hooks.sampler_seed_hook import DistSamplerSeedHook
from mm2pl.mmengine.hooks.sync_buffer_hook import SyncBuffersHook
from mm2pl.mmengine.hooks.test_time_aug_hook import PrepareTTAHook

__all__ = [
    "CheckpointHook",
    "DistSamplerSeedHook",
    "EMAHook",
    "EarlyStoppingHook",
    "EmptyCacheHook",
    "Hook",
    "IterTimerHook",
    "LoggerHook",
    "NPUProfilerHook",
    "NaiveVisualizationHook",
    "ParamSchedulerHook",
    "PrepareTTAHook",
    "ProfilerHook",
    "RuntimeInfoHook",
    "SyncBuffersHook",
]
