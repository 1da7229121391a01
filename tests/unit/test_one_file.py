"""What mm2pl saves is a checkpoint of MMEngine and one of Lightning, at each door of Lightning."""

from __future__ import annotations

import logging
import pickletools
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import lightning.pytorch as pl
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from mm2pl import checkpoint, lightning_layout
from mm2pl._lightning import quiet
from mm2pl.checkpoint_io import MMCheckpointIO
from mm2pl.errors import CheckpointError
from mm2pl.runner import Runner
from tests.unit.resume.resume_runs import (
    SGD,
    Net,
    Trace,
    checkpoints,
    config,
    digest,
    disturb,
    epochs,
    iterations,
    loader,
    rest,
    run,
)
from tests.unit.resume.test_exact_resume import CASES, _two  # noqa: F401  a fixture for all tests

Make = Callable[[], dict[str, Any]]
pytestmark = [
    pytest.mark.filterwarnings("ignore:scheduler.step"),
    pytest.mark.filterwarnings("ignore:.*LeafSpec"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists"),
]
LIGHTNINGS = {
    "epoch",
    "global_step",
    "pytorch-lightning_version",
    "loops",
    "state_dict",
    "optimizer_states",
    "lr_schedulers",
    "callbacks",
}
MMENGINES = {"meta", "state_dict", "message_hub", "optimizer", "param_schedulers"}
AVERAGED = {"type": "EMAHook", "momentum": 0.1, "update_buffers": True}
ADAM = {"optimizer": {"type": "Adam", "lr": 0.05}}


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    yield
    logger.setLevel(level)


def fit(
    settings: dict[str, Any], path: Any = None, behind: list[pl.Callback] | None = None
) -> tuple[list[tuple[Any, ...]], dict[str, str], Runner]:
    """Train by Lightning's door; return the trace, digests of the end state, and the runner."""
    trace = Trace()
    settings["custom_hooks"] = [*settings.get("custom_hooks", []), trace]
    runner = Runner(**settings)
    runner.trainer.callbacks += behind or []  # type: ignore[attr-defined]
    with quiet():
        runner.trainer.fit(runner.module, runner.datamodule, ckpt_path=path)
    state = {"weights": runner.model.state_dict(), "optimizer": runner.optim_wrapper.state_dict()}
    return trace.steps, {key: digest(value) for key, value in state.items()}, runner


# --------------------------------------------------------------------------- what the files hold


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two epochs of six batches with Adam, saved after each iteration."""
    folder = tmp_path_factory.mktemp("trained")
    run(config(folder, train_cfg=epochs(2), optim_wrapper=ADAM))
    return folder


def test_a_file_holds_the_keys_of_both(trained: Path) -> None:
    saved = checkpoint.read(trained / "iter_8.pth")
    assert set(saved) == MMENGINES | LIGHTNINGS | {"mm2pl"}
    assert (saved["epoch"], saved["global_step"]) == (1, 8)


def test_the_loops_are_those_of_lightning(trained: Path) -> None:
    def shape(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: shape(one) for key, one in value.items()}
        return type(value)

    trainer = pl.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu")
    theirs = trainer._checkpoint_connector._get_loops_state_dict()
    assert shape(checkpoint.read(trained / "iter_8.pth")["loops"]) == shape(theirs)


@pytest.mark.parametrize(
    ("iteration", "epoch", "batch"), [(1, 0, 1), (5, 0, 5), (6, 1, 0), (8, 1, 2), (12, 2, 0)]
)
def test_the_loops_stand_between_two_batches(
    trained: Path, iteration: int, epoch: int, batch: int
) -> None:
    loops = checkpoint.read(trained / f"iter_{iteration}.pth")["loops"]["fit_loop"]
    begun = epoch + bool(batch)
    counted = {"ready": begun, "started": begun, "processed": epoch, "completed": epoch}
    assert loops["epoch_progress"] == {"total": counted, "current": counted}
    batches = loops["epoch_loop.batch_progress"]
    assert set(batches["total"].values()) == {iteration}
    assert set(batches["current"].values()) == {batch}


def test_a_run_over_iterations_is_counted_in_rounds(tmp_path: Path) -> None:
    run(config(tmp_path, train_cfg=iterations(14)))
    saved = checkpoint.read(tmp_path / "iter_14.pth")
    assert saved["epoch"] == 2
    assert saved["loops"]["fit_loop"]["epoch_loop.batch_progress"]["current"]["ready"] == 2


def test_states_are_shared_and_the_file_does_not_grow(tmp_path: Path) -> None:
    class Wide(Net):
        def __init__(self) -> None:
            super().__init__()
            self.wide = torch.nn.Linear(600, 600)

        def forward(self, *args: Any, **kwargs: Any) -> Any:
            found = super().forward(*args, **kwargs)
            if isinstance(found, dict):
                found["wide"] = self.wide(torch.ones(1, 600)).sum()
            return found

    runner = Runner(**config(tmp_path, model=Wide(), train_cfg=epochs(1), optim_wrapper=ADAM))
    runner.train()
    file = tmp_path / "iter_6.pth"
    saved = checkpoint.read(file)
    (states,) = saved["optimizer_states"]
    assert states["state"][0]["exp_avg"] is saved["optimizer"]["state"][0]["exp_avg"]
    bare = {key: value for key, value in saved.items() if key in MMENGINES | {"mm2pl"}}
    checkpoint.write(bare, str(tmp_path / "bare.pth"))
    assert file.stat().st_size - (tmp_path / "bare.pth").stat().st_size < 6000
    collected = runner.trainer._checkpoint_connector.dump_checkpoint()
    assert (
        collected["state_dict"]["wide.weight"].data_ptr() == runner.model.wide.weight.data_ptr()
    )  # no second copy of tensors in memory


def test_a_file_without_optimizer_is_lightnings_of_weights_only(tmp_path: Path) -> None:
    hook = {"type": "CheckpointHook", "interval": 1, "save_optimizer": False}
    run(config(tmp_path, train_cfg=epochs(1), default_hooks={"checkpoint": hook}))
    saved = checkpoint.read(tmp_path / "epoch_1.pth")
    assert {"loops", "pytorch-lightning_version", "state_dict"} < set(saved)
    assert not {"optimizer_states", "lr_schedulers"} & set(saved)


def test_each_torch_optimizer_has_one_state(tmp_path: Path) -> None:
    make, _ = CASES["several optimizers"]
    run(config(tmp_path, **make()))
    saved = checkpoint.read(tmp_path / "iter_7.pth")
    states = saved["optimizer_states"]
    assert [one["state"] for one in states] == [
        saved["optimizer"][name]["state"] for name in ("body", "head")
    ]
    assert saved["global_step"] == 2 + 7  # one of them accumulates three batches


def test_a_scaler_is_lightnings_too() -> None:
    scaler = {"scale": 4.0}
    saved: dict[str, Any] = {"optimizer": {"state": {}, "param_groups": [], "loss_scaler": scaler}}
    lightning_layout.add(saved, lightning_layout.Progress(1, 0, 6, 6))
    assert saved["MixedPrecision"] is scaler
    assert set(saved["optimizer_states"][0]) == {"state", "param_groups"}


# --------------------------------------------------------------------------- ckpt_path


def _first(names: Iterable[str], quick: int = 1) -> list[Any]:
    """Return parameters of which all but the first few are slow together."""
    slow = pytest.mark.slow
    return [pytest.param(one, marks=[slow] * (i >= quick)) for i, one in enumerate(names)]


@pytest.mark.parametrize("name", _first(CASES, 2))
def test_ckpt_path_goes_on_to_the_last_bit(name: str, tmp_path: Path) -> None:
    make, points = CASES[name]
    whole, end = run(config(tmp_path / "whole", **make()))
    for point in points[:3]:
        disturb()
        start = tmp_path / "whole" / f"iter_{point}.pth"
        steps, again_end, _ = fit(config(tmp_path / "again", **make()), start)
        assert steps == list(rest(whole, point)), f"resumed at iteration {point}"
        assert again_end == end


def test_ckpt_path_is_as_resume_for_a_file_without_lightnings_keys(tmp_path: Path) -> None:
    run(config(tmp_path / "whole", train_cfg=epochs(2)))
    saved = checkpoint.read(tmp_path / "whole" / "iter_6.pth")
    bare = {key: value for key, value in saved.items() if key in MMENGINES}
    start = str(tmp_path / "bare.pth")
    checkpoint.write(bare, start)
    disturb()
    resumed = run(config(tmp_path / "a", train_cfg=epochs(2), load_from=start, resume=True))
    disturb()
    steps, end, _ = fit(config(tmp_path / "b", train_cfg=epochs(2)), start)
    assert (steps, end) == resumed
    assert steps


def test_the_same_runner_goes_back_to_a_file(tmp_path: Path) -> None:
    for name, train_cfg in (("epochs", epochs(2)), ("iterations", iterations(12))):
        steps, end, runner = fit(config(tmp_path / name, train_cfg=train_cfg))
        trace = runner.hooks[-1]
        assert isinstance(trace, Trace)
        trace.steps = []
        start = str(tmp_path / name / "iter_4.pth")
        with quiet():
            runner.trainer.fit(runner.module, runner.datamodule, ckpt_path=start)
        assert trace.steps == list(rest(steps, 4))
        assert digest(runner.model.state_dict()) == end["weights"]


def test_ckpt_path_wins_over_the_config(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole, end = run(config(tmp_path / "whole", train_cfg=epochs(2)))
    settings = config(tmp_path / "again", train_cfg=epochs(2), resume=True)
    settings["load_from"] = str(tmp_path / "whole" / "iter_3.pth")
    steps, again, _ = fit(settings, tmp_path / "whole" / "iter_8.pth")
    assert steps == list(rest(whole, 8))
    assert again == end


def test_last_is_the_newest_file_of_the_run(tmp_path: Path) -> None:
    run(config(tmp_path, train_cfg=epochs(1)))
    steps, _, runner = fit(config(tmp_path, train_cfg=epochs(2)), "last")
    assert steps[0][:3] == ("epoch", 0, 6)
    assert runner.iter == 12


def test_last_is_lightnings_where_its_callback_saves(tmp_path: Path) -> None:
    def saving() -> list[pl.Callback]:
        return [ModelCheckpoint(tmp_path / "mine", save_last=True, every_n_train_steps=4)]

    fit(config(tmp_path / "a", train_cfg=epochs(1)), behind=saving())
    meta = checkpoint.read(tmp_path / "mine" / "last.ckpt")["meta"]  # 4, or 6 before Lightning 2.6
    steps, _, _ = fit(config(tmp_path / "a", train_cfg=epochs(2)), "last", saving())
    assert steps[0][:3] == ("read", meta["epoch"], meta["iter"])


@pytest.mark.filterwarnings("ignore:.*there is no last checkpoint available")
def test_last_is_the_beginning_where_nothing_was_saved(tmp_path: Path) -> None:
    steps, _, _ = fit(config(tmp_path, train_cfg=epochs(1)), "last")
    assert steps[0][:3] == ("read", 0, 0)


def test_best_is_the_checkpoint_hooks(tmp_path: Path) -> None:
    hook = {"type": "CheckpointHook", "interval": 1, "save_best": "score", "rule": "greater"}
    settings = config(tmp_path, train_cfg=epochs(3), default_hooks={"checkpoint": hook})
    _, _, runner = fit(settings)
    (best,) = tmp_path.glob("best_*.pth")
    weights = checkpoint.read(best)["state_dict"]
    torch.nn.init.zeros_(runner.model.head.weight)
    runner.trainer.validate(runner.module, runner.datamodule, ckpt_path="best")
    assert digest(runner.model.state_dict()) == digest(weights)


def test_best_is_an_error_where_none_is_kept(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no best checkpoint yet(.|\n)*save_best"):
        fit(config(tmp_path), "best")


@pytest.mark.parametrize("entry", ["validate", "test"])
def test_an_evaluation_loads_the_weights(entry: str, trained: Path, tmp_path: Path) -> None:
    evaluated = loader(sampler={"type": "DefaultSampler", "shuffle": False})
    settings = config(tmp_path, test_dataloader=evaluated, test_cfg={})
    settings["test_evaluator"] = settings["val_evaluator"]
    runner = Runner(**settings)
    for number in (4, 9):  # one after the other
        path = trained / f"iter_{number}.pth"
        getattr(runner.trainer, entry)(runner.module, runner.datamodule, ckpt_path=path)
        weights = checkpoint.read(path)["state_dict"]
        assert digest(runner.model.state_dict()) == digest(weights)
    assert runner.iter == 0


def test_what_cannot_be_gone_on_from_is_told_as_by_resume(trained: Path, tmp_path: Path) -> None:
    saved = checkpoint.read(trained / "iter_8.pth")
    kinds: dict[str, Any] = {
        "text.pth": None,
        "no_optimizer.pth": {k: v for k, v in saved.items() if k != "optimizer"},
        "weights.pth": {"state_dict": saved["state_dict"]},
        "lightning.ckpt": {k: v for k, v in saved.items() if k in LIGHTNINGS},
        "list.pth": [1, 2],
        "missing.pth": None,
        "folder": None,
    }
    for name, content in kinds.items():
        if content is not None:
            checkpoint.write(content, str(tmp_path / name))
    (tmp_path / "text.pth").write_text("no checkpoint")
    (tmp_path / "folder").mkdir()
    for name in kinds:
        path = str(tmp_path / name)
        with pytest.raises(CheckpointError) as by_resume:
            run(config(tmp_path / "a", load_from=path, resume=True))
        with pytest.raises(CheckpointError) as by_path:
            fit(config(tmp_path / "b"), path)
        assert str(by_path.value) == str(by_resume.value).replace("load_from:", "ckpt_path:", 1)
        assert "ckpt_path" in str(by_path.value)


def test_another_models_file_is_refused(trained: Path, tmp_path: Path) -> None:
    saved = checkpoint.read(trained / "iter_8.pth")
    saved["state_dict"] = {f"other.{key}": value for key, value in saved["state_dict"].items()}
    checkpoint.write(saved, str(tmp_path / "other.pth"))
    runner = Runner(**config(tmp_path))
    with pytest.raises(CheckpointError, match="none of the model's weights"):
        runner.trainer.validate(runner.module, runner.datamodule, tmp_path / "other.pth")


def test_a_file_of_a_newer_lightning_is_gone_on_from(trained: Path, tmp_path: Path) -> None:
    saved = checkpoint.read(trained / "iter_8.pth")
    saved["pytorch-lightning_version"] = "99.0"
    saved["loops"] = {"in": "another form"}
    checkpoint.write(saved, str(tmp_path / "newer.pth"))
    settings = config(tmp_path / "again", train_cfg=epochs(2), optim_wrapper=ADAM)
    steps, _, _ = fit(settings, tmp_path / "newer.pth")
    assert steps[0][:3] == ("read", 1, 8)


# --------------------------------------------------------------------------- save_checkpoint


def _saving(folder: Path, **options: Any) -> ModelCheckpoint:
    return ModelCheckpoint(folder, filename="{step}", save_top_k=-1, **options)


RUNS: dict[str, Make] = {
    "epochs": lambda: {"train_cfg": epochs(2)},
    "iterations": lambda: {"train_cfg": iterations(9)},
    "accumulation": lambda: {
        "train_cfg": epochs(2),
        "optim_wrapper": {**SGD, "accumulative_counts": 4},
    },
    "average": lambda: {"train_cfg": epochs(2), "custom_hooks": [dict(AVERAGED)]},
}


@pytest.mark.parametrize("name", _first(RUNS))
def test_lightnings_callback_writes_files_that_a_run_goes_on_from(
    name: str, tmp_path: Path
) -> None:
    settings = config(tmp_path / "whole", **RUNS[name]())
    among = _saving(tmp_path / "among", every_n_train_steps=3)
    settings["custom_hooks"] = [*settings.get("custom_hooks", []), among]
    behind = [
        _saving(tmp_path / "behind", every_n_train_steps=2),
        _saving(tmp_path / "validated", every_n_epochs=1, save_on_train_epoch_end=False),
        _saving(tmp_path / "epoch", every_n_epochs=1, save_on_train_epoch_end=True),
    ]
    whole, end, _ = fit(settings, behind=behind)
    for where in ("among", "behind", "validated", "epoch"):
        path = sorted((tmp_path / where).iterdir())[-1]
        saved = checkpoint.read(path)
        assert set(saved) >= MMENGINES | LIGHTNINGS | {"mm2pl"}
        assert saved["mm2pl"]["validated"] == (where in ("validated", "epoch"))
        disturb()
        steps, again, _ = fit(config(tmp_path / "again", **RUNS[name]()), path)
        assert steps == whole[len(whole) - len(steps) :], where
        assert again == end, where


def test_lightnings_callback_counts_on_in_a_resumed_run(tmp_path: Path) -> None:
    def saved(start: Any = None) -> list[str]:
        behind = _saving(tmp_path / "mine", every_n_train_steps=5)
        fit(config(tmp_path / "run", train_cfg=epochs(2)), start, [behind])
        files = sorted((tmp_path / "mine").iterdir())
        for file in files:
            file.unlink()
        return [file.name for file in files]

    assert saved() == ["step=10.ckpt", "step=5.ckpt"]
    assert saved(tmp_path / "run" / "iter_7.pth") == ["step=10.ckpt"]


def test_lightnings_callback_saves_each_epoch_of_a_run_without_validation(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("val_dataloader", "val_cfg", "val_evaluator"))
    settings = config(tmp_path / "run", train_cfg=epochs(2), **nothing)
    settings["custom_hooks"] = [_saving(tmp_path / "among")]
    fit(settings, behind=[_saving(tmp_path / "behind", save_last=True)])
    for where, names in (("among", set()), ("behind", {"last.ckpt"})):
        found = {path.name for path in (tmp_path / where).iterdir()}
        assert found == {"step=6.ckpt", "step=12.ckpt"} | names


def test_a_callbacks_file_is_as_the_hooks(tmp_path: Path) -> None:
    settings = config(tmp_path / "run", train_cfg=epochs(1), custom_hooks=[dict(AVERAGED)])
    settings["custom_hooks"].append(_saving(tmp_path / "mine", every_n_train_steps=4))
    run(settings)
    theirs = checkpoint.read(tmp_path / "mine" / "step=4.ckpt")
    ours = checkpoint.read(tmp_path / "run" / "iter_4.pth")
    for one in (theirs, ours):
        for key in ("callbacks", "message_hub"):  # these know of the file written before
            one.pop(key)
        one["meta"].pop("time")
    assert digest(theirs) == digest(ours)


@pytest.mark.parametrize("callback", [False, True])
def test_weights_alone_are_read_by_any_torch_load(callback: bool, tmp_path: Path) -> None:
    path = tmp_path / "w" / "step=6.ckpt"
    behind = [_saving(path.parent, save_weights_only=True)] if callback else []
    _, _, runner = fit(config(tmp_path, train_cfg=epochs(1)), behind=behind)
    if not callback:
        runner.trainer.save_checkpoint(path, weights_only=True)
    saved = torch.load(path, weights_only=True)
    assert set(saved) == (LIGHTNINGS | {"meta"}) - {
        "optimizer_states",
        "lr_schedulers",
        "callbacks",
    }
    with pytest.raises(CheckpointError, match="holds weights only"):
        fit(config(tmp_path / "b"), path)
    again = Runner(**config(tmp_path / "c", load_from=str(path)))
    again.val()
    assert digest(again.model.state_dict()) == digest(saved["state_dict"])


def test_a_file_written_within_a_step_lets_the_step_be_done_again(tmp_path: Path) -> None:
    class Broken(pl.Callback):
        def on_before_zero_grad(self, *args: Any) -> None:
            raise KeyError

        def on_exception(self, trainer: Any, *args: Any) -> None:
            trainer.save_checkpoint(tmp_path / "broken.ckpt")

        def on_train_batch_start(self, *args: Any) -> None:
            if args[-1] == 3:
                raise KeyError("in mid step")

    with pytest.raises(KeyError):
        fit(config(tmp_path / "a", train_cfg=iterations(6)), behind=[Broken()])
    saved = checkpoint.read(tmp_path / "broken.ckpt")
    assert saved["meta"]["iter"] == 3
    assert "mm2pl" not in saved
    steps, _, _ = fit(config(tmp_path / "b", train_cfg=iterations(6)), tmp_path / "broken.ckpt")
    assert steps[0][:3] == ("read", 0, 3)


def test_a_full_disk_leaves_the_older_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, _, runner = fit(config(tmp_path, train_cfg=epochs(1)))
    path = tmp_path / "mine.ckpt"
    runner.trainer.save_checkpoint(path)
    before = path.read_bytes()

    def full(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(CheckpointError, match="No space left"):
        runner.trainer.save_checkpoint(path)
    assert path.read_bytes() == before
    assert not list(tmp_path.glob("*.incomplete"))


# --------------------------------------------------------------------------- names in the pickles


def _names(path: Path) -> set[str]:
    """Return the globals that a file's pickle names."""
    with zipfile.ZipFile(path) as archive:
        (name,) = (one for one in archive.namelist() if one.endswith("data.pkl"))
        data = archive.read(name)
    found, strings = set(), []
    for opcode, argument, _ in pickletools.genops(data):
        if opcode.name == "GLOBAL":
            found.add(str(argument).replace(" ", "."))
        elif opcode.name == "STACK_GLOBAL":
            found.add(".".join(strings[-2:]))
        elif isinstance(argument, str):
            strings.append(argument)
    return found


@pytest.mark.parametrize("name", _first([*RUNS, "several optimizers"]))
@pytest.mark.parametrize("alias", [False, True])
def test_no_name_in_a_file_is_mm2pls(name: str, alias: bool, tmp_path: Path) -> None:
    from mm2pl import install_as_mmengine, uninstall_as_mmengine

    make = RUNS[name] if name in RUNS else CASES[name][0]
    if alias:
        install_as_mmengine()
    try:
        behind = [
            _saving(tmp_path / "mine", every_n_train_steps=1),
            EarlyStopping("score", patience=9),
        ]
        fit(config(tmp_path, **make()), behind=behind)
    finally:
        uninstall_as_mmengine()
    files = [*tmp_path.glob("*.pth"), *(tmp_path / "mine").iterdir()]
    names = set().union(*map(_names, files))
    assert len(files) > 6
    assert "mmengine.logging.history_buffer.HistoryBuffer" in names
    assert not {one for one in names if one.startswith("mm2pl")}


# --------------------------------------------------------------------------- a plain Trainer


class Samples(torch.utils.data.Dataset):  # type: ignore[type-arg]
    metainfo = {"classes": ("a", "b")}

    def __len__(self) -> int:
        return 22

    def __getitem__(self, index: int) -> dict[str, Any]:
        generator = torch.Generator().manual_seed(index)
        return {"inputs": torch.randn(4, generator=generator), "label": index % 2}


def _layers() -> dict[str, torch.nn.Module]:
    torch.manual_seed(5)
    body = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8))
    return {"body": body, "head": torch.nn.Linear(8, 2)}


