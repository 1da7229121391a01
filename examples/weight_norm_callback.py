"""weight_norm_hook.py as a callback of Lightning's, for any Trainer."""

import lightning.pytorch as pl


class WeightNorm(pl.Callback):
    """Logs the norm of all weights.

    Args:
        interval: Iterations from one norm to the next.
    """

    def __init__(self, interval=10):
        self.interval = interval

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step % self.interval == 0:
            squares = [weight.detach().square().sum() for weight in pl_module.parameters()]
            pl_module.log("weight_norm", sum(squares).sqrt())
