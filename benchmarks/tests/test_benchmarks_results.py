"""What is published: recomputed from raw samples, shown with its faults, and equal to what the README says.

The results here are invented, and live in a temporary folder only.
"""

from __future__ import annotations

import copy
import importlib
import json
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks").is_dir(), reason="the benchmarks are in the repository, not in the wheel")
TREE = {"linear.py": "a1", "losses.py": "b2"}


@pytest.fixture(scope="module")
def of():
    """A module of the benchmarks, by name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT)
        yield lambda name: importlib.import_module(f"benchmarks.{name}")


def timed(us, **more):
    return {"passed": True, "error": 1e-3, "limit": 1e-2, "repeats": True, "method": "graph", "why": "",
            "call_us": [us + 9], "samples_us": [us * (1 + 0.001 * (i % 3)) for i in range(15)], **more}


def invented():
    """A GPU of round numbers: 1e12 bytes a second, so 100 MB take 100 µs."""
    ceilings = {"copy": 1e12, "bf16": 1e14, "fp16": 1e14, "tf32": 5e13, "fp32": 1e13, "launch": 1e-6}
    again = {"samples_us": [120.0] * 15}
    rows = [
        {"id": "won", "op": "loss.softmax", "priority": 1, "sources": ["losses.py"], "sets": 2, "tuned": None,
         "floor": {"flops": 0, "bytes": 1e8, "unit": "bf16"}, "clocks": [{"sm_mhz": 1900.0, "watts": 600.0}] * 2,
         "missing": [], "implementations": {"ours": timed(120.0), "ours again": again, "eager": timed(300.0),
                                            "liger": timed(80.0, passed=False, error=0.5)}},
        {"id": "lost", "op": "net.layer.affine", "priority": 3, "sources": ["linear.py"], "sets": 2, "tuned": None,
         "floor": {"flops": 1e10, "bytes": 1e6, "unit": "bf16"}, "clocks": [None, None], "missing": [],
         "implementations": {"ours": timed(120.0), "ours again": again, "eager": timed(102.0)}},
    ]
    return {"schema": 1, "started": "2020-01-02T03:04:05Z", "sources": dict(TREE), "seconds": 500.0,
            "environment": {"gpu": "Invented GPU", "packages": {"torch": "2.11", "triton": "3.6.0"}},
            "ceilings": ceilings | {"samples": {name: [value] * 3 for name, value in ceilings.items()}},
            "rows": rows, "not_run": [{"id": "softmax tall", "why": "needs 9 s, 3 s were left"}]}


def by_id(found):
    return {row.id: row for row in found.rows}


def test_medians_and_ratios_come_from_the_samples(of):
    found = of("audit").audit(invented(), TREE)
    won = by_id(found)["won"]
    assert won.us["ours"] == pytest.approx(120.12)
    assert won.ratios["eager"].median == pytest.approx(2.5)
    assert won.ratios["eager"].wins == 15
    assert won.of_floor == pytest.approx(100 / 120.12)
    assert won.notes == found.complaints == ()
    changed = invented()
    changed["rows"][0]["implementations"]["eager"]["samples_us"] = [180.0] * 15
    assert by_id(of("audit").audit(changed, TREE))["won"].ratios["eager"].median == pytest.approx(1.5, rel=1e-2)


def test_a_peer_that_failed_its_check_is_not_beaten(of):
    won = by_id(of("audit").audit(invented(), TREE))["won"]
    assert "liger" not in won.ratios
    assert won.failed == {"liger": "its error is 5.0e-01, the limit 1.0e-02"}


def test_if_we_fail_there_is_no_ratio(of):
    run = invented()
    run["rows"][0]["implementations"]["ours"] |= {"passed": False, "repeats": False}
    won = by_id(of("audit").audit(run, TREE))["won"]
    assert (won.ratios, won.of_floor, won.failed["ours"]) == ({}, None, "two runs of it differ")


def test_faster_than_the_floor_is_shown(of):
    run = invented()
    run["rows"][0]["implementations"]["ours"]["samples_us"] = [90.0] * 15
    found = of("audit").audit(run, TREE)
    assert by_id(found)["won"].notes == ("ours is faster than the floor",)
    assert "! ours is faster than the floor" in of("audit").text(found)


def test_older_than_its_kernel_is_shown_for_the_rows_it_speaks_of(of):
    found = by_id(of("audit").audit(invented(), TREE | {"losses.py": "c3"}))
    assert found["won"].notes == ("older than losses.py",)
    assert found["lost"].notes == ()


def test_a_moving_clock_is_shown(of):
    run = invented()
    run["rows"][0]["clocks"] = [{"sm_mhz": 1900.0, "watts": 600.0}, {"sm_mhz": 1600.0, "watts": 700.0}]
    assert by_id(of("audit").audit(run, TREE))["won"].notes == ("the clock moved from 1900 to 1600 MHz",)


@pytest.mark.parametrize(("spoil", "says"), [
    (lambda run: run["ceilings"].update(copy=9e11), "the ceiling copy is not the median of its samples"),
    (lambda run: run.update(seconds=0.001), "the samples alone add up to"),
    (lambda run: run.update(conformance={"failed": [{"case": "x"}]}), "1 conformance cases failed on this device"),
    (lambda run: run["environment"].update(gpu="NVIDIA H200") or run["ceilings"].update(copy=6e12)
        or run["ceilings"]["samples"].update(copy=[6e12]), "exceeds the datasheet"),
])
def test_a_file_that_contradicts_itself_is_refused(of, spoil, says, tmp_path, capsys):
    run = invented()
    spoil(run)
    assert any(says in one for one in of("audit").complaints(run))
    file = tmp_path / "gpu-invented.json"
    of("record").write(file, run)
    assert of("audit").main([str(file)]) == 1
    assert says in capsys.readouterr().out


def test_an_honest_file_passes(of, tmp_path, capsys, monkeypatch):
    file = tmp_path / "gpu-invented.json"
    of("record").write(file, invented())
    assert of("audit").main([str(file)]) == 0
    assert "2.50× [" in capsys.readouterr().out
    monkeypatch.setattr(of("record"), "RESULTS", tmp_path)


def test_every_committed_result_passes_its_audit(of):
    for file in of("record").committed():
        assert of("audit").audit(of("record").read(file)).complaints == (), file


def test_results_are_written_whole_and_without_nan(of, tmp_path):
    record, file = of("record"), tmp_path / "one" / "gpu-x.json"
    record.write(file, {"schema": 1, "error": float("nan"), "rows": [(1.0, float("inf"))]})
    assert json.loads(file.read_text()) == {"schema": 1, "error": None, "rows": [[1.0, None]]}
    assert [p.name for p in file.parent.iterdir()] == ["gpu-x.json"]
    file.write_text("{}")
    with pytest.raises(ValueError, match="not a result file of schema 1"):
        record.read(file)


@pytest.fixture
def folder(tmp_path):
    for name in ("counts.json", "gate.json"):
        (tmp_path / name).write_text((ROOT / "benchmarks/results" / name).read_text())
    return tmp_path


def test_without_results_the_block_says_so(of, folder):
    block = of("readme").block(folder)
    assert block.count("*not measured yet*") == 1 + 3 * sum(s.priority == 1 for s in of("subjects").SUBJECTS)


def test_losing_and_stale_rows_are_published(of, folder):
    of("record").write(folder / "gpu-invented-1.json", invented())
    block = of("readme").block(folder, TREE | {"linear.py": "new"})
    won, lost = (next(one for one in block.splitlines() if one.startswith(f"| {name} |")) for name in ("won", "lost"))
    assert won.startswith("| won | 120.1 | 83% | 2.50× [")
    assert "failed its check" in won
    assert "0.85×" in lost
    assert "slower" in lost
    assert "older than linear.py" in lost
    assert "Not run: softmax tall." in block
    assert "not measured yet" not in block


def test_the_newest_run_of_a_gpu_is_shown(of, folder):
    older, newer = invented(), copy.deepcopy(invented())
    newer["started"] = "2021-01-01T00:00:00Z"
    newer["rows"] = newer["rows"][1:]
    of("record").write(folder / "gpu-b.json", older)
    of("record").write(folder / "gpu-a.json", newer)
    block = of("readme").block(folder, TREE)
    assert "2021-01-01" in block
    assert "| won |" not in block


def test_the_readme_is_what_is_generated(of):
    readme = of("readme")
    text = readme.README.read_text()
    assert text == readme.replaced(text, readme.block()), "python -m benchmarks.readme brings it up to date"


def test_a_check_takes_nothing_over(of, tmp_path, capsys):
    before = (ROOT / "benchmarks/results/gate.json").read_bytes()
    other = tmp_path / "gate.json"
    other.write_text(json.dumps({"entries": [], "triton": "0.0.0"}))
    with pytest.raises(SystemExit) as refused:
        of("readme").main(["--check", "--gate", str(other)])
    assert refused.value.code == 2
    assert "one of the two" in capsys.readouterr().err
    assert (ROOT / "benchmarks/results/gate.json").read_bytes() == before


def test_a_readme_without_markers_is_refused(of):
    with pytest.raises(ValueError, match="once each"):
        of("readme").replaced("nothing", "block")


def test_the_gates_facts_in_brief(of):
    entry = {"target": "sm_90", "spills": 0, "registers": 96, "matrix": {"HGMMA": 4}, "wrong": []}
    broken = {"target": "sm_90", "wrong": ["does not compile: no"]}
    spilling = entry | {"spills": 3, "registers": 255, "matrix": {}, "wrong": ["3 spills"]}
    assert of("readme").gate_facts([entry, broken, spilling], "3.7.1") == {
        "triton": "3.7.1",
        "targets": {"sm_90": {"configurations": 3, "failed": 2, "spilling": 1, "registers": 255, "matrix": 1}}}


def test_the_committed_gate_facts_are_of_every_configuration_there_is(of):
    from chainrule.triton_kernels.gate.subjects import REPORTED, every

    facts = json.loads((ROOT / "benchmarks/results/gate.json").read_text())
    assert {"sm_80", "sm_90"} <= set(facts["targets"])
    for arch, found in facts["targets"].items():
        assert found["configurations"] == len(list(every(arch))), (
            f"{arch}: `make readme` brings it up to date")
        assert arch in REPORTED or found["failed"] == found["spilling"] == 0
