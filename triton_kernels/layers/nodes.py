"""The autograd nodes: an activation, a chain of layers, a loss. What each keeps is `saved`'s decision.

Differentiating a gradient of these again raises an error, since no kernel here has a second derivative. (torch's
`once_differentiable` would return zeros without a word where the incoming gradient is a constant.) On a CPU torch's own
nodes mostly stand in their place: `launch.by_torch`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active as transforms_active
from torch._C import _get_tracing_state
from torch._C._functorch import is_legacy_batchedtensor, unwrap_if_dead
from torch.autograd import Function, forward_ad
from torch.compiler import is_compiling
from torch.nn.functional import linear, mse_loss

from ..activations import saved
from ..ops import kernels
from ..runtime import library, traced
from ..runtime.launch import by_torch, fall_back, runs_kernel
from ..runtime.refusals import WrongValue
from . import composite


def room(module: str, name: str, t: Tensor) -> Any:
    """The kernels of a module, or the composites where these have to stand in; while
    tracing, or inside a transform of torch.func, ops of both."""
    transformed = is_compiling() or transforms_active()
    if transformed and module in traced.ROOMS:
        library.ready()
        return traced.ROOMS[module]
    return eager_room(module, name, t)


def eager_room(module: str, name: str, t: Tensor) -> Any:
    if not runs_kernel(t):
        return composite
    if t.dtype == torch.float64:
        fall_back(f"{name}: no kernel computes in float64")
        return composite
    try:
        return kernels(module, name)
    except RuntimeError as missing:
        fall_back(str(missing).split(";")[0])
        return composite


def through(grad: Tensor, kept: Tensor | None, act: str, form: str, p: float) -> Tensor:
    """grad ⊙ g′."""
    if form == "nothing":
        return grad
    result: Tensor = room("activations.kernels", f"act.{act}", grad).backward(grad, kept, act, form, p)
    return result


class _NoSecond(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(grad: Tensor, *came_from: Tensor) -> Tensor:
        return grad.view_as(grad)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        raise RuntimeError(
            "a gradient of chainrule.triton_kernels.functional cannot be differentiated again; use "
            "torch.nn.functional where a second derivative is needed")


def once(backward: Callable[..., tuple[Any, ...]]) -> Callable[..., tuple[Any, ...]]:
    """Let a backward pass run unrecorded, and its results refuse to be differentiated."""

    @wraps(backward)
    def run(ctx: Any, *grads: Any) -> tuple[Any, ...]:
        if grads[0] is None:                    # nothing came back, and no zeros were filled in for it
            return (None,) * len(ctx.needs_input_grad)
        if not is_compiling() and is_legacy_batchedtensor(grads[0]):
            return _each(run, ctx, grads)
        if not torch.is_grad_enabled():         # as autograd calls it, unless asked for create_graph
            return backward(ctx, *grads)
        with torch.no_grad():
            results = backward(ctx, *grads)
        came_from = [t for t in (*ctx.saved_tensors, *grads) if t is not None and t.requires_grad]
        refuse: Callable[..., Tensor] = _NoSecond.apply
        return tuple(None if r is None else refuse(r, *came_from) for r in results)

    return run


def _each(backward: Callable[..., tuple[Any, ...]], ctx: Any, grads: tuple[Any, ...]) -> tuple[Any, ...]:
    """The gradients of a batch of upstream gradients (`is_grads_batched`, `vectorize=True`), one after the other."""
    level = torch._C._vmapmode_increment_nesting() - 1
    torch._C._vmapmode_decrement_nesting()
    n = len(torch._remove_batch_dim(grads[0], level, 1, 0))
    whole = [None if g is None else torch._remove_batch_dim(g, level, n, 0) for g in grads]
    rows = [backward(ctx, *(None if g is None else g[i] for g in whole)) for i in range(n)]
    return tuple(None if column[0] is None else torch._add_batch_dim(torch.stack(column), 0, level)
                 for column in zip(*rows))


def aside(ctx: Any, *outputs: Tensor) -> None:
    """Outputs without a gradient; autograd need not fill zeros in for one."""
    ctx.mark_non_differentiable(*outputs)
    ctx.materialize_grads = False


class Activation(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, act: str, p: float) -> Any:
        return room("activations.kernels", f"act.{act}", z).value(z, act, p)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        z, ctx.act, ctx.p = inputs
        ctx.form = saved.shown(ctx.act, z.dtype, ctx.p)
        ctx.save_for_backward(output if ctx.form == "a" else z if ctx.form == "z" else None)

    @staticmethod
    @once
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        return through(grad, ctx.saved_tensors[0], ctx.act, ctx.form, ctx.p), None, None


class Layer(Function):
    """One layer g(x wᵀ + b). Returned besides a, without a gradient of its own: z, if g′ is to be read off it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, w: Tensor, b: Tensor | None, how: tuple[str, float, str | None, str]
    ) -> tuple[Tensor, ...]:
        act, p, math, form = how
        keep_z = form == "z"
        a, z = room("layers.kernels", "net.layer.affine", x).affine_keeping(x, w, b, act, p, keep_z, math)
        return (a, z) if keep_z else (a,)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, w, _, ctx.how = inputs
        aside(ctx, *output[1:])
        ctx.save_for_backward(x, w, None if ctx.how[3] == "nothing" else output[-1])

    @staticmethod
    @once
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, w, kept = ctx.saved_tensors
        act, p, math, form = ctx.how
        wants_x, wants_w, wants_b, _how = ctx.needs_input_grad
        linear = room("layers.kernels", "bp.delta.chain", grad)
        delta = through(grad, kept, act, form, p)
        dx = dw = db = None
        if wants_w or wants_b:
            dw, db = linear.averaged(delta, x, w, 0.0, 1.0, wants_b, math)
        if wants_x:
            dx, _z = linear.affine_keeping(delta, w.t(), None, "identity", 0.0, False, math)
        return dx, dw if wants_w else None, db, None


