"""Small sections: each key has a note, and a value that MMEngine refuses at the start is told."""

from __future__ import annotations

from typing import Any

import pytest

from mm2pl.mmengine.config import Config
from mm2pl.mmengine.logging import HistoryBuffer
from mm2pl.plan import Note, Status
from mm2pl.translate import Examination, examine
from mm2pl.translate.sections import STATISTICS

STATISTIC = {"data_src": "loss", "log_name": "a", "method_name": "max", "window_size": "global"}
SEPARATE = {
    "type": "MMSeparateDistributedDataParallel",
    "static_graph": True,
    "detect_anomalous_params": True,
}


def look(**sections: Any) -> Examination:
    return examine(Config({"model": {"type": "Net"}, **sections}))


def notes(**sections: Any) -> dict[str, Note]:
    return {note.key_path: note for note in look(**sections).plan.notes}


@pytest.mark.parametrize(
    ("sections", "path", "choice"),
    [
        ({"env_cfg": {"cudnn_benchmarks": True}}, "env_cfg.cudnn_benchmarks", "cudnn_benchmark"),
        (
            {"env_cfg": {"mp_cfg": {"start_method": "fork"}}},
            "env_cfg.mp_cfg.start_method",
            "mp_start_method",
        ),
        ({"env_cfg": {"dist_cfg": {"backen": "nccl"}}}, "env_cfg.dist_cfg.backen", "backend"),
        ({"randomness": {"diff_seed": True}}, "randomness.diff_seed", "diff_rank_seed"),
        ({"log_processor": {"window": 10}}, "log_processor.window", "window_size"),
        (
            {"log_processor": {"custom_cfg": [{"data_src": "loss", "method": "mean"}]}},
            "log_processor.custom_cfg[0].method",
            "method_name",
        ),
        (
            {"log_processor": {"custom_cfg": [{"data_src": "loss", "method_name": "maen"}]}},
            "log_processor.custom_cfg[0].method_name",
            "mean",
        ),
        (
            {"visualizer": {"type": "Visualizer", "vis_backend": []}},
            "visualizer.vis_backend",
            "vis_backends",
        ),
        (
            {
                "visualizer": {
                    "type": "Visualizer",
                    "vis_backends": [{"type": "LocalVisBackend", "img_dir": "a"}],
                }
            },
            "visualizer.vis_backends[0].img_dir",
            "img_save_dir",
        ),
        (
            {
                "model_wrapper_cfg": {
                    "type": "MMDistributedDataParallel",
                    "find_unused_parameter": True,
                }
            },
            "model_wrapper_cfg.find_unused_parameter",
            "find_unused_parameters",
        ),
        ({"compile": {"backened": "inductor"}}, "compile.backened", "backend"),
        ({"custom_imports": {"import": ["a"]}}, "custom_imports.import", "imports"),
        ({"runner_type": "FlexibelRunner"}, "runner_type", "FlexibleRunner"),
        ({"default_scope": "mmdett"}, "default_scope", "mmdet"),
    ],
)
def test_an_unknown_key_or_name_is_told_with_the_nearest(
    sections: dict[str, Any], path: str, choice: str
) -> None:
    found = [note for note in look(**sections).plan.notes if note.key_path == path][-1]
    assert (found.status, found.choices[0]) == (Status.UNKNOWN, choice)


@pytest.mark.parametrize(
    "sections",
    [
        {"env_cfg": {"dist_cfg": {"backend": "gloo", "timeout": 1800, "init_backend": "torch"}}},
        {"env_cfg": {"mp_cfg": {"mp_start_method": "spawn", "opencv_num_threads": 4}}},
        {"log_processor": {"custom_cfg": [STATISTIC]}},
        {"visualizer": {"type": "mmdet.DetLocalVisualizer", "line_width": 3}},
        {"model_wrapper_cfg": SEPARATE},
        {"compile": True},
        {"resume": True},
        {"default_scope": "my_own"},
        {"data_preprocessor": {"type": "SegDataPreProcessor", "size": (1, 2)}},
    ],
)
def test_what_mmengine_takes_is_no_finding(sections: dict[str, Any]) -> None:
    assert [note for note in look(**sections).plan.notes if note.status.is_finding] == []


@pytest.mark.parametrize(
    ("section", "key"),
    [
        ({"mp_cfg": {"mp_start_method": "frok"}}, "env_cfg.mp_cfg.mp_start_method"),
        ({"dist_cfg": {"backend": "ncll"}}, "env_cfg.dist_cfg.backend"),
        ({"dist_cfg": {"backend": "cpu:gloo,cuda:nccl"}}, None),
        ({"mp_cfg": {"mp_start_method": "forkserver"}, "dist_cfg": {"backend": "own"}}, None),
    ],
)
def test_a_start_method_or_a_backend_that_there_is_not_is_a_problem(
    section: dict[str, Any], key: str | None
) -> None:
    assert [one.key_path for one in look(env_cfg=section).problems] == [key] * (key is not None)


@pytest.mark.parametrize(("runner", "problems"), [(None, 1), ("FlexibleRunner", 0)])
def test_the_target_of_compile_is_for_the_flexible_runner(runner: Any, problems: int) -> None:
    found = look(compile={"target": "forward"}, runner_type=runner).problems
    assert [one.key_path for one in found] == ["compile.target"] * problems


def test_a_log_level_that_there_is_not_is_a_problem() -> None:
    (problem,) = look(log_level="INFOO").problems
    assert problem.key_path == "log_level"
    assert problem.choices == ("INFO",)


@pytest.mark.parametrize("level", ["DEBUG", "WARN", 20, "CRITICAL"])
def test_a_log_level_of_pythons_is_none(level: Any) -> None:
    assert look(log_level=level).problems == ()


def test_a_path_as_resume_has_no_effect_and_load_from_is_named() -> None:
    found = [
        note for note in look(resume="work_dirs/a.pth").plan.notes if note.key_path == "resume"
    ]
    assert (found[-1].status, found[-1].choices) == (Status.NO_EFFECT, ("load_from",))


def test_the_statistics_are_those_of_a_history_buffer() -> None:
    assert set(STATISTICS) == set(HistoryBuffer._statistics_methods)


def test_each_backend_of_the_visualizer_has_its_notes() -> None:
    backends = [{"type": "LocalVisBackend"}, {"type": "WandbVisBackend", "init_kwarg": {}}]
    found = notes(visualizer={"type": "Visualizer", "vis_backends": backends})
    assert found["visualizer.vis_backends[0].type"].status is Status.AS_IS
    assert found["visualizer.vis_backends[1].init_kwarg"].status is Status.UNKNOWN
