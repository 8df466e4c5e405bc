"""A derivation as a Markdown page and as a Python module."""

from __future__ import annotations

import hashlib
import re

import sympy as sp

from ..folding import fold, wrap
from . import along
from .headings import ranges, target, writers
from .language import Expr
from .printers import Latex, Plain, Python
from .steps import Derivation, Named

WIDTH = 100
ALPHABET = ("cos", "erf", "erfc", "exp", "log", "number", "pi", "sin", "sqrt", "tanh", "where")


def function_name(id: str) -> str:
    """conv1d.valid.grad_x → conv1d_valid_grad_x, the name of the function and of its file."""
    return id.replace(".", "_")


def digest(derivation: Derivation) -> str:
    """sha256 of the sorted srepr of the steps: the same on every machine and under every hash seed."""
    lines = sorted(sp.srepr(step.expr) for step in derivation.steps)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def signature(derivation: Derivation, which: str = "") -> str:
    defaults = {a: value if _constant(value) else "None" for a, value in derivation.defaults.items()}
    arguments = [f"{a}={defaults[a]}" if a in defaults else a for a in derivation.python]
    return f"{function_name(derivation.id)}{which and '_' + which}({', '.join(arguments)})"


def _constant(value: str) -> bool:
    """Can this default stand in a signature? One that is made from an argument cannot."""
    return "number(" not in value


def _made(derivation: Derivation) -> list[str]:
    """Defaults that are made from an argument, so that a Fraction stays a Fraction."""
    return [f"    {a} = {value} if {a} is None else {a}" for a, value in derivation.defaults.items()
            if a in derivation.python and not _constant(value)]


def module(derivation: Derivation) -> str:
    """The last step, and both products along a direction, as Python that runs over any number type."""
    helpers = [derivation.helpers] if derivation.helpers else []
    both = [function_block(made, which) for which, made in directions(derivation)]
    blocks = [*helpers, function_block(derivation), *both]
    name = function_name(derivation.id)
    head = f'"""{derivation.id}, made by `chainrule derive`. The steps are in {name}.md."""\n'
    return head + with_imports(blocks)


def with_imports(blocks: list[str]) -> str:
    """The functions below the words of the alphabet that they use."""
    words = [w for w in ALPHABET if any(re.search(rf"\b{w}\(", block) for block in blocks)]
    imports = f"\nfrom chainrule.scalar import {', '.join(words)}\n" if words else ""
    return imports + "".join(f"\n\n{block}\n" for block in blocks)


def function_block(derivation: Derivation, which: str = "", write: Python | None = None) -> str:
    """One function: what it says, sizes and named quantities, the result."""
    write = write or Python(derivation.order)
    write.like = next((a for a in derivation.python if any(str(b) == a and not axes
                                                           for b, axes in derivation.shapes.items())), "")
    lines = [f"def {signature(derivation, which)}:", f'    """{headline(derivation)}"""']
    lines += _made(derivation)
    lines += [f"    {size} = {length}" for size, length in derivation.lengths.items() if str(size) != length]
    lines += [f"    {n.base} = {_define(derivation, n, write)}" for n in needed(derivation)]
    groups = as_output(derivation) if which == "jvp" else _apart(derivation.over)
    lines.append(f"    return {nested_lists(write(derivation.last), groups, write)}")
    return "\n".join(map(wrap, lines))


Loops = tuple[tuple[Expr, Expr, Expr], ...]


def _apart(over: Loops) -> list[Loops]:
    """Every index on an axis of its own."""
    return [(one,) for one in over]


def as_output(derivation: Derivation) -> list[Loops]:
    """The indices of the output, those of one axis together: y_{f+Fg,i} has g and f on its first."""
    if derivation.output is None or not isinstance(derivation.output.entry, sp.Indexed):
        return []
    return [tuple(one for one in derivation.over if at.has(one[0])) for at in derivation.output.entry.indices]


def _define(derivation: Derivation, n: Named, write: Python) -> str:
    if n.base in derivation.code:
        return derivation.code[n.base]
    return nested_lists(write(n.means), _apart(n.over), write)


def needed(derivation: Derivation) -> list[Named]:
    """The named quantities the last step uses, and those they use, in order of definition."""
    wanted = {n.base for n in derivation.named if derivation.last.has(n.base)}
    for n in reversed(derivation.named):
        if n.base in wanted:
            wanted |= {other.base for other in derivation.named if n.means.has(other.base)}
    return [n for n in derivation.named if n.base in wanted and str(n.base) not in derivation.python]


def nested_lists(body: str, groups: list[Loops], write: Python) -> str:
    """Nested lists over the free indices, the first outermost; a range from 1 leaves slot 0 empty."""
    for axis in reversed(groups):
        loops = " ".join(f"for {index} in {write.range(low, high)}" for index, low, high in axis)
        body = write.list_of(body, loops, axis[0][1] == 1)
    return body


def headline(derivation: Derivation, indent: int = 4) -> str:
    """The result with the ranges of its indices, on lines of at most 100 columns."""
    write = writers(derivation)[0]
    return formula(target(derivation, write), write(derivation.last), ranges(derivation.over, write), indent)


def formula(left: str, right: str, over: str, indent: int) -> str:
    """left = right, over; the ranges on a line of their own where one line is too short."""
    text = f"{left} = {right}"
    if indent + len(text + over) <= WIDTH:
        return text + over
    hang = indent + len(left) + 3
    below = "\n" + " " * indent + over.lstrip(", ") if over else ""
    return f"{left} = {fold(right, hang, hang)}{below}"


