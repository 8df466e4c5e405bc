"""Witnesses of activations, losses, networks and backpropagation: torch's functions and its autograd."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from ...reference.activations import sigmoid, sigmoid_prime, tanh
from ...reference.backprop import alg_delta_out
from .row import Witness, leaf, numbers, rows, slot, tensor

POINTS = (-3.25, -0.5, 0.0, 0.375, 0.75, 2.5)
THETA: list[Any] = [None, *numbers(3, 3, scale=0.5)]     # 2 inputs and an intercept, 3 nodes
A = [1, 0.25, -1.5]
NEXT: list[Any] = [None, *numbers(2, 4, scale=0.5)]      # from those 3 nodes to 2
DELTA = [None, 0.75, -0.5]
NETWORK: list[Any] = [None, THETA, NEXT, [None, *numbers(1, 3)]]
X, Y = [0.5, -1.25], [0.25]
DATA = [(X, Y), ([1.5, 0.75], [1.0]), ([-0.25, 2.0], [0.0])]
LAM = 0.125
STILL: list[Any] = [None, *([None, *([0.0] * len(row) for row in Theta[1:])] for Theta in NETWORK[1:])]
AVERAGED: tuple[Any, Any] = ([None, *[[6.0] * 3] * 3], THETA)
PARTS: tuple[Any, ...] = ([None, *numbers(3, 3, seed=1)], [[1, 0.5, -2.0], [1, 3.0, 0.25]],
                          [[None, 0.5, -1.0, 2.0], [None, 1.5, 0.25, -0.5]])
ZEROS: list[Any] = [None, *[[0.0] * 3] * 3]
LOGITS, TARGETS = [0.5, -1.0], [1.0, 0.25]


def derivative(f: Any, z: float) -> float:
    """f'(z) by autograd."""
    at = leaf(z)
    f(at).backward()
    return float(at.grad)


def updated(optimizer: Any, *states: str) -> Any:
    """torch's optimizer on the averaged gradient: Θ, and what it keeps, after one step."""
    theta = rows(THETA)
    theta.grad = tensor(average()[1:])
    made = optimizer([theta])
    made.step()
    kept = [theta.detach(), *(made.state[theta][name] for name in states)]
    found = [[None, *one.tolist()] for one in kept]
    return found if states else found[0]


def with_intercept(a: torch.Tensor) -> Any:
    return torch.cat([tensor([1]), a])


def run(network: list[Any], x: list[float], g: Any = torch.sigmoid) -> Any:
    """torch's forward pass: parameters, all z and all a, kept for their gradients."""
    parameters = [rows(Theta) for Theta in network[1:]]
    a, z_all, a_all = tensor(x), [], []
    for W in parameters:
        z = F.linear(with_intercept(a), W)
        z.retain_grad()
        a = g(z)
        z_all.append(z)
        a_all.append(a)
    return parameters, z_all, a_all


def likelihood(y: list[float], yhat: torch.Tensor) -> Any:
    """The printed loss, summed over outputs: torch's cross entropy, negated."""
    return -F.binary_cross_entropy(yhat, tensor(y), reduction="sum")


def forward() -> Any:
    _, z, a = run(NETWORK, X)
    return [[None, None, *(slot(None, v) for v in z)], [None, [1, *X], *(slot(1, v) for v in a)]]


def nabla(sign: int = 1, g: Any = torch.sigmoid) -> Any:
    parameters, z, _ = run(NETWORK, X, g)
    (sign * likelihood(Y, torch.sigmoid(z[-1]))).backward()
    return [None, *([None, *W.grad.tolist()] for W in parameters)]


def errors() -> Any:
    _, z, a = run(NETWORK, X)
    likelihood(Y, a[-1]).backward()
    return [None, None, *(slot(None, v.grad) for v in z)]


LAST = errors()[-1]
Z_ALL, A_ALL = forward()


def chain(g: Any) -> Any:
    """δ of a layer from the δ above it."""
    z = leaf([0.5, -0.25, 1.5])
    above: Any = F.linear(with_intercept(g(z)), rows(NEXT)) * tensor(DELTA[1:])
    above.sum().backward()
    return slot(None, z.grad)


