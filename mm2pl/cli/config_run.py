"""One call of ``mm2pl fit``, ``validate`` or ``test``: from the config to the closing lines."""

from __future__ import annotations

import argparse
import difflib
import logging
import os
import re
import sys
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mm2pl import install_as_mmengine, profiles, version_gates
from mm2pl.cli.config_file import add_cfg_options, read_config
from mm2pl.cli.output import print_last, say
from mm2pl.errors import ConfigError, ConfigFileNotFoundError, nearest
from mm2pl.failures import USAGE, describe, exit_status
from mm2pl.libraries import LIBRARIES, how_to_get

if TYPE_CHECKING:
    from mm2pl.mmengine.config import Config
    from mm2pl.plan import Plan
    from mm2pl.runner import Runner


OK, INTERRUPTED = 0, 130
_MOST_SEED = 2**32 - 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``fit``, ``validate`` and ``test``."""
    add_cfg_options(parser)
    add = parser.add_argument
    add("checkpoint", metavar="CHECKPOINT", nargs="?", help="weights to start from")
    add(
        "--work-dir",
        metavar="DIR",
        help="where checkpoints and logs go (default: the config's work_dir, else"
        " ./work_dirs/NAME_OF_CONFIG)",
    )
    add("--load-from", metavar="FILE", help="the same as CHECKPOINT")
    add(
        "--resume",
        nargs="?",
        const=True,
        metavar="FILE",
        help="go on from FILE, or from the newest checkpoint of the work dir; validate and test"
        " load its weights",
    )
    add("--seed", type=_seed, metavar="N", help="seed of all random numbers (default: a new one)")
    add(
        "--no-profile",
        action="store_true",
        help="leave out what the library's own train.py or test.py adds to a config",
    )
    version_gates.add_option(parser)
    add("--traceback", action="store_true", help="show the whole traceback of an error")


def _seed(text: str) -> int:
    if not (text.isdecimal() and int(text) <= _MOST_SEED):
        raise argparse.ArgumentTypeError(
            f"must be a whole number from 0 to {_MOST_SEED}, got {text!r}"
        )
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Run a config."""
    if args.checkpoint and args.load_from:
        args.parser.error("CHECKPOINT and --load-from mean the same: give one of them")
    if isinstance(args.resume, str) and (args.checkpoint or args.load_from):
        args.parser.error("--resume FILE says what to load: leave CHECKPOINT and --load-from out")
    one = ConfigRun(args)
    try:
        one.go()
    except KeyboardInterrupt:
        say(one.where_interrupted())
        return INTERRUPTED
    except Exception as error:
        return report(error, one)
    return OK


class ConfigRun:
    """One call of the command line.

    Args:
        args: The parsed arguments.

    Attributes:
        runner: The runner, once it is built.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.runner: Runner | None = None

    def go(self) -> None:
        """Read the config, build, run, and print the outcome."""
        args = self.args
        install_as_mmengine()
        if args.relax_version_gates:
            version_gates.relax()
        # Configs import user code by dotted name from where the command is given, as scripts do.
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.insert(0, here)
        # Twice. First before torch is imported: a wrong config is an error at once. Then with the
        # user's own modules: in MMEngine too they register after everything that is built in.
        cfg = _load(args, import_custom_modules=False)
        import mm2pl.runner  # noqa: F401

        if cfg.get("custom_imports"):
            cfg = _load(args)
        _resolve_resume(args, cfg)
        cfg, added = (cfg, {}) if args.no_profile else profiles.with_profile(cfg, args.command)
        # A reader that goes away (| head) ends neither the run nor brings a traceback per line.
        logging.raiseExceptions = False
        if os.environ.get("RANK", "0") == "0":
            _remark_on_scope(cfg.get("default_scope"))
        runner = self.runner = _build(cfg)
        if added:
            runner.logger.info(profiles.describe(cfg, added))
        notes = [*_stray_keys(runner), *_untrained(args, runner.plan)]
        for note in notes if runner.rank == 0 else ():
            say(f"note: {note}")
        if args.command == "fit":
            runner.train()
            metrics = runner.final_metrics
        else:
            metrics = runner.val() if args.command == "validate" else runner.test()
        if runner.rank == 0:
            print_last(_summary(runner, metrics))

    def where_interrupted(self) -> str:
        """Return how far the run had come, and how to go on."""
        runner = self.runner
        if runner is None or self.args.command != "fit":
            return "interrupted"
        newest = _last_checkpoint(runner.work_dir)
        done = f"interrupted after epoch {runner.epoch}, iteration {runner.iter}"
        if newest is None:
            return f"{done}; no checkpoint was saved yet"
        return f"{done}\n  newest checkpoint: {newest}\n  repeat the command with --resume to go on"


def _build(cfg: Config) -> Runner:
    """Build the runner of the class that the config names, as the libraries' scripts do."""
    from mm2pl.mmengine.registry import RUNNERS
    from mm2pl.runner import Runner

    runner: Runner = RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)
    return runner


