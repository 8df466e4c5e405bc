"""A trap's point makes its fault fail, and a default is the same wherever it stands."""

import dataclasses
import inspect
import re
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import torch
from traps import FAULTS, SAME_AS, SCALAR, Bounded, careful, exp, f

from chainrule import reference, spec
from chainrule.spec import expressions
from chainrule.triton_kernels import OPS, functional, nn
from chainrule.triton_kernels.activations.table import ACTIVATIONS


@pytest.mark.parametrize(("id", "trap"), SCALAR, ids=lambda one: one if isinstance(one, str) else one.name)
def test_the_fault_fails_at_the_point_of_the_trap(id, trap):
    of, name = SAME_AS.get((id, trap.name), (id, trap.name))
    at = {key: trap.at[key] for key in spec.get(of).symbols}
    truth, bounded = careful(of, at)
    error = float(bounded.error) if isinstance(bounded, Bounded) else 0.0
    try:
        with np.errstate(all="ignore"):
            found = float(FAULTS[of, name](**{key: f(v) for key, v in at.items()}))
    except OverflowError:
        return
    assert not abs(mpmath.mpf(found) - truth) <= error, (found, truth, error)


@pytest.mark.parametrize(("id", "trap"), SCALAR, ids=lambda one: one if isinstance(one, str) else one.name)
def test_the_careful_form_passes_there(id, trap):
    at = {key: trap.at[key] for key in spec.get(id).symbols}
    truth, bounded = careful(id, at)
    value = float(bounded.v) if isinstance(bounded, Bounded) else float(bounded)
    assert abs(mpmath.mpf(value) - truth) <= (float(bounded.error) if isinstance(bounded, Bounded) else 0)


def test_every_fault_belongs_to_a_trap():
    assert {SAME_AS.get((id, trap.name), (id, trap.name)) for id, trap in SCALAR} == set(FAULTS)


def test_one_pass_variance_leaves_nothing():
    [trap] = [trap for trap in spec.get("norm.batch").traps if trap.name == "one-pass-variance"]
    x = np.array(trap.at["x"], dtype=np.float32)
    assert (x * x).mean() - x.mean()**2 != x.var()


def test_softmax_overflows_without_the_maximum():
    for id in ("act.softmax", "loss.softmax"):
        [trap] = [trap for trap in spec.get(id).traps if trap.name == "logits-beyond-exp"]
        z = np.array(trap.at["z"], dtype=np.float32)
        with np.errstate(all="ignore"):
            assert np.isnan(exp(z) / exp(z).sum()).any()


# ------------------------------------------------------------------------------------------ defaults

DEFAULTS = [(id, name, value) for id, record in spec.load().items() for name, value in record.defaults.items()
            if re.fullmatch(r"[\d/]+", value)]
POINT = Fraction(-3, 2)


def of_signature(function, name):
    return inspect.signature(function).parameters[name].default


def through(function, record, name, value):
    """The function where the default is left out, and where it is said; both at a point that needs it."""
    at = {symbol: POINT for symbol in record.symbols if symbol not in record.defaults}
    return function(**at), function(**at, **{name: value})


def places(id):
    """Where the default of an id may stand beside its record."""
    act = ACTIVATIONS.get(id.split(".")[1]) if id.startswith("act.") else None
    return {"reference": reference.FUNCTIONS.get(id), "derived": spec.derived(id) if id in spec.derived_ids() else None,
            "op": OPS.get(id), "table": act, "torch": vars(functional).get(TORCH.get(id, ""))}


TORCH = {"act.elu": "elu"}                           # torch's leaky slope is 0.01 on purpose, the record's 0.1


def differing(id, name, value, standing):
    """The places where the default is another one, and how many places have one."""
    record, value, wrong, compared = spec.get(id), Fraction(value), [], 0
    for place, function in standing.items():
        if function is None:
            continue
        if place == "table":
            compared += 1
            wrong += [place] * ((function.parameter, function.default) != (name, float(value)))
            continue
        parameter = inspect.signature(function).parameters.get(name)
        if parameter is None or parameter.default is inspect.Parameter.empty:
            continue
        if parameter.default is not None:
            compared += 1
            wrong += [place] * (parameter.default != value and parameter.default != float(value))
        elif place in ("reference", "derived"):
            compared += 1
            left_out, said = through(function, record, name, value)
            wrong += [place] * (left_out != said or not isinstance(left_out, Fraction | int))
    return wrong, compared


@pytest.mark.parametrize(("id", "name", "value"), DEFAULTS)
def test_a_default_is_the_same_everywhere(id, name, value):
    wrong, compared = differing(id, name, value, places(id))
    assert wrong == []
    assert compared


