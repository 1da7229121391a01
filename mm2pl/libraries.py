"""The OpenMMLab libraries by their scope: which package brings each, and what came after it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Library:
    """A library whose modules register under a scope of their own.

    Attributes:
        package: What to ``pip install``.
        successor: The scope of the library that took this one in, with the same configs' names.
    """

    package: str
    successor: str | None = None


LIBRARIES = {
    "mmpretrain": Library("mmpretrain"),
    "mmseg": Library("mmsegmentation"),
    "mmdet": Library("mmdet"),
    "mmdet3d": Library("mmdet3d"),
    "mmpose": Library("mmpose"),
    "mmaction": Library("mmaction2"),
    "mmocr": Library("mmocr"),
    "mmagic": Library("mmagic"),
    "mmrotate": Library("mmrotate"),
    "mmyolo": Library("mmyolo"),
    "mmrazor": Library("mmrazor"),
    "mmcls": Library("mmcls", successor="mmpretrain"),
    "mmselfsup": Library("mmselfsup", successor="mmpretrain"),
    "mmedit": Library("mmedit", successor="mmagic"),
    "mmgen": Library("mmgen", successor="mmagic"),
    "mmtrack": Library("mmtrack", successor="mmdet"),
    "mmflow": Library("mmflow"),
    "mmfewshot": Library("mmfewshot"),
    "mmhuman3d": Library("mmhuman3d"),
}

NO_OPERATORS = (
    "mmcv-lite has no operators; the full mmcv has: pip uninstall mmcv-lite, then install an mmcv"
    " that was built for the installed torch"
)


def how_to_get(scope: str) -> str | None:
    """Return how to install the library of a scope, or the one that came after it."""
    library = LIBRARIES.get(scope)
    if library is None:
        return None
    if library.successor is None:
        return f"pip install {library.package}"
    package = LIBRARIES[library.successor].package
    return (
        f"pip install {package}, which came after {scope}, and write {library.successor} for"
        f" {scope} in the config"
    )
