"""Gradients of group and instance normalisation: batch norm's steps, with a mean for every group."""

from __future__ import annotations

from math import prod
from typing import Any

import attrs
import sympy as sp

from ..language import Expr, Same, arrays, indices, scalars, sizes
from ..steps import Derivation, Named, Output, sample, trials
from .register import derives

x, y, d, xhat, gamma, beta, mu, v, s, h, m1, m2 = arrays("x y d xhat gamma beta mu v s g m_1 m_2")
i, c, p, e, q, k, l, w = indices("i c p e q k l w")
G, K, P = sizes("G K P")
eps = scalars("eps")


@attrs.frozen
class Kind:
    """Group norm or instance norm: the letters of an output, the group first, and the sizes that they run over."""

    name: str
    index: tuple[Expr, ...]
    sizes: dict[str, Expr]
    read: dict[Expr, str]                                             # how Python reads the sizes off x
    relations: str

    @property
    def count(self) -> Expr:
        """How many numbers a group has."""
        return sp.Mul(*list(self.sizes.values())[1:])

    @property
    def ends(self) -> tuple[tuple[Expr, Expr], ...]:
        return tuple((sp.Integer(0), size - 1) for size in self.sizes.values())

    @property
    def inside(self) -> tuple[Expr, ...]:
        """The letters of a sum over a group."""
        return (e, q)[-len(self.index) + 1:]

    def total(self, f: Expr) -> Expr:
        return sp.Sum(f, *reversed([(i, *end) for i, end in zip(self.inside, self.ends[1:])]))

    def start(self, id: str, by: str, wrt: Expr, python: tuple[str, ...]) -> Derivation:
        """The derivation as far as its first line."""
        group, channel, over = self.index[0], self.index[:-1], _over(self.index, self.ends)
        one, all_of = (group,), (group, *self.inside)
        named = (
            Named(entry=mu[one], means=self.total(x[all_of]) / self.count, over=over[:1]),
            Named(entry=v[one], means=self.total((x[all_of] - mu[one])**2) / self.count, over=over[:1]),
            Named(entry=s[one], means=sp.sqrt(v[one] + eps), over=over[:1]),
            Named(entry=xhat[self.index], means=(x[self.index] - mu[one]) / s[one], over=over),
            Named(entry=h[self.index], means=gamma[channel] * d[self.index], over=over),
            Named(entry=m1[one], means=self.total(h[all_of]) / self.count, over=over[:1]),
            Named(entry=m2[one], means=self.total(h[all_of] * xhat[all_of]) / self.count, over=over[:1]))
        D = Derivation(
            id=id, title=f"The gradient of {self.name} normalisation with respect to its {by}.", wrt=wrt,
            over=_over(wrt.indices, self.ends), named=named if by == "input" else named[:4], python=python,
            output=Output(entry=y[self.index], means=gamma[channel] * xhat[self.index] + beta[channel], over=over,
                          delta=d[self.index]),
            shapes={x: self.ends, d: self.ends, gamma: self.ends[:-1], beta: self.ends[:-1], eps: ()},
            lengths={size: text if "x" in python else text.replace("x", "d") for size, text in self.read.items()},
            relations=self.relations, notation={"m_1": ("m₁", "{m_1}"), "m_2": ("m₂", "{m_2}")},
            order=("gamma", "d", "g", "xhat", "x"),
            trials=trials(self.sizes, sample(4, lambda **one: prod(one.values()) <= 12,
                                             **dict.fromkeys(self.sizes, (1, 2, 3)))))
        D.chain()
        return D


def _over(letters: tuple[Expr, ...], ends: Any) -> tuple[Any, ...]:
    return tuple((i, *end) for i, end in zip(letters, ends))


GROUP = Kind("group", (i, c, p), {"G": G, "K": K, "P": P}, {G: "len(x)", K: "len(x[0])", P: "len(x[0][0])"},
             "G groups of K channels, each at P places")
INSTANCE = Kind("instance", (i, p), {"K": K, "P": P}, {K: "len(x)", P: "len(x[0])"}, "K channels, each at P places")


def _input(id: str, kind: Kind, *at: Expr) -> Derivation:
    D = kind.start(id, "input", x[at], ("d", "x", "gamma", "eps"))
    group, here, count = kind.index[0], at[0], kind.count
    there = (here, *kind.inside)

    def dx(quantity: Expr) -> Expr:
        return sp.Derivative(quantity, x[at], evaluate=False)

    D.differentiate(why="γ and β are constants here")
    D.substitute("definition", "g is γ d", {
        gamma[kind.index[:-1]] * d[kind.index] * dx(xhat[kind.index]): h[kind.index] * dx(xhat[kind.index])})
    same = sp.Mul(*map(Same, kind.index, at))
    D.substitute("quotient rule", "", {dx(xhat[kind.index]): (same - dx(mu[group])) / s[group]
                                       - xhat[kind.index] / s[group] * dx(s[group])})
    D.substitute("chain rule", "(√u)′ = u′/(2 √u)", {dx(s[group]): dx(v[group]) / (2 * s[group])})
    D.substitute("variance", "the mean of a group moves, too, but the deviations from it add up to 0",
                 {dx(v[group]): Same(group, here) * 2 * s[here] * xhat[at] / count})
    D.substitute("mean", "every number of a group has the same share", {dx(mu[group]): Same(group, here) / count})
    brackets = sp.Mul(*map(Same, kind.inside, at[1:]))
    D.rewrite("collapse", "the numbers of one group alone",
              kind.total(h[there] * (brackets - 1 / count - xhat[at] * xhat[there] / count)) / s[here])
    D.split(kind.inside[-1])
    for letter in kind.inside:
        D.collapse(letter, why="the bracket leaves one term")
    D.holds(why="it is one of the group")
    D.rewrite("definition", "two means over the group: of g, and of g x̂",
              (h[at] - m1[here] - xhat[at] * m2[here]) / s[here])
    return D


def _scales(id: str, kind: Kind, *at: Expr) -> Derivation:
    by_gamma = id.endswith("gamma")
    D = kind.start(id, "scales γ" if by_gamma else "shifts β", (gamma if by_gamma else beta)[at],
                   ("d", "x", "eps") if by_gamma else ("d",))
    D.differentiate(why="the statistics do not depend on γ and β")
    for letter in kind.index[:-1]:
        D.collapse(letter, why="one channel alone has this number")
    D.holds(why="it is a channel's")
    return D


derives("norm.group.grad_x")(lambda id: _input(id, GROUP, k, l, w))
derives("norm.instance.grad_x")(lambda id: _input(id, INSTANCE, k, w))
for _by in ("gamma", "beta"):
    derives(f"norm.group.grad_{_by}")(lambda id: _scales(id, GROUP, k, l))
    derives(f"norm.instance.grad_{_by}")(lambda id: _scales(id, INSTANCE, k))
