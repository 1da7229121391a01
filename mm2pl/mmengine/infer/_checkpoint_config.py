"""The config that a checkpoint brings along, read without running code from it."""

from __future__ import annotations

import ast
from typing import Any

from mm2pl.errors import CheckpointError, ConfigAssertionError
from mm2pl.mmengine.config import Config

_PLAIN = (
    *(ast.Module, ast.Assign, ast.Constant, ast.Dict, ast.List, ast.Tuple, ast.Set, ast.keyword),
    *(ast.Call, ast.Name, ast.Subscript, ast.UnaryOp, ast.USub, ast.BinOp, ast.Add, ast.Sub),
    ast.expr_context,
)
_MAKERS = {"dict", "set", "frozenset", "float", "complex", "globals"}


def config_in(checkpoint: Any, file: str) -> Config:
    """Return the config that a checkpoint holds.

    Raises:
        ValueError: It holds none. (An ``AssertionError`` too, as MMEngine raises without ``meta``.)
        CheckpointError: It holds code.
    """
    checkpoint = {} if checkpoint is None else checkpoint
    text = checkpoint.get("message_hub", {}).get("runtime_info", {}).get("cfg")
    if text is None:  # MMEngine's first versions kept it here alone
        text = checkpoint.get("meta", {}).get("cfg")
    if text is None:
        raise ConfigAssertionError("no config is in the checkpoint", file=file, hint="pass model=")
    for node in ast.walk(ast.parse(text)):
        if not _is_plain(node):
            raise CheckpointError(
                f"the config in the checkpoint holds code: {ast.unparse(node)}",
                file=file,
                hint="pass the config as model=",
            )
    return Config.fromstring(text, file_format=".py")


def _is_plain(node: ast.AST) -> bool:
    """Tell whether a node is of the kinds that a dumped config has, which only make values."""
    if isinstance(node, ast.Call):
        return isinstance(node.func, ast.Name) and node.func.id in _MAKERS
    if isinstance(node, ast.Name):
        return node.id != "_base_"
    return isinstance(node, _PLAIN)
