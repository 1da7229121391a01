"""What the options of OpenMMLab's ``tools/train.py`` and ``tools/test.py`` do to a config.

Where the libraries' scripts differ, ``default_scope`` decides, by the rows of :data:`HABITS`.
``--cfg-options`` is in the config already, as in mmdet's and mmseg's scripts.

Differs: mmpretrain's, mmpose's and mmaction2's scripts merge ``--cfg-options`` after the other
options, so that ``--tta`` shifts the paths below ``model``.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mm2pl.cli.output import say
from mm2pl.errors import ConfigError, ConfigRuntimeError
from mm2pl.translate.evaluators import is_evaluator
from mm2pl.translate.report import type_name

if TYPE_CHECKING:
    import argparse

    from mm2pl.mmengine.config import Config

PICKLES, RECORDS = (".pkl", ".pickle"), (".json", ".yaml", ".yml", ".pkl", ".pickle")
_STAGES = {"fit": ("train", "val", "test"), "validate": ("val",), "test": ("test",)}
_PLAIN, _MIXED = "OptimWrapper", "AmpOptimWrapper"


@dataclass(frozen=True)
class Showing:
    """What ``--show`` and ``--show-dir`` set.

    Attributes:
        switch: The key of the visualization hook that turns it on.
        folder: Key path of ``--show-dir``'s folder; within the hook unless it has a dot.
        wait: The seconds of ``--wait-time`` if it is not given.
        writes_all: Whether the script writes each of the hook's keys, those of options that are not
            given too.
        always_waits: Whether ``wait_time`` is written without ``--show``, too.
    """

    switch: str
    folder: str
    wait: float = 2
    writes_all: bool = False
    always_waits: bool = False


@dataclass(frozen=True)
class Augmenting:
    """What ``--tta`` takes where the config has no ``tta_model`` or no ``tta_pipeline``.

    Attributes:
        model: The model.
        last: What ends the pipeline; None for the test pipeline's own last transform.
    """

    model: Mapping[str, Any]
    last: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Habits:
    """The options of one library's scripts that mean something else in another's.

    Attributes:
        out: What ``--out`` writes: ``metrics`` to a file, ``pred`` (the predictions) to a pickle
            file, or ``folder``: the metric writes its results to a folder.
        dump: The metric that writes predictions.
        keeps_loss_scale: Whether ``--amp`` leaves a ``loss_scale`` of the config as it is.
        showing: What ``--show`` sets; None if there is no such option.
        augmenting: Defaults of ``--tta``; None if the config must have both keys.
    """

    out: str = "metrics"
    dump: str = "DumpResults"
    keeps_loss_scale: bool = True
    showing: Showing | None = None
    augmenting: Augmenting | None = None


_ENABLED = Showing("enable", "out_dir", writes_all=True, always_waits=True)
_DRAWN = Showing("draw", "test_out_dir")
_DETECTION_KEYS = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")
# Read in the scripts of the versions that mm2pl.profiles names.
HABITS = {
    "mmpretrain": Habits(
        out="pred",
        showing=_ENABLED,
        augmenting=Augmenting({"type": "mmpretrain.AverageClsScoreTTA"}),
    ),
    "mmdet": Habits(
        out="pred",
        dump="DumpDetResults",
        keeps_loss_scale=False,
        showing=_DRAWN,
        augmenting=Augmenting(
            {
                "type": "DetTTAModel",
                "tta_cfg": {"nms": {"type": "nms", "iou_threshold": 0.5}, "max_per_img": 100},
            },
            {
                "type": "PackDetInputs",
                "meta_keys": (*_DETECTION_KEYS, "flip", "flip_direction"),
            },
        ),
    ),
    "mmseg": Habits(
        out="folder", keeps_loss_scale=False, showing=Showing("draw", "visualizer.save_dir")
    ),
    "mmpose": Habits(showing=Showing("enable", "out_dir", wait=1, writes_all=True)),
    "mmaction": Habits(showing=_ENABLED),
    "mmyolo": Habits(out="pred", keeps_loss_scale=False, showing=_DRAWN),
}


def habits_of(cfg: Any) -> Habits:
    """Return the habits of the library whose config it is; those of none by default."""
    scope = cfg.get("default_scope")
    return HABITS.get(scope, Habits()) if isinstance(scope, str) else Habits()


@dataclass(frozen=True)
class After:
    """What is to be done when a run has ended.

    Attributes:
        metrics_file: Where the metrics are to be written.
    """

    metrics_file: str | None = None


def apply(cfg: Config, args: argparse.Namespace) -> After:
    """Change a config as the options say.

    Args:
        cfg: The config, which is changed.
        args: The parsed options; those that the command does not have are left out.

    Raises:
        ConfigError: The config lacks what an option is about.
    """
    given = {
        name: value
        for name, value in vars(args).items()
        if value is not None and value is not False
    }
    habits = habits_of(cfg)
    _place(cfg, args)
    _weights(cfg, args)
    _randomness(cfg, given)
    if "launcher" in given:
        cfg["launcher"] = args.launcher
    if "amp" in given:
        _amp(cfg, args.command, habits)
    if "auto_scale_lr" in given:
        _auto_scale_lr(cfg)
    if "no_validate" in given:
        cfg.update(dict.fromkeys(("val_cfg", "val_dataloader", "val_evaluator")))
    _loaders(cfg, given, _STAGES[args.command])
    if "show" in given or "show_dir" in given:
        _show(cfg, given, habits)
    if "tta" in given:
        _augment(cfg, habits.augmenting)
    if "dump" in given:
        _dump_predictions(cfg, args.dump, habits.dump, "--dump")
    return _out(cfg, given, habits)


# --------------------------------------------------------------------------- any library


def _place(cfg: Config, args: argparse.Namespace) -> None:
    if args.work_dir:
        cfg["work_dir"] = args.work_dir
    elif not cfg.get("work_dir"):
        cfg["work_dir"] = f"./work_dirs/{Path(args.config).stem}"


def _weights(cfg: Config, args: argparse.Namespace) -> None:
    if getattr(args, "no_exact_resume", False) and (args.resume or cfg.get("resume")):
        cfg["resume"] = {"exact": False}
    if args.resume:
        given = cfg.get("resume")  # may say how: dict(exact=False)
        how = given if isinstance(given, dict) and given else True
        cfg["resume"] = how if args.command == "fit" else False
        # Differs: mmseg's script leaves load_from, and MMEngine then goes on from that file.
        cfg["load_from"] = None if args.resume == "auto" else args.resume
    elif args.checkpoint or args.load_from:
        cfg["load_from"] = args.checkpoint or args.load_from


def _randomness(cfg: Config, given: Mapping[str, Any]) -> None:
    # Differs: mmaction2's script takes these options only if the config has no `randomness`.
    names = ("seed", "diff_rank_seed", "deterministic")
    values = {name: given[name] for name in names if name in given}
    if values:
        cfg["randomness"] = {**(cfg.get("randomness") or {}), **values}


def _amp(cfg: Config, command: str, habits: Habits) -> None:
    if command != "fit":
        (stage,) = _STAGES[command]
        cfg[f"{stage}_cfg"] = {**(cfg.get(f"{stage}_cfg") or {}), "fp16": True}
        return
    wrapper = _section(cfg, "optim_wrapper", "--amp")
    kind = type_name(dict.get(wrapper, "type", _PLAIN))
    if kind not in (_PLAIN, _MIXED) or ("type" not in wrapper and "optimizer" not in wrapper):
        # Differs: mmpretrain's and mmdet's scripts replace any wrapper.
        what = kind if "type" in wrapper else "several wrappers"
        raise ConfigRuntimeError(
            f"--amp is for the wrapper {_PLAIN}, and this is {what}",
            key_path="optim_wrapper.type",
            file=cfg.filename,
            hint=f"write type={_MIXED!r} into the config where it is wanted",
        )
    if kind == _MIXED:
        say("note: --amp: the config trains with mixed precision already")
    wrapper["type"] = _MIXED
    if habits.keeps_loss_scale:
        wrapper.setdefault("loss_scale", "dynamic")
    elif kind == _PLAIN:
        # Differs: mmdet's script also replaces the loss_scale of an AmpOptimWrapper.
        wrapper["loss_scale"] = "dynamic"


def _auto_scale_lr(cfg: Config) -> None:
    section = cfg.get("auto_scale_lr") or {}
    if "base_batch_size" not in section:
        raise ConfigRuntimeError(
            "--auto-scale-lr needs the batch size that the learning rate was chosen for",
            key_path="auto_scale_lr.base_batch_size",
            file=cfg.filename,
            hint="auto_scale_lr=dict(base_batch_size=N) in the config",
        )
    section["enable"] = True


def _loaders(cfg: Config, given: Mapping[str, Any], stages: Sequence[str]) -> None:
    keys = [key for key in ("pin_memory", "persistent_workers") if f"no_{key}" in given]
    for stage in stages:
        loader = cfg.get(f"{stage}_dataloader")
        if isinstance(loader, dict):
            loader.update(dict.fromkeys(keys, False))


# --------------------------------------------------------------------------- by library


def _show(cfg: Config, given: Mapping[str, Any], habits: Habits) -> None:
    hook = (cfg.get("default_hooks") or {}).get("visualization")
    place: dict[str, Any] = {"key_path": "default_hooks.visualization", "file": cfg.filename}
    if not isinstance(hook, dict):
        raise ConfigRuntimeError(
            "--show and --show-dir set the visualization hook, and the config has none",
            hint="default_hooks=dict(visualization=dict(type='VisualizationHook')), or the hook of"
            " the library",
            **place,
        )
    showing = habits.showing
    if showing is None:
        raise ConfigError(
            f"which keys of {type_name(dict.get(hook, 'type'))} --show and --show-dir stand for is"
            " not known",
            hint=f"known for default_scope {', '.join(HABITS)}; else set the hook's keys by"
            " --cfg-options default_hooks.visualization.KEY=VALUE",
            **place,
        )
    values: dict[str, Any] = {showing.switch: True}
    show, folder = "show" in given, given.get("show_dir")
    if show or showing.writes_all:
        values["show"] = show
    if show or showing.always_waits:
        values["wait_time"] = given.get("wait_time", showing.wait)
    if "interval" in given or showing.writes_all:
        values["interval"] = given.get("interval", 1)
    section, _, key = showing.folder.rpartition(".")
    if section and folder:
        _section(cfg, section, "--show-dir")[key] = folder
    elif not section and (folder or showing.writes_all):
        values[key] = folder
    hook.update(values)


def _augment(cfg: Config, defaults: Augmenting | None) -> None:
    model, pipeline = cfg.get("tta_model"), cfg.get("tta_pipeline")
    if defaults is None and not (model and pipeline):
        missing = "tta_pipeline" if model else "tta_model"
        raise ConfigRuntimeError(
            "--tta takes tta_model and tta_pipeline from the config",
            key_path=missing,
            file=cfg.filename,
            hint="tta_model=dict(type=...), tta_pipeline=[..., dict(type='TestTimeAug', ...)]",
        )
    dataset = _section(cfg, "test_dataloader", "--tta").get("dataset")
    while isinstance(dataset, dict) and isinstance(dataset.get("dataset"), dict):
        # Differs: mmdet's script sets the pipeline of the outermost one, which takes none.
        dataset = dataset["dataset"]
    if not (isinstance(dataset, dict) and dataset.get("pipeline")):
        raise ConfigRuntimeError(
            "--tta replaces the pipeline of the test data, and there is none",
            key_path="test_dataloader.dataset.pipeline",
            file=cfg.filename,
        )
    if defaults and not (model and pipeline):
        say("note: --tta: the config has no tta_model and tta_pipeline of its own; flips are used")
    if defaults and not pipeline:
        *first, last = copy.deepcopy(dataset["pipeline"])
        flips = [{"type": "RandomFlip", "prob": 1.0}, {"type": "RandomFlip", "prob": 0.0}]
        ends = [dict(defaults.last) if defaults.last else last]
        pipeline = cfg["tta_pipeline"] = [
            *first,
            {"type": "TestTimeAug", "transforms": [flips, ends]},
        ]
    if defaults and not model:
        model = cfg["tta_model"] = copy.deepcopy(dict(defaults.model))
    cfg["model"] = {**dict.copy(model), "module": cfg["model"]}
    dataset["pipeline"] = pipeline


def _out(cfg: Config, given: Mapping[str, Any], habits: Habits) -> After:
    path, what = given.get("out"), given.get("out_item") or habits.out
    if path is None:
        if "out_item" in given:
            raise ConfigError("--out-item says what --out FILE writes; there is no --out")
        return After()
    if what == "metrics":
        if not path.endswith(RECORDS):
            raise ConfigError(
                f"--out {path}: the metrics go to a file of JSON, YAML or pickle",
                hint="--out metrics.json",
            )
        return After(metrics_file=path)
    if what == "folder":
        evaluator = cfg.get("test_evaluator")
        if not isinstance(evaluator, dict):
            raise ConfigRuntimeError(
                "--out sets the folder of one metric, and there are several or none",
                key_path="test_evaluator",
                file=cfg.filename,
                hint="--cfg-options test_evaluator.0.output_dir=DIR, or --dump FILE.pkl",
            )
        evaluator.update(output_dir=path, keep_results=True)
    else:
        _dump_predictions(cfg, path, habits.dump, "--out")
    return After()


def _dump_predictions(cfg: Config, path: str, kind: str, option: str) -> None:
    if not path.endswith(PICKLES):
        raise ConfigError(
            f"{option} {path}: predictions go to a pickle file", hint=f"{option} predictions.pkl"
        )
    evaluator = cfg.get("test_evaluator")
    if not evaluator:
        raise ConfigRuntimeError(
            f"{option}: the config has no test", key_path="test_evaluator", file=cfg.filename
        )
    if isinstance(cfg.get("test_dataloader"), (list, tuple)):
        raise ConfigRuntimeError(
            f"{option}: one file cannot hold the predictions for several test sets",
            key_path="test_dataloader",
            file=cfg.filename,
            hint="a DumpResults in the evaluator of each, as a list of evaluators",
        )
    metric = {"type": kind, "out_file_path": path}
    if is_evaluator(evaluator) and isinstance(evaluator.get("metrics"), list):
        evaluator["metrics"] = [*evaluator["metrics"], metric]
    else:
        several = isinstance(evaluator, (list, tuple))
        cfg["test_evaluator"] = [*(evaluator if several else [evaluator]), metric]


def _section(cfg: Config, key: str, option: str) -> Any:
    section = cfg.get(key)
    if not isinstance(section, dict):
        raise ConfigRuntimeError(
            f"{option} changes {key}, and the config has none", key_path=key, file=cfg.filename
        )
    return section