class Plain(pl.LightningModule):
    """A user's own: the same layers, under the same names."""

    def __init__(self, two: bool) -> None:
        super().__init__()
        self.two, self.automatic_optimization = two, not two
        for name, layer in _layers().items():
            self.add_module(name, layer)
        self.begun: tuple[int, int] | None = None

    def loss(self, batch: Any) -> Any:
        scores = self.head(self.body(batch["inputs"]))  # type: ignore[operator]
        return torch.nn.functional.cross_entropy(scores, batch["label"])

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.begun = self.begun or (self.current_epoch, self.global_step)
        if not self.two:
            return self.loss(batch)
        for optimizer in self.optimizers():  # type: ignore[union-attr]
            optimizer.zero_grad()
            self.manual_backward(self.loss(batch))
            optimizer.step()
        return None

    def configure_optimizers(self) -> Any:
        if self.two:
            parts = (self.body, self.head)
            return [torch.optim.Adam(part.parameters(), lr=0.02) for part in parts]  # type: ignore[union-attr]
        optimizer = torch.optim.Adam(self.parameters(), lr=0.05)
        return [optimizer], [torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 2], 0.3)]


class Mine(Net):
    """The same for MMEngine's interface."""

    def __init__(self, two: bool) -> None:
        super().__init__(two)
        for name, layer in _layers().items():
            setattr(self, name, layer)

    def forward(self, inputs: Any, label: Any = None, mode: str = "loss") -> Any:
        scores = self.head(self.body(inputs))
        return {"loss": torch.nn.functional.cross_entropy(scores, label)}

    def train_step(self, data: Any, optim_wrapper: Any) -> dict[str, torch.Tensor]:
        if not self.two:
            return super().train_step(data, optim_wrapper)
        for name in ("body", "head"):
            optim_wrapper[name].zero_grad()
            optim_wrapper[name].update_params(self(**data)["loss"])
        return {}


