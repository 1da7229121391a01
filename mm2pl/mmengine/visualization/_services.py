"""Backends that hand everything to a tracking service: W&B, ClearML, Neptune and Aim."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mm2pl.errors import ConfigError
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.registry import VISBACKENDS
from mm2pl.mmengine.visualization._base_backend import (
    BaseVisBackend,
    OneByOne,
    Suffix,
    force_init_env,
    import_for,
    stored_files,
)
from mm2pl.mmengine.visualization.utils import Image


@VISBACKENDS.register_module()
class WandbVisBackend(BaseVisBackend):
    """Records to a run of Weights & Biases (extra ``wandb``); a step is W&B's own count.

    Differs: the arguments are not modified; recording after the end goes on with the run, where
    MMEngine's fails; the run ends with ``wandb.finish``, which newer
    versions have in place of ``wandb.join``.

    Args:
        save_dir: The folder of W&B's files, unless ``init_kwargs`` has a ``dir``.
        init_kwargs: Arguments of ``wandb.init``.
        define_metric_cfg: A dict of metrics and the summary of each, or a list of arguments of
            ``wandb.define_metric``.
        commit: Whether each record is a step of its own.
        log_code_name: The name of the artifact that holds the code.
        watch_kwargs: Arguments of ``wandb.watch``, which records the graph.

    Raises:
        ValueError: On first use, if ``define_metric_cfg`` is something else.
    """

    def __init__(
        self,
        save_dir: str,
        init_kwargs: dict[str, Any] | None = None,
        define_metric_cfg: dict[str, str] | list[dict[str, Any]] | None = None,
        commit: bool | None = True,
        log_code_name: str | None = None,
        watch_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(save_dir)
        self._init_kwargs = init_kwargs
        self._define_metric_cfg = define_metric_cfg
        self._commit = commit
        self._log_code_name = log_code_name
        self._watch_kwargs = watch_kwargs or {}
        self._again: dict[str, str] = {}

    def _init_env(self) -> None:
        metrics = self._define_metric_cfg or []
        if not isinstance(metrics, (dict, list)):
            raise ConfigError(
                f"define_metric_cfg should be dict or list, got {metrics!r}",
                key_path="define_metric_cfg",
            )
        Path(self._save_dir).mkdir(parents=True, exist_ok=True)
        self._wandb = import_for(self, "wandb")
        self._wandb.init(**{"dir": self._save_dir, **(self._init_kwargs or {}), **self._again})
        if isinstance(metrics, dict):
            metrics = [{"name": name, "summary": summary} for name, summary in metrics.items()]
        for metric in metrics:
            self._wandb.define_metric(**metric)

    @property
    @force_init_env
    def experiment(self) -> Any:
        """The module ``wandb``."""
        return self._wandb

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record the config, and the code of the current folder."""
        self._update_config(config.to_dict())
        self._wandb.run.log_code(name=self._log_code_name)

    @force_init_env
    def add_hyperparams(self, params: dict[str, Any]) -> None:
        """Record hyperparameters in the run's config. Only mm2pl has this."""
        self._update_config({"hparams": params})

    def _update_config(self, values: dict[str, Any]) -> None:
        change = (self._init_kwargs or {}).get("allow_val_change", False)
        self._wandb.config.update(values, allow_val_change=change)

    @force_init_env
    def add_graph(
        self, model: torch.nn.Module, data_batch: Sequence[Any] | None, **kwargs: Any
    ) -> None:
        """Watch the model."""
        self._wandb.watch(model, **self._watch_kwargs)

    @force_init_env
    def add_image(self, name: str, image: Image, step: int = 0, **kwargs: Any) -> None:
        """Record an RGB image of shape (H, W, 3)."""
        self._wandb.log({name: self._wandb.Image(image)}, commit=self._commit)

    @force_init_env
    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a number."""
        self._wandb.log({name: value}, commit=self._commit)

    @force_init_env
    def add_scalars(
        self,
        scalar_dict: dict[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Record several numbers in one step."""
        self._wandb.log(scalar_dict, commit=self._commit)

    def close(self) -> None:
        """Finish the run; recording again goes on with it."""
        if self._env_initialized:
            self._again = {"id": self._wandb.run.id, "resume": "allow"}
            self._wandb.finish()
            self._env_initialized = False


