"""A user's first program by configs: all parts are registered and built by name."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner, load_checkpoint

cfg = Config.fromfile(Path(__file__).with_name("registry_config.py"))
cfg.merge_from_dict({"train_dataloader.batch_size": 12})
runner = Runner.from_cfg(cfg)
runner.train()
metrics = runner.test()

# Use the trained model without a runner.
init_default_scope("mmengine")
model = MODELS.build(cfg.model)
load_checkpoint(model, runner.message_hub.get_info("best_ckpt"), map_location="cpu")
model.eval()
