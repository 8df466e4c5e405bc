"""Our modules to tools that read a model: torch.fx sees each as one call, as it sees torch's; torch.jit.script, which
compiles Python that it can read, gets torch's module of the same parameters."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.fx import Proxy
from torch.nn.modules.module import _has_any_global_hook

from .launch import fall_back

Forward = TypeVar("Forward", bound=Callable[..., Any])


def leaf(forward: Forward) -> Forward:
    """A module's forward that a symbolic tracer enters into its graph as a call of the module."""

    @wraps(forward)
    def run(self: Any, *inputs: Any, **named: Any) -> Any:
        if inputs and type(inputs[0]) is not Tensor and isinstance(inputs[0], Proxy):
            tracer = inputs[0].tracer
            return tracer.create_proxy("call_module", tracer.path_of_module(self), inputs, named)   # type: ignore
        return forward(self, *inputs, **named)

    return run          # type: ignore[return-value]


def as_class(module: Any, kind: Any) -> Any:
    """Another module of this class, of the same parameters and children."""
    again = kind.__new__(kind)
    again.__dict__.update(module.__dict__, _modules=dict(module.__dict__["_modules"]))
    again.__dict__.pop("patched_from", None)
    return again


def torchs(module: nn.Module) -> type[nn.Module]:
    """The class of torch's that this module computes as: its own, or the twin of ours, patched or not."""
    kind: type[nn.Module] = getattr(type(module), "chained_from", type(module))
    twins = (one for one in kind.__mro__ if one.__module__.startswith("torch.") and one.__name__ == kind.__name__)
    return next(twins, kind) if issubclass(kind, Twin) else kind


def untouched(module: nn.Module) -> bool:
    """Does calling this module run its class's `forward`, and nothing else?"""
    own = module.__dict__
    hooks = (own["_forward_hooks"] or own["_forward_pre_hooks"] or own["_backward_hooks"]
             or own["_backward_pre_hooks"])
    replaced = "forward" in own or "_conv_forward" in own or module._compiled_call_impl is not None
    return not hooks and not replaced


def alone(*modules: nn.Module) -> bool:
    """May somebody else do what calling these does, since nobody would see them called?"""
    return all(map(untouched, modules)) and not _has_any_global_hook()       # type: ignore[no-untyped-call]


class Twin:
    """A torch module of another forward: whoever cannot have ours may have the twin."""

    def __prepare_scriptable__(self) -> Any:
        kind: Any = type(self)
        twin = torchs(self)                         # type: ignore[arg-type]
        if twin is kind:
            raise RuntimeError(f"{kind.__name__}: torch.jit.script cannot compile it; trace or export it")
        fall_back(f"{kind.__name__}: torch.jit.script compiles no kernel", f"torch.nn.{twin.__name__} is scripted")
        return as_class(self, twin)
