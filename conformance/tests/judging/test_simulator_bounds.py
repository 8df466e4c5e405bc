"""The bound knows how a device adds: a right kernel passes there, and a wrong accumulator still fails."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import triton
import triton.language as tl

from chainrule.conformance import Backend
from chainrule.conformance.judging.bounds import bound, declared
from chainrule.conformance.judging.cases import Case
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.numbers.formats import round_to
from chainrule.conformance.judging.numbers.tensor_cores import TENSOR_CORES
from chainrule.conformance.simulator import accumulators, simulate

TARGETS = ("sm_80", "sm_89", "sm_90", "sm_100", "sm_120")


def row_of_losses(target, depth, dtype):
    """x and w whose product on this device is as wrong as it gets: see `worst_sum` in the test of the accumulators."""
    core = TENSOR_CORES[target]
    unit, scale = 2.0**-core.fraction, 2.0**-12
    x = np.full((1, depth), (2 - 2.0 ** (-10 if dtype == "fp16" else -7)) * unit / scale)
    w = np.full((1, depth), scale)
    x[0, 0] = w[0, 0] = 1.0
    kept, terms = round(2.0**-23 / unit), core.terms(2)
    for start in range(0, depth, terms):
        step = np.arange(max(start, 1), min(start + terms, depth))
        x[0, step[len(step) - (len(step) - (kept - 1)) % kept:]] /= 2
    assert (round_to(x, dtype) == x).all()
    return {"x": x, "w": w, "b": None, "act": "identity"}


def fraction(arguments, target, dtype, device):
    numpy_type = np.float16 if dtype == "fp16" else accumulators.F32
    x, w = (arguments[n].astype(numpy_type) for n in "xw")
    if dtype == "bf16":
        import ml_dtypes

        x, w = x.astype(ml_dtypes.bfloat16), w.astype(ml_dtypes.bfloat16)
    got = accumulators.dot(x, w.T, np.zeros((1, 1), np.float32), TENSOR_CORES[target])
    exact = arguments["x"] @ arguments["w"].T
    limit = bound("net.layer.affine", arguments, dtype, declared({}, dtype, device))["a"]
    return float(np.abs(got - exact)[0, 0] / limit.accumulation[0, 0])


@pytest.mark.parametrize("target", ["sm_70", *TARGETS])
@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_the_worst_sum_of_a_device_is_within_its_bound(target, dtype):
    given = row_of_losses(target, 4096, dtype)
    assert fraction(given, target, dtype, target) <= 1
    if TENSOR_CORES[target].fraction < 25:
        assert fraction(given, target, dtype, None) > 1             # IEEE's would fail a right kernel


def test_only_products_of_what_tensor_cores_take_are_bounded_so():
    z = {"z": np.linspace(-3, 3, 12).reshape(3, 4), "y": np.eye(3, 4)}
    for op, given in (("loss.xent.logits", z), ("act.elu", {"z": z["z"], "alpha": 1.0})):
        plain, device = (bound(op, given, "bf16", declared({}, "bf16", d)) for d in (None, "sm_80"))
        assert all(np.array_equal(plain[n].total, device[n].total) for n in plain)
    assert declared({}, "fp32", "sm_80") == declared({}, "fp32")
    assert declared({"fp32": "tf32"}, "fp32", "sm_80").roundings(64) == 64 + 2 * 16
    assert declared({}, "fp16", "sm_999") == declared({}, "fp16")


@triton.jit
def affine_kernel(x, w, y, n, inputs, outputs, HOW: tl.constexpr, B: tl.constexpr, K: tl.constexpr):
    i, j, k = tl.program_id(0) * B + tl.arange(0, B), tl.program_id(1) * B + tl.arange(0, B), tl.arange(0, K)
    acc = tl.zeros((B, B), tl.float16 if HOW == "half" else tl.float32)
    for start in range(0, inputs, K):
        deep = start + k < inputs
        a = tl.load(x + i[:, None] * inputs + start + k[None, :], (i < n)[:, None] & deep[None, :], 0.0)
        b = tl.load(w + j[None, :] * inputs + start + k[:, None], (j < outputs)[None, :] & deep[:, None], 0.0)
        if HOW == "half":
            acc = tl.dot(a, b, acc, out_dtype=tl.float16)
        elif HOW == "carry":                          # what was summed is kept in the operands' format
            acc = tl.dot(a, b, acc.to(x.dtype.element_ty).to(tl.float32))
        else:
            acc = tl.dot(a, b, acc)
    tl.store(y + i[:, None] * outputs + j[None, :], acc, mask=(i < n)[:, None] & (j < outputs)[None, :])


def affine(how):
    backend = Backend(how, device="cuda", kernels=True)

    @backend.op("net.layer.affine")
    def _(x, w, b, act):
        y = torch.empty(len(x), len(w), dtype=x.dtype)
        grid = (triton.cdiv(len(x), 16), triton.cdiv(len(w), 16))
        affine_kernel[grid](x.contiguous(), w.contiguous(), y, len(x), x.shape[1], len(w), how, 16, 64)
        return y

    return backend


def long_case():
    random = np.random.default_rng(4)
    x, w = (round_to(random.random((2, 2000)), "fp16") / 16 for _ in range(2))
    return Case("net.layer.affine/T1/long/fp16", "net.layer.affine", "T1", "fp16",
                lambda: {"x": x, "w": w, "b": np.zeros(2), "act": "identity"})


@pytest.mark.parametrize("target", TARGETS)
def test_a_long_sum_of_one_sign_passes_on_every_device_and_fails_in_half(target):
    with simulate(target=target, accumulate="device"):
        assert judge(long_case(), affine("float32"), "simulated").passed
        assert judge(long_case(), affine("half"), "simulated").state == "fail"
        assert judge(long_case(), affine("carry"), "simulated").state == "fail"


def test_the_page_on_the_simulator_says_what_the_table_says():
    rows = re.findall(r"^\| ((?:sm|gfx)\S.*?) \| (\d+) \| (\d+) \| (\S+) \| (.+?) \| ([\d.]+) \|$",
                      Path("docs/simulator.md").read_text(), re.MULTILINE)
    assert len(rows) == 6
    for names, fraction, sixteen, tf32, eight, worst in rows:
        for name in names.split(", "):
            core = TENSOR_CORES[name]
            assert (core.fraction, core.terms(2)) == (int(fraction), int(sixteen))
            assert tf32 in ("–", str(core.terms(4)))
            assert eight in ("–", "as 16 bits") or int(eight.partition(",")[0]) == core.terms(1)
            assert ("F = 13" in eight) == (core.fraction_of_bytes == 13)
            assert float(worst) == round(core.roundings(4096, 2) / 4096, 2)
