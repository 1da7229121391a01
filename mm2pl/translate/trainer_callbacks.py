"""Lightning's callbacks that are refused in ``trainer = dict(callbacks=...)``."""

from __future__ import annotations

# The class: why it cannot work here, and what does the same.
REFUSED_CALLBACKS = {
    "GradientAccumulationScheduler": (
        "the optimizer wrapper accumulates, by a fixed count",
        "trainer.accumulate_grad_batches, or a hook that changes runner.optim_wrapper",
    ),
    "StochasticWeightAveraging": (
        "it replaces the schedulers of an automatic optimisation",
        "custom_hooks=[dict(type='EMAHook', ema_type='StochasticWeightAverage')]",
    ),
    "WeightAveraging": (
        "the checkpoints of a run are MMEngine's, which know only EMAHook's weights",
        "custom_hooks=[dict(type='EMAHook')]",
    ),
    "EMAWeightAveraging": (
        "the checkpoints of a run are MMEngine's, which know only EMAHook's weights",
        "custom_hooks=[dict(type='EMAHook', momentum=0.0002)]",
    ),
    "BaseFinetuning": (
        "it adds parameter groups in mid run, which the schedulers do not know",
        "frozen_stages of the backbone, or optim_wrapper.paramwise_cfg",
    ),
    "BackboneFinetuning": (
        "it adds parameter groups in mid run, which the schedulers do not know",
        "frozen_stages of the backbone, or optim_wrapper.paramwise_cfg",
    ),
    "BatchSizeFinder": (
        "it fits several times with another batch size, and the loaders are built once",
        "train_dataloader.batch_size",
    ),
    "LearningRateFinder": (
        "it sets the module's learning rate, which here is the optimizer wrapper's",
        "optim_wrapper.optimizer.lr",
    ),
    "BasePredictionWriter": (
        "there is no predict loop",
        "test_evaluator=[..., dict(type='DumpResults', out_file_path='predictions.pkl')]",
    ),
}
