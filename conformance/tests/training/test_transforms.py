"""Training code under torch's other transformations: torch.func, export, checkpointing, autocast, determinism."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as T
from torch.func import functional_call, grad, vmap
from torch.utils.checkpoint import checkpoint

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn
from chainrule.triton_kernels.norms.functional import batch_norm
from chainrule.triton_kernels.runtime.launch import composites

# torch's own tracer does what torch warns about
pytestmark = pytest.mark.filterwarnings("ignore:.*Function.*should not be instantiated:DeprecationWarning")


def data(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def leaves(*shapes):
    return [data(*shape, seed=i).requires_grad_() for i, shape in enumerate(shapes)]


PLACES = {"torch": contextlib.nullcontext, "composite": composites, "kernel": simulate}
X, W, B, W2, B2 = (4, 6), (3, 6), (3,), (2, 3), (2,)


def ours(w, b, w2, b2, x, t):
    return F.cross_entropy(F.mlp(x[None], [w, w2], [b, b2], "tanh"), t[None])


def theirs(w, b, w2, b2, x, t):
    return T.cross_entropy(T.linear(torch.tanh(T.linear(x[None], w, b)), w2, b2), t[None])


@pytest.mark.parametrize("mode", PLACES)
def test_per_example_gradients_by_vmap_of_grad(mode):
    x, w, b, w2, b2 = (data(*s, seed=i) for i, s in enumerate((X, W, B, W2, B2)))
    t = torch.tensor([0, 1, 1, 0])

    def each(f, *parameters):
        return vmap(grad(f, argnums=(0, 1, 2, 3)), in_dims=(None,) * 4 + (0, 0))(*parameters, t)

    plain = each(theirs, w, b, w2, b2, x)
    exact = each(theirs, *(p.double() for p in (w, b, w2, b2, x)))
    with PLACES[mode]() as sim:
        own = each(ours, w, b, w2, b2, x)
    assert sim is None or sim.launches
    for a, p, e in zip(own, plain, exact, strict=True):
        unit = torch.finfo(a.dtype).eps * e.abs().max()
        assert (a.double() - e).abs().max() <= 2 * (p.double() - e).abs().max() + unit


def test_a_second_derivative_is_refused():
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        grad(lambda x: grad(lambda y: (F.tanh(y) * F.tanh(y)).sum())(x).sum())(data(3))
    x = data(5, 6).requires_grad_()
    with composites():
        (g,) = torch.autograd.grad(batch_norm(x, None, None, training=True).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="cannot be differentiated again"):
        g.sum().backward()


def same(found, alone, mode):
    """To the bit, since our ops run example by example; torch has rules of its own, which sum in another order."""
    unit = torch.finfo(found.dtype).eps * alone.abs().max()
    assert torch.equal(found, alone) or (mode == "torch" and (found - alone).abs().max() <= 16 * unit)


@pytest.mark.parametrize("mode", ["torch", "composite", pytest.param("kernel", marks=pytest.mark.slow)])
def test_per_example_gradients_of_a_convolutional_network(mode):
    """The deck's Net, example by example: what each contributes to the gradient of the sum."""
    torch.manual_seed(0)
    net, x = nn.Net(), data(2, 1, 32, 32)
    parameters = {name: p.detach() for name, p in net.named_parameters()}

    def loss(parameters, x):
        return functional_call(net, parameters, (x[None],)).square().sum()

    def each():
        return vmap(grad(loss), in_dims=(None, 0))(parameters, x)

    with PLACES[mode]() as simulator:
        own = each()
        alone = [torch.autograd.grad(net(one[None]).square().sum(), list(net.parameters())) for one in x]
    assert simulator is None or simulator.launches
    for name, *gradients in zip(parameters, *alone, strict=True):
        same(own[name], torch.stack(gradients), mode)


@pytest.mark.parametrize("mode", ["torch", "composite"])
def test_pooling_and_normalization_under_vmap(mode):
    x, gamma = data(3, 2, 4, 6, 5), data(4)

    def loss(gamma, x):
        return batch_norm(x, None, None, gamma, gamma, True).square().sum()

    with PLACES[mode]():
        pooled, places = vmap(lambda x: F.max_pool2d(x, 2, return_indices=True))(x)
        for one, y, at in zip(x, pooled, places, strict=True):
            assert all(map(torch.equal, (y, at), F.max_pool2d(one, 2, return_indices=True)))
        for one, found in zip(x, vmap(grad(loss), in_dims=(None, 0))(gamma, x), strict=True):
            same(found, grad(loss)(gamma, one), mode)


def exported(module, x, **how):
    """Saved and loaded again."""
    file = io.BytesIO()
    torch.export.save(torch.export.export(module, (x,), **how), file)
    file.seek(0)
    return torch.export.load(file)


