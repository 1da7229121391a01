"""What settings are made of: plain values that tell one setting from another."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch

from mm2pl.resume.schedules import plain


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.5), 0.5),
        (np.bool_(True), True),
        (np.str_("a"), "a"),
        (float("nan"), "nan"),
        (Counter({3: 1, 1: 2}), [1, 1, 3]),
        ({"a": (1, {"b": torch.tensor(2)})}, {"a": [1, {"b": 2}]}),
        ({2, "a"}, ["a", 2]),
        (torch.arange(3), [0, 1, 2]),
        (np.ones(2000), "ndarray of (2000,), sum 2000.0"),
        (torch.nn.functional.relu, "torch.nn.functional.relu"),
        (object(), "builtins.object"),
    ],
)
def test_a_value_is_made_plain(value: Any, expected: Any) -> None:
    found = plain(value)
    assert found == expected
    assert type(found) is type(expected)
