"""Nothing the deck prints is lost, and nothing is claimed that it does not print."""

from __future__ import annotations

import attrs
import pytest

from chainrule import spec
from chainrule.spec import coverage

pytestmark = pytest.mark.trace

# Code, tables, claims and conventions: what a deck says without a formula.
WITHOUT_FORMULA = """
    act.coordinatewise act.why net.regression.label aut.packages torch.net torch.loop claim.training claim.slow
    claim.testacc bp.needs net.nointercept bp.single.pass bp.stored alg alg.intercept arch arch.nk arch.local
    arch.shift arch.shared conv.star conv1d.index.note conv.channel filter.learned stack.64 pool.max pool.flatten
    cnn.as.fc cnn.sgd lenet real.nets remarks vit claim.fc16e9 claim.local40e6 claim.localdeps
"""

SMALL = "A slide\n\n$$a = x$$\n\nwith $b$ and $b$\n"


def record(id, *forms, lines=(), slide="A slide"):
    printed = [spec.Form(latex, at) for latex, at in forms]
    return spec.Equation(id=id, kind="notation", status="printed", says="", slide=slide, lines=lines, forms=printed)


def small(*records):
    return coverage.judge(SMALL, {r.id: r for r in records})


def test_the_records_claim_what_the_deck_printed_when_it_was_last_read():
    remembered = coverage.recall(spec.load())
    assert remembered.problems == ()
    assert (remembered.formulas, remembered.places, remembered.claimed) == (111, 585, 111)


def test_sixty_two_formula_ids_and_thirty_six_others():
    printed = {id for id, r in spec.load().items() if any(form.lines for form in r.forms)}
    assert len(printed) == 62
    others = set(WITHOUT_FORMULA.split())
    assert len(others) == 36
    assert others <= set(spec.load()) - printed


def test_the_deck_is_covered(deck_path):
    found = coverage.judge(deck_path.read_text(encoding="utf-8"), spec.load())
    assert found.problems == ()
    assert (found.formulas, found.places, found.claimed) == (111, 585, 111)


def test_the_remembered_deck_is_this_one(deck_path):
    here = coverage.files("chainrule.spec") / "deck.toml"
    assert coverage.remember(deck_path.read_text(encoding="utf-8")) == here.read_text(encoding="utf-8")


def test_a_new_formula_is_reported(deck_path):
    text = deck_path.read_text(encoding="utf-8") + "\n$$e^{i\\pi} = -1$$\n"
    found = coverage.judge(text, spec.load())
    assert found.formulas == 112
    assert found.claimed == 111
    [problem] = found.problems
    assert problem == f"line {text.count(chr(10))}: no record claims e^{{i\\pi}} = -1"


def test_all_is_well_with_a_small_deck():
    found = small(record("one", ("a = x", (3,))), record("two", ("b", (5, 5))))
    assert str(found) == "2 of 2 formulas claimed, in 3 places"


@pytest.mark.parametrize(("records", "problem"), [
    ([record("one", ("a = x", (3,)))], "line 5: no record claims b"),
    ([record("one", ("a = x", (3,))), record("two", ("b", (5, 5))), record("three", ("b", (5, 5)))],
     "line 5: two and three both claim b"),
    ([record("one", ("a = x", (3,))), record("two", ("b", (5,)))], "two: b stands on lines [5] too"),
    ([record("one", ("a = x", (3,))), record("two", ("b", (5, 5, 3)))], "two: b does not stand on lines [3]"),
    ([record("one", ("a = x", (3,)), ("c", (3,))), record("two", ("b", (5, 5)))], "one: the deck does not print c"),
    ([record("one", ("a  = x", (3,))), record("two", ("b", (5, 5)))],
     "one: a  = x does not stand verbatim on lines [3]"),
    ([record("one", ("a = x", (3,)), lines=(4,)), record("two", ("b", (5, 5)))], "one: deck line 4 is empty"),
    ([record("one", ("a = x", (3,)), slide="No slide"), record("two", ("b", (5, 5)))],
     "one: no slide is called 'No slide'"),
])
def test_each_kind_of_problem_is_reported(records, problem):
    assert problem in small(*records).problems


def test_code_is_verbatim(deck_path):
    text = deck_path.read_text(encoding="utf-8")
    net = spec.get("torch.net")
    edited = attrs.evolve(net, code=net.code.replace("Conv2d(1, 6, 3)", "Conv2d(1, 6, 5)"))
    problem = "torch.net: its code is not what stands on its lines"
    assert problem not in coverage.judge(text, {"torch.net": net}).problems
    assert problem in coverage.judge(text, {"torch.net": edited}).problems


def test_an_edited_record_is_noticed_without_the_deck():
    relu = spec.get("act.relu")
    forms = [attrs.evolve(relu.forms[0], latex=r"\max(0, -x)"), *relu.forms[1:]]
    edited = {**spec.load(), "act.relu": attrs.evolve(relu, forms=forms)}
    assert coverage.recall(edited).problems == ("line 101: what the records claim is not what the deck printed",)
