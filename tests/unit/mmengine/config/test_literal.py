"""Reading a config without running it: the same result, or every place that would be run."""

from __future__ import annotations

import re
import runpy
import textwrap
import warnings
from pathlib import Path
from typing import Any

import pytest

from mm2pl.errors import ConfigError, ConfigSyntaxError
from mm2pl.mmengine.config import Config
from mm2pl.mmengine.config._literal import NotLiteralError, Refusal, read_literal

PARITY = Path(__file__).parents[3] / "parity"
canonical = runpy.run_path(str(PARITY / "config_files" / "measure.py"))["canonical"]

# Files of a config; the last one is read.
READ: dict[str, dict[str, str]] = {
    "literals": {"a.py": "a = 1\nb = [1, (2, 3.5), {'x': None, 4: True}]\nc = -1e-3\nd = {1, 2}\n"},
    "strings": {"a.py": "'''doc'''\na = 'x' 'y'\nb = b'z'\nc = ...\nd = 2j\n"},
    "calls": {"a.py": "a = dict(x=1, y=dict())\nb = list((1, 2))\nc = tuple([1])\nd = list()\n"},
    "dict of a dict": {"a.py": "a = dict(x=1, z=2)\nb = dict(a, x=3)\nc = dict(y=0, **a)\n"},
    "unpacking": {"a.py": "a = dict(x=1)\nb = {'x': 2, **a, 'y': 3}\nc = [0, *(1, 2), *[3]]\n"},
    "repeated keys": {"a.py": "a = {'x': 1, 'y': 2, 'x': 3}\n"},
    "names": {"a.py": "n = dict(type='BN')\nm = dict(x=n, y=[n, n])\nn = 2\n"},
    "several targets": {"a.py": "a = b = [1]\nc, (d, e) = 1, (2, 3)\n"},
    "one object": {"a.py": "a = [1]\nb = dict(x=a)\na += [2]\na.append(3)\nb['y'] = a\n"},
    "arithmetic": {
        "a.py": "x = 2\na = 0.1 * 8 / x\nb = [1] * 3 + [x]\nc = 'a' * x + 'b'\nd = x**3\n"
    },
    "more arithmetic": {
        "a.py": "a = 7 // 2\nb = 7 % 2\nc = 7 - 2.5\nd = 2**-1\ne = not 0\nf = +1\n"
    },
    "assignment with an operator": {
        "a.py": "a = 1\na *= 3\nb = (1,)\nb += (2,)\nc = [a]\nc[0] -= 1\n"
    },
    "f-strings": {"a.py": "n = 50\na = f'r{n}_{n + 1}_{0.1:.0e}_{\"x\"!r}'\n"},
    "items": {"a.py": "a = dict(x=[1, 2, 3])\nb = a['x'][1:]\nc = 'abc'[::-1]\nd = a['x'][-1]\n"},
    "changes": {
        "a.py": "a = dict(x=1, y=[1])\na['z'] = 2\ndel a['x']\na['y'][0] = 5\nb = 1\ndel b\n"
    },
    "methods": {
        "a.py": "a = dict(x=dict(p=1))\na.update(dict(x=2), y=3)\nb = a.pop('x')\nc = a.copy()\n"
        "d = [1]\nd.extend((2, 3))\nd.insert(0, b)\ne = a.get('none', 4)\na.setdefault('q', [])\n"
    },
    "comprehensions": {
        "a.py": "r = (0.5, 1)\ni = 'kept'\na = [dict(f=i, g=[j * i for j in r]) for i in r]\n"
        "b = {f'k{i}': v for i, v in [(1, 2), (3, 4)]}\nc = [x + y for x in r for y in r]\n"
    },
    "the file's name": {"a.py": "a = __file__\n"},
    "_base_": {
        "b.py": "a = dict(x=1, y=dict(z=2))\nl = [1]\n",
        "a.py": "_base_ = './b.py'\na = dict(y=dict(z=3, w=4))\nl = [2]\n",
    },
    "_delete_": {
        "b.py": "a = dict(x=1, y=dict(z=2))\n",
        "a.py": "_base_ = ['b.py']\na = dict(_delete_=True, y=dict(_delete_=True, w=4))\n",
    },
    "values of the base": {
        "b.py": "a = dict(x=1, y=dict(z=[2, 3]))\n",
        "a.py": "_base_ = ['b.py']\nb = _base_.a.y.z\nc = {{_base_.a.y}}\nd = _base_.a['x'] + 1\n"
        "_base_.a.y.w = 5\n_base_.a.update(n=dict(m=1))\n_base_.a.y.z[0] = dict(k=1)\n"
        "e = '{{_base_.a.x}} times'\n",
    },
    "templates": {"a.py": "a = '{{ fileBasename }}'\nb = '{{$NOT_SET_HERE:standard}}'\n"},
    "deprecated": {"a.py": "_deprecation_ = dict(expected='b.py')\na = 1\n"},
    "custom imports": {"a.py": "custom_imports = dict(imports=['no_such_module_here'])\n"},
    "YAML": {"a.yaml": "a: !!python/tuple [1, 2]\nb: &x {c: 1e-3}\nd: *x\n"},
    "YAML and Python": {"b.py": "a = dict(x=(1, 2))\n", "a.yml": "_base_: b.py\na:\n  y: 1\n"},
    "JSON": {"b.json": '{"a": {"x": 1}}', "a.json": '{"_base_": "b.json", "a": {"y": [null]}}'},
    "pure Python": {
        "b.py": "from mmengine.optim import OptimWrapper\nfrom torch.optim import SGD\n"
        "optim = dict(type=OptimWrapper, optimizer=dict(type=SGD, lr=0.1))\nl = [dict(x=1)]\n",
        "a.py": "from mmengine.config import read_base\n"
        "import torch.nn as nn\nimport mmdet.models\n"
        "with read_base():\n    from .b import *\n    from .b import l as other\n"
        "optim.optimizer.lr = 0.2\noptim.update(dict(optimizer=dict(momentum=0.9)))\n"
        "m = dict(type=nn.Linear, n=mmdet.models.Det)\nl[0].x = 3\nother.pop()\n",
    },
}

