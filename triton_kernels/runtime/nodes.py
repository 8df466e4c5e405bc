"""What every autograd node is made with.

Differentiating a gradient of ours again raises an error, since no kernel here has a second derivative. (torch's
`once_differentiable` would return zeros without a word where the incoming gradient is a constant.) On a CPU torch's own
nodes mostly stand in their place: `launch.by_torch`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active as transforms_active
from torch._C import _get_tracing_state
from torch._C._functorch import is_legacy_batchedtensor, unwrap_if_dead
from torch.autograd import Function, forward_ad
from torch.compiler import is_compiling

from .launch import PLAIN, for_onnx
from .refusals import WrongValue


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


def applied(node: type[Function], *args: Any) -> Any:
    """node.apply(*args), and quickly. Eagerly, torch would read the signature of `forward` at every call, which takes
    longer than all the rest; these arguments are complete, so that nothing has to be filled in."""
    if is_compiling():
        _has_our_ops()
        return node.apply(*args)                            # type: ignore[no-untyped-call]
    if forward_ad._current_level >= 0 or _get_tracing_state() is not None:
        _backward_only(node.__name__)
    if transforms_active():
        return node.apply(*args)                            # type: ignore[no-untyped-call]
    return _eagerly(node)(*[unwrap_if_dead(t) if type(t) in PLAIN else t for t in args])


@cache
def _eagerly(node: type[Function]) -> Callable[..., Any]:
    """What node.apply comes to in the end."""
    found: Callable[..., Any] = super(Function, node).apply         # type: ignore[misc]
    return found


def _backward_only(what: str) -> None:
    """Our nodes know their gradients backward, and Python alone runs them."""
    if forward_ad._current_level >= 0:
        raise WrongValue(f"{what}: derivatives in forward mode have no kernel")
    if _get_tracing_state() is not None:
        raise WrongValue(f"{what}: torch.jit.trace records no kernel")


def _has_our_ops() -> None:
    if for_onnx():
        raise WrongValue("ONNX has no op of ours")


def in_graph() -> bool:
    """Is a graph recorded, or a transform of torch.func active?"""
    return is_compiling() or transforms_active()


def recorded(*tensors: Tensor | None) -> bool:
    """Will autograd want a gradient of one of them?"""
    if torch.is_grad_enabled():
        for t in tensors:
            if t is not None and t.requires_grad:
                return True
    return False
