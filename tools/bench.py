"""Measure what a step costs with torch, Lightning, MMEngine and mm2pl (``make bench``).

The steps are those of training by epochs, of training by iterations, and of validation.

The model is tiny, so nearly all of a step is the engine's own work: the worst case for an engine.
What counts is the CPU time of the training thread, which other load on the machine disturbs little,
and ratios to a raw loop in the same process, which hold on any machine.

Every engine has a process of its own, for MMEngine and mm2pl answer to the same name. The
processes take turns over several rounds. In a round the steps are cut into blocks of one log
interval, so that what an engine puts off until it logs counts too; the round's figure is the median
block, the result the smallest figure of all rounds. How much the rounds differ shows in the last
column, the median of the rounds' own ratios to MMEngine.

``--calls`` counts the calls of functions instead, Python's and C's, which no other load disturbs.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BATCH, FEATURES, LOG_INTERVAL = 4, 8, 10

ENGINE = ("epochs", "iterations", "validation")
# process: what it measures beside the raw loops
PROCESSES = {
    "lightning": ("lightning_manual", "lightning_automatic", "lightning_validation"),
    "mmengine": ENGINE,
    "mm2pl": ENGINE,
}
SECTIONS = {
    "a training step, by epochs": [
        ("raw torch loop", "mmengine", "raw"),
        ("Lightning, manual optimisation", "lightning", "lightning_manual"),
        ("Lightning, automatic with self.log", "lightning", "lightning_automatic"),
        ("MMEngine, default hooks", "mmengine", "epochs"),
        ("mm2pl, the same config", "mm2pl", "epochs"),
    ],
    "a training step, by iterations": [
        ("MMEngine, default hooks", "mmengine", "iterations"),
        ("mm2pl, the same config", "mm2pl", "iterations"),
    ],
    "a validation step": [
        ("raw torch loop", "mmengine", "raw_validation"),
        ("Lightning, self.log per epoch", "lightning", "lightning_validation"),
        ("MMEngine, default hooks", "mmengine", "validation"),
        ("mm2pl, the same config", "mm2pl", "validation"),
    ],
}

Measurements = dict[tuple[str, str], list[float]]  # the figures of all rounds


def main() -> None:
    options = _options()
    if options.process:
        serve(options.process)
        return
    if options.calls:
        for (process, kind), number in count_calls().items():
            print(f"{process:12}{kind:12}{number:8.1f} calls a step")
        return
    limit = math.inf if options.limit is None else options.limit
    figures = measure(options.rounds, options.steps)
    print(table(figures))
    slow = {kind: ratio for kind in ENGINE if (ratio := against(figures, "mm2pl", kind)) > limit}
    if slow:
        sys.exit(f"error: a step of mm2pl costs more than {limit} of MMEngine's: {slow}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--steps", type=int, default=400, help="training steps in a round")
    parser.add_argument(
        "--assert",
        type=float,
        dest="limit",
        metavar="X",
        help="fail if a step of mm2pl costs more than X times MMEngine's",
    )
    parser.add_argument("--calls", action="store_true", help="count calls instead")
    parser.add_argument("--process", choices=PROCESSES, help=argparse.SUPPRESS)
    return parser.parse_args()


def table(figures: Measurements) -> str:
    """Return the results as aligned text."""
    lines = []
    for section, rows in SECTIONS.items():
        head = ("CPU time", "x raw loop", "x MMEngine", "in the rounds")
        lines.append(f"{section:36}" + "".join(f"{one:>14}" for one in head))
        for title, process, kind in rows:
            cells = (
                f"{min(figures[process, kind]) * 1e6:.0f} us",
                f"{to_raw(figures, process, kind):.2f}",
                f"{against(figures, process, kind):.2f}",
                f"{statistics.median(against_in_rounds(figures, process, kind)):.2f}",
            )
            lines.append(f"{title:36}" + "".join(f"{one:>14}" for one in cells))
        lines.append("")
    return "\n".join(lines[:-1])


def to_raw(figures: Measurements, process: str, kind: str) -> float:
    """Return a step's cost as a ratio to the raw loop in the same process."""
    raw = "raw_validation" if "validation" in kind else "raw"
    return min(figures[process, kind]) / min(figures[process, raw])


def against(figures: Measurements, process: str, kind: str) -> float:
    """Return a step's cost as a ratio to MMEngine's, each measured by its raw loop."""
    return to_raw(figures, process, kind) / to_raw(figures, "mmengine", theirs(kind))


def against_in_rounds(figures: Measurements, process: str, kind: str) -> list[float]:
    """Return the ratio to MMEngine in each round by itself."""
    rounds = zip(figures[process, kind], figures["mmengine", theirs(kind)], strict=True)
    return [one / other for one, other in rounds]


