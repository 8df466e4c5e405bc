"""Other people's conventions: declared, each is judged by its own formula; undeclared, it is named."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from chainrule.conformance import Backend, BackendError
from chainrule.conformance.judging.cases import cases_of
from chainrule.conformance.judging.judge import judge
from chainrule.conformance.judging.operations import OPERATIONS, READINGS
from chainrule.conformance.judging.verdict import FAIL, PASS


def adam(change):
    """Adam in float64 with another direction."""
    def run(theta, D, m, v, t, eta, beta1, beta2, eps, lam=0.0):
        kind = theta.dtype
        theta, D, m, v = (one.double() for one in (theta, D, m, v))
        m, v = beta1 * m + (1 - beta1) * D, beta2 * v + (1 - beta2) * D * D
        return [one.to(kind) for one in (theta - eta * (change(m, v, t, beta1, beta2, eps) + lam * theta), m, v)]
    return run


def adamw(change):
    step = adam(change)
    return lambda theta, D, m, v, t, eta, lam, beta1, beta2, eps: step(theta, D, m, v, t, eta, beta1, beta2, eps, lam)


def decays_first(theta, D, m, v, t, eta, lam, beta1, beta2, eps):
    """torch's own fused rule, in float32."""
    p = torch.nn.Parameter(theta.float().clone())
    p.grad = D.float().clone()
    rule = torch.optim.AdamW([p], eta, (beta1, beta2), eps, lam, fused=True)
    rule.state[p].update(step=torch.tensor(t - 1.0), exp_avg=m.float().clone(), exp_avg_sq=v.float().clone())
    rule.step()
    return TO(theta, p.detach(), rule.state[p]["exp_avg"], rule.state[p]["exp_avg_sq"])


def lamb(root):
    def run(theta, D, m, v, t, eta, lam, beta1, beta2, eps):
        kind = theta.dtype
        theta, D, m, v = (one.double() for one in (theta, D, m, v))
        m, v = beta1 * m + (1 - beta1) * D, beta2 * v + (1 - beta2) * D * D
        u = root(m, v, t, beta1, beta2, eps) + lam * theta
        lengths = theta.norm(), u.norm()
        ratio = lengths[0] / lengths[1] if min(lengths) > 0 else 1.0
        return [one.to(kind) for one in (theta - eta * ratio * u, m, v)]
    return run


def running(x, mu, var, rho):
    kept, taken = 1 - rho, x.double().transpose(0, 1).flatten(1)
    found = kept * mu.double() + rho * taken.mean(1), kept * var.double() + rho * taken.var(1, unbiased=False)
    return [one.to(x.dtype) for one in found]


def kept(x, mu, var, rho):
    taken = x.double().transpose(0, 1).flatten(1)
    return [one.to(x.dtype) for one in (rho * mu.double() + (1 - rho) * taken.mean(1),
                                        rho * var.double() + (1 - rho) * taken.var(1))]


def outside(x, gamma, beta, eps, mu=None, var=None):
    rows = x.double().transpose(0, 1).flatten(1)
    mu = rows.mean(1) if mu is None else mu.double()
    var = rows.var(1, unbiased=False) if var is None else var.double()
    shape = (1, -1, *[1] * (x.dim() - 2))
    by = (gamma.double() / (var.sqrt() + eps)).view(shape)
    return ((x.double() - mu.view(shape)) * by + beta.double().view(shape)).to(x.dtype)


def pooled(last):
    """Max pooling by unfolding; `last` of equal ones, else a NaN is passed over."""
    def run(x, k, stride=None, padding=0):
        stride, (p, q) = stride or k, padding if isinstance(padding, tuple) else (padding, padding)
        (rows, columns) = k if isinstance(k, tuple) else (k, k)
        wide = F.pad(x.double(), (q, q, p, p), value=-np.inf)
        inside = F.pad(torch.ones_like(x).double(), (q, q, p, p))
        s, t = stride if isinstance(stride, tuple) else (stride, stride)
        windows, real = (one.unfold(2, rows, s).unfold(3, columns, t).flatten(4) for one in (wide, inside))
        best, at = torch.full(windows.shape[:-1], np.nan).double(), torch.zeros(windows.shape[:-1], dtype=torch.uint8)
        fresh = torch.ones_like(best, dtype=torch.bool)
        for i in range(windows.shape[-1]):
            v, here = windows[..., i], real[..., i] > 0
            won = (v >= best) | v.isnan() if last else (v > best) | (best.isnan() & ~v.isnan())
            won = here & (fresh | won)
            best, at = torch.where(won, v, best), torch.where(won, i, at)
            fresh &= ~here
        return best.to(x.dtype), at
    return run


