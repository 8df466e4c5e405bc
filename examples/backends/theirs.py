"""What backends of other people's Triton kernels share: a GPU's answers where none is, and their backward pass."""

from contextlib import nullcontext
from functools import wraps

import torch

from chainrule.conformance.simulator import simulate
from chainrule.conformance.simulator.pretend import pretending

GPU = torch.cuda.is_available()


def imported():
    """Around the library's import: kernels that are made here run in the simulator, too."""
    return nullcontext() if GPU else simulate(pretend_cuda="sm_90")


def at_home(backend):
    """Every function of the backend finds a GPU where it asks for one."""
    def asked(function):
        @wraps(function)
        def run(**given):
            with nullcontext() if GPU else pretending("sm_90"):
                return function(**given)
        return run

    for id, function in backend.ops.items():
        backend.ops[id] = asked(function)
    return backend


def pulled(run, d, *given):
    """The gradients of `run` at `given` by each of them, for δ = d at its output."""
    leaves = [one.detach().clone().requires_grad_() for one in given]
    return torch.autograd.grad(run(*leaves), leaves, d)


def with_delta(loss, z):
    """Losses by example, and the derivative of their sum by z."""
    z = z.detach().clone().requires_grad_()
    each = loss(z)
    return each.detach(), torch.autograd.grad(each.sum(), z)[0]
