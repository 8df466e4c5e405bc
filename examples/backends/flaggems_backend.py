"""FlagGems' Triton kernels, unmodified; without a GPU in the simulator.

    chainrule conform flaggems_backend:backend
"""

import os
import tempfile

import torch
from theirs import at_home, imported, with_delta

from chainrule.conformance import Backend

os.environ["GEMS_VENDOR"] = "nvidia"                     # it asks a program of the driver's otherwise
os.environ.setdefault("FLAGGEMS_CACHE_DIR", os.path.join(tempfile.gettempdir(), "flag-gems"))
with imported():
    from flag_gems import fused, ops

backend = Backend("flag-gems", device="cuda", dtypes=["fp32"], readings={"act.relu": "NaN skipped"})
for name in ("sigmoid", "tanh", "relu"):
    backend.op(f"act.{name}")(lambda z, name=name: getattr(ops, name)(z))


@backend.op("loss.softmax")
def cross_entropy(z, y):
    return with_delta(lambda z: fused.cross_entropy_loss(z, y, reduction="none"), z)


@backend.op("act.softmax")
def softmax(z):
    return ops.softmax(z, 1)


@backend.op("act.softmax.prime")
def softmax_prime(d, z):
    return ops.softmax_backward(d, ops.softmax(z, 1), 1, z.dtype)


@backend.op("norm.layer")
def layer(x, gamma, beta, eps):
    return ops.layer_norm(x, gamma.shape, gamma, beta, eps)[0]


def layer_back(d, x, gamma, eps):
    _, mean, rstd = ops.layer_norm(x, gamma.shape, gamma, torch.zeros_like(gamma), eps)
    return ops.layer_norm_backward(d, x, gamma.shape, mean, rstd, gamma, torch.zeros_like(gamma), [True] * 3)


@backend.op("norm.layer.grad_x")
def layer_grad_x(d, x, gamma, eps):
    return layer_back(d, x, gamma, eps)[0]


@backend.op("norm.layer.grad_gamma")
def layer_grad_gamma(d, x, eps):
    return layer_back(d, x, torch.ones_like(x[0]), eps)[1]


at_home(backend)
