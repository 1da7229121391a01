"""Cases of mmengine.runner.checkpoint; see tests/unit/mmengine/utils/differential.py."""

from __future__ import annotations

import contextlib
import inspect
import io
import json
import logging
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import nn

from tests.unit.mmengine.utils.differential import Package, outcome


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def served(folder: str) -> Iterator[str]:
    """Serve a folder by HTTP and give its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def homes() -> Iterator[str]:
    """Give a folder that is the home of torch's and MMEngine's downloads."""
    with TemporaryDirectory() as folder:
        moved = {"TORCH_HOME": f"{folder}/torch", "MMENGINE_HOME": f"{folder}/home"}
        # A progress bar would start a thread that stays.
        without_thread = patch.object(torch.hub.tqdm, "monitor_interval", 0, create=True)
        with patch.dict(os.environ, moved), without_thread:
            yield folder


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


def logged(call: Any, *args: Any, **kwargs: Any) -> list[Any]:
    """Return what ``call(..., logger=...)`` returns or raises, and what it logs."""
    logger, lines = logging.Logger("cases"), Lines()
    logger.addHandler(lines)
    return [outcome(call, *args, logger=logger, **kwargs), lines.lines]


def model() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        OrderedDict(backbone=nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)), head=nn.ReLU())
    )


def weights(**changes: Any) -> Any:
    state = model().state_dict()
    for key, value in changes.items():
        state.update({key.replace("__", "."): value})
    return state


def checkpoint(m: Package) -> Any:
    return m.module("runner.checkpoint")


# --------------------------------------------------------------------------- cases


def names(m: Package) -> Any:
    module = checkpoint(m)
    expected = [
        *("_get_mmengine_home", "_load_checkpoint", "_load_checkpoint_to_model"),
        *("_load_checkpoint_with_prefix", "_process_mmcls_checkpoint", "_save_to_state_dict"),
        *("load_from_ceph", "load_from_http", "load_from_local", "load_from_mmcls"),
        *("load_from_openmmlab", "load_from_pavi", "load_from_torchvision", "save_checkpoint"),
    ]
    return [
        sorted(m.runner.__all__),
        [callable(getattr(module, name, None)) for name in expected],
        [p.name for p in inspect.signature(module.load_from_http).parameters.values()],
        str(module._IncompatibleKeys([], [])),
        str(module._IncompatibleKeys(["a"], ["b"])),
    ]


def zoo_tables(m: Package) -> Any:
    module = checkpoint(m)
    with homes() as folder:
        before = module.get_external_models()
        own = {"mine": "mine.pth", "vgg16_caffe": "http://other"}
        Path(folder, "home").mkdir(exist_ok=True)
        Path(folder, "home", "open_mmlab.json").write_text(json.dumps(own))
        after = module.get_external_models()
    tables = [before, after, module.get_mmcls_models(), module.get_deprecated_model_names()]
    return [sorted(table.items()) for table in tables]


def home(m: Package) -> Any:
    results = []
    with TemporaryDirectory() as folder:
        for changed in ("MMENGINE_HOME", "XDG_CACHE_HOME", "HOME"):
            others = {"MMENGINE_HOME", "XDG_CACHE_HOME"} - {changed}
            env = {k: v for k, v in os.environ.items() if k not in others}
            with patch.dict(os.environ, {**env, changed: folder}, clear=True):
                path = checkpoint(m)._get_mmengine_home()
            results.append([os.path.relpath(path, folder), os.path.isdir(path)])
    return results


def loaders(m: Package) -> Any:
    find = checkpoint(m).CheckpointLoader._get_checkpoint_loader
    paths = [
        *("a.pth", "/a/b.pth", "~/c.pth", "http://a/b.pth", "https://a/b.pth", "s3://b/a.pth"),
        *("cluster:s3://b/a.pth", "petrel://a", "c:petrel://a", "pavi://a", "modelzoo://resnet18"),
        *("torchvision://resnet18", "open-mmlab://a", "openmmlab://a", "mmcls://resnet50"),
    ]
    return [find(path).__name__ for path in paths]


def schemes(m: Package) -> Any:
    kind = checkpoint(m).CheckpointLoader
    with patch.dict(kind._schemes):
        before = kind._schemes

        @kind.register_scheme("ab://")
        def load_from_ab(filename: str, map_location: Any) -> Any:
            return ["ab", filename, map_location]

        def load_from_a(filename: str, map_location: Any) -> Any:
            return ["a", filename]

        results = [
            kind.register_scheme(["a", "b://"], load_from_a),
            logged(kind.load_checkpoint, "ab://x", "cpu"),
            logged(kind.load_checkpoint, "abc", None),
            logged(checkpoint(m)._load_checkpoint, "b://x"),
            outcome(kind.register_scheme, "b://", load_from_ab),
            outcome(kind.register_scheme, {"c": 1}, load_from_ab),
            kind.register_scheme(("b://",), load_from_ab, force=True),
            logged(kind.load_checkpoint, "b://x"),
        ]
        kind._schemes = before
    return results


def mismatches(m: Package) -> Any:
    load = checkpoint(m).load_state_dict
    states = [
        weights(),
        weights(backbone__0__bias=torch.zeros(3)),
        weights(more=torch.zeros(1), head__more=torch.zeros(1)),
        {"backbone.0.weight": torch.ones(2, 3, 1, 1)},
        {k: v for k, v in weights().items() if "num_batches" not in k},
        OrderedDict(),
    ]
    results = []
    for strict in (False, True):
        for state in states:
            target = model()
            results.append(_in_few_words(logged(load, target, state, strict)))
            results.append(target.state_dict()["backbone.0.weight"])
        with contextlib.suppress(RuntimeError):
            load(model(), states[1], strict=True)
    return results


def _in_few_words(value: Any) -> Any:
    """Take out the words around shapes that differ: ours stand in a table."""
    if isinstance(value, (list, tuple)):
        return [_in_few_words(one) for one in value]
    if not isinstance(value, str):
        return value
    value = re.sub(r"weights with another shape:\nweight +in the .*\n", "", value)
    sentence = r"size mismatch for (\S+): .*?Size\((.*?)\).*?Size\((.*?)\)\."
    return " ".join(re.sub(sentence, r"\1 \2 \3", value).split())


def strict_message(m: Package) -> Any:
    try:
        checkpoint(m).load_state_dict(model(), {"other": torch.zeros(1)}, strict=True)
    except RuntimeError as error:
        return str(error)
    return None


def printed_mismatch(m: Package) -> Any:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        checkpoint(m).load_state_dict(model(), {})
    return out.getvalue()


def load_hooks(m: Package) -> Any:
    seen: list[Any] = []
    target = model()

    def rename(state: Any, prefix: str, metadata: Any, *args: Any) -> None:
        seen.append([prefix, sorted(state), metadata])
        if "weight" in state:
            state["backbone.0.weight"] = state.pop("weight")

    def forgive(module: Any, keys: Any) -> None:
        seen.append(list(keys.missing_keys))
        keys.missing_keys.clear()

    target._register_load_state_dict_pre_hook(rename)
    target.register_load_state_dict_post_hook(forgive)
    state = OrderedDict(weight=torch.ones(2, 3, 1, 1))
    result = logged(checkpoint(m).load_state_dict, target, state, strict=True)
    return [result, seen, list(state), target.state_dict()["backbone.0.weight"]]


class Asking(nn.Linear):
    """A module that looks at the versions of what it loads, and may answer from its hook."""

    def __init__(self, answer: Any) -> None:
        super().__init__(1, 1)
        self.seen: list[Any] = []
        self.register_load_state_dict_post_hook(lambda module, keys: answer)

    def _load_from_state_dict(self, state: Any, *args: Any) -> None:
        self.seen.append(getattr(state, "_metadata", "none"))
        super()._load_from_state_dict(state, *args)


def asked(m: Package) -> Any:
    results = []
    for answer in (None, "an answer"):
        target = Asking(answer)
        result = outcome(checkpoint(m).load_state_dict, target, nn.Linear(1, 1).state_dict())
        results.append([target.seen, result])
    return results


def gathered(m: Package) -> Any:
    module = checkpoint(m)
    target = model()
    target._register_state_dict_hook(
        lambda part, state, prefix, metadata: state.update(seen=torch.tensor(metadata["version"]))
    )
    state = module.get_state_dict(target, prefix="p.")
    wrapped = nn.DataParallel(model())
    return [
        dict(state),
        dict(state._metadata),
        list(module.get_state_dict(wrapped)),
        list(module.get_state_dict(nn.Sequential(wrapped))),
        module.get_state_dict(target, keep_vars=True)["backbone.0.weight"].requires_grad,
        state["p.backbone.0.weight"].requires_grad,
    ]


def one_module(m: Package) -> Any:
    destination: dict[str, Any] = {}
    part = nn.BatchNorm2d(2)
    part.register_buffer("left_out", torch.ones(1), persistent=False)
    checkpoint(m)._save_to_state_dict(part, destination, "x.", False)
    return destination


def to_cpu(m: Package) -> Any:
    state = OrderedDict(a=torch.ones(1), b={"c": [torch.ones(1), 3]}, d="e")
    state._metadata = {"version": 2}  # type: ignore[attr-defined]
    result = checkpoint(m).weights_to_cpu(state)
    return [result, result._metadata, checkpoint(m).weights_to_cpu(model().state_dict())._metadata]


def files(m: Package) -> Any:
    module = checkpoint(m)
    with TemporaryDirectory() as folder:
        path = f"{folder}/a.pth"
        prefixed = {f"module.{k}": v for k, v in weights().items()}
        torch.save({"state_dict": prefixed, "meta": {"epoch": 3}}, path)
        torch.save([1], f"{folder}/list.pth")
        torch.save(weights(), f"{folder}/bare.pth")
        target = nn.Sequential(OrderedDict(b=model().backbone))
        rename = [(r"^module\.backbone", "b")]
        return [
            logged(module.load_checkpoint, model(), path)[0]["meta"],
            logged(module.load_checkpoint, target, path, "cpu", True, revise_keys=rename)[1][1:],
            outcome(module.load_checkpoint, target, path, strict=True),
            outcome(module.load_checkpoint, target, f"{folder}/list.pth"),
            outcome(module.load_checkpoint, target, f"{folder}/none.pth"),
            dict(module._load_checkpoint_with_prefix("backbone.0", f"{folder}/bare.pth")),
            dict(module._load_checkpoint_with_prefix("module.backbone.", path, "cpu")),
            outcome(module._load_checkpoint_with_prefix, "back", path),
        ]


def saved(m: Package) -> Any:
    module = checkpoint(m)
    results: list[Any] = []
    ways: list[dict[str, Any]] = [
        {},
        {"backend_args": {"backend": "local"}},
        {"file_client_args": {"backend": "disk"}},
        {"file_client_args": {"backend": "disk"}, "backend_args": {"backend": "local"}},
        {"file_client_args": {"backend": "nothing"}},
        {"backend_args": {"backend": "nothing"}},
    ]
    with TemporaryDirectory() as folder:
        for number, way in enumerate(ways):
            path = f"{folder}/{number}/a.pth"
            results.append(outcome(module.save_checkpoint, {"x": torch.ones(2)}, path, **way))
            results.append(
                torch.load(path, weights_only=True)["x"] if os.path.exists(path) else None
            )
        results.append(module.find_latest_checkpoint(folder))
        Path(folder, "last_checkpoint").write_text("a/b.pth\n")
        results.append(module.find_latest_checkpoint(folder))
    return results


def downloads(m: Package) -> Any:
    module = checkpoint(m)
    with homes() as folder:
        torch.save({"state_dict": weights(), "meta": {}}, f"{folder}/net-12345678.pth")
        own = Path(folder, "home")
        own.mkdir()
        torch.save({"mine": 1}, own / "mine.pth")
        with served(folder) as base:
            zoo = {"net": f"{base}/net-12345678.pth", "mine": "mine.pth", "gone": "gone.pth"}
            (own / "open_mmlab.json").write_text(json.dumps(zoo))
            names = ["open-mmlab://net", "openmmlab://net", "open-mmlab://mine"]
            first = [sorted(module._load_checkpoint(name)) for name in names]
            missing = [
                outcome(module._load_checkpoint, f"{base}/none.pth"),
                outcome(module._load_checkpoint, "open-mmlab://gone"),
                outcome(module._load_checkpoint, "open-mmlab://no"),
                outcome(module._load_checkpoint, "mmcls://no"),
            ]
            elsewhere = module.load_from_http(zoo["net"], model_dir=f"{folder}/here")
        kept = sorted(os.listdir(f"{folder}/torch/hub/checkpoints")), os.listdir(f"{folder}/here")
        again = sorted(module._load_checkpoint("open-mmlab://net", map_location="cpu"))
        refused = outcome(module._load_checkpoint, re.sub("net-", "other-", zoo["net"]))
    return [first, missing, sorted(elsewhere), *kept, again, refused]


def located(m: Package) -> Any:
    """Where the weights of a file come to lie."""
    load = checkpoint(m)._load_checkpoint
    places: list[Any] = [None, "cpu", "meta", torch.device("meta"), {"cpu": "meta"}, {}]
    places += [lambda storage, place: storage, lambda storage, place: None]
    with TemporaryDirectory() as folder:
        torch.save({"state_dict": weights()}, f"{folder}/a.pth")
        loaded = [load(f"{folder}/a.pth", map_location=place)["state_dict"] for place in places]
        prefixed = checkpoint(m)._load_checkpoint_with_prefix("backbone", f"{folder}/a.pth", "meta")
    return [[str(one.device) for one in state.values()] for state in (*loaded, prefixed)]


def revised(m: Package) -> Any:
    """Names changed one pattern after another; a file's own part for each module."""
    ways: list[Any] = [
        [(r"^module\.", "")],
        [(r"^module\.", ""), (r"^net", "backbone")],
        [(r"net", "module.backbone"), (r"^module\.module\.", "")],
        [(r"(\w+)\.net", r"backbone")],
    ]
    results = []
    with TemporaryDirectory() as folder:
        state = {k.replace("backbone", "module.net"): v + 1 for k, v in weights().items()}
        torch.save({"state_dict": state}, f"{folder}/a.pth")
        for way in ways:
            target = model()
            load = partial(checkpoint(m).load_checkpoint, target, f"{folder}/a.pth")
            messages = _in_few_words(logged(load, revise_keys=way)[1])
            results.append([messages[1:], dict(target.state_dict())])
            results.append(_in_few_words(outcome(load, strict=True, revise_keys=way)))
    return results


