"""Liger's Triton kernels, unmodified; without a GPU in the simulator.

    chainrule conform liger_backend:backend

Its GELU is the tanh form, times a gate: a gate of ones leaves it alone, and what it keeps is a product more exact.
"""

import torch
from theirs import at_home, imported, layer_norms, pulled, softmaxes, with_delta

from chainrule.conformance import Backend

with imported():
    from liger_kernel.ops.cross_entropy import LigerCrossEntropyFunction
    from liger_kernel.ops.geglu import LigerGELUMulFunction
    from liger_kernel.ops.layer_norm import LigerLayerNormFunction
    from liger_kernel.ops.softmax import LigerSoftmaxFunction

backend = Backend("liger", device="cuda", readings={
    "act.gelu.tanh": "through 1 + tanh", "act.gelu.tanh.prime": "through 1 + tanh"})
layer_norm = LigerLayerNormFunction.apply
layer_norms(backend, layer_norm)
softmaxes(backend, LigerSoftmaxFunction.apply)


@backend.op("norm.layer.grad_beta")
def layer_grad_beta(d):
    zero = torch.zeros_like(d[0])
    return pulled(lambda beta: layer_norm(torch.zeros_like(d), torch.ones_like(zero), beta, 1.0), d, zero)[0]


@backend.op("act.gelu.tanh")
def gelu(z):
    return LigerGELUMulFunction.apply(z, torch.ones_like(z))


@backend.op("act.gelu.tanh.prime")
def gelu_prime(z):
    one = torch.ones_like(z)
    return pulled(lambda z: LigerGELUMulFunction.apply(z, one), one, z)[0]


def cross_entropy(z, y, w=None, ignored=-100, smoothing=0.0):
    return with_delta(lambda z: LigerCrossEntropyFunction.apply(z, y, w, ignored, 0.0, smoothing, "none", None,
                                                                False)[0], z)


backend.op("loss.softmax")(cross_entropy)


@backend.op("loss.softmax.weighted")
def weighted(z, y, w=None, ignored=-100, smoothing=0.0):
    counted = (y != ignored).float()                     # it keeps no weights by example
    mass = counted if w is None else counted * w.float()[torch.where(y == ignored, 0, y)]
    return *cross_entropy(z, y, w, ignored, smoothing), mass


at_home(backend)
