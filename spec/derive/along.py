"""Along a direction: how fast an output moves (JVP), and how fast its gradient does (Hessian-vector product).

Let every entry of what we differentiate by move at a rate of its own, ẋ. The rules of a derivation, with ẋ_i where the
gradient has [i = j], say how fast all else moves. Applied to the output it is a JVP; applied to the last line of the
derivation it is the product of the Hessian with ẋ. The δ of a loss moves, too: its rate is an argument, 0 where δ is
held fixed.
"""

from __future__ import annotations

import unicodedata
from typing import Any

import attrs
import sympy as sp

from . import rules
from .evaluate import Axes
from .headings import target, writers
from .language import BRACKETS, Expr, Prime, negative
from .printers import Latex, Plain, Python
from .steps import Derivation, Named, Step

DOT = "_dot"
HELD = "a dot says how fast a quantity moves while what we differentiate by moves along any direction"


def base_of(e: Expr) -> Expr:
    return e.base if isinstance(e, sp.Indexed) else e


def dotted(base: Expr) -> Expr:
    """The rate of an array or a scalar: x_dot."""
    name = f"{base}{DOT}"
    return sp.IndexedBase(name) if isinstance(base, sp.IndexedBase) else sp.Symbol(name, real=True)


def along(e: Expr, moving: frozenset[Expr]) -> Expr:
    """How fast e moves, where these arrays and scalars do."""
    base = base_of(e)
    if base in moving and (isinstance(e, sp.Indexed) or e.is_Symbol):
        return dotted(base)[e.indices] if isinstance(e, sp.Indexed) else dotted(base)
    if e.is_Atom or isinstance(e, (sp.Indexed, Prime, *BRACKETS)):
        if isinstance(e, Prime) and e.has(*moving):
            raise rules.RuleError(f"along: {e} moves; give it a name and hand its rate on")
        return sp.Integer(0)
    if not e.has(*moving):
        return sp.Integer(0)
    rule = rules._DERIVATIVES.get(e.func, rules._of_function)
    found = rule(e, lambda part: along(part, moving))
    return found.args[0][0] if isinstance(found, sp.Piecewise) and len({v for v, _ in found.args}) == 1 else found


def _moving(d: Derivation, start: set[Expr], named: tuple[Named, ...]) -> frozenset[Expr]:
    found = set(start)
    for n in named:                                                  # each uses earlier ones only
        if n.means.has(*found):
            found.add(n.base)
    return frozenset(found)


def _with_rates(d: Derivation, moving: frozenset[Expr], given: set[Expr], expr: Expr) -> tuple[Named, ...]:
    """The named quantities that the line uses, and their rates; what is given is no longer named."""
    made: list[Named] = []
    for n in reversed([n for n in d.named if n.base not in given]):
        used = [expr, *(m.means for m in made)]
        if n.base in moving and any(e.has(dotted(n.base)) for e in used):
            entry = dotted(n.base)[n.letters] if n.letters else dotted(n.base)
            made.append(Named(entry=entry, means=rules.flatten(along(n.means, moving)), over=n.over))
        if any(e.has(n.base) for e in [expr, *(m.means for m in made)]):
            made.append(n)
    return tuple(reversed(made))


def _notation(d: Derivation, moving: frozenset[Expr]) -> dict[str, tuple[str, str]]:
    plain, latex = Plain((), d.notation), Latex((), d.notation)
    return d.notation | {f"{base}{DOT}": (_dot(plain.name(str(base))), rf"\dot{{{latex.name(str(base))}}}")
                         for base in moving}


def _dot(name: str) -> str:
    """A dot over the letter, before what is raised behind it: δ̇⁽ˡ⁺¹⁾."""
    letters = 1 + sum(0x300 <= ord(c) < 0x370 for c in name[1:2])
    return unicodedata.normalize("NFC", f"{name[:letters]}\u0307") + name[letters:]


def _shapes(d: Derivation, moving: frozenset[Expr], given: set[Expr]) -> dict[Expr, Axes]:
    axes = {n.base: n.axes for n in d.named if n.base in given} | d.shapes
    return axes | {dotted(base): axes[base] for base in sorted(moving & set(axes), key=str)}


def jvp(d: Derivation) -> Derivation:
    """ẏ for the output of a derivation, or the rate of its loss."""
    wrt = base_of(d.wrt)
    moving = _moving(d, {wrt}, d.named)
    what = d.output.means if d.output is not None else d.loss
    expr = rules.flatten(along(what, moving))
    over = d.output.over if d.output is not None else ()
    target = (d.output.entry if d.output is not None else None)
    made = _clone(d, moving, set(), expr, over, _target(d, target, moving))
    return _arguments(made)


