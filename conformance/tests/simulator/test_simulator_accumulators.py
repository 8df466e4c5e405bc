"""Matrix products added as tensor cores add: bit for bit what MMA-Sim says, which was validated on hardware."""

from __future__ import annotations

import attrs
import ml_dtypes
import numpy as np
import pytest
import torch
import triton
import triton.language as tl

from chainrule.conformance.judging.numbers.tensor_cores import TENSOR_CORES, TensorCore
from chainrule.conformance.simulator import accumulators, simulate

mmasim = pytest.importorskip("mmasim")

from mmasim.amd import MFMA  # noqa: E402
from mmasim.nv_ptx import MMA, WGMMA, TCGen05MMA  # noqa: E402

FORMATS = {"f16": torch.float16, "bf16": torch.bfloat16, "tf32": torch.float32, "e4m3": torch.float8_e4m3fn,
           "e5m2": torch.float8_e5m2}
NUMPY = {"bf16": ml_dtypes.bfloat16, "e4m3": ml_dtypes.float8_e4m3fn, "e5m2": ml_dtypes.float8_e5m2}
WIDEST = {"f16": 12, "bf16": 60, "tf32": 60, "e4m3": 6, "e5m2": 12}      # exponents drawn, up and down

UNITS = {
    ("sm_70", "f16"): lambda: MMA("Volta", "m8n8k4.f32.f16.f16.f32"),
    ("sm_80", "f16"): lambda: MMA("Ampere", "m16n8k16.f32.f16.f16.f32"),
    ("sm_80", "bf16"): lambda: MMA("Ampere", "m16n8k16.f32.bf16.bf16.f32"),
    ("sm_80", "tf32"): lambda: MMA("Ampere", "m16n8k8.f32.tf32.tf32.f32"),
    ("sm_89", "bf16"): lambda: MMA("Ada Lovelace", "m16n8k16.f32.bf16.bf16.f32"),
    ("sm_89", "e4m3"): lambda: MMA("Ada Lovelace", "m16n8k32.f32.e4m3.e4m3.f32"),
    ("sm_90", "f16"): lambda: WGMMA("Hopper", "m64n8k16.f32.f16.f16"),
    ("sm_90", "bf16"): lambda: WGMMA("Hopper", "m64n8k16.f32.bf16.bf16"),
    ("sm_90", "tf32"): lambda: WGMMA("Hopper", "m64n8k8.f32.tf32.tf32"),
    ("sm_90", "e5m2"): lambda: WGMMA("Hopper", "m64n8k32.f32.e5m2.e5m2"),
    ("sm_100", "bf16"): lambda: TCGen05MMA("Blackwell", "m64n8k16.kind::f16.f32.bf16.bf16"),
    ("sm_100", "tf32"): lambda: TCGen05MMA("Blackwell", "m64n8k8.kind::tf32.f32.tf32.tf32"),
    ("sm_120", "f16"): lambda: MMA("RTX Blackwell", "m16n8k16.f32.f16.f16.f32"),
    ("sm_120", "bf16"): lambda: MMA("RTX Blackwell", "m16n8k16.f32.bf16.bf16.f32"),
    ("gfx942", "f16"): lambda: MFMA("CDNA3", "f32_32x32x8_f16"),
    ("gfx942", "bf16"): lambda: MFMA("CDNA3", "f32_32x32x8_bf16"),
}
HALVES = {
    "sm_70": lambda: MMA("Volta", "m8n8k4.f16.f16.f16.f16"),
    "sm_80": lambda: MMA("Ampere", "m16n8k16.f16.f16.f16.f16"),
    "sm_90": lambda: WGMMA("Hopper", "m64n8k16.f16.f16.f16"),
}
RESULTS, DEPTH = 12_000, 64


