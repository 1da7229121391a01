"""Model wrappers: which there are, and what stands in for MMEngine's."""

from __future__ import annotations

from typing import Any

import pytest

from mm2pl.errors import UnsupportedError
from mm2pl.mmengine.registry import MODEL_WRAPPERS


def test_wrappers_are_recognised_alike(both: Any) -> None:
    both.assert_same("is_model_wrapper")


def test_public_names_are_mmengines(both: Any) -> None:
    both.assert_same("names")


def test_the_sharding_wrapper_says_what_stands_in_for_it() -> None:
    with pytest.raises(UnsupportedError, match="MMFullyShardedDataParallel"):
        MODEL_WRAPPERS.build(dict(type="MMFullyShardedDataParallel", module=None))
