"""Reading, writing and moving files, in whichever storage their path names.

All functions take ``backend_args``: the backend's name as ``backend``, its other arguments beside
it. Without a name the prefix of the path decides: a local path has none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from io import BytesIO, StringIO
from typing import IO, Any

from mm2pl.errors import ConfigTypeError, nearest
from mm2pl.mmengine.fileio.backends.base import StrPath
from mm2pl.mmengine.fileio.backends.registry_utils import find_backend, find_backend_by_prefix
from mm2pl.mmengine.fileio.file_client import FileClient, check_client_args, parse_prefix
from mm2pl.mmengine.fileio.handlers import BaseFileHandler, file_handlers, register_handler
from mm2pl.mmengine.utils import is_filepath

__all__ = [
    "copy_if_symlink_fails",
    "copyfile",
    "copyfile_from_local",
    "copyfile_to_local",
    "copytree",
    "copytree_from_local",
    "copytree_to_local",
    "dump",
    "exists",
    "generate_presigned_url",
    "get",
    "get_file_backend",
    "get_local_path",
    "get_text",
    "isdir",
    "isfile",
    "join_path",
    "list_dir_or_file",
    "load",
    "put",
    "put_text",
    "register_handler",
    "remove",
    "rmtree",
]

BackendArgs = dict[str, Any] | None

backend_instances: dict[str, Any] = {}


def get_file_backend(
    uri: StrPath | None = None,
    *,
    backend_args: BackendArgs = None,
    enable_singleton: bool = False,
) -> Any:
    """Return the backend for a path.

    Args:
        uri: The path; may be left out if ``backend_args`` names the backend.
        backend_args: See the module; goes before the path's prefix.
        enable_singleton: Whether to return the same object for the same prefix and arguments.

    Raises:
        ValueError: There is neither ``uri`` nor ``backend``.
        KeyError: No such backend, or none for the prefix.
    """
    args = dict(backend_args or {})
    if uri is None and "backend" not in args:
        raise ValueError('uri should not be None when "backend" does not exist in backend_args')
    prefix = "" if uri is None else parse_prefix(uri)
    key = f"{prefix}:{json.dumps(args)}" if enable_singleton else ""
    if key in backend_instances:
        return backend_instances[key]
    name = args.pop("backend", None)
    backend = (find_backend_by_prefix(prefix) if name is None else find_backend(name))(**args)
    if enable_singleton:
        backend_instances[key] = backend
    return backend


def _backend(path: StrPath, backend_args: BackendArgs) -> Any:
    return get_file_backend(path, backend_args=backend_args, enable_singleton=True)


def get(filepath: StrPath, backend_args: BackendArgs = None) -> Any:
    """Return the bytes of a file."""
    return _backend(filepath, backend_args).get(filepath)


def get_text(filepath: StrPath, encoding: str = "utf-8", backend_args: BackendArgs = None) -> str:
    """Return the text of a file."""
    text: str = _backend(filepath, backend_args).get_text(filepath, encoding)
    return text


def put(obj: bytes, filepath: StrPath, backend_args: BackendArgs = None) -> None:
    """Write bytes to a file; folders above it are made."""
    _backend(filepath, backend_args).put(obj, filepath)


def put_text(obj: str, filepath: StrPath, backend_args: BackendArgs = None) -> None:
    """Write text to a file; folders above it are made."""
    _backend(filepath, backend_args).put_text(obj, filepath)


def exists(filepath: StrPath, backend_args: BackendArgs = None) -> bool:
    """Tell whether there is a file or folder."""
    return bool(_backend(filepath, backend_args).exists(filepath))


def isdir(filepath: StrPath, backend_args: BackendArgs = None) -> bool:
    """Tell whether there is a folder."""
    return bool(_backend(filepath, backend_args).isdir(filepath))


def isfile(filepath: StrPath, backend_args: BackendArgs = None) -> bool:
    """Tell whether there is a file."""
    return bool(_backend(filepath, backend_args).isfile(filepath))


def join_path(filepath: StrPath, *filepaths: StrPath, backend_args: BackendArgs = None) -> Any:
    """Join parts of a path."""
    return _backend(filepath, backend_args).join_path(filepath, *filepaths)


def get_local_path(
    filepath: StrPath, backend_args: BackendArgs = None
) -> AbstractContextManager[StrPath]:
    """Give, for a ``with`` block, a local path of a file: itself, or that of a download."""
    path: AbstractContextManager[StrPath]
    path = _backend(filepath, backend_args).get_local_path(str(filepath))
    return path


def copyfile(src: StrPath, dst: StrPath, backend_args: BackendArgs = None) -> Any:
    """Copy a file within one storage, to a file or into a folder; return where it is now."""
    return _backend(src, backend_args).copyfile(src, dst)


def copytree(src: StrPath, dst: StrPath, backend_args: BackendArgs = None) -> Any:
    """Copy a folder within one storage to one that does not exist yet; return it."""
    return _backend(src, backend_args).copytree(src, dst)


def copyfile_from_local(src: StrPath, dst: StrPath, backend_args: BackendArgs = None) -> Any:
    """Copy a local file to the storage of ``dst``; return where it is now."""
    return _backend(dst, backend_args).copyfile_from_local(src, dst)


def copytree_from_local(src: StrPath, dst: StrPath, backend_args: BackendArgs = None) -> Any:
    """Copy a local folder to the storage of ``dst``; return where it is now."""
    return _backend(dst, backend_args).copytree_from_local(src, dst)


def copyfile_to_local(src: StrPath, dst: StrPath, backend_args: BackendArgs = None) -> Any:
    """Copy a file to the local disk; return where it is now.

    Differs: the prefix of ``src`` decides on the storage; MMEngine looks at that of ``dst``.
    """
    return _backend(src, backend_args).copyfile_to_local(src, dst)


def copytree_to_local(src: StrPath, dst: StrPath, backend_args: BackendArgs = None) -> Any:
    """Copy a folder to the local disk; differs as :func:`copyfile_to_local` does."""
    return _backend(src, backend_args).copytree_to_local(src, dst)


def remove(filepath: StrPath, backend_args: BackendArgs = None) -> None:
    """Remove a file."""
    _backend(filepath, backend_args).remove(filepath)


def rmtree(dir_path: StrPath, backend_args: BackendArgs = None) -> None:
    """Remove a folder and all in it."""
    _backend(dir_path, backend_args).rmtree(dir_path)


def copy_if_symlink_fails(src: StrPath, dst: StrPath, backend_args: BackendArgs = None) -> bool:
    """Let ``dst`` link to ``src``, or copy if that fails; tell whether it is a link."""
    return bool(_backend(src, backend_args).copy_if_symlink_fails(src, dst))


def list_dir_or_file(
    dir_path: StrPath,
    list_dir: bool = True,
    list_file: bool = True,
    suffix: str | tuple[str, ...] | None = None,
    recursive: bool = False,
    backend_args: BackendArgs = None,
) -> Iterator[str]:
    """Iterate over what is in a folder, relative to it, in no particular order.

    Args:
        dir_path: The folder.
        list_dir: Whether to give folders.
        list_file: Whether to give files; hidden ones are left out.
        suffix: Endings of the files wanted; only without ``list_dir``.
        recursive: Also look into subfolders.
        backend_args: See the module.
    """
    backend = _backend(dir_path, backend_args)
    found: Iterator[str]
    found = backend.list_dir_or_file(dir_path, list_dir, list_file, suffix, recursive)
    return found


def generate_presigned_url(
    url: str,
    client_method: str = "get_object",
    expires_in: int = 3600,
    backend_args: BackendArgs = None,
) -> str:
    """Return a URL that gives access for ``expires_in`` seconds, where the storage can sign."""
    backend = _backend(url, backend_args)
    return str(backend.generate_presigned_url(url, client_method, expires_in))


def _handler(file: Any, file_format: str | None) -> BaseFileHandler:
    if file_format is None and isinstance(file, str):
        file_format = file.split(".")[-1]
    if file_format not in file_handlers:
        raise ConfigTypeError(
            f"Unsupported format: {file_format}",
            file=file if isinstance(file, str) else None,
            choices=nearest(str(file_format), file_handlers),
            hint=f"known formats are {', '.join(file_handlers)}; add one with register_handler.",
        )
    return file_handlers[file_format]


def _storage(file: str, file_client_args: Any, backend_args: BackendArgs) -> Any:
    if file_client_args is not None:
        return FileClient.infer_client(file_client_args, file)
    return get_file_backend(file, backend_args=backend_args)


def load(
    file: StrPath | IO[Any],
    file_format: str | None = None,
    file_client_args: dict[str, Any] | None = None,
    backend_args: BackendArgs = None,
    **kwargs: Any,
) -> Any:
    """Return the object in a JSON, YAML or pickle file.

    Args:
        file: Path or open file.
        file_format: json, yaml, yml, pickle or pkl; by default the path's ending.
        file_client_args: Old form of ``backend_args``.
        backend_args: See the module.
        **kwargs: For the handler of the format.

    Raises:
        TypeError: Unknown format, or neither path nor file.
    """
    source: Any = str(file) if is_filepath(file) else file
    handler = _handler(source, file_format)
    check_client_args(file_client_args, backend_args)
    if not isinstance(source, str):
        if not hasattr(source, "read"):
            raise TypeError('"file" must be a filepath str or a file-object')
        return handler.load_from_fileobj(source, **kwargs)
    storage = _storage(source, file_client_args, backend_args)
    buffer: IO[Any]
    buffer = (
        StringIO(storage.get_text(source)) if handler.str_like else BytesIO(storage.get(source))
    )
    return handler.load_from_fileobj(buffer, **kwargs)


def dump(
    obj: Any,
    file: StrPath | IO[Any] | None = None,
    file_format: str | None = None,
    file_client_args: dict[str, Any] | None = None,
    backend_args: BackendArgs = None,
    **kwargs: Any,
) -> Any:
    """Write an object to a JSON, YAML or pickle file, or return what would be written.

    Args:
        obj: The object.
        file: Path or open file; ``None`` to return text (or bytes, for pickle).
        file_format: json, yaml, yml, pickle or pkl; by default the path's ending.
        file_client_args: Old form of ``backend_args``.
        backend_args: See the module.
        **kwargs: For the handler of the format.

    Raises:
        TypeError: Unknown format, or neither path nor file.
        ValueError: Neither file nor format.
    """
    target: Any = str(file) if is_filepath(file) else file
    if target is None and file_format is None:
        raise ValueError("file_format must be specified since file is None")
    handler = _handler(target, file_format)
    check_client_args(file_client_args, backend_args)
    if target is None:
        return handler.dump_to_str(obj, **kwargs)
    if not isinstance(target, str):
        if not hasattr(target, "write"):
            raise TypeError('"file" must be a filename str or a file-object')
        handler.dump_to_fileobj(obj, target, **kwargs)
        return None
    storage = _storage(target, file_client_args, backend_args)
    buffer: Any = StringIO() if handler.str_like else BytesIO()
    handler.dump_to_fileobj(obj, buffer, **kwargs)
    (storage.put_text if handler.str_like else storage.put)(buffer.getvalue(), target)
    return None
