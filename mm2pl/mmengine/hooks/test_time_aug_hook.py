"""Test time augmentation with a model that a strategy of its own wraps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mm2pl.errors import ConfigAssertionError
from mm2pl.mmengine.hooks.hook import Hook
from mm2pl.mmengine.registry import HOOKS, MODELS, RUNNERS

if TYPE_CHECKING:
    from mm2pl.mmengine.runner import Runner


@HOOKS.register_module()
class PrepareTTAHook(Hook):
    """Puts a test time augmentation model around the runner's before a test.

    Differs: ``tta_cfg`` is not modified; a model that is wrapped already is not wrapped again.

    Args:
        tta_cfg: Config of a :class:`~mmengine.model.BaseTTAModel`, without its ``module``.
    """

    def __init__(self, tta_cfg: dict[str, Any]) -> None:
        self.tta_cfg = tta_cfg
        self._built: Any = None

    def before_test(self, runner: Runner) -> None:
        """Wrap the model."""
        if self._built is None or runner.model is not self._built:
            self._built = MODELS.build({**self.tta_cfg, "module": runner.model})
            runner.model = self._built


def build_runner_with_tta(cfg: Any) -> Runner:
    """Return a runner that tests with ``tta_pipeline`` and ``tta_model``.

    As with MMEngine, ``cfg`` itself gets ``tta_pipeline`` as its test pipeline.

    Args:
        cfg: A config with both.

    Raises:
        AssertionError: One is missing.
    """
    for name in ("tta_model", "tta_pipeline"):
        if not hasattr(cfg, name):
            raise ConfigAssertionError(
                f"please make sure {name} is defined in your config.", key_path=name
            )
    cfg["test_dataloader"]["dataset"]["pipeline"] = cfg["tta_pipeline"]
    runner: Runner
    if "runner_type" in cfg:
        runner = RUNNERS.build(cfg)
    else:
        from mm2pl.mmengine.runner import Runner as Default

        runner = Default.from_cfg(cfg)
    runner.register_hook(PrepareTTAHook(tta_cfg=cfg["tta_model"]))
    return runner
