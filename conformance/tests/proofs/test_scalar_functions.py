"""The kernels' scalar functions: proved by symbols, measured in units of the last place, and NaN goes through."""

import math

import mpmath
import numpy as np
import pytest
import torch
import triton
import triton.language as tl

from chainrule.conformance.proofs import symbolic_execution as symbolic
from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels.activations import kernels as act
from chainrule.triton_kernels.blocks import pointwise
from chainrule.triton_kernels.blocks.elementary import density, exp, expm1, log1p, mills
from chainrule.triton_kernels.losses import kernels as losses

CLAIMS = symbolic.claims()


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda c: f"{c.name}, {'/'.join(c.pieces)}")
def test_kernel_function_equals_the_record(claim):
    claim.prove()


def test_every_scalar_function_is_claimed():
    claimed = {claim.function.fn.__name__ for claim in CLAIMS}
    for table in (act.VALUE, act.PRIME, act.PRIME_OF_A):
        assert {f.fn.__name__ for f in table.values()} <= claimed
    assert {"xent_logits", "xent_logits_delta", "square", "square_delta", "step", "divided", "regularised"} <= claimed


@triton.jit
def sigmoid_of_minus_z(z, p):
    e = exp(-tl.abs(z))
    return tl.where(z >= 0, e, 1.0) / (1.0 + e)


@triton.jit
def tanh_prime_without_square(z, p):
    e = exp(-2.0 * tl.abs(z))
    return 4.0 * e / (1.0 + e)


@triton.jit
def elu_without_alpha(z, p):
    return tl.where(z >= 0, z, expm1(z))


@triton.jit
def relu_prime_one_at_zero(z, p):
    return tl.where(z >= 0, 1.0, 0.0)


@triton.jit
def leaky_swapped(z, p):
    return tl.where(z > 0, p * z, z)


@triton.jit
def xent_as_printed(z, y):
    return -(tl.where(z >= 0, (1.0 - y) * z, -y * z) + log1p(exp(-tl.abs(z))))


@triton.jit
def twice_regularised(mean, lam, w):
    return mean + 2.0 * lam * w


