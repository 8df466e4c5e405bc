"""What a derivation starts from is what the record says: `derive --check` finds a record that moved, and names it."""

import attrs
import pytest
import sympy as sp

from chainrule.conformance.proofs.certify import CLAIMS
from chainrule.spec import records
from chainrule.spec.derive import command, origin
from chainrule.spec.derive.chapters import images
from chainrule.spec.derive.proof import prove

IDS = command.ids()


def with_record(monkeypatch, id, **changes):
    """The records, with one of them changed, and everything made from it made again."""
    known, findings = records.load(), records.findings()
    changed = {**known, id: attrs.evolve(known[id], **changes)}
    monkeypatch.setattr(records, "_everything", lambda: (changed, findings))


def changed_form(monkeypatch, id, old, new):
    value = records.load()[id].value
    assert old in value
    with_record(monkeypatch, id, value=value.replace(old, new))


@pytest.mark.parametrize("id", IDS)
def test_every_derivation_has_a_record_to_start_from(id):
    derivation = command.make(id)
    start = origin.record_of(derivation)
    assert bool(start and start.value) != derivation.built
    assert set(origin.records_of(derivation)) - {id}


@pytest.mark.parametrize(("record", "old", "new", "id"), [
    ("conv1d.valid", "theta[j]", "theta[m - 1 - j]", "conv1d.valid.grad_x"),
    ("conv1d.centred", "theta[j + h]", "theta[h - j]", "conv1d.centred.grad_a"),
    ("conv2d.valid", "K[m, n]", "2*K[m, n]", "conv2d.valid.grad_K"),
    ("conv2d.layer", "j*S2", "j*S", "conv2d.layer.grad_x"),
    ("conv2d.layer", "f//(F//G)*(C//G)", "0", "conv2d.layer.grad_w"),
    ("pool.max.layer", "- R + m*D", "- R + m", "pool.max.grad_x"),
    ("norm.batch", "+ eps", "- eps", "norm.batch.grad_x"),
    ("attn.head", "*V[t, e]", "*V[t, 0]", "attn.head.grad_V"),
    ("net.z", "a[j]", "2*a[j]", "bp.delta.chain"),
    ("bp.delta.rec", "(1 - a[i])", "(1 + a[i])", "bp.delta.rec"),
    ("alg.average", "j != 0", "j != 1", "alg.average"),
    ("loss.objective.corrected", "lam/2", "lam", "alg.average"),
    ("loss.xent", "(1 - y)", "(2 - y)", "bp.delta.out"),
    ("loss.softmax", "log", "exp", "loss.softmax.delta"),
    ("act.sigmoid", "exp(-z)", "exp(z)", "act.sigmoid.prime"),
    ("act.elu", "alpha*(exp(x) - 1)", "2*alpha*(exp(x) - 1)", "act.elu.prime"),
])
def test_a_record_that_moved_is_named(monkeypatch, record, old, new, id):
    changed_form(monkeypatch, record, old, new)
    report = command.check([id])
    assert report.status == 1
    assert record in report.text()
    assert "has moved" in report.text() or f"(the record {record} has changed)" in report.text()


def test_other_words_for_the_same_record_are_form(monkeypatch):
    changed_form(monkeypatch, "conv1d.valid", "theta[j]*x[i + j]", "x[i + j]*theta[j]")
    [finding] = command.check(["conv1d.valid.grad_x"]).findings
    assert (finding.state, "conv1d.valid has other words now" in finding.message) == ("form", True)


def test_padding_squared_in_the_window_of_a_pool_is_refused(monkeypatch):
    """The planted fault that once passed everything: it shows at padding 2 alone."""
    monkeypatch.setattr(images, "ROW", images.ROW + images.R - images.R**2)
    [finding] = command.check(["pool.max.grad_x"]).findings
    assert finding.state == "wrong"
    assert "its definition is not what the record pool.max.layer says" in finding.message
    assert "the record stands, the derivation moved" in finding.message


@pytest.mark.parametrize("id", IDS)
def test_every_size_takes_three_values(id):
    """Two values tell no square from a product, and no product from a sum."""
    derivation = command.make(id)
    dependent = {size for size in derivation.trials[0] if str(size) in ("A", "B")}
    for size in {size for one in derivation.trials for size in one} - dependent:
        assert len({one[size] for one in derivation.trials}) >= 3, size
    assert len(derivation.trials) >= 3
    for name in {name for one in CLAIMS[id].sizes for name in one}:
        assert len({one[name] for one in CLAIMS[id].sizes}) >= 3, name
    assert len(CLAIMS[id].sizes) >= 3


def test_strides_paddings_and_dilations_differ_both_ways():
    for id in ("conv2d.layer.grad_x", "conv2d.layer.grad_w", "pool.max.grad_x"):
        letters = {str(size): size for size in command.make(id).trials[0]}
        for one, two in (("S", "S2"), ("R", "R2"), ("D", "D2")):
            assert any(trial[letters[one]] != trial[letters[two]] for trial in command.make(id).trials), (id, one)
        assert any(one["s"] != one["t"] and one["pad"] != one["qad"] for one in CLAIMS[id].sizes)
    assert any(one["C"] > 1 and one["G"] > 1 for one in CLAIMS["conv2d.layer.grad_w"].sizes)


def test_the_reads_of_a_derivation_are_needed(monkeypatch):
    derivation = command.make("conv2d.layer.grad_x")
    derivation.reads = {}
    assert sp.Symbol("C") not in derivation.shapes
    assert "its definition is not what the record conv2d.layer says" in prove(derivation).failure