def _by_plain_lightning(two: bool, path: Any = None, **options: Any) -> Plain:
    module = Plain(two)
    trainer = pl.Trainer(
        max_epochs=3,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        **options,
    )
    data = torch.utils.data.DataLoader(Samples(), batch_size=4)
    trainer.fit(module, data, ckpt_path=path)
    return module


def _saved_by_mm2pl(two: bool, folder: Path) -> Path:
    """Train; return the file of the first epoch."""
    adam = {"type": "OptimWrapper", "optimizer": {"type": "Adam", "lr": 0.02}}
    changes: dict[str, Any] = {
        "model": Mine(two),
        "train_dataloader": loader(
            Samples(),
            sampler={"type": "DefaultSampler", "shuffle": False},
            collate_fn={"type": "default_collate"},
        ),
        "train_cfg": epochs(3),
        "optim_wrapper": ADAM,
        "param_scheduler": [{"type": "MultiStepLR", "milestones": [1, 2], "gamma": 0.3}],
        "default_hooks": checkpoints(by_epoch=True),
        **dict.fromkeys(("val_dataloader", "val_cfg", "val_evaluator")),
    }
    if two:
        from mm2pl.mmengine.optim import OptimWrapperDict, build_optim_wrapper

        model = changes["model"]
        parts = {name: build_optim_wrapper(getattr(model, name), adam) for name in ("body", "head")}
        changes |= {"optim_wrapper": OptimWrapperDict(**parts), "param_scheduler": None}
    run(config(folder, **changes))
    return folder / "epoch_1.pth"