def page(derivation: Derivation) -> str:
    """The Markdown page: what is derived, what is assumed, every step, the result with its ranges, the Python."""
    plain, latex = writers(derivation)
    left, tex = target(derivation, plain), target(derivation, latex)
    lines = [f"# {derivation.id}", "", derivation.title, "", *_given(derivation, plain, latex), "## Steps", ""]
    for k, step in enumerate(derivation.steps):
        title = f"{k + 1}. **{step.rule}**{' · ' + step.why if step.why else ''}"
        formula = fold(plain(step.expr), 6 + len(left), 6 + len(left))
        lines += [title, "", "   ```text", f"   {left} = {formula}", "   ```", "",
                  f"   $${tex} = {latex(step.expr)}$$", ""]
        left, tex = " " * len(left), ""
    helpers = [derivation.helpers] if derivation.helpers else []
    code = with_imports([*helpers, function_block(derivation)]).strip("\n")
    return "\n".join([*lines, *_result(derivation), "## Python", "", "```python", code, "```", "",
                      *(line for which, made in directions(derivation) for line in _direction(which, made)),
                      "## Checked", "", _checked(derivation, plain), ""])


def directions(derivation: Derivation) -> list[tuple[str, Derivation]]:
    """The JVP and the Hessian-vector product."""
    if derivation.last not in derivation.made:
        derivation.made[derivation.last] = [("jvp", along.jvp(derivation)), ("hvp", along.hvp(derivation))]
    found: list[tuple[str, Derivation]] = derivation.made[derivation.last]
    return found


TITLES = {
    "jvp": "How fast the output moves while what we differentiate by moves at the rates with a dot.",
    "hvp": "How fast the gradient moves then: the Hessian times those rates, where δ is held (its rate is 0).",
}


def _direction(which: str, made: Derivation) -> list[str]:
    """A JVP or a Hessian-vector product: its title, the rates that it names, formula and Python."""
    plain, latex = writers(made)
    left = target(made, plain)
    rates = [n for n in needed(made) if str(n.base).endswith("_dot")]
    named = [f"- `{plain(n.entry)} = {plain(n.means)}{ranges(n.over, plain)}`" for n in rates]
    return [f"## {which.upper()}", "", TITLES[which], "", *named, *([""] if named else []),
            "```text", formula(left, plain(made.last), ranges(made.over, plain), 0), "```", "",
            f"$${target(made, latex)} = {latex(made.last)}{ranges(made.over, latex)}$$", "",
            "```python", with_imports([function_block(made, which)]).strip("\n"), "```", ""]


def _given(derivation: Derivation, plain: Plain, latex: Latex) -> list[str]:
    lines = ["## Given", ""]
    if derivation.output is not None:
        o = derivation.output
        lines += ["- the output", "", *_block(plain(o.entry), plain(o.means), ranges(o.over, plain)), "",
                  f"  $${latex(o.entry)} = {latex(o.means)}{ranges(o.over, latex)}$$", "",
                  f"- any loss ℒ of the output, with `{plain(o.delta)} = ∂ℒ/∂{plain(o.entry)}`"]
        if derivation.plus is not None:
            objective = derivation.objective
            lines += [f"- the objective, with {target(derivation, plain)} = ∂J/∂{plain(derivation.wrt)}", "",
                      *_block("J", plain(objective)), "", f"  $$J = {latex(objective)}$$", ""]
    else:
        kind, name, tex = derivation.of
        lines += [f"- {kind}", "", *_block(name, plain(derivation.loss)), "",
                  f"  $${tex} = {latex(derivation.loss)}$$", ""]
    for n in derivation.named:
        lines.append(f"- `{plain(n.entry)} = {plain(n.means)}{ranges(n.over, plain)}`")
    for base, axes in derivation.shapes.items():
        if axes:
            size = " × ".join(f"{plain(low)}…{plain(high)}" for low, high in axes)
            lines.append(f"- `{plain.name(str(base))}` has the indices {size}")
    for kind, letters in _letters(derivation, plain):
        lines.append(f"- {kind}: {', '.join(letters)}")
    if derivation.relations:
        lines.append(f"- sizes: {derivation.relations}")
    lines += [f"- assumed: {a}" for a in derivation.assumes]
    return [*lines, ""]


def _letters(derivation: Derivation, plain: Plain) -> list[tuple[str, list[str]]]:
    """The letters that have no index: numbers, and sizes."""
    numbers = [plain.name(str(base)) for base, axes in derivation.shapes.items() if not axes]
    sizes = [plain(size) for size in derivation.trials[0] if size.is_nonnegative]
    return [(kind, letters) for kind, letters in (("numbers", numbers), ("whole numbers", sizes)) if letters]


def _block(left: str, right: str, over: str = "") -> list[str]:
    return ["  ```text", "  " + formula(left, right, over, 2), "  ```"]


def _checked(derivation: Derivation, plain: Plain) -> str:
    """In words, what `derive` and `derive --check` prove about this page."""
    largest = [f"{plain(size)} ≤ {max(one[size] for one in derivation.trials)}"
               for size in derivation.trials[0] if size.is_nonnegative]
    where = f"{len(derivation.trials)} choices of {', '.join(largest)}" if largest else \
        f"{len(derivation.trials)} points"
    return ("The definition has the values of its record, step 1 is its derivative, every step equals the one before "
            "it, the Python equals the last, and what is printed says the same: by random evaluation over GF(2⁶¹ − 1) "
            f"at {where}; the index ranges are symbolic. JVP and HVP are those of the definition by nested dual "
            "numbers over the same field.")


def _result(derivation: Derivation) -> list[str]:
    lines = ["## Result", "", "```text", headline(derivation, 0), "```", ""]
    for r in derivation.remarks:
        lines += [r, ""]
    return lines

