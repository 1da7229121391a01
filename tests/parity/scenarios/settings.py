"""Keys and arguments that no other scenario uses, a few in each run."""

from __future__ import annotations

from typing import Any

import torch
from case import Case, eval_loader, loader
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from torch import nn
from torch.nn import functional as F
from toys import labels_of

SHORT = {"by_epoch": True, "max_epochs": 2}
SGD = {"type": "SGD", "lr": 0.05, "momentum": 0.9, "weight_decay": 0.01}
IMAGES: dict[str, Any] = {"of": {"type": "ImageDataset"}}
PREPROCESSOR = {
    "type": "ImgDataPreprocessor",
    "mean": [123.675, 116.28, 103.53],
    "std": [58.395, 57.12, 57.375],
    "pad_size_divisor": 4,
    "rgb_to_bgr": True,
    "non_blocking": True,
}


def worker_options(case: Case) -> None:
    options = {"prefetch_factor": 3, "persistent_workers": True}
    case.train(train_dataloader=loader(num_workers=1, **options), train_cfg=SHORT)


def quiet_workers(case: Case) -> None:
    data = {**loader(num_workers=1), "disable_subprocess_warning": True}
    case.train(train_dataloader=data, train_cfg=SHORT)


def parts_by_hand(case: Case) -> None:
    """More of the runner's own methods."""
    runner = case.runner(train_cfg=SHORT)
    case.note(type(runner.build_model({"type": "ToyModel"})).__name__)
    case.note(type(runner.build_logger(log_level="INFO")).__name__)
    case.note(type(runner.build_message_hub({"name": "another"})).__name__)
    case.note(type(runner.build_visualizer({"type": "Visualizer", "name": "third"})).__name__)
    case.note(type(runner.build_test_loop({})).__name__)
    runner.register_custom_hooks([{"type": "IterTracer", "tag": "late"}])
    case.note(runner.wrap_model(None, runner.model) is runner.model)
    runner.load_or_resume()
    runner.dump_config()
    runner.train()


def other_norms_of_gradients(case: Case) -> None:
    clip = {"max_norm": 0.5, "norm_type": 1, "error_if_nonfinite": True, "foreach": False}
    case.train(optim_wrapper={"optimizer": SGD, "clip_grad": clip}, train_cfg=SHORT)


def clipped_one_by_one(case: Case) -> None:
    clip = {"type": "value", "clip_value": 0.05, "foreach": False}
    case.train(optim_wrapper={"optimizer": SGD, "clip_grad": clip}, train_cfg=SHORT)


@MODELS.register_module()
class DepthwiseModel(BaseModel):
    """Depth-wise convolutions with BatchNorm, one module twice, and a free vector."""

    def __init__(self, data_preprocessor: Any = None) -> None:
        super().__init__(data_preprocessor=data_preprocessor)
        self.stem = nn.Sequential(nn.Conv2d(3, 3, 3, groups=3), nn.BatchNorm2d(3))
        self.scale = nn.Parameter(torch.ones(3))
        self.head = nn.Linear(3, 3)
        self.same_head = self.head

    def forward(self, inputs: torch.Tensor, data_samples: Any = None, mode: str = "tensor") -> Any:
        hidden = self.stem(inputs).mean((2, 3)) * self.scale
        logits = self.same_head(F.relu(self.head(hidden)))
        if mode == "loss":
            return {"loss": F.cross_entropy(logits, labels_of(data_samples))}
        if mode == "predict":
            pairs = zip(logits, labels_of(data_samples), strict=True)
            return [{"pred_score": score, "gt_label": label} for score, label in pairs]
        return logits


def _train_on_images(case: Case, **changes: Any) -> Any:
    return case.train(
        model={"type": "DepthwiseModel", "data_preprocessor": PREPROCESSOR},
        train_dataloader=loader(**IMAGES),
        val_dataloader=eval_loader(**IMAGES),
        train_cfg=SHORT,
        **changes,
    )


def more_parameter_groups(case: Case) -> None:
    paramwise = {
        "flat_decay_mult": 0.0,
        "dwconv_decay_mult": 0.5,
        "dcn_offset_lr_mult": 0.1,
        "bypass_duplicate": True,
        "bias_lr_mult": 2.0,
    }
    _train_on_images(case, optim_wrapper={"optimizer": SGD, "paramwise_cfg": paramwise})


def joined_convolutions(case: Case) -> None:
    _train_on_images(case, efficient_conv_bn_eval="stem")


def recomputed_activations(case: Case) -> None:
    case.train(activation_checkpointing=["first"], train_cfg=SHORT)


def nested_log(case: Case) -> None:
    processor = {"window_size": 4, "log_with_hierarchy": True}
    case.train(log_processor=processor, train_cfg=SHORT)


