"""Liger's Triton kernels, unmodified; without a GPU in the simulator.

    chainrule conform liger_backend:backend
"""

import torch

from chainrule.conformance import Backend
from chainrule.conformance.simulator import simulate

with simulate(pretend_cuda="sm_90"):
    from liger_kernel.ops.cross_entropy import LigerCrossEntropyFunction
    from liger_kernel.ops.layer_norm import LigerLayerNormFunction
    from liger_kernel.ops.softmax import LigerSoftmaxFunction

backend = Backend("liger", device="cuda")


def differentiated(run, *given):
    leaves = [one.detach().clone().requires_grad_() for one in given]
    out = run(*leaves)
    return out, lambda d: torch.autograd.grad(out, leaves, d)


@backend.op("norm.layer")
def layer(x, gamma, beta, eps):
    return LigerLayerNormFunction.apply(x, gamma, beta, eps)


@backend.op("norm.layer.grad_x")
def layer_grad(d, x, gamma, eps):
    _, slopes = differentiated(lambda x: LigerLayerNormFunction.apply(x, gamma, torch.zeros_like(gamma), eps), x)
    return slopes(d)[0]


@backend.op("act.softmax")
def softmax(z):
    return LigerSoftmaxFunction.apply(z)


@backend.op("act.softmax.prime")
def softmax_grad(d, z):
    _, slopes = differentiated(LigerSoftmaxFunction.apply, z)
    return slopes(d)[0]


@backend.op("loss.softmax")
def cross_entropy(z, y):
    def run(z):
        return LigerCrossEntropyFunction.apply(z, y, None, -100, 0.0, 0.0, "none", None, False)[0]

    loss, slopes = differentiated(run, z)
    return loss.detach(), slopes(torch.ones_like(loss))[0]
