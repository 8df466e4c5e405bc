"""The kernels' scalar functions, executed over SymPy symbols and proved equal to the records, branch by branch.

A `@triton.jit` function that holds only mathematics is ordinary Python: run over expressions instead of tiles it says
which formula it computes. The real line is cut where a formula branches (x < 0, x = 0, x > 0); inside one piece every
`tl.where` has one outcome, decided exactly, and what remains must simplify to the record's own form.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import sympy as sp
import triton
import triton.language as tl
from triton.runtime.jit import JITFunction

from ... import spec
from ...triton_kernels.activations import kernels as act
from ...triton_kernels.blocks import elementary, tiles
from ...triton_kernels.losses import kernels as losses
from ...triton_kernels.updates import sgd as update

SLOPE = sp.Symbol("slope", positive=True)
POSITIVE = sp.Symbol("t", positive=True)
#: One number for every piece of the real line that a formula of one variable may treat differently.
PIECES = {"x < 0": -POSITIVE, "x = 0": sp.Integer(0), "x > 0": POSITIVE}


class Undecided(Exception):
    """A condition that is neither true nor false all over a piece."""


class NotEqual(AssertionError):
    """The kernel's function and the record differ; says where, and both expressions."""


def decide(condition: Any) -> bool:
    """Is the condition true on the whole piece, or false on the whole piece?"""
    if condition in (True, False, sp.true, sp.false):
        return bool(condition)
    difference = sp.simplify(condition.lhs - condition.rhs)
    verdict = type(condition)(difference, 0)
    if verdict in (sp.true, sp.false):
        return bool(verdict)
    if isinstance(condition, sp.Eq) and len(difference.free_symbols) == 1:
        t, = difference.free_symbols
        if sp.solveset(difference.subs(t, sp.Symbol("r", real=True)), domain=sp.Interval.open(0, sp.oo)).is_empty:
            return False
    raise Undecided(f"cannot decide {condition}")


class Term:
    """An expression whose comparisons are relations, as a tile's are masks."""

    def __init__(self, value: Any) -> None:
        self.value: Any = value.value if isinstance(value, Term) else sp.nsimplify(value, rational=True)

    def __neg__(self) -> Term:
        return Term(-self.value)


def _binary(name: str, swapped: bool = False) -> Callable[[Term, Any], Term]:
    def apply(self: Term, other: Any) -> Term:
        left, right = self.value, Term(other).value
        return Term(getattr(right if swapped else left, name)(left if swapped else right))
    return apply


for _name in ("add", "sub", "mul", "truediv"):
    setattr(Term, f"__{_name}__", _binary(f"__{_name}__"))
    setattr(Term, f"__r{_name}__", _binary(f"__{_name}__", swapped=True))
for _name, _relation in {"eq": sp.Eq, "ne": sp.Ne, "lt": sp.Lt, "le": sp.Le, "gt": sp.Gt, "ge": sp.Ge}.items():
    setattr(Term, f"__{_name}__", lambda self, other, relation=_relation: relation(self.value, Term(other).value))


class Language:
    """What `tl` means over expressions; a name that is not here is not mathematics."""

    constexpr, PropagateNan = tl.constexpr, tl.PropagateNan

    @staticmethod
    def where(condition: Any, then: Any, otherwise: Any) -> Term:
        return Term(then if decide(condition) else otherwise)

    @staticmethod
    def maximum(x: Term, y: Any, propagate_nan: Any = None) -> Term:
        return Language.where(x >= y, x, y)

    @staticmethod
    def abs(x: Term) -> Term:
        return Term(sp.Abs(x.value))

    @staticmethod
    def log(x: Term) -> Term:
        return Term(sp.log(x.value))

    @staticmethod
    def zeros_like(x: Term) -> Term:
        return Term(0)

    @staticmethod
    def div_rn(x: Term, y: Term) -> Any:
        return x / y                                    # type: ignore[operator]


#: Measured, not proved: their argument reduction is inexact by design. test_scalar_functions counts the ulps.
PRIMITIVES: dict[JITFunction, Callable[[Term], Term]] = {
    elementary.exp: lambda x: Term(sp.exp(x.value)),
    elementary.expm1: lambda x: Term(sp.exp(x.value) - 1),
    elementary.density: lambda x: Term(_density(x.value)),
    elementary.mills: lambda t: Term(sp.erfc(t.value / sp.sqrt(2)) / 2 / _density(t.value)),
}
#: Constants by their names in the kernels: what their digits stand for.
CONSTANTS = {"ROOT": sp.sqrt(8 / sp.pi)}


