"""Runs cases with the engine at hand, and keeps what each rank has left.

``run.py ENGINE FOLDER [CASE ...]``; started by torchrun those over processes, else those of one.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import torch


def _let_mmengine_train_on_a_cpu() -> None:
    """Undo what makes MMEngine's DDP fail without a GPU, and nothing else."""
    torch.cuda.set_device = lambda device: None
    ddp = torch.nn.parallel.DistributedDataParallel
    original = ddp.__init__

    def without_devices(self, module, device_ids=None, **kwargs):  # type: ignore[no-untyped-def]
        original(self, module, **kwargs)

    ddp.__init__ = without_devices


def _files(folder: Path) -> dict[str, Any]:
    """Return the files of a work folder, and what checkpoints and logs hold."""
    import toys

    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = _TIMESTAMP.sub("TIME", str(path.relative_to(folder)))
        if path.suffix == ".pth":
            loaded = torch.load(path, map_location="cpu", weights_only=False)
            parts = ("state_dict", "optimizer", "param_schedulers", "ema_state_dict")
            held = {part: toys.digest(loaded[part]) for part in parts if part in loaded}
            found[name] = [toys.keys(loaded), sorted(loaded["state_dict"]), held]
        elif path.name == "scalars.json":
            clocks = ("time", "data_time", "memory")
            lines = [json.loads(line) for line in path.read_text().splitlines()]
            told = [{k: v for k, v in line.items() if k not in clocks} for line in lines]
            found[name] = found.get(name, []) + told  # a resumed run may have begun a second later
        else:
            found[name] = None
    return found


_TIMESTAMP = re.compile(r"\d{8}_\d{6}")


def main(engine: str, folder: str, *names: str) -> None:
    if engine == "mm2pl":
        import mm2pl

        mm2pl.install_as_mmengine()
        from mm2pl.runner import Runner

        # The exact way is compared with runs that were never interrupted.
        Runner.resumes_exactly = False
    else:
        _let_mmengine_train_on_a_cpu()
    from cases import ALONE, CASES
    from mmengine.dist import barrier, get_rank, init_dist

    launched = "LOCAL_RANK" in os.environ
    if launched:
        init_dist("pytorch", backend="gloo")
    for case in CASES if launched else ALONE:
        name = case.__name__
        if names and name not in names:
            continue
        started = time.perf_counter()
        try:
            found = {"left": case(name, folder)}
        except Exception:
            found = {"error": traceback.format_exc()}
        found["seconds"] = time.perf_counter() - started
        barrier()
        if get_rank() == 0:
            found["files"] = _files(Path(folder, name))
        Path(folder, f"{name}.{get_rank()}.json").write_text(json.dumps(found))
    if launched and engine != "mm2pl":
        barrier()
        os._exit(0)  # gloo's threads abort MMEngine's processes at their end now and then


if __name__ == "__main__":
    main(*sys.argv[1:])
