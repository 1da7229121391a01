"""Where mm2pl's inferencers and hub do more than MMEngine's, or say more about a mistake."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from mm2pl.errors import CheckpointError, ConfigError
from mm2pl.mmengine.config import Config, ConfigDict
from mm2pl.mmengine.hub import get_config, get_model
from mm2pl.mmengine.infer import BaseInferencer
from mm2pl.mmengine.infer._checkpoint_config import config_in
from mm2pl.mmengine.registry import DefaultScope
from tests.unit.mmengine.infer.cases import library, toys
from tests.unit.mmengine.utils.differential import Package

OURS = Package("mm2pl.mmengine")


@pytest.fixture
def shop():
    """A library with three models, in a folder of its own."""
    with library(OURS) as folder:
        yield Path(folder, "mmfewshot")


@pytest.fixture
def inferencer():
    with toys(OURS) as kind:
        yield kind


# --------------------------------------------------------------------------- configs in checkpoints


@pytest.mark.parametrize(
    "code",
    [
        "import os",
        "a = __import__('os').getcwd()",
        "a = open('x', 'w')",
        "a = [b for b in ()]",
        "a = ().__class__",
        "a = f'{1}'",
        "a = dict(b=eval('1'))",
        "_base_ = ['/tmp/x.py']",
        "def f(): pass",
    ],
)
def test_code_in_a_checkpoints_config_is_refused(code):
    with pytest.raises(CheckpointError, match="holds code"):
        config_in({"meta": {"cfg": f"model = dict(type='Toy')\n{code}\n"}}, "a.pth")


@pytest.mark.filterwarnings("ignore:Checkpoint is not loaded")
def test_what_mm2pl_dumps_is_no_code():
    values = {
        "number": [1, -2.5, float("inf"), 1 - 2j, 10**30],
        "kinds": (True, None, b"x", set(), {3}, frozenset({4}), (), ("a",), {"in-valid": {1: 2}}),
        "words": 'a\n"b" {{ $X }}',
        "class": {"float": 1, "nested": {"dict": 2, "type": "X"}},
        "dict": 3,
    }
    text = Config(values).pretty_text
    assert config_in({"meta": {"cfg": text}}, "a.pth").to_dict() == Config(values).to_dict()


def test_a_checkpoint_without_a_config_is_named(tmp_path, inferencer):
    torch.save({"state_dict": {}}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"a\.pth: no config is in the checkpoint"):
        inferencer(weights=str(tmp_path / "a.pth"))


# --------------------------------------------------------------------------- mistakes


@pytest.mark.filterwarnings("ignore:Checkpoint is not loaded")
def test_an_unknown_argument_of_a_call_gets_the_nearest_choice(inferencer):
    make = inferencer({"model": {"type": "Toy"}})
    with pytest.raises(ConfigError, match=r"takes an argument 'shwo'\nDid you mean: show\?"):
        make(1, shwo=True)


def test_an_argument_of_two_steps_is_named():
    sets = {"forward_kwargs": {"a", "b"}, "visualize_kwargs": {"b"}}
    with pytest.raises(AssertionError, match=r"Bad names b in visualize_kwargs"):
        type(BaseInferencer)("Bad", (BaseInferencer,), sets)


def test_an_unknown_model_gets_the_nearest_choice(shop, inferencer):
    with pytest.raises(ConfigError, match=r"net-m is neither .*\nDid you mean: .*net-l"):
        inferencer("net-m", scope="mmfewshot")


def test_an_unknown_scope_gets_the_nearest_choice():
    with pytest.raises(AssertionError, match="Did you mean: mmpretrain"):
        BaseInferencer.list_models("mmpretrian")


def test_a_missing_library_is_named_with_its_package():
    with pytest.raises(ImportError, match="mmhuman3d is not installed\nHint: pip install mmhuman"):
        BaseInferencer.list_models("mmhuman3d")


def test_what_a_library_lacks_is_not_taken_for_the_library(shop):
    (shop / "__init__.py").write_text("import mm_is_not_there\n")
    with pytest.raises(ModuleNotFoundError, match="mm_is_not_there"):
        BaseInferencer.list_models("mmfewshot")


def test_a_library_without_configs_is_named(shop):
    (shop / ".mim").rename(shop / "elsewhere")
    with pytest.raises(FileNotFoundError, match="comes without its configs"):
        BaseInferencer.list_models("mmfewshot")


# --------------------------------------------------------------------------- more than MMEngine


@pytest.mark.filterwarnings("ignore:Checkpoint is not loaded")
def test_a_collate_function_may_be_a_dict_with_arguments(inferencer):
    make = inferencer({"model": {"type": "Toy"}})
    cfg = ConfigDict(test_dataloader={"collate_fn": {"type": "stack"}})
    assert make._init_collate(cfg).__name__ == "stack"
    cfg.test_dataloader.collate_fn.start = 3
    assert make._init_collate(cfg).keywords == {"start": 3}


@pytest.mark.filterwarnings("ignore:Checkpoint is not loaded")
def test_an_unknown_collate_function_is_named(inferencer):
    with pytest.raises(KeyError, match="no function 'stak'"):
        inferencer({"model": {"type": "Toy"}, "test_dataloader": {"collate_fn": "stak"}})


def test_a_published_model_without_weights_is_taken_with_a_warning(shop, inferencer):
    with pytest.warns(UserWarning, match="randomly initialized"):
        made = inferencer("net-l", scope="mmfewshot")
    assert made.model.layer.weight.shape == (3, 2)


def test_models_are_listed_for_the_default_scope_with_single_aliases(shop):
    metafile = shop / ".mim" / "configs" / "b" / "metafile.yml"
    metafile.write_text("Models:\n- {Name: net-l, Config: configs/b/net_l.py, Alias: large}\n")
    DefaultScope.get_instance("here", scope_name="mmfewshot")
    assert BaseInferencer.list_models(patterns="net-l|la") == ["net-l", "large"]


# --------------------------------------------------------------------------- hub


def test_the_hub_installs_nothing_but_names_the_missing_library():
    with pytest.raises(ImportError, match="mmhuman3d is not installed"):
        get_config("mmhuman3d::a/b.py")


def test_the_hub_says_that_a_model_has_no_weights(shop):
    with pytest.raises(
        AssertionError, match=r"metafile of mmfewshot::b/net_l\.py names no Weights"
    ):
        get_model("mmfewshot::b/net_l.py", pretrained=True)


@pytest.mark.filterwarnings("ignore:Checkpoint is not loaded")
@pytest.mark.parametrize(("size", "kind"), [(0, ValueError), (-1, ValueError), (None, TypeError)])
def test_a_batch_of_no_size_is_refused(inferencer, size, kind):
    make = inferencer({"model": {"type": "Toy"}}, show_progress=False)
    with pytest.raises(kind):
        make([1, 2], batch_size=size)
