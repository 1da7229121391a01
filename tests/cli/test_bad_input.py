"""Every mistake ends in one message that says where it is and what to do, and the right status."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from safetensors.torch import save_file

from tests.cli.calls import Done, run_all, write_config

CONFIG, RUN = 2, 1


class Mistake(NamedTuple):
    """A config that changes ``base.py``, or other arguments, and what the message must hold."""

    status: int
    expected: tuple[str, ...]
    config: str = ""
    arguments: str = "fit CONFIG"


def wrong(config: str, *expected: str, by: str = "fit CONFIG") -> Mistake:
    return Mistake(CONFIG, expected, config, by)


def failing(config: str, *expected: str, by: str = "fit CONFIG") -> Mistake:
    return Mistake(RUN, expected, config, by)


def called(arguments: str, *expected: str, status: int = CONFIG) -> Mistake:
    return Mistake(status, expected, "", arguments)


def train_data(text: str) -> str:
    return f"train_dataloader = dict({text})\n"


def listed(pipeline: str) -> str:
    return train_data(f"dataset=dict(_delete_=True, type='Listed', pipeline=[{pipeline}])")


READING = {
    "no such config": called("fit nowhere.py", "nowhere.py: the config file does not exist"),
    "a folder as config": called("fit .", "this is a folder"),
    "a config of another kind": called("fit notes.txt", "notes.txt", "py/yml/yaml/json"),
    "syntax": wrong("model = dict(type='Net'\n", "config.py:2", "'(' was never closed"),
    "raises": wrong("x = 1 / 0\n", "config.py:2", "ZeroDivisionError: division by zero"),
    "imports": wrong("import no_such_package\n", "config.py:2", "No module named"),
    "custom_imports": wrong(
        "custom_imports = dict(imports=['no_such_package.models'])\n",
        "config.py:2, custom_imports",
        "No module named 'no_such_package'",
        "PYTHONPATH",
    ),
    "base": wrong("#alone\n_base_ = ['./nope.py']\n", "nope.py", "config.py"),
}
TYPES = {
    "model": wrong(
        "model = dict(type='Nett')\n", "model.type: Nett", "Did you mean: Net?", "Hint:"
    ),
    "model of another scope": wrong(
        "model = dict(type='mmx.Net')\n", "model.type", "package 'mmx'"
    ),
    "model without type": wrong("model = dict(_delete_=True, width=2)\n", "model.type"),
    "model as text": wrong("model = 'Net'\n", "model: ", "must be a nn.Module or a dict"),
    "data_preprocessor": wrong(
        "data_preprocessor = dict(type='ImgDataPreproces')\n",
        "model.data_preprocessor.type",
        "ImgDataPreprocessor",
    ),
    "dataset": wrong(
        train_data("dataset=dict(type='Number')"), "train_dataloader.dataset.type", "Numbers"
    ),
    "transform": wrong(
        listed("dict(type='Pack'), dict(type='Packk')"),
        "train_dataloader.dataset.pipeline.1.type",
        "Did you mean: Pack?",
    ),
    "sampler": wrong(
        train_data("sampler=dict(type='DefaultSample')"),
        "train_dataloader.sampler.type",
        "DefaultSampler",
    ),
    "collate_fn": wrong(
        train_data("collate_fn=dict(type='pseudo')"),
        "train_dataloader.collate_fn.type",
        "pseudo_collate",
    ),
    "collate_fn as text": wrong(
        train_data("collate_fn='pseudo'"), "train_dataloader.collate_fn", "Hint:"
    ),
    "optimizer": wrong(
        "optim_wrapper = dict(optimizer=dict(type='SDG'))\n",
        "optim_wrapper.optimizer.type",
        "Did you mean: SGD?",
    ),
    "wrapper": wrong(
        "optim_wrapper = dict(type='OptimWraper')\n", "optim_wrapper.type", "OptimWrapper"
    ),
    "scheduler": wrong(
        "param_scheduler = [dict(type='LinerLR')]\n", "param_scheduler[0].type", "LinearLR"
    ),
    "custom hook": wrong(
        "custom_hooks = [dict(type='SyncBuffersHok')]\n", "custom_hooks[0].type", "SyncBuffersHook"
    ),
    "default hook": wrong(
        "default_hooks = dict(checkpoint=dict(type='CheckpointHok'))\n",
        "default_hooks.checkpoint.type",
        "CheckpointHook",
    ),
    "hook as text": wrong(
        "custom_hooks = ['Slow']\n", "custom_hooks[0]", "must be a Hook or a dict"
    ),
    "hook without type": wrong(
        "default_hooks = dict(checkpoint=dict(interval=2))\n",
        "default_hooks.checkpoint",
        "add type='CheckpointHook'",
    ),
    "metric": wrong("val_evaluator = dict(type='Meen')\n", "val_evaluator.type", "Mean"),
    "second metric": wrong(
        "val_evaluator = [dict(type='Mean'), dict(type='Meen')]\n", "val_evaluator.1.type", "Mean"
    ),
    "loop": wrong(
        "train_cfg = dict(_delete_=True, type='EpochBasedTrainLop', max_epochs=1)\n",
        "train_cfg.type",
        "EpochBasedTrainLoop",
    ),
    "visualizer": wrong("visualizer = dict(type='Visualiser')\n", "visualizer.type", "Visualizer"),
    "vis_backend": wrong(
        "visualizer = dict(type='Visualizer', vis_backends=[dict(type='LocalVisBacken')])\n",
        "visualizer.vis_backends.0.type",
        "LocalVisBackend",
    ),
}
ARGUMENTS = {
    "of the model": wrong("model = dict(widht=2)\n", "model.widht", "Did you mean: width?"),
    "of the dataset": wrong(
        train_data("dataset=dict(lenght=2)"), "train_dataloader.dataset.lenght", "length?"
    ),
    "of a transform": wrong(
        listed("dict(type='Pack', fale=1)"), "train_dataloader.dataset.pipeline.0.fale", "fail?"
    ),
    "of the loader": wrong(
        train_data("batchsize=2"), "train_dataloader.batchsize", "DataLoader takes"
    ),
    "of the sampler": wrong(
        train_data("sampler=dict(shufle=True)"), "train_dataloader.sampler.shufle", "takes"
    ),
    "of the optimizer": wrong(
        "optim_wrapper = dict(optimizer=dict(learning_rate=1))\n",
        "optim_wrapper.optimizer.learning_rate",
        "SGD takes params, lr",
    ),
    "of a scheduler, refused by its base": wrong(
        "param_scheduler = [dict(type='LinearLR', star_factor=0.1)]\n",
        "param_scheduler[0].star_factor",
        "Did you mean: start_factor",
    ),
    "of a metric, refused by its base": wrong(
        "val_evaluator = dict(prefixx='a')\n", "val_evaluator.prefixx", "Did you mean: prefix?"
    ),
    "of a loop": wrong("train_cfg = dict(max_epoch=3)\n", "train_cfg.max_epoch", "max_epochs"),
    "of the val loop": wrong("val_cfg = dict(fp17=3)\n", "val_cfg.fp17", "Did you mean: fp16?"),
    "of randomness": wrong("randomness = dict(sede=1)\n", "randomness", "sede"),
    "epochs as text": wrong(
        "train_cfg = dict(max_epochs='3')\n", "train_cfg.max_epochs", "got '3'"
    ),
    "rate as text": wrong(
        "optim_wrapper = dict(optimizer=dict(lr='high'))\n",
        "optim_wrapper.optimizer: TypeError",
        "`SGD`",
    ),
    "negative rate": wrong(
        "optim_wrapper = dict(optimizer=dict(lr=-1.0))\n", "ValueError: Invalid learning rate: -1.0"
    ),
    "batch of none": wrong(train_data("batch_size=0"), "train_dataloader.batch_size", "got 0"),
    "priority": wrong(
        "custom_hooks = [dict(type='Slow', priority='HIHG')]\n", "custom_hooks[0]", "HIGH"
    ),
    "level": wrong("log_level = 'LOUD'\n", "log_level", "WARNING"),
    "start method": wrong(
        "env_cfg = dict(mp_cfg=dict(mp_start_method='frok'))\n", "env_cfg", "frok"
    ),
    "launcher": wrong("launcher = 'pytorch'\n", "launcher", "LOCAL_RANK", "Hint:", "torchrun"),
}
SECTIONS = {
    "model": wrong("model = None\n", "model: the config has no model", "Hint:"),
    "all of them": wrong("#alone\n", "model: the config has no model", "Hint:"),
    "train_cfg": wrong("train_cfg = None\n", "train_cfg is missing", "Hint:"),
    "val_evaluator": wrong("val_evaluator = None\n", "val_evaluator is missing", "Hint:"),
    "dataset": wrong(
        train_data("_delete_=True, batch_size=2, sampler=dict(type='DefaultSampler')"),
        "train_dataloader: the dataloader has no 'dataset'",
        "Hint:",
    ),
    "optimizer": wrong(
        "optim_wrapper = dict(_delete_=True, type='OptimWrapper')\n", "optim_wrapper", "Hint:"
    ),
    "training": wrong(
        "train_cfg = train_dataloader = optim_wrapper = param_scheduler = None\n",
        "no train section",
        "Hint:",
    ),
    "validation": wrong(
        "val_cfg = val_dataloader = val_evaluator = None\n",
        "no val section",
        "Hint:",
        by="validate CONFIG",
    ),
    "test": wrong(
        "test_cfg = test_dataloader = test_evaluator = None\n",
        "no test section",
        "Hint:",
        by="test CONFIG",
    ),
    "two at once": wrong(
        "train_cfg = dict(max_epochs='x')\nval_evaluator = None\n",
        "2 problems",
        "train_cfg.max_epochs",
        "val_evaluator is missing",
    ),
}
DATA = {
    "empty": failing(
        train_data("dataset=dict(length=0)"), "train_dataloader.dataset", "no samples", "Hint:"
    ),
    "empty validation": failing(
        "val_dataloader = dict(dataset=dict(length=0))\n", "val_dataloader.dataset", "no samples"
    ),
    "all dropped": failing(
        train_data("batch_size=20, drop_last=True"), "train_dataloader.drop_last", "Hint:"
    ),
    "raises when made": failing(
        train_data("dataset=dict(_delete_=True, type='NoInit')"),
        "train_dataloader.dataset: RuntimeError: cannot make this dataset",
        "cli_toys.py:",
    ),
    "raises at an item": failing(
        train_data("dataset=dict(fail_at=3)"),
        "train_dataloader: IndexError: image 3 is broken",
        "cli_toys.py:",
        "in __getitem__",
    ),
    "raises in a worker": failing(
        train_data("num_workers=1, dataset=dict(fail_at=3)"),
        "train_dataloader: IndexError: image 3 is broken (in DataLoader worker process 0)",
        "cli_toys.py:",
        "in __getitem__",
    ),
    "raises at an item in an iteration-based run": failing(
        "train_cfg = dict(_delete_=True, by_epoch=False, max_iters=9)\n"
        + train_data("dataset=dict(fail_at=3)"),
        "train_dataloader: IndexError: image 3 is broken",
    ),
    "raises in validation": failing(
        "val_dataloader = dict(dataset=dict(fail_at=3))\n", "val_dataloader: IndexError: image 3"
    ),
    "transform raises": failing(
        listed("dict(type='Pack', fail=True)"), "train_dataloader: ValueError: this transform fails"
    ),
    "batch is text": failing(
        train_data("collate_fn=dict(type='as_text')"), "model: ", "batch of type str", "Hint:"
    ),
    "batch is a tensor": failing(
        train_data("collate_fn=dict(type='as_tensor')"), "model: ", "batch of type Tensor", "Hint:"
    ),
}
MODELS = {
    "forward lacks mode": failing(
        "model = dict(type='NoMode')\n", "model: NoMode.forward", "does not take `mode`", "Hint:"
    ),
    "forward does not take the batch": failing(
        "model = dict(type='OnlyInputs')\n", "model: OnlyInputs.forward", "cannot take", "Hint:"
    ),
    "loss is a number": failing("model = dict(type='LossIsNumber')\n", "model: ", "float", "Hint:"),
    "loss is no dict": failing("model = dict(type='LossIsTensor')\n", "model: ", "dict", "Hint:"),
    "loss without gradient": failing("model = dict(type='LossDetached')\n", "model: RuntimeError"),
    "predicts nothing": failing(
        "model = dict(type='PredictsNone')\n", "model: val_step() returned None", "Hint:"
    ),
    "raises": failing(
        "model = dict(fail=True)\n",
        "model: RuntimeError: the model failed",
        "cli_toys.py:",
        "in forward",
    ),
    "raises in torch": failing("model = dict(width=3)\n", "model: RuntimeError", "in forward"),
    "no train_step": failing("model = dict(type='NoSteps')\n", "model: ", "train_step", "Hint:"),
    "no val_step": failing("model = dict(type='NoValStep')\n", "model: ", "val_step", "Hint:"),
    "no val_step to validate": failing(
        "model = dict(type='NoSteps')\n", "model: ", "val_step", "Hint:", by="validate CONFIG"
    ),
    "no module": failing("model = dict(type='not_a_module')\n", "model: ", "torch.nn.Module"),
}
METRICS_AND_HOOKS = {
    "metric raises at a batch": failing(
        "val_evaluator = dict(fail='process')\n",
        "val_evaluator: KeyError: 'gt_label'",
        "cli_toys.py:",
        "in process",
    ),
    "metric raises at the end": failing(
        "val_evaluator = dict(fail='compute')\n", "val_evaluator: ZeroDivisionError"
    ),
    "two metrics of one name": wrong(
        "val_evaluator = [dict(type='Mean'), dict(type='Mean')]\n",
        "val_evaluator: ",
        "toy/mean",
        "Hint:",
    ),
    "save_best names no metric": wrong(
        "default_hooks = dict(\n"
        "    checkpoint=dict(type='CheckpointHook', save_best='mean', rule='less'))\n",
        "default_hooks.checkpoint.save_best",
        "toy/mean",
    ),
    "hook raises": failing(
        "custom_hooks = [dict(type='Failing')]\n",
        "RuntimeError: the hook failed",
        "In the hook Failing at after_train_iter",
    ),
    "hook with another signature": failing(
        "custom_hooks = [dict(type='WrongSignature')]\n",
        "unexpected keyword argument",
        "In the hook WrongSignature at after_train_iter",
    ),
}
OPTIONS = {
    "index": called(
        "fit CONFIG --cfg-options param_scheduler.3.end=3", "param_scheduler.3", "--cfg-options"
    ),
    "no index": called(
        "fit CONFIG --cfg-options param_scheduler.x.end=3", "param_scheduler.x", "--cfg-options"
    ),
    "below a number": called(
        "fit CONFIG --cfg-options train_cfg.max_epochs.x=3", "train_cfg.max_epochs"
    ),
    "wrong value": called(
        "fit CONFIG --cfg-options train_cfg.max_epochs=abc", "train_cfg.max_epochs", "got 'abc'"
    ),
    "unknown key": called("fit CONFIG --cfg-options train_cfg.max_epoch=3", "train_cfg.max_epoch"),
    "no key": called("fit CONFIG --cfg-options =3", "--cfg-options: '' has an empty part"),
    "work dir that is a file": called("fit CONFIG --work-dir notes.txt", "work_dir", "Hint:"),
    "work dir that cannot be made": called(
        "fit CONFIG --work-dir notes.txt/a", "work_dir", "Hint:"
    ),
}
CHECKPOINTS = {
    f"{name}, {how}": called(arguments.format(file), *expected, status=status)
    for how, arguments in {
        "fit": "fit CONFIG --load-from {}",
        "resume": "fit CONFIG --resume {}",
        "test": "test CONFIG {}",
    }.items()
    for name, file, status, expected in [
        ("missing", "nowhere.pth", CONFIG, ("load_from", "nowhere.pth does not exist", "Hint:")),
        ("folder", "folder", CONFIG, ("load_from", "folder is a folder", "Hint:")),
        ("text", "notes.txt", RUN, ("load_from: notes.txt", "broken")),
        ("empty", "empty.pth", RUN, ("load_from: empty.pth", "empty")),
        ("cut", "cut.pth", RUN, ("load_from: cut.pth cannot be read",)),
        ("list", "list.pth", RUN, ("load_from: list.pth holds a list",)),
        ("code", "code.pth", RUN, ("load_from: code.pth", "could run code", "Path")),
        ("code, another", "code.pth --unsafe-load x.pth", RUN, ("--unsafe-load code.pth",)),
        ("no weights", "meta.pth", RUN, ("load_from: meta.pth",)),
        ("others' weights", "other.pth", RUN, ("load_from: other.pth",)),
        (
            "no server",
            "http://127.0.0.1:9/x.pth",
            RUN,
            ("load_from: http://127.0.0.1:9/x.pth cannot be downloaded",),
        ),
        (
            "broken safetensors",
            "bad.safetensors",
            RUN,
            ("load_from: bad.safetensors is not a safetensors file, or is broken",),
        ),
        ("missing safetensors", "no.safetensors", CONFIG, ("load_from", "does not exist")),
        ("TorchScript", "script.pth", RUN, ("load_from: script.pth is a TorchScript program",)),
    ]
} | {
    "weights only, resume": called(
        "fit CONFIG --resume weights.pth", "load_from: weights.pth holds weights only", status=RUN
    ),
    "Lightning's, resume": called(
        "fit CONFIG --resume lightning.pth",
        "load_from: lightning.pth is of Lightning 9.0",
        status=RUN,
    ),
    "no optimizer, resume": called(
        "fit CONFIG --resume best.pth",
        "load_from: best.pth holds no optimizer",
        "exact=False",
        status=RUN,
    ),
    "OpenMMLab 1.x, resume": called(
        "fit CONFIG --resume older.pth", "load_from: older.pth is of OpenMMLab 1.x", status=RUN
    ),
    "safetensors, resume": called(
        "fit CONFIG --resume weights.safetensors",
        "load_from: weights.safetensors holds weights only",
        status=RUN,
    ),
    "none there yet, test --resume": called("test CONFIG --resume", "there is no checkpoint in"),
}
OWN_NAMES = {
    "a built-in's name": wrong(
        "custom_imports = dict(imports=['takes_a_name'])\n", "custom_imports", "DefaultSampler"
    ),
}
GROUPS = {
    "reading": READING,
    "type": TYPES,
    "argument": ARGUMENTS,
    "missing section": SECTIONS,
    "data": DATA,
    "model": MODELS,
    "metrics and hooks": METRICS_AND_HOOKS,
    "option": OPTIONS,
    "checkpoint": CHECKPOINTS,
    "own names": OWN_NAMES,
}
MISTAKES = {
    f"{group}: {name}": mistake for group, some in GROUPS.items() for name, mistake in some.items()
}
USAGE = {
    "no command": ("", "examples:"),
    "unknown command": ("train CONFIG", "no command 'train'\nDid you mean: fit?"),
    "no config": ("fit", "required: CONFIG"),
    "unknown option": ("fit CONFIG --sede 1", "unknown option --sede\nDid you mean: --seed?"),
    "seed as text": ("fit CONFIG --seed abc", "--seed: must be a whole number"),
    "negative seed": ("fit CONFIG --seed -1", "--seed: must be a whole number"),
    "option without value": ("fit CONFIG --cfg-options a", "expected KEY=VALUE, got 'a'"),
    "open bracket": ("fit CONFIG --cfg-options a=[1,2", "[1,2"),
    "two checkpoints": ("test CONFIG a.pth --load-from b.pth", "mean the same"),
    "resume and load": ("fit CONFIG --resume a.pth --load-from b.pth", "--resume says what"),
}


def make_files(folder: Path) -> None:
    """Write the checkpoints and other files that the mistakes are made with."""
    (folder / "notes.txt").write_text("no config")
    (folder / "folder").mkdir()
    (folder / "empty.pth").touch()
    weights = {"linear.weight": torch.zeros(1, 2), "linear.bias": torch.zeros(1)}
    hub: dict[str, Any] = {"log_scalars": {}, "runtime_info": {}, "resumed_keys": {}}
    for name, content in {
        "weights": {"state_dict": weights},
        "meta": {"meta": {}},
        "other": {"state_dict": {"a.b": torch.zeros(2)}},
        "list": [1, 2],
        "code": {"state_dict": weights, "x": folder},
        "lightning": {"state_dict": weights, "pytorch-lightning_version": "9.0", "loops": {}},
        "best": {"state_dict": weights, "meta": {"epoch": 1, "iter": 1}, "message_hub": hub},
    }.items():
        torch.save(content, folder / f"{name}.pth")
    older = {"mmcv_version": "1.7.0", "epoch": 1, "iter": 1}
    torch.save({"state_dict": weights, "meta": older, "optimizer": {}}, folder / "older.pth")
    save_file(weights, folder / "weights.safetensors")
    (folder / "bad.safetensors").write_bytes(b"\xff" * 8 + b"{}")
    with zipfile.ZipFile(folder / "script.pth", "w") as archive:
        archive.writestr("script/constants.pkl", b"")
    whole = (folder / "weights.pth").read_bytes()
    (folder / "cut.pth").write_bytes(whole[: len(whole) // 2])
    (folder / "takes_a_name.py").write_text(
        "from mmengine.registry import DATA_SAMPLERS\n"
        "from cli_toys import *\n\n\n"
        "@DATA_SAMPLERS.register_module()\nclass DefaultSampler:\n    pass\n"
    )


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    folder = tmp_path_factory.mktemp("mistakes")
    make_files(folder)
    calls = {}
    for number, (name, mistake) in enumerate(MISTAKES.items()):
        (folder / str(number)).mkdir()
        config = write_config(folder, mistake.config, f"{number}/config.py")
        arguments = [config if word == "CONFIG" else word for word in mistake.arguments.split()]
        if "--work-dir" not in arguments:
            arguments += ["--work-dir", f"{number}/work"]
        calls[name] = arguments
    write_config(folder)
    calls["trusted"] = ["fit", "config.py", "code.pth", "--unsafe-load", "./code.pth"]
    for name, (arguments, _) in USAGE.items():
        calls[f"usage: {name}"] = arguments.replace("CONFIG", "config.py").split()
    return run_all(calls, folder)


@pytest.mark.slow
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_gets_one_message_and_its_status(outcomes: dict[str, Done], name: str) -> None:
    mistake, done = MISTAKES[name], outcomes[name]
    assert done.status == mistake.status, done.err
    assert done.err.count("mm2pl: error: ") == 1
    assert "Traceback" not in done.err
    assert "Warning" not in done.err
    for text in mistake.expected:
        assert text in done.err


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, one in MISTAKES.items() if one.config])
def test_a_message_names_the_configs_file(outcomes: dict[str, Done], name: str) -> None:
    assert "config.py" in outcomes[name].err


@pytest.mark.slow
def test_a_file_can_be_trusted_with_a_warning(outcomes: dict[str, Done]) -> None:
    done = outcomes["trusted"]
    assert done.status == 0, done.err
    assert (done.out + done.err).count("code.pth is read with weights_only=False") == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", USAGE)
def test_wrong_usage_is_explained_below_the_usage(outcomes: dict[str, Done], name: str) -> None:
    done = outcomes[f"usage: {name}"]
    assert done.status == 2
    assert done.err.startswith("usage: mm2pl")
    assert USAGE[name][1] in done.err


@pytest.mark.slow
def test_a_failed_runs_traceback_is_in_its_log(outcomes: dict[str, Done]) -> None:
    done = outcomes["data: raises at an item"]
    log = done.err.partition("the traceback is in ")[2].partition(";")[0]
    assert "Traceback (most recent call last)" in Path(log).read_text()
