"""What is said of optimizer wrappers is what MMEngine does with them, run beside it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from mm2pl.errors import ConfigError
from mm2pl.mmengine.optim import AmpOptimWrapper, DefaultOptimWrapperConstructor, LinearMomentum
from mm2pl.plan import Note, Status
from mm2pl.translate import Examination, examine, translate
from mm2pl.translate.classes import classes
from mm2pl.translate.paramwise import CONSTRUCTORS, OPTIONS
from mm2pl.translate.wrappers import DTYPES

# Takes two steps with each wrapper; prints the weights, or the error.
SOURCE = """
import json, logging
import torch
from torch import nn
from mmengine.optim import build_optim_wrapper
from mmengine.logging import MMLogger
logging.disable(logging.CRITICAL)

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 1)
        self.depthwise = nn.Conv2d(4, 4, 1, groups=4)
        self.norm = nn.BatchNorm2d(4)
        self.scale = nn.Parameter(torch.full((4,), 2.0))
        self.head = nn.Linear(4, 4)
        self.twin = self.head
    def forward(self, x):
        x = self.norm(self.depthwise(self.conv(x))).mean((2, 3)) * self.scale
        return self.twin(self.head(x))

def run(cfg):
    torch.manual_seed(0)
    net, x = Net(), torch.randn(3, 2, 2, 2)
    wrapper = build_optim_wrapper(net, cfg)
    for _ in range(2):
        wrapper.update_params(net(x).square().sum())
    return [float(one.double().sum()) for one in net.parameters()]

results = []
for cfg in CASES:
    try:
        results.append(run(cfg))
    except Exception as error:
        results.append(f"{type(error).__name__}: {error}")
