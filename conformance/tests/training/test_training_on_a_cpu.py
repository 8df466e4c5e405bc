"""What `functional` and `optim` compute on a CPU, by torch's functions or by composites, judged as any backend is."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from chainrule.conformance import Backend
from chainrule.conformance.judging.cases import cases
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.verdict import FAIL, PASS
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import optim

TRAINING = Backend("training", device="cpu", readings={"opt.adamw": "decay first"})
ACTIVATIONS = {"sigmoid": F.sigmoid, "tanh": F.tanh, "relu": F.relu, "elu": F.elu,
               "leaky": lambda z, slope=0.1: F.leaky_relu(z, slope)}


def derivative(function, at, upstream=None):
    at = at.detach().requires_grad_()
    y = function(at)
    return torch.autograd.grad(y, at, torch.ones_like(y) if upstream is None else upstream)[0]


def of_loss(loss):
    """Each loss, and its derivative by the first argument."""
    return lambda z, y: (loss(z, y, reduction="none"), derivative(lambda z: loss(z, y, reduction="none"), z))


def activation(function):
    return lambda z, **parameter: function(z, **parameter)


for act, function in ACTIVATIONS.items():
    TRAINING.op(f"act.{act}")(activation(function))
TRAINING.op("net.layer.affine")(lambda x, w, b, act: F.linear_act(x, w, b, act))
TRAINING.op("loss.square")(lambda yhat, y: of_loss(F.mse_loss)(yhat, y))
TRAINING.op("loss.xent.logits")(lambda z, y: of_loss(F.binary_cross_entropy_with_logits)(z, y))
TRAINING.op("loss.softmax")(lambda z, y: of_loss(F.cross_entropy)(z, y))


@TRAINING.op("conv2d.layer")
def convolution(x, w, b, stride=1, padding=0, dilation=1, groups=1, act="identity"):
    return F.conv2d_act(x, w, b, act, stride, padding, dilation, groups)


@TRAINING.op("conv2d.layer.grad_w")
def convolution_filters(d, x, M, N, stride=1, padding=0, dilation=1, groups=1, w=None, lam=0.0, n=1.0):
    shape = (d.shape[1], x.shape[1] // groups, M, N)
    D = derivative(lambda w: F.conv2d(x, w, None, stride, padding, dilation, groups), x.new_zeros(shape), d)
    return D / n + (lam * w if w is not None else 0)


@TRAINING.op("conv2d.layer.grad_x")
def convolution_image(d, w, H, W, stride=1, padding=0, dilation=1, groups=1):
    image = d.new_zeros((len(d), w.shape[1] * groups, H, W))
    return derivative(lambda x: F.conv2d(x, w, None, stride, padding, dilation, groups), image, d)


def several(x):
    if x.numel() == x.shape[1]:
        raise NotImplementedError("torch trains on more than one value a channel")


@TRAINING.op("norm.batch")
def normalized(x, gamma, beta, eps):
    several(x)
    return F.batch_norm(x, None, None, gamma, beta, True, eps=eps)


@TRAINING.op("norm.batch.inference")
def inference(x, mu, var, gamma, beta, eps):
    return F.batch_norm(x, mu, var, gamma, beta, False, eps=eps)


@TRAINING.op("norm.batch.running")
def running(x, mu, var, rho):
    own = mu.clone(), var.clone()
    F.batch_norm(x, *own, None, None, True, rho)
    return own


@TRAINING.op("norm.batch.grad_x")
def from_normalized(d, x, gamma, eps):
    return derivative(lambda x: normalized(x, gamma, torch.zeros_like(gamma), eps), x, d)


@TRAINING.op("norm.batch.grad_gamma")
def to_gamma(d, x, eps):
    gamma = x.new_ones(x.shape[1])
    return derivative(lambda gamma: normalized(x, gamma, torch.zeros_like(gamma), eps), gamma, d)


def stepped(make, states, number, theta, D, *rest, t=None, **numbers):
    """One step from the given states; the new parameter and states."""
    p = torch.nn.Parameter(theta.clone())
    p.grad = D.clone()
    optimizer = make([p], **numbers)
    optimizer.state[p].update({name: one.clone() for name, one in zip(states, rest, strict=True)})
    if number:
        optimizer.state[p]["step"] = torch.tensor(float((t or 1) - 1))
    optimizer.step()
    return (p.detach(), *(optimizer.state[p][name] for name in states))


def momentum(mu):
    if not mu:
        raise NotImplementedError("without momentum torch keeps no velocity")
    return mu


MOMENTUM, MOMENTS = ("momentum_buffer",), ("exp_avg", "exp_avg_sq")
TRAINING.op("opt.sgd")(lambda theta, D, eta: stepped(optim.SGD, (), False, theta, D, lr=eta)[0])
TRAINING.op("opt.momentum")(lambda theta, D, v, eta, mu: stepped(
    optim.SGD, MOMENTUM, False, theta, D, v, lr=eta, momentum=momentum(mu)))
TRAINING.op("opt.nesterov")(lambda theta, D, v, eta, mu: stepped(
    optim.SGD, MOMENTUM, False, theta, D, v, lr=eta, momentum=momentum(mu), nesterov=True))
TRAINING.op("opt.adagrad")(lambda theta, D, G, eta, eps: stepped(
    optim.Adagrad, ("sum",), True, theta, D, G, lr=eta, eps=eps))
TRAINING.op("opt.adam")(lambda theta, D, m, v, t, eta, beta1, beta2, eps: stepped(
    optim.Adam, MOMENTS, True, theta, D, m, v, t=t, lr=eta, betas=(beta1, beta2), eps=eps))
TRAINING.op("opt.adamw")(lambda theta, D, m, v, t, eta, lam, beta1, beta2, eps: stepped(
    optim.AdamW, MOMENTS, True, theta, D, m, v, t=t, lr=eta, betas=(beta1, beta2), eps=eps, weight_decay=lam))


@pytest.mark.parametrize("op", sorted(TRAINING.ops))
def test_conforms(op):
    """Every case but those that must be refused, where `functional` names itself and not the op, and a convolution's
    gradient times g′, which is two nodes here."""
    states = Counter()
    for case in cases((op,), ("fp32",)):
        if case.refused or (op == "conv2d.layer.grad_x" and "z" in case.arguments()):
            continue
        verdict = judge(case, TRAINING, "cpu")
        assert verdict.state != FAIL, verdict.report()
        states[verdict.state] += 1
    assert states[PASS] >= 10
