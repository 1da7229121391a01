"""Optimizer wrappers, their constructor and the registered optimizers."""

from __future__ import annotations

from mm2pl.mmengine.optim.optimizer import _deepspeed, _unsupported  # noqa: F401  registers
from mm2pl.mmengine.optim.optimizer.amp_optimizer_wrapper import (
    AmpOptimWrapper,
)
from mm2pl.mmengine.optim.optimizer.apex_optimizer_wrapper import (
    ApexOptimWrapper,
)
from mm2pl.mmengine.optim.optimizer.base import (
    BaseOptimWrapper,
)
from mm2pl.mmengine.optim.optimizer.builder import (
    OPTIM_WRAPPER_CONSTRUCTORS,
    OPTIMIZERS,
    build_optim_wrapper,
)
from mm2pl.mmengine.optim.optimizer.default_constructor import (
    DefaultOptimWrapperConstructor,
)
from mm2pl.mmengine.optim.optimizer.optimizer_wrapper import (
    OptimWrapper,
)
from mm2pl.mmengine.optim.optimizer.optimizer_wrapper_dict import (
    OptimWrapperDict,
)
from mm2pl.mmengine.optim.optimizer.zero_optimizer import (
    ZeroRedundancyOptimizer,
)

__all__ = [
    "OPTIMIZERS",
    "OPTIM_WRAPPER_CONSTRUCTORS",
    "AmpOptimWrapper",
    "ApexOptimWrapper",
    "BaseOptimWrapper",
    "DefaultOptimWrapperConstructor",
    "OptimWrapper",
    "OptimWrapperDict",
    "ZeroRedundancyOptimizer",
    "build_optim_wrapper",
]
