"""Networks of mmpretrain's cost with mm2pl what they cost with MMEngine, module by module."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.downstream.engines import run_both
from tests.parity.compare import first_difference

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("analyses") / "program.py"
NETWORKS = ("resnet", "vit", "swin", "convnext", "mobilenet", "efficientnet")


@pytest.fixture(scope="session")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return run_both(tmp_path_factory, PROGRAM, lambda folder: [])


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_costs_what_it_costs_with_mmengine(network: str, results: dict[str, Any]) -> None:
    ours, theirs = results["mm2pl"][network], results["mmengine"][network]
    assert theirs["info"]["flops"] > 1e7
    assert first_difference(ours, theirs) is None
