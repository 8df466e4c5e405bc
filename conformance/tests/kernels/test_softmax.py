"""What the losses read and write; the softmax loss has two kernels, and each wrong second one is noticed."""

from __future__ import annotations

import contextlib

import pytest
import torch

from chainrule.conformance.backends.triton import backend, configurations
from chainrule.conformance.judging.cases import cases_of
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.verdict import FAIL, PASS
from chainrule.conformance.mutate.kernels import Edit, edited
from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import OPS
from chainrule.triton_kernels.losses import kernels as losses
from chainrule.triton_kernels.runtime import configs

OP = "loss.softmax"
LONG = [case for case in cases_of(OP, ("fp32",)) if case.tier == "T1" and ("5x130" in case.id or "17x10" in case.id)]


@contextlib.contextmanager
def two_passes(monkeypatch, module=losses):
    """The second kernel on any row, 32 lanes and two programs at a time."""
    monkeypatch.setattr(module, "together", lambda size, warps, arch: 2)
    with configs.pinned(OP, configs.Row(1, 1, warps=1)), configs.pinned(f"{OP}.long", configs.Row(1, 32, warps=1)):
        yield


@pytest.mark.parametrize(("K", "reads", "kernel"), [
    (32768, 1, "softmax_rows_kernel"), (32769, 2, "softmax_long_kernel")])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
def test_moves(K, reads, kernel, dtype):
    """One read and one write while a row fits into registers; beyond, the second read finds it in the cache."""
    z, y = torch.zeros(2, K, dtype=dtype), torch.tensor([3, K - 1])
    with simulate(check=False) as sim:
        OPS[OP](z, y)
    size = z.element_size()
    besides = 2 * (8 + size + size)                              # of each row the class, its logit and the loss
    assert list(sim.kernels) == [kernel]
    assert sim.bytes_requested == (reads + 1) * size * z.numel() + besides
    assert sim.bytes_read + sim.bytes_written == 2 * size * z.numel() + besides - 2 * size


@pytest.mark.parametrize("op", ["loss.xent.logits", "loss.square"])
def test_the_other_losses_take_one_pass(op):
    z, y = torch.randn(40, 30, generator=torch.Generator().manual_seed(0)), torch.ones(40, 30)
    with simulate() as sim:
        OPS[op](z, y)
    assert (sim.launches, sim.bytes_requested) == (1, 4 * 4 * z.numel())       # z, y; L, δ


def test_the_cache_is_asked_for_no_more_rows_than_it_holds():
    assert losses.together(2 * 128256, 8, "sm_90") == 132           # of 256 KB each, in 40 MB
    assert losses.together(2 * 50257, 8, "sm_90") == 3 * 132
    assert losses.together(2 * 32769, 8, "sm_90") == 4 * 132        # as many as a processor's 32 warps run
    assert losses.together(2**30, 8, "sm_90") == 132


def test_a_program_takes_row_after_row(monkeypatch):
    with two_passes(monkeypatch):
        verdicts = [judge(case, backend, "simulated") for case in LONG]
    assert [v.state for v in verdicts] == [PASS] * len(LONG)


def test_rows_of_32768_are_cases_of_the_suite():
    ids = [case.id for case in configurations() if case.op == OP]
    for dtype in ("fp32", "fp16", "bf16"):
        assert any("/T1/row-1x32768x1" in id and "x32765/" in id and id.endswith(dtype) for id in ids)


EDITS = {
    "the target among the others": ('tl.where(k == target, -float("inf"), x)', "x"),
    "the first maximum kept": ("m = tl.where(x > m, x, m)", "m = m"),
    "sums not carried to the new maximum": ("s * e + 1.0, s + e", "s + 1.0, s + e"),
    "the second pass leaves a block out": ("for b in range(blocks):", "for b in range(blocks - 1):"),
    "the second pass runs past the row": ("(blocks - 1 - b) * CLASSES + lane", "(blocks - b) * CLASSES + lane"),
    "only the first rows": ("tl.program_id(0), B, PROGRAMS", "tl.program_id(0), PROGRAMS, PROGRAMS"),
    "δ is no share": ("-others, p) * inverse", "-others, p)"),
    "every row has the first one's target": ("target = tl.load(y + r * y_b)", "target = tl.load(y + 0 * r)"),
}


@pytest.mark.parametrize("name", EDITS)
def test_a_wrong_second_kernel_is_caught(name, monkeypatch):
    wrong = edited(Edit("losses.kernels", OP, name, *EDITS[name]))
    monkeypatch.setitem(backend.ops, OP, wrong.OPS[OP])
    with two_passes(monkeypatch, wrong):
        assert any(judge(case, backend, "simulated").state == FAIL for case in LONG)
