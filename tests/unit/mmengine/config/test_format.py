"""Configs written as code read back as what they were."""

from __future__ import annotations

import enum
import math
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mm2pl.errors import ConfigTypeError
from mm2pl.mmengine.config import Config, ConfigDict
from mm2pl.mmengine.config.config import RESERVED_KEYS
from mm2pl.mmengine.config.lazy import LazyObject

ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.text(),
    st.binary(),
    st.sampled_from(
        [
            "{{ fileDirname }}",
            "{{$HOME:x}}",
            "a {{_base_.b}}",
            "{{{ fileBasename}}}",
            "it's\n",
            "\\",
        ]
    ),
)
HASHABLE = st.one_of(st.integers(), st.text(), st.booleans(), st.tuples(st.integers(), st.text()))
NAMES = st.one_of(st.text(), st.text("abc_", min_size=1, max_size=4), st.just("lambda"))
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner),
        st.lists(inner).map(tuple),
        st.dictionaries(st.one_of(NAMES, HASHABLE), inner),
        st.sets(HASHABLE),
        st.frozensets(HASHABLE),
    ),
    max_leaves=8,
)


def _is_key(name: str) -> bool:
    special = ("_base_", "_deprecation_", "custom_imports", *RESERVED_KEYS)
    return not name.startswith("__") and name not in special


CONFIGS = st.dictionaries(NAMES.filter(_is_key), VALUES)


def reread(cfg: Config) -> dict[str, Any]:
    return Config.fromstring(cfg.dump() or "", ".py").to_dict()


def same(one: Any, two: Any) -> bool:
    """Compare with types, but without the order of keys."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)


@settings(max_examples=60, deadline=None, database=None)
@given(CONFIGS)
def test_any_config_reads_back_equal(values: dict[str, Any]) -> None:
    cfg = Config(values)
    assert same(reread(cfg), cfg.to_dict()), cfg.pretty_text


@pytest.mark.parametrize("name", ["dict", "float", "set", "frozenset", "complex"])
def test_keys_that_hide_builtins_read_back(name: str) -> None:
    values = {"a": {"x": math.inf}, name: {"b": {1}}, "z": [set(), frozenset({2})]}
    assert reread(Config(values)) == values


def test_nan_reads_back() -> None:
    assert math.isnan(reread(Config({"a": [math.nan]}))["a"][0])


def test_numbers_of_other_kinds_are_written_as_pythons() -> None:
    colour = enum.IntEnum("Colour", "RED")
    values = {"a": np.float64(1.5), "b": np.int64(2), "c": colour.RED, "d": np.float32("inf")}
    assert same(reread(Config(values)), {"a": 1.5, "b": 2, "c": 1, "d": math.inf})


def test_paths_are_written_as_strings() -> None:
    assert reread(Config({"a": Path("/x/y")})) == {"a": "/x/y"}


def test_classes_and_lazy_objects_are_written_as_dotted_names() -> None:
    cfg = Config({"a": {"type": torch.optim.SGD}, "b": LazyObject("thelib", "Net"), "c": math.sin})
    assert reread(cfg) == {
        "a": {"type": "torch.optim.sgd.SGD"},
        "b": "thelib.Net",
        "c": "math.sin",
    }


def test_what_is_code_by_chance_is_written_as_mmengine_does() -> None:
    assert "dtype=torch.float16" in Config({"a": {"dtype": torch.float16}}).pretty_text


@pytest.mark.parametrize(
    "value", [object(), torch.nn.ReLU, type("Local", (), {})], ids=["object", "real", "local"]
)
def test_values_without_a_form_in_code_are_refused_with_their_key(value: Any) -> None:
    cfg = Config({"a": [{"b": value}]})
    if value is torch.nn.ReLU:
        assert cfg.pretty_text == "a = [dict(b='torch.nn.modules.activation.ReLU')]\n"
    else:
        with pytest.raises(ConfigTypeError, match=r"a\.0\.b: .* cannot be written to a config"):
            cfg.pretty_text


def test_functions_and_modules_of_a_config_are_left_out() -> None:
    cfg = Config.fromstring("from thelib import A\nimport os\ndef f(): ...\nx = 1\n", ".py")
    assert cfg.pretty_text == "x = 1\n"


def test_code_is_sorted_and_broken_at_the_margin() -> None:
    cfg = Config({"b": 1, "a": {"y": list(range(30)), "x": {"k-1": (1,)}}, "c-d": {}})
    assert cfg.pretty_text == textwrap.dedent(
        """\
        a = dict(
            x={'k-1': (1,)},
            y=[
                0,
        """
    ) + "".join(f"        {i},\n" for i in range(1, 30)) + textwrap.dedent(
        """\
            ],
        )
        b = 1
        globals()['c-d'] = dict()
        """
    )  # fmt: skip


def test_dump_writes_the_file(tmp_path: Path) -> None:
    cfg = Config({"a": ConfigDict(b=(1, 2))})
    assert cfg.dump(tmp_path / "a.py") is None
    assert Config.fromfile(tmp_path / "a.py").to_dict() == cfg.to_dict()


def test_nothing_is_written_if_the_config_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigTypeError):
        Config({"a": object()}).dump(tmp_path / "a.py")
    assert list(tmp_path.iterdir()) == []
