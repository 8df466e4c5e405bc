"""The deck's network and training loop as printed, only the imports changed."""

from __future__ import annotations

import contextlib
import copy
from itertools import pairwise

import pytest
import torch

from chainrule import spec
from chainrule.conformance.simulator import simulate
from chainrule.conformance.training.chains import ChainFault
from chainrule.conformance.watched import watched
from chainrule.triton_kernels import functional, nn, optim
from chainrule.triton_kernels.activations import kernels as act
from chainrule.triton_kernels.runtime.launch import composites

OURS = {"nn": nn, "F": functional, "optim": optim}
PLACES = {"torch": contextlib.nullcontext, "composite": composites, "kernel": simulate}
TORCHS = {"nn": torch.nn, "F": torch.nn.functional, "optim": torch.optim}
OPTIMIZER, STEP = (part.strip() for part in spec.get("torch.loop").code.split("# in your training loop:"))


def printed_net(names):
    """The slide's class, and the method that it calls and does not print."""
    scope = dict(names)
    exec(spec.get("torch.net").code, scope)
    scope["Net"].num_flat_features = lambda self, x: x[0].numel()
    torch.manual_seed(0)
    return scope["Net"]()


def trained(names, net, criterion, batches, rate=None, mode=None):
    """The printed loop over the batches; the losses. A float64 run has float64 data."""
    scope = {**names, "net": net, "criterion": criterion}
    exec(OPTIMIZER if rate is None else OPTIMIZER.replace("0.01", str(rate)), scope)
    losses = []
    for scope["input"], scope["target"] in batches:
        exec(STEP, scope)
        losses.append(scope["loss"].item())
    return losses


def batches(count, *shape, classes=10):
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(shape, generator=generator), torch.randint(0, classes, shape[:1], generator=generator))
            for _ in range(count)]


def parameters(net):
    return torch.cat([p.detach().double().flatten() for p in net.parameters()])


def small(names):
    """A convolution, its pooling and two layers, in the printed style: small enough for twenty judged steps."""
    nn, F = names["nn"], names["F"]

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(1, 3, 3)
            self.fc1 = nn.Linear(3 * 2 * 2, 8)
            self.fc2 = nn.Linear(8, 4)

        def forward(self, x):
            x = F.max_pool2d(F.relu(self.conv1(x)), 2)
            return self.fc2(F.relu(self.fc1(x.view(-1, 12))))

    torch.manual_seed(0)
    return Small()


NETWORKS = {"small": (small, lambda steps: batches(steps, 4, 1, 6, 6, classes=4), 20),
            "the deck's Net": (printed_net, lambda steps: batches(steps, 2, 1, 32, 32), 1)}


def no_further(ours, plain, exact):
    """End to end: twice torch's own distance from the float64 run, in the norm of all parameters."""
    unit = torch.finfo(torch.float32).eps
    assert (ours - exact).norm() <= 2 * (plain - exact).norm() + unit * exact.norm()


def judged_run(name, steps):
    make, data, _ = NETWORKS[name]
    results = []
    for again in range(2):
        net = make(OURS)
        with simulate() as sim:
            if again:
                losses = trained(OURS, net, nn.CrossEntropyLoss(), data(steps))
            else:
                with watched() as judged:
                    losses = trained(OURS, net, nn.CrossEntropyLoss(), data(steps))
                assert judged.launches == sim.launches
        results.append((losses, parameters(net)))
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])
    plain, exact = make(TORCHS), make(TORCHS).double()
    trained(TORCHS, plain, torch.nn.CrossEntropyLoss(), data(steps))
    trained(TORCHS, exact, torch.nn.CrossEntropyLoss(), [(x.double(), y) for x, y in data(steps)])
    no_further(results[0][1], parameters(plain), parameters(exact))
    return judged


@pytest.mark.parametrize("name", NETWORKS)
def test_every_op_of_every_step_is_judged(name):
    """No kernel runs unjudged; twice the same bits; no further from float64 than twice torch's own."""
    steps = NETWORKS[name][2]
    judged = judged_run(name, steps)
    assert 0 < judged.fraction <= 1
    assert judged.calls["loss.softmax.weighted"] == judged.calls["loss.mean"] == steps
    layers = 2 if name == "small" else 3
    assert judged.calls["alg.average"] == layers * steps
    assert judged.calls["conv2d.layer"] == judged.calls["conv2d.layer.grad_w"] == (layers - 1) * steps
    assert judged.calls["opt.sgd"] == (4 * layers - 2) * steps
    assert {"pool.max", "pool.max.grad_x", "act.relu", "act.relu.prime", "δ / Σ m"} <= set(judged.calls)


