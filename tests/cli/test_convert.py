"""``mm2pl convert`` on the command line: what it prints, and its exit status."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from mm2pl.cli import main
from mm2pl.convert import load
from tests.cli.calls import HERE, run, write_config
from tests.conftest import Reference

Out = pytest.CaptureFixture[str]
# With MMEngine: two epochs, and on to four from the first argument.
_THEIRS = f"""
import sys
sys.path.insert(0, {str(HERE)!r})
from mmengine.config import Config
from mmengine.runner import Runner
start = sys.argv[1]
for work_dir, epochs in (("theirs", 2), (sys.argv[2], 4)):
    cfg = Config.fromfile("config.py")
    cfg.merge_from_dict(dict(work_dir=work_dir, train_cfg=dict(max_epochs=epochs)))
    cfg.merge_from_dict(dict(resume=epochs == 4, load_from=start if epochs == 4 else None))
    if epochs == 4 or not sys.argv[3:]:
        cfg.experiment_name = work_dir
        Runner.from_cfg(cfg).train()
"""


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    state = {"net.a": torch.zeros(3, 4), "net.b": torch.zeros(2, dtype=torch.int64)}
    meta = {"epoch": 2, "iter": 9, "mmengine_version": "0.10.7"}
    torch.save({"meta": meta, "state_dict": state, "optimizer": {}}, "a.pth")
    torch.save({"state_dict": state, "root": Path()}, "code.pth")


def test_a_file_is_described_on_standard_output(capsys: Out) -> None:
    assert main(["convert", "a.pth"]) == 0
    out, err = capsys.readouterr()
    lines = dict(line.strip().split(":", 1) for line in out.splitlines())
    assert out.startswith("a.pth:\n")
    assert lines["written by"].strip() == "MMEngine 0.10.7"
    assert lines["weights"].strip() == "2 (1 float32, 1 int64), 14 values, 64 bytes: net (2)"
    assert err == ""


def test_json_is_one_object(capsys: Out) -> None:
    assert main(["convert", "a.pth", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["file"] == "a.pth"
    assert told["file size"] == Path("a.pth").stat().st_size
    assert told["weights"]["parts"] == {"net": 2}


def test_what_was_written_is_described_and_what_is_lost_is_noted(capsys: Out) -> None:
    assert main(["convert", "a.pth", "b.safetensors", "--strip-prefix", "net."]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("b.safetensors:\n")
    assert err == "mm2pl: note: left out: the optimizers' states\n"
    assert sorted(load("b.safetensors")["state_dict"]) == ["a", "b"]


def test_a_file_that_is_trusted_may_run_code_and_json_stays_json(capsys: Out) -> None:
    assert main(["convert", "code.pth"]) == 1
    assert "--unsafe-load code.pth" in capsys.readouterr().err
    assert main(["convert", "code.pth", "--json", "--unsafe-load", "code.pth"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["more"] == ["root"]
    assert "it may run any code" in err


def test_a_file_that_only_trust_can_read_stays_one_and_that_is_said(capsys: Out) -> None:
    assert main(["convert", "code.pth", "b.pth", "--unsafe-load", "code.pth"]) == 0
    assert "note: b.pth holds objects that could run code: pathlib" in capsys.readouterr().err
    assert (
        main(["convert", "code.pth", "c.pth", "--weights-only", "--unsafe-load", "code.pth"]) == 0
    )
    assert "left out: root" in capsys.readouterr().err
    assert sorted(load("c.pth")["state_dict"]) == ["net.a", "net.b"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("a.pth --force", "OUT is missing"),
        ("a.pth --raw", "OUT is missing"),
        ("a.pth b.pth --json", "leave out OUT"),
        ("", "required: IN"),
        ("a.pth b.pth c.pth", "too many arguments: c.pth"),
        ("a.pth b.pth --strip_prefix x", "Did you mean: --strip-prefix"),
    ],
)
def test_a_wrong_call_is_told_with_the_usage(arguments: str, expected: str, capsys: Out) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["convert", *arguments.split()])
    assert caught.value.code == 2
    err = capsys.readouterr().err
    assert err.startswith("usage: mm2pl convert IN [OUT]")
    assert expected in err


@pytest.mark.parametrize(
    ("arguments", "status", "expected"),
    [
        ("nowhere.pth", 2, "nowhere.pth does not exist"),
        (".", 2, ". is a folder, not a checkpoint"),
        ("a.pth b.onnx", 2, "b.onnx must end in"),
        ("a.pth code.pth", 2, "Hint: --force"),
        ("a.pth /proc/none/b.pth", 1, "cannot be written"),
        ("https://127.0.0.1:9/x.pth", 1, "cannot be downloaded"),
        ("memory://none.pth", 2, "memory://none.pth does not exist"),
        ("nothing://x.pth", 2, "no loader or storage is called nothing://"),
    ],
)
def test_a_mistake_has_its_status(arguments: str, status: int, expected: str, capsys: Out) -> None:
    assert main(["convert", *arguments.split()]) == status
    out, err = capsys.readouterr()
    assert expected in err
    assert err.count("mm2pl: error: ") == 1
    assert out == ""


@pytest.mark.slow
def test_a_run_goes_on_alike_from_its_file_in_each_format(
    reference: Reference, tmp_path: Path, capsys: Out
) -> None:
    """MMEngine's file, as Lightning's, and that as MMEngine's again."""
    write_config(tmp_path)
    reference.process("-c", _THEIRS, "theirs/epoch_2.pth", "whole", cwd=tmp_path)
    assert main(["convert", "theirs/epoch_2.pth", "a.ckpt"]) == 0
    assert main(["convert", "a.ckpt", "b.pth"]) == 0
    assert "resumed by:      mm2pl, MMEngine, Lightning" in capsys.readouterr().out
    reference.process("-c", _THEIRS, "b.pth", "again", "only", cwd=tmp_path)
    options = ["--resume", "a.ckpt", "--work-dir", "ours"]
    done = run("fit", "config.py", *options, "--trainer.max_epochs", "4", folder=tmp_path)
    assert done.status == 0, done.err
    whole, *others = (load(f"{name}/epoch_4.pth") for name in ("whole", "again", "ours"))
    for other in others:
        assert other["meta"]["iter"] == whole["meta"]["iter"] == 16
        for name, weight in whole["state_dict"].items():
            assert torch.equal(other["state_dict"][name], weight)
