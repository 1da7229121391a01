"""``BaseModule``: a module whose weights are initialised as its ``init_cfg`` says."""

from __future__ import annotations

import copy
import logging
from abc import ABCMeta
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from torch import nn

from mm2pl.errors import ConfigKeyError, ConfigTypeAssertionError
from mm2pl.mmengine.dist import master_only
from mm2pl.mmengine.logging import MMLogger, print_log
from mm2pl.mmengine.model.weight_init import PretrainedInit, initialize, update_init_info
from mm2pl.mmengine.model.wrappers.utils import is_model_wrapper

InitCfg = dict[str, Any] | list[dict[str, Any]] | None


class BaseModule(nn.Module, metaclass=ABCMeta):
    """An ``nn.Module`` with ``init_cfg`` and :meth:`init_weights`.

    A submodule's own ``init_cfg`` wins over its parent's, and ``Pretrained`` over all others.

    Args:
        init_cfg: Initialiser config or configs, see :func:`~.weight_init.initialize`.
    """

    def __init__(self, init_cfg: InitCfg = None) -> None:
        super().__init__()
        self._is_init = False
        self.init_cfg = copy.deepcopy(init_cfg)

    @property
    def is_init(self) -> bool:
        """Whether :meth:`init_weights` has run; a parent skips a child that says yes."""
        return self._is_init

    @is_init.setter
    def is_init(self, value: bool) -> None:
        self._is_init = value

    def init_weights(self) -> None:
        """Initialise this module, then its children, then what ``Pretrained`` loads.

        The outermost call also writes to the log file how each parameter got its value.
        """
        if hasattr(self, "_params_init_info"):
            self._init_weights_once()
            return
        self._start_init_info()
        try:
            self._init_weights_once()
            self._dump_init_info()
        finally:
            for module in self.modules():
                module.__dict__.pop("_params_init_info", None)

    def _start_init_info(self) -> None:
        # One table, keyed by parameter, is shared by all submodules; user code reads and extends
        # it through update_init_info. A parameter whose mean changed counts as initialised.
        unchanged = (
            "The value is the same before and after calling `init_weights` "
            f"of {type(self).__name__} "
        )
        notes: defaultdict[nn.Parameter, dict[str, Any]] = defaultdict(dict)
        for param in self.parameters():
            notes[param] = {"init_info": unchanged, "tmp_mean_value": param.data.mean().cpu()}
        for module in self.modules():
            module._params_init_info = notes  # type: ignore[assignment]

    def _init_weights_once(self) -> None:
        name = type(self).__name__
        if self._is_init:
            print_log(
                f"init_weights of {name} has been called more than once.",
                logger="current",
                level=logging.WARNING,
            )
            return
        cfgs, pretrained = self._split_init_cfg()
        if self.init_cfg:
            print_log(
                f"initialize {name} with init_cfg {self.init_cfg}",
                logger="current",
                level=logging.DEBUG,
            )
        initialize(self, cfgs)
        for child in self.children():
            if is_model_wrapper(child) and not hasattr(child, "init_weights"):
                child = child.module  # type: ignore[assignment]
            if hasattr(child, "init_weights") and not getattr(child, "is_init", False):
                child.init_weights()  # type: ignore[operator]
                info = f"Initialized by user-defined `init_weights` in {type(child).__name__} "
                update_init_info(child, init_info=info)
        initialize(self, pretrained)
        self._is_init = True

    def _split_init_cfg(self) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the configs other than ``Pretrained``, and those, which run last."""
        cfgs = [self.init_cfg] if isinstance(self.init_cfg, dict) else self.init_cfg
        split: tuple[list[dict[str, Any]], list[dict[str, Any]]] = ([], [])
        # An empty dict or list, like None, asks for nothing.
        for cfg in cfgs if self.init_cfg and cfgs else ():
            if not isinstance(cfg, dict):
                raise ConfigTypeAssertionError(
                    f"init_cfg of {type(self).__name__} must hold dicts, got {cfg!r}"
                )
            if "type" not in cfg:
                raise ConfigKeyError(f'init_cfg of {type(self).__name__} needs "type", got {cfg}')
            split[cfg["type"] in ("Pretrained", PretrainedInit)].append(cfg)
        return split

    @master_only
    def _dump_init_info(self) -> None:
        """Write each parameter's note to the logger's files, or to the logger if it has none."""
        notes: dict[nn.Parameter, dict[str, Any]] = self._params_init_info  # type: ignore[assignment]
        entries = [
            f"\n{name} - {param.shape}: \n{notes[param]['init_info']} \n"
            for name, param in self.named_parameters()
        ]
        logger = MMLogger.get_current_instance()
        files = [each for each in logger.handlers if isinstance(each, logging.FileHandler)]
        for handler in files:
            if handler.stream is None:  # opened with delay=True
                handler.stream = handler._open()
            handler.stream.write(
                "Name of parameter - Initialization information\n" + "".join(entries)
            )
            handler.stream.flush()
        for entry in () if files else entries:
            logger.info(f"{entry} ")

    def __repr__(self) -> str:
        text = super().__repr__()
        return f"{text}\ninit_cfg={self.init_cfg}" if self.init_cfg else text


class Sequential(BaseModule, nn.Sequential):
    """``nn.Sequential`` with an ``init_cfg``."""

    def __init__(self, *args: Any, init_cfg: InitCfg = None) -> None:
        BaseModule.__init__(self, init_cfg)
        nn.Sequential.__init__(self, *args)


class ModuleList(BaseModule, nn.ModuleList):
    """``nn.ModuleList`` with an ``init_cfg``."""

    def __init__(
        self, modules: Iterable[nn.Module] | None = None, init_cfg: InitCfg = None
    ) -> None:
        BaseModule.__init__(self, init_cfg)
        nn.ModuleList.__init__(self, modules)


class ModuleDict(BaseModule, nn.ModuleDict):
    """``nn.ModuleDict`` with an ``init_cfg``."""

    def __init__(self, modules: Any = None, init_cfg: InitCfg = None) -> None:
        BaseModule.__init__(self, init_cfg)
        nn.ModuleDict.__init__(self, modules)
