"""`chainrule show`: every page can be made, fits its columns, leaves no letter undefined, and says what it should."""

from __future__ import annotations

import ast
import io

import pytest
from rich.cells import cell_len
from rich.console import Console
from typer.testing import CliRunner

from chainrule import spec
from chainrule.cli import app
from chainrule.conformance.proofs import findings, findings_claims  # noqa: F401  so that pages of findings can run their proofs
from chainrule.spec import show
from chainrule.spec.folding import fold, narrow


def text(renderable, width=100):
    out = io.StringIO()
    Console(file=out, width=width, force_terminal=False).print(renderable)
    return out.getvalue()


ALL = [*spec.load(), *spec.findings(), *spec.notes()]


@pytest.mark.parametrize(("id", "width"), [*((id, 100) for id in ALL), *((id, 60) for id in spec.derived_ids())])
def test_every_page_fits(id, width):
    lines = text(show.page(id, width=width), width).split("\n")
    assert id in lines[0]
    assert max(map(cell_len, lines)) <= width


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_folding_loses_nothing_and_breaks_outside_brackets_where_it_can(width):
    for id in ("pool.max.grad_x", "norm.batch.grad_x", "bp.delta.rec"):
        for step in spec.derivation(id).steps:
            rows = fold(step.text, 0, 4, width).split("\n")
            assert " ".join(row.strip() for row in rows) == step.text
            assert all(len(row) <= width or " " not in row.strip() for row in rows)
    assert fold("a + (b + c) + d", 0, 2, 12) == "a + (b + c)\n  + d"


def test_a_page_says_it_all():
    page = text(show.page("bp.delta.rec", reference="def delta_rec(): ...", kernel="triton_kernels/linear.py: δ"))
    titles = ["as printed", "readings", "sizes and shapes", "machine form", "derivation", "reference", "kernel",
              "traps", "worked numbers", "findings"]
    assert [line for line in page.split("\n") if line in titles] == titles
    for part in (r"= a_i^{(l)}(1 - a_i^{(l)}) \sum_k", "deck lines 1219, 1259", "slide “Backprop”", "sigmoid only",
                 "Theta     1 … q, 0 … p", "a[i]*(1 - a[i])*Sum(delta[k]*Theta[k, i], (k, 1, q))", "for i = 1 … p",
                 "4. collapse · only j = i survives", "def delta_rec(): ...", "triton_kernels/linear.py: δ",
                 "a-rounded-before-use", "gives  [-3/2 -51/16]", "E15 A", "assumed: g is the sigmoid",
                 "called as bp_delta_rec(Theta, delta_next, a)", "a⁽ˡ⁾_j = g(z⁽ˡ⁾_j),   1 ≤ j ≤ p"):
        assert part in page


def test_what_a_derivation_takes_as_given_stands_on_its_page():
    page = text(show.page("norm.batch.grad_x"))
    for part in ("μ = (1/n) Σ_{k=0}^{n−1} x_k", "s = √(v + ε)", "x̂_i = (x_i − μ)/s", "m_2 = (1/n) Σ"):
        assert part in page
    assert "it does not move while x changes a little" in " ".join(text(show.page("pool.max.grad_x")).split())


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("id", ["conv2d.layer.grad_x", "attn.head.grad_K", "pool.max.grad_x"])
def test_code_is_folded_under_where_it_began(id, width):
    """No line of a page begins further left than its section, and the code is the code, line ends apart."""
    page = text(show.page(id), width)
    body = page.partition("in Python")[2].partition("The definition has")[0]
    assert all(line.startswith("  ") or not line for line in body.split("\n")[1:])
    assert "".join(spec.derivation(id).python.split()) in "".join(body.split())


def statements(source):
    """The source as it is run, its docstrings apart."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            node.body = node.body[1:]
    return ast.dump(tree)


@pytest.mark.parametrize("id", spec.derived_ids())
def test_narrow_code_is_the_same_program(id):
    source = spec.derivation(id).python
    for width in (50, 78):
        assert statements(narrow(source, width)) == statements(source)


def test_gradients_stand_with_their_formula():
    page = text(show.page("conv1d.valid"))
    assert "conv1d.valid.grad_x" in page
    assert "∂ℒ/∂x_p = Σ_{j=max(0,p+m−n)}^{min(p,m−1)} d_{p−j} θ_j" in page


def test_traps_name_where_they_were_seen():
    page = text(show.page("act.elu.prime"))
    assert "at x = 89, alpha = 1: both branches run" in page
    assert "seen in tinygrad/tinygrad#17852, huggingface/candle#2328" in page


def test_a_finding_runs_its_proof():
    assert "· D has λθ: 7/2 for λ = 1/2, θ = 7" in text(show.page("E05"))
    assert "the line says nothing that a program" in text(show.page("E10"))


def test_every_finding_has_a_page():
    for k in range(1, 68):
        assert f"E{k:02d} ·" in text(show.page(f"E{k:02d}"))


@pytest.mark.parametrize("width", [60, 80, 100])
def test_readings_are_shown_whole_at_any_width(width):
    page = " ".join(text(show.readings(width), width).split())
    for equation in spec.load().values():
        for reading in equation.readings:
            assert equation.id in page
            assert " ".join(reading.because.split()) in page


def test_the_list_has_every_id_and_can_be_searched():
    everything = text(show.listing())
    assert all(id in everything for id in [*spec.load(), *spec.findings(), *spec.notes()])
    some = text(show.listing("pool"))
    assert "pool.max.layer.index" in some
    assert "act.elu" not in some
    done = CliRunner().invoke(app, ["show", "--list", "zzz"])
    assert done.exit_code == 2


def test_an_unknown_id_suggests_near_ones():
    with pytest.raises(spec.UnknownId, match=r"Near: conv1d\.valid"):
        show.page("conv1d.vald")


def test_a_notebook_shows_the_steps():
    derivation = spec.derivation("conv1d.valid.grad_x")
    page = derivation._repr_markdown_()
    assert page.startswith("**conv1d.valid.grad_x** · ")
    assert [line for line in page.split("\n") if line[:1].isdigit()] == [
        f"{k}. **{step.rule}** · {step.why}" for k, step in enumerate(derivation.steps, 1)]
    assert page.count(r"$$\frac{\partial \mathcal{L}}{\partial x_{p}} = ") == page.count("$$") / 2 == 5
    shown = spec.derivation("conv1d.valid.grad_x")._repr_latex_()
    assert shown.startswith("$$\n\\begin{aligned}")
    assert shown.count("&=") == 5