# Code, and the refusals: line and what.
REFUSED: dict[str, list[tuple[int, str]]] = {
    "import os": [(1, "an import")],
    "import torch.nn\na = 1": [],
    "from os import system": [(1, "an import")],
    "from mmengine.config import read_base": [],
    "a = open('x')": [(1, "a call of open")],
    "import os\na = os.system('x')": [(1, "an import"), (2, "a call of os.system")],
    "a = __import__('os').system('x')": [(1, "a call of (...).system")],
    "a = [1].__class__": [(1, "the attribute (...).__class__")],
    "d = dict(); a = d.__class__": [(1, "the attribute d.__class__")],
    "d = dict(); d.__class__ = 1": [(1, "an assignment to something else than a name or an item")],
    "d = dict(x=1); a = d.keys()": [(1, "a call of d.keys")],
    "a = '{}'.format(1)": [(1, "a call of (...).format")],
    "a = round(0.5)": [(1, "a call of round")],
    "a = dict([('x', 1)])": [(1, "an unpacking (**) of a list")],
    "a = dict({}, {})": [(1, "a call of dict with several arguments")],
    "a = dict(x=1, **{'x': 2})": [
        (1, "it would raise TypeError: got multiple values for keyword argument 'x'")
    ],
    "a = dict(**{1: 2})": [(1, "it would raise TypeError: keywords must be strings")],
    "dict = 1\na = dict(x=1)": [(2, "a call of dict")],
    "a = str": [(1, "the builtin str")],
    "a = b": [(1, "the name 'b', which is not defined")],
    "a = __name__": [(1, "the builtin __name__")],
    "a = {}\nb = a['x']": [(2, "it would raise KeyError: 'x'")],
    "a = {'\ue002': True}\nb = a['x']": [(2, "it would raise KeyError: 'x'")],
    "a = 1 / 0": [(1, "it would raise ZeroDivisionError: division by zero")],
    "a = {[]: 1}": [(1, "it would raise TypeError: unhashable type: 'list'")],
    "a, b = 1, 2, 3": [
        (1, "it would raise ValueError: values do not fit the names to unpack them to")
    ],
    "del a": [(1, "it would raise KeyError: 'a'")],
    "for a in (1, 2):\n    print(a)\nb = a": [(1, "a for loop")],
    "while True:\n    pass": [(1, "a while loop")],
    "if True:\n    a = 1\nb = a": [(1, "an if statement")],
    "try:\n    a = 1\nfinally:\n    pass": [(1, "a try statement")],
    "@print\ndef f(a=print(1)):\n    pass": [(2, "a function definition")],
    "class A:\n    print(1)": [(1, "a class definition")],
    "a: print(1) = 2": [(1, "an assignment with an annotation")],
    "a = (b := 1)\nc = b": [(1, "an assignment within an expression")],
    "a = lambda: 1": [(1, "a lambda")],
    "a = 1 if 2 else 3": [(1, "a conditional expression")],
    "a = 1 < 2": [(1, "a comparison")],
    "a = 1 or 2": [(1, "`and` or `or`")],
    "a = [x for x in (1, 2) if x]": [(1, "a comprehension with `if` or `async`")],
    "a = [x for x in 'ab']": [(1, "a comprehension over a str")],
    "a = {x for x in (1, 2)}": [(1, "a set comprehension")],
    "a = dict(x=(y for y in (1, 2)))": [(1, "a generator expression")],
    "assert True": [(1, "code (Assert)")],
    "a = 1 << 2": [(1, "the operator LShift")],
    "a = '%s' % 1": [(1, "str % int")],
    "a = ~1": [(1, "an operator on a int")],
    "a = [1, 2]\na[0:1] = []": [(2, "a slice to assign to")],
    "a = 9**9**9": [(1, "a number too large (**)")],
    "a = 'x' * 10**9": [(1, "a str of 1000000000 elements")],
    "a = 10**9 * [1]": [(1, "a list of 1000000000 elements")],
    "a = f'{1:999999999}'": [(1, "the formatting of a int")],
    "a = f'{[1]}'": [(1, "the formatting of a list")],
    "a = []\na.append(a)": [(1, "a value that contains itself")],
    "a = dict(x=1)\na['a'] = a": [(1, "a value that contains itself")],
    "a = " + "(" * 60 + "1" + "+1)" * 60 + "\nb = [" + "[" * 99 + "]" * 99 + "]": [
        (2, "code nested deeper than 100")
    ],
}


