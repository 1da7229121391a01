"""Step 3 of 3 to pure Lightning: one's own LightningModule and Trainer.

Of MMEngine only the model's class and the data pipeline are left, built from the config.
"""

import lightning.pytorch as pl
import torch
from torchmetrics.classification import MulticlassAccuracy

import mm2pl
from examples.weight_norm_callback import WeightNorm
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.registry import MODELS

CONFIG = "configs/digits/digits_cnn_20e.py"
EPOCHS = 10


class Classifier(pl.LightningModule):
    def __init__(self, model):
        super().__init__()
        self.model = model
        self.accuracy = MulticlassAccuracy(10, average="micro")

    def training_step(self, batch, batch_idx):
        inputs = self.model.data_preprocessor(batch, training=True)
        loss, values = self.model.parse_losses(self.model(**inputs, mode="loss"))
        self.log_dict(values, prog_bar=True)
        return loss

    def validation_step(self, batch, batch_idx):
        samples = self.model.val_step(batch)
        predicted, correct = (
            torch.tensor([sample.get(key) for sample in samples], device=self.device)
            for key in ("pred_label", "gt_label")
        )
        self.accuracy(predicted, correct)
        self.log("accuracy", self.accuracy)

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=3e-3)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
        return [optimizer], [schedule]


def main():
    mm2pl.install_as_mmengine()  # the model's and the dataset's code imports mmengine
    pl.seed_everything(0)
    cfg = Config.fromfile(CONFIG)
    model = MODELS.build(cfg.model)
    model.init_weights()
    loaders = [
        mm2pl.Runner.build_dataloader(cfg[key]) for key in ("train_dataloader", "val_dataloader")
    ]
    trainer = pl.Trainer(
        max_epochs=EPOCHS,
        callbacks=[WeightNorm()],
        log_every_n_steps=10,
        default_root_dir="work_dirs/step_3",
    )
    trainer.fit(Classifier(model), *loaders)
    print(dict(trainer.callback_metrics))


if __name__ == "__main__":
    main()
