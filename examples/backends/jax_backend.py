"""jax.nn's activations, their derivatives by jax.grad, and the cross entropy composed by hand, as one is told not to.

    chainrule conform jax_backend:backend
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from chainrule.conformance import Backend

backend = Backend("jax", array="numpy", dtypes=["fp32"])
G = {"sigmoid": jax.nn.sigmoid, "tanh": jnp.tanh, "relu": jax.nn.relu, "elu": jax.nn.elu, "identity": jax.nn.identity,
     "leaky": lambda z, slope=0.1: jax.nn.leaky_relu(z, slope)}


def value(g, z, **parameter):
    return np.asarray(g(z, *parameter.values()))


def prime(g, z, **parameter):
    slope_at = jax.vmap(jax.grad(lambda one: g(one, *parameter.values())))
    return np.asarray(slope_at(z.ravel())).reshape(z.shape)


for name, g in G.items():
    backend.op(f"act.{name}")(partial(value, g))
    backend.op(f"act.{name}.prime")(partial(prime, g))


def composed(z, y):
    return -(y * jnp.log(jax.nn.sigmoid(z)) + (1 - y) * jnp.log(1 - jax.nn.sigmoid(z)))


@backend.op("loss.xent.logits")
def cross_entropy(z, y):
    delta = jax.grad(lambda z: composed(z, y).sum())(z)
    return np.asarray(composed(z, y)), np.asarray(delta)
