"""What a failure says: where, what was expected, what came, how far off, what it looks like, how to see it again."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any

import numpy as np

from ... import spec
from .edges import traps
from .oracle import part_at, printed

FEW = 3                      # numbers of an argument that are shown one by one


def slide(id: str) -> str:
    """The slide an op's record stands on, and the deck line of its formula."""
    record = spec.load().get(id) or spec.load().get(id.rpartition(".")[0])
    if record is None:
        return ""
    lines = [line for form in record.forms for line in form.lines]
    where = f"slide “{record.slide}”" if record.slide else f"{record.status}, not printed"
    return f"{where}, deck line {lines[0]}" if lines else where


def failure(verdict: Any) -> str:
    """The failure text of one case."""
    case, worst = verdict.case, verdict.worst
    rows = [f"FAIL {case.id}   {verdict.backend}, {verdict.mode}", ("what", slide(case.op))]
    if worst is None or verdict.reason:
        rows += [("because", verdict.reason), ("given", shown(verdict.arguments or {}))]
    else:
        index = ", ".join(map(str, worst.index))
        terms = " + ".join(f"{name.replace('_', ' ')} {value:.3g}" for name, value in worst.terms.items() if value)
        rows += [
            ("where", f"{worst.output}[{index}]"),
            ("expected", digits_of(verdict)),
            ("actual", f"{worst.actual!r}   {hexadecimal(worst.actual, case.dtype)}"),
            ("error", f"{worst.error:.6g}"),
            ("bound", f"{worst.bound:.6g} = {terms}" if terms else "0: the data are exact, so the answer must be"),
            ("fraction", f"{worst.fraction:.6g} of the bound"),
            ("given", given(verdict)),
        ]
    rows += _trap(verdict)
    rows.append(("function", verdict.place))
    rows += [("undefined", f"lanes that {line} loads under a mask without `other` reach the result; 0 was taken")
             for line in verdict.undefined]
    rows += [("at", frame) for frame in verdict.frames]
    rows += [("printed", line) for line in verdict.printed.splitlines()]
    if verdict.reading:
        rows.append(("reading", f"“{verdict.reading}” fits; if that is what it computes, declare "
                     f"Backend(…, readings={{{case.op!r}: {verdict.reading!r}}})".replace("'", '"')))
    rows.append(("looks like", verdict.looks_like))
    rows.append(("smallest", verdict.smallest))
    rows.append(("again", verdict.repro))
    return "\n".join(row if isinstance(row, str) else f"  {row[0]:10} {row[1]}" for row in rows if row and row[-1])


def given(verdict: Any) -> str:
    """The arguments of the worst element: numbers where it is made of few, else shapes."""
    worst = verdict.worst
    return shown(part_at(verdict.case.op, verdict.arguments, worst.output, worst.index)[0])


def shown(arguments: Mapping[str, Any]) -> str:
    """Arguments on one line: arrays of few numbers, and what is no array, as they are; of others the shape."""
    def one(value: Any) -> str:
        if not isinstance(value, np.ndarray):
            return str(value)
        if 0 < value.size <= FEW:
            return ", ".join(f"{number:.9g}" for number in value.ravel())
        return "×".join(map(str, value.shape))
    return " · ".join(f"{name} {one(value)}" for name, value in arguments.items())


def _trap(verdict: Any) -> list[tuple[str, str]]:
    for trap in traps(verdict.case.op) if verdict.worst is not None else ():
        if trap.name == verdict.case.trap:
            return [("why", trap.why), ("seen in", " · ".join(trap.seen))]
    return []


def hexadecimal(value: float, dtype: str) -> str:
    """The bits of a value in its dtype."""
    if dtype == "bf16":
        return f"0x{struct.unpack('<I', struct.pack('<f', value))[0] >> 16:04x}"
    with np.errstate(all="ignore"):
        bits = np.array([value]).astype({"fp32": "float32", "fp16": "float16", "fp64": "float64"}[dtype])
    return f"0x{int.from_bytes(bits.tobytes(), 'little'):0{2 * bits.itemsize}x}"


def digits_of(verdict: Any) -> str:
    """The expected value of the worst element with 25 digits."""
    assert verdict.worst is not None
    assert verdict.arguments is not None
    return printed(verdict.formula or verdict.case.op, verdict.arguments, verdict.worst.output, verdict.worst.index)
