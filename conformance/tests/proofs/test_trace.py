"""The gate holds, and each kind of complaint can be made."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from chainrule import reference, spec
from chainrule.conformance.proofs import trace
from chainrule.spec import derivations
from chainrule.spec.derive import command

pytestmark = pytest.mark.trace


def test_everything_is_traceable(request):
    path = request.config.getoption("--deck", default=None)
    assert trace.complaints(Path(path).read_text(encoding="utf-8") if path else None) == []


@pytest.mark.slow                   # as `chainrule derive --check` does before every merge
def test_the_derived_files_are_what_the_derivations_give():
    report = command.check()
    assert report.ok, report.text()


def test_a_new_formula_is_unclaimed_and_a_double_claim_is_noticed(deck_path):
    text = deck_path.read_text(encoding="utf-8")
    assert any("e = m c^2" in one for one in trace.printed(text + "\n$$e = m c^2$$\n", spec.load()))
    records = dict(spec.load())
    records["act.copy"] = attrs.evolve(records["act.elu"], id="act.copy")
    assert any("act.copy" in one and "act.elu" in one for one in trace.printed(text, records))


def complain(**changed):
    """What is said of act.elu and act.elu.prime when something about them is missing."""
    given = {"functions": set(reference.FUNCTIONS), "derived": set(derivations.derived_ids()),
             "exact": trace.exact_ids(), "bounded": trace.bounded_ids()}
    for name, missing in changed.items():
        given[name] = given[name] - {missing}
    return list(trace.unfounded(spec.load(), **given))


@pytest.mark.parametrize(("changed", "sentence"), [
    ({"functions": "act.elu"}, "act.elu: a definition without a reference function and without a derivation"),
    ({"derived": "act.elu.prime"}, "act.elu.prime: a gradient that the deck does not print, without a derivation"),
    ({"exact": "conv1d.valid"}, "conv1d.valid: no exact case"),
    ({"bounded": "act.elu"}, "act.elu: an op without a bound case"),
])
def test_a_missing_link_is_named(changed, sentence):
    assert complain() == []
    assert any(one.startswith(sentence) for one in complain(**changed))


def test_an_unknown_id_is_named(tmp_path):
    (tmp_path / "kernel.py").write_text('"""act.elo   y = x\n\nKnown: act.elu and conv1d.valid.grad_x."""\n')
    assert trace.kernel_ids(tmp_path) == {"act.elo", "act.elu", "conv1d.valid.grad_x"}
    found = list(trace.strangers("a kernel", trace.kernel_ids(tmp_path), spec.load()))
    assert found == ["act.elo: a kernel names it, but there is no such record"]


def test_an_edited_derived_file_is_noticed(tmp_path):
    command.derive(["act.elu.prime"], out=tmp_path)
    assert command.check(["act.elu.prime"], folder=tmp_path).ok
    page = tmp_path / "act_elu_prime.py"
    page.write_text(page.read_text().replace("alpha * exp(x)", "alpha * exp(-x)"))
    report = command.check(["act.elu.prime"], folder=tmp_path)
    assert not report.ok
    assert "act.elu.prime: act_elu_prime.py line" in report.text()
