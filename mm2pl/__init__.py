"""mm2pl runs OpenMMLab (MMEngine) configs on PyTorch Lightning."""

__version__ = "0.1.0"
