"""Every config file of three libraries says the same as in MMEngine, in far less time."""

from __future__ import annotations

import copy
import pickle
import re
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mm2pl.mmengine.config import Config
from tools import bench_config

pytestmark = pytest.mark.slow

# The ten files that neither reads, and the line that leads to the cause.
BROKEN = {
    "bytetrack/bytetrack_yolox_x_8xb4-amp-80e_crowdhuman-mot17halftrain_test-mot17test.py": 2,
    "sort/faster-rcnn_r50_fpn_8xb2-4e_mot17train_test-mot17train.py": 1,
    "sort/faster-rcnn_r50_fpn_8xb2-8e_mot20halftrain_test-mot20halfval.py": 1,
    "sort/faster-rcnn_r50_fpn_8xb2-8e_mot20train_test-mot20train.py": 1,
    "replknet/deploy/replknet-31B-deploy_32xb64_in1k-384px.py": 1,
    "replknet/deploy/replknet-31B-deploy_32xb64_in1k.py": 1,
    "replknet/replknet-31B_32xb64_in1k-384px.py": 2,
    "replknet/replknet-31B_32xb64_in1k.py": 2,
    "swin_transformer_v2/swinv2-base-w12_8xb128_in21k-192px.py": 18,
    "swin_transformer_v2/swinv2-large-w12_8xb128_in21k-192px.py": 18,
}
CAUSES = {
    "bytetrack": r'base config ".*mot17halfval\.py" does not exist',
    "sort": r'base config ".*mot17halfval" does not exist\n?',
    "replknet": r"models/replknet-31B_in1k\.py:1: .*import of a non-builtin module",
    "swin_transformer_v2": "KeyError: 'test_pipeline'",
}


@pytest.fixture(scope="module")
def both(reference: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """What our and MMEngine's reader say about each file."""
    files = bench_config.config_files()
    return bench_config.measure("mm2pl.mmengine", files), bench_config.measure("mmengine", files)


def test_all_files_that_mmengine_reads_are_read(both: Any) -> None:
    ours, theirs = both
    read = {file for file, row in theirs.items() if "error" not in row}
    assert len(theirs) == 2484
    assert len(read) == 2474
    assert {file for file, row in ours.items() if "error" not in row} == read


@pytest.mark.parametrize("what", ["to_dict", "to_lazy_dict", "text", "filename"])
def test_all_files_say_the_same_as_in_mmengine(both: Any, what: str) -> None:
    ours, theirs = both
    read = [file for file, row in theirs.items() if "error" not in row]
    assert [file for file in read if ours[file].get(what) != theirs[file][what]] == []


def test_reading_takes_at_most_half_of_mmengines_cpu_time(both: Any) -> None:
    ours, theirs = map(bench_config.cpu_seconds, both)
    assert ours / theirs <= 0.5, f"{ours:.2f} s against MMEngine's {theirs:.2f} s"


def test_the_ten_broken_files_fail_with_file_line_and_cause(both: Any) -> None:
    errors = {file: row["error"] for file, row in both[0].items() if "error" in row}
    assert len(errors) == len(BROKEN)
    for file, error in errors.items():
        name, line = next((name, line) for name, line in BROKEN.items() if file.endswith(name))
        assert f"{file}:{line}" in error
        assert re.search(CAUSES[name.partition("/")[0]], error), error


def _readers(tmp_path: Path) -> dict[str, Callable[[Config], Config]]:
    """Ways to get a second config out of one."""

    def dumped(cfg: Config) -> Config:
        cfg.dump(tmp_path / "dumped.py")
        return Config.fromfile(tmp_path / "dumped.py", import_custom_modules=False)

    return {
        "dumped": dumped,
        "pickled": lambda cfg: pickle.loads(pickle.dumps(cfg)),
        "copied": copy.copy,
        "deeply copied": copy.deepcopy,
    }


def test_dumped_pickled_and_copied_configs_are_equal(
    both: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(bench_config.reference.WHEELS.resolve()))
    readers, different = _readers(tmp_path), []
    for file in (file for file, row in both[0].items() if "error" not in row):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            cfg = Config.fromfile(file, import_custom_modules=False)
        for name, value in cfg.to_dict().items():
            if isinstance(
                value, types.FunctionType
            ):  # scripts among the configs; cannot be pickled
                del cfg._cfg_dict[name]
        expected = cfg.to_dict()
        different += [
            (how, file) for how, again in readers.items() if again(cfg).to_dict() != expected
        ]
    assert different == []
