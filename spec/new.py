"""`chainrule new act.swish FORM`: the skeletons of an equation, in the files where they belong."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Mapping
from pathlib import Path

from .expressions import OVER, FormError, names_of, parse
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
    names, kinds = _names(id, form), _kinds(form)
    if by and by not in names:
        raise NotNew(f"the form {form!r} has no {by!r}, but {', '.join(names)}")
    numbers = [name for name in names if kinds[name] in ("symbols", "arrays")]
    by = by or next((name for name in ("yhat", "z") if name in names and id.startswith("loss.")), numbers[0])
    record, function, witness = files
    return {record: _records(id, form, by, names, kinds), function: _function(id, names, kinds),
            witness: _witness(id, names, kinds)}


def _kinds(form: str) -> dict[str, str]:
    """What every name is: an array has indices; what stands in an index or a range is a size or an index of its own."""
    tree = parse(form)
    arrays = {node.value.id for node in ast.walk(tree) if isinstance(node, ast.Subscript)
              and isinstance(node.value, ast.Name)}
    inside = [part for node in ast.walk(tree) if isinstance(node, ast.Subscript) for part in ast.walk(node.slice)]
    ends = [part for call in ast.walk(tree) if isinstance(call, ast.Call) and (skip := OVER.get(ast.unparse(call.func)))
            for limit in call.args[skip:] for part in ast.walk(limit)]
    whole = {node.id for node in (*inside, *ends) if isinstance(node, ast.Name)} - arrays
    indices = {name for name in whole - {node.id for node in ends if isinstance(node, ast.Name)} if name.islower()}
    kinds = {"arrays": arrays, "index": indices, "sizes": whole}
    return {name: next((kind for kind, names in kinds.items() if name in names), "symbols") for name in names_of(form)}


def _records(id: str, form: str, by: str, names: list[str], kinds: Mapping[str, str]) -> str:
    unwritten = {"sizes": "{0} >= 1", "arrays": "TO WRITE: its axes, as n or 0..n - 1", "symbols": "real",
                 "index": "0..TO WRITE"}
    tables = {kind: ", ".join(f'{name} = "{says.format(name)}"' for name in names if kinds[name] == kind)
              for kind, says in unwritten.items()}
    declared = "".join(f"{kind.ljust(7)} = {{ {table} }}\n" for kind, table in tables.items() if table)
    own = "" if tables["arrays"] else f"symbols = {{ {tables['symbols']} }}\n"
    return f"""
[[equation]]
id      = "{id}"
kind    = "definition"
status  = "external"
says    = "TO WRITE: what it is, in one line"
{declared}value   = "{form}"
wrt     = ["{by}"]
source  = "TO WRITE: where it comes from"

[[equation]]
id      = "{id}.{GRADIENT.get(id.partition('.')[0], 'grad_' + by)}"
kind    = "derivation"
status  = "derived"
says    = "TO WRITE: its derivative, in one line"
of      = "{id}"
{own}wrt     = ["{by}"]
source  = "derived from {id}"
"""


def ids(records: str) -> list[str]:
    """The ids of a skeleton's records: the equation and its gradient."""
    return [one["id"] for one in tomllib.loads(records)["equation"]]


def _function(id: str, names: list[str], kinds: Mapping[str, str]) -> str:
    sort = {"arrays": "Vector", "symbols": "Scalar", "sizes": "int"}
    given = [name for kind in sort for name in names if kinds[name] == kind]
    arguments = ", ".join(f"{name}: {sort[kinds[name]]}" for name in given)
    return f'''

@implements("{id}")
def {id.partition(".")[2].replace(".", "_")}({arguments}) -> {"Vector" if "index" in kinds.values() else "Scalar"}:
    """{id}   TO WRITE: the formula, as it is printed"""
    raise NotImplementedError("the body is the formula, written again: nothing is copied from its record")
'''


def _witness(id: str, names: list[str], kinds: Mapping[str, str]) -> str:
    """A row that no reference agrees with until it is written."""
    example = {"arrays": "[0.375, -1.5]", "symbols": "0.375", "sizes": "2"}
    given = [example[kind] for kind in example for name in names if kinds[name] == kind]
    return f'''    # TO WRITE: what somebody else's code makes of it
    Witness("{id}", ({', '.join(given)},), lambda: ...),
'''


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
        before = (top / name).read_text(encoding="utf-8")
        row = text.startswith("    ") and before.endswith("\n]\n")                # of the list that the file ends with
        (top / name).write_text(before[:-2] + text + "]\n" if row else before + text, encoding="utf-8")
    return list(found)
