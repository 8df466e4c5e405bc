"""Convolution through tensor descriptors: chosen where it can run, exact, repeatable, and wrong kernels noticed."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from chainrule.conformance.backends.triton import backend, configurations
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.verdict import FAIL, PASS
from chainrule.conformance.mutate.kernels import Edit, edited
from chainrule.conformance.simulator import KernelFault, simulate
from chainrule.conformance.tests.kernels.test_conv_layer import agrees, integers
from chainrule.triton_kernels import OPS, tune
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels.images import checks as image_checks
from chainrule.triton_kernels.images import filters as conv_filters
from chainrule.triton_kernels.images import filters_boxes as conv_filters_boxes
from chainrule.triton_kernels.images import layer as conv_layer
from chainrule.triton_kernels.images import layer_boxes as conv_boxes
from chainrule.triton_kernels.images import pooled as conv_pool
from chainrule.triton_kernels.runtime import configs

LAYER, POOL, FILTERS = configs.IMAGE_BOXES
HALVES = [torch.float16, torch.bfloat16]
BOXES, POINTERS = {"correlate_boxes_kernel", "average_boxes_kernel"}, {"correlate_kernel", "average_kernel"}


def images(*shapes, dtype=torch.float16, seed=0, most=2):
    rng = np.random.default_rng(seed)
    return [integers(rng, shape, dtype, last=len(shape) == 4, most=most) for shape in shapes]


def ran(call, target="sm_90", **how):
    """The result of a call, and the names of the kernels it started."""
    with simulate(check=True, target=target, **how) as sim:
        result = call()
    return result, set(sim.kernels)


@pytest.mark.parametrize("table", [LAYER, FILTERS])
def test_every_row_is_a_case_of_the_suite(table):
    cases = [case for case in configurations() if case.layout == "channels-last-16"]
    ops = ("conv2d.layer", "conv2d.layer.grad_x") if table == LAYER else ("conv2d.layer.grad_w",)
    for op in ops:
        for row in configs.rows(table, "sm_90"):
            for dtype in ("fp16", "bf16"):
                for tier in ("T0", "T1"):
                    mine = [c for c in cases if c.op == op and f"/{tier}/row-{row}-" in c.id and c.id.endswith(dtype)]
                    assert len(mine) == 2, (op, row, dtype, tier)           # stride 1, and strides of 2


SMALLEST = {"conv2d.layer": configs.rows(LAYER, "sm_90")[-1], "conv2d.layer.grad_x": configs.rows(LAYER, "sm_90")[-1],
            "conv2d.layer.grad_w": configs.rows(FILTERS, "sm_90")[-1]}


def quick(op):
    """The suite's exact cases of an op on its smallest row: one with stride 1, one with strides of 2."""
    return [case for case in configurations() if case.op == op and case.tier == "T0" and case.id.endswith("/fp16")
            and case.layout == "channels-last-16" and f"row-{SMALLEST[op]}-" in case.id]


@pytest.mark.parametrize("op", SMALLEST)
def test_the_cases_of_the_suite_run_these_kernels(op, monkeypatch):
    started = []
    for module in (conv_boxes, conv_filters_boxes):
        launch = module.launch
        monkeypatch.setattr(module, "launch", lambda kernel, *args, launch=launch, **how: (
            started.append(kernel), launch(kernel, *args, **how)))
    for case in quick(op):
        started.clear()
        assert judge(case, backend, "simulated").state == PASS
        assert started


