"""Both gradients of a layer in one launch are what each alone is, bit for bit, and asked for where both are wanted."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import product

import pytest
import torch

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels.layers import gradients, kernels
from chainrule.triton_kernels.runtime import configs

WAYS = [("relu", "a", 0.0, 1.0), ("gelu", "z", 0.25, 3.0), ("identity", "nothing", 0.0, 7.0)]


def data(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def given(K, M=19, N=70):
    """δ, w, a and what is saved, none of them as dense as a kernel would like it."""
    return (data(K, 2 * M, seed=1)[:, ::2], data(N, M, seed=2).t(), data(N, K, seed=3).t(),
            data(K, N + 5, seed=4)[:, 5:])


def alone(delta, w, a, saved, act, form, p, lam, n):
    if act == "identity":
        dx = kernels.affine_keeping(delta, w.t(), None, act, p, False)[0]
    else:
        dx = kernels.delta_through(delta, w, saved, act, form, p, "bp.delta.chain", None, False)[0]
    return dx, *kernels.averaged(delta, a, w, lam, n, True)


@pytest.mark.parametrize(("act", "form", "lam", "n"), WAYS)
@pytest.mark.parametrize("K", [1, 37, 150])
def test_together_they_are_what_each_alone_is(K, act, form, lam, n):
    how = *given(K), act, form, 0.0, lam, n
    for row in configs.rows(gradients.TABLE, "sm_80"):
        with ExitStack() as pinned:
            for table in (gradients.TABLE, "alg.average", "bp.delta", "bp.delta.heavy", "net.layer.affine"):
                pinned.enter_context(configs.pinned(table, row))
            with simulate(order="random") as sim:
                found = gradients.gradients(*how)
            assert {name: one.launches for name, one in sim.kernels.items()} == {"gradients_kernel": 1}
            with simulate():
                wanted = alone(*how)
        assert all(map(torch.equal, found, wanted))


@pytest.mark.parametrize(("shape", "dtype"), [
    ((0, 4, 5), torch.float32), ((3, 0, 5), torch.float32), ((3, 4, 0), torch.float32), ((3, 4, 5), torch.bfloat16),
    ((1100, 16, 1152), torch.float32)], ids=str)
def test_nothing_16_bits_and_what_a_larger_tile_serves_are_launches_of_their_own(shape, dtype):
    how = *(t.to(dtype) for t in given(*shape)), "relu", "a", 0.0, 0.5, 2.0
    with simulate(target="sm_89") as sim:
        found = gradients.gradients(*how)
        assert "gradients_kernel" not in sim.kernels
        assert all(map(torch.equal, found, alone(*how)))


def network(x, w1, b1, w2, b2):
    return F.mlp(x, [w1, w2], [b1, b2], act="tanh")


def layer(x, w, b):
    return F.linear(x, w, b)


@pytest.mark.parametrize(("run", "shapes"), [
    (layer, ((5, 4), (3, 4), (3,))), (network, ((5, 4), (6, 4), (6,), (3, 6), (3,)))], ids=["layer", "network"])
def test_whatever_is_frozen(run, shapes):
    """Gradients as torch's in float64, and in one launch what is wanted of a layer and of anything below."""
    for wanted in product((False, True), repeat=len(shapes)):
        tensors = [data(*shape, seed=i).requires_grad_(one) for i, (shape, one) in enumerate(zip(shapes, wanted))]
        if not any(wanted):
            continue
        with simulate(check=False) as sim:
            run(*tensors).sin().sum().backward()
        wide = [t.detach().double().requires_grad_(t.requires_grad) for t in tensors]
        run(*wide).sin().sum().backward()
        for mine, his in zip(tensors, wide, strict=True):
            assert (mine.grad is None) == (not mine.requires_grad)
            if mine.grad is not None:
                assert (mine.grad.double() - his.grad).norm() <= 2**-18 * his.grad.norm()
        weights = range(1, len(shapes), 2)
        both = sum(any(wanted[i:i + 2]) and any(wanted[:i]) for i in weights)
        launches = sim.kernels["gradients_kernel"].launches if "gradients_kernel" in sim.kernels else 0
        assert launches == both or (launches < both and not all(wanted[i] for i in weights)), wanted
