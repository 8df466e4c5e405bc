"""Somebody's own equations, outside this repository: derived, proved, shown; their TOML stays data."""

import json
import os
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import pytest
from typer.testing import CliRunner

import chainrule
from chainrule import spec
from chainrule.cli import app
from chainrule.spec import records

SRC = Path(chainrule.__file__).resolve().parent.parent
EXAMPLES = Path(spec.__file__).resolve().parents[1] / "examples"

SOFT = """
[[equation]]
id = "my.soft"
kind = "definition"
status = "external"
says = "softplus"
symbols = { x = "real" }
value = "log(1 + exp(x))"
wrt = ["x"]
source = "somebody"

[[equation]]
id = "my.soft.prime"
kind = "derivation"
status = "derived"
says = "its derivative"
of = "my.soft"
symbols = { x = "real" }
wrt = ["x"]
source = "derived from my.soft"
"""


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "mine.toml").write_text(SOFT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    return tmp_path


def test_a_scalar_record_derives_by_itself(here):
    done = run("derive", "mine.toml", "--out", "made")
    assert done.exit_code == 0, done.output
    assert {p.name for p in (here / "made").iterdir()} == {"my_soft_prime.py", "my_soft_prime.md", "digests.json"}
    prime = spec.derived("my.soft.prime", "made")
    assert prime(0.0) == Fraction(1, 2)
    assert run("derive", "mine.toml", "--check", "--out", "made").exit_code == 0
    (here / "mine.toml").write_text(SOFT.replace("1 + exp(x)", "2 + exp(x)"), encoding="utf-8")
    moved = run("derive", "mine.toml", "--check", "--out", "made")
    assert moved.exit_code == 1
    assert "my.soft" in moved.output


def test_it_is_shown_in_every_way(here):
    assert "= exp(x)/(1 + exp(x))" in run("show", "--from", "mine.toml", "my.soft.prime").output
    assert r"&= \frac{e^{x}}{1 + e^{x}}" in run("show", "--from", "mine.toml", "my.soft.prime", "--latex").output
    data = json.loads(run("show", "--from", "mine.toml", "my.soft.prime", "--json").output)
    assert data["call"] == "my_soft_prime(x)"
    assert [step["rule"] for step in data["steps"]] == ["definition", "chain rule"]
    assert run("show", "--from", "mine.toml", "my.soft.prime", "--md").output.startswith("# my.soft.prime\n")
    assert "softplus" in run("show", "--from", "mine.toml", "my.soft").output


def test_the_deck_s_records_are_as_before_afterwards(here):
    run("derive", "mine.toml", "--out", "made")
    with pytest.raises(spec.UnknownId):
        spec.get("my.soft")
    with spec.beside("mine.toml") as found:
        assert spec.get("my.soft") is found["my.soft"]
        assert spec.get("act.elu") is not None


@pytest.mark.parametrize(("arguments", "says"), [
    (("derive", "mine.toml"), "mine.toml has no folder of its own; name one with --out DIR"),
    (("derive", "nowhere.toml", "--out", "made"), "nowhere.toml cannot be read: No such file or directory"),
    (("derive", "nowhere:chapters", "--out", "made"), "there is no module 'nowhere' here or installed"),
    (("derive", "json:nothing", "--out", "made"), "the module json has no 'nothing'"),
    (("derive", "json:dumps", "--out", "made"), "json:dumps is no Chapters, but a function"),
    (("derive", "mine.toml", "my.sft.prime", "--out", "made"), "did you mean my.soft.prime?"),
    (("show", "--from", "mine.toml", "my.sft"), "no record has the id 'my.sft'. Near: my.soft"),
    (("show", "nosuch.id.zz"), "`chainrule show --list` lists them all."),
    (("show",), "name an id, such as bp.delta.rec; --list has them all"),
])
def test_what_cannot_be_is_said_in_a_sentence(here, arguments, says):
    done = run(*arguments)
    assert done.exit_code == 2
    assert says in done.output
    assert not (here / "made").exists()


HALF = Fraction(1, 2)


@pytest.mark.parametrize(("form", "values"), [
    ("Piecewise((0, x <= 0), (x, x <= 6), (6, True))", {-1: 0, 2: 1, 7: 0}),
    ("Piecewise((x**2/2, abs(x) <= 1), (x - 1/2, x > 0), (-x - 1/2, True))", {HALF: HALF, 5: 1, -5: -1}),
    ("Piecewise((x**2, (x >= 0) & (x <= 1)), (0, True))", {HALF: 1, 2: 0, -1: 0}),
    ("Piecewise((x**2, (x < -1) | (x > 1)), (2*x, True))", {HALF: 2, 3: 6, -3: -6}),
    ("Piecewise((0, x == 0), (3*x, True))", {0: 0, 1: 3}),
    ("x*min(max(x + 3, 0), 6)/6", {-4: 0, 0: HALF, 4: 1}),
    ("maximum(0, 1 - 2*x)**2", {-1: -12, 1: 0}),
    ("x/(1 + abs(x))", {1: Fraction(1, 4), -1: Fraction(1, 4)}),
    ("x**3 - x/3", {1: Fraction(8, 3)}),
    ("7", {1: 0}),
])
def test_what_people_write_derives(here, form, values):
    (here / "mine.toml").write_text(SOFT.replace("log(1 + exp(x))", form), encoding="utf-8")
    done = run("derive", "mine.toml", "--out", "made")
    assert done.exit_code == 0, done.output
    prime = spec.derived("my.soft.prime", "made")
    assert {x: prime(Fraction(x)) for x in values} == values


@pytest.mark.parametrize(("form", "says"), [
    ("log(2)*x", "log(2) is a float; written of a number of x's kind"),
    ("Piecewise((x, x < 100000), (2*x, True))", "no trial meets the case 2 else of its result"),
])
def test_what_would_not_be_proved_is_refused(here, form, says):
    (here / "mine.toml").write_text(SOFT.replace("log(1 + exp(x))", form), encoding="utf-8")
    done = run("derive", "mine.toml", "--out", "made")
    assert done.exit_code == 1
    assert says in " ".join(done.output.split())


def test_a_positive_number_stays_positive(here):
    """log and symbolic powers where there are only positive numbers."""
    text = SOFT.replace("log(1 + exp(x))", "x**alpha*log(x)")
    text = text.replace('{ x = "real" }', '{ x = "positive", alpha = "positive" }')
    (here / "mine.toml").write_text(text, encoding="utf-8")
    assert run("derive", "mine.toml", "--out", "made").exit_code == 0


@pytest.mark.parametrize(("old", "new", "says"), [
    ('"log(1 + exp(x))"', "\"__import__('os').getcwd()\"", "not part of the language"),
    ('"log(1 + exp(x))"', '"log(1 + exp(q))"', "the name 'q' is not declared by the record"),
])
def test_the_file_stays_data(here, old, new, says):
    (here / "mine.toml").write_text(SOFT.replace(old, new), encoding="utf-8")
    done = run("derive", "mine.toml", "--out", "made")
    assert done.exit_code == 1
    assert says in done.output


def test_an_id_of_the_deck_cannot_be_taken(here):
    (here / "mine.toml").write_text(SOFT.replace("my.soft", "act.elu"), encoding="utf-8")
    done = run("derive", "mine.toml", "--out", "made")
    assert done.exit_code == 2
    assert "the deck's records have the id act.elu already; take another" in done.output
    assert "my.soft" not in records.load()


@pytest.mark.skipif(not EXAMPLES.exists(), reason="not judged: the examples are not installed with the package")
def test_the_example_runs_from_another_folder(tmp_path):
    for name in ("own_equations.py", "own_equations.toml"):
        shutil.copy(EXAMPLES / name, tmp_path)
    done = subprocess.run([sys.executable, "-m", "chainrule", "derive", "own_equations:chapters", "--out", "made"],
                          cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(SRC)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 derivations: 2 written" in done.stdout
    grad = spec.derived("own.pool.mean.grad_x", tmp_path / "made")
    assert grad([[Fraction(4)]], 2, 3, 2, 2, 1) == [[1, 1, 0], [1, 1, 0]]
    huber = spec.derived("own.huber.delta", tmp_path / "made")
    assert [huber(0, Fraction(v), 2) for v in (-3, -1, 0, 1, 3)] == [-2, -1, 0, 1, 2]
