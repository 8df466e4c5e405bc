"""16-bit numbers are widened to float32, computed there and rounded once; float64 stays float64."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from .precision import autocast_somewhere

NARROW = (torch.bfloat16, torch.float16)


def wide(t: Tensor) -> Tensor:
    return t.float() if t.dtype in NARROW else t


def rounded(t: Tensor, dtype: torch.dtype) -> Tensor:
    """To dtype; where t has it already, asking torch would take as long as a small product."""
    return t if t.dtype == dtype else t.to(dtype)

Op = TypeVar("Op", bound=Callable[..., Any])


def as_given(product: Op) -> Op:
    """A product in the dtypes it is given, where autocast would round it once more: `precision` has asked it before."""
    @wraps(product)
    def run(*args: Any, **kwargs: Any) -> Any:
        if not autocast_somewhere():
            return product(*args, **kwargs)
        with torch.autocast(args[0].device.type, enabled=False):
            return product(*args, **kwargs)

    return cast(Op, run)
