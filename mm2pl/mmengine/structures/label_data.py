"""Labels of an image."""

from __future__ import annotations

import torch

from mm2pl.mmengine.structures.base_data_element import BaseDataElement


class LabelData(BaseDataElement):
    """Holds labels; converts between indices and one-hot."""

    @staticmethod
    def onehot_to_label(onehot: torch.Tensor) -> torch.Tensor:
        """Return the indices of the ones in a vector of zeros and ones.

        Raises:
            ValueError: It is no vector, or holds values outside of [0, 1].
        """
        if not isinstance(onehot, torch.Tensor):
            raise AssertionError(f"onehot should be a tensor, but got {type(onehot)}")
        if onehot.ndim != 1 or onehot.max().item() > 1 or onehot.min().item() < 0:
            raise ValueError("input is not one-hot and can not convert to label")
        return onehot.nonzero().squeeze(-1)

    @staticmethod
    def label_to_onehot(label: torch.Tensor, num_classes: int) -> torch.Tensor:
        """Return a vector of ``num_classes`` zeros with ones at the indices ``label``."""
        if not isinstance(label, torch.Tensor):
            raise AssertionError(f"label should be a tensor, but got {type(label)}")
        if label.numel() and label.max().item() >= num_classes:
            raise AssertionError(f"label {label.max().item()} is not below {num_classes}")
        onehot = label.new_zeros((num_classes,))
        onehot[label] = 1
        return onehot
