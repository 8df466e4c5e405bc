"""The tools around torch: torch.fx, torch.jit, forward mode, batched gradients, names, terminals."""

from __future__ import annotations

import contextlib
import copy
import io
import os
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn import functional as T
from torch.utils.flop_counter import FlopCounterMode

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn as ours
from chainrule.triton_kernels import ops, optim
from chainrule.triton_kernels.patch import patch
from chainrule.triton_kernels.runtime import launch

PLACES = {"cpu": contextlib.nullcontext, "kernel": lambda: simulate(check=False)}


def data(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def close(found, wanted):
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype)
    found, wanted = found.detach(), wanted.detach()
    assert (found - wanted).abs().max() <= 32 * torch.finfo(torch.float32).eps * max(1.0, float(wanted.abs().max()))


def network():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 3, 2), nn.ELU(),
        nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 5), nn.Tanh(), nn.Linear(5, 2), nn.Sigmoid())


IMAGE = data(2, 3, 5, 5)


@pytest.mark.parametrize("where", PLACES)
def test_a_symbolic_trace(where):
    """Every module of ours is one call in the graph, every function too; the graph computes as the model."""
    model = network().eval()
    wanted = model(IMAGE)
    patch(model)
    traced = torch.fx.symbolic_trace(model)
    assert [node.op for node in traced.graph.nodes][1:-1] == ["call_module"] * len(model)

    class Functions(nn.Module):
        def forward(self, x, w):
            return F.relu(F.linear(x, w)) + F.leaky_relu(x @ w.t(), 0.5)

    functions = torch.fx.symbolic_trace(Functions())
    assert {node.target for node in functions.graph.nodes} >= {F.relu, F.linear, F.leaky_relu}
    x, w = data(3, 4), data(5, 4, seed=1)
    with PLACES[where]():
        close(traced(IMAGE), wanted)
        close(functions(x, w), torch.relu(T.linear(x, w)) + T.leaky_relu(x @ w.t(), 0.5))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("recorded", [True, False])
def test_torch_jit_trace(where, recorded):
    """Passes its own check, and can be saved; gradients on or off."""
    model = network().eval()
    patch(model)
    with PLACES[where](), torch.set_grad_enabled(recorded):
        traced = torch.jit.trace(model, IMAGE, check_trace=True)
    file = io.BytesIO()
    torch.jit.save(traced, file)
    file.seek(0)
    close(torch.jit.load(file)(IMAGE), network().eval()(IMAGE))


