"""The curves of a config are what a real run of MMEngine goes through, to the last bit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mm2pl import uninstall_as_mmengine
from mm2pl.errors import ConfigError, MissingPackageError, Mm2plError
from mm2pl.explain.curves import Curves, compute
from mm2pl.translate import translate

LENGTH = 4  # iterations in an epoch
SGD = {"type": "SGD", "lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}
ADAM = {"type": "AdamW", "lr": 0.003, "betas": (0.95, 0.99)}


def _config(schedulers: Any, *, epochs: int | None = 6, optimizer: Any = SGD, **more: Any) -> Any:
    loop = {"by_epoch": True, "max_epochs": epochs}
    if epochs is None:
        loop = {"type": "IterBasedTrainLoop", "max_iters": 23}
    return {
        "train_cfg": loop,
        "optim_wrapper": {"type": "OptimWrapper", "optimizer": optimizer},
        "param_scheduler": schedulers,
        **more,
    }


LOOP = {"type": "IterBasedTrainLoop"}


def _one(kind: str, **arguments: Any) -> dict[str, Any]:
    return {"type": kind, **arguments}


CASES: dict[str, Any] = {
    "no schedule": _config(None),
    "warm-up by iteration, then milestones": _config(
        [
            _one("LinearLR", start_factor=0.001, by_epoch=False, begin=0, end=7),
            _one("MultiStepLR", by_epoch=True, milestones=[2, 4], gamma=0.1),
        ]
    ),
    "converted warm-up, cosine by epoch": _config(
        [
            _one("LinearLR", start_factor=1e-3, end=2, convert_to_iter_based=True),
            _one("CosineAnnealingLR", T_max=4, begin=2, end=6, eta_min=1e-5),
        ]
    ),
    "converted cosine without an end": _config(
        _one("CosineAnnealingLR", eta_min_ratio=0.1, convert_to_iter_based=True)
    ),
    "one cycle by iteration": _config(_one("OneCycleLR", eta_max=0.5, by_epoch=False)),
    "one cycle in three phases, converted": _config(
        _one("OneCycleLR", eta_max=0.5, three_phase=True, convert_to_iter_based=True, total_steps=6)
    ),
    "momentum of SGD": _config(
        [_one("ExponentialLR", gamma=0.9), _one("StepMomentum", step_size=2, gamma=0.5)]
    ),
    "momentum of Adam": _config(
        [_one("CosineAnnealingMomentum", eta_min=0.85, by_epoch=False)], optimizer=ADAM
    ),
    "weight decay": _config(
        [
            _one("CosineAnnealingParamScheduler", param_name="weight_decay", eta_min=0.1, T_max=9),
            _one("PolyLR", power=0.9, eta_min=1e-4, by_epoch=False),
        ]
    ),
    "a gap, then an overlap": _config(
        [
            _one("ConstantLR", factor=0.5, by_epoch=False, begin=2, end=5),
            _one("LinearLR", start_factor=0.2, by_epoch=False, begin=9, end=20),
            _one("ExponentialLR", gamma=0.95, by_epoch=False, begin=12),
        ]
    ),
    "restarts by epoch": _config(
        _one("CosineRestartLR", periods=[2, 4], restart_weights=[1, 0.5], eta_min=0.001)
    ),
    "an iteration-based loop": _config(
        [
            _one("LinearLR", start_factor=0.1, by_epoch=False, end=5),
            _one("CosineAnnealingLR", by_epoch=False, begin=5, eta_min=0),
        ],
        epochs=None,
    ),
    "epochs in an iteration-based loop": _config(
        [_one("LinearLR", start_factor=0.1, end=5), _one("StepLR", step_size=1)], epochs=None
    ),
    "a plateau that no validation reaches": _config(
        [_one("ReduceOnPlateauLR", monitor="acc"), _one("StepLR", step_size=3)]
    ),
    "milestones past the end": _config(_one("MultiStepLR", milestones=[1, 1, 3, 9], end=3)),
    "scaled by the batch size": _config(
        _one("LinearLR", start_factor=0.1, by_epoch=False, end=6),
        auto_scale_lr={"enable": True, "base_batch_size": 16},
    ),
    "options by parameter": _config(
        [_one("LinearLR", start_factor=0.1, by_epoch=False, end=6), _one("StepLR", step_size=2)],
    ),
}
CASES["options by parameter"]["optim_wrapper"]["paramwise_cfg"] = {
    "custom_keys": {"weight": {"lr_mult": 0.1}}
}
_TWO = {
    "first": {"type": "OptimWrapper", "optimizer": SGD},
    "second": {"type": "OptimWrapper", "optimizer": ADAM},
    "constructor": "Two",
}
CASES["two optimizers, each its own"] = _config(
    {
        "first": [_one("LinearLR", start_factor=0.1, by_epoch=False, end=6)],
        "second": _one("MultiStepLR", milestones=[2]),
    },
    optim_wrapper=_TWO,
)
CASES["two optimizers, one schedule"] = _config(
    [_one("PolyLR", by_epoch=False), _one("StepMomentum", step_size=2)], optim_wrapper=_TWO
)

# Runs each case and prints what the options are before each iteration.
_REFERENCE = """
import copy, json, logging, sys, tempfile
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapperDict, build_optim_wrapper
from mmengine.registry import OPTIM_WRAPPER_CONSTRUCTORS
from mmengine.runner import Runner, runner

