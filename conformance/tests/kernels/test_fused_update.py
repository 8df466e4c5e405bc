"""Average and update in one: equal to the two in sequence, with no gradient in memory, and wrong ones noticed."""

from __future__ import annotations

import pytest
import torch

from chainrule.conformance.backends.triton import backend, configurations
from chainrule.conformance.judging.cases import cases_of
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.verdict import FAIL
from chainrule.conformance.mutate.kernels import Edit, edited
from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import OPS
from chainrule.triton_kernels.layers import kernels as linear
from chainrule.triton_kernels.runtime import configs
from chainrule.triton_kernels.updates import composite_fused as composite_updates
from chainrule.triton_kernels.updates import fused as fused_update
from chainrule.triton_kernels.updates import fused_boxes as fused_update_boxes

B, O, I = 40, 24, 72


def integers(*shape, seed=0, most=2, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-most, most + 1, shape, generator=generator).to(dtype)


def layer(batch=B, outputs=O, inputs=I, operands=torch.float32):
    """δ, a, Θ, b, v, vb: dyadic."""
    return (integers(batch, outputs, dtype=operands), integers(batch, inputs, seed=1, dtype=operands),
            integers(outputs, inputs, seed=2, most=9), integers(outputs, seed=3), integers(outputs, inputs, seed=4),
            integers(outputs, seed=5))


