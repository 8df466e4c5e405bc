"""`chainrule new act.swish FORM`: the skeletons of an equation, in the files where they belong."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from pathlib import Path

from .expressions import FormError, names_of, parse
from .expressions import python as python_of
from .records import load

TOP = Path(__file__).resolve().parent.parent
GRADIENT = {"act": "prime", "loss": "delta"}


class NotNew(ValueError):
    """An equation that cannot be begun so; the message says why."""


def skeletons(id: str, form: str, files: tuple[str, str, str], by: str = "") -> Mapping[str, str]:
    """What is appended to which file: two records, a reference function to be written, a witness to be named.

    It is differentiated `by` one of its names: a loss by the prediction, all else by the first, if none is said.
    """
    names = _names(id, form)
    if by and by not in names:
        raise NotNew(f"the form {form!r} has no {by!r}, but {', '.join(names)}")
    by = by or next((name for name in ("yhat", "z") if name in names and id.startswith("loss.")), names[0])
    record, function, witness = files
    head, _, tail = id.partition(".")
    symbols = ", ".join(f'{name} = "real"' for name in names)
    gradient = f"{id}.{GRADIENT.get(head, 'grad_' + by)}"
    return {
        record: f"""
[[equation]]
id      = "{id}"
kind    = "definition"
status  = "external"
says    = "TO WRITE: what it is, in one line"
symbols = {{ {symbols} }}
value   = "{form}"
wrt     = ["{by}"]
source  = "TO WRITE: where it comes from"

[[equation]]
id      = "{gradient}"
kind    = "derivation"
status  = "derived"
says    = "TO WRITE: its derivative, in one line"
of      = "{id}"
symbols = {{ {symbols} }}
wrt     = ["{by}"]
source  = "derived from {id}"
""",
        function: f'''

@implements("{id}")
def {tail.replace(".", "_")}({", ".join(f"{name}: Scalar" for name in names)}) -> Scalar:
    """{id}   TO WRITE: the formula, as it is printed"""
    raise NotImplementedError("the body is the formula, written again: nothing is copied from its record")
''',
        witness: f"""
# TO WRITE, a row of ROWS: what somebody else's code makes of {id}
#   Witness("{id}", ({", ".join("0.375" for _ in names)},), lambda: float(torch.nn.functional.…)),
""",
    }


def _names(id: str, form: str) -> list[str]:
    """The names of a form in the order in which they are written; what cannot begin an equation is refused."""
    if id in load():
        raise NotNew(f"{id} has a record already; `chainrule show {id}`")
    if "." not in id or not all(part.isidentifier() for part in id.split(".")):
        raise NotNew(f"{id!r} is no id; an id is chapter.name, as act.swish")
    try:
        python_of(parse(form))
        known = names_of(form)
    except FormError as error:
        raise NotNew(str(error)) from None
    found = [node for node in ast.walk(parse(form)) if isinstance(node, ast.Name) and node.id in known]
    if not found:
        raise NotNew(f"the form {form!r} has no variable")
    return list(dict.fromkeys(node.id for node in sorted(found, key=lambda node: (node.lineno, node.col_offset))))


def write(found: Mapping[str, str], top: Path = TOP) -> list[str]:
    """Append the skeletons; which files were changed."""
    missing = [name for name in found if not (top / name).is_file()]
    if missing:
        raise NotNew(f"there is no {missing[0]} here; `new` works in a clone of the repository")
    for name, text in found.items():
        with (top / name).open("a", encoding="utf-8") as file:
            file.write(text)
    return list(found)
