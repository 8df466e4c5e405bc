"""The rules of a derivation: each is right, and a wrong one in its place is refused."""

import sys

import pytest
import sympy as sp

from chainrule import spec
from chainrule.spec.derive import command, rules
from chainrule.spec.derive.chapters import Chapters
from chainrule.spec.derive.language import CeilDiv, FloorDiv, Within
from chainrule.spec.derive.proof import prove

FORMS = {
    "exp": "exp(x*x)", "log": "log(1 + x*x)", "sqrt": "sqrt(1 + x*x)", "tanh": "tanh(2*x)", "erf": "x*erf(3*x)",
    "erfc": "erfc(x)/2", "sin": "sin(x*x)", "cos": "x*cos(x)", "abs": "abs(x)*x", "max": "max(x, 3)*x",
    "min": "min(x, 3)*x", "powers": "(1 + x*x)**c", "exponent": "3**(c*x)", "maximum": "maximum(c*x, x)",
    "quotient": "x/(c + x*x)", "cubes": "x**3 - x**(-2)", "pi": "x*pi(x)",
}
RECORDS = """
[[equation]]
id = "my.f"
kind = "definition"
status = "external"
says = "a function"
symbols = { x = "real", c = "positive" }
value = "FORM"
wrt = ["x"]
source = "here"

[[equation]]
id = "my.f.prime"
kind = "derivation"
status = "derived"
says = "its derivative"
of = "my.f"
wrt = ["x"]
symbols = { x = "real", c = "positive" }
source = "derived from my.f"
"""


def derived_from(form, tmp_path):
    """What `derive` says of a function with this machine form: empty if it is proved and read back."""
    path = tmp_path / "mine.toml"
    path.write_text(RECORDS.replace("FORM", form), encoding="utf-8")
    with Chapters(records=path).opened() as chapters:
        return command.derive(["my.f.prime"], tmp_path / "made", chapters=chapters)


@pytest.mark.parametrize("name", FORMS)
def test_every_function_of_the_language_derives(name, tmp_path):
    report = derived_from(FORMS[name], tmp_path)
    assert report.ok, report.text()


@pytest.mark.parametrize(("name", "at"), [
    ("exp", 0.5), ("erf", 0.25), ("cubes", 2.0), ("abs", -1.5), ("sin", 0.75), ("cos", 1.25), ("tanh", 0.125),
])
def test_the_derived_function_is_the_slope(name, at, tmp_path):
    assert derived_from(FORMS[name], tmp_path).ok
    prime = spec.derived("my.f.prime", tmp_path / "made")
    f = sp.lambdify("x", sp.sympify(FORMS[name], locals={"abs": sp.Abs}), "mpmath")
    h = 2.0**-20
    central = (f(at + h) - f(at - h)) / (2 * h)
    assert round(float(prime(at, 1.0)), 4) == round(float(central), 4)


@pytest.mark.parametrize(("assumed", "says"), [
    ("c >= 2", ""), ("c > 1000", "my.f: no number was found that is c > 1000"),
])
def test_numbers_are_drawn_until_an_assumption_holds(assumed, says, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "RECORDS", RECORDS.replace(
        'source = "here"', f'source = "here"\nassumes = ["{assumed}"]'))
    report = derived_from("x*exp(c*x)", tmp_path)
    assert says in report.text()
    assert report.ok == (says == "")


