"""How a convolution is cut for boxes: which pixels make a tile, and which taps meet in one view of the image.

A tile of a power of two pixels is BI images × TH rows × TW columns. Batch and image share it, so that the usual sizes
are covered without waste: 2 × 8 × 8 of 56², 8 × 4 × 4 of 28², 32 × 2 × 2 of 14², 128 × 1 × 1 of 7².

A box has no stride. But with stride S, tap m of row i reads x_{iS − P + mD}, and the taps with mD − P ≡ r (mod S) read
rows ≡ r alone: those are rows of a view of every S-th row, read at i, i + D/g, …  So each class r has a view and taps
of its own: m₀, m₀ + S/g, m₀ + 2S/g … with g = gcd(D, S). The gradient for x has the same classes, one for the rows
≡ r of its result, and walks d the other way.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd, prod

import attrs
from torch import Tensor

from .checks import Layer, Pair

LONGEST = 256           # a box is at most so long in a direction


@attrs.frozen
class Tile:
    """BI images × TH rows × TW columns."""

    BI: int
    TH: int
    TW: int

    @property
    def half(self) -> Tile:
        """The first half of its pixels, in their order."""
        if self.BI > 1:
            return Tile(self.BI // 2, self.TH, self.TW)
        return Tile(1, self.TH // 2, self.TW) if self.TH > 1 else Tile(1, 1, self.TW // 2)

    @property
    def pooled(self) -> Tile:
        return Tile(self.BI, self.TH // 2, self.TW // 2)

    def count(self, batch: int, size: Pair) -> int:
        """How many cover so many images of this size."""
        return -(-batch // self.BI) * -(-size[0] // self.TH) * -(-size[1] // self.TW)

    def waste(self, batch: int, size: Pair) -> float:
        """Pixels of all tiles for each pixel there is."""
        return self.count(batch, size) * self.BI * self.TH * self.TW / (batch * prod(size))


@lru_cache(maxsize=1024)
def tile(pixels: int, batch: int, size: Pair, even: bool = False, whole: bool = False) -> Tile:
    """The tile of so many pixels with the least waste, then the smallest rim, then the longest rows.

    even: TH and TW are even, for a pooling. whole: no tile reaches over the edge of an image, only beyond the batch.
    """
    sides = [2**k for k in range(int(even), pixels.bit_length()) if 2**k <= LONGEST]
    possible = [
        Tile(pixels // (high * wide), high, wide) for high in sides for wide in sides
        if high * wide <= pixels <= high * wide * LONGEST and not (whole and (size[0] % high or size[1] % wide))]
    return min(possible, key=lambda t: (t.waste(batch, size), t.BI * (t.TH + 2) * (t.TW + 2), t.BI, -t.TW))


@attrs.frozen
class Taps:
    """The taps of one class in one direction: `many`, from tap `first` every `period`; tap number a of them reads the
    view's row i + start + a·step."""

    first: int
    many: int
    period: int
    start: int
    step: int


def classes(taps: int, padding: int, dilation: int, stride: int) -> list[Taps]:
    """Class r = 0 … stride − 1: the taps that read rows ≡ r (mod stride) of x."""
    g = gcd(dilation, stride)
    period = stride // g
    found = []
    for r in range(stride):
        whole, left = divmod(r + padding, g)
        first = whole * pow(dilation // g, -1, period) % period
        many = 0 if left else max(0, -(-(taps - first) // period))
        found.append(Taps(first, many, period, (first * dilation - padding - r) // stride, dilation // g))
    return found


def both(sizes: Layer) -> list[tuple[int, int, Taps, Taps]]:
    """(r, q, taps of the rows, taps of the columns) of every class."""
    rows, columns = (classes(*one) for one in zip(sizes.taps, sizes.padding, sizes.dilation, sizes.stride))
    return [(r, q, m, n) for r, m in enumerate(rows) for q, n in enumerate(columns)]


def pixels_first(t: Tensor) -> Tensor:
    """An image (B, C, H, W) as (B, H, W, C)."""
    return t.permute(0, 2, 3, 1)


def view(t: Tensor, r: int, q: int, stride: Pair) -> Tensor:
    """(B, rows ≡ r, columns ≡ q, C) of an image."""
    return pixels_first(t)[:, r::stride[0], q::stride[1]]
