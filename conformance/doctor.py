"""`chainrule doctor`: what is installed, where kernels would run, and whether this Triton is one we accept."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator

from .results import versions

Line = tuple[str, str]


def lines(simulator: bool) -> Iterator[Line]:
    """(subject, finding) pairs; `simulator` also runs the simulator's own feature table."""
    found = versions()
    yield "chainrule", found.pop("chainrule")
    yield "machine", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    yield "packages", ", ".join(f"{name} {version}" for name, version in found.items())
    yield from _device()
    if os.environ.get("CHAINRULE_STRICT") == "1":
        yield "strict", "CHAINRULE_STRICT=1: an op without a kernel raises instead of falling back"
    if simulator:
        yield "simulator", _simulator()


def _device() -> Iterator[Line]:
    import torch

    from ..triton_kernels import launch

    if torch.cuda.is_available():
        yield "GPU", f"{torch.cuda.get_device_name()} ({launch.current_arch()}), CUDA {torch.version.cuda}"
        yield "conform", "runs natively; --simulate runs the simulator instead"
        yield "training", "CUDA tensors run our kernels, CPU tensors torch's composites"
    else:
        yield "GPU", "none that torch sees"
        yield "conform", "runs in the simulator: verdicts on the kernels' arithmetic, none on a device"
        yield "training", "CPU tensors run torch's composites of the same equations"


def _simulator() -> str:
    try:
        from .simulator import features
    except ModuleNotFoundError as missing:
        return f'{missing.name} is not installed; pip install "chainrule[conformance]" brings it'
    rows = features()
    wrong = [row.feature for row in rows if not row.ok]
    if wrong:
        return f"refuses this Triton: {len(wrong)} of {len(rows)} features differ ({', '.join(wrong[:5])})"
    return f"accepts this Triton: {len(rows)} of {len(rows)} features behave"
