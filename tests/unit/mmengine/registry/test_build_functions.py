from __future__ import annotations

import copy
import pickle
import traceback
from typing import Any

import pytest
import torch

from mm2pl.errors import ConfigTypeError, DataError
from mm2pl.mmengine.config import Config, ConfigDict
from mm2pl.mmengine.config.lazy import LazyObject
from mm2pl.mmengine.registry import (
    HOOKS,
    MODELS,
    OPTIMIZERS,
    PARAM_SCHEDULERS,
    RUNNERS,
    Registry,
    build_model_from_cfg,
)
from mm2pl.mmengine.registry.errors import UnknownTypeError, at_key, trail_of, used_at

THINGS = Registry("thing", scope="things")


@THINGS.register_module()
class Outer:
    def __init__(self, **parts: Any) -> None:
        self.parts = [THINGS.build(part) for part in parts.values() if part]


@THINGS.register_module()
class Copying:
    def __init__(self, **parts: Any) -> None:
        for part in parts.values():
            THINGS.build({**copy.deepcopy(part), "extra": 1})


@THINGS.register_module()
class Listing:
    def __init__(self, steps: list[Any]) -> None:
        for step in steps:
            THINGS.build(step)


@THINGS.register_module()
class Inner:
    def __init__(self, depth: int = 1, extra: int = 0) -> None:
        if depth < 0:
            raise OSError("too shallow")
        if depth > 9:
            raise DataError("too deep")


def failure(cfg: Any) -> Any:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - the test looks closer
        THINGS.build(cfg)
    return caught.value


# --------------------------------------------------------------------------- what type may be


def test_a_lazy_object_is_imported() -> None:
    built = THINGS.build({"type": LazyObject("collections", "OrderedDict"), "a": 1})
    assert type(built).__name__ == "OrderedDict"


def test_a_lazy_object_that_is_a_module_is_refused() -> None:
    assert isinstance(failure({"type": LazyObject("collections")}), TypeError)


def test_a_dotted_name_of_torch_is_imported() -> None:
    built = MODELS.build({"type": "torch.nn.Linear", "in_features": 2, "out_features": 3})
    assert tuple(built.weight.shape) == (3, 2)


def test_a_list_of_modules_becomes_mmengines_sequential() -> None:
    linear = {"type": "torch.nn.Linear", "in_features": 2, "out_features": 2}
    built = build_model_from_cfg([linear, linear], MODELS)
    assert type(built) is MODELS.get("mmengine.model.Sequential")
    assert len(built) == 2  # type: ignore[arg-type]


def test_a_name_that_is_a_module_is_refused_with_its_key() -> None:
    error = failure({"type": "json"})
    assert isinstance(error, ConfigTypeError)
    assert "type: `json` is nothing to build from" in str(error)


@pytest.mark.skipif(not hasattr(torch.optim, "Adafactor"), reason="new in torch 2.5")
def test_adafactor_says_which_one_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((KeyError, TypeError)):  # a TypeError where transformers has one
        OPTIMIZERS.build({"type": "Adafactor"})
    assert "registered as TorchAdafactor" in capsys.readouterr().out


def test_a_config_object_is_left_as_it_was() -> None:
    cfg = Config({"type": "Inner", "depth": 2})
    THINGS.build(cfg, default_args={"extra": 3})
    assert cfg.to_dict() == {"type": "Inner", "depth": 2}


# --------------------------------------------------------------------------- unknown names


def test_an_unknown_name_says_key_registry_and_the_nearest_names() -> None:
    error = failure({"type": "Iner"})
    assert isinstance(error, KeyError)
    assert str(error).startswith("type: Iner is not in the things::thing registry.")
    assert error.choices == ("Inner",)


def test_the_key_path_leads_through_all_configs_around_it() -> None:
    error = failure({"type": "Outer", "a": {"type": "Outer", "b": {"type": "Nothing"}}})
    assert error.key_path == "a.b.type"


def test_the_key_path_is_found_where_a_class_copies_its_configs() -> None:
    error = failure({"type": "Copying", "a": {"type": "Inner"}, "b": {"type": "Nothing"}})
    assert error.key_path == "b.type"


