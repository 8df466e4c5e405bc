"""Lines of a derivation as a reader may change them: what holds is said to hold, and nothing else."""

from __future__ import annotations

import pytest

from chainrule.spec.derive.command import UnknownDerivation
from chainrule.spec.derive.stepwise import compared, lines

IDS = ("act.elu.prime", "bp.delta.rec", "conv1d.valid.grad_x", "norm.batch.grad_x", "loss.softmax.delta")


def texts(id):
    return [line.text for line in lines(id)]


@pytest.mark.parametrize("id", IDS)
def test_every_line_holds_as_it_is_printed(id):
    found = compared(id, texts(id))
    assert all(one.equal and one.places > 1 and one.here == one.before for one in found), found


@pytest.mark.parametrize(("id", "step", "old", "new"), [
    ("bp.delta.rec", 0, "Σ_{k=1}^q", "Σ_{k=2}^q"),              # the first against the definition itself
    ("bp.delta.rec", 3, "[1 ≤ i ≤ p]", "[1 ≤ i ≤ p − 1]"),
    ("conv1d.valid.grad_x", 4, "max(0,p+m−n)", "max(0,p+m−n+1)"),
    ("norm.batch.grad_x", 11, "x̂_p m_2", "2 x̂_p m_2"),
])
def test_a_line_that_is_changed_does_not(id, step, old, new):
    changed = texts(id)
    assert old in changed[step]
    changed[step] = changed[step].replace(old, new)
    found = compared(id, changed)
    assert [k for k, one in enumerate(found) if not one.equal] == [k for k in (step, step + 1) if k < len(found)]
    assert found[step].before != found[step].here
    assert "not equal at" in found[step].why or "not the derivative of the definition" in found[step].why


def test_another_way_to_write_a_line_holds():
    changed = texts("bp.delta.rec")
    changed[-1] = changed[-1].replace("a⁽ˡ⁾_i (1 − a⁽ˡ⁾_i)", "(a⁽ˡ⁾_i − a⁽ˡ⁾_i ²)").replace(" ²", "²")
    assert changed[-1] != texts("bp.delta.rec")[-1]
    assert all(one.equal for one in compared("bp.delta.rec", changed))


@pytest.mark.parametrize(("text", "why"), [
    ("", "cannot be read"), ("Σ_{k=1}^q (", "cannot be read"), ("1/0", "has no value"),
    ("Σ_{k=1}^q δ⁽ˡ⁺¹⁾_k Θ⁽ˡ⁾_{k,p+1} g′(z⁽ˡ⁾_i)", "has no value at p = 1, q = 1"),
])
def test_a_line_without_a_value_says_why_and_so_does_the_next(text, why):
    changed = texts("bp.delta.rec")
    changed[4] = text
    found = compared("bp.delta.rec", changed)
    assert why in found[4].why
    assert found[5].why == "the line before it has no value"
    assert [one.equal for one in found] == [True] * 4 + [False] * 2 + [True]


def test_what_is_no_derivation_or_another_number_of_lines():
    with pytest.raises(UnknownDerivation):
        lines("bp.delta.wreck")
    with pytest.raises(ValueError, match="7 steps, and here are 1"):
        compared("bp.delta.rec", ["1"])
