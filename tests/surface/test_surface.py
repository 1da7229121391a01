"""What MMEngine has and how it is called, name by name, against the real MMEngine."""

from __future__ import annotations

import json
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from mm2pl.support import MISSING_MODULES
from tests.surface.compare import differences
from tests.surface.used_names import names_in
from tools import reference as reference_tool

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
LIBRARIES = ("mmpretrain", "mmdet", "mmseg", "mmpose", "mmaction", "mmcv")

# Names that differ, and why that does no harm. Each pattern must be needed.
_ANNOTATION = "an alias for annotations; nothing reads it"
_STDOUT = "`file=None` is the standard output of the call, not of the import"
_VENDOR = "the vendor's torch plugin gives every module this method"
_TORCH = "torch's own: the device is taken from a buffer, which needs no override"
_TABLE = {
    "mmengine._strategy.colossalai.*": "ColossalAI is not supported",
    "mmengine._strategy.deepspeed.*": "Lightning's strategy does it by itself",
    "mmengine._strategy.fsdp.*": "Lightning's strategy does it by itself",
    "mmengine._strategy.base.ParamSchedulerType": _ANNOTATION,
    "mmengine.analysis.jit_analysis.T": "a type variable",
    "mmengine.utils.manager.T": "a type variable",
    "mmengine.config.utils.*": "parts of MMEngine's parser of configs, which is another one here",
    "mmengine.fileio.backends.__all__": "one backend more, on fsspec",
    "mmengine.fileio.backends.*backends": "one backend more, on fsspec",
    "mmengine.fileio.file_client.FileClient.*": "the backend's own, reached by `__getattr__`",
    "mmengine.hooks.checkpoint_hook.CheckpointHook.after_train_iter": (
        "MMEngine's default for `outputs` is a type, by mistake"
    ),
    "mmengine.hooks.*.DATA_BATCH": _ANNOTATION,
    "mmengine.hooks.logger_hook.SUFFIX_TYPE": _ANNOTATION,
    "mmengine.hooks.profiler_hook.check_kineto": "every torch that is supported has Kineto",
    "mmengine.*.cpu": _TORCH,
    "mmengine.*Preprocessor.cuda": _TORCH,
    "mmengine.*.[mn][lp]u": _VENDOR,
    "mmengine.*.musa": _VENDOR,
    "mmengine.model.base_model.data_preprocessor.CastData": _ANNOTATION,
    "mmengine.structures.instance_data.*TypeTensor": _ANNOTATION,
    "mmengine.optim.*ZeroRedundancyOptimizer*": (
        "torch's class becomes a base when the first is made: its import takes seconds"
    ),
    "mmengine.optim.optimizer.builder.NPU_OPTIMIZERS": "torch_npu's optimizers are not registered",
    "mmengine.optim.optimizer.builder.register_*": "ran at import; one function is in their place",
    "mmengine.runner.*ConfigType": _ANNOTATION,
    "mmengine.runner.*OptimWrapperType": _ANNOTATION,
    "mmengine.runner.*ParamSchedulerType": _ANNOTATION,
    "mmengine.runner.*Runner.__init__": "a mutable default is None",
    "mmengine.runner._flexible_runner.FlexibleRunner.build_strategy": "a mutable default is None",
    "mmengine.runner._flexible_runner.FlexibleRunner.logger": "an attribute of the instance",
    "mmengine.runner.activation_checkpointing.wrap_forward": "a helper of one function",
    "mmengine.runner.checkpoint.*_*_*": "names of environment variables, where torch.hub has them",
    "mmengine.runner.checkpoint.load_from_ceph": "the backend is not named in code",
    "mmengine.utils.*load_url": "`weights_only=True`: no code of a file is run",
    "mmengine.utils.progressbar.*": _STDOUT,
}


def _run(script: str, *args: str, ours: bool, text: str | None = None) -> Any:
    environment = reference_tool.environment()
    if ours:
        environment["PYTHONPATH"] = str(REPOSITORY)
    done = subprocess.run(
        [sys.executable, str(HERE / script), *args],
        env=environment,
        input=text,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def theirs(reference: Any) -> Any:
    return _run("describe.py", ours=False)


@pytest.fixture(scope="module")
def differing(theirs: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    names = tmp_path_factory.mktemp("surface") / "names.json"
    names.write_text(json.dumps(theirs))
    ours = _run("describe.py", "--ours", str(names), ours=True)
    return dict(differences(theirs, ours))


def test_every_module_of_mmengine_is_looked_at(theirs: Any) -> None:
    assert theirs["failed"] == {}
    assert len(theirs["surface"]) > 100


def test_every_name_is_there_with_mmengines_kind_signature_bases_and_methods(
    differing: dict[str, str],
) -> None:
    unknown = {name: what for name, what in differing.items() if not _reasons(name)}
    assert unknown == {}


def test_every_row_of_the_table_is_needed(differing: dict[str, str]) -> None:
    needed = {pattern for name in differing for pattern in _reasons(name)}
    assert set(_TABLE) | set(MISSING_MODULES) == needed


def _reasons(name: str) -> list[str]:
    """Return the rows of the table, and the missing modules, that a name falls under."""
    modules = [m for m in MISSING_MODULES if name == m or name.startswith(f"{m}.")]
    return modules + [pattern for pattern in _TABLE if fnmatchcase(name, pattern)]


def _unresolved(names: list[str]) -> dict[str, tuple[str, str]]:
    """Return the names that MMEngine has and we have not, markers aside."""
    text = "\n".join(names)
    theirs, ours = (_run("resolve.py", *args, ours=bool(args), text=text) for args in _DOORS)
    found = {name: (theirs[name], ours[name]) for name in names}
    return {name: pair for name, pair in found.items() if not pair[0] and pair[1] not in _FINE}


_DOORS: tuple[tuple[str, ...], ...] = ((), ("--ours",))
_FINE = ("", "marker")


def test_each_name_that_twelve_libraries_import_resolves(reference: Any) -> None:
    names = (HERE / "census_names.txt").read_text().split()
    assert len(names) > 250
    assert _unresolved(names) == {}


def test_each_name_in_the_source_of_six_libraries_resolves(reference: Any) -> None:
    names = set().union(*(names_in(reference_tool.LIBRARIES / name) for name in LIBRARIES))
    assert len(names) > 250
    assert _unresolved(sorted(names)) == {}
