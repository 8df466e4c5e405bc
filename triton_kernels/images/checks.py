"""What the ops on images ask of their arguments: sizes that fit, in one sentence with the id and the numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import Tensor
from torch.compiler import is_compiling

from ..runtime import checks
from ..runtime.refusals import WrongType, WrongValue

Sides = int | tuple[int, int]       # one number for both directions, or (vertical, horizontal)
Pair = tuple[int, int]


class Layer(NamedTuple):
    """The sizes of one convolution: x (B, C·groups, H, W), w (F, C, M, N), y (B, F, P, Q)."""

    batch: int
    channels: int           # of one group
    filters: int            # of all groups
    input: Pair
    taps: Pair
    output: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @property
    def x_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.channels * self.groups, *self.input

    @property
    def w_shape(self) -> tuple[int, int, int, int]:
        return self.filters, self.channels, *self.taps

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        return self.batch, self.filters, *self.output


def pair(name: str, label: str, sides: Sides | tuple[int], least: int) -> Pair:
    """(vertical, horizontal), each a whole number and at least `least`."""
    both = tuple(sides) if isinstance(sides, Sequence) and not isinstance(sides, str) else (sides, sides)
    both = both * 2 if len(both) == 1 else both
    if len(both) != 2 or not all(hasattr(side, "__index__") for side in both):
        raise WrongType(f"{name}: {label} = {sides}; expected a whole number or two")
    if min(both) < least:
        raise WrongValue(f"{name}: {label} = {sides}; expected at least {least}")
    return whole(both[0]), whole(both[1])


def whole(side: Any) -> int:
    """A Python int of anything that counts as one (NumPy has its own), a tracer's open size as it is."""
    return side if isinstance(side, torch.SymInt) else int(operator.index(side))    # type: ignore[return-value]


def in_numbers(name: str, padding: str, w: Tensor, dilation: Sides) -> Sides:
    """torch's words for paddings: `valid` is none, `same` what keeps the image's size at stride 1."""
    if padding == "valid":
        return 0
    kernel = tuple(w.shape[2:])
    around = [e * (m - 1) for m, e in zip(kernel, pair(name, "dilation", dilation, 1))]
    if padding != "same" or any(both % 2 for both in around):
        raise WrongValue(f"{name}: padding = {padding!r} with a filter of {' × '.join(map(str, kernel))} is not the "
                         "same on both sides, and has no kernel; give numbers, or use torch.nn.functional")
    return around[0] // 2, around[1] // 2


Sizes = TypeVar("Sizes", bound=Callable[..., Any])


def _plain(given: Any) -> bool:
    """Whole numbers, and nothing that only equals one."""
    if isinstance(given, tuple):
        return all(type(n) is int for n in given)
    return given is None or type(given) in (int, bool, str)


def remembered(shapes: int) -> Callable[[Sizes], Sizes]:
    """Sizes are worked out once for each of so many shapes: a training step asks for the same again and again, mostly
    with the very objects. (True and 1.0 equal 1, so others are looked at; what a tracer leaves open has no hash.)"""
    def decorate(sizes: Sizes) -> Sizes:
        known: dict[Any, tuple[Any, Any]] = {}

        @wraps(sizes)
        def look(*how: Any) -> Any:
            if is_compiling():
                return sizes(*how)
            try:
                found, given = known.get(how, (None, ()))
            except TypeError:
                return sizes(*how)
            rest = how[1 + shapes:]
            if found is not None and all(map(operator.is_, given, rest)):
                return found
            if not all(map(_plain, rest)):
                return sizes(*how)
            if found is None:
                found = sizes(*how)
                if len(known) >= 1024:
                    known.clear()
                known[how] = found, rest
            return found

        return cast(Sizes, look)

    return decorate


