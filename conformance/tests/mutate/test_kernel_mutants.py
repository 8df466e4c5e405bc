"""Mutants of Triton source: what the mutators change, and what becomes of some of them."""

from __future__ import annotations

import ast
import time
from collections import Counter
from random import Random

import pytest

from chainrule.conformance.backend import Backend
from chainrule.conformance.judging.verdict import Verdict
from chainrule.conformance.mutate import kernel_mutants, kernel_rates, kernel_survey, kernel_trial, kernels
from chainrule.conformance.mutate.compiled import starts
from chainrule.conformance.mutate.kernel_mutants import Mutant, mutants
from chainrule.conformance.mutate.kernel_rates import table
from chainrule.conformance.mutate.kernel_survey import Explained, everyone, new, rates
from chainrule.conformance.mutate.kernel_trial import Late, Outcome, ops_of, outcome, within

KERNEL = '''
@triton.jit
def kernel(x, y, n, K, x_m, x_k, BM: tl.constexpr, BK: tl.constexpr):
    """Nothing of this: x + 1."""
    i = tl.program_id(0) * BM + tl.arange(0, BM)
    total = tl.zeros((BM, BK), tl.float32)
    for start in range(0, K, BK):
        tile = tl.load(x + i[:, None] * x_m, mask=(i < n)[:, None] & (start < K), other=0.0)
        total = tl.dot(tile, tile, total)
        x += BK
    if i < n:
        tl.store(y + i, (tl.sum(total, 1) - tl.where(i > 0, 2.0, n)).to(tl.float16), mask=i < n)
'''
EXPECTED = {
    "mask": {"→ (i < n)[:, None]", "→ start < K", "→ tl.store("}, "fill": {"& (start < K))"},
    "tile index": {"→ tl.program_id(0) + 1"}, "stride": {"→ x_k"}, "K tail": {"range(0, K // BK * BK, BK)"},
    "accumulator dtype": {"tl.float16)"}, "accumulator": {"→ tl.dot(tile, tile)"}, "store guard": {"→ if True:"},
    "comparison": {"→ start <= K", "→ i >= 0"}, "constant": {"→ 3.0", "→ -2.0"},
    "swapped operands": {"tl.where(i > 0, n, 2.0)", "- tl.sum(total, 1)"}, "statement": {"→ pass"},
    "dropped cast": {"→ tl.sum(total, 1) - "}, "operator": {"tl.program_id(0) + BM"},
    "wrong axis": {"→ tl.sum(total, 0)", "→ i[None, :]"}}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(kernel_mutants, "source", lambda module: KERNEL)
    return list(mutants("small"))


def test_every_kind_of_mistake_is_made(small):
    by_kind = {kind: [str(m) for m in small if m.kind == kind] for kind in EXPECTED}
    for kind, wanted in EXPECTED.items():
        for words in wanted:
            assert any(words in text for text in by_kind[kind]), (kind, words, by_kind[kind])
    assert {m.kind for m in small} == set(EXPECTED)
    assert {m.kind for m in small if not m.structural} == {"accumulator dtype", "dropped cast"}


def test_one_place_is_changed_and_the_rest_is_as_it_was(small):
    assert len({m.text for m in small}) == len(small)
    for mutant in small:
        ast.parse(mutant.text)
        before, after = KERNEL.splitlines(), mutant.text.splitlines()
        assert sum(a != b for a, b in zip(before, after)) <= 2
        assert '"""Nothing of this: x + 1."""' in mutant.text


def test_all_of_ours_are_named_once_and_known_survivors_are_among_them():
    every = Counter(str(m) for m in everyone())
    assert len(every) > 4_000
    assert set(every.values()) == {1}
    why = Explained()
    assert set(why.named) <= set(every)
    assert all(any(where.search(name) for name in every) for where, _ in why.kinds)
    reasons = [*why.named.values(), *(reason for _, reason in why.kinds)]
    assert all(reason.startswith(("equivalent: ", "rounding: ", "not noticed: ")) for reason in reasons)


def of(module, *words):
    return next(m for m in mutants(module) if all(word in str(m) for word in words))


@pytest.mark.parametrize(("words", "state"), [
    (("swapped operands", "taps - part * PART"), "noticed"), (("wrong axis", "(i < outputs)[:, None]"), "stillborn"),
    (("comparison", "→ t > 0"), "noticed")])
