"""The root registries, with where mm2pl's own members of each are imported from when wanted."""

from __future__ import annotations

from mm2pl.mmengine.registry.build_functions import (
    build_model_from_cfg,
    build_optimizer_from_cfg,
    build_runner_from_cfg,
    build_scheduler_from_cfg,
)
from mm2pl.mmengine.registry.registry import Registry

_RUNNER = ["mmengine.runner"]
_MODEL = ["mmengine.model"]
_OPTIM = ["mmengine.optim"]
_DATASET = ["mmengine.dataset"]
_EVALUATOR = ["mmengine.evaluator"]
_VISUALIZATION = ["mmengine.visualization"]

RUNNERS = Registry(
    "runner", build_runner_from_cfg, locations=[*_RUNNER, "mmengine.runner._flexible_runner"]
)
RUNNER_CONSTRUCTORS = Registry("runner constructor")
LOOPS = Registry("loop", locations=_RUNNER)
HOOKS = Registry("hook", locations=["mmengine.hooks"])
STRATEGIES = Registry("strategy", locations=["mmengine._strategy"])
DATASETS = Registry("dataset", locations=_DATASET)
DATA_SAMPLERS = Registry("data sampler", locations=_DATASET)
TRANSFORMS = Registry("transform")
MODELS = Registry("model", build_model_from_cfg, locations=_MODEL)
MODEL_WRAPPERS = Registry("model_wrapper", locations=_MODEL)
WEIGHT_INITIALIZERS = Registry("weight initializer", locations=_MODEL)
OPTIMIZERS = Registry("optimizer", build_optimizer_from_cfg, locations=_OPTIM)
OPTIM_WRAPPERS = Registry("optim_wrapper", locations=_OPTIM)
OPTIM_WRAPPER_CONSTRUCTORS = Registry(
    "optimizer wrapper constructor", locations=[*_OPTIM, "mm2pl.layer_decay"]
)
PARAM_SCHEDULERS = Registry("parameter scheduler", build_scheduler_from_cfg, locations=_OPTIM)
METRICS = Registry("metric", locations=_EVALUATOR)
EVALUATOR = Registry("evaluator", locations=_EVALUATOR)
TASK_UTILS = Registry("task util")
VISUALIZERS = Registry("visualizer", locations=_VISUALIZATION)
VISBACKENDS = Registry("vis_backend", locations=_VISUALIZATION)
LOG_PROCESSORS = Registry("log_processor", locations=_RUNNER)
INFERENCERS = Registry("inferencer", locations=["mmengine.infer"])
FUNCTIONS = Registry("function", locations=_DATASET)
