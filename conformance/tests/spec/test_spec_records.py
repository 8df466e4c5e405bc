"""Reading records: what is refused, and how; and the machine-form language."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction

import pytest
import sympy

from chainrule import spec
from chainrule.spec import expressions, records, symbolic

MINIMAL = """
[[equation]]
id = "x.y"
kind = "definition"
status = "derived"
says = "something"
"""


def read(tmp_path, text):
    path = tmp_path / "chapter.toml"
    path.write_text(text, encoding="utf-8")
    return records.read(path)


@pytest.mark.parametrize(("text", "message"), [
    (MINIMAL + 'laytex = "x"\n', 'chapter.toml: equation "x.y", key "laytex" is not known. Keys: id kind'),
    (MINIMAL + '[[equation.trap]]\nname = "t"\nwhere = 1\nwhy = "w"\n',
     'chapter.toml: equation "x.y", trap, key "where" is not known. Keys: name at why seen kind'),
    (MINIMAL.replace("definition", "theorem"), "key \"kind\": 'theorem' is not one of definition, derivation,"),
    (MINIMAL.replace('says = "something"\n', ""), 'chapter.toml: equation "x.y", missing: says'),
    (MINIMAL + MINIMAL, 'chapter.toml: equation "x.y" is defined twice'),
    ("[[equations]]\n", 'chapter.toml, table "equations" is not known. Tables: equation erratum'),
    ("[[equation]\n", "chapter.toml is not TOML:"),
])
def test_a_record_that_cannot_be_read_says_where(tmp_path, text, message):
    with pytest.raises(spec.SpecError) as refusal:
        read(tmp_path, text)
    assert message in str(refusal.value)


def test_an_unknown_id_suggests_near_ones():
    with pytest.raises(spec.UnknownId) as refusal:
        spec.get("act.ellu")
    assert str(refusal.value).startswith("no record has the id 'act.ellu'. Near: act.elu")
    assert isinstance(refusal.value, KeyError)


def test_records_cannot_be_changed():
    with pytest.raises(AttributeError):
        spec.get("act.elu").value = "x"
    with pytest.raises(TypeError):
        spec.get("act.elu").symbols["x"] = "positive"


def test_every_name_in_a_form_is_declared():
    for id, equation in spec.load().items():
        declared = {*equation.sizes, *equation.arrays, *equation.symbols, *equation.index}
        for form in (equation.value, equation.stable, equation.stable_prime):
            if form is not None:
                assert expressions.names_of(form) <= declared, id


def test_what_is_not_printed_has_a_source():
    for id, equation in spec.load().items():
        if equation.status in ("derived", "external", "corrected"):
            assert equation.source, id
        if equation.status == "printed":
            assert equation.deck_lines, id


def test_references_between_records_lead_somewhere():
    for id, equation in spec.load().items():
        linked = [equation.of, *(other for form in equation.forms for other in form.also)]
        assert all(other in spec.load() for other in linked if other), id


def test_traps_name_public_threads():
    for id, equation in spec.load().items():
        for trap in equation.traps:
            assert all(thread.count("/") == 1 and thread.partition("#")[2].isdigit() for thread in trap.seen), id
    seen = {thread for equation in spec.load().values() for trap in equation.traps for thread in trap.seen}
    assert len(seen) >= 15


@pytest.mark.parametrize(("id", "at"), [
    ("act.sigmoid.prime", {"z": -100.0}), ("act.tanh.prime", {"x": 20.0}), ("act.tanh.prime", {"x": 100.0}),
    ("act.elu.prime", {"x": 89.0, "alpha": 1.0}), ("act.elu.prime", {"x": 0.0, "alpha": 1.0}),
    ("act.elu.prime", {"x": -20.0, "alpha": 1.0}), ("loss.xent.logits.delta", {"z": 20.0, "y": 0.0}),
    ("act.relu.prime", {"x": 0.0}), ("act.leaky.prime", {"x": 0.0, "slope": 0.1}),
])
def test_the_public_bugs_of_the_activations_slide_are_traps(id, at):
    [trap] = [trap for trap in spec.get(id).traps if trap.at == at]
    assert trap.kind == ("convention" if id in ("act.relu.prime", "act.leaky.prime") else "error")


def test_a_plain_id_keeps_the_printed_sign():
    assert spec.function("loss.xent")(0.0, 0.75) < 0
    assert spec.function("loss.xent.negated")(0.0, 0.75) == -spec.function("loss.xent")(0.0, 0.75)


# ------------------------------------------------------------------------------------------ the language

def test_functions_run_over_any_number_type():
    assert spec.function("act.elu")(Fraction(7, 3), 2) == Fraction(7, 3)
    assert spec.function("act.relu")(-2) == 0
    assert spec.function("act.elu", "stable")(-1e-9, 1.0) == -9.999999995e-10


def test_a_record_without_a_stable_form_is_careful_as_printed():
    assert spec.get("act.relu").stable is None
    assert spec.function("act.relu", "stable")(3) == 3


@pytest.mark.parametrize("form", [
    "__import__('os')", "x.real", "lambda: 0", "[x for x in y]", "x if y else z", "x; y", "'text'", "1.5",
    "f(x, y=1)", "Sum(x, j)", "Piecewise(x)", "not x", "x and y",
])
def test_nothing_else_is_part_of_the_language(form):
    with pytest.raises(expressions.FormError):
        expressions.python(expressions.parse(form))
    with pytest.raises(expressions.FormError):
        symbolic.to_sympy(form, {"x": sympy.Symbol("x"), "y": sympy.Symbol("y"), "z": sympy.Symbol("z")})


def test_cases_must_be_complete():
    with pytest.raises(expressions.FormError, match="the last case of a Piecewise must be True"):
        expressions.python(expressions.parse("Piecewise((x, x > 0))"))


def test_an_undeclared_name_is_refused():
    with pytest.raises(expressions.FormError, match="the name 'q' is not declared"):
        symbolic.to_sympy("x + q", {"x": 1})


def test_a_form_that_is_not_there_is_refused():
    with pytest.raises(expressions.FormError, match=r"act\.why has no machine form 'value'"):
        spec.function("act.why")
    with pytest.raises(expressions.FormError, match=r"conv1d\.valid is not a scalar record: it reads theta, x"):
        spec.function("conv1d.valid")


def test_records_load_without_sympy():
    code = "import sys; from chainrule import spec; spec.function('act.elu'); print('sympy' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert run.stdout == "False\n"
