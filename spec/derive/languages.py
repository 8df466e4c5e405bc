"""The result of a derivation in other languages: torch, JAX and C, beside the Python that is written anyhow."""

from __future__ import annotations

import re

import attrs
import sympy as sp

from . import pages
from .headings import ranges, target, writers
from .printers.c import HEAD, C, size_of
from .printers.tensors import Tensors
from .steps import Derivation

LANGUAGES = ("torch", "jax", "c")


def code(derivation: Derivation, language: str) -> str:
    """A program of one function in this language; ValueError if it is not one of LANGUAGES."""
    if language not in LANGUAGES:
        raise ValueError(f"code: the language is {', '.join(LANGUAGES)}, not {language!r}")
    return in_c(derivation)[0] if language == "c" else over_tensors(derivation, language)


def over_tensors(derivation: Derivation, framework: str) -> str:
    write = Tensors(derivation.order, framework)
    plain = attrs.evolve(derivation, defaults={name: re.sub(r"number\(\w+, (\d+)\)", r"\1", value)
                                               for name, value in derivation.defaults.items()})
    blocks = [write.head(), *([derivation.helpers] if derivation.helpers else []),
              pages.function_block(plain, write=write)]
    return "\n\n\n".join(block.strip("\n") for block in blocks) + "\n"


def in_c(derivation: Derivation) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The program, its arrays and scalars in order, and the sizes that follow them; the last argument is the result."""
    write = C(derivation.order, dict(derivation.shapes) | {n.base: n.axes for n in derivation.named})
    needed = [n for n in pages.needed(derivation) if str(n.base) not in derivation.python]
    bases = {str(base): base for base in write.shapes}
    arrays = tuple(name for name in derivation.python if name in bases)
    for n in needed:
        if n.axes:
            write.say(f"double *{n.base} = malloc(sizeof(double) * {size_of(n.axes, write)});")
            write.store(n.base, n.axes, n.over, n.means)
        else:
            write.say(f"double {n.base} = {write(n.means)};")
    axes = tuple((low, high) for _, low, high in derivation.over)
    write.store(sp.Symbol("out"), axes, derivation.over, derivation.last)
    for n in needed:
        if n.axes:
            write.say(f"free({n.base});")
    body = "\n".join(write.lines)
    sizes = tuple(str(s) for s in derivation.trials[0] if s.is_nonnegative and re.search(rf"\b{s}\b", body)) \
        if derivation.trials[0] else ()
    arguments = [f"const double *{name}" if write.shapes[bases[name]] else f"double {name}" for name in arrays]
    arguments += [f"long {name}" for name in sizes]
    plain = writers(derivation)[0]
    says = " ".join(f"{target(derivation, plain)} = {plain(derivation.last)}{ranges(derivation.over, plain)}".split())
    name = pages.function_name(derivation.id)
    return (f"{HEAD}\n/* {says} */\nvoid {name}({', '.join([*arguments, 'double *out'])})\n{{\n{body}\n}}\n",
            arrays, sizes)
