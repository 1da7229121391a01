"""MMEngine's run with a replaced optimizer, for drawing schedules; not supported."""

from mm2pl.support import unsupported

_REASON = "it replaces methods of the optimizer wrapper and of a hook for one run"
_HINT = "run the config with a model that has no work to do, and read lr from scalars.json"

ToyModel = unsupported("mmengine.utils.dl_utils.visualize.ToyModel", _REASON, _HINT)
fake_run = unsupported("mmengine.utils.dl_utils.visualize.fake_run", _REASON, _HINT)
update_params_step = unsupported(
    "mmengine.utils.dl_utils.visualize.update_params_step", _REASON, _HINT
)
runtimeinfo_step = unsupported("mmengine.utils.dl_utils.visualize.runtimeinfo_step", _REASON, _HINT)
