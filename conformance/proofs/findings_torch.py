"""Proofs of findings about the deck that show what PyTorch does: kinks, overflow, the deck's own code."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from fractions import Fraction as Q
from typing import Any

import sympy as sp
import torch
from torch import nn
from torch.nn import functional

from ... import reference, spec
from ...spec.errata import Claims, proves, states

R = reference.FUNCTIONS


def slope(f: Callable[[Any], Any], at: float) -> float:
    """torch's derivative of f at one float32 point."""
    x = torch.tensor([at], requires_grad=True)
    f(x).sum().backward()
    assert x.grad is not None
    return float(x.grad)


def finite(f: Callable[[Any], Any], at: Any) -> bool:
    """Does the call come back?"""
    try:
        f(at)
    except OverflowError:
        return False
    return True


def printed_net() -> Any:
    """The class of lines 253 to 275, executed as it stands."""
    names: dict[str, Any] = {"nn": nn, "F": functional}
    exec(spec.get("torch.net").code, names)
    return names["Net"]


@proves("E34")
def the_code_does_not_run() -> Claims:
    Net = printed_net()
    try:
        Net()(torch.zeros(1, 1, 32, 32))
        missing = ""
    except AttributeError as error:
        missing = str(error)
    yield "as printed, forward raises AttributeError: num_flat_features", "num_flat_features" in missing
    Net.num_flat_features = lambda self, x: x[0].numel()
    net = Net()
    out = net(torch.zeros(2, 1, 32, 32))
    yield "with the method supplied it makes 10 outputs from 1 × 32 × 32", out.shape == (2, 10)
    yield "it has 81,194 parameters", sum(p.numel() for p in net.parameters()) == 81_194

    def side(n: int) -> int:
        return ((n - 2) // 2 - 2) // 2

    factors = re.search(r"nn\.Linear\((\d+ \* \d+ \* \d+)", spec.get("torch.net").code)
    yield states("{} fixes the image size", factors[1] if factors else "")
    fits = [n for n in range(1, 200) if side(n) == 6]
    yield states("input {} × {} × {}, sides {} to {} fit", *torch.zeros(1, 1, 32, 32).shape[1:], fits[0], fits[-1])
    yield "16·6·6 fits sides 30 to 33 and no others", [n for n in range(1, 200) if side(n) == 6] == [30, 31, 32, 33]


@proves("E35")
def pooling_drops_a_row() -> Claims:
    x = torch.arange(169.0).reshape(1, 1, 13, 13).requires_grad_()
    pooled = functional.max_pool2d(x, 2)
    yield states("the second pooling makes {} of {}: a row and a column are dropped", pooled.shape[-1], x.shape[-1])
    yield "13 × 13 becomes 6 × 6", pooled.shape == (1, 1, 6, 6)
    pooled.sum().backward()                                         # type: ignore[no-untyped-call]
    assert x.grad is not None
    yield "the 13th row and column get no gradient, though they hold the largest values", not (
        x.grad[0, 0, 12].any() or x.grad[0, 0, :, 12].any())


@proves("E43")
def the_slope_must_not_exceed_one() -> Claims:
    leaky = spec.function("act.leaky")
    yield "max(2x, x) at −1 is −1, not the leaky −2", leaky(-1, 2) == -1
    yield "max(x/10, x) is the leaky ReLU on both sides", (leaky(-1.0, 0.1), leaky(1.0, 0.1)) == (-0.1, 1.0)
    s, at = 2, -1
    yield states("for s = {} the maximum at {} is {}, not {}; torch's default slope is {}", s, at, leaky(at, s), s * at,
                 nn.LeakyReLU().negative_slope)
    printed = float(sp.Rational(spec.get("act.leaky").defaults["slope"]))
    still = max(v for v in (0.1, 0.5, 1.0, 1.5, 2.0) if leaky(-1.0, v) == -v)
    yield states("the slope {} is also something to tune, and max(sx, x) is the leaky ReLU only for s ≤ {}", printed,
                 still)
    yield states("slope is a parameter, {} by default, at most {}", printed, still)
    yield "torch's default slope is 0.01, the slide's 0.1", nn.LeakyReLU().negative_slope == 0.01


@proves("E44")
def the_kinks_are_a_convention() -> Claims:
    def ours(id: str, *arguments: Any) -> Any:
        return spec.function(id, "stable_prime")(*arguments)

    yield "ReLU′(0): 0 here, 0 in torch's relu, ½ in torch's maximum(0, x)", (
        (ours("act.relu", 0), slope(torch.relu, 0.0), slope(lambda x: torch.maximum(torch.zeros(1), x), 0.0))
        == (0, 0.0, 0.5))
    yield states("libraries differ: {}, {} or {} for ReLU at 0; {} or α for ELU", slope(torch.relu, 0.0),
                 Q(slope(lambda x: torch.maximum(torch.zeros(1), x), 0.0)),
                 slope(lambda x: torch.where(x >= 0, x, 0 * x), 0.0), ours("act.elu", 0, 1.5))
    yield states("ReLU {}, leaky the slope, ELU {}, the first maximum", ours("act.relu", 0), ours("act.elu", 0, 1.5))
    yield "leaky′(0): the slope here and in torch; a split tie gives 0.55", (
        ours("act.leaky", 0.0, 0.5) == slope(lambda x: functional.leaky_relu(x, 0.5), 0.0) == 0.5
        and slope(lambda x: torch.maximum(0.5 * x, x), 0.0) == 0.75)
    yield "ELU′(0) for α = 1.5: the printed cases say 1, torch says 1.5", (
        (ours("act.elu", 0, 1.5), slope(lambda x: functional.elu(x, 1.5), 0.0)) == (1, 1.5))
    tie = torch.tensor([[[[1.0, 5.0], [5.0, 2.0]]]], requires_grad=True)
    functional.max_pool2d(tie, 2).sum().backward()                  # type: ignore[no-untyped-call]
    assert tie.grad is not None
    yield "max pooling: the first of two maxima gets the gradient", tie.grad.flatten().tolist() == [0, 1, 0, 0]
    yield "and so it does here", R["pool.max.index"]([[1, 5], [5, 2]]) == [[1]]


@proves("E45")
def as_printed_it_overflows() -> Claims:
    try:
        R["act.sigmoid"](-710.0)
        raised = False
    except OverflowError:
        raised = True
    yield "the printed sigmoid raises OverflowError at −710", raised
    yield "the stable form does not", spec.function("act.sigmoid", "stable")(-710.0) == math.exp(-710)
    x = torch.tensor([100.0])
    yield "the printed tanh is NaN at 100 in float32", bool(((x.exp() - (-x).exp()) / (x.exp() + (-x).exp())).isnan())
    yhat = 1 / (1 + torch.exp(-torch.tensor(17.0)))
    yield "g(17) rounds to 1 in float32: log(1 − ŷ) is −∞ and 0 · log 0 is NaN", (
        float(yhat) == 1.0 and math.isinf(float(torch.log(1 - yhat))) and math.isnan(float(0 * torch.log(1 - yhat))))
    def loss(z: int) -> float:
        return float(-torch.log(1 - 1 / (1 + torch.exp(-torch.tensor(float(z))))))

    infinite = next(z for z in range(100) if math.isinf(loss(z)))
    overflows = next(z for z in range(0, -2000, -10) if not finite(lambda z: R["act.sigmoid"](float(z)), z))
    yield states("sigmoid({}) raises, tanh({}) is NaN in float32, the loss is infinite from z ≈ {}", overflows,
                 int(x), infinite)
    yield states("{} · log {} = {}", 0, 0, spec.function("loss.xent", "stable")(0.0, 0.0))
    yield "from the logit the loss is 17.00000004", (
        f"{spec.function('loss.xent.logits', 'stable')(17.0, 0.0):.8f}" == "17.00000004")


@proves("E46")
def the_intermediate_line_is_zero_over_zero() -> Claims:
    s = sp.Symbol("a")
    yield states("divides by {} and by {}", s, sp.denom(sp.diff(-sp.log(1 - s), s)))
    a = 1 / (1 + torch.exp(-torch.tensor(20.0)))
    yield states("it is {}/{} in floating point where y − a is exact", *(float(1 - a) * v for v in (1.0, 1.0)))
    prime = a * (1 - a)
    line_1476 = 1.0 / a * prime - (1 - 1.0) / (1 - a) * prime
    yield "line 1476 at z = 20, y = 1 is NaN in float32", math.isnan(float(line_1476))
    yield "line 1512, y − a, is 0 there", float(1.0 - a) == 0.0


