"""Everything that thousands of real configs write into a section of the runtime is known.

``census.txt`` is a copy of those lines of a census that concern the runtime.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mm2pl.libraries import LIBRARIES
from mm2pl.plan import Note, Status
from mm2pl.translate import examine
from mm2pl.translate.classes import classes, find
from mm2pl.translate.runtime import TOP_RULES

LINES = Path(__file__).with_name("census.txt").read_text().splitlines()[1:]
CENSUS = {line.partition(": ")[0]: line.partition(": ")[2].split() for line in LINES}
READ = {rule.key for rule in TOP_RULES}

LOADER = {"dataset": {"type": "CocoDataset"}, "sampler": {"type": "DefaultSampler"}}
REGISTRIES = {
    "train_cfg type": "LOOPS",
    "val_cfg type": "LOOPS",
    "test_cfg type": "LOOPS",
    "optim_wrapper type": "OPTIM_WRAPPERS",
    "optimizer type": "OPTIMIZERS",
    "constructor": "OPTIM_WRAPPER_CONSTRUCTORS",
    "param_scheduler type": "PARAM_SCHEDULERS",
    "sampler type": "DATA_SAMPLERS",
    "batch_sampler type": "DATA_SAMPLERS",
    "collate_fn type": "FUNCTIONS",
    "evaluator type": "METRICS",
    "log_processor type": "LOG_PROCESSORS",
    "visualizer type": "VISUALIZERS",
    "vis_backends type": "VISBACKENDS",
    "custom_hooks type": "HOOKS",
    "model_wrapper_cfg type": "MODEL_WRAPPERS",
    "strategy type": "STRATEGIES",
    "data_preprocessor type": "MODELS",
}

# What only a library's class takes, or another class than the one that the test names.
COMPONENTS = "generator discriminator generators discriminators disc lr_schedule extractor"
OF_OTHER_CLASSES = {
    "train_cfg": ["max_iters", "other_loaders"],
    "optim_wrapper": [*COMPONENTS.split(), "controlnet", "modules"],
    "train_dataloader": ["dataset"],
}


def notes_of(cfg: dict[str, Any]) -> dict[str, Note]:
    cfg = {"model": {"type": "Net"}, "default_scope": "mmdet", **cfg}
    return {note.key_path: note for note in examine(cfg).plan.notes}


def test_every_top_level_key_is_the_runtimes_or_a_variable() -> None:
    notes = notes_of(dict.fromkeys(CENSUS["top level"]))
    statuses = {notes[key].status for key in CENSUS["top level"] if key not in READ}
    assert statuses == {Status.VARIABLE}
    assert Status.UNKNOWN not in {note.status for note in notes.values()}


@pytest.mark.parametrize("scope", [None, "mmdet", "mmpretrain", "mmagic"])
@pytest.mark.parametrize("section", REGISTRIES)
def test_every_type_is_known_or_decided_by_its_class(section: str, scope: str | None) -> None:
    assert CENSUS[section]
    for name in CENSUS[section]:
        found = find(name, REGISTRIES[section], scope)
        assert found.status is not Status.UNKNOWN, f"{name}: {found.choices}"


@pytest.mark.parametrize(
    ("section", "base"),
    [
        ("train_cfg", {"type": "EpochBasedTrainLoop", "max_epochs": 3}),
        ("optim_wrapper", {"type": "AmpOptimWrapper"}),
        ("train_dataloader", LOADER),
        ("env_cfg", {}),
        ("log_processor", {"type": "LogProcessor"}),
        ("auto_scale_lr", {}),
        ("model_wrapper_cfg", {"type": "MMDistributedDataParallel"}),
        ("randomness", {}),
    ],
)
def test_every_key_of_a_section_is_known(section: str, base: dict[str, Any]) -> None:
    assert CENSUS[section]
    for key in CENSUS[section]:
        if key in OF_OTHER_CLASSES.get(section, ()):
            continue
        value = "DefaultOptimWrapperConstructor" if key == "constructor" else None
        note = notes_of({section: {key: value, **base}})[f"{section}.{key}"]
        assert note.status not in (Status.UNKNOWN, Status.BY_CLASS), note


@pytest.mark.parametrize(
    ("section", "registry", "path"),
    [
        ("param_scheduler", "PARAM_SCHEDULERS", "param_scheduler[0]"),
        ("default_hooks arguments", "HOOKS", "custom_hooks[0]"),
        ("custom_hooks arguments", "HOOKS", "custom_hooks[0]"),
    ],
)
def test_every_argument_of_mmengines_schedulers_and_hooks_is_known(
    section: str, registry: str, path: str
) -> None:
    known = 0
    for name in CENSUS[section]:
        kind, _, argument = name.rpartition(".")
        if kind not in classes()[registry]:
            continue
        entry = {"type": kind, argument: "LOW" if argument == "priority" else None}
        if argument == "ema_type":
            entry[argument] = "ExpMomentumEMA"
        cfg = {path.partition("[")[0]: [entry]}
        if registry == "PARAM_SCHEDULERS":
            cfg["optim_wrapper"] = {"optimizer": {"type": "SGD", "lr": 1}}  # type: ignore[assignment]
        note = notes_of(cfg)[f"{path}.{argument}"]
        assert note.status not in (Status.UNKNOWN, Status.BY_CLASS), note
        known += 1
    assert known >= 5


def test_every_default_hook_is_known_by_its_name_or_added() -> None:
    for entry in CENSUS["default_hooks"]:
        name, _, kind = entry.partition("=")
        notes = notes_of({"default_hooks": {name: {"type": kind}}})
        assert not notes[f"default_hooks.{name}"].status.is_finding, entry
        assert not notes[f"default_hooks.{name}.type"].status.is_finding, entry


def test_every_scope_is_a_librarys() -> None:
    assert set(CENSUS["default_scope"]) <= set(LIBRARIES)