@pytest.mark.parametrize("target", ["sm_90", "sm_80"])
@pytest.mark.parametrize("batch", [B, 1100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_equals_the_sequence_exactly(batch, dtype, target):
    delta, a, theta, b, v, vb = (t.to(dtype) for t in layer(batch))
    if dtype == torch.float16:          # D of the sequence is rounded to it, so let it be exact there too
        delta = delta * (torch.arange(batch) % max(1, batch // 8) == 0)[:, None]
    with simulate(check=True, target=target):
        D, Db = OPS["alg.average"](delta, a, theta, 0.5, 8)
        plain = [OPS["opt.sgd"](theta, D, 0.25), OPS["opt.sgd"](b, Db, 0.25)]
        (moved, kept), (moved_b, kept_b) = (
            OPS["opt.momentum"](one, slope, state, 0.25, 0.5) for one, slope, state in ((theta, D, v), (b, Db, vb)))
        fused = OPS["alg.average.sgd"](delta, a, theta, b, 0.5, 8, 0.25)
        fused_momentum = OPS["alg.average.momentum"](delta, a, theta, b, v, vb, 0.5, 8, 0.25, 0.5)
    assert all(map(torch.equal, fused, plain))
    assert all(map(torch.equal, fused_momentum, (moved, moved_b, kept, kept_b)))


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adamw"])
@pytest.mark.parametrize("batch", [B, 1100])
def test_float32_parameters_of_a_sixteen_bit_network_in_place(rule, batch):
    """bfloat16 operands, a float32 Θ that is written in place, and its bfloat16 shadow."""
    delta, a, theta, *_ = layer(batch, operands=torch.bfloat16)
    states = [torch.rand(O, I, generator=torch.Generator().manual_seed(9)) for _ in composite_updates.STATES[rule]]
    numbers = {"eta": 0.25, "lam": 0.125, "beta1": 0.5, "share": 0.5, "beta2": 0.75, "eps": 0.5}
    parameters, shadow = (theta, *states), torch.empty(O, I, dtype=torch.bfloat16)
    D = delta.float().t() @ a.float() / 8 + theta / 2
    apply = composite_updates.RULES[rule]
    plain = apply(theta, D, *states, {**numbers, "t": 3})
    exact = delta.double().t() @ a.double() / 8 + theta.double() / 2
    right = apply(theta.double(), exact, *(s.double() for s in states), {**numbers, "t": 3})
    table, t = fused_update.tables(numbers, 3, theta.device)
    with simulate(check=True, target="sm_90") as sim:
        one = fused_update.Parameter(parameters, parameters, table, t, shadow)
        fused_update.layer(rule, delta, a, one, None, 0.5, 8)
    assert set(sim.kernels) == (
        {"parts_boxes_kernel", "update_join_kernel"} if batch > 1024 else {"update_boxes_kernel"})
    for found, torchs, wanted in zip(parameters, plain, right):      # by ratio, against float64
        assert (found.double() - wanted).abs().max() <= 2 * (torchs.double() - wanted).abs().max()
    assert torch.equal(shadow, theta.bfloat16())


def test_no_gradient_is_stored():
    delta, a, theta, b, v, vb = layer()
    with simulate(check=True, target="sm_90") as sim:
        OPS["alg.average.momentum"](delta, a, theta, b, v, vb, 0.5, 8, 0.25, 0.5)
    assert sim.bytes_written == 4 * (2 * theta.numel() + 2 * b.numel())
    assert sim.launches == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_repeats_bit_by_bit_when_split(dtype):
    generator = torch.Generator().manual_seed(7)
    delta, a, theta = (torch.randn(*s, generator=generator).to(dtype) for s in ((1100, 16), (1100, 24), (16, 24)))
    def step(**how):
        with simulate(check=True, target="sm_90", **how) as sim:
            return OPS["alg.average.sgd"](delta, a, theta, theta[:, 0].clone(), 0.5, 8, 0.25), set(sim.kernels)
    first, names = step()
    assert names == {"update_join_kernel",
                     "update_product_kernel" if dtype == torch.float32 else "parts_boxes_kernel"}
    for seed in (1, 2):
        assert all(map(torch.equal, first, step(order="random", seed=seed)[0]))


def test_blocks_stay_and_take_part_after_part(monkeypatch):
    monkeypatch.setattr(fused_update_boxes, "processors", lambda arch: 4)
    delta, a, theta, b, *_ = (t.half() for t in layer(1100, 136, 136))
    delta = delta * (torch.arange(1100) % 137 == 0)[:, None]
    row = configs.rows("alg.average.update.boxes", "sm_90")[0]
    with configs.pinned("alg.average.update.boxes", row), simulate(check=True, target="sm_90") as sim:
        moved, moved_b = OPS["alg.average.sgd"](delta, a, theta, b, 0.5, 8, 0.25)
    assert set(sim.kernels) == {"parts_boxes_kernel", "update_join_kernel"}       # two parts of four tiles each
    assert torch.equal(moved.float(), theta * 0.875 - delta.float().t() @ a.float() / 32)
    assert torch.equal(moved_b.float(), b - delta.float().sum(0) / 32)


def test_a_layer_without_inputs_moves_its_intercepts():
    delta, a, theta, b, *_ = layer(9, 24, 0)
    with simulate(check=True, target="sm_90"):
        moved, moved_b = OPS["alg.average.sgd"](delta, a, theta, b, 0.5, 8, 0.25)
    assert moved.shape == (24, 0)
    assert torch.equal(moved_b, b - delta.sum(0) / 32)


@pytest.mark.parametrize("target", ["sm_90", "sm_80"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_the_delta_kernels_sums_are_the_intercepts(dtype, target):
    """As a step has it: δ's own kernel leaves sums over parts of the batch, and they alone move b."""
    above, w, z = integers(200, 24, dtype=dtype), integers(24, O, seed=1, dtype=dtype), integers(200, O, seed=2) + 0.5
    a, theta, b = integers(200, I, seed=3, dtype=dtype), integers(O, I, seed=4), integers(O, seed=5)
    table, t = fused_update.tables({"eta": 0.25}, 1, a.device)
    one, other = (fused_update.Parameter((p,), (p,), table, t) for p in (theta.clone(), b.clone()))
    with simulate(check=True, target=target):
        delta, sums = linear.delta_partial(above, w, z.to(dtype), "relu", "z", 0.0, "bp.delta.chain")
        fused_update.layer("sgd", delta, a, one, other, 0.0, 8, sums)
    exact = (above.double() @ w.double()) * (z > 0)
    assert len(sums) > 1
    assert torch.equal(sums.double().sum(0), exact.sum(0))
    assert torch.equal(other.new[0].double(), b - exact.sum(0) / 32)
    assert torch.equal(one.new[0].double(), theta - delta.double().t() @ a.double() / 32)


def test_how_a_batch_is_split():
    assert fused_update.split(1, 1023, 132) == 1
    assert fused_update.split(1, 1100, 132) == 2
    assert fused_update.split(1, 10**6, 132) == 16
    assert fused_update.split(132, 10**6, 132) == 2
    assert fused_update.split(133, 10**6, 132) == 1


@pytest.mark.parametrize("rule", ["sgd", "momentum", "adamw"])
def test_every_row_is_a_case_of_the_suite(rule):
    ids = [case.id for case in configurations() if case.op == f"alg.average.{rule}"]
    for table in ("alg.average.update", "alg.average.update.boxes"):
        for row in configs.rows(table, "sm_90"):
            assert any(f"row-{row}-" in id for id in ids)


@pytest.mark.parametrize(("changed", "words"), [
    ({"b": torch.ones(5)}, "rows of theta and entries of b differ: 24 and 5"),
    ({"vb": torch.ones(5)}, "vb has shape"),
    ({"v": torch.ones(5, 5)}, "v has shape"),
    ({"n": 0}, "n = 0"),
    ({"delta": torch.ones(7, O)}, "rows of delta and of a differ"),
])
def test_refuses(changed, words):
    delta, a, theta, b, v, vb = layer()
    given = {"delta": delta, "a": a, "theta": theta, "b": b, "v": v, "vb": vb, "lam": 0.5, "n": 8, "eta": 0.25,
             "mu": 0.5, **changed}
    with pytest.raises(ValueError, match=words):
        OPS["alg.average.momentum"](**given)
    with simulate(target="sm_90"), pytest.raises(ValueError, match=words):
        OPS["alg.average.momentum"](**given)


EDITS = [
    ("updates.tiles", "a part of the batch lost", "for s in range(SPLIT):", "for s in range(SPLIT - 1):"),
    ("updates.tiles", "a part counted twice", "tl.cast(size, tl.int64) * s + at", "tl.cast(size, tl.int64) * 0 + at"),
    ("updates.fused", "parts overlap", "first = s * share", "first = s * (share - 1)"),
    ("updates.fused", "the last part runs past the batch", "tl.minimum(K - first, share)", "share"),
    ("updates.fused", "parts in one place: a race", "parts + s * size + at", "parts + at"),
    ("updates.tiles", "1/n missing", "    D = divided(total, count)\n", "    D = total\n"),
    ("updates.tiles", "λΘ of the new Θ missing", "D = regularised(D, lam, theta)", "D = D"),
    ("updates.tiles", "intercepts by the first rows only", "tl.minimum((s + 1) * share, rows)",
     "tl.minimum(s * share + 16, rows)"),
    ("updates.tiles", "intercepts' last part runs into the next", "tl.minimum((s + 1) * share, rows)",
     "tl.minimum((s + 2) * share, rows)"),
    ("updates.fused", "intercepts' parts in one place: a race", "parts_b + s.to(tl.int64) * M + rm", "parts_b + rm"),
    ("updates.fused", "intercepts regularised", "finish(summed, rm, rm < M, b, count, 0.0, RULE, False)",
     "finish(summed, rm, rm < M, b, count, 1.0, RULE, True)"),
    ("updates.tiles", "joined intercepts regularised", "finish(total_b, c, c < M, b, count, 0.0, RULE, False)",
     "finish(total_b, c, c < M, b, count, lam, RULE, True)"),
    ("updates.fused", "intercepts by every column of tiles", "if INTERCEPTS and tn == 0:", "if INTERCEPTS:"),
    ("updates.fused_boxes", "1/n missing", "    D = divided(total, count)\n", "    D = total\n"),
    ("updates.fused_boxes", "λ missing", "D = regularised(D, lam, here)", "D = D"),
    ("updates.fused_boxes", "Θ of another tile", "theta.load([row, column])", "theta.load([row, 0])"),
    ("updates.fused_boxes", "halves exchanged", "left, right = halves(total, BM, BN)\n            finish",
     "right, left = halves(total, BM, BN)\n            finish"),
    ("updates.fused_boxes", "right half unwritten", "row, column + BN // 2, count", "row, column, count"),
    ("updates.fused_boxes", "v not kept", "to_m.store([row, column], first.to(to_m.dtype))",
     "to_m.store([row, column], m.load([row, column]))"),
    ("updates.fused_boxes", "a part of the batch twice", "s * share, tl.minimum((s + 1) * share, K)",
     "0, tl.minimum((s + 1) * share, K)"),
    ("updates.fused_boxes", "the last part of the batch cut", "tl.minimum((s + 1) * share, K), A_T",
     "tl.minimum((s + 1) * share, K) - 16 * s, A_T"),
    ("updates.fused_boxes", "parts reach into the next one's room", "top = s * down * BM + row", "top = s * M + row"),
    ("updates.fused_boxes", "parts in one place: a race", "top = s * down * BM + row", "top = row"),
    ("updates.fused_boxes", "right half of a part unwritten", "parts.store([top, column + BN // 2], right)",
     "parts.store([top, column], right)"),
    ("updates.fused_boxes", "a tile of another job", "tile_of(tl.cast(job, tl.int32) % tiles,",
     "tile_of(tl.cast(job, tl.int32) // SPLIT,"),
    ("updates.fused_boxes", "intercepts of the first tile only", "sums, 0, rows, rm, M,",
     "sums, 0, rows, rm - row, M,"),
    ("updates.fused_boxes", "intercepts moved by every column of tiles",
     "tn == 0:\n            rm = row + tl.arange(0, BM)\n            summed = sum_rows",
     "tn >= 0:\n            rm = row + tl.arange(0, BM)\n            summed = sum_rows"),
    ("updates.fused_boxes", "intercepts' parts in one place: a race",
     "parts_b + s.to(tl.int64) * M + rm", "parts_b + rm"),
]


@pytest.mark.parametrize(("module", "name", "old", "new"), EDITS, ids=[f"{e[0]}: {e[1]}" for e in EDITS])
def test_an_edited_kernel_is_caught(module, name, old, new, monkeypatch):
    # exact data alone must show it
    op = "alg.average.momentum"
    wrong = edited(Edit(module, op, name, old, new))
    monkeypatch.setattr(fused_update, "boxes", wrong.boxes)
    cases = [case for case in configurations() if case.op == op and case.tier == "T0" and "w4s3p2" in case.id
             and case.id.endswith("/fp16")]
    if module != "updates.fused_boxes":
        monkeypatch.undo()
        monkeypatch.setitem(backend.ops, op, wrong.OPS[op])
        cases = [case for case in cases_of(op, ("fp32",)) if case.tier == "T0"]
    assert cases
    assert any(judge(case, backend, "simulated").state == FAIL for case in cases)