class Configuration:
    """One random layer that fits boxes, from a seed."""

    def __init__(self, seed):
        pick, rng = random.Random(seed), np.random.default_rng(seed)
        dtype = pick.choice(HALVES)
        C, filters, batch = pick.choice([8, 16, 24, 40]), pick.choice([8, 16, 24, 72]), pick.choice([1, 2, 3])
        M, N = pick.randint(1, 3), pick.randint(1, 3)
        self.how = {"stride": (pick.randint(1, 3), pick.randint(1, 3)),
                    "padding": (pick.randint(0, M), pick.randint(0, N)),
                    "dilation": (pick.randint(1, 3), pick.randint(1, 3))}
        self.H, self.W = (pick.randint(max(3, e * (m - 1) + 1 - 2 * p), e * (m - 1) + 6)
                          for m, p, e in zip((M, N), self.how["padding"], self.how["dilation"]))
        self.x = integers(rng, (batch, C, self.H, self.W), dtype, True)
        self.w = integers(rng, (filters, C, M, N), dtype, True)
        self.b = integers(rng, (filters,), dtype)
        self.sizes = image_checks.forward(self.x, self.w, self.b, **self.how, groups=1)
        self.d = integers(rng, self.sizes.y_shape, dtype, True)
        self.rows = [pick.choice(configs.rows(table, "sm_90", dtype)) for table in (LAYER, FILTERS)]

    def calls(self):
        M, N = self.w.shape[2:]
        return {"conv2d.layer": {"x": self.x, "w": self.w, "b": self.b, **self.how},
                "conv2d.layer.grad_x": {"d": self.d, "w": self.w, "H": self.H, "W": self.W, **self.how},
                "conv2d.layer.grad_w": {"d": self.d, "x": self.x, "M": M, "N": N, **self.how}}


def check(seed):
    one = Configuration(seed)
    few = len(conv_boxes.views(one.sizes)) <= conv_boxes.VIEWS
    with simulate():
        assert conv_boxes.serves(one.sizes, one.x, one.w) == few, seed
        assert conv_boxes.gradient_serves(one.sizes, one.d, one.w), seed
    with configs.pinned(LAYER, one.rows[0]), configs.pinned(FILTERS, one.rows[1]):
        for id, call in one.calls().items():
            agrees(id, call, one.x.dtype)


@pytest.mark.parametrize("block", [0, 1, *(pytest.param(b, marks=pytest.mark.slow) for b in (2, 3))])
def test_random_layers_equal_the_reference(block):
    for seed in range(10 * block, 10 * block + 10):
        check(seed)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(50))
def test_a_thousand_random_layers_equal_the_reference(block):
    for seed in range(1000 + 20 * block, 1000 + 20 * block + 20):
        check(seed)


EXACT = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)}


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_adjoint(dtype):
    """⟨conv(x, w), g⟩ = ⟨x, ∂x⟩ = ⟨w, ∂w⟩, to the last bit."""
    x, w = images((2, 8, 7, 9), (16, 8, 3, 2), dtype=dtype, most=1)
    sizes = image_checks.forward(x, w, None, **EXACT, groups=1)
    (g,) = images(sizes.y_shape, dtype=dtype, seed=1, most=1)
    with configs.pinned(FILTERS, configs.rows(FILTERS, "sm_90")[-1]):
        (y, dx, dw), names = ran(lambda: (
            OPS["conv2d.layer"](x, w, **EXACT), OPS["conv2d.layer.grad_x"](g, w, 7, 9, **EXACT),
            OPS["conv2d.layer.grad_w"](g, x, 3, 2, **EXACT)))
    assert names - {"join_kernel"} == BOXES
    inner = [(a.double() * b.double()).sum() for a, b in ((y, g), (x, dx), (w, dw))]
    assert inner[0] == inner[1] == inner[2] != 0


def test_one_launch_reads_its_operands_where_they_lie():
    """Also for strides: only ∂x takes one for every class of its rows and columns."""
    x, w = images((2, 8, 8, 9), (16, 8, 3, 2))
    for stride, launches in ((1, 1), (2, 4)):
        with simulate() as sim:
            y = OPS["conv2d.layer"](x, w, stride=stride)
            assert (sim.launches, sim.bytes_written) == (1, 2 * y.numel())
            OPS["conv2d.layer.grad_x"](y, w, 8, 9, stride=stride)
            assert sim.launches == 1 + launches
            assert sim.bytes_written == 2 * y.numel() + 2 * x.numel()


def test_kept_z_and_bias():
    x, w, b = images((2, 24, 7, 9), (40, 24, 3, 2), (40,))
    sizes = image_checks.forward(x, w, b, 1, 1, 1, 1)
    exact = torch.nn.functional.conv2d(x.double(), w.double(), b.double(), padding=1)
    for row in configs.rows(LAYER, "sm_90"):
        with configs.pinned(LAYER, row):
            (a, z), names = ran(lambda: conv_layer.keeping(x, w, b, sizes, "relu", 0.0, True))
        assert names == {"correlate_boxes_kernel"}
        assert torch.equal(z.double(), exact)
        assert torch.equal(a, z.relu())


