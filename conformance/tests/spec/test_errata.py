"""Every finding about the deck has a proof that runs, and no finding is lost."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from chainrule import spec
from chainrule.conformance.proofs import findings, findings_claims, findings_torch  # noqa: F401  they enter their proofs in the table
from chainrule.spec import errata

HOMES = {"errata": "chainrule.spec.errata", "proofs": "chainrule.conformance.proofs.findings",
         "claims": "chainrule.conformance.proofs.findings_claims",
         "proofs_torch": "chainrule.conformance.proofs.findings_torch"}
FINDINGS = spec.findings()
TABLE = Path(spec.__file__).resolve().parents[1] / "docs" / "errata.md"
VERIFIED = ["E21", "E39", "E52", "E59", "E66", "E67"]


@pytest.mark.parametrize("id", sorted(errata.PROOFS))
def test_the_proof_holds(id):
    assert all(errata.demonstrate(id))


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


def test_a_number_has_one_proof():
    with pytest.raises(ValueError, match="E01 has a proof already"):
        errata.proves("E01")(lambda: iter([]))


def test_homes_are_modules():
    for home in HOMES.values():
        assert importlib.import_module(home).proves is errata.proves
