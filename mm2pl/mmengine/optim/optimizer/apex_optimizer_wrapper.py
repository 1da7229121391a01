"""The wrapper that configs name for NVIDIA's apex, run by torch's own mixed precision."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from mm2pl.errors import ConfigError, ConfigTypeError, nearest
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.optim.optimizer.amp_optimizer_wrapper import AmpOptimWrapper
from mm2pl.mmengine.registry import OPTIM_WRAPPERS
from mm2pl.plan import Status
from mm2pl.support import becomes
from mm2pl.translate.wrappers import LEVELS, NOT_IN_TORCH, is_number

# opt_level -> what apex does, and the loss scale it takes if none is given.
_MEANINGS: dict[str, tuple[str, float | str]] = {
    "O0": ("float32", 1.0),
    "O1": ("autocast", "dynamic"),
    "O2": ("float16 weights with float32 copies", "dynamic"),
    "O3": ("float16 throughout", 1.0),
}
_AS_O1 = ("O2", "O3")
_INITIAL_SCALE = 2.0**16


@OPTIM_WRAPPERS.register_module()
@becomes(
    Status.APPROXIMATED,
    "torch.amp does apex's part: O0 is float32, O1 to O3 are autocast with float32 weights",
)
class ApexOptimWrapper(AmpOptimWrapper):
    """Trains in mixed precision, as :class:`AmpOptimWrapper` does.

    Differs: apex is not used, and need not be installed. ``opt_level='O1'`` is autocast to float16
    (bfloat16 on a CPU); ``'O2'`` and ``'O3'``, which make the weights float16, are the same with a
    warning; ``'O0'`` or ``enabled=False`` is float32 without a loss scale.

    Args:
        opt_level: ``'O0'`` to ``'O3'``.
        loss_scale: ``'dynamic'``, a number, also as text, or None for the level's own.
        enabled: Whether there is any mixed precision.
        cast_model_type: Without a counterpart, like the next five: a warning names those whose
            value asks for something else than autocast does.
        patch_torch_functions: ``True`` is what autocast does.
        keep_batchnorm_fp32: ``True`` is what autocast does.
        master_weights: ``True`` is what autocast does.
        cast_model_outputs: Without a counterpart.
        num_losses: One scale serves all losses.
        verbosity: Apex's own messages, of which there are none.
        min_loss_scale: The least dynamic loss scale.
        max_loss_scale: The greatest dynamic loss scale.
        **kwargs: Arguments of :class:`OptimWrapper`, or the ``dtype`` of :class:`AmpOptimWrapper`.

    Raises:
        ConfigError: Unknown ``opt_level``, or a ``loss_scale`` that is no number.
    """

    def __init__(
        self,
        opt_level: str = "O1",
        loss_scale: float | str | None = "dynamic",
        enabled: bool | None = True,
        cast_model_type: torch.dtype | None = None,
        patch_torch_functions: bool | None = None,
        keep_batchnorm_fp32: bool | str | None = None,
        master_weights: bool | None = None,
        cast_model_outputs: torch.dtype | None = None,
        num_losses: int = 1,
        verbosity: int = 1,
        min_loss_scale: float | None = None,
        max_loss_scale: float | None = 2.0**24,
        **kwargs: Any,
    ) -> None:
        if opt_level not in LEVELS:
            raise ConfigError(
                f"opt_level must be one of {', '.join(LEVELS)}, not {opt_level!r}",
                key_path="opt_level",
                choices=nearest(str(opt_level), LEVELS),
            )
        scale = _as_scale(_MEANINGS[opt_level][1] if loss_scale is None else loss_scale)
        self._is_mixed = bool(enabled) and opt_level != "O0"
        limits = (min_loss_scale, max_loss_scale)
        self._limits = limits if self._is_mixed and scale == "dynamic" else (None, None)
        super().__init__(loss_scale=self._scaling(scale), **kwargs)
        self.opt_level = opt_level
        self.loss_scale = loss_scale
        self.enabled = enabled
        self.cast_model_type = cast_model_type
        self.patch_torch_functions = patch_torch_functions
        self.keep_batchnorm_fp32 = keep_batchnorm_fp32
        self.master_weights = master_weights
        self.cast_model_outputs = cast_model_outputs
        self.num_losses = num_losses
        self.verbosity = verbosity
        self.min_loss_scale = min_loss_scale
        self.max_loss_scale = max_loss_scale
        self._say_what_it_is()

    def _scaling(self, scale: float | str) -> float | dict[str, Any]:
        """Return the ``loss_scale`` of :class:`AmpOptimWrapper` that is meant."""
        if not self._is_mixed:
            return {"enabled": False}
        if isinstance(scale, float):
            return scale
        highest = self._limits[1]
        start = _INITIAL_SCALE if highest is None else min(_INITIAL_SCALE, float(highest))
        return {"init_scale": start}

    def _say_what_it_is(self) -> None:
        what = "autocast and torch's GradScaler" if self._is_mixed else "float32"
        print_log(f"ApexOptimWrapper trains by {what}: apex is not used", logger="current")
        if not self._is_mixed:
            return
        if self.opt_level in _AS_O1:
            meaning = _MEANINGS[self.opt_level][0]
            _warn(f"opt_level={self.opt_level!r} ({meaning}) is approximated as 'O1' (autocast)")
        for name, met in NOT_IN_TORCH.items():
            value = getattr(self, name)
            if value not in (None, *met):
                _warn(f"{name}={value!r} has no effect: torch.amp has no such option")

    def step(self, **kwargs: Any) -> None:
        """Update as :meth:`AmpOptimWrapper.step` does, and keep the loss scale in its limits."""
        super().step(**kwargs)
        if self._limits == (None, None):
            return
        one = torch.ones((), device=self.optimizer.param_groups[0]["params"][0].device)
        # The scale as a tensor: reading its value would wait for the device.
        self.loss_scaler.update(self.loss_scaler.scale(one).clamp(*self._limits))

    def state_dict(self) -> dict[str, Any]:
        """Return the state in the form of :class:`AmpOptimWrapper`; in float32 without a scaler."""
        state = super().state_dict()
        if not self.loss_scaler.is_enabled():
            del state["loss_scaler"]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned, or the state that MMEngine saved with apex."""
        state = dict(state_dict)
        saved = state.pop("apex_amp", None)
        if saved is not None:
            scaler = self._of_apex(saved)
            told = f"loss scale {scaler['scale']:g}" if scaler else "nothing: the scale stays"
            print_log(f"apex's state in the checkpoint: took up {told}", logger="current")
            if scaler:
                state.setdefault("loss_scaler", scaler)
        super().load_state_dict(state)

    def _of_apex(self, saved: Any) -> dict[str, Any] | None:
        """Return apex's state of the first, or only, loss scale as that of torch's scaler."""
        first = saved.get("loss_scaler0") if isinstance(saved, dict) else None
        if not isinstance(first, dict) or "loss_scale" not in first:
            return None
        if not self.loss_scaler.is_enabled() or self._scale_update_param is not None:
            return None
        steps = int(first.get("unskipped", 0))
        scale = float(first["loss_scale"])
        return {**self.loss_scaler.state_dict(), "scale": scale, "_growth_tracker": steps}

    def _autocast(self) -> AbstractContextManager[None]:
        return super()._autocast() if self._is_mixed else nullcontext()


def _as_scale(given: Any) -> float | str:
    if given == "dynamic":
        return "dynamic"
    is_real = isinstance(given, (int, float)) and not isinstance(given, bool)
    if is_real or (isinstance(given, str) and is_number(given)):
        return float(given)
    raise ConfigTypeError(
        f"loss_scale must be 'dynamic', a number or a number as text, not {given!r}",
        key_path="loss_scale",
    )


def _warn(message: str) -> None:
    print_log(f"ApexOptimWrapper: {message}", logger="current", level=logging.WARNING)