def test_the_key_path_leads_through_lists() -> None:
    error = failure({"type": "Listing", "steps": [{"type": "Inner"}, {"type": "Nothing"}]})
    assert error.key_path == "steps.1.type"


def test_the_very_object_is_found_among_several_of_its_type() -> None:
    steps = [{"type": "Inner"}, {"type": "Inner", "depht": 1}]
    assert failure({"type": "Listing", "steps": steps}).key_path == "steps.1.depht"


def test_a_key_path_that_is_not_certain_is_not_guessed() -> None:
    cfg = {"type": "Copying", "a": {"type": "Inner"}, "b": {"type": "Inner", "depth": -1}}
    assert failure(cfg).__notes__ == ["While building `Inner` of the things::thing registry"]


def test_the_key_path_goes_through_a_config_dict_without_building_what_is_lazy() -> None:
    lazy = LazyObject("there_is_no_such_module")
    cfg = ConfigDict({"type": Outer, "b": {"type": "Nothing"}, "z": {"type": lazy}})
    assert failure(cfg).key_path == "b.type"


def test_a_lazy_object_that_fails_to_import_says_its_key() -> None:
    lazy = LazyObject("there_is_no_such_module", "Net", "config.py, line 3")
    error = failure(ConfigDict({"type": Outer, "b": {"type": lazy}}))
    assert isinstance(error, ImportError)
    assert str(error).startswith("config.py, line 3, b: Failed to import")


def test_at_key_completes_key_path_and_file() -> None:
    with (
        pytest.raises(UnknownTypeError) as caught,
        at_key("model", file="config.py"),
        at_key("head"),
    ):
        THINGS.build({"type": "Outer", "a": {"type": "Nothing"}})
    assert str(caught.value).startswith("config.py, model.head.a.type: Nothing is not in")


def test_the_file_is_known_from_a_config_object() -> None:
    cfg = Config({"type": "Nothing"}, filename=None)
    object.__setattr__(cfg, "_filename", "some.py")
    assert failure(cfg).file == "some.py"


def test_a_missing_type_says_which_key_was_meant() -> None:
    error = failure({"tpye": "Inner"})
    assert error.choices == ("tpye -> type",)
    assert isinstance(error, KeyError)


def test_the_config_in_the_message_of_a_missing_type_is_cut_short() -> None:
    assert len(str(failure({"long": "x" * 10_000}))) < 500


def test_the_same_name_in_another_scope_is_suggested(packages: Any) -> None:
    root = Registry("root", scope="root")
    first, second = (Registry(name, parent=root, scope=name) for name in ("first", "second"))
    second.register_module(name="Net", module=dict)
    with pytest.raises(KeyError) as caught:
        first.build({"type": "Net"})
    assert caught.value.choices == ("second.Net",)  # type: ignore[attr-defined]


def test_a_misspelt_scope_is_suggested() -> None:
    root = Registry("root", scope="root")
    Registry("first", parent=root, scope="first")
    with pytest.raises(KeyError) as caught:
        root.build({"type": "frist.Net"})
    assert caught.value.choices == ("first.Net",)  # type: ignore[attr-defined]


def test_a_name_of_another_registry_is_pointed_to() -> None:
    assert HOOKS.get("EMAHook")
    with pytest.raises(KeyError, match="`EMAHook` is in the hook registry"):
        MODELS.build({"type": "EMAHook"})


def test_a_misspelt_dotted_name_is_compared_with_what_the_module_has() -> None:
    error = failure({"type": "collections.OrderdDict"})
    assert "The module collections has no 'OrderdDict'." in str(error)
    assert error.choices[0] == "collections.OrderedDict"


def test_a_dotted_name_of_no_package_says_so() -> None:
    assert "There is no package 'colections'." in str(failure({"type": "colections.abc.Set"}))


