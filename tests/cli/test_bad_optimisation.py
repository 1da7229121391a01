"""``mm2pl fit`` with mistakes in ``optim_wrapper`` and schedules: where, what, and why."""

from __future__ import annotations

import pytest

from tests.cli.calls import Done, run_all, write_config
from tests.cli.test_bad_input import Mistake, failing, wrong

pytestmark = pytest.mark.slow


def wrapper(text: str) -> str:
    return f"optim_wrapper = dict({text})\n"


def schedule(text: str) -> str:
    return f"param_scheduler = [dict({text})]\n"


_TOO_FAST = wrapper("optimizer=dict(lr=1e38)") + "param_scheduler = None\n"
MISTAKES: dict[str, Mistake] = {
    "no type": wrong(
        wrapper("optimizer=dict(_delete_=True, lr=0.1)"), "optim_wrapper.optimizer", "type='SGD'"
    ),
    "no dict": wrong(
        wrapper("_delete_=True, optimizer='SGD'"), "optim_wrapper.optimizer", "dict(type='SGD'"
    ),
    "constructor": wrong(wrapper("constructor='Defalt'"), "optim_wrapper.constructor: Defalt"),
    "sharded": wrong(
        wrapper("optimizer=dict(type='ZeroRedundancyOptimizer', optimizer_type='SDG')"),
        "optim_wrapper.optimizer.optimizer_type: torch.optim has no 'SDG'",
        "Did you mean: SGD",
    ),
    "count": wrong(
        wrapper("accumulative_counts=-2"),
        "optim_wrapper.accumulative_counts",
        "must be at least 1, not -2",
        "Hint: 1 updates",
    ),
    "count as text": wrong(
        wrapper("accumulative_counts='2'"), "optim_wrapper.accumulative_counts", "not '2'"
    ),
    "clipping": wrong(
        wrapper("clip_grad=0.5"), "optim_wrapper.clip_grad", "Hint: for example clip_grad=dict("
    ),
    "an argument of clipping": wrong(
        wrapper("clip_grad=dict(max_nrm=1)"),
        "optim_wrapper.clip_grad.max_nrm",
        "Did you mean: max_norm?",
    ),
    "an argument of the loss scale": wrong(
        wrapper("type='AmpOptimWrapper', loss_scale=dict(init=2.0)"),
        "optim_wrapper.loss_scale.init",
        "GradScaler takes init_scale",
    ),
    "level of apex": wrong(
        wrapper("type='ApexOptimWrapper', opt_level='o1'"), "optim_wrapper.opt_level", "O1?"
    ),
    "factor without a decay": wrong(
        wrapper("paramwise_cfg=dict(norm_decay_mult=0)"),
        "optim_wrapper.paramwise_cfg.norm_decay_mult",
        "Hint: set optim_wrapper.optimizer.weight_decay",
    ),
    "factor without a rate": wrong(
        wrapper("optimizer=dict(_delete_=True, type='Adam'), paramwise_cfg=dict(bias_lr_mult=2)"),
        "optim_wrapper.paramwise_cfg.bias_lr_mult",
        "Hint: set optim_wrapper.optimizer.lr",
    ),
    "factor as text": wrong(
        wrapper("paramwise_cfg=dict(bias_lr_mult='2')"),
        "optim_wrapper.paramwise_cfg.bias_lr_mult",
        "must be a number, not '2'",
    ),
    "options of a key": wrong(
        wrapper("paramwise_cfg=dict(custom_keys=dict(bias=2))"),
        "optim_wrapper.paramwise_cfg.custom_keys.bias",
        "dict(lr_mult=0.1)",
    ),
    "end": wrong(
        schedule("type='LinearLR', begin=5, end=5"),
        "param_scheduler[0].end",
        "begin=5 and end=5",
        "Hint: a schedule without `end`",
    ),
    "momentum": wrong(
        wrapper("optimizer=dict(type='Adagrad')") + schedule("type='LinearMomentum'"),
        "param_scheduler[0].type",
        "momentum or betas, which Adagrad has not",
        "Hint: take an optimizer such as",
    ),
    "by a name": wrong(
        "param_scheduler = dict(_delete_=True, generator=dict(type='LinearLR'))\n",
        "param_scheduler: schedules by name need several optimizers",
        "Hint: give",
    ),
    "no schedule": wrong("param_scheduler = 3\n", "param_scheduler: must be a scheduler"),
    "not finite": failing(
        _TOO_FAST,
        "model: loss is ",
        "at iteration 2 (epoch 1), with lr 1e+38",
        "last checkpoint: none was saved yet",
        "Hint: --detect-anomaly",
        by="fit CONFIG --stop-on-nonfinite-loss",
    ),
    "not finite in a later epoch": failing(
        wrapper("optimizer=dict(lr=1e15)") + "param_scheduler = None\n"
        "train_dataloader = dict(batch_size=8)\ntrain_cfg = dict(max_epochs=9)\n",
        "last checkpoint: ",
        "work/epoch_",
        by="fit CONFIG --trainer.stop_on_nonfinite_loss true",
    ),
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Done]:
    folder = tmp_path_factory.mktemp("optimisation")
    calls = {}
    for number, (name, mistake) in enumerate(MISTAKES.items()):
        (folder / str(number)).mkdir()
        config = write_config(folder, mistake.config, f"{number}/config.py")
        arguments = [config if word == "CONFIG" else word for word in mistake.arguments.split()]
        calls[name] = [*arguments, "--work-dir", f"{number}/work"]
    config = write_config(folder, _TOO_FAST, "goes_on.py")
    calls["goes on"] = ["fit", config, "--work-dir", "goes_on"]
    calls["finite"] = ["fit", write_config(folder), "--stop-on-nonfinite-loss"]
    calls["anomaly"] = ["fit", config, "--detect-anomaly", "--work-dir", "anomaly"]
    return run_all(calls, folder)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_key_path(outcomes: dict[str, Done], name: str) -> None:
    mistake, done = MISTAKES[name], outcomes[name]
    assert done.status == mistake.status, done.err
    assert done.err.count("mm2pl: error: ") == 1
    assert "Traceback" not in done.err
    for text in (*mistake.expected, "config.py"):
        assert text in done.err


def test_a_run_that_was_not_told_to_stop_goes_on(outcomes: dict[str, Done]) -> None:
    assert outcomes["goes on"].status == 0, outcomes["goes on"].err


@pytest.mark.proves("trainer.stop_on_nonfinite_loss")
def test_finite_losses_end_no_run(outcomes: dict[str, Done]) -> None:
    assert outcomes["finite"].status == 0, outcomes["finite"].err


def test_an_anomaly_names_the_operation(outcomes: dict[str, Done]) -> None:
    done = outcomes["anomaly"]
    assert done.status == 1
    assert "returned nan values" in done.err
    assert "cli_toys.py" in done.err, "the line of the forward pass"