@pytest.mark.parametrize("pads", [(1, 1), (0, 2)], ids=str)
@pytest.mark.parametrize("act", ["identity", "relu", "elu"])
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_pooled_is_the_pointer_kernel_to_the_bit(act, dtype, pads):
    """Values, places and z; odd outputs too, whose last row or column is in no window."""
    x, w, b = images((3, 24, 8, 11), (48, 24, 3, 2), (48,), dtype=dtype)
    sizes = image_checks.forward(x, w, b, (1, 2), pads, 1, 1)
    pointer = configs.rows("conv2d.layer.pool", "sm_90", dtype)[-1]
    with configs.pinned("conv2d.layer.pool", pointer):
        wanted, names = ran(lambda: conv_pool.pooled_keeping(x, w, b, sizes, act, 1.0, True))
    assert names == {"conv_pool_kernel"}
    for row in configs.rows(POOL, "sm_90"):
        with configs.pinned(POOL, row):
            got, names = ran(lambda: conv_pool.pooled_keeping(x, w, b, sizes, act, 1.0, True))
            (y, index, z), _ = ran(lambda: conv_pool.pooled_keeping(x, w, b, sizes, act, 1.0, True, places=False))
        assert names == {"conv_pool_boxes_kernel"}
        assert all(map(torch.equal, got, wanted))
        assert torch.equal(y, wanted[0])
        assert torch.equal(z, wanted[2])
        assert not index.numel()


def test_pooled_ties_and_nan():
    """The first of equal sums, the last NaN: by the rule of pool.max, whose case this is."""
    x = torch.zeros(1, 8, 4, 4).half().contiguous(memory_format=torch.channels_last)
    x[0, 0, 1, 0], x[0, 0, 0, 3], x[0, 0, 1, 2] = torch.nan, torch.nan, torch.nan
    w = torch.ones(16, 8, 1, 1).half()
    sizes = image_checks.forward(x, w, None, 1, 0, 1, 1)
    (y, index, _), names = ran(lambda: conv_pool.pooled_keeping(x, w, None, sizes, "identity", 0.0, False))
    (alone, _, _), _ = ran(lambda: conv_pool.pooled_keeping(
        x, w, None, sizes, "identity", 0.0, False, places=False))
    assert names == {"conv_pool_boxes_kernel"}
    assert torch.equal(alone.isnan(), y.isnan())
    assert torch.equal(alone.nan_to_num(), y.nan_to_num())
    assert y[0, 0].isnan().tolist() == [[True, True], [False, False]]
    assert index[0, 0].tolist() == [[2, 2], [0, 0]]


def pointer(x, w, d, how, target="sm_90"):
    """The kernels that a layer and its gradients start; the results are right."""
    H, W = x.shape[2:]
    M, N = w.shape[2:]
    (y, dx, dw), names = ran(lambda: (OPS["conv2d.layer"](x, w, **how), OPS["conv2d.layer.grad_x"](d, w, H, W, **how),
                                      OPS["conv2d.layer.grad_w"](d, x, M, N, **how)), target)
    assert torch.equal(y, OPS["conv2d.layer"](x, w, **how))
    assert torch.equal(dx, OPS["conv2d.layer.grad_x"](d, w, H, W, **how))
    assert torch.equal(dw, OPS["conv2d.layer.grad_w"](d, x, M, N, **how))
    return names


def example(which):
    x, w, d = images((8, 8, 8, 8), (16, 8, 3, 3), (8, 16, 8, 8), most=1)
    how, target = {"padding": 1}, "sm_90"
    if which == "float32":
        x, w, d = (t.float() for t in (x, w, d))
    elif which == "sm_80":
        target = "sm_80"
    elif which == "NCHW":
        x, w, d = (t.contiguous() for t in (x, w, d))
    elif which == "filters NCHW, d expanded":
        w, d = w.contiguous(), torch.ones(()).half().expand(d.shape)
    elif which == "address":
        wide = torch.zeros(8, 16, 8, 8).half().contiguous(memory_format=torch.channels_last)
        wide[:, 1:9] = x
        x = wide[:, 1:9]
    elif which == "groups":
        w, how = w[:, :4].contiguous(memory_format=torch.channels_last), {"padding": 1, "groups": 2}
    elif which == "C % 8":
        x, w = (t[:, :6].contiguous(memory_format=torch.channels_last) for t in (x, w))
    return x, w, d, how, target