def test_a_dotted_name_whose_module_lacks_something_says_what(packages: Any) -> None:
    packages({"needy/__init__.py": "", "needy/models.py": "import a_package_that_is_missing"})
    assert (
        "needy.models cannot be imported: ModuleNotFoundError: "
        "No module named 'a_package_that_is_missing'."
    ) in str(failure({"type": "needy.models.Net"}))


# --------------------------------------------------------------------------- failing packages


def test_the_cause_of_a_scope_that_fails_to_import_is_told_and_chained(packages: Any) -> None:
    packages({"lacking/__init__.py": "import a_package_that_is_missing"})
    error = failure({"type": "lacking.Net"})
    assert isinstance(error, KeyError)
    assert (
        "lacking.registry cannot be imported: ModuleNotFoundError: "
        "No module named 'a_package_that_is_missing'."
    ) in str(error)
    assert "install the package that has a_package_that_is_missing" in error.hint
    assert isinstance(error.__cause__, ModuleNotFoundError)


def test_the_cause_of_a_default_scope_that_fails_to_import_is_told(
    packages: Any, default_scope: Any, logged: Any
) -> None:
    packages({"lacking/__init__.py": "from collections import no_such_name"})
    default_scope("lacking")
    error = failure({"type": "Net"})
    assert "lacking.registry cannot be imported: ImportError: cannot import name" in str(error)


def test_a_check_that_fails_in_a_default_scopes_package_is_raised(
    packages: Any, default_scope: Any
) -> None:
    packages({"tooold/__init__.py": "assert False, 'tooold needs mmcv < 2'"})
    default_scope("tooold")
    assert "tooold needs mmcv < 2" in str(failure({"type": "Net"}))


def test_a_library_that_wants_mmengine_is_told_how_to_get_it(packages: Any) -> None:
    packages({"wanting/__init__.py": "raise ModuleNotFoundError('no', name='mmengine')"})
    assert "install_as_mmengine" in failure({"type": "wanting.Net"}).hint


def test_a_scope_that_needs_mmcvs_operators_is_told_of_the_two_mmcvs(packages: Any) -> None:
    packages({"wanting/__init__.py": "raise ModuleNotFoundError('no', name='mmcv._ext')"})
    assert "mmcv-lite" in failure({"type": "wanting.Net"}).hint


def test_a_package_that_is_not_installed_is_named_as_pip_knows_it() -> None:
    error = failure({"type": "mmaction.Net"})
    assert "No module named 'mmaction'" in str(error)
    assert error.hint == "pip install mmaction2"


# --------------------------------------------------------------------------- failing constructors


def test_what_a_constructor_raises_says_what_was_built_and_where() -> None:
    error = failure({"type": "Outer", "a": {"type": "Inner", "depth": -1}})
    assert type(error) is OSError
    assert str(error) == "too shallow"
    assert error.__notes__ == ["While building `Inner` of the things::thing registry at a"]


def test_the_note_is_in_the_traceback() -> None:
    error = failure({"type": "Inner", "depth": -1})
    if hasattr(error, "add_note"):  # Python 3.11
        assert "While building `Inner`" in "".join(traceback.format_exception(error))


def test_at_key_completes_a_note() -> None:
    with pytest.raises(OSError, match="too shallow") as caught, at_key("model"):
        THINGS.build({"type": "Outer", "a": {"type": "Inner", "depth": -1}})
    assert caught.value.__notes__ == [
        "While building `Inner` of the things::thing registry at model.a"
    ]


def test_at_key_notes_the_place_of_what_no_registry_raised() -> None:
    with pytest.raises(OSError, match="mine") as caught, at_key("model"):
        raise OSError("mine")
    assert caught.value.__notes__ == ["In the config at model"]


def test_an_error_of_ours_gets_its_key_path() -> None:
    error = failure({"type": "Outer", "a": {"type": "Inner", "depth": 10}})
    assert isinstance(error, DataError)
    assert error.key_path == "a"


def test_a_key_path_that_an_error_brings_counts_from_what_is_built() -> None:
    def fail() -> None:
        raise DataError("empty", key_path="data_prefix.img")

    error = failure({"type": "Outer", "a": {"type": fail}})
    assert str(error) == "a.data_prefix.img: empty"


