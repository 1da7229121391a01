"""MMEngine's fused convolution and BatchNorm in eval mode (arXiv 2305.11624), not done here."""

from __future__ import annotations

from mm2pl.support import unsupported

turn_on_efficient_conv_bn_eval = unsupported(
    "mmengine.model.efficient_conv_bn_eval.turn_on_efficient_conv_bn_eval",
    "layers are not fused by rewriting the traced graph",
    "drop `efficient_conv_bn_eval`: results are the same, evaluation takes more memory and time",
)
