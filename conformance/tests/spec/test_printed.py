"""What a page prints is read back and evaluated: every way a printer can lie is found."""

import pytest
import sympy as sp

from chainrule.spec.derive import command, pages
from chainrule.spec.derive.printers import base, latex, plain
from chainrule.spec.derive.proof import misprint
from chainrule.spec.derive.reading import LaTeX, Names, Unicode, Unreadable

P, L, B = plain.Plain, latex.Latex, base.Printer
PAGES = ("act.sigmoid.prime", "act.elu.prime", "act.leaky.prime", "act.gelu.prime", "bp.delta.chain",
         "loss.softmax.delta", "norm.batch.grad_gamma", "arch.tied.grad_theta", "arch.shared.grad_theta",
         "conv2d.layer.grad_w", "conv2d.valid.grad_K")


def other(find, put):
    return lambda old, self, *a, **k: (old(self, *a, **k)[0].replace(find, put, 1), old(self, *a, **k)[1])


def last_longer(old, self, e):
    return old(self, sp.Sum(e.function, *((i, low, high + 1) for i, low, high in e.limits)))


def turned(old, self, e):
    (a, condition), (b, _) = e.args
    return old(self, sp.Piecewise((b, condition), (a, True), evaluate=False))


def cubed(old, self, e):
    return old(self, e.base**3 if e.exp == 2 else e)


LIES = {
    "ceiling for floor": [(c, "rounded", lambda old, self, e, up: old(self, e, not up)) for c in (P, L)],
    "a minus lost": [(B, "sum_of_terms", other(" − ", " + ")), (L, "sum_of_terms", other(" - ", " + "))],
    "no parentheses": [(c, "parentheses", lambda old, self, text: text) for c in (P, L)],
    "a range one longer": [(c, "total", last_longer) for c in (P, L)],
    "max for min": [(c, "extreme", other("max", "min")) for c in (P, L)],
    "another bracket": [(P, "bracket", other("≤", "<")), (L, "bracket", other("=", r"\le"))],
    "a condition turned round": [(P, "condition", lambda old, self, c: old(self, c).replace("≥", "≤")),
                                 (L, "condition", lambda old, self, c: old(self, c).replace(r"\ge", "<"))],
    "a quotient upside down": [(c, "quotient", lambda old, self, a, b: old(self, b, a)) for c in (P, L)],
    "another power": [(c, "power", cubed) for c in (P, L)],
    "indices in another order": [(c, "subscript", lambda old, self, parts: old(self, parts[::-1])) for c in (P, L)],
    "cases exchanged": [(c, "cases", turned) for c in (P, L)],
    "a function for its derivative": [(P, "prime", other("′", "")), (L, "prime", other("'", ""))],
    "an exponent's sign": [(L, "applied", other("e^{-", "e^{")), (P, "applied", other("exp(−", "exp("))],
    "another letter": [(P, "name", lambda old, self, name: {"gamma": "β", "theta": "Θ"}.get(name, old(self, name))),
                       (L, "name", lambda old, self, name: {"gamma": r"\beta"}.get(name, old(self, name)))],
    "a derivative of another": [(P, "derivative", other("∂/∂", "∂∂"))],
    "what binds less": [(B, "inside", lambda old, self, e, at_least: self.text(e)[0])],
    "π for √π": [(P, "power", lambda old, self, e: self.text(e.base) if e.exp == sp.Rational(1, 2)
                  else old(self, e))],
}


def found_on(pages_of):
    for id in pages_of:
        derivation = command.make(id)
        found = misprint(derivation, pages.page(derivation))
        if found:
            return found
    return ""


def test_no_page_lies():
    assert found_on(PAGES) == ""


@pytest.mark.parametrize(("lie", "number"), [(lie, k) for lie, ways in LIES.items() for k in range(len(ways))])
def test_a_lie_of_a_printer_is_found(monkeypatch, lie, number):
    printer, method, tell = LIES[lie][number]
    old = getattr(printer, method)
    monkeypatch.setattr(printer, method, lambda self, *a, **k: tell(old, self, *a, **k))
    base.Printer.spelling.cache_clear()
    try:
        assert found_on(PAGES)
    finally:
        base.Printer.spelling.cache_clear()


@pytest.mark.parametrize(("section", "old", "new"), [
    ("Given", "y_i = Σ_{j=0}^{m−1}", "y_i = Σ_{j=1}^{m−1}"),
    ("Steps", r"d_{i}\, \theta_{p - i}", r"d_{i}\, \theta_{i - p}"),
    ("Result", "min(p,m−1)", "min(p,m)"),
    ("Python", "min(p,m−1)", "min(p,m)"),
])
def test_every_part_of_a_page_is_read(section, old, new):
    derivation = command.make("conv1d.valid.grad_x")
    page = pages.page(derivation)
    before, head, after = page.partition(f"## {section}\n")
    assert old in after
    assert misprint(derivation, page) == ""
    assert "is not what it says it is" in misprint(derivation, before + head + after.replace(old, new, 1))


def test_what_is_no_mathematics_is_refused():
    x, y = sp.symbols("x y")
    names = Names([("x", x), ("y", y)])
    assert Unicode("x² + 2 x y/3", names).whole() == x**2 + 2 * x * y / 3
    assert LaTeX(r"x^{2} + \frac{2\, x\, y}{3}", names).whole() == x**2 + 2 * x * y / 3
    for text in ("x +", "(x", "x)", "x ≤ y", "[x < y]", "{ x if x }"):
        with pytest.raises(Unreadable):
            Unicode(text, names).whole()
    with pytest.raises(Unreadable, match="is printed for two things"):
        Names([("x", x), ("x", y)])
