"""The page of a run: true to its result file, one file, nothing alive in it."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from chainrule.conformance.report.failures import causes
from chainrule.conformance.report.page import board, report, write
from chainrule.conformance.report.reading import case_of, read

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}</style>'
VOID = {"meta", "link", "input", "br", "img"}


class Page(HTMLParser):
    """Tags, attributes and text of a page; tags must close in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = [], [], "", []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attributes]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] != ["style"]:
            self.text += data


def case(op="act.elu", label="T1/3x43/normal", dtype="fp32", state="pass", **more):
    worst = {"output": "a", "index": [0, 1], "expected": -0.5, "actual": -0.25, "error": 0.25, "bound": 0.125,
             "fraction": 2.0, "terms": {"accumulation": 0.1, "output_rounding": 0.025}}
    return {"record": "case", "case": f"{op}/{label}/{dtype}", "id": op, "tier": label[:2], "dtype": dtype,
            "state": state, "fraction": 2.0 if state == "fail" else 0.5, "worst": worst,
            "repro": f"chainrule conform ours --case {op}/{label}/{dtype}", **more}


def results(tmp_path, cases, name="results.jsonl", **run):
    states = [one["state"] for one in cases]
    lines = [{"record": "run", "backend": "ours", "mode": "host", "device": "cpu", "planned": len(cases),
              "versions": {"torch": "2.13"}, "command": ["conform"], **run}, *cases,
             {"record": "summary", "total": len(cases), "exit": 1 if "fail" in states else 0 if cases else 3}]
    path = tmp_path / name
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def test_five_failures_of_three_thousand_come_first(tmp_path):
    cases = [case(label=f"T1/{i}x2/normal") for i in range(2995)]
    cases[7:7] = [case("alg.average", f"T0/{n}x1x1/exact", state="fail", looks_like="λ missing") for n in range(4)]
    cases.append(case("act.relu", "T3/special", state="fail", reason="a was never written"))
    run = read(results(tmp_path, cases))
    assert [(one.op, len(one.cases)) for one in causes(run.cases)] == [("alg.average", 4), ("act.relu", 1)]
    text = Page(report(run)).text
    assert text.index("5 failures, 2 causes") < text.index("λ missing") < text.index("a was never written")
    assert text.index("chainrule conform ours --case alg.average/T0/0x1x1/exact/fp32") < text.index("Show equations")


def test_what_few_of_many_failures_look_like_is_chance():
    """One element that is 0 looks like an element that nobody wrote."""
    ids = [f"T1/{n}x1/normal" for n in range(10)]
    for share, said in ((4, ""), (5, "unwritten (5 of 10)")):
        failed = [case_of(case("act.elu", id, state="fail", looks_like="unwritten" if k < share else ""))
                  for k, id in enumerate(ids)]
        assert [one.looks for one in causes(failed)] == [said]


def test_counts_add_up_whatever_the_states(tmp_path):
    states = ["pass"] * 5 + ["fail"] * 2 + ["unsupported"] * 3 + ["not_judged", "timed_out", "timed_out"]
    run = read(results(tmp_path, [case(label=f"T1/{i}/x", state=state) for i, state in enumerate(states)], planned=20))
    assert sum(run.counts.values()) == len(run.cases) == len(states)
    assert run.counts["timed_out"] == 2
    text = Page(report(run)).text
    assert "timed_out" in text
    assert "7 of 20 planned cases are not here" in text


@pytest.mark.parametrize(("states", "word"), [((), "nothing was judged"), (("unsupported",), "nothing was judged"),
                                          (("pass",), "conforms"), (("pass", "fail"), "does not conform"),
                                          (("pass", "crashed"), "is not complete")])
def test_the_verdict_says_no_more_than_the_run(tmp_path, states, word):
    run = read(results(tmp_path, [case(label=f"T1/{i}/x", state=state) for i, state in enumerate(states)]))
    assert run.verdict[1] == word
    assert word in Page(report(run)).text


def test_a_run_that_was_cut_off_is_not_complete(tmp_path):
    path = results(tmp_path, [case()])
    path.write_text("\n".join(path.read_text(encoding="utf-8").splitlines()[:-1]) + '\n{"record": "ca', "utf-8")
    run = read(path)
    assert (run.finished, run.unread, run.verdict[1]) == (False, 1, "is not complete")
    assert "has no summary" in Page(report(run)).text


def test_strings_from_outside_are_text(tmp_path):
    cases = [case(state="fail", reason=HOSTILE, looks_like=HOSTILE, repro=HOSTILE),
             case(op=HOSTILE, state="fail", worst={"output": HOSTILE, "index": [HOSTILE], "terms": {HOSTILE: 1.0}}),
             case(label=f"T1/{HOSTILE}", state=HOSTILE, dtype=HOSTILE, reason=HOSTILE)]
    path = results(tmp_path, cases, backend=HOSTILE, mode=HOSTILE, device=HOSTILE, versions={HOSTILE: HOSTILE},
                   command=[HOSTILE])
    for text in (report(read(path)), board([read(path), read(path)])):
        page = Page(text)
        assert not {"script", "img", "iframe", "object"} & set(page.tags)
        assert not [name for _, name, _ in page.attributes if name.startswith("on")]
        assert HOSTILE in page.text


def test_one_file_that_asks_for_nothing(tmp_path):
    page = Page(report(read(results(tmp_path, [case(), case(state="fail", label="T3/trap-kink")]))))
    asked = [value for _, name, value in page.attributes if name in ("src", "srcset", "data", "action")]
    links = {value for tag, name, value in page.attributes if name == "href" and tag != "a"}
    assert not asked
    assert links <= {"data:,"}
    assert "@import" not in report(read(results(tmp_path, [case()])))


def test_thousands_of_failures_fit_a_megabyte(tmp_path):
    ops = ("act.elu", "act.relu", "alg.average", "conv1d.valid", "net.layer.affine", "loss.softmax", "opt.adam")
    cases = [case(ops[i % len(ops)], f"T1/{i}x9/normal", state="fail", looks_like=f"fault {i % 9}",
                  reason="" if i % 3 else f"ValueError: what number {i} said") for i in range(6000)]
    out = write([results(tmp_path, cases)], tmp_path / "index.html")
    assert out.stat().st_size < 1_000_000
    assert "6000 failures" in Page(out.read_text(encoding="utf-8")).text


def test_the_scoreboard_has_a_column_an_implementation(tmp_path):
    ours = results(tmp_path, [case(), case("act.relu")], "a.jsonl")
    theirs = results(tmp_path, [case(state="fail"), case("act.tanh", state="unsupported")], "b.jsonl", backend="theirs")
    text = Page(write([ours, theirs], tmp_path / "board.html").read_text(encoding="utf-8")).text
    assert "✗ 1 of 1 failed" in text
    assert "not in this run" in text
    assert re.search(r"Nobody here has a function of act\.tanh ?\.", text)
    assert "✓ 0.50" in text
