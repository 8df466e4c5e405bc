"""The pictures themselves: each is computed by the reference, then drawn."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

from ..reference import FUNCTIONS, backprop
from ..reference.__main__ import NETWORK
from ..reference.examples import I, K, example_conv2d
from ..spec.derivations import derived
from .pictures import BLUE, GREEN, INK, RED, SOFT, VIOLET, picture


def prime_of(name: str) -> Callable[..., Any]:
    """The derivative of an activation: printed, or derived."""
    return FUNCTIONS.get(f"act.{name}.prime") or derived(f"act.{name}.prime")


ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky", "elu")
PARAMETERS: dict[str, dict[str, float]] = {"leaky": {"slope": 0.1}, "elu": {"alpha": 1.0}}


@picture("activations", "Activations and their derivatives",
         "Each activation (line) and its derivative (dashes). A sigmoid's derivative is at most a quarter; those "
         "with a corner have two slopes there, and the deck does not say which one counts.",
         tuple(f"act.{name}{prime}" for name in ACTIVATIONS for prime in ("", ".prime")), (9.4, 2.5))
def activations(figure: Any) -> None:
    z = [i / 20 for i in range(-80, 81)]
    for axis, name in zip(figure.subplots(1, 5, sharey=True), ACTIVATIONS, strict=True):
        g, prime = FUNCTIONS[f"act.{name}"], prime_of(name)
        given = PARAMETERS.get(name, {})
        axis.axhline(0, color=SOFT, linewidth=0.6)
        axis.axvline(0, color=SOFT, linewidth=0.6)
        axis.plot(z, [g(x, **given) for x in z], color=BLUE, linewidth=2)
        axis.plot(z, [prime(x, **given) for x in z], color=RED, linewidth=1.5, linestyle=(0, (4, 2)))
        axis.set_ylim(-1.3, 2.3)
        axis.set_title(name)
        axis.set_xlabel("z")


@picture("windows", "A window slides over the deck's 5 × 5 image",
         "The image I of the slide, the 3 × 3 window at each of its nine places, and the filter's answer there. "
         "Shaded: where the filter K is 1. The slide prints the first answer, 4, and lost the others.",
         ("conv2d.valid", "ex.conv2d", "conv2d.valid.grad_K"), (9.4, 3.4))
def windows(figure: Any) -> None:
    answers = example_conv2d()
    axes = figure.subplots(2, 5).ravel()
    for number, axis in enumerate(axes[:9]):
        p, q = divmod(number, 3)
        for i, row in enumerate(I):
            for j, value in enumerate(row):
                inside = p <= i < p + 3 and q <= j < q + 3
                if inside and K[i - p][j - q]:
                    axis.add_patch(_square(j, i, BLUE, 0.35))
                axis.text(j, i, value, ha="center", va="center", fontsize=9, color=INK if inside else SOFT,
                          fontweight="bold" if inside and K[i - p][j - q] and value else "normal")
        axis.add_patch(_square(q + 1, p + 1, "none", 1, 3, BLUE))
        axis.set_title(f"({p}, {q}):  {answers[p][q]}")
    for i, row in enumerate(answers):
        for j, value in enumerate(row):
            axes[9].text(j, i, value, ha="center", va="center", fontsize=12)
    axes[9].set_title("all nine")
    for axis, n in zip(axes, [5] * 9 + [3], strict=True):
        axis.set_xlim(-0.6, n - 0.4)
        axis.set_ylim(n - 0.4, -0.6)
        axis.set_aspect("equal")
        axis.axis("off")


def _square(x: float, y: float, colour: str, alpha: float, side: float = 1, edge: str = "none") -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x - side / 2, y - side / 2), side, side, facecolor=colour, alpha=alpha, edgecolor=edge,
                     linewidth=1.6)


@picture("backward", "δ flows back through a small network",
         "A 2-2-1 network of sigmoids with x = (1, 2) and y = 1. Forwards: the activations. Backwards: each δ is "
         "the sum of the δ above it times the weights on the way, times its own a(1 − a). A line is as wide as |δ "
         "Θ|, red where the product is negative.",
         ("bp.delta.rec", "bp.delta.chain", "bp.delta.out", "bp.grad"), (8.4, 3.6))
def backward(figure: Any) -> None:
    x, y = [1.0, 2.0], [1.0]
    a, delta = backprop.passes(NETWORK, x, y)
    axis = figure.subplots()
    place = {(1, 1): (0, 1.0), (1, 2): (0, 0.0), (2, 1): (1.2, 1.0), (2, 2): (1.2, 0.0), (3, 1): (2.4, 0.5)}
    for l, k, j in [(1, k, j) for k in (1, 2) for j in (1, 2)] + [(2, 1, 1), (2, 1, 2)]:
        weight, (x0, y0), (x1, y1) = NETWORK[l][k][j], place[l, j], place[l + 1, k]
        flow = delta[l + 1][k] * weight
        axis.plot([x0, x1], [y0, y1], color=RED if flow < 0 else BLUE, linewidth=0.8 + 14 * abs(flow), alpha=0.75,
                  zorder=1, solid_capstyle="butt")
        near = 0.3 if l == 1 else 0.5
        axis.text(x0 + (x1 - x0) * near, y0 + (y1 - y0) * near + 0.05, f"Θ = {weight}".replace("-", "−"), fontsize=8.5,
                  ha="center", va="bottom")
    for (l, k), (px, py) in place.items():
        axis.plot([px], [py], "o", markersize=30, color="#dfe8f3", markeredgecolor=SOFT, zorder=2)
        axis.text(px, py, f"{a[l][k]:.3g}", ha="center", va="center", fontsize=9, color="#101112", zorder=3)
        if l > 1:
            axis.text(px, py - 0.2, f"δ = {delta[l][k]:+.4f}".replace("-", "−"), ha="center", va="top", fontsize=10,
                      color=RED if delta[l][k] < 0 else BLUE, fontweight="bold")
    axis.text(2.4, 0.76, "y − ŷ", ha="center", fontsize=9)
    for column, title in ((0, "x"), (1.2, "hidden"), (2.4, "ŷ")):
        axis.text(column, 1.3, title, ha="center", fontsize=10)
    axis.set_xlim(-0.3, 2.8)
    axis.set_ylim(-0.4, 1.42)
    axis.axis("off")


@picture("signs", "The loss surface under both signs",
         "One neuron, two instances, the printed loss and the negated one, over its two weights. The path is the "
         "deck's gradient descent from the cross. As printed it walks downhill on the log-likelihood, to ever "
         "worse answers.",
         ("loss.xent", "loss.xent.negated", "opt.gd", "alg.delta.out"), (9.0, 3.7))
def signs(figure: Any) -> None:
    data = [([1.0], 1.0), ([-0.5], 0.0)]
    sigmoid = FUNCTIONS["act.sigmoid"]
    steps = [-3 + i / 8 for i in range(49)]
    for axis, id, output, title in zip(figure.subplots(1, 2), ("loss.xent", "loss.xent.negated"),
                                       ("bp.delta.out", "alg.delta.out"), ("as printed", "negated"), strict=True):
        loss = FUNCTIONS[id]
        surface = [[sum(loss(y, sigmoid(u + v * x[0])) for x, y in data) for u in steps] for v in steps]
        lines = axis.contour(steps, steps, surface, levels=11, colors=SOFT, linewidths=0.7)
        axis.clabel(lines, lines.levels[::3], fontsize=8, fmt="%.1f")
        path = _descent(data, FUNCTIONS[output])
        axis.plot(*zip(*path, strict=True), "-", color=RED if id == "loss.xent" else GREEN, linewidth=2.2)
        axis.plot(*path[0], "x", color=INK, markersize=8, markeredgewidth=2)
        axis.plot(*path[-1], "o", color=RED if id == "loss.xent" else GREEN, markersize=6)
        axis.set_title(f"{title}: loss {_total(loss, data, path[0]):.2f} → {_total(loss, data, path[-1]):.2f}")
        axis.set_xlabel("Θ_0, the intercept")
        axis.set_xlim(-3, 3)
        axis.set_ylim(-3, 3)
    figure.axes[0].set_ylabel("Θ_1")


def _total(loss: Any, data: Any, theta: tuple[float, float]) -> float:
    sigmoid = FUNCTIONS["act.sigmoid"]
    return float(sum(loss(y, sigmoid(theta[0] + theta[1] * x[0])) for x, y in data))


def _descent(data: Any, output: Any) -> list[tuple[float, float]]:
    """Gradient descent with the deck's backprop until it leaves the picture."""
    Theta: Any = [None, [None, [1.5, -1.0]]]
    path = [(1.5, -1.0)]
    for _ in range(60):
        for x, y in data:
            Theta = FUNCTIONS["opt.gd"](Theta, backprop.backprop(Theta, x, [y], output=output), 0.25)
        path.append((Theta[1][1][0], Theta[1][1][1]))
        if max(map(abs, path[-1])) > 2.9:
            break
    return path


