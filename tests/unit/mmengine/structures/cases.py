"""Cases of mmengine.structures; see differential.py."""

from __future__ import annotations

import copy
import pickle
import re
import warnings
from typing import Any

import numpy as np
import torch

from tests.unit.mmengine.utils.differential import Package, outcome


def element(m: Package) -> Any:
    return m.structures.BaseDataElement(
        metainfo={"path": "a.png", "shape": (4, 5)},
        boxes=torch.arange(4.0).reshape(1, 4),
        array=np.array([1, 2]),
        text="t",
    )


def fields(data: Any) -> Any:
    """Return all fields in one order; MMEngine's changes from run to run."""
    return sorted(data.metainfo.items()), sorted(data.items(), key=lambda item: item[0])


def names(m: Package) -> Any:
    return sorted(m.structures.__all__)


def public_methods(m: Package) -> Any:
    kinds = [getattr(m.structures, name) for name in sorted(m.structures.__all__)]
    return [sorted(name for name in dir(kind) if not name.startswith("_")) for kind in kinds]


def looks(m: Package) -> Any:
    data = element(m)
    return [
        fields(data),
        sorted(data.keys()),
        sorted(data.metainfo_keys()),
        sorted(data.all_keys()),
        sorted(dict(data.all_items())),
        len(data.values()),
        len(data.metainfo_values()),
        len(data.all_values()),
        ["boxes" in data, "path" in data, "no" in data],
        [data.get("text"), data.get("path"), data.get("no"), data.get("no", 3)],
        data.path,
        outcome(lambda: data.no),
        sorted(data.to_dict()),
    ]


def changes(m: Package) -> Any:
    data = element(m)
    popped = [data.pop("text"), data.pop("path"), data.pop("no", 7)]
    errors = [
        outcome(data.pop, "no"),
        outcome(data.pop, "a", 1, 2),
        outcome(setattr, data, "shape", 1),
        outcome(data.set_metainfo, {"boxes": 1}),
        outcome(data.set_metainfo, [("a", 1)]),
        outcome(data.set_data, [("a", 1)]),
        outcome(data.update, {"a": 1}),
        outcome(setattr, data, "_data_fields", set()),
        outcome(delattr, data, "_metainfo_fields"),
        outcome(delattr, data, "no"),
        outcome(data.set_field, 1, "x", dtype=str),
        outcome(data.set_field, 1, "x", field_type="other"),
    ]
    data.set_field(3, "number", dtype=(int, float))
    data.set_field("b", "place", field_type="metainfo")
    data.new_field = [1]
    data.set_metainfo({"shape": (1, 1)})
    del data.array
    del data["place"]
    data.update(m.structures.BaseDataElement(metainfo={"extra": 1}, number=4))
    return popped, errors, fields(data)


def copies(m: Package) -> Any:
    info = {"nested": {"a": [1]}}
    data = element(m)
    data.set_metainfo(info)
    info["nested"]["a"].append(2)
    clone, new = data.clone(), data.new(metainfo={"only": 1}, boxes=2)
    data.nested["a"].append(3)
    deep, pickled = copy.deepcopy(data), pickle.loads(pickle.dumps(data))
    return [
        [fields(x) for x in (data, clone, new, data.new(metainfo={}), deep, pickled)],
        clone.boxes is data.boxes,
        deep.boxes is data.boxes,
        type(new).__name__,
    ]


def conversions(m: Package) -> Any:
    data = element(m)
    data.inner = m.structures.BaseDataElement(x=torch.ones(1, requires_grad=True) * 2, y="t")
    half = data.to(torch.float16)
    return [
        half.boxes,
        half.inner.x.dtype == torch.float16,
        data.boxes.dtype == torch.float32,
        fields(data.cpu().detach().inner),
        data.detach().inner.x.requires_grad,
        fields(data.numpy().inner),
        data.numpy().boxes,
        data.to_tensor().array,
        data.numpy().to_tensor().boxes,
        data.to_tensor().text,
        sorted(data.to_dict()["inner"]),
        data.to("meta").boxes.device.type,
    ]


def described(m: Package) -> Any:
    kind = m.structures.BaseDataElement
    inner = kind(metainfo={"k": "v"}, tensor=torch.zeros(2, 2))
    datas = [
        kind(),
        kind(metainfo={"a": {"x": 1, "y": {"z": "two\nlines"}}}),
        kind(inner=inner),
        kind(metainfo={"inner": inner}, listed=[inner]),
        m.structures.InstanceData(labels=torch.arange(2)),
    ]
    return [re.sub("0x[0-9a-f]+", "0x", repr(data)) for data in datas]


def properties(m: Package) -> Any:
    class Sample(m.structures.BaseDataElement):
        @property
        def boxes(self) -> Any:
            return self._boxes

        @boxes.setter
        def boxes(self, value: Any) -> None:
            self.set_field(value, "_boxes", dtype=torch.Tensor)

        @boxes.deleter
        def boxes(self) -> None:
            del self._boxes

    sample = Sample(boxes=torch.ones(2), other=1)
    found = [
        sorted(sample.keys()),
        "_boxes" in sample,
        sample.get("boxes"),
        outcome(setattr, sample, "boxes", "no tensor"),
        sorted(sample.to(torch.float64).to_dict()),
        sample.new().boxes,
    ]
    del sample.boxes
    return found, sorted(sample.keys()), outcome(lambda: sample.boxes)


