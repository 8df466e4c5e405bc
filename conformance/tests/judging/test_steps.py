"""Whole training steps, and gradients in parts: the reference's own, and what people write for them is not accused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from chainrule import reference
from chainrule.conformance import Backend, in_place
from chainrule.conformance.backend import load
from chainrule.conformance.judging import layout
from chainrule.conformance.judging.cases import DTYPES, cases_of
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.numbers.lanes import exact
from chainrule.conformance.judging.operations import evaluate, literal
from chainrule.conformance.judging.recipes import FAMILIES, source

STEPS = ("net.step", "net.step.momentum")
OPS = (*STEPS, "alg.accumulate.batch")
FUNCTIONS = reference.FUNCTIONS


def drawn(op, kind="exact", size=None):
    return FAMILIES[op].recipe(source(op, "fp32"), size or FAMILIES[op].sizes[0], kind)


def theta(w, b):
    return layout.theta(exact(w).tolist(), exact(b).tolist())


def parameters(Theta):
    """(weights, intercepts) of a Θ with a slot 0."""
    return [[row[1:] for row in Theta[1:]], [row[0] for row in Theta[1:]]]


@pytest.mark.parametrize("act", ["relu", "identity"])
@pytest.mark.parametrize("op", STEPS)
def test_a_step_is_the_references_own(op, act):
    a = drawn(op, f"exact-{act}-square", (3, 2, 3, 2))
    found = evaluate(op, exact, literal, {**a, "lam": exact(np.array(0.5)), "eta": exact(np.array(0.25))})
    network = [None, theta(a["w1"], a["b1"]), theta(a["w2"], a["b2"])]
    data = list(zip(exact(a["x"]).tolist(), exact(a["y"]).tolist()))
    g, prime = FUNCTIONS[f"act.{act}"], literal(f"act.{act}.prime")
    reading = {"g": g, "gprime": prime, "g_out": FUNCTIONS["act.identity"],
               "output": lambda y, a: [None, *(2 * (a[i] - y[i]) for i in range(1, len(a)))]}
    lam, eta = exact(np.array(0.5)).item(), exact(np.array(0.25)).item()
    if op == "net.step":
        moved = FUNCTIONS[op](network, data, lam, eta, **reading)
        right = [*parameters(moved[1]), *parameters(moved[2])]
    else:
        v = [None, theta(a["v1"], a["vb1"]), theta(a["v2"], a["vb2"])]
        right = [part for one in FUNCTIONS[op](network, v, data, lam, eta, a["mu"], **reading)
                 for l in (1, 2) for part in parameters(one[l])]
    for name, value in zip(found, right, strict=True):
        assert found[name].tolist() == value, name


def test_a_part_is_the_references_own():
    a = drawn("alg.accumulate.batch", size=(5, 3, 2))
    found = evaluate("alg.accumulate.batch", exact, literal, a)
    right = FUNCTIONS["alg.accumulate.batch"](
        theta(a["G"], a["Gb"]), [[1, *row] for row in exact(a["a"]).tolist()],
        [[None, *row] for row in exact(a["delta"]).tolist()], a["n"])
    assert [found["G"].tolist(), found["Gb"].tolist()] == parameters(right)


def test_parts_of_a_batch_add_up_to_alg_average():
    a = drawn("alg.accumulate.batch")
    G, Gb = np.zeros_like(a["G"]), np.zeros_like(a["Gb"])
    for part in (slice(0, 7), slice(7, 8), slice(8, None)):
        one = evaluate("alg.accumulate.batch", exact, literal, {
            "G": G, "Gb": Gb, "delta": a["delta"][part], "a": a["a"][part], "n": 32})
        G, Gb = one["G"], one["Gb"]
    whole = evaluate("alg.average", exact, literal, {"delta": a["delta"], "a": a["a"], "w": a["G"], "lam": 0, "n": 32})
    assert (whole["D"] == G).all()
    assert (whole["Db"] == Gb).all()


def test_a_pooled_layer_is_the_references_own():
    a = drawn("conv2d.layer.pool", "exact-relu", (1, 2, 2, 1, 6, 8, 2, 3, 1, 1, 1, 0, 1, 1, 2, 3))
    (found,) = evaluate("conv2d.layer.pool", exact, literal, a)["y"]
    right = FUNCTIONS["conv2d.layer.pool"](exact(a["x"])[0].tolist(), exact(a["w"]).tolist(), exact(a["b"]).tolist(),
                                           (1, 1), (1, 0), (1, 1), 1, FUNCTIONS["act.relu"], (2, 3))
    assert found.tolist() == right


ACTS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu, "elu": F.elu, "identity": lambda z: z,
        "leaky": lambda z: F.leaky_relu(z, 0.1)}
LOSSES = {"square": lambda z, y: (z - y).square().sum(1).mean(), "softmax": F.cross_entropy,
          "logits": lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="sum") / len(y)}


def trained(x, y, w1, b1, w2, b2, act, loss, lam, eta, mu=0.0, v1=None, vb1=None, v2=None, vb2=None):
    """torch's autograd and torch's SGD in the tensors' own dtype, as a loop has them; velocities where they are."""
    w1, b1, w2, b2 = (t.clone().requires_grad_() for t in (w1, b1, w2, b2))
    optimizer = torch.optim.SGD([{"params": [w1, w2], "weight_decay": lam}, {"params": [b1, b2]}], lr=eta, momentum=mu)
    given = {w1: v1, b1: vb1, w2: v2, b2: vb2}
    for p, v in given.items():
        if v is not None:
            optimizer.state[p]["momentum_buffer"] = v.clone()
    LOSSES[loss](F.linear(ACTS[act](F.linear(x, w1, b1)), w2, b2), y).backward()
    optimizer.step()
    moved = [p.detach() for p in given]
    if v1 is None:
        return moved
    return [*moved, *(optimizer.state[p].get("momentum_buffer", p.grad) for p in given)]


