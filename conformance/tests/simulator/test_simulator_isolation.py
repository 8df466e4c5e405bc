"""A simulation changes nothing outside itself: not the order of programs, not the compiler, not Triton."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.language.extra import libdevice
from triton.language.semantic import TritonSemantic
from triton.runtime import interpreter
from triton.runtime.autotuner import Autotuner
from triton.runtime.jit import JITFunction

from chainrule.conformance.simulator import patches, simulate
from chainrule.triton_kernels.runtime.launch import simulation


@triton.jit
def matmul(a, b, c, M, N, K, B: tl.constexpr):
    m, n = tl.program_id(0) * B + tl.arange(0, B), tl.program_id(1) * B + tl.arange(0, B)
    acc = tl.zeros((B, B), tl.float32)
    for k0 in range(0, K, B):
        k = k0 + tl.arange(0, B)
        x = tl.load(a + m[:, None] * K + k[None, :], mask=(m[:, None] < M) & (k[None, :] < K), other=0.0)
        y = tl.load(b + k[:, None] * N + n[None, :], mask=(k[:, None] < K) & (n[None, :] < N), other=0.0)
        acc = tl.dot(x, y, acc, input_precision="ieee")
    tl.store(c + m[:, None] * N + n[None, :], acc, mask=(m[:, None] < M) & (n[None, :] < N))


def product(order="forward", seed=0):
    generator = torch.Generator().manual_seed(7)
    a, b = torch.randn(33, 40, generator=generator), torch.randn(40, 17, generator=generator)
    c = torch.full((33, 17), torch.nan)
    with simulate(order=order, seed=seed):
        matmul[(3, 2)](a, b, c, 33, 17, 40, 16)
    return c


def test_order_of_programs_changes_nothing():
    forward = product()
    for order, seed in (("reverse", 0), ("random", 1), ("random", 2)):
        assert torch.equal(product(order, seed), forward)
    with pytest.raises(ValueError, match="forward, reverse, random"), simulate(order="sideways"):
        pass


def test_order_is_what_it_says():
    @triton.jit
    def ticket(counter, y):
        tl.store(y + tl.program_id(0), tl.atomic_add(counter, 1))

    def tickets(**options):
        y = torch.zeros(6, dtype=torch.int32)
        with simulate(**options):
            ticket[(6,)](torch.zeros(1, dtype=torch.int32), y)
        return y.tolist()

    assert tickets() == [0, 1, 2, 3, 4, 5]
    assert tickets(order="reverse") == [5, 4, 3, 2, 1, 0]
    assert tickets(order="random", seed=3) == tickets(order="random", seed=3)
    assert tickets(order="random", seed=3) != tickets(order="random", seed=4)


def compiled_ttir(folder, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(folder))
    matmul.hash = None
    signature = dict.fromkeys("abc", "*fp32") | dict.fromkeys("MNK", "i32") | {"B": "constexpr"}
    source = ASTSource(matmul, signature, {(6,): 32}, {})
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32), options={"enable_fp_fusion": True})
    return str(compiled.asm["ttir"])


def test_compiling_ahead_of_time_is_untouched(tmp_path, monkeypatch):
    before = compiled_ttir(tmp_path / "before", monkeypatch)
    product()
    assert compiled_ttir(tmp_path / "after", monkeypatch) == before
    assert "tt.dot" in before


def test_everything_is_restored():
    def state():
        owners = (JITFunction, Autotuner, interpreter.InterpreterBuilder, interpreter.TensorDescHandle,
                  interpreter.interpreter_builder, TritonSemantic, tl.tensor, tl.block_type, tl, tl.core, tl.math,
                  libdevice)
        names = [vars(owner).copy() for owner in owners]
        return [*names, interpreter._get_np_dtype, simulation.get()]

    before, keys = state(), set(matmul.fn.__globals__)
    with simulate() as outer:
        assert simulation.get() is outer
        with simulate(check=False) as inner:
            assert simulation.get() is inner
        assert simulation.get() is outer
    product()
    with pytest.raises(RuntimeError, match="stop"), simulate():
        raise RuntimeError("stop")
    after = state()
    assert after == before
    assert set(matmul.fn.__globals__) == keys
    of_some_releases = {"get_bf16", "create_advance", "create_dot_scaled"}
    assert all(hasattr(interpreter.InterpreterBuilder, n) for n in patches.BUILDER if n not in of_some_releases)


def test_kernel_errors_say_where():
    @triton.jit
    def broken(x):
        tl.store(x, tl.inline_asm_elementwise("mov.b32 $0, $1;", "=r,r", [tl.load(x)], tl.float32, True, 1))

    with pytest.raises(NotImplementedError) as caught, simulate():
        broken[(1,)](torch.zeros(4))
    assert any("while simulating broken, program (0, 0, 0)" in note for note in caught.value.__notes__)