print(json.dumps(results))
"""
SGD = {"type": "SGD", "lr": 0.01, "weight_decay": 0.1}
BARE = {"type": "SGD", "lr": 0.01}


def paramwise(optimizer: dict[str, Any] = SGD, **options: Any) -> dict[str, Any]:
    return {"optimizer": optimizer, "paramwise_cfg": options}


def keys(**options: Any) -> dict[str, Any]:
    return paramwise(custom_keys={"conv": options})


PLAIN = {"optimizer": SGD}
# One option each; whether it changes the weights is for MMEngine to say.
EFFECTS = [
    paramwise(bias_lr_mult=3.0),
    paramwise(bias_decay_mult=3.0),
    paramwise(norm_decay_mult=3.0),
    paramwise(flat_decay_mult=3.0),
    paramwise(dwconv_decay_mult=3.0),
    paramwise(lr_mult=3.0),
    paramwise(decay_mult=3.0),
    paramwise(norm_decay_multi=3.0),
    paramwise(_delete=True),
    paramwise(_delete_=True),
    paramwise(conv={"lr_mult": 3.0}),
    keys(lr_mult=3.0),
    keys(decay_mult=3.0),
    keys(lr=3.0),
    keys(weight_decay=3.0),
    keys(momentum=0.5),
    keys(decay_multi=3.0),
    keys(wd_mult=3.0),
    keys(fix_lr=True),
    keys(lars_exclude=True),
    keys(initial_momentum=3.0),
]
WITHOUT_DECAY = paramwise(BARE, flat_decay_mult=3.0)
# Built and stepped by MMEngine, or refused.
WRAPPERS: list[dict[str, Any]] = [
    paramwise(BARE, norm_decay_mult=0.0),
    paramwise(BARE, bias_decay_mult=None),
    paramwise(BARE, custom_keys={"conv": {"decay_mult": 0.0}}),
    paramwise({"type": "SGD"}, custom_keys={"conv": {"lr_mult": 0.0}}),
    paramwise({"type": "SGD"}, flat_decay_mult=0.0),
    paramwise(custom_keys={"conv": 5}),
    paramwise(custom_keys=["conv"]),
    {**PLAIN, "paramwise_cfg": ["conv"]},
    {**PLAIN, "paramwise_cfg": None},
    {**PLAIN, "clip_grad": {"max_norm": 1.0}},
    {**PLAIN, "clip_grad": {"type": "norm", "max_norm": 1.0, "norm_type": 1, "foreach": False}},
    {**PLAIN, "clip_grad": {"max_norm": 1.0, "error_if_nonfinite": True}},
    {**PLAIN, "clip_grad": {"type": "value", "clip_value": 1.0, "foreach": False}},
    {**PLAIN, "clip_grad": {"max_nrom": 1.0}},
    {**PLAIN, "clip_grad": {"norm_type": 1}},
    {**PLAIN, "clip_grad": {"type": "value", "max_norm": 1.0}},
    {**PLAIN, "clip_grad": {"type": "value", "clip_value": 1.0, "norm_type": 2}},
    {**PLAIN, "clip_grad": {"type": "agc", "max_norm": 1.0}},
    {**PLAIN, "clip_grad": {"type": "norm"}},
    {**PLAIN, "clip_grad": {}},
    {**PLAIN, "clip_grad": 35},
    {**PLAIN, "clip_grad": None},
    {**PLAIN, "loss_scale": "dynamic"},
    {**PLAIN, "paramwise": {}},
    {**PLAIN, "constructor": "DefaultOptimWrapperConstructor"},
    {**PLAIN, "accumulative_counts": 0},
    {**PLAIN, "accumulative_counts": 2},
    {"type": "OptimWrapper"},
    {"optimizer": "SGD"},
    {**PLAIN, "clip_grad": {"type": ["norm"], "max_norm": 1.0}},
    {"type": "OptimWrapper", "optimzer": SGD},
    {"optimizer": {"lr": 0.1}},
    {"optimizer": {"type": "Sgd", "lr": 0.1}},
    {"optimizer": {**SGD, "weight_dacay": 0.1}},
    {"optimizer": {"type": "AdamW", "lr": 0.1, "betas": (0.9, 0.99)}},
    {"optimizer": {"type": "AdamW", "lr": 0.1, "momentum": 0.9}},
]
CASES = [*EFFECTS, *WRAPPERS, PLAIN, WITHOUT_DECAY, {"optimizer": BARE}, paramwise(custom_keys={})]
Results = Callable[[Any], Any]


@pytest.fixture(scope="module")
def result(reference: Any) -> Results:
    """What MMEngine does with a wrapper."""
    results = reference.run(SOURCE.replace("CASES", repr(CASES)))
    return lambda case: results[CASES.index(case)]


def examined(optim_wrapper: Any, **more: Any) -> Examination:
    return examine(
        {
            "model": {"type": "Net"},
            "train_dataloader": {"dataset": {"type": "D"}, "sampler": {"type": "DefaultSampler"}},
            "train_cfg": {"by_epoch": True, "max_epochs": 3},
            "optim_wrapper": optim_wrapper,
            **more,
        }
    )


def notes(examination: Examination) -> dict[str, Note]:
    return {one.key_path: one for one in examination.plan.notes}


def findings(examination: Examination) -> dict[str, Note]:
    return {path: one for path, one in notes(examination).items() if one.status.is_finding}


@pytest.mark.slow
@pytest.mark.parametrize("case", EFFECTS, ids=lambda case: str(case["paramwise_cfg"]))
def test_an_option_has_no_effect_exactly_if_the_weights_stay(case: Any, result: Results) -> None:
    found = findings(examined(case)).values()
    assert all(one.status is Status.NO_EFFECT for one in found)
    assert bool(found) == (result(case) == result(PLAIN))


@pytest.mark.slow
def test_a_flat_decay_without_a_decay_has_no_effect(result: Results) -> None:
    assert result(WITHOUT_DECAY) == result({"optimizer": BARE})
    (found,) = findings(examined(WITHOUT_DECAY)).values()
    assert (found.status, "no weight_decay" in found.text) == (Status.NO_EFFECT, True)


@pytest.mark.slow
@pytest.mark.parametrize("case", WRAPPERS, ids=str)
def test_a_wrapper_is_refused_exactly_if_mmengine_refuses_it(case: Any, result: Results) -> None:
    examination = examined(case)
    unknown = [one for one in findings(examination).values() if one.status is Status.UNKNOWN]
    assert bool(examination.problems or unknown) == isinstance(result(case), str), result(case)


def test_each_option_of_the_constructor_is_listed() -> None:
    doc = DefaultOptimWrapperConstructor.__doc__ or ""
    assert [option for option in OPTIONS if f"``{option}``" not in doc] == []


def test_the_types_of_autocast_are_the_wrappers() -> None:
    assert AmpOptimWrapper.valid_dtypes == DTYPES


@pytest.mark.parametrize(
    ("case", "key", "meant"),
    [
        (paramwise(lr_mult=3.0), "paramwise_cfg.lr_mult", "custom_keys"),
        (paramwise(backbone={"lr_mult": 3.0}), "paramwise_cfg.backbone", "custom_keys"),
        (paramwise(_delete=True), "paramwise_cfg._delete", "_delete_"),
        (keys(wd_mult=0.0), "paramwise_cfg.custom_keys.conv.wd_mult", "decay_mult"),
        (keys(decay_multi=0.0), "paramwise_cfg.custom_keys.conv.decay_multi", "decay_mult"),
    ],
)
def test_what_was_probably_meant_is_named(case: Any, key: str, meant: str) -> None:
    assert findings(examined(case))[f"optim_wrapper.{key}"].choices[0] == meant


def test_an_option_that_a_librarys_hook_may_read_is_decided_by_it() -> None:
    path = "optim_wrapper.paramwise_cfg.custom_keys.conv.fix_lr"
    cfg = keys(fix_lr=True)
    assert notes(examined(cfg))[path].status is Status.NO_EFFECT
    watched = examined(cfg, custom_hooks=[{"type": "SimSiamHook"}])
    assert notes(watched)[path].status is Status.BY_CLASS
    own = examined(cfg, custom_hooks=[{"type": "EMAHook"}])
    assert notes(own)[path].status is Status.NO_EFFECT


def test_an_option_of_a_librarys_optimizer_is_decided_by_its_class() -> None:
    optimizer = {"type": "mmpretrain.LARS", "lr": 0.1, "weight_decay": 0.1}
    cfg = paramwise(optimizer, custom_keys={"bn": {"lars_exclude": True}})
    examination = examined(cfg)
    assert findings(examination) == {}
    path = "optim_wrapper.paramwise_cfg.custom_keys.bn.lars_exclude"
    assert notes(examination)[path].status is Status.BY_CLASS


def test_under_a_librarys_constructor_its_options_are_decided_by_its_class() -> None:
    examination = examined(
        {
            "type": "AmpOptimWrapper",
            "loss_scale": "dynamic",
            "constructor": "LearningRateDecayOptimWrapperConstructor",
            "paramwise_cfg": {"layer_decay_rate": 0.7, "custom_keys": {"norm": {"lr_mult": 1}}},
            "optimizer": {"type": "AdamW", "lr": 0.1},
        }
    )
    assert (findings(examination), examination.problems) == ({}, ())
    told = {path: one.status for path, one in notes(examination).items()}
    assert told["optim_wrapper.paramwise_cfg.layer_decay_rate"] is Status.BY_CLASS
    assert told["optim_wrapper.paramwise_cfg.custom_keys.norm.lr_mult"] is Status.BY_CLASS
    assert told["optim_wrapper.constructor"] is Status.BY_CLASS
    assert told["optim_wrapper.loss_scale"] is Status.AS_IS
    assert told["optim_wrapper.optimizer.lr"] is Status.AS_IS


def test_mm2pls_own_layer_decay_reads_three_options() -> None:
    wrapper = {
        "constructor": "LearningRateDecayOptimizerConstructor",
        "optimizer": SGD,
        "paramwise_cfg": {"num_layers": 12, "decay_rat": 0.9, "norm_decay_mult": 0.0},
    }
    examination = examined(wrapper)
    found = findings(examination)
    assert found["optim_wrapper.paramwise_cfg.decay_rat"].choices[0] == "decay_rate"
    ignored = found["optim_wrapper.paramwise_cfg.norm_decay_mult"]
    assert ignored.text == "LearningRateDecayOptimizerConstructor ignores it"
    (problem,) = examination.problems
    assert "needs 'decay_rate'" in problem.message
    theirs = examined(wrapper, default_scope="mmdet")
    assert (findings(theirs), theirs.problems) == ({}, ())


def test_each_constructor_of_mm2pls_is_known_with_its_options() -> None:
    from mm2pl.layer_decay import LearningRateDecayOptimizerConstructor

    assert set(CONSTRUCTORS) == set(classes()["OPTIM_WRAPPER_CONSTRUCTORS"])
    doc = LearningRateDecayOptimizerConstructor.__doc__ or ""
    options = CONSTRUCTORS["LearningRateDecayOptimizerConstructor"]
    assert [option for option in options if f"``{option}``" not in doc] == []


SEVERAL = {
    "constructor": "MultiOptimWrapperConstructor",
    "generator": {"type": "OptimWrapper", "optimizer": {"type": "Adam", "lr": 1e-4}},
    "discriminator": {"optimizer": {"type": "Adam", "lr": 1e-4}, "clip_grad": {"max_norm": 1}},
    "lr_schedule": {"64": 0.0015},
}


def test_several_wrappers_by_name_are_read_below_their_names() -> None:
    examination = examined(SEVERAL, param_scheduler={"generator": [{"type": "LinearLR"}]})
    assert (findings(examination), examination.problems) == ({}, ())
    told = {path: one.status for path, one in notes(examination).items()}
    assert told["optim_wrapper.generator"] is Status.BY_CLASS
    assert told["optim_wrapper.generator.optimizer.lr"] is Status.AS_IS
    assert told["optim_wrapper.discriminator.clip_grad.max_norm"] is Status.AS_IS
    assert told["optim_wrapper.lr_schedule"] is Status.BY_CLASS
    assert told["param_scheduler.generator[0].type"] is Status.AS_IS


def test_a_misspelt_argument_of_one_of_several_optimizers_is_found() -> None:
    named = {**SEVERAL, "generator": {"optimizer": {"type": "Adam", "weight_dacay": 0.0}}}
    path = "optim_wrapper.generator.optimizer.weight_dacay"
    assert findings(examined(named))[path].choices[0] == "weight_decay"


def test_several_wrappers_without_a_constructor_are_a_problem() -> None:
    named = {key: value for key, value in SEVERAL.items() if isinstance(value, dict)}
    paths = [one.key_path for one in examined({**named, "lr_schedule": None}).problems]
    assert "optim_wrapper.generator" in paths


@pytest.mark.parametrize("name", ["ApexOptimWrapper", "DeepSpeedOptimWrapper"])
def test_what_becomes_something_else_is_said_to_be_approximated(name: str) -> None:
    examination = examined({"type": name, "optimizer": SGD})
    (found,) = findings(examination).values()
    assert (found.key_path, found.status) == ("optim_wrapper.type", Status.APPROXIMATED)
    assert ("torch.amp" if name.startswith("Apex") else "no DeepSpeed engine") in found.text
    assert examination.problems == ()


def test_a_wrapper_of_colossalai_is_marked_unsupported_with_its_reason() -> None:
    found = findings(examined({"type": "ColossalAIOptimWrapper", "optimizer": SGD}))
    assert found["optim_wrapper.type"].status is Status.UNSUPPORTED
    assert found["optim_wrapper.type"].text


def test_the_sharded_optimizer_is_translated_and_its_inner_arguments_are_read() -> None:
    sharded = {"type": "ZeroRedundancyOptimizer", "optimizer_type": "AdamW", "lr": 1, "bettas": 2}
    examination = examined({"optimizer": sharded})
    (found,) = findings(examination).values()
    assert (found.key_path, found.choices) == ("optim_wrapper.optimizer.bettas", ("betas",))
    told = notes(examination)
    assert told["optim_wrapper.optimizer.type"].status is Status.TRANSLATED
    assert told["optim_wrapper.optimizer.lr"].text == "AdamW's argument, by ZeroRedundancyOptimizer"


@pytest.mark.parametrize(
    ("option", "status"),
    [
        ({"opt_level": "O1", "patch_torch_functions": True, "master_weights": True}, None),
        ({"opt_level": "O2"}, Status.APPROXIMATED),
        ({"keep_batchnorm_fp32": False}, Status.NO_EFFECT),
        ({"cast_model_outputs": "float16"}, Status.NO_EFFECT),
        ({"num_losses": 2}, Status.NO_EFFECT),
    ],
)
def test_options_of_apex_are_told_apart(option: dict[str, Any], status: Any) -> None:
    cfg = {"type": "ApexOptimWrapper", "optimizer": SGD, **option}
    found = findings(examined(cfg))
    del found["optim_wrapper.type"]
    assert [one.status for one in found.values()] == ([] if status is None else [status])


@pytest.mark.parametrize(
    ("option", "choice"),
    [({"opt_level": "o1"}, "O1"), ({"loss_scale": "dynamik"}, "dynamic")],
)
def test_wrong_values_of_apex_are_problems(option: dict[str, Any], choice: str) -> None:
    (problem,) = examined({"type": "ApexOptimWrapper", "optimizer": SGD, **option}).problems
    assert problem.key_path == f"optim_wrapper.{next(iter(option))}"
    assert problem.choices[0] == choice


def test_an_argument_of_mixed_precision_is_none_of_the_plain_wrapper() -> None:
    told = notes(examined({"optimizer": SGD, "dtype": "bfloat16"}))
    assert told["optim_wrapper.dtype"].status is Status.UNKNOWN
    amp = notes(examined({"type": "AmpOptimWrapper", "optimizer": SGD, "dtype": "bfloat16"}))
    assert amp["optim_wrapper.dtype"].status is Status.AS_IS


def test_the_loss_scalers_arguments_are_known() -> None:
    scale = {"init_scale": 512.0, "growth_intervall": 3}
    cfg = {"type": "AmpOptimWrapper", "optimizer": SGD, "loss_scale": scale}
    (found,) = findings(examined(cfg)).values()
    assert found.choices[0] == "growth_interval"


def test_a_lone_switch_of_the_batch_size_rule_is_no_finding() -> None:
    examination = examined(PLAIN, auto_scale_lr={"base_batch_size": 16})
    assert (findings(examination), examination.problems) == ({}, ())


def test_a_batch_size_rule_without_its_base_is_wrong_for_training_alone() -> None:
    (problem,) = examined(PLAIN, auto_scale_lr={"enable": True}).problems
    assert (problem.key_path, "base_batch_size" in problem.message) == ("auto_scale_lr", True)
    tested = {"model": {"type": "Net"}, "auto_scale_lr": {"enable": True}}
    assert translate(tested).model == {"type": "Net"}


@pytest.mark.parametrize(
    ("hooks", "stands_still"),
    [
        ({}, False),
        ({"default_hooks": {"param_scheduler": None}}, True),
        (
            {
                "default_hooks": {"param_scheduler": None},
                "custom_hooks": [{"type": "ParamSchedulerHook"}],
            },
            False,
        ),
        ({"default_hooks": {"param_scheduler": {"type": "YOLOv5ParamSchedulerHook"}}}, False),
        ({"default_hooks": ["TimerHook"]}, False),
    ],
)
def test_schedules_that_no_hook_steps_have_no_effect(hooks: Any, stands_still: bool) -> None:
    examination = examined(PLAIN, param_scheduler=[{"type": "LinearLR"}], **hooks)
    assert ("param_scheduler" in findings(examination)) == stands_still


def test_without_an_optimizer_wrapper_its_schedules_are_still_read() -> None:
    examination = examine({"param_scheduler": [{"type": "LinearLR", "strat_factor": 0.1}]})
    assert findings(examination)["param_scheduler[0].strat_factor"].choices[0] == "start_factor"


OF_TORCH = sorted(
    name
    for name, row in classes()["OPTIMIZERS"].items()
    if row.module.startswith("torch.optim") and name != "Optimizer"
)


@pytest.mark.parametrize("name", OF_TORCH)
def test_a_momentum_schedule_is_wrong_exactly_where_building_it_refuses(name: str) -> None:
    kind = getattr(torch.optim, name.removeprefix("Torch"), None)
    if kind is None:
        pytest.skip(f"{torch.__version__} has no {name}")
    optimizer = kind([nn.Parameter(torch.ones(2, 2))])
    examination = examined(
        {"optimizer": {"type": name}}, param_scheduler=[{"type": "LinearMomentum"}]
    )
    told = [one.key_path for one in examination.problems]
    try:
        LinearMomentum(optimizer)
    except ConfigError:
        assert told == ["param_scheduler[0].type"]
    else:
        assert told == []


@pytest.mark.parametrize("name", ["lr", "weight_decay", "initial_lr", "momentum"])
def test_an_option_that_groups_have_or_get_may_be_scheduled(name: str) -> None:
    schedule = {"type": "LinearParamScheduler", "param_name": name}
    assert examined({"optimizer": SGD}, param_scheduler=schedule).problems == ()


@pytest.mark.parametrize("scale", [None, True, "static", [2.0]])
def test_a_loss_scale_of_another_kind_is_wrong_as_building_says(scale: Any) -> None:
    section = {"type": "AmpOptimWrapper", "loss_scale": scale}
    (problem,) = examined({**section, "optimizer": SGD}).problems
    assert problem.key_path == "optim_wrapper.loss_scale"
    with pytest.raises(ConfigError, match="loss_scale"):
        AmpOptimWrapper(optimizer=torch.optim.SGD([nn.Parameter(torch.ones(1))]), loss_scale=scale)


@pytest.mark.parametrize("dtype", [16, ["float16"], "fp16"])
def test_a_dtype_of_another_kind_is_wrong_as_building_says(dtype: Any) -> None:
    section = {"type": "AmpOptimWrapper", "dtype": dtype}
    (problem,) = examined({**section, "optimizer": SGD}).problems
    assert problem.key_path == "optim_wrapper.dtype"
    with pytest.raises(AssertionError, match="dtype"):
        AmpOptimWrapper(optimizer=torch.optim.SGD([nn.Parameter(torch.ones(1))]), dtype=dtype)
