"""The deck's chain FC → local → shared, through the kernels: one layer with ever fewer weights."""

from __future__ import annotations

import contextlib
import random

import numpy as np
import pytest
import torch
import torch.nn.functional as T
from torch.func import grad, vmap

from chainrule import reference
from chainrule.conformance.judging.oracle import exact_truth
from chainrule.conformance.simulator import simulate
from chainrule.spec.derivations import derived
from chainrule.triton_kernels import OPS, nn, optim
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels.bands.composite import corners

DTYPES = [torch.float32, torch.float16, torch.bfloat16]
WHERE = {"composite": contextlib.nullcontext, "kernel": simulate}
LOCAL, SHARED = "arch.local.layer", "arch.shared.layer"


def integers(rng, *shape, dtype=torch.float32, most=1):
    """Small integers, so few that every dtype holds their sums of products."""
    return torch.from_numpy(rng.integers(-most, most + 1, shape).astype(np.float32)).to(dtype)


def full(theta, n):
    """conv1d.matrix: Θ_ij = θ_{j−i+h} on the band, 0 off it; and which θ each entry is, m where it is none."""
    m = len(theta)
    at = torch.arange(n)[None, :] - torch.arange(n)[:, None] + m // 2
    ties = torch.where((at >= 0) & (at < m), at, m)
    return torch.cat([theta, theta.new_zeros(1)])[ties], ties.tolist()


