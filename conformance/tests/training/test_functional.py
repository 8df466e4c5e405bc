"""functional: torch's values and gradients, through the composites and, simulated, through the kernels."""

import contextlib
import logging

import pytest
import torch
import torch.nn.functional as T

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import ops
from chainrule.triton_kernels.runtime import launch, rooms
from chainrule.triton_kernels.runtime.launch import composites

ROUNDOFF = {torch.float32: 2.0**-24, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}
WHERE = {"torch": contextlib.nullcontext, "composite": composites, "kernel": simulate}


def data(*shape, dtype=torch.float32, seed=0):
    """Numbers of the dtype itself, so that the float64 twin of a tensor is the same point."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def worst(actual, expected, terms=1):
    """The largest error in units of what `terms` roundings of the largest entry may cost."""
    scale = expected.abs().max().clamp(min=1e-30)
    error = (actual.double() - expected).abs().max() / scale
    assert not torch.isnan(error)
    return float(error / (ROUNDOFF[actual.dtype] * terms))


def both(ours, theirs, tensors, grads):
    """Our results and gradients in the tensors' dtype, theirs in float64."""
    outcome = []
    for function, kind in ((ours, None), (theirs, torch.float64)):
        arguments = [t.to(kind if kind and t.is_floating_point() else t.dtype, copy=True) for t in tensors]
        leaves = [t.requires_grad_() for t, wanted in zip(arguments, grads) if wanted]
        result = function(*arguments)
        outcome.append((result.detach(), torch.autograd.grad(result.sum(), leaves)))
    return outcome


def agree(ours, theirs, tensors, grads, terms):
    (a, das), (e, des) = both(ours, theirs, tensors, grads)
    assert a.shape == e.shape
    for actual, expected in zip((a, *das), (e, *des)):
        assert worst(actual, expected, terms) <= 1


ACTIVATIONS = {
    "sigmoid": (F.sigmoid, torch.sigmoid), "tanh": (F.tanh, torch.tanh), "relu": (F.relu, T.relu),
    "leaky_relu": (F.leaky_relu, T.leaky_relu), "elu": (F.elu, T.elu),
    "gelu": (F.gelu, T.gelu), "gelu_tanh": (lambda z: F.gelu(z, "tanh"), lambda z: T.gelu(z, approximate="tanh")),
    "leaky_relu_falling": (lambda z: F.leaky_relu(z, -0.5), lambda z: T.leaky_relu(z, -0.5)),
    "elu_half": (lambda z: F.elu(z, 0.5), lambda z: T.elu(z, 0.5)),
}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activation(name, dtype, where):
    with WHERE[where]():
        agree(*ACTIVATIONS[name], [3 * data(4, 33, dtype=dtype)], [True], terms=40)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("act", ["sigmoid", "tanh", "relu", "elu", "gelu", "identity"])
def test_linear_act(act, dtype, where):
    torch_act = {"relu": T.relu, "elu": T.elu, "gelu": T.gelu, "identity": lambda z: z}.get(act) or getattr(torch, act)
    with WHERE[where]():
        agree(
            lambda x, w, b: F.linear_act(x, w, b, act), lambda x, w, b: torch_act(T.linear(x, w, b)),
            [data(2, 5, 19, dtype=dtype), data(7, 19, dtype=dtype, seed=1), data(7, dtype=dtype, seed=2)],
            [True] * 3, terms=40,
        )


def layered(x, w1, b1, w2, b2, w3, g=torch.tanh):
    return T.linear(g(T.linear(g(T.linear(x, w1, b1)), w2, b2)), w3)


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("act", ["tanh", "sigmoid", "relu"])
@pytest.mark.parametrize("grads", ["111111", "000100", "001001", "100000"])
def test_mlp(act, grads, where):
    shapes = [(9, 6), (8, 6), (8,), (5, 8), (5,), (3, 5)]
    tensors = [data(*shape, seed=seed) for seed, shape in enumerate(shapes)]
    g = {"relu": T.relu}.get(act) or getattr(torch, act)
    with WHERE[where]():
        agree(
            lambda x, w1, b1, w2, b2, w3: F.mlp(x, [w1, w2, w3], [b1, b2, None], act),
            lambda *t: layered(*t, g=g), tensors, [wanted == "1" for wanted in grads], terms=60,
        )


