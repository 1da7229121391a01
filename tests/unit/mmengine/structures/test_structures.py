"""What of mmengine.structures is ours alone."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch

from mm2pl.mmengine.structures import BaseDataElement, InstanceData, LabelData


def test_fields_keep_the_order_in_which_they_were_set() -> None:
    data = BaseDataElement(metainfo={"z": 1, "a": 2}, y=1, b=2)
    data.c = 3
    del data.y
    data.y = 4
    assert data.all_keys() == ["z", "a", "b", "c", "y"]
    assert pickle.loads(pickle.dumps(data)).all_keys() == data.all_keys()


class Sample(BaseDataElement):
    """As the libraries' samples, with a property whose value is kept under another name."""

    @property
    def mask(self) -> int:
        return int(self._mask)

    @mask.setter
    def mask(self, value: int) -> None:
        self.set_field(value, "_mask", dtype=int)


def test_a_copy_keeps_the_names_of_properties() -> None:
    sample = Sample(metainfo={"z": 1}, y=1)
    sample.mask = 3
    sample.set_data({"b": 2})
    for same in (pickle.loads(pickle.dumps(sample)), copy.deepcopy(sample)):
        assert "mask" in same
        assert same.all_keys() == sample.all_keys() == ["z", "y", "mask", "b"]
        assert list(same._data_fields) == list(sample._data_fields)


def test_field_names_compare_with_sets() -> None:
    data = BaseDataElement(x=1, y=2)
    assert data._data_fields == {"x", "y"}
    assert data._data_fields - {"x"} == {"y"}
    assert repr(data._data_fields) == "{'x', 'y'}"


def test_an_empty_list_selects_no_instance() -> None:
    selected = InstanceData(boxes=torch.ones(3, 4), names=["a", "b", "c"])[[]]
    assert (selected.boxes.shape, selected.names) == ((0, 4), [])


def test_labels_survive_the_way_to_onehot_and_back() -> None:
    onehot = LabelData.label_to_onehot(torch.tensor([2, 0]), 5)
    assert LabelData.onehot_to_label(onehot).tolist() == [0, 2]


@pytest.mark.parametrize("method", ["cuda", "npu", "mlu", "musa"])
def test_moving_to_a_device_moves_tensors_and_elements_alone(method: str) -> None:
    class Movable(torch.Tensor):
        def moved(self) -> torch.Tensor:
            return torch.zeros(1)

    setattr(Movable, method, Movable.moved)
    inner = BaseDataElement(x=torch.ones(1).as_subclass(Movable))
    data = BaseDataElement(inner=inner, text="t", x=torch.ones(1).as_subclass(Movable))
    moved = getattr(data, method)()
    assert (moved.inner.x.item(), moved.x.item(), moved.text) == (0, 0, "t")
    assert (data.inner.x.item(), data.x.item()) == (1, 1)
