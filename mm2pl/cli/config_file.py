"""Reading a config file for a command: with ``--cfg-options``, without importing torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mm2pl.errors import ConfigError, ConfigFileNotFoundError, Mm2plError

if TYPE_CHECKING:
    import argparse

    from mm2pl.mmengine.config import Config
    from mm2pl.mmengine.config._positions import Positions

_CHECKPOINTS = (".pth", ".pt", ".ckpt", ".pkl", ".safetensors", ".bin", ".onnx")
# Keys that other options than --cfg-options set.
_KEYS_OF_OPTIONS = {
    "work_dir": ("work_dir",),
    "load_from": ("checkpoint", "load_from", "resume"),
    "resume": ("resume",),
    "randomness": ("seed", "diff_rank_seed", "deterministic"),
    "launcher": ("launcher",),
    "optim_wrapper.type": ("amp",),
    "val_cfg": ("no_validate",),
}


def add_cfg_options(parser: argparse.ArgumentParser, *, several: bool = False) -> None:
    """Add ``CONFIG`` and ``--cfg-options``; ``several`` configs, folders are ``args.configs``."""
    from mm2pl.mmengine.config import DictAction

    suffixes = ".py, .yml, .yaml or .json"
    if several:
        what = f"config files ({suffixes}), and folders in which to look for them"
        parser.add_argument("configs", metavar="CONFIG", nargs="+", help=what)
    else:
        parser.add_argument("config", metavar="CONFIG", help=f"the config file: {suffixes}")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        metavar="KEY=VALUE",
        help="change the config: a.b=1 c='[1,2]' list.0.key=x",
    )


def read_config(
    file: str,
    options: Mapping[str, Any] | None = None,
    *,
    import_custom_modules: bool = False,
    execute: bool = True,
) -> Config:
    """Read a config and put the command line's options into it.

    Args:
        file: The config's path.
        options: Dotted keys and values, of ``--cfg-options``.
        import_custom_modules: Whether the modules of ``custom_imports`` are imported.
        execute: Whether the file may be run; if not, no module is imported either.

    Raises:
        NotLiteralError: The file cannot be read without running it.
        ConfigError: There is no such file, it cannot be read, or an option does not fit.
    """
    from mm2pl.mmengine.config import Config

    path = Path(file)
    if (error := error_of_checkpoint(file)) is not None:
        raise error
    if not path.is_file():
        what = "this is no regular file" if path.exists() else "the config file does not exist"
        what = "this is a folder" if path.is_dir() else what
        hint = "give a file's path"
        if "::" in file:
            hint = f"in a file of your own, write _base_ = [{file!r}], and give that file"
        raise ConfigFileNotFoundError(what, file=file, hint=hint)
    if execute:
        cfg = Config.fromfile(file, import_custom_modules=import_custom_modules)
    else:
        from mm2pl.mmengine.config._literal import read_literal

        cfg = read_literal(file)
    _merge(cfg, options or {})
    return cfg


def error_of_checkpoint(path: str) -> ConfigError | None:
    """Return what to say of a checkpoint in the place of a config; None if it is none."""
    if not path.endswith(_CHECKPOINTS) or not Path(path).exists():
        return None
    return ConfigError(
        "this is a checkpoint, not a config",
        file=path,
        hint="give the config that it was trained with; most work folders hold a copy of it",
    )


def positions_of(args: argparse.Namespace) -> Positions:
    """Return what tells where each key of the command's config was set."""
    from mm2pl.mmengine.config._positions import Positions

    trainer = [f"trainer.{key}" for key in getattr(args, "trainer_given", None) or ()]
    return Positions(args.config, [*keys_set_by(args), *trainer])


def keys_set_by(args: argparse.Namespace) -> list[str]:
    """Return the keys of the config that the command's options set, less the Trainer's."""
    given = {k for k, value in vars(args).items() if value is not None and value is not False}
    others = (key for key, names in _KEYS_OF_OPTIONS.items() if given.intersection(names))
    return [*(args.cfg_options or {}), *others]


def _merge(cfg: Config, options: Mapping[str, Any]) -> None:
    for key in options:
        if not all(key.split(".")):
            raise ConfigError(
                f"--cfg-options: {key!r} has an empty part", hint="write KEY=VALUE, a.b.c=1"
            )
    try:
        cfg.merge_from_dict(dict(options))
    except Mm2plError as error:
        error.message = f"--cfg-options: {error.message}"
        error.file = error.file or cfg.filename
        raise
