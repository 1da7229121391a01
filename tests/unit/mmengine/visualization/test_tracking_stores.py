"""What the packages themselves hold of a run, read back; without a package its test is skipped.

Each runs in a process of its own, since the packages leave threads and settings behind.
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[4]
pytestmark = pytest.mark.slow
OFFLINE = {
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "DO_NOT_TRACK": "true",
    "DVC_NO_ANALYTICS": "true",
    "CLEARML_OFFLINE_MODE": "1",
    "OMP_NUM_THREADS": "1",
}


def record(folder: str, backend: dict[str, Any]) -> Any:
    """Record as the hooks and as Lightning code would; the backend is left open."""
    import numpy as np
    import torch

    from mm2pl.loggers import VisualizerLogger
    from mm2pl.mmengine.config import Config
    from mm2pl.mmengine.visualization import Visualizer

    visualizer = Visualizer(vis_backends=backend, save_dir=folder)
    loggers = [own := VisualizerLogger(visualizer, folder), *own.beside()]
    visualizer.add_config(Config({"lr": 0.1, "parts": [{"a": 1}], "work_dir": folder}))
    visualizer.add_graph(torch.nn.Linear(2, 1), None)  # type: ignore[arg-type]
    for logger in loggers:
        logger.log_hyperparams({"width": 3})
    for step in (1, 2):
        visualizer.add_scalars({"loss": 0.5 / step, "tensor": torch.tensor(step)}, step)
        for logger in loggers:
            logger.log_metrics({"own": step * 1.0}, step)
    visualizer.add_image("image", np.full((4, 5, 3), 200, np.uint8), 3)
    return visualizer


def mlflow_holds(folder: str) -> Any:
    import logging

    from mm2pl.backend_loggers import logger_of
    from mm2pl.mmengine.logging import MMLogger

    log = MMLogger.get_instance("run", log_file=f"{folder}/run.log", file_mode="w")
    backend = {"type": "MLflowVisBackend", "exp_name": "e", "run_name": "r"}
    visualizer = record(folder, backend)
    visualizer.close()
    # As the Trainer does when a test follows the training.
    tested = logger_of(visualizer.get_backend("MLflowVisBackend"))
    assert tested is not None
    tested.log_metrics({"tested": 4.0}, 2)
    visualizer.close()
    log.warning("after it")
    logging.shutdown()
    import mlflow

    client = mlflow.tracking.MlflowClient(f"file://{folder}/vis_data")
    (run,) = client.search_runs([client.get_experiment_by_name("e").experiment_id])
    history = {
        name: [(one.step, one.value) for one in client.get_metric_history(run.info.run_id, name)]
        for name in ("loss", "tensor", "own", "tested")
    }
    files = [one.path for one in client.list_artifacts(run.info.run_id)]
    with open(f"{folder}/run.log") as opened:
        text = opened.read()
    names = [run.info.run_name, run.info.status]
    return [names, history, dict(run.data.params), sorted(files), "after it" in text]


def wandb_holds(folder: str) -> Any:
    import wandb

    options = {"project": "p", "settings": wandb.Settings(disable_git=True)}
    backend = {"type": "WandbVisBackend", "init_kwargs": options}
    visualizer = record(folder, {**backend, "define_metric_cfg": {"tensor": "min"}})
    run = wandb.run
    summary = {name: run.summary[name] for name in ("loss", "own")}
    config = dict(run.config)
    visualizer.close()
    return [summary, config, wandb.run is None]


def dvclive_holds(folder: str) -> Any:
    import csv
    import json

    options = {"save_dvc_exp": False, "cache_images": False}
    record(folder, {"type": "DVCLiveVisBackend", "init_kwargs": options}).close()
    with open(f"{folder}/vis_data/metrics.json") as opened:
        metrics = json.load(opened)
    with open(f"{folder}/vis_data/plots/metrics/loss.tsv") as opened:
        rows = [(row["step"], row["loss"]) for row in csv.DictReader(opened, delimiter="\t")]
    with open(f"{folder}/vis_data/params.yaml") as opened:
        return [metrics, rows, opened.read()]


def aim_holds(folder: str) -> Any:
    options = {"repo": folder, "system_tracking_interval": None, "log_system_params": False}
    backend = {"type": "AimVisBackend", "init_kwargs": {**options, "capture_terminal_logs": False}}
    visualizer = record(folder, backend)
    run = visualizer.get_backend("AimVisBackend").experiment
    values = {one.name: list(one.values.sparse_list()[1]) for one in run.metrics()}
    config = run["hparams"]
    visualizer.close()
    return [values, config["lr"]]


def neptune_holds(folder: str) -> Any:
    record(folder, {"type": "NeptuneVisBackend"}).close()


def clearml_holds(folder: str) -> Any:
    options = {"project_name": "p", "task_name": "t", "auto_connect_frameworks": False}
    record(folder, {"type": "ClearMLVisBackend", "init_kwargs": options}).close()


def held(package: str, reader: Any, folder: Path) -> Any:
    """Run a reader in a process of its own and return what it found."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed (extra {package})")
    sources = "\n".join(inspect.getsource(part) for part in (record, reader))
    program = (
        "from __future__ import annotations\nimport json\nfrom typing import Any\n"
        f"{sources}\nprint()\nprint(json.dumps({reader.__name__}({str(folder)!r})), flush=True)\n"
    )
    cache = {"CLEARML_CACHE_DIR": str(folder / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, **OFFLINE, **cache, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith(("[", "{", "null"))]
    return json.loads(lines[-1])


def test_mlflows_file_store_holds_each_thing_once(tmp_path: Path) -> None:
    (tmp_path / "kept.json").write_text("{}")
    names, history, params, files, log_goes_on = held("mlflow", mlflow_holds, tmp_path)
    assert names == ["r", "FINISHED"]
    assert history == {
        "loss": [[1, 0.5], [2, 0.25]],
        "tensor": [[1, 1.0], [2, 2.0]],
        "own": [[1, 1.0], [2, 2.0]],
        "tested": [[2, 4.0]],
    }
    wanted = {"lr": "0.1", "parts.0.a": "1", "hparams.width": "3"}
    assert {name: params.get(name) for name in wanted} == wanted
    assert {"config.py", "image_3.png", "kept.json"} <= set(files)
    assert log_goes_on


def test_wandbs_offline_run_holds_each_thing(tmp_path: Path) -> None:
    summary, config, ended = held("wandb", wandb_holds, tmp_path)
    assert summary == {"loss": 0.25, "own": 2.0}
    assert (config["hparams"], config["lr"]) == ({"width": 3}, 0.1)
    assert ended
    folders = list((tmp_path / "vis_data" / "wandb").glob("offline-run-*"))
    assert len(folders) == 1
    assert len(list(folders[0].glob("run-*.wandb"))) == 1
    assert len(list(folders[0].rglob("media/images/*.png"))) == 1


def wandb_goes_on(folder: str) -> Any:
    backend = (visualizer := record(folder, {"type": "WandbVisBackend"})).get_backend(
        "WandbVisBackend"
    )
    ids = [backend.experiment.run.id]
    visualizer.close()
    ids.append(backend.experiment.run.id)
    visualizer.close()
    return ids


def test_a_run_of_wandb_that_has_ended_goes_on(tmp_path: Path) -> None:
    first, second = held("wandb", wandb_goes_on, tmp_path)
    assert first == second


def test_dvclives_files_hold_each_thing_once(tmp_path: Path) -> None:
    metrics, rows, params = held("dvclive", dvclive_holds, tmp_path)
    assert (metrics["loss"], metrics["own"], metrics["tensor"]) == (0.25, 2.0, 2)
    assert [(int(step), float(loss)) for step, loss in rows] == [(1, 0.5), (2, 0.25)]
    assert "lr: 0.1" in params
    assert (tmp_path / "vis_data/plots/images/image.png").exists()
    assert not (tmp_path / ".dvc").exists()


def test_aims_repository_holds_each_thing_once(tmp_path: Path) -> None:
    values, lr = held("aim", aim_holds, tmp_path)
    assert (values["loss"], values["own"], lr) == ([0.5, 0.25], [1.0, 2.0], 0.1)


def test_an_offline_run_of_neptune_takes_everything(tmp_path: Path) -> None:
    held("neptune", neptune_holds, tmp_path)
    assert list((tmp_path / ".neptune").rglob("data-1.log"))


def test_an_offline_task_of_clearml_takes_everything(tmp_path: Path) -> None:
    held("clearml", clearml_holds, tmp_path)
    assert list((tmp_path / "cache").rglob("metrics.jsonl"))
