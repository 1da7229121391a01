"""Errors say where, what, and what to do."""

from __future__ import annotations

import pickle

import pytest

from mm2pl.errors import ConfigError, ConfigFileNotFoundError, ConfigKeyError, nearest


def test_nearest_puts_the_likeliest_word_first():
    assert nearest("val_inteval", ["val_begin", "val_interval", "max_epochs"])[0] == "val_interval"


def test_nearest_ignores_case():
    assert nearest("linearlr", ["LinearLR", "PolyLR"]) == ["LinearLR"]


def test_nearest_names_a_word_once():
    assert nearest("val_inteval", ["val_interval", "val_interval"]) == ["val_interval"]


def test_text_holds_file_key_path_message_choices_and_hint():
    error = ConfigError(
        "no such type", key_path="model.type", file="a.py:3", choices=["B"], hint="import it"
    )
    assert str(error) == "a.py:3, model.type: no such type\nDid you mean: B?\nHint: import it"


def test_a_config_error_is_a_value_error():
    with pytest.raises(ValueError, match="wrong"):
        raise ConfigError("wrong")


def test_a_key_error_prints_its_message_and_not_its_repr():
    assert str(ConfigKeyError("no 'x'")) == "no 'x'"


@pytest.mark.parametrize("kind", [ConfigError, ConfigKeyError, ConfigFileNotFoundError])
def test_errors_survive_pickling_with_all_they_say(kind):
    error = pickle.loads(pickle.dumps(kind("wrong", key_path="a.b", hint="h")))
    assert (type(error), str(error)) == (kind, "a.b: wrong\nHint: h")