class Chain(Function):
    """Layers of one network as one node, so that δ ⊙ g′ rides on the product with the next layer's weights.

    Returned besides the last z, without gradients of their own: the hidden layers' activations, then each z
    that g′ is to be read off.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        x: Tensor, act: str, p: float, math: str | None, keep: bool, *parameters: Tensor | None
    ) -> tuple[Tensor, ...]:
        linear = room("layers.kernels", "net.layer.affine", x)
        last = len(parameters) // 2 - 1
        keep_z = keep and saved.form(act, x.dtype, p) == "z"
        activations, zs = [x], []
        for l in range(last + 1):
            w, b = parameters[2 * l : 2 * l + 2]
            g, kept = (act, keep_z) if l < last else ("identity", False)
            a, z = linear.affine_keeping(activations[-1], w, b, g, p, kept, math)
            activations.append(a)
            zs += [z] if kept else []
        return (activations[-1], *activations[1:-1], *zs) if keep else (activations[-1],)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        x, ctx.act, ctx.p, ctx.math, _, *parameters = inputs
        ctx.biased = [b is not None for b in parameters[1::2]]
        ctx.form = saved.form(ctx.act, x.dtype, ctx.p)
        aside(ctx, *output[1:])
        ctx.save_for_backward(x, *parameters[::2], *output[1:])

    @staticmethod
    @once
    def backward(ctx: Any, delta: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        layers, tensors, needed = len(ctx.biased), ctx.saved_tensors, ctx.needs_input_grad
        weights, zs = tensors[1 : layers + 1], tensors[2 * layers :]
        a = [tensors[0], *tensors[layers + 1 : 2 * layers]]             # a[l] enters layer l
        linear = room("layers.kernels", "bp.delta.chain", delta)
        g_prime = linear.derivative(ctx.act, ctx.form)
        gradients: list[Tensor | None] = [None] * (5 + 2 * layers)      # as forward's arguments
        db: Tensor | None = None
        for l in reversed(range(layers)):
            here = 5 + 2 * l
            wants_w, wants_b = needed[here], needed[here + 1]
            if wants_w or (wants_b and db is None):
                unsummed = wants_b and db is None
                dw, sums = linear.averaged(delta, a[l], weights[l], 0.0, 1.0, unsummed, ctx.math)
                gradients[here] = dw if wants_w else None
                db = sums if db is None else db
            gradients[here + 1] = db if wants_b else None
            if not any(needed[:here]):
                break
            if l == 0:
                w = weights[0].t()
                gradients[0], _z = linear.affine_keeping(delta, w, None, "identity", 0.0, False, ctx.math)
            else:
                kept = zs[l - 1] if ctx.form == "z" else a[l]
                delta, db = linear.delta_through(
                    delta, weights[l], kept, g_prime, ctx.p, "bp.delta.chain", ctx.math)
        return tuple(gradients)


class Loss(Function):
    """A loss per entry, its mean or its sum; its delta, computed in the same pass, waits for the backward pass."""

    generate_vmap_rule = True

    @staticmethod
    def forward(identity: str, input: Tensor, target: Tensor, reduction: str) -> tuple[Tensor, Tensor]:
        loss, delta = room("losses.kernels", identity, input).OPS[identity](input, target)
        return loss.mean() if reduction == "mean" else loss.sum() if reduction == "sum" else loss, delta

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.identity, input, _, reduction = inputs
        ctx.n = input.numel() if reduction == "mean" else 1
        aside(ctx, output[1])
        ctx.save_for_backward(output[1], input)

    @staticmethod
    @once
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        delta, input = ctx.saved_tensors
        scaled = room("losses.kernels", ctx.identity, delta).scaled
        to_input = scaled(delta, grad, ctx.n) if ctx.needs_input_grad[1] else None
        if not ctx.needs_input_grad[2]:
            return None, to_input, None, None
        # ∂L/∂y is −δ of the square loss, and −z of the cross entropy
        return None, to_input, scaled(delta if ctx.identity == "loss.square" else input, -grad, ctx.n), None


def applied(node: type[Function], *args: Any) -> Any:
    """node.apply(*args), and quickly. Eagerly, torch would read the signature of `forward` at every call, which takes
    longer than all the rest; these arguments are complete, so that nothing has to be filled in."""
    if is_compiling():
        return node.apply(*args)                            # type: ignore[no-untyped-call]
    _backward_only(node.__name__)
    if transforms_active():
        return node.apply(*args)                            # type: ignore[no-untyped-call]
    alive = [unwrap_if_dead(t) if isinstance(t, Tensor) else t for t in args]
    return super(Function, node).apply(*alive)              # type: ignore[misc]


def _backward_only(what: str) -> None:
    """Our nodes know their gradients backward, and Python alone runs them."""
    if forward_ad._current_level >= 0:
        raise WrongValue(f"{what}: derivatives in forward mode have no kernel")
    if _get_tracing_state() is not None:
        raise WrongValue(f"{what}: torch.jit.trace records no kernel")


def as_ops(t: Any) -> bool:
    """Is a call on this tensor recorded as ops: traced, or transformed, where a kernel is to run?"""
    if is_compiling():
        return not by_torch(t)
    if not transforms_active() or by_torch(t):
        return False
    _backward_only("image")
    return True


def activation(z: Tensor, act: str, p: float) -> Tensor:
    p = float(p)
    if by_torch(z):
        return activated(z, act, p)
    a: Tensor = applied(Activation, z, act, p)
    return a


def activated(z: Tensor, act: str, p: float) -> Tensor:
    """g(z) by torch, whose nodes read g′ off a: only where `saved` would, too."""
    if act == "identity":
        return z
    a: Tensor = applied(Activation, z, act, p) if saved.form(act, z.dtype, p) == "z" else composite.VALUE[act](z, p)
    return a


def recorded(*tensors: Tensor | None) -> bool:
    """Will autograd want a gradient of one of them?"""
    if torch.is_grad_enabled():
        for t in tensors:
            if t is not None and t.requires_grad:
                return True
    return False


def layer(x: Tensor, w: Tensor, b: Tensor | None, act: str, p: float, math: str | None) -> Tensor:
    if by_torch(x):
        return activated(linear(x, w, b), act, p)
    form = saved.shown(act, x.dtype, p) if recorded(x, w, b) else "nothing"
    a: Tensor = applied(Layer, x, w, b, (act, p, math, form))[0]
    return a


def chain(x: Tensor, parameters: tuple[Any, ...], act: str, p: float, math: str | None) -> Tensor:
    """Layers (w, b, w, b, …): g is `act` after all but the last, which has none."""
    if by_torch(x):
        *hidden, last = zip(parameters[::2], parameters[1::2])
        for w, b in hidden:
            x = activated(linear(x, w, b), act, p)
        return linear(x, *last)
    keep = recorded(x, *parameters)
    if not keep and is_compiling():         # Dynamo counts a node's arguments, of which * leaves the number open
        return Chain.forward(x, act, p, math, keep, *parameters)[0]
    z: Tensor = applied(Chain, x, act, p, math, keep, *parameters)[0]
    return z


def loss(identity: str, input: Tensor, target: Tensor, reduction: str) -> Tensor:
    """`mean`, `sum` or `none` of a loss per entry."""
    if identity == "loss.square" and by_torch(input):       # torch's loss from logits cancels where g(z) is near y
        return mse_loss(input, target, reduction=reduction)
    result: Tensor = applied(Loss, identity, input, target, reduction)[0]
    return result
