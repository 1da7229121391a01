"""The base of datasets that know their annotations, and the pipeline that makes samples of them."""

from __future__ import annotations

import copy
import functools
import logging
import pickle
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Concatenate, ParamSpec, TypeVar

import numpy as np
import numpy.typing as npt
from torch.utils.data import Dataset

from mm2pl.errors import ConfigTypeError, DataAssertionError, DataError, UnsupportedError
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.fileio import join_path, list_from_file, load
from mm2pl.mmengine.logging import print_log
from mm2pl.mmengine.registry import TRANSFORMS
from mm2pl.mmengine.utils import is_abs

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Bytes = npt.NDArray[np.uint8]
_Ends = npt.NDArray[np.int64]

# Kept apart from the other attributes when a dataset is copied, since they are large.
_ANNOTATIONS = ("data_list", "data_address", "data_bytes")


class _DataTypeError(DataError, TypeError):
    """Annotations or arguments of a dataset have the wrong type."""


class _IndicesError(DataAssertionError, IndexError):
    """A subset reaches outside of its dataset."""


class Compose:
    """Applies transforms one after the other.

    Args:
        transforms: Configs or callables, each taking the sample's dict and returning it changed,
            or None to give the sample up.
    """

    def __init__(self, transforms: Sequence[dict[str, Any] | Callable[[Any], Any]] | None) -> None:
        self.transforms: list[Callable[[Any], Any]] = []
        for position, transform in enumerate(transforms or ()):
            built = TRANSFORMS.build(transform) if isinstance(transform, dict) else transform
            if not callable(built):
                raise ConfigTypeError(
                    f"transform must be a callable object or dict, but got {type(built)}",
                    key_path=f"pipeline[{position}]",
                )
            self.transforms.append(built)

    def __call__(self, data: dict[str, Any]) -> Any:
        """Return the sample, or None as soon as a transform gives it up."""
        result: Any = data
        for transform in self.transforms:
            result = transform(result)
            if result is None:
                return None
        return result

    def __repr__(self) -> str:
        lines = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"{type(self).__name__}({lines}\n)"


