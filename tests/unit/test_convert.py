"""``.pth``, ``.ckpt`` and ``.safetensors`` become each other, and nothing is dropped in silence."""

from __future__ import annotations

import argparse
import fcntl
import os
import resource
import signal
import subprocess
import sys
import warnings
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fsspec
import lightning.pytorch as pl
import pytest
import torch
from torch import nn

from mm2pl import checkpoint, contents, durable
from mm2pl.convert import Choices, convert, load
from mm2pl.errors import CheckpointError, ConfigError
from mm2pl.runner import Runner
from tests.unit.schedule_runs import Line
from tests.unit.test_hostile_checkpoints import FORMATS, HARMED, PAYLOADS
from tests.unit.test_published import same
from tests.unit.test_runner import config


class Plain(pl.LightningModule):
    """A LightningModule as anybody writes it."""

    def __init__(self, lr: float = 0.5) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))

    def training_step(self, batch: Any, index: int) -> Any:
        return self.model(batch).sum()

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        return [optimizer], [torch.optim.lr_scheduler.StepLR(optimizer, 1)]


def plain_trainer(epochs: int, folder: str, **changes: Any) -> pl.Trainer:
    return pl.Trainer(
        max_epochs=epochs,
        default_root_dir=folder,
        logger=False,
        accelerator="cpu",
        enable_progress_bar=False,
        enable_model_summary=False,
        **changes,
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files as each program leaves them."""
    folder = tmp_path_factory.mktemp("files")
    hooks = [{"type": "EMAHook", "momentum": 0.5}]
    cfg = {"train_cfg": {"max_epochs": 2}, "optim_wrapper": {"optimizer": {"type": "Adam"}}}
    Runner.from_cfg(config(folder / "run", experiment_name="a", **cfg)).train()
    averaged = config(folder / "ema", experiment_name="b", custom_hooks=hooks, **cfg)
    Runner.from_cfg(averaged).train()
    found = {"run": f"{folder}/run/epoch_2.pth", "ema": f"{folder}/ema/epoch_2.pth"}
    # As MMEngine would have written it.
    bare = {**checkpoint.read(found["run"])}
    for key in ("mm2pl", "loops", "optimizer_states", "lr_schedulers", "epoch", "global_step"):
        bare.pop(key, None)
    bare = {key: value for key, value in bare.items() if key != contents.LIGHTNING}
    found["bare"] = f"{folder}/bare.pth"
    checkpoint.write(bare, found["bare"])
    saved = pl.callbacks.ModelCheckpoint(folder / "plain")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning's, of few workers and rare logs
        trainer = plain_trainer(2, str(folder), callbacks=[saved])
        trainer.fit(Plain(), torch.utils.data.DataLoader(torch.ones(4, 2), batch_size=2))
    found["plain"] = saved.best_model_path
    return found


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def weights(path: str) -> Any:
    return load(path)["state_dict"]


# --------------------------------------------------------------------------- what becomes of it


@pytest.mark.parametrize("suffix", ["pth", "pt", "ckpt", "safetensors"])
@pytest.mark.parametrize("source", ["run", "bare", "plain"])
def test_weights_and_their_versions_are_the_same_in_every_format(
    files: dict[str, str], source: str, suffix: str
) -> None:
    convert(files[source], f"out.{suffix}")
    assert same(weights(f"out.{suffix}"), weights(files[source]))
    assert weights(f"out.{suffix}")._metadata == weights(files[source])._metadata


@pytest.mark.parametrize("suffix", ["pth", "ckpt"])
def test_our_file_is_both_and_stays_as_it_is(files: dict[str, str], suffix: str) -> None:
    assert convert(files["run"], f"out.{suffix}") == []
    before, after = load(files["run"]), load(f"out.{suffix}")
    assert list(after) == list(before)
    assert after["meta"] == before["meta"]
    assert after["optimizer"]["param_groups"] == before["optimizer"]["param_groups"]


def test_meta_comes_back_from_safetensors(files: dict[str, str]) -> None:
    convert(files["run"], "a.safetensors")
    convert("a.safetensors", "b.pth")
    assert load("b.pth")["meta"] == load(files["run"])["meta"]
    assert load("b.pth")["meta"]["dataset_meta"] == {"classes": ("a", "b")}


def test_what_safetensors_cannot_hold_is_said(files: dict[str, str]) -> None:
    (note,) = convert(files["bare"], "a.safetensors")
    for words in ("optimizers' states", "histories"):
        assert words in note


def test_mmengines_file_gets_what_lightning_needs_to_go_on(files: dict[str, str]) -> None:
    convert(files["bare"], "a.ckpt")
    made = load("a.ckpt")
    assert contents.is_run(made)
    assert contents.is_lightning_run(made)
    assert made["global_step"] == made["meta"]["iter"] == 4


def test_lightnings_file_becomes_weights_with_counters_and_hyperparameters(
    files: dict[str, str],
) -> None:
    notes = convert(files["plain"], "a.pth")
    meta = load("a.pth")["meta"]
    assert (meta["epoch"], meta["iter"], meta["hyper_parameters"]) == (2, 4, {"lr": 0.5})
    for words in ("optimizers' states", "schedules' states", "callbacks' states", "loops'"):
        assert words in notes[0]
    assert "--strip-prefix model." in notes[1]


def test_what_a_program_added_to_its_file_is_named(files: dict[str, str]) -> None:
    torch.save({**load(files["plain"]), "my_table": [1]}, "a.ckpt")
    assert "my_table" in convert("a.ckpt", "b.pth")[0]


def test_a_plain_module_takes_its_weights_back(files: dict[str, str]) -> None:
    convert(files["plain"], "a.safetensors", Choices(strip_prefix="model."))
    convert("a.safetensors", "b.ckpt", Choices(add_prefix="model."))
    restored = Plain.load_from_checkpoint("b.ckpt", weights_only=False)
    assert same(restored.state_dict(), weights(files["plain"]))
    assert restored.hparams == {"lr": 0.5}


def test_lightning_says_itself_that_weights_are_no_run(files: dict[str, str]) -> None:
    notes = convert(files["plain"], "a.ckpt", Choices(weights_only=True))
    assert "nothing to resume" in notes[-1]
    trainer = plain_trainer(3, ".", enable_checkpointing=False)
    loader = torch.utils.data.DataLoader(torch.ones(4, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(KeyError, match="only the model"):
            trainer.fit(Plain(), loader, ckpt_path="a.ckpt")


class Wrapped(pl.LightningModule):
    """The model of the runs above, in a program of Lightning's."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Line()

    def training_step(self, batch: Any, index: int) -> Any:
        return self.net(batch, batch[:, :1], mode="loss")["loss"]

    def configure_optimizers(self) -> Any:
        return torch.optim.Adam(self.parameters())


@pytest.mark.parametrize("source", ["run", "bare", "ema"])
def test_a_plain_file_is_read_by_anybody_and_resumed_by_lightning(
    files: dict[str, str], source: str
) -> None:
    (*_, note) = convert(files[source], "a.ckpt", Choices(plain=True, add_prefix="net."))
    assert note.startswith("left out: meta, the histories")
    held = torch.load("a.ckpt", weights_only=True)  # as nothing of ours is allowed here
    raw = contents.raw_weights(load(files[source])) if source == "ema" else weights(files[source])
    assert same(held["state_dict"], {f"net.{name}": value for name, value in raw.items()})
    module, trainer = Wrapped(), plain_trainer(3, ".", enable_checkpointing=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of few workers
        trainer.fit(module, torch.utils.data.DataLoader(torch.ones(8, 2), 4), ckpt_path="a.ckpt")
    assert (trainer.current_epoch, trainer.global_step) == (3, 6)
    (optimizer,) = trainer.optimizers
    assert {state["step"].item() for state in optimizer.state.values()} == {6.0}


def test_a_plain_file_without_an_optimizer_needs_nobody_else_either(files: dict[str, str]) -> None:
    held = {key: value for key, value in load(files["ema"]).items() if "optimizer" not in key}
    checkpoint.write(held, "a.pth")
    for plainly in (Choices(plain=True), Choices(plain=True, weights_only=True)):
        notes = convert("a.pth", "b.ckpt", plainly, force=True)
        assert not [note for note in notes if "--raw" in note]
        assert same(
            torch.load("b.ckpt", weights_only=True)["state_dict"], contents.raw_weights(held)
        )


def test_a_run_of_lightnings_stays_one_under_other_names(files: dict[str, str]) -> None:
    assert convert(files["plain"], "a.ckpt", Choices(strip_prefix="model.", add_prefix="x.")) == []
    assert contents.is_lightning_run(load("a.ckpt"))
    convert(files["plain"], "b.ckpt", Choices(strip_prefix="model.0."))
    assert not contents.is_lightning_run(load("b.ckpt"))


def test_a_plain_part_is_no_run(files: dict[str, str]) -> None:
    notes = convert(files["run"], "a.ckpt", Choices(plain=True, strip_prefix="fc.w"))
    assert "the run, as weights are missing" in notes[-1]
    assert not contents.is_lightning_run(load("a.ckpt"))


def test_plain_weights_have_no_meta_and_lightnings_own_file_stays(files: dict[str, str]) -> None:
    convert(files["run"], "a.safetensors")
    convert("a.safetensors", "b.ckpt", Choices(plain=True))
    convert(files["plain"], "c.ckpt", Choices(plain=True))
    assert set(load("b.ckpt")) >= {"state_dict", "epoch", "global_step", contents.LIGHTNING}
    assert not {"meta", "optimizer_states"} & set(load("b.ckpt"))
    assert list(load("c.ckpt")) == list(load(files["plain"]))


def test_prefixes_rename_weights_and_modules(files: dict[str, str]) -> None:
    convert(files["plain"], "a.pth", Choices(strip_prefix="model.", add_prefix="net."))
    assert set(weights("a.pth")) == {
        name.replace("model.", "net.") for name in weights(files["plain"])
    }
    assert weights("a.pth")._metadata["net.1"] == {"version": 2}
    assert weights("a.pth")._metadata["net"] == {"version": 1}


def test_a_part_can_be_taken_and_the_rest_is_counted(files: dict[str, str]) -> None:
    notes = convert(files["plain"], "a.pth", Choices(strip_prefix="model.0."))
    assert sorted(weights("a.pth")) == ["bias", "weight"]
    assert notes[0] == "5 weights do not begin with 'model.0.': left out"


def test_a_prefix_that_nothing_has_is_an_error(files: dict[str, str]) -> None:
    with pytest.raises(CheckpointError, match=r"begins with 'module\.'; they begin with model"):
        convert(files["plain"], "a.pth", Choices(strip_prefix="module."))
    assert not Path("a.pth").exists()


def test_averaged_weights_are_taken_unless_the_raw_ones_are_asked_for(
    files: dict[str, str],
) -> None:
    notes = convert(files["ema"], "a.safetensors")
    assert "--raw" in notes[-1]
    convert(files["ema"], "b.safetensors", Choices(raw=True))
    held = load(files["ema"])
    assert same(weights("a.safetensors"), held["state_dict"])
    raw = {f"module.{name}": value for name, value in weights("b.safetensors").items()}
    assert same(raw, {name: held["ema_state_dict"][name] for name in raw})
    assert not same(weights("a.safetensors"), weights("b.safetensors"))


def test_raw_weights_of_a_file_without_averages_are_an_error(files: dict[str, str]) -> None:
    with pytest.raises(CheckpointError, match="none averaged"):
        convert(files["run"], "a.pth", Choices(raw=True))


def test_a_run_with_averages_is_kept_as_a_whole(files: dict[str, str]) -> None:
    convert(files["ema"], "a.pth")
    held, made = load(files["ema"]), load("a.pth")
    assert same(made["state_dict"], held["state_dict"])
    assert same(made["ema_state_dict"], held["ema_state_dict"])


def test_bare_weights_and_those_under_another_key_are_found() -> None:
    state = {"a": torch.ones(1), "b": torch.zeros(2)}
    torch.save(state, "bare.pth")
    torch.save({"model": state, "args": argparse.Namespace(lr=1), "epoch": 3}, "other.pth")
    assert convert("bare.pth", "a.safetensors") == []
    assert convert("other.pth", "b.pth") == ["left out: args"]
    assert same(weights("a.safetensors"), state)
    assert same(weights("b.pth"), state)


def test_uris_are_read_and_written() -> None:
    torch.save({"state_dict": {"a": torch.ones(1)}}, "a.pth")
    try:
        convert("a.pth", "memory://b.safetensors")
        convert("memory://b.safetensors", "memory://c.pth")
        convert("memory://c.pth", "d.ckpt")
        with pytest.raises(ConfigError, match="is there already"):
            convert("a.pth", "memory://c.pth")
    finally:
        for name in ("b.safetensors", "c.pth"):
            fsspec.filesystem("memory").rm(f"/{name}")
    assert same(weights("d.ckpt"), {"a": torch.ones(1)})


# --------------------------------------------------------------------------- wrong calls


def _target(path: str, force: bool = False) -> Callable[[], Any]:
    return lambda: convert("a.pth", path, force=force)


WRONG: dict[str, tuple[Callable[[], Any], str]] = {
    "there already": (_target("b.pth"), "b.pth is there already\nHint: --force"),
    "itself": (_target("./a.pth", True), "is the file that is read"),
    "itself by a link": (_target("link.pth", True), "is the file that is read"),
    "a folder": (_target("folder", True), "folder is a folder\nHint: folder/NAME.pth"),
    "unknown suffix": (_target("a.onnx"), r"a.onnx must end in \.pth"),
    "no suffix": (_target("b"), r"b must end in"),
    "of another format": (_target("b.safetensor"), r"must end in"),
    "missing": (lambda: convert("nowhere.pth", "c.pth"), "nowhere.pth does not exist"),
    "from a folder": (lambda: convert("folder", "c.pth"), "folder is a folder, not"),
    "no checkpoint": (lambda: convert("text.pth", "c.pth"), "text.pth is not a checkpoint"),
    "a config": (lambda: convert("config.py", "c.pth"), "config.py is not a checkpoint"),
    "empty": (lambda: convert("empty.pth", "c.pth"), "empty.pth cannot be read: it is empty"),
    "cut": (lambda: convert("cut.pth", "c.pth"), "cut.pth cannot be read"),
    "a list": (lambda: convert("list.pth", "c.pth"), "list.pth holds a list, not weights"),
    "no weights": (lambda: convert("meta.pth", "c.pth"), "no weights under `state_dict`; it holds"),
    "two candidates": (lambda: convert("two.pth", "c.pth"), "Hint: there are weights under x, y"),
    "plain, of another format": (
        lambda: convert("a.pth", "c.pth", Choices(plain=True)),
        "c.pth is no .ckpt",
    ),
    "no such place": (_target("/proc/none/c.pth"), "/proc/none/c.pth cannot be written"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_mistake_is_one_clear_error_and_writes_nothing(name: str) -> None:
    state = {"w": torch.ones(1)}
    for path, content in {
        "a": {"state_dict": state},
        "b": {"state_dict": state},
        "list": [1],
        "meta": {"meta": {}},
        "two": {"x": state, "y": state},
    }.items():
        torch.save(content, f"{path}.pth")
    Path("link.pth").symlink_to("a.pth")
    Path("folder").mkdir()
    Path("text.pth").write_text("no checkpoint")
    Path("config.py").write_text("custom_imports = dict(imports=['a'])\n")
    Path("empty.pth").touch()
    Path("cut.pth").write_bytes(Path("a.pth").read_bytes()[:300])
    before = {path.name: path.stat().st_mtime_ns for path in Path().iterdir()}
    call, expected = WRONG[name]
    with pytest.raises((CheckpointError, ConfigError), match=expected):
        call()
    assert {path.name: path.stat().st_mtime_ns for path in Path().iterdir()} == before


def test_force_replaces_a_file() -> None:
    torch.save({"state_dict": {"w": torch.ones(1)}}, "a.pth")
    Path("b.safetensors").write_text("older")
    convert("a.pth", "b.safetensors", force=True)
    assert same(weights("b.safetensors"), {"w": torch.ones(1)})


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_full_disk_is_said_and_leaves_the_older_file(suffix: str) -> None:
    torch.save({"state_dict": {"w": torch.ones(10**5)}}, "a.pth")
    Path(f"b.{suffix}").write_text("older")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10**5, limits[1]))
    try:
        with pytest.raises(CheckpointError, match=rf"b\.{suffix} cannot be written: File too"):
            convert("a.pth", f"b.{suffix}", force=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert Path(f"b.{suffix}").read_text() == "older"
    assert sorted(path.name for path in Path().iterdir()) == ["a.pth", f"b.{suffix}"]


# --------------------------------------------------------------------------- nothing runs


@pytest.mark.parametrize("suffix", ["pth", "ckpt", "safetensors"])
@pytest.mark.parametrize("format_", FORMATS)
def test_no_code_of_a_file_runs(format_: str, suffix: str) -> None:
    FORMATS[format_](PAYLOADS["os.system"], Path(f"a.{suffix}"))
    with pytest.raises(CheckpointError, match=rf"a\.{suffix}"):
        convert(f"a.{suffix}", "b.pth")
    with pytest.raises(CheckpointError, match=rf"a\.{suffix}"):
        contents.describe(load(f"a.{suffix}"), "a")
    assert not Path(HARMED).exists()
    assert not Path("b.pth").exists()


def test_a_trusted_file_becomes_one_that_everybody_reads() -> None:
    torch.save({"state_dict": {"w": torch.ones(1)}, "meta": {"epoch": 1, "path": Path()}}, "a.pth")
    with pytest.raises(CheckpointError, match="pathlib"):
        convert("a.pth", "b.safetensors")
    with checkpoint.trusting("a.pth"):
        notes = convert("a.pth", "b.safetensors")
    assert notes == ["meta.path is left out: it holds a PosixPath"]
    assert load("b.safetensors")["meta"] == {"epoch": 1}


# --------------------------------------------------------------------------- descriptions


def test_a_description_says_who_wrote_a_file_and_who_can_go_on(files: dict[str, str]) -> None:
    told = {name: contents.describe(load(path), path) for name, path in files.items()}
    assert told["bare"]["written by"] == "MMEngine 0.10.7"
    assert told["bare"]["resumed by"] == "mm2pl, MMEngine"
    assert told["run"]["written by"].startswith("mm2pl (as MMEngine 0.10.7")
    assert told["plain"]["written by"] == f"Lightning {pl.__version__}"
    assert told["plain"]["resumed by"] == "Lightning"
    best = {key: value for key, value in load(files["bare"]).items() if key != "optimizer"}
    assert "new optimizer" in contents.describe(best, "best")["resumed by"]


def test_a_description_counts_what_a_file_holds(files: dict[str, str]) -> None:
    told = contents.describe(load(files["run"]), "run")
    held = load(files["run"])["state_dict"]
    assert (told["epoch"], told["iter"], told["seed"]) == (2, 4, 0)
    assert told["weights"]["count"] == len(held)
    assert told["weights"]["bytes"] == 4 * sum(one.numel() for one in held.values())
    assert told["weights"]["dtypes"] == {"float32": len(held)}
    assert told["optimizers"][0]["states"] == len(held)
    assert told["optimizers"][0]["lr"] == [0.001]
    assert told["classes"] == ["a", "b"]
    assert told["random states, place in the data"] == "yes"
    assert "weights before averaging" in contents.describe(load(files["ema"]), "ema")


def test_a_description_has_a_line_for_each_fact(files: dict[str, str]) -> None:
    lines = contents.lines(contents.describe(load(files["plain"]), "plain"))
    assert lines["weights"] == "7 (6 float32, 1 int64), 15 values, 64 bytes: model (7)"
    assert lines["optimizers"] == "states of 4 parameters in 1 group, lr 0.001"
    assert lines["callbacks"] == "1: ModelCheckpoint"
    assert lines["more"].startswith("2: hparams_name, hyper_parameters")


def test_several_optimizers_are_named() -> None:
    state = {"state": {0: {}}, "param_groups": [{"lr": 0.1, "params": [0]}, {"lr": 0.2}]}
    told = contents.describe(
        {"state_dict": {"w": torch.ones(1)}, "optimizer": {"g": state, "d": state}}, "a"
    )
    assert contents.lines(told)["optimizers"] == (
        "g: states of 1 parameters in 2 groups, lr 0.1, 0.2;"
        " d: states of 1 parameters in 2 groups, lr 0.1, 0.2"
    )


def test_what_an_older_openmmlab_wrote_is_known() -> None:
    meta = {"mmcv_version": "1.7.0", "mmdet_version": "2.28.0", "epoch": 12, "CLASSES": ("a", "b")}
    loaded = {"meta": meta, "state_dict": OrderedDict(w=torch.ones(1)), "optimizer": {}}
    told = contents.describe(loaded, "a")
    assert told["written by"] == "OpenMMLab 1.x (mmcv 1.7.0, mmdet 2.28.0)"
    assert told["resumed by"] == "nobody: weights to start from"
    assert told["classes"] == ["a", "b"]


def test_names_that_are_no_text_are_no_weights() -> None:
    with pytest.raises(CheckpointError, match="a holds no weights: the names"):
        contents.describe({"state_dict": {1: torch.ones(1)}}, "a")


_KILLED = """
import os, signal, sys
from mm2pl import checkpoint, convert
def save(content, target):
    with checkpoint.durable.replacing(target) as file:
        file.write(b"half")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.write = save
convert.convert(*sys.argv[1:])
"""


def test_what_a_killed_conversion_left_goes_with_the_next_to_the_same_file(
    files: dict[str, str],
) -> None:
    source = files["run"]
    root = Path(checkpoint.__file__).parents[1]
    for target in ("a.pth", "a.pth.b.pth"):
        call = [sys.executable, "-c", _KILLED, source, str(Path(target).absolute())]
        assert subprocess.run(call, cwd=root).returncode == -signal.SIGKILL
    (first, other) = sorted(Path().glob(".*.incomplete"))
    held = Path(f".a.pth.{os.getpid()}.incomplete")  # by a living process
    with held.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        convert(source, "a.ckpt")
        assert first.exists()
        durable.remove_leftovers(".", "a.pth")
        assert sorted(Path().glob(".*.incomplete")) == sorted([other, held])
    convert(source, "a.pth")
    assert list(Path().glob(".*.incomplete")) == [other]
    assert not held.exists()
