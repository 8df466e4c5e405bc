"""What a page prints is read back and evaluated: every way a printer can lie is found."""

from functools import cache

import attrs
import pytest
import sympy as sp

from chainrule.spec.derive import command, pages, printed, whys
from chainrule.spec.derive.chapters import from_records
from chainrule.spec.derive.printers import base, latex, plain
from chainrule.spec.derive.proof import Trial, misprint, telling
from chainrule.spec.derive.reading import LaTeX, Names, Unicode, Unreadable
from chainrule.spec.derive.steps import Derivation
from chainrule.spec.field import Field, NoRoot

made = cache(command.make)
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
        derivation = made(id)
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


@pytest.mark.parametrize("printer", [P, L])
def test_a_page_is_read_where_something_is_rounded(printer, monkeypatch):
    """The sizes of conv2d.layer.grad_x that differ most have a stride of 1, where ⌈ ⌉ is ⌊ ⌋."""
    old = printer.rounded
    monkeypatch.setattr(printer, "rounded", lambda self, e, up: old(self, e, not up))
    assert found_on(("conv2d.layer.grad_x",))


@pytest.mark.parametrize("id", command.ids())
def test_no_size_is_one_wherever_a_page_is_read(id):
    trials = made(id).trials
    for size in trials[0]:
        assert max(one[size] for one in telling(trials)) > 1 or max(one[size] for one in trials) <= 1
        assert min(one[size] for one in telling(trials)) < 0 or min(one[size] for one in trials) >= 0


@pytest.mark.parametrize(("section", "old", "new"), [
    ("Given", "y_i = Σ_{j=0}^{m−1}", "y_i = Σ_{j=1}^{m−1}"), ("Given", "y_i = Σ", "y_j = Σ"),
    ("Given", r"y_{i} = \sum", r"x_{i} = \sum"), ("Given", "0 ≤ i ≤ n − m", "0 ≤ i ≤ n"),
    ("Given", r"0 \le i \le n - m", r"1 \le i \le n - m"), ("Given", "= ∂ℒ/∂y_i", "= ∂ℒ/∂x_i"),
    ("Given", "`x` has the indices 0…n − 1", "`x` has the indices 0…n"), ("Given", "1 ≤ m ≤ n", "1 ≤ n ≤ m"),
    ("Given", "1 ≤ m ≤ n", "0 ≤ m ≤ n"),
    ("Steps", r"d_{i}\, \theta_{p - i}", r"d_{i}\, \theta_{i - p}"), ("Steps", "∂ℒ/∂x_p =", "∂ℒ/∂x_i ="),
    ("Steps", r"{\partial x_{p}} =", r"{\partial \theta_{p}} ="), ("Result", "min(p,m−1)", "min(p,m)"),
    ("Result", "0 ≤ p ≤ n − 1", "0 ≤ p ≤ m − 1"), ("Python", "min(p,m−1)", "min(p,m)"),
    ("Python", "0 ≤ p ≤ n − 1", "0 < p ≤ n − 1"), ("Checked", "at 30 choices", "at 31 choices"),
    ("Checked", "m ≤ 5", "m ≤ 6"),
])
def test_every_part_of_a_page_is_read(section, old, new):
    derivation = made("conv1d.valid.grad_x")
    page = pages.page(derivation)
    before, head, after = page.partition(f"## {section}\n")
    assert old in after
    assert misprint(derivation, page) == ""
    assert misprint(derivation, before + head + after.replace(old, new, 1))


@pytest.mark.parametrize(("id", "changes"), [
    ("act.leaky.prime", {"assumes": ("1 < s < 2; the deck prints s = 0.1",)}),
    ("act.tanh.prime", {"remarks": ("This is 1 + tanh(x)², written so that nothing cancels.",)}),
    ("bp.delta.rec", {"lhs": ("δ⁽ˡ⁾_j", r"\delta^{(l)}_{i}")}),
    ("bp.delta.rec", {"lhs": ("δ⁽ˡ⁾_i", r"\delta^{(l)}_{p}")}),
])
def test_what_is_said_beside_the_steps_is_tried(id, changes):
    derivation = attrs.evolve(made(id), **changes)
    assert misprint(made(id), pages.page(made(id))) == ""
    assert misprint(derivation, pages.page(derivation))


@pytest.mark.parametrize(("id", "line", "letter"), [
    ("norm.batch.grad_x", "- `μ = ", "μ"), ("norm.batch.grad_x", "- `x̂_i = ", "x̂"), ("attn.head.grad_Q", "- `B_", "B"),
    ("conv2d.layer.grad_x", "- whole numbers: ", "A"), ("loss.softmax.weighted.delta", "- `T = ", "T"),
    ("norm.batch.grad_x", "- numbers: ", "γ"), ("norm.batch.grad_x", "- `d` has", "d"),
])
def test_a_letter_that_nothing_defines_is_refused(id, line, letter):
    """Every letter in a step is a size, an array, an index, or defined in what is given: part of `derive --check`."""
    derivation = made(id)
    page = pages.page(derivation)
    rows = page.split("\n")
    assert printed.undefined(derivation, page) == []
    fewer = "\n".join(row for row in rows if not row.startswith(line))
    assert letter in printed.undefined(derivation, fewer)
    assert misprint(derivation, fewer)