runner.collect_env = dict  # only logged, and slow

class Toy(BaseModel):
    def __init__(self):
        super().__init__()
        self.one, self.two = torch.nn.Linear(1, 1), torch.nn.Linear(1, 1)
    def forward(self, inputs, mode="loss"):
        return {"loss": sum(self.two(self.one(x)).sum() for x in inputs)}
    def train_step(self, data, optim_wrapper):
        if isinstance(optim_wrapper, OptimWrapperDict):
            for one in optim_wrapper.values():
                one.update_params(self(data["inputs"])["loss"])
            return {}
        return super().train_step(data, optim_wrapper)

@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class Two:
    def __init__(self, optim_wrapper_cfg, paramwise_cfg=None):
        self.cfg = optim_wrapper_cfg
    def __call__(self, model):
        parts = {"first": model.one, "second": model.two}
        kept = {k: v for k, v in self.cfg.items() if k in parts}
        return OptimWrapperDict(**{k: build_optim_wrapper(parts[k], v) for k, v in kept.items()})

class Record(Hook):
    priority = "LOWEST"
    def __init__(self):
        self.seen = {}
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        wrapper = runner.optim_wrapper
        several = isinstance(wrapper, OptimWrapperDict)
        for name, one in (wrapper.items() if several else [("", wrapper)]):
            group = one.param_groups[-1]
            values = {"lr": group["lr"], "weight_decay": group.get("weight_decay")}
            values["momentum"] = group["betas"][0] if "betas" in group else group["momentum"]
            for key, value in values.items():
                self.seen.setdefault(f"{name}.{key}" if name else key, []).append(value)

out = {}
for name, cfg in json.loads(CASES).items():
    cfg = copy.deepcopy(cfg)
    # MMEngine sleeps before it goes through the data of an iteration-based loop once more.
    length = cfg["train_cfg"].get("max_iters", LENGTH)
    data = [{"inputs": torch.ones(1)} for _ in range(length)]
    record = Record()
    cfg.update(
        model=Toy(), work_dir=tempfile.mkdtemp(), experiment_name=name, log_level="ERROR",
        train_dataloader=dict(batch_size=1, dataset=data,
                              sampler=dict(type="DefaultSampler", shuffle=False)),
        default_hooks=dict.fromkeys(("checkpoint", "logger", "runtime_info", "timer")),
        custom_hooks=[record])
    Runner(**cfg).train()
    out[name] = record.seen
