"""Both gradients of a layer in one launch are what each alone is, bit for bit, and asked for where both are wanted."""

from __future__ import annotations

from contextlib import ExitStack

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
@pytest.mark.parametrize("K", [37, 150])
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
        for name, one, other in zip(("δ_prev", "D", "Db"), found, wanted, strict=True):
            assert torch.equal(one, other), f"{name} of gradients_kernel, row {row}, {act}: {one - other}"


@pytest.mark.parametrize(("shape", "dtype"), [
    ((0, 4, 5), torch.float32), ((3, 0, 5), torch.float32), ((3, 4, 0), torch.float32), ((3, 4, 5), torch.bfloat16),
    ((240, 16, 256), torch.float32)], ids=str)
def test_nothing_16_bits_and_what_a_larger_tile_serves_are_launches_of_their_own(shape, dtype, monkeypatch):
    monkeypatch.setattr(configs, "processors", lambda arch: 4)
    how = *(t.to(dtype) for t in given(*shape)), "relu", "a", 0.0, 0.5, 2.0
    with simulate() as sim:
        found = gradients.gradients(*how)
        assert "gradients_kernel" not in sim.kernels
        assert all(map(torch.equal, found, alone(*how)))


def network(x, w1, b1, w2, b2):
    return F.mlp(x, [w1, w2], [b1, b2], act="tanh")


def layer(x, w, b):
    return F.linear(x, w, b)


@pytest.mark.parametrize(("wanted", "both"), [
    ("x w v c", 2), ("w v", 1), ("b c", 1), ("x b c", 2), ("x", 0), ("v c", 0), ("x v", 1)])
def test_what_is_wanted_of_a_layer_and_of_anything_below_is_one_launch(wanted, both):
    """Gradients as torch's in float64; Σ δ alone, where the weights are frozen."""
    shapes = {"x": (5, 4), "w": (6, 4), "b": (6,), "v": (3, 6), "c": (3,)}
    given = {name: data(*shape).requires_grad_(name in wanted) for name, shape in shapes.items()}
    wide = {name: t.detach().double().requires_grad_(name in wanted) for name, t in given.items()}

    def run(x, w, b, v, c):
        F.mlp(x, [w, v], [b, c], act="tanh").sin().sum().backward()

    with simulate(check=False) as sim:
        run(**given)
    run(**wide)
    for name, t in given.items():
        assert (t.grad is None) == (name not in wanted)
        if t.grad is not None:
            assert (t.grad.double() - wide[name].grad).norm() <= 2**-18 * wide[name].grad.norm()
    assert sum(one.launches for name, one in sim.kernels.items() if name == "gradients_kernel") == both
