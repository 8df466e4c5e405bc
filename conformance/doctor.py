"""`chainrule doctor`: what is installed, where kernels would run, and whether this Triton is one we accept."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from importlib.util import find_spec

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

    from ..triton_kernels.runtime import launch

    triton = find_spec("triton") is not None
    without = "Triton is not installed: torch's composites of the same equations stand in everywhere"
    if not torch.cuda.is_available():
        yield "GPU", "none that torch sees"
        yield "conform", ("runs in the simulator: verdicts on the kernels' arithmetic, none on a device" if triton else
                          "runs the composites and third-party backends; kernels need Triton")
        yield "training", ("CPU tensors run torch's functions of the same equations; explain(fn, …, target='sm_90') "
                           "names the kernels of a GPU" if triton else without)
        return
    arch = launch.current_arch()
    yield "GPU", f"{torch.cuda.get_device_name()} ({arch}), CUDA {torch.version.cuda}"
    yield "conform", "runs natively; --simulate runs the simulator instead"
    yield "training", "CUDA tensors run our kernels, CPU tensors torch's functions" if triton else without
    if triton:
        yield "layers", _layers(arch)


def _layers(arch: str) -> str:
    """The kernel of a layer of 1024 × 1024 at 256 examples, by dtype."""
    import torch

    from ..triton_kernels import functional
    from ..triton_kernels.explain import explain

    found = []
    for dtype in (torch.float32, torch.bfloat16):
        x, w, b = (torch.empty(shape, dtype=dtype, device="meta") for shape in ((256, 1024), (1024, 1024), (1024,)))
        for one in explain(functional.linear_act, x, w, b, target=arch).launches:
            options = one.options
            tile = " × ".join(str(options[side]) for side in ("BM", "BN", "BK") if side in options)
            how = f", {options['PRECISION']}" if dtype == torch.float32 and "PRECISION" in options else ""
            found.append(f"{str(dtype).removeprefix('torch.')} by {one.kernel} ({tile}{how})")
    return "; ".join(found)


def _simulator() -> str:
    try:
        from .simulator.feature_table import rows as features
    except ModuleNotFoundError as missing:
        return f'{missing.name} is not installed; pip install "chainrule[conformance]" brings it'
    rows = list(features())
    wrong = [row.feature for row in rows if not row.ok]
    if wrong:
        return f"refuses this Triton: {len(wrong)} of {len(rows)} features differ ({', '.join(wrong[:5])})"
    return f"accepts this Triton: {len(rows)} of {len(rows)} features behave"
