"""The result of every derivation in torch, JAX and C: run on the same numbers as its Python, at sizes of its proof.

By the libraries themselves with floats, and letter for letter over the field, where equal is equal.
"""

import ctypes
import os
import shutil
import subprocess
from functools import cache
from math import prod
from pathlib import Path
from random import Random

import programs
import pytest
import torch
from typer.testing import CliRunner

from chainrule import spec
from chainrule.cli import app
from chainrule.spec.derive import command, languages, pages, proof
from chainrule.spec.derive.proof import Trial
from chainrule.spec.field import Dual, Field, NoRoot

COMPILER = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")
TOP = Path(__file__).resolve().parents[3]
EVERY = pytest.param(True, marks=pytest.mark.slow)                   # at all sizes of the proof, not at one alone


made = cache(command.make)


def choices(derivation, every):
    """All sizes of the proof, or the one whose sizes differ most; of scalars every side of 0."""
    differing = sorted(derivation.trials, key=lambda one: (-len(set(one.values())), -sum(one.values())))
    return differing if every or derivation.draws else differing[:1]


def numbers(derivation, sizes, seed):
    """The arguments of the Python as floats in (¼, 1¼), whole numbers where the proof has them, signs where it has."""
    rng = Random(seed)

    def as_float(value):
        if isinstance(value, list):
            return [as_float(one) for one in value]
        if isinstance(value, Dual):
            return (rng.random() + 0.25) * (-1 if value.w < 0 and derivation.draws else 1)
        return value

    for attempt in range(200):
        try:
            with Field(attempt) as field:
                instance = Trial(derivation, sizes, field).instance
                bases = {str(base): base for base in (*derivation.shapes, *(n.base for n in derivation.named))}
                return [as_float(instance.list_of(bases[name]) if name in bases
                                 else instance.value(derivation.values[name], {})) for name in derivation.python]
        except NoRoot:
            continue
    raise AssertionError(derivation.id)


def flat(result):
    if isinstance(result, list | tuple):
        return [x for one in result for x in flat(one)]
    return [] if result is None else [float(result)]


def same(ours, theirs):
    """Both are float64, of numbers about 1, and add in the same order: at most the last digits differ."""
    return len(ours) == len(theirs) and all(abs(a - b) <= 2**-40 * (1 + abs(a)) for a, b in zip(ours, theirs))


def tensor(value, make):
    """Nested lists as a tensor, 0 in a slot that is not used."""
    def filled(v):
        if isinstance(v, list):
            known = [filled(one) for one in v if one is not None]
            return [zeros(known[0]) if one is None else filled(one) for one in v]
        return v

    def zeros(v):
        return [zeros(one) for one in v] if isinstance(v, list) else 0 * v

    return make(filled(value)) if isinstance(value, list | float) else value


def used(value, over):
    """A tensor's entries without slot 0 of a range from 1."""
    return [x for one in list(value)[over[0][1]:] for x in used(one, over[1:])] if over else [float(value)]


def over_tensors(id, framework, make, every):
    derivation = made(id)
    space = {}
    exec(compile(languages.code(derivation, framework), f"<{id}>", "exec"), space)
    for number, sizes in enumerate(choices(derivation, every)):
        given = numbers(derivation, sizes, number)
        expected = flat(spec.derived(id)(*given))
        found = space[pages.function_name(id)](*(tensor(v, make) for v in given))
        found = found.detach() if isinstance(found, torch.Tensor) else found
        over = [(i, int(low), high) for i, low, high in derivation.over]
        assert same(used(found, over), expected), (id, sizes)


def differentiable(value):
    """A tensor that a gradient is asked for: what takes a number out of it warns, and loses that gradient."""
    real = "." in str(value)
    return torch.tensor(value, dtype=torch.float64 if real else torch.int64, requires_grad=real)


@pytest.mark.parametrize("every", [False, EVERY])
@pytest.mark.parametrize("id", spec.derived_ids())
def test_torch_computes_what_the_python_does(id, every):
    over_tensors(id, "torch", differentiable, every)


@pytest.mark.slow
@pytest.mark.parametrize("id", spec.derived_ids())
def test_jax_computes_what_the_python_does(id, monkeypatch):
    monkeypatch.syspath_prepend(str(TOP / "build" / "jax"))
    jax = pytest.importorskip("jax", reason="JAX is not installed; `make build/jax` brings it")
    jax.config.update("jax_enable_x64", True)
    over_tensors(id, "jax", jax.numpy.asarray, every=False)


# ---- C

