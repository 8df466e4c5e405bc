"""How a tensor core adds, by architecture: neither in IEEE float32 nor in the order of the terms.

It takes `terms` products at a time, exact and unnormalised. They and the accumulator are aligned to the largest
exponent among them, with F fraction bits, and what lies below is cut off; their sum is exact, and taken to float32
towards zero. Two independent measurements of hardware agree on these parameters: MMA-Sim (arXiv 2511.10909) and Khattak
and Mikaitis (arXiv 2512.07004); MMA-Sim has AMD's rule too, where the products are aligned among themselves and the
result is rounded to nearest.
"""

from __future__ import annotations

from attrs import frozen


@frozen
class TensorCore:
    """F fraction bits, and as many products at a time as fit into `width` bytes of one operand; eight-bit operands may
    be added with fewer bits, which the result then has, too."""

    fraction: int
    width: int
    fraction_of_bytes: int
    nearest: bool = False

    def terms(self, size: int) -> int:
        """Products at a time, of operands of so many bytes."""
        return self.width // size

    def roundings(self, n: int, size: int) -> float:
        """The error of a sum of n products, in units of 2⁻²⁴ Σ|terms|: a product loses less than one unit of the last
        fraction bit; the sum of a step up to two, towards zero."""
        if n < 2:
            return n
        steps = -(-n // self.terms(size))
        return max(n, n * 2.0 ** (24 - self.fraction) + 2 * steps)


VOLTA = TensorCore(23, 8, 23)
AMPERE = TensorCore(24, 16, 24)
ADA = TensorCore(24, 16, 13)
HOPPER = TensorCore(25, 32, 13)
BLACKWELL = TensorCore(25, 32, 25)
CDNA3 = TensorCore(24, 16, 24, nearest=True)

TENSOR_CORES = {
    "sm_70": VOLTA, "sm_75": AMPERE, "sm_80": AMPERE, "sm_86": AMPERE, "sm_87": AMPERE, "sm_89": ADA, "sm_90": HOPPER,
    "sm_100": BLACKWELL, "sm_103": BLACKWELL, "sm_120": BLACKWELL, "sm_121": BLACKWELL, "gfx942": CDNA3,
}
