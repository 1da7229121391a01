"""What prepares model and optimizers for one process or several; ``FlexibleRunner`` uses them."""

from mm2pl.mmengine._strategy.base import BaseStrategy
from mm2pl.mmengine._strategy.colossalai import ColossalAIStrategy
from mm2pl.mmengine._strategy.deepspeed import DeepSpeedStrategy
from mm2pl.mmengine._strategy.distributed import DDPStrategy
from mm2pl.mmengine._strategy.fsdp import FSDPStrategy
from mm2pl.mmengine._strategy.single_device import SingleDeviceStrategy

__all__ = [
    "BaseStrategy",
    "ColossalAIStrategy",
    "DDPStrategy",
    "DeepSpeedStrategy",
    "FSDPStrategy",
    "SingleDeviceStrategy",
]
