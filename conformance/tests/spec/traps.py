"""What broken code computes at the point of each trap, and what is true there."""

import math

import mpmath
import numpy as np

from chainrule import spec
from chainrule.conformance.judging.numbers import multiprecision
from chainrule.conformance.judging.numbers.bounded import FLOAT32, Bounded
from chainrule.spec import expressions

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


def fault(id, trap):
    """What the broken code computes at the point of the trap."""
    of, name = SAME_AS.get((id, trap), (id, trap))
    with np.errstate(all="ignore"):
        return float(FAULTS[of, name](**{key: f(v) for key, v in point(of, name).items()}))


def point(id, name):
    """Where the trap is, by the names of its record."""
    [trap] = [trap for trap in spec.get(id).traps if trap.name == name]
    return {key: trap.at[key] for key in spec.get(id).symbols}
