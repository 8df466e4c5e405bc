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
    return torch.func.grad(lambda z: g(z, **parameter).sum())(z)


def affine(x, w, b, act):
    return G[act](torch.addmm(b, x, w.T))


def square(yhat, y):
    loss = F.mse_loss(yhat, y, reduction="none")
    return loss, torch.func.grad(lambda yhat: F.mse_loss(yhat, y, reduction="sum"))(yhat)


def softmax(z, y):
    loss = F.cross_entropy(z, y, reduction="none")
    return loss, torch.func.grad(lambda z: F.cross_entropy(z, y, reduction="sum"))(z)


def composed(z, y):
    return -(y * torch.log(torch.sigmoid(z)) + (1 - y) * torch.log(1 - torch.sigmoid(z)))


def from_logits(z, y):
    return F.binary_cross_entropy_with_logits(z, y, reduction="none")


def with_delta(loss, z, y):
    return loss(z, y), torch.func.grad(lambda z: loss(z, y).sum())(z)


def conv1d(theta, x):
    return F.conv1d(x[None, None], theta[None, None])[0, 0]


def conv2d(I, K):
    return F.conv2d(I[None, None], K[None, None])[0, 0]


def make(name, loss):
    one = Backend(name, dtypes=["fp32"])
    for act, g in G.items():
        one.op(f"act.{act}")(partial(value, g))
        one.op(f"act.{act}.prime")(partial(prime, g))
    for id, function in {"net.layer.affine": affine, "loss.square": square, "loss.softmax": softmax,
                         "loss.xent.logits": partial(with_delta, loss), "conv1d.valid": conv1d,
                         "conv2d.valid": conv2d}.items():
        one.op(id)(function)
    return one


backend = make("torch by hand", composed)
library = make("torch's own", from_logits)
