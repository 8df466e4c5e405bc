"""What Inductor itself writes for a GPU that is not here: it starts our kernels, and Triton compiles their source."""

from __future__ import annotations

import re
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
import triton
from torch._functorch.aot_autograd import aot_export_module
from torch._subclasses.fake_tensor import FakeTensorMode
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from chainrule.conformance.training.graphs import absent_gpu, there
from chainrule.triton_kernels.ops import registered

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def data(*shape: int) -> torch.Tensor:
    return torch.empty(shape)


def pretended() -> ExitStack:
    """As much of a Hopper GPU as Inductor asks about when it writes."""
    from torch._inductor.runtime.hints import DeviceProperties

    hopper = DeviceProperties(
        type="cuda", index=0, multi_processor_count=132, cc=90, major=9, regs_per_multiprocessor=65536,
        max_threads_per_multi_processor=2048, max_threads_per_block=1024, warp_size=32)
    stack = ExitStack()
    for name, value in {
        "torch.cuda._lazy_init": lambda: None, "torch.cuda.current_device": lambda: 0,
        "torch.cuda.device_count": lambda: 1, "torch.cuda.get_device_capability": lambda *_: (9, 0),
        "torch.cuda.get_device_properties": lambda *_: hopper, "torch._inductor.scheduler.has_triton": lambda *_: True,
        "torch._inductor.runtime.hints.DeviceProperties.create": lambda *_: hopper,
    }.items():
        stack.enter_context(mock.patch(name, value))
    return stack


def written_for_a_gpu(function: Any, tensors: list[torch.Tensor]) -> str:
    """Inductor's module for a function on CUDA tensors like these."""
    from torch._inductor.debug import DebugContext
    from torch._inductor.decomposition import select_decomp_table
    from torch._inductor.fx_passes.post_grad import post_grad_passes
    from torch._inductor.graph import GraphLowering
    from torch._inductor.virtualized import V

    class Module(torch.nn.Module):
        def forward(self, *args: torch.Tensor) -> Any:
            return function(*args)

    registered()
    fakes = FakeTensorMode()
    with absent_gpu(), pretended():
        with fakes:
            given = [there(t) for t in tensors]
            graph, _ = aot_export_module(
                Module(), given, trace_joint=False, decompositions=select_decomp_table())
        with V.set_fake_mode(fakes), V.set_debug_handler(DebugContext()), V.set_extern_kernel_nodes([]):
            post_grad_passes(graph, is_inference=True)
            lowering = GraphLowering(graph, example_inputs=given)
            with V.set_graph_handler(lowering), mock.patch("torch.cuda.is_available", return_value=True):
                lowering.run(*given)
                code, _ = lowering.codegen()
    return str(code.value)


def compiled(source: str, target: GPUTarget, folder: Any) -> Any:
    """One kernel of the module, by Triton alone."""
    file = folder / "kernel.py"
    file.write_text(source)
    found: dict[str, Any] = {}

    def keep(**how: Any) -> Any:
        return lambda kernel: found.update(kernel=kernel, **how) or kernel

    with mock.patch("torch._inductor.runtime.triton_heuristics.user_autotune", keep):
        exec(compile(source, str(file), "exec"), {"__file__": str(file), "__name__": "written"})
    meta, (config,) = found["triton_meta"], found["configs"]
    text = ASTSource(found["kernel"], meta["signature"], meta["constants"], meta["configs"][0])
    return triton.compile(text, target=target, options=dict(config))


ops = SimpleNamespace(
    layer=lambda x, w, b: torch.ops.chainrule.affine_keeping(x, w, b, "elu", 1.0, True, "ieee"),
    backward=lambda d, z: torch.ops.chainrule.act_backward(d.t(), z.t(), "tanh", "z", 0.0),
    pooled=lambda x, w: torch.ops.chainrule.convolution_pooled(
        x, w, None, [2, 3, 16, 8, 8, 3, 3, 8, 8, 1, 1, 1, 1, 1, 1, 1], "relu", 0.0, False, "tf32", True),
    norm=lambda x: torch.ops.chainrule.norm_statistics(x, 1e-5),
)
MODULES = {
    "layer": (ops.layer, [data(64, 128), data(32, 128), data(32)], ["affine_kernel"]),
    "backward": (lambda d, z: (ops.backward(d, z) * 2,), [data(64, 33), data(64, 33)], ["binary_kernel"]),
    "pooled": (ops.pooled, [data(2, 3, 8, 8), data(16, 3, 3, 3)], ["conv_pool_kernel"]),
    "norm": (ops.norm, [data(4, 8, 6, 6)], ["statistics_kernel", "merge_kernel"]),
}


@pytest.mark.parametrize("name", MODULES)
def test_inductor_starts_our_kernels_and_triton_compiles_what_it_wrote(name, tmp_path):
    function, tensors, kernels = MODULES[name]
    code = written_for_a_gpu(function, tensors)
    assert "torch.ops.chainrule" not in code
    started = re.findall(r"(\w+)_\d+\.run\(", code)
    assert [one for one in started if not one.startswith("triton_")] == kernels
    sources = dict(re.findall(r"async_compile\.triton\('(\w+)', '''(.*?)'''", code, re.DOTALL))
    for kernel in kernels:
        found = compiled(sources[kernel], GPUTarget("cuda", 90, 32), tmp_path)
        assert ".target sm_90" in found.asm["ptx"]