def _deep(depth: int, width: int, scale: float, seed: int) -> Any:
    """A network of equal layers with weights drawn once, of the size scale / √width."""
    draw = random.Random(seed)
    return [None, *([None, *([0.0, *(draw.gauss(0, scale / math.sqrt(width)) for _ in range(width))]
                             for _ in range(width))] for _ in range(depth))]


DEPTH, WIDTH = 16, 12
CHOICES = (("sigmoid", BLUE, "-", "o"), ("tanh", GREEN, "--", "s"), ("relu", VIOLET, "-.", "^"))


@picture("depth", "Gradient norms by depth",
         f"‖δ‖ in each of {DEPTH} layers of {WIDTH} nodes, relative to the last, before any training. A sigmoid's "
         "derivative is at most a quarter (dots: a quarter a layer): after sixteen nothing is left to learn from.",
         ("bp.delta.chain", "bp.delta.rec", "act.sigmoid.prime", "act.why"), (6.4, 3.3))
def depth(figure: Any) -> None:
    axis = figure.subplots()
    layers = list(range(2, DEPTH + 2))
    for name, colour, dash, mark in CHOICES:
        Theta = _deep(DEPTH, WIDTH, math.sqrt(2) if name == "relu" else 1.0, 5)
        draw = random.Random(7)
        x, y = [draw.gauss(0, 1) for _ in range(WIDTH)], [draw.random() for _ in range(WIDTH)]
        _, delta = backprop.passes(Theta, x, y, FUNCTIONS[f"act.{name}"], prime_of(name))
        norm = [math.sqrt(sum(d * d for d in delta[l] if d is not None)) for l in layers]
        axis.plot(layers, [n / norm[-1] for n in norm], dash, marker=mark, color=colour, markersize=4, label=name)
    axis.plot(layers, [0.25 ** (layers[-1] - l) for l in layers], ":", color=INK, linewidth=1, label="¼ a layer")
    axis.set_yscale("log")
    axis.set_xlabel("layer, from the input on")
    axis.set_ylabel("‖δ‖, the last layer's = 1")
    axis.legend(loc="lower right")


