"""attorch's Triton kernels, unmodified, from a checkout; without a GPU in the simulator.

    PYTHONPATH=CHECKOUT chainrule conform attorch_backend:backend
"""

import torch
from theirs import at_home, imported, layer_norms, pulled, softmaxes, with_delta

from chainrule.conformance import Backend

with imported():
    from attorch.act_layers import ActFuncAutoGrad
    from attorch.cross_entropy_loss_layer import CrossEntropyLossAutoGrad
    from attorch.layer_norm_layer import LayerNormAutoGrad
    from attorch.linear_layer import LinearAutoGrad
    from attorch.softmax_layers import SoftmaxAutoGrad

READINGS = {"act.relu": "NaN skipped", "act.sigmoid.prime": "from its output", "act.tanh.prime": "from its output",
            **{f"act.{gelu}{prime}": f"through 1 + {name}" for gelu, name in (("gelu", "erf"), ("gelu.tanh", "tanh"))
               for prime in ("", ".prime")}}
backend = Backend("attorch", device="cuda", dtypes=["fp32"], arithmetic={"fp32": "tf32"}, readings=READINGS)
NAMES = {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "relu", "gelu": "gelu", "gelu.tanh": "geluapprox",
         "leaky": "leaky_relu_{slope}", "elu": "elu_{alpha}"}


def written(name, slope=0.1, alpha=1.0):
    return NAMES[name].format(slope=slope, alpha=alpha)


def activated(z, name, **parameter):
    return ActFuncAutoGrad.apply(z, written(name, **parameter), 0.0, False)


for name in NAMES:
    backend.op(f"act.{name}")(lambda z, name=name, **given: activated(z, name, **given))
    backend.op(f"act.{name}.prime")(
        lambda z, name=name, **given: pulled(lambda z: activated(z, name, **given), torch.ones_like(z), z)[0])


@backend.op("net.layer.affine")
def affine(x, w, b, act):
    return LinearAutoGrad.apply(x, w.T.contiguous(), b, None if act == "identity" else written(act))


@backend.op("loss.softmax")
def cross_entropy(z, y):
    """It has the mean only; one example at a time, that is the loss by example."""
    if not len(z):
        raise NotImplementedError("the mean of no example has no value")

    def each(z):
        return torch.stack([CrossEntropyLossAutoGrad.apply(z[i:i + 1], y[i:i + 1]) for i in range(len(z))])

    return with_delta(each, z)


def soft(z):
    return SoftmaxAutoGrad.apply(z, False, False)


def layer_norm(x, gamma, beta, eps):
    return LayerNormAutoGrad.apply(x, gamma, beta, eps)


softmaxes(backend, soft)
layer_norms(backend, layer_norm)
at_home(backend)
