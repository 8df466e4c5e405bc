"""Keras' activations, losses and optimizers, on its JAX backend.

    chainrule conform keras_backend:backend
"""

import os
from functools import partial

os.environ["KERAS_BACKEND"] = "jax"
import jax
import keras
import numpy as np
from keras import ops

from chainrule.conformance import Backend

backend = Backend("keras", array="numpy", dtypes=["fp32"], readings={
    "opt.adam": "eps in the correction", "opt.adamw": "eps in the correction", "opt.adagrad": "eps inside the root",
    "opt.momentum": "eta in the velocity"})                # so its documentation and its formulas say
G = {"sigmoid": ops.sigmoid, "tanh": ops.tanh, "relu": ops.relu, "elu": ops.elu,
     "leaky": lambda z, slope=0.1: ops.leaky_relu(z, slope), "gelu": partial(ops.gelu, approximate=False),
     "gelu.tanh": partial(ops.gelu, approximate=True)}


def value(g, z, **parameter):
    return np.asarray(g(z, **parameter))


def prime(g, z, **parameter):
    return np.asarray(jax.grad(lambda z: g(z, **parameter).sum())(z))


for name, g in G.items():
    backend.op(f"act.{name}")(partial(value, g))
    backend.op(f"act.{name}.prime")(partial(prime, g))


@backend.op("act.softmax")
def softmax(z):
    return np.asarray(ops.softmax(z))


@backend.op("act.softmax.prime")
def softmax_prime(d, z):
    return np.asarray(jax.vjp(ops.softmax, z)[1](d)[0])


def normed(x, gamma, beta, eps):
    layer = keras.layers.LayerNormalization(epsilon=eps)
    layer.build(x.shape)
    return layer.stateless_call([gamma, beta], [], x)[0]


@backend.op("norm.layer")
def layer(x, gamma, beta, eps):
    return np.asarray(normed(x, gamma, beta, eps))


@backend.op("norm.layer.grad_x")
def layer_grad_x(d, x, gamma, eps):
    return np.asarray(jax.vjp(lambda x: normed(x, gamma, np.zeros_like(gamma), eps), x)[1](d)[0])


def with_delta(loss, z):
    return np.asarray(loss(z)), np.asarray(jax.grad(lambda z: loss(z).sum())(z))


@backend.op("loss.softmax")
def cross_entropy(z, y):
    return with_delta(lambda z: keras.losses.sparse_categorical_crossentropy(y, z, from_logits=True), z)


@backend.op("loss.xent.logits")
def logits(z, y):
    return with_delta(lambda z: ops.binary_crossentropy(y, z, from_logits=True), z)


def stepped(rule, theta, D, **state):
    """theta after one step of a rule whose state is set first, and that state."""
    kept = keras.Variable(theta)
    rule.build([kept])
    for name, given in state.items():
        own = getattr(rule, name)
        (own[0] if isinstance(own, list) else own).assign(given)
    rule.apply([D])
    return np.asarray(kept), *(np.asarray(getattr(rule, name)[0]) for name in state if name != "_iterations")


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
