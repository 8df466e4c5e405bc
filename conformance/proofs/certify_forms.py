"""Does the record say what the reference computes? Every machine form, on every small size, over the exact field.

A form is instantiated with random arrays over GF(2⁶¹ − 1), dual parts included, and compared with
`chainrule.reference` index by index: values and derivatives must agree exactly, and the sets of indices too.
"""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

import attrs

from ... import reference, spec
from ...spec import expressions
from ...spec.field import Field, P, constant
from ...spec.records import Equation
from .form_instances import Index, Instance, arguments, instances

Outcome = dict[Index, tuple[int, int]]              # index -> (value, derivative)


@attrs.frozen
class Machine:
    """A machine form taken apart so that a mutant can change any of it."""
    value: ast.expr
    index: Mapping[str, tuple[ast.expr, ast.expr]]

    @classmethod
    def of(cls, equation: Equation) -> Machine:
        assert equation.value is not None, equation.id
        bounds = {name: expressions.bounds(ranges)[0] for name, ranges in equation.index.items()}
        return cls(expressions.parse(equation.value),
                   {name: (expressions.parse(low), expressions.parse(high)) for name, (low, high) in bounds.items()})

    def runner(self, names: tuple[str, ...]) -> Callable[[Instance], Outcome]:
        """The form as a function of an instance: its value at every index."""
        ends = [[expressions.compiled_tree(end, names) for end in pair] for pair in self.index.values()]
        function = expressions.compiled_tree(self.value, (*names, *self.index))

        def run(instance: Instance) -> Outcome:
            given = tuple(instance.names().values())
            spans = (range(low(*given), high(*given) + 1) for low, high in ends)
            return {index: _parts(function(*given, *index)) for index in itertools.product(*spans)}

        return run


def _parts(value: Any) -> tuple[int, int]:
    exact = constant(value)
    return exact.v % P, exact.d % P


# Where a reference function does not take the record's arrays and symbols in their order.
CALLS: dict[str, Callable[[Callable[..., Any], dict[str, Any]], Any]] = {
    "loss.xent.logits": lambda f, v: f(v["y"], v["z"]),
    "loss.softmax": lambda f, v: f(v["y"], v["z"]),
    "loss.softmax.weighted": lambda f, v: f(v["y"], v["z"], v["w"], v["eps"]),
    "loss.objective": lambda f, v: _objective(f, v),
    "loss.objective.corrected": lambda f, v: _objective(f, v),
    "net.layer.affine": lambda f, v: f(
        [None, *([b, *w[1:]] for b, w in zip(v["b"][1:], v["w"][1:], strict=True))], [1, *v["x"][1:]], v["act"]),
    "net.layer.relu": lambda f, v: f(v["Theta"], v["a"]),
    "net.onehot": lambda f, v: f(v["k"], v["K"]),
    "net.out": lambda f, v: f([None, [None, *([row[0] * v["a"][0], *row[1:]] for row in v["Theta"][1:])]],
                              v["a"][1:], v["g"])[1][-1],
    "net.out.linear": lambda f, v: [None, *f(v["Theta"], v["a"])],
    "alg.average": lambda f, v: f(v["Delta"], v["Theta"], v["lam"], v["n"]),
    "fc.node": lambda f, v: [f(v["Theta"], v["a"], i, v["g"]) for i in range(v["n"])],
    "fc.params.total": lambda f, v: f(v["width"][1:]),
    "fc.params.total.corrected": lambda f, v: f(v["width"][1:]),
    "conv1d.matrix": lambda f, v: f(v["theta"], v["n"]),
    "conv2d.layer": lambda f, v: f(v["x"], v["w"], v["b"], *_geometry(v), v["G"]),
    "pool.max": lambda f, v: f(v["x"], v["s"]),
    "pool.max.index": lambda f, v: f(v["x"], v["s"]),
    "pool.max.layer": lambda f, v: f(v["x"], (v["M"], v["N"]), *_geometry(v)),
    "pool.max.layer.index": lambda f, v: f(v["x"], (v["M"], v["N"]), *_geometry(v)),
    "vit.patches": lambda f, v: f(v["x"], v["P"]),
    "opt.momentum": lambda f, v: f(v["theta"], v["D"], v["v"], v["eta"], v["mu"])[0],
    "opt.nesterov": lambda f, v: f(v["theta"], v["D"], v["v"], v["eta"], v["mu"])[0],
    "opt.adagrad": lambda f, v: f(v["theta"], v["D"], v["G"], v["eta"], v["eps"])[0],
    "opt.rmsprop": lambda f, v: f(v["theta"], v["D"], v["v"], v["eta"], v["rho"], v["eps"])[0],
    "opt.adam": lambda f, v: f(v["theta"], v["D"], v["m"], v["v"], v["t"], v["eta"], v["beta1"], v["beta2"],
                               v["eps"])[0],
    "opt.adamw": lambda f, v: f(v["theta"], v["D"], v["m"], v["v"], v["t"], v["eta"], v["lam"], v["beta1"], v["beta2"],
                                v["eps"])[0],
    "opt.adam.direction": lambda f, v: f(v["D"], v["m"], v["v"], v["t"], v["beta1"], v["beta2"], v["eps"])[0],
    "opt.lamb": lambda f, v: f(v["theta"], v["D"], v["m"], v["v"], v["t"], v["eta"], v["lam"], v["beta1"],
                               v["beta2"], v["eps"])[0],
    "init.glorot": lambda f, v: f(v["u"], v["p"], v["q"]),
    "init.he": lambda f, v: f(v["v"], v["p"]),
    "opt.schedule.step": lambda f, v: f(v["eta"], v["t"], v["gamma"], v["every"]),
    "opt.schedule.exponential": lambda f, v: f(v["eta"], v["t"], v["gamma"]),
    "opt.schedule.inverse": lambda f, v: f(v["eta"], v["t"], v["k"]),
    "opt.schedule.cosine": lambda f, v: f(v["eta"], v["t"], v["n"]),
    "opt.schedule.warmup": lambda f, v: f(v["eta"], v["t"], v["n"]),
}


