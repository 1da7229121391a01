"""Cases of mmengine.fileio; see differential.py."""

from __future__ import annotations

import contextlib
import functools
import http.server
import io
import os
import tempfile
import threading
import warnings
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from tests.unit.mmengine.utils.differential import Package, outcome

TABLE = OrderedDict(a=[1, 2.5, None], b={"c": "é"}, d=[True])
ARRAYS = {"set": {3}, "range": range(2), "array": np.ones((1, 2)), "scalar": np.float32(0.5)}


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def within(root: Path, value: Any) -> Any:
    """Return a path relative to ``root``, which is another at each run."""
    return os.path.relpath(str(value), root)


def names(m: Package) -> Any:
    backends = [name for name in m.module("fileio.backends").__all__ if name != "FsspecBackend"]
    handlers = m.module("fileio.handlers")
    return sorted(m.fileio.__all__), sorted(backends), sorted(handlers.__all__)


def registered(m: Package) -> Any:
    module = m.module("fileio.backends")
    named = [name for name in module.backends if name != "fsspec"]
    return (
        sorted(named),
        sorted(module.prefix_to_backends),
        sorted(m.module("fileio.handlers").file_handlers),
    )


def files(m: Package) -> Any:
    f = m.fileio
    with folder() as root:
        deep = root / "new" / "deep" / "a.txt"
        f.put_text("é\r\nb", deep)
        f.put(b"\x00\xff", str(root / "made" / "b.bin"))
        with f.get_local_path(deep) as local:
            same = local == str(deep)
        return [
            [f.get(deep), f.get_text(deep), same],
            outcome(f.get_text, deep, encoding="ascii"),
            [f.exists(p) for p in (deep, root / "new", root / "no")],
            [f.isdir(p) for p in (deep, root / "new", root / "no")],
            [f.isfile(p) for p in (deep, root / "new", root / "no")],
            [f.join_path("a", "b", "c.txt"), f.join_path("a/", "/b"), f.join_path(Path("a"), "b")],
            outcome(f.get, root / "no"),
            outcome(f.get, root),
            outcome(f.remove, root),
            outcome(f.remove, root / "no"),
            [f.remove(deep), f.exists(deep)],
            [f.rmtree(root / "new"), f.exists(root / "new")],
            outcome(f.rmtree, root / "no"),
            outcome(f.generate_presigned_url, str(root)),
        ]


def copied(m: Package) -> Any:
    f = m.fileio
    results = []
    for suffix in ("", "_from_local", "_to_local"):
        copyfile, copytree = getattr(f, f"copyfile{suffix}"), getattr(f, f"copytree{suffix}")
        with folder() as root:
            f.put_text("x", root / "tree" / "sub" / "x.txt")
            file = root / "tree" / "sub" / "x.txt"
            results += [
                within(root, copyfile(file, root / "y.txt")),
                within(root, copyfile(str(file), str(root))),
                within(root, copytree(root / "tree", root / "tree2")),
                outcome(copytree, root / "tree", root / "tree2"),
                outcome(copyfile, file, file),
                outcome(copyfile, root / "no", root / "z"),
                sorted(f.list_dir_or_file(root, recursive=True)),
            ]
    return results


def linked(m: Package) -> Any:
    f = m.fileio
    with folder() as root:
        f.put_text("x", root / "tree" / "x.txt")
        linked = [f.copy_if_symlink_fails(root / "tree", root / "link")]
        with mock.patch("os.symlink", side_effect=OSError):
            linked += [
                f.copy_if_symlink_fails(root / "tree", root / "copy"),
                f.copy_if_symlink_fails(root / "tree" / "x.txt", root / "y.txt"),
            ]
        kinds = [p.is_symlink() for p in (root / "link", root / "copy", root / "y.txt")]
        return linked, kinds, sorted(f.list_dir_or_file(root, recursive=True))


def listed(m: Package) -> Any:
    with folder() as root:
        for name in ("a.txt", "b.json", ".hidden", "sub/c.txt", ".dot/d.txt", "sub/e/f.json"):
            m.fileio.put_text("", root / name)

        def found(**options: Any) -> Any:
            return sorted(m.fileio.list_dir_or_file(root, **options))

        return [
            found(),
            found(recursive=True),
            found(list_dir=False, recursive=True),
            found(list_file=False, recursive=True),
            found(list_dir=False, suffix=".txt", recursive=True),
            found(list_dir=False, suffix=(".json", "c.txt"), recursive=True),
            outcome(found, suffix=".txt"),
            outcome(found, list_dir=False, suffix=[".txt"]),
        ]


