"""The rules a step may use. Each takes an expression and returns an equal one, for every size; none of them guesses.

differentiate  linearity, product, quotient and chain rule, ∂x_a/∂x_b = [a = b]
collapse       Σ_j f(j) [j = e]  =  f(e) [low ≤ e ≤ high]
absorb         Σ_i f(i) [low ≤ s·i + c ≤ high]  =  f summed over the smaller range
reindex        Σ_i f(i)  =  Σ_j f(c − j), ranges turned round with it
pull           Σ_i c f(i)  =  c Σ_i f(i)
split          Σ_i (f + g)  =  Σ_i f + Σ_i g
single         a sum over one value is its term
holds          a bracket that the range of an index already guarantees is 1
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import sympy as sp

from .language import BRACKETS, CeilDiv, Divides, Expr, FloorDiv, Prime, Same, Within, negative

Range = tuple[Expr, Expr, Expr]                 # (index, low, high)


class RuleError(ValueError):
    """A rule that does not apply where a derivation uses it."""


def differentiate(e: Expr, x: Expr, named: frozenset[Expr] = frozenset()) -> Expr:
    """∂e/∂x for a symbol or an indexed entry x. Of a quantity in `named` the derivative is left standing."""
    base = e.base if isinstance(e, sp.Indexed) else e
    if base in named:
        return sp.Derivative(e, x, evaluate=False)
    if e == x:
        return sp.Integer(1)
    if isinstance(e, sp.Indexed):
        if not isinstance(x, sp.Indexed) or e.base != x.base:
            return sp.Integer(0)
        return sp.Mul(*(Same(a, b) for a, b in zip(e.indices, x.indices)))
    if e.is_Atom or isinstance(e, BRACKETS):
        return sp.Integer(0)
    rule = _DERIVATIVES.get(e.func, _of_function)
    return rule(e, lambda part: differentiate(part, x, named))


def _of_sum(e: Expr, d: Callable[[Expr], Expr]) -> Expr:
    inner = d(e.function)
    number, rest = inner.as_coeff_Mul()
    return sp.Integer(0) if inner == 0 else number * sp.Sum(rest, *e.limits)


def _of_product(e: Expr, d: Callable[[Expr], Expr]) -> Expr:
    factors = e.args
    return sp.Add(*(sp.Mul(*factors[:k], d(f), *factors[k + 1:]) for k, f in enumerate(factors)))


def _of_power(e: Expr, d: Callable[[Expr], Expr]) -> Expr:
    if e.exp.is_number:
        return e.exp * e.base ** (e.exp - 1) * d(e.base)
    return e * (e.exp / e.base * d(e.base) + sp.log(e.base) * d(e.exp))


def _of_absolute(e: Expr, d: Callable[[Expr], Expr]) -> Expr:
    """|u| is the larger of u and −u, and the first of the two owns the tie."""
    u = e.args[0]
    return sp.Piecewise((d(u), u >= 0), (-d(u), True), evaluate=False)


def _of_maximum(e: Expr, d: Callable[[Expr], Expr]) -> Expr:
    """max(a, b): the first argument owns the tie. SymPy sorts the arguments; a Piecewise says it better."""
    first, *others = e.args
    rest = e.func(*others)
    holds = first >= rest if e.func is sp.Max else first <= rest
    return sp.Piecewise((d(first), holds), (d(rest), True), evaluate=False)


def _of_cases(e: Expr, d: Callable[[Expr], Expr]) -> Expr:
    return sp.Piecewise(*((d(value), condition) for value, condition in e.args), evaluate=False)


def _of_function(e: Expr, d: Callable[[Expr], Expr]) -> Expr:
    if len(e.args) != 1 or not isinstance(e, sp.core.function.AppliedUndef):
        raise RuleError(f"differentiate: no rule for {e.func}")
    return Prime(sp.Symbol(e.func.__name__), e.args[0]) * d(e.args[0])


_DERIVATIVES: dict[Expr, Callable[[Expr, Callable[[Expr], Expr]], Expr]] = {
    sp.Add: lambda e, d: sp.Add(*map(d, e.args)),
    sp.Mul: _of_product,
    sp.Pow: _of_power,
    sp.Sum: _of_sum,
    sp.Piecewise: _of_cases,
    sp.exp: lambda e, d: e * d(e.args[0]),
    sp.log: lambda e, d: d(e.args[0]) / e.args[0],
    sp.tanh: lambda e, d: (1 - e**2) * d(e.args[0]),
    sp.erf: lambda e, d: 2 / sp.sqrt(sp.pi) * sp.exp(-e.args[0]**2) * d(e.args[0]),
    sp.erfc: lambda e, d: -2 / sp.sqrt(sp.pi) * sp.exp(-e.args[0]**2) * d(e.args[0]),
    sp.sin: lambda e, d: sp.cos(e.args[0]) * d(e.args[0]),
    sp.cos: lambda e, d: -sp.sin(e.args[0]) * d(e.args[0]),
    sp.Abs: _of_absolute,
    sp.Max: _of_maximum,
    sp.Min: _of_maximum,
}


NAMES = ("linearity", "product rule", "quotient rule", "chain rule", "branch by branch")


def names_of(e: Expr, x: Expr, named: frozenset[Expr] = frozenset()) -> str:
    """What a mathematician calls the rules by which e is differentiated by x."""
    used: set[str] = set()
    moving = {x.base if isinstance(x, sp.Indexed) else x, *named}

    def moves(part: Expr) -> bool:
        return bool(part.has(*moving))

    for part in sp.preorder_traversal(e):
        if isinstance(part, sp.Indexed) or not moves(part):
            continue
        factors = [f for f in part.args if moves(f)] if part.is_Mul else []
        below = [f for f in factors if f.is_Pow and negative(f.exp)]
        if below or (part.is_Pow and negative(part.exp)):
            used.add("quotient rule")
        if len(factors) - len(below) > 1:
            used.add("product rule")
        if (part.is_Function or (part.is_Pow and part.exp != -1)) and not isinstance(part, (*BRACKETS, sp.Piecewise)):
            used.add("chain rule")
        if isinstance(part, sp.Piecewise):
            used.add("branch by branch")
    return ", ".join(name for name in NAMES if name in used) or "linearity"


def evaluate_derivatives(e: Expr, named: frozenset[Expr] = frozenset()) -> Expr:
    """Carry out every derivative that stands in e, except of named quantities."""
    def carry_out(part: Expr) -> Expr:
        return differentiate(part.expr, part.variables[0], named)
    return e.replace(lambda part: isinstance(part, sp.Derivative), carry_out)


def flatten(e: Expr) -> Expr:
    """c Σ_i f Σ_j g  →  c Σ_i Σ_j f g: one sum with several indices, the innermost first."""
    def one(s: Expr) -> Expr:
        factors = sp.Mul.make_args(s.function)
        inner = [f for f in factors if isinstance(f, sp.Sum)]
        if len(inner) != 1:
            return s
        rest = [f for f in factors if f is not inner[0]]
        return sp.Sum(sp.Mul(*rest, inner[0].function), *inner[0].limits, *s.limits)

    before = None
    while before != e:
        before, e = e, e.replace(lambda part: isinstance(part, sp.Sum), one)
    return e


def in_sums(e: Expr, over: Expr, change: Callable[[Expr], Expr | None], rule: str) -> Expr:
    """Apply `change` to every sum over that index; it must apply at least once."""
    done = []

    def one(s: Expr) -> Expr:
        if over not in s.variables:
            return s
        changed = change(s)
        if changed is None:
            return s
        done.append(s)
        return changed

    result = e.replace(lambda part: isinstance(part, sp.Sum), one)
    if not done:
        raise RuleError(f"{rule}: no sum over {over} to which the rule applies in {e}")
    return result


def _without(s: Expr, index: Expr, function: Expr) -> Expr:
    rest = [limit for limit in s.limits if limit[0] != index]
    return sp.Sum(function, *rest) if rest else function


def limits_of(s: Expr, index: Expr) -> tuple[Expr, Expr]:
    low, high = next(limit[1:] for limit in s.limits if limit[0] == index)
    return low, high


def linear(e: Expr, index: Expr) -> tuple[Expr, Expr]:
    """The slope and the constant of e = slope·index + constant."""
    e = sp.expand(e)
    slope = e.coeff(index)
    constant = sp.expand(e - slope * index)
    if constant.has(index) or slope.has(index):
        raise RuleError(f"{e} is not linear in {index}")
    return slope, constant


def collapse(e: Expr, index: Expr) -> Expr:
    """Σ_j f(j) [s·j + c = 0]: only j = −c/s survives, and only if s divides c and the range contains it."""
    def one(s: Expr) -> Expr | None:
        terms = [sp.Mul.make_args(term) for term in sp.Add.make_args(s.function)]
        for bracket in sorted(terms[0], key=lambda f: (f.count_ops(), sp.default_sort_key(f))):
            if not isinstance(bracket, Same) or not all(bracket in term for term in terms):
                continue
            slope, constant = linear(bracket.args[0] - bracket.args[1], index)
            if slope == 0:
                continue
            if negative(slope):
                slope, constant = -slope, -constant
            only = sp.expand(-constant)
            low, high = limits_of(s, index)
            body = sp.Add(*(sp.Mul(*(f for f in term if f != bracket)) for term in terms))
            inside = Within(only, slope * low, slope * high)
            whole = inside * Divides(slope, only) * body.subs(index, only / slope)
            return _without(s, index, whole)
        return None

    return in_sums(flatten(e), index, one, "collapse")


def absorb(e: Expr, index: Expr) -> Expr:
    """The brackets [low ≤ s·i + c ≤ high] under Σ_i become part of the range of i."""
    def one(s: Expr) -> Expr | None:
        low, high = limits_of(s, index)
        rest = []
        for f in sp.Mul.make_args(s.function):
            if not isinstance(f, Within) or not f.args[0].has(index):
                rest.append(f)
                continue
            slope, constant = linear(f.args[0], index)
            if negative(slope):
                first, last, slope = constant - f.args[2], constant - f.args[1], -slope
            else:
                first, last = f.args[1] - constant, f.args[2] - constant
            low, high = sp.Max(low, CeilDiv(first, slope)), sp.Min(high, FloorDiv(last, slope))
        if len(rest) == len(sp.Mul.make_args(s.function)):
            return None
        limits = [(index, low, high) if limit[0] == index else limit for limit in s.limits]
        return sp.Sum(sp.Mul(*rest), *limits)

    return in_sums(flatten(e), index, one, "absorb")


def single(e: Expr, index: Expr, value: Expr) -> Expr:
    """Σ over a range that holds one value alone: the term at that value."""
    return in_sums(e, index, lambda s: _without(s, index, s.function.subs(index, value)), "single")


def holds(e: Expr, ranges: Iterable[Range]) -> Expr:
    """Drop the brackets that say no more than the range of a free index."""
    def distances(e: Expr, low: Expr, high: Expr) -> frozenset[Expr]:
        """To both ends: W − 1 − l is in a range if l is."""
        return frozenset((sp.expand(e - low), sp.expand(high - e)))

    known = {distances(*one) for one in ranges}
    found = [b for b in e.atoms(Within) if distances(*b.args) in known]
    if not found:
        raise RuleError(f"holds: no bracket of {e} follows from the ranges of the free indices")
    return e.xreplace(dict.fromkeys(found, sp.Integer(1)))


def reindex(e: Expr, index: Expr, new: Expr, of_new: Expr) -> Expr:
    """Put index = of_new = c ± new; the range is turned round when the sign is minus."""
    slope, constant = linear(of_new, new)
    if slope not in (1, -1):
        raise RuleError(f"reindex: {index} = {of_new} must have slope 1 or −1 in {new}")

    def one(s: Expr) -> Expr:
        low, high = limits_of(s, index)
        if slope == 1:
            low, high = _shift(low, -constant, 1), _shift(high, -constant, 1)
        else:
            low, high = _shift(high, constant, -1), _shift(low, constant, -1)
        limits = [(new, low, high) if limit[0] == index else limit for limit in s.limits]
        return sp.Sum(s.function.subs(index, of_new), *limits)

    return in_sums(e, index, one, "reindex")


def _shift(bound: Expr, constant: Expr, sign: int) -> Expr:
    """constant + sign·bound, moved inside a max or min: c − max(p, q) = min(c − p, c − q)."""
    for this, other in ((sp.Max, sp.Min), (sp.Min, sp.Max)):
        if isinstance(bound, this):
            outer = this if sign == 1 else other
            return outer(*(sp.expand(constant + sign * b) for b in bound.args))
    return sp.expand(constant + sign * bound)


def pull(e: Expr, index: Expr) -> Expr:
    """What does not depend on the index moves out of its sum."""
    def one(s: Expr) -> Expr | None:
        bound = s.variables
        outside = [f for f in sp.Mul.make_args(s.function) if not f.has(*bound)]
        if not outside:
            return None
        inside = [f for f in sp.Mul.make_args(s.function) if f.has(*bound)]
        return sp.Mul(*outside) * sp.Sum(sp.Mul(*inside), *s.limits)

    return in_sums(e, index, one, "pull")


def split(e: Expr, index: Expr) -> Expr:
    """Σ_i (f + g) = Σ_i f + Σ_i g."""
    def one(s: Expr) -> Expr | None:
        terms = [t.as_coeff_Mul() for t in sp.Add.make_args(sp.expand(s.function))]
        return sp.Add(*(c * sp.Sum(t, *s.limits) for c, t in terms)) if len(terms) > 1 else None

    return in_sums(e, index, one, "split")
