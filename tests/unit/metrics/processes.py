"""Run by torchrun on some processes: prints each rank's results as a line of JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[3]))

import torch
import torchmetrics
from torch.utils.data import Sampler

from mm2pl.errors import DataError
from mm2pl.metrics import MMEngineMetric, TorchMetric
from mm2pl.mmengine.dist import get_rank, get_world_size
from mm2pl.mmengine.evaluator import BaseMetric
from mm2pl.mmengine.registry import DATA_SAMPLERS
from mm2pl.runner import Runner
from tests.unit.metrics.metric_toys import ACCURACY, TM, elements, loader, settings


class Share(BaseMetric):
    """Accuracy as MMEngine's metrics compute it."""

    default_prefix = "share"

    def process(self, data_batch: Any, data_samples: Any) -> None:
        self.results += [float(s["pred_label"] == s["gt_label"]) for s in data_samples]

    def compute_metrics(self, results: list[float]) -> dict[str, float]:
        return {"right": sum(results) / len(results), "count": len(results)}


@DATA_SAMPLERS.register_module()
class Uneven(Sampler[int]):
    """Gives the first process two samples more than its share, in one run."""

    def __init__(self, dataset: Any, seed: int | None = None) -> None:
        cut = len(dataset) // get_world_size() + 2
        places = range(cut) if get_rank() == 0 else range(cut, len(dataset))
        self._places = places if get_rank() == 0 else places[get_rank() - 1 :: get_world_size() - 1]

    def __iter__(self) -> Iterator[int]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class Boxes(torchmetrics.Metric):
    """Keeps a list of what each sample has, as metrics of detection do."""

    def __init__(self) -> None:
        super().__init__()
        self.add_state("boxes", default=[], dist_reduce_fx=None)

    def update(self, preds: torch.Tensor) -> None:
        self.boxes += [torch.arange(1 + int(one)) for one in preds]

    def compute(self) -> dict[str, int]:
        return {"samples": len(self.boxes), "boxes": sum(map(len, self.boxes))}


def refused(run: Runner) -> str:
    try:
        run.val()
    except DataError as error:
        return str(error)
    return "nothing"


SCORES = {"type": f"{TM}MulticlassAUROC", "num_classes": 3, "pred_key": "pred_score"}


def runner(folder: str, **changes: Any) -> Runner:
    cfg = settings(folder, launcher="pytorch", env_cfg={"dist_cfg": {"backend": "gloo"}})
    return Runner(**{**cfg, **changes})


def results(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    members = {"micro": ACCURACY, "macro": {**ACCURACY, "average": "macro"}}
    several = {"type": "torchmetrics.MetricCollection", "metrics": members, "prefix": "of"}
    metrics = [ACCURACY, SCORES, several, Share(), Share(collect_device="gpu", prefix="g")]
    for size in (2, 5, 7, 9):
        for batch in (1, 2, 3):
            run = runner(
                f"{folder}/{size}_{batch}",
                val_dataloader=loader(batch, length=size),
                val_evaluator=[*metrics, TorchMetric(Boxes(), target_key=None)],
            )
            found[f"{size} {batch}"] = run.val()
    sets = [{**loader(2, length=9), "name": "a"}, {**loader(3, length=5), "name": "b"}]
    changes = {"val_dataloader": sets, "val_cfg": {"loss": True}, "val_evaluator": [ACCURACY]}
    found["sets"] = runner(f"{folder}/sets", **changes).val()
    uneven = {**loader(2, length=9), "sampler": {"type": "Uneven"}}
    found["uneven"] = runner(f"{folder}/u", val_dataloader=uneven).val()
    loss = runner(f"{folder}/l", val_dataloader=uneven, val_cfg={"loss": True})
    found["uneven loss"] = refused(loss)
    every = {**loader(1, length=3), "sampler": None}
    found["every process has all"] = refused(runner(f"{folder}/e", val_dataloader=every))
    metric = MMEngineMetric(Share(), size=9)
    sized = MMEngineMetric(Share())
    world = get_world_size()
    part = [elements(9)[i % 9] for i in range(get_rank(), 9 + -9 % world, world)]
    for one in (metric, sized):
        one.update(part)
    found["lightning"] = [metric.compute(), sized.compute()]
    return found


if __name__ == "__main__":
    answer = results(sys.argv[1])
    torch.distributed.barrier()
    (Path(sys.argv[1]) / f"rank{get_rank()}.json").write_text(json.dumps(answer))
