"""The LaTeX of what the deck does not print is made from the machine form, and reads back as that form."""

import ast
import re
import unicodedata

import pytest
import sympy as sp

from chainrule import spec
from chainrule.spec import expressions, symbolic, typeset
from chainrule.spec.derivations import derived_ids
from chainrule.spec.derive.language import FloorDiv
from chainrule.spec.derive.reading import LaTeX, Names
from chainrule.spec.letters import GREEK, NAMES, latex_name, plain_name

FORMS = [(id, which) for id, record in spec.load().items() for which in ("value", "stable", "stable_prime")
         if (form := getattr(record, which)) and "MaxOver" not in form]


def names_of(record, form):
    """Everything a form may name, and what it is over."""
    names = dict(symbolic.sympy_names(record))
    for call in ast.walk(expressions.parse(form)):
        if isinstance(call, ast.Call) and (skip := expressions.OVER.get(ast.unparse(call.func))):
            for variable, _, _ in expressions.limits(call.args[skip:]):
                names.setdefault(variable, sp.Symbol(variable, integer=True))
    return names


def canonical(e):
    """Sums in one order of their indices, floors of quotients as floors, relations as … ≥ 0."""
    e = e.replace(FloorDiv, lambda above, below: sp.floor(above / below))
    e = e.replace(lambda part: isinstance(part, sp.Max | sp.Min), lambda part: part.func(*part.args))
    e = e.replace(lambda part: isinstance(part, sp.Sum),
                  lambda part: sp.Sum(part.function, *sorted(part.limits, key=sp.default_sort_key)))
    e = e.replace(lambda part: isinstance(part, sp.Le | sp.Ge),
                  lambda part: sp.Ge(sp.expand(part.gts - part.lts), 0, evaluate=False))
    return sp.expand(e)


def read(record, form):
    names, latex = names_of(record, form), typeset.latex(form)
    spelled = ((typeset._based(latex_name(name)) if isinstance(thing, sp.IndexedBase)
                else typeset._single(latex_name(name)), thing) for name, thing in names.items())
    return canonical(LaTeX(latex, Names(spelled)).whole())


@pytest.mark.parametrize(("id", "which"), FORMS)
def test_typeset_form_reads_back(id, which):
    record = spec.get(id)
    written = getattr(record, which)
    found, form = read(record, written), canonical(symbolic.expression(record, which))
    cases = form.replace(lambda part: isinstance(part, sp.Piecewise) and "maximum" in written,
                         lambda part: sp.Max(*(value for value, _ in part.args)))
    assert canonical(found - cases) == 0 or found == form


@pytest.mark.parametrize(("id", "old", "new"), [
    ("norm.batch", "gamma*(x[i] -", "gamma*(x[i] +"), ("loss.softmax", "-Sum(", "Sum("),
    ("opt.adam", "(1 - beta1)", "(1 + beta1)"), ("attn.head", "(t, 0, T - 1)", "(t, 0, T)"),
    ("opt.schedule.step", "t//every", "t*every"),
])
def test_another_form_reads_differently(id, old, new):
    record = spec.get(id)
    assert old in record.value
    assert read(record, record.value.replace(old, new, 1)) != canonical(spec.expression(id))


def test_latex_is_typed_only_where_the_deck_prints_it_or_there_is_no_form():
    for id, record in spec.load().items():
        made = record.status != "printed" and (record.value or id in derived_ids())
        assert not made or all(form.lines for form in record.forms), id


def test_a_largest_value_is_typeset():
    assert typeset.latex("MaxOver(x[i*s + m], (m, 0, s - 1))") == r"\max_{0 \le m \le s - 1} x_{i\, s + m}"


def test_a_gradient_is_its_derivation_s_result():
    [formula] = typeset.formulas(spec.get("conv1d.valid.grad_theta"))
    assert formula == r"\frac{\partial \mathcal{L}}{\partial \theta_{q}} = \sum_{i=0}^{n - m} d_{i}\, x_{i + q}"


def test_a_remainder_beside_anything_has_brackets():
    """What t mod n P means is anybody's guess."""
    assert typeset.latex("t % n * P + t // n") == (
        r"\left(t \bmod n\right)\, P + \lfloor \frac{t}{n} \rfloor")
    assert typeset.latex("(t + P) % n") == r"\left(t + P\right) \bmod n"


def said_by(letter, latex):
    """How a printed letter and its LaTeX are called: λ and \\lambda are lambda twice, x̂ is x."""
    first = unicodedata.normalize("NFD", letter)[0]
    called = unicodedata.name(first).rpartition(" ")[2] if "GREEK" in unicodedata.name(first) else first
    return called, re.sub(r"\\(?:hat|var|mathcal)|[\\{}]", "", latex)


def is_called(name, letter, latex):
    """Is the letter the one that the name begins with, in both ways of writing?"""
    called, tex = said_by(letter, latex)
    stem = name.rstrip("0123456789").removesuffix("hat")
    begins = stem if stem in GREEK or len(called) > 1 else stem[0]
    return called.lower().startswith(begins.lower()) and tex.startswith(begins) and \
        unicodedata.normalize("NFD", letter)[0].isupper() == stem[0].isupper()


@pytest.mark.parametrize("name", [name for name in (*GREEK, *NAMES) if name != "ℒ"])
def test_a_name_is_printed_as_the_letter_it_names(name):
    assert is_called(name, plain_name(name), latex_name(name))


@pytest.mark.parametrize(("name", "letter", "latex"), [
    ("lam", "μ", r"\mu"), ("lam", "λ", r"\mu"), ("lam", "μ", r"\lambda"), ("theta", "Θ", r"\Theta"),
    ("eps", "η", r"\eta"), ("yhat", "x̂", r"\hat{x}"), ("beta1", "γ₁", r"\gamma_1"),
])
def test_another_letter_is_noticed(name, letter, latex):
    assert not is_called(name, letter, latex)
