"""Checkpoints are written whole and read without running code."""

from __future__ import annotations

import pickle
import random
import types
import zipfile
from pathlib import Path

import pytest
import torch

from mm2pl import checkpoint
from mm2pl.errors import BrokenCheckpointError, CheckpointError, CheckpointNotFoundError
from mm2pl.mmengine.optim import LinearLR, OptimWrapper
from mm2pl.mmengine.runner import load_checkpoint


class Harmful:
    def __reduce__(self):
        return Path.touch, (Path("harmed"),)


def test_what_is_written_is_read(tmp_path):
    content = {"state_dict": {"w": torch.ones(2)}, "meta": {"epoch": 3, "names": ("a", "b")}}
    checkpoint.write(content, str(tmp_path / "new" / "a.pth"))
    read = checkpoint.read(tmp_path / "new" / "a.pth")
    assert read["meta"] == content["meta"]
    assert torch.equal(read["state_dict"]["w"], torch.ones(2))


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    checkpoint.write({"old": 1}, str(tmp_path / "a.pth"))
    with pytest.raises(Exception, match="pickle"):
        checkpoint.write({"new": lambda: None}, str(tmp_path / "a.pth"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.pth"]
    assert checkpoint.read(tmp_path / "a.pth") == {"old": 1}


def test_code_in_a_checkpoint_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"meta": Harmful()}, "a.pth")
    with pytest.raises(CheckpointError, match="could run code"):
        checkpoint.read("a.pth")
    assert not Path("harmed").exists()


@pytest.mark.parametrize(
    "content", [b"", b"\x80", b"not a checkpoint", pickle.dumps(object, 2)[:9]]
)
def test_a_broken_file_is_named(tmp_path, content):
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.pth"):
        checkpoint.read(tmp_path / "a.pth")


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("zipped", [True, False])
def test_however_a_file_is_damaged_the_error_is_one(tmp_path, zipped):
    content = {"state_dict": {"w": torch.ones(9)}, "meta": {"epoch": 3, "name": "x" * 40}}
    torch.save(content, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    whole = (tmp_path / "a.pth").read_bytes()
    draw = random.Random(0)
    failed = 0
    for _ in range(150):
        data = bytearray(whole[: draw.choice([len(whole), draw.randrange(len(whole))])])
        for _ in range(draw.choice([1, 5])):
            data[draw.randrange(len(data))] = draw.randrange(256)
        (tmp_path / "a.pth").write_bytes(data)
        try:
            checkpoint.read(tmp_path / "a.pth")
        except CheckpointError:
            failed += 1
    assert failed > 100


def test_a_folder_is_named(tmp_path):
    with pytest.raises(CheckpointNotFoundError, match="is a folder, not a checkpoint"):
        checkpoint.read(tmp_path)


def test_a_folder_of_a_sharded_run_of_lightnings_has_a_way(tmp_path):
    (tmp_path / "meta.pt").touch()
    with pytest.raises(CheckpointNotFoundError, match=r"consolidate_checkpoint .* makes one file"):
        checkpoint.read(tmp_path)


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (("net.weight", "net.bias"), "Hint: mm2pl convert a.pth NEW.pth --strip-prefix net."),
        (("other",), "Hint: is it a checkpoint of this model"),
    ],
)
def test_weights_under_another_prefix_get_the_call_that_renames_them(names, hint):
    weights = {name: torch.zeros(1) for name in names}
    with pytest.raises(CheckpointError, match=hint):
        checkpoint.refuse_stranger({"state_dict": weights}, torch.nn.Linear(2, 1), "a.pth")


def test_weights_without_the_models_prefix_get_the_call_that_puts_it_on():
    model = torch.nn.ModuleDict({"backbone": torch.nn.Linear(2, 1)})
    with pytest.raises(CheckpointError, match=r"--add-prefix backbone\."):
        checkpoint.refuse_stranger({"weight": torch.zeros(1, 2)}, model, "a.pth")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CheckpointNotFoundError, match=r"a\.pth does not exist"):
        checkpoint.read(tmp_path / "a.pth")