def logits_delta(sign: int) -> Any:
    z = leaf(LOGITS)
    loss: Any = sign * F.binary_cross_entropy_with_logits(z, tensor(TARGETS), reduction="sum")
    loss.backward()
    return slot(None, z.grad)


def algorithm() -> Any:
    """D: the gradient of the mean cross entropy and (λ/2)Σ Θ² without intercepts."""
    parameters = [rows(Theta) for Theta in NETWORK[1:]]
    loss = tensor(0)
    for x, y in DATA:
        a = tensor(x)
        for W in parameters:
            a = torch.sigmoid(F.linear(with_intercept(a), W))
        loss = loss + F.binary_cross_entropy(a, tensor(y)) / len(DATA)
    (loss + LAM / 2 * sum((W[:, 1:] ** 2).sum() for W in parameters)).backward()
    return [None, *([None, *W.grad.tolist()] for W in parameters)]


def average() -> Any:
    """torch's SGD with weight_decay is D's λ; a step of 1 from Θ leads to Θ − D."""
    start = rows(THETA).detach()
    weights, intercepts = leaf(start[:, 1:].tolist()), leaf(start[:, 0].tolist())
    groups: list[dict[str, Any]] = [{"params": [weights], "weight_decay": LAM}, {"params": [intercepts]}]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    weights.grad, intercepts.grad = torch.full((3, 2), 6 / 4).double(), torch.full((3,), 6 / 4).double()
    optimizer.step()
    return [None, *(start - torch.cat([intercepts[:, None], weights], 1).detach()).tolist()]


def part_added() -> Any:
    """Autograd adds the gradient of one part's share of the mean to what lies in .grad."""
    theta = rows(THETA)
    theta.grad = tensor(PARTS[0][1:])
    met: Any = F.linear(tensor(PARTS[1]), theta) * tensor([d[1:] for d in PARTS[2]])
    met.sum().div(7).backward()
    return [None, *theta.grad.tolist()]


def trained(momentum: float = 0.0) -> Any:
    """One step of torch's SGD on the mean cross entropy, with the network's sigmoids; λ on weights alone."""
    layers = [(leaf(tensor(Theta[1:])[:, 1:].tolist()), leaf(tensor(Theta[1:])[:, 0].tolist()))
              for Theta in NETWORK[1:]]
    weights, intercepts = zip(*layers)
    groups: list[dict[str, Any]] = [{"params": list(weights), "weight_decay": LAM}, {"params": list(intercepts)}]
    optimizer = torch.optim.SGD(groups, lr=0.5, momentum=momentum)
    a = tensor([x for x, _ in DATA])
    for w, b in layers:
        a = torch.sigmoid(F.linear(a, w, b))
    loss: Any = F.binary_cross_entropy(a, tensor([y for _, y in DATA]))
    loss.backward()
    optimizer.step()

    def network(pick: Any) -> Any:
        return [None, *([None, *torch.cat([pick(b)[:, None], pick(w)], 1).tolist()] for w, b in layers)]
    if not momentum:
        return network(lambda p: p.detach())
    return network(lambda p: p.detach()), network(lambda p: optimizer.state[p]["momentum_buffer"])


def objective(sign: float, weight: float, first: int) -> float:
    yhat, y = tensor([0.25, 0.75, 0.5]), tensor([0.0, 1.0, 1.0])
    norm = sum(float((tensor(Theta[1:])[:, first:] ** 2).sum()) for Theta in NETWORK[1:])
    return float(sign * F.binary_cross_entropy(yhat, y) + weight * LAM * norm)


def linear(Theta: list[Any], a: list[Any]) -> Any:
    return F.linear(tensor(a), rows(Theta)).detach()


def act(id: str, f: Any, *parameters: float) -> list[Witness]:
    """A row for every point."""
    return [Witness(id, (x, *parameters), partial(value, f, x)) for x in POINTS]


def value(f: Any, x: float) -> float:
    return float(f(tensor(x)))


def huber(y: float, yhat: float, c: float) -> float:
    return float(F.huber_loss(tensor(yhat), tensor(y), delta=c))


def hinge(y: float, z: float) -> float:
    return float(F.margin_ranking_loss(tensor(z), tensor(0.0), tensor(y), margin=1.0))


