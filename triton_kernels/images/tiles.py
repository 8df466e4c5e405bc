"""What the kernels on images share: the terms of a filter, and which of the numbers of a window is its maximum."""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import triton
import triton.language as tl


@triton.jit
def terms(i, depth, columns, every, BLOCK: tl.constexpr, TAPWISE: tl.constexpr):
    """Block i of the terms (tap row, tap column, channel): their tap's row and column, their channel, which exist.

    TAPWISE: one tap a block, so its channels are neighbours in memory. Otherwise taps and channels are numbered
    through, so that few channels do not leave most of a block empty.
    """
    lane = tl.arange(0, BLOCK)[None, :]
    if TAPWISE:
        blocks = tl.cdiv(depth, BLOCK)
        tap = i // blocks
        channel = i % blocks * BLOCK + lane
        inside = channel < depth
    else:
        term = i * BLOCK + lane
        tap = term // depth
        channel = term % depth
        inside = term < every
    return tap // columns, tap % columns, channel, inside


@triton.jit
def beats(v, best):
    """Does v take the place of the best so far? It does if it is larger, or NaN."""
    return (v > best) | (v != v)


@triton.jit
def with_side(at, z):
    """A place of four, and in the same 8 bits whether z is 0 or less there: + 4. (NaN is not, nor is it to torch.)"""
    return at + tl.where(z <= 0, 4, 0)


@triton.jit
def side(at):
    """A number on the side of 0 that `with_side` says: all that g′ of a ReLU asks for."""
    return tl.where(at < 4, 1.0, 0.0)


@triton.jit
def larger(a, b):
    return tl.maximum(a, b, propagate_nan=tl.PropagateNan.ALL)


@triton.jit
def best_of_four(v0, v1, v2, v3, PLACES: tl.constexpr):
    """The largest, by the rule of `pool.max`, and its number, if places are asked for: of each row, then of the two."""
    if PLACES:
        right, right_below = beats(v1, v0), beats(v3, v2)
        above, below = tl.where(right, v1, v0), tl.where(right_below, v3, v2)
        down = beats(below, above)
        best, at = tl.where(down, below, above), tl.where(down, tl.where(right_below, 3, 2), tl.where(right, 1, 0))
    else:
        best, at = larger(larger(v0, v1), larger(v2, v3)), 0
    return best, at
