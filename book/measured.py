"""The bound of an elementwise equation over the whole line, and the error its kernel has there, in the simulator."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from attrs import frozen
from markupsafe import Markup

from .pictures import BLUE, INK, render

DTYPE = "fp32"


@frozen
class Measured:
    """Arguments, the error at each, the bound there."""

    id: str
    z: Any
    error: Any
    bound: Any

    @property
    def title(self) -> str:
        return f"error of {self.id} against its bound"

    @property
    def says(self) -> str:
        wrong = self.error > 0
        worst = float((self.error[wrong] / self.bound[wrong]).max(initial=0.0))
        return (f"The kernel in the simulator, {DTYPE}, at {len(self.z)} arguments: the error (dots) and the bound "
                f"(shaded) that the equation and the argument allow. The worst uses {worst:.2f} of it; "
                f"{int((~wrong).sum())} are exact.")

    @property
    def svg(self) -> Markup:
        return render(f"measured-{self.id.replace('.', '-')}", self.title, (6.4, 2.6), self.draw)

    def draw(self, figure: Any) -> None:
        axis = figure.subplots()
        shown = self.error > 0
        floor = float(min(self.bound[self.bound > 0].min(), self.error[shown].min(initial=np.inf))) / 3
        axis.fill_between(self.z, floor, np.maximum(self.bound, floor), color=BLUE, alpha=0.22, linewidth=0)
        axis.plot(self.z[shown], self.error[shown], "o", color=INK, markersize=2.2)
        axis.set_xscale("symlog", linthresh=2.0**-14)
        axis.set_yscale("log")
        axis.set_ylim(bottom=floor)
        axis.set_xticks([-100, -1, -0.01, 0, 0.01, 1, 100])
        axis.set_xlabel("z")
        axis.set_ylabel("error")


@cache
def measured(id: str) -> Measured | None:
    """None where the equation is not elementwise in one argument, rounds nothing, or Triton is absent."""
    try:
        from ..conformance.backend import BackendError, load
        from ..conformance.judging.cases import Case
        from ..conformance.judging.comparing import expected
        from ..conformance.judging.edges import SPECIAL
        from ..conformance.judging.running import run

        special = SPECIAL.get(id)
        if special is None or special.argument != "z" or special.others:
            return None
        backend = load("triton")
    except (ModuleNotFoundError, BackendError):
        return None
    from ..conformance.judging.numbers.formats import round_to

    powers = 2.0 ** np.linspace(-20, 6.9, 72)
    z = round_to(np.sort(np.concatenate([-powers, powers])), DTYPE)
    arguments = {"z": z}
    case = Case(f"{id}/book/{DTYPE}", id, "T1", DTYPE, lambda: arguments)
    [got] = run(case, backend, "simulated", arguments)
    bounds, truths = expected(case, arguments, backend)
    [name] = truths
    if not np.any(bounds[name].total):
        return None
    return Measured(id, z, np.abs(got.double().numpy() - truths[name].value), np.asarray(bounds[name].total))
