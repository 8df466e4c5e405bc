"""Every number that the `why` of a trap states is computed, and stands there as it was computed."""

import math
from fractions import Fraction

import numpy as np
import pytest
import torch
from traps import careful, erf, exp, f, fault, point, sigmoid, sqrt, tanh

from chainrule import reference, spec
from chainrule.spec.stated import WORDS, phrase, stands_in, uncovered


def value(id, name):
    return float(careful(id, point(id, name))[0])


def few(number, digits=2):
    """3.7e-44: a measured number, as the records write it."""
    return f"{number:.{digits}g}".replace("e-0", "e-").replace("-", "−", 1 if number < 0 else 0)


def truth(id, name, digits=2):
    return few(value(id, name), digits)


def first(holds, numbers):
    return next(k for k in numbers if holds(k))


def overflow(kind):
    with np.errstate(all="ignore"):
        return first(lambda k: np.isinf(exp(kind(k))), range(1000))


def rounds_to(value, of):
    """The first z from which of(z) is that value in float32."""
    with np.errstate(all="ignore"):
        return first(lambda z: of(f(z)) == value, range(100))


# the numbers that the `why` of a trap states
WHY = {
    ("act.sigmoid", "exp-of-a-large-argument"): lambda: [
        phrase("e^{} overflows a float64 (e^{} a float32)", overflow(np.float64), overflow(f))],
    ("act.sigmoid.prime", "derivative-of-the-printed-form"): lambda: [
        phrase("e^{}/(1 + e^{})² is ∞/∞ in float32: NaN where the truth is {}", 100, 100,
               truth("act.sigmoid.prime", "derivative-of-the-printed-form"))],
    ("act.sigmoid.prime", "one-minus-one"): lambda: [
        phrase("g(1 − g) with g rounded to {} is exactly {}; the truth is e^{}", int(sigmoid(f(40))),
               int(fault("act.sigmoid.prime", "one-minus-one")),
               round(math.log(value("act.sigmoid.prime", "one-minus-one"))))],
    ("act.tanh", "infinity-over-infinity"): lambda: [
        phrase("∞/∞ is NaN; the truth is {}", truth("act.tanh", "infinity-over-infinity"))],
    ("act.tanh", "difference-of-near-equals"): lambda: [
        phrase("cancels near 0: the printed form keeps {} digits", WORDS[round(-math.log10(abs(
            fault("act.tanh", "difference-of-near-equals") / value("act.tanh", "difference-of-near-equals")
            - 1)))])],
    ("act.tanh.prime", "one-minus-square-of-rounded"): lambda: [
        phrase("1 − tanh² is exactly {} once tanh has rounded to {}; the truth is {}",
               int(fault("act.tanh.prime", "one-minus-square-of-rounded")), int(tanh(f(20))),
               truth("act.tanh.prime", "one-minus-square-of-rounded"))],
    ("act.tanh.prime", "infinity-over-infinity"): lambda: [
        phrase("the truth, {}, rounds to {}", truth("act.tanh.prime", "infinity-over-infinity"),
               int(f(value("act.tanh.prime", "infinity-over-infinity"))))],
    ("act.relu.prime", "kink"): lambda: [
        phrase("{} here and in torch, {} where max(0, x) is differentiated with a split tie",
               spec.derived("act.relu.prime")(0), split(0.0))],
    ("act.leaky.prime", "kink"): lambda: [
        phrase("the slope here and in torch, 1 in tinygrad, {} where max is differentiated with a split tie",
               split(0.1))],
    ("act.elu", "discarded-branch-overflow"): lambda: ["and 0 times infinity is NaN"] * math.isnan(0 * math.inf),
    ("act.elu", "exp-minus-one-cancels"): lambda: [
        phrase("e^x − 1 is exactly {} in float32 for |x| < {}; the truth is {}",
               int(fault("act.elu", "exp-minus-one-cancels")), few(2**-24, 1),
               truth("act.elu", "exp-minus-one-cancels"))],
    ("act.elu.prime", "discarded-branch-overflow"): lambda: ["and 0 times infinity is NaN"] * math.isnan(0 * math.inf),
    ("act.elu.prime", "kink"): lambda: [
        phrase("with α = {} the function is smooth at {} and the derivative is {}; two ReLUs glued together give {}",
               int(point("act.elu.prime", "kink")["alpha"]), int(point("act.elu.prime", "kink")["x"]),
               truth("act.elu.prime", "kink"), int(fault("act.elu.prime", "kink")))],
    ("act.elu.prime", "vanished-tail"): lambda: [
        phrase("y + α rounds to {}; the truth is e^{} = {}", int(fault("act.elu.prime", "vanished-tail")),
               int(point("act.elu.prime", "vanished-tail")["x"]),
               truth("act.elu.prime", "vanished-tail", 3))],
    ("act.gelu", "one-plus-erf-cancels"): lambda: [
        phrase("1 + erf(x/√2) is exactly {} in float32 from x ≈ {}; the truth is {}",
               int(fault("act.gelu", "one-plus-erf-cancels")),
               -first(lambda k: 1 + erf(f(-k) / sqrt(f(2))) == 0, np.arange(1, 9, 0.002)).round(1),
               truth("act.gelu", "one-plus-erf-cancels"))],
    ("act.gelu.prime", "one-plus-erf-cancels"): lambda: [
        phrase("the distribution is {} once 1 + erf has rounded to {}; the truth is {} − {}",
               int(fault("act.gelu.prime", "one-plus-erf-cancels")), int(1 + erf(f(-6) / sqrt(f(2)))),
               *map(few, (
                   math.erfc(6 / math.sqrt(2)) / 2, 6 * math.exp(-18) / math.sqrt(2 * math.pi))))],
    ("act.gelu.tanh", "one-plus-tanh-cancels"): lambda: [
        phrase("1 + tanh(u) is exactly {} in float32 for u below {}; the truth, x g(2u) with the sigmoid g, is {}",
               int(fault("act.gelu.tanh", "one-plus-tanh-cancels")),
               -round(first(lambda u: 1 + f(math.tanh(-u)) == 0, np.arange(1, 20, 0.01))),
               truth("act.gelu.tanh", "one-plus-tanh-cancels"))],
    ("act.softmax", "logits-beyond-exp"): lambda: [
        phrase("e^{} overflows in float32", int(max(spec.get("act.softmax").traps[0].at["z"])))] * (
            max(spec.get("act.softmax").traps[0].at["z"]) >= overflow(f)),
    ("bp.delta.rec", "a-rounded-before-use"): lambda: [
        phrase("a(1 − a) is {} % off at z = {}: 1 − a has lost its digits", *off_in_bfloat16(6))],
    ("bp.delta.rec", "g-prime-of-the-wrong-layer"): lambda: ["the deltas in the sum to layer l + 1"],
    ("loss.xent", "log-of-one-minus-rounded"): lambda: [
        "1 − ŷ cancels: log(1 − ŷ) keeps no digits near ŷ = 1, and is −∞ once ŷ has rounded to 1"] * int(
            np.isneginf(fault("loss.xent", "log-of-one-minus-rounded"))),
    ("loss.xent.logits", "absolute-value-at-zero"): lambda: [at_zero()],
    ("loss.xent.logits.delta", "absolute-value-at-zero"): lambda: [at_zero()],
    ("loss.xent.logits", "composed-by-hand"): lambda: [
        "−log(1 − g(z)) typed as printed",
        phrase("g(z) rounds to {} in float32 from z ≈ {}", 1, rounds_to(1, sigmoid))],
    ("loss.xent.logits", "composed-by-hand-other-label"): lambda: [
        phrase("e^{} overflows in float32, g(z) is {}, and the logarithm is infinite; the loss is {}", 110,
               int(sigmoid(f(-110))), truth("loss.xent.logits", "composed-by-hand-other-label", 3))],
    ("loss.xent.logits.delta", "derivative-of-the-composition"): lambda: [
        phrase("−log(1 − g(z)) as typed gives g′/(1 − g), which is {0}/{0} or ∞ once g(z) has rounded to {1}; "
               "the truth is {1}", int(1 - sigmoid(f(20))), int(sigmoid(f(20)))),
    ] * (truth("loss.xent.logits.delta", "derivative-of-the-composition") == "1"),
    ("loss.softmax", "logits-beyond-exp"): lambda: [
        phrase("e^{} overflows in float32; the loss is {}", 100,
               round(reference.FUNCTIONS["loss.softmax"]([0.0, 1.0], [100.0, 0.0])))],
    ("loss.softmax.weighted", "share-of-the-others"): lambda: ["ε/K each, not ε/(K − 1) to the others"],
    ("norm.batch", "one-pass-variance"): lambda: [
        phrase("{} and {} leave no digits in float32", *map(int, spec.get("norm.batch").traps[0].at["x"]))],
}


