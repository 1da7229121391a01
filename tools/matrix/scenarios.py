"""Records what each parity scenario runs, without training; prints it as JSON.

``python tools/matrix/scenarios.py`` runs the scenario functions and the cases over several
processes with a runner that only notes its config and what is called on it. A scenario may fail
on what such a runner answers; what it has noted until then counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import tempfile
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

ROOT = Path(__file__).parents[2]
PARITY = ROOT / "tests" / "parity"
Noted = dict[str, list[Any]]


class NotedRunner:
    """Notes which of its attributes are used, and answers anything."""

    def __init__(self, noted: Noted) -> None:
        self.__dict__["_noted"] = noted
        self.__dict__["_answers"] = {}

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self._noted["attributes"].append(name)
        answer = self._answers.setdefault(name, MagicMock(side_effect=self._note_call))
        answer.__iter__.return_value = iter(())
        return answer

    def _note_call(self, *args: Any, **kwargs: Any) -> Any:
        self._noted["sections"] += [one for one in (*args, *kwargs.values()) if is_config(one)]
        return MagicMock()


def is_config(value: Any) -> bool:
    return isinstance(value, (dict, list)) and bool(value)


def plain(value: Any) -> Any:
    """Return a config as JSON; of objects, the names of their classes."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in dict(value).items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    kind = value if isinstance(value, type) else type(value)
    return f"<{kind.__name__}>"


def of_scenarios() -> Iterator[tuple[str, Noted]]:
    """Run each scenario with a Case whose runners are stand-ins."""
    sys.path.insert(0, str(PARITY / "harness"))
    import case as case_module
    import drive

    class NotingCase(case_module.Case):  # type: ignore[misc]
        def __init__(self, work_dir: Path, noted: Noted) -> None:
            super().__init__(work_dir)
            self.noted = noted

        def keep(self, make: Any, *args: Any, **kwargs: Any) -> Any:
            self.noted["configs"].append(dict(args[0]) if args else kwargs)
            return NotedRunner(self.noted)

        def exchange(self, checkpoint: str) -> Path:
            return self.work_dir / checkpoint

    for name, function in sorted(drive.load(set()).items()):
        noted: Noted = {"configs": [], "sections": [], "attributes": []}
        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Exception):
            function(NotingCase(Path(folder), noted))
        yield name, noted


def of_distributed_cases() -> Iterator[tuple[str, Noted]]:
    """Run each case over several processes in this one, with a stand-in for the runner."""
    sys.path.insert(0, str(PARITY / "distributed"))
    import cases

    for case in [*cases.CASES, *cases.ALONE]:
        noted: Noted = {"configs": [], "sections": [], "attributes": []}

        def make(*args: Any, noted: Noted = noted, **kwargs: Any) -> NotedRunner:
            noted["configs"].append({**(args[0] if args else {}), **kwargs})
            return NotedRunner(noted)

        def flexible(*args: Any, noted: Noted = noted, **kwargs: Any) -> NotedRunner:
            return make(*args, noted=noted, runner_type="FlexibleRunner", **kwargs)

        cases.Runner = _Maker(make)
        cases.FlexibleRunner = _Maker(flexible)
        cases.RUNNERS = types.SimpleNamespace(build=make)
        cases.left_by = lambda runner: {}
        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Exception):
            case(case.__name__, folder)
        yield case.__name__, noted


class _Maker:
    """Stands for a class of runners."""

    def __init__(self, make: Any) -> None:
        self.make = make

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.make(*args, **kwargs)

    def from_cfg(self, cfg: Mapping[str, Any]) -> Any:
        return self.make(cfg)


def main() -> None:
    import mm2pl

    mm2pl.install_as_mmengine()
    answer = sys.stdout
    with open(os.devnull, "w") as nowhere:
        sys.stdout = sys.stderr = nowhere
        found = {
            "scenarios": {name: plain(noted) for name, noted in of_scenarios()},
            "distributed": {name: plain(noted) for name, noted in of_distributed_cases()},
        }
    print(json.dumps(found), file=answer)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