def hvp(d: Derivation) -> Derivation:
    """How fast the gradient of a derivation moves: the rate of each argument that does, then its arguments."""
    start = {base_of(d.wrt)}
    if d.output is not None:
        start.add(base_of(d.output.delta))
    given = {n.base for n in d.named if str(n.base) in d.python}
    moving = _moving(d, start, d.named)
    expr = rules.flatten(along(d.last, moving))
    made = _clone(d, moving, given, expr, d.over, _gradient_target(d))
    rates = tuple(f"{name}{DOT}" for name in d.python if any(str(base) == name for base in moving))
    made.python = (*rates, *d.python)
    return made


def _clone(d: Derivation, moving: frozenset[Expr], given: set[Expr], expr: Expr, over: Any,
           lhs: tuple[str, str]) -> Derivation:
    order = tuple(name for one in d.order for name in (one, f"{one}{DOT}"))
    return attrs.evolve(
        d, named=_with_rates(d, moving, given, expr), shapes=_shapes(d, moving, given), over=over, lhs=lhs,
        notation=_notation(d, moving), order=order, steps=[Step("along", HELD, expr)])


def _target(d: Derivation, entry: Expr | None, moving: frozenset[Expr]) -> tuple[str, str]:
    """ẏ_i, or the rate of what is differentiated."""
    if entry is None:
        name = d.of[1]
        return _dot(name) if len(name) == 1 else f"({name})˙", rf"\frac{{d}}{{dt}} {d.of[2]}"
    notation = d.notation
    base = base_of(entry)
    plain, latex = Plain((), notation), Latex((), notation)
    dots = {str(base): (_dot(plain.name(str(base))), rf"\dot{{{latex.name(str(base))}}}")}
    return Plain((), notation | dots)(entry), Latex((), notation | dots)(entry)


def _gradient_target(d: Derivation) -> tuple[str, str]:
    plain, latex = writers(d)
    return f"({target(d, plain)})˙", rf"\frac{{d}}{{dt}} {target(d, latex)}"


# ---- the arguments of a JVP's Python

def _arguments(made: Derivation) -> Derivation:
    """Arrays and scalars that it reads, functions that it calls, and sizes that no array tells."""
    needed = _needed(made)
    used = {s for e in needed for s in e.free_symbols} | {a.base for e in needed for a in e.atoms(sp.Indexed)}
    arrays = [base for base in made.shapes if base in used]
    arrays.sort(key=lambda base: (DOT not in str(base), list(made.shapes).index(base)))
    functions = sorted({f.func.__name__ for e in needed for f in e.atoms(sp.core.function.AppliedUndef)}
                       | {f"{f.args[0]}_prime" for e in needed for f in e.atoms(Prime)})
    sizes = [s for s in made.trials[0] if s in used]
    lengths = _lengths(made, arrays)
    asked = [s for s in sizes if s not in lengths]
    made.lengths = {s: lengths[s] for s in lengths if s in _reached(sizes, lengths)}
    made.values = {str(s): s for s in asked} | {name: sp.Symbol(name) for name in functions}
    made.python = (*map(str, arrays), *functions, *map(str, asked))
    made.defaults = {}
    made.helpers = ""
    return made


def _needed(made: Derivation) -> list[Expr]:
    """The line, its ranges, and the named quantities, with theirs."""
    ends = [e for over in (made.over, *(n.over for n in made.named)) for one in over for e in one[1:]]
    return [made.last, *ends, *(n.means for n in made.named)]


def _lengths(made: Derivation, arrays: list[Expr]) -> dict[Expr, str]:
    """Sizes as Python reads them off the arrays: len(x), len(w[0]), len(x) // C."""
    known: dict[Expr, str] = {}
    waiting = [(axes, str(base)) for base in arrays if (axes := made.shapes[base])]
    for _ in range(3):                                               # a product of sizes waits for the others
        for axes, path in waiting:
            for low, high in axes:
                _read_off(sp.expand(high + 1), path, known)
                path += f"[{low}]"
    return known


def _read_off(length: Expr, path: str, known: dict[Expr, str]) -> None:
    unknown = [s for s in length.free_symbols if s not in known]
    if len(unknown) != 1:
        return
    size = unknown[0]
    factor = length.coeff(size)
    rest = sp.expand(length - factor * size)
    if factor == 0 or rest.has(size) or factor.has(size):
        return
    write = Python()
    text = f"len({path})"
    if rest != 0:
        text = f"{text} - {write.inside(rest, 2)}" if not negative(rest) else f"{text} + {write(-rest)}"
    known[size] = text if factor == 1 else f"{f'({text})' if rest != 0 else text} // {write.inside(factor, 4)}"


def _reached(sizes: list[Expr], lengths: dict[Expr, str]) -> set[Expr]:
    """The sizes that are used, and those that their lengths need."""
    found = set(sizes)
    for s in reversed(list(lengths)):
        if s in found:
            found |= {other for other in lengths if f" {other}" in f" {lengths[s].replace('(', ' ')} "}
    return found
