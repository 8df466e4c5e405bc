"""jax.nn's activations, softmax and standardize, their derivatives by jax.grad, and a cross entropy of its log_sigmoid.

    chainrule conform jax_backend:backend
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from chainrule.conformance import Backend

SUBNORMAL, OUTPUT, TANH = "subnormals are 0", "from its output", "through 1 + tanh"
READINGS = {"act.relu": SUBNORMAL, "act.relu.prime": SUBNORMAL, "act.leaky.prime": SUBNORMAL, "act.elu": SUBNORMAL,
            "act.sigmoid.prime": OUTPUT, "act.tanh.prime": OUTPUT,
            "act.gelu.tanh": TANH, "act.gelu.tanh.prime": TANH, "loss.xent.logits": "through softplus"}
backend = Backend("jax", array="numpy", dtypes=["fp32"], readings=READINGS)
G = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu, "elu": jax.nn.elu, "identity": jax.nn.identity,
     "leaky": lambda z, slope=0.1: jax.nn.leaky_relu(z, slope), "gelu": partial(jax.nn.gelu, approximate=False),
     "gelu.tanh": partial(jax.nn.gelu, approximate=True)}


def value(g, z, **parameter):
    return np.asarray(g(z, *parameter.values()))


def prime(g, z, **parameter):
    slope_at = jax.vmap(jax.grad(lambda one: g(one, *parameter.values())))
    return np.asarray(slope_at(z.ravel())).reshape(z.shape)


for name, g in G.items():
    backend.op(f"act.{name}")(partial(value, g))
    backend.op(f"act.{name}.prime")(partial(prime, g))


def composed(z, y):
    return -(y * jax.nn.log_sigmoid(z) + (1 - y) * jax.nn.log_sigmoid(-z))


@backend.op("loss.xent.logits")
def cross_entropy(z, y):
    delta = jax.grad(lambda z: composed(z, y).sum())(z)
    return np.asarray(composed(z, y)), np.asarray(delta)


@backend.op("act.softmax")
def softmax(z):
    return np.asarray(jax.nn.softmax(z))


@backend.op("act.softmax.prime")
def softmax_prime(d, z):
    return np.asarray(jax.vjp(jax.nn.softmax, z)[1](d)[0])


def normed(x, gamma, beta, eps):
    return gamma * jax.nn.standardize(x, epsilon=eps) + beta


@backend.op("norm.layer")
def layer(x, gamma, beta, eps):
    return np.asarray(normed(x, gamma, beta, eps))


@backend.op("norm.layer.grad_x")
def layer_grad_x(d, x, gamma, eps):
    return np.asarray(jax.vjp(lambda x: normed(x, gamma, 0.0, eps), x)[1](d)[0])
