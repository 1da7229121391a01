"""Cases of mmengine.utils; see differential.py."""

from __future__ import annotations

import io
import os
import tempfile
import warnings
from collections import OrderedDict, defaultdict, namedtuple
from pathlib import Path
from typing import Any
from unittest import mock

from tests.unit.mmengine.utils.differential import Package, outcome

Point = namedtuple("Point", "x y")
VERSIONS = [
    *("1.0", "1.2.3", "1.2.3.4.5", "2", "1!2.0"),
    *("2.1.0rc1", "2.0a0", "2.0b3", "1.0.dev5", "0.0.1rc2.dev1", "1.0.post2"),
    *("1.13.1+cu117", "1.10.0a0+git36449ea", "nonsense", "parrots"),
]
PREDICATES = ("is_str", "is_filepath")
CASTS: list[tuple[str, tuple[Any, ...]]] = [
    ("list_cast", ([1, "2", 3.5], str)),
    ("tuple_cast", ((1, 2), float)),
    ("list_cast", (5, int)),
    ("list_cast", ([1], "int")),
    ("iter_cast", ([1], str, set)),
    ("iter_cast", ([1], str, dict)),
    ("slice_list", ([1, 2, 3, 4], 2)),
    ("slice_list", ([1, 2, 3, 4], [1, 0, 3])),
    ("slice_list", ([1, 2, 3], 2)),
    ("slice_list", ([1, 2, 3], [1, 1])),
    ("slice_list", ([1, 2, 3], (1, 2))),
    ("slice_list", ("abcd", [1, 3])),
    ("concat_list", ([[1], [], [2, 3]],)),
    ("concat_list", (([1], (2,)),)),
    ("is_seq_of", (["a"], str)),
    ("is_seq_of", ("ab", str)),
    ("is_seq_of", ([], int)),
    ("is_seq_of", ([1, "a"], (int, str))),
    ("is_seq_of", ({1}, int)),
    ("is_seq_of", ((1,), int, list)),
    ("is_seq_of", ((1,), int, "tuple")),
    ("is_list_of", ([True], int)),
    ("is_list_of", ((1,), int)),
    ("is_tuple_of", ((1, 2.0), int)),
    ("is_tuple_of", ((), int)),
    ("is_abs", ("/a",)),
    ("is_abs", ("a/b",)),
    ("is_abs", ("s3://a",)),
    ("is_abs", ("https://a",)),
    ("is_abs", ("gs://a",)),
    ("has_method", ("text", "upper")),
    ("has_method", (Point(1, 2), "x")),
    ("has_method", ("text", "no")),
    ("check_file_exist", ("/no/such/file",)),
    ("check_file_exist", (__file__,)),
    ("fopen", (3,)),
    ("get_object_from_string", ("os.path.join",)),
    ("get_object_from_string", ("collections.OrderedDict.fromkeys.__name__",)),
    ("get_object_from_string", ("os.path.nothing",)),
    ("get_object_from_string", ("no_such_module.x",)),
    ("get_object_from_string", ("collections.OrderedDict.no.such",)),
    ("import_modules_from_strings", (None,)),
    ("import_modules_from_strings", ([],)),
    ("import_modules_from_strings", (("json",),)),
    ("import_modules_from_strings", ([1],)),
    ("import_modules_from_strings", ("no_such_module",)),
    ("import_modules_from_strings", (["json", "no_such_module"], True)),
    ("import_modules_from_strings", ("no_such_module", True)),
    ("is_installed", ("torch",)),
    ("is_installed", ("PyYAML",)),
    ("is_installed", ("yaml",)),
    ("is_installed", ("json",)),
    ("is_installed", ("no-such-package",)),
    ("is_installed", ("torch>=1.0",)),
    ("get_installed_path", ("torch",)),
    ("get_installed_path", ("PyYAML",)),
    ("get_installed_path", ("json",)),
    ("get_git_hash", ("none", "7")),
]


def names(m: Package) -> Any:
    return [sorted(m.utils.__all__), sorted(m.module("utils.dl_utils").__all__)]


def ntuples(m: Package) -> Any:
    values = [1, "ab", (1, 2, 3), [4], None]
    sizes = ["to_1tuple", "to_2tuple", "to_3tuple", "to_4tuple"]
    return [getattr(m.utils, size)(v) for size in sizes for v in values] + [m.utils.to_ntuple(5)(0)]


def calls(m: Package) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [[name, outcome(getattr(m.utils, name), *args)] for name, args in CASTS]


def predicates(m: Package) -> Any:
    values = ["a", Path("a"), b"a", None, 1]
    return [getattr(m.utils, name)(value) for name in PREDICATES for value in values]


def digit_versions(m: Package) -> Any:
    return [
        [version, length, outcome(m.utils.digit_version, version, length)]
        for version in VERSIONS
        for length in (4, 2, 6)
    ]


