"""What OpenMMLab's options make of a config, by the library whose config it is."""

from __future__ import annotations

import argparse
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mm2pl.cli import habits, make_parser
from mm2pl.errors import ConfigError
from mm2pl.mmengine.config import Config
from tests.cli.calls import Done, environment, run_all, write_config

Apply = Callable[..., Config]


@pytest.fixture
def apply() -> Apply:
    """Give a function that lets the options of a command line change a config."""

    def call(line: str, **values: Any) -> Config:
        cfg = Config(values)
        habits.apply(cfg, parsed(line))
        return cfg

    return call


def parsed(line: str) -> argparse.Namespace:
    command, *arguments = line.split()
    return make_parser(command).parse(["config.py", *arguments])


def hooks(kind: str = "VisualizationHook") -> dict[str, Any]:
    return {"default_hooks": {"visualization": {"type": kind}}}


def test_without_options_only_the_work_dir_is_set(apply: Apply) -> None:
    assert apply("fit").to_dict() == {"work_dir": "./work_dirs/config"}


# --------------------------------------------------------------------------- training


@pytest.mark.parametrize("scope", ["mmpretrain", "mmdet", "mmseg", None])
@pytest.mark.parametrize("wrapper", [{"optimizer": {}}, {"type": "OptimWrapper"}])
def test_amp_turns_the_wrapper_into_one_of_mixed_precision(
    apply: Apply, wrapper: dict[str, Any], scope: str | None
) -> None:
    cfg = apply("fit --amp", default_scope=scope, optim_wrapper=wrapper)
    assert cfg.optim_wrapper.type == "AmpOptimWrapper"
    assert cfg.optim_wrapper.loss_scale == "dynamic"


@pytest.mark.parametrize(
    ("scope", "loss_scale"), [("mmpretrain", 8), ("mmseg", "dynamic"), (None, 8)]
)
def test_amp_keeps_a_loss_scale_where_the_librarys_script_does(
    apply: Apply, scope: str | None, loss_scale: Any
) -> None:
    wrapper = {"type": "OptimWrapper", "loss_scale": 8}
    cfg = apply("fit --amp", default_scope=scope, optim_wrapper=wrapper)
    assert cfg.optim_wrapper.loss_scale == loss_scale


def test_amp_says_that_it_is_there_already(
    apply: Apply, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = apply("fit --amp", optim_wrapper={"type": "AmpOptimWrapper", "loss_scale": 8})
    assert cfg.optim_wrapper == {"type": "AmpOptimWrapper", "loss_scale": 8}
    assert "the config trains with mixed precision already" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("wrapper", "what"),
    [
        (
            {"type": "mmx.Own"},
            "optim_wrapper.type: --amp is for the wrapper OptimWrapper, and this",
        ),
        ({"constructor": "C", "generator": {}}, "this is several wrappers"),
        (None, "optim_wrapper: --amp changes optim_wrapper, and the config has none"),
    ],
)
def test_amp_refuses_what_it_cannot_turn(apply: Apply, wrapper: Any, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        apply("fit --amp", optim_wrapper=wrapper)


@pytest.mark.parametrize(("command", "section"), [("test", "test_cfg"), ("validate", "val_cfg")])
def test_amp_without_training_is_of_the_loop(apply: Apply, command: str, section: str) -> None:
    assert apply(f"{command} --amp", val_cfg={}, test_cfg=None)[section] == {"fp16": True}


def test_the_learning_rate_is_scaled_on_request(apply: Apply) -> None:
    cfg = apply("fit --auto-scale-lr", auto_scale_lr={"base_batch_size": 8, "enable": False})
    assert cfg.auto_scale_lr == {"base_batch_size": 8, "enable": True}


@pytest.mark.parametrize("section", [None, {}, {"enable": False}])
def test_scaling_needs_the_batch_size_to_scale_from(apply: Apply, section: Any) -> None:
    with pytest.raises(ConfigError, match=r"auto_scale_lr\.base_batch_size: --auto-scale-lr needs"):
        apply("fit --auto-scale-lr", auto_scale_lr=section)


def test_no_validate_drops_all_of_the_validation(apply: Apply) -> None:
    cfg = apply("fit --no-validate", val_cfg={}, val_dataloader={}, val_evaluator={}, test_cfg={})
    assert [cfg.val_cfg, cfg.val_dataloader, cfg.val_evaluator] == [None] * 3
    assert cfg.test_cfg == {}


def test_the_seed_zero_is_a_seed(apply: Apply) -> None:
    cfg = apply("fit --seed 0 --deterministic", randomness={"seed": 4, "diff_rank_seed": True})
    assert cfg.randomness == {"seed": 0, "deterministic": True, "diff_rank_seed": True}


@pytest.mark.parametrize(
    ("line", "changed"),
    [("fit", ["train", "val", "test"]), ("validate", ["val"]), ("test", ["test"])],
)
def test_memory_is_not_pinned_in_the_loaders_of_the_command(
    apply: Apply, line: str, changed: list[str]
) -> None:
    stages = ("train", "val", "test")
    loaders = {f"{stage}_dataloader": {"pin_memory": True} for stage in stages}
    cfg = apply(f"{line} --no-pin-memory", **loaders)
    assert [s for s in stages if not cfg[f"{s}_dataloader"].pin_memory] == changed


def test_a_launcher_replaces_the_configs(apply: Apply) -> None:
    assert apply("fit --launcher slurm", launcher="none").launcher == "slurm"
    assert apply("fit", launcher="slurm").launcher == "slurm"


# --------------------------------------------------------------------------- showing


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ("mmdet", {"draw": True, "show": True, "wait_time": 2, "interval": 3}),
        ("mmpose", {"enable": True, "show": True, "wait_time": 1, "interval": 3, "out_dir": None}),
    ],
)
def test_showing_sets_the_keys_of_the_librarys_hook(
    apply: Apply, scope: str, expected: dict[str, Any]
) -> None:
    cfg = apply("test --show --interval 3", default_scope=scope, **hooks())
    assert cfg.default_hooks.visualization == {"type": "VisualizationHook", **expected}


