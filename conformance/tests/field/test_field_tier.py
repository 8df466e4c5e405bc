"""Kernels against their equations over the exact field: ours are equal, broken ones are not, and what it cannot see."""

from __future__ import annotations

import pytest
import torch
import triton
import triton.language as tl

from chainrule.conformance.backend import Backend, load
from chainrule.conformance.backends.triton import ELEMENTARY
from chainrule.conformance.field.elements import Unseen
from chainrule.conformance.field.judging import expected
from chainrule.conformance.field.memory import Memory
from chainrule.conformance.judging.cases import field_cases
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.recipes import FAMILIES
from chainrule.conformance.mutate.kernels import EDITS, Edit, backend_with, hunt

SOME = ("net.layer.affine", "loss.softmax", "conv2d.layer.grad_x", "pool.max", "norm.layer.grad_x", "attn.head.grad_K",
        "opt.adam", "act.tanh", "act.gelu.tanh")
RATIONAL = [edit for edit in EDITS if edit.rational]
OF_ROUNDING = {"tf32 for ieee", "fp16 accumulator"}


@pytest.mark.parametrize("op", SOME)
def test_ours_are_equal(op):
    case = next(field_cases(op))
    verdict = judge(case, load("triton"), "simulated")
    assert verdict.passed, verdict.reason


@pytest.mark.slow
@pytest.mark.parametrize("op", FAMILIES)
def test_every_op_of_ours_is_equal_at_every_size(op):
    verdicts = [judge(case, load("triton"), "simulated") for case in field_cases(op)]
    assert not [v.reason for v in verdicts if v.state == "fail"]
    assert sum(v.passed for v in verdicts) > len(verdicts) / 2


@pytest.mark.parametrize("edit", [e for e in RATIONAL if str(e) not in OF_ROUNDING][4::12], ids=str)
def test_the_field_alone_catches_a_wrong_structure(edit):
    assert hunt(edit, ("TF",)) is not None


def test_what_the_field_cannot_follow_is_not_judged():
    case = next(case for case in field_cases("net.step") if "tanh" in case.id)
    verdict = judge(case, load("triton"), "simulated")
    assert verdict.state == "not_judged"
    assert "exponential of an exponential" in verdict.reason
    with pytest.raises(Unseen, match="no rule for the function bessel"):
        Memory().function("bessel", torch.ones(1).numpy())


@pytest.mark.parametrize("op", ["act.gelu", "act.gelu.prime", "act.gelu.tanh", "act.gelu.tanh.prime"])
def test_both_forms_of_gelu_are_followed(op):
    case = next(field_cases(op))
    assert judge(case, load("triton"), "simulated").passed
    other = Backend("other", device="cuda", kernels=True, elementary=ELEMENTARY)
    other.op(op)(load("triton").ops["act.gelu.tanh" if op == "act.gelu" else "act.gelu"])
    assert judge(case, other, "simulated").state == "fail"


def mine(id, **options):
    backend = Backend("mine", device="cuda", **options)
    return backend, backend.op(id), next(field_cases(id))


@triton.jit
def _relu(x, y, n, slope: tl.constexpr, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    z = tl.load(x + i, mask=i < n)
    tl.store(y + i, tl.where(z > 0, z, slope * z), mask=i < n)


@triton.jit
def _bits(x, y, n, BLOCK: tl.constexpr):
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    z = tl.load(x + i, mask=i < n)
    double = z + z
    low = double.to(tl.int32, bitcast=True) & 0x7FFFFFFF
    tl.store(y + i, (double + low.to(tl.float32, bitcast=True)) * 0.25, mask=i < n)


def started(kernel, z, *more):
    y = torch.empty_like(z)
    kernel[(triton.cdiv(z.numel(), 64),)](z, y, z.numel(), *more, BLOCK=64)
    return y


def test_anybodys_kernel_is_judged():
    backend, register, case = mine("act.relu")
    register(lambda z: started(_relu, z, 0.0))
    assert judge(case, backend, "simulated").passed
    backend, register, _ = mine("act.relu")
    register(lambda z: started(_relu, z, 2.0**-30))              # below what float32 keeps of anything
    verdict = judge(case, backend, "simulated")
    assert verdict.state == "fail"
    assert "elements of a are not the equation's" in verdict.reason


def test_rounding_is_not_seen():
    edit = next(e for e in EDITS if e.name == "fp16 accumulator")
    assert hunt(edit, ("TF",)) is None
    assert hunt(edit, ("T0",)) is not None


def test_a_kernel_that_looks_at_bits_is_not_judged():
    backend, register, case = mine("act.relu")
    register(lambda z: started(_bits, z))
    verdict = judge(case, backend, "simulated")
    assert verdict.state == "not_judged"
    assert verdict.reason.endswith("but it looks at the bits of a float")


def test_what_torch_computes_between_kernels_is_not_judged():
    backend, register, case = mine("act.leaky")
    register(lambda z, slope=0.1: torch.maximum(z, slope * z))
    verdict = judge(case, backend, "simulated")
    assert verdict.state == "not_judged"
    assert "torch" in verdict.reason


def test_nothing_is_said_of_a_host():
    verdict = judge(next(field_cases("act.relu")), load("torch"), "host")
    assert verdict.state == "not_judged"


def test_an_edited_stand_in_for_an_elementary_function_is_not_taken_for_it():
    edit = Edit("blocks.elementary", "act.sigmoid", "2ⁿ once too often",
                "return tl.exp2(r * LOG2E) * power(half) * power(n - half)",
                "return tl.exp2(r * LOG2E) * power(half) * power(n - half) * 2.0")
    verdict = judge(next(field_cases("act.sigmoid")), backend_with(edit), "simulated")
    assert verdict.state == "not_judged", "it makes powers of two of bits, and those the field cannot follow"


def test_a_draw_on_the_edge_is_replaced():
    """Nothing that float32 could decide otherwise is left in the data."""
    arguments, truths, _ = expected(next(field_cases("net.layer.affine")), "net.layer.affine")
    assert set(truths) == {"a"}
    assert arguments["x"].shape == (33, 40)
