"""One call of ``mm2pl fit``, ``validate`` or ``test``: from the config to the closing lines."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
import traceback
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mm2pl import install_as_mmengine, profiles, version_gates
from mm2pl.cli import habits, launching, remarks, trainer_options
from mm2pl.cli.config_file import positions_of, read_config
from mm2pl.cli.output import is_first, print_last, say, table
from mm2pl.cli.run_options import add_arguments
from mm2pl.cli.trainer_options import split
from mm2pl.errors import ConfigError, ConfigFileNotFoundError
from mm2pl.failures import USAGE, describe, exit_status

if TYPE_CHECKING:
    from mm2pl.mmengine.config import Config
    from mm2pl.runner import Runner

__all__ = ["ConfigRun", "add_arguments", "report", "run", "split"]

OK, INTERRUPTED = 0, 130


def run(args: argparse.Namespace) -> int:
    """Run a config."""
    trainer_options.take_ckpt_path(args)
    if args.checkpoint and args.load_from:
        args.parser.error("CHECKPOINT and --load-from mean the same: give one of them")
    both = args.resume and (args.checkpoint or args.load_from)
    if both and (args.resume != "auto" or args.command != "fit"):
        args.parser.error("--resume says what to load: leave CHECKPOINT and --load-from out")
    one = ConfigRun(args)
    try:
        return one.go()
    except KeyboardInterrupt:
        if is_first():
            say(one.where_interrupted())
        return INTERRUPTED
    except Exception as error:
        return report(error, one)


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

    def go(self) -> int:
        """Read the config, build, run, print the outcome, and return the exit status."""
        args = self.args
        install_as_mmengine()
        if args.relax_version_gates:
            version_gates.relax()
        if args.local_rank is not None:
            os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
        # Configs import user code by dotted name from where the command is given, as scripts do.
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.insert(0, here)
        # Twice. First before torch is imported: a wrong config is an error at once. Then with the
        # user's own modules: in MMEngine too they register after everything that is built in.
        cfg, after = load(args, import_custom_modules=False)
        if args.print_config:
            print_last(trainer_options.effective(cfg).pretty_text.rstrip())
            return OK
        launched = launching.launch(cfg, args)
        if launched is not None:
            return launched
        import mm2pl.runner  # noqa: F401
        from mm2pl.checkpoint import trusting

        if cfg.get("custom_imports"):
            cfg, after = load(args)
            launching.launch(cfg, args)  # in a process that was launched: joins the others
        # A reader that goes away (| head) ends neither the run nor brings a traceback per line.
        logging.raiseExceptions = False
        with trusting(args.unsafe_load) if args.unsafe_load else nullcontext():
            return self._run(cfg, after)

    def _run(self, cfg: Config, after: habits.After) -> int:
        args = self.args
        _resolve_resume(args, cfg)
        cfg, added = (cfg, {}) if args.no_profile else profiles.with_profile(cfg, args.command)
        remarks.say_before(cfg)
        runner = self.runner = _build(cfg)
        if added:
            runner.logger.info(profiles.describe(cfg, added))
        if runner.rank == 0:
            remarks.say_of_plan(runner.plan, args)
        if args.command == "fit":
            runner.train()
            metrics = runner.final_metrics
        else:
            metrics = runner.val() if args.command == "validate" else runner.test()
        if runner.rank == 0:
            if after.metrics_file:
                _write(metrics, after.metrics_file)
            print_last(_summary(runner, metrics, after.metrics_file))
        return OK

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


def load(
    args: argparse.Namespace, *, import_custom_modules: bool = True
) -> tuple[Config, habits.After]:
    """Read the config and let the command line's options change it.

    Args:
        args: The parsed arguments.
        import_custom_modules: Whether the modules of ``custom_imports`` are imported.

    Returns:
        The config, and what is to be done after the run.
    """
    cfg = read_config(args.config, args.cfg_options, import_custom_modules=import_custom_modules)
    after = habits.apply(cfg, args)
    trainer_options.merge(cfg, args)
    trainer_options.let_options_win(cfg, args)
    _check_weights(cfg, args.config)
    return cfg, after


def _build(cfg: Config) -> Runner:
    """Build the runner of the class that the config names, as the libraries' scripts do."""
    from mm2pl.mmengine.registry import RUNNERS
    from mm2pl.runner import Runner

    runner: Runner = RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)
    return runner


def _check_weights(cfg: Config, file: str) -> None:
    """Refuse a missing local file now, not when model and data have been built."""
    source = cfg.get("load_from")
    if not isinstance(source, str) or re.match(r"[\w+.-]+:", source):
        return
    path = os.path.expanduser(source)
    if not os.path.isfile(path):
        folder, newest = os.path.isdir(path), _last_checkpoint(path)
        raise ConfigFileNotFoundError(
            f"the checkpoint {source} {'is a folder' if folder else 'does not exist'}",
            file=file,
            key_path="load_from",
            hint=f"the newest one in it is {newest}" if newest else "check the path",
        )


def _resolve_resume(args: argparse.Namespace, cfg: Config) -> None:
    """Find the newest checkpoint of the work dir if ``--resume`` names none.

    Where none is there, a training begins with the weights that the command names, if it does.
    """
    if args.resume != "auto":
        return
    from mm2pl.latest_checkpoint import is_marked, newest_good

    nothing = not is_marked(cfg.work_dir)
    if args.command != "fit":
        if nothing:
            raise ConfigError(
                f"--resume: there is no checkpoint in {cfg.work_dir}",
                hint="name one: --resume FILE, or another --work-dir",
            )
        cfg.load_from = newest_good(cfg.work_dir, lambda text: say(f"warning: {text}"))
        return
    begin = args.checkpoint or args.load_from
    if nothing:
        how = f"with {begin}" if begin else "without the config's load_from"
        say(f"note: {cfg.work_dir} has no checkpoint to resume, so training starts anew, {how}")
    if begin and nothing:
        cfg.load_from, cfg.resume = begin, False
    elif begin:
        say(f"note: training goes on from {cfg.work_dir}, without {begin}")


def _last_checkpoint(work_dir: str) -> str | None:
    """Return the checkpoint that was saved last."""
    record = Path(work_dir, "last_checkpoint")
    newest = record.read_text(errors="replace").strip() if record.is_file() else ""
    return newest or None


def _write(metrics: dict[str, Any], path: str) -> None:
    from mm2pl.mmengine.fileio import dump

    dump(metrics, path)


def _summary(runner: Runner, metrics: dict[str, Any], file: str | None) -> str:
    """Return the closing lines: metrics, and where checkpoints and logs lie."""
    lines = [table("metrics", metrics) if metrics else "metrics: none"]
    if "fast_dev_run" in runner.plan.runtime.trainer:
        return "\n".join([*lines, "fast_dev_run: all stages work; nothing was kept"])
    if file:
        lines.append(f"written to: {file}")
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
    said = describe(error, run.args.config, positions_of(run.args))
    if not is_first():  # the first process most likely says the same, in full
        say(f"error in process {os.environ['RANK']}: {said.splitlines()[0]}")
        return exit_status(error)
    say(f"error: {said}")
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
