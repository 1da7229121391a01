"""Nothing in a checkpoint runs, whatever it holds, in whatever format, through whichever door."""

from __future__ import annotations

import codecs
import importlib
import io
import os
import pickle
import subprocess
import tarfile
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from mm2pl import checkpoint
from mm2pl.contents import describe
from mm2pl.convert import convert, load
from mm2pl.errors import CheckpointError
from mm2pl.mmengine.config import ConfigDict
from mm2pl.mmengine.fileio import get_file_backend
from mm2pl.mmengine.logging import HistoryBuffer, _pickling
from mm2pl.mmengine.model import initialize
from mm2pl.mmengine.runner import CheckpointLoader, load_checkpoint
from mm2pl.mmengine.runner.checkpoint import _load_checkpoint_with_prefix
from mm2pl.mmengine.utils.dl_utils import load_url
from mm2pl.runner import Runner
from tests.unit.test_runner import config

HARMED = "harmed"  # what a payload makes in the current folder
TOUCH = f"open({HARMED!r}, 'w').close()"


class Calls:
    """Is pickled as a call."""

    def __init__(self, function: Any, *args: Any, state: Any = None) -> None:
        self.call = (function, args) if state is None else (function, args, state)

    def __reduce__(self) -> Any:
        return self.call

    def __call__(self) -> None:
        """What is called may be the result of a call."""


