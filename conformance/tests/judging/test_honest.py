"""No false alarm: honest kernels in five summation orders, on every distribution and dtype, are never accused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from chainrule.conformance.backend import Backend
from chainrule.conformance.judging.cases import DTYPES, Case
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.recipes import DISTRIBUTIONS, FAMILIES, source
from chainrule.conformance.mutate.faults import PRIME, VALUE

f32 = np.float32


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


def honest(order):
    """Careful float32 kernels whose sums run in the given order; 16-bit inputs are widened, results rounded once."""
    backend = Backend("honest")

    def kernel(op):
        def register(function):
            def run(**arguments):
                kind = next(v.dtype for v in arguments.values() if isinstance(v, torch.Tensor))
                wide = {k: v.float().numpy() if isinstance(v, torch.Tensor) else v for k, v in arguments.items()}
                return [torch.from_numpy(np.ascontiguousarray(one, f32)).to(kind) for one in function(**wide)]
            backend.op(op)(run)
        return register

    @kernel("net.layer.affine")
    def affine(x, w, b, act):
        return [VALUE[act](product(x, w, order) + b).astype(f32)]

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

    return backend


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
