"""Small helpers for types, lists, imports and deprecations."""

from __future__ import annotations

import functools
import inspect
import logging
import re
import shutil
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import reduce
from importlib import import_module
from itertools import accumulate, chain, repeat
from types import ModuleType
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def to_ntuple(n: int) -> Callable[[Any], Any]:
    """Return a function that repeats a scalar ``n`` times and leaves any iterable as it is."""

    def parse(x: Any) -> Any:
        return x if isinstance(x, Iterable) else tuple(repeat(x, n))

    return parse


to_1tuple = to_ntuple(1)
to_2tuple = to_ntuple(2)
to_3tuple = to_ntuple(3)
to_4tuple = to_ntuple(4)


def is_str(x: Any) -> bool:
    """Tell whether ``x`` is a string."""
    return isinstance(x, str)


def import_modules_from_strings(
    imports: list[str] | str | None, allow_failed_imports: bool = False
) -> Any:
    """Import modules by name.

    Args:
        imports: One name or a list of names; nothing is imported if empty.
        allow_failed_imports: Warn and put ``None`` in the place of a module that fails.

    Returns:
        The module for one name, a list of modules for a list, ``None`` for nothing.

    Raises:
        ImportError: A module fails to import. Differs: the message also gives the cause.
        TypeError: ``imports`` is neither a list nor a string, or holds something else.
    """
    if not imports:
        return None
    names = [imports] if isinstance(imports, str) else imports
    if not isinstance(names, list):
        raise TypeError(f"custom_imports must be a list but got type {type(imports)}")
    modules = [_import_or_warn(name, allow_failed_imports) for name in names]
    return modules[0] if isinstance(imports, str) else modules


def _import_or_warn(name: str, allow_failure: bool) -> ModuleType | None:
    if not isinstance(name, str):
        raise TypeError(f"{name} is of type {type(name)} and cannot be imported.")
    try:
        return import_module(name)
    except ImportError as error:
        if not allow_failure:
            raise ImportError(f"Failed to import {name}: {error}", name=error.name) from error
        warnings.warn(f"{name} failed to import and is ignored.", UserWarning)
        return None


def iter_cast(
    inputs: Iterable[Any], dst_type: type, return_type: Callable[[Any], Any] | None = None
) -> Any:
    """Cast each element to ``dst_type``; give an iterator, or ``return_type`` if set."""
    if not isinstance(inputs, Iterable):
        raise TypeError("inputs must be an iterable object")
    if not isinstance(dst_type, type):
        raise TypeError('"dst_type" must be a valid type')
    cast = map(dst_type, inputs)
    return cast if return_type is None else return_type(cast)


def list_cast(inputs: Iterable[Any], dst_type: type) -> list[Any]:
    """Cast each element to ``dst_type`` and return a list."""
    return list(iter_cast(inputs, dst_type))


def tuple_cast(inputs: Iterable[Any], dst_type: type) -> tuple[Any, ...]:
    """Cast each element to ``dst_type`` and return a tuple."""
    return tuple(iter_cast(inputs, dst_type))


def is_seq_of(
    seq: Any, expected_type: type | tuple[type, ...], seq_type: type | None = None
) -> bool:
    """Tell whether ``seq`` is a sequence (or a ``seq_type``) of ``expected_type`` alone."""
    if seq_type is not None and not isinstance(seq_type, type):
        raise AssertionError(f"seq_type should be a type, but got {seq_type!r}")
    wanted: Any = seq_type or Sequence
    return isinstance(seq, wanted) and all(isinstance(item, expected_type) for item in seq)


def is_list_of(seq: Any, expected_type: type | tuple[type, ...]) -> bool:
    """Tell whether ``seq`` is a list of ``expected_type`` alone."""
    return is_seq_of(seq, expected_type, list)


def is_tuple_of(seq: Any, expected_type: type | tuple[type, ...]) -> bool:
    """Tell whether ``seq`` is a tuple of ``expected_type`` alone."""
    return is_seq_of(seq, expected_type, tuple)


def slice_list(in_list: list[Any], lens: int | list[int]) -> list[list[Any]]:
    """Cut a list into parts of the lengths ``lens``, or into parts of one length.

    Raises:
        AssertionError: The one length does not divide the list's.
        ValueError: The lengths do not add up to the list's.
    """
    if isinstance(lens, int):
        if len(in_list) % lens:
            raise AssertionError(f"a list of {len(in_list)} cannot be cut into parts of {lens}")
        lens = [lens] * (len(in_list) // lens)
    if not isinstance(lens, list):
        raise TypeError('"indices" must be an integer or a list of integers')
    if sum(lens) != len(in_list):
        raise ValueError(
            f"sum of lens and list length does not match: {sum(lens)} != {len(in_list)}"
        )
    return [in_list[end - length : end] for length, end in zip(lens, accumulate(lens), strict=True)]


def concat_list(in_list: Iterable[Iterable[Any]]) -> list[Any]:
    """Join lists into one."""
    return list(chain.from_iterable(in_list))


def apply_to(data: Any, expr: Callable[[Any], bool], apply_func: Callable[[Any], Any]) -> Any:
    """Apply ``apply_func`` to the leaves of nested dicts, lists and tuples where ``expr`` holds.

    Containers keep their type; other data is passed on untouched.
    """

    def inner(value: Any) -> Any:
        return apply_to(value, expr, apply_func)

    if isinstance(data, dict):
        copied = type(data)()
        for key, value in data.items():
            copied[key] = inner(value)
        return copied
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*map(inner, data))
    if isinstance(data, (tuple, list)):
        return type(data)(map(inner, data))
    return apply_func(data) if expr(data) else data


