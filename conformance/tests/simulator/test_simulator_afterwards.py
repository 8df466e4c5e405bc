"""After a simulation Triton and the kernels are as before, whatever ran, and what is compiled then is Triton's."""

from __future__ import annotations

import importlib
import os
import pkgutil
import subprocess
import sys
from contextlib import nullcontext

import pytest
import torch
import triton
import triton.language as tl
from triton.runtime.jit import JITFunction

from chainrule import triton_kernels
from chainrule.conformance.backends.triton import backend
from chainrule.conformance.judging.cases import cases, pinned
from chainrule.conformance.judging.running import run
from chainrule.conformance.simulator import KernelFault, launch, simulate
from chainrule.conformance.simulator.rewrite import rewrite
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn


@triton.jit
def broken(x):
    tl.store(x, tl.zeros((3,), tl.float32))


def image(channels, dtype):
    return torch.randn(2, channels, 6, 6, dtype=dtype).contiguous(memory_format=torch.channels_last).requires_grad_()


def training_steps():
    """What no op asks for alone: pooled layers, with boxes and without, a residual block, one of an encoder, both
    gradients of a layer, and classes too many for registers."""
    for channels, dtype in ((3, torch.float32), (16, torch.bfloat16)):
        w = torch.randn(16, channels, 3, 3, dtype=dtype).contiguous(memory_format=torch.channels_last).requires_grad_()
        F.conv2d_act(image(channels, dtype), w, padding=1, act="relu", pool=True).sum().backward()
    nn.ResidualBlock(8)(torch.randn(2, 8, 5, 4)).sum().backward()
    block = nn.TransformerEncoderLayer(32, 2, 64, 0.0, "gelu", batch_first=True, norm_first=True)
    block(torch.randn(2, 5, 32).requires_grad_()).sum().backward()
    F.linear(*(torch.randn(n, 4).requires_grad_() for n in (3, 5))).sum().backward()
    F.cross_entropy(torch.randn(2, 40_000).requires_grad_(), torch.tensor([1, 7])).backward()


#: Operands that tensor boxes take, in 16 bits.
BOXED = {
    "net.layer.affine": (9, 16, 24), "bp.delta.chain": (9, 16, 24), "alg.average": (9, 16, 24),
    "alg.average.momentum": (9, 16, 24), "conv2d.layer": (1, 16, 8, 1, 5, 6, 3, 3, 1, 1, 1, 1, 1, 1),
    "conv2d.layer.grad_x": (1, 16, 8, 1, 5, 6, 3, 3, 1, 1, 1, 1, 1, 1),
    "conv2d.layer.grad_w": (3, 24, 8, 1, 4, 6, 3, 2, 2, 2, 1, 2, 1, 3),
}


def everything():
    """Every op on one of its cases, what takes boxes on boxes too, and training steps."""
    for op in backend.ops:
        yield next(c for c in cases((op,), ("fp32",)) if c.tier != "T3")
    for op, size in BOXED.items():
        layout = "channels-last-16" if op.startswith("conv2d") else "contiguous"
        yield next(pinned(op, "boxes", "bf16", size, nullcontext, layout))


def kernel_modules():
    """Our modules that start kernels, imported."""
    names = [m.name for m in pkgutil.walk_packages(triton_kernels.__path__, "chainrule.triton_kernels.")
             if not m.name.startswith("chainrule.triton_kernels.gate.")]
    modules = [importlib.import_module(name) for name in names]
    return [m for m in modules if any(
        isinstance(k, JITFunction) and k.__module__ == m.__name__ and name.endswith("_kernel")
        for name, k in vars(m).items())]


def owners():
    """All that can have an attribute changed: modules of Triton and of kernels, their classes, and their tables."""
    for name, module in list(sys.modules.items()):
        if name == "builtins" or name.split(".")[0] == "triton" or name.startswith("chainrule.triton_kernels"):
            yield name, vars(module)
            for kind in list(vars(module).values()):
                if isinstance(kind, type) and kind.__module__.startswith(("triton", "chainrule.triton")):
                    yield f"{kind.__module__}.{kind.__qualname__}", vars(kind)
                    tables = [(k, v) for k, v in vars(kind).items() if isinstance(v, dict)]
                    yield from ((f"{kind.__module__}.{kind.__qualname__}.{k}", v) for k, v in tables)


def changed(before):
    """The names that stand for something else than they did."""
    found = set()
    for name, names in owners():
        was = before.get(name, names)
        for key in (was.keys() | names.keys()) - {"__annotations__", "__slotnames__"}:       # Python's own notes
            if names.get(key, owners) is not was.get(key, owners):
                found.add(f"{name}[{key!r}]")
    return sorted(found)


def test_whatever_ran_nothing_stays_changed(monkeypatch):
    modules, ran = kernel_modules(), set()
    before = {name: dict(names) for name, names in owners()}
    with monkeypatch.context() as patch:
        patch.setattr(launch, "rewrite", lambda fn: ran.add(fn.__module__) or rewrite(fn))
        for case in everything():
            run(case, backend, "simulated", case.arguments())
        with simulate():
            training_steps()
            assert changed(before)
    with pytest.raises(KernelFault, match="power of 2"), simulate():
        broken[(1,)](torch.zeros(4))
    assert {m.__name__ for m in modules} <= ran
    assert changed(before) == []


AFTERWARDS = """
import gc, types, weakref
import torch
import triton.language as tl
from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import OPS, functional as F

def functions():
    return {f: name for owner in (tl, tl.core, tl.math, tl.tensor) for name, f in vars(owner).items()
            if isinstance(f, types.FunctionType)}

def pooled(x, w):
    return F.conv2d_act(x, w, act="relu", pool=True)

given, x, genuine = (torch.ones(2, 3, 8, 8), torch.ones(4, 3, 3, 3)), torch.ones(2, 3), functions()
with simulate():
    pooled(*given)
    import triton.compiler.code_generator           # as torch's own compiler does, whenever it is first asked for
    import torch._higher_order_ops.triton_kernel_wrap
    stand_ins = weakref.WeakKeyDictionary(
        {f: name for f, name in functions().items() if f not in genuine and "<locals>" in f.__qualname__})
    assert len(stand_ins) > 50

gc.collect()
assert not stand_ins, f"still kept by others: {sorted(stand_ins.values())[:9]}"

from chainrule.conformance.training.graphs import contents, recorded
from chainrule.triton_kernels.gate.offline import compiled

print(contents(recorded(pooled, given))[0])
for call in (lambda: pooled(*given), lambda: OPS["net.layer.affine"](x, x)):
    ((name, kernel),) = compiled(call, "sm_90")
    print(name, len(kernel.asm["cubin"]) > 0)
"""


def test_what_is_compiled_after_a_simulation_is_as_before(tmp_path):
    """By the gate and by torch, also if compilers, which keep names from their import on, are first imported while the
    names are others: no stand-in outlives its simulation."""
    done = subprocess.run([sys.executable, "-c", AFTERWARDS], capture_output=True, text=True,
                          env={**os.environ, "TRITON_CACHE_DIR": str(tmp_path)})
    wanted = ["['conv_pool_kernel']", "conv_pool_kernel True", "affine_kernel True"]
    assert done.stdout.splitlines() == wanted, done.stderr[-500:]
    assert "assuming every input is mutated" not in done.stderr, done.stderr[-500:]