@picture("initialisation", "How large the first weights should be",
         f"The activations' size in {DEPTH} layers of {WIDTH} ReLU nodes, for weights of three sizes. Too small and"
         " the signal is gone after a few layers, too large and it explodes; √(2 / width) keeps it.",
         ("alg.init", "act.relu", "claim.training"), (6.4, 3.3))
def initialisation(figure: Any) -> None:
    axis = figure.subplots()
    draw = random.Random(3)
    x = [draw.gauss(0, 1) for _ in range(WIDTH)]
    layers = list(range(1, DEPTH + 2))
    for (scale, label), (_, colour, dash, mark) in zip(
            ((0.7, "½ as large"), (math.sqrt(2), "√(2 / width)"), (2.83, "2 × as large")), CHOICES, strict=True):
        runs = []
        for seed in range(8):
            _, a = backprop.forward(_deep(DEPTH, WIDTH, scale, seed), x, FUNCTIONS["act.relu"])
            runs.append([math.sqrt(sum(v * v for v in a[l][1:]) / WIDTH) for l in layers])
        middle = [sorted(run[i] for run in runs)[4] for i in range(len(layers))]
        axis.plot(layers, middle, dash, marker=mark, color=colour, markersize=4, label=label)
    axis.set_yscale("log")
    axis.set_xlabel("layer, from the input on")
    axis.set_ylabel("size of the activations")
    axis.legend(loc="upper left")