class Polygons:
    """A container of a user's own, as InstanceData takes it."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, item: Any) -> Polygons:
        return Polygons(self.items[item])

    @staticmethod
    def cat(parts: list[Polygons]) -> Polygons:
        return Polygons([item for part in parts for item in part.items])

    def __repr__(self) -> str:
        return f"Polygons({self.items})"


def instances(m: Package) -> Any:
    return m.structures.InstanceData(
        metainfo={"shape": (4, 5)},
        boxes=torch.arange(16.0).reshape(4, 4),
        scores=np.array([0.1, 0.2, 0.3, 0.4]),
        names=["a", "b", "c", "d"],
        pair=(1, 2, 3, 4),
        text="wxyz",
        polygons=Polygons([[0], [1], [2], [3]]),
    )


def indexed(m: Package) -> Any:
    data = instances(m)
    items = [
        *(0, -1, 3, 4, -5, True),
        *(slice(1, 3), slice(None, None, 2), slice(9, None)),
        *([0, 2], [True, False, False, True], np.array([3, 1]), np.array([1], dtype=np.int32)),
        *(np.array([True] * 4), np.array([False] * 4), torch.tensor([1, 1, -1])),
        *(torch.tensor([False, True, True, False]), torch.zeros(0, dtype=torch.int64)),
        *(torch.tensor([True]), torch.tensor([0.5]), torch.tensor([[1]]), (0, 1), None, 1.5),
    ]
    found = [outcome(lambda item=item: fields(data[item])) for item in items]
    return found, data["names"], outcome(lambda: data["no"]), len(data), len(data[[1]])


def lengths(m: Package) -> Any:
    data, empty = instances(m), m.structures.InstanceData()
    errors = [
        outcome(setattr, data, "labels", torch.ones(3)),
        outcome(setattr, data, "labels", 5),
        outcome(data.__setitem__, "labels", "abc"),
        outcome(setattr, data, "_data_fields", {}),
    ]
    data["labels"] = torch.arange(4)
    empty.boxes = torch.zeros(0, 4)
    empty.boxes = torch.zeros(2, 4)
    return errors, data.labels, len(empty), len(m.structures.InstanceData())


def joined(m: Package) -> Any:
    kind, data = m.structures.InstanceData, instances(m)
    other = kind(metainfo={"shape": (4, 5)}, boxes=torch.zeros(1, 4))
    return [
        fields(kind.cat([data, data[:1], data[[2, 3]]])),
        kind.cat([data]) is data,
        fields(kind.cat([kind(a=[1]), kind(a=[2])])),
        outcome(kind.cat, [data, other]),
        outcome(kind.cat, []),
        outcome(kind.cat, [data, {"boxes": 1}]),
        outcome(kind.cat, [kind(a={1: 2}), kind(a={1: 2})]),
        outcome(lambda: kind(a={1: 2})[torch.tensor([0])]),
    ]


def pixels(m: Package) -> Any:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = m.structures.PixelData(
            metainfo={"path": "a"},
            image=np.arange(24).reshape(2, 3, 4),
            mask=torch.arange(12).reshape(3, 4),
        )
    cuts = [(0, 1), (slice(1, 3), slice(0, 2)), (-1, slice(None)), (2, slice(1, None, 2))]
    bad: list[Any] = [(1,), (1, 2, 3), [1, 2], 1, (1, "a"), (None, 1)]
    return [
        [str(w.message) for w in caught],
        fields(data),
        data.shape,
        m.structures.PixelData().shape,
        [[fields(data[cut]), data[cut].shape] for cut in cuts],
        [outcome(data.__getitem__, cut) for cut in bad],
        outcome(setattr, data, "other", torch.ones(1, 2, 2)),
        outcome(setattr, data, "other", torch.ones(1, 1, 3, 4)),
        outcome(setattr, data, "other", [[1]]),
        outcome(setattr, data, "_metainfo_fields", 1),
    ]


def labels(m: Package) -> Any:
    kind = m.structures.LabelData
    return [
        kind.onehot_to_label(torch.tensor([0, 1, 1, 0])),
        kind.label_to_onehot(torch.tensor([1, 3]), 4),
        kind.label_to_onehot(torch.zeros(0, dtype=torch.int64), 2),
        outcome(kind.onehot_to_label, torch.tensor([0, 2])),
        outcome(kind.onehot_to_label, torch.tensor([[0, 1]])),
        outcome(kind.onehot_to_label, [0, 1]),
        outcome(kind.label_to_onehot, torch.tensor([4]), 4),
        outcome(kind.label_to_onehot, [1], 4),
    ]


CASES = {
    case.__name__: case
    for case in (
        *(names, public_methods, looks, changes, copies, conversions, described, properties),
        *(indexed, lengths, joined, pixels, labels),
    )
}
