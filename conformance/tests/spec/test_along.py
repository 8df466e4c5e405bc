"""JVP and Hessian-vector products of every derivation: proved by nested dual numbers, and every wrong one refused."""

import shutil
from fractions import Fraction

import pytest
import sympy as sp
import torch
from typer.testing import CliRunner

from chainrule import spec
from chainrule.cli import app
from chainrule.spec import expressions, symbolic
from chainrule.spec.derive import along, command, evaluate, pages, second
from chainrule.spec.field import Dual, Field, NoRoot, P
from chainrule.spec.nested import Nested

SOME = ("act.elu.prime", "conv1d.valid.grad_x", "norm.batch.grad_x", "loss.softmax.delta", "bp.delta.rec",
        "net.a.grad_z", "conv2d.layer.grad_w")


def failure(id):
    return second.prove(command.make(id), {})[1]


@pytest.mark.parametrize("form", [
    "exp(x*x)", "log(1 + x*x)/x", "sqrt(x)", "tanh(x)*x", "x*erf(x)", "erfc(x)", "sin(x*x)", "cos(x)/x",
    "x**5 - x**(-2)", "x**x", "pi(x)*x**2", "2**x",
])
def test_nested_dual_numbers_have_the_second_derivative(form):
    """Against SymPy's, both evaluated over the field."""
    x = sp.Symbol("x", real=True)
    f = expressions.compiled(form, ("x",))
    twice_differentiated = symbolic.to_sympy(form, {"x": x}).diff(x, 2)
    for seed in range(200):
        try:
            with Field(seed) as field:
                at = field.draw()
                found = f(Nested(Dual(at.v, 3, at.w), Dual(5)))
                known = evaluate.Instance(field, {}, {x: ()}, {}, {}, {})
                known.known["x", ()] = at
                assert found.d.d % P == 15 * known.value(twice_differentiated, {}).v % P
                assert found.v == f(at)
                return
        except NoRoot:
            continue
    raise AssertionError("no point has the root")


@pytest.mark.parametrize("id", spec.derived_ids())
def test_every_derivation_has_both(id):
    """That they hold is part of `derive --check`."""
    shown = spec.derivation(id)
    for which in ("jvp", "hvp"):
        name = f"{pages.function_name(id)}_{which}"
        assert spec.derived(id, which=which).__name__ == name
        assert getattr(shown, which).call.startswith(f"{name}(")


def test_worked_by_hand():
    assert spec.derived("conv1d.valid.grad_x", which="jvp")([1, 0, 2], [3, 5]) == [3, 10]
    assert spec.derived("conv1d.valid.grad_x", which="hvp")([1, 2], [7, 7], [3, 5]) == [3, 11, 10]
    assert spec.derived("act.elu.prime", which="hvp")(2, 3) == 0
    assert spec.derived("loss.square.delta", which="jvp")(Fraction(1, 2), 3, 5) == 2
    assert spec.derived("loss.square.delta", which="hvp")(Fraction(1, 2), 3, 5) == 1
    with pytest.raises(ValueError, match="which is gradient or jvp or hvp, not 'hessian'"):
        spec.derived("act.elu.prime", which="hessian")


def floats(*shape, seed):
    return torch.rand(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) + 0.25


def twice(loss, x, u):
    return torch.autograd.functional.hvp(loss, x, u)[1].tolist()


def close(ours, theirs):
    """Both are float64, of numbers about 1."""
    return all(abs(a - b) * 2**40 < 1 for a, b in zip(ours, theirs, strict=True))


def test_torch_has_the_same():
    x, u, y, gamma = floats(6, seed=1), floats(6, seed=2), floats(6, seed=3), 1.5
    softmax = spec.derived("loss.softmax.delta", which="hvp")(u.tolist(), x.tolist(), y.tolist())
    assert close(softmax, twice(lambda z: -(y * torch.log_softmax(z, 0)).sum(), x, u))
    norm = spec.derived("norm.batch.grad_x", which="hvp")([0.0] * 6, u.tolist(), y.tolist(), x.tolist(), gamma, 0.125)

    def loss(v):
        return (y * gamma * (v - v.mean()) / torch.sqrt(v.var(correction=0) + 0.125)).sum()

    assert close(norm, twice(loss, x, u))
    moved = torch.autograd.functional.jvp(lambda v: torch.softmax(v, 0), x, u)[1]
    assert close(spec.derived("act.softmax.prime", which="jvp")(u.tolist(), x.tolist()), moved.tolist())


