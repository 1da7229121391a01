"""Measure what a training step costs with torch, Lightning, MMEngine and mm2pl (``make bench``).

The model is tiny, so nearly all of a step is the engine's own work: the worst case for an engine.
What counts is the CPU time of the training thread, which other load on the machine disturbs little,
and ratios to a raw loop in the same process, which hold on any machine.

Every engine has a process of its own, for MMEngine and mm2pl answer to the same name. The
processes take turns over several rounds. In a round the steps are cut into blocks of one log
interval, so that what an engine puts off until it logs counts too; the round's figure is the median
block, the result the smallest figure of all rounds.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
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

# process: what it measures beside the raw loop
PROCESSES = {
    "lightning": ("lightning_manual", "lightning_automatic"),
    "mmengine": ("engine",),
    "mm2pl": ("engine",),
}
ROWS = [
    ("raw torch loop", "mmengine", "raw"),
    ("Lightning, manual optimisation", "lightning", "lightning_manual"),
    ("Lightning, automatic with self.log", "lightning", "lightning_automatic"),
    ("MMEngine, default hooks", "mmengine", "engine"),
    ("mm2pl, the same config", "mm2pl", "engine"),
]

Measurements = dict[tuple[str, str], float]


def main() -> None:
    options = _options()
    if options.process:
        serve(options.process)
        return
    figures = measure(options.rounds, options.steps)
    ratios = {key: value / figures[key[0], "raw"] for key, value in figures.items()}
    against = ratios["mm2pl", "engine"] / ratios["mmengine", "engine"]
    print(table(figures, ratios))
    if options.limit is not None and against > options.limit:
        sys.exit(f"error: a step of mm2pl costs {against:.2f} of MMEngine's, limit {options.limit}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--steps", type=int, default=400, help="training steps in a round")
    parser.add_argument(
        "--assert",
        type=float,
        dest="limit",
        metavar="X",
        help="fail if a step of mm2pl costs more than X times MMEngine's",
    )
    parser.add_argument("--process", choices=PROCESSES, help=argparse.SUPPRESS)
    return parser.parse_args()


def table(figures: Measurements, ratios: Measurements) -> str:
    """Return the results as aligned text."""
    lines = [f"{'a training step':36}{'CPU time':>12}{'x raw loop':>12}{'x MMEngine':>12}"]
    for title, process, kind in ROWS:
        key = (process, kind)
        against = ratios[key] / ratios["mmengine", "engine"]
        cpu = f"{figures[key] * 1e6:.0f} us"
        lines.append(f"{title:36}{cpu:>12}{ratios[key]:>12.2f}{against:>12.2f}")
    return "\n".join(lines)


# --------------------------------------------------------------------------- the parent's side


def measure(rounds: int, steps: int) -> Measurements:
    """Return seconds a step for each (process, kind): the smallest over the rounds."""
    best: Measurements = {}
    with contextlib.ExitStack() as stack:
        workers = {name: stack.enter_context(worker(__file__, name)) for name in PROCESSES}
        for number, (name, ask) in itertools.product(range(rounds), workers.items()):
            for kind in ("raw", *PROCESSES[name]):
                figure = ask(kind, steps if number else max(steps // 4, 2 * LOG_INTERVAL))
                if number:  # the first round only warms up
                    best[name, kind] = min(figure, best.get((name, kind), figure))
    return best


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

STAMPS: list[float] = []  # thread CPU time at the start of every forward


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
            "engine": run_engine,
            "lightning_manual": run_lightning_manual,
            "lightning_automatic": run_lightning_automatic,
        }
        for request in sys.stdin:
            kind, steps = json.loads(request)
            STAMPS.clear()
            with tempfile.TemporaryDirectory() as folder:
                kinds[kind](steps, folder)
            print(json.dumps(seconds_a_step(STAMPS)), file=answers, flush=True)


def seconds_a_step(stamps: list[float]) -> float:
    """Return the median over blocks of one log interval."""
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
            STAMPS.append(time.thread_time())
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


def run_engine(steps: int, folder: str) -> None:
    """Train with what answers to ``mmengine``: default hooks, a log line every 10 steps."""
    import torch
    from mmengine.model import BaseModel
    from mmengine.runner import Runner

    class Model(BaseModel):  # type: ignore[misc]  # a class or untyped, by who answers
        def __init__(self) -> None:
            super().__init__()
            self.net = network()

        def forward(self, inputs: torch.Tensor, mode: str = "tensor") -> dict[str, torch.Tensor]:
            return {"loss": self.net(inputs).square().mean()}

    runner = Runner(
        model=Model(),
        work_dir=folder,
        train_dataloader={
            "batch_size": BATCH,
            "num_workers": 0,
            "dataset": dataset(steps),
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "collate_fn": {"type": "default_collate"},
        },
        train_cfg={"by_epoch": True, "max_epochs": 1},
        optim_wrapper={"optimizer": {"type": "SGD", "lr": 0.01, "momentum": 0.9}},
        # A name of its own: runners of one second would share their logs.
        experiment_name=f"bench_{Path(folder).name}",
    )
    runner.train()


def run_lightning_manual(steps: int, folder: str) -> None:
    _run_lightning(steps, folder, automatic=False)


def run_lightning_automatic(steps: int, folder: str) -> None:
    """Train as a user writes it: automatic optimisation, ``self.log``, the default logger."""
    _run_lightning(steps, folder, automatic=True)


def _run_lightning(steps: int, folder: str, automatic: bool) -> None:
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
    trainer.fit(Module(), loader(steps))


if __name__ == "__main__":
    main()