def operands(kind, seed, results=RESULTS, into=torch.float32):
    """Rows and columns with one exponent or wide ones, of one sign or both; zeros, subnormals, infinities and NaN."""
    random = np.random.default_rng(seed)
    wide = random.integers(0, WIDEST[kind] + 1, (results, 1))

    def draw(depth):
        x = random.standard_normal((results, depth)) * 2.0 ** random.integers(-wide, wide + 1, (results, depth))
        x = np.where(random.random((results, 1)) < 0.4, np.abs(x), x)
        return np.where(random.random(x.shape) < 0.05, 0.0, x)

    a, b, c = draw(DEPTH), draw(DEPTH), draw(1)[:, 0]
    a[: results // 20] *= 2.0 ** -WIDEST[kind]                                  # subnormal operands, in most formats
    a, b, c = (torch.tensor(x) for x in (a, b, c))
    if kind != "e4m3":
        a[-40::2, 7], a[-39::4, 3], b[-20:, 7] = torch.inf, -torch.inf, 0.0
        b[-10:, 9] = torch.nan
    return a.to(FORMATS[kind]), b.to(FORMATS[kind]), c.to(into)


def ours(a, b, c, core, kind):
    x, y = (t.float().numpy().astype(NUMPY.get(kind, np.float16 if kind == "f16" else np.float32)) for t in (a, b))
    if kind == "tf32":
        x, y = ((v.view(np.uint32) & np.uint32(0xFFFFE000)).view(np.float32) for v in (x, y))
    with np.errstate(all="ignore"):
        return accumulators.dot(x[:, None, :], y[:, :, None], c.numpy()[:, None, None], core, kind == "tf32")[:, 0, 0]


def differ(got, want):
    want = want.numpy()
    assert got.dtype == want.dtype
    raw = np.uint16 if got.dtype == np.float16 else np.uint32
    return (got.view(raw) != want.view(raw)) & ~(np.isnan(got) & np.isnan(want))


@pytest.mark.parametrize(("target", "kind"), UNITS, ids=lambda x: x)
def test_bit_equal_to_the_validated_model(target, kind):
    a, b, c = operands(kind, seed=len(target) + len(kind))
    wrong = differ(ours(a, b, c, TENSOR_CORES[target], kind), UNITS[target, kind]().dpa(a, b, c))
    assert wrong.size >= 10_000
    assert not wrong.any()


@pytest.mark.parametrize("target", HALVES)
def test_half_precision_accumulators_are_rounded_at_every_step(target):
    a, b, c = operands("f16", 5, into=torch.float16)
    assert not differ(ours(a, b, c, TENSOR_CORES[target], "f16"), HALVES[target]().dpa(a, b, c)).any()


@pytest.mark.parametrize("change", [{"fraction": 24}, {"fraction": 26}, {"width": 16}, {"width": 64},
                                    {"nearest": True}])
def test_another_rule_is_noticed(change):
    a, b, c = operands("bf16", 3, results=2000)
    core = attrs.evolve(TENSOR_CORES["sm_90"], **change)
    assert differ(ours(a, b, c, core, "bf16"), UNITS["sm_90", "bf16"]().dpa(a, b, c)).any()


def test_rounding_to_nearest_instead_of_cutting_off_is_noticed(monkeypatch):
    a, b, c = operands("bf16", 3, results=2000)
    monkeypatch.setattr(accumulators, "towards_zero", lambda x, bits: x.astype(np.float32))
    assert differ(ours(a, b, c, TENSOR_CORES["sm_90"], "bf16"), UNITS["sm_90", "bf16"]().dpa(a, b, c)).any()


def worst_sum(core: TensorCore, size: int, depth: int, bits: int):
    """One product of 1, and then as many as fit into a step, each of which loses almost a unit of the last fraction
    bit, and their sum almost a unit of float32's last."""
    unit = 2.0**-core.fraction
    x = np.full(depth, (2 - 2.0 ** (1 - bits)) * unit)
    x[0] = 1.0
    kept = round(2.0**-23 / unit)
    terms = core.terms(size)
    for start in range(0, depth, terms):
        step = np.arange(max(start, 1), min(start + terms, depth))
        loses = len(step) - (len(step) - (kept - 1)) % kept
        x[step[loses:]] /= 2
    return x


@pytest.mark.parametrize("target", [t for t, core in TENSOR_CORES.items() if not core.nearest])
@pytest.mark.parametrize("depth", [2, 3, 8, 17, 64, 1000])
def test_the_bound_covers_the_worst_sum_and_not_much_more(target, depth):
    core = TENSOR_CORES[target]
    shift = 2.0**-13                                 # keeps the operands normal, and the products as they are
    x = (worst_sum(core, 2, depth, 11) / shift).astype(np.float16)
    y = np.full(depth, shift, np.float16)
    x[0], y[0] = 1, 1
    products = x.astype(np.float64) * y.astype(np.float64)
    got = accumulators.dot(x[None], y[:, None], np.zeros((1, 1), np.float32), core)[0, 0]
    error = abs(float(got) - products.sum()) / 2.0**-24 / np.abs(products).sum()
    bound = core.roundings(depth, 2)
    assert error <= bound
    if depth >= 64:
        assert 2 * error > bound                     # near the worst there is


@triton.jit
def product(a, b, c, K: tl.constexpr, HALF: tl.constexpr):
    i = tl.arange(0, 16)
    acc = tl.zeros((16, 16), tl.float16 if HALF else tl.float32)
    for k in range(0, K, 16):
        x = tl.load(a + i[:, None] * K + k + i[None, :])
        y = tl.load(b + (k + i)[:, None] * 16 + i[None, :])
        acc = tl.dot(x, y, acc, out_dtype=tl.float16 if HALF else tl.float32)
    tl.store(c + i[:, None] * 16 + i[None, :], acc)


def kernels_product(a, b, **options):
    c = torch.zeros(16, 16)
    with simulate(**options):
        product[(1,)](a, b, c, a.shape[1], False)
    return c


@pytest.mark.parametrize("target", ["sm_80", "sm_90"])
def test_kernels_are_added_so_when_asked(target):
    a, b = torch.rand(16, 512).bfloat16(), torch.rand(512, 16).bfloat16()
    left, right = (t.float().numpy().astype(ml_dtypes.bfloat16) for t in (a, b))
    core = TENSOR_CORES[target]
    wanted = accumulators.dot(left, right, np.zeros((16, 16), np.float32), core)
    got = kernels_product(a, b, target=target, accumulate="device")
    assert np.array_equal(got.numpy(), wanted)
    assert not torch.equal(got, kernels_product(a, b, target=target))
    exact = left.astype(np.float64) @ right.astype(np.float64)
    assert (got.double().numpy() < exact).mean() > 0.9                       # cutting off is biased
    with simulate(target=target, accumulate="device"):
        assert torch.equal(kernels_product(a, b), got)                         # as in the enclosing simulation


def test_float32_products_use_no_tensor_core():
    a, b = torch.rand(16, 64), torch.rand(64, 16)
    in_tf32 = kernels_product(a, b, accumulate="device")                       # Triton's default for float32
    assert not torch.equal(in_tf32, kernels_product(a, b))


def test_what_is_not_known_is_refused():
    known = pytest.raises(ValueError, match="how that device adds is not known")
    with known, simulate(target="sm_60", accumulate="device"):
        pass
    with pytest.raises(ValueError, match="float32 or device"), simulate(accumulate="exactly"):
        pass
