"""What scikit-learn's multi-layer perceptrons are made of: activations, their derivatives, and its two optimizers.

    chainrule conform sklearn_backend:backend
"""

import numpy as np
from sklearn.neural_network import _base, _stochastic_optimizers

from chainrule.conformance import Backend

backend = Backend("scikit-learn", array="numpy", dtypes=["fp32"], readings={
    "opt.adam": "eps in the correction", "act.sigmoid.prime": "from its output", "act.tanh.prime": "from its output"})
NAMES = {"act.sigmoid": "logistic", "act.tanh": "tanh", "act.relu": "relu", "act.identity": "identity",
         "act.softmax": "softmax"}


def in_place(name, z):
    a = z.copy()
    _base.ACTIVATIONS[name](a)
    return a


for op, name in NAMES.items():
    backend.op(op)(lambda z, name=name: in_place(name, z))


def prime(name, z):
    delta = np.ones_like(z)
    _base.DERIVATIVES[name](in_place(name, z), delta)
    return delta


for op in ("act.sigmoid", "act.tanh", "act.relu"):
    backend.op(f"{op}.prime")(lambda z, name=NAMES[op]: prime(name, z))


def added(theta, update):
    """As its optimizers do: in place, and so in the parameter's dtype."""
    new = theta.copy()
    new += update
    return new


@backend.op("opt.sgd")
def sgd(theta, D, eta):
    rule = _stochastic_optimizers.SGDOptimizer([theta], eta, momentum=0.0, nesterov=False)
    return added(theta, rule._get_updates([D])[0])


@backend.op("opt.adam")
def adam(theta, D, m, v, t, eta, beta1, beta2, eps):
    rule = _stochastic_optimizers.AdamOptimizer([theta], eta, beta1, beta2, eps)
    rule.t, rule.ms, rule.vs = t - 1, [m], [v]
    return added(theta, rule._get_updates([D])[0]), rule.ms[0], rule.vs[0]
