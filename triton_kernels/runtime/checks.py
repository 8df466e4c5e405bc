"""What every op asks of its arguments, for kernel and composite alike: one sentence, the id first, then the
numbers."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ... import sort_of
from .refusals import WrongType, WrongValue

_FLOATING = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
PLAIN = (torch.Tensor, torch.nn.Parameter)
_STRIDED = torch.strided


def alike(first: Any, *others: Tensor | None) -> bool:
    """Is all well, as `floating` asks it? Most calls are right, and need no words for what is not."""
    if type(first) not in PLAIN or first.dtype not in _FLOATING or first.layout is not _STRIDED:
        return False
    dtype, device = first.dtype, first.device
    for t in others:
        if t is not None and not (type(t) in PLAIN and t.dtype is dtype and t.device == device
                                  and t.layout is _STRIDED):
            return False
    return True


def floating(name: str, **tensors: Tensor | None) -> None:
    """All given tensors are floating, of one dtype and on one device; None is a tensor left out."""
    if alike(*tensors.values()):
        return
    first: tuple[str, Tensor] | None = None
    for label, t in tensors.items():
        if t is None and first is not None:
            continue
        if not isinstance(t, torch.Tensor):
            raise WrongType(f"{name}: {label} is {'None' if t is None else sort_of(t)}; expected a tensor")
        if t.dtype not in _FLOATING:
            raise WrongType(f"{name}: {label} is {short(t)}; expected float16, bfloat16, float32 or float64")
        whole(name, label, t)
        if type(t) not in PLAIN and type(t).__torch_function__ is not torch._C._disabled_torch_function_impl:
            raise WrongType(f"{name}: {label} is {sort_of(t)}, whose torch functions are its own; no kernel sees one")
        if t.layout is not torch.strided:
            raise WrongType(f"{name}: {label} is {str(t.layout).removeprefix('torch.')}; kernels read strided tensors")
        if first is None:
            first = label, t
        elif t.dtype != first[1].dtype:
            raise WrongType(
                f"{name}: {label} is {short(t)}, {first[0]} is {short(first[1])}; expected one dtype")
        elif t.device != first[1].device:
            kind = WrongValue if 0 in (t.dim(), first[1].dim()) else ValueError     # torch takes a number from anywhere
            raise kind(f"{name}: {label} is on {t.device}, {first[0]} is on {first[1].device}; expected one device")


def whole(name: str, label: str, t: Tensor) -> None:
    if hasattr(t, "to_local"):
        raise WrongType(f"{name}: {label} is sharded (a DTensor); fully_shard the module whose forward uses it, not "
                        "the layers in it, or give to_local()")


def tensors(name: str, **given: object) -> None:
    for label, t in given.items():
        if type(t) not in PLAIN and not isinstance(t, torch.Tensor):
            raise WrongType(f"{name}: {label} is {'None' if t is None else sort_of(t)}; expected a tensor")


def called(name: str, *labels: str) -> tuple[str, ...]:
    """What the caller calls these arguments: an id (with a dot) has the deck's letters, a function torch's words."""
    return labels if "." in name or name.startswith("mlp") else tuple(_TORCHS.get(label, label) for label in labels)


_TORCHS = {"x": "input", "z": "input", "y": "target", "w": "weight", "b": "bias", "k": "kernel_size"}


def kernel_dtype(name: str, t: Tensor) -> None:
    if t.dtype == torch.float64:
        raise WrongType(f"{name}: the kernel computes in float32, {short(t)} would lose half its digits; "
                        "use float32, or a CPU tensor, which runs as a composite")


def rank(name: str, expected: int, **tensors: Tensor) -> None:
    for label, t in tensors.items():
        if not isinstance(t, torch.Tensor):
            raise WrongType(f"{name}: {label} is {'None' if t is None else sort_of(t)}; expected a tensor")
        if t.dim() != expected:
            raise WrongValue(f"{name}: {label} has shape {tuple(t.shape)}; expected {expected} dimension"
                             f"{'s' if expected != 1 else ''}")


def sizes(name: str, shapes: str, **pairs: tuple[int, int]) -> None:
    """Each pair of sizes agrees; `shapes` says what was expected."""
    for label, (one, other) in pairs.items():
        if one != other:
            raise WrongValue(f"{name}: {label} differ: {one} and {other}; expected {shapes}")


def same_shape(name: str, **tensors: Tensor) -> None:
    (one, s), (other, t) = tensors.items()
    if s.shape != t.shape:
        raise WrongValue(
            f"{name}: {one} has shape {tuple(s.shape)}, {other} has {tuple(t.shape)}; expected equal shapes")


def examples(name: str, n: float) -> None:
    if not n > 0:
        raise WrongValue(f"{name}: n = {n}; an average needs at least one example")


def average(delta: Tensor, a: Tensor, w: Tensor, n: float, name: str = "alg.average") -> None:
    floating(name, delta=delta, a=a, w=w)
    rank(name, 2, delta=delta, a=a, w=w)
    shapes = "delta (B, O), a (B, I), w (O, I)"
    sizes(name, shapes, **{
        "rows of delta and of a": (delta.shape[0], a.shape[0]),
        "columns of delta and rows of w": (delta.shape[1], w.shape[0]),
        "columns of a and of w": (a.shape[1], w.shape[1]),
    })
    examples(name, n)


def same(name: str, **tensors: Tensor) -> None:
    """Two floating tensors, alike in dtype, device and shape."""
    floating(name, **tensors)
    same_shape(name, **tensors)


def short(t: object) -> str:
    return str(t.dtype).removeprefix("torch.") if isinstance(t, torch.Tensor) else type(t).__name__


def odd(name: str, m: int) -> int:
    """(m − 1)/2, the reach of a centred filter."""
    if m < 1 or m % 2 == 0:
        raise WrongValue(f"{name}: the filter has m = {m} entries; a centred filter needs an odd number")
    return (m - 1) // 2
