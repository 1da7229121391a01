"""Print the parameter groups of real configs and how their schedules change them.

Usage: python program.py (mmengine | mm2pl) FILES.json
"""

from __future__ import annotations

import hashlib
import importlib
import json
import logging
import sys
import warnings
from pathlib import Path
from typing import Any

ENGINE = sys.argv[1]
if ENGINE == "mm2pl":
    import mm2pl

    mm2pl.install_as_mmengine()

import torch  # noqa: E402
from mmengine.config import Config  # noqa: E402
from mmengine.hooks import ParamSchedulerHook  # noqa: E402
from mmengine.optim.optimizer import amp_optimizer_wrapper  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402
from mmengine.runner import Runner  # noqa: E402
from models import model_of  # noqa: E402

LIBRARIES = ("mmpretrain", "mmdet", "mmseg")
SGD = {"type": "OptimWrapper", "optimizer": {"type": "SGD", "lr": 0.1, "momentum": 0.9}}
ENDS = 500  # iterations at either end of a run that are shown
BLOCK = 25
GROUP_STEPS = 4_000_000  # groups times iterations that a run may have, about
EPOCHS_LAST = 6000  # iterations of a run that counts in epochs, about


class QuietRunner(Runner):
    """Does not spend seconds on finding out about compilers and devices."""

    def _log_env(self, env_cfg: Any) -> None:
        pass


def report(file: str, name: str) -> dict[str, Any]:
    """Return the groups of a config's parameters and their options at both ends of the run."""
    cfg = Config.fromfile(file, import_custom_modules=False)
    cfg.setdefault("optim_wrapper", SGD)  # a few files have a schedule alone
    _let_mmengine_build(cfg.optim_wrapper)
    init_default_scope(cfg.get("default_scope", "mmengine"))
    model, built = model_of(cfg)
    runner = _runner(cfg, model, name)
    loop = runner.train_loop
    wrapper = runner.optim_wrapper = runner.build_optim_wrapper(cfg.optim_wrapper)
    names = {id(value): name for name, value in runner.model.named_parameters()}
    told = {
        "model": [type(model).__name__, built],
        "optimizer": type(wrapper.optimizer).__name__,
        "groups": [_shown(group, names) for group in wrapper.optimizer.param_groups],
    }
    if cfg.get("auto_scale_lr"):
        runner.scale_lr(wrapper, {**cfg.auto_scale_lr, "enable": True})
    if cfg.get("param_scheduler") is not None:
        _keep_different(wrapper.optimizer, loop.max_iters)
        runner.param_schedulers = runner.build_param_scheduler(cfg.param_scheduler)
        told["schedule"] = _schedule(runner, loop.max_iters, len(loop.dataloader))
    return told


def _let_mmengine_build(section: dict[str, Any]) -> None:
    """Take out what needs a GPU or DeepSpeed's engine there; nothing is trained here."""
    if ENGINE == "mmengine":
        amp_optimizer_wrapper.is_cuda_available = lambda: True
        if section.get("type") == "DeepSpeedOptimWrapper":
            section["type"] = "OptimWrapper"


def _runner(cfg: Any, model: torch.nn.Module, name: str) -> Any:
    loop = cfg.get("train_cfg") or {"by_epoch": True, "max_epochs": 10}
    if "type" in loop:
        loop.pop("by_epoch", None)  # a few files have both: no engine runs them
    else:
        loop.setdefault("by_epoch", True)  # a few files have neither: MMEngine does not run them
    length = max(2, EPOCHS_LAST // loop.get("max_epochs", 6))
    return QuietRunner(
        model=model,
        work_dir=str(Path.cwd() / "work"),
        train_dataloader=torch.utils.data.DataLoader(range(2 * length), batch_size=2),
        train_cfg=loop,
        optim_wrapper=cfg.optim_wrapper,
        param_scheduler=cfg.get("param_scheduler"),
        default_scope=cfg.get("default_scope", "mmengine"),
        default_hooks=dict.fromkeys(("runtime_info", "timer", "sampler_seed", "logger")),
        experiment_name=name,
        log_level="ERROR",
    )


def _shown(group: dict[str, Any], names: dict[int, str]) -> dict[str, Any]:
    options = {key: repr(value) for key, value in group.items() if key != "params"}
    return {**options, "params": [names[id(value)] for value in group["params"]]}


def _keep_different(optimizer: torch.optim.Optimizer, iterations: int) -> None:
    """Drop groups that start from the same values as another: a schedule does the same to both.

    Of the many groups of a very long run every few are kept, for the time that it takes.
    """
    different: dict[str, Any] = {}
    for group in optimizer.param_groups:
        different.setdefault(_scheduled([group]), group)
    step = 1 + len(different) * iterations // GROUP_STEPS
    optimizer.param_groups[:] = list(different.values())[::step]


def _schedule(runner: Any, iterations: int, epoch_length: int) -> dict[str, Any]:
    """Step as a run does; return, for each block of iterations, the start and a digest of all."""
    hook, groups = ParamSchedulerHook(), runner.optim_wrapper.param_groups
    blocks: dict[int, list[str]] = {}
    for iteration in range(iterations):
        if iteration < ENDS or iteration >= iterations - ENDS:
            blocks.setdefault(iteration // BLOCK, []).append(_scheduled(groups))
        hook.after_train_iter(runner, iteration)
        if (iteration + 1) % epoch_length == 0:
            hook.after_train_epoch(runner)
    digests = {
        str(number * BLOCK): [lines[0], hashlib.sha256("".join(lines).encode()).hexdigest()]
        for number, lines in blocks.items()
    }
    return {"iterations": iterations, "from": digests, "end": _scheduled(groups)}


def _scheduled(groups: list[dict[str, Any]]) -> str:
    names = ("lr", "momentum", "betas", "weight_decay")
    return repr([[group.get(name) for name in names] for group in groups])


def main() -> None:
    """Report on every file."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    for library in LIBRARIES:
        importlib.import_module(f"{library}.utils").register_all_modules()
    files = json.loads(Path(sys.argv[2]).read_text())
    print(json.dumps({file: report(file, f"run{index}") for index, file in enumerate(files)}))


if __name__ == "__main__":
    main()