def native(z, y):
    wide = z.float(), y.float()
    loss = F.binary_cross_entropy_with_logits(*wide, reduction="none")
    return loss.to(z.dtype), (torch.sigmoid(wide[0]) - wide[1]).to(z.dtype)


def output(g, slope):
    """A derivative from the output as it is stored."""
    return lambda z: slope(g(z.float()).to(z.dtype).float()).to(z.dtype)


def published(approximate):
    """GELU in float32 as the paper writes it, and torch's own derivative of that."""
    def g(z):
        inner = z / 2**0.5 if approximate == "none" else (2 / np.pi) ** 0.5 * (z + 0.044715 * z**3)
        return 0.5 * z * (1 + (torch.erf if approximate == "none" else torch.tanh)(inner))

    def prime(z):
        wide = z.float().clamp(-1e6, 1e6).requires_grad_()                       # beyond, its square overflows
        return torch.autograd.grad(g(wide).sum(), wide)[0].to(z.dtype)

    return (lambda z: g(z.float()).to(z.dtype)), prime


def flushed(function):
    """A processor that takes subnormal numbers for 0."""
    def run(z, **parameter):
        wide = z.float()
        return function(torch.where(wide.abs() < 2.0**-126, 0 * wide, wide), **parameter).to(z.dtype)
    return run


def by_softplus(z, y):
    wide = z.float().requires_grad_()
    s = lambda x: torch.logaddexp(x, torch.zeros_like(x))
    loss = y.float() * s(-wide) + (1 - y.float()) * s(wide)
    grown = lambda x: torch.exp(x - s(x))
    delta = (1 - y.float()) * grown(wide) - y.float() * grown(-wide)
    return loss.detach().to(z.dtype), delta.detach().to(z.dtype)


def single(root):
    """A rule whose betas are float32 where they are taken to the power of t."""
    def run(m, v, t, b1, b2, eps):
        c1, c2 = (1 - np.float32(b) ** np.float32(t) for b in (b1, b2))
        return root(m, v, float(c1), float(c2), eps)
    return run


INSIDE = lambda m, v, t, b1, b2, eps: m / (1 - b1**t) / (v / (1 - b2**t) + eps).sqrt()
HAT = lambda m, v, t, b1, b2, eps: (1 - b2**t) ** 0.5 / (1 - b1**t) * m / (v.sqrt() + eps)
SINGLE = single(lambda m, v, c1, c2, eps: m / c1 / ((v / c2).sqrt() + eps))
IN = "eps in the correction,"
SINGLE_HAT = single(lambda m, v, c1, c2, eps: m * (c2**0.5 / c1) / (v.sqrt() + eps))
NONE = lambda m, v, t, b1, b2, eps: m / (v.sqrt() + eps)
TO = lambda x, *made: tuple(one.to(x.dtype) for one in made)
DONE = {
    ("opt.adam", "eps inside the root"): adam(INSIDE), ("opt.adamw", "eps inside the root"): adamw(INSIDE),
    ("opt.adam", "eps in the correction"): adam(HAT), ("opt.adamw", "eps in the correction"): adamw(HAT),
    ("opt.adam", "no correction"): adam(NONE), ("opt.adamw", "no correction"): adamw(NONE),
    ("opt.adamw", "decay first"): decays_first,
    ("opt.lamb", "no correction"): lamb(NONE), ("opt.lamb", "betas in float32"): lamb(SINGLE),
    ("opt.adam", f"{IN} betas in float32"): adam(SINGLE_HAT),
    ("opt.adamw", f"{IN} betas in float32"): adamw(SINGLE_HAT),
    ("opt.adam", "betas in float32"): adam(SINGLE), ("opt.adamw", "betas in float32"): adamw(SINGLE),
    ("opt.adagrad", "eps inside the root"): lambda theta, D, G, eta, eps: TO(
        D, theta.double() - eta * D.double() / (G.double() + D.double() ** 2 + eps).sqrt(),
        G.double() + D.double() ** 2),
    ("opt.momentum", "eta in the velocity"): lambda theta, D, v, eta, mu: TO(
        D, theta.double() - (mu * v.double() + eta * D.double()), mu * v.double() + eta * D.double()),
    ("norm.batch.running", "biased variance"): running, ("norm.batch.running", "rho weighs the old"): kept,
    ("norm.batch", "eps outside the root"): outside, ("norm.batch.inference", "eps outside the root"): outside,
    ("loss.xent.logits", "through log sigmoid"): native,
    ("loss.square", "half"): lambda yhat, y: TO(
        y, (y.double() - yhat.double()) ** 2 / 2, yhat.double() - y.double()),
    ("conv1d.valid", "flipped filter"): lambda theta, x: F.conv1d(
        x.double()[None, None], theta.double().flip(0)[None, None])[0, 0].to(x.dtype),
    ("conv2d.valid", "flipped filter"): lambda I, K: F.conv2d(
        I.double()[None, None], K.double().flip(0, 1)[None, None])[0, 0].to(I.dtype),
    ("pool.max", "last maximum"): pooled(True), ("pool.max", "NaN skipped"): pooled(False),
    ("act.relu", "NaN skipped"): lambda z: torch.fmax(z, torch.zeros_like(z)),
    ("act.sigmoid.prime", "from its output"): output(torch.sigmoid, lambda a: a * (1 - a)),
    ("act.tanh.prime", "from its output"): output(torch.tanh, lambda a: 1 - a * a),
    **{(f"act.gelu{form}{prime}", f"through 1 + {name}"): published(approximate)[k]
       for form, approximate, name in (("", "none", "erf"), (".tanh", "tanh", "tanh"))
       for k, prime in enumerate(("", ".prime"))},
    ("act.relu", "subnormals are 0"): flushed(torch.relu),
    ("act.elu", "subnormals are 0"): flushed(lambda z, alpha=1.0: F.elu(z, alpha)),
    ("act.relu.prime", "subnormals are 0"): flushed(lambda z: torch.where(z.isnan(), z, (z > 0).float())),
    ("act.leaky.prime", "subnormals are 0"): flushed(lambda z, slope=0.1: torch.where(z >= 0, 1.0, slope)),
    ("loss.xent.logits", "through softplus"): by_softplus,
}


