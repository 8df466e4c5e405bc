"""An op of training code, declared once by its chapter (`ops.py` there), as torch.library has it.

An op is one function of a room. Its signature is the composite's; its shapes are what the composite gives on meta
tensors. Dynamo sees one op; below it the op opens up: for CUDA tensors the graph then holds our Triton kernels, for CPU
tensors the composite's ATen ops, and Inductor schedules, fuses and launches either. (What torch computes anyway,
`launch.by_torch`, is no op at all.) An exported program keeps the op whole, wherever it was exported, so that it runs a
kernel where there is one; who loads one calls `ops.registered()` first.

Matrix products of 16-bit CUDA tensors stay opaque (`…_boxes`) where a GPU has kernels that move boxes: their tensor
descriptors hold addresses, which a graph has not, and torch (2.11 to 2.13) records none below Dynamo. Such a call costs
a dispatch in Python, which these products are worth.

Ops are registered when a function is first traced, since that costs time which eager code need not pay. Outputs that
are not asked for come back empty, because an op may not return one tensor twice.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_args, get_origin, get_type_hints

import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active as transforms_active
from torch._C import _len_torch_dispatch_stack as onlookers
from torch.compiler import is_compiling
from torch.library import custom_op, triton_op
from torch.utils._python_dispatch import _disable_current_modes, _get_current_dispatch_mode_stack

from . import rooms
from .configs import is_pinned, rows
from .launch import PLAIN, current_arch, runs_kernel, traced
from .rooms import ROOMS, Room

NAMESPACE = "chainrule"


@dataclass(frozen=True)
class Op:
    """One op: its name in torch.library, the function of its room, the equation id that messages name.

    `identity` may depend on the arguments, and so may `boxes`, the table of kernels that move boxes. `flops` counts
    what the op multiplies and adds, as torch's counter does: products alone.
    """

    name: str
    function: str
    identity: str | Callable[..., str]
    mutates: tuple[str, ...] = ()
    boxes: str | Callable[..., str | None] = ""
    flops: Callable[..., int] | None = None


#: By the name in torch.library: the module of kernels, and what was declared.
OPS: dict[str, tuple[str, Op]] = {}


def declare(module: str, composite: Any, *ops: Op, ids: dict[str, Callable[..., Any]] | None = None) -> None:
    """A room, the equations that it computes, and those of its functions that are ops."""
    ROOMS[module] = Room(module, composite, ids or {}, SimpleNamespace(**{
        op.function: partial(call, op.name) for op in ops}))
    OPS.update({op.name: (module, op) for op in ops})


def room(module: str, name: str, t: Tensor) -> Any:
    """The kernels of a module, or the composites where these have to stand in; while tracing, inside a transform of
    torch.func, or where somebody looks on to whom a kernel is nothing, ops of both."""
    return rooms.entered(module, name, rooms.has_kernel(name, t)) if opens(t) else as_ops(module, name, t)


def opens(t: Tensor) -> bool:
    """Does `room` answer with kernels or composites themselves, and with no op?"""
    return not (is_compiling() or transforms_active() or (onlookers() and watched(t)))


def two_rooms(first: str, second: str, name: str, t: Tensor) -> tuple[Any, Any]:
    """The same of two modules, after one look at the tensor."""
    if not opens(t):
        return as_ops(first, name, t), as_ops(second, name, t)
    by_kernels = rooms.has_kernel(name, t)
    return rooms.entered(first, name, by_kernels), rooms.entered(second, name, by_kernels)


def as_ops(module: str, name: str, t: Tensor) -> Any:
    """The functions of a module as ops; the module, where it has none."""
    if vars(ROOMS[module].traced):
        ready()
        return ROOMS[module].traced
    return rooms.eager_room(module, name, t)


def watched(t: Tensor) -> bool:
    """Would a kernel run unseen where a counter of FLOPs looks on, or `make_fx`, which records what real tensors meet?
    A counter that was made before our ops learns of them here."""
    if type(t) not in PLAIN or not runs_kernel(t):
        return False
    if torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None:
        return True
    found: list[Any] = [getattr(mode, "counter", None) for mode in _get_current_dispatch_mode_stack()]
    counters = [counter for counter in found if hasattr(counter, "flop_registry")]
    with _disable_current_modes():
        for counter in counters:
            registered()
            counter.flop_registry = {**_flop_counter().flop_registry, **counter.flop_registry}
    return bool(counters)


def _flop_counter() -> Any:
    from torch.utils import flop_counter  # brings Triton, where there is one

    return flop_counter


def call(name: str, *args: Any) -> Any:
    """The op. A schema knows no named tuple of sizes: its whole numbers travel one after the other."""
    flat = ([n for size in a for n in (size if isinstance(size, tuple) else (size,))] if isinstance(a, tuple) else a
            for a in args)
    return getattr(torch.ops.chainrule, name)(*flat)


def named(kind: Any, numbers: list[int]) -> Any:
    """The tuple of sizes again."""
    many, rest = [len(get_args(hint)) for hint in get_type_hints(kind).values()], iter(numbers)
    return kind(*(tuple(islice(rest, n)) if n else next(rest) for n in many))


def in_boxes(table: str, t: Tensor) -> bool:
    """Would kernels that move boxes take this product, once there are addresses?"""
    return (
        traced(t) and t.is_cuda and t.element_size() == 2 and not is_pinned(table)
        and bool(rows(f"{table}.boxes", current_arch(t.device), t.dtype)))


def _functions(module: str, op: Op) -> tuple[Callable[..., Any], ...]:
    """What the op does below Dynamo (the kernels' graph, the composite's, or itself, closed), its shapes, and the
    composite alone."""
    composite = getattr(ROOMS[module].composite, op.function)
    types = get_type_hints(composite)
    parameters = [p.replace(annotation=types[p.name]) for p in inspect.signature(composite).parameters.values()
                  if p.kind is not p.KEYWORD_ONLY]
    sizes = {p.name: p.replace(annotation=list[int]) for p in parameters if hasattr(p.annotation, "_fields")}

    def arguments(given: tuple[Any, ...]) -> tuple[tuple[Any, ...], Tensor]:
        every = (*given, *(p.default for p in parameters[len(given):]))     # a graph leaves out what is as by default
        args = tuple(named(p.annotation, a) if p.name in sizes else a for p, a in zip(parameters, every))
        return args, next(a for a in args if isinstance(a, Tensor))

    def run(*given: Any) -> Any:
        args, lead = arguments(given)
        table = op.boxes(*args) if callable(op.boxes) else op.boxes
        if table and in_boxes(table, lead):
            return call(f"{op.name}_boxes", *args)
        name = op.identity(*args) if callable(op.identity) else op.identity
        return _own(getattr(rooms.eager_room(module, name, lead), op.function)(*args), args, lead)

    def aten(*given: Any) -> Any:
        args, lead = arguments(given)
        return _own(composite(*args), args, lead)

    def shapes(*given: Any) -> Any:
        """On meta tensors the composite may do what a stand-in for a GPU that is not here cannot."""
        device = arguments(given)[1].device
        found = aten(*(_at(a, "meta") for a in given))
        return tuple(_at(t, device) for t in found) if isinstance(found, tuple) else _at(found, device)

    result = types["return"] if types["return"] is not type(None) else None
    if get_origin(result) is tuple:                                         # none of a schema's outputs may be missing
        result = tuple[tuple(Tensor if Tensor in get_args(one) else one for one in get_args(result))]  # type: ignore[misc]
    run.__signature__ = inspect.Signature(              # type: ignore[attr-defined]
        [sizes.get(p.name, p) for p in parameters], return_annotation=result)
    return run, shapes, aten


def _at(t: Any, device: torch.device | str) -> Any:
    return torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=device) if isinstance(t, Tensor) else t


def _own(found: Any, given: tuple[Any, ...], lead: Tensor) -> Any:
    """Every output a tensor of its own: empty where none was made, or where it is an earlier one."""
    if not isinstance(found, tuple):
        return found
    seen = [any(t is other for other in found[:i]) for i, t in enumerate(found)]
    return tuple(lead.new_empty(0) if t is None or before else t.clone() if any(t is a for a in given) else t
                 for t, before in zip(found, seen))


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


def registered() -> SimpleNamespace:
    """The ops by name, closed ones too; those that were not registered yet are."""
    keep_caches_apart()
    return SimpleNamespace(**{name: one for op in OPS for name, one in _registered(op).items()})


@cache
def _registered(name: str) -> dict[str, Any]:
    module, op = OPS[name]
    run, shapes, _ = _functions(module, op)
    found: dict[str, Any] = {name: triton_op(f"{NAMESPACE}::{name}", run, mutates_args=op.mutates)}
    found[name].register_fake(shapes)
    if not op.mutates:
        found[name].register_vmap(partial(one_by_one, found[name]))
    if op.boxes:
        found[f"{name}_boxes"] = custom_op(f"{NAMESPACE}::{name}_boxes", run, mutates_args=())
        found[f"{name}_boxes"].register_fake(shapes)
    if op.flops is not None:
        _flop_counter().register_flop_formula(getattr(torch.ops.chainrule, name), get_raw=True)(op.flops)
    return found


def decompositions() -> dict[Any, Callable[..., Any]]:
    """For `ExportedProgram.run_decompositions`: each op as ATen's, where a program is to run without ours."""
    from torch._subclasses.functional_tensor import dispatch_functionalize

    registered()
    return {getattr(torch.ops.chainrule, name).default: dispatch_functionalize(_functions(module, op)[2])
            for name, (module, op) in OPS.items() if not op.mutates}


@cache
def keep_caches_apart() -> None:
    """Inductor keeps compiled graphs on disk by what Dynamo saw of them, which is our ops' names: other kernels behind
    the same names are other graphs."""
    import torch._inductor.config as inductor

    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    inductor.unsafe_marked_cacheable_functions = {
        **inductor.unsafe_marked_cacheable_functions, f"torch.ops.{NAMESPACE}": digest}