def _geometry(v: dict[str, Any]) -> tuple[tuple[int, int], ...]:
    """Stride, padding and dilation of a record, vertical and horizontal."""
    return (v["S"], v["S2"]), (v["R"], v["R2"]), (v["D"], v["D2"])


def _objective(function: Callable[..., Any], v: dict[str, Any]) -> Any:
    """The record takes the losses as they are; the reference computes them, here from themselves."""
    losses = v["loss"][1:]
    return function(losses, losses, [None, v["Theta"]], v["lam"], L=lambda loss, _: loss)


def call(equation: Equation, values: dict[str, Any], function: Callable[..., Any] | None = None) -> Any:
    """The reference function of this id, or another in its place, on these values."""
    function = function or reference.FUNCTIONS[equation.id]
    if equation.id in CALLS:
        return CALLS[equation.id](function, values)
    order = [*equation.arrays, *equation.symbols] or [*equation.sizes]
    asked = inspect.signature(reference.FUNCTIONS.get(equation.id, function)).parameters   # whoever stands in its place
    wanted = [name for name, one in asked.items() if one.default is one.empty]
    if equation.arrays and set(wanted) & set(equation.sizes) and set(wanted) <= set(values):    # sizes by their names
        order = wanted
    return function(*(values[name] for name in order))


def flat(result: Any, bases: list[int], index: Index = ()) -> Iterator[tuple[Index, Any]]:
    """The entries of a result, with the record's indices; a slot 0 that the record does not have is skipped."""
    if not bases:
        yield index, result
        return
    for i in range(bases[0], len(result)):
        yield from flat(result[i], bases[1:], (*index, i))


def bases(equation: Equation) -> list[int]:
    """The first value of each index of the record's result."""
    return [int(expressions.bounds(ranges)[0][0]) for ranges in equation.index.values()]


@attrs.frozen
class Certified:
    """The reference's outcomes for one record, computed once and compared with many forms."""
    equation: Equation
    field: Field
    cases: tuple[tuple[Instance, Outcome], ...]

    def difference(self, machine: Machine) -> str:
        """Where a form first disagrees with the reference; empty if nowhere."""
        run = machine.runner(tuple(self.cases[0][0].names()))
        with self.field:
            for instance, expected in self.cases:
                where = f"{self.equation.id} at {dict(instance.sizes)}"
                try:
                    found = run(instance)
                except (ArithmeticError, LookupError, TypeError, ValueError) as error:
                    return f"{where}: {type(error).__name__}: {error}"
                if found.keys() != expected.keys():
                    return f"{where}: {len(found)} outputs, the reference has {len(expected)}"
                for index, parts in expected.items():
                    if found[index] != parts:
                        return f"{where}: differs from the reference at index {index}"
        return ""


@cache
def certified(id: str) -> Certified:
    """Run the reference on every instance of a record."""
    equation, field = spec.get(id), Field(len(id), formal_roots=True)
    cases = []
    with field:
        for instance in instances(equation):
            result = call(equation, arguments(equation, instance))
            cases.append((instance, {index: _parts(value) for index, value in flat(result, bases(equation))}))
    return Certified(equation, field, tuple(cases))


def with_forms() -> list[str]:
    """The ids of all records that have a machine form and a reference (`links` says where one is missing)."""
    return [id for id, equation in spec.load().items() if equation.value is not None and id in reference.FUNCTIONS]


def difference(id: str) -> str:
    """Where the record's own form disagrees with the reference; empty if nowhere."""
    return certified(id).difference(Machine.of(spec.get(id)))