def managed(m: Package) -> Any:
    class Named(m.utils.ManagerMixin):
        def __init__(self, name: str = "", value: int = 0) -> None:
            super().__init__(name)
            self.value = value

    class Child(Named):
        pass

    def nameless() -> Any:
        return m.utils.ManagerMeta("Nameless", (), {"__init__": lambda self, other: None})

    nothing_yet = outcome(Named.get_current_instance)
    first, second = Named.get_instance("a", value=1), Named.get_instance("b")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        again = Named.get_instance("a", value=2)
    return [
        nothing_yet,
        [first.value, first.instance_name, again is first, len(caught)],
        Named.get_current_instance() is second,
        [Named.check_instance_created("a"), Child.check_instance_created("a")],
        outcome(Child.get_current_instance),
        Child("unregistered").instance_name,
        Child.check_instance_created("unregistered"),
        outcome(Named),
        outcome(Named, 5),
        outcome(nameless),
    ]


def applied(m: Package) -> Any:
    nested = OrderedDict(a=[1, (2, "x")], b=Point(3, {"c": 4}), d=defaultdict(None))
    return m.utils.apply_to(nested, lambda x: isinstance(x, int), lambda x: x * 10)


def overridden(m: Package) -> Any:
    class Base:
        def f(self) -> None: ...
        def g(self) -> None: ...

    class Derived(Base):
        def f(self) -> None: ...

    check = m.utils.is_method_overridden
    return [
        check("f", Base, Derived),
        check("g", Base, Derived),
        check("f", Base, Derived()),
        outcome(lambda: check("f", Base(), Derived)),
    ]


def renamed_arguments(m: Package) -> Any:
    @m.utils.deprecated_api_warning({"old": "new"}, cls_name="Class")
    def function(new: Any = 0, other: Any = 0) -> Any:
        return new, other

    @m.utils.deprecated_api_warning({"old": "new"})
    def keeps_old(old: Any, new: Any = 0) -> Any:
        return old, new

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        results = [
            function(old=1),
            function(1, other=2),
            outcome(function, old=1, new=2),
            keeps_old(1),
        ]
    return results, [(w.category.__name__, str(w.message)) for w in caught]


def deprecated_docstrings(m: Package) -> Any:
    docs = [None, "One line.", "Summary.\n\n    Body\n        more.\n    ", "Two\n    lines.\n\nB"]
    found = []
    for doc in docs:

        def function() -> int:
            return 1

        function.__doc__ = doc
        wrapped = m.utils.deprecated_function("1.0", "2.0", "use that")(function)
        found.append([wrapped.__doc__, wrapped.__name__])
    return found


def prerequisites(m: Package) -> Any:
    out = io.StringIO()

    def function() -> int:
        return 1

    with mock.patch("sys.stdout", out):
        results = [
            outcome(m.utils.requires_package("json")(function)),
            outcome(m.utils.requires_package(["json", "no_such", "neither"])(function)),
            outcome(m.utils.requires_executable("no_such_program")(function)),
        ]
    return results, out.getvalue()


def scanned(m: Package) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("a.txt", "B.TXT", ".hidden", "sub/c.txt", ".dot/d.txt", "sub/e.json"):
            path = Path(folder, name)
            path.parent.mkdir(exist_ok=True)
            path.touch()

        def listed(*args: Any) -> Any:
            return sorted(m.utils.scandir(folder, *args))

        return [
            listed(),
            listed(None, True),
            listed(".txt", True),
            listed((".txt", ".json"), True),
            listed(".Txt", True, False),
            outcome(listed, ["txt"]),
            outcome(lambda: list(m.utils.scandir(5))),
        ]


def folders_and_links(m: Package) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        target, link = os.path.join(folder, "a/b"), os.path.join(folder, "link")
        m.utils.mkdir_or_exist(target)
        m.utils.mkdir_or_exist(target)
        m.utils.mkdir_or_exist("")
        m.utils.symlink(target, link)
        m.utils.symlink(folder, link)
        find = m.module("utils.path").find_vcs_root
        return [
            os.path.isdir(target),
            os.readlink(link) == folder,
            outcome(m.utils.symlink, target, link, overwrite=False),
            os.path.relpath(str(find(target, markers=("a",))), folder),
            find(target, markers=("no such marker",)),
        ]


def timers(m: Package) -> Any:
    module, out, now = m.module("utils.timer"), io.StringIO(), [0.0]

    def clock() -> float:
        return now[0]

    def after(seconds: float, read: Any) -> Any:
        now[0] += seconds
        return read()

    with (
        mock.patch.object(module, "time", new=clock),
        mock.patch.object(module, "_g_timers", {}),
        mock.patch("sys.stdout", out),
    ):
        idle = module.Timer(start=False)
        timer = after(1, module.Timer)
        with module.Timer(print_tmpl="took {:.1f}") as inner, module.Timer():
            running = after(2, lambda: inner.is_running)
        readings = [
            after(3, timer.since_last_check),
            after(4, timer.since_last_check),
            after(5, timer.since_start),
            after(6, timer.since_last_check),
            after(7, timer.start),
            after(8, timer.since_last_check),
            after(1, lambda: module.check_time("a")),
            after(2, lambda: module.check_time("a")),
            after(4, lambda: module.check_time("b")),
            after(8, lambda: module.check_time("a")),
        ]
    return running, inner.is_running, idle.is_running, readings, out.getvalue()