def with_default(function, name, value):
    """The same function with another default."""
    def other(*given, **named):
        bound = inspect.signature(function).bind_partial(*given, **named)
        return function(*given, **{**({} if name in bound.arguments else {name: value}), **named})
    other.__signature__ = inspect.signature(function)
    if of_signature(function, name) is not None:
        parameters = inspect.signature(function).parameters
        other.__signature__ = inspect.Signature([
            p.replace(default=value) if p.name == name else p for p in parameters.values()])
    return other


@pytest.mark.parametrize(("id", "name", "place", "value"), [
    ("act.leaky", "slope", "reference", Fraction(1, 5)), ("act.leaky.prime", "slope", "derived", Fraction(1, 5)),
    ("act.leaky", "slope", "table", 0.2), ("act.elu", "alpha", "table", 7.0), ("act.elu", "alpha", "torch", 7.0),
    ("act.elu.prime", "alpha", "derived", 7), ("loss.softmax.weighted", "eps", "reference", Fraction(1, 10)),
])
def test_another_default_is_found_where_it_stands(id, name, place, value):
    standing = places(id)
    standing[place] = dataclasses.replace(standing[place], default=value) if place == "table" else \
        with_default(standing[place], name, value)
    assert differing(id, name, spec.get(id).defaults[name], standing)[0] == [place]


@pytest.mark.parametrize(("id", "name", "value"), [
    ("act.leaky", "slope", "1/5"), ("act.leaky.prime", "slope", "1/5"), ("act.elu", "alpha", "7"),
    ("act.elu.prime", "alpha", "7"), ("loss.softmax.weighted", "eps", "1/10"),
])
def test_another_default_in_a_record_differs_from_all_the_others(id, name, value):
    wrong, compared = differing(id, name, value, places(id))
    assert len(wrong) == compared > 0


@pytest.mark.parametrize("id", [id for id, record in spec.load().items() if record.of and record.defaults])
def test_a_gradient_has_the_defaults_of_its_record(id):
    assert spec.get(id).defaults == spec.get(spec.get(id).of).defaults


def test_a_default_that_is_a_formula():
    record = spec.get("attn.head")
    form = expressions.compiled(record.defaults["scale"], ("d",))
    Q, K, V = [[0.5, -1.0, 2.0]], [[1.0, 0.25, -0.5], [0.0, 1.5, 1.0]], [[1.0], [3.0]]
    attend = reference.FUNCTIONS["attn.head"]
    assert attend(Q, K, V) == attend(Q, K, V, form(d=3.0)) != attend(Q, K, V, 1.0)
    assert all(re.fullmatch(r"[\d/]+", value) or (id, name) == ("attn.head", "scale")
               for id, one in spec.load().items() for name, value in one.defaults.items())


def test_functional_has_torchs_defaults():
    compared = 0
    for name, ours in vars(functional).items():
        theirs = getattr(torch.nn.functional, name, None)
        if not inspect.isfunction(ours) or not inspect.isfunction(theirs) or ours is theirs:
            continue
        known = inspect.signature(theirs).parameters
        for parameter in inspect.signature(ours).parameters.values():
            if parameter.name in known and parameter.default is not inspect.Parameter.empty:
                compared += 1
                assert parameter.default == known[parameter.name].default, (name, parameter.name)
    assert compared > 10


def test_modules_have_torchs_defaults():
    """eps and momentum of the norms, the slope of leaky ReLU, α of ELU …; optimizers: test_optim.py."""
    compared = 0
    for name, ours in vars(nn).items():
        theirs = getattr(torch.nn, name, None)
        if not inspect.isclass(ours) or not inspect.isclass(theirs) or ours is theirs:
            continue
        known = inspect.signature(theirs).parameters
        for parameter in inspect.signature(ours).parameters.values():
            if parameter.name in known and parameter.default is not inspect.Parameter.empty:
                compared += 1
                assert parameter.default == known[parameter.name].default, (name, parameter.name)
    assert compared > 100


def printed_slope(latex):
    return Fraction(re.search(r"max\(([\d.]+)x", latex)[1])


def test_the_leaky_slope_is_the_printed_one():
    [form] = spec.get("act.leaky").forms
    slope = Fraction(spec.get("act.leaky").defaults["slope"])
    assert printed_slope(form.latex) == slope != printed_slope(form.latex.replace("0.1", "0.2"))
    assert reference.FUNCTIONS["act.leaky"](Fraction(-1, 3)) == Fraction(-1, 30)
