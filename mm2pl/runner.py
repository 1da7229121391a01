"""The runner: MMEngine's ``Runner`` as a thin object over Lightning's Trainer."""

from __future__ import annotations

import copy
import inspect
import os
import os.path as osp
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from mm2pl import _lightning, environment, preemption
from mm2pl.builders import RunnerBuilders
from mm2pl.callbacks import HookCallback, HookCollection
from mm2pl.checkpoint_io import FilesOfRun
from mm2pl.data import RunnerDataModule
from mm2pl.distributed import check_launcher
from mm2pl.driving import Driver, driver_of
from mm2pl.errors import ConfigError, ConfigRuntimeError
from mm2pl.loggers import VisualizerLogger
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.device.utils import stay_on_cpu
from mm2pl.mmengine.dist import get_dist_info, is_main_process
from mm2pl.mmengine.hooks import Hook
from mm2pl.mmengine.registry import RUNNERS, DefaultScope
from mm2pl.mmengine.registry.errors import at_key
from mm2pl.mmengine.runner.utils import set_random_seed
from mm2pl.module import RunnerModule
from mm2pl.natives import copied
from mm2pl.plan import Plan
from mm2pl.progress import progress_bars
from mm2pl.resume import exact
from mm2pl.runner_checkpoints import RunnerCheckpoints
from mm2pl.runner_hooks import RunnerHooks
from mm2pl.runner_model import RunnerModel
from mm2pl.runner_older import OlderRunner, check_older
from mm2pl.runner_views import RunnerViews
from mm2pl.trainer import check_processes, make_trainer, more_loggers, scratch_folder
from mm2pl.translate import translate
from mm2pl.translate.hooks import DEFAULT_HOOKS
from mm2pl.translate.older import describe as describe_older
from mm2pl.translate.older import put_today
from mm2pl.translate.trainer_args import describe, put_changes

__all__ = ["Runner"]


