"""Works out what the expressions of a config say without running them: literals, ``dict(...)``."""

from __future__ import annotations

import ast
import builtins
import operator
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from mm2pl.mmengine.config._bounds import MOST_VALUES, Unbounded, operated, too_large
from mm2pl.mmengine.config._dict import ConfigDict
from mm2pl.mmengine.config._errors import described
from mm2pl.mmengine.config._unknown import is_unknown, make_unknown, unknown
from mm2pl.mmengine.config.lazy import LazyAttr, LazyObject

MOST_NESTING = 100
_DICTS = (dict, ConfigDict)
_SEQUENCES = (list, tuple)
_LAZY = (LazyObject, LazyAttr)
_METHODS: dict[type, frozenset[str]] = {
    dict: frozenset({"copy", "get", "pop", "setdefault", "update"}),
    ConfigDict: frozenset({"copy", "get", "merge", "pop", "setdefault", "update"}),
    list: frozenset({"append", "copy", "extend", "insert", "pop"}),
}
_UNARY: dict[type[ast.unaryop], Callable[[Any], Any]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
    ast.Not: operator.not_,
}
_SIGNS: dict[type[ast.operator], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
}
# Wide enough for f'{lr:.0e}', too narrow for f'{1:999999999}'.
_FORMAT = re.compile(r"0?[<>^]?\d{0,2}(\.\d{1,2})?[a-z%]?")
_CONVERSIONS: dict[int, Callable[[Any], Any]] = {-1: lambda value: value, 114: repr, 115: str}
_WHAT: dict[type[ast.AST], str] = {
    ast.Import: "an import",
    ast.ImportFrom: "an import",
    ast.For: "a for loop",
    ast.While: "a while loop",
    ast.If: "an if statement",
    ast.With: "a with statement",
    ast.Try: "a try statement",
    ast.FunctionDef: "a function definition",
    ast.ClassDef: "a class definition",
    ast.AnnAssign: "an assignment with an annotation",
    ast.SetComp: "a set comprehension",
    ast.GeneratorExp: "a generator expression",
    ast.Lambda: "a lambda",
    ast.IfExp: "a conditional expression",
    ast.Compare: "a comparison",
    ast.BoolOp: "`and` or `or`",
    ast.NamedExpr: "an assignment within an expression",
    ast.Slice: "a slice to assign to",
    ast.Starred: "an unpacking (*)",
}
_RAISED = (ArithmeticError, AttributeError, LookupError, NameError, TypeError, ValueError)


class Marker(Protocol):
    """Writes down where the keys of dicts stand."""

    def key(self, container: Any, key: Any, filename: str, line: int) -> None:
        """``container[key]`` was set on this line."""

    def itself(self, container: Any, filename: str, line: int) -> None:
        """``container`` begins on this line."""

    def removed(self, container: Any, key: Any) -> None:
        """``container[key]`` is no more."""


