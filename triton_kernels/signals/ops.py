"""The printed convolutions: ops of the suite, none of training code."""

from __future__ import annotations

from ..runtime.library import declare
from . import composite

for _kernels in ("conv1d", "conv2d"):
    declare(f"signals.{_kernels}", composite, ids={
        id: op for id, op in composite.OPS.items() if id.startswith(_kernels)})