@RUNNERS.register_module()
class Runner(RunnerBuilders, RunnerCheckpoints, RunnerHooks, RunnerModel, RunnerViews, OlderRunner):
    """Trains, validates and tests by a config, on Lightning's Trainer.

    The arguments are MMEngine's and stand in a config under the same names; each may be a config
    or a built object.

    Args:
        model: The model.
        work_dir: Where checkpoints and logs lie.
        train_dataloader: Training data; together with ``train_cfg`` and ``optim_wrapper``.
        val_dataloader: Validation data; together with ``val_cfg`` and ``val_evaluator``.
        test_dataloader: Test data; together with ``test_cfg`` and ``test_evaluator``.
        train_cfg: The training loop's settings.
        val_cfg: The validation loop's settings.
        test_cfg: The test loop's settings.
        auto_scale_lr: ``base_batch_size`` and ``enable``.
        optim_wrapper: The optimizer or optimizers.
        param_scheduler: Schedules of learning rate, momentum and others.
        val_evaluator: Validation metrics.
        test_evaluator: Test metrics.
        default_hooks: Hooks to replace, add, or (``None``) leave out.
        custom_hooks: More hooks.
        data_preprocessor: Goes into the model's config.
        load_from: A checkpoint to load, or with ``resume`` to go on from.
        resume: Go on from ``load_from`` or from the newest checkpoint.
        launcher: What started this process: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        env_cfg: cuDNN, worker processes, distributed backend.
        log_processor: Formats the log.
        log_level: Level of the text log.
        visualizer: Where scalars and images go.
        default_scope: Registry scope of names without one.
        randomness: ``seed``, ``diff_rank_seed``, ``deterministic``.
        experiment_name: Names the run.
        cfg: The whole config, for the log, the copy in ``work_dir`` and the rarer keys.
        **older: What MMEngine's first releases took, such as ``optimizer`` (docs/older-forms.md).

    Raises:
        ConfigError: All that is wrong with the settings, with key paths.

    Attributes:
        trainer: The Lightning Trainer.
        module: The LightningModule around the model.
        datamodule: The loaders as a LightningDataModule.
        plan: What the settings were translated to.
    """

    def __init__(
        self,
        model: nn.Module | dict[str, Any],
        work_dir: str,
        train_dataloader: Any = None,
        val_dataloader: Any = None,
        test_dataloader: Any = None,
        train_cfg: Any = None,
        val_cfg: Any = None,
        test_cfg: Any = None,
        auto_scale_lr: dict[str, Any] | None = None,
        optim_wrapper: Any = None,
        param_scheduler: Any = None,
        val_evaluator: Any = None,
        test_evaluator: Any = None,
        default_hooks: dict[str, Any] | None = None,
        custom_hooks: list[Any] | None = None,
        data_preprocessor: Any = None,
        load_from: str | None = None,
        resume: bool = False,
        launcher: str = "none",
        env_cfg: dict[str, Any] | None = None,
        log_processor: Any = None,
        log_level: int | str = "INFO",
        visualizer: Any = None,
        default_scope: str | None = "mmengine",
        randomness: dict[str, Any] | None = None,
        experiment_name: str | None = None,
        cfg: Any = None,
        **older: Any,
    ) -> None:
        arguments = {key: value for key, value in locals().items() if key in _ARGUMENTS} | older
        check_older(older)
        self.cfg: Config = copied(cfg, cfg) if isinstance(cfg, Config) else Config(cfg or {})
        self._set_up(translate(settings_from(self.cfg, arguments), file=self.cfg.filename))

    def _set_up(self, plan: Plan) -> None:
        self.plan = plan
        runtime = plan.runtime
        put_today(self.cfg, plan.config, plan.older)
        put_changes(self.cfg, plan.config, runtime.trainer_changes)
        stay_on_cpu(runtime.trainer.get("accelerator") == "cpu")
        check_processes(runtime)
        self._work_dir = scratch_folder(self) or osp.abspath(runtime.work_dir)
        _make_folder(self._work_dir)
        self._launcher = runtime.launcher
        self._distributed = runtime.launcher != "none"
        self._keep_sections()
        self._set_up_environment()
        self._set_up_records()
        self._hooks: list[Hook] = []
        self._hook_collection = HookCollection(self, self._hooks)
        self._hook_callback = HookCallback(self)
        own = VisualizerLogger(
            self.visualizer, self._work_dir, self._experiment_name, self._timestamp
        )
        with _lightning.quiet():
            bars = progress_bars(self) if runtime.trainer.get("enable_progress_bar", True) else []
            self.trainer = make_trainer(self.plan, [self._hook_callback, *bars], self._work_dir)
            self.trainer.loggers = [own, *own.beside(), *more_loggers(self)]
        _lightning.leave_checkpoints_to(self.trainer, FilesOfRun(self))
        if "profiler" in runtime.trainer:
            self._hook_collection.profiler = self.trainer.profiler  # type: ignore[attr-defined]
        self._set_up_model()
        hooks = self.plan.hooks
        self.register_hooks(dict.fromkeys(DEFAULT_HOOKS) | hooks.default, hooks.custom or None)
        self.logger.info(f"Hooks will be executed in the following order:\n{self.get_hooks_info()}")
        self.dump_config()

    @classmethod
    def from_cfg(cls, cfg: Any) -> Runner:
        """Build a runner from a config; the config is not changed."""
        cfg = copied(cfg, cfg)
        if not isinstance(cfg, Config):
            cfg = Config(cfg)
        arguments = {key: cfg[key] for key in _ARGUMENTS if cfg.get(key) is not None}
        arguments.setdefault("model", None)
        arguments.setdefault("work_dir", "")
        if "default_scope" in cfg:
            arguments["default_scope"] = cfg["default_scope"]  # None means none
        with at_key("", file=cfg.filename):
            return cls(**arguments, cfg=cfg)

    @classmethod
    def from_plan(cls, plan: Plan) -> Runner:
        """Build a runner from a plan as it stands, with what was changed since it was made."""
        runner = cls.__new__(cls)
        plan = copied(plan, plan.config)
        cfg = plan.config
        runner.cfg = cfg if isinstance(cfg, Config) else Config(dict(cfg))
        runner._set_up(plan)
        return runner

    # Set-up, in MMEngine's order: models and data draw from the same random numbers.

    def _keep_sections(self) -> None:
        """Keep each section until it is built, under the names that MMEngine uses."""
        plan = self.plan
        self._train_loop: Any = plan.train.loop if plan.train else None
        self._train_dataloader = plan.train.dataloader if plan.train else None
        self._val_loop: Any = plan.val.loop if plan.val else None
        self._val_dataloader = plan.val.dataloader if plan.val else None
        self._val_evaluator = plan.val.evaluator if plan.val else None
        self._test_loop: Any = plan.test.loop if plan.test else None
        self._test_dataloader = plan.test.dataloader if plan.test else None
        self._test_evaluator = plan.test.evaluator if plan.test else None
        self.optim_wrapper: Any = plan.optim.wrapper if plan.optim else None
        self.param_schedulers: Any = plan.optim.schedulers if plan.optim else None
        self.auto_scale_lr = plan.optim.auto_scale_lr if plan.optim else None
        self._load_from = plan.runtime.load_from
        self._resume = plan.runtime.resume
        self._has_loaded = False

    def _set_up_environment(self) -> None:
        runtime = self.plan.runtime
        check_launcher(runtime.launcher)
        with at_key("env_cfg"):
            self.setup_env(runtime.env)
        self._randomness_cfg = dict(runtime.randomness)
        with at_key("randomness"):
            self.set_randomness(**self._randomness_cfg)
        name = runtime.experiment_name or stem_of(self.cfg.filename)
        self._experiment_name = environment.unused_name(
            f"{name}_{self._timestamp}" if name else self._timestamp
        )
        self._log_dir = osp.join(self._work_dir, self._timestamp)
        _make_folder(self._log_dir)

    def setup_env(self, env_cfg: Mapping[str, Any]) -> None:
        """Apply ``env_cfg`` to this process, join the other processes, and take the time."""
        environment.set_up_process(env_cfg, self._launcher)
        self._rank, self._world_size = get_dist_info()
        self._timestamp = environment.make_timestamp()

    def _set_up_records(self) -> None:
        """Make everything that is written to: scope, log, message hub, visualizer."""
        runtime = self.plan.runtime
        self.default_scope: Any = runtime.default_scope
        if runtime.default_scope is not None:
            self.default_scope = DefaultScope.get_instance(
                self._experiment_name, scope_name=runtime.default_scope
            )
        self.log_processor = self.build_log_processor(runtime.log_processor or {})
        self.logger = self.build_logger(log_level=runtime.log_level)
        self._log_env(dict(runtime.env))
        self.message_hub = self.build_message_hub()
        self.visualizer = self.build_visualizer(runtime.visualizer)
        if self.cfg:
            self.visualizer.add_config(self.cfg)

    def _log_env(self, env_cfg: Mapping[str, Any]) -> None:
        """Write the system's and the run's settings, and the config, to the log."""
        env = {**env_cfg, **self._randomness_cfg}
        settings = {
            "seed": self._seed,
            "Distributed launcher": self._launcher,
            "Distributed training": self._distributed,
            "GPU number": self._world_size,
        }
        self.logger.info(environment.describe(env, settings))
        if self.cfg:
            self.logger.info(f"Config:\n{self.cfg.pretty_text}")
        if self.plan.older:
            self.logger.warning(describe_older(self.plan.older))
        runtime = self.plan.runtime
        if runtime.trainer or runtime.trainer_changes:
            self.logger.info(describe(runtime.trainer_changes, runtime.trainer))

    def _set_up_model(self) -> None:
        model = self.plan.model
        if isinstance(model, dict) and self.plan.data_preprocessor is not None:
            model = copy.copy(model)
            model.setdefault("data_preprocessor", self.plan.data_preprocessor)
        self._model = self._first_model(model)
        self._model_name = type(self.bare_model).__name__
        self.module = RunnerModule(self, self._hook_callback)
        self.datamodule = RunnerDataModule(self)

    def _first_model(self, model: Any) -> Any:
        return self.wrap_model(self.cfg.get("model_wrapper_cfg"), self.build_model(model))

    def set_randomness(
        self, seed: int | None = None, diff_rank_seed: bool = False, deterministic: bool = False
    ) -> None:
        """Seed Python, NumPy and torch; see :func:`~mmengine.runner.set_random_seed`."""
        self._deterministic = deterministic
        self._seed = set_random_seed(
            seed=seed, deterministic=deterministic, diff_rank_seed=diff_rank_seed
        )

    @property
    def final_metrics(self) -> dict[str, Any]:
        """Metrics of the last validation or test; empty before the first."""
        return dict(self._hook_callback.metrics or {})

    # Running

    def train(self) -> nn.Module:
        """Train, and return the trained model."""
        if _lightning.is_running(self.trainer):
            raise ConfigRuntimeError(
                "train() was called within a run of the same runner",
                hint="build another runner for it",
            )
        with preemption.watching(self):
            self._run(self.trainer.fit)
        return self._hook_callback.trained  # type: ignore[no-any-return]

    def val(self) -> Any:
        """Validate, and return the metrics."""
        return self._evaluate("val", "validate")

    def test(self) -> Any:
        """Test, and return the metrics."""
        return self._evaluate("test", "test")

    def _evaluate(self, stage: str, entry: str) -> Any:
        if not _lightning.is_running(self.trainer):
            self._run(getattr(self.trainer, entry), verbose=False)
            return self._hook_callback.metrics
        # Called by a hook or a loop of one's own: the Trainer is busy, so the loop runs by itself.
        self.prepare(entry)
        metrics = self.eval_loop(stage).run()
        self.call_hook("after_run")
        return metrics

    def _run(self, run: Callable[..., Any], **options: Any) -> None:
        place, interrupts = at_key("", file=self.cfg.filename), _lightning.keyboard_interrupts()
        try:
            with place, _lightning.quiet(self.logger), interrupts:
                run(self.module, datamodule=self.datamodule, **options)
        except _lightning.StoppedIteration as error:
            raise error.original from None
        finally:
            _lightning.to_device(self.module, self.trainer)

    def prepare(self, stage: str) -> None:
        """Do what comes before the first step; Lightning calls it through its ``setup``.

        Args:
            stage: ``fit``, ``validate`` or ``test``.
        """
        self._require({"fit": "train", "validate": "val"}.get(stage, "test"))
        self._take_ckpt_path(stage)
        if stage == "fit":
            self._prepare_training()
        else:
            stage = "val" if stage == "validate" else "test"
            self._check_model(f"{stage}_step")
            self.eval_loop(stage)
            self.call_hook("before_run")
            self.load_or_resume()

    def _require(self, name: str) -> None:
        if getattr(self, f"_{name}_loop") is None:
            third = "optim_wrapper" if name == "train" else f"{name}_evaluator"
            raise ConfigRuntimeError(
                f"the config has no {name} section to run",
                key_path=f"{name}_cfg",
                hint=f"add {name}_dataloader, {name}_cfg and {third}",
            )

    def _prepare_training(self) -> None:
        self._check_model("train_step", *(["val_step"] if self._val_loop is not None else []))
        self._build("_train_loop", self.build_train_loop)
        self._build("optim_wrapper", self.build_optim_wrapper)
        # Schedules take the rates that they find for the initial ones.
        self.scale_lr(self.optim_wrapper, self.auto_scale_lr)
        self._build("param_schedulers", self.build_param_scheduler)
        self._build("_val_loop", self.build_val_loop)
        self.call_hook("before_run")
        self._init_model_weights()
        self._enable_features()
        self.load_or_resume()
        self.optim_wrapper.initialize_count_status(self.model, self.iter, self.max_iters)
        exact.put_counts(self)
        self._tell_epochs()
        self._maybe_compile("train_step")

    def _build(self, name: str, build: Callable[[Any], Any]) -> None:
        """Put what is built in the place of its config; what is not there is not built."""
        given = getattr(self, name)
        if given is not None:
            setattr(self, name, build(given))

    def _tell_epochs(self) -> None:
        by_epoch = driver_of(self._train_loop) is not Driver.ITSELF and self._train_loop.by_epoch
        epochs = (self.epoch, self.max_epochs) if by_epoch else (0, 1)
        _lightning.set_epochs(self.trainer, *epochs)

    def dump_config(self) -> None:
        """Copy the config into ``work_dir``."""
        if is_main_process():
            name = osp.basename(self.cfg.filename) if self.cfg.filename else f"{self.timestamp}.py"
            self.cfg.dump(osp.join(self.work_dir, name))


# What a script may give: the older arguments are for those that have them.
_SIGNATURE = inspect.signature(Runner.__init__)
Runner.__init__.__signature__ = _SIGNATURE.replace(  # type: ignore[attr-defined]
    parameters=list(_SIGNATURE.parameters.values())[:-1]
)
_ARGUMENTS = tuple(
    name for name in inspect.signature(Runner.__init__).parameters if name not in ("self", "cfg")
)


def settings_from(cfg: Config, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Join the constructor's arguments with the keys that only stand in the config."""
    rest = {key: value for key, value in cfg._cfg_dict.items() if key not in _ARGUMENTS}
    given = {key: value for key, value in arguments.items() if value is not None}
    given["default_scope"] = arguments["default_scope"]
    return rest | given


def stem_of(filename: str | None) -> str | None:
    return osp.splitext(osp.basename(filename))[0] if filename else None


def _make_folder(path: str) -> None:
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the folder {path} cannot be made: {error.strerror}",
            key_path="work_dir",
            hint="check the path and its permissions",
        ) from error