@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """All programs as one library."""
    if COMPILER is None:
        pytest.skip("there is no C compiler here")
    folder = tmp_path_factory.mktemp("c")
    parts = []
    for id in spec.derived_ids():
        program, arrays, sizes = languages.in_c(made(id))
        (folder / f"{pages.function_name(id)}.c").write_text(program, encoding="utf-8")
        parts.append((id, arrays, sizes))
    flags = ["-std=c99", "-O1", "-ffp-contract=off", "-Wall", "-Werror", "-Wno-unused-function", "-shared", "-fPIC"]
    subprocess.run([COMPILER, *flags, *map(str, sorted(folder.glob("*.c"))), "-o", str(folder / "all.so"), "-lm"],
                   check=True)
    return ctypes.CDLL(str(folder / "all.so")), {id: (arrays, sizes) for id, arrays, sizes in parts}


def call_c(library, id, derivation, arrays, sizes_of, sizes, given):
    named = dict(zip(derivation.python, given))
    letters = {str(s): value for s, value in sizes.items()}
    arguments = []
    for name in arrays:
        value = named[name]
        numbers_of = [float(x) for x in row_major(value)] if isinstance(value, list) else None
        arguments.append((ctypes.c_double * len(numbers_of))(*numbers_of) if numbers_of is not None
                         else ctypes.c_double(value))
    arguments += [ctypes.c_long(letters[name]) for name in sizes_of]
    ends = [int(high.subs(sizes)) + 1 for _, _, high in derivation.over]
    length = 1
    for end in ends:
        length *= end
    out = (ctypes.c_double * length)()
    getattr(library, pages.function_name(id))(*arguments, out)
    return used(shaped(list(out), ends), [(i, int(low), high) for i, low, high in derivation.over])


def shaped(numbers_of, ends):
    if not ends:
        return numbers_of[0]
    step = len(numbers_of) // ends[0]
    return [shaped(numbers_of[k * step:(k + 1) * step], ends[1:]) for k in range(ends[0])]


def row_major(value):
    return [x for one in tensor(value, list) for x in (row_major(one) if isinstance(one, list) else [one])]


@pytest.mark.parametrize("every", [False, EVERY])
@pytest.mark.parametrize("id", spec.derived_ids())
def test_c_computes_what_the_python_does(id, every, compiled):
    library, known = compiled
    derivation = made(id)
    for number, sizes in enumerate(choices(derivation, every)):
        given = numbers(derivation, sizes, number)
        found = call_c(library, id, derivation, *known[id], sizes, given)
        assert same(found, flat(spec.derived(id)(*given))), (id, sizes)


# ---- over the field

CPP = shutil.which(os.environ.get("CXX", "c++")) or shutil.which("g++")


def over_the_field(id, every, run):
    """What a program makes of the numbers of a trial is the last line of its derivation, exactly."""
    derivation = made(id)
    for number, sizes in enumerate(choices(derivation, every)):
        for attempt in range(200):
            try:
                with Field(200 * number + attempt) as field:
                    trial = Trial(derivation, sizes, field)
                    last = trial.line(len(derivation.steps) - 1)
                    for found in run(derivation, trial):
                        assert proof._same(found, last, trial), (id, sizes)
                    break
            except NoRoot:
                continue
        else:
            raise AssertionError(id)


def by_words(derivation, trial):
    for framework in ("torch", "jax"):
        yield proof._call(trial, programs.in_words(derivation, framework))


@pytest.mark.parametrize("every", [False, EVERY])
@pytest.mark.parametrize("id", spec.derived_ids())
def test_torch_and_jax_are_exact_over_the_field(id, every):
    over_the_field(id, every, by_words)


@pytest.fixture(scope="module")
def exact(tmp_path_factory):
    """All C programs as one library over the field."""
    if CPP is None:
        pytest.skip("there is no C++ compiler here")
    return programs.in_c(map(made, spec.derived_ids()), tmp_path_factory.mktemp("cpp"), CPP)


def by_c(exact):
    library, known = exact

    def run(derivation, trial):
        arrays, sizes_of = known[derivation.id]
        bases = {str(base): base for base in (*derivation.shapes, *(n.base for n in derivation.named))}
        arguments = [elements(trial.instance.list_of(bases[name])) for name in arrays]
        arguments += [ctypes.c_long({str(s): v for s, v in trial.sizes.items()}[name]) for name in sizes_of]
        ends = [int(high.subs(trial.sizes)) + 1 for _, _, high in derivation.over]
        out = (programs.Element * prod(ends))()
        getattr(library, pages.function_name(derivation.id))(*arguments, out)
        yield slots(shaped([one.number for one in out], ends), derivation.over)
    return run