@VISBACKENDS.register_module()
class ClearMLVisBackend(OneByOne):
    """Records to a task of ClearML (extra ``clearml``).

    Args:
        save_dir: Not used.
        init_kwargs: Arguments of ``clearml.Task.init``.
        artifact_suffix: Endings of the files in the config's ``work_dir`` that are uploaded at the
            end.
    """

    _refuses_step = True

    _config: Config | None = None

    def __init__(
        self,
        save_dir: str | None = None,
        init_kwargs: dict[str, Any] | None = None,
        artifact_suffix: Suffix = (".py", ".pth"),
    ) -> None:
        super().__init__(save_dir)
        self._init_kwargs = init_kwargs
        self._artifact_suffix = artifact_suffix

    def _init_env(self) -> None:
        self._clearml = import_for(self, "clearml")
        self._task = self._clearml.Task.init(**(self._init_kwargs or {}))
        self._logger = self._task.get_logger()

    @property
    @force_init_env
    def experiment(self) -> Any:
        """The module ``clearml``."""
        return self._clearml

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record the config."""
        self._config = config
        self._task.connect_configuration(config.to_dict())

    @force_init_env
    def add_hyperparams(self, params: dict[str, Any]) -> None:
        """Record hyperparameters. Only mm2pl has this."""
        self._task.connect_configuration(dict(params), name="hparams")

    @force_init_env
    def add_image(self, name: str, image: Image, step: int = 0, **kwargs: Any) -> None:
        """Record an RGB image of shape (H, W, 3)."""
        self._logger.report_image(title=name, series=name, iteration=step, image=image)

    @force_init_env
    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a number."""
        self._logger.report_scalar(title=name, series=name, value=value, iteration=step)

    def close(self) -> None:
        """Upload the files and close the task."""
        if not self._env_initialized:
            return
        for name, path in stored_files(self._config, self._artifact_suffix, recursive=False):
            self._task.upload_artifact(name, path)
        self._task.close()
        self._env_initialized = False


class _RunBackend(OneByOne):
    """A backend that needs nothing but the arguments of a run."""

    def __init__(
        self, save_dir: str | None = None, init_kwargs: dict[str, Any] | None = None
    ) -> None:
        super().__init__(save_dir)
        self._init_kwargs = init_kwargs


@VISBACKENDS.register_module()
class NeptuneVisBackend(_RunBackend):
    """Records to a run of Neptune (extra ``neptune``).

    Args:
        save_dir: Not used.
        init_kwargs: Arguments of ``neptune.init_run``; without any the run is an offline one.
    """

    _refuses_step = True

    def _init_env(self) -> None:
        neptune = import_for(self, "neptune")
        arguments = {"mode": "offline"} if self._init_kwargs is None else self._init_kwargs
        self._neptune = neptune.init_run(**arguments)

    @property
    @force_init_env
    def experiment(self) -> Any:
        """The run."""
        return self._neptune

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Upload the config's text."""
        self._neptune["config"].upload(self._file().from_content(config.pretty_text))

    @force_init_env
    def add_hyperparams(self, params: dict[str, Any]) -> None:
        """Record hyperparameters. Only mm2pl has this."""
        self._neptune["hparams"] = {name: str(value) for name, value in params.items()}

    @force_init_env
    def add_image(self, name: str, image: Image, step: int = 0, **kwargs: Any) -> None:
        """Record an RGB image of shape (H, W, 3) and type uint8."""
        shown = self._file().as_image(image.astype(np.float32) / 255.0)
        self._neptune["images"].append(shown, name=name, step=step)

    def _file(self) -> Any:
        return import_for(self, "neptune.types").File

    @force_init_env
    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a number."""
        self._neptune[name].append(value, step=step)

    def close(self) -> None:
        """Stop the run; recording again starts another."""
        if self._env_initialized:
            self._neptune.stop()
            self._env_initialized = False


@VISBACKENDS.register_module()
class AimVisBackend(_RunBackend):
    """Records to a run of Aim (extra ``aim``), in the repository that ``init_kwargs`` names.

    Args:
        save_dir: Its last two folders name the experiment; by default that is the time.
        init_kwargs: Arguments of ``aim.Run``.
    """

    def _init_env(self) -> None:
        name = datetime.now().strftime("%Y%m%d_%H%M%S")
        if self._save_dir is not None:
            name = "_".join(Path(self._save_dir).parts[-2:])
        self._aim = import_for(self, "aim")
        self._aim_run = self._aim.Run(**{"experiment": name, **(self._init_kwargs or {})})

    @property
    @force_init_env
    def experiment(self) -> Any:
        """The run."""
        return self._aim_run

    @force_init_env
    def add_config(self, config: Any, **kwargs: Any) -> None:
        """Record the config as the run's ``hparams``."""
        self._aim_run["hparams"] = config.to_dict() if isinstance(config, Config) else config

    @force_init_env
    def add_hyperparams(self, params: dict[str, Any]) -> None:
        """Record hyperparameters, beside the config. Only mm2pl has this."""
        self._aim_run["lightning_hparams"] = {name: str(value) for name, value in params.items()}

    @force_init_env
    def add_image(self, name: str, image: Image, step: int = 0, **kwargs: Any) -> None:
        """Record an RGB image of shape (H, W, 3)."""
        self._aim_run.track(name=name, value=self._aim.Image(image), step=step)

    @force_init_env
    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a number."""
        self._aim_run.track(name=name, value=value, step=step)

    def close(self) -> None:
        """Close the run; recording again starts another."""
        if self._env_initialized:
            self._aim_run.close()
            self._env_initialized = False