def test_what_becomes_of_a_mutant(words, state):
    found = outcome(of("signals.conv1d", *words))
    assert found.state == state
    assert found.op.startswith("conv1d.")
    assert state == "stillborn" or found.tier in ("T0", "TF")


@pytest.mark.parametrize(("module", "words", "op", "same"), [
    ("norms.layer", ("statement: tile +=",), "norm.layer.grad_gamma", True),                 # where nothing is added
    ("norms.layer", ("backward_kernel: statement: plain +=",), "norm.layer.grad_gamma", True),         # never started
    ("norms.layer", ("sums_kernel: operator: tile - mu",), "norm.layer.grad_gamma", False),
    ("activations.kernels", ("leaky: operator: p * z",), "act.leaky", False),           # a constant of the kernel
    ("signals.conv1d", ("dropped cast: tl.load(signal",), "conv1d.valid", False)])      # the same in float32 alone
def test_what_compiles_to_the_same_is_known(module, words, op, same):
    mutant = of(module, *words)
    assert kernel_trial._differs(mutant, op, kernel_trial._anew(mutant, op)) != same


def test_a_module_of_ours_that_fails_is_no_mutant_that_does_not_compile(monkeypatch):
    mutant = of("norms.layer", "operator: (g - m1")
    ours = kernels.source
    monkeypatch.setattr(kernels, "source", lambda module: f"{ours(module)}\nimport nothing_of_that_name\n")
    monkeypatch.setattr(kernel_trial, "source", kernels.source)
    monkeypatch.setattr(kernel_mutants, "source", kernels.source)
    with pytest.raises(ModuleNotFoundError):
        outcome(mutant)


def test_a_slow_machine_is_not_the_mutants_fault(monkeypatch):
    """What ours takes as long for is waited for; what takes ten times as long is not."""
    case = next(c for c in kernel_trial.tried("conv1d.valid") if c.tier == "T0")
    takes = {"triton": 0.03, "as slow": 0.03, "endless": 60.0}

    def judged(case, backend):
        end = time.process_time() + takes[backend.name]
        while time.process_time() < end:
            pass
        return Verdict(case, backend.name, "", "simulated", "pass")

    monkeypatch.setattr(kernel_trial, "_judged", judged)
    monkeypatch.setattr(kernel_trial, "PATIENCE", 0.01)
    assert kernel_trial._fails(case, Backend("as slow")) == ""
    assert kernel_trial._fails(case, Backend("endless")) == kernel_trial.LATE


def test_a_mutant_is_tried_on_the_ops_that_run_it():
    conv, norm = of("signals.conv1d", "comparison", "→ t > 0"), of("norms.layer", "sums_kernel: tile index")
    assert set(ops_of(conv.place)) >= {"conv1d.valid", "conv1d.centred.grad_a"}
    assert set(ops_of(norm.place)) == {"norm.layer.grad_gamma", "norm.layer.grad_beta"}
    assert ops_of((*conv.place[:3], 1000)) == ()


def test_of_what_triton_does_not_look_at_nothing_is_made():
    """Of a mutant in a branch that is not taken Triton makes the same; in one that is taken there are others."""
    start = next(iter(starts(next(c for c in kernel_trial.tried("net.layer.affine") if c.dtype == "fp32"))))
    here = [m for m in mutants("layers.kernels") if m.function == "affine_kernel"]
    beyond = [m for m in here if not start.runs(m.place)]
    assert len(beyond) > 5
    for mutant in beyond[::4]:
        assert start.of(kernel_trial._anew(mutant, "net.layer.affine")) == start.text
    others = [m for m in here if start.runs(m.place) and m.kind == "operator"]
    assert start.of(kernel_trial._anew(others[0], "net.layer.affine")) != start.text


class Named(str):
    module = "m"


