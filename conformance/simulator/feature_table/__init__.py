"""What of Triton the simulator does as a GPU would: one small kernel per feature, judged exactly.

`rows()` runs them all, so that a Triton release is accepted, or not, by what it does and not by its number.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch

from .. import simulate
from . import aggregates, blocks, boxes, formats, language, library, storage
from .registry import FEATURES, Unavailable

__all__ = ["FEATURES", "Row", "Unavailable", "aggregates", "blocks", "boxes", "formats", "language", "library", "rows",
           "storage"]


class Row(NamedTuple):
    """One feature: does it behave? None where this Triton does not have it at all; `note` says why not."""

    feature: str
    ok: bool | None
    note: str = ""


def rows() -> Iterator[Row]:
    """Try every feature with the Triton that is installed."""
    for name, check in FEATURES.items():
        torch.manual_seed(0)
        try:
            with simulate():
                check()
        except Unavailable as absent:
            yield Row(name, None, str(absent))
        except Exception as error:          # whatever a release does wrong, it is a row of the table
            said = str(error).splitlines()
            yield Row(name, False, f"{type(error).__name__}: {said[0] if said else ''}")
        else:
            yield Row(name, True)
