"""Derivations: every step proved, wrong steps and edited files refused, the same bytes under any hash seed."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from random import Random

import attrs
import pytest
import sympy as sp

from chainrule.spec.derivations import NotDerived, derivation_page, derived, derived_ids
from chainrule.spec.derive import command, pages
from chainrule.spec.derive.language import Expr
from chainrule.spec.derive.proof import prove
from chainrule.spec.derive.steps import Step

IDS = command.ids()


@pytest.fixture(scope="module")
def report():
    return command.check()


def test_check_finds_every_file_the_same(report):
    assert report.status == 0, report.text()
    assert [f.id for f in report.findings] == list(IDS)
    assert {f.state for f in report.findings} == {"same"}
    assert all(f.compared > 0 for f in report.findings)
    assert re.search(rf"^{len(IDS)} derivations: {len(IDS)} same; [\d,]+ comparisons in .* s; SymPy", report.text())


def test_every_derivation_has_its_files_and_loads():
    assert set(derived_ids()) == set(IDS)
    for id in IDS:
        assert derived(id).__name__ == pages.function_name(id)
        assert derivation_page(id).startswith(f"# {id}\n")


def test_generated_python_imports_the_alphabet_alone():
    for path in sorted(command.FOLDER.glob("*_*_*.py")):
        imports = re.findall(r"^(?:from|import) .*", path.read_text(encoding="utf-8"), re.M)
        assert all(line.startswith("from chainrule.scalar import ") for line in imports), path.name


def test_the_generator_never_simplifies():
    sources = list((command.FOLDER.parent / "derive").rglob("*.py"))
    assert len(sources) > 10
    for path in sources:
        assert "simplify" not in path.read_text(encoding="utf-8"), path.name


# ---- wrong steps

def wrong_bound(e: Expr) -> Expr | None:
    """One sum runs one term further."""
    sums = sorted((s for s in e.atoms(sp.Sum)), key=sp.default_sort_key)
    if not sums:
        return None
    index, low, high = sums[0].limits[0]
    longer = sp.Sum(sums[0].function, (index, low, high + 1), *sums[0].limits[1:])
    return e.xreplace({sums[0]: longer})


@pytest.mark.parametrize("id", IDS)
def test_a_wrong_last_step_is_refused_with_the_step_named(id):
    derivation = command.make(id)
    number, last = len(derivation.steps), derivation.steps[-1]
    derivation.steps[-1] = attrs.evolve(last, expr=2 * last.expr)
    refusal = prove(derivation).failure
    assert refusal.startswith(f"{id}: step {number} ({last.rule}) does not equal the step before it")


@pytest.mark.parametrize("id", IDS)
def test_a_wrong_first_step_is_refused(id):
    derivation = command.make(id)
    derivation.steps[0] = attrs.evolve(derivation.steps[0], expr=derivation.steps[0].expr + 1)
    assert prove(derivation).failure.startswith(
        f"{id}: step 1 ({derivation.steps[0].rule}) is not the derivative of the definition")


@pytest.mark.parametrize("id", [id for id in IDS if wrong_bound(command.make(id).last) is not None])
def test_a_range_one_too_long_is_refused(id):
    """Either the sum differs, or it reads an entry that the array does not have."""
    derivation = command.make(id)
    last = derivation.steps[-1]
    derivation.steps[-1] = attrs.evolve(last, expr=wrong_bound(last.expr))
    assert f"step {len(derivation.steps)} ({last.rule})" in prove(derivation).failure


def test_a_wrong_step_in_the_middle_is_named():
    derivation = command.make("conv1d.valid.grad_x")
    derivation.steps.insert(3, Step("collapse", "planted", -derivation.steps[2].expr))
    assert re.match(r"conv1d\.valid\.grad_x: step 4 \(collapse\) does not equal the step before it at m = \d, n = \d",
                    prove(derivation).failure)


def test_wrong_python_is_refused():
    derivation = command.make("conv1d.valid.grad_x")
    wrong = command.function_of(pages.module(derivation).replace("p - j", "j - p"), derivation.id)
    assert prove(derivation, wrong).failure.endswith("does not equal the printed Python at m = 1, n = 3")
    short = command.function_of(pages.module(derivation).replace("range(n)", "range(n - 1)"), derivation.id)
    assert "cannot be compared: the printed Python raises IndexError" in prove(derivation, short).failure


# ---- files

@pytest.fixture
def folder(tmp_path):
    shutil.copytree(command.FOLDER, tmp_path / "derived", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "derived"


def edit(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text(encoding="utf-8")
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1), encoding="utf-8")


def only(report):
    (finding,) = report.findings
    return finding


def test_an_edited_function_is_wrong(folder):
    edit(folder, "conv1d_valid_grad_x.py", "p - j", "p + j")
    report = command.check(["conv1d.valid.grad_x"], folder)
    assert report.status == 1
    assert only(report).state == "wrong"
    assert ("conv1d_valid_grad_x.py line 8 is not what the derivation gives; "
            "run `chainrule derive conv1d.valid.grad_x`") in report.text()


def test_the_same_function_in_other_words_is_form_and_still_refused(folder):
    edit(folder, "conv1d_valid_grad_x.py", "d[p - j] * theta[j]", "theta[j] * d[p - j]")
    report = command.check(["conv1d.valid.grad_x"], folder)
    assert only(report).state == "form"
    assert report.status == 1
    assert attrs.evolve(report, committed_with="another SymPy").status == 0


def test_an_edited_step_is_wrong_and_named(folder):
    edit(folder, "conv1d_valid_grad_x.md", "d_i θ_{p−i} [0 ≤ p − i ≤ m − 1]", "d_i θ_{p−i} [0 ≤ p − i ≤ m]")
    report = command.check(["conv1d.valid.grad_x"], folder)
    assert only(report).state == "wrong"
    assert re.search(r"conv1d_valid_grad_x\.md line \d+, step 3 \(collapse\), is not what", report.text())


def test_a_missing_and_a_strange_file_are_said(folder):
    (folder / "bp_grad.md").unlink()
    assert "bp_grad.md is missing; run `chainrule derive bp.grad`" in command.check(["bp.grad"], folder).text()
    (folder / "bp_grad_old.py").write_text("")
    strangers = command._strangers(folder)
    assert [f.message for f in strangers] == ["bp_grad_old.py: no derivation makes this file; delete it"]


def test_a_stale_digest_is_refused(folder):
    edit(folder, "digests.json", '"bp.grad": "', '"bp.grad": "0')
    report = command.check(["bp.grad"], folder)
    assert report.status == 1
    assert "bp.grad: digests.json has another digest of its steps" in report.text()


def test_derive_writes_what_is_committed(tmp_path):
    seen = []
    report = command.derive(["bp.grad", "act.elu.prime"], tmp_path, progress=lambda *at: seen.append(at))
    assert report.status == 0
    assert seen == [("bp.grad", 0, 2), ("act.elu.prime", 1, 2), ("", 2, 2)]
    for name in ("bp_grad.py", "bp_grad.md", "act_elu_prime.py", "act_elu_prime.md"):
        assert (tmp_path / name).read_bytes() == (command.FOLDER / name).read_bytes()
    assert {p.name for p in tmp_path.iterdir()} == {
        "bp_grad.py", "bp_grad.md", "act_elu_prime.py", "act_elu_prime.md", "digests.json"}


def test_a_derivation_that_does_not_prove_is_not_written(tmp_path, monkeypatch):
    from chainrule.spec.derive.chapters import MAKERS
    honest = MAKERS["bp.grad"]

    def planted(id):
        derivation = honest(id)
        derivation.steps[-1] = attrs.evolve(derivation.steps[-1], expr=-derivation.last)
        return derivation

    monkeypatch.setitem(MAKERS, "bp.grad", planted)
    report = command.derive(["bp.grad"], tmp_path)
    assert report.status == 1
    assert "bp.grad: step 5 (in range) does not equal the step before it" in report.text()
    assert not (tmp_path / "bp_grad.py").exists()


def test_a_rule_that_does_not_apply_is_said(monkeypatch, tmp_path):
    from chainrule.spec.derive.chapters import MAKERS
    honest = MAKERS["bp.grad"]

    def planted(id):
        derivation = honest(id)
        derivation.collapse(sp.Symbol("k", integer=True))
        return derivation

    monkeypatch.setitem(MAKERS, "bp.grad", planted)
    for report in (command.check(["bp.grad"]), command.derive(["bp.grad"], tmp_path)):
        assert report.status == 1
        assert "bp.grad: a step cannot be made: collapse: no sum over k" in report.text()


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    report = command.derive(["bp.grad"], tmp_path / "file")
    assert report.status == 1
    assert "cannot write into" in report.text()
    assert "--out" in report.text()


def test_an_unknown_id_among_known_ones_writes_nothing(tmp_path):
    with pytest.raises(command.UnknownDerivation):
        command.derive(["bp.grad", "bp.gard"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_unknown_ids_suggest_near_ones():
    with pytest.raises(command.UnknownDerivation, match=r"did you mean .*bp\.delta\.rec"):
        command.check(["bp.delta.rek"])
    with pytest.raises(NotDerived, match=r"did you mean .*conv2d\.valid\.grad_I"):
        derived("conv2d.valid.grad_i")
    assert command.Report((), "1", "1").status == 3


# ---- the same bytes everywhere

PRINT_ALL = """
import hashlib
from chainrule.spec.derive import command, pages
all = "".join(pages.module(d) + pages.page(d) + pages.digest(d) for d in map(command.make, command.ids()))
print(hashlib.sha256(all.encode()).hexdigest())
"""


def printed_under(seed: str) -> str:
    done = subprocess.run([sys.executable, "-c", PRINT_ALL], capture_output=True, text=True, check=True,
                          env={**os.environ, "PYTHONHASHSEED": seed})
    return done.stdout.strip()


@pytest.mark.slow                   # `.ci/run` derives everything under two
def test_identical_bytes_under_three_hash_seeds():
    here = "".join(pages.module(d) + pages.page(d) + pages.digest(d) for d in map(command.make, IDS))
    expected = hashlib.sha256(here.encode()).hexdigest()
    assert {printed_under(seed) for seed in ("0", "1", "253")} == {expected}


# ---- what the derived functions say

def test_kinks_belong_to_the_branch_that_holds_equality():
    assert derived("act.relu.prime")(0) == 0
    assert derived("act.leaky.prime")(0) == 0.1
    assert derived("act.leaky.prime")(0, 0.3) == 0.3
    assert derived("act.elu.prime")(0, 1.5) == 1
    assert derived("act.leaky.prime")(float("inf")) == 1
    assert derived("act.elu.prime")(1e5, 1.0) == 1          # the other branch would overflow


def test_worked_by_hand():
    assert derived("conv1d.valid.grad_x")([1, 2, 3], [1, 10]) == [1, 12, 23, 30]
    assert derived("conv1d.valid.grad_theta")([1, -1], [3, 5, 9]) == [-2, -4]
    assert derived("conv1d.centred.grad_a")([1, 0, 0], [2, 3, 5]) == [3, 5, 0]
    assert derived("conv1d.centred.grad_theta")([0, 1, 0], [7, 8, 9], 3) == [7, 8, 9]
    assert derived("conv2d.valid.grad_I")([[1, 2]], [[1, 10]]) == [[1, 12, 20]]
    assert derived("conv2d.valid.grad_K")([[1], [1]], [[1, 2], [3, 4]]) == [[4, 6]]
    assert derived("loss.square.delta")(3, 5) == 4
    assert derived("loss.softmax.delta")([0.0, 0.0], [1, 0]) == [-0.5, 0.5]
    assert derived("bp.delta.rec")([None, [9, 4, 8]], [None, 3], [1, Fraction(1, 2), Fraction(1, 4)]) \
        == [None, 3, Fraction(9, 2)]
    assert derived("alg.average")([None, [6, 9]], [None, [5, 7]], 2, 3) == [None, [2, 17]]
    assert derived("pool.max.grad_x")([[7]], [[3]], 2, 2) == [[0, 0], [0, 7]]


def test_general_forms_collapse_to_the_printed_ones():
    rng = Random(5)

    def numbers(*shape):
        return [numbers(*shape[1:]) for _ in range(shape[0])] if shape else rng.randint(-9, 9)

    d, K, I, a = numbers(3, 4), numbers(2, 3), numbers(4, 6), numbers(7)
    assert derived("conv2d.layer.grad_x")([d], [[K]], 4, 6) == [derived("conv2d.valid.grad_I")(d, K)]
    assert derived("conv2d.layer.grad_w")([d], [I], 2, 3) == [[derived("conv2d.valid.grad_K")(d, I)]]
    assert derived("arch.shared.grad_theta")(a[::-1], a, 5) == derived("conv1d.centred.grad_theta")(a[::-1], a, 5)
    assert derived("arch.shared.layer.grad_theta")(a[::-1], a, 5) == derived("arch.shared.grad_theta")(a[::-1], a, 5)
    assert derived("arch.shared.layer.grad_x")(a, K[0]) == derived("conv1d.centred.grad_a")(a, K[0])
    band, full = derived("arch.local.layer.grad_w")(a[::-1], a, 3), derived("arch.local.grad_Theta")(a[::-1], a)
    assert [v for i, line in enumerate(band) for k, v in enumerate(line) if 0 <= i + k - 1 < 7] == [
        v for i, line in enumerate(full) for j, v in enumerate(line) if abs(i - j) <= 1]
    z, y = [v / 4 for v in a], [0, 0, 1, 0, 0, 0, 0]
    assert derived("loss.softmax.weighted.delta")(z, y, [1] * 7, 0) == derived("loss.softmax.delta")(z, y)
    row = derived("conv2d.valid.grad_I")([a], [K[0]])
    assert row == [derived("conv1d.valid.grad_x")(a, K[0])]


def test_the_deck_s_own_lines_stand_in_the_pages():
    rec = derivation_page("bp.delta.rec")
    assert "δ⁽ˡ⁾_i = a⁽ˡ⁾_i (1 − a⁽ˡ⁾_i) Σ_{k=1}^q δ⁽ˡ⁺¹⁾_k Θ⁽ˡ⁾_{k,i},   1 ≤ i ≤ p" in rec
    x = derivation_page("conv1d.valid.grad_x")
    assert "∂ℒ/∂x_p = Σ_{j=max(0,p+m−n)}^{min(p,m−1)} d_{p−j} θ_j,   0 ≤ p ≤ n − 1" in x
    assert [line.split("**")[1] for line in x.splitlines() if re.match(r"\d+\. \*\*", line)] == [
        "chain rule", "linearity", "collapse", "absorb", "reindex"]
    assert "⌈(p+R−D(M−1))/S⌉" in derivation_page("conv2d.layer.grad_x")
    assert "by random evaluation over GF(2⁶¹ − 1) at 30 choices of m ≤ 5, n ≤ 8; the index" in x


def test_pages_fit_a_hundred_columns():
    for id in IDS:
        inside = False
        for line in derivation_page(id).splitlines():
            if line.strip().startswith("```"):
                inside = line.strip() == "```text"
            elif inside:
                assert len(line) <= 100, (id, line)


def test_latex_is_balanced():
    for id in IDS:
        formulas = [line.strip() for line in derivation_page(id).splitlines() if "$$" in line]
        assert formulas
        for line in formulas:
            assert line.startswith("$$")
            assert line.endswith("$$")
            assert line.count("{") == line.count("}"), (id, line)
            assert line.count(r"\left") == line.count(r"\right"), (id, line)
            assert line.count(r"\begin") == line.count(r"\end"), (id, line)


@pytest.mark.slow
def test_check_under_five_hash_seeds():
    run = "from chainrule.spec.derive import command as c; r = c.check(); print(r.text()); raise SystemExit(r.status)"
    for seed in ("0", "1", "2", "3", "253"):
        done = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True,
                              env={**os.environ, "PYTHONHASHSEED": seed})
        assert done.returncode == 0, done.stdout
