"""MessageHub: MMEngine's scalars, facts and states."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest
import torch

from mm2pl.mmengine.logging import HistoryBuffer, MessageHub


def contents(package: str) -> dict[str, Any]:
    """Return what hubs hold after various updates; runs with MMEngine and with mm2pl."""
    import importlib
    from collections import OrderedDict

    import numpy as np
    import torch

    module = importlib.import_module(f"{package}.logging.message_hub")
    history_class = module.HistoryBuffer
    count = iter(range(100))

    def new(**arguments: Any) -> Any:
        return module.MessageHub(f"hub {next(count)}", **arguments)

    def scalars(buffers: Any) -> dict[str, Any]:
        return {
            key: [(str(array.dtype), [repr(x) for x in array.tolist()]) for array in buffer.data]
            for key, buffer in buffers.items()
        }

    def everything(hub: Any) -> list[Any]:
        state = hub.state_dict()
        return [
            scalars(hub.log_scalars),
            hub.runtime_info,
            scalars(state["log_scalars"]),
            state["runtime_info"],
            state["resumed_keys"],
            [type(part).__name__ for part in (hub.log_scalars, hub.runtime_info, *state.values())],
        ]

    values = {
        "int": 3,
        "float": 0.1,
        "bool": True,
        "array": np.array([[2.5]], np.float32),
        "numpy int": np.int16(7),
        "numpy float": np.float32(0.1),
        "tensor": torch.tensor(0.1),
        "int tensor": torch.tensor([5]),
        "half tensor": torch.tensor(0.1, dtype=torch.bfloat16),
        "tensor with gradient": torch.tensor(0.3, requires_grad=True),
    }
    found: dict[str, Any] = {}
    hub = new()
    for key, value in values.items():
        hub.update_scalar(f"train/{key}", value)
        hub.update_scalar(f"train/{key}", 2.5, 4)
        hub.update_scalar(f"train/{key}", value, 2)
    found["scalars"] = everything(hub)

    hub = new()
    hub.update_scalars(
        {"a": 1, "b": {"value": torch.tensor(2.0), "count": np.int64(3)}, "c": {"value": 1}}
    )
    hub.update_scalars({"d": 1}, resumed=False)
    hub.update_info("iter", 3)
    hub.update_info_dict({"list": [1, 2], "seed": None}, resumed=False)
    found["several"] = everything(hub)
    found["read"] = [
        hub.get_info("iter"),
        hub.get_info("none"),
        hub.get_info("none", 5),
        hub.pop_info("iter"),
        hub.pop_info("iter", "gone"),
        repr(hub.get_scalar("a").current()),
    ]
    found["after popping"] = everything(hub)

    given = new(
        log_scalars={"a": history_class([1], [1])},
        runtime_info={"x": 1},
        resumed_keys={"a": True, "x": False},
    )
    found["given"] = everything(given)

    source = new()
    source.update_scalars({"a": 1.0, "b": 2.0})
    source.update_scalar("not resumed", 1, resumed=False)
    source.update_info("x", 1)
    target = new()
    target.update_scalar("a", 5.0)
    target.update_scalar("own", 6.0, resumed=False)
    target.load_state_dict(source.state_dict())
    found["loaded"] = everything(target)
    target = new()
    target.load_state_dict(source)
    found["loaded from a hub"] = everything(target)
    target = new()
    target.load_state_dict(
        {
            "log_scalars": OrderedDict(old=3, good=history_class([1], [1])),
            "runtime_info": {"y": 2},
            "resumed_keys": {"old": True, "good": True, "y": False, "lost": True},
        }
    )
    found["loaded with flaws"] = everything(target)
    return found


def refusals(package: str) -> dict[str, list[str]]:
    """Return the kinds of error, with their bases, that wrong use gives."""
    import importlib
    from collections.abc import Callable

    import torch

    module = importlib.import_module(f"{package}.logging.message_hub")

    def hub() -> Any:
        made = module.MessageHub("hub")
        made.update_scalar("loss", 1.0)
        return made

    calls: dict[str, Callable[[], Any]] = {
        "scalars no dict": lambda: module.MessageHub("hub", log_scalars=[1]),
        "a scalar no history": lambda: module.MessageHub("hub", log_scalars={"a": 1}),
        "a resumed key of nothing": lambda: module.MessageHub("hub", resumed_keys={"a": True}),
        "several elements": lambda: hub().update_scalar("a", torch.zeros(2)),
        "an array of several": lambda: hub().update_scalar("a", torch.zeros(2).numpy()),
        "text": lambda: hub().update_scalar("a", "1"),
        "resumed changed": lambda: hub().update_scalar("loss", 1.0, resumed=False),
        "scalars from a list": lambda: hub().update_scalars([1]),
        "no value": lambda: hub().update_scalars({"a": {"count": 1}}),
        "infos from a list": lambda: hub().update_info_dict([1]),
        "an unknown scalar": lambda: hub().get_scalar("lost"),
        "a state without parts": lambda: hub().load_state_dict({"log_scalars": {}}),
    }
    found = {}
    for name, call in calls.items():
        try:
            call()
            found[name] = ["no error"]
        except Exception as error:
            found[name] = [kind.__name__ for kind in type(error).__mro__]
    return found


@pytest.fixture(scope="module")
def theirs(reference: Any) -> Any:
    source = "\n".join(inspect.getsource(function) for function in (contents, refusals))
    return reference.run(
        f"from __future__ import annotations\nimport json\nfrom typing import Any\n{source}\n"
        "print(json.dumps([contents('mmengine'), refusals('mmengine')]))"
    )


def test_contents_and_states_equal_mmengines(theirs: Any) -> None:
    ours = json.loads(json.dumps(contents("mm2pl.mmengine")))
    for case, expected in theirs[0].items():
        assert (case, ours[case]) == (case, expected)


def test_wrong_use_raises_what_mmengine_raises(theirs: Any) -> None:
    ours = refusals("mm2pl.mmengine")
    wrong = {name: ours[name] for name, kinds in theirs[1].items() if kinds[0] not in ours[name]}
    assert wrong == {}


class OnDevice:
    """A tensor on a device that is slow to answer."""

    is_cpu = False

    def __init__(self, value: float) -> None:
        self.value = value

    def numel(self) -> int:
        return 1

    def item(self) -> float:
        raise AssertionError("the device was waited for")

    def detach(self) -> torch.Tensor:
        return torch.tensor(self.value)


def test_a_tensor_on_a_device_is_read_when_its_history_is() -> None:
    hub = MessageHub("hub")
    for value in (0.5, 1.5):
        hub.update_scalar("loss", OnDevice(value))  # type: ignore[arg-type]
    assert hub.get_scalar("loss").data[0].tolist() == [0.5, 1.5]


def test_a_history_that_begins_on_a_device_has_the_type_that_item_would_give() -> None:
    hub = MessageHub("hub")
    hub.update_scalar("count", OnDevice(3))  # type: ignore[arg-type]
    assert [str(array.dtype) for array in hub.get_scalar("count").data] == ["int64", "int64"]


def test_a_state_is_a_copy() -> None:
    hub = MessageHub("hub")
    hub.update_scalar("loss", 1.0)
    state = hub.state_dict()
    hub.update_scalar("loss", 2.0)
    hub.update_info("later", 1)
    assert state["log_scalars"]["loss"].data[0].tolist() == [1.0]
    assert dict(state["resumed_keys"]) == {"loss": True}


def test_what_cannot_be_copied_is_shared_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    hub = MessageHub("hub")
    generator = (number for number in range(3))
    hub.update_info("generator", generator)
    assert hub.state_dict()["runtime_info"]["generator"] is generator
    assert "'generator' cannot be copied" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("part", "said"),
    [
        ({"log_scalars": {"old": 3}}, "'old' is no HistoryBuffer"),
        ({"resumed_keys": {"lost": True}}, "'lost', which is skipped"),
        ({"runtime_info": {"x": 1}, "resumed_keys": {"x": False}}, "'x' is loaded although"),
    ],
)
def test_a_state_with_flaws_is_said_aloud(
    part: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    empty: dict[str, Any] = {"log_scalars": {}, "runtime_info": {}, "resumed_keys": {}}
    MessageHub("hub").load_state_dict(empty | part)
    assert said in capsys.readouterr().out


def test_an_unknown_scalar_is_refused_with_the_nearest() -> None:
    hub = MessageHub("hub", log_scalars={"train/loss": HistoryBuffer()})
    with pytest.raises(KeyError, match="nearest: train/loss"):
        hub.get_scalar("train/los")


def test_the_current_instance_is_the_newest_and_one_is_made_if_need_be() -> None:
    assert MessageHub.get_current_instance().instance_name == "mmengine"
    newest = MessageHub.get_instance("newest")
    assert MessageHub.get_current_instance() is newest
