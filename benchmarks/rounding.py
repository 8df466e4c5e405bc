"""Does the GPU round as the simulator says? The same kernels on the same numbers, here and there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from chainrule.triton_kernels import OPS

FORMATS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def casts() -> dict[str, Any]:
    """Every 16-bit pattern's neighbourhood: float32 numbers rounded by the device and by our own model of formats."""
    from chainrule.conformance.judging.numbers.formats import round_to

    generator = torch.Generator().manual_seed(0)
    patterns = torch.randint(-(2**31), 2**31 - 1, (2**20,), generator=generator).to(torch.int32).view(torch.float32)
    ties = (torch.arange(2**16, dtype=torch.int32) * 2**16 + 2**15).view(torch.float32)
    numbers = torch.cat([patterns, ties])
    numbers = numbers[numbers.isfinite()]
    found = {}
    for name, dtype in FORMATS.items():
        device = numbers.cuda().to(dtype).double().cpu()
        model = torch.from_numpy(round_to(numbers.double().numpy(), name))
        found[name] = {"numbers": len(numbers), "differ": int((device != model).sum())}
    return found


def steps_apart(a: Tensor, b: Tensor) -> int:
    """How many floating-point numbers lie between the two, at most; NaN against NaN is nothing."""
    whole = {2: torch.int16, 4: torch.int32}[a.element_size()]

    def line(t: Tensor) -> Tensor:
        bits = t.contiguous().view(whole).long()
        lowest = torch.iinfo(whole).min
        return torch.where(bits < 0, lowest - bits, bits)

    one, other = a.isnan(), b.isnan()
    if (one != other).any():
        return 2**62
    return int((line(a) - line(b)).abs()[~one].max()) if (~one).any() else 0


def kernels() -> dict[str, Any]:
    """Largest distance, in floating-point numbers, between a kernel's results natively and simulated."""
    from chainrule.conformance.simulator import simulate

    generator = torch.Generator().manual_seed(1)
    z = torch.randn(4096, generator=generator) * 4
    x, w = torch.randn(64, 32, generator=generator), torch.randn(48, 32, generator=generator)
    whole = [torch.randint(-8, 9, shape, generator=generator).float() for shape in ((64, 32), (48, 32))]
    jobs: dict[str, Callable[..., Tensor]] = {}
    data: dict[str, tuple[Tensor, ...]] = {}
    for act in ("sigmoid", "tanh", "relu", "elu"):
        for name, dtype in {"fp32": torch.float32, **FORMATS}.items():
            jobs[f"act.{act} {name}"], data[f"act.{act} {name}"] = OPS[f"act.{act}"], (z.to(dtype),)
    for precision in ("ieee", "tf32"):
        layer = lambda x, w, p=precision: OPS["net.layer.affine"](x, w, None, "identity", precision=p)
        jobs[f"product {precision}"], data[f"product {precision}"] = layer, (x, w)
        jobs[f"exact product {precision}"], data[f"exact product {precision}"] = layer, tuple(whole)
    found = {}
    for name, job in jobs.items():
        native = job(*(t.cuda() for t in data[name])).cpu()
        with simulate(check=False):
            found[name] = steps_apart(native, job(*data[name]))
    return found


def model() -> dict[str, Any]:
    found: dict[str, Any] = {"casts": casts()}
    try:
        found["kernels"] = kernels()
    except ModuleNotFoundError as missing:
        found["kernels"] = {"why": f"{missing.name} is not installed, and the simulator needs it"}
    return found
