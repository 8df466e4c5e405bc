"""Liger's functions of the same equations, unmodified, in the simulator, where `make build/third-party` brought them.

The simulator answers what Liger asks of a GPU; its launches and bytes are counted as ours are.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import Tensor

from chainrule.conformance.simulator import Sim, simulate

FOLDER = Path(__file__).parents[1] / "build" / "third-party"


def there() -> bool:
    return (FOLDER / "liger_kernel").is_dir()


def version() -> str:
    (found,) = importlib.metadata.distributions(name="liger-kernel", path=[str(FOLDER)])
    return found.version


@contextmanager
def simulated() -> Iterator[Sim]:
    with simulate(check=False, pretend_cuda="sm_90") as sim:
        sys.path.insert(0, str(FOLDER))
        try:
            yield sim
        finally:
            sys.path.remove(str(FOLDER))


def _applied(module: str, function: str, *given: Tensor) -> Tensor:
    loss: Tensor = getattr(importlib.import_module(f"liger_kernel.ops.{module}"), function).apply(*given)[0]
    return loss


def cross_entropy(logits: Tensor, y: Tensor) -> Tensor:
    return _applied("cross_entropy", "LigerCrossEntropyFunction", logits, y, None)


def linear_cross_entropy(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
    return _applied("fused_linear_cross_entropy", "LigerFusedLinearCrossEntropyFunction", x, w, y)