def web(m: Package) -> Any:
    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    f = m.fileio
    with folder() as root, mock.patch.dict(os.environ, no_proxy="*"):
        f.put_text('{"a": "é"}', root / "a.json")
        handler = functools.partial(Quiet, directory=str(root))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
            thread.start()
            url = f"http://127.0.0.1:{server.server_port}/a.json"
            with f.get_local_path(url) as local:
                download = Path(local).read_text(encoding="utf-8")
            results = [
                [f.get(url), f.get_text(url), f.load(url), download, os.path.exists(local)],
                outcome(f.get, f"{url}.no"),
                outcome(f.put, b"", url),
                outcome(f.exists, url),
            ]
            server.shutdown()
            thread.join()
    return results


def chosen(m: Package) -> Any:
    f = m.fileio

    def kind(*args: Any, **kwargs: Any) -> str:
        return f.get_file_backend(*args, **kwargs).name

    first, second = (f.get_file_backend("a/b", enable_singleton=True) for _ in range(2))
    return [
        kind("a/b"),
        kind(Path("a/b")),
        kind("http://a"),
        kind("https://a"),
        kind(backend_args={"backend": "local"}),
        kind("http://a", backend_args={"backend": "local"}),
        first is second,
        first is f.get_file_backend("a/b"),
        outcome(kind),
        outcome(kind, 5),
        outcome(kind, "nonsense://a"),
        outcome(kind, backend_args={"backend": "nonsense"}),
        outcome(kind, "a", backend_args={"nonsense": 1}),
    ]


def dumped(m: Package) -> Any:
    f = m.fileio
    found = []
    with folder() as root:
        for ending in ("json", "yaml", "yml", "pkl", "pickle"):
            path = root / "new" / f"x.{ending}"
            table = TABLE if ending == "json" else dict(TABLE)
            f.dump(table, path)
            # libyaml's versions differ in how they break lines, the text otherwise not.
            found += [f.load(path), f.get(path), f.dump(table, file_format=ending)]
        text, data = io.StringIO(), io.BytesIO()
        f.dump([1], text, file_format="json", indent=2)
        f.dump([1], data, file_format="pkl", protocol=0)
        errors = [
            outcome(f.dump, [1]),
            outcome(f.dump, [1], "a.txt"),
            outcome(f.dump, [1], 5, file_format="json"),
            outcome(f.dump, object(), file_format="json"),
            outcome(f.load, "a.txt"),
            outcome(f.load, "no.json"),
            outcome(f.load, 5, file_format="json"),
            outcome(f.load, io.StringIO("[")),
        ]
        return [
            *(found, errors, text.getvalue(), data.getvalue()),
            [f.dump(value, file_format="json") for value in ARRAYS.values()],
            f.dump(ARRAYS, file_format="json", sort_keys=True),
            f.dump({"t": (1, 2)}, file_format="yaml"),
            f.load(io.StringIO("[1, !!python/tuple [1, 2]]"), file_format="yaml"),
            f.load(io.BytesIO(data.getvalue()), file_format="pickle"),
        ]


def handled(m: Package) -> Any:
    handlers = m.module("fileio.handlers")

    class Upper(handlers.BaseFileHandler):
        def __init__(self, mark: str = "") -> None:
            self.mark = mark

        def load_from_fileobj(self, file: Any, **kwargs: Any) -> Any:
            return file.read().lower() + self.mark

        def dump_to_fileobj(self, obj: Any, file: Any, **kwargs: Any) -> None:
            file.write(obj.upper())

        def dump_to_str(self, obj: Any, **kwargs: Any) -> str:
            return obj.upper()

    with mock.patch.dict(handlers.file_handlers), folder() as root:
        m.fileio.register_handler(["up", "upper"], mark="!")(Upper)
        m.fileio.dump("text", str(root / "a.up"))
        handler, path = handlers.file_handlers["upper"], root / "b.upper"
        handler.dump_to_path("more", path)
        pickles = handlers.PickleHandler()
        pickles.dump_to_path([1], root / "c.pkl")
        return [
            m.fileio.load(str(root / "a.up")),
            m.fileio.dump("text", file_format="upper"),
            handler.load_from_path(path),
            pickles.load_from_path(root / "c.pkl"),
            outcome(m.fileio.register_handler("x"), dict),
            outcome(m.fileio.register_handler(5), Upper),
            outcome(m.fileio.load, io.StringIO("x"), file_format="nope"),
        ]


