"""A run that goes on with other settings than before: the new ones win, and it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from mm2pl import contents
from mm2pl.errors import CheckpointError
from mm2pl.mmengine.optim import OptimWrapper
from mm2pl.mmengine.optim.scheduler._per_update import updates_in
from mm2pl.resume import schedules
from mm2pl.resume.fitting import refuse_other_names, refuse_other_optimizer
from mm2pl.resume.schedules import Group, become, belongs, driven, options_of
from mm2pl.resume.settings import (
    BATCH_SIZE,
    PROCESSES,
    note,
    parts,
    settings_of,
    states_of,
    told_by_states,
)

if TYPE_CHECKING:
    from mm2pl.resume.reading import Place
    from mm2pl.runner import Runner

_HEAD = "The settings are not those that the checkpoint was written with. The new ones hold:"
# Options that tell kinds of optimizers apart; others come and go with torch's versions.
_OF_KINDS = {"alpha", "betas", "lambd", "lr_decay", "momentum", "momentum_decay", "rho"}
_DERIVED = ("total_iters", "cumulative_periods", "_schedule_phases", "min_values")
_TAIL = "resume=dict(exact=False) goes on with the old schedules, as MMEngine does."


class Fresh(NamedTuple):
    """What a run begins with, before a checkpoint's states are put in.

    Attributes:
        settings: What it was made with.
        options: Options of each optimizer's groups.
    """

    settings: dict[str, Any]
    options: dict[str, list[Group]]


def prepare(runner: Runner, loaded: Mapping[str, Any]) -> Fresh | None:
    """Build what is to take up a checkpoint's states, and note what it begins with.

    Returns:
        None if states are to be taken up as they are: in MMEngine's way, or by parts that have
        been in use, or are none of ours.
    """
    loop = runner.train_loop
    if not runner.resumes_exactly or "optimizer" not in loaded or not hasattr(loop, "reading"):
        return None
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    if runner.param_schedulers is not None:
        runner.param_schedulers = runner.build_param_scheduler(runner.param_schedulers)
    found = list(parts(runner))
    if not found or any(getattr(one, "_global_step", 1) > 0 for part in found for one in part[2]):
        return None
    note(runner)
    for name, wrapper, _ in found:
        _check_kind(loaded, name, wrapper)
    options = {
        name: [options_of(one) for one in wrapper.param_groups] for name, wrapper, _ in found
    }
    return Fresh(runner._settings or settings_of(runner), options)


def _check_kind(loaded: Mapping[str, Any], name: str, wrapper: OptimWrapper) -> None:
    """Refuse the state of an optimizer that another kind cannot go on from."""
    state = loaded["optimizer"].get(name, {}) if name else loaded["optimizer"]
    refuse_other_names(name, state, loaded["optimizer"])
    groups = state["param_groups"]
    kind = type(wrapper.optimizer).__name__
    settings = (loaded.get(contents.OURS) or {}).get("settings")
    made = (
        settings["optimizers"][name]["made"] if settings and name in settings["optimizers"] else {}
    )
    was = made.get("optimizer.type", "another kind")
    missing = wrapper.param_groups[0].keys() - groups[0].keys()
    if was != kind and missing & _OF_KINDS:
        whose = f" ({name})" if name else ""
        raise CheckpointError(
            f"the optimizer{whose} is {kind}, which cannot go on from the state of {was}",
            hint="use load_from without resume to start from the weights",
        )
    refuse_other_optimizer(f" ({name})" if name else "", wrapper.optimizer, state)


def honour(runner: Runner, loaded: Mapping[str, Any], fresh: Fresh) -> None:
    """Give schedules their states back, or bring them to where new ones would be, and tell it.

    Differs: in MMEngine the old schedules and options win, and nothing is said of it.

    Args:
        runner: The run, with the checkpoint's counters and optimizers.
        loaded: The checkpoint.
        fresh: What the run began with.
    """
    saved = loaded.get(contents.OURS) or {}
    new = fresh.settings
    old = saved.get("settings") or told_by_states(runner, loaded, new)
    lines: list[str] = []
    _compare(lines, "", old["run"], new["run"])
    _follow_length(runner, saved, old, new, lines)
    for name, wrapper, schedulers in parts(runner):
        states = states_of(loaded, name) or None  # an empty list is as good as none
        then = old["optimizers"].get(name, new["optimizers"][name])
        if states and len(states) != len(then["schedules"]):
            raise CheckpointError(
                f"the checkpoint's param_schedulers has states of {len(states)} schedules, and was"
                f" written with {len(then['schedules'])}",
                hint="resume=dict(exact=False) takes up what is there, as MMEngine does",
            )
        part = _Part(name, wrapper, schedulers, states, lines)
        done = _Done.of(runner, wrapper, states or [], old, new)
        part.take_up(then, new["optimizers"][name], fresh.options[name], done)
    if lines:
        runner.logger.warning("\n  ".join([_HEAD, *lines]) + f"\n{_TAIL}")


class _Done(NamedTuple):
    """How far a run is.

    Attributes:
        epochs: Steps of schedules that count epochs.
        iters: Steps of those that count iterations.
        length: The latter in an epoch.
        by_update: Whether those count updates instead.
    """

    epochs: int
    iters: int
    length: float
    by_update: bool

    @classmethod
    def of(
        cls,
        runner: Runner,
        wrapper: OptimWrapper,
        states: Sequence[Mapping[str, Any]],
        old: Mapping[str, Any],
        new: Mapping[str, Any],
    ) -> _Done:
        """Ask the old schedules, which know it best, or else the loop."""
        counts = wrapper._accumulative_counts if runner._schedules_per_update else 1
        epochs, iters = runner.train_loop.epoch, runner.train_loop.iter
        lengths = (old["batches"], new["batches"])
        fitting = [one for one in lengths if one and epochs * one <= iters <= (epochs + 1) * one]
        length = fitting[0] if fitting else iters / max(1, epochs)
        return cls(
            _steps(states, True, epochs),
            _steps(states, False, updates_in(iters, counts, None)),
            length / counts,
            runner._schedules_per_update,
        )


def _steps(states: Sequence[Mapping[str, Any]], by_epoch: bool, default: int) -> int:
    known = [one["_global_step"] for one in states if one.get("by_epoch") is by_epoch]
    return int(known[0]) if known else default


class _Part:
    """One optimizer with its schedules, and the checkpoint's states of them.

    Args:
        name: Its name among several; empty if there is but one.
        wrapper: Its wrapper, with the checkpoint's state.
        schedulers: Its schedules, which have not stepped.
        states: The checkpoint's states of schedules; None if it has none.
        lines: What is to be told.
    """

    def __init__(
        self,
        name: str,
        wrapper: OptimWrapper,
        schedulers: Sequence[Any],
        states: list[dict[str, Any]] | None,
        lines: list[str],
    ) -> None:
        dotted = f".{name}" if name else ""
        self.optimizer_key, self.schedule_key = f"optim_wrapper{dotted}", f"param_scheduler{dotted}"
        self.wrapper = wrapper
        self.schedulers = schedulers
        self.states = states
        self.lines = lines
        # Schedules that go on as they were, but to another end.
        self.longer: set[int] = set()

    def take_up(
        self, old: dict[str, Any], new: dict[str, Any], options: list[Group], done: _Done
    ) -> None:
        """Load the states of schedules that are as they were; step the others that far.

        Args:
            old: What the optimizer and its schedules were made with.
            new: What they are made with now.
            options: The groups' options before the checkpoint was loaded.
            done: How often to step.
        """
        _compare(self.lines, f"{self.optimizer_key}.", old["made"], new["made"])
        names = self._changed_schedules(old["schedules"], new["schedules"])
        changed = self._changed_options(old["groups"], new["groups"])
        driven_by_any = {o for one in (*old["schedules"], *new["schedules"]) for o in driven(one)}
        names |= {name for name in driven_by_any for key in changed if belongs(key, {name})}
        if self.states is None and old["schedules"]:
            self.lines.append(f"{self.schedule_key}: the checkpoint has no schedules")
            names = driven_by_any
        while (
            more := {o for one in new["schedules"] if driven(one) & names for o in driven(one)}
            - names
        ):
            names |= more
        anew = []
        for index, scheduler in enumerate(self.schedulers):
            if driven(new["schedules"][index]) & names:
                anew.append(index)
            else:
                end = scheduler.end
                scheduler.load_state_dict(self.states[index])  # type: ignore[index]
                if index in self.longer:
                    scheduler.end = end
        self._put_options(options, {key for key in changed if not belongs(key, names)})
        if names:
            ratios = _ratios(old["groups"], new["groups"], len(options))
            self._step_anew(names, anew, options, ratios, done)

    def _changed_schedules(self, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> set[str]:
        """Return the options whose schedules are not as they were."""
        names: set[str] = set()
        for index in range(max(len(old), len(new))):
            before, now = (one[index] if index < len(one) else {} for one in (old, new))
            if before == now:
                continue
            key = f"{self.schedule_key}[{index}]"
            if before.get("type") == now.get("type"):
                _compare(self.lines, f"{key}.", before, now)
            else:
                kinds = (one.get("type", "none") for one in (before, now))
                self.lines.append(f"{key}: " + " -> ".join(kinds))
            if before and now and self._only_ends_elsewhere(index, before, now):
                self.longer.add(index)
            else:
                names |= {name for one in (before, now) if one for name in driven(one)}
        return names

    def _only_ends_elsewhere(self, index: int, before: dict[str, Any], now: dict[str, Any]) -> bool:
        """Whether a schedule has done up to here what the old one did."""
        if self.states is None or not schedules.is_ours(self.schedulers[index]):
            return False
        step = self.states[index]["_global_step"]
        return before | {"end": 0} == now | {"end": 0} and step < min(before["end"], now["end"])

    def _changed_options(self, old: dict[str, list[Any]], new: dict[str, list[Any]]) -> set[str]:
        """Return the groups' options whose initial values are not as they were."""
        changed = set()
        count = len(self.wrapper.param_groups)
        for key in [key for key in old if key in new]:
            pairs = [
                (_of_all(old[key], count)[i], _of_all(new[key], count)[i]) for i in range(count)
            ]
            others = [pair for pair in pairs if pair[0] != pair[1]]
            if others:
                changed.add(key)
                some = "" if len(others) == count else f" (in {len(others)} of {count} groups)"
                line = f"{self.optimizer_key}.optimizer.{key}: {_change(*others[0])}{some}"
                self.lines.append(line)
        return changed

    def _put_options(self, options: list[Group], keys: set[str]) -> None:
        for group, fresh in zip(self.wrapper.param_groups, options, strict=False):
            group.update({key: fresh[key] for key in keys if key in fresh})

    def _step_anew(
        self,
        names: set[str],
        anew: list[int],
        options: list[Group],
        ratios: list[Group],
        done: _Done,
    ) -> None:
        """Bring options to where they would be by the new schedules alone."""
        groups = self.wrapper.param_groups[: len(options)]
        loaded = [options_of(group) for group in groups]
        for group, fresh in zip(groups, options, strict=True):
            become(group, fresh)
        chosen = [self.schedulers[index] for index in anew]
        schedules.replay(chosen, groups, *done[:3])
        for group, before in zip(groups, loaded, strict=True):
            after = {key: value for key, value in group.items() if belongs(key, names)}
            kept = {k: v for k, v in before.items() if k in after or not belongs(k, names)}
            become(group, kept | after)
        waiting = self._keep_what_was_judged(anew, groups, loaded, ratios)
        for one in chosen:
            one._last_value = [group[one.param_name] for group in groups]
        self._tell_values(names, chosen, loaded, done, waiting)

    def _keep_what_was_judged(
        self, anew: list[int], groups: list[Group], loaded: list[Group], ratios: list[Group]
    ) -> set[str]:
        """Let schedules that wait for a metric go on from what they have come to.

        Returns:
            The options that go on from the checkpoint's values, scaled as the initial ones are.
        """
        old = {
            name: state
            for state in self.states or []
            for name in driven(state)
            if state.get("monitor") is not None
        }
        found = set()
        for index in anew:
            scheduler = self.schedulers[index]
            name = scheduler.param_name
            if not schedules.waits(scheduler) or name not in old:
                continue
            found.add(name)
            schedules.keep_judgement(scheduler, old[name])
            for group, before, ratio in zip(groups, loaded, ratios, strict=True):
                group[name] = before[name] * ratio.get(name, 1)
                if name == "momentum" and "betas" in group:
                    group["betas"] = (group[name], group["betas"][1])
        return found

    def _tell_values(
        self,
        names: set[str],
        chosen: list[Any],
        loaded: list[Group],
        done: _Done,
        waiting: set[str],
    ) -> None:
        units = {one.by_epoch for one in chosen}
        counts = [_count(done.epochs, "epoch")] * (True in units)
        counts += [_count(done.iters, "update" if done.by_update else "iteration")] * (
            False in units
        )
        why = f"as after {' and '.join(counts)} of the new schedule" if units else "unscheduled"
        groups = self.wrapper.param_groups
        for name in sorted(names & groups[0].keys()):
            pairs = [
                (one.get(name), group[name]) for one, group in zip(loaded, groups, strict=False)
            ]
            was, now = next((pair for pair in pairs if pair[0] != pair[1]), pairs[0])
            reason = "what its metrics did cannot be done again" if name in waiting else why
            dotted = self.optimizer_key.removeprefix("optim_wrapper").removeprefix(".")
            line = f"{dotted and dotted + ': '}{name} is {_short(now)}, {reason}"
            self.lines.append(
                line + (f"; the old one had {_short(was)}" if was is not None else "")
            )