@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_network_keeps_our_ops_and_any_batch(strict):
    torch.manual_seed(0)
    net, x = nn.Net(), data(2, 1, 32, 32)
    batch = torch.export.Dim("batch", min=2, max=64)
    program = exported(net, x, strict=strict, dynamic_shapes=({0: batch},))
    graphs = [str(one.graph) for one in program.graph_module.modules() if isinstance(one, torch.fx.GraphModule)]
    assert "chainrule.convolution" in "".join(graphs)
    for n in (2, 5):
        y = data(n, 1, 32, 32, seed=n)
        assert torch.equal(program.module()(y), net(y))


@pytest.mark.slow
def test_an_exported_network_runs_in_another_process(tmp_path):
    torch.manual_seed(0)
    net, x = nn.MLP((6, 5, 3), act="elu"), data(*X)
    torch.export.save(torch.export.export(net, (x,)), tmp_path / "net.pt2")
    code = (f"import torch; from chainrule.triton_kernels import ops; ops.registered()\n"
            f"net = torch.export.load({str(tmp_path / 'net.pt2')!r}).module()\n"
            f"torch.save(net(torch.load({str(tmp_path / 'x.pt')!r})), {str(tmp_path / 'y.pt')!r})")
    torch.save(x, tmp_path / "x.pt")
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)
    assert torch.equal(torch.load(tmp_path / "y.pt"), net(x))


def test_checkpointing_recomputes_the_same_bits():
    x, w, b, w2, b2 = leaves(X, W, B, W2, B2)

    def block(x):
        return F.mlp(x, [w, w2], [b, b2], "sigmoid")

    plain = torch.autograd.grad(block(x).sum(), (x, w, b, w2))
    again = torch.autograd.grad(checkpoint(block, x, use_reentrant=False).sum(), (x, w, b, w2))
    for a, c in zip(plain, again, strict=True):
        assert torch.equal(a, c)


def compiled(function):
    torch._dynamo.reset()
    return torch.compile(function, fullgraph=True, backend="aot_eager")


def test_checkpointing_in_a_compiled_network():
    torch.manual_seed(0)
    net, x = nn.Net(), data(2, 1, 32, 32)
    parameters = list(net.parameters())
    plain = torch.autograd.grad(net(x).square().sum(), parameters)
    again = compiled(lambda x: checkpoint(net, x, use_reentrant=False).square().sum())(x)
    for a, c in zip(plain, torch.autograd.grad(again, parameters), strict=True):
        assert torch.equal(a, c)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_in_one_graph(dtype):
    torch.manual_seed(0)
    net, x, target = nn.Net(), data(2, 1, 32, 32), torch.tensor([3, 8])
    parameters = list(net.parameters())

    def loss(x):
        with torch.autocast("cpu", dtype):
            z = net(x)
            return z, F.cross_entropy(z, target)

    (z, eager), (z_traced, traced) = loss(x), compiled(loss)(x)
    assert z.dtype == z_traced.dtype == dtype
    assert eager.dtype == traced.dtype == torch.float32
    assert torch.equal(eager, traced)
    pairs = zip(torch.autograd.grad(eager, parameters), torch.autograd.grad(traced, parameters), strict=True)
    for a, b in pairs:
        assert a.dtype == b.dtype == torch.float32
        assert torch.equal(a, b)


ROUNDED = {
    "linear_act": (F.linear_act, (64, 96), (32, 96), (32,)),
    "conv2d_act": (F.conv2d_act, (2, 3, 8, 8), (4, 3, 3, 3), (4,)),
}


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ROUNDED)
def test_autocast_says_the_dtype_of_the_operands_and_no_more(name, dtype):
    """Between product and activation nothing is rounded, with autocast as without."""
    function, *shapes = ROUNDED[name]
    tensors = [data(*shape, seed=i) for i, shape in enumerate(shapes)]
    wanted = function(*(t.to(dtype) for t in tensors), "tanh")
    with torch.autocast("cpu", dtype):
        assert torch.equal(function(*tensors, "tanh"), wanted)
        assert torch.equal(compiled(lambda *tensors: function(*tensors, "tanh"))(*tensors), wanted)


def test_deterministic_mode_refuses_nothing():
    torch.manual_seed(0)
    net, block = nn.MLP((6, 5, 3), act="elu"), nn.ResidualBlock(4, 4)
    x, image = data(*X), data(2, 4, 6, 5)

    def losses():
        pooled = F.max_pool2d(block(image), 2)
        return F.cross_entropy(net(x), torch.tensor([0, 2, 1, 1])) + F.mse_loss(pooled, torch.zeros_like(pooled))

    torch.use_deterministic_algorithms(True)
    try:
        for run in (losses, compiled(losses)):
            run().backward()
        with simulate():
            losses().backward()
    finally:
        torch.use_deterministic_algorithms(False)
