"""What is registered, from which package, and the way from a config to a wrapper."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

import mm2pl.mmengine.optim as optim
from mm2pl.errors import ConfigError, MissingPackageError, UnsupportedError
from mm2pl.mmengine.optim.optimizer import _third_party, build_optim_wrapper, builder
from mm2pl.mmengine.optim.optimizer.default_constructor import DefaultOptimWrapperConstructor
from mm2pl.mmengine.registry import (
    OPTIM_WRAPPERS,
    OPTIMIZERS,
)
from mm2pl.mmengine.registry.errors import at_key


@pytest.fixture(autouse=True)
def registry_as_before() -> Iterator[None]:
    before = dict(OPTIMIZERS.module_dict)
    yield
    OPTIMIZERS.module_dict.clear()
    OPTIMIZERS.module_dict.update(before)


def test_every_optimizer_of_torch_is_registered() -> None:
    kinds = [k for k in vars(torch.optim).values() if isinstance(k, type)]
    kinds = [kind for kind in kinds if issubclass(kind, torch.optim.Optimizer)]
    assert len(kinds) > 10
    assert set(kinds) <= set(OPTIMIZERS.module_dict.values())


def test_an_optimizer_that_a_newer_torch_adds_is_registered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    added = type("Brandnew", (torch.optim.SGD,), {})
    monkeypatch.setattr(torch.optim, "Brandnew", added, raising=False)
    OPTIMIZERS.module_dict.clear()
    assert "Brandnew" in builder.register_torch_optimizers()
    assert OPTIMIZERS.get("Brandnew") is added


def test_torchs_own_gives_way_to_another_packages_established_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch.optim, "Lion", type("Lion", (torch.optim.SGD,), {}), raising=False)
    OPTIMIZERS.module_dict.clear()
    builder.register_torch_optimizers()
    assert OPTIMIZERS.get("TorchLion") is torch.optim.Lion  # type: ignore[attr-defined]
    assert "Lion" not in OPTIMIZERS.module_dict


def test_torchs_own_gives_way_to_a_users_optimizer_of_the_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kind = type("Brandnew", (torch.optim.SGD,), {})
    OPTIMIZERS.module_dict.clear()
    OPTIMIZERS.register_module(name="Brandnew", module=kind)
    monkeypatch.setattr(torch.optim, "Brandnew", type("Brandnew", (kind,), {}), raising=False)
    builder.register_torch_optimizers()
    assert OPTIMIZERS.get("Brandnew") is kind
    assert OPTIMIZERS.get("TorchBrandnew") is torch.optim.Brandnew  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("cfg", "path"),
    [
        (dict(), "optimizer"),
        (dict(optimizer=dict(type="SGD"), clip_grad={}), "clip_grad"),
        (dict(optimizer=dict(type="SGD"), clip_grad=dict(type="size")), "clip_grad.type"),
        (dict(optimizer=dict(type="SGD"), paramwise_cfg=3), "paramwise_cfg"),
        (
            dict(optimizer=dict(type="SGD"), paramwise_cfg=dict(bias_lr_mult=2.0)),
            "paramwise_cfg.bias_lr_mult",
        ),
        (
            dict(optimizer=dict(type="SGD", lr=1), type="AmpOptimWrapper", dtype="int3"),
            "dtype",
        ),
    ],
)
def test_a_wrong_option_is_located_where_the_wrapper_stands(cfg: dict[str, Any], path: str) -> None:
    with pytest.raises(ConfigError) as caught, at_key("wrappers.first"):
        build_optim_wrapper(nn.Linear(1, 1), cfg)
    assert caught.value.key_path == f"wrappers.first.{path}"


def test_a_package_that_is_not_installed_registers_nothing() -> None:
    assert "lion_pytorch" not in sys.modules
    assert _third_party.register("lion_pytorch") == []


@pytest.mark.parametrize(
    ("name", "install"),
    [
        ("Lion", "lion-pytorch"),
        ("mmengine.DAdaptAdam", "dadaptation"),
        ("Adam8bit", "bitsandbytes"),
    ],
)
def test_an_optimizer_whose_package_is_missing_says_what_to_install(
    name: str, install: str
) -> None:
    with pytest.raises(ConfigError, match="is not installed") as caught:
        build_optim_wrapper(nn.Linear(1, 1), {"optimizer": {"type": name, "lr": 0.1}})
    assert (caught.value.key_path, caught.value.hint) == (
        "optimizer.type",
        f"pip install {install}",
    )


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pretend that the packages are installed; return the list of imports made of them."""
    imported: list[str] = []

    def find_spec(name: str) -> object:
        return object()

    def import_module(name: str) -> types.ModuleType:
        imported.append(name)
        module = types.ModuleType(name)
        for kind in ("Lion", "Adam", "Adam8bit", "Adafactor"):
            setattr(module, kind, type(kind, (torch.optim.SGD,), {}))
        return module

    monkeypatch.setattr(_third_party, "find_spec", find_spec)
    monkeypatch.setattr(_third_party, "import_module", import_module)
    return imported