WRONG = {
    "act.sigmoid": sigmoid_of_minus_z, "act.tanh.prime": tanh_prime_without_square, "act.elu": elu_without_alpha,
    "act.relu.prime": relu_prime_one_at_zero, "act.leaky": leaky_swapped, "loss.xent.logits": xent_as_printed,
    "alg.average, j ≠ 0": twice_regularised,
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_function_is_refused(name):
    claim = next(c for c in CLAIMS if c.name == name)
    wrong = symbolic.attrs.evolve(claim, function=WRONG[name])
    with pytest.raises(symbolic.NotEqual, match=name.split(",")[0]):
        wrong.prove()


def points():
    rng = np.random.default_rng(0)
    edges = [0.0, -0.0, 1e-45, -1e-45, 1e-38, -1e-38, 17, -17, 88.7, -88.7, -87.3, -103.9, -104, 89, 1e38, -1e38]
    spread = np.exp(rng.uniform(-100, 88, 600)) * rng.choice([-1.0, 1.0], 600)
    return np.concatenate([3 * rng.normal(size=700), rng.uniform(-110, 110, 700), spread, edges]).astype(np.float32)


def in_ulps(actual, x, exact):
    """The largest error in units of the last place of float32, subnormals included."""
    worst = 0.0
    with mpmath.workprec(200):
        for value, point in zip(actual.tolist(), x.tolist()):
            wanted = exact(mpmath.mpf(point))
            if abs(wanted) >= mpmath.mpf(2) ** 128:
                assert value == math.copysign(math.inf, wanted)
                continue
            exponent = max(int(mpmath.floor(mpmath.log(abs(wanted), 2))), -126) if wanted else -126
            error = float(abs(mpmath.mpf(value) - wanted) / mpmath.mpf(2) ** (exponent - 23))
            assert not math.isnan(error), point
            worst = max(worst, error)
    return worst


@triton.jit
def _exp(z, p):
    return exp(z)


@triton.jit
def _expm1(z, p):
    return expm1(tl.where(z > 0, 0.0, z))


@triton.jit
def _log1p(z, p):
    return log1p(tl.abs(z))


@triton.jit
def _density(z, p):
    return density(z)


@triton.jit
def _mills(z, p):
    return mills(tl.abs(z))


@triton.jit
def _xent(z, p):
    return losses.xent_logits(z, p)


@triton.jit
def _xent_delta(z, p):
    return losses.xent_logits_delta(z, p)


def ratio(t):
    """Φ(−t)/φ(t), beyond 1000 by its expansion."""
    return 1 / t - t**-3 if t > 1000 else mpmath.erfc(t / mpmath.sqrt(2)) / 2 / mpmath.npdf(t)


def logistic(z):
    return 1 / (1 + mpmath.exp(-z))


ACCURATE = {                    # the function, the exact value, the parameter, the largest error measured, rounded up
    "exp": (_exp, mpmath.exp, 0, 2),
    "expm1": (_expm1, lambda x: mpmath.expm1(min(x, 0)), 0, 2),
    "log1p": (_log1p, lambda x: mpmath.log1p(abs(x)), 0, 3),
    "sigmoid": (act.sigmoid, logistic, 0, 3),
    "sigmoid_prime": (act.sigmoid_prime, lambda z: logistic(z) * logistic(-z), 0, 4),
    "tanh": (act.tanh, mpmath.tanh, 0, 3),
    "tanh_prime": (act.tanh_prime, lambda z: mpmath.sech(z) ** 2, 0, 4),
    "elu": (act.elu, lambda z: z if z >= 0 else mpmath.expm1(z), 1, 2),
    "density": (_density, mpmath.npdf, 0, 60),          # the square of x has one rounding
    "mills": (_mills, lambda t: ratio(abs(t)), 0, 5),
    "elu_prime": (act.elu_prime, lambda z: 1 if z >= 0 else mpmath.exp(z), 1, 2),
    "xent, y = 1": (_xent, lambda z: mpmath.log1p(mpmath.exp(-z)), 1, 3),
    "xent, y = 0": (_xent, lambda z: mpmath.log1p(mpmath.exp(z)), 0, 3),
    "xent delta, y = 1": (_xent_delta, lambda z: -logistic(-z), 1, 3),
    "xent delta, y = 0": (_xent_delta, logistic, 0, 3),
}


@pytest.mark.parametrize("name", ACCURATE)
def test_accuracy(name):
    function, exact, p, ulps = ACCURATE[name]
    x = points()
    with simulate():
        actual = pointwise.unary(function, torch.from_numpy(x), p)
    assert in_ulps(actual, x, exact) <= ulps


def test_naive_expm1_would_fail_here():
    x = np.float32([-1e-6])
    with simulate():
        naive = pointwise.unary(_exp, torch.from_numpy(x)) - 1
    assert in_ulps(naive, x, mpmath.expm1) > 1000


@pytest.mark.parametrize("table", ["VALUE", "PRIME"])
@pytest.mark.parametrize("name", act.VALUE)
def test_specials(name, table):
    z = torch.tensor([math.nan, math.inf, -math.inf])
    with simulate():
        nan, high, low = pointwise.unary(getattr(act, table)[name], z, 0.5).tolist()
    wanted = {
        "VALUE": {"sigmoid": (1, 0), "tanh": (1, -1), "relu": (math.inf, 0), "leaky": (math.inf, -math.inf),
                  "elu": (math.inf, -0.5), **dict.fromkeys(("gelu", "gelu.tanh"), (math.inf, None)),
                  "identity": (math.inf, -math.inf)},
        "PRIME": {"sigmoid": (0, 0), "tanh": (0, 0), "relu": (1, 0), "leaky": (1, 0.5), "elu": (1, 0),
                  **dict.fromkeys(("gelu", "gelu.tanh"), (None, None)), "identity": (1, 1)},
    }[table][name]
    assert [(a, b) for a, b in zip((high, low), wanted) if b is not None and a != b] == []      # 0 · ∞ has no answer
    at_nan = {"relu": 1, "leaky": 0.5, "elu": 1, "identity": 1}.get(name) if table == "PRIME" else None   # torch's
    assert math.isnan(nan) if at_nan is None else nan == at_nan
