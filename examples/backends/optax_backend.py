"""optax's optimizers and losses.

    chainrule conform optax_backend:backend
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from chainrule.conformance import Backend

backend = Backend("optax", array="numpy", dtypes=["fp32"], readings={
    **{f"opt.{rule}": "betas in float32" for rule in ("adam", "adamw", "lamb")},
    "loss.xent.logits": "through softplus"})


def stepped(rule, theta, D, **state):
    """theta after one step of the rule, whose state is set first, and the state."""
    kept = rule.init(jnp.asarray(theta))
    kept = jax.tree.map(lambda one: one._replace(**{name: jnp.asarray(value) for name, value in state.items()})
                        if hasattr(one, "_fields") and set(state) <= set(one._fields) else one, kept,
                        is_leaf=lambda one: hasattr(one, "_fields"))
    update, kept = rule.update(jnp.asarray(D), kept, jnp.asarray(theta))
    return np.asarray(optax.apply_updates(jnp.asarray(theta), update)), kept


def found(kept, *names):
    leaves = jax.tree.leaves(kept, is_leaf=lambda one: hasattr(one, "_fields"))
    (own,) = [one for one in leaves if set(names) <= set(getattr(one, "_fields", ()))]
    return [np.asarray(getattr(own, name)) for name in names]


@backend.op("opt.sgd")
def sgd(theta, D, eta):
    return stepped(optax.sgd(eta), theta, D)[0]


@backend.op("opt.momentum")
def momentum(theta, D, v, eta, mu):
    new, kept = stepped(optax.sgd(eta, momentum=mu), theta, D, trace=v)
    return new, *found(kept, "trace")


@backend.op("opt.nesterov")
def nesterov(theta, D, v, eta, mu):
    new, kept = stepped(optax.sgd(eta, momentum=mu, nesterov=True), theta, D, trace=v)
    return new, *found(kept, "trace")


@backend.op("opt.adam")
def adam(theta, D, m, v, t, eta, beta1, beta2, eps):
    new, kept = stepped(optax.adam(eta, beta1, beta2, eps), theta, D, mu=m, nu=v, count=np.int32(t - 1))
    return new, *found(kept, "mu", "nu")


@backend.op("opt.adamw")
def adamw(theta, D, m, v, t, eta, lam, beta1, beta2, eps):
    rule = optax.adamw(eta, beta1, beta2, eps, weight_decay=lam)
    new, kept = stepped(rule, theta, D, mu=m, nu=v, count=np.int32(t - 1))
    return new, *found(kept, "mu", "nu")


@backend.op("opt.lamb")
def lamb(theta, D, m, v, t, eta, lam, beta1, beta2, eps):
    rule = optax.lamb(eta, beta1, beta2, eps, weight_decay=lam)
    new, kept = stepped(rule, theta, D, mu=m, nu=v, count=np.int32(t - 1))
    return new, *found(kept, "mu", "nu")


def with_delta(loss, z):
    return np.asarray(loss(z)), np.asarray(jax.grad(lambda z: loss(z).sum())(jnp.asarray(z)))


@backend.op("loss.softmax")
def softmax(z, y):
    return with_delta(lambda z: optax.softmax_cross_entropy_with_integer_labels(z, y), z)


@backend.op("loss.xent.logits")
def logits(z, y):
    return with_delta(lambda z: optax.sigmoid_binary_cross_entropy(z, y), z)


@backend.op("loss.square")
def square(yhat, y):
    return with_delta(lambda yhat: optax.squared_error(yhat, y), yhat)
