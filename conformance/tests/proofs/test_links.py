"""An equation that lacks a link is named, with the file to open, by this test alone."""

import attrs
import pytest

from chainrule import reference, spec
from chainrule.conformance.proofs import links
from chainrule.conformance.proofs.certify import CLAIMS, certify
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


def test_every_declared_gradient_has_a_derivation_or_a_reason():
    """net.residual declares two; pool.max has a reason, which names the gradient that serves it."""
    records = dict(spec.load())
    reasons = {id: dict(one.underived) for id, one in records.items() if one.underived}
    assert reasons == {"pool.max": {"x": "pool.max.layer with k = stride = s is the same: its gradient is "
                                         "pool.max.grad_x"}}
    del records["net.residual.grad_f"]
    records["pool.max"] = attrs.evolve(records["pool.max"], underived={})
    assert [one for one in links.missing(records) if "no gradient by" in one] == [
        "pool.max: no gradient by x, which its `wrt` declares; write its record, or why in `underived`, in "
        "spec/images.toml",
        "net.residual: no gradient by f, which its `wrt` declares; write its record, or why in `underived`, in "
        "spec/networks.toml"]


def test_a_gradient_that_its_equation_does_not_declare_is_named():
    records = dict(spec.load())
    records["conv1d.valid"] = attrs.evolve(records["conv1d.valid"], wrt=("theta",))
    assert list(links.missing(records)) == [
        "conv1d.valid.grad_x: a gradient by x, which conv1d.valid does not declare; name it in `wrt` there, in "
        "spec/*.toml"]


def test_the_reason_of_pool_max_holds():
    """Square windows side by side: the gradient of the general form, certified against the printed one."""
    side_by_side = [{"H": H, "W": W, "M": s, "N": s, "s": s, "t": s, "pad": 0, "qad": 0, "dil": 1, "eil": 1}
                    for s in (1, 2, 3) for H, W in ((3, 4), (5, 3), (6, 7))]
    certify("pool.max.grad_x", {"pool.max.layer": lambda x, k, **_: reference.FUNCTIONS["pool.max"](x, k[0])},
            side_by_side)


def test_a_missing_form_or_record_is_named():
    records = {**spec.load(), "act.gelu": attrs.evolve(spec.get("act.gelu"), value=None)}
    assert "act.gelu: no machine form; give it a `value` in spec/activations.toml" in list(links.missing(records))
    del records["act.gelu"]
    assert "act.gelu: a reference function without a record; write one in spec/activations.toml" in list(
        links.missing(records))
