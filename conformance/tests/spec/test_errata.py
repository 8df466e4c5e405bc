"""Every finding about the deck has a proof that runs, and no finding is lost."""

from __future__ import annotations

import importlib
import re
from functools import cache
from pathlib import Path

import pytest

from chainrule import spec
from chainrule.conformance.proofs import findings, findings_claims, findings_torch  # noqa: F401  they enter their proofs in the table
from chainrule.spec import errata
from chainrule.spec.stated import phrase, uncovered

HOMES = {"errata": "chainrule.spec.errata", "proofs": "chainrule.conformance.proofs.findings",
         "claims": "chainrule.conformance.proofs.findings_claims",
         "proofs_torch": "chainrule.conformance.proofs.findings_torch"}
FINDINGS = spec.findings()
TABLE = Path(spec.__file__).resolve().parents[1] / "docs" / "errata.md"
VERIFIED = ["E21", "E39", "E52", "E59", "E66", "E67"]


shown_by = cache(errata.demonstrate)


@pytest.mark.parametrize("id", sorted(errata.PROOFS))
def test_the_proof_holds(id):
    assert all(shown_by(id))


def test_every_finding_has_a_proof_or_a_reason_why_not():
    for id, finding in FINDINGS.items():
        assert bool(finding.proof) != bool(finding.unprovable), id
        if finding.proof:
            assert errata.PROOFS[id].__module__ == HOMES[finding.proof], id
    assert {id for id, finding in FINDINGS.items() if finding.proof} == set(errata.PROOFS)


def test_thirty_four_findings_of_severity_a_and_b_and_six_verified_claims():
    severities = [finding.severity for finding in FINDINGS.values()]
    assert severities.count("A") + severities.count("B") == 34
    assert sorted(id for id, finding in FINDINGS.items() if finding.severity == "verified") == VERIFIED


@pytest.mark.skipif(not TABLE.exists(), reason="not judged: the docs are not installed with the package")
def test_the_others_are_in_the_table():
    rows = re.findall(r"^\| (E\d\d) \| (.*?) \| (.*?) \| (\w+) \|$", TABLE.read_text(encoding="utf-8"), re.M)
    assert rows == [(note.id, note.lines, note.says, note.kind) for note in spec.notes().values()]
    table = [id for id, *_ in rows]
    assert len(table) == 27
    assert sorted([*table, *FINDINGS]) == [f"E{k:02d}" for k in range(1, 68)]


def test_findings_and_records_name_each_other():
    for id, finding in FINDINGS.items():
        for touched in finding.touches:
            assert touched in spec.load(), (id, touched)
        assert finding.touches, id
    for id, equation in spec.load().items():
        for number in equation.errata:
            assert number in FINDINGS or number in spec.notes(), (id, number)


def test_every_finding_is_answered_by_a_reading_or_by_a_record_that_is_not_printed():
    for id, finding in FINDINGS.items():
        touched = [spec.get(t) for t in finding.touches]
        answered = any(t.status != "printed" or t.stable for t in touched) or any(
            id in reading.because for t in touched for reading in t.readings)
        assert answered or finding.severity == "verified" or id == "E26", id    # E26 is answered by examples


def test_a_false_claim_is_refused(monkeypatch):
    monkeypatch.setitem(errata.PROOFS, "E99", lambda: iter([("one is two", 1 == 2)]))
    with pytest.raises(errata.Refuted, match="E99: not so: one is two"):
        errata.demonstrate("E99")
    monkeypatch.setitem(errata.PROOFS, "E99", lambda: iter([]))
    with pytest.raises(errata.Refuted, match="claims nothing"):
        errata.demonstrate("E99")


# ---- the numbers that a finding states

def places_of(id: str, latex: str) -> int:
    [form] = [form for form in spec.get(id).forms if form.latex == latex]
    return len(form.lines)


def phrases_of(id):
    if id == "E10":
        return [phrase("a^(l) = a(z^(l)) where {} other places have g(z^(l))",
                       places_of("net.a", "a^{(l)} = g(z^{(l)})"))]
    return [claim for claim in shown_by(id) if isinstance(claim, errata.Stated)] if id in errata.PROOFS else []


@pytest.mark.parametrize("id", sorted(FINDINGS))
def test_every_number_of_a_finding_is_computed(id):
    assert uncovered(errata.text_of(id), phrases_of(id)) == []


NOTES = {
    "E30": lambda: ["they are {} and {}".format(spec.get("conv1d.valid").examples[0].output,
                           spec.get("conv2d.valid").examples[0].output)],
    "E48": lambda: [phrase("{} hides it for the sigmoid, ReLU′({}) = {} does not", "a_0(1 − a_0) = 0", 1,
                           spec.derived("act.relu.prime")(1))],
    "E58": lambda: [phrase("its δ = {}(ŷ − y) is not printed", spec.derived("loss.square.delta")(0, 1)),
                    "(y − ŷ)² without ½"],
}


@pytest.mark.parametrize("id", NOTES)
def test_every_number_of_a_note_is_computed(id):
    assert uncovered(spec.notes()[id].says, NOTES[id]()) == []


@pytest.mark.parametrize(("id", "old", "new"), [
    ("E15", "−2 instead of 1", "−3 instead of 1"), ("E21", "56 L − 60", "56 L + 60"), ("E21", "20 L", "21 L"),
    ("E59", "fourfold", "fivefold"), ("E59", "¼", "½"), ("E39", "(m² − 1)/4", "(m² + 1)/4"), ("E45", "17", "16"),
    ("E43", "0.01", "0.1"), ("E66", "1024", "1023"), ("E34", "30 to 33", "30 to 34"), ("E23", "[θ1 θ2 0", "[θ0 θ1 0"),
    ("E05", "2λΘ", "λΘ/2"), ("E63", "1 − α", "α − 2"), ("E10", "35", "36"), ("E28", "n − m + 1", "n − m"),
])
def test_another_number_in_a_finding_is_refused(monkeypatch, id, old, new):
    text = errata.text_of(id)
    assert old in text
    monkeypatch.setattr(errata, "text_of", lambda _: text.replace(old, new))
    if id not in errata.PROOFS:
        assert uncovered(errata.text_of(id), phrases_of(id)) == [new]
    else:
        with pytest.raises(errata.Refuted, match="does not say what was computed"):
            errata.demonstrate(id)


def test_a_number_has_one_proof():
    with pytest.raises(ValueError, match="E01 has a proof already"):
        errata.proves("E01")(lambda: iter([]))


def test_homes_are_modules():
    for home in HOMES.values():
        assert importlib.import_module(home).proves is errata.proves
