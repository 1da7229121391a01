"""Run a tutorial as its user would; print what came of it as JSON.

Usage: python drive.py ours|mmengine PROGRAM (its folder of work is the current one).
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image


class SmallCIFAR10(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Stands for ``torchvision.datasets.CIFAR10``, which cannot be downloaded here."""

    def __init__(
        self, root: str, train: bool = True, transform: Any = None, download: bool = False
    ) -> None:
        size = 40 if train else 24
        self.images = np.random.RandomState(size).randint(0, 255, (size, 32, 32, 3), np.uint8)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.transform(Image.fromarray(self.images[index])), index % 10


def digest(state: dict[str, torch.Tensor]) -> str:
    hashed = hashlib.sha256()
    for key, value in state.items():
        hashed.update(key.encode() + value.detach().numpy().tobytes())
    return hashed.hexdigest()


def outcome(runner: Any) -> dict[str, Any]:
    """Return all scalars of all iterations, the weights and the counters."""
    timed = ("time", "memory")
    return {
        "counters": [runner.epoch, runner.iter, runner.max_iters],
        "weights": digest(runner.model.state_dict()),
        "scalars": {
            name: [float(value).hex() for value in history.data[0]]
            for name, history in runner.message_hub.log_scalars.items()
            if not name.endswith(timed)
        },
        "seed": runner.seed,
        "hooks": [type(hook).__name__ for hook in runner.hooks],
    }


def main(engine: str, program: str) -> None:
    if engine == "ours":
        import mm2pl

        mm2pl.install_as_mmengine()
        from mm2pl.runner import Runner

        # The exact way is compared with runs that were never interrupted.
        Runner.resumes_exactly = False
    if Path(program).stem == "fifteen_minutes":
        import torchvision

        torchvision.datasets.CIFAR10 = SmallCIFAR10
    torch.set_num_threads(1)
    torch.manual_seed(0)
    np.random.seed(0)  # a run without a seed draws its own here
    random.seed(0)
    sys.argv = [program]
    sys.path.insert(0, str(Path(program).parent))
    names = runpy.run_path(program, run_name="__main__")
    found = [value for value in names.values() if hasattr(value, "train_loop")]
    runners = [value for value in found if not isinstance(value, type)]
    import mmengine

    result = {
        "engine": Path(mmengine.__file__).parts[-3],
        "runners": [outcome(one) for one in runners],
        "metrics": {key: float(value).hex() for key, value in names["metrics"].items()},
        "files": sorted(
            re.sub(r"\d{8}_\d{6}", "TIME", str(path))
            for path in Path("work_dir").rglob("*")
            if path.is_file()
        ),
    }
    if "model" in names:
        result["model"] = digest(names["model"].state_dict())
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
