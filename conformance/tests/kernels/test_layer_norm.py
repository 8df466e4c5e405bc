"""Layer norm with what training code asks besides: a tensor added before, one that passes by, rows of any length."""

from __future__ import annotations

import pytest
import torch

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels.norms import layer, layer_composite


def data(rows, D, dtype=torch.float32):
    generator = torch.Generator().manual_seed(rows + D)
    x, added, d, past = (torch.randn(rows, D, generator=generator).to(dtype) for _ in range(4))
    gamma, beta = (torch.randn(D, generator=generator).to(dtype) for _ in range(2))
    return 2 * x + 3, added, gamma, beta, d, past


def apart(one, other):
    return float((one.double() - other.double()).abs().max())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("rows", "D"), [(41, 7), (3, 300), (2, 2049)])
def test_kernel_is_the_composite(rows, D, dtype):
    """Both round the sum and the results once; float32 between."""
    x, added, gamma, beta, d, past = data(rows, D, dtype)
    expected = [*layer_composite.forward(x, gamma, beta, 1e-5, added)]
    how = gamma, past, torch.float32, True, True
    expected += layer_composite.gradients(d, expected[3], expected[1], expected[2], *how)
    with simulate():
        found = [*layer.forward(x, gamma, beta, 1e-5, added)]
        found += layer.gradients(d, found[3], found[1], found[2], *how)
    assert torch.equal(found[3], expected[3]), "the sum is x + added, rounded once"
    for ours, theirs in zip((*found[:3], *found[4:]), (*expected[:3], *expected[4:]), strict=True):
        last_place = torch.finfo(ours.dtype).eps * float(theirs.abs().max())
        assert apart(ours, theirs) <= 4 * last_place + 2**-20 * rows


def test_without_gamma_and_beta_and_without_the_result():
    x, *_ = data(5, 11)
    with simulate() as sim:
        y, mean, rstd, nothing = layer.forward(x, None, None, 1e-5)
        empty, its_mean, its_rstd, _ = layer.forward(x, None, None, 1e-5, written=False)
    assert nothing.numel() == empty.numel() == 0
    assert torch.equal(mean, its_mean)
    assert torch.equal(rstd, its_rstd)
    assert apart(y, torch.nn.functional.layer_norm(x.double(), (11,))) < 2**-20
    assert sim.launches == 2


def test_the_sum_is_written_once_and_its_gradient_comes_with_the_norms():
    """One launch forward; backward one for ∂x with what passes by and the shares, one that adds the shares."""
    x, added, gamma, beta, d, past = data(70, 24)
    with simulate() as sim:
        _, mean, rstd, summed = layer.forward(x, gamma, beta, 1e-5, added)
        assert sim.launches == 1
        assert sim.bytes_written == 2 * x.nbytes + mean.nbytes + rstd.nbytes
        alone, _ = layer.backward(d, summed, mean, rstd, gamma)
        both, partial = layer.backward(d, summed, mean, rstd, gamma, past)
        assert sim.launches == 3
    assert apart(both, alone + past) < 2**-20
    assert partial.shape[1] == 2 * 24