def weighted(y: Any, eps: float) -> float:
    return float(F.cross_entropy(tensor(Z), y, tensor(WEIGHTS), reduction="sum", label_smoothing=eps))


Z = [0.5, -1.25, 2.0]
ONE_HOT, WEIGHTS = [0.0, 1.0, 0.0], [0.5, 2.0, 3.0]
OBJECTIVE = ([0.0, 1.0, 1.0], [0.25, 0.75, 0.5], NETWORK, LAM)
PRIME = [None, *(derivative(torch.tanh, z) for z in (0.5, -0.25, 1.5))]
SIGMOID = [1, *torch.sigmoid(tensor([0.5, -0.25, 1.5])).tolist()]

OUTPUT = slot(1, torch.sigmoid(tensor(LOGITS)))

ROWS = [
    *act("act.sigmoid", torch.sigmoid),
    *act("act.sigmoid.prime", lambda x: derivative(torch.sigmoid, float(x))),
    *act("act.tanh", torch.tanh),
    *act("act.relu", F.relu),
    *act("act.leaky", lambda x: F.leaky_relu(x, 0.1)),
    *act("act.leaky", lambda x: F.leaky_relu(x, 0.25), 0.25),
    *act("act.gelu", F.gelu),
    *act("act.softplus", F.softplus),
    *act("act.silu", F.silu),
    *act("act.gelu.tanh", partial(F.gelu, approximate="tanh")),
    *act("act.elu", lambda x: F.elu(x, 1.5), 1.5),
    *act("act.identity", torch.nn.Identity()),
    Witness("act.softmax", (Z,), lambda: F.softmax(tensor(Z), 0).tolist()),
    Witness("loss.xent", (0.25, 0.75), lambda: float(-F.binary_cross_entropy(tensor(0.75), tensor(0.25)))),
    Witness("loss.xent.negated", (0.25, 0.75),
            lambda: float(F.binary_cross_entropy(tensor(0.75), tensor(0.25)))),
    Witness("loss.xent.logits", (0.25, 1.5),
            lambda: float(F.binary_cross_entropy_with_logits(tensor(1.5), tensor(0.25)))),
    *(Witness("loss.huber", (0.25, at, 1.5), partial(huber, 0.25, at, 1.5)) for at in (0.75, 2.5, -3.25)),
    *(Witness("loss.hinge", (y, z), partial(hinge, y, z))
      for y, z in ((1.0, 0.25), (1.0, 2.5), (-1.0, 0.75), (-1.0, -3.0))),
    Witness("loss.kl", ([0.25, 0.5, 0.25], [0.125, 0.5, 0.375]), lambda: float(F.kl_div(
        tensor([0.125, 0.5, 0.375]).log(), tensor([0.25, 0.5, 0.25]), reduction="sum"))),
    Witness("loss.square", (0.25, 2.0), lambda: float(F.mse_loss(tensor(2.0), tensor(0.25)))),
    Witness("loss.softmax", (ONE_HOT, Z), lambda: float(F.cross_entropy(tensor(Z), torch.tensor(1)))),
    Witness("loss.softmax", ([0.25, 0.5, 0.25], Z),
            lambda: float(F.cross_entropy(tensor(Z), tensor([0.25, 0.5, 0.25])))),
    *(Witness("loss.softmax.weighted", (ONE_HOT, Z, WEIGHTS, eps), partial(weighted, torch.tensor(1), eps))
      for eps in (0.0, 0.25)),
    Witness("loss.softmax.weighted", ([0.25, 0.5, 0.25], Z, WEIGHTS, 0.125),
            lambda: weighted(tensor([0.25, 0.5, 0.25]), 0.125)),
    Witness("loss.mean", ([3.0, 0.5, 4.0], [2.0, 0.25, 5.0]),
            lambda: float(np.average([1.5, 2.0, 0.8], weights=[2.0, 0.25, 5.0]))),
    Witness("loss.objective", OBJECTIVE, lambda: objective(-1, 1, 0)),
    Witness("loss.objective.corrected", OBJECTIVE, lambda: objective(1, 0.5, 1)),
    Witness("net.input", (X,), lambda: with_intercept(tensor(X)).tolist()),
    Witness("net.onehot", (2, 4), lambda: F.one_hot(torch.tensor(1), 4).tolist()),
    Witness("net.z", (THETA, A), lambda: slot(None, linear(THETA, A))),
    Witness("net.z.node", (THETA, A), lambda: slot(None, linear(THETA, A))),
    Witness("net.a", ([None, *Z], tanh), lambda: slot(1, torch.tanh(tensor(Z)))),
    Witness("act.coordinatewise", ([None, *Z], sigmoid), lambda: slot(1, torch.sigmoid(tensor(Z)))),
    Witness("net.layer", (THETA, A, sigmoid), lambda: slot(1, torch.sigmoid(linear(THETA, A)))),
    Witness("net.layer.affine", (THETA, A, tanh), lambda: slot(1, torch.tanh(linear(THETA, A)))),
    Witness("net.layer.relu", (THETA, A), lambda: slot(1, torch.relu(linear(THETA, A)))),
    Witness("net.out.linear", (THETA, A), lambda: linear(THETA, A).tolist()),
    Witness("net.out", (NETWORK, X), forward),
    Witness("bp.delta.out", ([None, *TARGETS], OUTPUT), lambda: logits_delta(-1)),
    Witness("alg.delta.out", (OUTPUT, [None, *TARGETS]), lambda: logits_delta(1)),
    Witness("bp.delta.chain", (NEXT, DELTA, PRIME), lambda: chain(torch.tanh)),
    Witness("bp.delta.rec", (NEXT, DELTA, SIGMOID), lambda: chain(torch.sigmoid)),
    Witness("bp.grad", (DELTA, A), lambda: [None, *torch.outer(tensor(DELTA[1:]), tensor(A)).tolist()]),
    Witness("alg.errors", (NETWORK, Z_ALL, A_ALL, LAST), errors),
    Witness("alg.errors", (NETWORK, Z_ALL, A_ALL, LAST, sigmoid_prime), errors),
    *(Witness(id, (NETWORK, X, Y), nabla) for id in ("bp.nabla", "bp.single.pass", "bp.cost")),
    *(Witness(id, (NETWORK, X, Y), lambda: nabla(-1), {"output": alg_delta_out})
      for id in ("bp.nabla", "bp.cost")),
    Witness("bp.nabla", (NETWORK, X, Y), lambda: nabla(1, torch.tanh),
            {"g": tanh, "gprime": lambda z: 1 - tanh(z) * tanh(z), "g_out": sigmoid}),
    Witness("alg.init", (THETA,), lambda: [None, *torch.zeros(3, 3, dtype=torch.int64).tolist()]),
    Witness("alg.accumulate", (NEXT, [1, *Z], DELTA),
            lambda: [None, *torch.addr(rows(NEXT), tensor(DELTA[1:]), tensor([1, *Z])).tolist()]),
    *(Witness(id, ([None, *[[6.0] * 3] * 3], THETA, LAM, 4), average)
      for id in ("alg.average", "alg.intercept")),
    Witness("alg.average.sgd", (*AVERAGED, LAM, 4, 0.5), lambda: updated(partial(torch.optim.SGD, lr=0.5))),
    Witness("alg.average.momentum", (*AVERAGED, ZEROS, LAM, 4, 0.5, 0.75),
            lambda: updated(partial(torch.optim.SGD, lr=0.5, momentum=0.75), "momentum_buffer")),
    Witness("alg.average.adamw", (*AVERAGED, ZEROS, ZEROS, 1, LAM, 4, 0.5, 0.125, 0.75, 0.875, 0.0625),
            lambda: updated(partial(torch.optim.AdamW, lr=0.5, betas=(0.75, 0.875), eps=0.0625, weight_decay=0.125),
                            "exp_avg", "exp_avg_sq")),
    Witness("alg.accumulate.batch", (*PARTS, 7), part_added),
    Witness("net.step", (NETWORK, DATA, LAM, 0.5), trained),
    Witness("net.step.momentum", (NETWORK, STILL, DATA, LAM, 0.5, 0.75), lambda: trained(0.75)),
    Witness("alg", (NETWORK, DATA, LAM), algorithm),
]
