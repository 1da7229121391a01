"""Run by torchrun: trains with backends and loggers of many kinds, and says who wrote."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from lightning.pytorch import Callback

from mm2pl.runner import Runner
from tests.unit.metrics.metric_toys import loader, settings

CSV = "lightning.pytorch.loggers.CSVLogger"


class Logs(Callback):
    """Logs by Lightning's own means on every rank."""

    def on_train_batch_end(self, trainer: Any, pl_module: Any, *rest: Any) -> None:
        pl_module.log("mine", float(trainer.global_rank), on_step=True, on_epoch=False)
        for logger in trainer.loggers:
            logger.log_metrics({"direct": 1.0}, step=trainer.global_step)
        trainer.logger.experiment.add_scalar("drawn", 2.0, step=trainer.global_step)


def main(folder: str) -> None:
    runner = Runner(
        **settings(
            folder,
            launcher="pytorch",
            env_cfg={"dist_cfg": {"backend": "gloo"}},
            train_dataloader=loader(batch_size=1),
            default_hooks={"logger": {"type": "LoggerHook", "interval": 1}},
            custom_hooks=[Logs(), {"type": "lightning.pytorch.callbacks.LearningRateMonitor"}],
            visualizer={
                "type": "Visualizer",
                "vis_backends": [
                    {"type": "LocalVisBackend"},
                    {"type": "TensorboardVisBackend"},
                    {"type": "CSVVisBackend"},
                    {"type": CSV, "name": "native", "version": "0"},
                ],
            },
        ),
        cfg={"trainer": {"logger": [{"type": CSV, "name": "beside", "version": "0"}]}},
    )
    runner.visualizer.add_scalar("shown", 3.0, step=1)
    runner.train()


if __name__ == "__main__":
    main(sys.argv[1])
