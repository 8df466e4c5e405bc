"""The last step of every sum that many programs share: their partial sums, added in a fixed order.

No atomics: a float sum whose order changes from run to run cannot be repeated.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import torch
import triton
import triton.language as tl
from torch import Tensor

from .configs import choose
from .launch import current_arch, launch


@triton.jit
def column_sums_kernel(x, out, rows, columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    c = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.zeros((COLUMNS,), tl.float32)
    for start in range(0, rows, ROWS):
        r = start + tl.arange(0, ROWS)
        inside = (r < rows)[:, None] & (c < columns)[None, :]
        at = r.to(tl.int64)[:, None] * columns + c[None, :]
        total += tl.sum(tl.load(x + at, mask=inside, other=0.0), 0)
    tl.store(out + c, total.to(out.dtype.element_ty), mask=c < columns)


def column_sums(partial: Tensor, dtype: torch.dtype) -> Tensor:
    """Σ over the rows of a contiguous float32 matrix, rounded to dtype once."""
    rows, columns = partial.shape
    out = torch.empty(columns, dtype=dtype, device=partial.device)
    if columns:
        row = choose("columns", (rows, columns), torch.float32, current_arch(partial.device))
        grid = (triton.cdiv(columns, row.BN),)
        launch(column_sums_kernel, grid, partial, out, rows, columns, row=row, ROWS=row.BM, COLUMNS=row.BN)
    return out