def _density(x: Any) -> Any:
    return sp.exp(-x**2 / 2) / sp.sqrt(2 * sp.pi)


def execute(function: JITFunction, *arguments: Any) -> Any:
    """The value of a scalar `@triton.jit` function at these expressions."""
    return Term(_symbolic(function)(*(Term(a) for a in arguments))).value


def _symbolic(function: Any) -> Callable[..., Any]:
    if function in PRIMITIVES:
        return PRIMITIVES[function]
    names = {name: _meaning(value, name) for name, value in function.fn.__globals__.items()}
    return types.FunctionType(function.fn.__code__, names, function.fn.__name__)


def _meaning(value: Any, name: str) -> Any:
    if name in CONSTANTS:
        if float(CONSTANTS[name]) != value.value:
            raise NotEqual(f"{name} is {value.value}; its digits should be those of {CONSTANTS[name]}")
        return Term(CONSTANTS[name])
    if value is tl:
        return Language
    if isinstance(value, JITFunction):
        return lambda *arguments: _symbolic(value)(*arguments)
    return value.value if isinstance(value, triton.language.constexpr) else value


@attrs.frozen
class Claim:
    """`function(*arguments)` equals `expected`, both over the symbol `x`, on every piece of the line."""

    name: str
    function: JITFunction
    arguments: tuple[Any, ...]
    expected: Callable[[Any], Any]
    pieces: Mapping[str, Any] = PIECES
    at: Any = None                          # the symbol that the pieces replace

    def prove(self) -> None:
        for label, point in self.pieces.items():
            given = [a.subs(self.at, point) if self.at is not None else a for a in map(sp.sympify, self.arguments)]
            try:
                actual, wanted = execute(self.function, *given), self.expected(point)
            except Undecided as undecided:
                raise NotEqual(f"{self.name}, {label}: {undecided}") from None
            if not vanishes(actual - wanted):
                raise NotEqual(f"{self.name}, {label}: the kernel has {actual}, the record {wanted}")


def vanishes(difference: Any) -> bool:
    """Is the expression identically 0? With e^{−t} as one letter it is rational, but for logarithms, which expand; with
    tanh and the normal distribution in it, once erf and every exponential have letters."""
    if difference.has(sp.erf, sp.erfc, sp.tanh):
        return bool(sp.cancel(sp.together(_lettered(difference))) == 0)
    e = sp.Symbol("e", positive=True)
    rational = sp.together(difference.subs(POSITIVE, -sp.log(e)))
    if sp.cancel(rational) == 0:
        return True
    factored = rational.replace(sp.log, lambda x: sp.log(sp.factor(x)))
    return bool(sp.simplify(sp.expand_log(factored, force=True)) == 0)


def _lettered(expression: Any) -> Any:
    """erfc as 1 − erf, tanh by exponentials, and of these one letter for all whose exponents are multiples."""
    letters: list[tuple[Any, Any]] = []

    def letter(exponent: Any) -> Any:
        exponent = sp.expand(exponent)
        for known, symbol in letters:
            ratio = sp.cancel(exponent / known)
            if ratio.is_Integer:
                return symbol**ratio
        letters.append((exponent, sp.Symbol(f"e{len(letters)}", positive=True)))
        return letters[-1][1]

    plain = expression.replace(sp.erfc, lambda x: 1 - sp.erf(x))
    return plain.replace(sp.tanh, lambda x: 1 - 2 / (1 + sp.exp(2 * x))).replace(sp.exp, letter)


