"""The records against the reference: every machine form on every small size, every stable form, every example."""

from __future__ import annotations

from itertools import islice

import attrs
import numpy as np
import pytest
import sympy as sp

from chainrule import reference, spec
from chainrule.conformance.mutate import spec_mutants
from chainrule.conformance.proofs import certify_forms, certify_stable
from chainrule.spec import expressions, symbolic
from chainrule.spec.derivations import derived, derived_ids

WORKED = [(id, n) for id, e in spec.load().items() if e.value for n, _ in enumerate(e.examples)]


@pytest.mark.trace
@pytest.mark.parametrize("id", certify_forms.with_forms())
def test_form_is_what_the_reference_computes(id):
    assert certify_forms.difference(id) == ""


@pytest.mark.parametrize(("id", "which"), certify_stable.with_stable_forms())
def test_stable_form_is_the_printed_one_to_forty_digits(id, which):
    assert certify_stable.stable_difference(id, which) == ""


@pytest.mark.trace
def test_every_definition_has_a_form_and_a_function():
    for id, equation in spec.load().items():
        own = equation.kind == "derivation" and not equation.of
        if own or equation.kind in ("definition", "algorithm", "count"):
            assert equation.value is not None, id
            assert id in reference.FUNCTIONS, id


@pytest.mark.parametrize(("id", "number"), WORKED)
def test_example_is_what_the_reference_computes(id, number):
    equation = spec.get(id)
    example = equation.examples[number]
    if isinstance(example.output, str) and "log" in example.output:
        values = {name: sp.Rational(str(v)) for name, v in example.inputs.items()}
        value = spec.expression(id).subs({s: values[s.name] for s in spec.expression(id).free_symbols})
        assert sp.simplify(sp.expand_log(value - symbolic.to_sympy(example.output, {}), force=True)) == 0
    else:
        assert certify_stable.worked(equation, example) == certify_stable.entries_of(example.output)


@pytest.mark.parametrize("id", [id for id, e in spec.load().items()
                                if e.kind == "derivation" and e.value is None and e.examples])
def test_example_is_what_the_derived_gradient_computes(id):
    for example in spec.get(id).examples:
        inputs = [certify_stable.exact(v) for v in example.inputs.values()]
        assert derived(id)(*inputs) == certify_stable.exact(example.output)


@pytest.mark.parametrize("id", [id for id in spec.load() if id.startswith("filter.") and id != "filter.learned"])
def test_filter_is_the_printed_one_and_so_is_its_example(id):
    [example] = spec.get(id).examples
    K = certify_stable.exact(example.inputs["K"])
    assert reference.FUNCTIONS[id]() == K
    assert reference.FUNCTIONS["conv2d.valid"](certify_stable.exact(example.inputs["I"]), K) == \
        certify_stable.exact(example.output)


@pytest.mark.parametrize(("id", "filter", "axes"), [
    ("conv1d.valid", "theta", (0,)), ("conv1d.centred", "theta", (0,)), ("conv2d.valid", "K", (0, 1)),
    ("conv2d.layer", "w", (2, 3)), ("stack.one", "K", (0, 1)), ("stack.many", "K", (1, 2)),
])
def test_every_convolution_has_an_asymmetric_example(id, filter, axes):
    """The deck's own filters equal their half turn and their transpose; a wrong index would not show (E26)."""
    def tells(weights):
        sides = [weights.shape[axis] for axis in axes]
        return (weights != np.flip(weights, axes)).any() and (len(axes) == 1 or sides[0] != sides[1])

    assert any(tells(np.array(example.inputs[filter])) for example in spec.get(id).examples)


# ------------------------------------------------------------------------- stable forms, branch by branch

def branches(id, which):
    """(form − right) for x > 0 and for x < 0, with e^|x| = 1 + t: rational in t, or in its logarithm."""
    t = sp.Symbol("t", positive=True)
    equation = spec.get(id)
    right, form = certify_stable.truth(equation, which), spec.expression(id, which)
    wrt = equation.wrt[0]
    for side in (1, -1):
        symbols = {s.name: s for s in right.free_symbols | form.free_symbols}
        at = {symbols[wrt]: side * sp.log(1 + t)} if wrt in symbols else {}
        if "slope" in symbols:
            at[symbols["slope"]] = sp.Rational(1, 10)
        yield (form - right).subs(at).doit()