def timer_errors(m: Package) -> Any:
    timer = m.utils.Timer(start=False)
    errors = []
    for read in (timer.since_start, timer.since_last_check):
        try:
            read()
        except m.utils.TimerError as error:
            errors.append([str(error), error.message])
    return errors


class FakeTimer:
    """Counts the reads, so that each says 1.5 seconds more."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def since_start(self) -> float:
        self.seconds += 1.5
        return self.seconds


def progress_bars(m: Package) -> Any:
    module, out = m.module("utils.progressbar"), io.StringIO()
    with mock.patch.object(module, "Timer", FakeTimer):
        for columns in (120, 60, 20):
            size = os.terminal_size((columns, 10))
            with mock.patch.object(module, "get_terminal_size", return_value=size):
                bar = module.ProgressBar(12, bar_width=20, file=out)
                for _ in range(4):
                    bar.update(3)
                unknown = module.ProgressBar(file=out)
                unknown.update()
                results = [
                    module.track_progress(lambda x, y: x * y, [1, 2, 3], file=out, y=2),
                    module.track_progress(str, (range(2), 2), file=out),
                    list(module.track_iter_progress((iter("ab"), 2), 10, file=out)),
                    outcome(module.track_progress, str, {1, 2}, file=out),
                    outcome(lambda: module.track_progress(str, ([1], 2, 3), file=out)),
                    outcome(bar.update, 0),
                ]
    return results, out.getvalue().split("\r")


def parallel_progress(m: Package) -> Any:
    module, out = m.module("utils.progressbar"), io.StringIO()
    size = os.terminal_size((120, 10))
    with (
        mock.patch.object(module, "Timer", FakeTimer),
        mock.patch.object(module, "get_terminal_size", return_value=size),
    ):
        results = [
            module.track_parallel_progress(abs, [-1, 2, -3], 2, file=out),
            module.track_parallel_progress(abs, [-1, 2, -3, 4], 2, skip_first=True, file=out),
            sorted(
                module.track_parallel_progress(abs, ([-1, 2], 2), 1, keep_order=False, file=out)
            ),
        ]
    return results, out.getvalue().split("\r")


def rich_progress(m: Package) -> Any:
    track = m.utils.track_progress_rich
    with mock.patch("sys.stdout", io.StringIO()):
        return [
            track(abs, [-1, 2]),
            track(pow, [(2, 3), [3, 2]]),
            track(dict, task_num=2),
            track(abs, iter([-1, -2]), task_num=2),
            track(abs, [-1, 2, -3], nproc=2),
            outcome(track, abs, []),
            outcome(track, abs, [1], task_num=2),
            outcome(track, abs, 1),
            outcome(track, "abs", [1]),
            outcome(track, abs, [1], nproc=0),
        ]


def tensor_images(m: Package) -> Any:
    import torch

    convert = m.module("utils.dl_utils").tensor2imgs
    rgb = torch.arange(12.0).reshape(1, 3, 2, 2)
    return [
        convert(rgb),
        convert(rgb, mean=(1, 2, 3), std=(2, 2, 0.5), to_bgr=False),
        convert(rgb[:, :1], mean=(5,), std=(2,), to_bgr=False),
        outcome(convert, rgb[:, :1]),
        outcome(convert, rgb[:, :2]),
        outcome(convert, rgb[0]),
        outcome(lambda: convert(rgb, mean=(1,))),
    ]


def norms(m: Package) -> Any:
    from torch import nn

    dl = m.module("utils.dl_utils")
    wrapper = m.module("utils.dl_utils.parrots_wrapper")
    layers = [
        nn.BatchNorm2d(2),
        nn.InstanceNorm1d(2),
        nn.GroupNorm(1, 2),
        nn.LayerNorm(2),
        nn.Linear(1, 1),
        nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.BatchNorm1d(1))),
        wrapper.SyncBatchNorm(2),
    ]
    kinds = [wrapper._BatchNorm, wrapper._InstanceNorm, wrapper._ConvNd, wrapper.SyncBatchNorm_]
    return [
        [dl.is_norm(layer) for layer in layers],
        [dl.is_norm(layer, exclude=nn.BatchNorm2d) for layer in layers],
        [dl.is_norm(layer, exclude=(nn.GroupNorm, nn.LayerNorm)) for layer in layers],
        outcome(dl.is_norm, layers[0], exclude="BatchNorm2d"),
        [dl.has_batch_norm(layer) for layer in layers],
        [[isinstance(layer, kind) for kind in kinds] for layer in layers],
    ]


def environment(m: Package) -> Any:
    import numpy as np

    np.random.seed(3)
    with mock.patch.dict("sys.modules", cv2=None):
        found = m.module("utils.dl_utils").collect_env()
    return {key: value for key, value in found.items() if key != "TorchVision"}


CASES = {
    case.__name__: case
    for case in (
        *(managed, names, ntuples, calls, predicates, digit_versions, applied, overridden),
        *(renamed_arguments, deprecated_docstrings, prerequisites, scanned, folders_and_links),
        *(timers, timer_errors, progress_bars, parallel_progress, rich_progress),
        *(tensor_images, norms, environment),
    )
}
