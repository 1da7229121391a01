"""The command line: ``mm2pl fit | validate | test CONFIG``."""

from __future__ import annotations

import argparse
import logging
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mm2pl import __version__, install_as_mmengine
from mm2pl.errors import ConfigFileNotFoundError, Mm2plError

if TYPE_CHECKING:
    from mm2pl.mmengine.config import Config

OK, FAILED, USAGE = 0, 1, 2
_EXAMPLES = """examples:
  mm2pl fit configs/digits/digits_cnn_20e.py
  mm2pl fit config.py --work-dir runs/a --cfg-options optim_wrapper.optimizer.lr=0.01
  mm2pl fit config.py --resume
  mm2pl test config.py work_dirs/config/epoch_20.pth
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: Arguments without the program's name; by default those of the process.

    Returns:
        0 if all went well, 1 if the run failed, 2 for a wrong call or config.
    """
    args = _parser().parse_args(argv)
    try:
        return int(_run(args))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return FAILED
    except Exception as error:
        return _report(error, args.traceback)


def _parser() -> argparse.ArgumentParser:
    from mm2pl.mmengine.config import DictAction

    parser = argparse.ArgumentParser(
        prog="mm2pl",
        description="Run MMEngine configs on PyTorch Lightning.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"mm2pl {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("fit", "train, and validate as the config says"),
        ("validate", "compute the validation metrics"),
        ("test", "compute the test metrics"),
    ):
        command = commands.add_parser(name, help=text, description=text.capitalize() + ".")
        command.add_argument("config", metavar="CONFIG", help="the config file")
        if name != "fit":
            command.add_argument(
                "checkpoint", metavar="CHECKPOINT", nargs="?", help="weights to load"
            )
        command.add_argument("--work-dir", metavar="DIR", help="where checkpoints and logs go")
        command.add_argument(
            "--cfg-options",
            nargs="+",
            action=DictAction,
            metavar="KEY=VALUE",
            help="change the config: a.b=1 c='[1,2]' d.0.e=x",
        )
        command.add_argument("--load-from", metavar="FILE", help="weights to start from")
        if name == "fit":
            command.add_argument(
                "--resume",
                nargs="?",
                const=True,
                metavar="FILE",
                help="go on from FILE, or from the newest checkpoint of the work dir",
            )
        command.add_argument("--seed", type=int, help="seed of all random numbers")
        command.add_argument(
            "--traceback", action="store_true", help="show the whole traceback of an error"
        )
    return parser


def _run(args: argparse.Namespace) -> int:
    install_as_mmengine()
    # Configs import user code by dotted name from where the command is given, as scripts do.
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    cfg = _load(args)  # before torch is imported: a wrong config is an error at once
    from mm2pl.runner import Runner

    # Lightning sets its level when it is imported; the run's own log says what it would say.
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    runner = Runner.from_cfg(cfg)
    if args.command == "fit":
        runner.train()
        metrics = runner.final_metrics
    else:
        metrics = runner.val() if args.command == "validate" else runner.test()
    print(_summary(runner, metrics))
    return OK


def _load(args: argparse.Namespace) -> Config:
    """Read the config and put the command line's options into it."""
    from mm2pl.mmengine.config import Config

    if not Path(args.config).is_file():
        raise ConfigFileNotFoundError(
            "the config file does not exist", file=args.config, hint="check the path"
        )
    cfg = Config.fromfile(args.config)
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    options: dict[str, Any] = {}
    if args.work_dir:
        options["work_dir"] = args.work_dir
    elif cfg.get("work_dir") is None:
        options["work_dir"] = f"./work_dirs/{Path(args.config).stem}"
    load_from = getattr(args, "checkpoint", None) or args.load_from
    resume = getattr(args, "resume", None)
    if resume:
        options["resume"] = True
        load_from = resume if isinstance(resume, str) else load_from
    if load_from:
        options["load_from"] = load_from
    if args.seed is not None:
        options["randomness"] = {**(cfg.get("randomness") or {}), "seed": args.seed}
    for key, value in options.items():
        cfg[key] = value
    return cfg


def _summary(runner: Any, metrics: dict[str, Any]) -> str:
    """Return the closing lines: metrics, and where checkpoints and logs lie."""
    lines = [f"  {name}: {value}" for name, value in metrics.items()]
    lines = ["metrics:", *lines] if lines else ["metrics: none"]
    checkpoints = sorted(Path(runner.work_dir).glob("*.pth"), key=lambda path: path.stat().st_mtime)
    if checkpoints:
        lines.append(f"checkpoints: {runner.work_dir} (newest: {checkpoints[-1].name})")
    lines.append(f"logs: {runner.log_dir}")
    return "\n".join(lines)


def _report(error: Exception, with_traceback: bool) -> int:
    """Print an error for a person and return the exit status."""
    if with_traceback:
        traceback.print_exception(error)
    known = isinstance(error, Mm2plError)
    text = str(error) if known else f"{type(error).__name__}: {error}"
    # The registry notes what was being built and where.
    text = "\n".join([text, *getattr(error, "__notes__", [])])
    print(f"mm2pl: error: {text}", file=sys.stderr)
    if not known and not with_traceback:
        place = traceback.extract_tb(error.__traceback__)[-1]
        print(f"  raised at {place.filename}:{place.lineno}", file=sys.stderr)
    if not with_traceback:
        print("  (--traceback shows where it comes from)", file=sys.stderr)
    return error.exit_status if isinstance(error, Mm2plError) else FAILED