class Expressions(ast.NodeVisitor):
    """Finds the value of expressions as Python would, as far as they only make data.

    What is not known to do so is refused, and stands for an unknown value in what follows.

    Args:
        filename: The config's file.
        names: The variables of the config; they are changed.
        refuse: Called with the line and what stands there.
        marker: Told of the line of every key.
    """

    def __init__(
        self,
        filename: str,
        names: dict[str, Any],
        refuse: Callable[[int, str], None],
        marker: Marker | None = None,
    ) -> None:
        self.filename = filename
        self.names = names
        self._refused = refuse
        self._marker = marker
        self._depth = 0
        self._turns = 0
        self._lines: dict[str, int] = {}

    def visit(self, node: ast.AST) -> Any:
        """Return the value of an expression; carry out a statement."""
        self._depth += 1
        try:
            if self._depth > MOST_NESTING:
                return self._refuse(node, f"code nested deeper than {MOST_NESTING}")
            return super().visit(node)
        except _RAISED as error:
            return self._refuse(node, f"it would raise {described(error)}")
        except Unbounded as error:
            return self._refuse(node, str(error))
        finally:
            self._depth -= 1

    def generic_visit(self, node: ast.AST) -> Any:
        """Refuse whatever has no method of its own."""
        return self._refuse(node, _WHAT.get(type(node), f"code ({type(node).__name__})"))

    def _refuse(self, node: ast.AST, what: str) -> Any:
        self._refused(getattr(node, "lineno", 1), what)
        if isinstance(node, ast.stmt):
            parts = list(ast.walk(node))
            for part in parts if any(map(_changes, parts)) else ():
                if isinstance(part, ast.Name):
                    make_unknown(self.names.get(part.id))
        for name, line in _bound(node):
            self._bind(name, unknown(), line)
        return unknown()

    def _store(self, target: ast.expr, value: Any) -> None:
        if isinstance(target, ast.Name):
            self._bind(target.id, value, target.lineno)
        elif isinstance(target, (ast.Tuple, ast.List)):
            values = [unknown() for _ in target.elts] if is_unknown(value) else value
            if type(values) not in _SEQUENCES or len(values) != len(target.elts):
                raise ValueError("values do not fit the names to unpack them to")
            for one, part in zip(target.elts, values, strict=True):
                self._store(one, part)
        elif place := self._place(target):
            container, key = place
            if problem := too_large(value):
                raise Unbounded(problem)
            container[key] = value
            self._mark(container, key, target)

    def _bind(self, name: str, value: Any, line: int) -> None:
        self.names[name] = value
        self._lines[name] = line
        if self._marker:
            self._marker.key(self.names, name, self.filename, line)

    def _place(self, target: ast.expr) -> tuple[Any, Any] | None:
        """Return the container and the key that a target means; None if they are unknown."""
        if isinstance(target, ast.Subscript):
            container, key = self.visit(target.value), self.visit(target.slice)
            fits = type(container) in _DICTS or (type(container) is list and type(key) is int)
        elif isinstance(target, ast.Attribute):
            container, key = self.visit(target.value), target.attr
            fits = type(container) is ConfigDict and not hasattr(ConfigDict, key)
        else:
            container = key = None
            fits = False
        if is_unknown(container):
            return None
        if is_unknown(key):
            make_unknown(container)
            return None
        if not fits:
            raise Unbounded("an assignment to something else than a name or an item")
        return container, key

    # ----------------------------------------------------------------------------- expressions
    def visit_Constant(self, node: ast.Constant) -> Any:
        return node.value

    def visit_Name(self, node: ast.Name) -> Any:
        if node.id in self.names:
            return self.names[node.id]
        if hasattr(builtins, node.id):
            return self._refuse(node, f"the builtin {node.id}")
        return self._refuse(node, f"the name {node.id!r}, which is not defined")

    def visit_List(self, node: ast.List) -> Any:
        return self._elements(node.elts)

    def visit_Tuple(self, node: ast.Tuple) -> Any:
        values = self._elements(node.elts)
        return values if is_unknown(values) else tuple(values)

    def visit_Set(self, node: ast.Set) -> Any:
        values = self._elements(node.elts)
        return values if is_unknown(values) else set(values)

    def _elements(self, nodes: list[ast.expr]) -> Any:
        values: list[Any] = []
        for node in nodes:
            if not isinstance(node, ast.Starred):
                values.append(self.visit(node))
                continue
            several = self.visit(node.value)
            if is_unknown(several):
                return several
            if type(several) not in _SEQUENCES:
                return self._refuse(node, f"an unpacking (*) of a {type(several).__name__}")
            if len(values) + len(several) > MOST_VALUES:
                raise Unbounded(f"a list of more than {MOST_VALUES} values")
            values.extend(several)
        return values

    def visit_Dict(self, node: ast.Dict) -> Any:
        result: dict[Any, Any] = {}
        for key_node, value_node in zip(node.keys, node.values, strict=True):
            value = self.visit(value_node)
            if key_node is None:
                self._unpack(value_node, value, result)
            elif is_unknown(key := self.visit(key_node)):
                result.clear()
            else:
                result[key] = value
                self._mark(result, key, key_node)
        return self._made(result, node)

    def _unpack(self, node: ast.expr, value: Any, result: dict[Any, Any]) -> None:
        """Put in what ``**`` brings."""
        if is_unknown(value):
            result.clear()  # any of the keys may have another value now
        elif type(value) in _DICTS:
            result.update(dict.items(value))
        else:
            self._refuse(node, f"an unpacking (**) of a {type(value).__name__}")

    def visit_ListComp(self, node: ast.ListComp) -> Any:
        values: list[Any] = []
        known = self._turned(node.generators, lambda: values.append(self.visit(node.elt)))
        return values if known else unknown()

    def visit_DictComp(self, node: ast.DictComp) -> Any:
        pairs: list[tuple[Any, Any]] = []
        known = self._turned(
            node.generators,
            lambda: pairs.append((self.visit(node.key), self.visit(node.value))),
        )
        if not known or any(is_unknown(key) for key, _ in pairs):
            return unknown()
        result = dict(pairs)
        for key in list(result):
            self._mark(result, key, node.key)
        return self._made(result, node)

    def _turned(self, generators: list[ast.comprehension], action: Callable[[], None]) -> bool:
        """Call ``action`` for each turn of a comprehension; tell whether all turns are known."""
        outside = dict(self.names)
        try:
            return self._each(generators, action)
        finally:
            self.names.clear()
            self.names.update(outside)

    def _each(self, generators: list[ast.comprehension], action: Callable[[], None]) -> bool:
        if not generators:
            action()
            return True
        first = generators[0]
        if first.ifs or first.is_async:
            raise Unbounded("a comprehension with `if` or `async`")
        values = self.visit(first.iter)
        if is_unknown(values):
            return False
        if type(values) not in _SEQUENCES:
            raise Unbounded(f"a comprehension over a {type(values).__name__}")
        for value in values:
            self._turns += 1
            if self._turns > MOST_VALUES:
                raise Unbounded(f"comprehensions of more than {MOST_VALUES} turns")
            self._store(first.target, value)
            if not self._each(generators[1:], action):
                return False
        return True

    def visit_Call(self, node: ast.Call) -> Any:
        called = node.func
        if isinstance(called, ast.Name) and called.id not in self.names:
            if called.id == "dict":
                return self._dict(node)
            if called.id in ("list", "tuple") and not node.keywords and len(node.args) < 2:
                values = self.visit(node.args[0]) if node.args else []
                if is_unknown(values) or type(values) in _SEQUENCES:
                    made = list if called.id == "list" else tuple
                    return values if is_unknown(values) else made(values)
        if isinstance(called, ast.Name) and self.names.get(called.id) is LazyObject:
            return self._lazy(node)
        if isinstance(called, ast.Attribute):
            return self._method(node, called)
        return self._refuse(node, _call(called))

    def _dict(self, node: ast.Call) -> Any:
        result: dict[Any, Any] = {}
        for argument in node.args[:1]:
            self._unpack(argument, self.visit(argument), result)
        if len(node.args) > 1:
            return self._refuse(node, "a call of dict with several arguments")
        self._keywords(node, result)
        return self._made(result, node)

    def _keywords(self, node: ast.Call, result: dict[Any, Any]) -> None:
        given: dict[str, Any] = {}
        for keyword in node.keywords:
            value = self.visit(keyword.value)
            new: dict[Any, Any] = {}
            if keyword.arg is None:
                self._unpack(keyword.value, value, new)
            else:
                new[keyword.arg] = value
                self._mark(new, keyword.arg, keyword)
            for name in new:
                if not isinstance(name, str):
                    raise TypeError("keywords must be strings")
                if name in given and not self._marker:
                    raise TypeError(f"got multiple values for keyword argument {name!r}")
            given.update(new)
        result.update(given)

    def _lazy(self, node: ast.Call) -> Any:
        """Make what ``_lazy_load`` made of an import."""
        location = {one.arg or "": self.visit(one.value) for one in node.keywords}
        return LazyObject(*map(self.visit, node.args), **location)

    def _method(self, node: ast.Call, called: ast.Attribute) -> Any:
        if not _may_be_data(called.value):
            return self._refuse(node, _call(called))
        receiver = self.visit(called.value)
        if is_unknown(receiver) and any(called.attr in names for names in _METHODS.values()):
            return unknown()
        if called.attr not in _METHODS.get(type(receiver), ()):
            return self._refuse(node, _call(called))
        arguments = self._elements(node.args)
        keywords: dict[Any, Any] = {}
        self._keywords(node, keywords)
        values = arguments if is_unknown(arguments) else [*arguments, *keywords.values()]
        if is_unknown(values) or (any(map(is_unknown, values)) and called.attr != "append"):
            make_unknown(receiver)
            return unknown()
        return self._called(receiver, called.attr, arguments, keywords)

    def _called(self, receiver: Any, name: str, arguments: list[Any], keywords: Any) -> Any:
        if problem := too_large([receiver, *arguments, *keywords.values()]):
            raise Unbounded(problem)
        if name == "extend" and type(arguments[0]) not in _SEQUENCES:
            raise Unbounded(f"extend with a {type(arguments[0]).__name__}")
        if name in ("update", "merge") and any(type(one) not in _DICTS for one in arguments):
            raise Unbounded(f"{name} with something else than a dict")
        if keywords and name != "update":
            raise Unbounded(f"{name} with keywords")
        result = getattr(receiver, name)(*arguments, **keywords)
        if name == "pop" and type(receiver) in _DICTS:
            self._mark_removed(receiver, arguments[0])
        return result

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        value = self.visit(node.value) if _may_be_data(node.value) else None
        if is_unknown(value):
            return value
        # A method, or what Python itself puts on every object, is no data.
        if not hasattr(type(value), node.attr):
            if type(value) is ConfigDict and node.attr in value:
                return dict.__getitem__(value, node.attr)
            if isinstance(value, _LAZY):
                return getattr(value, node.attr)
        return self._refuse(node, f"the attribute {_dotted(node)}")

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        container = self.visit(node.value)
        key = (
            self._slice(node.slice) if isinstance(node.slice, ast.Slice) else self.visit(node.slice)
        )
        if is_unknown(container) or is_unknown(key):
            return unknown()
        if type(container) in _DICTS:
            return dict.__getitem__(container, key)
        if type(container) not in (*_SEQUENCES, str):
            return self._refuse(node, f"an item of a {type(container).__name__}")
        return container[key]

    def _slice(self, node: ast.Slice) -> Any:
        ends = [self.visit(one) if one else None for one in (node.lower, node.upper, node.step)]
        return unknown() if any(map(is_unknown, ends)) else slice(*ends)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        value = self.visit(node.operand)
        if is_unknown(value):
            return value
        if type(node.op) not in _UNARY or type(value) not in (int, float, complex, bool):
            return self._refuse(node, f"an operator on a {type(value).__name__}")
        return _UNARY[type(node.op)](value)

    def visit_BinOp(self, node: ast.BinOp) -> Any:
        return self._operated(node, self.visit(node.left), self.visit(node.right))

    def _operated(self, node: ast.BinOp | ast.AugAssign, left: Any, right: Any) -> Any:
        if is_unknown(left) or is_unknown(right):
            return unknown()
        if type(node.op) not in _SIGNS:
            return self._refuse(node, f"the operator {type(node.op).__name__}")
        return operated(_SIGNS[type(node.op)], left, right)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> Any:
        parts = [self.visit(part) for part in node.values]
        if any(map(is_unknown, parts)):
            return unknown()
        if sum(map(len, parts)) > MOST_VALUES:
            raise Unbounded(f"a string of more than {MOST_VALUES} characters")
        return "".join(parts)

    def visit_FormattedValue(self, node: ast.FormattedValue) -> Any:
        value = self.visit(node.value)
        spec = self.visit(node.format_spec) if node.format_spec else ""
        if is_unknown(value) or is_unknown(spec):
            return unknown()
        plain = type(value) in (str, int, float, bool, type(None))
        if not plain or node.conversion not in _CONVERSIONS or not _FORMAT.fullmatch(spec):
            return self._refuse(node, f"the formatting of a {type(value).__name__}")
        return format(_CONVERSIONS[node.conversion](value), spec)

    # ----------------------------------------------------------------------------------- lines
    def _made(self, result: dict[Any, Any], node: ast.AST) -> dict[Any, Any]:
        if self._marker:
            self._marker.itself(result, self.filename, getattr(node, "lineno", 1))
        return result

    def _mark(self, container: Any, key: Any, node: ast.AST) -> None:
        if self._marker and isinstance(container, dict):
            self._marker.key(container, key, self.filename, getattr(node, "lineno", 1))

    def _mark_removed(self, container: Any, key: Any) -> None:
        if self._marker:
            self._marker.removed(container, key)


