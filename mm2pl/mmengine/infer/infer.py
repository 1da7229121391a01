"""The base of the libraries' inferencers."""

from __future__ import annotations

import copy
import importlib
import operator
import os.path as osp
import re
import warnings
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import nn

from mm2pl.errors import (
    ConfigAssertionError,
    ConfigError,
    ConfigKeyError,
    ConfigTypeError,
    nearest,
)
from mm2pl.mmengine.config import Config, ConfigDict
from mm2pl.mmengine.config.utils import MODULE2PACKAGE
from mm2pl.mmengine.dataset import pseudo_collate
from mm2pl.mmengine.device import get_device
from mm2pl.mmengine.fileio import get_file_backend, isdir, join_path, list_dir_or_file, load
from mm2pl.mmengine.infer._checkpoint_config import config_in
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.registry import FUNCTIONS, MODELS, VISUALIZERS, DefaultScope
from mm2pl.mmengine.runner.checkpoint import _load_checkpoint, _load_checkpoint_to_model
from mm2pl.mmengine.structures import InstanceData
from mm2pl.mmengine.visualization import Visualizer

# Names that libraries take from here to annotate with.
InstanceList = list[InstanceData]
InputType = str | np.ndarray | torch.Tensor
InputsType = InputType | Sequence[InputType]
ImgType = np.ndarray | Sequence[np.ndarray]
ResType = dict[str, Any] | list[dict[str, Any]]
ConfigType = Config | ConfigDict
ModelType = dict[str, Any] | ConfigType | str

_STEPS = ("preprocess", "forward", "visualize", "postprocess")