@pytest.mark.parametrize("named", [False, True])
def test_states_of_schedulers_go_back_where_they_came_from(named):
    def schedulers():
        parameter = torch.nn.Parameter(torch.ones(1))
        made = [LinearLR(OptimWrapper(torch.optim.SGD([parameter], lr=1.0)), end=5)]
        return {"a": made} if named else made

    old, new = schedulers(), schedulers()
    (scheduler,) = old["a"] if named else old
    scheduler.optimizer.step()
    for _ in range(3):
        scheduler.step()
    checkpoint.load_scheduler_states(new, checkpoint.scheduler_states(old))
    assert checkpoint.scheduler_states(new) == checkpoint.scheduler_states(old)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_checkpoint_with_some_of_the_models_weights_may_be_loaded(prefix):
    weights = {f"{prefix}weight": torch.zeros(3, 3), "head.bias": torch.zeros(1)}
    checkpoint.refuse_stranger({"state_dict": weights}, torch.nn.Linear(2, 1), "a.pth")


@pytest.mark.parametrize("content", [{"state_dict": {"a.b": torch.zeros(2)}}, {"meta": {}}, {}])
def test_a_checkpoint_without_any_is_refused(content):
    with pytest.raises(CheckpointError, match=r"a\.pth has none of the model's weights"):
        checkpoint.refuse_stranger(content, torch.nn.Linear(2, 1), "a.pth")


def test_a_model_that_may_rename_weights_takes_any_checkpoint():
    model = torch.nn.Linear(2, 1)
    model._register_load_state_dict_pre_hook(lambda *arguments: None)
    checkpoint.refuse_stranger({"state_dict": {"old": torch.zeros(1)}}, model, "a.pth")


def test_so_does_a_model_that_loads_by_code_of_its_own():
    class Renames(torch.nn.Linear):
        def _load_from_state_dict(self, state_dict, prefix, *args):
            state_dict[f"{prefix}weight"] = state_dict.pop(f"{prefix}old")
            super()._load_from_state_dict(state_dict, prefix, *args)

    model = torch.nn.Sequential(Renames(1, 1, bias=False), torch.nn.BatchNorm1d(1, affine=False))
    checkpoint.refuse_stranger({"state_dict": {"0.old": torch.zeros(1, 1)}}, model, "a.pth")


def test_a_model_without_weights_takes_any_checkpoint():
    checkpoint.refuse_stranger({"state_dict": {}}, torch.nn.ReLU(), "a.pth")


def test_a_program_of_torchscript_is_told_from_a_checkpoint(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.pth", "w") as archive:
        archive.writestr("a/constants.pkl", b"")
    with pytest.raises(CheckpointError, match=r"a\.pth is a TorchScript program"):
        checkpoint.read(tmp_path / "a.pth")


@pytest.mark.parametrize("text", ["custom_imports = dict(imports=['a'])\n", "call me\nIshmael\n"])
def test_text_is_no_pickle_that_wants_something(tmp_path, text):
    (tmp_path / "a.pth").write_text(text)
    with pytest.raises(BrokenCheckpointError, match=r"a\.pth is not a checkpoint"):
        checkpoint.read(tmp_path / "a.pth")


def test_what_a_storage_says_at_a_write_is_handed_on():
    def refuse(content, path):
        raise OSError(28, "No space left on device")

    backend = types.SimpleNamespace(put=refuse)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "get_file_backend", lambda *_, **__: backend)
        with pytest.raises(CheckpointError, match=r"s3://a\.pth cannot be written: .*No space"):
            checkpoint.write({}, "s3://a.pth")


@pytest.mark.parametrize("weights", [None, [1], {1: torch.zeros(2)}])
def test_what_are_no_weights_is_an_error(tmp_path, weights):
    torch.save({"state_dict": weights}, tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match="not tensors by their names"):
        load_checkpoint(torch.nn.Linear(1, 1), str(tmp_path / "a.pth"))
