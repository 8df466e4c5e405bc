"""What every op asks of its arguments, for kernel and composite alike: one sentence, the id first, then the
numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .refusals import WrongType, WrongValue

_FLOATING = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
PLAIN = (torch.Tensor, torch.nn.Parameter)
_STRIDED = torch.strided


def alike(first: Tensor | None, *others: Tensor | None) -> bool:
    """Is all well, as `floating` asks it? Most calls are right, and need no words for what is not."""
    if first is None or type(first) not in PLAIN or first.dtype not in _FLOATING or first.layout is not _STRIDED:
        return False
    dtype, device = first.dtype, first.device
    for t in others:
        if t is not None and not (type(t) in PLAIN and t.dtype == dtype and t.device == device
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
            raise WrongType(f"{name}: {label} is {'None' if t is None else _a(t)}; expected a tensor")
        if t.dtype not in _FLOATING:
            raise WrongType(f"{name}: {label} is {_short(t)}; expected float16, bfloat16, float32 or float64")
        whole(name, label, t)
        if type(t) not in PLAIN and type(t).__torch_function__ is not torch._C._disabled_torch_function_impl:
            raise WrongType(f"{name}: {label} is {_a(t)}, whose torch functions are its own; no kernel sees one")
        if t.layout is not torch.strided:
            raise WrongType(f"{name}: {label} is {str(t.layout).removeprefix('torch.')}; kernels read strided tensors")
        if first is None:
            first = label, t
        elif t.dtype != first[1].dtype:
            raise WrongType(
                f"{name}: {label} is {_short(t)}, {first[0]} is {_short(first[1])}; expected one dtype")
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
            raise WrongType(f"{name}: {label} is {'None' if t is None else _a(t)}; expected a tensor")


def _a(value: object) -> str:
    return f"a {type(value).__name__}"


def called(name: str, *labels: str) -> tuple[str, ...]:
    """What the caller calls these arguments: an id (with a dot) has the deck's letters, a function torch's words."""
    return labels if "." in name or name.startswith("mlp") else tuple(_TORCHS.get(label, label) for label in labels)


_TORCHS = {"x": "input", "z": "input", "y": "target", "w": "weight", "b": "bias", "k": "kernel_size"}


def kernel_dtype(name: str, t: Tensor) -> None:
    if t.dtype == torch.float64:
        raise WrongType(f"{name}: the kernel computes in float32, {_short(t)} would lose half its digits; "
                        "use float32, or a CPU tensor, which runs as a composite")


def rank(name: str, expected: int, **tensors: Tensor) -> None:
    for label, t in tensors.items():
        if not isinstance(t, torch.Tensor):
            raise WrongType(f"{name}: {label} is {'None' if t is None else _a(t)}; expected a tensor")
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


def _follows(x: Tensor, inputs: int, w: Tensor, b: Tensor | None) -> bool:
    """May a layer w, b follow upon so many inputs alike x? Again without words."""
    return (
        alike(w, x, b) and w.dim() == 2 and w.shape[1] == inputs
        and (b is None or (b.dim() == 1 and b.shape[0] == w.shape[0]))
    )


def layer(input: Tensor, weight: Tensor, bias: Tensor | None, name: str) -> None:
    """input (…, I), weight (O, I), bias (O,) or None."""
    if isinstance(input, torch.Tensor) and input.dim() and _follows(input, input.shape[-1], weight, bias):
        return
    floating(name, input=input, weight=weight, bias=bias)
    if input.dim() == 0:
        raise WrongValue(f"{name}: input has shape (); expected (…, I)")
    affine(input if input.dim() == 2 else input.new_empty((0, input.shape[-1])), weight, bias, name)


def layers(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor | None], name: str) -> None:
    """x (B, n₁), weights[l] (n_{l+1}, n_l), biases[l] (n_{l+1},) or None."""
    affine(x, weights[0], biases[0], f"{name}, layer 1")
    for l in range(1, len(weights)):
        inputs, w, b = weights[l - 1].shape[0], weights[l], biases[l]
        if not _follows(x, inputs, w, b):
            affine(x.new_empty((0, inputs)), w, b, f"{name}, layer {l + 1}")


def affine(x: Tensor, w: Tensor, b: Tensor | None, name: str = "net.layer.affine") -> None:
    if isinstance(x, torch.Tensor) and x.dim() == 2 and _follows(x, x.shape[1], w, b):
        return
    X, W, B = called(name, "x", "w", "b")
    floating(name, **{X: x, W: w, B: b})
    rank(name, 2, **{X: x, W: w})
    shapes = f"{X} (B, I), {W} (O, I), {B} (O,)"
    sizes(name, shapes, **{f"columns of {X} and of {W}": (x.shape[1], w.shape[1])})
    if b is not None:
        rank(name, 1, **{B: b})
        sizes(name, shapes, **{f"entries of {B} and rows of {W}": (b.shape[0], w.shape[0])})


def delta(name: str, delta: Tensor, w: Tensor, saved: Tensor, label: str) -> None:
    floating(name, delta=delta, w=w, **{label: saved})
    rank(name, 2, delta=delta, w=w, **{label: saved})
    shapes = f"delta (B, O), w (O, I), {label} (B, I)"
    sizes(name, shapes, **{
        "columns of delta and rows of w": (delta.shape[1], w.shape[0]),
        f"columns of {label} and of w": (saved.shape[1], w.shape[1]),
        f"rows of delta and of {label}": (delta.shape[0], saved.shape[0]),
    })


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
    if not n > 0:
        raise WrongValue(f"{name}: n = {n}; an average needs at least one example")


def classes(z: Tensor, y: Tensor, name: str = "loss.softmax") -> None:
    if (
        alike(z) and z.dim() == 2 and z.shape[1] and isinstance(y, torch.Tensor) and y.dtype == torch.int64
        and y.dim() == 1 and y.shape[0] == z.shape[0] and y.device == z.device
    ):
        return
    Z, Y = called(name, "z", "y")
    floating(name, **{Z: z})
    if not isinstance(y, torch.Tensor) or y.dtype != torch.int64:
        raise WrongType(f"{name}: {Y} is {_short(y)}; expected int64 class indices (shares of classes have no kernel)")
    rank(name, 2, **{Z: z})
    rank(name, 1, **{Y: y})
    sizes(name, f"{Z} (B, K), {Y} (B,)", **{f"rows of {Z} and entries of {Y}": (z.shape[0], y.shape[0])})
    if y.device != z.device:
        raise ValueError(f"{name}: {Y} is on {y.device}, {Z} is on {z.device}; expected one device")
    if z.shape[1] == 0:
        raise WrongValue(f"{name}: {Z} has shape {tuple(z.shape)}; expected at least one class")


def weighted_classes(name: str, z: Tensor, y: Tensor, w: Tensor | None, smoothing: float) -> None:
    """Classes, a weight for each, and a share of the label that goes to all of them."""
    classes(z, y, name)
    if not 0 <= smoothing <= 1:
        raise WrongValue(f"{name}: label smoothing is {smoothing}; expected 0 to 1")
    if w is None:
        return
    Z, W = called(name, "z", "w")
    floating(name, **{Z: z, W: w})
    rank(name, 1, **{W: w})
    sizes(name, f"{Z} (B, K), {W} (K,)", **{f"columns of {Z} and entries of {W}": (z.shape[1], w.shape[0])})


def linear_classes(name: str, x: Tensor, w: Tensor, y: Tensor, weight: Tensor | None, smoothing: float) -> None:
    """The classes of logits that nobody has: as many as rows of w."""
    weighted_classes(name, w.new_empty(1).expand(x.shape[0], w.shape[0]), y, weight, smoothing)


def reduction(name: str, how: str, size_average: object = None, reduce: object = None) -> None:
    if size_average is not None or reduce is not None:
        raise WrongValue(f"{name}: size_average and reduce are gone from torch; give reduction='{{mean, sum or none}}'")
    if how not in ("mean", "sum", "none"):
        raise WrongValue(f"{name}: reduction = {how!r} is unknown; choose 'mean', 'sum' or 'none'")


def same(name: str, **tensors: Tensor) -> None:
    """Two floating tensors, alike in dtype, device and shape."""
    floating(name, **tensors)
    same_shape(name, **tensors)


def _short(t: object) -> str:
    return str(t.dtype).removeprefix("torch.") if isinstance(t, torch.Tensor) else type(t).__name__


def writable(name: str, **tensors: Tensor) -> None:
    """No two elements share memory, as they do in an expanded tensor."""
    for label, t in tensors.items():
        if any(stride == 0 and size > 1 for stride, size in zip(t.stride(), t.shape)):
            raise WrongValue(
                f"{name}: {label} has strides {t.stride()}; an expanded tensor cannot be written in place")


def optimizer(name: str, theta: Tensor, D: Tensor, states: dict[str, Tensor], t: int) -> None:
    """θ, D and the states are alike, and steps are counted from 1."""
    for label, one in {"D": D, **states}.items():
        same(name, **{"theta": theta, label: one})
    if t < 1:
        raise WrongValue(f"{name}: t = {t}; steps are counted from 1")


def batch_norm(name: str, x: Tensor, **channels: Tensor | None) -> None:
    """x (N, C, …) with at least one row, and one number per channel in each of the others; these may be float32."""
    (X,) = called(name, "x")
    floating(name, **{X: x})
    if x.dim() < 2 or not x.numel() or x.numel() // x.shape[1] >= 2**31:
        raise WrongValue(f"{name}: {X} has shape {tuple(x.shape)}; expected (N, C) or (N, C, …) with 1 to 2³¹ − 1 rows")
    for label, t in channels.items():
        if t is None:
            continue
        whole(name, label, t)
        if t.dtype not in (x.dtype, torch.float32):
            raise WrongType(f"{name}: {label} is {_short(t)}, {X} is {_short(x)}; expected that, or float32")
        if t.device != x.device:
            raise ValueError(f"{name}: {label} is on {t.device}, {X} is on {x.device}; expected one device")
        if t.shape != (x.shape[1],):
            raise WrongValue(f"{name}: {label} has shape {tuple(t.shape)}; expected ({x.shape[1]},), one per channel")


def several(name: str, x: Tensor) -> None:
    if x.numel() // x.shape[1] < 2:
        (X,) = called(name, "x")
        raise WrongValue(f"{name}: {X} has shape {tuple(x.shape)}: one value per channel has no unbiased variance")


def filter1d(name: str, theta: Tensor, signal: Tensor, label: str) -> None:
    floating(name, theta=theta, **{label: signal})
    rank(name, 1, theta=theta, **{label: signal})
    if not theta.shape[0]:
        raise WrongValue(f"{name}: theta has 0 entries; a filter needs at least one")


def fits(
    name: str, filter_size: tuple[int, ...], signal_size: tuple[int, ...], labels: tuple[str, str]
) -> None:
    """The filter is no longer than the signal, so that at least one output exists."""
    if any(m > n for m, n in zip(filter_size, signal_size)):
        (m, *_), (n, *_) = zip(*((m, n) for m, n in zip(filter_size, signal_size) if m > n))
        raise WrongValue(f"{name}: {labels[0]} is longer than {labels[1]}: {m} > {n}; there is no output")


def odd(name: str, m: int) -> int:
    """(m − 1)/2, the reach of a centred filter."""
    if m < 1 or m % 2 == 0:
        raise WrongValue(f"{name}: the filter has m = {m} entries; a centred filter needs an odd number")
    return (m - 1) // 2


def image(name: str, **tensors: Tensor) -> None:
    floating(name, **tensors)
    rank(name, 2, **tensors)


def conv1d_valid(theta: Tensor, x: Tensor) -> int:
    """n − m + 1, the number of outputs."""
    filter1d("conv1d.valid", theta, x, "x")
    fits("conv1d.valid", tuple(theta.shape), tuple(x.shape), ("theta", "x"))
    return x.shape[0] - theta.shape[0] + 1


def conv1d_valid_grad_x(d: Tensor, theta: Tensor) -> int:
    """n = len(d) + m − 1, the length of x."""
    filter1d("conv1d.valid.grad_x", theta, d, "d")
    return d.shape[0] + theta.shape[0] - 1


def conv1d_valid_grad_theta(d: Tensor, x: Tensor) -> int:
    """m = n − len(d) + 1, the length of theta."""
    name = "conv1d.valid.grad_theta"
    floating(name, d=d, x=x)
    rank(name, 1, d=d, x=x)
    fits(name, tuple(d.shape), tuple(x.shape), ("d", "x"))
    return x.shape[0] - d.shape[0] + 1


def conv1d_centred(name: str, theta: Tensor, signal: Tensor, label: str) -> int:
    filter1d(name, theta, signal, label)
    return odd(name, theta.shape[0])


def conv1d_centred_grad_theta(d: Tensor, a: Tensor, m: int) -> int:
    name = "conv1d.centred.grad_theta"
    same(name, d=d, a=a)
    rank(name, 1, d=d, a=a)
    return odd(name, m)


def conv2d_valid(I: Tensor, K: Tensor) -> tuple[int, int]:
    """The shape of I ∗ K."""
    return _inner("conv2d.valid", ("K", "I"), K, I)


def conv2d_valid_grad_I(d: Tensor, K: Tensor) -> tuple[int, int]:
    """The shape of I."""
    image("conv2d.valid.grad_I", d=d, K=K)
    return d.shape[0] + K.shape[0] - 1, d.shape[1] + K.shape[1] - 1


def conv2d_valid_grad_K(d: Tensor, I: Tensor) -> tuple[int, int]:
    """The shape of K."""
    return _inner("conv2d.valid.grad_K", ("d", "I"), d, I)


def _inner(name: str, labels: tuple[str, str], window: Tensor, over: Tensor) -> tuple[int, int]:
    image(name, **dict(zip(labels, (window, over))))
    if not window.numel():
        raise WrongValue(
            f"{name}: {labels[0]} has shape {tuple(window.shape)}; a filter needs at least one entry")
    fits(name, tuple(window.shape), tuple(over.shape), labels)
    return over.shape[0] - window.shape[0] + 1, over.shape[1] - window.shape[1] + 1