@remembered(2)
def layer(
    name: str, x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: Sides, padding: Sides, dilation: Sides,
    groups: int,
) -> Layer:
    """The sizes of a layer, or what does not fit."""
    s, r, e = pair(name, "stride", stride, 1), pair(name, "padding", padding, 0), pair(name, "dilation", dilation, 1)
    (batch, depth, *image), (filters, channels, *taps) = x_shape, w_shape
    X, W = checks.called(name, "x", "w")
    if not hasattr(groups, "__index__") or groups < 1 or depth % groups or filters % groups:
        raise WrongValue(f"{name}: groups = {groups} does not divide {depth} channels and {filters} filters")
    if channels * groups != depth:
        raise WrongValue(f"{name}: {X} has {depth} channels, {groups} group(s) of filters read {channels} each")
    if min(taps) < 1 or channels < 1 or filters < 1:
        raise WrongValue(f"{name}: {W} has shape {tuple(w_shape)}; a filter needs at least one entry")
    groups = whole(groups)
    output = [_outputs(name, direction, *sizes) for direction, *sizes in zip(("rows", "columns"), image, taps, s, r, e)]
    _count(name, batch, output)
    _count(name, batch, image)
    return Layer(batch, channels, filters, (image[0], image[1]), (taps[0], taps[1]), (output[0], output[1]), s, r, e,
                 groups)


@remembered(2)
def halved(
    name: str, x_shape: tuple[int, ...], w_shape: tuple[int, ...], stride: Sides, padding: Sides, dilation: Sides,
    groups: int,
) -> Layer:
    """The sizes of a layer whose outputs are pooled in windows of 2 × 2."""
    sizes: Layer = layer(name, x_shape, w_shape, stride, padding, dilation, groups)
    rows, columns = sizes.output
    if min(rows, columns) < 2:
        raise WrongValue(f"{name}: an output of {rows} × {columns} has no 2 × 2 window to pool")
    return sizes


def _outputs(name: str, direction: str, n: int, m: int, stride: int, padding: int, dilation: int) -> int:
    reach = dilation * (m - 1) + 1
    if reach > n + 2 * padding:
        raise WrongValue(f"{name}: the filter reaches over {reach} {direction}, the padded input has "
                         f"{n + 2 * padding}; there is no output")
    return (n + 2 * padding - reach) // stride + 1


def _count(name: str, batch: int, size: list[int]) -> None:
    if batch * size[0] * size[1] >= 2**31 - 2**10:
        raise WrongValue(f"{name}: {batch} × {size[0]} × {size[1]} positions; a kernel counts fewer than 2³¹, "
                         "split the batch")


def forward(
    x: Tensor, w: Tensor, b: Tensor | None, stride: Sides, padding: Sides, dilation: Sides, groups: int,
    name: str = "conv2d.layer", pooled: bool = False,
) -> Layer:
    tensors(x, w, b, name)
    sizes: Layer = (halved if pooled else layer)(name, x.shape, w.shape, stride, padding, dilation, groups)
    if b is not None and b.shape != (sizes.filters,):
        (B,) = checks.called(name, "b")
        checks.rank(name, 1, **{B: b})
        raise WrongValue(f"{name}: {B} has {b.shape[0]} entries for {sizes.filters} filters")
    return sizes


def tensors(x: Tensor, w: Tensor, b: Tensor | None, name: str) -> None:
    """Images, filters and intercepts of one dtype, on one device."""
    if w is None or not (checks.alike(x, w, b) and x.dim() == w.dim() == 4):
        X, W, B = checks.called(name, "x", "w", "b")
        checks.floating(name, **{X: x, W: w, B: b})
        checks.rank(name, 4, **{X: x, W: w})


def grad_x(
    d: Tensor, w: Tensor, H: int, W: int, stride: Sides, padding: Sides, dilation: Sides, groups: int,
    z: Tensor | None, name: str = "conv2d.layer.grad_x",
) -> Layer:
    checks.floating(name, d=d, w=w, z=z)
    checks.rank(name, 4, d=d, w=w)
    image = pair(name, "H, W", (H, W), 0)
    sizes = layer(name, (d.shape[0], w.shape[1] * groups, *image), w.shape, stride, padding, dilation, groups)
    _agree(name, "d", d, sizes.y_shape)
    if z is not None:
        _agree(name, "z", z, sizes.x_shape)
    return sizes


def grad_w(
    d: Tensor, x: Tensor, M: int, N: int, stride: Sides, padding: Sides, dilation: Sides, groups: int,
    w: Tensor | None, lam: float, n: float, name: str = "conv2d.layer.grad_w",
) -> Layer:
    checks.floating(name, d=d, x=x, w=w)
    checks.rank(name, 4, d=d, x=x)
    channels = x.shape[1] // groups if isinstance(groups, int) and groups > 0 else 0
    taps = pair(name, "M, N", (M, N), 0)
    sizes = layer(name, x.shape, (d.shape[1], channels, *taps), stride, padding, dilation, groups)
    _agree(name, "d", d, sizes.y_shape)
    if w is not None:
        _agree(name, "w", w, sizes.w_shape)
    elif lam:
        raise WrongValue(f"{name}: lam = {lam} without w; λ multiplies the filters, pass them")
    checks.examples(name, n)
    return sizes