LOSSES = {
    "bce": (F.binary_cross_entropy_with_logits, T.binary_cross_entropy_with_logits,
            lambda: [4 * data(6, 5), torch.rand(6, 5)], [True, True]),
    "square": (F.mse_loss, T.mse_loss, lambda: [data(6, 5), data(6, 5, seed=1)], [True, True]),
    "softmax": (F.cross_entropy, T.cross_entropy, lambda: [4 * data(6, 11), torch.arange(6)], [True, False]),
}


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("name", LOSSES)
def test_mean_losses(name, where):
    ours, theirs, tensors, grads = LOSSES[name]
    with WHERE[where]():
        agree(ours, theirs, tensors(), grads, terms=40)


def test_a_training_step_learns_through_the_kernels():
    x = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    y = torch.tensor([0, 1, 1, 0])
    weights = [data(8, 2).requires_grad_(), data(2, 8, seed=1).requires_grad_()]
    biases = [torch.zeros(8, requires_grad=True), torch.zeros(2, requires_grad=True)]
    losses = []
    with simulate() as sim:
        for _ in range(12):
            loss = F.cross_entropy(F.mlp(x, weights, biases, "tanh"), y)
            gradients = torch.autograd.grad(loss, weights + biases)
            for theta, D in zip(weights + biases, gradients):
                assert F.sgd_(theta, D, 0.5) is theta
            losses.append(float(loss.detach()))
        assert sim.launches == 12 * 10
    assert losses[-1] < 0.7 * losses[0]


def test_no_gradient_keeps_nothing_and_costs_one_launch_a_layer():
    x, w, b = data(4, 6), data(3, 6), data(3)
    with simulate() as sim:
        F.linear_act(x, w, b, "tanh")
    assert sim.launches == 1
    assert sim.bytes_written == 4 * 3 * 4


def test_a_second_derivative_is_refused():
    x, theta, y = data(4, 2), data(3, 2).requires_grad_(), torch.tensor([0, 1, 2, 0])
    with composites():
        losses = F.sigmoid(F.linear(x, theta)).sum(), F.cross_entropy(F.linear(x, theta), y)
    for loss in losses:
        gradient, = torch.autograd.grad(loss, theta, create_graph=True)
        with pytest.raises(RuntimeError, match="cannot be differentiated again"):
            torch.autograd.grad(gradient.sum(), theta)


def test_an_op_writes_what_it_declares_and_nothing_else():
    from chainrule.triton_kernels.updates.sgd import MUTATES

    given = {"theta": data(3, 2), "D": data(3, 2, seed=1)}
    before = {name: t.clone() for name, t in given.items()}
    with simulate():
        F.sgd_(**given, eta=0.5)
    changed = tuple(name for name, t in given.items() if not torch.equal(t, before[name]))
    assert changed == MUTATES["opt.sgd_"]


def test_in_place_update_is_seen_by_autograd():
    theta, w = data(3, 2).requires_grad_(), data(2, 3, seed=1)
    with simulate():
        out = F.linear(F.linear(data(4, 2).requires_grad_(), theta), w)
        F.sgd_(theta, torch.ones_like(theta), 1.0)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            out.sum().backward()


def test_inputs_stay_bit_equal_and_two_runs_agree():
    tensors = [data(33, 20), data(17, 20, seed=1), data(17, seed=2)]
    before = [t.clone() for t in tensors]
    with simulate():
        layer = lambda *t: F.linear_act(*t, "elu")
        runs = [both(layer, layer, tensors, [True] * 3)[0] for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(tensors, before))
    assert torch.equal(runs[0][0], runs[1][0])
    assert all(torch.equal(a, b) for a, b in zip(runs[0][1], runs[1][1]))


