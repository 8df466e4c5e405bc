"""Which tile, how many warps, how many pipeline stages: a table per architecture, chosen by shape.

No autotuning: the table is data, so that every shipped row can be compiled, run and judged in advance.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import metadata

import attrs
import torch


@attrs.frozen
class Row:
    """One configuration: a tile of BM × BN outputs, BK terms at a time, for elements of so many bits.

    `parts`: the tile's columns are finished in so many pieces; `per`: blocks that share a processor, where blocks stay
    and take tile after tile. `full`: a thread may have every register there is, which every Triton's assembler but
    3.7's has to be told, or it spills a few so that one more block fits.
    """

    BM: int
    BN: int = 1
    BK: int = 1
    warps: int = 4
    stages: int = 1
    bits: tuple[int, ...] = (16, 32)
    parts: int = 1
    per: int = 1
    full: bool = False

    def __str__(self) -> str:
        finish = f"p{self.parts}" if self.parts > 1 else ""
        return f"{self.BM}x{self.BN}x{self.BK}w{self.warps}s{self.stages}{finish}"


HALF, FLOAT = (16,), (32,)


def triton() -> tuple[int, ...]:
    """The release of Triton that is installed, (0,) if none is; it is not imported."""
    try:
        return tuple(int(part) for part in metadata.version("triton").split(".")[:2])
    except metadata.PackageNotFoundError:
        return (0,)


# Matrix products, largest tile first. float32 runs on FMAs (ieee), so registers bound its tiles.
_FLOAT = (
    Row(128, 128, 16, 8, 3, FLOAT),
    Row(64, 64, 16, 4, 3, FLOAT),
    Row(64, 16, 32, 4, 3, FLOAT),
    Row(16, 64, 32, 4, 3, FLOAT),
)
_SM90 = (
    Row(128, 128, 64, 8, 4, HALF),
    Row(64, 128, 64, 4, 4, HALF),
    Row(64, 64, 64, 4, 4, HALF),
    Row(64, 16, 64, 4, 4, HALF),
    Row(16, 64, 64, 4, 4, HALF),
    *_FLOAT,
)
_SM80 = (
    Row(128, 128, 32, 8, 4, HALF),
    Row(64, 128, 32, 4, 4, HALF),
    Row(64, 64, 32, 4, 4, HALF),
    Row(64, 16, 64, 4, 4, HALF),
    Row(16, 64, 64, 4, 4, HALF),
    *_FLOAT,
)
_SMALL = (          # 99 KB of shared memory: what most people own
    Row(128, 64, 32, 8, 3, HALF),
    Row(64, 64, 32, 4, 3, HALF),
    Row(64, 16, 32, 4, 3, HALF),
    Row(16, 64, 32, 4, 3, HALF),
    _FLOAT[0], Row(64, 64, 16, 4, 2, FLOAT), *_FLOAT[2:],           # with three stages Triton 3.9 spills on sm_120
)

# Products through tensor descriptors: operands move in boxes, blocks stay. Two small tiles share a processor.
_BOXES = (
    Row(128, 256, 64, 8, 3, HALF), Row(128, 256, 64, 8, 3, HALF, parts=2), Row(128, 128, 64, 8, 4, HALF),
    Row(128, 128, 64, 4, 3, HALF, parts=2, per=2), Row(64, 128, 64, 4, 4, HALF, per=2),
)
_DELTA_BOXES = (
    Row(128, 256, 64, 8, 3, HALF, parts=2), Row(128, 128, 64, 8, 4, HALF),
    Row(128, 128, 64, 4, 3, HALF, parts=2, per=2), Row(64, 128, 64, 4, 4, HALF, per=2),
)

# Average and update in one: Θ and its states pass through the registers that hold the product.
_UPDATES = (
    Row(64, 64, 64, 8, 3, HALF), Row(64, 16, 64, 4, 4, HALF), Row(16, 64, 64, 4, 3, HALF),
    Row(64, 64, 32, 8, 3, FLOAT), Row(64, 16, 32, 4, 3, FLOAT), Row(16, 64, 32, 4, 3, FLOAT),
)
_UPDATE_BOXES = (Row(128, 128, 64, 8, 3, HALF, parts=2), Row(64, 128, 64, 4, 3, HALF, parts=2, per=2))

# Memory-bound kernels: BM elements (or rows) and BN columns a program.
_POINTWISE = (Row(1024, warps=4),)
_STRIDED = (Row(256, warps=4),)                           # 64-bit divisions take registers
_COLUMNS = (Row(32, 128, warps=4),)                       # a block of rows, summed over columns
_OPTIMIZERS = (Row(1024, warps=4),)                     # BM elements of every tensor at a time
_CHANNELS = (Row(32, 64, warps=4, full=True), Row(16, 128, warps=4))    # BM rows of BN channels, side by side
_PLANES = (Row(1024, 2, warps=4), Row(2048, 1, warps=4))       # BM positions of BN channels, one after another
_ROWS = (                                                 # BM rows of at most BN classes in registers
    Row(4, 256, warps=4), Row(1, 1024, warps=4), Row(1, 4096, warps=8), Row(1, 16384, warps=16),
    Row(1, 32768, warps=16, bits=(16, 32) if triton() < (3, 9) else HALF),      # later compilers spill float32
)
_SHARES = (Row(4, 256, warps=4), Row(1, 1024, warps=4), Row(1, 4096, warps=8), Row(1, 16384, warps=16))
_LONG_SHARES = (Row(1, 4096, warps=8),)                   # more numbers a row than that: two passes
_LONG_ROWS = (Row(1, 4096, warps=8),)                     # more classes than that: two passes
_NORM_ROWS = (Row(4, 256, warps=4), Row(1, 1024, warps=4), Row(1, 2048, warps=8))     # BM rows of at most BN numbers
_LONG_NORM_ROWS = (Row(1, 1024, warps=4),)                # longer ones, a tile at a time
_BATCHES = (                                              # at most BM rows of at most BN classes, by one program
    Row(8, 16, warps=1), Row(64, 32, warps=4), Row(16, 128, warps=4), Row(256, 16, warps=8),
)
_MEAN = (Row(4096, warps=8),)                             # what one program sums of a batch's losses
_WINDOWS = (Row(128, 1, 8, warps=4), Row(8, 1, 64, warps=4))       # BM outputs, BK taps: many of either

# Convolution layers by gathered products: BM positions, BN filters; for their D, BM filters and BN columns.
_GATHERED = (
    Row(128, 64, 32, 8, 3, HALF), Row(64, 64, 32, 4, 3, HALF), Row(64, 32, 32, 4, 2, HALF), Row(64, 16, 32, 4, 3, HALF),
    Row(64, 64, 16, 8, 2, FLOAT), Row(64, 16, 16, 4, 3, FLOAT),
)
_FILTERS = (
    Row(64, 64, 32, 4, 3, HALF), Row(16, 32, 64, 4, 3, HALF),
    Row(64, 32, 16, 4, 2, FLOAT), Row(16, 32, 64, 4, 1, FLOAT),
)
_POOLED = (                                               # four positions a window: four sums a thread block
    Row(32, 64, 32, 8, 3, HALF), Row(32, 16, 32, 4, 3, HALF),
    Row(32, 32, 16, 4, 2, FLOAT), Row(32, 16, 16, 4, 2, FLOAT),
)
# The same by boxes: BM filters, BN positions; for their D, BM filters, BN channels of one tap and BK positions.
_IMAGE_BOXES = (
    Row(128, 256, 64, 8, 3, HALF, parts=2), Row(128, 128, 64, 8, 4, HALF), Row(64, 128, 64, 4, 4, HALF),
    Row(64, 128, 32, 4, 4, HALF), Row(64, 64, 16, 4, 4, HALF),
)
_POOLED_BOXES = (Row(128, 128, 64, 8, 4, HALF), Row(64, 128, 32, 4, 4, HALF), Row(64, 64, 64, 4, 4, HALF))
_FILTER_BOXES = (
    Row(128, 128, 64, 8, 4, HALF), Row(64, 64, 64, 4, 4, HALF), Row(64, 32, 64, 4, 4, HALF),
    Row(128, 128, 32, 8, 4, HALF), Row(64, 64, 32, 4, 4, HALF),
)
# With a norm on the way: what is made there takes registers.
_NORMED = (
    Row(64, 64, 32, 4, 3, HALF), Row(64, 16, 32, 4, 3, HALF),
    Row(64, 32, 16, 8, 2, FLOAT), Row(64, 16, 16, 4, 2, FLOAT, full=True),
)
_NORMED_FILTERS = (
    Row(64, 64, 32, 8, 2, HALF), Row(16, 16, 128, 4, 2, HALF),
    Row(64, 32, 16, 4, 2, FLOAT), Row(16, 16, 128, 4, 2, FLOAT),
)
_JOINED = (Row(1, 256, warps=4),)

# Attention: BM queries, BN keys, BK numbers of a head at a time (all of them, if a row has as many).
_HEADS = (
    Row(64, 64, 64, 4, 2, HALF), Row(64, 64, 128, 8, 2, HALF, full=True), Row(64, 64, 32, 8, 1, HALF),
    Row(32, 32, 16, 8, 1, FLOAT, full=True),
)
_HEADS_120 = (Row(64, 32, 64, 4, 2, HALF), *_HEADS[1:])                 # with 64 keys it spills there
_HEADS_GRAD = (
    Row(32, 64, 64, 8, 1, HALF), Row(32, 64, 128, 8, 1, HALF), Row(32, 32, 32, 4, 1, HALF),
    Row(32, 16, 16, 8, 1, FLOAT, full=True),
)
_HEADS_GRAD_120 = (                                                     # so does what is larger, or has 8 warps
    _HEADS_GRAD[0], Row(32, 32, 128, 8, 1, HALF), _HEADS_GRAD[2], Row(32, 16, 16, 4, 1, FLOAT, full=True),
)

ATTENTION = ("attn.head", "attn.head.grad")

# The embedding of patches: gathered products; and BM tokens' BN numbers, summed over the images.
EMBEDDING = ("vit.embed", "vit.embed.grad_patch", "vit.embed.grad_Theta")
_PATCHES = tuple(attrs.evolve(row, full=row.BM == row.BN) for row in _GATHERED)
_THETA = (
    Row(64, 64, 32, 8, 3, HALF), Row(32, 64, 32, 4, 3, HALF),
    Row(64, 32, 16, 4, 2, FLOAT), Row(16, 32, 32, 4, 2, FLOAT),
)
_TOKENS = (Row(8, 128, warps=4),)

# Layers of neighbours: BM examples and BN nodes; for their D also BK taps, the intercept's among them.
_NEIGHBOURS = (Row(8, 128, warps=4), Row(1, 512, warps=4))
_WEIGHTS = (Row(4, 128, 4, warps=4), Row(4, 64, 8, warps=4), Row(4, 32, 16, warps=4))
NORMED = ("conv2d.normed", "conv2d.normed.grad_w")
_GATHERS = ("conv2d.layer", "conv2d.layer.pool", "conv2d.layer.grad_w", *NORMED, *EMBEDDING)
IMAGE_BOXES = ("conv2d.layer.boxes", "conv2d.layer.pool.boxes", "conv2d.layer.grad_w.boxes")

PRODUCTS = ("net.layer.affine", "bp.delta", "bp.delta.heavy", "alg.average", "alg.average.recalled",
            "alg.average.update", "layer.gradients")
BOXES = ("net.layer.affine.boxes", "bp.delta.boxes", "alg.average.boxes", "alg.average.update.boxes")
_TABLES: dict[str, dict[str, tuple[Row, ...]]] = {
    arch: {
        **dict.fromkeys(PRODUCTS, products), "alg.average.update": _UPDATES,
        "alg.average": tuple(attrs.evolve(row, full=row == _SMALL[0]) for row in products),
        "bp.delta.heavy": tuple(attrs.evolve(row, full=row == _SMALL[-3]) for row in products
                                if row != _FLOAT[0]),                               # beside a heavy g′ it spills,
        "alg.average.recalled": tuple(attrs.evolve(row, full=row == _SMALL[1]) for row in products
                                      if row not in (_FLOAT[0], _SM80[0])),                             # or beside g
        "layer.gradients": tuple(row for row in products if row.bits == FLOAT and row != _FLOAT[0]),
        "alg.average.update.join": _POINTWISE,
        "optimizers": _OPTIMIZERS, "norm.channels": _CHANNELS, "norm.planes": _PLANES,
        "pointwise": _POINTWISE, "strided": _STRIDED, "columns": _COLUMNS,
        "norm.rows": _NORM_ROWS, "norm.rows.long": _LONG_NORM_ROWS,
        "act.softmax": _SHARES, "act.softmax.long": _LONG_SHARES,
        "loss.softmax": _ROWS, "loss.softmax.long": _LONG_ROWS, "loss.softmax.whole": _BATCHES,
        "loss.mean": _MEAN,
        "attn.head": _HEADS_120 if arch == "sm_120" else _HEADS,
        "attn.head.grad": _HEADS_GRAD_120 if arch == "sm_120" else _HEADS_GRAD,
        "vit.embed": _PATCHES, "vit.embed.grad_patch": _PATCHES, "vit.embed.grad_Theta": _THETA,
        "vit.embed.grad_position": _TOKENS,
        "conv1d": _WINDOWS, "conv2d": _WINDOWS,
        **({"net.layer.affine.boxes": _BOXES, "bp.delta.boxes": _DELTA_BOXES, "alg.average.boxes": _BOXES,
            "alg.average.update.boxes": _UPDATE_BOXES, "conv2d.layer.boxes": _IMAGE_BOXES,
            "conv2d.layer.pool.boxes": _POOLED_BOXES, "conv2d.layer.grad_w.boxes": _FILTER_BOXES}
           if arch in ("sm_90", "sm_100") else dict.fromkeys((*BOXES, *IMAGE_BOXES), ())),
        "conv2d.layer": _GATHERED, "conv2d.layer.pool": _POOLED, "conv2d.layer.grad_w": _FILTERS,
        "conv2d.normed": _NORMED, "conv2d.normed.grad_w": _NORMED_FILTERS,
        "conv2d.layer.join": _JOINED, "pool": _STRIDED,
        "arch.band": _NEIGHBOURS, "arch.band.grad": _WEIGHTS, "arch.band.join": _COLUMNS,
    }
    for arch, products in (
        ("sm_90", _SM90), ("sm_100", _SM90), ("sm_80", _SM80), ("sm_120", _SMALL), ("default", _SMALL))
}
_PROCESSORS = {"sm_90": 132, "sm_100": 148, "sm_80": 108}
_CACHE = {"sm_90": 40, "sm_100": 80, "sm_80": 26}        # MB that a kernel may count on finding there again
OPERATIONS = tuple(_TABLES["default"])

#: Rows that were measured: see `tune`. By operation, shape and dtype's name.
tuned: ContextVar[dict[tuple[str, tuple[int, ...], str], Row] | None] = ContextVar("chainrule_tuned_rows", default=None)
_pinned: ContextVar[dict[str, Row] | None] = ContextVar("chainrule_pinned_rows", default=None)


def processors(arch: str) -> int:
    return _PROCESSORS.get(arch, 80)


def cache(arch: str) -> int:
    """Bytes of the last cache before memory that one kernel may fill."""
    return _CACHE.get(arch, 20) * 10**6


def rows(op: str, arch: str = "default", dtype: torch.dtype | None = None) -> tuple[Row, ...]:
    """Every shipped row of an operation (see OPERATIONS) on an architecture, for one dtype or for all."""
    table = _TABLES.get(arch, _TABLES["default"])
    if op not in table:
        raise KeyError(f"{op} has no configurations; there are {', '.join(OPERATIONS)}")
    return tuple(row for row in table[op] if dtype is None or dtype.itemsize * 8 in row.bits)


def choose(op: str, shape: tuple[int, ...], dtype: torch.dtype, arch: str = "default") -> Row:
    """The row for an output of this shape: the largest tile that still keeps every processor busy."""
    pinned = (_pinned.get() or {}).get(op)
    if pinned is not None:
        return pinned
    measured = tuned.get()
    if measured:
        found = measured.get((op, tuple(shape), str(dtype).removeprefix("torch.")))
        if found is not None:
            return found
    candidates = rows(op, arch, dtype)
    if op in PRODUCTS or op in _GATHERS:
        return _product(candidates, shape[0], shape[1], processors(arch))
    if op in BOXES:
        m, n, k = shape
        short = [row for row in candidates if (row.per > 1) == (k <= 1024)]
        return _product((*short, *(row for row in candidates if row not in short)), m, n, processors(arch))
    if op in IMAGE_BOXES:
        m, n, k = shape             # D is split over the pixels as well, so few tiles are enough
        return _boxed(candidates, m, n, k, 1 if op == "conv2d.layer.grad_w.boxes" else processors(arch))
    if op in ("loss.softmax", "norm.rows", "act.softmax"):
        return next((row for row in candidates if shape[1] <= row.BN), candidates[-1])
    if op == "loss.softmax.whole":
        return next(row for row in candidates if shape[0] <= row.BM and shape[1] <= row.BN)
    if op in ATTENTION:
        return next((row for row in candidates if shape[1] <= row.BK), candidates[-1])
    if op in ("conv1d", "conv2d"):
        outputs, taps = shape
        return candidates[1] if taps > 32 and outputs < 64 * taps else candidates[0]
    if op == "arch.band":
        return candidates[shape[0] < 4]
    if op == "arch.band.grad":
        return next((row for row in candidates if shape[1] <= row.BK), candidates[-1])
    return candidates[0]


def _product(candidates: tuple[Row, ...], m: int, n: int, processors: int) -> Row:
    height, width = 2 * max(m, 16), 2 * max(n, 16)
    fitting = [row for row in candidates if max(row.BM / height, row.BN / width) < 1] or [candidates[-1]]
    for row in fitting:
        if -(-m // row.BM) * -(-n // row.BN) >= processors:
            return row
    return fitting[-1]


def _boxed(candidates: tuple[Row, ...], m: int, n: int, k: int, processors: int) -> Row:
    """Of the rows whose blocks of terms leave the least of themselves empty; eight terms are the price of a block."""
    price = {row.BK: -(-k // row.BK) * (row.BK + 8) for row in candidates}
    return _product(tuple(row for row in candidates if price[row.BK] == min(price.values())), m, n, processors)


def is_pinned(op: str) -> bool:
    return op in (_pinned.get() or {})


@contextmanager
def pinned(op: str, row: Row) -> Iterator[None]:
    """Use this row for this operation, whatever the shape: for the suite and the tuner."""
    token = _pinned.set({**(_pinned.get() or {}), op: row})
    try:
        yield
    finally:
        _pinned.reset(token)
