"""Follows the statements of a config without running them."""

from __future__ import annotations

import ast

from mm2pl.mmengine.config import _source
from mm2pl.mmengine.config._bounds import too_large
from mm2pl.mmengine.config._evaluate import Expressions
from mm2pl.mmengine.config._unknown import unknown


class Statements(Expressions):
    """Carries out what binds names and changes dicts and lists; refuses the rest."""

    def run(self, body: list[ast.stmt]) -> None:
        """Carry out the statements of a file."""
        for node in body:
            self.visit(node)
        for name, line in {_source.BASE_KEY: 1, **self._lines}.items():
            if problem := too_large(self.names.get(name)):
                self._refused(line, problem)
                self.names[name] = unknown()

    def visit_Pass(self, node: ast.Pass) -> None:
        """Do nothing."""

    def visit_Expr(self, node: ast.Expr) -> None:
        self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        if _source.is_base(node):
            return
        value = self.visit(node.value)
        for target in node.targets:
            self._store(target, value)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        old, new = self.visit(node.target), self.visit(node.value)
        value = self._operated(node, old, new)
        if type(old) is list and type(value) is list:  # += changes the list that others hold, too
            old[:] = value
            value = old
        self._store(node.target, value)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Name):
                del self.names[target.id]
                self._mark_removed(self.names, target.id)
            elif place := self._place(target):
                container, key = place
                del container[key]
                self._mark_removed(container, key)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        from mm2pl.mmengine import config

        names = [alias.name for alias in node.names]
        ours = node.module in ("mmengine.config", "mm2pl.mmengine.config") and node.level == 0
        if not ours or not set(names) <= set(config.__all__):
            self.generic_visit(node)
            return
        for alias in node.names:
            self._bind(alias.asname or alias.name, getattr(config, alias.name), node.lineno)
