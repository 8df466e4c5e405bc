"""Attention and the encoder's layers against torch's modules: results, gradients, masks, both orders of the norms."""

from __future__ import annotations

import contextlib
import copy
import logging

import pytest
import torch
from torch import nn
from torch.nn import functional as T

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn as ours
from chainrule.triton_kernels.patch import patch
from chainrule.triton_kernels.runtime import launch
from chainrule.triton_kernels.runtime.launch import composites

PLACES = {"torch": contextlib.nullcontext, "composite": composites, "kernel": lambda: simulate(check=False)}


def data(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def no_further(own, plain, exact):
    """From the float64 run: twice torch's distance of all numbers, and a rounding."""
    own, plain, exact = (torch.cat([t.double().flatten() for t in one]) for one in (own, plain, exact))
    assert own.shape == exact.shape
    assert (own - exact).norm() <= 2 * (plain - exact).norm() + torch.finfo(torch.float32).eps * exact.norm()


def results(module, *x, **how):
    x = [t.clone().requires_grad_() for t in x]
    y = module(*x, **how)
    y = y[0] if isinstance(y, tuple) else y
    return [y.detach(), *torch.autograd.grad(y.sin().sum(), [*x, *module.parameters()])]


def alike(own, plain, mode, *x, **how):
    wide = {k: v.double() if isinstance(v, torch.Tensor) and v.is_floating_point() else v for k, v in how.items()}
    with PLACES[mode]() as sim:
        found = results(own, *x, **how)
    assert sim is None or sim.launches
    no_further(found, results(plain, *x, **how), results(copy.deepcopy(plain).double(), *(t.double() for t in x),
                                                         **wide))


PADDED = torch.tensor([[False] * 5, [False, False, False, True, True], [False, True, False, False, False]])
CAUSAL = torch.ones(5, 5, dtype=torch.bool).triu(1)
SCORES = nn.Transformer.generate_square_subsequent_mask(5)
WINDOW = CAUSAL | CAUSAL.t()
#: masks as torch's layers take them; the last two have no kernel
MASKS = {
    "none": {}, "padded": {"src_key_padding_mask": PADDED}, "causal": {"src_mask": SCORES, "is_causal": True},
    "causal and padded": {"src_mask": CAUSAL, "is_causal": True, "src_key_padding_mask": PADDED},
    "window": {"src_mask": WINDOW}, "scores": {"src_mask": data(5, 5), "src_key_padding_mask": torch.zeros(
        PADDED.shape).masked_fill(PADDED, -torch.inf)},
}


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("masks", MASKS)
@pytest.mark.parametrize("first", [False, True], ids=["post", "pre"])
def test_encoder_layer(first, masks, mode):
    torch.manual_seed(0)
    plain = nn.TransformerEncoderLayer(12, 3, 20, 0.0, norm_first=first, batch_first=masks != "padded")
    own = ours.TransformerEncoderLayer(12, 3, 20, 0.0, norm_first=first, batch_first=masks != "padded")
    own.load_state_dict(plain.state_dict())
    assert repr(own) == repr(plain)
    x = data(3, 5, 12)
    alike(own, plain, mode, x if masks != "padded" else x.transpose(0, 1), **MASKS[masks])


def crossing(q, k, v, module, **how):
    return module(q, k, v, need_weights=False, **how)


ATTENTIONS = {
    "self": ({"batch_first": True}, {}), "self, sequence first": ({}, {}), "no bias": ({"bias": False}, {}),
    "crossing": ({"batch_first": True}, {}), "other widths": ({"kdim": 4, "vdim": 6}, {}),
    "keys left out": ({"batch_first": True}, {"key_padding_mask": PADDED}),
    "causal": ({"batch_first": True}, {"attn_mask": CAUSAL, "is_causal": True}),
    "a mask a head": ({"batch_first": True}, {"attn_mask": data(9, 5, 5) > 1}),
    "a row without keys": ({"batch_first": True}, {"key_padding_mask": torch.tensor([[True], [False], [False]]).expand(
        3, 5)}),
    "weights wanted": ({"batch_first": True}, {"need_weights": True}),
    "keys of its own": ({"batch_first": True, "add_bias_kv": True, "add_zero_attn": True}, {}),
}


class Own(nn.Module):
    """Self attention as one module of one input."""

    def __init__(self, module, how):
        super().__init__()
        self.module, self.how = module, {"need_weights": False, **how}

    def forward(self, q, k=None, v=None):
        return self.module(q, q if k is None else k, q if v is None else v, **self.how)


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("name", ATTENTIONS)
def test_multihead_attention(name, mode):
    options, how = ATTENTIONS[name]
    torch.manual_seed(1)
    plain = nn.MultiheadAttention(12, 3, **options)
    own = ours.MultiheadAttention(12, 3, **options)
    own.load_state_dict(plain.state_dict())
    x = data(3, 5, 12) if options.get("batch_first") else data(5, 3, 12)
    given = {"crossing": (data(3, 2, 12, seed=1), x, x + 1), "other widths": (x, data(4, 3, 4), data(4, 3, 6))}
    with PLACES[mode]():
        found = results(Own(own, how), *given.get(name, (x,)))
    wanted, exact = (results(Own(m, how), *(t.to(d) for t in given.get(name, (x,)))) for m, d in (
        (plain, torch.float32), (copy.deepcopy(plain).double(), torch.float64)))
    no_further(found, wanted, exact)


def test_dropout_is_torchs_by_its_generator():
    """One example, which torch's layer and ours have alike in memory: the same numbers are drawn."""
    torch.manual_seed(0)
    plain = nn.TransformerEncoderLayer(12, 3, 20, 0.25, batch_first=True)
    own = ours.TransformerEncoderLayer(12, 3, 20, 0.25, batch_first=True)
    own.load_state_dict(plain.state_dict())
    found = []
    for module, seed in ((own, 7), (plain, 7), (own, 8)):
        torch.manual_seed(seed)
        found.append(module(data(1, 5, 12)))
    assert (found[0] - found[1]).abs().max() < 2**-18
    assert (found[0] - found[2]).abs().max() > 2**-3


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("masks", ["none", "padded", "causal"])
def test_torchs_own_encoder_patched(masks, training):
    """With and without torch's nested tensors, which take padded tails out in evaluation."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(12, 2, 20, 0.0, batch_first=True)
    plain = nn.TransformerEncoder(layer, 2, nn.LayerNorm(12)).train(training)
    model, x = copy.deepcopy(plain), data(3, 5, 12)
    how = {"mask" if key == "src_mask" else key: t for key, t in MASKS[masks].items()}
    with torch.no_grad() if not training else contextlib.nullcontext():
        report = patch(model)
        for mode in PLACES:
            with PLACES[mode]() as sim:
                found = model(x, **how)
            assert sim is None or sim.launches or masks == "padded"
            no_further([found], [plain(x, **how)], [copy.deepcopy(plain).double()(x.double(), **how)])
        report.undo()
    assert repr(model) == repr(plain)
    assert {one.was.__name__ for one in report.changed} == {
        "TransformerEncoder", "TransformerEncoderLayer", "MultiheadAttention", "Linear", "LayerNorm"}


def test_a_hook_is_still_called():
    layer = ours.TransformerEncoderLayer(12, 3, 20, 0.0, norm_first=True, batch_first=True)
    seen = []
    for child in (layer.norm1, layer.norm2, layer.linear1, layer.linear2, layer.self_attn, layer.dropout1):
        child.register_forward_hook(lambda module, *_: seen.append(type(module).__name__))
    layer(data(1, 2, 12))
    assert sorted(seen) == ["Dropout", "LayerNorm", "LayerNorm", "Linear", "Linear", "MultiheadAttention"]


@pytest.mark.filterwarnings("ignore:.*Function.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("mode", ["torch", "composite"])
@pytest.mark.parametrize("first", [False, True], ids=["post", "pre"])
def test_one_graph(first, mode):
    torch._dynamo.reset()
    layer = ours.TransformerEncoderLayer(12, 3, 20, 0.0, norm_first=first, batch_first=True)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    with PLACES[mode]():
        for how in ({}, {"src_key_padding_mask": PADDED}):
            found = [results(one, data(3, 5, 12), **how) for one in (layer, compiled)]
            for a, b in zip(*found, strict=True):
                assert torch.equal(a, b)


@pytest.mark.parametrize("narrow", [torch.bfloat16, torch.float16])
def test_autocast(narrow):
    layer = ours.TransformerEncoderLayer(12, 3, 20, 0.0, norm_first=True, batch_first=True)
    plain = nn.TransformerEncoderLayer(12, 3, 20, 0.0, norm_first=True, batch_first=True)
    plain.load_state_dict(layer.state_dict())
    x, exact = data(3, 5, 12), copy.deepcopy(plain).double()(data(3, 5, 12).double())
    with torch.autocast("cpu", narrow):
        wanted = plain(x)
        for mode in ("torch", "kernel"):
            with PLACES[mode]():
                found = layer(x)
            assert found.dtype == wanted.dtype
            assert (found.double() - exact).norm() <= 4 * (wanted.double() - exact).norm()


Q = data(2, 3, 5, 4)
#: what no kernel takes: the sentence, and who is asked
TORCHS = {
    "dropout_p = 0.5 has no kernel": lambda f: f.scaled_dot_product_attention(Q, Q, Q, dropout_p=0.5),
    "scores to be added have no kernel": lambda f: f.scaled_dot_product_attention(Q, Q, Q, data(5, 5)),
    "attn_mask has shape (5, 5); a kernel takes one value a key": lambda f: f.scaled_dot_product_attention(
        Q, Q, Q, WINDOW),
    "heads of Q and K differ: 3 and 1": lambda f: f.scaled_dot_product_attention(Q, Q[:, :1], Q[:, :1]),
    "query, key and value have 2, 2 and 2 dimensions": lambda f: f.scaled_dot_product_attention(*[Q[0, 0]] * 3),
    "eps = 0.0; expected a number above 0": lambda f: f.layer_norm(Q, (4,), eps=0.0),
    "weight is float64, input is float32": lambda f: f.layer_norm(Q, (4,), torch.ones(4, dtype=torch.float64)),
}


@pytest.mark.parametrize("sentence", TORCHS)
def test_what_has_no_kernel_is_torchs_and_said(sentence, caplog, monkeypatch):
    launch._said.clear()
    caplog.set_level(logging.WARNING, logger="chainrule")
    torch.manual_seed(0)
    try:
        wanted = TORCHS[sentence](T)
    except (RuntimeError, TypeError, ValueError):
        with pytest.raises((TypeError, ValueError)) as caught:
            TORCHS[sentence](F)
        assert sentence in str(caught.value)
        return
    torch.manual_seed(0)
    assert torch.equal(TORCHS[sentence](F), wanted)
    assert any(sentence in record.getMessage() for record in caplog.records)
    monkeypatch.setenv("CHAINRULE_STRICT", "1")
    with simulate(), pytest.raises(RuntimeError, match="CHAINRULE_STRICT=1"):
        TORCHS[sentence](F)


def test_an_empty_batch_and_no_rows():
    """Nothing in, nothing out; the shared parameters get zeros."""
    layer = ours.TransformerEncoderLayer(12, 3, 20, 0.0, batch_first=True)
    for mode in PLACES:
        with PLACES[mode]():
            found = results(layer, data(0, 5, 12))
        assert found[0].shape == (0, 5, 12)
        assert all(not g.any() for g in found[1:])
