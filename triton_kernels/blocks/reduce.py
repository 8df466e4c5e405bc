"""The last step of every sum that many programs share: their partial sums, added in a fixed order; and

loss.mean   Σ_i L_i / Σ_i m_i

No atomics: a float sum whose order changes from run to run cannot be repeated.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..runtime.configs import choose
from ..runtime.launch import current_arch, launch


@triton.jit
def sum_rows(x, first, last, c, columns, x_r, x_c, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Σ over the rows first … last − 1 in each of the columns c, in float32, ROWS at a time."""
    total = tl.zeros((COLUMNS,), tl.float32)
    for start in tl.range(first, last, ROWS, num_stages=1):
        r = start + tl.arange(0, ROWS)
        inside = (r < last)[:, None] & (c < columns)[None, :]
        at = r.to(tl.int64)[:, None] * x_r + c.to(tl.int64)[None, :] * x_c
        total += tl.sum(tl.load(x + at, mask=inside, other=0.0).to(tl.float32), 0)
    return total


@triton.jit
def column_sums_kernel(x, out, rows, columns, x_r, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    c = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    total = sum_rows(x, 0, rows, c, columns, x_r, 1, ROWS, COLUMNS)
    tl.store(out + c, total.to(out.dtype.element_ty), mask=c < columns)


def column_sums(partial: Tensor, dtype: torch.dtype) -> Tensor:
    """Σ over the rows of a float32 matrix, each row contiguous, rounded to dtype once; one row is its own sum."""
    rows, columns = partial.shape
    if rows == 1 and dtype == torch.float32:
        return partial.view(columns)
    out = torch.empty(columns, dtype=dtype, device=partial.device)
    if columns:
        row = choose("columns", (rows, columns), torch.float32, current_arch(partial.device))
        grid = (triton.cdiv(columns, row.BN),)
        launch(column_sums_kernel, grid, partial, out, rows, columns, partial.stride(0), row=row,
               ROWS=row.BM, COLUMNS=row.BN)
    return out


@triton.jit
def mean_kernel(loss, mass, first, second, n, l_0, m_0, LAST: tl.constexpr, BLOCK: tl.constexpr):
    """The sums of one block of both; the last program makes them a mean, and leaves what it divided by."""
    i = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    losses = tl.sum(tl.load(loss + i * l_0, mask=i < n, other=0.0).to(tl.float32), 0)
    total = tl.sum(tl.load(mass + i * m_0, mask=i < n, other=0.0).to(tl.float32), 0)
    if LAST:
        losses = losses / total
    tl.store(first + tl.program_id(0), losses.to(first.dtype.element_ty))
    tl.store(second + tl.program_id(0), total)


def averaged(loss: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    """(Σ loss / Σ mass, Σ mass in float32), numbers on the device."""
    dtype = loss.dtype
    while True:
        n = loss.shape[0]
        row = choose("loss.mean", (n,), dtype, current_arch(loss.device))
        parts = max(triton.cdiv(n, row.BM), 1)
        shape, kind = ((parts,), torch.float32) if parts > 1 else ((), dtype)
        first, second = (torch.empty(shape, dtype=d, device=loss.device) for d in (kind, torch.float32))
        launch(mean_kernel, (parts,), loss, mass, first, second, n, loss.stride(0), mass.stride(0), row=row,
               LAST=parts == 1, BLOCK=row.BM)
        if parts == 1:
            return first, second
        loss, mass = first, second
