"""What libraries register beside MMEngine's classes: no name of theirs is taken for another's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mm2pl.plan import Status
from mm2pl.translate.classes import OVERRIDDEN, classes, find
from tools import reference as reference_tool

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent
LIBRARIES = ("mmpretrain", "mmseg", "mmdet", "mmpose", "mmaction")


@pytest.fixture(scope="module")
def registered() -> dict[str, dict[str, list[str]]]:
    reference_tool.install()
    paths = [HERE / "stubs", reference_tool.LIBRARIES, HERE.parents[1]]
    done = subprocess.run(
        [sys.executable, str(HERE / "registered" / "program.py"), *LIBRARIES],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "MM2PL_STUB_MMCV_OPS": "1",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    printed = json.loads(done.stdout.splitlines()[-1])
    # mmaction2 1.2.0 forgot a file.
    assert set(printed["failed"]) <= {"mmaction.models"}
    names: dict[str, dict[str, list[str]]] = printed["names"]
    return names


def test_the_names_that_a_library_shares_with_mmengine_are_listed(registered: Any) -> None:
    shared: dict[str, dict[str, set[str]]] = {}
    for registry_name, rows in classes().items():
        own = {name for name, known in rows.items() if not known.is_optional}
        for library, names in registered[registry_name].items():
            if own & set(names):
                shared.setdefault(library, {})[registry_name] = own & set(names)
    listed = {
        library: {registry_name: set(names) for registry_name, names in OVERRIDDEN[library].items()}
        for library in LIBRARIES
    }
    assert shared == listed


def test_every_class_of_a_library_is_decided_by_its_class(registered: Any) -> None:
    wrong = [
        (registry_name, library, name)
        for registry_name in classes()
        for library, names in registered[registry_name].items()
        for name in names
        if find(name, registry_name, library).status is not Status.BY_CLASS
        or find(f"{library}.{name}", registry_name).status is not Status.BY_CLASS
    ]
    assert wrong == []
    assert sum(len(names) for by in registered.values() for names in by.values()) > 700
