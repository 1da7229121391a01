"""The visualizer: it draws, and hands what a run records to all backends."""

from __future__ import annotations

import inspect
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mm2pl.errors import ConfigError, ConfigTypeError
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.dist import master_only
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.registry import VISBACKENDS, VISUALIZERS
from mm2pl.mmengine.utils import ManagerMixin
from mm2pl.mmengine.visualization._canvas import Canvas, in_main_process
from mm2pl.mmengine.visualization._featmap import draw_featmap
from mm2pl.mmengine.visualization._packages import Package, cv2
from mm2pl.mmengine.visualization.utils import Image, wait_continue
from mm2pl.mmengine.visualization.vis_backend import BaseVisBackend

_figure = Package("matplotlib.figure")
_pyplot = Package("matplotlib.pyplot")

BackendCfg = dict[str, Any] | BaseVisBackend
VisBackendsType = Sequence[BackendCfg] | BackendCfg | None
_FRAMELESS = {"frameon": False}
_LIGHTNING = ("lightning.", "pytorch_lightning.")


@VISUALIZERS.register_module()
class Visualizer(Canvas, ManagerMixin):
    """Draws on images, and hands scalars, images and the config to its backends, on rank 0 only.

    Differs: the backends' configs are not modified; the figure is made when it is first drawn on,
    so that a run that draws nothing needs neither matplotlib nor OpenCV.

    Args:
        name: The name of the instance (see ``get_instance``).
        image: An image to draw on (see ``set_image``).
        vis_backends: Configs of backends, with an optional ``name`` each, or backends. Differs:
            also Lightning's loggers, by their dotted names or as objects.
        save_dir: Their folder is ``vis_data`` in this one. A backend that needs a folder and gets
            none is left out with a warning.
        fig_save_cfg: Arguments of the matplotlib figure that is drawn on.
        fig_show_cfg: Arguments of the one that ``show`` shows.

    Raises:
        TypeError: ``vis_backends`` holds something else.
        RuntimeError: Two backends have one name.
    """

    manager: Any = None  # of the window of show

    draw_featmap = staticmethod(in_main_process(draw_featmap))

    def __init__(
        self,
        name: str = "visualizer",
        image: Image | None = None,
        vis_backends: VisBackendsType = None,
        save_dir: str | None = None,
        fig_save_cfg: dict[str, Any] = _FRAMELESS,
        fig_show_cfg: dict[str, Any] = _FRAMELESS,
    ) -> None:
        super().__init__(name)
        self._dataset_meta: dict[str, Any] | None = None
        self._vis_backends: dict[str, BaseVisBackend] = {}
        self.fig_save_cfg = dict(fig_save_cfg)
        self.fig_show_cfg = dict(fig_show_cfg)
        folder = None if save_dir is None else str(Path(save_dir) / "vis_data")
        for cfg in _as_list(vis_backends):
            self._add_backend(cfg, folder)
        if image is not None:
            self.set_image(image)

    def _add_backend(self, cfg: BackendCfg, folder: str | None) -> None:
        name, backend, kind = _build(cfg, folder)
        if backend is None or _lacks_folder(backend):
            # mmpose filters the warning by these words.
            warnings.warn(f"{kind.__name__} is left out, please provide the `save_dir` argument.")
            return
        if name in self._vis_backends:
            raise RuntimeError(
                f"there are two vis_backends named {name!r}. Hint: give one of them a name=..."
            )
        self._vis_backends[name] = backend

    @property
    @master_only
    def dataset_meta(self) -> dict[str, Any] | None:
        """What is known about the dataset, such as the names of its classes (None off rank 0)."""
        return self._dataset_meta

    @dataset_meta.setter
    @master_only
    def dataset_meta(self, dataset_meta: dict[str, Any]) -> None:
        self._dataset_meta = dataset_meta

    @master_only
    def show(
        self,
        drawn_img: Image | None = None,
        win_name: str = "image",
        wait_time: float = 0.0,
        continue_key: str = " ",
        backend: str = "matplotlib",
    ) -> Any:
        """Show an image in a window and wait.

        Args:
            drawn_img: RGB of shape (H, W, 3) and type uint8, by default the image that was drawn.
                OpenCV's window takes red for blue, as with MMEngine.
            win_name: The window's title.
            wait_time: How many seconds to wait for the key; 0 for ever.
            continue_key: The key, for matplotlib; OpenCV's window takes any.
            backend: ``"matplotlib"``, with the backend that matplotlib is set to, or ``"cv2"``.

        Returns:
            In a notebook the figure, otherwise ``None``.

        Raises:
            ValueError: ``backend`` is another one.
        """
        if backend not in ("matplotlib", "cv2"):
            raise ValueError(f"backend should be 'matplotlib' or 'cv2', but got {backend!r}")
        image = self.get_image() if drawn_img is None else drawn_img
        if backend == "cv2":
            window = str(id(self))  # one window for all images; its title changes
            cv2.namedWindow(winname=window)
            cv2.setWindowTitle(window, win_name)
            cv2.imshow(window, image)
            cv2.waitKey(int(np.ceil(wait_time * 1000)))
            return None
        self._init_manager(win_name)
        figure = self.manager.canvas.figure
        figure.subplots_adjust(left=0, right=1, bottom=0, top=1)
        figure.clear()
        axes = figure.add_subplot()
        axes.axis(False)
        axes.imshow(image)
        self.manager.canvas.draw()
        if "inline" in _pyplot.get_backend():
            return figure
        wait_continue(figure, timeout=wait_time, continue_key=continue_key)
        return None

    def _init_manager(self, win_name: str) -> None:
        """Make the window, also in place of one that was closed, and set its title."""
        if self.manager is not None:
            try:
                self.manager.set_window_title(win_name)
                return
            except Exception as error:  # each toolkit has its own for a window that was closed
                print_log(f"a new window, since {error!r}", "current", logging.DEBUG)
        self.manager = _pyplot.new_figure_manager(
            num=1, FigureClass=_figure.Figure, **self.fig_show_cfg
        )
        self.manager.set_window_title(win_name)

    @master_only
    def get_backend(self, name: str) -> BaseVisBackend | None:
        """Return a backend by its name, which by default is that of its class."""
        return self._vis_backends.get(name)

    @master_only
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record the config."""
        for backend in self._vis_backends.values():
            backend.add_config(config, **kwargs)

    @master_only
    def add_hyperparams(self, params: dict[str, Any]) -> None:
        """Record hyperparameters of Lightning code. Only mm2pl has this."""
        for backend in self._vis_backends.values():
            backend.add_hyperparams(params)

    @master_only
    def add_graph(self, model: torch.nn.Module, data_batch: Sequence[Any], **kwargs: Any) -> None:
        """Record the graph of a model, traced with a batch."""
        for backend in self._vis_backends.values():
            backend.add_graph(model, data_batch, **kwargs)

    @master_only
    def add_image(self, name: str, image: Image, step: int = 0) -> None:
        """Record an RGB image of shape (H, W, 3) and type uint8."""
        for backend in self._vis_backends.values():
            backend.add_image(name, image, step)

    @master_only
    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a number."""
        for backend in self._vis_backends.values():
            backend.add_scalar(name, value, step, **kwargs)

    @master_only
    def add_scalars(
        self,
        scalar_dict: dict[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Record numbers by name.

        Args:
            scalar_dict: The numbers.
            step: Where in the run they belong.
            file_path: One more file, beside the scalars' own, for backends that write files.
            **kwargs: For the backends.
        """
        for backend in self._vis_backends.values():
            backend.add_scalars(scalar_dict, step, file_path, **kwargs)

    @master_only
    def add_datasample(
        self,
        name: str,
        image: Image,
        data_sample: Any = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: int = 0,
        step: int = 0,
    ) -> None:
        """Draw and record a sample: for subclasses, here nothing happens."""

    def close(self) -> None:
        """Close all backends."""
        for backend in self._vis_backends.values():
            backend.close()

    @classmethod
    def get_instance(cls, name: str, **kwargs: Any) -> Visualizer:
        """Return the instance of that name, made if there is none.

        An instance of a subclass is known to ``Visualizer`` too, so that
        ``Visualizer.get_current_instance()`` finds it whatever its class.
        """
        instance = super().get_instance(name, **kwargs)
        Visualizer._instance_dict[name] = instance
        return instance


def _build(cfg: BackendCfg, folder: str | None) -> tuple[str, BaseVisBackend | None, type]:
    """Return a backend's name, itself, and its class; None for a logger that lacks a folder."""
    if isinstance(cfg, BaseVisBackend):
        return type(cfg).__name__, cfg, type(cfg)
    kind = _logger_class(cfg)
    if kind is not None:
        from mm2pl.loggers import logger_backend

        # The name is the logger's own argument, and tells two of a class apart.
        return _logger_name(cfg, kind), logger_backend(kind, cfg, folder), kind
    options: dict[str, Any] = {"save_dir": folder, **cfg}
    name = options.pop("name", None)
    backend = VISBACKENDS.build(options)
    return name or type(backend).__name__, backend, type(backend)


def _logger_name(cfg: Any, kind: type) -> str:
    given = cfg.get("name") if isinstance(cfg, dict) else None
    return f"{kind.__name__}.{given}" if given else kind.__name__


def _logger_class(cfg: Any) -> type | None:
    """Return the class if it is one of Lightning's loggers, None if it is a backend's."""
    kind: Any = cfg.get("type") if isinstance(cfg, dict) else type(cfg)
    if isinstance(kind, str):
        if kind.startswith(_LIGHTNING):
            kind = kind.replace(_LIGHTNING[1], "lightning.pytorch.", 1)
        elif "." not in kind:
            return None
        try:
            kind = VISBACKENDS.get(kind)
        except ConfigError:  # the registry tells when it builds
            return None
    if not isinstance(kind, type) or issubclass(kind, BaseVisBackend):
        return None
    return kind if hasattr(kind, "log_metrics") else None


def _describes_backend(cfg: Any) -> bool:
    return isinstance(cfg, (dict, BaseVisBackend)) or _logger_class(cfg) is not None


def _as_list(vis_backends: Any) -> Sequence[BackendCfg]:
    if vis_backends is None:
        return []
    if _describes_backend(vis_backends):
        return [vis_backends]
    wrong = [cfg for cfg in vis_backends if not _describes_backend(cfg)]
    if wrong:
        raise ConfigTypeError(
            f"a backend must be a dict or a BaseVisBackend, got {wrong!r}",
            key_path="vis_backends",
        )
    return list(vis_backends)


def _lacks_folder(backend: BaseVisBackend) -> bool:
    parameter = inspect.signature(type(backend).__init__).parameters.get("save_dir")
    required = parameter is not None and parameter.default is parameter.empty
    return required and getattr(backend, "_save_dir", "") is None