@pytest.mark.parametrize(("which", "names"), [
    ("aligned", BOXES), ("float32", POINTERS), ("sm_80", POINTERS), ("NCHW", POINTERS), ("groups", POINTERS),
    ("filters NCHW, d expanded", POINTERS), ("address", POINTERS | {"correlate_boxes_kernel"}),
    ("C % 8", POINTERS)])
def test_the_pointer_kernel_elsewhere(which, names):
    found = pointer(*example(which))
    assert found - {"join_kernel"} == names


@pytest.mark.parametrize("which", ["slice", "expanded", "few images"])
def test_slices_and_expanded_gradients(which):
    """What a descriptor can say stays with boxes; an expanded gradient goes to the pointer kernel, for that alone."""
    x, w, d, how, _ = example("aligned")
    if which == "slice":
        wide = torch.full((8, 24, 9, 12), torch.nan).half().contiguous(memory_format=torch.channels_last)
        wide[:, 8:16, 1:, 3:11] = x
        x = wide[:, 8:16, 1:, 3:11]
        assert pointer(x, w, d, how) - {"join_kernel"} == BOXES
    elif which == "expanded":
        names = pointer(x, w, torch.ones(()).half().expand(d.shape), how)
        assert names - {"join_kernel"} == POINTERS | {"correlate_boxes_kernel"}
    else:                       # 7 × 7 pixels of one image fill no tile: too much waste for D
        x, w, d = images((1, 8, 7, 7), (16, 8, 3, 3), (1, 16, 7, 7), most=1)
        assert pointer(x, w, d, how) - {"join_kernel"} == {"correlate_boxes_kernel", "average_kernel"}


def test_infinity_beyond_the_edge_of_a_tile_stays_there():
    """Only D's boxes could meet a pixel that its tap does not read; channels beyond the last are 0 on both sides."""
    x, w, d = images((8, 8, 9, 8), (16, 8, 2, 1), (8, 16, 8, 8))
    x[:, :, 8] = torch.inf                                  # read by the lower tap alone
    D, names = ran(lambda: OPS["conv2d.layer.grad_w"](d, x, 2, 1))
    assert "average_boxes_kernel" in names
    assert D[:, :, 0].isfinite().all()
    assert not D[:, :, 1].isfinite().all()
    x, w = images((2, 24, 8, 8), (16, 24, 1, 2))
    w[:, 0, 0, 1] = torch.inf                               # the next tap's first channel, after this one's last
    x[:, 0] = 1.0
    y, names = ran(lambda: OPS["conv2d.layer"](x, w))
    assert names == {"correlate_boxes_kernel"}
    assert not y.isnan().any()


def test_more_views_than_a_launch_takes():
    x, w = images((2, 8, 9, 11), (16, 8, 3, 3), most=1)
    d = images((2, 16, 3, 3), most=1)[0]
    assert pointer(x, w, d, {"stride": 3, "padding": 0}) == POINTERS | {"correlate_boxes_kernel"}


def test_rows_pinned_for_the_pointer_kernels_are_obeyed():
    x, w, d, how, _ = example("aligned")
    with configs.pinned("conv2d.layer", configs.rows("conv2d.layer", "sm_90", x.dtype)[0]):
        assert ran(lambda: OPS["conv2d.layer"](x, w, **how))[1] == {"correlate_kernel"}
    with configs.pinned("conv2d.layer.grad_w", configs.rows("conv2d.layer.grad_w", "sm_90", x.dtype)[0]):
        assert "average_kernel" in ran(lambda: OPS["conv2d.layer.grad_w"](d, x, 3, 3, **how))[1]


def test_blocks_of_channels_that_leave_the_least_empty():
    def chosen(filters, pixels, channels):
        return configs.choose(LAYER, (filters, pixels, channels), torch.bfloat16, "sm_90")

    assert [chosen(64, 10**6, channels).BK for channels in (8, 16, 24, 64, 96, 256)] == [16, 16, 32, 64, 32, 64]
    assert (chosen(256, 10**6, 256).BM, chosen(256, 10**6, 256).BN) == (128, 256)
    assert chosen(512, 32 * 49, 512).BM == 64