class Named:
    """A global that need not exist when it is pickled."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self) -> None:
        """Pickled calls are of what can be called."""


class _Pickler(pickle._Pickler):  # type: ignore[misc, name-defined]
    """Writes :class:`Named` as globals."""

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, Named):
            self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())
        else:
            super().save(obj, save_persistent_id)


def _history(**state: Any) -> Any:
    """A history as MMEngine pickles it, with more in its state."""
    return Calls(Named("mmengine.logging.history_buffer", "HistoryBuffer"), state=state)


GETATTR = Named("builtins", "getattr")
HISTORY = Named("mmengine.logging.history_buffer", "HistoryBuffer")
PAYLOADS: dict[str, Any] = {
    "os.system": Calls(os.system, f"touch {HARMED}"),
    "posix.system": Calls(Named("posix", "system"), f"touch {HARMED}"),
    "eval": Calls(eval, TOUCH),
    "exec": Calls(exec, TOUCH),
    "subprocess": Calls(subprocess.check_call, ["touch", HARMED]),
    "Path.touch": Calls(Path.touch, Path(HARMED)),
    "open": Calls(open, HARMED, "w"),
    "getattr of a module": Calls(Calls(GETATTR, Named("os", "system"), "__call__"), "touch harmed"),
    "getattr of a history's method": Calls(
        Calls(
            Calls(GETATTR, Calls(GETATTR, HISTORY, "mean"), "__globals__"),
            "__getitem__",
        ),
    ),
    "getattr of a history's constructor": Calls(GETATTR, HISTORY, "__init__"),
    "getattr of a class": Calls(GETATTR, HISTORY, "__subclasses__"),
    "in a history's state": _history(_log_history=Calls(os.system, f"touch {HARMED}")),
    "as a history's statistic": _history(
        _log_history=np.ones(1), _statistics_methods={"mean": Named("os", "system")}
    ),
    "in a ConfigDict": Calls(
        Named("mmengine.config.config", "ConfigDict"), {"a": Calls(eval, TOUCH)}
    ),
    "a lazy object": Calls(Named("mmengine.config.lazy", "LazyObject"), "system", "os"),
    "np.load": Calls(np.load, "evil.npy"),
    "torch.load": Calls(torch.load, "evil.pth"),
    "torch.hub": Calls(torch.hub.load, ".", "evil"),
    "import": Calls(importlib.import_module, "antigravity"),
    "codecs.decode": Calls(codecs.decode, b"x", "zip"),
    "MMEngine's registry": Calls(Named("mmengine.registry", "build_from_cfg"), {}, None),
    "ours by our name": Calls(Named("mm2pl.mmengine.fileio", "load"), "evil.pkl"),
}


def _content(payload: Any, place: str = "meta") -> dict[str, Any]:
    weights = OrderedDict([("fc.weight", torch.zeros(1, 2)), ("fc.bias", torch.zeros(1))])
    whole = {"meta": {"epoch": 0, "iter": 0}, "message_hub": {}, "state_dict": weights}
    return {**whole, place: payload}


class _Module:
    """A stand-in for the pickle module that writes :class:`Named`."""

    Pickler = _Pickler

    @staticmethod
    def dump(value: Any, file: Any, protocol: int = 2) -> None:
        _Pickler(file, protocol).dump(value)


def _zip(payload: Any, path: Path) -> None:
    torch.save(_content(payload), path, pickle_module=_Module)


def _legacy(payload: Any, path: Path) -> None:
    torch.save(_content(payload), path, pickle_module=_Module, _use_new_zipfile_serialization=False)


def _legacy_header(payload: Any, path: Path) -> None:
    """In the place of the number that such files begin with."""
    with path.open("wb") as file:
        _Module.dump(payload, file)


def _legacy_info(payload: Any, path: Path) -> None:
    """Behind the number and the version."""
    with path.open("wb") as file:
        for value in (torch.serialization.MAGIC_NUMBER, torch.serialization.PROTOCOL_VERSION):
            _Module.dump(value, file)
        _Module.dump(payload, file)


def _tar(payload: Any, path: Path) -> None:
    with tarfile.open(path, "w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            data = io.BytesIO()
            _Module.dump(0 if name in ("storages", "tensors") else payload, data)
            member = tarfile.TarInfo(name)
            member.size = data.tell()
            data.seek(0)
            archive.addfile(member, data)


def _plain_pickle(payload: Any, path: Path) -> None:
    with path.open("wb") as file:
        _Pickler(file, 4).dump(_content(payload))


FORMATS: dict[str, Callable[[Any, Path], None]] = {
    "zip": _zip,
    "legacy": _legacy,
    "legacy, header": _legacy_header,
    "legacy, info": _legacy_info,
    "tar": _tar,
    "pickle": _plain_pickle,
}


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", PAYLOADS)
def test_nothing_runs(name: str, format_: str) -> None:
    FORMATS[format_](PAYLOADS[name], Path("a.pth"))
    with pytest.raises(CheckpointError, match=r"a\.pth"):
        checkpoint.read("a.pth")
    assert not Path(HARMED).exists()


def test_the_payloads_would_run() -> None:
    """If they were read as pickles are."""
    for name in ("os.system", "posix.system", "eval", "exec", "subprocess", "Path.touch"):
        _zip(PAYLOADS[name], Path("a.pth"))
        torch.load("a.pth", weights_only=False)
        Path(HARMED).unlink()


def test_an_instruction_of_old_pickles_does_not_run_either() -> None:
    opcode = b"(S'touch harmed'\nios\nsystem\n."
    _zip_of(opcode)
    with pytest.raises(CheckpointError):
        checkpoint.read("a.pth")
    assert not Path(HARMED).exists()


def _zip_of(data: bytes) -> None:
    writer = torch._C.PyTorchFileWriter("a.pth")  # type: ignore[attr-defined]
    writer.write_record("data.pkl", data, len(data))
    writer.write_end_of_file()


def _run(**changes: Any) -> None:
    Runner.from_cfg(config(Path("work"), train_cfg={"max_epochs": 1}, **changes)).train()


def _auto_resume() -> None:
    Path("work").mkdir()
    Path("work/last_checkpoint").write_text("a.pth")
    _run(resume=True)


def _memory() -> None:
    get_file_backend("memory://a.pth").put(Path("a.pth").read_bytes(), "memory://a.pth")
    CheckpointLoader.load_checkpoint("memory://a.pth")


def _downloaded() -> None:
    load_url("https://example.org/a.pth", model_dir=".")


def _resume_by_hand() -> None:
    runner = Runner.from_cfg(config(Path("work")))
    runner.resume("a.pth")


DOORS: dict[str, Callable[[], Any]] = {
    "load_from": lambda: _run(load_from="a.pth"),
    "resume": lambda: _run(load_from="a.pth", resume=True),
    "resume, newest": _auto_resume,
    "runner.resume": _resume_by_hand,
    "load_checkpoint": lambda: load_checkpoint(nn.Linear(2, 1), "a.pth"),
    "prefix": lambda: _load_checkpoint_with_prefix("fc", "a.pth"),
    "Pretrained": lambda: initialize(
        nn.Linear(2, 1), {"type": "Pretrained", "checkpoint": "a.pth"}
    ),
    "Pretrained with prefix": lambda: initialize(
        nn.Linear(2, 1), {"type": "Pretrained", "checkpoint": "a.pth", "prefix": "fc."}
    ),
    "CheckpointLoader": lambda: CheckpointLoader.load_checkpoint("a.pth"),
    "convert": lambda: convert("a.pth", "b.safetensors"),
    "convert, what it holds": lambda: describe(load("a.pth"), "a.pth"),
    "remote": _memory,
    "downloaded": _downloaded,
}


@pytest.mark.parametrize("format_", ["zip", "legacy", "tar"])
@pytest.mark.parametrize("door", DOORS)
def test_no_door_lets_it_in(door: str, format_: str) -> None:
    FORMATS[format_](PAYLOADS["os.system"], Path("a.pth"))
    with pytest.raises(CheckpointError, match=r"a\.pth") as caught:
        DOORS[door]()
    assert not Path(HARMED).exists()
    assert "could run code" in str(caught.value)
    assert "--unsafe-load" in str(caught.value)


@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, r"(posix|nt)\.system"), (eval, r"(builtins\.)?eval"), (Path, r"\w+\.Path")],
)
def test_a_refusal_names_what_is_wanted(function: Any, name: str) -> None:
    _zip(Calls(function, "x"), Path("a.pth"))
    with pytest.raises(CheckpointError, match=f"could run code: {name}"):
        checkpoint.read("a.pth")


def test_one_file_can_be_trusted_and_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(checkpoint, "print_log", lambda text, **_: said.append(text))
    for name in ("a.pth", "b.pth"):
        _zip(Calls(Path, "x"), Path(name))
    with checkpoint.trusting("a.pth"):
        assert checkpoint.read(Path.cwd() / "a.pth")["meta"] == Path("x")
        with pytest.raises(CheckpointError, match=r"b\.pth holds objects"):
            checkpoint.read("b.pth")
    with pytest.raises(CheckpointError, match=r"a\.pth holds objects"):
        checkpoint.read("a.pth")
    assert [text.partition(" is read")[0] for text in said] == [str(Path.cwd() / "a.pth")]


@pytest.mark.parametrize("module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_arrays_and_numbers_of_either_numpy_are_read(module: str) -> None:
    array = np.arange(6.0).reshape(2, 3)
    values = {"array": array, "number": np.float32(2.5), "text": np.str_("a")}
    data = io.BytesIO()
    torch.save(values, data)
    ours = np.zeros(1).__reduce__()[0].__module__  # type: ignore[index]
    assert ours.encode() in data.getvalue()
    _save_renamed(values, ours, module)
    read = checkpoint.read("a.pth")
    assert read["array"].tolist() == array.tolist()
    assert (read["number"], read["text"]) == (2.5, "a")


def _save_renamed(values: Any, old: str, new: str) -> None:
    class Pickler(_Pickler):
        def save(self, obj: Any, save_persistent_id: bool = True) -> None:
            if getattr(obj, "__module__", None) == old and callable(obj):
                super().save(Named(new, obj.__name__))
            else:
                super().save(obj, save_persistent_id)

    module = type("Module", (), {"Pickler": Pickler})
    torch.save(values, "a.pth", pickle_module=module)
    assert new.encode() in Path("a.pth").read_bytes()


def test_histories_and_config_dicts_are_read() -> None:
    values = {"history": HistoryBuffer([1.0, 3.0], [1, 1]), "cfg": ConfigDict(a={"b": 1})}
    torch.save(values, "a.pth", pickle_module=_pickling)
    read = checkpoint.read("a.pth")
    assert read["history"].mean() == 2.0
    assert type(read["cfg"]) is ConfigDict
    assert read["cfg"].a.b == 1


def test_the_namespace_of_a_command_line_is_read_and_nothing_runs_in_it() -> None:
    """As among the hyperparameters in Lightning's files."""
    torch.save({"meta": Namespace(lr=0.1, path="x")}, "a.pth")
    assert checkpoint.read("a.pth")["meta"] == Namespace(lr=0.1, path="x")
    _zip(Namespace(lr=PAYLOADS["os.system"]), Path("a.pth"))
    with pytest.raises(CheckpointError, match="could run code"):
        checkpoint.read("a.pth")
    assert not Path(HARMED).exists()