def _load(args: argparse.Namespace, import_custom_modules: bool = True) -> Config:
    """Read the config and put the command line's options into it."""
    cfg = read_config(args.config, args.cfg_options, import_custom_modules=import_custom_modules)
    options: dict[str, Any] = {}
    if args.work_dir:
        options["work_dir"] = args.work_dir
    elif not cfg.get("work_dir"):
        options["work_dir"] = f"./work_dirs/{Path(args.config).stem}"
    if args.resume:
        options["resume"] = args.command == "fit"
    given = args.resume if isinstance(args.resume, str) else args.checkpoint or args.load_from
    if given:
        options["load_from"] = given
    if args.seed is not None:
        options["randomness"] = {**(cfg.get("randomness") or {}), "seed": args.seed}
    for key, value in options.items():
        cfg[key] = value
    _check_weights(cfg, args.config)
    return cfg


def _check_weights(cfg: Config, file: str) -> None:
    """Refuse a missing local file now, not when model and data have been built."""
    source = cfg.get("load_from")
    if (
        isinstance(source, str)
        and not re.match(r"[\w+.-]+:", source)
        and not os.path.isfile(source)
    ):
        what = "is a folder" if os.path.isdir(source) else "does not exist"
        raise ConfigFileNotFoundError(
            f"the checkpoint {source} {what}",
            file=file,
            key_path="load_from",
            hint="check the path",
        )


def _resolve_resume(args: argparse.Namespace, cfg: Config) -> None:
    """Find the newest checkpoint of the work dir if ``--resume`` names none."""
    if args.resume is not True or cfg.get("load_from"):
        return
    newest = _last_checkpoint(cfg.work_dir)
    if args.command != "fit":
        if newest is None:
            raise ConfigError(
                f"--resume: there is no checkpoint in {cfg.work_dir}",
                hint="name one: --resume FILE, or another --work-dir",
            )
        cfg.load_from = newest
    elif newest is None:
        say(f"note: there is no checkpoint in {cfg.work_dir} to resume, so training starts anew")


def _last_checkpoint(work_dir: str) -> str | None:
    """Return the checkpoint that was saved last."""
    record = Path(work_dir, "last_checkpoint")
    newest = record.read_text().strip() if record.is_file() else ""
    return newest or None


def _remark_on_scope(scope: Any) -> None:
    """Say that nothing registers under the default scope; MMEngine goes on without it."""
    from mm2pl.mmengine.registry import Registry, root

    registries = [one for one in vars(root).values() if isinstance(one, Registry)]
    if not isinstance(scope, str):
        return
    if any(one._search_child(scope) is not None for one in registries):
        return
    if scope.isidentifier() and find_spec(scope) is not None:
        return
    near = nearest(scope, LIBRARIES)
    advice = how_to_get(scope) or (f"did you mean {near[0]!r}?" if near else "is it spelt right?")
    say(f"note: no library of default_scope={scope!r} is installed; {advice}")


def _stray_keys(runner: Runner) -> list[str]:
    """Return remarks on top-level keys that nothing reads but that look like a key of MMEngine."""
    return [
        f"nothing reads {one.key_path!r} in the config; did you mean {one.choices[0]!r}?"
        for one in runner.plan.notes
        if one.status == "unknown" and one.choices and _much_alike(one.key_path, one.choices[0])
    ]


def _much_alike(key_path: str, key: str) -> bool:
    return difflib.SequenceMatcher(None, key_path.rpartition(".")[2], key).ratio() > 0.85


def _untrained(args: argparse.Namespace, plan: Plan) -> list[str]:
    section = {"fit": None, "validate": plan.val, "test": plan.test}[args.command]
    if section is None or plan.runtime.load_from or plan.runtime.resume:
        return []
    return ["no CHECKPOINT is given, so the model is used as it is built"]


def _summary(runner: Runner, metrics: dict[str, Any]) -> str:
    """Return the closing lines: metrics, and where checkpoints and logs lie."""
    lines = [f"  {name}: {value}" for name, value in metrics.items()]
    lines = ["metrics:", *lines] if lines else ["metrics: none"]
    checkpoints = sorted(Path(runner.work_dir).glob("*.pth"), key=lambda path: path.stat().st_mtime)
    if checkpoints:
        lines.append(f"checkpoints: {runner.work_dir} (newest: {checkpoints[-1].name})")
    lines.append(f"logs: {runner.log_dir}")
    return "\n".join(lines)


def report(error: Exception, run: ConfigRun) -> int:
    """Print an error for a person and return the exit status."""
    log = _keep_traceback(error, run.runner) if exit_status(error) != USAGE else None
    sys.stdout.flush()
    if run.args.traceback:
        traceback.print_exception(error)
    say(f"error: {describe(error, run.args.config)}")
    if not run.args.traceback:
        kept = f"the traceback is in {log}; " if log else ""
        print(f"  ({kept}--traceback shows where it comes from)", file=sys.stderr)
    return exit_status(error)


def _keep_traceback(error: Exception, runner: Runner | None) -> str | None:
    """Write the traceback to the run's log file and return the file's path."""
    for handler in runner.logger.handlers if runner else ():
        if isinstance(handler, logging.FileHandler):
            text = "".join(traceback.format_exception(error))
            record = ("mm2pl", logging.ERROR, __file__, 0, f"The run failed.\n{text}", (), None)
            handler.handle(logging.LogRecord(*record))
            return handler.baseFilename
    return None