def on_the_band(Theta, m):
    """A full matrix's band, row by row; its corners 0."""
    return torch.nn.functional.pad(Theta, (m // 2, m // 2))[
        torch.arange(len(Theta))[:, None], torch.arange(len(Theta))[:, None] + torch.arange(m)]


SIZES = [(9, 3), (7, 5), (4, 7), (1, 1), (1, 3), (130, 3)]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_full_local_and_shared_are_one_layer(n, m, dtype):
    rng = np.random.default_rng(n * m)
    x, d, z = (integers(rng, 3, n, dtype=dtype) for _ in range(3))
    theta, b = integers(rng, m, dtype=dtype, most=3), integers(rng, 1, dtype=dtype)
    Theta, ties = full(theta, n)
    w = torch.where(corners(n, m), torch.nan, theta.expand(n, m).double()).to(dtype)
    with simulate():
        outputs = [OPS["net.layer.affine"](x, Theta, b.expand(n), "relu"), OPS[LOCAL](x, w, b.expand(n), "relu"),
                   OPS[SHARED](x, theta, b, "relu")]
        deltas = [OPS["bp.delta.chain"](d, Theta, z, "relu")[0], OPS[f"{LOCAL}.grad_x"](d, w, z, "relu"),
                  OPS[f"{SHARED}.grad_x"](d, theta, z, "relu")]
        D, Db = OPS["alg.average"](d, x, Theta, 0.0, 1)
        banded, tied = OPS[f"{LOCAL}.grad_w"](d, x, m), OPS[f"{SHARED}.grad_theta"](d, x, m)
        intercepts, intercept = OPS[f"{LOCAL}.grad_b"](d), OPS[f"{SHARED}.grad_b"](d)
    assert torch.equal(outputs[0], outputs[1])
    assert torch.equal(outputs[0], outputs[2])
    assert torch.equal(deltas[0], deltas[1])
    assert torch.equal(deltas[0], deltas[2])
    assert torch.equal(banded, on_the_band(D, m))
    sums = derived("arch.tied.grad_theta")(D.tolist(), ties, m)           # a tied weight's: the sum over its ties
    assert tied.tolist() == sums == banded.sum(0).tolist()
    assert torch.equal(intercepts, Db)
    assert intercept.tolist() == [Db.double().sum()]


@pytest.mark.parametrize("n", [2, 5, 9, 70])
def test_averaging_and_lambda_keep_the_chain(n):
    """The deck's D: 1/n and λΘ go through the ties, but λ comes once."""
    m, rng = 3, np.random.default_rng(n)
    d, x, theta = integers(rng, 8, n), integers(rng, 8, n), integers(rng, m, most=3)
    Theta, ties = full(theta, n)
    with simulate():
        D, _ = OPS["alg.average"](d, x, Theta, 0.25, 8)
        unregularised, _ = OPS["alg.average"](d, x, Theta, 0.0, 8)
        banded = OPS[f"{LOCAL}.grad_w"](d, x, m, on_the_band(Theta, m), 0.25, 8)
        tied = OPS[f"{SHARED}.grad_theta"](d, x, m, theta, 0.25, 8)
    assert torch.equal(banded, on_the_band(D, m))
    sums = derived("arch.tied.grad_theta")(unregularised.tolist(), ties, m)
    assert tied.tolist() == [s + 0.25 * t for s, t in zip(sums, theta.tolist())]


@pytest.mark.parametrize(("n", "m"), [(5, 3), (5, 1), (9, 5), (4, 7), (7, 13), (64, 9)])
def test_parameters_are_as_many_as_the_deck_counts(n, m):
    """n², mn − (m² − 1)/4, m: so many entries have a gradient, and so many a module trains."""
    layers = nn.Linear(n, n, bias=False), nn.LocallyConnected1d(n, m, bias=False), nn.SharedLinear(n, m, bias=False)
    x, d = torch.ones(1, n), torch.ones(1, n)
    with simulate():
        gradients = [OPS["alg.average"](d, x, torch.zeros(n, n), 0.0, 1)[0], OPS[f"{LOCAL}.grad_w"](d, x, m),
                     OPS[f"{SHARED}.grad_theta"](d, x, m)]
    for layer, id, size in zip(layers, ("fc.params", "arch.local.params", "conv1d.params"), ((n,), (n, m), (m,))):
        layer(x).sum().backward()
        assert int((layer.weight.grad != 0).sum()) == reference.FUNCTIONS[id](*size)
        assert int((gradients.pop(0) != 0).sum()) == reference.FUNCTIONS[id](*size)
    assert reference.FUNCTIONS["arch.local.params"](n, 3) == reference.FUNCTIONS["local.params"](n)


def check(seed):
    """Every op of a random layer is the reference's, exactly; strided, reversed or repeated inputs among them."""
    pick, rng = random.Random(seed), np.random.default_rng(seed)
    B, n, m = pick.choice([1, 2, 3, 9, 40]), pick.choice([1, 2, 5, 13, 131]), pick.choice([1, 3, 5, 7, 9, 17])
    dtype, act = pick.choice(DTYPES), pick.choice(["relu", "identity"])
    layouts = [lambda t: t, lambda t: t.t().contiguous().t(), lambda t: t.repeat_interleave(2, 1)[:, 1::2],
               lambda t: t[:1].expand(B, n)]
    x, d, z = (pick.choice(layouts)(integers(rng, B, n, dtype=dtype)) for _ in range(3))
    z = z + 0.5
    w, theta, b = (integers(rng, *shape, dtype=dtype) for shape in ((m, n), (2 * m,), (n,)))
    w, theta = w.t(), theta[::2]
    calls = {LOCAL: {"x": x, "w": w, "b": b, "act": act}, SHARED: {"x": x, "theta": theta, "b": b[:1], "act": act},
             f"{LOCAL}.grad_x": {"d": d, "w": w, "z": z, "act": act},
             f"{SHARED}.grad_x": {"d": d, "theta": theta, "z": z, "act": act},
             f"{LOCAL}.grad_w": {"d": d, "x": x, "m": m, "w": w, "lam": 0.5, "n": 2},
             f"{SHARED}.grad_theta": {"d": d, "x": x, "m": m, "theta": theta, "lam": 0.5, "n": 2},
             f"{LOCAL}.grad_b": {"d": d, "n": 4}, f"{SHARED}.grad_b": {"d": d, "n": 4}}
    for id, call in calls.items():
        with simulate(check=True) as sim:
            got = OPS[id](**call)
        assert bool(sim.stored(got).all())
        lists = {k: v.double().numpy() if isinstance(v, torch.Tensor) else v for k, v in call.items()}
        (wanted,) = exact_truth(id, lists).values()
        assert torch.equal(got, torch.from_numpy(wanted.value).float().to(dtype)), (id, seed)


@pytest.mark.parametrize("block", range(4))
def test_random_layers_equal_the_reference(block):
    for seed in range(6 * block, 6 * block + 6):
        check(seed)


@pytest.mark.slow
def test_a_thousand_random_layers_equal_the_reference():
    for seed in range(1000, 2000):
        check(seed)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_adjoint(dtype):
    """⟨y, g⟩ = ⟨x, ∂x⟩ = ⟨w, ∂w⟩, to the last bit."""
    rng = np.random.default_rng(1)
    x, g = integers(rng, 3, 11, dtype=dtype), integers(rng, 3, 11, dtype=dtype)
    for op, which, w in ((LOCAL, "w", integers(rng, 11, 5, dtype=dtype)),
                         (SHARED, "theta", integers(rng, 5, dtype=dtype))):
        with simulate():
            pairs = (OPS[op](x, w), g), (x, OPS[f"{op}.grad_x"](g, w)), (w, OPS[f"{op}.grad_{which}"](g, x, 5))
        inner = [(a.double() * b.double()).sum() for a, b in pairs]
        assert inner[0] == inner[1] == inner[2] != 0


@pytest.mark.parametrize("where", WHERE)
def test_what_a_node_does_not_see_does_not_reach_it(where):
    """A NaN reaches the nodes that see it, an infinite δ no corner: 0 · ∞ is not 0."""
    x = torch.ones(2, 9)
    x[0, 4] = torch.nan
    d = torch.full((2, 9), torch.inf)
    with WHERE[where]():
        local, shared = OPS[LOCAL](x, torch.ones(9, 3)), OPS[SHARED](x, torch.ones(3))
        D = OPS[f"{LOCAL}.grad_w"](d, torch.ones(2, 9), 5, torch.full((9, 5), torch.inf), 0.5, 2)
    for a in (local, shared):
        assert a.isnan().nonzero().tolist() == [[0, 3], [0, 4], [0, 5]]
    assert D[corners(9, 5)].tolist() == [0.0] * 6
    assert D[~corners(9, 5)].isinf().all()


def windows(x, m):
    return T.pad(x, (m // 2, m // 2)).unfold(-1, m, 1)


LAYERS = {
    "local": (F.locally_connected1d, lambda x, w, b: (windows(x, w.shape[-1]) * w).sum(-1) + b, (11, 5), (11,)),
    "shared": (F.shared_linear, lambda x, w, b: windows(x, len(w)) @ w + b, (5,), (1,)),
}
TORCH = {"identity": lambda z: z, "relu": T.relu, "tanh": torch.tanh, "elu": T.elu}


def data(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def compared(ours, theirs, tensors):
    """Our value and gradients against torch's in float64; the yardstick is torch's in the same dtype."""
    def run(function, kind):
        leaves = [t.to(kind, copy=True).requires_grad_() for t in tensors]
        y = function(*leaves)
        return y.detach(), *torch.autograd.grad(y, leaves, data(*y.shape, seed=9).abs().to(kind))

    own, plain, exact = run(ours, tensors[0].dtype), run(theirs, tensors[0].dtype), run(theirs, torch.float64)
    for a, p, e in zip(own, plain, exact, strict=True):
        unit = torch.finfo(a.dtype).eps * e.abs().max()
        assert a.shape == e.shape
        assert (a.double() - e).abs().max() <= 2 * (p.double() - e).abs().max() + unit


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("act", TORCH)
@pytest.mark.parametrize("kind", LAYERS)
def test_functional_is_torch_s_unfolded_layer(kind, act, where):
    ours, theirs, weights, intercepts = LAYERS[kind]
    for dtype, lead in ((torch.float32, (2, 3)), (torch.bfloat16, (6,)), (torch.float32, ())):
        tensors = [data(*lead, 11, dtype=dtype), data(*weights, dtype=dtype, seed=1),
                   data(*intercepts, dtype=dtype, seed=2)]
        with WHERE[where]():
            compared(lambda x, w, b: ours(x, w, b, act), lambda x, w, b: TORCH[act](theirs(x, w, b)), tensors)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("kind", LAYERS)
def test_per_example_gradients_and_no_second_derivative(kind, where):
    ours, theirs, weights, intercepts = LAYERS[kind]
    x, w, b = data(4, 11), data(*weights, seed=1), data(*intercepts, seed=2)

    def each(f):
        loss = lambda w, b, x: f(x[None], w, b).square().sum()
        return vmap(grad(loss, argnums=(0, 1)), in_dims=(None, None, 0))(w, b, x)

    with WHERE[where]():
        for a, e in zip(each(lambda x, w, b: ours(x, w, b, "identity")), each(theirs)):
            unit = torch.finfo(a.dtype).eps * e.abs().max()
            assert (a - e).abs().max() <= 16 * unit
        x.requires_grad_()
        (g,) = torch.autograd.grad(ours(x, w, b).square().sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match="cannot be differentiated again"):
            g.sum().backward()


def test_modules():
    torch.manual_seed(0)
    x = data(6, 11)
    for module in (nn.LocallyConnected1d(11, 5, "tanh"), nn.SharedLinear(11, 5, "leaky", slope=0.25)):
        g = torch.tanh if module.act == "tanh" else lambda z: T.leaky_relu(z, 0.25)
        wanted = g(T.linear(x.double(), module.matrix().double(), module.bias.double().expand(11)))
        assert (module(x) - wanted).abs().max() <= 2**-20
        assert "11, kernel_size=5" in repr(module)
        twin = type(module)(11, 5, module.act)
        twin.load_state_dict(module.state_dict())
        assert torch.equal(twin.matrix(), module.matrix())
    assert [tuple(p.shape) for p in nn.LocallyConnected1d(11, 5, bias=False).parameters()] == [(11, 5)]


@pytest.mark.parametrize("where", WHERE)
def test_corners_stay_zero_in_training(where):
    torch.manual_seed(0)
    module = nn.LocallyConnected1d(7, 5, "relu")
    outside, start = corners(7, 5), module.weight.detach().clone()
    steps = optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.1)
    with WHERE[where]():
        for _ in range(3):
            steps.zero_grad()
            (module(data(4, 7)) - 1).square().sum().backward()
            steps.step()
    assert not module.weight[outside].any()
    assert (module.weight != start)[~outside].all()


MISUSE = {
    "locally_connected1d: the filter has m = 4 entries; a centred filter needs an odd number":
        lambda: F.locally_connected1d(data(2, 5), data(5, 4)),
    "locally_connected1d: numbers of nodes and rows of w differ: 5 and 6; expected (B, N) and w (N, m)":
        lambda: F.locally_connected1d(data(2, 5), data(6, 3)),
    "locally_connected1d: b has 1 entries; expected 5, one per node":
        lambda: F.locally_connected1d(data(2, 5), data(5, 3), data(1)),
    "locally_connected1d: w has shape (3,); expected 2 dimensions": lambda: F.locally_connected1d(data(2, 5), data(3)),
    "shared_linear: b has 5 entries; expected 1, which all nodes share":
        lambda: F.shared_linear(data(2, 5), data(3), data(5)),
    "shared_linear: theta has shape (5, 3); expected 1 dimension": lambda: F.shared_linear(data(2, 5), data(5, 3)),
    "shared_linear: input has shape (); expected (…, N)": lambda: F.shared_linear(torch.tensor(1.0), data(3)),
    "shared_linear: theta is float16, x is float32; expected one dtype":
        lambda: F.shared_linear(data(2, 5), data(3).half()),
    "LocallyConnected1d: kernel_size = 11 reaches beyond all of 5 nodes; at most 9 of its entries see one":
        lambda: nn.LocallyConnected1d(5, 11),
    "SharedLinear: the filter has m = 2 entries": lambda: nn.SharedLinear(5, 2),
    "arch.local.layer.grad_w: lam = 0.5 without w": lambda: OPS[f"{LOCAL}.grad_w"](data(2, 5), data(2, 5), 3, lam=0.5),
    "arch.local.layer.grad_w: m and the taps of w differ: 5 and 3":
        lambda: OPS[f"{LOCAL}.grad_w"](data(2, 5), data(2, 5), 5, data(5, 3), 0.5),
    "arch.shared.layer.grad_theta: n = 0; an average needs at least one example":
        lambda: OPS[f"{SHARED}.grad_theta"](data(2, 5), data(2, 5), 3, n=0),
    "arch.local.layer.grad_x: d has shape (2, 5), z has (2, 4)":
        lambda: OPS[f"{LOCAL}.grad_x"](data(2, 5), data(5, 3), data(2, 4)),
    "arch.local.layer: the kernel computes in float32, float64":
        lambda: OPS[LOCAL](data(2, 5).double(), data(5, 3).double()),
}


@pytest.mark.parametrize("message", MISUSE)
def test_misuse(message):
    with simulate() as sim, pytest.raises((TypeError, ValueError)) as caught:
        MISUSE[message]()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert sim.launches == 0
