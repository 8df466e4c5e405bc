"""Products through tensor descriptors: chosen where they can run, exact, and wrong ones noticed."""

from __future__ import annotations

import pytest
import torch

from chainrule.conformance.backends.triton import backend, configurations
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.verdict import FAIL
from chainrule.conformance.mutate.kernels import Edit, edited, source
from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import OPS
from chainrule.triton_kernels.blocks import boxes
from chainrule.triton_kernels.layers import kernels as linear
from chainrule.triton_kernels.runtime import configs


def integers(*shape, seed=0, most=2, dtype=torch.float16):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-most, most + 1, shape, generator=generator).to(dtype)


def ran(call, target="sm_90", **how):
    """The result of a call, and the names of the kernels it started."""
    with simulate(check=True, target=target, **how) as sim:
        result = call()
    return result, set(sim.kernels)


@pytest.mark.parametrize("table", configs.BOXES)
def test_every_row_is_a_case_of_the_suite(table):
    op = {"net.layer.affine.boxes": "net.layer.affine", "bp.delta.boxes": "bp.delta.chain",
          "alg.average.boxes": "alg.average", "alg.average.update.boxes": "alg.average.sgd"}[table]
    ids = [case.id for case in configurations() if case.op == op]
    for row in configs.rows(table, "sm_90"):
        for dtype in ("fp16", "bf16"):
            for tier in ("T0", "T1"):
                assert any(f"/{tier}/row-{row}-" in id and id.endswith(dtype) for id in ids), (row, dtype, tier)


@pytest.mark.parametrize("transposed", [(), ("x",), ("w",), ("x", "w")], ids=str)
def test_either_way_round(transposed):
    x, w, b = integers(24, 72), integers(40, 72, seed=1), integers(40, seed=2)
    x = x.t().contiguous().t() if "x" in transposed else x
    w = w.t().contiguous().t() if "w" in transposed else w
    a, names = ran(lambda: OPS["net.layer.affine"](x, w, b, "relu"))
    assert names == {"affine_boxes_kernel"}
    assert torch.equal(a.float(), torch.relu(x.float() @ w.float().t() + b.float()))


def test_delta_and_average_either_way_round():
    delta, w, z = integers(24, 40), integers(40, 72, seed=1, most=1), integers(24, 72, seed=2) + 0.5
    for d in (delta, delta.t().contiguous().t()):
        for v in (w, w.t().contiguous().t()):
            (chained, db), names = ran(lambda d=d, v=v: OPS["bp.delta.chain"](d, v, z, "relu"))
            right = (delta.float() @ w.float()) * (z > 0)
            assert names == {"delta_boxes_kernel", "column_sums_kernel"}
            assert torch.equal(chained.float(), right)
            assert torch.equal(db.float(), right.sum(0))
        for a in (z, z.t().contiguous().t()):
            (D, Db), names = ran(lambda d=d, a=a: OPS["alg.average"](d, a, w, 0.5, 4))
            assert names == {"average_boxes_kernel"}
            assert torch.equal(D.float(), (delta.float().t() @ z.float()) / 4 + w.float() / 2)
            assert torch.equal(Db.float(), delta.float().sum(0) / 4)


def test_blocks_stay_and_take_tile_after_tile(monkeypatch):
    monkeypatch.setattr(boxes, "processors", lambda arch: 1)
    x, w = integers(200, 24), integers(264, 24, seed=1)
    row = configs.rows("net.layer.affine.boxes", "sm_90")[-1]
    with configs.pinned("net.layer.affine.boxes", row):
        a, names = ran(lambda: OPS["net.layer.affine"](x, w, None, "identity"))
    assert torch.equal(a.float(), x.float() @ w.float().t())
    assert names == {"affine_boxes_kernel"}


def test_kept_z():
    x, w = integers(24, 72), integers(40, 72, seed=1)
    (a, z), names = ran(lambda: linear.affine_keeping(x, w, None, "relu", 0.0, True))
    assert names == {"affine_boxes_kernel"}
    assert torch.equal(z.float(), x.float() @ w.float().t())
    assert torch.equal(a, z.relu())


@pytest.mark.parametrize(("x", "w", "target"), [
    (integers(24, 72, dtype=torch.float32), integers(40, 72, dtype=torch.float32), "sm_90"),
    (integers(24, 70), integers(40, 70), "sm_90"),
    (integers(24, 72), integers(39, 72), "sm_90"),
    (integers(24 * 72 + 1)[1:].view(24, 72), integers(40, 72), "sm_90"),
    (integers(24, 144)[:, ::2], integers(40, 72), "sm_90"),
    (integers(1, 72).expand(24, 72), integers(40, 72), "sm_90"),
    (integers(24, 72), integers(40, 72), "sm_80"),
], ids=["float32", "K % 8", "N % 8", "address", "strided", "expanded", "sm_80"])
def test_the_pointer_kernel_elsewhere(x, w, target):
    a, names = ran(lambda: OPS["net.layer.affine"](x, w, None, "identity"), target)
    assert names == {"affine_kernel"}
    assert torch.equal(a.float(), x.float() @ w.float().t())