@pytest.mark.parametrize("what", ["layer", "filters", "pooled"])
def test_repeats_bit_by_bit(what):
    x, w, d, how, _ = example("aligned")
    x, d = (torch.randn(t.shape, generator=torch.Generator().manual_seed(1)).to(t) for t in (x, d))
    sizes = image_checks.forward(x, w, None, 1, 1, 1, 1)
    x, d = (t.contiguous(memory_format=torch.channels_last) for t in (x, d))
    call = {"layer": lambda: OPS["conv2d.layer.grad_x"](d, w, 8, 8, z=x, act="sigmoid", **how),
            "filters": lambda: conv_filters.averaged(d, x, w, sizes, 0.5, 3.0, True, True),
            "pooled": lambda: conv_pool.pooled_keeping(x, w, None, sizes, "tanh", 0.0, True)}[what]
    first, names = ran(call)
    assert any("boxes" in name for name in names)
    for seed in (1, 2):
        again = ran(call, order="random", seed=seed)[0]
        pairs = [(first, again)] if what == "layer" else zip(first, again)
        assert all(torch.equal(one, other) for one, other in pairs)


def test_a_training_step_of_boxes():
    """Forward with its pooling, and backward, under autograd: the composite's to half precision's rounding."""
    x, w, b = images((8, 16, 8, 8), (32, 16, 3, 3), (32,), most=1)

    def step(tensors):
        leaves = [t.clone(memory_format=torch.preserve_format).requires_grad_() for t in tensors]
        F.conv2d_act(*leaves, "relu", padding=1, pool=True).float().square().sum().backward()
        return [leaf.grad for leaf in leaves]

    got, names = ran(lambda: step((x, w, b)))
    assert names == {"conv_pool_boxes_kernel", "pool_gradient_kernel", *BOXES} | (names & {"join_kernel"})
    wanted = step((x, w, b))
    assert all(torch.equal(one, other) for one, other in zip(got, wanted))


_PIXELS = "x.load([n, i + h + a * dh, j + v + b * dv, c])"
_TARGET = "        target = view(out, r, q, sizes.stride)\n"
_ON = "m, i, j = onward(m, i, j, BI, TH, TW, size[0], size[1])\n    f, c"
EDITS = [
    ("images.layer_boxes", "conv2d.layer", "last block of channels dropped", "range(A * B * tl.cdiv(depth, BK))",
     "range(A * B * tl.maximum(depth // BK, 1))"),
    ("images.layer_boxes", "conv2d.layer", "rows not shifted by the tap", _PIXELS, _PIXELS.replace("a * dh", "0 * dh")),
    ("images.layer_boxes", "conv2d.layer", "columns for rows", _PIXELS,
     "x.load([n, j + v + b * dv, i + h + a * dh, c])"),
    ("images.layer_boxes", "conv2d.layer", "padding off by one", _PIXELS, _PIXELS.replace("+ h +", "+ h + 1 +")),
    ("images.layer_boxes", "conv2d.layer", "accumulator overwritten", "total = tl.dot(taken, tile.T, total)",
     "total = tl.dot(taken, tile.T)"),
    ("images.layer_boxes", "conv2d.layer", "a view forgotten", "    if VIEWS > 3:\n", "    if VIEWS > 4:\n"),
    ("images.layer_boxes", "conv2d.layer", "bias of the first filters", "ro = o + tl.arange(0, BM)",
     "ro = tl.arange(0, BM)"),
    ("images.layer_boxes", "conv2d.layer", "tiles walked with rows and columns swapped",
     "high, wide = tl.cdiv(size[0], TH), tl.cdiv(size[1], TW)",
     "wide, high = tl.cdiv(size[0], TH), tl.cdiv(size[1], TW)"),
    ("images.layer_boxes", "conv2d.layer.grad_x", "taps the wrong way", "way * m.start, way * n.start, way * m.step",
     "way * m.start, way * n.start, m.step"),
    ("images.layer_boxes", "conv2d.layer.grad_x", "taps from the first", "m.first * columns + n.first", "0"),
    ("images.layer_boxes", "conv2d.layer.grad_x", "classes without a tap unwritten", _TARGET,
     f"        if not m.many * n.many:\n            continue\n{_TARGET}"),
    ("images.layer_boxes", "conv2d.layer.grad_x", "g′ of another class", "view(saved, r, q, sizes.stride)",
     "view(saved, 0, 0, sizes.stride)"),
    ("images.filters_boxes", "conv2d.layer.grad_w", "tap of another class", "a * period, first2", "a, first2"),
    ("images.filters_boxes", "conv2d.layer.grad_w", "parts in one place: a race",
     "(tl.cast(part, tl.int64) * filters + f) * width", "f * width"),
    ("images.filters_boxes", "conv2d.layer.grad_w", "a part's last box dropped", "for _ in range(part * chunk, end):",
     "for _ in range(part * chunk, end - 1):"),
    ("images.filters_boxes", "conv2d.layer.grad_w", "pixels not walked on", _ON, "m, i, j = m, i, j\n    f, c"),
    ("images.filters_boxes", "conv2d.layer.grad_w", "λ missing", "REGULARISED=regularised", "REGULARISED=False"),
]


