"""A derivation as a Markdown page and as a Python module."""

from __future__ import annotations

import hashlib
import re

import sympy as sp

from ..folding import fold
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


def writers(derivation: Derivation) -> tuple[Plain, Latex]:
    return Plain(derivation.order, derivation.notation), Latex(derivation.order, derivation.notation)


def signature(derivation: Derivation) -> str:
    defaults = {a: value if _constant(value) else "None" for a, value in derivation.defaults.items()}
    arguments = [f"{a}={defaults[a]}" if a in defaults else a for a in derivation.python]
    return f"{function_name(derivation.id)}({', '.join(arguments)})"


def _constant(value: str) -> bool:
    """Can this default stand in a signature? One that is made from an argument cannot."""
    return "number(" not in value


def _made(derivation: Derivation) -> list[str]:
    """Defaults that are made from an argument, so that a Fraction stays a Fraction."""
    return [f"    {a} = {value} if {a} is None else {a}" for a, value in derivation.defaults.items()
            if a in derivation.python and not _constant(value)]


def module(derivation: Derivation) -> str:
    """The last step as Python that runs over any number type."""
    write = Python(derivation.order)
    write.like = next((a for a in derivation.python if any(str(b) == a and not axes
                                                           for b, axes in derivation.shapes.items())), "")
    lines = [f"def {signature(derivation)}:", f'    """{headline(derivation)}"""']
    lines += _made(derivation)
    lines += [f"    {size} = {length}" for size, length in derivation.lengths.items() if str(size) != length]
    lines += [f"    {n.base} = {_define(derivation, n, write)}" for n in _needed(derivation)]
    lines.append(f"    return {comprehension(write(derivation.last), derivation.over, write)}")
    blocks = ([derivation.helpers] if derivation.helpers else []) + ["\n".join(map(wrap, lines))]
    words = [w for w in ALPHABET if any(re.search(rf"\b{w}\(", block) for block in blocks)]
    name = function_name(derivation.id)
    head = f'"""{derivation.id}, made by `chainrule derive`. The steps are in {name}.md."""\n'
    imports = f"\nfrom chainrule.scalar import {', '.join(words)}\n" if words else ""
    return head + imports + "".join(f"\n\n{block}\n" for block in blocks)


def wrap(line: str, width: int = WIDTH) -> str:
    """A long line broken before each `for` and `if`, under the bracket it stands in; a long sum between its terms."""
    if len(line) <= width:
        return line
    if " for " not in line:
        return _terms(line)
    done, row = "", ""
    opened: list[int] = []
    pieces = re.split(r"(?= for )|(?= if (?!.* else ))", line)
    for piece in pieces:
        if opened and row:
            done += row + "\n"
            row = " " * opened[-1] + piece.lstrip()
        else:
            row = piece
        start = len(row) - len(piece.lstrip() if opened else piece)
        for column in range(start, len(row)):
            if row[column] in "[(":
                opened.append(column + 1)
            elif row[column] in "])":
                opened.pop()
    return done + row


def _terms(line: str) -> str:
    """return a + b, in parentheses, a term a line."""
    head, found, value = line.partition("return ")
    pieces, depth, start = [], 0, 0
    for k, letter in enumerate(value):
        depth += (letter in "([{") - (letter in ")]}")
        if depth == 0 and value[k:k + 3] in (" + ", " - "):
            pieces.append(value[start:k])
            start = k + 1
    pieces.append(value[start:])
    return line if not found or len(pieces) == 1 else f"{head}return ({(chr(10) + head + ' ' * 8).join(pieces)})"


def _define(derivation: Derivation, n: Named, write: Python) -> str:
    if n.base in derivation.code:
        return derivation.code[n.base]
    return comprehension(write(n.means), n.over, write)


def _needed(derivation: Derivation) -> list[Named]:
    """The named quantities the last step uses, and those they use, in order of definition."""
    wanted = {n.base for n in derivation.named if derivation.last.has(n.base)}
    for n in reversed(derivation.named):
        if n.base in wanted:
            wanted |= {other.base for other in derivation.named if n.means.has(other.base)}
    return [n for n in derivation.named if n.base in wanted and str(n.base) not in derivation.python]


def comprehension(body: str, over: tuple[tuple[Expr, Expr, Expr], ...], write: Python) -> str:
    """Nested lists over the free indices, the first outermost; a range from 1 leaves slot 0 empty."""
    for index, low, high in reversed(over):
        body = f"[{body} for {index} in {write.range(low, high)}]"
        if low == 1:
            body = f"[None, *{body}]"
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


def target(derivation: Derivation, write: Plain) -> str:
    """What the derivation is about: ∂ℒ/∂x_p, or tanh′(x)."""
    if derivation.lhs is not None:
        return derivation.lhs[isinstance(write, Latex)]
    below = write(derivation.wrt)
    if isinstance(write, Latex):
        return rf"\frac{{\partial \mathcal{{L}}}}{{\partial {below}}}"
    return f"∂ℒ/∂{below}"


def ranges(over: tuple[tuple[Expr, Expr, Expr], ...], write: Plain) -> str:
    if not over:
        return ""
    if isinstance(write, Latex):
        return r",\quad " + r",\ ".join(rf"{write(low)} \le {write(i)} \le {write(high)}" for i, low, high in over)
    return ",   " + ", ".join(f"{write(low)} ≤ {write(i)} ≤ {write(high)}" for i, low, high in over)


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
    code = module(derivation).split('"""\n', 1)[1].strip("\n")
    return "\n".join([*lines, *_result(derivation), "## Python", "", "```python", code, "```", "",
                      "## Checked", "", _checked(derivation, plain), ""])


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
    if derivation.relations:
        lines.append(f"- sizes: {derivation.relations}")
    lines += [f"- assumed: {a}" for a in derivation.assumes]
    return [*lines, ""]


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
            f"at {where}; the index ranges are symbolic.")


def _result(derivation: Derivation) -> list[str]:
    lines = ["## Result", "", "```text", headline(derivation, 0), "```", ""]
    for r in derivation.remarks:
        lines += [r, ""]
    return lines