def _parameters() -> list[nn.Parameter]:
    return [nn.Parameter(torch.ones(1))]


def test_a_package_is_imported_when_its_optimizer_is_built(installed: list[str]) -> None:
    assert _third_party.register("lion_pytorch") == ["Lion"]
    assert installed == []
    made = OPTIMIZERS.build({"type": "Lion", "params": _parameters(), "lr": 0.3})
    assert installed == ["lion_pytorch"]
    assert (type(made).__name__, made.defaults["lr"]) == ("Lion", 0.3)


def test_a_taken_name_of_bitsandbytes_gets_a_prefix(installed: list[str]) -> None:
    names = _third_party.register("bitsandbytes.optim")
    assert {"bnb_Adam", "bnb_AdamW", "Adam8bit", "Lion"} <= set(names)
    assert OPTIMIZERS.get("Adam") is torch.optim.Adam


def test_a_version_without_the_optimizer_says_so(installed: list[str]) -> None:
    _third_party.register("Sophia")
    with pytest.raises(MissingPackageError, match="installed version of Sophia has no SophiaG"):
        OPTIMIZERS.get("SophiaG")(_parameters())


def test_a_package_that_fails_to_import_says_why(
    installed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(name: str) -> None:
        raise ImportError("no CUDA")

    monkeypatch.setattr(_third_party, "import_module", fails)
    _third_party.register("transformers")
    with pytest.raises(MissingPackageError, match="no CUDA"):
        OPTIMIZERS.get("Adafactor")(_parameters())


def test_an_installed_package_works_through_the_constructor(installed: list[str]) -> None:
    _third_party.register("lion_pytorch")
    cfg = {"optimizer": {"type": "Lion", "lr": 0.3}}
    assert optim.build_optim_wrapper(nn.Linear(1, 1), cfg).get_lr() == {"lr": [0.3]}


def test_what_is_unsupported_says_so_when_a_config_names_it() -> None:
    with pytest.raises(UnsupportedError, match=r"ColossalAI.* is not supported: .*\n?.*Hint"):
        OPTIM_WRAPPERS.build({"type": "ColossalAIOptimWrapper"})


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("apex_optimizer_wrapper", "ApexOptimWrapper"),
        ("zero_optimizer", "ZeroRedundancyOptimizer"),
    ],
)
def test_other_backends_names_are_where_they_were(module: str, name: str) -> None:
    found = importlib.import_module(f"mm2pl.mmengine.optim.optimizer.{module}")
    assert getattr(found, name) is getattr(optim, name)


def test_all_that_is_exported_exists() -> None:
    for module in (optim, optim.optimizer, optim.scheduler):
        assert [name for name in module.__all__ if not hasattr(module, name)] == []


def test_building_leaves_the_config_as_it_was() -> None:
    cfg = {
        "type": "OptimWrapper",
        "constructor": "DefaultOptimWrapperConstructor",
        "optimizer": {"type": "SGD", "lr": 0.1},
        "paramwise_cfg": {"bias_lr_mult": 2},
        "clip_grad": {"type": "value", "clip_value": 1},
    }
    before = repr(cfg)
    wrapper = optim.build_optim_wrapper(nn.Linear(1, 1), cfg)
    assert wrapper.get_lr() == {"base_lr": [0.1], "lr": [0.1, 0.2]}
    assert repr(cfg) == before


