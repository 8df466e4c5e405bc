"""The K-class loss behind a linear layer: torch's contract, the logits never whole; counted by an allocator."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as T
from torch.profiler import ProfilerActivity, profile

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn
from chainrule.triton_kernels.losses.linear import rows_at_once
from chainrule.triton_kernels.runtime import configs
from chainrule.triton_kernels.runtime.launch import composites

WHERE = {"torch": contextlib.nullcontext, "composite": composites, "kernel": simulate}
REDUCTIONS = ("mean", "sum", "none")
N, I, K = 37, 21, 19


def data(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def plainly(x, w, y, *, linear_bias=None, ignore_index=None, options=None, **how):
    """The logits whole, by torch."""
    z = T.linear(x, w.flatten(0, -2), None if linear_bias is None else linear_bias.flatten())
    z = z.view(*x.shape[:-1], *w.shape[:-1])
    return T.cross_entropy(z, y, ignore_index=-100 if ignore_index is None else ignore_index, **how)


def run(loss, leaves, *rest, **how):
    """The loss, and the gradients of a fixed combination of its entries."""
    x, w, b = (None if t is None else t.clone().requires_grad_() for t in leaves)
    found = loss(x, w, *rest, linear_bias=b, **how)
    weights = torch.arange(1.0, found.numel() + 1, dtype=x.dtype).reshape(found.shape)
    wanted = [t for t in (x, w, b) if t is not None]
    return found.detach(), *torch.autograd.grad((found * weights).sum(), wanted)


def no_further(ours, plain, exact):
    """From the float64 run: twice torch's own distance, and a few roundings of the largest number."""
    for a, b, c in zip(ours, plain, exact, strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
        unit = torch.finfo(a.dtype).eps * c.abs().max()
        assert (a.double() - c).abs().max() <= 2 * (b.double() - c).abs().max() + 4 * unit


def double(t):
    return t.double() if isinstance(t, torch.Tensor) and t.is_floating_point() else t


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("where", WHERE)
def test_as_torch_with_the_logits_whole(where, dtype):
    """Whole parts and what is left; every option; a label left out in each part, weights that are 0."""
    y = torch.arange(N) * 5 % K
    y[3] = y[36] = 7
    weight = data(K, seed=1).relu().to(dtype)
    for i, reduction in enumerate(REDUCTIONS):
        for biased, how in ((False, {}), (True, {"weight": weight, "ignore_index": 7, "label_smoothing": 0.125 * i})):
            leaves = [data(N, I).to(dtype), (data(K, I, seed=2) / 3).to(dtype), data(K, seed=3).to(dtype)]
            leaves = leaves if biased else [*leaves[:2], None]
            options = SimpleNamespace(batch_chunk_size=(16, 5, 64)[i])
            with WHERE[where]():
                ours = run(F.linear_cross_entropy, leaves, y, reduction=reduction, options=options, **how)
            exact = run(plainly, map(double, leaves), y, reduction=reduction, **{k: double(v) for k, v in how.items()})
            no_further(ours, run(plainly, leaves, y, reduction=reduction, **how), exact)


@pytest.mark.parametrize("where", ["torch", "kernel"])
def test_one_example_and_a_matrix_for_each_place(where):
    with WHERE[where]():
        for x, w, y in ((data(I), data(K, I, seed=1), torch.tensor(3)),
                        (data(4, I), data(K, 3, I, seed=1), torch.arange(12).view(4, 3))):
            for reduction in REDUCTIONS:
                leaves = x, w / 4, data(*w.shape[:-1], seed=2)
                ours = run(F.linear_cross_entropy, leaves, y, reduction=reduction)
                exact = run(plainly, map(double, leaves), y, reduction=reduction)
                no_further(ours, run(plainly, leaves, y, reduction=reduction), exact)


def operands(seed=0):
    return data(N, I, seed=seed), data(K, I, seed=seed + 1) / 3, torch.arange(N) * 5 % K


@pytest.mark.parametrize("where", WHERE)
def test_gradients_are_their_owners_and_can_be_asked_for_again(where):
    """A second backward pass finds the same though the first one's results were written over; constants scale them."""
    x, w, y = operands()
    with WHERE[where]():
        leaves = x.requires_grad_(), w.requires_grad_()
        loss = F.linear_cross_entropy(*leaves, y)
        first = torch.autograd.grad(loss, leaves, retain_graph=True)
        kept = [t.clone() for t in first]
        for t in first:
            t.zero_()
        again = torch.autograd.grad(loss, leaves, retain_graph=True)
        twice = torch.autograd.grad(2 * loss, leaves)
    assert all(map(torch.equal, kept, again))
    assert all(torch.equal(2 * a, b) for a, b in zip(kept, twice))


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("wanted", [(0,), (1,), (2,), (0, 2)], ids=str)
def test_only_what_is_wanted(wanted, where):
    x, w, y = operands()
    b = data(K, seed=5)
    every = run(F.linear_cross_entropy, (x, w, b), y)[1:]
    leaves = [t.requires_grad_(i in wanted) for i, t in enumerate((x, w, b))]
    with WHERE[where]():
        F.linear_cross_entropy(x, w, y, linear_bias=b).backward()
    for i, t in enumerate(leaves):
        assert (t.grad is not None) == (i in wanted)
        assert t.grad is None or (t.grad - every[i]).abs().max() <= 2.0**-18 * every[i].abs().max()


def test_a_second_derivative_where_torch_computes():
    small = [double(data(2, 3)).requires_grad_(), double(data(4, 3, seed=1)).requires_grad_()]
    for how in REDUCTIONS:
        assert torch.autograd.gradgradcheck(
            lambda x, w, how=how: F.linear_cross_entropy(x, w, torch.tensor([1, 3]), reduction=how), small)
    with simulate():
        ours = [t.detach().float().requires_grad_() for t in small]
        grads = torch.autograd.grad(F.linear_cross_entropy(*ours, torch.tensor([1, 3])), ours, create_graph=True)
        with pytest.raises(RuntimeError, match="cannot be differentiated again"):
            grads[0].sum().backward()


@pytest.mark.parametrize("where", WHERE)
def test_the_same_bits_again(where):
    x, w, y = operands()
    with WHERE[where]():
        first, second = (run(F.linear_cross_entropy, (x, w, None), y) for _ in range(2))
    assert all(map(torch.equal, first, second))


def allocated(call):
    """(the most bytes that torch's allocator held at once, the largest block), by its own record."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        call()
    sizes = [e.nbytes() for e in sorted(
        (e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"), key=lambda e: e.start_ns())]
    return max(sum(sizes[: i + 1]) for i in range(len(sizes))), max(sizes)


@pytest.mark.parametrize(("where", "shape"), [("torch", (512, 256, 4096)), ("kernel", (80, 64, 384))], ids=str)
def test_the_peak_is_the_gradients_and_a_fifth(where, shape):
    """Beyond the inputs; no block is as large as the logits. On a CPU, and in the simulator as on a GPU."""
    n, width, classes = shape
    x, w = data(n, width).requires_grad_(), (data(classes, width, seed=1) / 16).requires_grad_()
    y = torch.arange(n) % classes
    with WHERE[where]():
        peak, block = allocated(lambda: F.linear_cross_entropy(x, w, y).backward())
    assert x.nbytes + w.nbytes < peak <= 1.3 * (x.nbytes + w.nbytes)
    assert block == max(x.nbytes, w.nbytes)
    assert 4 * rows_at_once(x, w, 0.0, None) * classes < block < 4 * n * classes


@pytest.mark.parametrize("where", ["torch", "composite", pytest.param("kernel", marks=pytest.mark.slow)])
def test_more_classes_than_any_vocabulary(where):
    """128,257 of them, past every block and table, kernels by tiles as large as the simulator is slow."""
    classes = 128_257
    x, w, y = data(3, 2), data(classes, 2, seed=1), torch.tensor([0, 128_256, 77])
    wide, high = configs.Row(16, 4096, 16, warps=4, stages=1), configs.Row(4096, 16, 16, warps=4, stages=1)
    with WHERE[where](), configs.pinned("net.layer.affine", wide), configs.pinned("alg.average", high):
        ours = run(F.linear_cross_entropy, (x, w, None), y, options=SimpleNamespace(batch_chunk_size=2))
    no_further(ours, run(plainly, (x, w, None), y), run(plainly, (x.double(), w.double(), None), y))


def test_in_a_graph_and_in_a_transform():
    x, w, y = operands()
    wanted = torch.autograd.grad(plainly(x.requires_grad_(), w, y), x)[0]
    compiled = torch.compile(F.linear_cross_entropy, backend="aot_eager", fullgraph=True)
    found = torch.autograd.grad(compiled(x, w, y), x)[0]
    through = torch.func.grad(lambda x: F.linear_cross_entropy(x, w, y))(x.detach())
    for one in (found, through):
        assert (one - wanted).abs().max() <= 2.0**-20 * wanted.abs().max()


def test_under_autocast_as_torch():
    x, w, y = operands()
    weight = data(K, seed=4).abs()
    with torch.autocast("cpu", torch.bfloat16):
        plain = run(plainly, (x, w, None), y, weight=weight)
        with simulate():
            ours = run(F.linear_cross_entropy, (x, w, None), y, weight=weight)
    exact = run(plainly, (x.double(), w.double(), None), y, weight=weight.double())
    no_further(ours, plain, exact)


@pytest.mark.skipif(not hasattr(torch.nn, "LinearCrossEntropyLoss"), reason="torch has the module from 2.13 on")
@pytest.mark.parametrize("places", [(), (3,)], ids=str)
def test_the_module_is_torchs_by_another_class(places):
    from chainrule.triton_kernels.patch import patch

    torch.manual_seed(0)
    plain = torch.nn.LinearCrossEntropyLoss(I, K, out_features=places, bias=True, weight=torch.rand(K), ignore_index=2)
    ours = nn.LinearCrossEntropyLoss(I, K, out_features=places, bias=True, weight=torch.rand(K), ignore_index=2)
    ours.load_state_dict(plain.state_dict())
    x, y = data(5, I), torch.arange(5 * 3).view(5, 3) % K if places else torch.arange(5)
    with simulate() as sim:
        found = ours(x, y)
    assert sim.launches > 1
    assert (found - plain(x, y)).abs() <= 1e-6 * found.abs()
    patch(plain)
    assert type(plain) is nn.LinearCrossEntropyLoss


@pytest.mark.parametrize(("change", "says"), [
    ({"w": data(K, I + 1)}, "columns of input and of weight"), ({"y": torch.arange(N - 1)}, "rows of"),
    ({"weight": data(K + 1)}, "entries of weight"), ({"label_smoothing": 1.5}, "label smoothing is 1.5"),
    ({"reduction": "most"}, "reduction = 'most'"), ({"x": data(2, 2, I)}, r"expected \(N, I\) or \(I,\)"),
    ({"weight": data(K).requires_grad_()}, "weight requires a gradient"),
])
def test_bad_input_has_one_sentence(change, says, monkeypatch):
    monkeypatch.setenv("CHAINRULE_STRICT", "1")
    x, w, y = operands()
    given = {"x": x, "w": w, "y": y, **change}
    with pytest.raises((ValueError, RuntimeError), match=says):
        F.linear_cross_entropy(given.pop("x"), given.pop("w"), given.pop("y"), **given)
