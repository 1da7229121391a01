"""The packages of the extra ``drawing``, imported when something is drawn."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from mm2pl.errors import MissingPackageError


class Package:
    """Stands for a module that only drawing needs; it is imported on the first use.

    Args:
        name: The module's full name.

    Raises:
        MissingPackageError: On use, when it cannot be imported.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith("__"):  # inspect and doctest look for such, and import nothing
            raise AttributeError(attribute)
        try:
            module = import_module(self._name)
        except ImportError as error:
            package = self._name.partition(".")[0]
            raise MissingPackageError(
                f"drawing needs {package}, which cannot be imported: {error}",
                hint="pip install 'mm2pl[drawing]'",
            ) from error
        return getattr(module, attribute)


cv2 = Package("cv2")