def test_a_survivor_that_nobody_explained_is_reported(monkeypatch, tmp_path):
    listed = tmp_path / "survivors.toml"
    listed.write_text('[[survivor]]\nmutant = "known"\nwhy = "equivalent: it is"\n'
                      '[[kind]]\nwhere = "hol[e]"\nwhy = "not noticed: a hole"\n')
    found = [Outcome("m.f: mask: a → b", "act.elu", "mask", True), Outcome("known", "act.elu", "mask", True),
             Outcome("same", "act.elu", "mask", True, same=True), Outcome("hole 1", "act.elu", "mask", False),
             Outcome("floats", "act.elu", "mask", True, "T1"),
             Outcome("m.f: mask: a → c", "act.elu", "mask", True, "TF"),
             Outcome("m.f: mask: a → d", "act.elu", "mask", True, stillborn=True)]
    monkeypatch.setattr(kernel_survey, "SURVIVORS", listed)
    assert [one.mutant for one in new(found)] == ["m.f: mask: a → b"]
    assert table(rates(found))[-1] == "| all | 4 | 50.0% | 25.0% | 0.0% | 3 | 33.3% |"
    wanted = []
    monkeypatch.setattr(kernel_survey, "sample", lambda count, seed: [Named(one.mutant) for one in found[:count]])
    monkeypatch.setattr(kernel_survey, "outcomes", lambda left, *_: wanted.extend(left) or [
        one for one in found if one.mutant in map(str, left)])
    written = tmp_path / "outcomes.jsonl"
    assert kernel_survey.main(["--sample", "7", "--json", str(written)]) == 1
    assert [one for one, _ in kernel_survey.written(written).values()] == found
    assert len(wanted) == 7
    assert kernel_survey.main(["--json", str(written)]) == 1
    assert len(wanted) == 7
    assert kernel_survey.main(["--again", "--json", str(written)]) == 1
    assert [str(one) for one in wanted[7:]] == ["m.f: mask: a → b", "known", "hole 1", "floats"]


def test_a_sample_is_spread_over_kernels_and_kinds(small):
    every = [Mutant(*("m", f"f{k % 3}", kind, "a", "b", k)) for k, kind in enumerate(["mask"] * 12 + ["fill"] * 3)]
    groups = kernel_survey._by(every, lambda m: m.function)
    first = kernel_survey.dealt([kernel_survey.dealt(kernel_survey._by(one, lambda m: m.kind)) for one in groups])
    assert Counter((m.function, m.kind) for m in first[:6]) == Counter(
        {(f"f{k}", kind): 1 for k in range(3) for kind in ("mask", "fill")})
    assert sorted(map(str, first)) == sorted(map(str, every))
    fewer, more = (kernel_survey.sample(n, 3) for n in (200, 300))
    assert more[:200] == fewer
    assert len({(m.module, m.function) for m in fewer}) == len({(m.module, m.function) for m in everyone()})
    assert kernel_survey.sample(300, 4) != more


def test_a_share_is_noticed_or_explained():
    found = list(kernel_survey.outcomes(Random(1).sample(list(mutants("signals.conv1d")), 4), 1))
    assert not new(found)
    assert "noticed" in {one.state for one in found}


def test_what_a_survey_found_is_kept_for_the_readme_and_reports(monkeypatch, tmp_path):
    readme, kept = tmp_path / "README.md", tmp_path / "rates.json"
    readme.write_text("first\n\n## Speed\nlast\n")
    monkeypatch.setattr(kernel_rates, "README", readme)
    monkeypatch.setattr(kernel_rates, "RATES", kept)
    monkeypatch.setattr(kernel_rates, "committed", kernel_rates.committed.__wrapped__)
    monkeypatch.setattr(kernel_survey, "everyone", list)
    assert kernel_rates.wrong_kernels(("act.elu",))["mutants"] == 0
    found = [Outcome("a", "act.elu", "mask", True, "TF"), Outcome("b", "act.tanh", "mask", True, "T1"),
             Outcome("c", "act.tanh", "mask", True, stillborn=True)]
    for _ in range(2):
        kernel_rates.record(kernel_survey.summary(found))
        lines = readme.read_text().splitlines()
        assert lines[0] == "first"
        assert lines[-2:] == ["## Speed", "last"]
        assert lines.count("| act | 2 | 100.0% | 50.0% | 0.0% | 2 | 50.0% |") == 1
    assert kernel_rates.wrong_kernels(("act.tanh", "no.such.op"))["noticed"] == 1
    assert kernel_rates.committed()["stillborn"] == 1


def test_the_readme_says_what_was_kept():
    if not kernel_rates.README.exists() or not kernel_rates.RATES.exists():
        pytest.skip("no survey of all mutants is kept, or no README is there")
    assert kernel_rates.block(kernel_rates.committed()) in kernel_rates.README.read_text(encoding="utf-8")


def test_what_never_returns_is_ended():
    def never_returns():
        with within(0.05):
            while True:
                pass

    with pytest.raises(Late):
        never_returns()