def write(folder: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        (folder / name).write_text(text)
    return str(folder / list(files)[-1])


def refusals(file: str) -> list[tuple[str, int, str]]:
    with pytest.raises(NotLiteralError) as caught:
        read_literal(file)
    return [(Path(one.file).name, one.line, one.what) for one in caught.value.refusals]


def what_it_says(cfg: Config) -> list[Any]:
    return [
        canonical(cfg.to_dict()),
        canonical(cfg._to_lazy_dict()),
        canonical(cfg.to_dict(keep_imported=True)),
        cfg.text,
        cfg.filename,
        cfg.env_variables,
    ]


@pytest.mark.filterwarnings("ignore:The config file .* will be deprecated:DeprecationWarning")
@pytest.mark.parametrize("name", READ)
def test_what_is_read_is_what_running_the_file_gives(name: str, tmp_path: Path) -> None:
    file = write(tmp_path, READ[name])
    expected = Config.fromfile(file, import_custom_modules=False)
    assert what_it_says(read_literal(file)) == what_it_says(expected)


@pytest.mark.parametrize("code", REFUSED)
def test_what_is_no_data_is_refused_with_its_line(code: str, tmp_path: Path) -> None:
    file = write(tmp_path, {"a.py": code})
    if not REFUSED[code]:
        read_literal(file)
        return
    assert refusals(file) == [("a.py", line, what) for line, what in REFUSED[code]]


# TOUCH leaves a trace when it is run.
HOSTILE = """\
TOUCH
a = TOUCH
b = dict(x=TOUCH, **{'y': TOUCH})
c = [TOUCH for _ in (1,)]
d = f'{TOUCH}'
e = (f := TOUCH)
g = (1, 2)[TOUCH]
h = {TOUCH: 1}
class A: TOUCH
def i(j=TOUCH) -> TOUCH: TOUCH
k: TOUCH = 1
if TOUCH: TOUCH
assert TOUCH
l = lambda m=TOUCH: 1
(TOUCH).x = 1
del (TOUCH).x
while TOUCH: pass
for n in TOUCH: pass
raise TOUCH
import os
o = os.x(TOUCH)
p = dict(type='X').__class__.__mro__[1].__subclasses__()
q = [*TOUCH, (yield_ := 1)]
"""


@pytest.mark.parametrize("first", ["a = 1\n", "import touching_module\n"])
def test_nothing_of_a_hostile_file_runs(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace = tmp_path / "trace"
    touch = f'open("{trace}", "w").close()'
    (tmp_path / "touching_module.py").write_text(touch)
    monkeypatch.syspath_prepend(str(tmp_path))
    code = first + HOSTILE.replace("TOUCH", touch)
    lines = {line for _, line, _ in refusals(write(tmp_path, {"a.py": code}))}
    assert lines == set(range(2, 1 + len(code.splitlines())))
    assert len(lines) > 15
    assert not trace.exists()


def test_an_expression_for_the_bases_does_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    code = f"a = 1\n_base_ = [open({str(trace)!r}, 'w').name, 'none.py']\n"
    assert refusals(write(tmp_path, {"a.py": code})) == [("a.py", 2, "the attribute (...).name")]
    assert not trace.exists()


def test_all_places_of_a_config_and_its_bases_are_told_at_once(tmp_path: Path) -> None:
    files = {
        "c.py": "x = 1\ny = max(1, 2)\n",
        "b.py": "_base_ = 'c.py'\nz = [min(1, 2), {{_base_.x}}, abs(3)]\n",
        "a.py": "_base_ = 'b.py'\ny = dict(w=1)\nimport os\n",
    }
    file = write(tmp_path, files)
    assert refusals(file) == [
        ("c.py", 2, "a call of max"),
        ("b.py", 2, "a call of min"),
        ("b.py", 2, "a call of abs"),
        ("a.py", 3, "an import"),
    ]
    with pytest.raises(NotLiteralError, match=r"c\.py:2: a call of max\n.*b\.py:2: a call of min"):
        read_literal(file)


def test_what_a_refused_value_leads_to_is_not_told_as_well(tmp_path: Path) -> None:
    code = """\
        a = make()
        b = dict(x=a.y.z[3] + 1, **a)
        c = [*a, f'{a}']
        a.update(x=1)
        a.b.c = 2
        for d in a:
            e = d
        f = [e, d]
    """
    file = write(tmp_path, {"a.py": textwrap.dedent(code)})
    assert refusals(file) == [("a.py", 1, "a call of make"), ("a.py", 6, "a for loop")]


def test_a_small_file_cannot_unfold_to_a_large_config(tmp_path: Path) -> None:
    for line in ("x = [x, x]", "x = dict(a=x, b=x)", "x = [*x, *x]", "x = x + x", "x.extend(x)"):
        code = "x = [1]\n" + f"{line}\n" * 40
        found = refusals(write(tmp_path, {"a.py": code}))
        assert found[0][2].startswith(("a value that unfolds to", "a list of"))
    code = "_base_ = 'b.py'\n" + "_base_.a.x = [_base_.a.x, _base_.a.x]\n" * 40
    found = refusals(write(tmp_path, {"b.py": "a = dict(x=1)\n", "a.py": code}))
    assert found[0][2].startswith("a value that unfolds to")
    code = "x = 'a'\n" + "x = f'{x}{x}'\n" * 40
    assert refusals(write(tmp_path, {"a.py": code}))[0][2].startswith("a string of more than")
    code = "x = [0] * 1000\ny = [1 for a in x for b in x]\n"
    assert refusals(write(tmp_path, {"a.py": code}))[0][2].startswith("comprehensions of more")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.py", "a = " + "-" * 100_000 + "1"),
        ("a.py", "a = 1" + " + 1" * 20_000),
        ("a.py", "a" + ".a" * 20_000 + " = 1"),
        ("a.py", "x = []\n" + "x = [x]\n" * 5_000),
        ("a.json", '{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"),
        ("a.yaml", "a: " + "[" * 3_000 + "]" * 3_000),
    ],
    ids=["signs", "sum", "attributes", "statements", "JSON", "YAML"],
)
def test_deep_nesting_is_a_config_error(name: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        read_literal(write(tmp_path, {name: text}))


def test_yaml_tags_that_make_objects_are_refused_with_their_lines(tmp_path: Path) -> None:
    text = (
        "a: 1\nb: !!python/name:os.system\nc:\n  - !!python/object/apply:os.system [x]\n"
        "d: !!python/tuple [1]\n"
    )
    prefix = "the tag tag:yaml.org,2002:python"
    assert refusals(write(tmp_path, {"a.yaml": text})) == [
        ("a.yaml", 2, f"{prefix}/name:os.system"),
        ("a.yaml", 4, f"{prefix}/object/apply:os.system"),
    ]


def test_yaml_aliases_cannot_unfold_to_a_large_config(tmp_path: Path) -> None:
    lines = ["a0: &a0 [1, 1]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    found = refusals(write(tmp_path, {"a.yaml": "\n".join(lines)}))
    assert found[0][2].startswith("a value that unfolds to")


@pytest.mark.parametrize("text", ["a = (", "a = dict(x=1, y=)", "a = 1\x00"])
def test_a_syntax_error_is_that_of_the_usual_reader(text: str, tmp_path: Path) -> None:
    file = write(tmp_path, {"a.py": text})
    with pytest.raises(ConfigSyntaxError) as usual:
        Config.fromfile(file)
    with pytest.raises(ConfigSyntaxError) as ours:
        read_literal(file)
    assert str(ours.value) == str(usual.value)


def test_a_missing_base_is_told_as_by_the_usual_reader(tmp_path: Path) -> None:
    file = write(tmp_path, {"a.py": "_base_ = ['none.py']\n"})
    with pytest.raises(
        FileNotFoundError, match=r"a\.py:1: base config .*none\.py\" does not exist"
    ):
        read_literal(file)


def test_a_refusal_survives_a_process_border(tmp_path: Path) -> None:
    import pickle

    with pytest.raises(NotLiteralError) as caught:
        read_literal(write(tmp_path, {"a.py": "a = f()"}))
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.refusals == (Refusal(str(tmp_path / "a.py"), 1, "a call of f"),)
    assert str(again) == str(caught.value)


@pytest.mark.slow
def test_the_files_of_three_libraries_are_read_alike_or_refused(
    reference: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tools import bench_config

    monkeypatch.syspath_prepend(str(bench_config.reference.WHEELS.resolve()))
    counts = {"equal": 0, "different": 0, "refused": 0, "broken": 0}
    for file in bench_config.config_files():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            counts[compared(file)] += 1
    assert counts == {"equal": 2136, "different": 0, "refused": 340, "broken": 8}


def compared(file: str) -> str:
    """Say how a file that is read without running it compares to the usual way."""
    try:
        cfg = read_literal(file)
    except NotLiteralError:
        return "refused"
    except ConfigError as error:
        with pytest.raises(ConfigError, match=re.escape(str(error))):
            Config.fromfile(file, import_custom_modules=False)
        return "broken"
    expected = Config.fromfile(file, import_custom_modules=False)
    return "equal" if what_it_says(cfg) == what_it_says(expected) else "different"