print()
print(json.dumps(out))
"""


def _whole(case: Any) -> dict[str, Any]:
    loader = {"batch_size": 1, "dataset": [], "sampler": {"type": "DefaultSampler"}}
    return {"model": {"type": "Toy"}, "train_dataloader": loader, **case}


def _curves(case: Any, **options: Any) -> Curves:
    try:
        return compute(translate(_whole(case)), **options)
    finally:
        uninstall_as_mmengine()


@pytest.fixture(scope="module")
def real(reference: Any) -> Any:
    """What each case goes through in the reference."""
    source = f"CASES = {json.dumps(CASES)!r}\nLENGTH = {LENGTH}\n{_REFERENCE}"
    return reference.run(source)


@pytest.mark.parametrize("name", CASES)
def test_the_values_are_those_of_a_real_run(real: Any, name: str) -> None:
    curves = _curves(CASES[name], epoch_length=LENGTH)
    assert curves.unit == "iteration"
    assert {key.rpartition(".")[2] for key in curves.values} >= {"lr"}
    for key, values in curves.values.items():
        assert list(values) == real[name][key], key


@pytest.mark.parametrize("name", CASES)
def test_what_is_not_drawn_does_not_change(real: Any, name: str) -> None:
    drawn = _curves(CASES[name], epoch_length=LENGTH).values
    for key, values in real[name].items():
        if key not in drawn:
            assert len(set(values)) == 1, key


def test_schedules_by_epoch_need_no_epoch_length() -> None:
    curves = _curves(_config([_one("MultiStepLR", milestones=[2, 4])]))
    assert curves.unit == "epoch"
    assert curves.values["lr"] == [0.1, 0.1, 0.1 * 0.1, 0.1 * 0.1, 0.1 * 0.1 * 0.1, 0.1 * 0.1 * 0.1]


@pytest.mark.parametrize(
    "scheduler",
    [
        _one("LinearLR", by_epoch=False, end=5),
        _one("LinearLR", end=2, convert_to_iter_based=True),
    ],
)
def test_an_epoch_length_that_is_needed_is_not_guessed(scheduler: Any) -> None:
    with pytest.raises(ConfigError, match="--epoch-length N") as caught:
        _curves(_config([_one("StepLR", step_size=2), scheduler]))
    assert caught.value.key_path == "param_scheduler[1]"


def test_a_conversion_needs_it_in_an_iteration_based_loop_too() -> None:
    case = _config([_one("LinearLR", end=2, convert_to_iter_based=True)], epochs=None)
    with pytest.raises(ConfigError, match="--epoch-length N"):
        _curves(case)


def test_iterations_in_an_iteration_based_loop_do_not_need_it() -> None:
    assert _curves(CASES["an iteration-based loop"]).steps == 23


@pytest.mark.parametrize("scope", ["mmnothing", None])
def test_a_schedule_that_cannot_be_imported_is_refused(scope: str | None) -> None:
    case = _config([_one("QuadraticWarmupLR", by_epoch=False, end=5)], epochs=None)
    with pytest.raises(MissingPackageError, match="QuadraticWarmupLR") as caught:
        _curves({**case, "default_scope": scope})
    assert caught.value.key_path == "param_scheduler[0]"
    assert "--skip-unknown" in str(caught.value)


def test_the_package_of_a_missing_schedule_is_named() -> None:
    case = _config([_one("mmnothing.QuadraticWarmupLR", by_epoch=False, end=5)], epochs=None)
    with pytest.raises(MissingPackageError, match="mmnothing, which may have it, is not installed"):
        _curves(case)


def test_it_can_be_left_out_and_that_is_said() -> None:
    schedulers = [_one("mmnothing.WarmUp", by_epoch=False), _one("PolyLR", by_epoch=False)]
    curves = _curves(_config(schedulers, epochs=None), skip_unknown=True)
    assert curves.values["lr"] == _curves(_config(schedulers[1:], epochs=None)).values["lr"]
    assert any("param_scheduler[0]: WarmUp is left out" in note for note in curves.notes)


def test_an_unknown_optimizer_is_taken_by_its_arguments() -> None:
    case = _config([_one("StepLR", step_size=3)], optimizer={"type": "mmnothing.Lamb", "lr": 0.5})
    assert _curves(case).values == {"lr": [0.5, 0.5, 0.5, 0.05, 0.05, 0.05]}


def test_one_without_a_learning_rate_is_refused() -> None:
    case = _config([_one("StepLR", step_size=3)], optimizer={"type": "mmnothing.Lamb"})
    with pytest.raises(ConfigError, match="no learning rate") as caught:
        _curves(case)
    assert caught.value.key_path == "optim_wrapper.optimizer"


def test_the_defaults_of_torchs_optimizer_count() -> None:
    assert _curves(_config(None, optimizer={"type": "Adam"})).values["momentum"] == [0.9] * 6


def test_a_wrong_argument_is_an_error_with_its_key() -> None:
    with pytest.raises(Mm2plError, match="end must be larger than begin"):
        _curves(_config([_one("StepLR", step_size=3, begin=5, end=2)]))


def test_a_config_that_does_not_train_has_no_curves() -> None:
    with pytest.raises(ConfigError, match="does not train"):
        compute(translate({"model": {"type": "Toy"}}))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("no schedule", "there is no param_scheduler"),
        ("a plateau that no validation reaches", "waits for a metric"),
        ("epochs in an iteration-based loop", "stays at its first value"),
        ("scaled by the batch size", r"lr is x0.0625, for one process"),
    ],
)
def test_what_a_curve_does_not_show_is_said(name: str, expected: str) -> None:
    assert any(expected in note for note in _curves(CASES[name], epoch_length=LENGTH).notes)


TORCHS = "torch.optim.lr_scheduler."


def test_torchs_schedules_are_drawn_too() -> None:
    schedulers = [
        _one("LinearLR", start_factor=0.5, by_epoch=False, end=3),
        _one(f"{TORCHS}OneCycleLR", max_lr=1.0, total_steps=9, by_epoch=False, begin=3, end=12),
        _one(f"{TORCHS}ReduceLROnPlateau", monitor="score"),
    ]
    curves = _curves(_config(schedulers, epochs=None))
    lr, momentum = curves.values["lr"], curves.values["momentum"]
    assert [lr[0], lr[3]] == pytest.approx([0.05, 1.0 / 25])
    assert max(lr) == pytest.approx(1.0, rel=0.01)
    assert min(momentum) == pytest.approx(0.85, abs=0.01)
    assert len({*lr[12:]}) == 1
    assert curves.notes == (
        "param_scheduler[2]: ReduceLROnPlateau waits for a metric of the run; drawn as if it never"
        " reduced",
    )


def test_schedules_that_count_updates_are_drawn_by_iteration() -> None:
    wrapper = {"optimizer": SGD, "accumulative_counts": 3}
    decay = [_one("LinearLR", start_factor=0.5, by_epoch=False)]
    case = _config(decay, epochs=None, optim_wrapper=wrapper)
    curves = _curves({**case, "trainer": {"schedule_per_update": True}})
    # 23 iterations by threes are 8 updates, of which the last has the full rate.
    alone = _curves({**_config(decay, epochs=None), "train_cfg": {**LOOP, "max_iters": 8}})
    assert curves.values["lr"] == [rate for rate in alone.values["lr"] for _ in range(3)][:23]


def test_each_optimizers_schedules_count_its_own_updates() -> None:
    several = {
        name: {"optimizer": SGD, "accumulative_counts": counts}
        for name, counts in {"one": 2, "two": 5}.items()
    }
    case = _config([_one("ExponentialLR", gamma=0.5, by_epoch=False)], epochs=None)
    wrapper = {"constructor": "Mine", **several}
    trainer = {"schedule_per_update": True}
    curves = _curves({**case, "optim_wrapper": wrapper, "trainer": trainer})
    for name, counts in {"one": 2, "two": 5}.items():
        lr = curves.values[f"{name}.lr"]
        assert lr[:11] == [0.1 * 0.5 ** (step // counts) for step in range(11)]
