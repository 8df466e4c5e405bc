"""Every scalar record that no chapter derives: its derivative is its definition, differentiated."""

from __future__ import annotations

from ...records import load
from . import from_records
from .register import MAKERS

for _own, _of in from_records.scalar_pairs(load()):
    MAKERS.setdefault(_own.id, from_records.derive)
