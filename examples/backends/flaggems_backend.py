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

backend = Backend("flag-gems", device="cuda", dtypes=["fp32"])
PRIMES = {"sigmoid": lambda d, z: ops.sigmoid_backward(d, ops.sigmoid(z)),
          "tanh": lambda d, z: ops.tanh_backward(d, ops.tanh(z)),
          "relu": lambda d, z: ops.threshold_backward(d, z, 0),
          "elu": lambda d, z, alpha=1.0: ops.elu_backward(d, alpha, 1.0, 1.0, False, z),
          "gelu": ops.gelu_backward,
          "gelu.tanh": lambda d, z: ops.gelu_backward(d, z, approximate="tanh")}
for name, g in {"sigmoid": ops.sigmoid, "tanh": ops.tanh, "relu": ops.relu, "gelu": ops.gelu,
                "elu": lambda z, alpha=1.0: ops.elu(z, alpha),
                "gelu.tanh": lambda z: ops.gelu(z, approximate="tanh")}.items():
    backend.op(f"act.{name}")(lambda z, g=g, **given: g(z, **given))
    backend.op(f"act.{name}.prime")(lambda z, back=PRIMES[name], **given: back(torch.ones_like(z), z, **given))


@backend.op("net.layer.affine")
def affine(x, w, b, act):
    z = ops.mm(x, w.T) if b is None else ops.addmm(b, x, w.T)
    return z if act == "identity" else backend.ops[f"act.{act}"](z=z)


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


@backend.op("norm.batch")
def batch(x, gamma, beta, eps):
    none = [torch.zeros_like(gamma) for _ in range(2)]   # without running statistics it writes over its input
    return ops.batch_norm(x, gamma, beta, *none, True, 0.1, eps)[0]


at_home(backend)