def parsed(m: Package) -> Any:
    f = m.fileio
    with folder() as root:
        lines, table = str(root / "lines.txt"), root / "table.txt"
        f.put(b"a \r\nb\n\n  c\nlast", lines)
        f.put_text("1 cat\n2 dog brown\n1 cow\n", table)
        f.put_text("1 cat\n\n", root / "gap.txt")
        f.put_text("1\n", root / "short.txt")
        f.put("ü\n".encode("latin-1"), root / "latin.txt")
        return [
            f.list_from_file(lines),
            f.list_from_file(lines, prefix="x/", offset=1, max_num=2),
            f.list_from_file(lines, max_num=-1),
            f.list_from_file(lines, offset=9),
            f.list_from_file(root / "latin.txt", encoding="latin-1"),
            outcome(f.list_from_file, root / "latin.txt"),
            f.dict_from_file(table),
            f.dict_from_file(table, key_type=int),
            outcome(f.dict_from_file, root / "gap.txt"),
            outcome(f.dict_from_file, root / "short.txt"),
        ]


def backends_registered(m: Package) -> Any:
    module = m.module("fileio.backends")

    class Fake(module.BaseStorageBackend):
        def __init__(self, mark: str = "") -> None:
            self.mark = mark

        def get(self, filepath: Any) -> Any:
            return f"{filepath}{self.mark}".encode()

        def get_text(self, filepath: Any, encoding: str = "utf-8") -> str:
            return self.get(filepath).decode()

    register = m.fileio.register_backend
    with mock.patch.dict(module.backends), mock.patch.dict(module.prefix_to_backends):
        registered = [
            register("fake", Fake, prefixes="fake"),
            register("more", prefixes=["f2", "f3"])(Fake) is Fake,
            register("fake", Fake, force=True, prefixes=("fake",)),
        ]
        errors = [
            outcome(register, "fake", Fake),
            outcome(register, "other", Fake, prefixes="fake"),
            outcome(register, 5, Fake),
            outcome(register, "x", Fake()),
            outcome(register, "x", dict),
            outcome(register, "x", Fake, prefixes=5),
        ]
        return [
            *(registered, errors),
            m.fileio.get("fake://a", backend_args={"mark": "!"}),
            m.fileio.get_text("f3://a"),
            m.fileio.get_text("a", backend_args={"backend": "fake"}),
            outcome(Fake().get_text, "x"),
            Fake().name,
        ]


def clients(m: Package) -> Any:
    """The deprecated FileClient, and ``file_client_args``."""
    kind = m.fileio.FileClient

    class Fake(m.fileio.BaseStorageBackend):
        def get(self, filepath: Any) -> Any:
            return b"fake"

        def get_text(self, filepath: Any, encoding: str = "utf-8") -> str:
            return "fake"

    tables = (kind._backends, kind._prefix_to_backends, kind._instances)
    with (
        contextlib.ExitStack() as stack,
        folder() as root,
        warnings.catch_warnings(record=True) as caught,
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("always")
        for table in tables:
            stack.enter_context(mock.patch.dict(table))
        path, old = str(root / "a.json"), {"backend": "disk"}
        m.fileio.dump([1], path, file_client_args=old)
        client = kind(backend="disk")
        registered = [
            kind.register_backend("fake", Fake, prefixes="fake"),
            outcome(kind.register_backend, "fake", Fake),
            outcome(kind.register_backend, "other", Fake, prefixes="fake"),
            outcome(kind.register_backend, "other", dict),
            kind.register_backend("fake", force=True)(Fake) is Fake,
        ]
        with client.get_local_path(path) as local:
            same = local == path
        client.put_text("b 1", root / "b" / "b.txt")
        return [
            *(registered, same, client is kind(backend="disk"), client.name),
            [client.get(path), client.get_text(path), client.exists(path), client.isdir(root)],
            [client.isfile(path), client.join_path("a", "b"), client.allow_symlink],
            sorted(client.list_dir_or_file(root, recursive=True)),
            m.fileio.load(path, file_client_args=old),
            m.fileio.list_from_file(path, file_client_args=old),
            m.fileio.dict_from_file(str(root / "b" / "b.txt"), file_client_args=old),
            sorted({str(w.message) for w in caught if w.category is DeprecationWarning}),
            outcome(m.fileio.load, path, file_client_args=old, backend_args={}),
            outcome(m.fileio.list_from_file, path, file_client_args=old, backend_args={}),
            kind(prefix="fake").get("x"),
            kind.infer_client({"backend": "fake"}).get_text("x"),
            kind.infer_client(uri="http://a").name,
            kind.infer_client(uri=path).name,
            outcome(kind.infer_client),
            outcome(kind, backend="no"),
            outcome(kind, prefix="no"),
            [kind.parse_uri_prefix(uri) for uri in ("a/b", Path("a"), "s3://a", "c:s3://a")],
            outcome(kind.parse_uri_prefix, 5),
        ]


CASES = {
    case.__name__: case
    for case in (
        *(names, registered, files, copied, linked, listed, web, chosen, dumped, handled),
        *(parsed, backends_registered, clients),
    )
}
