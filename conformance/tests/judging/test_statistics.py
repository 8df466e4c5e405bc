"""T2: honest sums are never accused, whatever their order; what is rounded twice, cut off or added in 16 bits is."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import triton
import triton.language as tl
from test_honest import ORDERS, honest

from chainrule.conformance.backend import Backend, load
from chainrule.conformance.judging.bounds import Bound
from chainrule.conformance.judging.cases import DTYPES, beyond, far, long_sums
from chainrule.conformance.judging.hygiene import FAR, placed
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.numbers.formats import round_to
from chainrule.conformance.judging.oracle import Truth
from chainrule.conformance.judging.recipes import FAMILIES
from chainrule.conformance.judging.statistics import spread
from chainrule.conformance.mutate import downgrades

LONG = [op for op, family in FAMILIES.items() if family.long]
SUMS = ("net.layer.affine", "alg.average")


def accused(op, backend, dtypes=DTYPES):
    verdicts = [judge(case, backend, "host") for dtype in dtypes for case in long_sums(op, dtype)]
    assert len(verdicts) >= 3 * len(dtypes)
    return [verdict.report() for verdict in verdicts if verdict.state == "fail"]


def test_no_false_alarm():
    assert not accused("norm.layer", honest(ORDERS["fused"]), ("bf16",))


@pytest.mark.slow
@pytest.mark.parametrize("op", LONG)
@pytest.mark.parametrize("order", ORDERS)
def test_no_false_alarm_at_all(op, order):
    both = [load("torch")] + ([honest(ORDERS[order])] if op in honest(ORDERS[order]).ops else [])
    assert not [report for backend in both for report in accused(op, backend)]


def affine(add, stored):
    """A backend that adds its products in one way and stores the result in another."""
    backend = Backend("mine")

    @backend.op("net.layer.affine")
    def run(x, w, b, act):
        z = add(x.double().numpy(), w.double().numpy()) + b.double().numpy()
        return stored(torch.from_numpy(z if act == "identity" else np.maximum(z, 0)), x.dtype)

    return backend


def exactly(x, w):
    return x @ w.T


def cut_off(z, kind):
    """Towards 0, where that is no further than a bound on one output allows."""
    nearest = z.to(kind)
    down = torch.where(nearest.double().abs() > z.abs(), torch.nextafter(nearest, torch.zeros((), dtype=kind)), nearest)
    return torch.where((down.double() - z).abs() <= z.abs() * torch.finfo(kind).eps / 2, down, nearest)


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_elements_that_are_not_judged_tell_nothing(dtype):
    """Of a large output a sample is judged; what stands in the places of the others is no right answer."""
    value, none = 1 + np.random.default_rng(5).random(4000), np.zeros(4000)
    actual = round_to(value, dtype)
    limit = Bound(np.full(4000, 2.0**-23), none, none, none)
    known = np.arange(4000) % 2 == 0
    wrong = np.where(known, value, 1.5 * value)
    assert spread(actual, Truth(wrong, none, known), limit, limit, dtype) == ""
    assert spread(actual, Truth(wrong, none), limit, limit, dtype)


def in_tf32(x, w):
    parts = (np.frexp(one) for one in (x, w))
    return exactly(*(np.ldexp(np.rint(m * 2.0**11), e - 11) for m, e in parts))


@pytest.mark.parametrize(("add", "stored", "dtype", "says"), [
    (exactly, cut_off, "bf16", "half steps of bf16"), (exactly, cut_off, "fp16", "half steps of fp16"),
    (in_tf32, lambda z, kind: z.to(kind), "fp32", "roundings up and down")])
def test_what_no_output_shows_alone_a_thousand_show(add, stored, dtype, says):
    """Each of these stays within its bound in some case, where only the statistics tell."""
    cases = [case for case in long_sums("net.layer.affine", dtype) if "/26x1030x40/" in case.id]
    verdicts = [judge(case, affine(add, stored), "host") for case in cases[:4]]
    assert any(says in verdict.reason and verdict.fraction <= 1 for verdict in verdicts), [v.reason for v in verdicts]
    assert judge(cases[1], affine(exactly, lambda z, kind: z.to(kind)), "host").passed


def test_a_sum_in_float16_shows_in_exact_data():
    def add(x, w):
        total = np.zeros((len(x), len(w)), np.float16)
        for k in range(0, x.shape[1], 32):
            total = (total + x[:, k:k + 32] @ w[:, k:k + 32].T).astype(np.float16)
        return total.astype(np.float64)

    for dtype in ("fp16", "bf16"):
        case = next(case for case in long_sums("net.layer.affine", dtype) if case.tier == "T0")
        with np.errstate(over="ignore", invalid="ignore"):
            assert judge(case, affine(add, lambda z, kind: z.to(kind)), "host").state == "fail"
        assert judge(case, affine(exactly, lambda z, kind: z.to(kind)), "host").passed


def test_downgraded_kernels_are_counted(monkeypatch, capsys):
    (first, *_), *_ = [one.edits for one in downgrades.DOWNGRADES]
    monkeypatch.setattr(downgrades, "DOWNGRADES", (downgrades.Downgrade("tf32 for ieee", (first,), ("fp32",)),))
    assert downgrades.main(["--draws", "1"]) == 0
    assert "2 of 2 downgraded kernels noticed (100.0%)" in capsys.readouterr().out


@triton.jit
def _twice(x, y, n, x_0, x_1, N: tl.constexpr, WIDE: tl.constexpr):
    i = tl.program_id(0)
    j = tl.arange(0, N)
    if WIDE:
        i, j = i.to(tl.int64), j.to(tl.int64)
    tl.store(y + i * n + j, tl.load(x + i * x_0 + j * x_1, mask=j < n) * 1.0, mask=j < n)


@pytest.mark.parametrize("wide", [True, False])
def test_offsets_beyond_32_bits_are_judged(wide):
    backend = Backend("mine", device="cuda")

    @backend.op("act.identity")
    def identity(z):
        out = torch.empty(z.shape, dtype=z.dtype)
        _twice[(z.shape[0],)](z, out, z.shape[1], *z.stride(), N=64, WIDE=wide)
        return out

    verdicts = [judge(case, backend, "simulated") for case in far("act.identity", "fp32")]
    assert [verdict.passed for verdict in verdicts] == [wide, wide]
    assert wide or all("does not fit int32" in verdict.reason for verdict in verdicts)


def test_a_far_tensor_has_the_values_and_no_memory():
    value = torch.arange(12.0).reshape(3, 4)
    one = placed("x", value, "far-0")
    assert torch.equal(one.tensor, value)
    assert one.tensor.stride(0) * 2 >= FAR
    one.check()
    one.tensor[2, 1] = 0
    with pytest.raises(AssertionError, match="the input x was overwritten"):
        one.check()
    assert {case.id.split("/")[1] for case in beyond("net.layer.affine")} == {"T0", "T2", "T3"}
