"""Kinds of kernels that people publish, written anew: each gives what torch gives, or is refused for what it is."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl

from chainrule.conformance.simulator import KernelFault, simulate


@triton.jit
def flash(q, k, v, out, lse, sq, sk, sv, so, T, scale, WINDOW: tl.constexpr, GROUP: tl.constexpr, D: tl.constexpr,
          BM: tl.constexpr, BN: tl.constexpr, STAGE: tl.constexpr):
    """Causal attention in tiles with a sliding window, grouped heads, descriptors, exp2, and a logsumexp."""
    start, head = tl.program_id(0), tl.program_id(1)
    rows = start * BM + tl.arange(0, BM)
    columns = tl.arange(0, BN)
    of_q = tl.make_tensor_descriptor(q + head * sq, [T, D], [D, 1], [BM, D])
    of_k = tl.make_tensor_descriptor(k + head // GROUP * sk, [T, D], [D, 1], [BN, D])
    of_v = tl.make_tensor_descriptor(v + head // GROUP * sv, [T, D], [D, 1], [BN, D])
    of_o = tl.make_tensor_descriptor(out + head * so, [T, D], [D, 1], [BM, D])
    m = tl.full((BM,), float("-inf"), tl.float32)
    l = tl.zeros((BM,), tl.float32)
    acc = tl.zeros((BM, D), tl.float32)
    queries = of_q.load([start * BM, 0])
    low = tl.maximum(start * BM - WINDOW + 1, 0) // BN * BN if WINDOW > 0 else 0
    low = tl.multiple_of(low, BN)
    for first in tl.range(low, tl.minimum((start + 1) * BM, T), BN, num_stages=STAGE):
        s = tl.dot(queries, of_k.load([first, 0]).T) * (scale * 1.44269504)
        at = first + columns
        seen = (at[None, :] <= rows[:, None]) & (at[None, :] < T)
        if WINDOW > 0:
            seen &= rows[:, None] - at[None, :] < WINDOW
        s = tl.where(seen, s, float("-inf"))
        peak = tl.maximum(m, tl.max(s, 1))
        safe = tl.where(peak == float("-inf"), 0.0, peak)
        p = tl.math.exp2(s - safe[:, None])
        alpha = tl.math.exp2(m - safe)
        l = l * alpha + tl.sum(p, 1)
        values = of_v.load([first, 0])
        acc = tl.dot(p.to(values.dtype), values, acc * alpha[:, None])
        m = peak
    of_o.store([start * BM, 0], (acc / l[:, None]).to(out.type.element_ty))
    tl.store(lse + head * T + rows, m / 1.44269504 + tl.log(l), mask=rows < T)


@pytest.mark.parametrize("window", [0, 9])
def test_attention_with_a_window_and_grouped_heads(window):
    T, D, H = 45, 16, 4
    g = torch.Generator().manual_seed(45)
    q, k, v = (torch.randn(h, T, D, generator=g).half() for h in (H, H // 2, H // 2))
    out, lse = torch.empty_like(q), torch.empty(H, T)
    with simulate():
        flash[(triton.cdiv(T, 16), H)](q, k, v, out, lse, q.stride(0), k.stride(0), v.stride(0), out.stride(0), T,
                                       D**-0.5, window, 2, D, 16, 16, 2, num_warps=2)
    s = q.double() @ k.double().repeat_interleave(2, 0).mT * D**-0.5
    i = torch.arange(T)
    seen = i[:, None] >= i
    if window:
        seen &= i[:, None] - i < window
    s = s.masked_fill(~seen, -torch.inf)
    assert (out.double() - s.softmax(-1) @ v.double().repeat_interleave(2, 0)).abs().max() < 2.0**-9
    assert (lse.double() - s.logsumexp(-1)).abs().max() < 2.0**-18


@triton.jit
def quantised(a, b, scales, zeros, c, M, N, K, G: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    """Activations in fp16 times weights of four bits, two in a byte, a scale and a zero for each group of G rows."""
    i = tl.program_id(0) * BM + tl.arange(0, BM)
    j = tl.program_id(1) * BN + tl.arange(0, BN)
    acc = tl.zeros((BM, BN), tl.float32)
    for first in range(0, K, BK):
        k = first + tl.arange(0, BK)
        x = tl.load(a + i[:, None] * K + k[None, :], mask=(i[:, None] < M) & (k[None, :] < K), other=0.0)
        packed = tl.load(b + (k[:, None] // 2) * N + j[None, :], mask=(k[:, None] < K) & (j[None, :] < N), other=0)
        w = (packed >> ((k[:, None] % 2) * 4)) & 0xF
        s = tl.load(scales + (first // G) * N + j, mask=j < N, other=0.0)
        z = tl.load(zeros + (first // G) * N + j, mask=j < N, other=0)
        acc += tl.dot(x, ((w.to(tl.int32) - z[None, :].to(tl.int32)).to(tl.float16) * s[None, :]))
    tl.store(c + i[:, None] * N + j[None, :], acc, mask=(i[:, None] < M) & (j[None, :] < N))


@triton.jit
def integers(a, b, sa, sb, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, SPLIT: tl.constexpr):
    """int8 times int8 in int32, K split over programs, scaled and added atomically."""
    i = tl.program_id(0) * BM + tl.arange(0, BM)
    j = tl.program_id(1) * BN + tl.arange(0, BN)
    part = tl.program_id(2)
    acc = tl.zeros((BM, BN), dtype=tl.int32)
    for step in range(tl.cdiv(K, BK * SPLIT)):
        k = (step * SPLIT + part) * BK + tl.arange(0, BK)
        x = tl.load(a + i[:, None] * K + k[None, :], mask=(i < M)[:, None] & (k < K)[None, :], other=0)
        w = tl.load(b + k[:, None] * N + j[None, :], mask=(k < K)[:, None] & (j < N)[None, :], other=0)
        acc = tl.dot(x, w, acc, out_dtype=tl.int32)
    rows = tl.load(sa + i, mask=i < M, other=0.0)
    columns = tl.load(sb + j, mask=j < N, other=0.0)
    value = acc.to(tl.float32) * rows[:, None] * columns[None, :]
    tl.atomic_add(c + i[:, None] * N + j[None, :], value, mask=(i[:, None] < M) & (j[None, :] < N), sem="relaxed")


def test_products_of_quantised_weights():
    g = torch.Generator().manual_seed(8)
    M, N, K, G = 9, 19, 96, 32
    x = torch.randint(-4, 5, (M, K), generator=g).half()
    w = torch.randint(0, 16, (K, N), generator=g, dtype=torch.uint8)
    z = torch.randint(0, 16, (K // G, N), generator=g, dtype=torch.uint8)
    s = 2.0 ** torch.randint(-3, 1, (K // G, N), generator=g).half()
    c = torch.empty(M, N)
    with simulate():
        quantised[(1, 2)](x, w[::2] | w[1::2] << 4, s, z, c, M, N, K, G, 16, 16, 32)
    full = (w.double() - z.double().repeat_interleave(G, 0)) * s.double().repeat_interleave(G, 0)
    assert torch.equal(c.double(), x.double() @ full)
    a, b = (torch.randint(-128, 128, shape, generator=g, dtype=torch.int8) for shape in ((M, K), (K, N)))
    sa, sb = torch.full((M,), 0.5), torch.full((N,), 2.0**-4)
    c = torch.zeros(M, N)
    with simulate():
        integers[(1, 2, 3)](a, b, sa, sb, c, M, N, K, 16, 16, 32, 3)
    assert torch.equal(c.double(), (a.double() @ b.double()) / 32)


@triton.jit
def after(a, x, b, y):
    """One step of h = a h + x after another."""
    return a * b, b * x + y


@triton.jit
def scans(a, x, h, total, N: tl.constexpr, REVERSE: tl.constexpr):
    i = tl.arange(0, N)
    decay, value = tl.load(a + i), tl.load(x + i)
    _, state = tl.associative_scan((decay, value), 0, after, reverse=REVERSE)
    tl.store(h + i, state)
    tl.store(total + i, tl.cumsum(value, 0, reverse=REVERSE))


@pytest.mark.parametrize("reverse", [False, True])
def test_a_recurrence_is_a_scan_of_pairs(reverse):
    a, x = torch.tensor([0.5, -1.0, 2.0, 0.25] * 8), torch.arange(-16.0, 16.0)
    h, total = torch.empty(32), torch.empty(32)
    with simulate():
        scans[(1,)](a, x, h, total, 32, reverse)
    state, want = 0.0, []
    for decay, value in (list(zip(a.tolist(), x.tolist()))[::-1] if reverse else zip(a.tolist(), x.tolist())):
        state = decay * state + value
        want.append(state)
    assert h.tolist() == (want[::-1] if reverse else want)
    assert torch.equal(total, x.flip(0).cumsum(0).flip(0) if reverse else x.cumsum(0))


@triton.jit
def best(x, values, places, M, K: tl.constexpr, N: tl.constexpr):
    """The K largest of a row with their places, by keys of 64 bits that order as the numbers do."""
    row = tl.program_id(0)
    i = tl.arange(0, N)
    v = tl.load(x + row * M + i, mask=i < M, other=float("-inf"))
    bits = v.to(tl.int32, bitcast=True)
    order = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    key = (order.to(tl.int64) << 32) | (N - 1 - i).to(tl.int64)
    top = tl.topk(key, K)
    j = tl.arange(0, K)
    place = N - 1 - (top & 0xFFFFFFFF).to(tl.int32)
    back = (top >> 32).to(tl.int32)
    tl.store(values + row * K + j, tl.where(back < 0, back ^ 0x7FFFFFFF, back).to(tl.float32, bitcast=True))
    tl.store(places + row * K + j, place)


def test_the_largest_of_each_row():
    x = torch.randn(3, 50, generator=torch.Generator().manual_seed(2))
    values, places = torch.empty(3, 8), torch.empty(3, 8, dtype=torch.int64)
    with simulate():
        best[(3,)](x, values, places, 50, 8, 64)
    want = x.topk(8, -1)
    assert torch.equal(values, want.values)
    assert torch.equal(places, want.indices)


@triton.jit
def paged(q, cache_k, cache_v, table, lengths, out, scale, pages, PAGE: tl.constexpr, D: tl.constexpr):
    """One query a sequence; keys and values lie in pages, which a table names."""
    sequence = tl.program_id(0)
    n = tl.load(lengths + sequence)
    d, r = tl.arange(0, D), tl.arange(0, PAGE)
    query = tl.load(q + sequence * D + d).to(tl.float32) * scale
    m, l = -float("inf"), 0.0
    acc = tl.zeros([D], dtype=tl.float32)
    for page in range(tl.cdiv(n, PAGE)):
        where = tl.load(table + sequence * pages + page).to(tl.int64)
        seen = page * PAGE + r < n
        at = where * PAGE * D + r[:, None] * D + d[None, :]
        k = tl.load(cache_k + at, mask=seen[:, None], other=0.0)
        s = tl.where(seen, tl.sum(query[None, :] * k, axis=1), float("-inf"))
        peak = tl.maximum(m, tl.max(s, axis=0))
        p, alpha = tl.exp(s - peak), tl.exp(m - peak)
        v = tl.load(cache_v + at, mask=seen[:, None], other=0.0)
        acc = acc * alpha + tl.sum(p[:, None] * v, axis=0)
        l = l * alpha + tl.sum(p, axis=0)
        m = peak
    tl.store(out + sequence * D + d, acc / l)


def test_attention_over_pages():
    g = torch.Generator().manual_seed(4)
    D, PAGE = 16, 4
    lengths, table = torch.tensor([7, 1, 12], dtype=torch.int32), torch.tensor(
        [[5, 0, -1], [3, -1, -1], [1, 4, 2]], dtype=torch.int32)
    k, v, q = torch.randn(6, PAGE, D, generator=g), torch.randn(6, PAGE, D, generator=g), torch.randn(3, D, generator=g)
    out = torch.empty(3, D)
    with simulate():
        paged[(3,)](q, k, v, table, lengths, out, D**-0.5, 3, PAGE, D)
    for i, n in enumerate(lengths.tolist()):
        keys, values = (t[table[i, :-(-n // PAGE)].long()].reshape(-1, D)[:n].double() for t in (k, v))
        assert (out[i].double() - (q[i].double() @ keys.T * D**-0.5).softmax(-1) @ values).abs().max() < 2.0**-20
    lengths[1] = 5                                     # its second page is nowhere
    with pytest.raises(KernelFault), simulate():
        paged[(3,)](q, k, v, table, lengths, out, D**-0.5, 3, PAGE, D)


@triton.jit
def rotary(x, cos, sin, T, H: tl.constexpr, HALF: tl.constexpr, INTERLEAVED: tl.constexpr):
    """Turn pairs of numbers in place: halves of a head, or neighbours."""
    t = tl.program_id(0)
    h = tl.arange(0, H)[:, None]
    j = tl.arange(0, HALF)[None, :]
    c, s = tl.load(cos + t * HALF + j), tl.load(sin + t * HALF + j)
    base = x + (t * H + h) * 2 * HALF
    if INTERLEAVED:
        both = tl.load(base + tl.arange(0, 2 * HALF)[None, :])
        a, b = tl.split(tl.reshape(both, (H, HALF, 2)))
        turned = tl.join(a * c - b * s, b * c + a * s)
        tl.store(base + tl.arange(0, 2 * HALF)[None, :], tl.reshape(turned, (H, 2 * HALF)))
    else:
        a, b = tl.load(base + j), tl.load(base + HALF + j)
        tl.store(base + j, a * c - b * s)
        tl.store(base + HALF + j, b * c + a * s)


@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary_embeddings(interleaved):
    T, H, HALF = 3, 2, 4
    x = torch.randint(-9, 10, (T, H, 2 * HALF), generator=torch.Generator().manual_seed(3)).float()
    cos, sin = torch.arange(T * HALF).reshape(T, HALF) / 8, torch.arange(T * HALF).reshape(T, HALF) / -4
    a, b = (x[..., ::2], x[..., 1::2]) if interleaved else (x[..., :HALF], x[..., HALF:])
    c, s = cos[:, None], sin[:, None]
    turned = a * c - b * s, b * c + a * s
    want = torch.stack(turned, -1).reshape(x.shape) if interleaved else torch.cat(turned, -1)
    with simulate():
        rotary[(T,)](x, cos, sin, T, H, HALF, interleaved)
    assert torch.equal(x, want)


def few(configs, named, **kwargs):
    return [one for one in configs if one.kwargs["BM"] <= named["M"]]


@triton.autotune([triton.Config({"BM": bm, "BN": 16, "GROUP": 2}, num_warps=w, num_stages=s, pre_hook=lambda given:
                                given["locks"].zero_()) for bm in (64, 16) for w, s in ((2, 2), (4, 3))],
                 key=["M", "N"], prune_configs_by={"early_config_prune": few, "perf_model": lambda **k: k["BM"],
                                                   "top_k": 1}, reset_to_zero=["locks"])
@triton.heuristics({"EVEN": lambda given: given["K"] % 16 == 0})
@triton.jit
def grouped(a, b, c, locks, M, N, K, stride, BM: tl.constexpr, BN: tl.constexpr, GROUP: tl.constexpr,
            EVEN: tl.constexpr):
    """Tiles in groups of rows, K split in two by a lock: the first stores, the second adds."""
    tl.static_assert(BM >= 16, "tiles have at least sixteen rows")
    tl.static_print("tile", BM, BN)
    tl.device_assert(M > 0, "no rows")
    tile, part = tl.program_id(0), tl.program_id(1)
    rows, columns = tl.cdiv(M, BM), tl.cdiv(N, BN)
    pi, pj = tl.swizzle2d(tile // columns, tile % columns, rows, columns, GROUP)
    i = (pi * BM + tl.arange(0, BM)) % M
    j = tl.max_contiguous(tl.multiple_of((pj * BN + tl.arange(0, BN)) % N, BN), BN) if EVEN else (
        pj * BN + tl.arange(0, BN)) % N
    acc = tl.zeros((BM, BN), tl.float32)
    for k0 in range(part * 16, K, 32):
        k = k0 + tl.arange(0, 16)
        if EVEN:
            x, w = tl.load(a + i[:, None] * stride + k), tl.load(b + k[:, None] * N + j)
        else:
            x = tl.load(a + i[:, None] * stride + k, mask=k[None, :] < K, other=0.0)
            w = tl.load(b + k[:, None] * N + j, mask=k[:, None] < K, other=0.0)
        acc = tl.dot(x, w, acc, input_precision="ieee")
    inside = (pi * BM + tl.arange(0, BM) < M)[:, None] & (pj * BN + tl.arange(0, BN) < N)[None, :]
    at = c + i[:, None] * N + j
    while tl.atomic_cas(locks + tile, part, part, sem="acquire") != part:
        pass
    if part > 0:
        acc += tl.load(at, mask=inside, other=0.0, cache_modifier=".cg")
    tl.store(at, acc, mask=inside)
    tl.debug_barrier()
    tl.atomic_xchg(locks + tile, part + 1, sem="release")


@pytest.mark.parametrize("K", [48, 41])
def test_a_tuned_product_with_split_sums(K):
    g = torch.Generator().manual_seed(K)
    M, N = 30, 32
    a, b = torch.randint(-3, 4, (M, K), generator=g).float(), torch.randint(-3, 4, (K, N), generator=g).float()
    c, locks = torch.zeros(M, N), torch.full((4,), 7, dtype=torch.int32)
    with simulate() as sim:
        grouped[lambda m: (triton.cdiv(M, m["BM"]) * triton.cdiv(N, m["BN"]), 2)](a, b, c, locks, M, N, K, a.stride(0))
    assert sim.launches == 1
    assert torch.equal(c, a @ b)


@triton.jit
def wrong_static(x, N: tl.constexpr):
    tl.static_assert(N >= 32, "needs a warp")
    tl.store(x + tl.arange(0, N), 0.0)


@triton.jit
def assembly(x, y, N: tl.constexpr):
    i = tl.arange(0, N)
    v = tl.inline_asm_elementwise("rcp.approx.ftz.f32 $0, $1;", "=r,r", [tl.load(x + i)], tl.float32, True, 1)
    tl.store(y + i, v)


def test_what_cannot_be_known_or_was_forbidden_is_said():
    x = torch.ones(16)
    with pytest.raises(KernelFault, match="needs a warp") as caught, simulate():
        wrong_static[(1,)](x, 16)
    assert caught.value.check == "compile"
    with pytest.raises(NotImplementedError, match="a GPU's own instructions"), simulate():
        assembly[(1,)](x, x.clone(), 16)
    assert x.eq(1).all()


@triton.jit
def boxes(a, b, c, M, N, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, PROGRAMS: tl.constexpr):
    """A persistent product through descriptors that the kernel makes."""
    of_a = tl.make_tensor_descriptor(a, [M, K], [K, 1], [BM, BK])
    of_b = tl.make_tensor_descriptor(b, [N, K], [K, 1], [BN, BK])
    of_c = tl.make_tensor_descriptor(c, [M, N], [N, 1], [BM, BN])
    tiles = tl.cdiv(M, BM) * tl.cdiv(N, BN)
    for tile in tl.range(tl.program_id(0), tiles, PROGRAMS, flatten=True, warp_specialize=False):
        i, j = tile // tl.cdiv(N, BN) * BM, tile % tl.cdiv(N, BN) * BN
        acc = tl.zeros((BM, BN), tl.float32)
        for k in range(0, K, BK):
            acc = tl.dot(of_a.load([i, k]), of_b.load([j, k]).T, acc)
        of_c.store([i, j], acc.to(tl.float16))


def test_a_persistent_product_by_descriptors():
    M, N, K = 40, 24, 32
    g = torch.Generator().manual_seed(40)
    a, b = (torch.randint(-2, 3, shape, generator=g).half() for shape in ((M, K), (N, K)))
    c = torch.empty(M, N).half()
    triton.set_allocator(lambda size, alignment, stream: torch.empty(size, dtype=torch.int8))
    with simulate(target="sm_90"):
        boxes[(3,)](a, b, c, M, N, K, 16, 16, 16, 3)
    assert torch.equal(c, a @ b.T)


@triton.jit
def welford(mean, m2, n, mean_, m2_, n_):
    d = mean_ - mean
    total = n + n_
    share = tl.where(total == 0, 0.0, n_ / total)
    return mean + d * share, m2 + m2_ + d * d * n * share, total


@triton.jit
def normed(x, y, N, BLOCK: tl.constexpr, eps: tl.constexpr = 1e-5):
    row = tl.program_id(0).to(tl.int64)
    mean = tl.zeros((BLOCK,), tl.float32)
    m2, n = tl.zeros_like(mean), tl.zeros_like(mean)
    for first in range(0, N, BLOCK):
        i = first + tl.arange(0, BLOCK)
        v = tl.load(x + row * N + i, mask=i < N, other=0.0, eviction_policy="evict_last").to(tl.float32)
        inside = i < N
        mean_, m2_, n_ = welford(mean, m2, n, v, 0.0, 1.0)
        mean, m2, n = tl.where(inside, mean_, mean), tl.where(inside, m2_, m2), tl.where(inside, n_, n)
    mu, sq, count = tl.reduce((mean, m2, n), 0, welford)
    r = tl.rsqrt(sq / count + eps)
    for first in tl.range(0, N, BLOCK, loop_unroll_factor=2):
        i = first + tl.arange(0, BLOCK)
        v = tl.load(x + row * N + i, mask=i < N, other=0.0, eviction_policy="evict_first").to(tl.float32)
        tl.store(y + row * N + i, ((v - mu) * r).to(y.dtype.element_ty), mask=i < N)


def test_layer_norm_with_running_statistics():
    x = torch.randn(4, 75, generator=torch.Generator().manual_seed(75)).bfloat16() + 30
    y = torch.empty_like(x)
    with simulate():
        normed[(4,)](x, y, 75, 32)
    want = torch.nn.functional.layer_norm(x.double(), (75,))
    assert (y.double() - want).abs().max() <= 2.0**-8 * want.abs().max()


@triton.jit
def scaled(a, sa, b, sb, c, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr, FEW: tl.constexpr):
    i, j = tl.arange(0, M)[:, None], tl.arange(0, N)[None, :]
    groups = tl.arange(0, K // 32)[None, :]
    x = tl.load(a + i * K + tl.arange(0, K)[None, :])
    s = tl.load(sa + i * (K // 32) + groups)
    t = tl.load(sb + tl.arange(0, N)[:, None] * (K // 32) + groups)
    if FEW:
        w = tl.load(b + tl.arange(0, K // 2)[:, None] * N + j)
        tl.store(c + i * N + j, tl.dot_scaled(x, s, "e4m3", w, t, "e2m1"))
    else:
        w = tl.load(b + tl.arange(0, K)[:, None] * N + j)
        tl.store(c + i * N + j, tl.dot_scaled(x, s, "e4m3", w, None, rhs_format="bf16"))


@pytest.mark.parametrize("few", [True, False])
def test_a_product_of_few_bits_with_scales(few):
    M, N, K = 128, 16, 64
    g = torch.Generator().manual_seed(K)
    a = torch.randint(-4, 5, (M, K), generator=g).to(torch.float8_e4m3fn)
    codes = torch.randint(0, 16, (K, N), generator=g, dtype=torch.uint8)
    table = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6], dtype=torch.float64)
    b = table[(codes & 7).long()] * torch.where(codes > 7, -1, 1)
    sa, sb = (torch.randint(125, 129, (n, 2), generator=g, dtype=torch.uint8) for n in (M, N))
    c = torch.empty(M, N)
    with simulate(target="sm_100"):
        scaled[(1,)](a, sa, codes[::2] | codes[1::2] << 4 if few else b.bfloat16(), sb, c, M, N, K, few)
    x = a.double() * 2.0 ** (sa.double() - 127).repeat_interleave(32, 1)
    w = b * 2.0 ** (sb.double() - 127).repeat_interleave(32, 1).T if few else b
    assert torch.equal(c.double(), x @ w)