@pytest.mark.parametrize("two", [False, True])
def test_a_plain_trainer_goes_on_as_if_it_had_begun(two: bool, tmp_path: Path) -> None:
    whole = _by_plain_lightning(two)
    path = _saved_by_mm2pl(two, tmp_path)
    again = _by_plain_lightning(two, path, plugins=MMCheckpointIO())
    assert again.begun == (1, 12 if two else 6)
    assert digest(again.state_dict()) == digest(whole.state_dict())


def test_a_plain_trainer_goes_on_from_a_file_of_mmengines(tmp_path: Path) -> None:
    whole = _by_plain_lightning(two=False)
    saved = checkpoint.read(_saved_by_mm2pl(False, tmp_path))
    bare = {key: value for key, value in saved.items() if key in MMENGINES}
    checkpoint.write(bare, str(tmp_path / "bare.pth"))
    again = _by_plain_lightning(False, tmp_path / "bare.pth", plugins=MMCheckpointIO())
    assert again.begun == (1, 6)
    assert digest(again.state_dict()) == digest(whole.state_dict())


@pytest.mark.filterwarnings("ignore:The loaded checkpoint was produced with Lightning v99")
def test_a_plain_trainer_takes_a_newer_lightnings_file_with_its_warning(tmp_path: Path) -> None:
    path = _saved_by_mm2pl(False, tmp_path)
    saved = checkpoint.read(path)
    saved["pytorch-lightning_version"] = "99.0"
    checkpoint.write(saved, str(path))
    assert _by_plain_lightning(False, path, plugins=MMCheckpointIO()).begun == (1, 6)