def _changes(node: ast.AST) -> bool:
    """Tell whether a part of code may change an object."""
    if isinstance(node, (ast.Attribute, ast.Subscript)):
        return not isinstance(node.ctx, ast.Load)
    return isinstance(node, (ast.Call, ast.AugAssign))


def _bound(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the names that a piece of code binds at the top level, with their lines."""
    stack = [node]
    while stack:
        part = stack.pop()
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield part.name, part.lineno
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id, part.lineno
        elif isinstance(part, ast.alias):
            yield part.asname or part.name.partition(".")[0], part.lineno
        elif not isinstance(part, (ast.Lambda, ast.comprehension)):
            stack.extend(reversed(list(ast.iter_child_nodes(part))))


def _may_be_data(node: ast.expr) -> bool:
    """Tell whether an attribute is worth looking up: ``a.b['c'].d``, not ``().d`` or ``f().d``."""
    while isinstance(node, (ast.Attribute, ast.Subscript)):
        node = node.value
    return isinstance(node, ast.Name)


def _dotted(node: ast.expr) -> str:
    """Return ``os.system`` for the code of it; what it is an attribute of may be left out."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    names.append(node.id if isinstance(node, ast.Name) else "(...)")
    return ".".join(reversed(names))


def _call(called: ast.expr) -> str:
    return f"a call of {_dotted(called)}"
