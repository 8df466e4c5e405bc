"""Triton kernels for the deck's equations, one op per equation id, and what training code needs around them.

`OPS[id]` takes the kernel for CUDA tensors and an ATen composite for CPU tensors; `functional` has
torch's names. Importing this package touches no driver, imports no Triton and compiles nothing.
"""

from __future__ import annotations

from .ops import OPS

__all__ = ["OPS"]
