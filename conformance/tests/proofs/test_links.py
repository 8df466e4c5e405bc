"""An equation that lacks a link is named, with the file to open, by this test alone."""

import attrs
import pytest

from chainrule import reference, spec
from chainrule.conformance.proofs import links
from chainrule.conformance.proofs.certify import CLAIMS
from chainrule.conformance.witnesses import table


def test_nothing_is_missing():
    assert list(links.missing()) == []


@pytest.mark.parametrize(("what", "without", "sentence"), [
    ("functions", "act.gelu", 'act.gelu: no reference function; write one in reference/activations.py, '
                              'tagged @implements("act.gelu")'),
    ("derived", "act.gelu.prime", "act.gelu.prime: no derivation; run `chainrule derive act.gelu.prime`"),
    ("derived", "norm.batch.grad_x", "norm.batch.grad_x: no derivation; write its steps in spec/derive/chapters/ and "
                                     "run `chainrule derive norm.batch.grad_x`"),
    ("claims", "act.gelu.prime", "act.gelu.prime: nothing certifies it against the reference; enter a claim in "
                                 "conformance/proofs/claims.py"),
    ("witnesses", "act.gelu", "act.gelu: no outside witness; add a row to conformance/witnesses/networks.py"),
])
def test_a_missing_link_is_named_with_its_file(what, without, sentence):
    have = {"functions": set(reference.FUNCTIONS), "derived": set(spec.derived_ids()), "claims": set(CLAIMS),
            "witnesses": {row.id for row in table()}}
    assert set(links.missing(**{what: have[what] - {without}})) - set(links.missing()) == {sentence}


def test_a_missing_form_or_record_is_named():
    records = {**spec.load(), "act.gelu": attrs.evolve(spec.get("act.gelu"), value=None)}
    assert "act.gelu: no machine form; give it a `value` in spec/activations.toml" in list(links.missing(records))
    del records["act.gelu"]
    assert "act.gelu: a reference function without a record; write one in spec/activations.toml" in list(
        links.missing(records))