WRONG = {
    sp.exp: lambda e, d: e, sp.log: lambda e, d: d(e.args[0]) * e.args[0], sp.tanh: lambda e, d: 1 - e**2,
    sp.erf: lambda e, d: sp.exp(-e.args[0]**2) * d(e.args[0]), sp.erfc: lambda e, d: d(e.args[0]),
    sp.sin: lambda e, d: -sp.cos(e.args[0]) * d(e.args[0]), sp.cos: lambda e, d: sp.sin(e.args[0]) * d(e.args[0]),
    sp.Abs: lambda e, d: d(e.args[0]), sp.Max: lambda e, d: d(e.args[1]), sp.Min: lambda e, d: d(e.args[0]),
    sp.Pow: lambda e, d: e.exp * e.base**e.exp * d(e.base), sp.Add: lambda e, d: d(e.args[0]),
    sp.Mul: lambda e, d: sp.Mul(*map(d, e.args)),
    sp.Piecewise: lambda e, d: sp.Piecewise(*((d(v), c) for v, c in reversed(e.args)), evaluate=False),
}
USES = {sp.exp: "exp", sp.log: "log", sp.tanh: "tanh", sp.erf: "erf", sp.erfc: "erfc", sp.sin: "sin", sp.cos: "cos",
        sp.Abs: "abs", sp.Max: "max", sp.Min: "min", sp.Pow: "cubes", sp.Add: "quotient", sp.Mul: "cos",
        sp.Piecewise: "maximum"}


def test_every_rule_is_planted_wrong_once():
    assert set(WRONG) | {sp.Sum} == set(rules._DERIVATIVES)


@pytest.mark.parametrize("function", WRONG, ids=lambda function: function.__name__)
def test_a_wrong_derivative_is_refused(function, monkeypatch, tmp_path):
    monkeypatch.setitem(rules._DERIVATIVES, function, WRONG[function])
    report = derived_from(FORMS[USES[function]], tmp_path)
    assert not report.ok
    assert "does not equal the step before it" in report.text()


@pytest.mark.parametrize(("function", "form"), [(sp.Max, "max(x, 0)*c"), (sp.Min, "min(x, 0)*c")])
def test_the_first_argument_owns_a_tie(function, form, monkeypatch, tmp_path):
    def given_away(e, d):
        first, rest = e.args
        holds = first > rest if function is sp.Max else first < rest
        return sp.Piecewise((d(first), holds), (d(rest), True), evaluate=False)

    assert derived_from(form, tmp_path).ok
    monkeypatch.setitem(rules._DERIVATIVES, function, given_away)
    assert "does not equal the step before it at side = 0" in derived_from(form, tmp_path).text()


BROKEN = {
    "a sum's derivative without the sum": ("_of_sum", lambda e, d: d(e.function), "conv1d.valid.grad_x"),
    "absorb forgets a bound": ("CeilDiv", lambda e, a: sp.Integer(0), "conv1d.valid.grad_x"),
    "collapse forgets the division": ("Divides", lambda a, e: sp.Integer(1), "conv2d.layer.grad_x"),
    "absorb rounds down what is to be rounded up": ("CeilDiv", FloorDiv, "conv2d.layer.grad_x"),
    "absorb rounds up what is to be rounded down": ("FloorDiv", CeilDiv, "conv2d.layer.grad_x"),
    "reindex keeps the range": ("_shift", lambda bound, constant, sign: bound, "conv1d.valid.grad_x"),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_rule_is_refused(fault, monkeypatch):
    name, wrong, id = BROKEN[fault]
    monkeypatch.setattr(rules, name, wrong)
    if name == "_of_sum":
        monkeypatch.setitem(rules._DERIVATIVES, sp.Sum, wrong)
    try:
        failure = prove(command.make(id)).failure
    except rules.RuleError as error:
        failure = str(error)
    assert failure


@pytest.mark.parametrize(("e", "names"), [
    ("x", "linearity"), ("3*x + 1", "linearity"), ("x*exp(x)", "product rule, chain rule"),
    ("1/x", "quotient rule"), ("exp(2*x)", "chain rule"), ("x**2", "chain rule"),
])
def test_rules_are_called_by_their_names(e, names):
    x = sp.Symbol("x", real=True)
    assert rules.names_of(sp.sympify(e, locals={"x": x}), x) == names


def test_holds_needs_a_range_that_says_so():
    i = sp.Symbol("i", integer=True)
    with pytest.raises(rules.RuleError, match="no bracket of"):
        rules.holds(Within(i, 0, 3), [(i, 0, 4)])