# ---- what the reasons of the steps state

def on_a_trial(derivation, ask):
    """Every step's answer at one choice of sizes."""
    sizes = max(derivation.trials, key=lambda one: (len(set(one.values())), sum(one.values())))
    things = list(printed.things(derivation))
    for attempt in range(200):
        try:
            with Field(attempt) as field:
                trial = Trial(derivation, sizes, field)
                return [ask(derivation, k, trial, things) for k in range(len(derivation.steps))]
        except NoRoot:
            continue
    raise AssertionError(derivation.id)


@pytest.mark.parametrize("id", command.ids())
def test_every_reason_is_read(id):
    """That none is untrue is part of `derive --check`."""
    assert not any(on_a_trial(command.make(id), whys.unread))


@pytest.mark.parametrize("function", from_records.FUNCTIONS)
def test_the_derivative_of_every_function_is_as_said(function):
    x = sp.Symbol("x", real=True)
    D = Derivation(id="own.one.prime", title="", loss=function(x), wrt=x, over=(), shapes={x: ()}, python=("x",),
                   lengths={}, trials=({},))
    D.chain()
    D.step("chain rule", from_records.FUNCTIONS[function], function(x).diff(x) + 1)
    assert on_a_trial(D, whys.unread) == [[], []]
    assert on_a_trial(D, whys.untrue) == ["", ""]


@pytest.mark.parametrize(("id", "step", "why"), [
    ("act.sigmoid.prime", 2, "(1/u)′ = u′/u²"), ("act.sigmoid.prime", 2, "(e⁻ᶻ)′ = e⁻ᶻ"),
    ("act.sigmoid.prime", 3, "1/(1 + e⁻ᶻ) = 1 − g"), ("act.tanh.prime", 4, "(u + v)² − (u − v)² = 2 u v"),
    ("act.leaky.prime", 3, "s x ≥ x where (1 − s) x ≤ 0, that is x ≥ 0 because s < 1"),
    ("act.leaky.prime", 3, "s x ≥ x where (1 − s) x ≤ 0, that is x ≤ 0 because 1 < s"),
    ("act.gelu.prime", 2, "erf′(u) = 2/√π e^(u²)"), ("act.gelu.tanh.prime", 2, "tanh′ = 1 + tanh²"),
    ("act.softplus.prime", 2, "(log u)′ = u/u′"), ("loss.square.delta", 2, "(u²)′ = u"),
    ("loss.square.delta", 2, "∂(y − ŷ)/∂ŷ = 1"), ("loss.xent.logits.delta", 3, "∂a/∂z = a (1 + a)"),
    ("loss.softmax.delta", 5, "only j = k survives"), ("loss.softmax.delta", 6, "0 ≤ i ≤ K"),
    ("loss.softmax.delta", 11, "z_k does not depend on k"), ("bp.delta.rec", 2, "z is a constant here"),
    ("bp.delta.rec", 2, "Θ is a function of z_j"), ("bp.delta.rec", 7, "g′ = g (1 + g)"),
    ("bp.grad", 2, "∂Θ_kr/∂Θ_ij = [k = j][r = i]"), ("conv1d.valid.grad_x", 2, "∂x_a/∂x_b = [a = 2 b]"),
    ("conv1d.valid.grad_x", 3, "only j = p + i survives"), ("conv1d.valid.grad_x", 5, "i = p + j"),
    ("conv2d.layer.grad_x", 4, "only m = (p − R − S i)/D survives"), ("conv2d.layer.grad_x", 8, "g = ⌊k/F⌋"),
    ("conv1d.centred.grad_theta", 4, "−h ≤ q − h ≤ h because 0 ≤ q ≤ h"),
    ("norm.batch.grad_x", 2, "x̂ and β are constants here"), ("norm.batch.grad_x", 4, "x̂_i = (x_i + μ)/s"),
    ("norm.batch.grad_x", 6, "v′ = (2/n) (x_p − μ) = (s/n) x̂_p"), ("norm.batch.grad_x", 7, "∂μ/∂x_p = 1"),
    ("attn.head.grad_Q", 3, "G_st = Σ_e d_se V_ts"), ("attn.head.grad_Q", 6, "A_st = Σ_b Q_sb K_tb"),
])
def test_a_reason_that_is_untrue_is_refused(id, step, why):
    derivation = command.make(id)
    old = derivation.steps[step - 1]
    derivation.steps[step - 1] = attrs.evolve(old, why=why)
    found = misprint(derivation, pages.page(derivation))
    assert f"step {step} ({old.rule}): its reason says what is not so" in found


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
