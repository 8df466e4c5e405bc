"""What torch eager must do, by its own operator list: each operator that computes is a kernel at least, which reads
its arguments and writes its results once. A lower bound: fused optimizers count as one kernel, and an argument whose
values an operator ignores counts as nothing."""

from __future__ import annotations

from collections import Counter
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

#: Arguments that are passed but not read, or of which one element a row is.
UNREAD = {"aten.nll_loss_backward": {"self"}, "aten.fill_": {"self"}, "aten.zero_": {"self"}, "aten.copy_": {"self"}}
ONE_A_ROW = {"aten.nll_loss_forward": {"self"}}
#: Results and allocations that cost no kernel.
FREE = {"aten.detach", "aten.empty", "aten.empty_like", "aten.new_empty", "aten.new_empty_strided",
        "aten.empty_strided", "aten._local_scalar_dense", "aten.set_"}


class Operators(TorchDispatchMode):     # type: ignore[no-untyped-call]
    """Counts kernels and bytes of everything torch is asked for while it is active."""

    def __init__(self) -> None:
        super().__init__()                  # type: ignore[no-untyped-call]
        self.calls: Counter[str] = Counter()
        self.bytes_read = self.bytes_written = 0

    @property
    def launches(self) -> int:
        return self.calls.total()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        results = func(*args, **kwargs)
        name = f"{func.namespace}.{func._schema.name.split('::')[1]}"
        arguments = list(zip(func._schema.arguments, args)) + [
            (a, kwargs[a.name]) for a in func._schema.arguments if a.name in kwargs]
        if func.namespace == "aten" and name not in FREE and not view(func) and not empty(results):
            self.book(name, arguments, results)
        return results

    def book(self, name: str, arguments: list[tuple[Any, Any]], results: Any) -> None:
        self.calls[name] += 1
        mutated: set[int] = set()
        for argument, value in arguments:
            for t in tensors(value):
                written = argument.alias_info is not None and argument.alias_info.is_write
                if written:
                    mutated.add(id(t))
                    self.bytes_written += size(t)
                if argument.name not in UNREAD.get(name, ()):
                    whole = argument.name not in ONE_A_ROW.get(name, ())
                    self.bytes_read += size(t) if whole else t.shape[0] * t.element_size()
        self.bytes_written += sum(size(t) for t in tensors(results) if id(t) not in mutated)


def view(func: Any) -> bool:
    """Does it return another look at its argument, and write nothing?"""
    returned = [r.alias_info for r in func._schema.returns]
    return any(r is not None and not r.is_write for r in returned)


def empty(results: Any) -> bool:
    """Has it results without an element, and no others? Then there is nothing to launch."""
    found = tensors(results)
    return bool(found) and not any(t.numel() for t in found)


def tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [t for one in value for t in tensors(one)] if isinstance(value, list | tuple) else []


def size(t: Tensor) -> int:
    """Bytes in memory: what an expanded tensor repeats is there once."""
    count = 1
    for n, stride in zip(t.shape, t.stride()):
        count *= n if stride else min(n, 1)
    return count * t.element_size()
