"""Memory formats of images: a result lies in memory as its input does, as in torch."""

from __future__ import annotations

import torch
from torch import Tensor


def is_channels_last(t: Tensor) -> bool:
    """Do channels run fastest, then columns, rows, images? Slices count; where both orders hold, channels do not.

    The rule is torch's (c10, `is_channels_last_strides_2d_s4`), so that a chain of ours and torch's ops agrees.
    """
    strides = t.stride()
    if len(strides) != 4 or strides[1] == 0 or strides[3] < strides[1]:
        return False                # by far the most images: no need to look further
    least = 0
    for axis in (1, 3, 2, 0):
        size, stride = t.shape[axis], strides[axis]
        if size == 0 or stride < least or (axis == 0 and least == strides[1]):
            return False
        least = stride * size if size > 1 else stride
    return True


def like(shape: tuple[int, ...], model: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Memory for an image of this shape in the order of the model's."""
    order = torch.channels_last if is_channels_last(model) else torch.contiguous_format
    return torch.empty(shape, dtype=dtype or model.dtype, device=model.device, memory_format=order)
