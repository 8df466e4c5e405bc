"""What people type in torch: its own functions, derivatives by autograd, and the cross entropy composed by hand.

    chainrule conform torch_native:backend

`torch_native:library` is the same with torch's own loss from logits. Both take float32 only: in half precision these
functions round every intermediate to the dtype, and the suite asks for float32 inside and one rounding at the end.
"""

from functools import partial

import torch
import torch.nn.functional as F

from chainrule.conformance import Backend

G = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu, "identity": torch.clone, "elu": F.elu,
     "leaky": lambda z, slope=0.1: F.leaky_relu(z, slope)}


def value(g, z, **parameter):
    return g(z, **parameter)


def prime(g, z, **parameter):
    return with_delta(lambda z: g(z, **parameter), z)[1]


def affine(x, w, b, act):
    return G[act](torch.addmm(b, x, w.T))


def square(loss, yhat, y):
    return with_delta(lambda yhat: loss(yhat, y), yhat)


def composed(z, y):
    return -(y * torch.log(torch.sigmoid(z)) + (1 - y) * torch.log(1 - torch.sigmoid(z)))


def from_logits(z, y):
    return F.binary_cross_entropy_with_logits(z, y, reduction="none")


def logits(loss, z, y):
    return with_delta(lambda z: loss(z, y), z)


def with_delta(function, z):
    """Values, and the derivative of their sum by z."""
    z = z.detach().clone().requires_grad_()
    values = function(z)
    return values.detach(), torch.autograd.grad(values.sum(), z)[0]


def conv1d(theta, x):
    return F.conv1d(x[None, None], theta[None, None])[0, 0]


def conv2d(I, K):
    return F.conv2d(I[None, None], K[None, None])[0, 0]


OUTPUT = {f"act.{act}.prime": "from its output" for act in ("sigmoid", "tanh")}         # what autograd keeps


def make(name, loss, readings, made=lambda function: function):
    """`made`: what is done to each of torch's functions first."""
    one = Backend(name, dtypes=["fp32"], readings=readings)
    for act, g in G.items():
        g = made(g)
        one.op(f"act.{act}")(partial(value, g))
        one.op(f"act.{act}.prime")(partial(prime, g))
    for id, function in {"net.layer.affine": affine, "conv1d.valid": conv1d, "conv2d.valid": conv2d}.items():
        one.op(id)(made(function))
    one.op("loss.square")(partial(square, made(partial(F.mse_loss, reduction="none"))))
    one.op("loss.softmax")(partial(logits, made(partial(F.cross_entropy, reduction="none"))))
    one.op("loss.xent.logits")(partial(logits, made(loss)))
    return one


backend = make("torch by hand", composed, OUTPUT)
OWN = {**OUTPUT, "loss.xent.logits": "through log sigmoid"}
library = make("torch's own", from_logits, OWN)
