"""`chainrule statement FILE`: what a run has shown, in a paragraph that stands alone; and the same as a badge.

    mypkg conforms: 3 of the 74 ops of chainrule 0.1.0 (spec 5f0c21ab) judged. 410 of 410 judged cases passed …

A badge is JSON as Shields' endpoint reads it. Neither says more than the run: a simulated one names the simulator.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from ..judging.operations import OPERATIONS
from ..mutate.kernel_rates import wrong_kernels
from .failures import dtypes_of
from .reading import Run

COLORS = {"pass": "brightgreen", "fail": "red", "not_judged": "yellow"}


def statement(run: Run) -> str:
    """Verdict, how much was judged, where, in which arithmetic, the worst fraction of the bound, the versions."""
    return " ".join(_sentences(run))


def _sentences(run: Run) -> Iterator[str]:
    kind, verdict = run.verdict
    judged = [case for case in run.cases if case.state in ("pass", "fail")]
    ops = {case.op for case in judged}
    versions = dict(run.versions)
    release = f"chainrule {versions.pop('chainrule', 'of no stated version')}"
    known = f" (spec {run.spec[:8]})" if run.spec else ""
    yield f"{run.backend} {verdict}: {len(ops)} of the {len(OPERATIONS)} ops of {release}{known} judged."
    yield f"{run.counts['pass']} of {len(judged)} judged cases passed, in {dtypes_of(judged) or 'no dtype'}."
    left = [f"{run.counts[state]} {word}" for state, word in (("unsupported", "unsupported"),
                                                              ("not_judged", "not judged")) if run.counts[state]]
    if run.missing:
        left.append(f"{run.missing} planned and not run")
    if left:
        yield f"Besides: {', '.join(left)}."
    worst = max((case for case in judged if case.fraction is not None), key=lambda case: case.fraction or 0,
                default=None)
    if worst is not None and kind == "pass":
        yield f"Worst share of the derived bound: {worst.fraction:.3f} ({worst.op}, {worst.dtype})."
    where = ("Simulated: it speaks of the kernels' arithmetic and of no device" if run.mode == "simulated"
             else f"Run on {run.device}")
    declared = ", ".join(f"{dtype} as {arithmetic}" for dtype, arithmetic in run.arithmetic.items())
    yield where + (f"; products of {declared}, as declared." if declared else ".")
    kernels = wrong_kernels(ops)
    if kernels["mutants"]:
        yield (f"Of {kernels['mutants']} wrong kernels of these ops, tried elsewhere, the suite notices "
               f"{kernels['noticed'] / kernels['mutants']:.1%}.")
    yield "With " + ", ".join(f"{name} {version}" for name, version in versions.items()) + "."


def badge(run: Run) -> str:
    """The JSON of a badge: verdict and ops, and where it ran."""
    kind, verdict = run.verdict
    ops = {case.op for case in run.cases if case.state in ("pass", "fail")}
    words = f"{verdict} · {len(ops)} of {len(OPERATIONS)} ops" + (" · simulated" if run.mode == "simulated" else "")
    return json.dumps({"schemaVersion": 1, "label": "chainrule", "message": words, "color": COLORS[kind]},
                      ensure_ascii=False) + "\n"
