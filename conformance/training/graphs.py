"""Compiled graphs for a GPU that is not here: recorded on stand-ins, looked into, and run on a CPU as they are written.

A graph holds each kernel as Inductor will write it down. `AsWritten` runs a graph on CPU tensors, each kernel from that
source, in the simulator: what it computes is what was asked for, if recording and writing lost nothing.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, fx
from torch._functorch.aot_autograd import aot_export_module
from torch._higher_order_ops.triton_kernel_wrap import kernel_side_table
from torch._inductor.codegen.wrapper import user_defined_triton_kernel_transitive_closure_source_code
from torch._subclasses.fake_tensor import FakeTensorMode
from triton.runtime.jit import JITFunction

from chainrule.triton_kernels.gate.offline import Target, offline
from chainrule.triton_kernels.runtime import launch

from ..simulator import simulate

#: What may stand beside kernels where nothing else is to compute: memory and views.
PLUMBING = frozenset({"empty", "empty_strided", "empty_like", "new_empty", "expand", "getitem", "permute",
                      "select", "t", "unbind", "view"})


@contextmanager
def absent_gpu(arch: str = "sm_90") -> Iterator[None]:
    """Graphs recorded here are for this architecture."""
    token = launch.simulation.set(Target(arch))
    try:
        with offline(arch):
            yield
    finally:
        launch.simulation.reset(token)


def there(t: Tensor) -> Tensor:
    """A stand-in on the GPU; inside FakeTensorMode."""
    return torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device="cuda")


def recorded(function: Callable[..., Any], args: Sequence[Any], arch: str = "sm_90") -> fx.GraphModule:
    """What AOTAutograd makes of a function on stand-ins for the tensors among its arguments."""
    class Module(torch.nn.Module):
        def forward(self, *tensors: Tensor) -> tuple[Any, ...]:
            left = iter(tensors)
            out = function(*(next(left) if isinstance(a, Tensor) else a for a in args))
            return out if isinstance(out, tuple) else () if out is None else (out,)

    with absent_gpu(arch), FakeTensorMode():
        found: Any = aot_export_module(Module(), [there(a) for a in args if isinstance(a, Tensor)], trace_joint=False)
    graph: fx.GraphModule = found[0]
    return graph


def _launched(index: Any) -> Any:
    kernel: Any = kernel_side_table.get_kernel(index)
    return kernel if isinstance(kernel, JITFunction) else kernel.fn


def kernel_of(node: fx.Node) -> Any:
    """The kernel that a node launches, or None."""
    if "triton_kernel_wrapper" not in str(node.target):
        return None
    return _launched(node.kwargs["kernel_idx"])


def contents(graph: fx.GraphModule) -> tuple[list[str], list[str]]:
    """(names of the kernels, names of all other calls), in order."""
    calls = [node for node in graph.graph.nodes if node.op == "call_function"]
    kernels = [kernel_of(node).__name__ for node in calls if kernel_of(node)]
    return kernels, [str(node.target) if "chainrule" in str(node.target) else node.target.__name__.split(".")[0]
                     for node in calls if not kernel_of(node)]


def arguments_of(node: fx.Node) -> dict[str, Any]:
    """A launch's arguments by name."""
    constant = kernel_side_table.get_constant_args(node.kwargs["constant_args_idx"])        # type: ignore[arg-type]
    return {**node.kwargs["kwargs"], **constant}                            # type: ignore[dict-item]


def read_back(kernel: Any, folder: Path) -> Any:
    """The kernel from the source that Inductor writes down for it."""
    file = folder / f"{kernel.__name__}_{len(list(folder.iterdir()))}.py"
    source = user_defined_triton_kernel_transitive_closure_source_code(kernel)
    file.write_text(f"import triton\nimport triton.language as tl\n\n@triton.jit\n{source}")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module: ModuleType = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return getattr(module, kernel.__name__)


class AsWritten(fx.Interpreter):
    """Runs a graph on CPU tensors, its kernels in the simulator."""

    def __init__(self, graph: fx.GraphModule, folder: Path) -> None:
        super().__init__(graph)
        self.folder, self.launches = folder, 0

    def run(self, *args: Any, **kwargs: Any) -> Any:
        with simulate() as simulator:
            found = super().run(*args, **kwargs)
        self.launches += simulator.launches
        return found

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if "triton_kernel_wrapper" not in str(target):
            return super().call_function(target, args, {**kwargs, "device": "cpu"} if "device" in kwargs else kwargs)
        given = {**kwargs["kwargs"], **kernel_side_table.get_constant_args(kwargs["constant_args_idx"])}
        for name in kwargs["tensors_to_clone"]:
            given[name] = given[name].clone()
        read_back(_launched(kwargs["kernel_idx"]), self.folder)[kwargs["grid"][0]](**given)
        return {name: given[name] for name in kwargs["tensors_to_clone"]}
