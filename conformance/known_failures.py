"""Failures that a user knows of, in a file of their own repository:

    [[xfail]]
    case = "act.elu/T1/3x43/small/fp32"
    reason = "expm1 is planned, see ticket 12"

A listed case that fails is not judged, and says the reason; one that passes fails, so that the list stays true. A case
that does not exist, and an entry without a reason, are errors.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from .backend import BackendError

if TYPE_CHECKING:
    from .judging.verdict import Verdict


@cache
def listed(path: str) -> dict[str, str]:
    """The reasons by case id; BackendError for a file that cannot be used."""
    if not path:
        return {}
    try:
        entries = tomllib.loads(Path(path).read_text(encoding="utf-8")).get("xfail", [])
    except OSError as error:
        raise BackendError(f"--xfail {path}: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise BackendError(f"--xfail {path}: {error}") from None
    if not isinstance(entries, list) or not all(isinstance(one, dict) for one in entries):
        raise BackendError(f"--xfail {path}: write each failure as [[xfail]] with case = \"…\" and reason = \"…\"")
    found: dict[str, str] = {}
    for one in entries:
        case, reason = str(one.get("case", "")).strip(), str(one.get("reason", "")).strip()
        if not case or not reason:
            raise BackendError(f"--xfail {path}: the entry {case or one} needs {'a reason' if case else 'a case'}")
        if case in found:
            raise BackendError(f"--xfail {path}: {case} is listed twice")
        found[case] = reason
    return found


def as_known(verdict: Verdict, known: dict[str, str]) -> Verdict:
    """The verdict in the light of what is known."""
    reason = known.get(verdict.case.id)
    if reason is None:
        return verdict
    if verdict.state == "fail":
        verdict.state, verdict.reason = "not_judged", f"fails, as is known: {reason}"
    elif verdict.state == "pass":
        verdict.state, verdict.reason = "fail", f"passes, and is listed as a known failure ({reason}): take it off"
    return verdict
