from typing import Any

import numpy as np
from pycocotools import cocoeval
from pycocotools.cocoeval import *  # noqa: F403


class COCOeval(cocoeval.COCOeval):  # type: ignore[misc]
    """Takes the two further arguments of xtcocotools; objects without an area are not known."""

    def __init__(
        self, gt: Any, dt: Any, kind: str, sigmas: np.ndarray | None = None, use_area: bool = True
    ) -> None:
        super().__init__(gt, dt, kind)
        if sigmas is not None:
            self.params.kpt_oks_sigmas = np.asarray(sigmas)