# ---- wrong ones

def without_rates_of_named(monkeypatch):
    old = along._moving
    monkeypatch.setattr(along, "_moving", lambda d, start, named: old(d, start, ()))


def turned_round(monkeypatch):
    old = along.along
    monkeypatch.setattr(along, "along", lambda e, moving: -old(e, moving))


def delta_held(monkeypatch):
    old = along.along
    monkeypatch.setattr(along, "along", lambda e, moving: old(e, frozenset(b for b in moving if str(b) != "d")))


def another_entry(monkeypatch):
    old = along.dotted
    monkeypatch.setattr(along, "dotted", lambda base: 2 * old(base) if base.is_Symbol else old(sp.IndexedBase("d"))
                        if str(base) == "x" else old(base))


@pytest.mark.parametrize(("plant", "id"), [
    (without_rates_of_named, "norm.batch.grad_x"), (without_rates_of_named, "loss.softmax.delta"),
    (turned_round, "act.elu.prime"), (turned_round, "conv2d.layer.grad_w"), (delta_held, "conv1d.valid.grad_x"),
    (delta_held, "net.a.grad_z"), (another_entry, "conv1d.valid.grad_x"),
])
def test_a_wrong_rule_is_refused(plant, id, monkeypatch):
    assert failure(id) == ""
    plant(monkeypatch)
    try:
        found = failure(id)
    except (KeyError, TypeError) as error:
        found = str(error)
    assert found


@pytest.mark.parametrize("id", SOME)
@pytest.mark.parametrize("which", [0, 1])
def test_a_wrong_line_is_refused_by_name(id, which):
    derivation = command.make(id)
    name, made = pages.directions(derivation)[which]
    made.steps[-1] = type(made.steps[-1])("along", "", made.last + 1)
    refusal = second.prove(derivation, {})[1]
    assert refusal.startswith(f"{id}: its {name.upper()} is not the derivative along the direction")


@pytest.mark.parametrize(("file", "old", "new", "says"), [
    ("conv1d_valid_grad_x.py", "theta[j] * x_dot[i + j]", "theta[j] * x_dot[i]", "is not what the derivation gives"),
    ("conv1d_valid_grad_x.md", "θ_j ẋ_{i+j}", "θ_i ẋ_{i+j}", "is not what the derivation gives"),
])
def test_an_edited_file_is_noticed(file, old, new, says, tmp_path):
    shutil.copytree(command.FOLDER, tmp_path / "derived", ignore=shutil.ignore_patterns("__pycache__"))
    path = tmp_path / "derived" / file
    assert old in path.read_text(encoding="utf-8")
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    report = command.check(["conv1d.valid.grad_x"], tmp_path / "derived")
    assert (report.findings[0].state, says in report.text()) == ("wrong", True)


@pytest.mark.parametrize(("old", "new"), [
    ("θ_j ẋ_{i+j}", "θ_j ẋ_{i−j}"), (r"\dot{x}_{i + j}", r"\dot{x}_{i}"), ("ḋ_{p−j} θ_j", "ḋ_p θ_j"),
])
def test_a_misprint_is_found(old, new):
    derivation = command.make("conv1d.valid.grad_x")
    page = pages.page(derivation)
    assert second.prove(derivation, {}, page) == second.prove(derivation, {}, "")
    assert old in page
    assert "is printed as what it is not" in second.prove(derivation, {}, page.replace(old, new))[1]


def test_wrong_python_is_refused():
    derivation = command.make("conv1d.valid.grad_x")
    source = pages.module(derivation)
    for wrong in (source.replace("d_dot[p - j]", "d[p - j]"), source.replace("d_dot[p - j]", "d_dot[p + 9]")):
        assert wrong != source
        assert "its HVP" in second.prove(derivation, {"hvp": command.function_of(wrong, derivation.id, "hvp")})[1]


@pytest.mark.parametrize("way", ["--jvp", "--hvp"])
def test_show_says_it(way):
    done = CliRunner().invoke(app, ["show", "norm.batch.grad_x", way])
    assert done.exit_code == 0
    for part in (f"norm.batch.grad_x · {way[2:].upper()}", "ṡ = v̇/(2 √(v + ε))", f'which="{way[2:]}"', "def norm"):
        assert part in done.output
