"""A whole vision transformer, every kernel judged where it runs; kernels broken there; anybody's functions in it."""

from __future__ import annotations

import pytest
import torch

from chainrule.conformance.simulator import simulate
from chainrule.conformance.training.chains import ChainFault
from chainrule.conformance.watched import watched
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn
from chainrule.triton_kernels.attention import kernels as attention
from chainrule.triton_kernels.attention import recalled
from chainrule.triton_kernels.layers import kernels as layers
from chainrule.triton_kernels.norms import layer as norms


def data(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def transformer(dtype=torch.float32, **how):
    torch.manual_seed(0)
    return nn.VisionTransformer((6, 9), 3, 1, 2, 8, 16, num_classes=3, in_channels=2, dtype=dtype, **how)


def step(net, dtype=torch.float32):
    loss = F.cross_entropy(net(data(2, 2, 6, 9).to(dtype).requires_grad_()), torch.tensor([2, 0]))
    loss.backward()


NODE = {"vit.embed", "vit.embed.grad_patch", "vit.embed.grad_Theta", "vit.embed.grad_position",
        "vit.embed.grad_token", "norm.layer", "norm.layer.grad_x", "norm.layer.grad_gamma", "attn.head",
        *(f"attn.head.grad_{letter}" for letter in "QKV"), "alg.average, inputs made again", "bp.delta.chain",
        "net.layer.affine, and what is added"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_every_launch_of_a_whole_transformer_is_judged(dtype):
    net = transformer(dtype)
    with simulate() as sim, watched() as judged:
        step(net, dtype)
    assert judged.launches == sim.launches
    assert set(judged.calls) >= NODE
    assert 0 < judged.fraction <= 1


def test_its_parts_one_by_one_are_judged_too():
    """Norm last, a padded key, causal: what the layer asks for where it is no one node; and softmax."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 12, 0.0, "gelu", batch_first=True)
    padding = torch.tensor([[False, False, True], [True, True, True]])
    with simulate() as sim, watched() as judged:
        x = data(2, 3, 8).requires_grad_()
        F.softmax(layer(x, src_key_padding_mask=padding), -1).square().sum().backward()
        q, k, v = (data(1, 2, 4, n, seed=n).requires_grad_() for n in (5, 5, 6))
        F.scaled_dot_product_attention(q, k, v, is_causal=True).square().sum().backward()
        F.layer_norm(x, (8,)).sum().backward()
    assert judged.launches == sim.launches
    assert set(judged.calls) >= {"attn.head", "act.softmax", "act.softmax.prime", "norm.layer, x + added"}


def scaled(by, which=None):
    """A function whose results, or the one named, are off by a factor."""
    def wrong(original):
        def run(*args, **kwargs):
            found = original(*args, **kwargs)
            if isinstance(found, tuple):
                return tuple(by * t if i == which else t for i, t in enumerate(found))
            return by * found
        return run
    return wrong


@pytest.mark.parametrize(("module", "function", "which", "named"), [
    (norms, "forward", 0, "norm.layer"), (norms, "forward", 1, "norm.mean"), (norms, "forward", 2, "norm.variance"),
    (norms, "forward", 3, r"norm.layer, x \+ added"), (norms, "gradients", 0, "norm.layer.grad_x"),
    (norms, "gradients", 1, "norm.layer.grad_gamma"), (attention, "forward", 0, "attn.head"),
    (attention, "forward", 1, "attn.head, log Σ"), (attention, "packed_backward", None, "attn.head.grad_Q"),
    (recalled, "gradients", 0, "bp.delta.chain"), (recalled, "gradients", 1, "alg.average, inputs made again"),
    (recalled, "gradients", 2, "alg.average, Σ δ"),
    (layers, "affine_added", None, "net.layer.affine, and what is added"),
])
def test_a_kernel_broken_in_the_block_is_named(module, function, which, named, monkeypatch):
    monkeypatch.setattr(module, function, scaled(1 + 2.0**-12, which)(getattr(module, function)))
    net = transformer()
    with simulate(check=False), watched(), pytest.raises(ChainFault, match=rf"^{named}/chain/call \d+: .*the bound"):
        step(net)


def norm(x, gamma, beta, eps):
    return torch.nn.functional.layer_norm(x.double(), x.shape[1:], gamma.double(), beta.double(), eps).to(x.dtype)


def heads(Q, K, V, scale):
    return torch.nn.functional.scaled_dot_product_attention(
        Q.double(), K.double(), V.double(), scale=scale).to(Q.dtype)


THEIRS = {"norm.layer": norm, "attn.head": heads}


def test_anybodys_norm_and_attention_run_in_it():
    with watched("host", THEIRS) as judged:
        step(transformer())
    assert judged.calls["norm.layer"] == 3
    assert judged.calls["attn.head"] == 1


@pytest.mark.parametrize(("id", "wrong"), [
    ("norm.layer", lambda x, gamma, beta, eps:
        gamma * (x - x.mean(1, True)) / (x.var(1, keepdim=True) + eps).sqrt() + beta),
    ("attn.head", lambda Q, K, V, scale: heads(Q, K, V, 2 * scale)),
])
def test_somebodys_wrong_function_is_named_where_it_runs(id, wrong):
    with watched("host", {**THEIRS, id: wrong}), pytest.raises(ChainFault, match=rf"^{id}/chain/call \d+: "):
        step(transformer())