def test_the_plugin_runs_no_code_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "with_path.ckpt"
    torch.save({"state_dict": {}, "root": PurePosixPath("/data")}, path)
    with pytest.raises(CheckpointError, match=r"could run code: pathlib(.|\n)*--unsafe-load"):
        MMCheckpointIO().load_checkpoint(path)
    assert MMCheckpointIO().load_checkpoint(path, weights_only=False)["root"].name == "data"


def test_a_plain_trainer_says_what_is_no_checkpoint(tmp_path: Path) -> None:
    torch.save([1], tmp_path / "list.pth")
    with pytest.raises(CheckpointError, match="has no 'state_dict'"):
        _by_plain_lightning(False, tmp_path / "list.pth", plugins=MMCheckpointIO())
    with pytest.raises(FileNotFoundError, match="can not be found"):
        _by_plain_lightning(False, tmp_path / "none.pth", plugins=MMCheckpointIO())


def test_a_plain_trainer_cannot_go_on_from_weights(tmp_path: Path) -> None:
    torch.save({"state_dict": Plain(False).state_dict()}, tmp_path / "weights.pth")
    with pytest.raises(KeyError, match="contains only the model"):
        _by_plain_lightning(False, tmp_path / "weights.pth", plugins=MMCheckpointIO())


def test_lightnings_part_of_a_file_needs_nothing_of_mm2pl(tmp_path: Path) -> None:
    whole = _by_plain_lightning(two=False)
    saved = checkpoint.read(_saved_by_mm2pl(False, tmp_path))
    path = tmp_path / "plain.ckpt"
    torch.save(lightning_layout.only_lightnings(saved), path)
    assert set(torch.load(path, weights_only=True)) == LIGHTNINGS
    again = _by_plain_lightning(False, path)
    assert again.begun == (1, 6)
    assert digest(again.state_dict()) == digest(whole.state_dict())


def test_lightnings_part_has_the_weights_in_training(tmp_path: Path) -> None:
    _, _, runner = fit(config(tmp_path, train_cfg=epochs(1), custom_hooks=[dict(AVERAGED)]))
    saved = checkpoint.read(tmp_path / "iter_6.pth")
    part = lightning_layout.only_lightnings(saved)
    assert digest(part["state_dict"]) == digest(runner.model.state_dict())
    assert digest(saved["state_dict"]) != digest(part["state_dict"])
    read = MMCheckpointIO(raw=True).load_checkpoint(tmp_path / "iter_6.pth")
    assert digest(read["state_dict"]) == digest(part["state_dict"])
