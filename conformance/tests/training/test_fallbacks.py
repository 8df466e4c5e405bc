"""Everywhere something else stands in for a kernel: one log line per reason; under CHAINRULE_STRICT=1 an error."""

from __future__ import annotations

import ast
import importlib
import logging
from pathlib import Path

import pytest
import torch

from chainrule import triton_kernels
from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn, optim
from chainrule.triton_kernels.runtime import launch, rooms
from chainrule.triton_kernels.step import make_step


def data(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def classes(n, K):
    return torch.arange(n) % K


#: call: the id that its reason begins with. Each takes the dtype.
CALLS = {
    **{f"act.{act}": lambda d, f=f: f(data(3, dtype=d)) for act, f in (
        ("sigmoid", F.sigmoid), ("tanh", F.tanh), ("relu", F.relu), ("leaky", F.leaky_relu), ("elu", F.elu))},
    "net.layer.affine": lambda d: F.linear(data(2, 3, dtype=d), data(4, 3, dtype=d)),
    "net.layer.affine, fused": lambda d: F.linear_act(data(2, 3, dtype=d), data(4, 3, dtype=d), None, "tanh"),
    "net.layer.affine, mlp": lambda d: F.mlp(
        data(2, 3, dtype=d), [data(4, 3, dtype=d), data(2, 4, dtype=d)], [None] * 2),
    "conv2d.layer": lambda d: F.conv2d(data(1, 2, 5, 5, dtype=d), data(3, 2, 3, 3, dtype=d)),
    "conv2d.layer, act": lambda d: F.conv2d_act(data(1, 2, 5, 5, dtype=d), data(3, 2, 3, 3, dtype=d)),
    "conv2d.layer, pooled": lambda d: F.conv2d_act(data(1, 2, 6, 6, dtype=d), data(3, 2, 3, 3, dtype=d), pool=True),
    "conv2d.layer, one row": lambda d: F.conv1d(data(1, 2, 5, dtype=d), data(3, 2, 3, dtype=d)),
    "pool.max": lambda d: F.max_pool2d(data(1, 2, 4, 4, dtype=d), 2),
    "norm.batch": lambda d: F.batch_norm(data(4, 3, dtype=d), None, None, training=True),
    "norm.batch.inference": lambda d: F.batch_norm(data(4, 3, dtype=d), data(3, dtype=d), data(3, dtype=d).abs()),
    **{f"act.{act}": lambda d, how=how: F.gelu(data(3, dtype=d), how)
       for act, how in (("gelu", "none"), ("gelu.tanh", "tanh"))},
    "act.softmax": lambda d: F.softmax(data(4, 3, dtype=d), 1),
    "norm.layer": lambda d: F.layer_norm(data(4, 3, dtype=d), (3,)),
    "norm.layer, added": lambda d: F.add_layer_norm(data(4, 3, dtype=d), data(4, 3, seed=1, dtype=d), (3,))[0],
    "attn.head": lambda d: F.scaled_dot_product_attention(*(data(2, 3, 4, seed=k, dtype=d) for k in range(3))),
    "attn.head, of one product": lambda d: F.self_attention(data(2, 4, 3, 1, 5, dtype=d), None, False),
    "loss.softmax.weighted": lambda d: F.cross_entropy(data(4, 3, dtype=d), classes(4, 3)),
    "vit.embed": lambda d: F.patch_embedding(data(1, 2, 4, 6, dtype=d), data(3, 2, 2, 2, dtype=d), None, *sequence(d)),
    "loss.square": lambda d: F.mse_loss(data(4, dtype=d), data(4, dtype=d)),
    "loss.xent.logits": lambda d: F.binary_cross_entropy_with_logits(data(4, dtype=d), data(4, dtype=d).sigmoid()),
    "arch.local.layer": lambda d: F.locally_connected1d(data(2, 5, dtype=d), data(5, 3, dtype=d)),
    "arch.shared.layer": lambda d: F.shared_linear(data(2, 5, dtype=d), data(3, dtype=d)),
    "opt.sgd": lambda d: F.sgd_(data(3, dtype=d), data(3, dtype=d), 0.5),
    **{f"opt.{rule}, a step": lambda d, make=make, how=how: stepped(make, d, **how) for rule, make, how in (
        ("sgd", optim.SGD, {}), ("momentum", optim.SGD, {"momentum": 0.5}),
        ("nesterov", optim.SGD, {"momentum": 0.5, "nesterov": True}), ("adagrad", optim.Adagrad, {}),
        ("adam", optim.Adam, {}), ("adamw", optim.AdamW, {}), ("lamb", optim.LAMB, {}))},
    "alg.average.sgd": lambda d: fused(d),
}
#: the gradients of these, each asked for a kernel of its own
BACKWARD = {
    "act.tanh": lambda d: F.tanh(leaf(3, dtype=d)), "bp.delta.chain": lambda d: F.linear(leaf(2, 3, dtype=d), data(
        4, 3, dtype=d)),
    "norm.batch.grad_x": lambda d: F.batch_norm(leaf(4, 3, dtype=d), None, None, training=True),
    "loss.softmax.weighted": lambda d: F.cross_entropy(leaf(4, 3, dtype=d), classes(4, 3)),
    "act.gelu": lambda d: F.gelu(leaf(3, dtype=d)), "act.softmax.prime": lambda d: F.softmax(leaf(4, 3, dtype=d), 0),
    "norm.layer.grad_x": lambda d: F.layer_norm(leaf(4, 3, dtype=d), (3,)),
    "attn.head.grad_Q": lambda d: F.scaled_dot_product_attention(*(leaf(2, 3, 4, dtype=d) for _ in range(3))),
    "attn.head.grad_Q, of one product": lambda d: F.self_attention(leaf(2, 4, 3, 1, 5, dtype=d), None, False),
    **{f"vit.embed.grad_{of}": lambda d, k=k: embedded(d, k) for k, of in enumerate(("patch", "Theta", "position"))},
    "conv2d.layer.grad_x": lambda d: F.conv2d(leaf(1, 2, 5, 5, dtype=d), data(3, 2, 3, 3, dtype=d)),
    "conv2d.layer.grad_w": lambda d: F.conv2d(data(1, 2, 5, 5, dtype=d), leaf(3, 2, 3, 3, dtype=d)),
    "pool.max.grad_x": lambda d: F.max_pool2d(leaf(1, 2, 4, 4, dtype=d), 2),
}


def sequence(dtype):
    return data(3, dtype=dtype), data(7, 3, dtype=dtype)


def embedded(dtype, k):
    """Of an embedding that wants one gradient."""
    given = [data(1, 2, 4, 6, dtype=dtype), data(3, 2, 2, 2, dtype=dtype), data(7, 3, dtype=dtype)]
    given[k].requires_grad_()
    return F.patch_embedding(*given[:2], None, data(3, dtype=dtype), given[2])


def leaf(*shape, dtype):
    return data(*shape, dtype=dtype).requires_grad_()


def stepped(make, dtype, **how):
    p = torch.nn.Parameter(data(3, dtype=dtype))
    p.grad = data(3, seed=1, dtype=dtype)
    make([p], lr=0.5, **how).step()
    return p.detach()


def fused(dtype):
    """The layers and the loss fall back first; the update after them."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 2)).to(dtype)
    make_step(model, F.mse_loss, torch.optim.SGD(model.parameters(), lr=0.5), fused=True)(
        data(4, 3, dtype=dtype), data(4, 2, dtype=dtype))
    return model[0].weight.detach()


@pytest.fixture
def said(caplog):
    """The library's log lines, none of them said before."""
    launch._said.clear()
    caplog.set_level(logging.WARNING, logger="chainrule")
    return lambda: [record.getMessage() for record in caplog.records]


def alike(found, by_torch):
    """A composite's result and torch's own: a few roundings apart."""
    assert (found - by_torch).abs().max() <= 4 * torch.finfo(found.dtype).eps * by_torch.abs().max()


@pytest.mark.parametrize("name", CALLS)
def test_float64_is_said_once_and_right(name, said):
    id = name.partition(",")[0]
    with simulate() as sim:
        found = CALLS[name](torch.float64)
        lines = said()
        again = CALLS[name](torch.float64)
        assert sim.launches == 0
    assert f"{id}: no kernel computes in float64; the ATen composite runs instead" in lines
    assert said() == lines
    assert len(lines) == len(set(lines)) == (3 if name == "alg.average.sgd" else 1)
    assert torch.equal(found, again)
    alike(found, CALLS[name](torch.float64))


@pytest.mark.parametrize("name", CALLS)
def test_strict_refuses_float64(name, monkeypatch):
    monkeypatch.setenv("CHAINRULE_STRICT", "1")
    id = "net.layer.affine" if name == "alg.average.sgd" else name.partition(",")[0]
    with simulate(), pytest.raises(RuntimeError) as caught:
        CALLS[name](torch.float64)
    assert str(caught.value) == f"{id}: no kernel computes in float64 (CHAINRULE_STRICT=1 allows no fallback)"


@pytest.mark.parametrize("name", BACKWARD)
def test_gradients_fall_back_no_more_quietly(name, monkeypatch):
    """Forward by a composite, and its gradient where a kernel is expected."""
    with simulate():
        out = BACKWARD[name](torch.float64)
    monkeypatch.setenv("CHAINRULE_STRICT", "1")
    id = name.partition(",")[0]
    with simulate(), pytest.raises(RuntimeError, match=rf"^{id}: no kernel computes in float64 \(CHAINRULE_STRICT"):
        out.sum().backward()


@pytest.mark.parametrize("name", CALLS)
def test_without_triton(name, said, monkeypatch):
    """Said once and the composite's result; under CHAINRULE_STRICT=1 refused; a CPU tensor never notices."""
    expected = CALLS[name](torch.float32)
    real = importlib.import_module

    def absent(module, package=None):
        if module.startswith(".") and package == "chainrule.triton_kernels":
            raise ModuleNotFoundError("No module named 'triton'", name="triton")
        return real(module, package)

    monkeypatch.setattr(rooms.importlib, "import_module", absent)
    rooms.kernels.cache_clear()
    try:
        with simulate():
            alike(CALLS[name](torch.float32), expected)
            lines = said()
            CALLS[name](torch.float32)
            assert said() == lines
            assert any(line.endswith(": Triton is not installed, so this tensor has no kernel; "
                                     "the ATen composite runs instead") for line in lines)
            monkeypatch.setenv("CHAINRULE_STRICT", "1")
            with pytest.raises(RuntimeError, match=r"Triton is not installed, so this tensor has no kernel \(CHAIN"):
                CALLS[name](torch.float32)
        assert torch.equal(CALLS[name](torch.float32), expected)
    finally:
        rooms.kernels.cache_clear()


def scattered():
    p = torch.nn.Parameter(torch.ones(4, 6)[:, ::2])
    p.grad = torch.ones(4, 3)
    optim.SGD([p], lr=0.5).step()
    return p


def test_a_parameter_with_gaps(said, monkeypatch):
    reason = "opt.sgd: a parameter's elements do not fill one stretch of memory"
    with simulate() as sim:
        assert scattered().eq(0.5).all()
        scattered()
        assert sim.launches == 0
        assert said() == [f"{reason}; the ATen composite runs instead"]
        monkeypatch.setenv("CHAINRULE_STRICT", "1")
        with pytest.raises(RuntimeError, match=reason):
            scattered()


@pytest.mark.parametrize(("module", "name", "theirs"), [
    (nn, "Mish", torch.nn), (F, "mish", torch.nn.functional), (optim, "RMSprop", torch.optim),
    *((nn, name, torch.nn) for name in ("ReLU6", "AvgPool2d", "AdaptiveAvgPool2d")),
    *((F, name, torch.nn.functional) for name in ("relu6", "avg_pool2d", "adaptive_avg_pool2d"))])
def test_torchs_own_names(module, name, theirs, said, monkeypatch):
    short = module.__name__.rpartition(".")[2]
    for _ in range(2):
        assert getattr(module, name) is getattr(theirs, name)
    assert said() == [f"{short}.{name}: there is no kernel; {theirs.__name__}'s own stands there instead"]
    with pytest.raises(AttributeError, match=rf"kernels\.{short} has no Gelo, and neither has {theirs.__name__}"):
        module.Gelo                                                                     # noqa: B018
    monkeypatch.setenv("CHAINRULE_STRICT", "1")
    with pytest.raises(RuntimeError, match=rf"^{short}\.{name}: there is no kernel \(CHAINRULE_STRICT=1 allows"):
        getattr(module, name)


def test_what_only_holds_other_things_is_torchs_without_a_word(said, monkeypatch):
    monkeypatch.setenv("CHAINRULE_STRICT", "1")
    assert nn.Module is torch.nn.Module
    assert nn.init is torch.nn.init
    assert nn.functional is F
    assert optim.lr_scheduler is torch.optim.lr_scheduler
    assert said() == []


def test_these_are_all():
    """Where the library falls back, by function: a new place belongs into the tests above."""
    places = []
    for path in sorted(Path(triton_kernels.__file__).parent.rglob("*.py")):
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(function, ast.FunctionDef):
                places += [f"{path.stem}.{function.name}" for call in ast.walk(function) if isinstance(call, ast.Call)
                           and getattr(call.func, "id", "") == "fall_back"]
    assert places == [
        "layers._zeros_around", "optim._now", "optim._step", "instead._instead", "instead._instead",
        "leaves.__prepare_scriptable__", "rooms.has_kernel", "rooms.entered", "torch_names.torchs",
        "torch_names.attribute"]
