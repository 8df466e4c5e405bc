"""Keras' activations, losses and optimizers, on its torch backend.

    chainrule conform keras_backend:backend
"""

import os
from functools import partial

os.environ["KERAS_BACKEND"] = "torch"
import keras
import torch
from keras import ops

from chainrule.conformance import Backend

RULE, OUTPUT = "eps in the correction, betas in float32", "from its output"
backend = Backend("keras", dtypes=["fp32"], readings={
    "opt.adam": RULE, "opt.adamw": RULE, "opt.adagrad": "eps inside the root", "opt.momentum": "eta in the velocity",
    "act.sigmoid.prime": OUTPUT, "act.tanh.prime": OUTPUT, "loss.xent.logits": "through log sigmoid",
    **{f"act.{gelu}{prime}": f"through 1 + {name}" for gelu, name in (("gelu", "erf"), ("gelu.tanh", "tanh"))
       for prime in ("", ".prime")}})                                  # so its documentation and its formulas say
G = {"sigmoid": ops.sigmoid, "tanh": ops.tanh, "relu": ops.relu, "elu": ops.elu,
     "leaky": lambda z, slope=0.1: ops.leaky_relu(z, slope), "gelu": partial(ops.gelu, approximate=False),
     "gelu.tanh": partial(ops.gelu, approximate=True)}


def value(g, z, **parameter):
    return g(z, **parameter)


def pulled(function, d, z):
    z = z.detach().clone().requires_grad_()
    return torch.autograd.grad(function(z), z, d)[0]


def prime(g, z, **parameter):
    return pulled(lambda z: g(z, **parameter), torch.ones_like(z), z)


for name, g in G.items():
    backend.op(f"act.{name}")(partial(value, g))
    backend.op(f"act.{name}.prime")(partial(prime, g))


@backend.op("act.softmax")
def softmax(z):
    return ops.softmax(z)


@backend.op("act.softmax.prime")
def softmax_prime(d, z):
    return pulled(ops.softmax, d, z)


def normed(x, gamma, beta, eps):
    layer = keras.layers.LayerNormalization(epsilon=eps)
    layer.build(tuple(x.shape))
    return layer.stateless_call([gamma, beta], [], x)[0]


@backend.op("norm.layer")
def layer(x, gamma, beta, eps):
    return normed(x, gamma, beta, eps)


@backend.op("norm.layer.grad_x")
def layer_grad_x(d, x, gamma, eps):
    return pulled(lambda x: normed(x, gamma, torch.zeros_like(gamma), eps), d, x)


def with_delta(loss, z):
    return loss(z), pulled(lambda z: loss(z).sum(), None, z)


@backend.op("loss.softmax")
def cross_entropy(z, y):
    return with_delta(lambda z: keras.losses.sparse_categorical_crossentropy(y, z, from_logits=True), z)


@backend.op("loss.xent.logits")
def logits(z, y):
    return with_delta(lambda z: ops.binary_crossentropy(y, z, from_logits=True), z)


def stepped(rule, theta, D, **state):
    """theta after one step of a rule whose state is set first, and that state."""
    kept = keras.Variable(theta.clone())                  # it takes the memory that it is given
    rule.build([kept])
    for name, given in state.items():
        own = getattr(rule, name)
        (own[0] if isinstance(own, list) else own).assign(given)
    rule.apply([D])
    found = (kept, *(getattr(rule, name)[0] for name in state if name != "_iterations"))
    return [one.value.detach() for one in found]


@backend.op("opt.sgd")
def sgd(theta, D, eta):
    return stepped(keras.optimizers.SGD(eta), theta, D)[0]


@backend.op("opt.adam")
def adam(theta, D, m, v, t, eta, beta1, beta2, eps):
    return stepped(keras.optimizers.Adam(eta, beta1, beta2, eps), theta, D, _momentums=m, _velocities=v,
                   _iterations=t - 1)


@backend.op("opt.adamw")
def adamw(theta, D, m, v, t, eta, lam, beta1, beta2, eps):
    rule = keras.optimizers.AdamW(eta, weight_decay=lam, beta_1=beta1, beta_2=beta2, epsilon=eps)
    return stepped(rule, theta, D, _momentums=m, _velocities=v, _iterations=t - 1)


@backend.op("opt.adagrad")
def adagrad(theta, D, G, eta, eps):
    return stepped(keras.optimizers.Adagrad(eta, 0.0, eps), theta, D, _accumulators=G)


@backend.op("opt.momentum")
def momentum(theta, D, v, eta, mu):
    if mu == 0:
        raise NotImplementedError("it keeps no velocity where mu is 0")
    new, kept = stepped(keras.optimizers.SGD(eta, momentum=mu), theta, D, momentums=-v)      # it keeps what it adds
    return new, -kept
