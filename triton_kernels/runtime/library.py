"""The kernels as torch.library ops: what `torch.compile` and `torch.export` record in place of a call.

Dynamo sees one op; below it the op opens up. For CUDA tensors the graph then holds our Triton kernels, for CPU tensors
the composite's ATen ops, and Inductor schedules, fuses and launches either. (What torch computes anyway, `by_torch`,
is no op at all.) An exported program keeps the op whole, wherever it was exported, so that it runs a kernel where there
is one; who loads one calls `registered()` first, here and in `image_library`.

Matrix products of 16-bit CUDA tensors stay opaque (`…_boxes`) where a GPU has kernels that move boxes: their tensor
descriptors hold addresses, which a graph has not, and torch (2.11 to 2.13) records none below Dynamo. Such a call costs
a dispatch in Python, which these products are worth.

Each op says beforehand which shapes come out. They are registered when a function is first traced, since that costs
time which eager code need not pay. Outputs that are not asked for come back empty, because an op may not return one
tensor twice.
"""

from __future__ import annotations

import hashlib
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.library import custom_op, triton_op
from torch.types import Number

from ..bands import ops as band_library
from ..layers import composite
from ..losses import composite as composite_losses
from ..norms import composite as composite_norm
from .configs import is_pinned, rows
from .launch import current_arch, traced

NAMESPACE = "chainrule"
CLASSES = "loss.softmax.weighted"


def _eager(module: str, name: str, t: Tensor) -> Any:
    from ..layers.nodes import eager_room

    found = eager_room(module, name, t)
    if found is not composite:
        return found
    return composite_norm if module == "norms.kernels" else composite_losses if name == CLASSES else composite


def in_boxes(table: str, t: Tensor) -> bool:
    """Would kernels that move boxes take this product, once there are addresses?"""
    return (
        traced(t) and t.is_cuda and t.element_size() == 2 and not is_pinned(table)
        and bool(rows(f"{table}.boxes", current_arch(t.device), t.dtype)))


def _nothing(like: Tensor) -> Tensor:
    return like.new_empty(0)


def act_value(z: Tensor, act: str, p: float) -> Tensor:
    result: Tensor = _eager("activations.kernels", f"act.{act}", z).value(z, act, p)
    return result


def act_backward(grad: Tensor, saved: Tensor, act: str, form: str, p: float) -> Tensor:
    result: Tensor = _eager("activations.kernels", f"act.{act}", grad).backward(grad, saved, act, form, p)
    return result


def affine_keeping(
    x: Tensor, w: Tensor, b: Tensor | None, act: str, p: float, keep_z: bool, math: str | None
) -> tuple[Tensor, Tensor]:
    if in_boxes("net.layer.affine", x):
        whole: tuple[Tensor, Tensor] = torch.ops.chainrule.affine_keeping_boxes(x, w, b, act, p, keep_z, math)
        return whole
    a, z = _eager("layers.kernels", "net.layer.affine", x).affine_keeping(x, w, b, act, p, keep_z, math)
    return a, z if keep_z else _nothing(x)


def _affine_fake(x: Tensor, w: Tensor, b: Any, act: str, p: float, keep_z: bool, math: Any) -> tuple[Tensor, Tensor]:
    a = x.new_empty((x.shape[0], w.shape[0]))
    return a, torch.empty_like(a) if keep_z else _nothing(x)


def averaged(
    delta: Tensor, a: Tensor, w: Tensor, lam: float, n: float, intercepts: bool, math: str | None
) -> tuple[Tensor, Tensor]:
    if in_boxes("alg.average", delta):
        whole: tuple[Tensor, Tensor] = torch.ops.chainrule.averaged_boxes(delta, a, w, lam, n, intercepts, math)
        return whole
    D, Db = _eager("layers.kernels", "alg.average", delta).averaged(delta, a, w, lam, n, intercepts, math)
    return D, _nothing(w) if Db is None else Db


def _averaged_fake(delta: Tensor, a: Tensor, w: Tensor, lam: float, n: float, intercepts: bool, math: Any) -> Any:
    return w.new_empty(w.shape), w.new_empty(w.shape[0] if intercepts else 0)


def delta_through(
    delta: Tensor, w: Tensor, saved: Tensor, act: str, form: str, p: float, name: str, math: str | None
) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor]
    if in_boxes("bp.delta", delta):
        found = torch.ops.chainrule.delta_through_boxes(delta, w, saved, act, form, p, name, math)
        return found
    linear = _eager("layers.kernels", name, delta)
    found = linear.delta_through(delta, w, saved, linear.derivative(act, form), p, name, math)
    return found


