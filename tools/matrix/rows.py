"""The rows of compat_matrix.md, from the rules, registries and marks that the code itself uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from mm2pl.distributed import LAUNCHERS
from mm2pl.plan import Status
from mm2pl.profiles import PROFILES, Default
from mm2pl.runner import Runner
from mm2pl.translate import older_hooks
from mm2pl.translate.data import LOADER_RULES
from mm2pl.translate.hooks import DEFAULT_HOOKS
from mm2pl.translate.loops import EVAL_RULES, LENGTH_RULES, TRAIN_RULES
from mm2pl.translate.older import OLDER_KEYS
from mm2pl.translate.paramwise import OPTIONS
from mm2pl.translate.report import Rule
from mm2pl.translate.runtime import TOP_RULES
from mm2pl.translate.schedules import RULES as SCHEDULE_RULES
from mm2pl.translate.sections import SECTION_RULES
from mm2pl.translate.trainer_args import TRAINER_RULES
from mm2pl.translate.wrappers import AMP_RULES, CLIPPING
from mm2pl.translate.wrappers import RULES as WRAPPER_RULES
from tools.matrix import classes, names
from tools.matrix.classes import OWN


@dataclass(frozen=True)
class Row:
    """One line of the matrix.

    Attributes:
        name: What proofs call it; the only one of that name.
        shown: What the first column says.
        status: What becomes of it.
        text: What it becomes, or why not.
    """

    name: str
    shown: str
    status: str
    text: str


@dataclass(frozen=True)
class Section:
    """A table under a heading.

    Attributes:
        title: The heading with its marks, e.g. ``### Top level``.
        first: The heading of the first column.
        rows: The lines.
        text: What stands before the table.
    """

    title: str
    first: str
    rows: tuple[Row, ...] = ()
    text: str = ""


def sections() -> list[Section]:
    """Return all of the matrix's first part."""
    return [
        Section("## Config keys", ""),
        *(
            Section(f"### {title}", "key", tuple(_rule_row(place, rule) for rule in rules))
            for title, place, rules in _rule_sections()
        ),
        Section("### `default_hooks`", "key", tuple(_default_hook_rows())),
        Section("### `launcher`", "value", tuple(_launcher_rows())),
        Section("### What a library's profile adds", "library", tuple(_profile_rows())),
        Section("### Older forms: keys", "key", tuple(_older_rows(OLDER_KEYS))),
        Section("### Older forms: hooks", "type", tuple(_older_rows(_older_hooks()))),
        Section("### Older forms: arguments of hooks", "argument", tuple(_older_arguments())),
        Section("## Classes that a config names by `type`", "", text=classes.INTRODUCTION),
        *(
            Section(f"### `{registry}`", "type and its arguments", tuple(Row(*row) for row in rows))
            for registry, rows in classes.rows()
        ),
        Section("## The runner", "attribute", tuple(_runner_rows())),
        Section("## Modules and public names", "", text=names.INTRODUCTION),
        *(
            Section(f"### `{package}`", "name", tuple(Row(*row) for row in rows))
            for package, rows in names.rows()
        ),
        Section("### Marked elsewhere", "name", tuple(Row(*row) for row in names.other_marks())),
    ]


def _rule_sections() -> Iterator[tuple[str, str, Iterable[Rule]]]:
    """Yield heading, place of the keys, and rules."""
    yield "Top level", "", TOP_RULES
    yield "`train_cfg`", "train_cfg.", (*TRAIN_RULES, *LENGTH_RULES.values())
    yield "`val_cfg` and `test_cfg`", "eval_cfg.", EVAL_RULES
    yield "`train_dataloader`, `val_dataloader` and `test_dataloader`", "dataloader.", LOADER_RULES
    yield "`optim_wrapper`", "optim_wrapper.", (*_WRAPPER, *WRAPPER_RULES)
    yield "`optim_wrapper` of AmpOptimWrapper", "optim_wrapper.", AMP_RULES
    for kind, (function, arguments) in CLIPPING.items():
        text = f"the argument of torch.nn.utils.{function}"
        clipping = (Rule(key, Status.AS_IS, text) for key in arguments)
        yield f"`clip_grad` with `type='{kind}'`", f"clip_grad.{kind}.", clipping
    options = (Rule(key, Status.AS_IS, text) for key, text in OPTIONS.items())
    yield "`paramwise_cfg`", "paramwise_cfg.", options
    yield "`param_scheduler`", "param_scheduler.", SCHEDULE_RULES
    for section, section_rules in SECTION_RULES.items():
        yield f"`{section}`", f"{section}.", section_rules
    yield "`trainer`: arguments of Lightning's Trainer", "trainer.", TRAINER_RULES


_WRAPPER = (
    Rule("type", Status.TRANSLATED, "manual optimisation through LightningOptimizer"),
    Rule("constructor", Status.AS_IS, "makes the parameter groups"),
)


