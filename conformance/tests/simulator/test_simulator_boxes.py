"""Boxes of four axes in the simulator: each byte counted once, and planted bugs caught beside their honest twins."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

from chainrule.conformance.simulator import KernelFault, simulate

BOX = [2, 4, 4, 8]


@triton.jit
def copy_rows(source, target, STEP: tl.constexpr, START: tl.constexpr):
    i = tl.program_id(0) * STEP
    target.store([0, i, 0, 0], source.load([0, i + START, 0, 0]))


@triton.jit
def add_up(source, target):
    """Program 1 reads what program 0 writes."""
    i = tl.program_id(0) * 4
    target.store([0, i, 0, 0], source.load([0, 0, 0, 0]))


def images(rows=8):
    return torch.rand(2, rows, 4, 8), torch.zeros(2, rows, 4, 8)


def box(x, shape=None):
    return TensorDescriptor(x, list(shape or x.shape), list(x.stride()), BOX)


def test_bytes_inside_are_counted_and_bytes_outside_are_not():
    x, y = images(rows=7)
    with simulate() as sim:
        copy_rows[(2,)](box(x), box(y), 4, -2)
    assert sim.bytes_read == 2 * 6 * 4 * 8 * 4                      # rows 0 … 5; two rows before the first are 0
    assert sim.bytes_written == 2 * 7 * 4 * 8 * 4
    assert sim.stored(y).all()
    assert torch.equal(y[:, 2:], x[:, :5])
    assert not y[:, :2].any()


def test_what_no_box_stored_is_known():
    x, y = images(rows=12)
    with simulate() as sim:
        copy_rows[(2,)](box(x), box(y), 4, 0)
    assert sim.stored(y)[:, :8].all()
    assert not sim.stored(y)[:, 8:].any()


def longer(x):
    """A descriptor that says one row more than its tensor has; and the tensor behind it, which is no argument."""
    return box(x[:, :7], (2, 8, 4, 8))


BUGS = {
    "more rows than there are": (lambda bug: copy_rows[(2,)](
        longer(images()[0]) if bug else box(images()[0]), box(images()[1]), 4, 0), "out of bounds"),
    "boxes that overlap": (lambda bug: copy_rows[(2,)](
        box(images()[0]), box(images()[1]), 2 if bug else 4, 0), "write race"),
    "a box that another program reads": (lambda bug: add_up[(2,)](
        *([box(images()[0])] * 2 if bug else map(box, images()))), "read/write race"),
    "an expanded gradient": (lambda bug: copy_rows[(2,)](
        box(torch.ones(1, 1, 1, 8).expand(2, 8, 4, 8) if bug else images()[0]), box(images()[1]), 4, 0), "descriptor"),
}


@pytest.mark.parametrize("order", ["forward", "reverse", "random"])
@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_caught_and_its_honest_twin_passes(name, order):
    call, check = BUGS[name]
    with simulate(order=order):
        call(False)
        with pytest.raises(KernelFault) as caught:
            call(True)
    assert caught.value.check == check
