"""A trap's point makes its fault fail, and a default is the same wherever it stands."""

import inspect
import math
import re
from fractions import Fraction

import mpmath
import numpy as np
import pytest

from chainrule import reference, spec
from chainrule.conformance.judging.numbers import multiprecision
from chainrule.conformance.judging.numbers.bounded import FLOAT32, Bounded
from chainrule.spec import expressions
from chainrule.triton_kernels import OPS

REGISTERED = multiprecision
f = np.float32
exp, tanh, log, sqrt = np.exp, np.tanh, np.log, np.sqrt
erf = np.vectorize(math.erf, otypes=[np.float32])


def sigmoid(z):
    return f(1) / (f(1) + exp(-z))


def cubic(x):
    return f(math.sqrt(2 / math.pi)) * (x + f(0.044715) * x**3)


# what broken code computes, in float32, at the point of the trap
FAULTS = {
    ("act.sigmoid", "exp-of-a-large-argument"): lambda z: 1 / (1 + math.exp(-float(z))),
    ("act.sigmoid.prime", "derivative-of-the-printed-form"): lambda z: exp(-z) / (1 + exp(-z))**2,
    ("act.sigmoid.prime", "one-minus-one"): lambda z: sigmoid(z) * (1 - sigmoid(z)),
    ("act.tanh", "infinity-over-infinity"): lambda x: (exp(x) - exp(-x)) / (exp(x) + exp(-x)),
    ("act.tanh", "difference-of-near-equals"): lambda x: (exp(x) - exp(-x)) / (exp(x) + exp(-x)),
    ("act.tanh.prime", "one-minus-square-of-rounded"): lambda x: 1 - tanh(x)**2,
    ("act.tanh.prime", "infinity-over-infinity"): lambda x: 1 - ((exp(x) - exp(-x)) / (exp(x) + exp(-x)))**2,
    ("act.elu", "discarded-branch-overflow"): lambda x, alpha: (x >= 0) * x + (x < 0) * alpha * (exp(x) - 1),
    ("act.elu", "exp-minus-one-cancels"): lambda x, alpha: alpha * (exp(x) - 1),
    ("act.elu.prime", "discarded-branch-overflow"): lambda x, alpha: f(x >= 0) + f(x < 0) * alpha * exp(x),
    ("act.elu.prime", "kink"): lambda x, alpha: f(x > 0) + f(x < 0) * alpha * exp(x),
    ("act.elu.prime", "vanished-tail"): lambda x, alpha: alpha * (exp(x) - 1) + alpha,
    ("act.gelu", "one-plus-erf-cancels"): lambda x: x * (1 + erf(x / sqrt(f(2)))) / 2,
    ("act.gelu.prime", "one-plus-erf-cancels"): lambda x: (1 + erf(x / sqrt(f(2)))) / 2 + 0 * x,
    ("act.gelu.tanh", "one-plus-tanh-cancels"): lambda x: x * (1 + tanh(cubic(x))) / 2,
    ("loss.xent", "log-of-one-minus-rounded"): lambda y, yhat: log(1 - (yhat + f(6e-8))),
    ("loss.xent.logits", "composed-by-hand"): lambda z, y: -log(1 - sigmoid(z)),
    ("loss.xent.logits", "composed-by-hand-other-label"): lambda z, y: -log(sigmoid(z)),
    ("loss.xent.logits.delta", "absolute-value-at-zero"): lambda z, y: f(z > 0) - y - np.sign(z) / (1 + exp(abs(z))),
    ("loss.xent.logits.delta", "derivative-of-the-composition"):
        lambda z, y: sigmoid(z) * (1 - sigmoid(z)) / (1 - sigmoid(z)),
}
SAME_AS = {("loss.xent.logits", "absolute-value-at-zero"): ("loss.xent.logits.delta", "absolute-value-at-zero")}
SCALAR = [(id, trap) for id, record in spec.load().items() for trap in record.traps
          if not record.arrays and trap.kind == "error"]


def careful(id, at):
    """The record's stable form at the point: the value in many digits, and what float32 may be off by."""
    record = spec.get(id)
    form = record.stable or record.value
    with mpmath.workdps(400):
        truth = expressions.compiled(form, tuple(at))(**{name: mpmath.mpf(float(f(v))) for name, v in at.items()})
    bounded = expressions.compiled(form, tuple(at))(
        **{name: Bounded(np.asarray(float(f(v))), FLOAT32) for name, v in at.items()})
    return truth, bounded


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


@pytest.mark.parametrize(("id", "name", "value"), DEFAULTS)
def test_a_default_is_the_same_everywhere(id, name, value):
    record, value = spec.get(id), Fraction(value)
    functions = [reference.FUNCTIONS.get(id), spec.derived(id) if id in spec.derived_ids() else None]
    compared = 0
    for function in functions:
        if function is None or of_signature(function, name) is inspect.Parameter.empty:
            continue
        compared += 1
        if of_signature(function, name) is not None:
            assert of_signature(function, name) == value
        else:
            left_out, said = through(function, record, name, value)
            assert left_out == said
            assert isinstance(left_out, Fraction | int)
    if id in OPS:
        parameter = inspect.signature(OPS[id]).parameters.get(name)
        if parameter is not None and parameter.default not in (inspect.Parameter.empty, None):
            compared += 1
            assert parameter.default == float(value)
    assert compared or id == "act.elu"          # the printed ELU has no α of its own: the slide gives none


def test_the_leaky_slope_is_the_printed_one():
    [form] = spec.get("act.leaky").forms
    assert re.search(r"max\(([\d.]+)x", form.latex)[1] == str(float(Fraction(spec.get("act.leaky").defaults["slope"])))
    assert reference.FUNCTIONS["act.leaky"](Fraction(-1, 3)) == Fraction(-1, 30)
