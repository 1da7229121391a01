"""What the cases share: the package under test, and bits as text."""

from __future__ import annotations

import hashlib
import importlib
import sys

import torch

ROOT = sys.argv[1]
M = importlib.import_module(f"{ROOT}.model")
S = importlib.import_module(f"{ROOT}.structures")


def digest(value):
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().contiguous()
        raw = value.reshape(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""
        return [str(value.dtype), list(value.shape), hashlib.sha1(raw).hexdigest()]
    if isinstance(value, dict):
        return [type(value).__name__, [[key, digest(each)] for key, each in value.items()]]
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, [digest(each) for each in value]]
    if isinstance(value, S.BaseDataElement):
        return ["element", digest(dict(value.items()))]
    return repr(value)


def state(module):
    """Names and bits of all weights, and what the RNG would draw next."""
    return [digest(dict(module.state_dict())), torch.rand(()).item()]


def outcome(function):
    try:
        return digest(function())
    except Exception as error:
        return {"raises": [kind.__name__ for kind in type(error).__mro__]}