def _delta_fake(delta: Tensor, w: Tensor, saved: Tensor, act: str, form: str, p: float, name: str, math: Any) -> Any:
    return delta.new_empty((delta.shape[0], w.shape[1])), delta.new_empty(w.shape[1])


def loss(identity: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    from ..ops import COMPOSITES

    room = _eager("losses.kernels", identity, input)
    found: tuple[Tensor, Tensor] = (room.OPS if identity in room.OPS else COMPOSITES)[identity](input, target)
    return found


def _loss_fake(identity: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    rows = input.new_empty(input.shape[0]) if identity == "loss.softmax" else torch.empty_like(input)
    return rows, torch.empty_like(input)


def class_loss(
    z: Tensor, y: Tensor, w: Tensor | None, ignored: int, smoothing: float
) -> tuple[Tensor, Tensor, Tensor]:
    found: tuple[Tensor, Tensor, Tensor] = _eager("losses.kernels", CLASSES, z).weighted(
        z, y, w, ignored, smoothing)
    return found


def _class_loss_fake(z: Tensor, *rest: Any) -> tuple[Tensor, Tensor, Tensor]:
    return z.new_empty(z.shape[0]), torch.empty_like(z), z.new_empty(z.shape[0])


def loss_averaged(loss: Tensor, mass: Tensor) -> tuple[Tensor, Tensor]:
    found: tuple[Tensor, Tensor] = _eager("losses.kernels", CLASSES, loss).averaged(loss, mass)
    return found


def loss_shared(delta: Tensor, grad: Tensor, mass: Tensor) -> Tensor:
    result: Tensor = _eager("losses.kernels", CLASSES, delta).shared(delta, grad, mass)
    return result


def scaled(delta: Tensor, grad: Tensor, n: int) -> Tensor:
    result: Tensor = _eager("losses.kernels", "loss", delta).scaled(delta, grad, n)
    return result


def sgd(theta: Tensor, D: Tensor, eta: Number) -> Tensor:
    result: Tensor = _eager("updates.sgd", "opt.sgd", theta).sgd(theta, D, eta)
    return result


def sgd_(theta: Tensor, D: Tensor, eta: Number) -> None:
    _eager("updates.sgd", "opt.sgd", theta).sgd_(theta, D, eta)


def norm_statistics(x: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    norm = _eager("norms.kernels", "norm.batch", x)
    found: tuple[Tensor, Tensor] = norm.statistics(norm.walked(x), eps)
    return found


def norm_running(x: Tensor, eps: float, mu: Tensor, var: Tensor, rho: Number) -> tuple[Tensor, Tensor]:
    norm = _eager("norms.kernels", "norm.batch.running", x)
    found: tuple[Tensor, Tensor] = norm.statistics(norm.walked(x), eps, (mu, var), rho, (mu, var))
    return found


def _wide(x: Tensor, *shape: Any) -> Tensor:
    return x.new_empty(shape, dtype=torch.float64 if x.dtype == torch.float64 else torch.float32)


def _statistics_fake(x: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    return _wide(x, x.shape[1]), _wide(x, x.shape[1])


def norm_root(var: Tensor, eps: float) -> Tensor:
    result: Tensor = _eager("norms.kernels", "norm.batch.inference", var).reciprocal_root(var, eps)
    return result


def norm_applied(
    x: Tensor, mean: Tensor, rstd: Tensor, gamma: Tensor | None, beta: Tensor | None, added: Tensor | None, relu: bool
) -> Tensor:
    norm = _eager("norms.kernels", "norm.batch", x)
    result: Tensor = norm.applied(norm.walked(x), mean, rstd, gamma, beta, added, relu)
    return result


def norm_sums(
    d: Tensor, y: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, half: bool, relu: bool
) -> tuple[Tensor, Tensor, Tensor]:
    norm = _eager("norms.kernels", "norm.batch.grad_gamma", d)
    dtype = x.dtype if half or x.dtype == torch.float64 else torch.float32
    found: tuple[Tensor, Tensor, Tensor] = norm.sums(
        norm.walked(d), norm.walked(y), norm.walked(x), mean, rstd, dtype, relu)
    return found


def _sums_fake(d: Tensor, y: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, half: bool, relu: bool) -> Any:
    C = x.shape[1]
    own = [x.new_empty(C) if half else _wide(x, C) for _ in range(2)]
    return _wide(x, 2, C), own[0], own[1]


def norm_backward(
    d: Tensor, y: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, gamma: Tensor | None, both: Tensor | None,
    relu: bool, added: bool,
) -> tuple[Tensor, Tensor]:
    norm = _eager("norms.kernels", "norm.batch.grad_x", d)
    dx, dz = norm.backward(norm.walked(d), norm.walked(y), norm.walked(x), mean, rstd, gamma, both, relu, added)
    return dx, _nothing(x) if dz is None else dz.clone() if dz is d else dz


def _norm_backward_fake(d: Tensor, y: Tensor, x: Tensor, *rest: Any) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(x) if rest[-1] else _nothing(x)


#: name: (what runs, its shapes, which arguments it changes)
OPS: dict[str, tuple[Any, Any, tuple[str, ...]]] = {
    "act_value": (act_value, lambda z, *rest: torch.empty_like(z), ()),
    "act_backward": (act_backward, lambda grad, *rest: torch.empty_like(grad), ()),
    "affine_keeping": (affine_keeping, _affine_fake, ()),
    "averaged": (averaged, _averaged_fake, ()),
    "delta_through": (delta_through, _delta_fake, ()),
    "loss": (loss, _loss_fake, ()),
    "sgd": (sgd, lambda theta, *rest: torch.empty_like(theta), ()),
    "sgd_": (sgd_, lambda *rest: None, ("theta",)),
    "class_loss": (class_loss, _class_loss_fake, ()),
    "loss_averaged": (loss_averaged, lambda loss, mass: (loss.new_empty(()), _wide(loss)), ()),
    "loss_shared": (loss_shared, lambda delta, *rest: torch.empty_like(delta), ()),
    "scaled": (scaled, lambda delta, *rest: torch.empty_like(delta), ()),
    "norm_statistics": (norm_statistics, _statistics_fake, ()),
    "norm_running": (norm_running, _statistics_fake, ("mu", "var")),
    "norm_root": (norm_root, lambda var, eps: _wide(var, *var.shape), ()),
    "norm_applied": (norm_applied, lambda x, *rest: torch.empty_like(x), ()),
    "norm_sums": (norm_sums, _sums_fake, ()),
    "norm_backward": (norm_backward, _norm_backward_fake, ()),
    **band_library.OPS,
}


#: What `in_boxes` may keep whole.
BOXED = ("affine_keeping", "averaged", "delta_through")


def one_by_one(op: Any, info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[Any, Any]:
    """vmap: the op on each example, stacked."""
    pairs = list(zip(args, in_dims))
    results = [op(*(a.select(d, i) if isinstance(d, int) else a for a, d in pairs)) for i in range(info.batch_size)]
    if isinstance(results[0], Tensor):
        return torch.stack(results), 0
    return tuple(torch.stack(one) for one in zip(*results)), (0,) * len(results[0])


def ready() -> bool:
    """Registers the ops while a function is traced. The mark is what torch.compiler.assume_constant_result sets; that
    itself would import the compiler, and Triton, with this module."""
    registered()
    return True


ready._dynamo_marked_constant = True  # type: ignore[attr-defined]


@cache
def registered() -> SimpleNamespace:
    """The ops by name; the first call registers them."""
    found: dict[str, Any] = {}
    for name, (function, shapes, mutates) in OPS.items():
        found[name] = triton_op(f"{NAMESPACE}::{name}", function, mutates_args=mutates)
        found[name].register_fake(shapes)
        if not mutates:
            found[name].register_vmap(partial(one_by_one, found[name]))
    for name in BOXED:
        whole = custom_op(f"{NAMESPACE}::{name}_boxes", OPS[name][0], mutates_args=())
        whole.register_fake(OPS[name][1])
        found[f"{name}_boxes"] = whole
    keep_caches_apart()
    return SimpleNamespace(**found)


@cache
def keep_caches_apart() -> None:
    """Inductor keeps compiled graphs on disk by what Dynamo saw of them, which is our ops' names: other kernels behind
    the same names are other graphs."""
    import torch._inductor.config as inductor

    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    inductor.unsafe_marked_cacheable_functions = {
        **inductor.unsafe_marked_cacheable_functions, f"torch.ops.{NAMESPACE}": digest}
