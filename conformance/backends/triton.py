"""Our Triton kernels as a backend like any other: natively on a GPU, in the simulator without one.

Beside the common cases it brings one per configuration that the launcher ships, at sizes with ragged edges; the exact
field, to which all rows of a table are the same kernel, sees the one with the least tiles.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial

import torch

from ... import triton_kernels
from ...triton_kernels.blocks import elementary
from ...triton_kernels.runtime import configs, launch
from ..backend import Backend
from ..judging.cases import Case, pinned
from .composed import composed

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# op, the table its launcher reads, and the size that leaves a ragged edge on every side of a row's tile
ROWS: tuple[tuple[str, str, Callable[[configs.Row], tuple[int, ...]]], ...] = (
    ("net.layer.affine", "net.layer.affine", lambda r: (r.BM + 3, 2 * r.BK + 7, r.BN + 5)),
    ("bp.delta.chain", "bp.delta", lambda r: (r.BM + 3, 2 * r.BK + 7, r.BN + 5)),
    ("alg.average", "alg.average", lambda r: (2 * r.BK + 7, r.BM + 3, r.BN + 5)),
    ("net.layer.affine", "net.layer.affine.boxes", lambda r: (r.BM + 3, 2 * r.BK + 8, r.BN + 8)),
    ("bp.delta.chain", "bp.delta.boxes", lambda r: (r.BM + 3, 2 * r.BK + 8, r.BN + 8)),
    ("alg.average", "alg.average.boxes", lambda r: (2 * r.BK + 7, r.BM + 8, r.BN + 8)),
    *((f"alg.average.{rule}", "alg.average.update", lambda r: (2 * r.BK + 7, r.BM + 3, r.BN + 5))
      for rule in ("sgd", "momentum", "adamw")),
    *((f"alg.average.{rule}", "alg.average.update.boxes", lambda r: (2 * r.BK + 7, r.BM + 8, r.BN + 8))
      for rule in ("sgd", "momentum", "adamw")),
    ("alg.average.sgd", "alg.average.update.join", lambda r: (1100, 31, 35)),
    ("alg.average.momentum", "alg.average.update.boxes", lambda r: (1100, r.BM + 8, 24)),       # the batch is split
    ("loss.softmax", "loss.softmax", lambda r: (r.BM + 1, r.BN - 3)),
    ("loss.softmax", "loss.softmax", lambda r: (1, 2 * r.BN + 7)),         # more classes than registers: two passes
    ("loss.softmax.weighted", "loss.softmax", lambda r: (r.BM + 1, r.BN - 3)),
    ("loss.softmax.weighted", "loss.softmax.long", lambda r: (2, 2 * r.BN + 7)),
    *((f"act.softmax{way}", "act.softmax", lambda r: (r.BM + 1, r.BN - 3)) for way in ("", ".prime")),
    *((f"act.softmax{way}", "act.softmax.long", lambda r: (2, 16_391)) for way in ("", ".prime")),
    ("loss.mean", "loss.mean", lambda r: (r.BM + 5,)),
    ("conv1d.valid", "conv1d", lambda r: (r.BM + r.BK + 9, r.BK + 3)),
    ("conv2d.valid", "conv2d", lambda r: (r.BM // 8 + r.BK // 8 + 3, 13, r.BK // 8 + 2, 5)),
    # batch, channels, filters, groups, image, filter, stride, padding, dilation
    ("conv2d.layer", "conv2d.layer",
     lambda r: (1, r.BK // 8 + 1, r.BN + 3, 1, r.BM // 8 + 1, 9, 2, 3, 1, 1, 1, 1, 1, 1)),
    ("conv2d.layer.grad_w", "conv2d.layer.grad_w",
     lambda r: (2, r.BN // 8 + 1, r.BM + 3, 1, 6, r.BK // 4, 2, 3, 1, 1, 1, 1, 1, 1)),
    *((f"arch.{kind}.layer", "arch.band", lambda r: (2 * r.BM + 1, r.BN + 5, 5)) for kind in ("local", "shared")),
    *((op, "arch.band.grad", lambda r: (5 * r.BM + 1, r.BN + 5, 2 * r.BK + 3))
      for op in ("arch.local.layer.grad_w", "arch.shared.layer.grad_theta")),
    ("arch.shared.layer.grad_theta", "arch.band.join", lambda r: (16 * r.BM + 13, 9, 3)),
    *((f"conv2d.layer{way}", "conv2d.layer.boxes",
       lambda r: (3, r.BK + 8, r.BM + 8, 1, 9, r.BN // 16 + 1, 2, 1, 1, 1, 1, 0, 1, 1)) for way in ("", ".grad_x")),
    ("conv2d.layer", "conv2d.layer.boxes",                                      # four views of x
     lambda r: (2, 8, 24, 1, 11, r.BN // 8 + 3, 3, 2, 2, 2, 1, 2, 1, 3)),
    ("conv2d.layer.grad_x", "conv2d.layer.boxes",                               # a class without a tap
     lambda r: (2, 8, 24, 1, 11, r.BN // 8 + 3, 3, 2, 2, 2, 1, 2, 1, 2)),
    ("conv2d.layer.grad_w", "conv2d.layer.grad_w.boxes",                        # several parts, and one
     lambda r: (13, r.BN // 4 + 8, r.BM + 8, 1, 6, 4, 2, 1, 1, 1, 1, 0, 1, 1)),
    ("conv2d.layer.grad_w", "conv2d.layer.grad_w.boxes", lambda r: (3, 24, 8, 1, 4, 6, 3, 2, 2, 2, 1, 2, 1, 3)),
    ("act.elu", "pointwise", lambda r: (r.BM + 5,)),
    ("norm.batch", "norm.channels", lambda r: (2 * r.BM + 4, r.BN + 5)),
    ("norm.batch.grad_x", "norm.planes", lambda r: (4, r.BN + 1, r.BM // 4 + 4)),
    *((f"norm.layer{way}", "norm.rows", lambda r: (r.BM + 1, r.BN - 4)) for way in ("", ".grad_x")),
    *((f"norm.layer{way}", "norm.rows.long", lambda r: (r.BM + 1, 2 * r.BN + 4)) for way in ("", ".grad_x")),
    # batch, heads, queries, keys, numbers of a query and of a value
    *((f"attn.head{way}", f"attn.head{way[:5]}", lambda r: (1, 1, r.BM + 3, r.BN + 5, 19, 17))
      for way in ("", ".grad_Q", ".grad_K")),
    # images, channels, rows and columns of patches, their side, numbers of a token
    ("vit.embed", "vit.embed", lambda r: (1, r.BK // 16 + 1, 3, r.BM // 3 + 1, 4, r.BN + 3)),
    ("vit.embed.grad_patch", "vit.embed.grad_patch", lambda r: (1, r.BN // 16 + 1, 3, r.BM // 3 + 1, 4, r.BK + 3)),
    ("vit.embed.grad_Theta", "vit.embed.grad_Theta", lambda r: (1, r.BN // 16 + 1, 3, r.BK // 3 + 1, 4, r.BM + 3)),
    ("vit.embed.grad_position", "vit.embed.grad_position", lambda r: (3, 1, 1, r.BM, 1, r.BN + 5)),
    ("opt.adam", "optimizers", lambda r: (r.BM + 5,)),
    ("opt.momentum", "optimizers", lambda r: (4 * r.BM + 5,)),           # a second chunk
    ("opt.lamb", "optimizers", lambda r: (r.BM + 5,)),
)
#: Sizes that show one thing, on the row with the smallest and deepest tile, in one dtype, by bounds and over the field:
#: more taps than a program takes; three tiles by two, which is not three and two; one column of tiles.
ONCE: tuple[tuple[str, str, Callable[[configs.Row], tuple[int, ...]]], ...] = (
    ("conv1d.valid", "conv1d", lambda r: (8197 + r.BK, 8195 + r.BK)),
    ("net.layer.affine", "net.layer.affine.boxes", lambda r: (2 * r.BM + 3, 24, r.BN + 8)),
    ("bp.delta.chain", "bp.delta.boxes", lambda r: (2 * r.BM + 3, 24, r.BN + 8)),
    ("alg.average", "alg.average.boxes", lambda r: (19, 2 * r.BM + 8, r.BN + 8)),
    ("alg.average", "alg.average.boxes", lambda r: (19, 8, r.BN - 8)),
)


#: What stands in our kernels for an elementary function.
ELEMENTARY = {f.__name__: [f] for f in (elementary.exp, elementary.expm1, elementary.log1p, elementary.mills)}


def configurations() -> Iterator[Case]:
    """Every shipped row of the current architecture, for every dtype it serves."""
    arch = launch.current_arch() if torch.cuda.is_available() else "sm_90"
    for op, table, size in (*ROWS, *ONCE):
        layout, exact = ("channels-last-16", -1) if table in configs.IMAGE_BOXES else ("contiguous", 0)
        served = {dtype: rows for dtype, kind in DTYPES.items() if (rows := configs.rows(table, arch, kind))}
        once = (op, table, size) in ONCE
        for dtype, rows in served.items():
            tiles = {row: math.prod(size(row)) / (row.BM * row.BN * row.BK) for row in rows}
            deepest = max(rows, key=lambda row: row.BK / (row.BM * row.BN))
            least, first = deepest if once else min(rows, key=lambda row: tiles[row]), dtype == next(iter(served))
            for row in [least] * first if once else rows:
                label = f"{row}-{'x'.join(map(str, size(row)))}"
                yield from pinned(op, label, dtype, size(row), partial(configs.pinned, table, row), layout,
                                  None if once else exact, row is least, row is least and first)


backend = Backend("triton", device="cuda", kernels=True, extra=configurations,
                  elementary=ELEMENTARY)
for _id, _function in triton_kernels.OPS.items():
    backend.op(_id)(_function)
composed(backend)