def test_a_pinned_row_of_the_pointer_kernel_is_obeyed():
    row = configs.rows("net.layer.affine", "sm_90", torch.float16)[0]
    with configs.pinned("net.layer.affine", row):
        assert ran(lambda: OPS["net.layer.affine"](integers(24, 72), integers(40, 72)))[1] == {"affine_kernel"}


def test_rows_beyond_the_batch_add_no_nan():
    delta, w, z = torch.ones(3, 8).half(), torch.ones(8, 16).half(), torch.ones(3, 16).half()
    w[0, 0] = torch.inf
    _, db = ran(lambda: OPS["bp.delta.chain"](delta, w, z, "relu"))[0]
    assert db[0] == torch.inf
    assert torch.equal(db[1:].float(), torch.full((15,), 24.0))


def test_repeats_bit_by_bit():
    delta, w, z = (torch.randn(*s, generator=torch.Generator().manual_seed(3)).half()
                   for s in ((200, 72), (72, 264), (200, 264)))
    first = ran(lambda: OPS["bp.delta.chain"](delta, w, z, "sigmoid"))[0]
    for seed in (1, 2):
        again = ran(lambda: OPS["bp.delta.chain"](delta, w, z, "sigmoid"), order="random", seed=seed)[0]
        assert all(map(torch.equal, first, again))


def test_short_sums_take_two_blocks_a_processor():
    short = configs.choose("net.layer.affine.boxes", (8192, 4096, 512), torch.bfloat16, "sm_90")
    long = configs.choose("net.layer.affine.boxes", (8192, 4096, 4096), torch.bfloat16, "sm_90")
    assert (short.per, long.per) == (2, 1)
    assert (long.BM, long.BN) == (128, 256)


EDITS = [
    ("net.layer.affine", "last K block dropped", "for k in range(first, last, BK):",
     "for k in range(first, last // BK * BK, BK):"),
    ("net.layer.affine", "accumulator overwritten", "tl.dot(tile_a, tile_b, total)", "tl.dot(tile_a, tile_b)"),
    ("net.layer.affine", "halves exchanged", "left, right = halves(z, BM, BN)", "right, left = halves(z, BM, BN)"),
    ("net.layer.affine", "columns interleaved",
     "tl.permute(tl.reshape(x, (BM, 2, BN // 2)), (0, 2, 1))", "tl.reshape(x, (BM, BN // 2, 2))"),
    ("net.layer.affine", "bias of the wrong half", "rn = n + tl.arange(0, WIDTH)\n        z +=",
     "rn = n // (2 * WIDTH) * (2 * WIDTH) + tl.arange(0, WIDTH)\n        z +="),
    ("bp.delta.chain", "g′ of the tile's first column", "saved.load([m, n])", "saved.load([m, 0])"),
    ("bp.delta.chain", "partial sums in one row", "partial + tm.to(tl.int64) * N + rn,", "partial + rn,"),
    ("alg.average", "right half unwritten",
     "            finish_average(right, w, D, m, n0 + BN // 2, count, lam, REGULARISED)\n", ""),
    ("alg.average", "Θ of the tile's first row", "w.load([m, n])", "w.load([0, n])"),
    ("alg.average", "intercepts by 16 examples only", "sum_rows(to_delta, 0, K,", "sum_rows(to_delta, 0, 16,"),
]


@pytest.mark.parametrize(("op", "name", "old", "new"), EDITS, ids=[f"{e[0]}: {e[1]}" for e in EDITS])
def test_an_edited_kernel_is_caught(op, name, old, new, monkeypatch):
    # an edited copy stands where the launcher looks, and exact data on the shipped rows alone must show it
    module = next(one for one in ("layers.boxes", "blocks.boxes") if old in source(one))
    monkeypatch.setattr(linear, "boxes", edited(Edit(module, op, name, old, new)).boxes)
    label = str(configs.rows("net.layer.affine.boxes", "sm_90")[3])
    cases = [case for case in configurations()
             if case.op == op and case.tier == "T0" and case.id.endswith("/fp16") and f"row-{label}-" in case.id]
    assert cases
    assert any(judge(case, backend, "simulated").state == FAIL for case in cases)