def in_parts(G, Gb, delta, a, n):
    """Autograd adds to .grad what a mean over all parts would get from this one."""
    w, b = torch.zeros_like(G, requires_grad=True), torch.zeros_like(Gb, requires_grad=True)
    w.grad, b.grad = G.clone(), Gb.clone()
    F.linear(a, w, b).backward(delta / n if delta.dtype == torch.float32 else (delta.float() / n).to(delta.dtype))
    return [w.grad, b.grad]


def some(op, dtype, step=5):
    return [case for k, case in enumerate(cases_of(op, (dtype,), "fp32"))
            if not case.refused and (case.row is None or k % step == 0)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", STEPS)
def test_a_training_loop_of_torchs_is_not_accused(op, dtype):
    backend = Backend("a loop")
    backend.op(op)(trained)
    found = [judge(case, backend, "host") for case in some(op, dtype) if case.arguments().get("mu") != 0.0]
    assert [one.report() for one in found if not one.passed] == []
    assert len(found) > 10


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_autograd_adds_is_not_accused(dtype):
    backend = Backend("autograd")
    backend.op("alg.accumulate.batch")(in_parts)
    found = [judge(case, backend, "host") for case in some("alg.accumulate.batch", dtype)]
    assert [one.report() for one in found if not one.passed] == []


@pytest.mark.parametrize("op", OPS)
def test_the_ops_made_of_torchs_pass(op):
    found = [judge(case, load("torch"), "host") for dtype in DTYPES for case in some(op, dtype, 9)]
    assert [one.report() for one in found if not one.passed] == []


def test_an_in_place_part_is_one_line():
    backend = Backend("mine")

    def add_(G, Gb, delta, a, n):
        G += (delta.double().T @ a.double() / n).to(G.dtype)
        Gb += (delta.double().sum(0) / n).to(G.dtype)

    backend.op("alg.accumulate.batch")(in_place("G", "Gb")(add_))
    assert all(judge(case, backend, "host").passed for case in some("alg.accumulate.batch", "fp32", 9))


def test_a_step_through_updated_weights_says_so():
    backend = Backend("hasty")

    @backend.op("net.step")
    def step(x, y, w1, b1, w2, b2, act, loss, lam, eta):
        if loss != "square" or len(y) != len(x) or act not in ACTS or w2.shape[1] != len(w1):
            raise NotImplementedError("squares only")
        z = F.linear(x, w1, b1).requires_grad_()
        a = ACTS[act](z)
        last = 2 * (F.linear(a, w2, b2) - y).detach()
        w2 = w2 - eta * (last.T @ a.detach() / len(x) + lam * w2)
        b2 = b2 - eta * last.mean(0)
        a.backward(last @ w2)
        return w1 - eta * (z.grad.T @ x / len(x) + lam * w1), b1 - eta * z.grad.mean(0), w2, b2

    found = [judge(case, backend, "host") for case in cases_of("net.step", ("fp32",)) if case.tier == "T0"]
    assert {one.state for one in found} == {"fail"}
    assert {one.looks_like for one in found} == {"δ through weights already updated"}
