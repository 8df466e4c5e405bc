"""Illegal convolution layers and poolings: one sentence with the id and the numbers, before anything runs."""

import pytest
import torch

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import OPS
from chainrule.triton_kernels import functional as F


def at(*shape):
    return torch.ones(shape)


MISUSE = {
    "conv2d.layer: the filter reaches over 8 rows, the padded input has 7": lambda: OPS["conv2d.layer"](
        at(1, 2, 5, 9), at(3, 2, 8, 2), padding=1),
    "conv2d.layer: groups = 3 does not divide 4 channels and 6 filters": lambda: OPS["conv2d.layer"](
        at(1, 4, 5, 9), at(6, 2, 2, 2), groups=3),
    "conv2d.layer: padding = (-1, 0); expected at least 0": lambda: OPS["conv2d.layer"](
        at(1, 2, 5, 9), at(3, 2, 2, 2), padding=(-1, 0)),
    "conv2d.layer: stride = 0; expected at least 1": lambda: OPS["conv2d.layer"](
        at(1, 2, 5, 9), at(3, 2, 2, 2), stride=0),
    "conv2d.layer: x has 4 channels, 1 group(s) of filters read 2 each": lambda: OPS["conv2d.layer"](
        at(1, 4, 5, 9), at(3, 2, 2, 2)),
    "conv2d.layer: b has 2 entries for 3 filters": lambda: OPS["conv2d.layer"](at(1, 2, 5, 9), at(3, 2, 2, 2), at(2)),
    "conv2d.layer: w has shape (3, 2, 0, 2)": lambda: OPS["conv2d.layer"](at(1, 2, 5, 9), at(3, 2, 0, 2)),
    "conv2d.layer: stride = 1.5; expected a whole number or two": lambda: OPS["conv2d.layer"](
        at(1, 2, 5, 9), at(3, 2, 2, 2), stride=1.5),
    "conv2d.layer.grad_x: d has shape (1, 3, 4, 7); expected (1, 3, 4, 8)": lambda: OPS["conv2d.layer.grad_x"](
        at(1, 3, 4, 7), at(3, 2, 2, 2), 5, 9),
    "conv2d.layer.grad_w: lam = 0.5 without w": lambda: OPS["conv2d.layer.grad_w"](
        at(1, 3, 4, 8), at(1, 2, 5, 9), 2, 2, lam=0.5),
    "conv2d.layer.grad_w: n = 0": lambda: OPS["conv2d.layer.grad_w"](at(1, 3, 4, 8), at(1, 2, 5, 9), 2, 2, n=0),
    "conv1d.centred: the filter has m = 4 entries; a centred filter needs an odd number": lambda: OPS["conv1d.centred"](
        at(4), at(9)),
    "pool.max: padding = 2 is more than half of the window (2, 2)": lambda: OPS["pool.max"](at(1, 1, 5, 5), padding=2),
    "pool.max: ceil_mode = True; the deck drops": lambda: OPS["pool.max"](at(1, 1, 5, 5), ceil_mode=True),
    "pool.max.grad_x: index is float32; expected uint8": lambda: OPS["pool.max.grad_x"](
        at(1, 1, 2, 2), at(1, 1, 2, 2), 5, 5),
}


@pytest.mark.parametrize("message", MISUSE)
@pytest.mark.parametrize("where", ["kernel", "composite"])
def test_misuse(message, where):
    place = simulate() if where == "kernel" else torch.no_grad()
    with place as sim, pytest.raises((TypeError, ValueError)) as caught:
        MISUSE[message]()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert sim is None or sim.launches == 0


def test_a_refusal_does_not_depend_on_what_came_before():
    """1.0 equals 1, which is remembered."""
    x, w = torch.ones(1, 2, 6, 6), torch.ones(3, 2, 3, 3)
    F.conv2d(x, w, stride=1, padding=(1, 1))
    for how in ({"stride": 1.0}, {"stride": (1, 1.0)}, {"stride": 1, "padding": (1.0, 1.0)}):
        with pytest.raises(TypeError, match="expected a whole number or two"):
            F.conv2d(x, w, **how)
    F.max_pool2d(x, 2, (2, 2))
    with pytest.raises(TypeError, match="expected a whole number or two"):
        F.max_pool2d(x, 2, (2.0, 2))
    assert F.conv2d(x, w, stride=[1, 1], padding=[1, 1]).shape == (1, 3, 6, 6)
