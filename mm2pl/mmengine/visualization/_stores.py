"""Backends that keep a run in files: MLflow, DVCLive and CSV."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mm2pl.mmengine.config import Config
from mm2pl.mmengine.logging import MMLogger
from mm2pl.mmengine.registry import VISBACKENDS
from mm2pl.mmengine.utils import scandir
from mm2pl.mmengine.visualization._base_backend import (
    BaseVisBackend,
    OneByOne,
    Suffix,
    force_init_env,
    import_for,
    refuse_step,
    require_type,
    stored_files,
)
from mm2pl.mmengine.visualization.utils import Image


@VISBACKENDS.register_module()
class MLflowVisBackend(BaseVisBackend):
    """Records to a run of MLflow (extra ``mlflow``), which is MLflow's active run.

    Differs: a run whose config was not recorded can be closed. Versions of MLflow that refuse to
    write to a folder are told to, by ``MLFLOW_ALLOW_FILE_STORE``, unless that is set.

    Args:
        save_dir: The folder of the store, if there is no ``tracking_uri``.
        exp_name: The experiment, ``Default`` if none.
        run_name: The name of the run.
        tags: Tags of the run.
        params: Parameters of the run.
        tracking_uri: Another store, such as a server's address.
        artifact_suffix: Endings of the files below the config's ``work_dir`` that are stored at
            the end.
        tracked_config_keys: The keys of the config that become parameters, by default all.
        artifact_location: Where an experiment that is made keeps its files.
    """

    _config: Config | None = None
    _run_id: str | None = None

    def __init__(
        self,
        save_dir: str,
        exp_name: str | None = None,
        run_name: str | None = None,
        tags: dict[str, Any] | None = None,
        params: dict[str, Any] | None = None,
        tracking_uri: str | None = None,
        artifact_suffix: Suffix = (".json", ".log", ".py", "yaml"),
        tracked_config_keys: Any = None,
        artifact_location: str | None = None,
    ) -> None:
        super().__init__(save_dir)
        self._exp_name = exp_name or "Default"
        self._run_name = run_name
        self._tags = tags
        self._params = params
        self._tracking_uri = tracking_uri
        self._artifact_suffix = artifact_suffix
        self._tracked_config_keys = tracked_config_keys
        self._artifact_location = artifact_location

    @property
    def uri(self) -> str:
        """The address of the store. Only mm2pl has this."""
        if self._tracking_uri is not None:
            return self._tracking_uri
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        return f"file://{os.path.abspath(self._save_dir)}"

    def _init_env(self) -> None:
        Path(self._save_dir).mkdir(parents=True, exist_ok=True)
        logger = MMLogger.get_current_instance()
        self._mlflow = import_for(self, "mlflow")
        _reopen_files(logger)
        if self._tracking_uri is not None:
            logger.warning("Please make sure that the mlflow server is running.")
        self._mlflow.set_tracking_uri(self.uri)
        if self._mlflow.get_experiment_by_name(self._exp_name) is None:
            self._mlflow.create_experiment(
                self._exp_name, artifact_location=self._artifact_location
            )
        self._mlflow.set_experiment(self._exp_name)
        if self._run_name is not None:
            self._mlflow.set_tag("mlflow.runName", self._run_name)
        if self._tags is not None:
            self._mlflow.set_tags(self._tags)
        if self._params is not None:
            self._mlflow.log_params(self._params)

    @property
    @force_init_env
    def experiment(self) -> Any:
        """The module ``mlflow``."""
        return self._mlflow

    @property
    @force_init_env
    def run_id(self) -> str:
        """The active run; if it was ended, it is taken up again. Only mm2pl has this."""
        run = self._mlflow.active_run() or self._mlflow.start_run(run_id=self._run_id)
        self._run_id = str(run.info.run_id)
        return self._run_id

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record the config: keys joined by dots as parameters, and all of it as ``config.py``."""
        self._config = config
        keys = self._tracked_config_keys
        tracked = config.to_dict() if keys is None else {key: config[key] for key in keys}
        self._mlflow.log_params(_flatten(tracked))
        self._mlflow.log_text(config.pretty_text, "config.py")

    @force_init_env
    def add_hyperparams(self, params: dict[str, Any]) -> None:
        """Record hyperparameters as parameters. Only mm2pl has this."""
        self._mlflow.log_params(_flatten({"hparams": params}))

    @force_init_env
    def add_image(self, name: str, image: Image, step: int = 0, **kwargs: Any) -> None:
        """Store an RGB image of shape (H, W, 3) and type uint8 in the file ``name``.

        Differs: a name without the ending of an image, as the libraries' hooks give, gets
        ``_<step>.png``; MLflow refuses it.
        """
        file = name if Path(name).suffix.lower() in _IMAGES else f"{name}_{step}.png"
        self._mlflow.log_image(image, file)

    @force_init_env
    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a number."""
        self._mlflow.log_metric(name, value, step)

    @force_init_env
    def add_scalars(
        self,
        scalar_dict: dict[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Record several numbers, none of them named ``step``."""
        refuse_step(scalar_dict)
        self._mlflow.log_metrics(scalar_dict, step)

    def close(self) -> None:
        """Store the files and end the run; hooks alone that record again start another."""
        if not self._env_initialized:
            return
        for name, path in stored_files(self._config, self._artifact_suffix):
            self._mlflow.log_artifact(path, os.path.dirname(name))
        self._mlflow.end_run()


