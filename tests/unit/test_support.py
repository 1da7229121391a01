"""What is unsupported says so when it is used, not when it is imported."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import re

import pytest

from mm2pl import mmengine
from mm2pl.errors import UnsupportedError
from mm2pl.plan import Status
from mm2pl.support import (
    MARKERS,
    MISSING_MODULES,
    becomes,
    counterpart,
    refuse_missing_module,
    unsupported,
)


@pytest.fixture
def marked():
    yield unsupported("pkg.Thing", "it needs a GPU", "use Other")
    del MARKERS["pkg.Thing"]


def test_calling_it_says_why_and_what_to_do(marked):
    with pytest.raises(UnsupportedError) as caught:
        marked(1, key=2)
    assert str(caught.value) == "pkg.Thing is not supported: it needs a GPU\nHint: use Other"


def test_a_subclass_can_be_defined_but_not_made(marked):
    mine = type("Mine", (marked,), {})
    with pytest.raises(UnsupportedError):
        mine()


def test_its_class_attributes_are_refused(marked):
    with pytest.raises(UnsupportedError):
        marked.create


def test_isinstance_works_with_it(marked):
    assert not isinstance(1, marked)


def test_using_what_is_marked_raises_its_reason(monkeypatch):
    """Proves the rows of all marks in compat_matrix.md."""
    monkeypatch.setenv("LOCAL_RANK", "0")  # as a launcher does
    for found in pkgutil.walk_packages(mmengine.__path__, f"{mmengine.__name__}."):
        if "._" not in found.name.replace("._strategy", ""):
            importlib.import_module(found.name)
    assert len(MARKERS) > 10
    for name, marker in MARKERS.items():
        with pytest.raises(UnsupportedError) as caught:
            _use(name)
        assert marker.reason in str(caught.value)
        assert caught.value.hint == marker.hint
    for name, marker in MISSING_MODULES.items():
        with pytest.raises(ImportError, match=re.escape(marker.reason)):
            refuse_missing_module(name)


def _use(name):
    """Call what is marked; an argument that is marked stands within brackets."""
    path, _, arguments = name.partition("(")
    module, _, attribute = path.rpartition(".")
    function = getattr(importlib.import_module(f"mm2pl.{module}"), attribute)
    if arguments:
        key, _, value = arguments.rstrip(")").partition("=")
        function("pytorch", **{key: value.strip("'")})
    else:
        function()


def test_it_is_in_the_table_of_markers(marked):
    assert MARKERS["pkg.Thing"].reason == "it needs a GPU"


def test_a_missing_module_is_refused_with_its_reason():
    with pytest.raises(ImportError, match="for MMEngine's own distributed tests") as caught:
        refuse_missing_module("mmengine.testing._internal.distributed")
    assert isinstance(caught.value, ModuleNotFoundError)
    assert isinstance(caught.value, UnsupportedError)
    assert caught.value.name == "mmengine.testing._internal.distributed"


@pytest.mark.parametrize("name", ["mmengine.testing", "mmengine.testing._internals", "json"])
def test_other_modules_are_not_refused(name):
    refuse_missing_module(name)


def test_every_missing_module_is_one_that_is_not_there():
    for name in MISSING_MODULES:
        assert importlib.util.find_spec(f"mm2pl.{name}") is None, name


def test_a_class_that_becomes_something_else_carries_what():
    marked = becomes(Status.APPROXIMATED, "a smaller thing")(type("Thing", (), {}))
    mark = counterpart(marked)
    assert (mark.status, mark.text) == (Status.APPROXIMATED, "a smaller thing")
    assert counterpart(type("Mine", (marked,), {})) is None
    assert counterpart(marked()) is None