def force_full_init(old_func: Callable[Concatenate[Any, _P], _T]) -> Callable[..., _T]:
    """Make a method call ``full_init`` of its object first if that has not been done."""

    @functools.wraps(old_func)
    def wrapper(obj: Any, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        if not getattr(obj, "_fully_initialized", False):
            _init_late(obj)
        return old_func(obj, *args, **kwargs)

    return wrapper


def _init_late(obj: Any) -> None:
    kind = type(obj)
    if not hasattr(obj, "full_init"):
        raise AttributeError(f"{kind} does not have full_init method.")
    print_log(
        f"Attribute `_fully_initialized` is not defined in {kind} or `type(obj)._fully_initialized "
        f"is False, `full_init` will be called and {kind}._fully_initialized will be set to True",
        logger="current",
        level=logging.WARNING,
    )
    obj.full_init()
    obj._fully_initialized = True


class BaseDataset(Dataset[Any]):
    """A list of annotations (dicts) and a pipeline that makes a sample of each.

    The annotation file holds a dict with ``metainfo`` (a dict) and ``data_list`` (a list of
    dicts); subclasses with other files override :meth:`load_data_list`. Meta information comes
    from the argument, then the class's ``METAINFO``, then the file.

    Args:
        ann_file: The annotation file.
        metainfo: Meta information; a string that names a text file stands for its lines.
        data_root: What relative ``ann_file`` and ``data_prefix`` are relative to.
        data_prefix: For keys of an annotation, the folder that its value is relative to.
        filter_cfg: What a subclass's :meth:`filter_data` goes by.
        indices: Use the first so many annotations, the last (negative), or these.
        serialize_data: Keep the annotations pickled in one array, which worker processes share.
        pipeline: Transforms.
        test_mode: A sample that the pipeline gives up is an error, not replaced by another.
        lazy_init: Do not load the annotations until they are needed.
        max_refetch: How often to try another sample when the pipeline gives one up.

    Raises:
        DataError: There are no annotations to serialize, or they have the wrong form.
    """

    METAINFO: ClassVar[dict[str, Any]] = {}
    _fully_initialized: bool = False
    data_bytes: _Bytes
    data_address: _Ends

    def __init__(
        self,
        ann_file: str | None = "",
        metainfo: Mapping[str, Any] | Config | None = None,
        data_root: str | None = "",
        data_prefix: dict[str, Any] = {"img_path": ""},  # noqa: B006  # copied below
        filter_cfg: dict[str, Any] | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict[str, Any] | Callable[[Any], Any]] = [],  # only read
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        self.ann_file = ann_file
        self._metainfo = self._load_metainfo(copy.deepcopy(metainfo))
        self.data_root = data_root
        self.data_prefix = copy.copy(data_prefix)
        self.filter_cfg = copy.deepcopy(filter_cfg)
        self._indices = indices
        self.serialize_data = serialize_data
        self.test_mode = test_mode
        self.max_refetch = max_refetch
        self.data_list: list[dict[str, Any]] = []
        self._join_prefix()
        self.pipeline = Compose(pipeline)
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict[str, Any]:
        """A copy of the meta information."""
        return copy.deepcopy(self._metainfo)

    def full_init(self) -> None:
        """Load, filter, cut and serialize the annotations, once."""
        if self._fully_initialized:
            return
        self.data_list = self.load_data_list()
        self.data_list = self.filter_data()
        if self._indices is not None:
            self.data_list = self._get_unserialized_subset(self._indices)
        if self.serialize_data:
            self.data_bytes, self.data_address = self._serialize_data()
        self._fully_initialized = True

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return the annotations of ``ann_file`` and take its meta information in.

        Raises:
            DataError: The file's content has not the form that :class:`BaseDataset` describes.
        """
        if not self.ann_file:
            raise _DataTypeError(
                f"{type(self).__name__} has no annotation file",
                key_path="ann_file",
                hint="Set ann_file, or override load_data_list.",
            )
        annotations = load(self.ann_file)
        if not isinstance(annotations, dict):
            raise _DataTypeError(
                "The annotations loaded from annotation file should be a dict, "
                f"but got {type(annotations)}!",
                file=self.ann_file,
            )
        if not {"data_list", "metainfo"} <= annotations.keys():
            raise DataError(
                f"Annotation must have data_list and metainfo keys, but has {list(annotations)}",
                file=self.ann_file,
            )
        for key, value in annotations["metainfo"].items():
            self._metainfo.setdefault(key, value)
        data_list: list[dict[str, Any]] = []
        for raw in annotations["data_list"]:
            info = self.parse_data_info(raw)
            infos = info if isinstance(info, list) else [info]
            for item in infos:
                if not isinstance(item, dict):
                    raise _DataTypeError(
                        f"data_info should be a dict or list of dict, but got {type(item)}",
                        file=self.ann_file,
                    )
            data_list.extend(infos)
        return data_list

    def parse_data_info(
        self, raw_data_info: dict[str, Any]
    ) -> dict[str, Any] | list[dict[str, Any]]:
        """Return the annotation, or several, that one entry of the file stands for.

        Here: the entry itself, with the folders of ``data_prefix`` put before its paths.
        """
        for key, prefix in self.data_prefix.items():
            if key not in raw_data_info:
                raise DataAssertionError(
                    f"raw_data_info: {raw_data_info} does not contain prefix key {key}, "
                    "please check your data_prefix.",
                    file=self.ann_file,
                    key_path=f"data_prefix.{key}",
                )
            raw_data_info[key] = join_path(prefix, raw_data_info[key])
        return raw_data_info

    def filter_data(self) -> list[dict[str, Any]]:
        """Return the annotations to keep; here all of ``self.data_list``."""
        return self.data_list

    def get_cat_ids(self, idx: int) -> list[int]:
        """Return the categories in a sample; a subclass says how.

        Raises:
            UnsupportedError: The subclass does not (``ClassBalancedDataset`` needs it).
        """
        raise UnsupportedError(f"{type(self)} must implement `get_cat_ids` method")

    @force_full_init
    def get_data_info(self, idx: int) -> dict[str, Any]:
        """Return a copy of one annotation, with its position as ``sample_idx``."""
        if self.serialize_data:
            start, end = self._span(idx)
            info = pickle.loads(self.data_bytes[start:end].data)
        else:
            info = copy.deepcopy(self.data_list[idx])
        info["sample_idx"] = idx if idx >= 0 else len(self) + idx
        result: dict[str, Any] = info
        return result

    def __getitem__(self, idx: int) -> Any:
        """Return one sample, or another one at random if the pipeline gives it up.

        Raises:
            DataError: In test mode the sample is given up; else so are ``max_refetch`` others.
        """
        if not self._fully_initialized:
            ask_for_full_init()
            self.full_init()
        if self.test_mode:
            data = self.prepare_data(idx)
            if data is None:
                raise DataError(
                    f"Test time pipeline should not get `None` data_sample (sample {idx})",
                    hint="With test_mode=False another sample takes its place.",
                )
            return data
        for _ in range(self.max_refetch + 1):
            data = self.prepare_data(idx)
            if data is not None:
                return data
            idx = self._rand_another()
        raise DataError(
            f"Cannot find valid image after {self.max_refetch}! "
            "Please check your image path and pipeline"
        )

    def prepare_data(self, idx: int) -> Any:
        """Return what the pipeline makes of one annotation."""
        return self.pipeline(self.get_data_info(idx))

    def _rand_another(self) -> int:
        """Return a position at random, by numpy's global generator."""
        return np.random.randint(0, len(self))

    @force_full_init
    def __len__(self) -> int:
        return len(self.data_address if self.serialize_data else self.data_list)

    @classmethod
    def _load_metainfo(cls, metainfo: Mapping[str, Any] | Config | None = None) -> dict[str, Any]:
        """Return ``METAINFO`` with the argument over it."""
        result = copy.deepcopy(cls.METAINFO)
        if metainfo is None:
            return result
        if not isinstance(metainfo, (Mapping, Config)):
            raise _DataTypeError(
                f"metainfo should be a Mapping or Config, but got {type(metainfo)}",
                key_path="metainfo",
            )
        for key, value in metainfo.items():
            result[key] = _lines_or_text(value) if isinstance(value, str) else value
        return result

    def _join_prefix(self) -> None:
        """Put ``data_root`` before the relative ones of ``ann_file`` and ``data_prefix``."""
        if self.ann_file and not is_abs(self.ann_file) and self.data_root:
            self.ann_file = join_path(self.data_root, self.ann_file)
        for key, prefix in self.data_prefix.items():
            if not isinstance(prefix, str):
                raise _DataTypeError(
                    f"prefix should be a string, but got {type(prefix)}",
                    key_path=f"data_prefix.{key}",
                )
            if self.data_root and not is_abs(prefix):
                self.data_prefix[key] = join_path(self.data_root, prefix)

    @force_full_init
    def get_subset_(self, indices: Sequence[int] | int) -> None:
        """Keep the first so many annotations, the last (negative), or these."""
        if self.serialize_data:
            self.data_bytes, self.data_address = self._get_serialized_subset(indices)
        else:
            self.data_list = self._get_unserialized_subset(indices)

    @force_full_init
    def get_subset(self, indices: Sequence[int] | int) -> BaseDataset:
        """Return a copy with the first so many annotations, the last (negative), or these."""
        subset = self._copy_without_annotation()
        if self.serialize_data:
            data_bytes, ends = self._get_serialized_subset(indices)
            subset.data_bytes, subset.data_address = data_bytes.copy(), ends.copy()
        else:
            subset.data_list = copy.deepcopy(self._get_unserialized_subset(indices))
        return subset

    def _span(self, idx: int) -> tuple[int, int]:
        """Return where the bytes of one annotation begin and end."""
        size = len(self.data_address)
        if not -size <= idx < size:
            raise _IndicesError(f"{idx} is out of dataset length({size})")
        idx %= size
        return self._end(idx), self._end(idx + 1)

    def _end(self, count: int) -> int:
        """Return how many bytes the first ``count`` annotations take."""
        return int(self.data_address[count - 1]) if count else 0

    def _get_serialized_subset(self, indices: Sequence[int] | int) -> tuple[_Bytes, _Ends]:
        _check_indices(indices)
        if isinstance(indices, int):
            size = len(self.data_address)
            if not -size <= indices <= size:
                raise _IndicesError(f"{indices} is out of dataset length({size})")
            first, last = (0, indices) if indices >= 0 else (size + indices, size)
            offset = self._end(first)
            # Slices, which share the memory of the whole.
            return self.data_bytes[offset : self._end(last)], self.data_address[first:last] - offset
        spans = [self._span(idx) for idx in indices]
        if not spans:
            return np.empty(0, np.uint8), np.empty(0, np.int64)
        data_bytes = np.concatenate([self.data_bytes[start:end] for start, end in spans])
        return data_bytes, np.cumsum([end - start for start, end in spans], dtype=np.int64)

    def _get_unserialized_subset(self, indices: Sequence[int] | int) -> list[dict[str, Any]]:
        _check_indices(indices)
        if isinstance(indices, int):
            return self.data_list[:indices] if indices >= 0 else self.data_list[indices:]
        return [self.data_list[idx] for idx in indices]

    def _serialize_data(self) -> tuple[_Bytes, _Ends]:
        """Return the pickled annotations in one array and where each ends; empty the list."""
        if not self.data_list:
            raise DataError(
                f"The dataset is empty: {type(self).__name__} has no annotations after filtering",
                file=self.ann_file or None,
                hint="Check ann_file, data_root, filter_cfg and indices.",
            )
        pickled = [
            np.frombuffer(pickle.dumps(info, protocol=4), dtype=np.uint8) for info in self.data_list
        ]
        ends = np.cumsum([len(item) for item in pickled], dtype=np.int64)
        # Worker processes would copy every page of a list whose reference counts they touch.
        self.data_list.clear()
        return np.concatenate(pickled), ends

    def _copy_without_annotation(self, memo: dict[int, Any] | None = None) -> BaseDataset:
        """Return a deep copy that lacks the annotations."""
        memo = {} if memo is None else memo
        other = type(self).__new__(type(self))
        memo[id(self)] = other
        for key, value in self.__dict__.items():
            if key not in _ANNOTATIONS:
                other.__dict__[key] = copy.deepcopy(value, memo)
        return other


def ask_for_full_init() -> None:
    """Warn that a dataset is read before ``full_init``, maybe in every worker anew."""
    print_log(
        "Please call `full_init()` method manually to accelerate the speed.",
        logger="current",
        level=logging.WARNING,
    )


def _lines_or_text(value: str) -> list[str] | str:
    """Return the lines of the file that ``value`` names, or the text if there is none."""
    try:
        lines: list[str] = list_from_file(value)
    except (TypeError, OSError):
        print_log(
            f"{value} is not a meta file, simply parsed as meta information",
            logger="current",
            level=logging.WARNING,
        )
        return value
    return lines


def _check_indices(indices: object) -> None:
    if not isinstance(indices, (int, Sequence)):
        raise _DataTypeError(
            f"indices should be a int or sequence of int, but got {type(indices)}",
            key_path="indices",
        )