def check_prerequisites(
    prerequisites: str | list[str],
    checker: Callable[[str], bool],
    msg_tmpl: str = 'Prerequisites "{}" are required in method "{}" but not '
    "found, please install them first.",
) -> Callable[[F], F]:
    """Decorate a function so that it raises ``RuntimeError`` unless ``checker`` accepts all."""

    def wrap(func: F) -> F:
        @functools.wraps(func)
        def wrapped_func(*args: Any, **kwargs: Any) -> Any:
            wanted = [prerequisites] if isinstance(prerequisites, str) else prerequisites
            if missing := [item for item in wanted if not checker(item)]:
                sys.stdout.write(msg_tmpl.format(", ".join(missing), func.__name__) + "\n")
                raise RuntimeError("Prerequisites not meet.")
            return func(*args, **kwargs)

        return wrapped_func  # type: ignore[return-value]

    return wrap


def _imports(package: str) -> bool:
    try:
        import_module(package)
    except ImportError:
        return False
    return True


def requires_package(prerequisites: str | list[str]) -> Callable[[F], F]:
    """Decorate a function that needs Python packages."""
    return check_prerequisites(prerequisites, checker=_imports)


def requires_executable(prerequisites: str | list[str]) -> Callable[[F], F]:
    """Decorate a function that needs programs on the ``PATH``."""
    return check_prerequisites(prerequisites, checker=lambda cmd: shutil.which(cmd) is not None)


def deprecated_api_warning(
    name_dict: dict[str, str], cls_name: str | None = None
) -> Callable[[F], F]:
    """Decorate a function whose arguments were renamed: warn, and pass the old ones on as new.

    Args:
        name_dict: New argument names by old ones.
        cls_name: Class of a method, for the warning.

    Raises:
        AssertionError: When called with both the old and the new name.
    """

    def decorate(old_func: F) -> F:
        func_name = f"{cls_name}.{old_func.__name__}" if cls_name else old_func.__name__
        positional = inspect.getfullargspec(old_func).args

        def warn(old: str, new: str) -> None:
            warnings.warn(
                f'"{old}" is deprecated in `{func_name}`, please use "{new}" instead',
                DeprecationWarning,
                stacklevel=3,
            )

        @functools.wraps(old_func)
        def new_func(*args: Any, **kwargs: Any) -> Any:
            for old, new in name_dict.items():
                if old in positional[: len(args)]:
                    warn(old, new)
                if old in kwargs:
                    if new in kwargs:
                        raise AssertionError(
                            f"`{func_name}` got both the deprecated key `{old}` and its new "
                            f"name `{new}`, please use `{new}` alone."
                        )
                    warn(old, new)
                    kwargs[new] = kwargs.pop(old)
            return old_func(*args, **kwargs)

        return new_func  # type: ignore[return-value]

    return decorate


def is_method_overridden(method: str, base_class: type, derived_class: Any) -> bool:
    """Tell whether a class, or an instance's class, has its own version of a base's method."""
    if not isinstance(base_class, type):
        raise AssertionError("base_class doesn't accept instance, Please pass class instead.")
    derived = derived_class if isinstance(derived_class, type) else type(derived_class)
    return bool(getattr(derived, method) != getattr(base_class, method))


def has_method(obj: object, method: str) -> bool:
    """Tell whether ``obj`` has a callable attribute of that name."""
    return callable(getattr(obj, method, None))


def deprecated_function(since: str, removed_in: str, instructions: str) -> Callable[[F], F]:
    """Decorate a function so that calling it logs a warning and its docstring says so.

    Args:
        since: First version that deprecates it.
        removed_in: Version that will not have it.
        instructions: What to do instead, as "use ...".
    """

    def decorate(function: F) -> F:
        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            # Imported late: logging builds on these utilities.
            from mm2pl.mmengine.logging import print_log

            print_log(
                f"'{function.__module__}.{function.__name__}' is deprecated in version {since} "
                f"and will be removed in version {removed_in}. Please {instructions}.",
                logger="current",
                level=logging.WARNING,
            )
            return function(*args, **kwargs)

        note = (
            f".. deprecated:: {since}\n    Deprecated and will be removed in version "
            f"{removed_in}.\n    Please {instructions}.\n"
        )
        summary, *body = re.split("\n\n", function.__doc__ or "", maxsplit=1)
        summary = "\n".join(line.lstrip() for line in summary.split("\n"))
        parts = [summary, *map(textwrap.dedent, body)]
        wrapper.__doc__ = "\n\n".join([note, *(textwrap.indent(part, "    ") for part in parts)])
        return wrapper  # type: ignore[return-value]

    return decorate


def get_object_from_string(obj_name: str) -> Any:
    """Return the module, class or attribute at a dotted path, ``None`` if there is none.

    Where a module holds both a submodule and something else of one name, the latter is meant.
    """
    names = obj_name.split(".")
    module = None
    for index in range(1, len(names) + 1):
        try:
            module = import_module(".".join(names[:index]))
        except ImportError:
            return None
        found = getattr(module, names[index], None) if index < len(names) else None
        if found is not None and not inspect.ismodule(found):
            try:
                return reduce(getattr, names[index:], module)
            except AttributeError:
                return None
    return module
