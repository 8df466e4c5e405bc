"""`chainrule show`: every page can be made, fits 100 columns, and says what it should."""

from __future__ import annotations

import io

import pytest
from rich.cells import cell_len
from rich.console import Console

from chainrule import spec
from chainrule.conformance.proofs import findings  # noqa: F401  so that pages of findings can run their proofs
from chainrule.spec import show


def text(renderable):
    out = io.StringIO()
    Console(file=out, width=100, force_terminal=False).print(renderable)
    return out.getvalue()


@pytest.mark.parametrize("id", [*spec.load(), *spec.findings()])
def test_every_page_fits(id):
    lines = text(show.page(id)).split("\n")
    assert id in lines[0]
    assert max(map(cell_len, lines)) <= 100


def test_a_page_says_it_all():
    page = text(show.page("bp.delta.rec", reference="def delta_rec(): ...", kernel="triton_kernels/linear.py: δ"))
    titles = ["as printed", "readings", "sizes and shapes", "machine form", "derivation", "reference", "kernel",
              "traps", "worked numbers", "findings"]
    assert [line for line in page.split("\n") if line in titles] == titles
    for part in (r"= a_i^{(l)}(1 - a_i^{(l)}) \sum_k", "deck lines 1219, 1259", "slide “Backprop”", "sigmoid only",
                 "Theta     1 … q, 0 … p", "a[i]*(1 - a[i])*Sum(delta[k]*Theta[k, i], (k, 1, q))", "for i = 1 … p",
                 "4. collapse · only j = i survives", "def delta_rec(): ...", "triton_kernels/linear.py: δ",
                 "a-rounded-before-use", "gives  [-3/2 -51/16]", "E15 A"):
        assert part in page


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


def test_readings_are_one_table():
    table = text(show.readings())
    assert all(equation.id in table for equation in spec.load().values() if equation.readings)


def test_an_unknown_id_suggests_near_ones():
    with pytest.raises(spec.UnknownId, match=r"Near: conv1d\.valid"):
        show.page("conv1d.vald")
