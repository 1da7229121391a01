from __future__ import annotations

import unittest
from pathlib import Path

import pytest

from mm2pl.mmengine.registry import DATASETS, METRICS, MODELS
from mm2pl.mmengine.runner import Runner
from mm2pl.mmengine.testing import RunnerTestCase

assert Runner  # imported before any test: Lightning writes an environment variable when it is


class _Case(RunnerTestCase):
    __test__ = False  # it is run by the tests below
    seen: list[object] = []

    def test_epochs(self) -> None:
        runner = self.build_runner(self.epoch_based_cfg)
        runner.train()
        self.seen.append((runner.epoch, runner.iter))
        self.clear_work_dir()
        self.seen.append(list(Path(self.temp_dir.name).iterdir()))

    def test_iterations(self) -> None:
        runner = self.build_runner(self.iter_based_cfg)
        runner.train()
        self.seen.append(runner.iter)
        self.seen.append(runner.experiment_name)

    def test_names(self) -> None:
        self.seen.append(self.experiment_name != self.experiment_name)


@pytest.fixture
def seen() -> list[object]:
    _Case.seen.clear()
    return _Case.seen


def _run(name: str) -> None:
    result = unittest.TestResult()
    _Case(name).run(result)
    assert result.wasSuccessful(), result.errors + result.failures


def test_the_epoch_based_config_trains(seen: list[object]) -> None:
    _run("test_epochs")
    assert seen == [(2, 8), []]


def test_the_iteration_based_config_trains_under_the_tests_name(seen: list[object]) -> None:
    _run("test_iterations")
    assert seen[0] == 12
    assert str(seen[1]).startswith("test_iterations_")


def test_each_experiment_has_its_own_name(seen: list[object]) -> None:
    _run("test_names")
    assert seen == [True]


def test_the_toys_are_forgotten(seen: list[object]) -> None:
    _run("test_names")
    for registry, toy in ((MODELS, "ToyModel"), (METRICS, "ToyMetric"), (DATASETS, "ToyDataset")):
        assert registry.get(toy) is None
