"""Values of several parts. Triton reads the annotations of such a class as they stand: none may be a string here."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import torch
import triton
import triton.language as tl

from .registry import feature, integers, same

aggregate = getattr(tl, "aggregate", None) or tl.core._aggregate          # public since Triton 3.8


@aggregate
class Pair:
    a: tl.tensor
    b: tl.tensor

    @triton.constexpr_function
    def __init__(self, a, b):
        self.a, self.b = a, b

    @triton.jit
    def total(self):
        return self.a + self.b


@aggregate
class Nested:
    pair: Pair
    c: tl.tensor

    @triton.constexpr_function
    def __init__(self, pair, c):
        self.pair, self.c = pair, c

    @triton.jit
    def total(self):
        return self.pair.total() + self.c


@triton.jit
def aggregated(x, y, B: tl.constexpr):
    i = tl.arange(0, B)
    v = tl.load(x + i)
    whole = Nested(Pair(v, v * 2), v * 4)
    tl.store(y + i, whole.total() - whole.pair.b)


@feature("aggregates within aggregates, with methods")
def _() -> None:
    x, y = integers(8), torch.empty(8)
    aggregated[(1,)](x, y, 8)
    same(y, 5 * x)