def split(slope):
    """The derivative of max(slope x, x) at 0 where torch halves a tie."""
    x = torch.zeros(1, requires_grad=True)
    torch.maximum(slope * x, x).sum().backward()
    return round(float(x.grad), 6)


def off_in_bfloat16(z):
    a = torch.tensor(1 / (1 + math.exp(-z)))
    kept = float(a.bfloat16())
    return round(100 * abs(kept * (1 - kept) / float(a * (1 - a)) - 1)), z


def at_zero():
    """z/|z| at 0 is any number between the two sides; half of both is the truth."""
    sides = sorted(float(f(s > 0) - 0 - np.sign(f(s)) * 0) for s in (-1.0, 1.0))
    return phrase("whose derivative at {} is taken as {}: the gradient comes out {} or {} instead of {}", 0, 0,
                  int(sides[0]), int(sides[1]), Fraction(sum(sides)) / 2)


TRAPS = [(id, trap) for id, record in spec.load().items() for trap in record.traps]


@pytest.mark.parametrize(("id", "trap"), TRAPS, ids=lambda one: one if isinstance(one, str) else one.name)
def test_every_number_in_a_why_is_computed(id, trap):
    with np.errstate(all="ignore"):
        phrases = WHY.get((id, trap.name), list)()
    for one in phrases:
        assert stands_in(one, trap.why), one
    assert uncovered(trap.why, phrases) == []


def test_every_phrase_belongs_to_a_trap():
    assert set(WHY) <= {(id, trap.name) for id, trap in TRAPS}