@pytest.mark.slow
def test_twenty_steps_of_the_decks_own_network():
    assert judged_run("the deck's Net", 20).fraction <= 1


def test_a_wrong_kernel_in_the_loop_is_caught(monkeypatch):
    right = act.value
    monkeypatch.setattr(act, "value", lambda z, name, p: right(z, name, p) + 2.0**-20)
    with simulate(), watched(), pytest.raises(ChainFault, match=r"act\.relu/chain/call 1: a\[.*times the bound"):
        trained(OURS, small(OURS), nn.CrossEntropyLoss(), batches(1, 4, 1, 6, 6, classes=4))


def test_twenty_steps_of_the_decks_net_by_composites():
    data = batches(20, 4, 1, 32, 32)
    ours, plain, exact = printed_net(OURS), printed_net(TORCHS), printed_net(TORCHS).double()
    trained(OURS, ours, nn.CrossEntropyLoss(), data)
    trained(TORCHS, plain, torch.nn.CrossEntropyLoss(), data)
    trained(TORCHS, exact, torch.nn.CrossEntropyLoss(), [(x.double(), y) for x, y in data])
    no_further(parameters(ours), parameters(plain), parameters(exact))


def dyadic(*shape, seed, most=3, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-most, most + 1, shape, generator=generator).float() * scale


def dyadic_net(names, sizes):
    nn = names["nn"]
    layers = [part for a, b in pairwise(sizes) for part in (nn.Linear(a, b), nn.ReLU())][:-1]
    net = nn.Sequential(*layers)
    with torch.no_grad():
        for seed, p in enumerate(net.parameters()):
            p.copy_(dyadic(*p.shape, seed=seed, scale=0.5))
    return net


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize(("sizes", "steps"), [((6, 5, 3), 1), ((6, 7, 5, 2), 1), ((6, 3), 3)])
def test_exact_on_dyadic_data(sizes, steps, where):
    """Square loss, ReLU, η = 2⁻⁴: the float32 run is the float64 run, as far as mantissas last. (The third loss, a sum
    of squares, has twice the digits of the parameters, which are exact still.)"""
    data = [(dyadic(8, sizes[0], seed=20 + k), dyadic(8, sizes[-1], seed=30 + k)) for k in range(steps)]
    ours, exact = dyadic_net(OURS, sizes), dyadic_net(TORCHS, sizes).double()
    before = parameters(ours)
    criterion = nn.MSELoss(reduction="sum")
    with PLACES[where]():
        losses = trained(OURS, ours, criterion, data, 2.0**-4)
    wanted = trained(TORCHS, exact, torch.nn.MSELoss(reduction="sum"), [(x.double(), y.double()) for x, y in data],
                     2.0**-4)
    assert losses[:2] == wanted[:2]
    assert torch.equal(parameters(ours), parameters(exact))
    assert not torch.equal(parameters(ours), before)


def test_a_fused_network_is_judged_too():
    """nn.MLP is one node, whose δ carries g′: sigmoid by a, elu by z; and Adam's step."""
    torch.manual_seed(0)
    for act_name, how in (("sigmoid", {}), ("elu", {"alpha": 1.0})):
        net = nn.MLP([6, 8, 5, 3], act_name, **how)
        start = copy.deepcopy(net.state_dict())
        step = optim.Adam(net.parameters(), lr=0.125)
        with simulate() as sim, watched() as judged:
            nn.MSELoss()(net(torch.randn(7, 6)), torch.randn(7, 3)).backward()
            step.step()
        assert judged.launches == sim.launches
        assert {"bp.delta.rec" if act_name == "sigmoid" else "bp.delta.chain", "loss.square", "δ / n",
                "opt.adam"} <= set(judged.calls)
        assert not any(torch.equal(start[key], value) for key, value in net.state_dict().items())
