"""Values that nothing defines, in what Triton's front end makes of a kernel: a loop's variable after its loop.

The representation calls them poison, which the compiler may take for whatever it likes: of "poison or n" it makes n,
and the question is gone. So a value of its own, which nothing folds, stands in for each; then what is never used, and
loops that only pass it on, are removed as the compiler does, and who still needs it is found.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from triton.backends.compiler import Language

from . import internals

_POISON = re.compile(r"^(\s*)%(\w+) = ub\.poison : (i\d+)", re.MULTILINE)
_STAND_IN = (r"\1%zero_for_\2 = arith.constant 0 : \3\n"
             r"\1%\2 = tt.extern_elementwise %zero_for_\2 "
             r'{libname = "", libpath = "", pure = true, symbol = "undefined"} : (\3) -> \3')
_UNREACHED = re.compile(r"^\s*\^bb\d+:\s*// no predecessors\n(?:(?!\s*(?:\^bb|\})).*\n)*", re.MULTILINE)
_UNDEFINED = re.compile(r'(%[\w#]+)(?::\d+)? = (?:tt\.extern_elementwise [^\n]*symbol = "undefined"|ub\.poison)')


def use(module: Any, backend: Any, options: Any) -> str:
    """Where a kernel uses such a value that is passed on: the line, in the words of its source; empty if nowhere."""
    module = _stood_in(module)
    stages: dict[str, Any] = {}
    backend.add_stages(stages, options, Language.TRITON)
    text = str(stages["ttir"](module, {}))
    return _place(text) if _UNDEFINED.search(text) else ""


def passed_on(module: Any) -> bool:
    """Does anything that is reached take such a value? Most stand in for a loop's variable, and nothing does, or are
    returned by what would follow a `return`."""
    return any(len(re.findall(rf"{re.escape(name)}(?![\w#])", function)) > 1
               for function in re.split(r"\btt\.func\b", _UNREACHED.sub("", module.str_nodebug()))
               for name in _UNDEFINED.findall(function))


def _stood_in(module: Any) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.ttir"
        file.write_text(_POISON.sub(_STAND_IN, str(module)))
        read = internals.ir.parse_mlir_module(str(file), module.context)
    read.context = module.context
    return read


def _place(text: str) -> str:
    """The source line of the first use, as the representation's locations have it."""
    places = dict(re.findall(r'^(#loc\w*) = loc\((.*)\)$', text, re.MULTILINE))
    for function in re.split(r"\btt\.func\b", text):
        for name in _UNDEFINED.findall(function):
            used = rf"\n[^\n]*[^\n\w#]{re.escape(name)}(?![\w#])(?! = )[^\n]*loc\((#loc\w*)\)"
            for loc in re.findall(used, function):
                if place := _line(loc, places):
                    return f"in line {place}"
    return "a loop's variable"


def _line(name: str, places: dict[str, str]) -> str:
    """File and line of a location, through the names and calls that wrap it."""
    for _ in range(10):
        text = places.get(name, "")
        line = re.search(r'"([^"]+)":(\d+):', text)
        if line:
            return f"{line.group(2)} of {line.group(1).rsplit('/', 1)[-1]}"
        inner = re.search(r"#loc\w*", text)
        if not inner:
            return ""
        name = inner.group()
    return ""