def test_constructor_looks_into_a_model_wrapper() -> None:
    class Wrapper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module = nn.Linear(1, 1)
            self.own = nn.Parameter(torch.ones(1))

    wrapper = optim.build_optim_wrapper(Wrapper(), {"optimizer": {"type": "SGD", "lr": 0.1}})
    assert len(wrapper.optimizer.param_groups[0]["params"]) == 2


def test_parameters_go_to_the_optimizers_first_argument() -> None:
    class OddSGD(torch.optim.SGD):
        def __init__(self, model_params: Any, lr: float) -> None:
            super().__init__(model_params, lr)

    made = optim.build_optim_wrapper(nn.Linear(1, 1), {"optimizer": {"type": OddSGD, "lr": 0.1}})
    assert type(made.optimizer) is OddSGD


def test_an_unknown_optimizer_is_a_key_error_with_the_nearest_name() -> None:
    with pytest.raises(KeyError, match="AdamW"):
        optim.build_optim_wrapper(nn.Linear(1, 1), {"optimizer": {"type": "AdmW", "lr": 0.1}})


def test_a_users_constructor_may_build_several_wrappers() -> None:
    class TwoWrappers:
        def __init__(self, optim_wrapper_cfg: dict[str, Any], paramwise_cfg: Any = None) -> None:
            self.cfg = optim_wrapper_cfg

        def __call__(self, model: nn.Module) -> optim.OptimWrapperDict:
            return optim.OptimWrapperDict(
                **{k: optim.build_optim_wrapper(model, v) for k, v in self.cfg.items()}
            )

    cfg = {
        "constructor": TwoWrappers,
        "a": {"optimizer": {"type": "SGD", "lr": 0.1}},
        "b": {"optimizer": {"type": "Adam", "lr": 0.2}},
    }
    made = optim.build_optim_wrapper(nn.Linear(1, 1), cfg)
    assert made.get_lr() == {"a.lr": [0.1], "b.lr": [0.2]}


def test_a_users_constructor_may_override_add_params() -> None:
    class ByDepth(DefaultOptimWrapperConstructor):
        def add_params(self, params: Any, module: nn.Module, **kwargs: Any) -> None:
            for depth, param in enumerate(module.parameters()):
                group = {"params": [param], "lr": self.base_lr * 0.5**depth}
                assert not self._is_in(group, params)
                params.append(group)

    wrapper_cfg = {"optimizer": {"type": "SGD", "lr": 1.0}}
    wrapper = ByDepth(wrapper_cfg, {"decay_rate": 0.5})(nn.Linear(1, 1))
    assert wrapper.get_lr()["lr"] == [1.0, 0.5]


@pytest.mark.parametrize(
    ("paramwise", "expected"),
    [
        ({"custom_keys": {"hed": {"lr_mult": 2}}}, "did you mean head"),
        ({"custom_keys": {".head": {"lr_mult": 2}}}, "did you mean head"),
        ({"lr_mult": 2}, "lr_mult has no effect"),
        ({"custom_keys": {"head": {"lr_mult": 2}}}, None),
    ],
)
def test_an_option_without_effect_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, paramwise: dict[str, Any], expected: str | None
) -> None:
    said = []
    monkeypatch.setattr(
        "mm2pl.mmengine.optim.optimizer.default_constructor.print_log",
        lambda message, logger, level=0: said.append(message) if level else None,
    )
    model = nn.Sequential()
    model.add_module("head", nn.Linear(1, 1))
    cfg = {"optimizer": {"type": "SGD", "lr": 0.1}, "paramwise_cfg": paramwise}
    optim.build_optim_wrapper(model, cfg)
    assert [expected in message for message in said] == ([] if expected is None else [True])


def test_a_factor_for_no_rate_says_which_key_and_what_to_set() -> None:
    cfg = {"optimizer": {"type": "Adam"}, "paramwise_cfg": {"custom_keys": {"w": {"lr_mult": 2}}}}
    with pytest.raises(TypeError, match=r"paramwise_cfg\.custom_keys\.w.*\n?.*optimizer\.lr"):
        optim.build_optim_wrapper(nn.Linear(1, 1), cfg)
