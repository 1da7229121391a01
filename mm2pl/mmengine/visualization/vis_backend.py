"""Where a run's scalars, images and config are recorded."""

from __future__ import annotations

import json
import struct
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from mm2pl.mmengine.config import Config
from mm2pl.mmengine.registry import VISBACKENDS
from mm2pl.mmengine.visualization._base_backend import (
    BaseVisBackend,
    OneByOne,
    force_init_env,
    require_type,
)
from mm2pl.mmengine.visualization._services import (
    AimVisBackend,
    ClearMLVisBackend,
    NeptuneVisBackend,
    WandbVisBackend,
)
from mm2pl.mmengine.visualization._stores import (
    CSVVisBackend,
    DVCLiveVisBackend,
    MLflowVisBackend,
)
from mm2pl.mmengine.visualization.utils import Image

__all__ = [
    "AimVisBackend",
    "BaseVisBackend",
    "CSVVisBackend",
    "ClearMLVisBackend",
    "DVCLiveVisBackend",
    "LocalVisBackend",
    "MLflowVisBackend",
    "NeptuneVisBackend",
    "TensorboardVisBackend",
    "WandbVisBackend",
    "force_init_env",
]

_SCALARS = (int, float, np.number, np.ndarray, torch.Tensor)


@VISBACKENDS.register_module()
class LocalVisBackend(BaseVisBackend):
    """Records to files in ``save_dir``: a config, PNG images, and scalars as lines of JSON.

    Differs: scalars in a dict may be tensors; image names may contain a slash; no OpenCV.

    Args:
        save_dir: The folder.
        img_save_dir: Its folder for images, ``<name>_<step>.png``.
        config_save_file: The file for the config, ``*.py``.
        scalar_save_file: The file for the scalars, ``*.json``.

    Raises:
        AssertionError: A file has another ending.
    """

    def __init__(
        self,
        save_dir: str,
        img_save_dir: str = "vis_image",
        config_save_file: str = "config.py",
        scalar_save_file: str = "scalars.json",
    ) -> None:
        _require_suffix("config_save_file", config_save_file, ".py")
        _require_suffix("scalar_save_file", scalar_save_file, ".json")
        super().__init__(save_dir)
        self._img_save_dir = img_save_dir
        self._config_save_file = config_save_file
        self._scalar_save_file = scalar_save_file

    def _init_env(self) -> None:
        folder = Path(self._save_dir)
        folder.mkdir(parents=True, exist_ok=True)
        self._img_save_dir = str(folder / self._img_save_dir)
        self._config_save_file = str(folder / self._config_save_file)
        self._scalar_save_file = str(folder / self._scalar_save_file)

    @property
    @force_init_env
    def experiment(self) -> LocalVisBackend:
        """The backend itself."""
        return self

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Write the config file."""
        require_type("config", config, Config)
        config.dump(self._config_save_file)

    @force_init_env
    def add_hyperparams(self, params: dict[str, Any]) -> None:
        """Write ``hparams.yaml``, as Lightning's loggers do. Only mm2pl has this."""
        (Path(self._save_dir) / "hparams.yaml").write_text(_as_yaml(params), encoding="utf-8")

    @force_init_env
    def add_image(self, name: str, image: Image, step: int = 0, **kwargs: Any) -> None:
        """Write an RGB image of shape (H, W, 3) and type uint8.

        A grey one, (H, W) or (H, W, 1), is written as RGB; the fourth channel of (H, W, 4) is not.
        """
        if image.dtype != np.uint8:
            raise AssertionError(f"image {name!r} must be of type uint8, got {image.dtype}")
        if image.ndim not in (2, 3) or image.shape[2:] not in ((), (1,), (3,), (4,)):
            raise AssertionError(f"image {name!r} must have shape (H, W, 3), got {image.shape}")
        path = Path(self._img_save_dir) / f"{name}_{step}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(_png(image))

    @force_init_env
    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Append a line with one number (an array or tensor of one element is one)."""
        if isinstance(value, torch.Tensor):
            value = value.item()
        self._dump({name: value, "step": step}, self._scalar_save_file)

    @force_init_env
    def add_scalars(
        self,
        scalar_dict: dict[str, Any],
        step: int = 0,
        file_path: str | None = None,
        **kwargs: Any,
    ) -> None:
        """Append a line with several numbers, and the same to ``file_path`` in the folder.

        Raises:
            AssertionError: ``file_path`` is no ``.json`` or is the scalars' own file.
        """
        require_type("scalar_dict", scalar_dict, dict)
        line = dict(scalar_dict)
        line.setdefault("step", step)
        if file_path is not None:
            _require_suffix("file_path", file_path, ".json")
            other = str(Path(self._save_dir) / file_path)
            if other == self._scalar_save_file:
                raise AssertionError(f"file_path {file_path!r} is where scalars go anyway")
            self._dump(line, other)
        self._dump(line, self._scalar_save_file)

    def _dump(self, line: dict[str, Any], path: str) -> None:
        text = json.dumps(line, default=_plain)
        with open(path, "a", encoding="utf-8") as file:
            file.write(text + "\n")


@VISBACKENDS.register_module()
class TensorboardVisBackend(OneByOne):
    """Records to TensorBoard event files in ``save_dir``.

    Differs: ``add_graph`` records the graph if it is given a batch.

    Args:
        save_dir: The folder.
    """

    _refuses_step = True

    def _init_env(self) -> None:
        from torch.utils.tensorboard import SummaryWriter  # takes a second to import

        Path(self._save_dir).mkdir(parents=True, exist_ok=True)
        self._tensorboard = SummaryWriter(self._save_dir)

    @property
    @force_init_env
    def experiment(self) -> Any:
        """The ``SummaryWriter``."""
        return self._tensorboard

    @force_init_env
    def add_config(self, config: Config, **kwargs: Any) -> None:
        """Record the config as text."""
        self._tensorboard.add_text("config", config.pretty_text)

    @force_init_env
    def add_hyperparams(self, params: dict[str, Any]) -> None:
        """Record hyperparameters as text. Only mm2pl has this."""
        self._tensorboard.add_text("hparams", _as_yaml(params))

    @force_init_env
    def add_graph(
        self, model: torch.nn.Module, data_batch: Sequence[Any] | None, **kwargs: Any
    ) -> None:
        """Record the graph of a model, traced with ``data_batch``, ``forward``'s arguments.

        Without a batch there is nothing to trace; one that cannot be traced is told in a warning.
        """
        if data_batch is None:
            return
        try:
            self._tensorboard.add_graph(model, data_batch)
        except Exception as error:  # whatever the model's code raises when it is traced
            warnings.warn(f"TensorBoard: the graph cannot be traced, and is left out: {error!r}")

    @force_init_env
    def add_image(self, name: str, image: Image, step: int = 0, **kwargs: Any) -> None:
        """Record an RGB image of shape (H, W, 3)."""
        self._tensorboard.add_image(name, image, step, dataformats="HWC")

    @force_init_env
    def add_scalar(self, name: str, value: Any, step: int = 0, **kwargs: Any) -> None:
        """Record a number; anything else is skipped with a warning."""
        if isinstance(value, _SCALARS):
            self._tensorboard.add_scalar(name, value, step)
        else:
            warnings.warn(f"TensorBoard: {name!r} is a {type(value).__name__}, no number: skipped")

    def close(self) -> None:
        """Close the event file; recording again opens another."""
        if self._env_initialized:
            self._tensorboard.close()


def _require_suffix(name: str, file: str, suffix: str) -> None:
    if not file.endswith(suffix):
        raise AssertionError(f"{name} must end in {suffix}, got {file!r}")


def _plain(value: Any) -> Any:
    """Return what JSON can hold for what it cannot.

    Raises:
        TypeError: There is no such thing.
    """
    if isinstance(value, (set, range)):
        return list(value)
    if isinstance(value, (np.ndarray, np.generic, torch.Tensor)):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _as_yaml(params: dict[str, Any]) -> str:
    text: str = yaml.safe_dump(_writable(params), sort_keys=False)
    return text


def _writable(value: Any) -> Any:
    """Return ``value`` with what YAML has no form for as text."""
    if isinstance(value, dict):
        return {str(key): _writable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_writable(item) for item in value]
    plain = value is None or type(value) in (bool, int, float, str)
    return value if plain else str(value)


def _png(image: Image) -> bytes:
    """Return an image as an RGB PNG file (without a library: none is a core dependency)."""
    image = np.broadcast_to(np.atleast_3d(image)[..., :3], (*image.shape[:2], 3))
    height, width, _ = image.shape
    # Each row is preceded by its filter type: 1, which subtracts the pixel to the left. With run
    # lengths alone that is as fast as OpenCV, and as small.
    rows = np.ones((height, 1 + 3 * width), np.uint8)
    pixels = rows[:, 1:] = image.reshape(height, -1)
    rows[:, 4:] -= pixels[:, :-3]
    packer = zlib.compressobj(level=1, strategy=zlib.Z_RLE)
    header = struct.pack(">2I5B", width, height, 8, 2, 0, 0, 0)
    packed = packer.compress(rows.tobytes()) + packer.flush()
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


# Pickles name classes by module: this is where MMEngine has them.
for _backend in (
    BaseVisBackend,
    AimVisBackend,
    ClearMLVisBackend,
    DVCLiveVisBackend,
    MLflowVisBackend,
    NeptuneVisBackend,
    WandbVisBackend,
):
    _backend.__module__ = __name__
