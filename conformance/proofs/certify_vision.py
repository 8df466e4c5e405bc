"""One block of the vision transformer, certified whole: every partial derivative, from the derived Python alone.

The backward pass below is the chain rule over the block's parts; each of its factors is a derived gradient. Where two
paths meet, at the residual sums and where Q, K and V come from one token, their deltas are added.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from chainrule import reference
from chainrule.spec.derivations import derived
from chainrule.spec.field import Certificate, Field, draw

from .claim import Functions, Numbers, flat, rebuild

Parameters = dict[str, Any]


@frozen
class Block:
    """So many tokens of so many numbers, heads of equal width, hidden nodes."""

    tokens: int = 9
    width: int = 8
    heads: int = 2
    hidden: int = 16

    def parameters(self) -> Parameters:
        """Zeros of every parameter's shape, the tokens themselves among them."""
        D, H, F = self.width, self.width // self.heads, self.hidden
        return {
            "z": [[0] * D for _ in range(self.tokens)], "norm1": ([0] * D, [0] * D), "norm2": ([0] * D, [0] * D),
            "heads": [tuple(_theta(H, D) for _ in range(3)) for _ in range(self.heads)], "out": _theta(D, D),
            "mlp1": _theta(F, D), "mlp2": _theta(D, F)}


def _theta(rows: int, columns: int) -> Numbers:
    return [None, *([0] * (columns + 1) for _ in range(rows))]


def filled(like: Any, numbers: Any) -> Any:
    """Parameters of the same shapes, their numbers in order."""
    if isinstance(like, dict):
        return {name: filled(one, numbers) for name, one in like.items()}
    return rebuild(like, numbers)


def in_order(p: Parameters) -> list[Any]:
    return [v for one in p.values() for v in flat(one)]


def added(a: Numbers, b: Numbers) -> Numbers:
    if isinstance(a, list | tuple):
        return [added(x, y) for x, y in zip(a, b, strict=True)]
    return None if a is None else a + b


def summed(parts: list[Numbers]) -> Numbers:
    total, *rest = parts
    for one in rest:
        total = added(total, one)
    return total


def through(Theta: Numbers, delta: Numbers, a: Numbers) -> tuple[Numbers, Numbers]:
    """(∂Θ, ∂a) of Θ applied to every token: net.out.linear.grad_Theta, added over the tokens, and …grad_a."""
    inputs = [[1, *token] for token in a]
    errors = [[None, *row] for row in delta]
    to_theta = derived("net.out.linear.grad_Theta")
    back = derived("net.out.linear.grad_a")
    return (summed([to_theta(d, x) for d, x in zip(errors, inputs)]),
            [back(d, Theta)[1:] for d in errors])


def normed(norm: Numbers, delta: Numbers, z: Numbers, eps: Any) -> tuple[Numbers, Numbers]:
    """((∂γ, ∂β), ∂z) of the layer norm of every token."""
    gamma = summed([derived("norm.layer.grad_gamma")(d, x, eps) for d, x in zip(delta, z)])
    beta = summed([derived("norm.layer.grad_beta")(d) for d in delta])
    return (gamma, beta), [derived("norm.layer.grad_x")(d, x, norm[0], eps) for d, x in zip(delta, z)]


def attended(p: Parameters, c: Any, delta: Numbers, y: Numbers, f: Functions) -> tuple[Numbers, Numbers, Numbers]:
    """(∂heads, ∂out, ∂y) of the attention of y: attn.head.grad_Q, …K, …V in every head."""
    made = [[_each(f, Theta, y) for Theta in head] for head in p["heads"]]
    outputs = [f["attn.head"](*head, c) for head in made]
    width = len(outputs[0][0])
    d_out, d_beside = through(p["out"], delta, [[v for o in outputs for v in o[s]] for s in range(len(y))])
    heads, to_y = [], []
    for h, (Q, K, V) in enumerate(made):
        d = [row[h * width:(h + 1) * width] for row in d_beside]
        three = (derived("attn.head.grad_Q")(d, Q, K, V, c), derived("attn.head.grad_K")(d, Q, K, V, c),
                 derived("attn.head.grad_V")(d, Q, K, c))
        found = [through(Theta, one, y) for Theta, one in zip(p["heads"][h], three)]
        heads.append(tuple(theta for theta, _ in found))
        to_y += [back for _, back in found]
    return heads, d_out, summed(to_y)


def _each(f: Functions, Theta: Numbers, tokens: Numbers) -> Numbers:
    return [f["net.out.linear"](Theta, [1, *token]) for token in tokens]


def block_gradient(f: Functions, p: Parameters, c: Any, eps: Any, delta: Numbers) -> Parameters:
    """∂/∂(every parameter and every number of every token), behind vit.block with ReLU."""
    y = [f["norm.layer"](token, *p["norm1"], eps) for token in p["z"]]
    z1 = added(p["z"], f["attn.multi"](y, p["heads"], p["out"], c))
    y2 = [f["norm.layer"](token, *p["norm2"], eps) for token in z1]
    hidden = _each(f, p["mlp1"], y2)
    d_mlp2, back = through(p["mlp2"], delta, [[f["act.relu"](v) for v in row] for row in hidden])
    prime = derived("act.relu.prime")
    back = [[d * prime(v) for d, v in zip(*rows)] for rows in zip(back, hidden)]
    d_mlp1, back = through(p["mlp1"], back, y2)
    d_norm2, back = normed(p["norm2"], back, z1, eps)
    past = added(delta, back)
    d_heads, d_out, back = attended(p, c, past, y, f)
    d_norm1, back = normed(p["norm1"], back, p["z"], eps)
    return {"z": added(past, back), "norm1": d_norm1, "norm2": d_norm2, "heads": d_heads, "out": d_out,
            "mlp1": d_mlp1, "mlp2": d_mlp2}


def certify_block(block: Block | None = None, seed: int = 0, functions: Functions | None = None) -> Certificate:
    """All partial derivatives of a random Σ b y + q y² behind vit.block at a random point; true if each is right."""
    like = (block or Block()).parameters()
    f = {**reference.FUNCTIONS, **(functions or {})}
    with Field(seed) as field:
        c, eps = draw(field.random), draw(field.random)
        weights = [(draw(field.random), draw(field.random)) for _ in flat(like["z"])]

    def outputs(p: Parameters) -> Numbers:
        return f["vit.block"](p["z"], {**p, "scale": c}, f["act.relu"], eps)

    def loss(numbers: list[Any]) -> Any:
        return sum(b * y + q * y * y for (b, q), y in zip(weights, flat(outputs(filled(like, iter(numbers))))))

    def gradient(numbers: list[Any]) -> list[Any]:
        p = filled(like, iter(numbers))
        y = outputs(p)
        delta = rebuild(y, iter([b + 2 * q * v for (b, q), v in zip(weights, flat(y))]))
        found = block_gradient(f, p, c, eps, delta)
        return in_order({name: found[name] for name in like})

    return Certificate(loss, len(in_order(like)), gradient, seed, formal_roots=True)
