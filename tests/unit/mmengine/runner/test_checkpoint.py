"""Where mm2pl loads more than MMEngine, more safely, or says more about what goes wrong."""

from __future__ import annotations

import hashlib
import os
import sys
import zipfile
from pathlib import Path
from urllib.error import URLError

import fsspec
import pytest
import torch
from torch import nn

from mm2pl.errors import (
    CheckpointError,
    CheckpointNotFoundError,
    MissingPackageError,
    UnsupportedError,
)
from mm2pl.mmengine.runner import checkpoint as checkpoints
from mm2pl.mmengine.runner.checkpoint import _load_checkpoint, _load_checkpoint_with_prefix
from mm2pl.mmengine.utils.dl_utils.hub import DownloadError, load_url
from tests.unit.mmengine.runner.checkpoint_cases import served


class Code:
    """Leaves a file behind when it is unpickled by one who runs code."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


@pytest.fixture(autouse=True)
def _own_homes(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("MMENGINE_HOME", str(tmp_path / "home"))
    # A progress bar would start a thread that stays.
    monkeypatch.setattr(torch.hub.tqdm, "monitor_interval", 0, raising=False)


def test_code_in_a_download_is_not_run(tmp_path):
    torch.save({"state_dict": Code(tmp_path / "ran")}, tmp_path / "bad.pth")
    with served(str(tmp_path)) as base, pytest.raises(CheckpointError, match="could run code"):
        _load_checkpoint(f"{base}/bad.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("filename", [None, 3, b"a.pth"])
def test_what_is_no_path_is_not_looked_for(filename):
    with pytest.raises(TypeError):
        _load_checkpoint(filename)


def test_load_url_trusts_a_file_if_told_so(tmp_path):
    torch.save({"state_dict": Code(tmp_path / "ran")}, tmp_path / "bad.pth")
    with served(str(tmp_path)) as base:
        load_url(f"{base}/bad.pth", weights_only=False)
    assert (tmp_path / "ran").exists()


def test_without_a_network_the_error_says_where_to_put_the_file(tmp_path):
    with served(str(tmp_path)) as base:
        pass
    with pytest.raises(URLError) as raised:  # nobody is there any more
        _load_checkpoint(f"{base}/net.pth")
    assert isinstance(raised.value, DownloadError)
    text = str(raised.value)
    assert f"{base}/net.pth cannot be downloaded" in text
    assert f"Hint: without a network, put the file at {tmp_path}/torch/hub/checkpoints" in text


def test_a_file_put_where_the_hint_says_is_taken(tmp_path):
    kept = tmp_path / "torch" / "hub" / "checkpoints"
    kept.mkdir(parents=True)
    torch.save({"x": 1}, kept / "net.pth")
    assert _load_checkpoint("https://nowhere.invalid/a/net.pth?b=c") == {"x": 1}


def test_a_missing_page_is_named_with_the_servers_answer(tmp_path):
    with served(str(tmp_path)) as base, pytest.raises(DownloadError, match=r"none\.pth.*404"):
        _load_checkpoint(f"{base}/none.pth")
    assert os.listdir(tmp_path / "torch" / "hub" / "checkpoints") == []


@pytest.mark.parametrize("right", [True, False])
def test_a_hash_in_the_name_is_checked_if_asked_for(tmp_path, right):
    torch.save({"x": 1}, tmp_path / "a.pth")
    content = (tmp_path / "a.pth").read_bytes()
    sha = hashlib.sha256(content).hexdigest()[:8] if right else "01234567"
    (tmp_path / f"net-{sha}.pth").write_bytes(content)
    with served(str(tmp_path)) as base:
        if right:
            assert load_url(f"{base}/net-{sha}.pth", check_hash=True) == {"x": 1}
        else:
            with pytest.raises(DownloadError, match="hash"):
                load_url(f"{base}/net-{sha}.pth", check_hash=True)


def test_an_archive_with_one_checkpoint_is_unpacked(tmp_path):
    torch.save({"x": 1}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    with zipfile.ZipFile(tmp_path / "net.pth", "w") as archive:
        archive.write(tmp_path / "a.pth", "a.pth")
    with served(str(tmp_path)) as base:
        assert load_url(f"{base}/net.pth", file_name="kept.pth") == {"x": 1}
    assert os.listdir(tmp_path / "torch" / "hub" / "checkpoints") == ["kept.pth"]


def test_a_checkpoint_comes_from_wherever_fsspec_reaches():
    with fsspec.open("memory://checkpoints/a.pth", "wb") as file:
        torch.save({"x": 1}, file)
    try:
        assert _load_checkpoint("memory://checkpoints/a.pth") == {"x": 1}
    finally:
        fsspec.filesystem("memory").rm("/checkpoints", recursive=True)


def test_a_remote_file_that_is_missing_is_named():
    with pytest.raises(CheckpointNotFoundError, match=r"memory://none\.pth does not exist"):
        _load_checkpoint("memory://none.pth")


def test_what_a_storage_says_is_handed_on(tmp_path):
    with pytest.raises(CheckpointError, match=r"cannot be read: .*directory"):
        _load_checkpoint(tmp_path.as_uri())


def test_a_uri_of_a_local_file_is_loaded(tmp_path):
    torch.save({"x": 1}, tmp_path / "a.pth")
    assert _load_checkpoint((tmp_path / "a.pth").as_uri()) == {"x": 1}


@pytest.mark.parametrize(
    ("name", "choice"),
    [
        ("open-mmlab://resnet50_v1d", "resnet50_v1c"),
        ("openmmlab://Resnest50", "resnest50"),
        ("mmcls://resnet_50", "resnet50"),
    ],
)
def test_an_unknown_model_gets_the_nearest_choices(name, choice):
    with pytest.raises(KeyError, match=f"Did you mean: .*{choice}"):
        _load_checkpoint(name)


def test_an_unknown_scheme_gets_the_nearest_choices():
    with pytest.raises(FileNotFoundError, match="Did you mean: torchvision://"):
        _load_checkpoint("torchvison://resnet50")


def test_an_unknown_prefix_gets_what_the_checkpoint_has(tmp_path):
    torch.save({"backbone.a": 1, "head.b": 2}, tmp_path / "a.pth")
    with pytest.raises(AssertionError, match=r"has backbone, head\nDid you mean: backbone"):
        _load_checkpoint_with_prefix("backbones", str(tmp_path / "a.pth"))


def test_torchvision_is_named_where_it_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    with pytest.raises(MissingPackageError, match="pip install torchvision"):
        _load_checkpoint("torchvision://resnet50")


def test_a_model_without_weights_is_refused(monkeypatch):
    monkeypatch.setattr(
        checkpoints, "get_torchvision_models", lambda: {"net_1": None, "net_2": "https://x"}
    )
    with pytest.raises(CheckpointError, match=r"no weights are published.*\nDid you mean: net_2"):
        _load_checkpoint("torchvision://net_1")


def test_pavi_is_refused_with_the_reason():
    with pytest.raises(UnsupportedError, match="SenseTime"):
        _load_checkpoint("pavi://a")


def test_shapes_that_differ_are_told_in_a_table() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    state = {"0.weight": torch.zeros(3, 5), "0.bias": torch.zeros(3), "1.weight": torch.zeros(2, 3)}
    with pytest.raises(RuntimeError) as caught:
        checkpoints.load_state_dict(model, state, strict=True)
    rows = [line.split() for line in str(caught.value).splitlines()]
    assert ["0.weight", "[3,", "5]", "[3,", "2]"] in rows
    assert ["1.weight", "[2,", "3]", "[1,", "3]"] in rows
    assert "missing keys in source state_dict: 1.bias" in str(caught.value)
