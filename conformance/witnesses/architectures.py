"""Witnesses of attention, the vision transformer and the convolutional networks: torch's layers."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import torch
import torch.nn.functional as F

from ...reference.activations import relu, tanh
from ...reference.networks import LENET, NET, build
from .row import Witness, numbers, tensor

EPS = 2.0**-10
GAMMA, BETA = numbers(4, seed=1), numbers(4, seed=2)
TOKENS = numbers(3, 4, seed=5, scale=0.25)
Q, K, V = numbers(3, 4, scale=0.25), numbers(5, 4, seed=1, scale=0.25), numbers(5, 2, seed=2)


def tensors(parts: Any) -> tuple[Any, Any]:
    """(K, b)"""
    K, b = parts
    return tensor(K), tensor(b)


def weight_bias(Theta: list[Any]) -> tuple[Any, Any]:
    """Θ of the deck as torch's weight and bias."""
    rows = tensor(Theta[1:])
    return rows[:, 1:], rows[:, 0]


def connected(n_out: int, n_in: int, seed: int) -> list[Any]:
    return [None, *numbers(n_out, n_in + 1, seed=seed, scale=0.25)]


HEADS = [tuple(connected(2, 4, seed) for seed in (h, h + 1, h + 2)) for h in (10, 20)]
BLOCK: dict[str, Any] = {"norm1": (GAMMA, BETA), "norm2": (BETA, GAMMA), "heads": HEADS,
                         "out": connected(4, 4, 30), "mlp1": connected(6, 4, 31), "mlp2": connected(4, 6, 32)}
PICTURE = numbers(2, 4, 6, seed=8)
VIT: dict[str, Any] = {"patch": 2, "embed": connected(4, 8, 33), "token": numbers(4, seed=34),
                       "position": numbers(7, 4, seed=35), "blocks": [BLOCK, BLOCK],
                       "norm": (GAMMA, BETA), "head": connected(3, 4, 36)}


def multi_head(x: torch.Tensor) -> Any:
    """torch.nn.MultiheadAttention holding our heads: its rows are the heads' rows, one after another."""
    attention = torch.nn.MultiheadAttention(4, 2, batch_first=True, dtype=torch.float64)
    packed = [torch.cat(parts) for kind in zip(*HEADS) for parts in zip(*map(weight_bias, kind))]
    weight, bias = weight_bias(BLOCK["out"])
    attention.load_state_dict({"in_proj_weight": torch.cat(packed[0::2]),
                               "in_proj_bias": torch.cat(packed[1::2]),
                               "out_proj.weight": weight, "out_proj.bias": bias})
    with torch.no_grad():
        return tensor(attention(x[None], x[None], x[None], need_weights=False)[0][0].tolist())


def layer_norm(x: torch.Tensor, norm: Any) -> Any:
    return F.layer_norm(x, (4,), tensor(norm[0]), tensor(norm[1]), EPS)


def block(z: torch.Tensor) -> Any:
    z = z + multi_head(layer_norm(z, BLOCK["norm1"]))
    h = torch.relu(F.linear(layer_norm(z, BLOCK["norm2"]), *weight_bias(BLOCK["mlp1"])))
    return z + F.linear(h, *weight_bias(BLOCK["mlp2"]))


def patches() -> Any:
    return F.unfold(tensor([PICTURE]), 2, stride=2)[0].T


def embedded() -> Any:
    tokens = F.linear(patches(), *weight_bias(VIT["embed"]))
    return torch.cat([tensor([VIT["token"]]), tokens]) + tensor(VIT["position"])


def vit() -> Any:
    z = layer_norm(block(block(embedded())), VIT["norm"])
    return F.linear(z[0], *weight_bias(VIT["head"])).tolist()


def network(p: dict[str, Any], x: Any, act: Callable[..., torch.Tensor] = torch.relu) -> Any:
    a = tensor([x])
    for conv in ("conv1", "conv2"):
        a = F.max_pool2d(act(F.conv2d(a, *tensors(p[conv]))), 2)
    a = a.flatten(1)
    for fc in ("fc1", "fc2"):
        a = act(F.linear(a, *weight_bias(p[fc])))
    return F.linear(a, *weight_bias(p["fc3"]))[0].tolist()


def small(shapes: dict[str, tuple[int, ...]], **widths: tuple[int, ...]) -> dict[str, Any]:
    """Parameters of a narrow twin of the network: the same layers, fewer units."""
    draw = (((7 * k + 3) % 31 - 15) / 16 for k in count())
    return build({**shapes, **widths}, draw)


NARROW = small(NET, conv1=(2, 1, 3, 3), conv2=(3, 2, 3, 3), fc1=(5, 12), fc2=(4, 5), fc3=(3, 4))
NARROW_LENET = small(LENET, conv1=(2, 1, 5, 5), conv2=(2, 2, 5, 5), fc1=(4, 8), fc2=(3, 4), fc3=(2, 3))
DIGIT, LETTER = numbers(1, 14, 15, seed=40, scale=0.25), numbers(1, 20, 21, seed=41, scale=0.125)
CONV_A, CONV_B = ((numbers(2, 2, 3, 3, seed=s, scale=0.25), numbers(2, seed=s)) for s in (50, 51))


def residual_block() -> Any:
    x = tensor([PICTURE])
    h = torch.relu(F.conv2d(x, *tensors(CONV_A), padding=1))
    return torch.relu(F.conv2d(h, *tensors(CONV_B), padding=1) + x)[0].tolist()


ROWS = [
    Witness("attn.head", (Q, K, V),
            lambda: F.scaled_dot_product_attention(tensor(Q), tensor(K), tensor(V)).tolist()),
    Witness("attn.head", (Q, K, V, 0.75),
            lambda: F.scaled_dot_product_attention(tensor(Q), tensor(K), tensor(V), scale=0.75).tolist()),
    Witness("attn.multi", (TOKENS, HEADS, BLOCK["out"]), lambda: multi_head(tensor(TOKENS)).tolist()),
    Witness("vit.patches", (PICTURE, 2), lambda: patches().tolist()),
    Witness("vit.embed", (patches().tolist(), VIT["embed"], VIT["token"], VIT["position"]),
            lambda: embedded().tolist()),
    Witness("vit.block", (TOKENS, BLOCK, relu, EPS), lambda: block(tensor(TOKENS)).tolist()),
    Witness("vit", (PICTURE, VIT, relu, EPS), vit),
    Witness("net.residual", (GAMMA, BETA), lambda: (tensor(GAMMA) + tensor(BETA)).tolist()),
    Witness("net.residual.block", (PICTURE, CONV_A, CONV_B), residual_block),
    Witness("torch.net", (NARROW, DIGIT), lambda: network(NARROW, DIGIT)),
    Witness("lenet", (NARROW_LENET, LETTER), lambda: network(NARROW_LENET, LETTER)),
    Witness("lenet", (NARROW_LENET, LETTER, tanh), lambda: network(NARROW_LENET, LETTER, torch.tanh)),
]
