"""What varies in an activation: how many numbers, in how many axes, of which kind, and its parameter."""

from __future__ import annotations

from ..operations import ACTIVATIONS
from ..recipes import Arguments, Source
from .base import Levels, Make, Rule, factors
from .regimes import values

SHAPES = ((3, 43), *((n,) for n in (1, 2, 15, 16, 17, 63, 64, 65, 128, 129, 1024, 1025)), (2, 3, 5, 7), (1025, 1))
KINDS = ("spread", "normal", "small", "positive", "wide", "ties", "low", "high", "subnormal", "large", "nan",
         "infinite")
PARAMETER: dict[str, dict[str, tuple[float | None, ...]]] = {
    "leaky": {"slope": (None, 0.0, 0.01, 0.25, 1.0)},
    "elu": {"alpha": (None, 0.25, 1.5, 3.0)},
}
# the value of a derivative at a kink is a convention, a trap of its own; and no branch owns NaN
KINKED: dict[str, tuple[str, ...]] = {**dict.fromkeys(("relu", "leaky", "elu"), ("ties", "nan")), "identity": ("nan",)}
# far below 0 these are 0 times something that is not a number any more
UNBOUNDED: dict[str, tuple[str, ...]] = dict.fromkeys(("gelu", "gelu.tanh"), ("infinite", "large"))
# 0 · ∞ is no number, and no answer of the deck's
RULES: tuple[Rule, ...] = (lambda at: at.slope != 0 or at.data != "infinite",)


def _make(parameter: str | None) -> Make:
    def make(s: Source, at: Levels) -> Arguments:
        given = {} if parameter is None or at[parameter] is None else {parameter: at[parameter]}
        return {"z": values(s, at.shape, at.data), **given}
    return make


for _act in ACTIVATIONS:
    for _prime in ("", ".prime"):
        _left_out = (*UNBOUNDED.get(_act, ()), *(KINKED.get(_act, ()) if _prime else ()))
        _kinds = tuple(k for k in KINDS if k not in _left_out and
                       not (k == "large" and _act not in ("relu", "leaky", "identity")))
        _own = PARAMETER.get(_act, {})
        factors(f"act.{_act}{_prime}", levels={"shape": SHAPES, "data": _kinds, **_own}, rules=RULES)(
            _make(next(iter(_own), None)))