def of_openmmlab_1(m: Package) -> Any:
    """A file as mmcv 1.x wrote it, loaded by each way that takes weights."""
    module = checkpoint(m)
    state = OrderedDict((f"module.{name}", value + 2) for name, value in weights().items())
    state.pop("module.backbone.1.num_batches_tracked")  # as torch 0.4 left it out
    state._metadata = {"module.backbone.1": {"version": 1}}  # type: ignore[attr-defined]
    meta = {
        **dict(mmcv_version="1.7.0", mmdet_version="2.28.0+abc", time="Mon Jan  2 12:00:00 2023"),
        **dict(config="model = dict(type='A')", env_info="sys.platform: linux", seed=0, epoch=12),
        **dict(iter=87960, exp_name="a.py", CLASSES=("a", "b"), PALETTE=[(1, 2, 3)]),
        "hook_msgs": {"best_score": np.float64(0.5), "best_ckpt": "a.pth", "last_ckpt": "b.pth"},
    }
    parameter = nn.Parameter(torch.ones(2))
    parameter.grad = torch.ones(2)
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9)
    optimizer.step()
    results: list[Any] = []
    with TemporaryDirectory() as folder:
        whole = {"meta": meta, "state_dict": state, "optimizer": optimizer.state_dict()}
        for zipped in (True, False):
            path = f"{folder}/a.pth"
            torch.save(whole, path, _use_new_zipfile_serialization=zipped)
            target = model()
            loaded = module.load_checkpoint(target, path, strict=True)
            results += [dict(target.state_dict()), sorted(loaded), loaded["meta"]]
            results.append(loaded["optimizer"]["param_groups"])
            results.append(module._load_checkpoint_with_prefix("module.backbone", path))
            target.init_cfg = {"type": "Pretrained", "checkpoint": path}
            m.module("model").initialize(target, target.init_cfg)
            results.append(dict(target.state_dict()))
    return results


def mmcls_backbones(m: Package) -> Any:
    process = checkpoint(m)._process_mmcls_checkpoint
    state = {"backbone.a": 1, "head.b": 2, "backbone.backbone.c": 3}
    results = [process(state), process({"state_dict": state, "meta": {}})]
    return [dict(result, state_dict=dict(result["state_dict"])) for result in results]


CASES = {
    case.__name__: case
    for case in (
        *(names, zoo_tables, home, loaders, schemes, mismatches, strict_message),
        *(
            printed_mismatch,
            load_hooks,
            asked,
            gathered,
            one_module,
            to_cpu,
            files,
            saved,
            downloads,
        ),
        *(mmcls_backbones, located, revised, of_openmmlab_1),
    )
}
