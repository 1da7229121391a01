"""The second part: what becomes of every config file of three libraries."""

from __future__ import annotations

import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from mm2pl.mmengine.config import Config
from mm2pl.plan import Note, Status
from mm2pl.translate import examine
from tools import reference
from tools.bench_config import config_files

LIBRARIES = {"mmpretrain": "mmpretrain 1.2.0", "mmdet": "mmdet 3.3.0", "mmseg": "mmseg 1.2.2"}
# Worst first: a file counts under the first that one of its keys has.
KINDS = ("unreadable", "part", "refused", "unsupported", "approximated", "no effect or unknown")
FULLY = "fully translated"
_FINDINGS = {
    Status.UNSUPPORTED: "unsupported",
    Status.APPROXIMATED: "approximated",
    Status.NO_EFFECT: "no effect or unknown",
    Status.UNKNOWN: "no effect or unknown",
}
BEGIN = "## All config files of three libraries\n"
EXPLANATION = """
Each file of the wheels, read as `mm2pl check` reads it. *Parts* are files that others build on,
without a model. *Refused* are those in which something is wrong that MMEngine refuses too when it
builds that part. Each file counts once, by the worst that is found in it; a file that is *fully
translated* has keys that are as is, translated, decided by their class or the file's own variables,
and no others.
"""


@dataclass(frozen=True)
class Found:
    """What becomes of one file.

    Attributes:
        library: Whose it is.
        kind: One of ``KINDS``, or ``FULLY``.
        reasons: Why, once each; empty if there is nothing to say.
    """

    library: str
    kind: str
    reasons: tuple[str, ...] = ()


def look_at(file: str) -> Found:
    """Read and examine one config file."""
    library = Path(file).relative_to(reference.WHEELS.resolve()).parts[0]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cfg = Config.fromfile(file, import_custom_modules=False)
    except Exception as error:
        return Found(library, "unreadable", (_cause(error, file),))
    if cfg.get("model") is None:
        return Found(library, "part")
    examination = examine(cfg, file)
    problems = [one for one in examination.problems if not isinstance(one, NotImplementedError)]
    findings: dict[str, list[str]] = {}
    for note in examination.plan.notes:
        if note.status in _FINDINGS:
            findings.setdefault(_FINDINGS[note.status], []).append(_reason(note))
    if problems:
        findings["refused"] = [f"`{one.key_path}`: {one.message}" for one in problems]
    kind = next((kind for kind in KINDS if kind in findings), FULLY)
    return Found(library, kind, tuple(sorted({one for some in findings.values() for one in some})))


def _reason(note: Note) -> str:
    key = "".join(part if not part.isdigit() else "N" for part in _pieces(note.key_path))
    return f"`{key}`: {note.status.value}, {note.text}"


def _pieces(key_path: str) -> Iterable[str]:
    word = ""
    for letter in key_path:
        if letter in "[].":
            yield from (word, letter)
            word = ""
        else:
            word += letter
    yield word


def _cause(error: Exception, file: str) -> str:
    """Return the first line of an error without folders, which differ between machines."""
    folder = str(reference.WHEELS.resolve())
    text = str(error).splitlines()[0].replace(f"{folder}/", "")
    name = Path(file).relative_to(folder)
    return text.split(f"{name}:", 1)[-1].lstrip("0123456789: ")


def examined(files: list[str]) -> list[Found]:
    """Look at all files with the two processes that a small machine has."""
    with ProcessPoolExecutor(2, get_context("spawn"), _find_wheels) as pool:
        return list(pool.map(look_at, files, chunksize=50))


def _find_wheels() -> None:
    """Put the wheels on the path: configs name each other across packages."""
    sys.path.append(str(reference.WHEELS.resolve()))


def tables(found: list[Found]) -> str:
    """Return the part's text."""
    return "\n".join([BEGIN, EXPLANATION.strip() + "\n", _counts(found), _reasons(found)])


def _counts(found: list[Found]) -> str:
    kinds = (FULLY, *reversed(KINDS))
    counts = Counter((one.library, one.kind) for one in found)
    counts.update(("all", one.kind) for one in found)
    lines = [f"| library | files | {' | '.join(kinds)} |", "|---|" + "---:|" * (len(kinds) + 1)]
    for library, name in {**LIBRARIES, "all": "all"}.items():
        numbers = [counts[library, kind] for kind in kinds]
        lines.append("| " + " | ".join(map(str, [name, sum(numbers), *numbers])) + " |")
    return "\n".join(lines) + "\n"


def _reasons(found: list[Found]) -> str:
    """Return the reasons with the number of files of each library that has them."""
    by_reason: dict[str, Counter[str]] = {}
    for one in found:
        for reason in one.reasons:
            by_reason.setdefault(reason, Counter())[one.library] += 1
    ordered: Mapping[str, Counter[str]] = dict(
        sorted(by_reason.items(), key=lambda item: (-item[1].total(), item[0]))
    )
    lines = [f"| reason | {' | '.join(LIBRARIES)} |", "|---|" + "---:|" * len(LIBRARIES)]
    for reason, counts in ordered.items():
        cells = [reason.replace("|", "\\|"), *(str(counts[library]) for library in LIBRARIES)]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def generate() -> str:
    """Return the text of the part, from the files of the reference's wheels."""
    reference.install()
    return tables(examined(config_files()))
