"""The same fault in reference and kernel: the suite alone is blind to it, the outside witness is not."""

from __future__ import annotations

import pytest

from chainrule import reference
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.mutate.faults import FAULTS
from chainrule.conformance.mutate.planted import backend_with, ordered
from chainrule.conformance.witnesses import disagreement, table
from chainrule.reference import activations, backprop, convolution, layers, optimizers

right = dict(reference.FUNCTIONS)


def flipped_rows(I, K):
    return right["conv2d.valid"](I, K[::-1])


def without_n(Delta, Theta, lam, n):
    return right["alg.average"](Delta, Theta, lam, 1)


def twice_lambda(Delta, Theta, lam, n):
    return right["alg.average"](Delta, Theta, 2 * lam, n)


def only_a(Theta, delta_next, a):
    return [None, *(a[i] * sum(delta_next[k] * Theta[k][i] for k in range(1, len(delta_next)))
                    for i in range(1, len(a)))]


def negative(Theta, delta_next, gprime_z):
    return [None, *(-d for d in right["bp.delta.chain"](Theta, delta_next, gprime_z)[1:])]


def no_intercept(Theta, a, g):
    return right["net.layer"]([None, *([0, *row[1:]] for row in Theta[1:])], a, g)


def turned_window(x, w, b, *g):
    return right["arch.local.layer"](x, [row[::-1] for row in w], b, *g)


def without_intercept(x, theta, b, *g):
    return right["arch.shared.layer"](x, theta, 0 * b, *g)


# the id, where its reference stands, the wrong reference, the op and the same fault in a kernel
JOINT = [
    ("conv1d.valid", convolution, "conv1d", lambda theta, x: right["conv1d.valid"](theta[::-1], x),
     "conv1d.valid", "filter flipped (a true convolution)"),
    ("conv1d.centred", convolution, "conv1d_centred", lambda theta, a, *g: right["conv1d.centred"](theta[::-1], a, *g),
     "conv1d.centred", "filter flipped (a true convolution)"),
    ("conv2d.valid", convolution, "conv2d", flipped_rows, "conv2d.valid", "filter flipped in one axis"),
    ("arch.local.layer", layers, "local_affine", turned_window, "arch.local.layer", "window turned round"),
    ("arch.shared.layer", layers, "shared_affine", without_intercept, "arch.shared.layer", "bias missing"),
    ("alg.average", backprop, "average", without_n, "alg.average", "1/n missing"),
    ("alg.average", backprop, "average", twice_lambda, "alg.average", "2λ for λ"),
    ("bp.delta.rec", backprop, "delta_rec", only_a, "bp.delta.rec", "a for a(1 − a)"),
    ("bp.delta.chain", backprop, "delta_chain", negative, "bp.delta.chain", "sign flipped"),
    ("net.layer", backprop, "layer", no_intercept, "net.layer.affine", "bias missing"),
    ("act.identity", activations, "identity", lambda x: -x, "act.identity", "sign flipped"),
    ("opt.sgd", optimizers, "sgd", lambda theta, D, eta: theta + eta * D, "opt.sgd", "ascent"),
    ("act.relu", activations, "relu", lambda x: -right["act.relu"](x), "act.relu", "sign flipped"),
]


@pytest.mark.parametrize(("id", "module", "name", "wrong", "op", "fault"), JOINT,
                         ids=[f"{row[0]}-{row[5]}" for row in JOINT])
def test_only_the_witness_sees_it(id, module, name, wrong, op, fault, monkeypatch):
    planted = backend_with(next(one for one in FAULTS[op] if one.name == fault))
    exact = ordered(op, ("T0",), ("fp32",))[0]
    assert not judge(exact, planted, "host").passed
    monkeypatch.setattr(module, name, wrong)
    monkeypatch.setitem(reference.FUNCTIONS, id, wrong)
    assert judge(exact, planted, "host").passed, "the fault is not the same in both"
    refused = [disagreement(row, {**right, id: wrong}) for row in table() if row.id == id]
    assert any(refused), f"{id}: its witness agrees with a wrong reference"
