"""opt.sgd   Θ ← Θ − η D

`sgd` returns a new tensor; `sgd_` writes Θ in place, and is the only op here that changes an argument.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton
import triton.language as tl
from torch import Tensor

from ..blocks import pointwise
from ..runtime import checks
from ..runtime.launch import number
from . import checks as update_checks

#: Which arguments an op writes; every other op writes none.
MUTATES = {"opt.sgd_": ("theta",)}


@triton.jit
def step(theta, D, eta, G: tl.constexpr):
    return theta - eta * D


def sgd(theta: Tensor, D: Tensor, eta: float) -> Tensor:
    checks.same("opt.sgd", theta=theta, D=D)
    checks.kernel_dtype("opt.sgd", theta)
    return pointwise.binary(step, theta, D, number(eta))


def sgd_(theta: Tensor, D: Tensor, eta: float) -> None:
    checks.same("opt.sgd", theta=theta, D=D)
    checks.kernel_dtype("opt.sgd", theta)
    update_checks.writable("opt.sgd", theta=theta)
    pointwise.binary(step, theta, D, number(eta), out=theta)


OPS = {"opt.sgd": sgd}