def _rule_row(place: str, rule: Rule) -> Row:
    status = OWN if rule.own else rule.status.value
    return Row(f"{place}{rule.key}", f"`{rule.key}`", status, rule.text.removeprefix(f"{OWN}: "))


def _default_hook_rows() -> Iterator[Row]:
    for name, hook in DEFAULT_HOOKS.items():
        options = ", ".join(f"{key}={value!r}" for key, value in hook.items() if key != "type")
        kind = f"{hook['type']}({options})" if options else hook["type"]
        text = f"{kind}, unless the config says otherwise"
        yield Row(f"default_hooks.{name}", f"`{name}`", Status.TRANSLATED.value, text)


def _launcher_rows() -> Iterator[Row]:
    yield Row("launcher.none", "`none`", Status.AS_IS.value, "a process that is alone")
    for name, (_, command) in LAUNCHERS.items():
        text = f"Lightning's DDPStrategy over the processes that `{command}` starts"
        yield Row(f"launcher.{name}", f"`{name}`", Status.TRANSLATED.value, text)


def _profile_rows() -> Iterator[Row]:
    for scope, profile in PROFILES.items():
        values: dict[str, list[str]] = {}
        for default in profile.defaults:
            values.setdefault(" and ".join(default.commands), []).append(_added(default))
        texts = [f"{commands}: {', '.join(added)}" for commands, added in values.items()]
        text = "; ".join([*texts, f"read from {profile.source}"])
        status = Status.ADDED if texts else Status.NO_EFFECT
        yield Row(f"profile.{scope}", f"`{scope}`", status.value, text)


def _added(default: Default) -> str:
    value = f"`{default.copied_from}`" if default.copied_from else f"`{default.value!r}`"
    return f"`{default.key_path}` = {value}"


def _runner_rows() -> Iterator[Row]:
    """Yield the runner's public attributes: those of the class, and what an instance keeps."""
    public = [name for name in dir(Runner) if name[0] != "_"]
    texts = {name: classes.summary(getattr(Runner, name)) for name in public}
    for name, text in sorted({**texts, **RUNNER_KEEPS, **RUNNER_OWN}.items()):
        is_method = callable(getattr(Runner, name, None))
        status = Status.TRANSLATED.value if name in _RUN_BY_TRAINER else Status.AS_IS.value
        shown = f"`{name}{'()' * is_method}`"
        yield Row(f"Runner.{name}", shown, OWN if name in RUNNER_OWN else status, text)


def _older_rows(forms: Mapping[str, str]) -> Iterator[Row]:
    for name, text in forms.items():
        yield Row(f"older.{name}", f"`{name}`", Status.TRANSLATED.value, text)


def _older_hooks() -> dict[str, str]:
    return {
        **dict.fromkeys(older_hooks.UPDATES, "optim_wrapper"),
        **dict.fromkeys(older_hooks.FP16, "optim_wrapper, an AmpOptimWrapper"),
        older_hooks.TEXT: "LoggerHook",
        **{name: f"LoggerHook and {row.name}" for name, row in older_hooks.BACKENDS.items()},
        **older_hooks.RENAMED,
    }


def _older_arguments() -> Iterator[Row]:
    today = {
        name: place or older_hooks.NOTHING_LEFT[name]
        for name, place in older_hooks.UPDATE_ARGUMENTS.items()
    }
    yield from _older_rows(today)
    for kind, table in older_hooks.ARGUMENTS.items():
        for old, new in table.items():
            text = f"{new} of {kind or 'each hook of MMEngine that has it'}"
            yield Row(f"older.{old}", f"`{old}`", Status.TRANSLATED.value, text)


RUNNER_KEEPS = {
    "auto_scale_lr": "The section of the config",
    "cfg": "The config, as it was given",
    "default_scope": "The registry scope in use",
    "log_processor": "Formats the log",
    "logger": "The text log",
    "message_hub": "Histories of scalars, and what hooks tell each other",
    "optim_wrapper": "The optimizer wrapper or wrappers; before training, their config",
    "param_schedulers": "The schedules; before training, their config",
    "visualizer": "Hands scalars and images to the backends",
}
RUNNER_OWN = {
    "bare_model": "The model without a wrapper",
    "datamodule": "The loaders as a LightningDataModule",
    "eval_loop": "Return the loop of `val` or `test`",
    "final_metrics": "Metrics of the last validation or test; empty before the first",
    "from_plan": "Build a runner from a plan, with what was changed since it was made",
    "gather_states": "Collect what is each process's own for the next checkpoint",
    "module": "The LightningModule around the model",
    "outputs": "The training step's outputs, an older form",
    "plan": "What the settings were translated to",
    "prepare": "Do what comes before the first step; Lightning calls it through its `setup`",
    "randomness": "The `randomness` section",
    "resumes_exactly": "Whether a resumed run is to be the same run to the last bit",
    "run": "Train, or validate or test; an older form",
    "skips_unread": "Whether to go on from a checkpoint without reading what it was trained on",
    "trainer": "The Lightning Trainer",
}
_RUN_BY_TRAINER = ("train", "val", "test", "wrap_model")