def test_an_expanded_gradient_is_read_by_its_strides():
    z = data(5, 4).requires_grad_()
    with simulate():
        g, = torch.autograd.grad(F.tanh(z), z, torch.tensor(2.0).expand(5, 4))
    assert worst(g, 2 * (1 - torch.tanh(z.detach().double()) ** 2), 10) <= 1


def test_empty_batch():
    w = data(3, 4).requires_grad_()
    for context in WHERE.values():
        with context():
            out = F.mlp(torch.empty(0, 4), [w], [None])
            assert out.shape == (0, 3)
            assert torch.equal(torch.autograd.grad(out.sum(), w)[0], torch.zeros(3, 4))


def test_float64_falls_back_once_and_strict_refuses(caplog, monkeypatch):
    launch._said.clear()
    z = data(3, dtype=torch.float64)
    with simulate() as sim, caplog.at_level(logging.WARNING, logger="chainrule"):
        assert torch.equal(F.tanh(z), torch.tanh(z))
        F.tanh(z)
        assert sim.launches == 0
        assert [r.getMessage() for r in caplog.records] == [
            "act.tanh: no kernel computes in float64; the ATen composite runs instead"]
        monkeypatch.setenv("CHAINRULE_STRICT", "1")
        with pytest.raises(RuntimeError, match=r"act\.tanh: no kernel computes in float64.*CHAINRULE_STRICT"):
            F.tanh(z)


def test_without_triton_functional_falls_back_and_an_op_says_so(monkeypatch, caplog):
    launch._said.clear()
    rooms.kernels.cache_clear()

    def absent(*_):
        raise ModuleNotFoundError("No module named 'triton'", name="triton")

    monkeypatch.setattr(rooms.importlib, "import_module", absent)
    try:
        with simulate(), caplog.at_level(logging.WARNING, logger="chainrule"):
            assert torch.equal(F.relu(torch.tensor([-1.0, 2.0])), torch.tensor([0.0, 2.0]))
            assert "act.relu: Triton is not installed" in caplog.records[0].getMessage()
            with pytest.raises(RuntimeError, match=r"^act\.relu: Triton is not installed"):
                ops.OPS["act.relu"](torch.ones(2))
    finally:
        rooms.kernels.cache_clear()


MISUSE = {
    "mlp, layer 1: x has shape (3,); expected 2": lambda: F.mlp(data(3), [data(2, 4)], [None]),
    "linear: columns of input and of weight differ: 4 and 3": lambda: F.linear(data(5, 4), data(2, 3)),
    "linear_act: entries of bias and rows of weight differ: 3 and 2": lambda: F.linear_act(
        data(5, 4), data(2, 4), data(3)),
    "linear_act: activation 'mish' is unknown": lambda: F.linear_act(data(5, 4), data(2, 4), act="mish"),
    "relu: input is complex64": lambda: F.relu(torch.ones(3, dtype=torch.complex64)),
    "tanh: input is a list": lambda: F.tanh([1.0]),
    "mse_loss: input has shape (3,), target has (2,)": lambda: F.mse_loss(data(3), data(2)),
    "mlp, layer 2: columns of x and of w differ: 3 and 2": lambda: F.mlp(
        data(5, 4), [data(3, 4), data(2, 2)], [None, None]),
    "mlp: 1 weights and 2 biases": lambda: F.mlp(data(5, 4), [data(3, 4)], [None, None]),
    "linear: weight is float16, input is float32": lambda: F.linear(data(5, 4), data(3, 4).half()),
    "linear: weight is on meta, input is on cpu": lambda: F.linear(data(5, 4), data(3, 4).to("meta")),
    "cross_entropy: target is float32; expected int64": lambda: F.cross_entropy(data(5, 4), data(5, 3)),
    "precision 'fp32' is unknown": lambda: F.linear(data(5, 4), data(3, 4), precision="fp32"),
    "opt.sgd: theta has strides (0, 1)": lambda: F.sgd_(data(1, 3).expand(2, 3), data(2, 3), 0.1),
}


@pytest.mark.parametrize("message", MISUSE)
def test_bad_input(message):
    with simulate(), pytest.raises((TypeError, ValueError)) as caught:
        MISUSE[message]()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
