"""Average and update in one: equal to the two in sequence, with no gradient in memory, and wrong ones noticed."""

from __future__ import annotations

import pytest
import torch

from chainrule import triton_kernels
from chainrule.conformance.backends.triton import backend, configurations
from chainrule.conformance.cases import cases_of
from chainrule.conformance.judge import FAIL, judge
from chainrule.conformance.mutate.kernels import Edit, edited
from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import OPS, composite_updates, configs, fused_update

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
    parameters, shadow = [theta, *states], torch.empty(O, I, dtype=torch.bfloat16)
    D = delta.float().t() @ a.float() / 8 + theta / 2
    apply = composite_updates.RULES[rule]
    plain = apply(theta, D, *states, {**numbers, "t": 3})
    exact = delta.double().t() @ a.double() / 8 + theta.double() / 2
    right = apply(theta.double(), exact, *(s.double() for s in states), {**numbers, "t": 3})
    table, t = fused_update.tables(numbers, 3, theta.device)
    with simulate(check=True, target="sm_90") as sim:
        fused_update.weights(rule, delta, a, parameters, parameters, 0.5, 8, table, t, shadow)
    split = {"update_product_kernel", "update_join_kernel"}
    assert set(sim.kernels) == (split if batch > 1024 else {"update_boxes_kernel"})
    for found, torchs, wanted in zip(parameters, plain, right):      # by ratio, against float64
        assert (found.double() - wanted).abs().max() <= 2 * (torchs.double() - wanted).abs().max()
    assert torch.equal(shadow, theta.bfloat16())


def test_no_gradient_is_stored():
    delta, a, theta, b, v, vb = layer()
    with simulate(check=True, target="sm_90") as sim:
        OPS["alg.average.momentum"](delta, a, theta, b, v, vb, 0.5, 8, 0.25, 0.5)
    assert sim.bytes_written == 4 * (2 * theta.numel() + 2 * b.numel())
    assert sim.launches == 2


def test_repeats_bit_by_bit_when_split():
    generator = torch.Generator().manual_seed(7)
    delta, a, theta = (torch.randn(*s, generator=generator) for s in ((1100, 9), (1100, 13), (9, 13)))
    def step(**how):
        with simulate(check=True, target="sm_90", **how) as sim:
            return OPS["alg.average.sgd"](delta, a, theta, theta[:, 0], 0.5, 8, 0.25), set(sim.kernels)
    first, names = step()
    assert "update_join_kernel" in names
    for seed in (1, 2):
        assert all(map(torch.equal, first, step(order="random", seed=seed)[0]))


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
    ("fused_update", "a part of the batch lost", "for s in range(SPLIT):", "for s in range(SPLIT - 1):"),
    ("fused_update", "a part counted twice", "tl.cast(size, tl.int64) * s + at", "tl.cast(size, tl.int64) * 0 + at"),
    ("fused_update", "parts overlap", "first = tl.program_id(1) * share", "first = tl.program_id(1) * (share - 1)"),
    ("fused_update", "the last part runs past the batch", "tl.minimum(K - first, share)", "share"),
    ("fused_update", "parts in one place: a race", "parts + tl.program_id(1) * size + at", "parts + at"),
    ("fused_update", "1/n missing", "    D = divided(total, count)\n", "    D = total\n"),
    ("fused_update", "λΘ of the new Θ missing", "D = regularised(D, lam, theta)", "D = D"),
    ("fused_update", "intercepts by the first rows only", "for start in range(0, K, ROWS):",
     "for start in range(0, ROWS, ROWS):"),
    ("fused_update_boxes", "1/n missing", "    D = divided(total, count)\n", "    D = total\n"),
    ("fused_update_boxes", "λ missing", "D = regularised(D, lam, here)", "D = D"),
    ("fused_update_boxes", "Θ of another tile", "theta.load([row, column])", "theta.load([row, 0])"),
    ("fused_update_boxes", "halves exchanged", "left, right = halves", "right, left = halves"),
    ("fused_update_boxes", "right half unwritten", "row, column + BN // 2, count", "row, column, count"),
    ("fused_update_boxes", "v not kept", "to_m.store([row, column], first.to(to_m.dtype))",
     "to_m.store([row, column], m.load([row, column]))"),
]


@pytest.mark.parametrize(("module", "name", "old", "new"), EDITS, ids=[f"{e[0]}: {e[1]}" for e in EDITS])
def test_an_edited_kernel_is_caught(module, name, old, new, monkeypatch):
    # exact data alone must show it
    op = "alg.average.momentum"
    wrong = edited(Edit(module, op, name, old, new))
    monkeypatch.setattr(triton_kernels.fused_update, "fused_update_boxes", wrong)
    cases = [case for case in configurations() if case.op == op and case.tier == "T0" and "w4s3p2" in case.id
             and case.id.endswith("/fp16")]
    if module == "fused_update":
        monkeypatch.undo()
        monkeypatch.setitem(backend.ops, op, wrong.OPS[op])
        cases = [case for case in cases_of(op, ("fp32",)) if case.tier == "T0"]
    assert cases
    assert any(judge(case, backend, "simulated").state == FAIL for case in cases)
