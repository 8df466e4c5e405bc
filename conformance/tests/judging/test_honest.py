"""No false alarm: honest kernels in five summation orders, as two devices add, of two libraries, are never accused."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import torch

from chainrule import conformance
from chainrule.conformance.backend import Backend, load
from chainrule.conformance.judging.cases import DTYPES, Case, cases_of
from chainrule.conformance.judging.comparing import compare, expected
from chainrule.conformance.judging.judge import judge, laid_out
from chainrule.conformance.judging.numbers.tensor_cores import TENSOR_CORES
from chainrule.conformance.judging.operations import OPERATIONS
from chainrule.conformance.judging.recipes import DISTRIBUTIONS, FAMILIES, source
from chainrule.conformance.judging.running import fitted, run, widened
from chainrule.conformance.mutate.faults import PRIME, VALUE
from chainrule.conformance.simulator import accumulators

f32 = np.float32
TOLD = 25_000                  # so many runs the README speaks of


def forward_order(products):
    total = np.zeros(products.shape[1:], f32)
    for one in products:
        total = total + one
    return total


def reversed_order(products):
    return forward_order(products[::-1])


def blocked(products, block=16):
    return forward_order(np.stack([forward_order(products[k:k + block]) for k in range(0, len(products), block)]))


def pairwise(products):
    while len(products) > 1:
        if len(products) % 2:
            products = np.concatenate([products, np.zeros_like(products[:1])])
        products = products[0::2] + products[1::2]
    return products[0]


def fused(products):
    """A float64 accumulator rounded to float32 after each term, as a chain of fused multiply-adds does."""
    total = np.zeros(products.shape[1:], f32)
    for one in products.astype(np.float64):
        total = (total.astype(np.float64) + one).astype(f32)
    return total


ORDERS = {"forward": forward_order, "reversed": reversed_order, "blocked": blocked, "pairwise": pairwise,
          "fused": fused}


def product(a, b, order):
    """a bᵀ with its terms added in the given order."""
    return order(a.T[:, :, None] * b.T[:, None, :])


OPERANDS = {torch.float16: np.float16, torch.bfloat16: ml_dtypes.bfloat16}


class Device:
    """A product of 16-bit operands as this architecture's tensor cores add it."""

    kind = None                      # of the operands, as whoever calls it has seen

    def __init__(self, target):
        self.core = TENSOR_CORES[target]

    def __call__(self, a, b, order):
        a, b = (one.astype(OPERANDS[self.kind]) for one in (a, b))
        return accumulators.dot(a, b.T, np.zeros((len(a), len(b)), f32), self.core)


