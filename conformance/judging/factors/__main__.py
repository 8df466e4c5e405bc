"""Write the covering designs again: `python -m chainrule.conformance.judging.factors`, after a change of factors."""

from . import FACTORS
from .base import DESIGNS, design, written

DESIGNS.write_text(written(), encoding="utf-8")
print(f"{DESIGNS}: {sum(len(design(op)) for op in FACTORS)} rows for {len(FACTORS)} ops")