def test_a_wait_of_zero_is_a_wait(apply: Apply) -> None:
    cfg = apply("test --show --wait-time 0", default_scope="mmdet", **hooks())
    assert cfg.default_hooks.visualization.wait_time == 0


def test_mmsegs_folder_is_the_visualizers(apply: Apply) -> None:
    cfg = apply("test --show-dir d", default_scope="mmseg", visualizer={}, **hooks())
    assert cfg.visualizer == {"save_dir": "d"}
    assert cfg.default_hooks.visualization == {"type": "VisualizationHook", "draw": True}


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"default_scope": "mmdet"}, "default_hooks.visualization: --show and --show-dir set the"),
        ({"default_scope": "mmx", **hooks("Own")}, "which keys of Own --show and --show-dir stand"),
        ({"default_scope": "mmseg", **hooks()}, "visualizer: --show-dir changes visualizer"),
    ],
)
def test_showing_refuses_what_it_cannot_set(
    apply: Apply, values: dict[str, Any], what: str
) -> None:
    with pytest.raises(ConfigError, match=what):
        apply("test --show --show-dir d", **values)


# --------------------------------------------------------------------------- augmentation


def test_an_augmented_test_is_the_configs_own(apply: Apply) -> None:
    cfg = apply(
        "test --tta",
        model={"type": "Net"},
        tta_model={"type": "Mean"},
        tta_pipeline=["t"],
        test_dataloader={"dataset": {"pipeline": ["p"]}},
    )
    assert cfg.model == {"type": "Mean", "module": {"type": "Net"}}
    assert cfg.test_dataloader.dataset.pipeline == ["t"]


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"tta_model": {"type": "Mean"}}, "tta_pipeline: --tta takes tta_model and tta_pipeline"),
        ({"tta_pipeline": ["t"]}, "tta_model: --tta takes"),
        ({"default_scope": "mmdet"}, "test_dataloader: --tta changes test_dataloader"),
        (
            {"default_scope": "mmdet", "test_dataloader": {"dataset": {}}},
            "test_dataloader.dataset.pipeline: --tta replaces the pipeline",
        ),
    ],
)
def test_an_augmented_test_needs_its_keys(apply: Apply, values: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        apply("test --tta", model={"type": "Net"}, **values)


# --------------------------------------------------------------------------- what is written


@pytest.mark.parametrize(
    ("scope", "kind"), [("mmpretrain", "DumpResults"), ("mmdet", "DumpDetResults")]
)
@pytest.mark.parametrize(
    ("evaluator", "others"),
    [
        ({"type": "A"}, [{"type": "A"}]),
        ([{"type": "A"}, {"type": "B"}], [{"type": "A"}, {"type": "B"}]),
    ],
)
@pytest.mark.parametrize("option", ["--out", "--dump"])
def test_predictions_are_dumped_by_one_more_metric(
    apply: Apply, option: str, evaluator: Any, others: list[Any], scope: str, kind: str
) -> None:
    cfg = apply(f"test {option} p.pkl", default_scope=scope, test_evaluator=evaluator)
    assert cfg.test_evaluator == [*others, {"type": kind, "out_file_path": "p.pkl"}]


def test_a_collection_of_torchmetrics_is_one_metric_of_several(apply: Apply) -> None:
    collection = {"type": "torchmetrics.MetricCollection", "metrics": [{"type": "A"}]}
    cfg = apply("test --dump p.pkl", test_evaluator=collection)
    dump = {"type": "DumpResults", "out_file_path": "p.pkl"}
    assert cfg.test_evaluator == [collection, dump]


def test_one_file_does_not_hold_the_predictions_of_several_sets(apply: Apply) -> None:
    with pytest.raises(ConfigError, match="one file cannot hold the predictions"):
        apply("test --dump p.pkl", test_evaluator={"type": "A"}, test_dataloader=[{}, {}])


def test_an_evaluator_that_is_written_out_gets_one_more_metric(apply: Apply) -> None:
    cfg = apply("test --dump p.pkl", test_evaluator={"type": "Evaluator", "metrics": [{}]})
    dump = {"type": "DumpResults", "out_file_path": "p.pkl"}
    assert cfg.test_evaluator == {"type": "Evaluator", "metrics": [{}, dump]}


@pytest.mark.parametrize(
    ("scope", "line", "file"),
    [
        (None, "test --out m.json", "m.json"),
        ("mmpose", "test --out m.yaml", "m.yaml"),
        ("mmpretrain", "test --out m.json --out-item metrics", "m.json"),
        ("mmseg", "test --out m.json --out-item metrics", "m.json"),
        (None, "test", None),
    ],
)
def test_metrics_are_written_after_the_test(scope: str | None, line: str, file: str | None) -> None:
    cfg = Config({"default_scope": scope, "test_evaluator": {"type": "A"}})
    assert habits.apply(cfg, parsed(line)).metrics_file == file
    assert cfg.test_evaluator == {"type": "A"}


def test_mmsegs_results_go_to_a_folder(apply: Apply) -> None:
    cfg = apply("test --out d", default_scope="mmseg", test_evaluator={"type": "A"})
    assert cfg.test_evaluator == {"type": "A", "output_dir": "d", "keep_results": True}


@pytest.mark.parametrize(
    ("scope", "options", "what"),
    [
        ("mmdet", "--out p.json", "--out p.json: predictions go to a pickle file"),
        (None, "--out m.txt", "--out m.txt: the metrics go to a file of JSON, YAML or pickle"),
        (None, "--dump p", "--dump p: predictions go to a pickle file"),
        (None, "--dump p.pkl", "test_evaluator: --dump: the config has no test"),
        ("mmseg", "--out d", "test_evaluator: --out sets the folder of one metric"),
        (None, "--out-item pred", "there is no --out"),
    ],
)
def test_what_cannot_be_written_is_refused(
    apply: Apply, scope: str | None, options: str, what: str
) -> None:
    with pytest.raises(ConfigError, match=what):
        apply(f"test {options}", default_scope=scope)


# --------------------------------------------------------------------------- real runs


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("habits")
    write_config(folder, "auto_scale_lr = dict(base_batch_size=4)\n")
    write_config(folder, "env_cfg = dict(dist_cfg=dict(backend='gloo'))\n", "gloo.py")
    return folder


@pytest.fixture(scope="module")
def done(folder: Path) -> dict[str, Done]:
    """Run all command lines, in this order."""
    lines = {
        "amp": "fit config.py --work-dir a --amp --auto-scale-lr --deterministic",
        "no validate": "fit config.py --work-dir b --no-validate",
        "dump": "test config.py a/epoch_2.pth --work-dir c --dump p.pkl --out m.json",
        "half": "validate config.py a/epoch_2.pth --work-dir d --amp",
    }
    return run_all({name: line.split() for name, line in lines.items()}, folder)


@pytest.mark.slow
def test_all_runs_end_well(done: dict[str, Done]) -> None:
    assert {name: one.err for name, one in done.items() if one.status} == {}


@pytest.mark.slow
def test_the_run_is_as_the_options_say(done: dict[str, Done], folder: Path) -> None:
    cfg = Config.fromfile(folder / "a/config.py", import_custom_modules=False)
    assert cfg.optim_wrapper.type == "AmpOptimWrapper"
    assert cfg.auto_scale_lr.enable
    assert "LR is set based on batch size of 4" in done["amp"].out
    assert "Epoch(val)" in done["amp"].out
    assert "Epoch(val)" not in done["no validate"].out


@pytest.mark.slow
def test_a_test_writes_predictions_and_metrics(done: dict[str, Done], folder: Path) -> None:
    predictions = pickle.loads((folder / "p.pkl").read_bytes())
    assert len(predictions) == 8
    metrics = json.loads((folder / "m.json").read_text())
    assert f"  toy/mean: {metrics['toy/mean']}\nwritten to: m.json\n" in done["dump"].out


# The second puts --local-rank=N in front of the command.
@pytest.mark.slow
@pytest.mark.parametrize("program", ["torch.distributed.run", "torch.distributed.launch"])
def test_two_launched_processes_are_one_run(folder: Path, program: str) -> None:
    ended = launch(folder, program, "--launcher", "pytorch")
    assert ended.status == 0, ended.err
    assert ended.out.count("metrics:") == 1
    assert "Epoch(train) [1][2/2]" in ended.out  # half of the batches each
    assert "trains alone" not in ended.err


@pytest.mark.slow
def test_two_launched_processes_without_a_launcher_train_alone_and_it_is_said(
    folder: Path,
) -> None:
    ended = launch(folder, "torch.distributed.run")
    assert ended.status == 0, ended.err
    assert ended.err.count("note: 2 processes were launched, and each trains alone") == 1


def launch(folder: Path, program: str, *options: str) -> Done:
    work_dir = f"launched{len(list(folder.iterdir()))}"
    words = ["-m", program, "--standalone", "--nproc_per_node=2"]
    words += ["-m", "mm2pl", "fit", "gloo.py", "--work-dir", work_dir]
    done = subprocess.run(
        [sys.executable, *words, *options],
        cwd=folder,
        env={**environment(), "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)
