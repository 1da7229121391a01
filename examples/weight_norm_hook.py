"""A hook as one writes it for MMEngine; weight_norm_callback.py does the same for Lightning."""

from mmengine.hooks import Hook
from mmengine.registry import HOOKS


@HOOKS.register_module()
class WeightNormHook(Hook):
    """Puts the norm of all weights into the log and into scalars.json.

    Args:
        interval: Iterations from one norm to the next.
    """

    priority = "NORMAL"

    def __init__(self, interval=10):
        self.interval = interval

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if self.every_n_train_iters(runner, self.interval):
            squares = [weight.detach().square().sum() for weight in runner.model.parameters()]
            runner.message_hub.update_scalar("train/weight_norm", sum(squares).sqrt().item())
