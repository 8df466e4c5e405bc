"""Change one sign, index or bound in a record's machine form: the comparison with the reference must notice.

`proofs.certify_forms` judges values, over the exact field; `certify_stable` judges stable forms.
"""

from __future__ import annotations

import ast
import copy
import time
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from ... import spec
from ...spec import expressions
from ..proofs import certify_forms, certify_stable

Edit = tuple[str, Callable[[], None], Callable[[], None]]       # what, do, undo
SIGN: dict[type, type] = {ast.Add: ast.Sub, ast.Sub: ast.Add}
BORDER: dict[type, type] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
                            ast.NotEq: ast.Eq}

# Changes that change nothing: (id, part, what stands there, what may as well stand there, why). One that is noticed
# after all is an error.
NEAR_ZERO = "both branches are one function; they differ in where exp overflows, which is not near 0"
NO_DIFFERENCE = (
    ("act.sigmoid", "stable", "z >= 0", ("z > 0", "z >= 1", "z >= -1"), NEAR_ZERO),
    ("act.tanh", "stable", "x >= 0", ("x > 0", "x >= 1", "x >= -1"), NEAR_ZERO),
    ("act.softplus", "stable", "maximum(x, 0)", ("maximum(0, x)",), "the larger of two is the same value"),
    ("act.softplus", "stable_prime", "x >= 0", ("x > 0", "x >= 1", "x >= -1"), NEAR_ZERO),
    ("act.softplus.prime", "stable", "x >= 0", ("x > 0", "x >= 1", "x >= -1"), NEAR_ZERO),
    ("act.silu", "stable", "x >= 0", ("x > 0", "x >= 1", "x >= -1"), NEAR_ZERO),
    ("act.gelu.tanh", "stable", "x >= 0", ("x > 0", "x >= 1", "x >= -1"), NEAR_ZERO),
    ("act.gelu.tanh.prime", "stable", "x >= 0", ("x > 0", "x >= 1", "x >= -1"), NEAR_ZERO),
    ("loss.xent.logits", "stable_prime", "z >= 0", ("z > 0", "z >= 1", "z >= -1"), NEAR_ZERO),
    ("loss.xent.logits.delta", "stable", "z >= 0", ("z > 0", "z >= 1", "z >= -1"), NEAR_ZERO),
    ("act.elu", "stable", "x >= 0", ("x > 0",), "0 and α(e⁰ − 1) are the same value; `value` owns the derivative"),
    ("loss.huber", "value", "<= c", ("< c",), "at the border both branches are c²/2, with one slope"),
    ("loss.xent.logits", "stable", "maximum(z, 0)", ("maximum(0, z)",), "the larger of two is the same value"),
)


def equivalent() -> dict[tuple[str, str, str], str]:
    """The mutants that nobody can notice, each with the reason."""
    found = {}
    for id, part, old, others, why in NO_DIFFERENCE:
        for other in others:
            form = getattr(spec.get(id), part).replace(old, other, 1)
            found[id, part, ast.unparse(expressions.parse(form))] = why
    return found


@attrs.frozen
class SpecMutant:
    """One changed form. `part` is "value", "stable", "stable_prime", or the index whose range was changed."""
    id: str
    part: str
    change: str
    form: str

    @property
    def name(self) -> tuple[str, str, str]:
        return self.id, self.part, self.form

    def noticed(self) -> str:
        """How the comparison refuses the mutant; empty if it does not."""
        if self.part in ("stable", "stable_prime"):
            names = tuple(certify_stable.expected(self.id, self.part)[0][0])
            return certify_stable.stable_difference(self.id, self.part, expressions.compiled(self.form, names))
        machine = certify_forms.Machine.of(spec.get(self.id))
        if self.part == "value":
            machine = attrs.evolve(machine, value=expressions.parse(self.form))
        else:
            [pair] = expressions.bounds(self.form)
            low, high = map(expressions.parse, pair)
            machine = attrs.evolve(machine, index={**machine.index, self.part: (low, high)})
        return certify_forms.certified(self.id).difference(machine)


