"""How a convolution is cut: each pixel in one tile, the usual sizes without waste, each tap in one class."""

from __future__ import annotations

from collections import Counter
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chainrule.triton_kernels.images.plan import LONGEST, Tile, classes, tile

SIDES = st.integers(1, 300)
PIXELS = st.sampled_from([32, 64, 128, 256])
SMALL = st.integers(1, 12)


@given(PIXELS, st.integers(1, 500), SIDES, SIDES, st.sampled_from(["any", "even", "whole"]))
def test_a_tile_is_a_box_of_so_many_pixels(pixels, batch, rows, columns, kind):
    found = tile(pixels, batch, (rows, columns), kind == "even", kind == "whole")
    assert pixels == found.BI * found.TH * found.TW
    assert all(0 < n <= LONGEST and n & (n - 1) == 0 for n in (found.BI, found.TH, found.TW))
    assert kind != "even" or found.TH % 2 == found.TW % 2 == 0
    assert kind != "whole" or (rows % found.TH, columns % found.TW) == (0, 0)
    assert found.waste(batch, (rows, columns)) >= 1


@given(PIXELS, st.integers(1, 500), SIDES, SIDES, st.booleans())
def test_no_other_tile_wastes_less(pixels, batch, rows, columns, even):
    found = tile(pixels, batch, (rows, columns), even).waste(batch, (rows, columns))
    powers = [2**k for k in range(int(even), 9)]
    for high, wide in product(powers, powers):
        if pixels % (high * wide) == 0:
            assert found <= Tile(pixels // (high * wide), high, wide).waste(batch, (rows, columns))


@given(PIXELS, st.integers(1, 9), SMALL, SMALL, st.booleans())
def test_every_pixel_is_in_one_tile(pixels, batch, rows, columns, even):
    """Tiles are numbered as `conv_boxes.corner` counts them."""
    one = tile(pixels, batch, (rows, columns), even)
    high, wide = -(-rows // one.TH), -(-columns // one.TW)
    covered = Counter()
    for t in range(one.count(batch, (rows, columns))):
        n, i, j = t // (high * wide) * one.BI, t // wide % high * one.TH, t % wide * one.TW
        covered.update(product(range(n, n + one.BI), range(i, i + one.TH), range(j, j + one.TW)))
    assert all(covered[pixel] == 1 for pixel in product(range(batch), range(rows), range(columns)))


@pytest.mark.parametrize(("side", "wanted"), [
    (112, (1, 8, 16)), (56, (2, 8, 8)), (28, (8, 4, 4)), (14, (32, 2, 2)), (7, (128, 1, 1)), (32, (1, 8, 16)),
    (16, (1, 8, 16)), (24, (2, 8, 8)), (12, (8, 4, 4)), (8, (2, 8, 8))])
def test_the_usual_sizes_waste_nothing(side, wanted):
    found = tile(128, 128, (side, side))
    assert wanted == (found.BI, found.TH, found.TW)
    assert found.waste(128, (side, side)) == 1
    assert side == 7 or found == tile(128, 128, (side, side), even=True)        # and can be pooled
    for pixels in (64, 256):
        assert tile(pixels, 256, (side, side)).waste(256, (side, side)) == 1
    assert tile(64, 128, (side, side), whole=True).waste(128, (side, side)) == 1


def test_a_batch_too_small_for_7_by_7():
    assert tile(128, 32, (7, 7)).waste(32, (7, 7)) == 8 / 7


@given(st.integers(1, 9), st.integers(0, 9), st.integers(1, 6), st.integers(1, 6))
def test_every_tap_is_in_one_class_and_reads_where_it_should(taps, padding, dilation, stride):
    found = classes(taps, padding, dilation, stride)
    assert len(found) == stride
    members = [(r, one, a) for r, one in enumerate(found) for a in range(one.many)]
    assert sorted(one.first + a * one.period for _, one, a in members) == list(range(taps))
    for r, one, a in members:
        m = one.first + a * one.period
        for i in range(3):          # row i + start + a·step of the view is row stride·(…) + r of x
            assert stride * (i + one.start + a * one.step) + r == i * stride - padding + m * dilation


def test_halves():
    assert [Tile(4, 8, 8).half, Tile(1, 8, 16).half, Tile(1, 1, 256).half] == [
        Tile(2, 8, 8), Tile(1, 4, 16), Tile(1, 1, 128)]