def elements(value):
    if not isinstance(value, list):
        return programs.Element.of(value)
    numbers_of = [programs.Element.of(0 if x is None else x) for x in row_major(value)]
    return (programs.Element * len(numbers_of))(*numbers_of)


def slots(value, over):
    """Nested lists with None in a slot 0 that a range from 1 leaves unused."""
    if not over:
        return value
    low = int(over[0][1])
    return [None] * low + [slots(one, over[1:]) for one in value[low:]]


@pytest.mark.slow
@pytest.mark.parametrize("id", spec.derived_ids())
def test_c_is_exact_over_the_field(id, exact):
    over_the_field(id, True, by_c(exact))


@pytest.mark.parametrize(("framework", "old", "new", "id"), [
    ("torch", "d[p - j]", "d[j]", "conv1d.valid.grad_x"), ("jax", "jnp.exp", "jnp.sin", "act.elu.prime"),
    ("jax", "a[i] - y[i]", "y[i] - a[i]", "alg.delta.out"), ("torch", "], 1)", "])", "bp.grad"),
    ("jax", ", -y)", ", y)", "loss.hinge.delta"),
])
def test_a_wrong_program_is_noticed_over_the_field(framework, old, new, id, monkeypatch):
    program = languages.code(made(id), framework)
    assert old in program
    monkeypatch.setattr(languages, "code", lambda *_: program.replace(old, new, 1))
    with pytest.raises((AssertionError, IndexError, TypeError)):
        over_the_field(id, False, by_words)


# ---- wrong ones, and the door

@pytest.mark.parametrize(("language", "old", "new", "id"), [
    ("torch", "d[p - j]", "d[j]", "conv1d.valid.grad_x"), ("torch", "torch.exp", "torch.sin", "act.elu.prime"),
    ("torch", "theta[j]", "theta[0]", "conv1d.valid.grad_x"), ("torch", "], 1)", "])", "bp.grad"),
    ("torch", "torch.sqrt", "math.sqrt", "norm.layer.grad_x"),
])
def test_wrong_code_is_noticed(language, old, new, id, monkeypatch):
    program = languages.code(made(id), language)
    assert old in program
    monkeypatch.setattr(languages, "code", lambda *_: program.replace(old, new, 1))
    with pytest.raises((AssertionError, IndexError, UserWarning)):
        over_tensors(id, "torch", differentiable, every=True)


@pytest.mark.parametrize(("method", "wrong"), [
    ("quotient", lambda self, a, b: (f"{self(a)} * {self(b)}", 2)),
    ("rounded", lambda self, e, up: (f"({self.index(e.args[0])} / {self.index(e.args[1])} + 1)", 4)),
    ("bracket_condition", lambda self, e: "1"),
])
def test_a_wrong_printer_is_noticed(method, wrong, monkeypatch, tmp_path):
    if COMPILER is None:
        pytest.skip("there is no C compiler here")
    monkeypatch.setattr(languages.C, method, wrong)
    id = {"quotient": "norm.mean.grad_x", "rounded": "pool.mean.grad_x", "bracket_condition": "alg.average"}[method]
    derivation = made(id)
    program, arrays, sizes_of = languages.in_c(derivation)
    (tmp_path / "wrong.c").write_text(program, encoding="utf-8")
    subprocess.run([COMPILER, "-shared", "-fPIC", str(tmp_path / "wrong.c"), "-o", str(tmp_path / "w.so"), "-lm"],
                   check=True)
    library = ctypes.CDLL(str(tmp_path / "w.so"))
    sizes = choices(derivation, every=False)[0]
    given = numbers(derivation, sizes, 0)
    assert not same(call_c(library, id, derivation, arrays, sizes_of, sizes, given), flat(spec.derived(id)(*given)))


@pytest.mark.parametrize(("language", "part"), [
    ("torch", "import torch"), ("jax", "import jax.numpy as jnp"), ("c", "void conv1d_valid_grad_x(const double *d"),
])
def test_show_writes_it(language, part):
    done = CliRunner().invoke(app, ["show", "conv1d.valid.grad_x", "--code", language])
    assert (done.exit_code, part in done.output) == (0, True)


def test_another_language_is_refused():
    done = CliRunner().invoke(app, ["show", "conv1d.valid.grad_x", "--code", "fortran"])
    assert done.exit_code == 2
    assert "the language is torch, jax, c, not 'fortran'" in done.output
