"""``resume`` in a config: a flag, or how to go on."""

from __future__ import annotations

import pytest

from mm2pl import translate
from mm2pl.errors import ConfigError


@pytest.mark.parametrize(
    ("given", "resumes", "exactly"),
    [(True, True, True), ({"exact": False}, True, False), ({"exact": True}, True, True)],
)
def test_a_dict_says_how(given: object, resumes: bool, exactly: bool) -> None:
    runtime = translate({"model": {"type": "X"}, "resume": given}).runtime
    assert (runtime.resume, runtime.exact_resume) == (resumes, exactly)


def test_other_keys_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"resume\.exakt.*(?s:.*)exact"):
        translate({"model": {"type": "X"}, "resume": {"exakt": False}})