def _count(number: int, unit: str) -> str:
    return f"{number} {unit}{'' if number == 1 else 's'}"


def _ratios(
    old: dict[str, list[Any]], new: dict[str, list[Any]], count: int
) -> list[dict[str, float]]:
    """Return for each group by how much its initial options have grown."""
    found: list[dict[str, float]] = [{} for _ in range(count)]
    for key in [key for key in old if key in new]:
        for ratio, before, now in zip(
            found, _of_all(old[key], count), _of_all(new[key], count), strict=True
        ):
            if before != now and isinstance(before, (int, float)) and before:
                ratio[key] = now / before
    return found


def _of_all(column: list[Any], count: int) -> list[Any]:
    return column * count if len(column) == 1 else column


def _compare(lines: list[str], prefix: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    keys = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    # What follows from others is told only where it is all that there is.
    for key in [key for key in keys if key not in _DERIVED] or keys:
        lines.append(f"{prefix}{key}: {_change(old.get(key), new.get(key))}")


def _change(before: Any, after: Any) -> str:
    return f"{_short(before)} -> {_short(after)}"


def _short(value: Any) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    if value is None:
        return "none"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _follow_length(
    runner: Runner,
    saved: Mapping[str, Any],
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    lines: list[str],
) -> None:
    """Let a run whose epochs have another length end where its last epoch does."""
    loop: Any = runner.train_loop
    given = _given(saved)
    moved = moved_by(old, new, given, loop.by_epoch)
    if given != moved:
        lines.append(f"the place in the data: {given} batches are now {moved}")
    before, now = old["batches"], new["batches"]
    if not loop.by_epoch or None in (before, now) or before == now:
        return
    limit = loop._max_iters if "max_steps" in runner.plan.runtime.trainer else None
    left = (loop._max_epochs - loop._epoch) * now - moved
    loop._max_iters = loop._iter + max(0, left)
    if limit is not None:
        loop._max_iters = min(limit, loop._max_iters)
    lines.append(
        f"iterations of an epoch: {before} -> {now} (they are counted on from {loop._iter}, to"
        f" {loop._max_iters})"
    )


def _given(saved: Mapping[str, Any]) -> int:
    """Return how many batches of the round at hand the checkpoint has behind it."""
    reading = saved["ranks"][0]["reading"] if saved.get("ranks") else None
    return 0 if reading is None else int(reading["given"])


def moved_by(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, given: int, by_epoch: bool
) -> int:
    """Return how many of the new batches hold as many samples as some of the old, rounded down.

    Args:
        old: The settings of the run that read them.
        new: The settings now.
        given: How many were read.
        by_epoch: Whether a round ends with an epoch.
    """
    if old is None or new is None or _batches(old) == _batches(new):
        return given
    if by_epoch and new["batches"] is not None and given == old["batches"]:
        return int(new["batches"])  # all of them, the last of which may have been a short one
    sizes = [(one["run"][BATCH_SIZE] or 0) * one["run"][PROCESSES] for one in (old, new)]
    if sizes[0] and sizes[1]:
        given = given * sizes[0] // sizes[1]
    return min(given, new["batches"]) if by_epoch and new["batches"] is not None else given


def _batches(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    run = settings["run"]
    return settings["batches"], run[BATCH_SIZE], run[PROCESSES]


def move(runner: Runner, saved: Mapping[str, Any], place: Place) -> None:
    """Count a place in the data in the batches that the run has now."""
    by_epoch = runner.train_loop.by_epoch
    place.given = moved_by(saved.get("settings"), runner._settings, place.given, by_epoch)
