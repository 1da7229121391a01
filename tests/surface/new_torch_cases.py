"""What MMEngine has trouble with on a new torch and NumPy; prints the outcomes as one JSON object.

python new_torch_cases.py [--ours]
"""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def torchs_optimizers_that_are_not_registered():
    import torch
    from mmengine.optim.optimizer.builder import OPTIMIZERS  # registers them

    names = [
        name
        for name, kind in vars(torch.optim).items()
        if inspect.isclass(kind) and issubclass(kind, torch.optim.Optimizer)
    ]
    found = set(OPTIMIZERS.module_dict.values())
    return [name for name in names if getattr(torch.optim, name) not in found]


def a_muon_of_ones_own_takes_the_name():
    import torch
    from mmengine.optim.optimizer.builder import OPTIMIZERS

    class Muon(torch.optim.SGD):
        pass

    OPTIMIZERS.register_module(module=Muon)
    return OPTIMIZERS.get("Muon") is Muon


def an_sgd_of_ones_own_does_not():
    import torch
    from mmengine.optim.optimizer.builder import OPTIMIZERS

    class SGD(torch.optim.SGD):
        pass

    OPTIMIZERS.register_module(module=SGD)


def muon_trains():
    import torch
    from mmengine.optim import build_optim_wrapper

    if not hasattr(torch.optim, "Muon"):
        return "Muon"
    model = torch.nn.Linear(2, 2, bias=False)
    wrapper = build_optim_wrapper(model, {"optimizer": {"type": "Muon", "lr": 0.1}})
    wrapper.update_params(model(torch.ones(1, 2)).sum())
    return type(wrapper.optimizer).__name__


def adafactor_trains():
    import torch
    from mmengine.optim import build_optim_wrapper

    if not hasattr(torch.optim, "Adafactor"):
        return "Adafactor"
    model = torch.nn.Linear(2, 2)
    wrapper = build_optim_wrapper(model, {"optimizer": {"type": "TorchAdafactor", "lr": 0.1}})
    wrapper.update_params(model(torch.ones(1, 2)).sum())
    return type(wrapper.optimizer).__name__


def fused_adam_with_a_tensor_for_lr_is_scheduled():
    import torch
    from mmengine.optim import LinearLR

    optimizer = torch.optim.Adam(torch.nn.Linear(1, 1).parameters(), lr=torch.tensor(0.1))
    scheduler = LinearLR(optimizer, start_factor=0.5, end=5)
    optimizer.step()
    scheduler.step()
    return round(float(optimizer.param_groups[0]["lr"]), 6)


def its_own_checkpoint_loads():
    import torch
    from mmengine.logging import MessageHub
    from mmengine.runner import load_checkpoint, save_checkpoint

    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)  # torch's default
    hub = MessageHub.get_instance("saved")
    hub.update_scalar("loss", 1.5)
    model = torch.nn.Linear(1, 1)
    file = Path(tempfile.mkdtemp(), "a.pth")
    checkpoint = {"state_dict": model.state_dict(), "message_hub": hub.state_dict()}
    save_checkpoint(checkpoint, str(file))
    history = load_checkpoint(model, str(file))["message_hub"]["log_scalars"]["loss"]
    return history.mean()


def a_folder_is_found_without_pkg_resources():
    code = (
        "import sys; sys.modules['pkg_resources'] = None\n"
        "from mmengine.utils import get_installed_path\n"
        "print(get_installed_path('numpy'))"
    )
    if "--ours" in sys.argv:
        code = "import mm2pl; mm2pl.install_as_mmengine()\n" + code
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return Path(done.stdout.strip()).name or done.stderr.strip().splitlines()[-1].split(":")[0]