def _resolved(expression: Any, symbol: Any, point: Any) -> Any:
    """The expression at a point of a piece, its own branches decided."""
    value = expression.subs(symbol, point)
    return value.replace(
        sp.Piecewise, lambda *pairs: next(branch for branch, condition in pairs if decide(condition)))


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def _activation(name: str) -> Iterator[Claim]:
    z = sp.Symbol("z", real=True)
    record = spec.get(f"act.{name}")
    x = sp.Symbol(record.wrt[0], real=True)
    parameter = next((s for s in record.symbols if s in ("alpha", "slope")), None)
    p: Any = sp.Symbol(parameter, positive=True) if parameter else sp.Integer(0)
    inside = 1 / (1 + p) if parameter == "slope" else p     # max(slope x, x) is a leaky ReLU for slope < 1
    value = spec.expression(f"act.{name}").subs(p, inside) if parameter else spec.expression(f"act.{name}")
    stable = spec.expression(f"act.{name}.prime", "stable")
    prime = stable.subs(p, inside) if parameter else stable

    def at(point: Any) -> Any:
        return _resolved(value, x, point)

    def derivative(point: Any) -> Any:
        """d/dx of the record's value inside a piece; at 0, where a branch ends, the side that the record takes."""
        return _resolved(prime, x, point) if point == 0 else sp.diff(at(point), POSITIVE) / sp.diff(point, POSITIVE)

    yield Claim(f"act.{name}", act.VALUE[name], (z, inside), at, at=z)
    yield Claim(f"act.{name}.prime", act.PRIME[name], (z, inside), derivative, at=z)
    if name in act.PRIME_OF_A:
        for label, point in PIECES.items():
            wanted = derivative(point)
            yield Claim(
                f"act.{name}.prime of a", act.PRIME_OF_A[name], (at(point), inside), _always(wanted), {label: point})


def _losses() -> Iterator[Claim]:
    z, y, yhat = sp.symbols("z y yhat", real=True)
    logits = spec.expression("loss.xent.logits")
    yield Claim("loss.xent.logits", losses.xent_logits, (z, y), lambda q: logits.subs(z, q), at=z)
    slope = sp.diff(logits, z)
    yield Claim("loss.xent.logits.delta", losses.xent_logits_delta, (z, y), lambda q: slope.subs(z, q), at=z)
    square = spec.expression("loss.square")
    anywhere = {"everywhere": yhat}
    yield Claim("loss.square", losses.square, (yhat, y), lambda _: square, anywhere)
    yield Claim("loss.square.delta", losses.square_delta, (yhat, y), lambda _: sp.diff(square, yhat), anywhere)
    gap, others = sp.symbols("gap others", positive=True)

    def softmax(below: Any) -> Any:
        return -sp.log(sp.exp(-below) / (others + sp.exp(-below)))

    yield Claim("loss.softmax", losses.softmax_loss, (0, others), lambda _: softmax(0), {"target is the largest": 0})
    yield Claim("loss.softmax", losses.softmax_loss, (gap, others), lambda _: softmax(gap), {"another is": gap})
    p, w, W, keep, share = sp.symbols("p w W keep share", real=True)
    for hit, place in ((1, "at the label"), (0, "elsewhere")):
        wanted = p * (keep + share * W) - (keep * hit + share * w)      # p Σ T − T_k, T_k = keep [k = y] + share w_k
        yield Claim("loss.softmax.weighted.delta", losses.weighted_delta, (p - hit, p, w, W, keep, share),
                    _always(sp.expand(wanted)), {place: p})


def _updates() -> Iterator[Claim]:
    theta, D, lam = sp.symbols("theta D lam", real=True)
    eta = sp.Symbol("eta", positive=True)
    everywhere = {"everywhere": theta}
    yield Claim("opt.sgd", update.step, (theta, D, eta, 0), lambda _: spec.expression("opt.sgd"), everywhere)
    total, n = sp.Symbol("Delta", real=True), sp.Symbol("n", positive=True)
    yield Claim("alg.average, j = 0", tiles.divided, (total, n), lambda _: _average(0, total, theta), everywhere)
    mean = total / n
    yield Claim(
        "alg.average, j ≠ 0", tiles.regularised, (mean, lam, theta), lambda _: _average(1, total, theta), everywhere)
    a = sp.Symbol("a", real=True)
    yield Claim("bp.delta.rec", act.sigmoid_prime_of_a, (a, 0), lambda _: a * (1 - a), everywhere)


def _average(j: int, total: Any, theta: Any) -> Any:
    """The record's D_ij in the kernel's letters."""
    record = spec.expression("alg.average")
    letters = {"Delta": total, "Theta": theta}
    plain = record.replace(lambda e: isinstance(e, sp.Indexed), lambda e: letters[str(e.base)])
    numbers = {s: sp.Symbol("n", positive=True) for s in plain.free_symbols if s.name == "n"}
    numbers |= {s: sp.Integer(j) for s in plain.free_symbols if s.name == "j"}
    return plain.subs(numbers)


def claims() -> list[Claim]:
    """Everything that is proved: values, derivatives, losses, deltas, the average and the update."""
    return [*(claim for name in act.VALUE for claim in _activation(name)), *_losses(), *_updates()]