@pytest.mark.parametrize(("module", "op", "name", "old", "new"), EDITS, ids=[f"{e[1]}: {e[2]}" for e in EDITS])
def test_an_edited_kernel_is_caught(module, op, name, old, new, monkeypatch):
    # an edited copy stands where the launcher looks, and the suite's exact data on the smallest row alone must show it
    wrong = edited(Edit(module, op, name, old, new))
    monkeypatch.setattr(conv_filters if op.endswith("grad_w") else conv_layer, "boxes", wrong.boxes)
    assert any(judge(case, backend, "simulated").state == FAIL for case in quick(op))


def test_the_tuner_knows_the_tables():
    """A row found for a size is the row that the launcher then takes there, and nowhere else."""
    x, w, _, how, _ = example("aligned")
    shape, slow = (16, 512, 8), configs.rows(LAYER, "sm_90")[0]
    with simulate():
        found = tune.tune(LAYER, [shape], lambda shape, dtype: OPS["conv2d.layer"](x, w, **how), x.dtype,
                          lambda run: (run(), float(configs.choose(LAYER, shape, x.dtype, "sm_90") != slow))[1])
        assert found == {(LAYER, shape, "float16"): slow} != {
            (LAYER, shape, "float16"): configs.choose(LAYER, shape, x.dtype, "sm_90")}
        wanted = OPS["conv2d.layer"](x, w, **how)
        with tune.using(found):
            assert configs.choose(LAYER, shape, x.dtype, "sm_90") == slow
            assert torch.equal(OPS["conv2d.layer"](x, w, **how), wanted)
            assert configs.choose(LAYER, (16, 256, 8), x.dtype, "sm_90") != slow


POOLED_EDITS = [
    ("places in columns", "z00, z01, z10, z11 = windows", "z00, z10, z01, z11 = windows"),
    ("windows cut across rows", "(0, 2, 1, 3))", "(0, 2, 3, 1))"),
    ("stored where the layer would be", "i, j = i // 2, j // 2", "i, j = i // 2, j"),
    ("bias missing", "    if HAS_BIAS:\n", "    if not HAS_BIAS:\n"),
    ("place of another tile's filters", "index.store([n, i, j, o]", "index.store([n, i, j, 0]"),
    ("a view forgotten", "walks, VIEWS, False", "walks, 1, False"),
]


@pytest.mark.parametrize(("name", "old", "new"), POOLED_EDITS, ids=[e[0] for e in POOLED_EDITS])
def test_an_edited_pooled_kernel_is_caught(name, old, new, monkeypatch):
    x, w, b = images((3, 24, 8, 41), (80, 24, 3, 2), (80,))
    sizes = image_checks.forward(x, w, b, (1, 2), 1, 1, 1)
    wrong = edited(Edit("images.pooled_boxes", "conv2d.layer", name, old, new))
    monkeypatch.setattr(conv_pool, "boxes", wrong)
    try:
        got, names = ran(lambda: conv_pool.pooled_keeping(x, w, b, sizes, "relu", 0.0, True))
    except KernelFault:
        return
    assert names == {"conv_pool_boxes_kernel"}
    with configs.pinned("conv2d.layer.pool", configs.rows("conv2d.layer.pool", "sm_90", x.dtype)[-1]):
        wanted = ran(lambda: conv_pool.pooled_keeping(x, w, b, sizes, "relu", 0.0, True))[0]
    assert not all(map(torch.equal, got, wanted))
