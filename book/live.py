"""What the pages need to compute in a reader's browser: Pyodide, the unmodified reference, cases and faults.

Everything stands in script files, which a page may load from a disk; nothing is fetched. Pyodide comes from the npm
package of that name and is loaded when a reader asks for it.
"""

from __future__ import annotations

import ast
import base64
import copy
import gzip
import inspect
import io
import json
import random
import zipfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from .. import reference, spec
from ..conformance.mutate.edits import edits
from ..conformance.mutate.reference_equivalents import EQUIVALENT
from ..conformance.proofs import certify_forms, certify_stable
from ..conformance.proofs.form_instances import Instance, arguments, key, small_sizes
from ..spec import expressions
from ..spec.derivations import derived, derived_ids

LIBRARIES = ("sympy", "mpmath", "attr", "attrs")
UNUSED = ("tests", "benchmarks", "physics", "stats", "diffgeom", "holonomic", "crypto", "categories", "sandbox",
          "vector", "liealgebras", "__pycache__")
NEEDED = ("pyodide.js", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip")
MORE = 5                    # small exact cases beside the worked numbers
FAULTS = 12                 # wrong formulas a page offers
SIGNS = ("loss.xent", "loss.xent.negated", "bp.delta.out", "alg.delta.out", "opt.gd")


class Skip(Exception):
    """An argument that a page cannot show."""


def assets(out: Path, pyodide: Path) -> None:
    """Pyodide, the sources and the pages' own script into assets/live."""
    folder = out / "assets/live"
    folder.mkdir(parents=True, exist_ok=True)
    for name in NEEDED:
        packed = base64.b64encode(gzip.compress((pyodide / name).read_bytes(), mtime=0)).decode("ascii")
        (folder / f"{name}.js").write_text(f'LIVE["{name}"] = "{packed}";\n', encoding="ascii")
    lock = {"info": json.loads((pyodide / "pyodide-lock.json").read_text(encoding="utf-8"))["info"], "packages": {}}
    for name, value in (("sources", _sources()), ("lock", lock)):
        text = json.dumps(value, ensure_ascii=False, sort_keys=True)
        (folder / f"{name}.js").write_text(f'LIVE["{name}"] = {text};\n', encoding="utf-8")
    packed = base64.b64encode(_libraries()).decode("ascii")
    (folder / "libraries.js").write_text(f'LIVE["libraries"] = "{packed}";\n', encoding="ascii")
    own = files(__package__) / "templates/live.js"
    (folder / "live.js").write_text(own.read_text(encoding="utf-8"), encoding="utf-8")


def _sources() -> dict[str, str]:
    """The Python that runs in the browser, by the path it gets there."""
    root = files("chainrule")
    found = {f"chainrule/{name}": (root / name).read_text(encoding="utf-8") for name in ("__init__.py", "scalar.py")}
    for folder, to in ((root / "reference", "chainrule/reference"), (root / "spec" / "derived", "derived")):
        for file in folder.iterdir():                  # not imported: `spec.derived` is a function
            if file.name.endswith(".py"):
                found[f"{to}/{file.name}"] = file.read_text(encoding="utf-8")
    found |= dict(_texts("chainrule.spec", (".py", ".toml", ".json")))
    for name in ("live", "steps"):
        found[f"{name}.py"] = (files(__package__) / f"templates/{name}_browser.py").read_text(encoding="utf-8")
    return found


def _texts(package: str, kinds: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """The files of a package with these endings, by their paths below the folder that holds it."""
    top = Path(str(files(package)))
    for file in sorted(top.rglob("*")):
        inside = file.relative_to(top)
        if file.suffix in kinds and not set(inside.parts) & set(UNUSED):
            yield f"{package.replace('.', '/')}/{inside.as_posix()}", file.read_text(encoding="utf-8")


def _libraries() -> bytes:
    """What derivations are made with, as a zip file that Python imports from: the same bytes from the same packages."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for package in LIBRARIES:
            for name, text in _texts(package, (".py",)):
                archive.writestr(zipfile.ZipInfo(name), text, zipfile.ZIP_DEFLATED)
    return packed.getvalue()


def data(id: str) -> dict[str, Any] | None:
    """What the page of an equation hands to its script: cases and faults; None where nothing can run."""
    function = reference.FUNCTIONS.get(id) or (derived(id) if id in derived_ids() else None)
    if function is None:
        return None
    cases = [case for case in (*_worked(id, function), *_drawn(id, function)) if case is not None]
    if not cases:
        return None
    names = list(inspect.signature(function).parameters)
    return {"id": id, "names": names, "cases": cases, "faults": _faults(function), "signs": id in SIGNS,
            "derived": id in derived_ids()}


def _worked(id: str, function: Callable[..., Any]) -> Iterator[dict[str, Any] | None]:
    equation = spec.get(id)
    for example in equation.examples:
        if id not in reference.FUNCTIONS:
            inputs = [certify_stable.exact(value) for value in example.inputs.values()]
            yield _case(example.source, function, inputs, {})
        elif equation.value is not None:
            instance = certify_stable.instance_of(equation, example)
            yield _called(equation, example.source, function, instance, example.inputs)


def _drawn(id: str, function: Callable[..., Any]) -> Iterator[dict[str, Any] | None]:
    """Small exact numbers at a few sizes."""
    equation = spec.get(id)
    if id not in reference.FUNCTIONS or equation.value is None:
        return
    rng = random.Random(f"live {id}")
    square = {name: "z**2 + z" for name, sort in equation.symbols.items() if sort == "function"}
    ordered = sorted(small_sizes(equation, rng, 60), key=lambda sizes: (0 in sizes.values(), sum(sizes.values())))
    for sizes in ordered[:4 * MORE:4]:
        arrays = {name: {key(index): Fraction(rng.randint(-4, 6), rng.choice((1, 1, 2)))
                         for index in expressions.indices(ranges, sizes)} for name, ranges in equation.arrays.items()}
        symbols = {name: expressions.compiled(square[name], ("z",)) if name in square else
                   Fraction(rng.randint(1, 5), rng.choice((1, 2))) for name in equation.symbols}
        label = ", ".join(f"{name} = {value}" for name, value in sizes.items())
        yield _called(equation, label or "drawn once", function, Instance(sizes, arrays, symbols), square)


def _called(equation: spec.Equation, label: str, function: Callable[..., Any], instance: Instance,
            written: Any) -> dict[str, Any] | None:
    """The arguments as the reference gets them, whatever order its function has."""
    caught: list[tuple[Any, ...]] = []

    def spy(*given: Any, **more: Any) -> Any:
        if not more:
            caught.append(given)
        raise Skip

    values = arguments(equation, instance)
    try:
        if equation.id in certify_forms.CALLS:
            certify_forms.CALLS[equation.id](spy, values)
        else:
            spy(*(values[name] for name in [*equation.arrays, *equation.symbols] or [*equation.sizes]))
    except Skip:
        pass
    functions = {id(value): str(written[name]) for name, value in instance.symbols.items() if callable(value)}
    return _case(label, function, list(caught[0]), functions) if caught else None


def _case(label: str, function: Callable[..., Any], given: list[Any],
          functions: dict[int, str]) -> dict[str, Any] | None:
    try:
        return {"label": label, "args": [plain(value, functions) for value in given],
                "expected": plain(function(*copy.deepcopy(given)), functions)}
    except (Skip, ValueError, TypeError, ZeroDivisionError, IndexError, OverflowError):
        return None                        # numbers this formula refuses, or has no fraction for


def plain(value: Any, functions: dict[int, str]) -> Any:
    """Numbers as text, lists as lists, a function as what was typed."""
    if value is None:
        return None
    if isinstance(value, list | tuple):
        return [plain(one, functions) for one in value]
    if isinstance(value, int | Fraction):
        return str(value)
    if id(value) in functions:
        return {"function": functions[id(value)]}
    raise Skip


@cache
def _tree(module: str) -> ast.Module:
    return ast.parse((files("chainrule.reference") / f"{module}.py").read_text(encoding="utf-8"))


def _faults(function: Callable[..., Any]) -> list[dict[str, str]]:
    """One change at a time to the function's code, each as a whole function."""
    package, _, module = function.__module__.rpartition(".")
    if not package.endswith("reference"):
        return []
    tree = _tree(module)
    node = next(one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == function.__name__)
    found = []
    for edit in edits(module, tree):
        if edit.function != function.__name__ or str(edit) in EQUIVALENT or edit.after == "None":
            continue                       # None: a check of shapes left out, which right shapes cannot show
        with edit.applied():
            changed = copy.deepcopy(node)
        changed.decorator_list = []
        changed.returns = None
        for one in changed.args.args:
            one.annotation = None
        before, after = (text.partition("\n")[0].strip() for text in (edit.before, edit.after))
        found.append({"name": f"{before}  →  {after}", "source": ast.unparse(ast.fix_missing_locations(changed)),
                      "module": function.__module__, "function": function.__name__})
    return found[::max(1, len(found) // FAULTS)][:FAULTS]
