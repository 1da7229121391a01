"""Which jobs each engine runs with configs of mmseg, mmdet, mmpose and mmaction2."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tests.downstream.mmpretrain_runs import jobs as of_mmpretrain
from tests.downstream.mmpretrain_runs.jobs import output, report
from tools import reference as reference_tool

__all__ = ["CASES", "ENGINES", "images", "jobs_of", "output", "pairs", "report", "run"]

HERE = Path(__file__).parent
ENGINES = of_mmpretrain.ENGINES
OPTIONS = ["default_hooks.recorder.type=mmengine.Recorder"]


@dataclass(frozen=True)
class Case:
    """One config of ``configs/``, named as the case.

    Attributes:
        library: Whose script trains it.
        tests: The checkpoint that its ``tools/test.py`` tests.
        test_args: More arguments for it.
        resumes: The checkpoint to go on from.
        fits: Whether to train by ``mm2pl fit`` too.
    """

    library: str
    tests: str | None = None
    test_args: tuple[str, ...] = ()
    resumes: str | None = None
    fits: bool = True


CASES = {
    "seg_fcn": Case("mmseg", tests="iter_6.pth", resumes="iter_3.pth"),
    "seg_segformer": Case("mmseg", tests="epoch_2.pth", test_args=("--tta",), fits=False),
    "det_retinanet": Case("mmdet", tests="epoch_2.pth", resumes="epoch_1.pth"),
    "det_yolox": Case("mmdet", resumes="epoch_2.pth", fits=False),
    "det_rtmdet": Case("mmdet", resumes="epoch_2.pth", fits=False),
    "det_semi": Case("mmdet", fits=False),
    "det_detr": Case("mmdet"),
    "pose_heatmap": Case("mmpose", tests="epoch_2.pth", resumes="epoch_1.pth"),
    "pose_rtmpose": Case("mmpose", resumes="epoch_2.pth", fits=False),
    "pose_yolox": Case("mmpose", resumes="epoch_2.pth", fits=False),
    "action_tsn": Case("mmaction", tests="epoch_2.pth", resumes="epoch_1.pth"),
    "action_stgcn": Case("mmaction", tests="epoch_2.pth", fits=False),
    "action_retrieval": Case("mmaction", tests="epoch_2.pth", resumes="epoch_1.pth", fits=False),
    "action_omni": Case("mmaction", resumes="epoch_1.pth"),
}


def jobs_of(engine: str, name: str, folder: Path) -> list[dict[str, Any]]:
    """Return the jobs of one case: training, then testing and resuming."""
    case = CASES[name]
    root = folder / engine / name
    trained = root / "train"
    jobs = [_job(case, name, root, "train")]
    if case.fits and engine == "mm2pl":
        jobs.append({**_job(case, name, root, "fit"), "door": "fit"})
    if case.tests:
        job = _job(case, name, root, "test")
        args = [f"{trained}/{case.tests}", *job["args"], *case.test_args]
        jobs.append({**job, "args": args, "after": trained})
    if case.resumes:
        job = _job(case, name, root, "resume")
        checkpoint = f"{trained}/{case.resumes}"
        if case.library == "mmseg":  # its script takes no path
            job["options"].append(f"load_from={checkpoint}")
        args = [*job["args"], "--resume", *([] if case.library == "mmseg" else [checkpoint])]
        jobs.append({**job, "args": args, "after": trained})
    names = {str(trained): f"{name} train"}
    return [{**job, "after": names.get(str(job.get("after")))} for job in jobs]


def pairs(name: str) -> list[tuple[str, str]]:
    """Return which job of mm2pl is to be like which of MMEngine."""
    doors = [job["name"].split()[1] for job in jobs_of("mm2pl", name, Path("/"))]
    return [(door, "train" if door == "fit" else door) for door in doors]


def _job(case: Case, name: str, root: Path, door: str) -> dict[str, Any]:
    script = "test.py" if door == "test" else "train.py"
    return {
        "name": f"{name} {door}",
        "door": "script",
        "script": str(reference_tool.LIBRARIES / case.library / ".mim/tools" / script),
        "config": str(HERE / "configs" / f"{name}.py"),
        "options": [*OPTIONS],
        "args": ["--work-dir", str(root / door)],
        "work_dir": str(root / door),
    }


def run(engine: str, folder: Path, jobs: list[dict[str, Any]]) -> None:
    """Run jobs in one process of an engine; each leaves its report beside its work_dir."""
    of_mmpretrain.run(engine, folder, jobs, HERE / "drive_others.py")


def images(folder: Path, engine: str, name: str, door: str) -> list[str]:
    """Return digests of the pixels that a job drew, in the order of their names."""
    paths = sorted((folder / engine / name / door).rglob("*.png"))
    return [f"{path.name} {_pixels(path)}" for path in paths]


def _pixels(path: Path) -> str:
    with Image.open(path) as picture:
        data = f"{picture.size}".encode() + picture.convert("RGB").tobytes()
    return hashlib.sha256(data).hexdigest()[:12]


# What mm2pl logs beyond MMEngine; and of the training data, which MMEngine builds in a test too
# when EarlyStoppingHook is there.
EXTRA_LINES = "|".join(
    (
        "is in no parameter's name",
        "mmengine - INFO - profile ",
        "videos remain after valid",
        r"checkpoints is approximated: Cached(Mosaic|MixUp) keeps results_cache",
    )
)
ASPECTS = (
    "error",
    "trace",  # batches, RNG, all losses, learning rates, momenta; outputs and metrics
    "weights",
    "optimizer",
    "history",  # every scalar of the message hub at every iteration
    "scalars",
    "checkpoints",
    "files",
    "configs",
    "log",
    "hooks",
    "predictions",
)


def compared(report: dict[str, Any], aspect: str) -> Any:
    """Return what is compared of one aspect of a report."""
    value = report.get(aspect)
    if aspect == "log":
        return {
            name: [line for line in lines if not re.search(EXTRA_LINES, line)]
            for name, lines in value.items()
        }
    if aspect == "configs":
        # The library's script notes the launcher in the config.
        return {
            name: {**cfg, "launcher": cfg.get("launcher", "none")} for name, cfg in value.items()
        }
    return value
