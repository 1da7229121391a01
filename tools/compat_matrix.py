"""Writes compat_matrix.md from the rows that the code itself uses and the tests that prove them.

python tools/compat_matrix.py                 write the file
python tools/compat_matrix.py --check         exit with 1 and show the difference if it is stale
python tools/compat_matrix.py --check --rows  the same, without reading all config files
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from tools.matrix import files  # noqa: E402
from tools.matrix.proofs import SIGNATURES, Proofs, collected  # noqa: E402
from tools.matrix.rows import Row, Section, sections  # noqa: E402

FILE = ROOT / "compat_matrix.md"
SHOWN = 2  # tests a row

INTRODUCTION = """\
# What of MMEngine 0.10.7 works here

Written by `make matrix` from the rows that the code itself reads configs by, from the classes in
its registries, from its marks for what is unsupported, and from the tests; a test fails when this
file is stale, and when a row that claims to work has no proof.

| here | meaning |
|---|---|
| as is | does what it does in MMEngine |
| translated | something of Lightning's does it, with the same result |
| approximated | does nearly the same; the row says what differs |
| no effect | is read and changes nothing here; the row says why |
| decided by its class | is handed to the class that `type` names |
| added by the library's profile | `mm2pl fit`, `validate` and `test` fill it in |
| mm2pl's own | MMEngine does not have it |
| unsupported | using it raises an error with this reason |

*Proven by* names the most telling tests, and how many more there are, below `tests/`:

- `parity: x.y` runs scenario `y` of `parity/scenarios/x.py` with MMEngine and with mm2pl, and
  compares all hooks' views, logs, files and weights to the last bit (`parity/test_parity.py`);
- `parity, 2 processes: y` does so for a case of `parity/distributed/cases.py`;
- `path::test` is a test that uses it or is marked to prove it, many of them against MMEngine as
  well; a `path` alone is a file of cases that the tests beside it run with both engines;
- *signature* says that name, signature, bases and methods are MMEngine's and no more is tested.

Smaller differences, in things that are supported: [docs/differences.md](docs/differences.md). What
becomes of [all config files of three libraries](#all-config-files-of-three-libraries) stands at the
end.
"""


def rows_part() -> str:
    """Return the first part: what of MMEngine works here, and which tests prove it.

    Raises:
        ValueError: A row has no proof, or a mark in a test proves no row.
    """
    found = sections()
    proofs = collected(row for section in found for row in section.rows)
    problems = [f"no test proves {name}" for name in proofs.unproven()]
    problems += [f"{tests[0]}: no row {row!r}" for row, tests in proofs.unknown_claims.items()]
    if problems:
        raise ValueError("\n".join(problems))
    return "\n".join([INTRODUCTION, *(_section(one, proofs) for one in found)])


def _section(section: Section, proofs: Proofs) -> str:
    parts = [f"{section.title}\n", section.text] if section.text else [f"{section.title}\n"]
    if section.rows:
        parts.append(_table(section.first, section.rows, proofs))
    return "\n".join(parts)


def _table(first: str, rows: Iterable[Row], proofs: Proofs) -> str:
    lines = [f"| {first} in MMEngine | here | proven by |", "|---|---|---|"]
    for row in rows:
        here = f"{row.status}: {row.text}" if row.text else row.status
        cells = (row.shown, here, _proven_by(proofs.tests[row.name]))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _proven_by(tests: list[str]) -> str:
    if tests == [SIGNATURES]:
        return "*signature*"
    shown = ", ".join(f"`{test}`" for test in tests[:SHOWN])
    return f"{shown} and {len(tests) - SHOWN} more" if len(tests) > SHOWN else shown


def files_part(document: str) -> str:
    """Return the second part as a document has it."""
    return files.BEGIN + document.partition(files.BEGIN)[2]


def stale_lines(old: str, new: str) -> list[str]:
    """Return the lines that only one of two texts has, marked by ``-`` and ``+``."""
    changes = difflib.unified_diff(old.splitlines(), new.splitlines(), "file", "code", "", "", 0)
    return [line.rstrip() for line in changes]


def main(arguments: list[str]) -> int:
    """Write or check the file; return the exit status."""
    old = FILE.read_text() if FILE.exists() else ""
    try:
        rows = rows_part()
    except ValueError as error:
        print(error)
        return 1
    rest = files_part(old) if "--rows" in arguments else files.generate()
    text = f"{rows}\n{rest}"
    if "--check" not in arguments:
        FILE.write_text(text)
        return 0
    stale = stale_lines(old, text)
    if stale:
        print(*stale, f"{FILE.name} is stale: run `make matrix`", sep="\n")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
