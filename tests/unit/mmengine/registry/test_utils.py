from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mm2pl.mmengine.registry import (
    Registry,
    count_registered_modules,
    root,
    traverse_registry_tree,
)


def test_the_tree_is_listed_from_its_root_by_the_folders_of_the_code() -> None:
    parent = Registry("p", scope="p")
    child = Registry("c", parent=parent, scope="c")
    parent.register_module(name="registry", module=Registry)
    child.register_module(name="dumps", module=json.dumps)
    assert traverse_registry_tree(child, verbose=False) == [
        {"num_modules": 1, "scope": "p", "mmengine/registry": ["registry"]},
        {"num_modules": 1, "scope": "c", "": ["dumps"]},
    ]


def test_each_registry_is_logged_if_asked(logged: Any) -> None:
    traverse_registry_tree(Registry("r", scope="s"))
    assert logged == [(20, "Find 0 modules in s's 'r' registry ")]


def test_all_root_registries_are_counted_and_saved(tmp_path: Path, logged: Any) -> None:
    counted = count_registered_modules(str(tmp_path), verbose=False)
    roots = [name for name, value in vars(root).items() if isinstance(value, Registry)]
    assert sorted(counted["registries"]) == sorted(roots)
    samplers = counted["registries"]["DATA_SAMPLERS"][0]
    assert set(samplers["mmengine/dataset"]) == {"DefaultSampler", "InfiniteSampler"}
    saved = tmp_path / "modules_statistic_results.json"
    assert json.loads(saved.read_text()) == counted
    assert [line for _, line in logged] == [f"Result has been saved to {saved}"]


@pytest.mark.parametrize("verbose", [True, False])
def test_counting_is_logged_if_asked(verbose: bool, logged: Any) -> None:
    count_registered_modules(verbose=verbose)
    assert any(line.startswith("Finish registry analysis") for _, line in logged) == verbose
