"""Many programs as one array: the same bits, counts and faults as one program after the other, in fewer passes."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl

from chainrule.conformance.simulator import KernelFault, passes, simulate
from chainrule.conformance.simulator.accesses import Launch
from chainrule.conformance.tests.simulator import test_simulator_planted as planted
from chainrule.conformance.tests.simulator import test_simulator_races as races


@triton.jit
def add_one(x, n, B: tl.constexpr):
    i = tl.program_id(0) * B + tl.arange(0, B)
    tl.store(x + i, tl.load(x + i, mask=i < n) + 1, mask=i < n)


@triton.jit
def branches(x, n, B: tl.constexpr):
    """Stores before it decides: in place, so a store that is not undone shows."""
    p = tl.program_id(0)
    i = p * B + tl.arange(0, B)
    v = tl.load(x + i, mask=i < n, other=0.0) + 1
    tl.store(x + i, v, mask=i < n)
    if tl.sum(v) > 16:
        v = v * 2 + p
        if p % 3 == 0:
            v = -v
    tl.store(x + i, v, mask=i < n)


@triton.jit
def lengths(x, n, B: tl.constexpr):
    """As many rounds as a program's number says, from another start each, and one that the data decide."""
    p = tl.program_id(0)
    i = p * B + tl.arange(0, B)
    v = tl.load(x + i, mask=i < n, other=0.0)
    for j in range(p, 3 * p // 2 + 1):
        v += j
    while tl.max(v) < 20:
        v = v * 2 + 1
    tl.store(x + i, v, mask=i < n)


@triton.jit
def persistent(x, n, B: tl.constexpr):
    for t in range(tl.program_id(0), tl.cdiv(n, B), tl.num_programs(0)):
        i = t * B + tl.arange(0, B)
        tl.store(x + i, tl.load(x + i, mask=i < n, other=0.0) * t, mask=i < n)


@triton.jit
def pair(a, fa, b, fb):
    return tl.where(fb == 1, b, a + b), fa | fb


@triton.jit
def shapes(x, n, B: tl.constexpr):
    p = tl.program_id(0)
    i = p * B + tl.arange(0, B)
    v = tl.load(x + i, mask=i < n, other=0.0)
    first, second = tl.split(tl.reshape(v, (B // 2, 2)))
    w = tl.interleave(second, first) + tl.cat(first, first, can_reorder=True)
    w += tl.cumsum(v, 0) + tl.flip(v, 0) + tl.gather(v, (tl.arange(0, B) + p) % B, 0)
    sums, _ = tl.associative_scan((v, (i % 5 == p % 5).to(tl.int32)), 0, pair)
    w += sums + tl.sum(tl.join(first, second).T, 0).reshape((B // 2, 1)).broadcast_to((B // 2, 2)).reshape((B,))
    w += tl.histogram(tl.argmax(v, 0) + tl.zeros((B,), tl.int32), B).to(tl.float32)
    tl.store(x + i, tl.where(tl.max(w, 0) > p, w, tl.sort(w)), mask=i < n)


@triton.jit
def product(x, n, B: tl.constexpr):
    """Rows and columns of tiles, operands that all programs share, 16 bits, and one lane's mask."""
    p, q = tl.program_id(0), tl.program_id(1)
    k = tl.arange(0, B)
    at = (p * 3 + q) * B * B + k[:, None] * B + k[None, :]
    tile = tl.load(x + at, mask=at < n, other=0.0).to(tl.bfloat16)
    shared = tl.full((B, B), 1.0, tl.bfloat16) * (k[None, :] % 3).to(tl.bfloat16)
    acc = tl.dot(tile, shared, tl.dot(shared, tile.T) + p, input_precision="ieee")
    acc += tl.load(x + (p * 3 + q) * B * B, mask=(q > 0) & (p * 3 + q < 5), other=7.0)
    tl.store(x + at, acc / (1 + tl.max(tl.abs(acc), axis=1))[:, None], mask=at < n)


@triton.jit
def boxes(x, n, B: tl.constexpr):
    p = tl.program_id(0)
    box = tl.make_tensor_descriptor(x, [n // B, B], [B, 1], [2, B])
    box.store([p * 2, 0], box.load([p * 2, 0]) * p)


KERNELS = {"in place": (add_one, (9,), 16, 1), "branches": (branches, (9,), 16, None),
           "lengths": (lengths, (9,), 16, None), "persistent": (persistent, (4,), 16, 3),
           "shapes": (shapes, (9,), 16, 1), "product": (product, (2, 3), 16, 1), "boxes": (boxes, (4,), 16, 1)}


@pytest.fixture
def entered(monkeypatch):
    """How many programs each pass had."""
    seen, enter = [], Launch.enter
    monkeypatch.setattr(Launch, "enter", lambda self, group: seen.append(len(group)) or enter(self, group))
    return seen


def run(name, **options):
    kernel, grid, block, _ = KERNELS[name]
    n = 1500 if name == "product" else 128 if name == "boxes" else 137
    x = torch.randint(-8, 9, (n,), generator=torch.Generator().manual_seed(3)).float() / 4
    with simulate(**options) as sim:
        kernel[grid](x, n, block)
    return x.view(torch.int32).tolist(), (sim.bytes_read, sim.bytes_written, sim.bytes_requested)


@pytest.mark.parametrize("name", KERNELS)
def test_same_bits_and_counts_in_fewer_passes(name, entered):
    alone = run(name, order="reverse")
    programs = len(entered)
    assert set(entered) == {1}
    entered.clear()
    assert run(name) == alone
    want = KERNELS[name][3]
    assert len(entered) == want if want else max(entered) == programs
    if want == 1:
        assert entered == [programs]


def test_in_what_pieces_changes_nothing(monkeypatch):
    whole = {name: run(name) for name in KERNELS}
    monkeypatch.setattr(passes, "AT_ONCE", 40)
    for name, found in whole.items():
        monkeypatch.setattr(passes, "UNKNOWN", 3)
        assert run(name) == found


def test_blocks_too_large_for_so_many_programs(monkeypatch, entered):
    monkeypatch.setattr(passes, "AT_ONCE", 32)
    monkeypatch.setattr(passes, "_widest", {})
    run("in place")
    assert entered[0] == 9                       # nothing known: all, whose first load is too large
    assert max(entered[1:]) == 2


def fault(call):
    with pytest.raises(KernelFault) as caught:
        call()
    return str(caught.value), caught.value.check, caught.value.kernel, caught.value.program, caught.value.argument


@pytest.mark.parametrize(("module", "name"), [(m, n) for m in (planted, races) for n in m.BUGS])
def test_faults_are_those_of_programs_one_by_one(module, name, monkeypatch):
    found = fault(lambda: module.run(name, bug=True))
    monkeypatch.setattr(passes, "together", lambda *_: None)
    assert fault(lambda: module.run(name, bug=True)) == found


@triton.jit
def late_fault(x, y, n, B: tl.constexpr):
    p = tl.program_id(0)
    i = p * B + tl.arange(0, B)
    tl.store(x + i, tl.load(x + i) + 1)
    if p % 2 == 1:
        tl.store(y + i + (p == 3), 1.0)


def test_a_fault_leaves_what_programs_before_it_stored():
    x, y = torch.zeros(64), torch.zeros(64)
    with pytest.raises(KernelFault, match="out-of-bounds store") as caught, simulate():
        late_fault[(4,)](x, y, 64, 16)
    assert caught.value.program == (3, 0, 0)
    assert x.tolist() == [1.0] * 64
    assert y.tolist() == [0.0] * 16 + [1.0] * 16 + [0.0] * 32


@triton.jit
def misaligned(x, y, BUG: tl.constexpr):
    wide = (x + 2 + BUG).to(tl.pointer_type(tl.int32), bitcast=True)
    tl.store(y + tl.program_id(0), tl.load(wide))


def test_misaligned():
    x, y = torch.arange(8, dtype=torch.int16), torch.zeros(3, dtype=torch.int32)
    with simulate():
        misaligned[(3,)](x, y, 0)
        assert y.tolist() == x[2:4].view(torch.int32).tolist() * 3
        with pytest.raises(KernelFault, match=r"out-of-bounds load through x .* not aligned"):
            misaligned[(3,)](x, y, 1)


@triton.jit
def counted(x, BINS: tl.constexpr):
    i = tl.program_id(0) * 8 + tl.arange(0, 8)
    h = tl.histogram(tl.load(x + i), BINS, mask=i % 8 < 6)
    tl.store(x + tl.program_id(0) * 8 + tl.arange(0, BINS), h)


def test_histogram_and_its_edge():
    x = torch.tensor([0, 1, 1, 3, 3, 3, 99, -1, 2, 2, 2, 2, 2, 2, 4, 4], dtype=torch.int32)
    with simulate():
        counted[(2,)](x, 4)
        assert x[:4].tolist() == [1, 2, 0, 3]
        assert x[8:12].tolist() == [0, 0, 6, 0]
        x[1] = 4                                 # one past the last bin: compiled, it is counted in the first
        with pytest.raises(KernelFault, match=r"values outside 0 … 3"):
            counted[(2,)](x, 4)