def theirs(kind: str) -> str:
    """Return what of MMEngine's a kind of step is set beside."""
    if kind in ENGINE:
        return kind
    return "validation" if "validation" in kind else "epochs"


# --------------------------------------------------------------------------- the parent's side


def measure(rounds: int, steps: int) -> Measurements:
    """Return seconds a step for each (process, kind), one figure a round."""
    found: Measurements = {}
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(worker(__file__, name)) for name in PROCESSES}
        for number, (name, ask) in itertools.product(range(rounds), workers.items()):
            for kind in ("raw", "raw_validation", *PROCESSES[name]):
                figure = ask(kind, steps if number else max(steps // 4, 2 * LOG_INTERVAL))
                if number:  # the first round only warms up
                    found.setdefault((name, kind), []).append(figure)
    return found


def count_calls(steps: int = 60) -> dict[tuple[str, str], float]:
    """Return the calls of functions in a step for each (process, kind) of the two engines."""
    found = {}
    for name in ("mmengine", "mm2pl"):
        with worker(__file__, name) as ask:
            for kind in ENGINE:
                ask(kind, 2 * LOG_INTERVAL)  # what happens once in a process
                found[name, kind] = ask(CALLS + kind, steps)
    return found


@contextlib.contextmanager
def worker(tool: str, name: str) -> Iterator[Callable[[str, int], Any]]:
    """Start a tool's process for an engine; give a function that lets it measure one kind."""
    command = [sys.executable, tool, "--process", name]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            command,
            env=_environment(name),
            cwd=tempfile.gettempdir(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        assert process.stdin is not None
        assert process.stdout is not None
        requests, answers = process.stdin, process.stdout

        def ask(kind: str, number: int) -> Any:
            requests.write(json.dumps([kind, number]) + "\n")
            requests.flush()
            answer = answers.readline()
            if not answer:
                errors.seek(0)
                sys.exit(
                    f"error: the process that measures {name} failed:\n{errors.read()[-3000:]}"
                )
            return json.loads(answer)

        yield ask
        requests.close()


def _environment(name: str) -> dict[str, str]:
    if name == "mmengine":
        sys.path.insert(0, str(ROOT))
        from tools import reference

        reference.install()
        environment = reference.environment()
    else:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return {**environment, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}


# --------------------------------------------------------------------------- the processes' side

CALLS = "calls:"  # in front of a kind: count calls
STAMPS: list[float] = []  # thread CPU time, or calls so far, at the start of every forward
CLOCK: Callable[[], float] = time.thread_time


def serve(process: str) -> None:
    """Answer requests ``[kind, steps]`` on standard input with seconds a step."""
    answers = os.fdopen(os.dup(1), "w")
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)  # the engines log to the console, too
        if process == "mm2pl":
            import mm2pl

            mm2pl.install_as_mmengine()
        warnings.simplefilter("ignore")
        kinds: dict[str, Callable[[int, str], None]] = {
            "raw": run_raw,
            "raw_validation": run_raw_validation,
            "epochs": run_epochs,
            "iterations": run_iterations,
            "validation": run_validation,
            "lightning_manual": run_lightning_manual,
            "lightning_automatic": run_lightning_automatic,
            "lightning_validation": run_lightning_validation,
        }
        for request in sys.stdin:
            kind, steps = json.loads(request)
            STAMPS.clear()
            counting = _counting_calls() if kind.startswith(CALLS) else contextlib.nullcontext()
            with tempfile.TemporaryDirectory() as folder, counting:
                kinds[kind.removeprefix(CALLS)](steps, folder)
            print(json.dumps(seconds_a_step(STAMPS)), file=answers, flush=True)


@contextlib.contextmanager
def _counting_calls() -> Iterator[None]:
    """Let the stamps be numbers of calls."""
    global CLOCK
    calls = 0

    def count(frame: Any, event: str, argument: Any) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    CLOCK = lambda: calls  # noqa: E731
    sys.setprofile(count)
    try:
        yield
    finally:
        sys.setprofile(None)
        CLOCK = time.thread_time


def seconds_a_step(stamps: list[float]) -> float:
    """Return the median over blocks of one log interval; of calls, if these are the stamps."""
    borders = stamps[::LOG_INTERVAL]
    return (
        statistics.median(end - start for start, end in itertools.pairwise(borders)) / LOG_INTERVAL
    )


def dataset(steps: int) -> Any:
    import torch

    class Samples(torch.utils.data.Dataset[dict[str, torch.Tensor]]):
        inputs = torch.randn(BATCH * steps, FEATURES)

        def __len__(self) -> int:
            return len(self.inputs)

        def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
            return {"inputs": self.inputs[index]}

    return Samples()


def loader(steps: int) -> Any:
    from torch.utils.data import DataLoader

    return DataLoader(dataset(steps), batch_size=BATCH, shuffle=True)


def network() -> Any:
    """Return a linear layer that notes when it is called."""
    import torch

    class Network(torch.nn.Linear):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            STAMPS.append(CLOCK())
            return super().forward(inputs)

    return Network(FEATURES, 1)


def run_raw(steps: int, folder: str) -> None:
    import torch

    net = network()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    for batch in loader(steps):
        loss = net(batch["inputs"]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


def run_raw_validation(steps: int, folder: str) -> None:
    import torch

    net, count = network(), 0
    with torch.no_grad():
        for batch in loader(steps):
            count += len(net(batch["inputs"]))


def run_epochs(steps: int, folder: str) -> None:
    """Train with what answers to ``mmengine``: default hooks, a log line every 10 steps."""
    engine(
        folder,
        train_dataloader=engine_loader(steps, "DefaultSampler"),
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01, "momentum": 0.9}},
    ).train()


def run_iterations(steps: int, folder: str) -> None:
    """Do so in a run that counts iterations."""
    engine(
        folder,
        train_dataloader=engine_loader(steps, "InfiniteSampler"),
        train_cfg={"by_epoch": False, "max_iters": steps},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01, "momentum": 0.9}},
        default_hooks={"checkpoint": {"type": "CheckpointHook", "by_epoch": False, "interval": -1}},
        log_processor={"by_epoch": False},
    ).train()