SPECIAL = (sp.erf, sp.erfc, sp.tanh)
SMOOTH = [(id, which) for id, which in certify_stable.with_stable_forms()
          if not spec.get(id).arrays and id not in certify_stable.BY_READING
          and not certify_stable.truth(spec.get(id), which).has(*SPECIAL)]
ERF_OR_TANH = [(id, which) for id, which in certify_stable.with_stable_forms()
               if not spec.get(id).arrays and certify_stable.truth(spec.get(id), which).has(*SPECIAL)]


@pytest.mark.parametrize(("id", "which"), SMOOTH)
def test_stable_form_is_proved_equal_branch_by_branch(id, which):
    for rest in branches(id, which):
        rest = sp.expand_log(rest.replace(sp.log, lambda a: sp.log(sp.factor(sp.together(a)))), force=True)
        assert sp.simplify(rest) == 0


def of_one_exponential(e):
    """e with tanh written in exponentials, and these as powers of one."""
    e = e.rewrite(sp.exp)
    power = sp.Symbol("E", positive=True)
    arguments = sorted((a.args[0] for a in e.atoms(sp.exp)), key=sp.default_sort_key)
    return e.replace(sp.exp, lambda a: power**sp.cancel(sp.together(a / arguments[0])))


@pytest.mark.parametrize(("id", "which"), ERF_OR_TANH)
def test_stable_form_with_erf_or_tanh_is_proved_equal(id, which):
    equation, s = spec.get(id), sp.Symbol("s", positive=True)
    rest = spec.expression(id, which) - certify_stable.truth(equation, which)
    for side in (1, -1):
        at = rest.subs(dict.fromkeys(rest.free_symbols, side * s))
        at = at.replace(sp.erfc, lambda u: 1 - sp.erf(u))
        if at.has(sp.tanh):
            at = of_one_exponential(at)
        assert sp.expand(sp.cancel(sp.together(sp.powsimp(sp.expand(at))))) == 0


@pytest.mark.parametrize("id", certify_stable.BY_READING)
@pytest.mark.parametrize("y", [0, sp.Rational(1, 3), 1])
def test_stable_cross_entropy_is_proved_equal_case_by_case(id, y):
    printed, stable = (spec.expression(id, which) for which in ("value", "stable"))
    y_symbol = next(s for s in printed.free_symbols if s.name == "y")
    assert sp.simplify((printed - stable).subs(y_symbol, y)) == 0


# ------------------------------------------------------------------------- the tester tested

def test_every_changed_form_is_noticed():
    summary = spec_mutants.run()
    assert summary.count >= 300
    assert summary.survivors == ()
    assert summary.stale == ()
    assert summary.rate == 1.0
    assert summary.equivalent == len(spec_mutants.equivalent())


def test_a_suite_that_notices_nothing_scores_nothing():
    blind = spec_mutants.run(islice(spec_mutants.spec_mutants(), 50), notice=lambda mutant: "")
    assert blind.rate == 0.0
    assert blind.survivors
    assert spec_mutants.run(iter(())).rate == 0.0


def test_a_difference_names_the_place():
    machine = certify_forms.Machine.of(spec.get("conv1d.valid"))
    flipped = attrs.evolve(machine, value=expressions.parse("Sum(theta[m - 1 - j]*x[i + j], (j, 0, m - 1))"))
    assert certify_forms.certified("conv1d.valid").difference(flipped).startswith("conv1d.valid at {'n': 6, 'm':")


@pytest.mark.trace
def test_every_function_and_every_derivation_has_a_record():
    assert set(reference.FUNCTIONS) <= set(spec.load())
    assert set(derived_ids()) <= set(spec.load())


@pytest.mark.trace
def test_every_gradient_that_is_not_printed_is_derived():
    gradients = {id for id, e in spec.load().items() if e.kind == "derivation" and e.value is None}
    assert gradients <= set(derived_ids())
