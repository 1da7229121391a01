from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace

import pytest
import torch

from mm2pl.mmengine import device
from mm2pl.mmengine.device import utils


@pytest.fixture(autouse=True)
def _ask_anew() -> Iterator[None]:
    utils._plugin_works.cache_clear()
    yield
    utils._plugin_works.cache_clear()


def install(monkeypatch: pytest.MonkeyPatch, name: str, available: bool = True) -> None:
    """Act as if a vendor's plugin and its device were there."""
    monkeypatch.setitem(sys.modules, f"torch_{name}", ModuleType(f"torch_{name}"))
    backend = SimpleNamespace(is_available=lambda: available)
    monkeypatch.setattr(torch, name, backend, raising=False)


@pytest.mark.proves("mmengine.device.is_{npu,mlu,dipu,musa}_available")
@pytest.mark.parametrize("name", ["npu", "mlu", "dipu", "musa"])
def test_a_vendors_device_is_used_when_its_plugin_is_there(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert not getattr(device, f"is_{name}_available")()
    utils._plugin_works.cache_clear()
    install(monkeypatch, name)
    assert getattr(device, f"is_{name}_available")()
    assert device.get_device() == name


@pytest.mark.parametrize("name", ["npu", "mlu"])
def test_a_plugin_without_a_device_does_not_count(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch, name, available=False)
    assert not getattr(device, f"is_{name}_available")()


def test_a_plugin_that_raises_does_not_count(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("plugins")
    (folder / "torch_musa.py").write_text("raise OSError('no driver')")
    monkeypatch.syspath_prepend(folder)
    assert not device.is_musa_available()


def test_npu_goes_before_cuda(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert device.get_device() == "cuda"
    utils._plugin_works.cache_clear()
    install(monkeypatch, "npu")
    assert device.get_device() == "npu"


def test_peak_memory_is_in_megabytes_and_starts_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    resets: list[None] = []
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 5 * 2**20 + 7)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: resets.append(None))
    assert device.get_max_cuda_memory() == 5
    assert len(resets) == 1


@pytest.mark.parametrize(("version", "full"), [(219, False), (220, True)])
def test_full_precision_depends_on_the_npus_version(
    version: int, full: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not device.is_npu_support_full_precision()
    utils._plugin_works.cache_clear()
    install(monkeypatch, "npu")
    for name in ("torch_npu.npu", "torch_npu.npu.utils"):
        monkeypatch.setitem(sys.modules, name, ModuleType(name))
    monkeypatch.setattr(
        sys.modules["torch_npu.npu.utils"], "get_soc_version", lambda: version, raising=False
    )
    assert device.is_npu_support_full_precision() is full
