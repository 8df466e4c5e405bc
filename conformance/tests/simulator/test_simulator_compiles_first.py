"""What Triton does not compile gets no result here, nor does what compiles to something undefined."""

from __future__ import annotations

import importlib.util
import linecache

import pytest
import torch
import triton
import triton.language as tl

from chainrule.conformance import Backend
from chainrule.conformance.judging.cases import cases
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.simulator import KernelFault, frontend, internals, once, simulate


@triton.jit
def narrows(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    peak = tl.full((N,), -1.0, tl.float32)
    for k in range(3):
        peak = tl.maximum(peak, tl.load(x + i) * k).to(tl.bfloat16)
    tl.store(y + i, peak)


@triton.jit
def widens_in_while(x, y, N: tl.constexpr):
    count = 0
    while count < 3:
        count = count.to(tl.int64) + 1
    tl.store(y, count)


@triton.jit
def scales(v, by):
    return v.to(tl.float8e4nv).to(tl.float32) * by


@triton.jit
def too_small_a_format(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y + i, scales(tl.load(x + i), 2.0))


@triton.jit
def returns_two_types(x, y, N: tl.constexpr):
    total = tl.sum(tl.load(x + tl.arange(0, N)), 0)
    if total > 0:
        kind = total
    else:
        kind = 0
    tl.store(y, kind)


@triton.jit
def three_elements(x, y, N: tl.constexpr):
    tl.store(y + tl.arange(0, 3), tl.load(x + tl.arange(0, 3)))


@triton.jit
def a_global(x, y, N: tl.constexpr):
    tl.store(y, tl.load(x) * FACTOR)


FACTOR = 3.0

REFUSED = {
    narrows: "Loop-carried variable peak", widens_in_while: "Loop-carried variable count",
    too_small_a_format: "fp8e4nv not supported", returns_two_types: "Mismatched type for kind",
    three_elements: "power of 2", a_global: "Cannot access global variable FACTOR",
}


@pytest.mark.parametrize("kernel", REFUSED, ids=lambda k: k.fn.__name__)
def test_what_is_not_compiled_is_refused_in_the_compilers_words(kernel):
    y = torch.zeros(16)
    for _ in range(2):                                  # the second time it is known
        with pytest.raises(KernelFault, match=REFUSED[kernel]) as caught, simulate(target="sm_80"):
            kernel[(1,)](torch.ones(16), y, 16)
        assert caught.value.check == "compile"
        assert caught.value.kernel == kernel.fn.__name__
        assert f"sm_80 with Triton {triton.__version__}" in str(caught.value)
    assert not y.any()


def test_an_error_in_a_function_names_the_line_that_called_it():
    with pytest.raises(KernelFault) as caught, simulate(target="sm_80"):
        too_small_a_format[(1,)](torch.ones(4), torch.ones(4), 4)
    assert "in `return v.to(tl.float8e4nv)" in str(caught.value)
    assert "in `tl.store(y + i, scales(" in str(caught.value)


@triton.jit(noinline=True)
def apart(v):
    return v


@triton.jit
def hands_over_a_block(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.load(x + i)
    tl.store(y + i, apart(v))


def test_an_error_whose_line_is_of_another_function_is_told():
    with pytest.raises(KernelFault, match="noinline, but was called with non-scalar"), simulate():
        hands_over_a_block[(1,)](torch.ones(4), torch.ones(4), 4)


def test_the_target_decides():
    y = torch.zeros(4)
    with simulate(target="sm_90"):
        too_small_a_format[(1,)](torch.ones(4), y, 4)
    assert y.tolist() == [2.0] * 4


@triton.jit
def after_the_loop(x, y, n, N: tl.constexpr):
    i = tl.arange(0, N)
    for block in range(n):
        tl.store(y + block * N + i, tl.load(x + block * N + i))
    tl.store(y + block * N + N + i, tl.load(x + block * N + N + i))


@triton.jit
def after_a_known_range(x, y, n, N: tl.constexpr):
    for k in tl.range(0, N):
        tl.store(y + k, tl.load(x + k))
    tl.store(y + N, k)


@triton.jit
def one_or_the_other(x, y, n, N: tl.constexpr):
    """The compiler takes n for both."""
    for block in range(2):
        tl.store(y + block, tl.load(x + block))
    which = n
    if n > 2:
        which = block + 1
    tl.store(y + which, 1.0)


@triton.jit
def later(v, k):
    return tl.where(v > 0, v, k)


@triton.jit
def through_a_function(x, y, n, N: tl.constexpr):
    i = tl.arange(0, N)
    for block in range(n):
        tl.store(y + block * N + i, tl.load(x + block * N + i))
    for _ in range(n):
        tl.store(y + i, later(tl.load(x + i), block))


@triton.jit
def last_by_hand(x, y, n, N: tl.constexpr):
    i = tl.arange(0, N)
    last = 0
    for block in range(n):
        tl.store(y + block * N + i, tl.load(x + block * N + i))
        last = block + 1
    tl.store(y + last * N + i, tl.load(x + last * N + i))


@triton.jit
def loops_in_loops(x, y, n, N: tl.constexpr):
    total = 0.0
    for j in range(n):
        total += tl.load(x + j)
    for i in range(n):
        for j in range(N):
            total += tl.load(x + i * N + j)
        if i > 1:
            total = total * 1.0
    for j in tl.static_range(N):
        total += j
    tl.store(y, total + j)


@pytest.mark.parametrize("kernel", [after_the_loop, after_a_known_range, one_or_the_other, through_a_function],
                         ids=lambda k: k.fn.__name__)
def test_a_loops_variable_is_undefined_after_its_loop(kernel):
    where = r"undefined when compiled, in line \d+ of test_simulator"
    with pytest.raises(KernelFault, match=where) as caught, simulate():
        kernel[(1,)](torch.arange(32.0), torch.zeros(32), 3, 8)
    assert caught.value.check == "compile"


def test_a_variable_of_its_own_is_defined_and_so_is_a_static_ranges():
    x, y = torch.arange(32.0), torch.zeros(32)
    with simulate():
        last_by_hand[(1,)](x, y, 3, 8)
        assert torch.equal(x, y)
        loops_in_loops[(1,)](x, y, 3, 8)
    assert y[0] == x[:3].sum() + x[:24].sum() + 28 + 7


@triton.jit
def counts(y, first, last, step, UP: tl.constexpr):
    c = 0
    for i in range(first, last, step):
        c += i
    for i in range(6, 0, -UP):
        c += 100 * i.to(tl.int64).to(tl.int32)
    tl.store(y, c)


def test_a_step_that_goes_down_is_known_at_compile_time():
    y = torch.zeros(1, dtype=torch.int32)
    with simulate():
        counts[(1,)](y, 2, 9, 3, 4)
    assert y.item() == 2 + 5 + 8 + 100 * (6 + 2)
    with pytest.raises(KernelFault, match="run-time step is -3") as caught, simulate():
        counts[(1,)](y, 9, 2, -3, 4)
    assert caught.value.check == "language"


@triton.jit
def second(a, b):
    return b


@triton.jit
def weighted(a, b):
    return a + 2 * b


@triton.jit
def larger(a, i, b, j):
    first = (a > b) | ((a == b) & (i < j))
    return tl.where(first, a, b), tl.where(first, i, j)


@triton.jit
def spread(mean, m2, n, mean_, m2_, n_):
    d = mean_ - mean
    total = n + n_
    return mean + d * (n_ / total), m2 + m2_ + d * d * (n * n_ / total), total


@triton.jit
def reduces(x, y, WEIGHTED: tl.constexpr, N: tl.constexpr):
    v = tl.load(x + tl.arange(0, N))
    if WEIGHTED:
        tl.store(y, tl.reduce(v, 0, weighted))
    else:
        tl.store(y, tl.reduce(v, 0, second))


@triton.jit
def reduces_more(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.load(x + i)
    peak, where = tl.reduce((v, i), 0, larger)
    mean, _, _ = tl.reduce((v, tl.zeros_like(v), tl.full((N,), 1.0, tl.float32)), 0, spread)
    tl.store(y, peak)
    tl.store(y + 1, where)
    tl.store(y + 2, mean)


@pytest.mark.parametrize("by", [False, True])
def test_lanes_of_a_reduction_must_agree(by):
    with pytest.raises(KernelFault, match="disagree") as caught, simulate():
        reduces[(1,)](torch.arange(8.0), torch.zeros(1), by, 8)
    assert caught.value.check == "reduce"


def test_a_rounding_is_no_disagreement():
    x, y = torch.randint(-99, 99, (1024,)) / 3, torch.zeros(3)
    x[700] = 77.0
    with simulate():
        reduces_more[(1,)](x, y, 1024)
    assert y[0] == x.max()
    assert y[1] == x.argmax()
    assert round(float(y[2]) * 1024) == round(float(x.double().sum()))


theirs = Backend("theirs", device="cuda")


@triton.jit
def relu_kernel(x, y, n, N: tl.constexpr):
    i = tl.arange(0, N)
    for start in range(0, n, N):
        v = tl.load(x + start + i, mask=start + i < n, other=0.0)
        tl.store(y + start + i, tl.maximum(v, 0.0, propagate_nan=tl.PropagateNan.ALL), mask=start + i < n)
    tl.store(y + start, tl.maximum(tl.load(x + start), 0.0, propagate_nan=tl.PropagateNan.ALL))


@theirs.op("act.relu")
def relu(z):
    z, a = z.contiguous(), torch.empty_like(z, memory_format=torch.contiguous_format)
    if z.numel():
        relu_kernel[(1,)](z, a, z.numel(), N=16)
    return a


def test_such_a_kernel_does_not_conform():
    case = next(c for c in cases(("act.relu",), ("fp32",)) if c.tier == "T1")
    verdict = judge(case, theirs, mode="simulated")
    assert not verdict.passed
    assert "undefined when compiled" in verdict.report()


def test_a_signature_is_compiled_once(monkeypatch):
    taken = []
    genuine = frontend._take
    monkeypatch.setattr(frontend, "_take", lambda kernel, *rest: taken.append(kernel) or genuine(kernel, *rest))

    @triton.jit
    def fresh(x, y, n, N: tl.constexpr):
        tl.store(y + tl.arange(0, N), tl.load(x + tl.arange(0, N)) * n)

    with simulate():
        for n in (2, 3, 5):
            fresh[(1,)](torch.ones(16), torch.ones(16), n, 16)
        assert len(taken) == 1
        fresh[(1,)](torch.ones(16), torch.ones(16), 1, 16)                   # a 1 is compiled in
        fresh[(1,)](torch.ones(16), torch.ones(16), 2, 8)
        fresh[(1,)](torch.ones(16).half(), torch.ones(16), 2, 16)
        fresh[(1,)](torch.ones(16), torch.ones(16), 2.5, 16)
    assert len(taken) == 5


@triton.jit
def doubled(v):
    return v + v


@triton.jit
def last_of(v, k):
    return tl.where(v > 0, v, k)


@triton.jit
def calls_one(x, y, n, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y + i, last_of(doubled(tl.load(x + i)), n))


@triton.jit
def calls_it_again(x, y, n, N: tl.constexpr):
    i = tl.arange(0, N)
    tl.store(y + N + i, last_of(doubled(tl.load(x + i)), n))


@triton.jit
def calls_it_with_nothing(x, y, n, N: tl.constexpr):
    i = tl.arange(0, N)
    for block in range(n):
        tl.store(y + block, 0.0)
    tl.store(y + i, last_of(doubled(tl.load(x + i)), block))


@triton.jit
def first_of(v, k):
    return v


@triton.jit
def takes_no_notice(x, y, n, N: tl.constexpr):
    i = tl.arange(0, N)
    block = 7
    tl.store(y + i, first_of(doubled(tl.load(x + i)), block + i * 0))
    for block in range(N):
        tl.store(y + block, 0.0)
    tl.store(y + i, first_of(doubled(tl.load(x + i)), block + i * 0))


def test_a_device_function_is_lowered_once(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    modules = []
    genuine = frontend.front
    monkeypatch.setattr(frontend, "front", lambda *given: modules.append(genuine(*given)) or modules[-1])
    monkeypatch.setattr(once, "_lowered", {})
    x, y = torch.tensor([-1.0, 1.0] * 4), torch.zeros(16)
    with simulate():
        calls_one[(1,)](x, y, 3, 8)
        calls_it_again[(1,)](x, y, 3, 8)
        calls_it_again[(1,)](torch.ones(16), torch.ones(32), 3, 16)             # other types, another body
        with pytest.raises(KernelFault, match="undefined when compiled, in line"):
            calls_it_with_nothing[(1,)](x, y, 3, 8)                             # which its body tells
    assert y.tolist() == [3.0, 2.0] * 8
    bodies = [str(module).count("tt.return") for module in modules]
    assert bodies[0] == bodies[2] == bodies[-1] > 1
    if internals.RELEASE >= (3, 7):                                             # before, it is lowered again
        assert bodies[1] == bodies[3] == 1
    with simulate():
        takes_no_notice[(1,)](x, y, 3, 8)                                       # as its body tells, here for the first
        takes_no_notice[(1,)](x, y, 2.0, 8)                                     # time and here when it is known
    assert y.tolist() == [-2.0, 2.0] * 4 + [3.0, 2.0] * 4


def test_handles_hold_what_was_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    with simulate(target="sm_80"):
        ahead = last_by_hand.warmup(torch.float32, torch.float32, 3, 8, grid=(1,))
        ahead._init_handles()
        assert ahead.n_spills == 0
        assert 0 < ahead.n_regs <= 255
        assert "tt.store" in ahead.asm["ttir"]
        assert ahead.metadata.num_warps == 4
        x, y = torch.arange(32.0), torch.zeros(32)
        handle = last_by_hand[(1,)](x, y, 3, 8)
        assert torch.equal(x, y)
        assert handle.metadata.target.arch == 80


def test_what_was_taken_is_remembered_and_what_was_refused_is_not(tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    seen = []
    genuine = frontend.front
    monkeypatch.setattr(frontend, "front", lambda one, source, *rest: seen.append(source.name) or genuine(
        one, source, *rest))

    def defined(body):
        """A kernel of this body, as a fresh process would define it."""
        (tmp_path / "written.py").write_text(
            f"import triton, triton.language as tl\n@triton.jit\ndef written(y, N: tl.constexpr):\n    {body}\n")
        spec = importlib.util.spec_from_file_location("written", tmp_path / "written.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        linecache.checkcache()
        return module.written

    def launched(body, n=8, target="sm_90", **options):
        y = torch.zeros(n)
        with simulate(target=target):
            defined(body)[(1,)](y, n, **options)
        return y.tolist(), len(seen)

    assert launched("tl.store(y + tl.arange(0, N), 1.0)") == ([1.0] * 8, 1)
    assert launched("tl.store(y + tl.arange(0, N), 1.0)") == ([1.0] * 8, 1)
    assert launched("tl.store(y + tl.arange(0, N), 1.0)", 16) == ([1.0] * 16, 2)
    assert launched("tl.store(y + tl.arange(0, N), 1.0)", target="sm_80") == ([1.0] * 8, 3)
    assert launched("tl.store(y + tl.arange(0, N), 2.0)") == ([2.0] * 8, 4)
    assert launched("tl.store(y + tl.arange(0, N), 2.0)", debug=True) == ([2.0] * 8, 5)      # asserts are compiled, too
    for _ in range(2):
        with pytest.raises(KernelFault, match="power of 2"):
            launched("tl.store(y + tl.arange(0, N - 1), 2.0)")
    assert len(seen) == 7