@pytest.mark.filterwarnings("ignore")
def test_torch_jit_script_gets_torchs_modules(caplog):
    launch._said.clear()
    model = network().eval()
    wanted = model(IMAGE)
    patch(model)
    for inside in (model, nn.ModuleList([ours.ReLU()])[0]):
        scripted = torch.jit.script(inside)
    assert torch.equal(scripted(IMAGE), torch.relu(IMAGE))
    close(torch.jit.script(model)(IMAGE), wanted)
    assert "ReLU: torch.jit.script compiles no kernel; torch.nn.ReLU is scripted instead" in [
        record.getMessage() for record in caplog.records]
    with pytest.raises(RuntimeError, match=r"MLP: torch\.jit.script cannot compile it; trace or export it"):
        torch.jit.script(ours.MLP([3, 2]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [network, lambda: ours.MLP([4, 3, 2], "tanh"), ours.LeNet])
def test_through_onnxruntime(make, tmp_path):
    """A patched model, and the deck's networks: exported, and run by what is not torch."""
    runtime = pytest.importorskip("onnxruntime", reason="pip install chainrule[clients]")
    model = make().eval()
    patch(model)
    x = {nn.Sequential: IMAGE, ours.MLP: data(3, 4), ours.LeNet: data(1, 1, 32, 32)}[
        next(kind for kind in (nn.Sequential, ours.MLP, ours.LeNet) if isinstance(model, kind))]
    torch.onnx.export(model, (x,), dynamo=True).save(tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    found = torch.tensor(session.run(None, {session.get_inputs()[0].name: x.numpy()})[0])
    close(found, model(x))


def layers(lib, kind):
    torch.manual_seed(0)
    return {"dense": lambda: nn.Sequential(lib.Linear(6, 5), lib.Tanh(), lib.Linear(5, 4, bias=False)),
            "images": lambda: nn.Sequential(lib.Conv2d(4, 6, 3, 2, 1), lib.ReLU(), lib.MaxPool2d(2),
                                            lib.Conv2d(6, 4, 2, dilation=2)),
            "signals": lambda: nn.Sequential(lib.Conv1d(4, 6, 3, padding=1), lib.BatchNorm1d(6), lib.Sigmoid())}[kind]()


COUNTED = {"dense": (7, 6), "images": (2, 4, 15, 13), "signals": (2, 4, 9)}


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("kind", COUNTED)
def test_a_counter_of_flops_sees_kernels(kind, where):
    """As many as of torch's modules, forward and backward, and the numbers stay what they were."""
    counts, gradients = [], []
    for lib, how in ((nn, contextlib.nullcontext), (ours, PLACES[where])):
        model, x = layers(lib, kind), data(*COUNTED[kind]).requires_grad_()
        with how(), FlopCounterMode(display=False) as counter:
            model(x).square().sum().backward()
        counts.append(counter.get_total_flops())
        gradients.append(x.grad)
    assert counts[0] == counts[1] > 0
    close(gradients[1], gradients[0])


@pytest.mark.parametrize("where", ["fused", "chain"])
def test_fused_kernels_are_counted(where):
    """Only the first layer's ∂x is wanted by nobody."""
    x = data(8, 6) if where == "chain" else data(2, 3, 8, 8)
    model = ours.MLP([6, 5, 4, 3], "relu") if where == "chain" else ours.ConvActPool(3, 4, 3, padding=1)
    forward = 2 * 8 * (6 * 5 + 5 * 4 + 4 * 3) if where == "chain" else 2 * 2 * 64 * 4 * 27
    first = 2 * 8 * 6 * 5 if where == "chain" else forward
    with simulate(check=False), FlopCounterMode(display=False) as counter:
        model(x).square().sum().backward()
    assert counter.get_total_flops() == 3 * forward - first


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["network", "chain", "norm", "norm, training", "local"])
def test_an_exported_program_as_atens(name):
    """What is to run where ours is not installed: no op of ours is left, and the numbers are the same."""
    class Local(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = ours.LocallyConnected1d(6, 3), ours.SharedLinear(6, 3)

        def forward(self, x):
            return F.cross_entropy(self.other(self.one(x)), torch.tensor([0, 5, 2]), label_smoothing=0.25)

    torch.manual_seed(0)
    make, x = {"network": (network, IMAGE), "chain": (lambda: ours.MLP([6, 5, 2], "elu"), data(3, 6)),
               "norm": (lambda: ours.ResidualBlock(3, 4, 2), IMAGE),
               "norm, training": (lambda: ours.BatchNorm2d(3), IMAGE), "local": (Local, data(3, 6))}[name]
    model = make()
    model.train(name == "norm, training")
    if name == "network":
        patch(model)
    program = torch.export.export(copy.deepcopy(model), (x,))
    plain = program.run_decompositions({**torch.export.default_decompositions(), **ops.decompositions()})

    def ops_of(one):
        return {str(node.target).partition(".")[0] for node in one.graph.nodes if node.op == "call_function"}

    assert "chainrule" in ops_of(program)
    assert "chainrule" not in ops_of(plain)
    close(plain.module()(x), model(x))


FORWARD = {
    "relu": F.relu, "tanh": F.tanh, "elu": F.elu, "linear": lambda x: F.linear(x, data(4, 6, seed=1)),
    "softmax": lambda x: F.cross_entropy(x, torch.tensor([0, 5, 2])),
    "BCE": lambda x: F.binary_cross_entropy_with_logits(x, data(3, 6, seed=2).sigmoid()),
    "norm": lambda x: F.batch_norm(x, None, None, training=True),
    "images": lambda x: F.max_pool2d(F.conv2d(x.view(1, 2, 3, 3), data(2, 2, 2, 2, seed=1)), 2),
}
PLAIN = {"relu": torch.relu, "tanh": torch.tanh, "elu": T.elu, "linear": lambda x: T.linear(x, data(4, 6, seed=1)),
         "softmax": lambda x: T.cross_entropy(x, torch.tensor([0, 5, 2])),
         "BCE": lambda x: T.binary_cross_entropy_with_logits(x, data(3, 6, seed=2).sigmoid()),
         "norm": lambda x: T.batch_norm(x, None, None, training=True),
         "images": lambda x: T.max_pool2d(T.conv2d(x.view(1, 2, 3, 3), data(2, 2, 2, 2, seed=1)), 2)}


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.* is deprecated")           # as the rules of forward mode are
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("name", FORWARD)
def test_forward_mode_is_torchs(name, where):
    x, v = data(3, 6), data(3, 6, seed=7)
    wanted = torch.func.jvp(PLAIN[name], (x,), (v,))
    with PLACES[where]():
        found = torch.func.jvp(FORWARD[name], (x,), (v,))
        with torch.autograd.forward_ad.dual_level():
            dual = FORWARD[name](torch.autograd.forward_ad.make_dual(x, v))
            again = torch.autograd.forward_ad.unpack_dual(dual).tangent
    for a, b in zip((*found, again), (*wanted, wanted[1]), strict=True):
        close(a, b)


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("name", FORWARD)
def test_gradients_in_a_batch(name, where):
    """`jacobian(vectorize=True)`, `is_grads_batched`: one after the other where kernels run."""
    x = data(3, 6)
    wanted = torch.autograd.functional.jacobian(PLAIN[name], x)
    with PLACES[where]():
        close(torch.autograd.functional.jacobian(FORWARD[name], x, vectorize=True), wanted)


@pytest.mark.parametrize("where", PLACES)
def test_vmap_over_running_statistics(where):
    x, mu, var = data(3, 6, 5), torch.zeros(3, 5), torch.ones(3, 5)
    his_mu, his_var = mu.clone(), var.clone()
    wanted = torch.vmap(lambda x, m, v: T.batch_norm(x, m, v, training=True))(x, his_mu, his_var)
    with PLACES[where]():
        found = torch.vmap(lambda x, m, v: F.batch_norm(x, m, v, training=True))(x, mu, var)
    for a, b in ((found, wanted), (mu, his_mu), (var, his_var)):
        close(a, b)


@pytest.mark.parametrize("module", [ours, F, optim])
def test_names(module, monkeypatch):
    """`dir` lists what can be imported; `hasattr` answers, and raises nothing."""
    for strict in ("", "1"):
        monkeypatch.setenv("CHAINRULE_STRICT", strict)
        assert hasattr(module, "SiLU" if module is ours else "silu" if module is F else "RMSprop") == (not strict)
        assert not hasattr(module, "Gelo")
    assert {"Linear", "SiLU"} <= set(dir(ours))
    assert {"linear", "silu"} <= set(dir(F))
    assert {"Adam", "RMSprop"} <= set(dir(optim))


def called():
    """What happens to children of the deck's networks: (network, what comes in, the child's place)"""
    return {
        "MLP": (lambda: ours.MLP([4, 3, 2]), data(5, 4), "layers.0"),
        "Net": (ours.Net, data(1, 1, 32, 32), "fc2"),
        "block": (lambda: ours.ResidualBlock(3), data(2, 3, 5, 5), "norm1"),
        "block, last": (lambda: ours.ResidualBlock(3), data(2, 3, 5, 5), "norm2"),
        "block, bare": (lambda: ours.ResidualBlock(3, norm=False), data(2, 3, 5, 5), "conv1"),
    }


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("name", called())
def test_networks_call_their_children(name, where):
    """Hooks and everybody's hooks fire; a child that was replaced is called; and what nobody sees is fused again."""
    make, x, place = called()[name]
    torch.manual_seed(0)
    net = make()
    calls = []
    with PLACES[where](), torch.no_grad():
        before = copy.deepcopy(net)(x)
        child = net.get_submodule(place)
        handle = child.register_forward_hook(lambda *_: calls.append("own"))
        close(copy.deepcopy(net)(x), before)
        handle.remove()
        handle = nn.modules.module.register_module_forward_hook(lambda module, *_: calls.append(type(module).__name__))
        copy.deepcopy(net)(x)
        handle.remove()
        assert calls[0] == "own"
        assert calls.count(type(child).__name__) >= 1
        child.forward = lambda x, before=child.forward: before(x) * 0 + 2
        assert not torch.equal(copy.deepcopy(net)(x), before)


def test_a_table_on_a_terminal_of_few_letters():
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONPATH": os.pathsep.join(sys.path)}
    for command in (["chainrule.reference"], ["chainrule.cli", "show", "--help"]):
        done = subprocess.run([sys.executable, "-m", *command], env=environment, capture_output=True, check=False)
        assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
        assert done.stdout


#: What make_fx records, of an input of 3 × 4.
RECORDED = {
    "linear, relu": lambda L, x: L.linear(L.relu(L.linear(x, data(5, 4, seed=1))), data(2, 5, seed=2), data(2, seed=3)),
    "norms": lambda L, x: L.layer_norm(L.batch_norm(x, None, None, None, None, True), (4,)),
    "conv1d, pooled": lambda L, x: L.max_pool1d(L.conv1d(x[None], data(2, 3, 2, seed=1)), 2),
    "attention": lambda L, x: L.softmax(L.scaled_dot_product_attention(x, x, L.gelu(x)), -1),
    "losses": lambda L, x: L.cross_entropy(x, torch.arange(3)) + (
        L.binary_cross_entropy_with_logits(x, x.detach().sigmoid())),
}


@pytest.mark.parametrize("name", RECORDED)
def test_a_graph_of_real_tensors(name):
    """make_fx looks on while tensors with numbers pass by: a kernel that it does not see would be lost to its graph."""
    def both(L, kernels):
        def run(x):
            x = x.detach().requires_grad_()
            y = RECORDED[name](L, x).sin()
            return y.detach(), torch.autograd.grad(y.sum(), x)[0]

        with PLACES["kernel"]() if kernels else contextlib.nullcontext():
            return make_fx(run)(data(3, 4))(data(3, 4, seed=5))

    for found, wanted in zip(both(F, True), both(T, False), strict=True):
        close(found, wanted)


def test_tensors_without_memory_meet_no_kernel():
    with simulate() as sim:
        y = F.max_pool2d(F.relu(F.conv2d(data(2, 3, 5, 5).to("meta"), data(4, 3, 2, 2).to("meta"))), 2)
        found = ours.MLP([4, 3, 2], device="meta")(data(5, 4).to("meta"))
    assert (y.shape, y.device.type, found.shape) == ((2, 4, 2, 2), "meta", (5, 2))
    assert sim.launches == 0