def spec_mutants() -> Iterator[SpecMutant]:
    """Every mutant of every record with a machine form."""
    for id in certify_forms.with_forms():
        equation = spec.get(id)
        assert equation.value is not None
        for change, form in changed(equation.value):
            yield SpecMutant(id, "value", change, form)
        for index, ranges in equation.index.items():
            (low, high), = expressions.bounds(ranges)
            for what, other in (("first", f"{low} - 1..{high}"), ("first", f"{low} + 1..{high}"),
                                ("last", f"{low}..{high} - 1"), ("last", f"{low}..{high} + 1")):
                yield SpecMutant(id, index, f"{what} index moved", other)
    for id, which in certify_stable.with_stable_forms():
        for change, form in changed(getattr(spec.get(id), which)):
            yield SpecMutant(id, which, change, form)


def changed(form: str) -> Iterator[tuple[str, str]]:
    """Every form that differs from this one by a single edit, each once."""
    tree = ast.Expression(copy.deepcopy(expressions.parse(form)))
    seen = {ast.unparse(tree)}
    for node in list(ast.walk(tree)):
        for what, do, undo in edits(node):
            do()
            other = ast.unparse(tree)
            undo()
            if other not in seen:
                seen.add(other)
                yield what, other


def edits(node: ast.AST) -> Iterator[Edit]:
    """What can be changed at one node of the tree."""
    match node:
        case ast.BinOp(op=op) if type(op) in SIGN:
            yield _set("sign", node, "op", SIGN[type(op)]())
        case ast.UnaryOp(op=ast.USub()):
            yield _set("sign", node, "op", ast.UAdd())
        case ast.Compare(ops=[op]):
            yield _set("border", node, "ops", [BORDER[type(op)]()])
        case ast.Constant(value=int() as number) if not isinstance(number, bool):
            yield _set("constant", node, "value", number + 1)
            yield _set("constant", node, "value", number - 1)
        case ast.Subscript(slice=ast.Tuple(elts=indices) as tuple_):
            for k in range(len(indices)):
                yield from _moved("index", tuple_, k)
            for k in range(len(indices) - 1):
                swapped = [*indices[:k], indices[k + 1], indices[k], *indices[k + 2:]]
                yield _set("indices swapped", tuple_, "elts", swapped)
        case ast.Subscript(slice=index):
            yield _set("index", node, "slice", _plus(index, 1))
            yield _set("index", node, "slice", _plus(index, -1))
        case ast.Call(func=ast.Name(id=name), args=args) if name in expressions.OVER:
            for limit in args[expressions.OVER[name]:]:
                assert isinstance(limit, ast.Tuple)
                yield from _moved("bound", limit, 1)
                yield from _moved("bound", limit, 2)
        case ast.Call(func=ast.Name(id="maximum"), args=[first, second]):
            yield _set("order", node, "args", [second, first])


def _moved(what: str, tuple_: ast.Tuple, k: int) -> Iterator[Edit]:
    for step in (1, -1):
        yield _set(what, tuple_, "elts", [*tuple_.elts[:k], _plus(tuple_.elts[k], step), *tuple_.elts[k + 1:]])


def _plus(node: ast.expr, step: int) -> ast.expr:
    return ast.BinOp(node, ast.Add() if step > 0 else ast.Sub(), ast.Constant(abs(step)))


def _set(what: str, node: Any, field: str, new: Any) -> Edit:
    old = getattr(node, field)
    return what, lambda: setattr(node, field, new), lambda: setattr(node, field, old)


@attrs.frozen
class Summary:
    """How many mutants there were, how many were noticed, and which were not."""
    killed: int
    equivalent: int
    survivors: tuple[SpecMutant, ...]
    stale: tuple[tuple[str, str, str], ...]
    seconds: float

    @property
    def count(self) -> int:
        return self.killed + self.equivalent + len(self.survivors)

    @property
    def rate(self) -> float:
        """Noticed, of those that could be; nothing run is nothing noticed."""
        judged = self.killed + len(self.survivors)
        return self.killed / judged if judged else 0.0


def run(mutants: Iterator[SpecMutant] | None = None,
        notice: Callable[[SpecMutant], str] = SpecMutant.noticed) -> Summary:
    """Judge every mutant."""
    start, killed, spared = time.perf_counter(), 0, 0
    survivors, stale, known = [], [], equivalent()
    for mutant in spec_mutants() if mutants is None else mutants:
        if notice(mutant):
            killed += 1
            if mutant.name in known:
                stale.append(mutant.name)
        elif mutant.name in known:
            spared += 1
        else:
            survivors.append(mutant)
    return Summary(killed, spared, tuple(survivors), tuple(stale), time.perf_counter() - start)
