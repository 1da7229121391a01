"""The plan as one page of plain data: what ``mm2pl explain --json`` prints, and the text shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mm2pl.explain import classes, hooks, optimizer
from mm2pl.explain.lightning import objects, trainer_arguments
from mm2pl.explain.schedules import Length, describe, optimizers_of
from mm2pl.mmengine.config._positions import Positions, shown
from mm2pl.plan import Plan, Status
from mm2pl.profiles import PROFILES
from mm2pl.translate.evaluators import is_evaluator, one_for_each
from mm2pl.translate.optim import accumulation_of
from mm2pl.translate.report import type_name

SCHEMA = 1
_LOADER_WORDS = (
    "name",
    "batch_size",
    "num_workers",
    "drop_last",
    "persistent_workers",
    "pin_memory",
)


def page(
    plan: Plan, command: str | None = "fit", positions: Positions | None = None
) -> dict[str, Any]:
    """Return the page.

    Args:
        plan: A plan without problems.
        command: ``fit``, ``validate`` or ``test``.
        positions: Tells which file and line set a key.
    """
    trainer = trainer_arguments(plan)
    plan = _of_command(plan, command or "fit")
    return {
        "schema": SCHEMA,
        "config": getattr(plan.config, "filename", None),
        "command": command,
        "scope": plan.runtime.default_scope,
        "work_dir": plan.runtime.work_dir,
        "starts_from": _starts_from(plan),
        "data": _data(plan),
        "model": _model(plan),
        "optimizer": optimizer.describe(plan),
        "loop": _loop(plan),
        "schedules": _schedules(plan),
        "hooks": _hooks(plan),
        "points": {
            point: [row.kind for row in rows]
            for point, rows in hooks.points_of(plan, command or "fit").items()
        },
        "lightning": {**objects(plan), "trainer": trainer},
        "profile": _profile(plan),
        "findings": _findings(plan, positions),
    }


def _of_command(plan: Plan, command: str) -> Plan:
    """Return the plan without what a validation or a test does not use."""
    if command == "fit":
        return plan
    plan = replace(plan, train=None, optim=None)
    return replace(plan, val=None) if command == "test" else replace(plan, test=None)


def _starts_from(plan: Plan) -> str | None:
    source = plan.runtime.load_from
    if plan.runtime.resume:
        return f"goes on from {source or 'the newest checkpoint of the work dir, if there is one'}"
    return f"the weights of {source}" if source else None


# --------------------------------------------------------------------------- data


def _data(plan: Plan) -> dict[str, Any]:
    sections = {"train": plan.train, "val": plan.val, "test": plan.test}
    rows: dict[str, Any] = {}
    for stage, section in sections.items():
        if section is None:
            continue
        evaluator: Any = getattr(section, "evaluator", None)
        if not isinstance(section.dataloader, (list, tuple)):
            rows[stage] = _loader(section.dataloader, evaluator)
            continue
        own = one_for_each(evaluator)
        for index, loader in enumerate(section.dataloader):
            one = evaluator[index : index + 1] if own else [evaluator]
            rows[f"{stage}[{index}]"] = _loader(loader, one[0] if one else None)
    return rows


def _loader(loader: Any, evaluator: Any) -> dict[str, Any]:
    if not isinstance(loader, Mapping):
        return {"built": classes.kind_of(loader)}
    cfg = classes.raw(loader)
    row: dict[str, Any] = {"dataset": _dataset(cfg.get("dataset"))}
    row |= {key: classes.named(cfg[key]) for key in _LOADER_WORDS if key in cfg}
    if cfg.get("sampler") is not None:
        row["sampler"] = classes.call(cfg["sampler"])
    if cfg.get("batch_sampler"):
        row["batch_sampler"] = classes.call(cfg["batch_sampler"])
    if cfg.get("collate_fn"):
        row["collate_fn"] = classes.call(cfg["collate_fn"])
    steps = _pipeline(cfg.get("dataset"))
    if steps:
        row["pipeline"] = steps
    if evaluator is not None:
        row["metrics"] = _metrics(evaluator)
    return row


def _dataset(dataset: Any) -> str:
    """Return the class, and those of the datasets in it: ``RepeatDataset of CocoDataset``."""
    if not isinstance(dataset, Mapping):
        return classes.kind_of(dataset)
    inner = dataset.get("dataset") or dataset.get("datasets")
    if isinstance(inner, (list, tuple)):
        return f"{classes.kind_of(dataset)} of {', '.join(map(_dataset, inner))}"
    kind = classes.kind_of(dataset)
    return f"{kind} of {_dataset(inner)}" if isinstance(inner, Mapping) else kind


def _pipeline(dataset: Any) -> list[str]:
    if not isinstance(dataset, Mapping):
        return []
    steps = dataset.get("pipeline")
    if isinstance(steps, (list, tuple)):
        return [classes.kind_of(step) for step in steps]
    return _pipeline(dataset.get("dataset"))


def _metrics(evaluator: Any) -> list[str]:
    given = classes.raw(evaluator)
    if is_evaluator(given):
        given = given["metrics"]
    return [classes.call(one) for one in (given if isinstance(given, (list, tuple)) else [given])]


# --------------------------------------------------------------------------- model and loop


def _model(plan: Plan) -> dict[str, Any]:
    if not isinstance(plan.model, Mapping):
        return {"type": classes.kind_of(plan.model)}
    cfg = classes.raw(plan.model)
    row: dict[str, Any] = {"type": classes.kind_of(cfg)}
    preprocessor = cfg.get("data_preprocessor") or classes.raw(plan.data_preprocessor)
    if preprocessor is not None:
        row["data_preprocessor"] = classes.call(preprocessor, default="(of its model's choice)")
    parts = {key: _part(value) for key, value in cfg.items() if key != "data_preprocessor"}
    row["parts"] = {key: part for key, part in parts.items() if part}
    return row


def _part(value: Any) -> str | list[str] | None:
    if isinstance(value, Mapping) and value.get("type") is not None:
        return type_name(value["type"])
    if isinstance(value, (list, tuple)):
        kinds = [_part(one) for one in value]
        return [str(kind) for kind in kinds] if kinds and all(kinds) else None
    return None


def _loop(plan: Plan) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if plan.train is not None:
        row = _train_loop(plan, classes.raw(plan.train.loop))
    for stage, section in (("val", plan.val), ("test", plan.test)):
        for key in ("fp16", "loss"):
            if section is not None and section.loop.get(key):
                row[f"{stage}_{key}"] = True
    return row


def _train_loop(plan: Plan, given: Mapping[str, Any]) -> dict[str, Any]:
    loop = dict(classes.named(given))
    by_epoch = "max_iters" not in loop
    unit = "epoch" if by_epoch else "iteration"
    length = loop.get("max_epochs" if by_epoch else "max_iters")
    row: dict[str, Any] = {"type": loop["type"], "unit": unit, "length": length}
    row["validates"] = _validates(plan, loop, unit, length)
    return row


def _validates(plan: Plan, loop: Mapping[str, Any], unit: str, length: Any) -> str:
    if plan.val is None:
        return "never"
    every = loop.get("val_interval", 1 if unit == "epoch" else 1000)
    text = f"after every {unit}" if every == 1 else f"after every {every} {unit}s"
    if loop.get("val_begin", 1) > 1:
        text += f" from {unit} {loop['val_begin']} on"
    for begin, interval in loop.get("dynamic_intervals") or ():
        text += f"; after every {interval} from {unit} {begin} on"
    if isinstance(length, (int, float)) and every > length:
        text += f", and so never before the end: training has {length}"
    return text


def _schedules(plan: Plan) -> list[dict[str, Any]]:
    if plan.train is None or plan.optim is None:
        return []
    loop = plan.train.loop
    length = Length(loop.get("max_epochs"), loop.get("max_iters"))
    if plan.runtime.trainer.get("schedule_per_update"):
        length = replace(length, steps=_updates(plan, length.steps), step="update")
    return describe(plan.optim.schedulers, length, plan.runtime.default_scope)


def _updates(plan: Plan, iterations: Any) -> int | None:
    """Return how many updates the one optimizer makes; of several it is the model's to say."""
    wrapper = plan.optim.wrapper if plan.optim else None
    if iterations is None or list(optimizers_of(wrapper)) != [""]:
        return None
    return -(-int(iterations) // accumulation_of(wrapper))


# --------------------------------------------------------------------------- the rest


def _hooks(plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "hook": row.kind,
            "priority": row.priority,
            "shown_priority": row.shown_priority,
            "key_path": row.path,
            "points": None if row.points is None else list(row.points),
        }
        for row in hooks.rows(plan)
    ]


def _profile(plan: Plan) -> dict[str, Any] | None:
    profile = PROFILES.get(plan.runtime.default_scope or "")
    if profile is None:
        return None
    suffix = f", as {profile.source} does"
    added = [note for note in plan.notes if note.status is Status.ADDED]
    values = {one.key_path: one.text.removesuffix(suffix) for one in added}
    return {"source": profile.source, "added": values}


def _findings(plan: Plan, positions: Positions | None) -> list[dict[str, Any]]:
    rows = []
    for note in dict.fromkeys(plan.notes):
        if not note.status.is_finding:
            continue
        at = positions.find(note.key_path) if positions else None
        row = {
            "key_path": note.key_path,
            "status": note.status.value,
            "text": note.text,
            "choices": list(note.choices),
            "file": shown(at.file) if at else None,
            "line": at.line if at else None,
        }
        rows.append(row)
    return rows
