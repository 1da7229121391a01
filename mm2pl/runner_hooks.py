"""The runner's hooks: registered, called and listed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lightning.pytorch import Callback

from mm2pl.callbacks import HookCallback, HookCollection, NativeCallback, arrange
from mm2pl.errors import ConfigTypeAssertionError, ConfigTypeError
from mm2pl.mmengine.hooks import Hook, ParamSchedulerHook
from mm2pl.mmengine.registry.errors import at_key
from mm2pl.natives import build_callback, refuse
from mm2pl.runner_older import adapt
from mm2pl.trainer import log_interval
from mm2pl.translate.hooks import DEFAULT_HOOKS, with_defaults
from mm2pl.translate.older_hooks import todays_hook


class RunnerHooks:
    """The runner's methods around hooks."""

    _hook_collection: HookCollection
    _hook_callback: HookCallback

    def call_hook(self, fn_name: str, **kwargs: Any) -> None:
        """Call a point on all hooks that have it, by priority."""
        self._hook_collection.call(fn_name, **kwargs)

    def register_hook(
        self: Any, hook: Hook | Callback | dict[str, Any], priority: str | int | None = None
    ) -> None:
        """Add a hook, behind those of the same priority.

        Args:
            hook: A hook, one of Lightning's callbacks, or the config of either, which may hold
                ``priority``.
            priority: Wins over the config's and the class's own.
        """
        given = priority
        if isinstance(hook, Mapping):
            cfg = dict(todays_hook(hook))
            configured = cfg.pop("priority", None)
            given = configured if given is None else given
            hook = build_callback(cfg)
        if isinstance(hook, Callback):
            refuse(hook)
            hook = NativeCallback(hook)
        if not isinstance(hook, Hook):
            raise ConfigTypeError(f"a hook must be a Hook or a dict, got {hook!r}")
        adapt(hook)
        if given is not None:
            hook.priority = given
        if isinstance(hook, ParamSchedulerHook):
            hook.per_update = self._schedules_per_update
        self._hook_collection.add(hook)
        if isinstance(hook, NativeCallback):
            arrange(self.trainer, self._hook_callback, self.hooks)
            if not self.trainer.log_every_n_steps:
                self.trainer.log_every_n_steps = log_interval(self.plan)

    def register_hooks(
        self,
        default_hooks: dict[str, Any] | None = None,
        custom_hooks: Sequence[Hook | dict[str, Any]] | None = None,
    ) -> None:
        """Add the default hooks, changed as ``default_hooks`` says, and then the others."""
        self.register_default_hooks(default_hooks)
        if custom_hooks is not None:
            self.register_custom_hooks(custom_hooks)

    def register_default_hooks(self, hooks: dict[str, Any] | None = None) -> None:
        """Add the default hooks; ``hooks`` replaces them by name, adds, or with None leaves out."""
        chosen = {f"default_hooks.{name}": hook for name, hook in with_defaults(hooks)}
        for path, hook in chosen.items():
            if hook is None:
                raise ConfigTypeAssertionError(
                    "None leaves out a default hook, and this is none",
                    key_path=path,
                    choices=list(DEFAULT_HOOKS),
                )
        self._register(chosen)

    def register_custom_hooks(
        self, hooks: Sequence[Hook | dict[str, Any]] | dict[str, Any]
    ) -> None:
        """Add several hooks, or one by its config."""
        listed = [hooks] if isinstance(hooks, Mapping) else hooks
        self._register({f"custom_hooks[{index}]": hook for index, hook in enumerate(listed)})

    def _register(self, hooks: Mapping[str, Any]) -> None:
        for path, hook in hooks.items():
            with at_key(path):
                self.register_hook(hook)

    def get_hooks_info(self) -> str:
        """Return the table of points and the hooks that run there, in order."""
        return self._hook_collection.table()
