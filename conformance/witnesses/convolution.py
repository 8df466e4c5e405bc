"""Witnesses of layers, convolutions, pooling and counts: torch's layers, and numbers worked by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import torch
import torch.nn.functional as F

from ...reference.activations import sigmoid, tanh
from .row import Witness, numbers, tensor

SQUARE = numbers(5, 5)
WIDE = numbers(3, 5)
V = numbers(5, seed=1)
THETA3, THETA4 = numbers(3, seed=2), numbers(4, seed=3)
IMAGE, FILTER = numbers(5, 7), numbers(2, 3)
STACK, FILTERS = numbers(3, 6, 5), numbers(4, 3, 3, 2)          # channels first, as torch has them
GROUPED = numbers(4, 2, 3, 2, seed=5)
FOUR = numbers(4, 6, 5, seed=6)
INTERCEPTS = numbers(4, seed=7)
TIES = [[1.0, 2.0, 2.0, 0.0, 9.0], [2.0, 1.0, 3.0, 3.0, 9.0],
        [0.0, 0.0, -1.0, -2.0, 9.0], [0.0, 0.0, -2.0, -1.0, 9.0]]
NANS = [[1.0, float("nan"), 2.0, 5.0], [0.0, 7.0, 4.0, float("nan")], [3.0, 1.0, 1.0, 1.0]]


def conv1d(theta: list[float], x: list[float], padding: int = 0) -> torch.Tensor:
    return F.conv1d(tensor([[x]]), tensor([[theta]]), padding=padding)[0, 0]


def conv2d(x: Any, K: Any, b: Any = None, **how: Any) -> Any:
    return F.conv2d(tensor([x]), tensor(K), None if b is None else tensor(b), **how)[0].tolist()


def pool(x: Any, *how: Any, index: bool = False) -> Any:
    value, at = F.max_pool2d(tensor([x]), *how, return_indices=True)
    return (at if index else value)[0].tolist()


def channels_last(x: Any) -> Any:
    """(…, c, p, q) as the slide stacks it: (…, p, q, c)"""
    return tensor(x).movedim(-3, -1).tolist()


def parameters(*modules: torch.nn.Module) -> int:
    return sum(p.numel() for m in modules for p in m.parameters())


def banded(n: int, m: int) -> int:
    """Entries of a band matrix of ones."""
    return int(torch.ones(n, n).triu(-(m // 2)).tril(m // 2).sum())


def convolution_matrix(theta: list[float], n: int) -> Any:
    """Column j of the matrix is torch's padded convolution of the j-th unit vector."""
    columns = [conv1d(theta, unit, (len(theta) - 1) // 2) for unit in torch.eye(n).tolist()]
    return torch.stack(columns, 1).tolist()


def windows(x: list[float], m: int) -> Any:
    """What every node sees: torch's unfolded, padded vector, one row of m per node."""
    return F.pad(tensor(x), (m // 2, m // 2)).unfold(0, m, 1)


def tridiagonal(Theta: Any) -> Any:
    return tensor(Theta).triu(-1).tril(1)


def pooled(x: Any, *how: Any) -> list[Witness]:
    """Value and index of one pooling."""
    return [*(Witness(id, (x, *how), lambda: pool(x, *how)) for id in ("pool.max", "pool.max.layer")),
            *(Witness(id, (x, *how), lambda: pool(x, *how, index=True))
              for id in ("pool.max.index", "pool.max.layer.index"))]


def by_hand(id: str, expected: Any, *arguments: Any) -> Witness:
    return Witness(id, arguments, lambda: expected)


ROWS = [
    Witness("fc.node", (WIDE, V, 1, sigmoid),
            lambda: float(torch.sigmoid(F.linear(tensor(V), tensor(WIDE)))[1])),
    Witness("fc.layer", (WIDE, V, sigmoid),
            lambda: torch.sigmoid(F.linear(tensor(V), tensor(WIDE))).tolist()),
    Witness("fc.layer", (WIDE, V), lambda: F.linear(tensor(V), tensor(WIDE)).tolist()),
    Witness("fc.matrix", (WIDE,), lambda: tensor(WIDE).tolist()),
    Witness("local.matrix", (SQUARE,), lambda: tridiagonal(SQUARE).tolist()),
    Witness("arch.local", (SQUARE, V, sigmoid),
            lambda: torch.sigmoid(F.linear(tensor(V), tridiagonal(SQUARE))).tolist()),
    *(Witness("arch.local.layer", (x, band, b, sigmoid), lambda x=x, band=band, b=b: torch.sigmoid(  # type: ignore[misc]
        torch.einsum("nm,nm->n", windows(x, len(band[0])), tensor(band)) + tensor(b)).tolist())
      for x, band, b in ((V, numbers(5, 3), V[::-1]), (THETA4, numbers(4, 5, seed=8), INTERCEPTS),
                         (THETA3, numbers(3, 9), THETA3), ([2.5], [[1.5]], [0.25]))),
    Witness("arch.shared.layer", (V, THETA3, 0.75, sigmoid),
            lambda: torch.sigmoid(conv1d(THETA3, V, 1) + 0.75).tolist()),
    Witness("arch.shared.layer", (THETA4, V, -1.5), lambda: (conv1d(V, THETA4, 2) - 1.5).tolist()),
    Witness("conv1d.matrix", (THETA3, 5), lambda: convolution_matrix(THETA3, 5)),
    Witness("conv1d.matrix", (V, 4), lambda: convolution_matrix(V, 4)),
    *(Witness(id, (THETA3, V, sigmoid), lambda: torch.sigmoid(conv1d(THETA3, V, 1)).tolist())
      for id in ("arch.shared", "cnn.as.fc", "conv1d.centred")),
    Witness("conv1d.centred", (V, THETA4), lambda: conv1d(V, THETA4, 2).tolist()),
    Witness("conv1d.valid", (THETA3, V), lambda: conv1d(THETA3, V).tolist()),
    Witness("conv1d.valid", (THETA4, V), lambda: conv1d(THETA4, V).tolist()),
    Witness("conv2d.valid", (IMAGE, FILTER), lambda: conv2d([IMAGE], [[FILTER]])[0]),
    by_hand("ex.conv1d", [2, 1, 1]),
    by_hand("ex.conv2d", [[4, 3, 4], [2, 4, 3], [2, 3, 4]]),
    Witness("stack.one", (channels_last(STACK), channels_last(FILTERS[1])),
            lambda: conv2d(STACK, FILTERS)[1]),
    Witness("stack.many", (channels_last(STACK), [channels_last(K) for K in FILTERS]),
            lambda: channels_last(conv2d(STACK, FILTERS))),
    Witness("conv2d.layer", (STACK, FILTERS), lambda: conv2d(STACK, FILTERS)),
    Witness("conv2d.layer", (STACK, FILTERS, INTERCEPTS, (2, 1), (1, 2), (2, 3)),
            lambda: conv2d(STACK, FILTERS, INTERCEPTS, stride=(2, 1), padding=(1, 2), dilation=(2, 3))),
    Witness("conv2d.layer.pool", (STACK, FILTERS, INTERCEPTS),
            lambda: F.max_pool2d(tensor(conv2d(STACK, FILTERS, INTERCEPTS)), 2).tolist()),
    Witness("conv2d.layer.pool", (STACK, FILTERS, INTERCEPTS, 1, (1, 2), 1, 1, tanh, (2, 3)), lambda: F.max_pool2d(
        torch.tanh(tensor(conv2d(STACK, FILTERS, INTERCEPTS, padding=(1, 2)))), (2, 3)).tolist()),
    Witness("conv2d.layer", (FOUR, GROUPED, INTERCEPTS, 1, 1, 1, 2),
            lambda: conv2d(FOUR, GROUPED, INTERCEPTS, padding=1, groups=2)),
    Witness("conv2d.depthwise", (STACK, [K[1] for K in FILTERS[:3]], 2),
            lambda: conv2d(STACK, [[K[1]] for K in FILTERS[:3]], stride=2, groups=3)),
    *(Witness("conv2d.transposed", (STACK, [[K[0], K[1]] for K in FILTERS[:3]], S), lambda S=S: F.conv_transpose2d(  # type: ignore[misc]
        tensor([STACK]), tensor([[K[0], K[1]] for K in FILTERS[:3]]), stride=S)[0].tolist()) for S in (1, 2)),
    *pooled(IMAGE, 2), *pooled(TIES, 2), *pooled(TIES, (2, 3), (1, 2), (1, 0)),
    *pooled(NANS, 2), *pooled(NANS, 2, 1),
    *pooled(IMAGE, 3, (2, 1), (1, 0), (2, 3)), *pooled(IMAGE, (3, 2), None, (1, 1)),
    Witness("pool.global", ([IMAGE, IMAGE[::-1]],), lambda: F.adaptive_avg_pool2d(
        tensor([IMAGE, IMAGE[::-1]]), 1)[:, 0, 0].tolist()),
    *(Witness("pool.mean", (IMAGE, *how, s), lambda how=how, s=s: F.avg_pool2d(tensor([IMAGE]), how, s)[0].tolist())  # type: ignore[misc]
      for how, s in (((2, 3), 2), ((1, 2), 1), ((3, 1), 3))),
    Witness("pool.flatten", (STACK,), lambda: torch.flatten(tensor(STACK)).tolist()),
    by_hand("filter.edge1", [[1, 0, -1], [0, 0, 0], [-1, 0, 1]]),
    by_hand("filter.edge2", [[0, 1, 0], [1, -4, 1], [0, 1, 0]]),
    by_hand("filter.edge3", [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]]),
    by_hand("filter.sharpen", [[0, -1, 0], [-1, 5, -1], [0, -1, 0]]),
    by_hand("filter.box", [[Fraction(1, 9)] * 3] * 3),
    by_hand("filter.gauss", [[Fraction(n, 16) for n in row] for row in ([1, 2, 1], [2, 4, 2], [1, 2, 1])]),
    Witness("fc.params.total", ([7, 5, 4, 2],), lambda: parameters(
        *(torch.nn.Linear(n, m, bias=False) for n, m in ((7, 5), (5, 4), (4, 2))))),
    Witness("fc.params.total.corrected", ([7, 5, 4, 2],), lambda: parameters(
        *(torch.nn.Linear(n, m) for n, m in ((7, 5), (5, 4), (4, 2))))),
    Witness("fc.params", (5,), lambda: parameters(torch.nn.Linear(5, 5, bias=False))),
    Witness("local.params", (5,), lambda: banded(5, 3)),
    Witness("local.params", (9,), lambda: banded(9, 3)),
    *(Witness("arch.local.params", size, lambda size=size: banded(*size))                   # type: ignore[misc]
      for size in ((5, 3), (9, 5), (4, 7), (3, 7), (6, 1))),
    by_hand("conv1d.params", 3),
    Witness("conv1d.params", (5,), lambda: parameters(torch.nn.Conv1d(1, 1, 5, bias=False))),
    Witness("conv1d.valid.shape", (9, 4), lambda: len(conv1d([0.0] * 4, [0.0] * 9))),
    by_hand("stack.shape", (27, 27, 64), 32, 6),
    by_hand("stack.64", (27, 27, 64), 32, 6, 64),
    Witness("stack.params", (6, 3, 64), lambda: parameters(torch.nn.Conv2d(3, 64, 6, bias=False))),
    by_hand("claim.fc16e9", 16 * 10**9),
    by_hand("claim.local40e6", 40 * 10**6),
]
