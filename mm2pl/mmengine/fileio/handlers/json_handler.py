"""JSON."""

from __future__ import annotations

import json
from typing import IO, Any

import numpy as np

from mm2pl.mmengine.fileio.handlers.base import BaseFileHandler


def set_default(obj: Any) -> Any:
    """Turn sets, ranges, and NumPy's arrays and scalars into what JSON knows."""
    if isinstance(obj, (set, range)):
        return list(obj)
    if isinstance(obj, (np.ndarray, np.generic)):
        return obj.tolist()
    raise TypeError(f"{type(obj)} is unsupported for json dump")


class JsonHandler(BaseFileHandler):
    """JSON, which also takes sets, ranges, arrays and NumPy's scalars."""

    def load_from_fileobj(self, file: IO[str], **kwargs: Any) -> Any:
        """Return the object in an open file. Differs: takes ``json.load``'s arguments."""
        return json.load(file, **kwargs)

    def dump_to_fileobj(self, obj: Any, file: IO[str], **kwargs: Any) -> None:
        """Write an object to an open file, with ``json.dump``'s arguments."""
        kwargs.setdefault("default", set_default)
        json.dump(obj, file, **kwargs)

    def dump_to_str(self, obj: Any, **kwargs: Any) -> str:
        """Return an object as JSON, with ``json.dumps``' arguments."""
        kwargs.setdefault("default", set_default)
        return json.dumps(obj, **kwargs)