def some(op):
    """Some of an op's cases, of every tier; all of AdamW's, of which few show one rounding more."""
    each = 1 if op == "opt.adamw" else 5
    return [c for k, c in enumerate(cases_of(op, ("fp32", "bf16"))) if not c.refused and k % each == 0]


def test_every_reading_is_tried():
    assert set(DONE) == {(op, name) for op, named in READINGS.items() for name in named}
    assert set(READINGS) <= set(OPERATIONS)


@pytest.mark.parametrize(("op", "name"), list(DONE), ids=lambda one: one)
def test_a_declared_reading_is_judged_by_its_own_formula(op, name):
    """torch, or a few lines of numpy and torch, are the outside witness of each."""
    declared, silent = Backend("mine", readings={op: name}), Backend("mine")
    for backend in (declared, silent):
        backend.op(op)(DONE[op, name])
    wrong = [v.report() for c in some(op) if (v := judge(c, declared, "host")).state == FAIL]
    assert not wrong, wrong[0]
    failed = [v for c in some(op) if (v := judge(c, silent, "host")).state == FAIL]
    assert failed, "nobody can tell the reading from the deck's"
    assert {v.reading for v in failed} & {name}
    assert f'readings={{"{op}": "{name}"}}' in next(v for v in failed if v.reading == name).report()


def test_the_decks_own_formula_fails_where_another_is_declared():
    backend = Backend("mine", readings={"loss.square": "half"})
    backend.op("loss.square")(lambda yhat, y: TO(
        y, (y.double() - yhat.double()) ** 2, 2 * (yhat.double() - y.double())))
    assert FAIL in {judge(c, backend, "host").state for c in some("loss.square")}


def test_a_reading_that_is_none_is_refused():
    with pytest.raises(BackendError, match=r"opt.adam has no reading 'eps'; it has 'eps inside the root', "):
        Backend("x", readings={"opt.adam": "eps"})
    with pytest.raises(BackendError, match=r"did you mean opt\.adam"):
        Backend("x", readings={"opt.adm": "eps"})
    with pytest.raises(BackendError, match=r"act.tanh has no reading 'fast'; it has the deck's only"):
        Backend("x", readings={"act.tanh": "fast"})


def truncated(x):
    return (x.contiguous().view(torch.int32) & ~0x1FFF).view(torch.float32)


@pytest.mark.parametrize(("op", "function"), [
    ("conv2d.valid", lambda I, K: F.conv2d(truncated(I)[None, None], truncated(K)[None, None])[0, 0]),
    ("bp.delta.rec", lambda delta, w, a: (lambda d: (d, d.sum(0)))(truncated(delta) @ truncated(w) * a * (1 - a))),
])
def test_tf32_that_is_declared_is_judged_as_tf32_in_every_tier(op, function):
    """Operands without their last 13 bits: right where tf32 is declared, wrong where it is not, on exact data too."""
    states = {}
    for arithmetic in ("tf32", "ieee"):
        backend = Backend("rounds", arithmetic={"fp32": arithmetic}, dtypes=["fp32"])
        backend.op(op)(function)
        judged = [judge(c, backend, "host") for c in cases_of(op, ("fp32",)) if not c.refused and c.tier != "T3"]
        states[arithmetic] = {(v.case.tier, v.state) for v in judged}
    assert states["tf32"] == {("T0", PASS), ("T1", PASS)}
    assert {("T0", FAIL), ("T1", FAIL)} <= states["ieee"]