def named_visualizer(case: Case) -> None:
    backend = {
        "type": "LocalVisBackend",
        "img_save_dir": "pictures",
        "config_save_file": "copied.py",
        "scalar_save_file": "numbers.json",
    }
    visualizer = {
        "type": "Visualizer",
        "name": "mine",
        "save_dir": str(case.work_dir / "seen"),
        "vis_backends": [backend],
        "fig_save_cfg": {"frameon": True},
    }
    case.train(visualizer=visualizer, train_cfg=SHORT)


def stopped_for_no_number(case: Case) -> None:
    hook = {
        "type": "EarlyStoppingHook",
        "monitor": "toy/accuracy",
        "rule": "greater",
        "min_delta": 0.5,
        "check_finite": False,
        "patience": 2,
    }
    case.train(custom_hooks=[hook], train_cfg={"by_epoch": True, "max_epochs": 6})


def emptied_caches(case: Case) -> None:
    hook = {"type": "EmptyCacheHook", "before_epoch": True, "after_epoch": True, "after_iter": True}
    case.train(custom_hooks=[hook], train_cfg=SHORT)


def stored_by_backend_arguments(case: Case) -> None:
    elsewhere = {"out_dir": str(case.work_dir / "elsewhere"), "backend_args": {"backend": "local"}}
    hooks = {
        "logger": {"type": "LoggerHook", "interval": 2, "out_suffix": (".log",), **elsewhere},
        "checkpoint": {"type": "CheckpointHook", "interval": 1, **elsewhere},
    }
    case.train(default_hooks=hooks, train_cfg=SHORT)


def published_checkpoints(case: Case) -> None:
    hook = {"type": "CheckpointHook", "interval": 1, "published_keys": ["meta", "state_dict"]}
    hook |= {"save_best": "auto", "out_dir": str(case.work_dir / "elsewhere")}
    case.train(default_hooks={"checkpoint": hook}, train_cfg=SHORT)


def published_weights(case: Case) -> None:
    """The last and the best; their hashes are others in each run of MMEngine's, too."""
    hook = {"type": "CheckpointHook", "interval": 1, "published_keys": "state_dict"}
    case.train(default_hooks={"checkpoint": {**hook, "save_best": "auto"}}, train_cfg=SHORT)


def best_by_keys_of_ones_own(case: Case) -> None:
    best = {"save_best": "toy/accuracy", "greater_keys": ["other"], "less_keys": ["accuracy"]}
    hook = {"type": "CheckpointHook", "interval": 5, "save_last": False, **best}
    case.train(default_hooks={"checkpoint": hook})


def dumped_results(case: Case) -> None:
    dump = {
        "type": "DumpResults",
        "out_file_path": str(case.work_dir / "results.pkl"),
        "collect_device": "cpu",
        "collect_dir": str(case.work_dir / "collected"),
    }
    runner = case.train(test_evaluator=[{"type": "ToyAccuracy"}, dump], train_cfg=SHORT)
    case.note(runner.test())


def half_precision_in_validation(case: Case) -> None:
    case.train(val_cfg={"fp16": True}, test_cfg={"fp16": True}, train_cfg=SHORT).test()


def mean_with_buffers(case: Case) -> None:
    options = {"update_buffers": True, "interval": 2, "device": "cpu"}
    hook = {"type": "EMAHook", "ema_type": "StochasticWeightAverage", **options}
    case.train(custom_hooks=[hook], train_cfg=SHORT)


def annealed_momentum_at_intervals(case: Case) -> None:
    options = {"gamma": 5, "interval": 2, "device": "cpu", "momentum": 0.1}
    hook = {"type": "EMAHook", "ema_type": "MomentumAnnealingEMA", **options}
    case.train(custom_hooks=[hook], train_cfg=SHORT)


def average_on_a_device(case: Case) -> None:
    hook = {"type": "EMAHook", "momentum": 0.1, "device": "cpu"}
    case.train(custom_hooks=[hook], train_cfg=SHORT)


def plateau_of_a_metric(case: Case) -> None:
    schedule = {
        "type": "ReduceOnPlateauLR",
        "monitor": "toy/accuracy",
        "rule": "greater",
        "factor": 0.3,
        "patience": 1,
        "eps": 1e-6,
        "verbose": True,
    }
    case.train(param_scheduler=schedule, train_cfg={"by_epoch": True, "max_epochs": 5})


def converted_by_a_given_length(case: Case) -> None:
    """``epoch_length`` of the config gives way to the loader's."""
    schedule = {
        "type": "LinearLR",
        "start_factor": 0.1,
        "end": 2,
        "convert_to_iter_based": True,
        "epoch_length": 6,
    }
    case.train(param_scheduler=schedule)


def schedules_of_everything(case: Case) -> None:
    """Schedules that name what they change, one that says each step, one in epochs."""
    rows = [
        {"type": "StepParamScheduler", "param_name": "weight_decay", "step_size": 1, "gamma": 0.5},
        {"type": "ExponentialMomentum", "gamma": 0.9, "by_epoch": True, "verbose": True},
        {"type": "MultiStepLR", "milestones": [4, 9], "by_epoch": False, "verbose": True},
    ]
    case.train(param_scheduler=rows, optim_wrapper={"optimizer": SGD})
