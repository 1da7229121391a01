"""Runs uses of configs with MMEngine or with ours and tells what comes out.

Each ``case_*`` of a ``cases_*.py`` gets an empty folder and returns what is compared.
``python harness.py FILE ...`` prints the outcomes with MMEngine.
"""

import json
import re
import runpy
import shutil
import sys
import textwrap
import types
import warnings
from pathlib import Path

MEASURE = Path(__file__).parents[3] / "parity" / "config_files" / "measure.py"


def write(folder, **files):
    """Write files; ``a__py="..."`` is ``a.py``, and ``d_in_a__py`` is ``d/a.py``."""
    for name, text in files.items():
        path = folder / (name.replace("_in_", "/").replace("__", ".", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))


def cases(file, package):
    """Return the cases of a file, run with ``package`` in place of ``mmengine``."""
    module = types.ModuleType(Path(file).stem)
    module.write = write  # so that cases need no import that only one side finds
    text = re.sub(r"^from mmengine", f"from {package}", Path(file).read_text(), flags=re.M)
    exec(compile(text, file, "exec"), module.__dict__)
    return {name: case for name, case in vars(module).items() if name.startswith("case_")}


def outcome(case, folder, canonical):
    """Return what a case returns, or the builtin types of the error that it raises."""
    folder.mkdir()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = case(folder)
    except Exception as error:
        names = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
        return {"error": names, "text": f"{type(error).__name__}: {error}"}
    return {"value": json.loads(json.dumps(canonical(value)))}


def outcomes(named_cases, root):
    """Run all cases, each in a folder that has the same name on both sides."""
    canonical = runpy.run_path(str(MEASURE))["canonical"]
    found = {}
    for number, (name, case) in enumerate(named_cases.items()):
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        found[name] = outcome(case, root / str(number), canonical)
    shutil.rmtree(root, ignore_errors=True)
    return found


def main():
    root, *files = sys.argv[1:]
    found = {name: case for file in files for name, case in cases(file, "mmengine").items()}
    print(json.dumps(outcomes(found, Path(root))))


if __name__ == "__main__":
    main()