def honest(order, product=product):
    """Careful float32 kernels whose sums run in the given order; 16-bit inputs are widened, results rounded once."""
    backend = Backend("honest")

    def kernel(op):
        def register(function):
            def run(**arguments):
                kind = product.kind = next(v.dtype for v in arguments.values() if isinstance(v, torch.Tensor))
                wide = {k: v.float().numpy() if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
                with np.errstate(all="ignore"):                  # of what is thrown away, or is to overflow
                    return [torch.from_numpy(np.array(one, f32)).to(kind) for one in function(**wide)]
            backend.op(op)(run)
        return register

    @kernel("net.layer.affine")
    def affine(x, w, b, act):
        return [VALUE[act](product(x, w, order) + (f32(0) if b is None else b)).astype(f32)]

    @kernel("bp.delta.chain")
    def chain(delta, w, z, act):
        d = product(delta, np.ascontiguousarray(w.T), order) * PRIME[act](z).astype(f32)
        return [d, order(d)]

    @kernel("bp.delta.rec")
    def rec(delta, w, a):
        d = product(delta, np.ascontiguousarray(w.T), order) * (a * (1 - a))
        return [d, order(d)]

    @kernel("alg.average")
    def average(delta, a, w, lam, n):
        D = product(delta.T, a.T, order) / f32(n) + f32(lam) * w
        return [D, order(delta) / f32(n)]

    @kernel("conv1d.valid")
    def line(theta, x):
        return [order(theta[:, None] * windows(x, len(theta)).T)]

    @kernel("conv1d.valid.grad_theta")
    def line_grad(d, x):
        return [order(d[:, None] * windows(x, len(x) - len(d) + 1))]

    @kernel("conv2d.valid")
    def plane(I, K):
        seen = np.lib.stride_tricks.sliding_window_view(I, K.shape)
        return [order((seen * K).reshape(*seen.shape[:2], -1).transpose(2, 0, 1))]

    for op in ("conv2d.layer.grad_b", "arch.local.layer.grad_b"):
        @kernel(op)
        def summed(d, n=1):
            rows = np.moveaxis(d, 1, -1).reshape(-1, d.shape[1])
            return [order(rows) / f32(n)]

    for op in ("norm.layer.grad_beta", "norm.batch.grad_beta"):
        @kernel(op)
        def beta_grad(d):
            return [order(np.moveaxis(d, 1, -1).reshape(-1, d.shape[1]))]

    def normal(columns, eps):
        n = f32(len(columns))
        centred = columns - order(columns) / n
        return centred / np.sqrt(order(centred * centred) / n + f32(eps))

    @kernel("norm.layer")
    def layer_norm(x, gamma, beta, eps):
        return [(normal(x.T, eps).T * gamma + beta).astype(f32)]

    @kernel("norm.batch")
    def batch_norm(x, gamma, beta, eps):
        rows = np.moveaxis(x, 1, -1)
        y = normal(rows.reshape(-1, x.shape[1]), eps).reshape(rows.shape) * gamma + beta
        return [np.moveaxis(y, -1, 1)]

    @kernel("loss.softmax")
    def softmax(z, y):
        y = y.astype(int)
        away = z - z.max(1, keepdims=True) if z.size else z
        e = np.exp(away)
        s = order(e.T) if z.size else np.ones(len(z), f32)
        rows = np.arange(len(z))
        delta = e / s[:, None]
        delta[rows, y] -= 1
        return [np.log(s) - away[rows, y], delta]

    @kernel("loss.mean")
    def mean(loss, mass):
        return [order(loss) / order(mass)]

    @kernel("attn.head")
    def head(Q, K, V, scale=None, keep=None, causal=False):
        S, T = Q.shape[2], K.shape[2]
        part = np.tri(S, T, dtype=bool) if causal else np.ones((S, T), bool)
        part = np.broadcast_to(part if keep is None else part & (keep > 0)[:, None, None, :], (*Q.shape[:3], T))
        z = order((Q[:, :, :, None] * K[:, :, None]).transpose(4, 0, 1, 2, 3)) * f32(
            Q.shape[3] ** -0.5 if scale is None else scale)
        top = np.where(part, z, f32(-np.inf)).max(3, keepdims=True)
        e = np.where(part, np.exp(z - np.where(np.isfinite(top), top, f32(0))), f32(0))
        s = order(e.transpose(3, 0, 1, 2))[..., None]
        P = e / np.where(s == 0, f32(1), s)
        return [order((P[..., None] * V[:, :, None]).transpose(3, 0, 1, 2, 4))]

    return backend


def windows(x, m):
    return np.lib.stride_tricks.sliding_window_view(x, m)


RUNS = [(op, order, dtype, kind, seed) for op in ("net.layer.affine", "bp.delta.chain", "bp.delta.rec", "alg.average")
        for order in ORDERS for dtype in DTYPES for kind in DISTRIBUTIONS for seed in (1, 2)]


def test_there_are_enough():
    assert len(RUNS) >= 500


@pytest.mark.parametrize("op", ["net.layer.affine", "bp.delta.chain", "bp.delta.rec", "alg.average"])
@pytest.mark.parametrize("order", ORDERS)
def test_no_false_alarm(op, order):
    backend = honest(ORDERS[order])
    accused = []
    for one_op, one_order, dtype, kind, seed in RUNS:
        if (one_op, one_order) != (op, order):
            continue
        id = f"{op}/T1/{order}-{kind}/{dtype}/s{seed}"
        size = FAMILIES[op].sizes[seed % 2]
        case = Case(id, op, "T1", dtype, lambda id=id, size=size, dtype=dtype, kind=kind:
                    FAMILIES[op].recipe(source(id, dtype), size, kind))
        verdict = judge(case, backend, "host")
        if not verdict.passed:
            accused.append(verdict.report())
    assert not accused, accused[0]


def accused_of(op, backends, keep, device=None):
    """Every case that `keep` takes and that has examples, of every backend, the oracle asked once a case: as many runs,
    and what was said. `device`: whose tensor cores add."""
    runs, said = 0, []
    for k, case in enumerate(cases_of(op)):
        if case.refused or case.convention or not keep(k, case):
            continue
        arguments = laid_out(case)
        empty = any(isinstance(one, np.ndarray) and not one.size for one in arguments.values())
        if empty or any(fitted(one.ops[op], op, arguments)[1] for one in backends):
            continue
        bounds, truths = expected(case, arguments, backends[0], device)
        if bounds is None:
            continue
        for backend in backends:
            runs += 1
            outputs = run(case, backend, "host", arguments)
            worst = [compare(name, widened(one), truths[name], bounds[name], case)
                     for name, one in zip(OPERATIONS[op].outputs, outputs)]
            said += [f"{backend.name}: {case.id}: {one}" for one in worst if not one.fraction <= 1]
    return runs, said


def named(name):
    backend = honest(ORDERS[name])
    backend.name = name
    return backend


def both_libraries(op):
    return [*(named(name) for name in ORDERS), load("torch")] if op in honest(forward_order).ops else [load("torch")]


@pytest.mark.slow
def test_no_false_alarm_over_every_pair_of_levels():
    """Every case of every op: torch's composites, and where sums are long, numpy's float32 in five orders."""
    runs, said = 0, []
    for op in OPERATIONS:
        more, accused = accused_of(op, both_libraries(op), lambda k, case: True)
        runs, said = runs + more, said + accused
    assert not said, "\n".join(said)
    readme = Path(conformance.__file__).resolve().parent.parent / "README.md"
    assert runs >= TOLD
    assert not readme.exists() or f"over {TOLD:,} honest runs" in readme.read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
def test_no_false_alarm_as_a_device_adds(target):
    """Every case in 16 bits of the ops that are one product."""
    runs, said = 0, []
    for op in ("net.layer.affine", "bp.delta.chain", "bp.delta.rec", "alg.average"):
        more, accused = accused_of(op, [honest(forward_order, Device(target))],
                                   lambda k, case: case.dtype != "fp32" and not case.kinds, target)
        runs, said = runs + more, said + accused
    assert runs >= 200
    assert not said, "\n".join(said)


@pytest.mark.parametrize("op", sorted(honest(forward_order).ops))
def test_no_false_alarm_over_some_levels(op):
    """A sample of the same, small sizes only."""
    def some(k, case):
        return (k + len(op)) % 19 == 0 and sum(
            one.size for one in case.arguments().values() if isinstance(one, np.ndarray)) < 5000

    runs, said = accused_of(op, both_libraries(op), some)
    assert runs
    assert not said, "\n".join(said)


@pytest.mark.parametrize("op", ["net.layer.affine", "bp.delta.chain", "alg.average"])
@pytest.mark.parametrize("octaves", [-10, 10])
def test_scaling_an_input_by_a_power_of_two_changes_no_fraction(op, octaves):
    """The bound has no scale of its own: for a homogeneous op the verdict is the same at every magnitude."""
    first = {"net.layer.affine": "x", "bp.delta.chain": "delta", "alg.average": "delta"}[op]
    rest = {"net.layer.affine": "b", "alg.average": "w"}.get(op)
    backend, fractions = honest(forward_order), []
    for k in (0, octaves):
        def make(k=k):
            arguments = FAMILIES[op].recipe(source(op, "fp32"), FAMILIES[op].sizes[0], "normal")
            arguments[first] = arguments[first] * 2.0**k
            if rest is not None:
                arguments[rest] = arguments[rest] * 2.0**k
            return arguments
        fractions.append(judge(Case(f"{op}/scale", op, "T1", "fp32", make), backend, "host").fraction)
    assert fractions[0] > 0
    assert f"{fractions[0]:.6g}" == f"{fractions[1]:.6g}"


def test_two_runs_are_compared_though_they_share_their_memory():
    """A function that hands out one buffer at each call, and is not the same at the second."""
    backend, buffers, calls = Backend("one buffer"), {}, []

    @backend.op("act.sigmoid")
    def sigmoid(z):
        calls.append(z)
        out = buffers.setdefault(z.shape, torch.empty_like(z))
        a = torch.sigmoid(z.double()).to(z.dtype)
        return out.copy_(a if len(calls) % 2 else torch.nextafter(a, a + 1))

    (plain,) = [case for case in cases_of("act.sigmoid", ("fp32",)) if case.id.endswith("3x43/normal/fp32")]
    assert judge(plain, backend, "host").reason == "a differs between two runs on the same input"