def test_a_key_path_in_another_file_is_kept() -> None:
    def fail() -> None:
        raise DataError("empty", key_path="train.dataset", file="other.py")

    assert failure({"type": "Outer", "a": {"type": fail}}).key_path == "train.dataset"


def test_a_wrong_argument_says_its_key_and_the_right_ones() -> None:
    error = failure({"type": "Outer", "a": {"type": "Inner", "depht": 1}})
    assert isinstance(error, TypeError)
    assert error.key_path == "a.depht"
    assert error.choices == ("depth",)
    assert error.hint == "Inner takes depth, extra"
    assert isinstance(error.__cause__, TypeError)


def test_a_type_error_from_within_a_constructor_stays_what_it_is() -> None:
    def fail() -> None:
        raise TypeError("inside")

    error = failure({"type": fail})
    assert type(error) is TypeError
    assert str(error) == "inside"


def test_a_missing_argument_is_a_type_error_of_ours() -> None:
    def needs(size: int) -> None: ...

    error = failure({"type": "Outer", "a": {"type": needs}})
    assert isinstance(error, ConfigTypeError)
    assert error.key_path == "a"


def test_an_error_with_its_place_survives_pickling() -> None:
    error = failure({"type": "Outer", "a": {"type": "Inner", "depth": -1, "f": lambda: None}})
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    error = failure({"type": "Nothing", "f": lambda: None})
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


# --------------------------------------------------------------------------- runner, scheduler


def test_an_unknown_runner_says_its_key() -> None:
    with pytest.raises(KeyError) as caught:
        RUNNERS.build({"runner_type": "Runer"})
    assert caught.value.key_path == "runner_type"  # type: ignore[attr-defined]


def test_a_scheduler_that_cannot_be_converted_says_its_key() -> None:
    cfg = {"type": "LinearLR", "convert_to_iter_based": True, "by_epoch": False, "epoch_length": 3}
    with pytest.raises(AssertionError) as caught:
        PARAM_SCHEDULERS.build(cfg)
    assert caught.value.key_path == "convert_to_iter_based"  # type: ignore[attr-defined]


def test_a_scheduler_without_type_is_a_key_error() -> None:
    with pytest.raises(KeyError, match='must contain the key "type"'):
        PARAM_SCHEDULERS.build({"convert_to_iter_based": True})


# --------------------------------------------------------------------------- where it stands


@THINGS.register_module()
class Derived(Inner):
    def __init__(self, width: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)


def test_an_argument_that_a_base_class_refuses_is_named_with_those_of_both() -> None:
    error = failure({"type": "Derived", "dept": 3})
    assert isinstance(error, ConfigTypeError)
    assert (error.key_path, error.choices) == ("dept", ("depth",))
    assert error.hint == "Derived takes width, depth, extra"


def test_an_argument_that_something_else_refuses_is_not_laid_to_the_config() -> None:
    def fail(**kwargs: Any) -> None:
        dict.fromkeys(wrong=1)  # type: ignore[call-arg]

    assert not isinstance(failure({"type": fail, "size": 1}), ConfigTypeError)


def test_no_outer_key_goes_before_one_of_the_top_level() -> None:
    with (
        pytest.raises(UnknownTypeError) as caught,
        at_key("train_cfg"),
        at_key("train_dataloader", whole=True),
    ):
        THINGS.build({"type": "Iner"})
    assert caught.value.key_path == "train_dataloader.type"


def test_an_empty_key_only_says_the_file() -> None:
    with pytest.raises(DataError) as caught, at_key("", file="a.py"):
        raise DataError("empty", key_path="train_dataloader")
    assert str(caught.value) == "a.py, train_dataloader: empty"
    assert not getattr(caught.value, "__notes__", [])


def test_an_error_in_use_is_located_unless_it_is_already() -> None:
    error = DataError("empty")
    used_at(error, "val_evaluator")
    used_at(error, "model")
    trail = trail_of(error)
    assert error.key_path == "val_evaluator"
    assert trail is not None
    assert trail.is_running
