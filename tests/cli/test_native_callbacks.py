"""Lightning's callbacks in ``custom_hooks``, from the command line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.calls import Done, run_all, write_config

HOOKS = """
custom_hooks = [
    dict(type="lightning.pytorch.callbacks.EarlyStopping", monitor="loss", priority="LOW",
         mode="max", patience=50),
]
train_cfg = dict(by_epoch=True, max_epochs=30)
"""
STOP_AT_ONCE = ["custom_hooks.0.mode=min", "custom_hooks.0.stopping_threshold=1e9"]
NOTHING_VALIDATED = ["val_cfg=None", "val_dataloader=None", "val_evaluator=None"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    folder = tmp_path_factory.mktemp("native")
    write_config(folder, HOOKS)
    options = ["fit", "config.py", "--work-dir"]
    return run_all(
        {
            "stopped": [*options, "a", "--cfg-options", *STOP_AT_ONCE, *NOTHING_VALIDATED],
            "misspelt": [*options, "b", "--cfg-options", "custom_hooks.0.patients=3"],
            "checked": ["check", "config.py"],
            "explained": ["explain", "config.py"],
        },
        Path(folder),
    )


def test_options_reach_its_arguments(done: dict[str, Done]) -> None:
    status, out, err = done["stopped"]
    assert status == 0, err
    assert {int(one) for one in re.findall(r"Epoch\(train\) +\[(\d+)\]", out + err)} == {1}
    assert "a Lightning callback asked for it" in out + err


def test_a_wrong_argument_is_an_error_with_its_place(done: dict[str, Done]) -> None:
    status, out, err = done["misspelt"]
    assert status != 0
    assert re.search(r"custom_hooks\[0\](.|\n)*patients(.|\n)*patience", out + err)


def test_check_has_nothing_to_say_of_it(done: dict[str, Done]) -> None:
    status, out, _ = done["checked"]
    assert status == 0
    assert "custom_hooks" not in out


def test_explain_has_it_in_its_place(done: dict[str, Done]) -> None:
    out = done["explained"].out
    assert re.search(r"LOW \(70\) +EarlyStopping +custom_hooks\[0\]", out)
    assert re.search(r"after_val .*EarlyStopping", out)
