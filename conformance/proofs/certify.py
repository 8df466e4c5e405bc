"""Certify every derived gradient, as running Python, against the *forward* reference, exactly, by the field.

A random loss Σ c y + q y² is put behind the forward function, at every size up to a limit; its derivative in a random
direction must be what the derived function gives. Nothing here knows how the derivation was made.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from attrs import frozen

from chainrule import reference
from chainrule.spec.field import DRAWS, Dual, Field, NoRoot, P, constant

from . import claims
from .claim import CLAIMS, Claim, Drawing, Entry, Functions, flat, places_of, rebuild

__all__ = ["CLAIMS", "Certified", "Refuted", "certify", "certify_all", "claims"]


class Refuted(AssertionError):
    """A derived gradient and its forward reference disagree: the message names the id, the sizes and the entries."""


@frozen
class Certified:
    """What was shown."""

    id: str
    sizes: int
    partials: int


def certify(id: str, functions: Functions | None = None, sizes: Iterable[dict[str, int]] | None = None) -> Certified:
    """Certify one id at all its sizes, or raise Refuted. `functions` replaces reference functions by id."""
    if id not in CLAIMS:
        near = difflib.get_close_matches(id, CLAIMS, n=3, cutoff=0.5)
        raise KeyError(f"nothing certifies {id!r}" + (f"; did you mean {', '.join(near)}?" if near else ""))
    entry = CLAIMS[id]
    known = {**reference.FUNCTIONS, **(functions or {})}
    chosen = entry.sizes if sizes is None else tuple(sizes)
    return Certified(id, len(chosen), sum(_certify_at(entry, known, size, k) for k, size in enumerate(chosen)))


def _certify_at(entry: Entry, functions: Functions, size: dict[str, int], seed: int) -> int:
    for attempt in range(DRAWS):
        try:
            with Field(seed * DRAWS + attempt) as field:
                wrong, count = _wrong(entry.build(Drawing(field), functions, **size), field)
                break
        except NoRoot:
            continue
    else:
        raise NoRoot(f"{entry.id}: no random point with all its square roots")
    if wrong:
        at = ", ".join(f"{name} = {value}" for name, value in size.items())
        raise Refuted(f"{entry.id}: not the gradient of {entry.of}{' at ' + at if at else ''}: "
                      f"{len(wrong)} of {count} partial derivatives are wrong, the first at {list(wrong[0])}")
    return count


def _wrong(claim: Claim, field: Field) -> tuple[list[tuple[int, ...]], int]:
    """The places of wrong partial derivatives (none for a right gradient), and how many there are in all."""
    outputs = flat(claim.forward(claim.by))
    weights = [(field.random.randrange(P), field.random.randrange(P)) for _ in outputs]
    deltas = iter([c + 2 * q * y for (c, q), y in zip(weights, outputs)])
    gradient = claim.gradient(rebuild(claim.forward(claim.by), deltas))
    places, found = places_of(claim.by), flat(gradient)
    if places_of(gradient) != places:
        return [()], len(places)
    numbers = flat(claim.by)

    def agrees(chosen: range) -> bool:
        u = {k: field.random.randrange(1, P) for k in chosen}
        moved = iter([Dual(a.v, u.get(k, 0), a.w) for k, a in enumerate(numbers)])
        y = [constant(v) for v in flat(claim.forward(rebuild(claim.by, moved)))]
        truth = sum(c * v.d + 2 * q * v.v * v.d for (c, q), v in zip(weights, y))
        return (truth - sum(constant(found[k]).v * u[k] for k in chosen)) % P == 0

    def search(chosen: range) -> list[int]:
        if agrees(chosen):
            return []
        if len(chosen) == 1:
            return list(chosen)
        middle = len(chosen) // 2
        return search(chosen[:middle]) + search(chosen[middle:])

    return [places[k] for k in search(range(len(numbers)))], len(numbers)


def certify_all(functions: Functions | None = None) -> tuple[Certified, ...]:
    """Every claim, in order; the first that fails raises."""
    return tuple(certify(id, functions) for id in CLAIMS)