class InferencerMeta(ABCMeta):
    """Checks that an inferencer's class gives each keyword argument to one step alone."""

    def __init__(cls, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        taken: set[str] = set()
        for step in _STEPS:
            names = getattr(cls, f"{step}_kwargs")
            if not isinstance(names, set):
                raise ConfigAssertionError(f"{cls.__name__}.{step}_kwargs is no set: {names!r}")
            if names & taken:
                raise ConfigAssertionError(
                    f"{cls.__name__} names {', '.join(sorted(names & taken))} in"
                    f" {step}_kwargs and in those of another step"
                )
            taken |= names


class BaseInferencer(metaclass=InferencerMeta):
    """Runs a model on inputs: preprocess, forward, visualize, postprocess.

    A subclass defines :meth:`_init_pipeline`, :meth:`visualize` and :meth:`postprocess`, and says
    in four sets (``preprocess_kwargs``, ``forward_kwargs``, ``visualize_kwargs``,
    ``postprocess_kwargs``) which keyword arguments of a call go to which step.

    Args:
        model: A config, its file, or the name of a model in a metafile of ``scope``. May be left
            out if ``weights`` is a checkpoint with its config.
        weights: Path or URI of a checkpoint. With the name of a model, by default that model's.
        device: By default the first there is.
        scope: The library, by default the current default scope.
        show_progress: Whether a call shows a progress bar.

    Raises:
        ValueError: Neither ``model`` nor ``weights`` is given, or there is no model of that name.
        TypeError: ``model`` is something else.
    """

    preprocess_kwargs: set[str] = set()
    forward_kwargs: set[str] = set()
    visualize_kwargs: set[str] = set()
    postprocess_kwargs: set[str] = set()

    def __init__(
        self,
        model: ModelType | None = None,
        weights: str | None = None,
        device: str | None = None,
        scope: str | None = None,
        show_progress: bool = True,
    ) -> None:
        self.scope = scope or _default_scope()
        self.show_progress = show_progress
        cfg, weights = self._find_config(model, weights)
        self.model = self._init_model(cfg, weights, device or get_device())
        self.pipeline = self._init_pipeline(cfg)
        self.collate_fn = self._init_collate(cfg)
        self.visualizer = self._init_visualizer(cfg)
        self.cfg = cfg

    def _find_config(
        self, model: ModelType | None, weights: str | None
    ) -> tuple[ConfigType, str | None]:
        """Return the config, empty if the checkpoint has it, and where the checkpoint lies."""
        if isinstance(model, str):
            if osp.isfile(model):
                return Config.fromfile(model), weights
            cfg, published = self._load_model_from_metafile(model)
            return cfg, published if weights is None else weights
        if isinstance(model, (Config, ConfigDict)):
            return copy.deepcopy(model), weights
        if isinstance(model, dict):
            return copy.deepcopy(ConfigDict(model)), weights
        if model is not None:
            raise ConfigTypeError(
                "model must be a config, the path of one, or the name of a model, not a"
                f" {type(model).__name__}"
            )
        if weights is None:
            raise ConfigError("model or weights is needed", hint="weights may hold the config")
        return ConfigDict(), weights

    def __call__(
        self,
        inputs: InputsType,
        return_datasamples: bool = False,
        batch_size: int = 1,
        **kwargs: Any,
    ) -> Any:
        """Run the model on inputs.

        Args:
            inputs: One, several, or a folder of them.
            return_datasamples: Whether to return data elements rather than plain values.
            batch_size: How many go through the model at once.
            **kwargs: Arguments of the steps.

        Returns:
            What :meth:`postprocess` makes of it.
        """
        preprocess, forward, visualize, postprocess = self._dispatch_kwargs(**kwargs)
        given = self._inputs_to_list(inputs)
        batches: Iterable[Any] = self.preprocess(given, batch_size=batch_size, **preprocess)
        if self.show_progress:
            from rich.progress import track

            batches = track(batches, description="Inference")
        preds: list[Any] = []
        for batch in batches:
            preds.extend(self.forward(batch, **forward))
        visualization = self.visualize(given, preds, **visualize)
        return self.postprocess(preds, visualization, return_datasamples, **postprocess)

    def _inputs_to_list(self, inputs: InputsType) -> list[Any]:
        """Return the inputs as a list; a folder stands for the files in it."""
        if isinstance(inputs, str):
            # Not every storage knows folders; the web does not.
            if hasattr(get_file_backend(inputs), "isdir") and isdir(inputs):
                return [join_path(inputs, name) for name in list_dir_or_file(inputs, False)]
            return [inputs]
        return list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]

    # ---------------------------------------------------------------------------------- steps
    def preprocess(self, inputs: InputsType, batch_size: int = 1, **kwargs: Any) -> Any:
        """Yield batches of inputs that went through the pipeline.

        Args:
            inputs: The inputs as a list.
            batch_size: How many make a batch.
            **kwargs: Of a call, those in ``preprocess_kwargs``.
        """
        chunks = self._get_chunk_data(map(self.pipeline, inputs), batch_size)
        yield from map(self.collate_fn, chunks)

    @torch.no_grad()
    def forward(self, inputs: dict[str, Any] | tuple[Any, ...], **kwargs: Any) -> Any:
        """Return the model's predictions for a batch."""
        return self.model.test_step(inputs)  # type: ignore[operator]

    @abstractmethod
    def visualize(
        self, inputs: list[Any], preds: Any, show: bool = False, **kwargs: Any
    ) -> list[np.ndarray]:
        """Draw the predictions.

        Args:
            inputs: The inputs as a list.
            preds: The predictions.
            show: Whether to show a window.
            **kwargs: Of a call, those in ``visualize_kwargs``.
        """

    @abstractmethod
    def postprocess(
        self,
        preds: Any,
        visualization: list[np.ndarray],
        return_datasample: bool = False,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Return what a call returns, a dict of ``predictions`` and ``visualization``.

        Args:
            preds: The predictions.
            visualization: What :meth:`visualize` returned.
            return_datasample: Whether the predictions stay data elements.
            **kwargs: Of a call, those in ``postprocess_kwargs``.
        """

    def _get_chunk_data(self, inputs: Iterable[Any], chunk_size: int) -> Iterator[list[Any]]:
        """Yield lists of ``chunk_size`` inputs; the last may be shorter."""
        if operator.index(chunk_size) < 1:
            raise ConfigError(f"batch_size must be at least 1, got {chunk_size}")
        iterator = iter(inputs)
        while chunk := list(islice(iterator, chunk_size)):
            yield chunk

    def _dispatch_kwargs(self, **kwargs: Any) -> tuple[dict[str, Any], ...]:
        """Return the arguments of each step.

        Raises:
            ValueError: No step takes an argument.
        """
        names = [getattr(self, f"{step}_kwargs") for step in _STEPS]
        known = set().union(*names)
        for name in kwargs:
            if name not in known:
                raise ConfigError(
                    f"no step of {type(self).__name__} takes an argument {name!r}",
                    choices=nearest(name, known),
                    hint=f"there are {', '.join(sorted(known)) or 'none'}",
                )
        return tuple({k: v for k, v in kwargs.items() if k in taken} for taken in names)

    # --------------------------------------------------------------------------------- making
    def _init_model(self, cfg: ConfigType, weights: str | None, device: str = "cpu") -> nn.Module:
        """Build the model of a config and load its weights.

        Args:
            cfg: The config; if empty it is filled with that in the checkpoint.
            weights: Path or URI of the checkpoint.
            device: Where to put the model.
        """
        checkpoint = None if weights is None else _load_checkpoint(weights, map_location="cpu")
        if not cfg:
            cfg.update(config_in(checkpoint, str(weights))._cfg_dict)
        # Weights of a backbone, which those of the whole would replace at once.
        if cfg.model.get("pretrained") is not None:
            del cfg.model.pretrained
        model: Any = MODELS.build(cfg.model)
        model.cfg = cfg
        self._load_weights_to_model(model, checkpoint, cfg)
        model.eval()
        model.to(device)
        return model  # type: ignore[no-any-return]

    def _load_weights_to_model(
        self, model: nn.Module, checkpoint: dict[str, Any] | None, cfg: ConfigType | None
    ) -> None:
        """Load a checkpoint, if there is one; subclasses may keep more of it.

        Args:
            model: Takes the weights.
            checkpoint: The checkpoint.
            cfg: The config.
        """
        if checkpoint is None:
            warnings.warn(
                "Checkpoint is not loaded, and the inference result is calculated by the randomly"
                " initialized model! Hint: pass weights=..."
            )
        else:
            _load_checkpoint_to_model(model, checkpoint)

    def _init_collate(self, cfg: ConfigType) -> Callable[..., Any]:
        """Return the function that makes batches: that of the test loader, or ``pseudo_collate``.

        Differs: it may be given as ``dict(type=...)`` too, as configs for the runner have it.
        """
        given = cfg.get("test_dataloader", {}).get("collate_fn")
        if given is None:
            return pseudo_collate
        options = dict(given) if isinstance(given, dict) else {"type": given}
        kind = options.pop("type")
        with FUNCTIONS.switch_scope_and_registry(self.scope) as registry:
            function = registry.get(kind) if isinstance(kind, str) else kind
        if not callable(function):
            raise ConfigKeyError(
                f"there is no function {kind!r}", key_path="test_dataloader.collate_fn"
            )
        return partial(function, **options) if options else function

    @abstractmethod
    def _init_pipeline(self, cfg: ConfigType) -> Callable[..., Any]:
        """Return the function that an input goes through before it is put into a batch."""

    def _init_visualizer(self, cfg: ConfigType) -> Visualizer | None:
        """Build the config's visualizer, if it has one, under a name that is free."""
        if "visualizer" not in cfg:
            return None
        stamp = str(datetime.now().timestamp())
        name = cfg.visualizer.get("name", stamp)
        taken = Visualizer.check_instance_created(name)
        cfg.visualizer.name = f"{name}-{stamp}" if taken else name
        return VISUALIZERS.build(cfg.visualizer)  # type: ignore[no-any-return]

    # ------------------------------------------------------------------------------ metafiles
    def _load_model_from_metafile(self, model: str) -> tuple[Config, str | None]:
        """Return the config and the weights' address of a model that the library publishes.

        Args:
            model: Its name or alias, in any case.
        """
        folder = BaseInferencer._get_repo_or_mim_dir(_check_scope(self.scope))
        known: list[str] = []
        for meta in BaseInferencer._get_models_from_metafile(folder):
            names = _names(meta)
            if model.lower() in map(str.lower, names):
                weights = meta.get("Weights")
                if isinstance(weights, list):
                    weights = weights[0]
                return Config.fromfile(osp.join(folder, meta["Config"])), weights
            known += names
        raise ConfigError(
            f"{model} is neither a file nor a model of {self.scope}", choices=nearest(model, known)
        )

    @staticmethod
    def _get_repo_or_mim_dir(scope: str) -> str:
        """Return the folder of a library that holds ``configs``.

        Raises:
            KeyError: It is no library of OpenMMLab.
            ImportError: It is not installed.
            FileNotFoundError: It has none.
        """
        try:
            module = importlib.import_module(scope)
        except ModuleNotFoundError as error:
            if error.name != scope:
                raise  # something that the library itself needs
            if scope not in MODULE2PACKAGE:
                raise ConfigKeyError(
                    f"{scope} is not a valid scope", choices=nearest(scope, MODULE2PACKAGE)
                ) from None
            raise ImportError(
                f"{scope} is not installed\nHint: pip install {MODULE2PACKAGE[scope]}", name=scope
            ) from None
        package = module.__path__[0]
        if osp.exists(osp.join(osp.dirname(package), "configs")):
            return osp.dirname(package)
        if osp.exists(osp.join(package, ".mim", "configs")):
            return osp.join(package, ".mim")
        raise FileNotFoundError(
            f"{package} comes without its configs\nHint: install it from its wheel"
        )

    @staticmethod
    def _get_models_from_metafile(dir: str) -> Iterator[dict[str, Any]]:
        """Yield what the metafiles in a folder say about each model.

        Args:
            dir: The folder with ``model-index.yml``.
        """
        for path in load(osp.join(dir, "model-index.yml"))["Import"]:
            yield from load(osp.join(dir, path))["Models"]

    @staticmethod
    def list_models(scope: str | None = None, patterns: str = r".*") -> list[str]:
        """Return, and log, the names and aliases of the models that a library publishes.

        Differs: an alias that stands alone is one name, not its letters.

        Args:
            scope: The library, by default the current default scope.
            patterns: A regular expression that names begin with.
        """
        folder = BaseInferencer._get_repo_or_mim_dir(_check_scope(scope or _default_scope()))
        metas = BaseInferencer._get_models_from_metafile(folder)
        found = [name for meta in metas for name in _names(meta) if re.match(patterns, name)]
        print_log("".join(f"model_name: {name}\n" for name in found), logger="current")
        return found


def _default_scope() -> str | None:
    current = DefaultScope.get_current_instance()
    return None if current is None else current.scope_name


def _check_scope(scope: str | None) -> str:
    if scope is None:
        raise ConfigAssertionError(
            "a model's name says nothing without its library", hint="pass scope, such as 'mmdet'"
        )
    if scope not in MODULE2PACKAGE:
        raise ConfigAssertionError(
            f"{scope} is not a valid scope", choices=nearest(scope, MODULE2PACKAGE)
        )
    return scope


def _names(meta: dict[str, Any]) -> list[str]:
    alias = meta.get("Alias") or []
    return [meta["Name"], *([alias] if isinstance(alias, str) else alias)]
