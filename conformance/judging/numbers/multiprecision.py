"""mpmath's mpf: the oracle where a formula has an exponential.

Its exponents are unbounded, so a formula written literally never overflows; its digits are those of
`mpmath.workdps`. Importing this module registers mpf with `chainrule.scalar`.
"""

from __future__ import annotations

import mpmath

from .... import scalar

for _name in ("exp", "expm1", "log", "log1p", "sqrt", "tanh", "erf", "erfc", "sin", "cos"):
    getattr(scalar, _name).register(mpmath.mpf, getattr(mpmath, _name))
scalar.pi.register(mpmath.mpf, lambda like: +mpmath.pi)
scalar.number.register(mpmath.mpf, lambda like, n: mpmath.mpf(n))