def run_validation(steps: int, folder: str) -> None:
    """Validate with what answers to ``mmengine``, and with a metric that only counts."""
    from mmengine.evaluator import BaseMetric, Evaluator

    class Count(BaseMetric):  # type: ignore[misc]
        def process(self, data_batch: Any, data_samples: Any) -> None:
            self.results.append(len(data_samples))

        def compute_metrics(self, results: list[int]) -> dict[str, float]:
            return {"count": float(sum(results))}

    engine(
        folder,
        val_dataloader=engine_loader(steps, "DefaultSampler"),
        val_cfg={},
        val_evaluator=Evaluator([Count()]),
    ).val()


def engine_loader(steps: int, sampler: str) -> dict[str, Any]:
    return {
        "batch_size": BATCH,
        "num_workers": 0,
        "dataset": dataset(steps),
        "sampler": {"type": sampler, "shuffle": True},
        "collate_fn": {"type": "default_collate"},
    }


def engine(folder: str, **settings: Any) -> Any:
    """Return a runner of what answers to ``mmengine``."""
    from mmengine.model import BaseModel
    from mmengine.runner import Runner

    class Model(BaseModel):  # type: ignore[misc]  # a class or untyped, by who answers
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, inputs: Any, mode: str = "tensor") -> Any:
            found = self.net(inputs)
            return {"loss": found.square().mean()} if mode == "loss" else list(found)

    return Runner(
        model=Model(),
        work_dir=folder,
        # A name of its own: runners of one second would share their logs.
        experiment_name=f"bench_{Path(folder).name}",
        **settings,
    )


def run_lightning_manual(steps: int, folder: str) -> None:
    _run_lightning(steps, folder, automatic=False)


def run_lightning_automatic(steps: int, folder: str) -> None:
    """Train as a user writes it: automatic optimisation, ``self.log``, the default logger."""
    _run_lightning(steps, folder, automatic=True)


def run_lightning_validation(steps: int, folder: str) -> None:
    """Validate as a user writes it."""
    _run_lightning(steps, folder, automatic=True, validate=True)


def _run_lightning(steps: int, folder: str, automatic: bool, validate: bool = False) -> None:
    import lightning
    import torch

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()
            self.automatic_optimization = automatic

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.01, momentum=0.9)

        def training_step(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
            loss: torch.Tensor = self.net(batch["inputs"]).square().mean()
            if automatic:
                self.log("loss", loss)
            else:
                optimizer: Any = self.optimizers()
                optimizer.zero_grad()
                self.manual_backward(loss)
                optimizer.step()
            return loss

        def validation_step(self, batch: dict[str, torch.Tensor]) -> None:
            self.log("count", float(len(self.net(batch["inputs"]))), batch_size=BATCH)

    trainer = lightning.Trainer(
        max_epochs=1,
        accelerator="cpu",
        default_root_dir=folder,
        log_every_n_steps=LOG_INTERVAL,
        logger=automatic,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    if validate:
        trainer.validate(Module(), loader(steps), verbose=False)
    else:
        trainer.fit(Module(), loader(steps))


if __name__ == "__main__":
    main()