_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")


def _reopen_files(logger: MMLogger) -> None:
    """Undo what MLflow's import does: its logging settings close all log files."""
    for handler in logger.handlers:
        if isinstance(handler, logging.FileHandler) and handler.stream is None:
            handler.mode = "a"  # a closed one that is to overwrite would write nothing
            handler.stream = handler._open()


def _flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested dict's leaves by their path; of a list only one with dicts is entered."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        if isinstance(value, list) and any(isinstance(one, dict) for one in value):
            value = {str(index): one for index, one in enumerate(value)}
        if isinstance(value, Mapping):
            flat |= _flatten(value, f"{path}.")
        else:
            flat[path] = value
    return flat


@VISBACKENDS.register_module()
class DVCLiveVisBackend(OneByOne):
    """Records to files of DVCLive (extra ``dvclive``).

    Differs: outside a git repository no ``dvc init --force`` is run in the current folder. A
    tensor or array of one number is recorded: DVCLive refuses the array that MMEngine makes of it.

    Args:
        save_dir: The folder, unless ``init_kwargs`` has a ``dir``.
        artifact_suffix: Endings of the files in it that become artifacts at the end.
        init_kwargs: Arguments of ``dvclive.Live``; by default it saves an experiment of DVC and
            caches images.
    """

    def __init__(
        self,
        save_dir: str,
        artifact_suffix: Suffix = (".json", ".py", "yaml"),
        init_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(save_dir)
        self._artifact_suffix = artifact_suffix
        self._init_kwargs = init_kwargs

    def _init_env(self) -> None:
        defaults = {"dir": self._save_dir, "save_dvc_exp": True, "cache_images": True}
        live = import_for(self, "dvclive").Live
        self._dvclive = live(**{**defaults, **(self._init_kwargs or {})})

    @property
    @force_init_env
    def experiment(self) -> Any:
        """The ``Live`` object."""
        return self._dvclive

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record the config as parameters."""
        require_type("config", config, Config)
        self._dvclive.log_params(_as_params(config.to_dict()))

    @force_init_env
    def add_image(self, name: str, image: Image, step: int = 0, **kwargs: Any) -> None:
        """Write an RGB image of shape (H, W, 3) and type uint8, ``<name>.png``."""
        if image.dtype != np.uint8:
            raise AssertionError(f"image {name!r} must be of type uint8, got {image.dtype}")
        self._dvclive.log_image(f"{name}.png", image)

    @force_init_env
    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a number."""
        if isinstance(value, (torch.Tensor, np.ndarray)):
            value = value.item()
        self._dvclive.step = step
        self._dvclive.log_metric(name, value)

    def close(self) -> None:
        """Make artifacts of the files, and end; recording again opens another."""
        if not self._env_initialized:
            return
        for name in list(scandir(self._save_dir, self._artifact_suffix, True)):
            path = os.path.join(self._save_dir, name)
            self._dvclive.log_artifact(path, os.path.dirname(name))
        self._dvclive.end()
        self._env_initialized = False


def _as_params(value: Any) -> Any:
    """Return ``value`` with lists and numbers where DVC takes no tuples, arrays or tensors."""
    if isinstance(value, Mapping):
        return {key: _as_params(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_params(item) for item in value]
    if isinstance(value, (torch.Tensor, np.ndarray, np.generic)):
        return value.tolist()
    return value


@VISBACKENDS.register_module()
def CSVVisBackend(save_dir: str) -> BaseVisBackend:
    """Return a backend of Lightning's ``CSVLogger``. Only mm2pl has this.

    Args:
        save_dir: Where ``csv/metrics.csv`` and ``csv/hparams.yaml`` lie.
    """
    from mm2pl.loggers import LoggerBackend, csv_logger

    return LoggerBackend(csv_logger(save_dir))
