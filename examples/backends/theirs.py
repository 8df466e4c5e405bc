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


def layer_norms(backend, layer_norm, delta=lambda d: d):
    """The ops of a layer norm (x, γ, β, ε) and of its gradients by x and γ, by the library's own backward pass, which
    is given delta(d)."""

    def grad_x(d, x, gamma, eps):
        return pulled(lambda x: layer_norm(x, gamma, torch.zeros_like(gamma), eps), delta(d), x)[0]

    def grad_gamma(d, x, eps):
        one = torch.ones_like(x[0])
        return pulled(lambda gamma: layer_norm(x, gamma, torch.zeros_like(one), eps), delta(d), one)[0]

    backend.op("norm.layer")(lambda x, gamma, beta, eps: layer_norm(x, gamma, beta, eps))
    backend.op("norm.layer.grad_x")(grad_x)
    backend.op("norm.layer.grad_gamma")(grad_gamma)


def softmaxes(backend, softmax):
    """The ops of a softmax of rows, and of its gradient by the library's own backward pass."""
    backend.op("act.softmax")(lambda z: softmax(z))
    backend.op("act.softmax.prime")(lambda d, z: pulled(softmax, d, z)[0])
