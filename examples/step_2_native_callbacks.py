"""Step 2 of 3 to pure Lightning: the config's Trainer, with callbacks of Lightning's added to it.

Step 1 is ``mm2pl fit configs/digits/digits_cnn_20e.py``.
"""

from lightning.pytorch.callbacks import EarlyStopping

import mm2pl
from examples.weight_norm_callback import WeightNorm


def main():
    trainer, module, data, runner = mm2pl.build("configs/digits/digits_cnn_20e.py")
    trainer.callbacks += [
        WeightNorm(),
        EarlyStopping(monitor="digits/accuracy", mode="max", stopping_threshold=0.97),
    ]
    trainer.fit(module, data)
    print(f"stopped after {runner.epoch} epochs:", dict(trainer.callback_metrics))


if __name__ == "__main__":
    main()