def what_it_imports_warns_of_nothing():
    code = (
        "import torch\n"
        "import mmengine.runner, mmengine.hooks, mmengine.visualization, mmengine.model.wrappers\n"
        "import mmengine.structures, mmengine.dataset, mmengine.infer, mmengine.testing\n"
        "import sys; print('pkg_resources' in sys.modules, 'torch._six' in sys.modules)"
    )
    if "--ours" in sys.argv:
        code = "import mm2pl; mm2pl.install_as_mmengine()\n" + code
    ignore = "ignore:`torch.jit:DeprecationWarning"  # of torch's own modules
    done = subprocess.run(
        [sys.executable, "-W", "error", "-W", ignore, "-c", code], capture_output=True, text=True
    )
    return done.stdout.strip() or done.stderr.strip().splitlines()[-1]


def numpys_types_are_logged():
    import numpy as np
    from mmengine.logging import MessageHub

    hub = MessageHub.get_instance("numpy")
    values = [np.float32(1.5), np.float64(2), np.int64(3), np.array(2.5), np.array([4.5])]
    for value in values:
        hub.update_scalar("a", value)
    return [float(hub.get_scalar("a").mean()), str(hub.get_scalar("a").current())]


def numpys_bool_is_logged():
    import numpy as np
    from mmengine.logging import MessageHub

    hub = MessageHub.get_instance("bool")
    hub.update_scalar("a", np.bool_(True))
    return float(hub.get_scalar("a").mean())


def numpys_types_are_dumped():
    import mmengine
    import numpy as np

    value = {"a": np.float32(1.5), "b": np.int64(3), "c": np.arange(2), "d": np.bool_(True)}
    return mmengine.dump(value, file_format="json")


def numpys_types_in_a_config_are_written_as_numbers():
    import numpy as np
    from mmengine.config import Config

    text = Config({"a": np.float64(1.5), "b": np.int64(2)}).pretty_text
    return text.split("\n")


def mixed_precision_works_without_a_gpu():
    import torch
    from mmengine.optim import AmpOptimWrapper

    model = torch.nn.Linear(1, 1)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    wrapper = AmpOptimWrapper(optimizer=optimizer, dtype="bfloat16")
    with wrapper.optim_context(model):
        loss = model(torch.ones(1, 1)).sum()
    wrapper.update_params(loss)
    return str(loss.dtype)


def torchs_version_compares_as_one():
    from mmengine.utils.dl_utils import TORCH_VERSION

    return [TORCH_VERSION >= "2.4", TORCH_VERSION < "100.0"]


def a_compiled_train_step_trains():
    import torch
    from mmengine.model import BaseModel
    from mmengine.optim import OptimWrapper

    class Model(BaseModel):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(2, 1)

        def forward(self, inputs, data_samples=None, mode="tensor"):
            output = self.linear(torch.stack(inputs))
            return {"loss": output.sum()} if mode == "loss" else output

    model = Model()
    model.train_step = torch.compile(model.train_step, backend="eager")
    wrapper = OptimWrapper(torch.optim.SGD(model.parameters(), 0.1))
    return sorted(model.train_step({"inputs": [torch.ones(2)] * 2}, wrapper))


def workers_load_data():
    from mmengine.runner import Runner

    loader = Runner.build_dataloader(
        {
            "dataset": list(range(10)),
            "sampler": {"type": "DefaultSampler", "shuffle": True},
            "batch_size": 2,
            "num_workers": 1,
            "persistent_workers": True,
        },
        seed=0,
    )
    return [[int(value) for value in batch] for batch in loader]


# The one that changes the registry comes last.
_LAST = (a_muon_of_ones_own_takes_the_name,)
CASES = [value for value in list(globals().values()) if inspect.isfunction(value)]
CASES = [case for case in CASES if case not in _LAST] + list(_LAST)


def outcome(case):
    try:
        return case()
    except Exception as error:
        return f"raises {type(error).__name__}"


if __name__ == "__main__":
    if "--ours" in sys.argv:
        import mm2pl

        mm2pl.install_as_mmengine()
    print("\n" + json.dumps({case.__name__: outcome(case) for case in CASES}))