def grad_b(d: Tensor, n: float, name: str = "conv2d.layer.grad_b") -> None:
    checks.floating(name, d=d)
    checks.rank(name, 4, d=d)
    _count(name, d.shape[0], [d.shape[2], d.shape[3]])
    checks.examples(name, n)


def _agree(name: str, label: str, t: Tensor, shape: tuple[int, ...]) -> None:
    if tuple(t.shape) != shape:
        raise WrongValue(f"{name}: {label} has shape {tuple(t.shape)}; expected {shape}")


class Pool(NamedTuple):
    """The sizes of one pooling: x (B, C, H, W), y (B, C, P, Q)."""

    x_shape: tuple[int, int, int, int]
    window: Pair
    stride: Pair
    padding: Pair
    output: Pair

    @property
    def y_shape(self) -> tuple[int, int, int, int]:
        return *self.x_shape[:2], *self.output


@remembered(1)
def pool(
    name: str, x_shape: tuple[int, ...], k: Sides, stride: Sides | None, padding: Sides, ceil_mode: bool = False
) -> Pool:
    """The sizes of a pooling, or what does not fit."""
    if ceil_mode:
        raise WrongValue(f"{name}: ceil_mode = True; the deck drops a last row or column that fills no window "
                         "(13 becomes 6), so a partial window has no value here; pad the input instead")
    window = pair(name, checks.called(name, "k")[0], k, 1)
    s = pair(name, "stride", k if stride is None else stride, 1)
    r = pair(name, "padding", padding, 0)
    if any(2 * p > m for p, m in zip(r, window)):
        raise WrongValue(f"{name}: padding = {padding} is more than half of the window {window}")
    if window[0] * window[1] > 256:
        raise WrongValue(f"{name}: a window of {window[0]} × {window[1]}; the index in a window has 8 bits, "
                         "at most 256 entries")
    batch, channels, *image = x_shape
    output = [_outputs(name, way, n, m, t, p, 1) for way, n, m, t, p in zip(("rows", "columns"), image, window, s, r)]
    return Pool((batch, channels, image[0], image[1]), window, s, r, (output[0], output[1]))


def layer_pooled(
    x: Tensor, w: Tensor, b: Tensor | None, stride: Sides, padding: Sides, dilation: Sides, groups: int, k: Sides,
) -> tuple[Layer, Pool]:
    name = "conv2d.layer.pool"
    sizes = forward(x, w, b, stride, padding, dilation, groups, name)
    return sizes, pool(name, sizes.y_shape, k, None, 0)


def pooling(
    name: str, x: Tensor, k: Sides, stride: Sides | None, padding: Sides, ceil_mode: bool = False
) -> Pool:
    (X,) = checks.called(name, "x")
    checks.floating(name, **{X: x})
    checks.rank(name, 4, **{X: x})
    return pool(name, x.shape, k, stride, padding, ceil_mode)


def pooled_gradient(
    d: Tensor, index: Tensor, H: int, W: int, k: Sides, stride: Sides | None, padding: Sides, saved: Tensor | None,
    name: str = "pool.max.grad_x",
) -> Pool:
    checks.floating(name, d=d, saved=saved)
    checks.rank(name, 4, d=d)
    sizes = pool(name, (d.shape[0], d.shape[1], *pair(name, "H, W", (H, W), 0)), k, stride, padding)
    if not isinstance(index, Tensor) or index.dtype != torch.uint8:
        kind = str(index.dtype).removeprefix("torch.") if isinstance(index, Tensor) else type(index).__name__
        raise WrongType(f"{name}: index is {kind}; expected uint8, the place in the window that pool.max returns")
    _agree(name, "d", d, sizes.y_shape)
    _agree(name, "index", index, sizes.y_shape)
    if saved is not None:
        _agree(name, "saved", saved, sizes.y_shape)
    return sizes
