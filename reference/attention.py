"""The vision transformer the deck shows (lines 2018–2023; its figure is lost).

Sources: Vaswani et al., Attention Is All You Need, 2017, §3.2 · Dosovitskiy et al., An Image Is Worth 16×16
Words, 2021, equations 1–4. Tokens are lists; every Θ has its intercepts in slot 0, as in `backprop`.
"""

from __future__ import annotations

from typing import Any

from chainrule.scalar import sqrt

from .backprop import Activation, layer, linear, net_input
from .ids import implements
from .lists import Image, Matrix, Scalar, Vector, same, sizes
from .losses import softmax
from .networks import residual
from .normalization import layer_norm


@implements("attn.head")
def attention(Q: Matrix, K: Matrix, V: Matrix, scale: Scalar = None) -> Matrix:
    """attn.head   o_s = Σ_t softmax_t(c q_s · k_t) v_t,   c = 1/√d unless `scale` says otherwise"""
    (S, d), (T, dk), (Tv, width) = sizes(Q, 2, "queries Q"), sizes(K, 2, "keys K"), sizes(V, 2, "values V")
    same("widths of queries and keys", d, dk)
    same("numbers of keys and values", T, Tv)
    c = 1 / sqrt(d) if scale is None else scale
    P = [softmax([c * sum(Q[s][e] * K[t][e] for e in range(d)) for t in range(T)]) for s in range(S)]
    return [[sum(P[s][t] * V[t][e] for t in range(T)) for e in range(width)] for s in range(S)]


@implements("attn.multi")
def multi_head(tokens: Matrix, heads: list[Any], Theta_out: Matrix, scale: Scalar = None) -> Matrix:
    """attn.multi   Θ_out [head_1; …; head_H],   head_h = attn.head(Θ_Q x, Θ_K x, Θ_V x)"""
    outputs = [attention(each(Theta_Q, tokens), each(Theta_K, tokens), each(Theta_V, tokens), scale)
               for Theta_Q, Theta_K, Theta_V in heads]
    return each(Theta_out, [[v for o in outputs for v in o[s]] for s in range(len(tokens))])


def each(Theta: Matrix, tokens: Matrix) -> Matrix:
    """Θ applied to every token."""
    return [linear(Theta, net_input(token)) for token in tokens]


@implements("vit.patches")
def patches(x: Image, P: int) -> Matrix:
    """vit.patches   the image cut into P × P patches, row by row, each a vector of its x(c, p, q)"""
    channels, H, W = sizes(x, 3, "image x")
    if P < 1 or H % P or W % P:
        raise ValueError(f"vit.patches: an image of {H} × {W} does not divide into patches of {P} × {P}")
    return [[x[c][i + m][j + n] for c in range(channels) for m in range(P) for n in range(P)]
            for i in range(0, H, P) for j in range(0, W, P)]


@implements("vit.embed")
def embed(patch: Matrix, Theta: Matrix, token: Vector, position: Matrix) -> Matrix:
    """vit.embed   z_0 = [class token; Θ x_1; …; Θ x_N] + positions"""
    z = [token, *each(Theta, patch)]
    same("shapes of tokens and positions", sizes(z, 2, "tokens"), sizes(position, 2, "positions"))
    return [[z[s][e] + position[s][e] for e in range(len(token))] for s in range(len(z))]


@implements("vit.block")
def vit_block(z: Matrix, p: dict[str, Any], g: Activation, eps: Scalar) -> Matrix:
    """vit.block   z' = MSA(LN(z)) + z,   z″ = MLP(LN(z')) + z'

    p holds norm1 and norm2 = (γ, β), heads = [(Θ_Q, Θ_K, Θ_V), …], out, mlp1 and mlp2, with g between these.
    """
    attended = multi_head(normalized(z, p["norm1"], eps), p["heads"], p["out"], p.get("scale"))
    z = [residual(z[s], attended[s]) for s in range(len(z))]
    normed = normalized(z, p["norm2"], eps)
    mlp = [linear(p["mlp2"], layer(p["mlp1"], net_input(token), g)) for token in normed]
    return [residual(z[s], mlp[s]) for s in range(len(z))]


def normalized(tokens: Matrix, norm: tuple[Vector, Vector], eps: Scalar) -> Matrix:
    """norm.layer of every token, norm = (γ, β)"""
    gamma, beta = norm
    return [layer_norm(token, gamma, beta, eps) for token in tokens]


@implements("vit")
def vit(x: Image, p: dict[str, Any], g: Activation, eps: Scalar) -> Vector:
    """vit   ŷ = Θ_head LN(z_L)[class],   z_l = block(z_{l−1}),   z_0 = embed(patches(x))"""
    z = embed(patches(x, p["patch"]), p["embed"], p["token"], p["position"])
    for block in p["blocks"]:
        z = vit_block(z, block, g, eps)
    return linear(p["head"], net_input(normalized(z, p["norm"], eps)[0]))
