"""Optimizer steps over any number of tensors: one launch, LAMB two.

opt.momentum   v ← μ v + D,                        θ ← θ − η v
opt.nesterov   v ← μ v + D,                        θ ← θ − η (D + μ v)
opt.adagrad    G ← G + D²,                         θ ← θ − η D / (√G + ε)
opt.adam       m ← β₁m + (1 − β₁)D,  v ← β₂v + (1 − β₂)D²,  r = m̂ / (√v̂ + ε),   θ ← θ − η r
opt.adamw      θ ← θ − η (r + λθ)
opt.lamb       u = r + λθ,   θ ← θ − η (‖θ‖ / ‖u‖) u;   the ratio is 1 where a length is 0

A table of addresses, `chunks`, says which program works on what. η and the other numbers come from a float64
tensor and the steps taken so far from each tensor's own count, so that neither is compiled in and a CUDA graph replays
them. The counts are read only: whoever has launched a step adds one.

Traps: 1 − β and 1 − βᵗ lose most of their digits in float32 (β₂ = 0.999, t = 1), so they are taken in float64
and rounded once; ε stands outside the root; λθ of AdamW and LAMB enters no moment.
"""
# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from functools import partial
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from ..blocks import pointwise
from ..runtime import checks
from ..runtime.configs import choose
from ..runtime.launch import current_arch, launch
from . import checks as update_checks
from . import chunks
from . import sgd as update
from .chunks import WIDTH, Chunks

#: The columns of the table of numbers, one row per parameter group.
NUMBERS = tl.constexpr(7)
COLUMNS = ("eta", "lam", "beta1", "share", "beta2", "eps", "slowing")

# Each rule: (θ, D, first state, second state, numbers) → (θ, first state, second state). μ is beta1.


@triton.jit
def sgd(theta, D, m, v, eta, lam, beta1, share1, beta2, share2, bias1, bias2, eps):
    return theta - eta * D, m, v


@triton.jit
def momentum(theta, D, m, v, eta, lam, beta1, share1, beta2, share2, bias1, bias2, eps):
    m = beta1 * m + share1 * D
    return theta - eta * m, m, v


@triton.jit
def nesterov(theta, D, m, v, eta, lam, beta1, share1, beta2, share2, bias1, bias2, eps):
    m = beta1 * m + share1 * D
    return theta - eta * (D + beta1 * m), m, v


@triton.jit
def adagrad(theta, D, m, v, eta, lam, beta1, share1, beta2, share2, bias1, bias2, eps):
    m = m + D * D
    return theta - eta * D / (tl.sqrt(m) + eps), m, v


@triton.jit
def moments(D, m, v, beta1, share1, beta2, share2):
    return beta1 * m + share1 * D, beta2 * v + share2 * D * D


@triton.jit
def direction(m, v, bias1, bias2, eps):
    return m / bias1 / (tl.sqrt(v / bias2) + eps)


@triton.jit
def adam(theta, D, m, v, eta, lam, beta1, share1, beta2, share2, bias1, bias2, eps):
    m, v = moments(D, m, v, beta1, share1, beta2, share2)
    return theta - eta * direction(m, v, bias1, bias2, eps), m, v


@triton.jit
def adamw(theta, D, m, v, eta, lam, beta1, share1, beta2, share2, bias1, bias2, eps):
    m, v = moments(D, m, v, beta1, share1, beta2, share2)
    return theta - eta * (direction(m, v, bias1, bias2, eps) + lam * theta), m, v


@triton.jit
def lamb_ratio(theta_squares, u_squares):
    """‖θ‖ / ‖u‖, or 1; the product of the lengths could vanish where neither does."""
    given = (theta_squares > 0) & (u_squares > 0)
    return tl.where(given, tl.sqrt(theta_squares) / tl.sqrt(tl.where(given, u_squares, 1.0)), 1.0)


@triton.jit
def numbers_of(row, t):
    """A group's numbers at step t, each rounded to float32 once."""
    beta1 = tl.load(row + 2)
    beta2 = tl.load(row + 4)
    eta = tl.load(row) / (1.0 + (t - 1.0) * tl.load(row + 6))
    bias1 = 1.0 - tl.exp(t * tl.log(beta1))
    bias2 = 1.0 - tl.exp(t * tl.log(beta2))
    return (
        eta.to(tl.float32), tl.load(row + 1).to(tl.float32),
        beta1.to(tl.float32), tl.load(row + 3).to(tl.float32),
        beta2.to(tl.float32), (1.0 - beta2).to(tl.float32),
        bias1.to(tl.float32), bias2.to(tl.float32), tl.load(row + 5).to(tl.float32),
    )


@triton.jit
def address(row, column: tl.constexpr, TYPE: tl.constexpr, ALIGNED: tl.constexpr):
    """A chunk's address in one of its tensors. Only a promise of alignment lets several elements move at once."""
    at = tl.load(row + column).to(tl.pointer_type(TYPE))
    return tl.multiple_of(at, 16) if ALIGNED else at


@triton.jit
def chunk_of(table):
    """This program's row of the table: its elements, its group, its tensor's count of steps."""
    row = table + tl.program_id(0).to(tl.int64) * WIDTH
    return row, tl.load(row + 7), tl.load(row + 8), tl.load(row + 9).to(tl.pointer_type(tl.float32))


@triton.jit
def update_block(
    row, i, inside, eta, lam, beta1, share1, beta2, share2, bias1, bias2, eps,
    RULE: tl.constexpr, STATES: tl.constexpr, COUPLED: tl.constexpr, UPHILL: tl.constexpr,
    THETA: tl.constexpr, STATE: tl.constexpr, ALIGNED: tl.constexpr,
):
    D = tl.load(address(row, 2, THETA, ALIGNED) + i, mask=inside, other=0.0).to(tl.float32)
    theta = tl.load(address(row, 0, THETA, ALIGNED) + i, mask=inside, other=0.0).to(tl.float32)
    m = tl.zeros_like(theta)
    v = tl.zeros_like(theta)
    if STATES > 0:
        m = tl.load(address(row, 3, STATE, ALIGNED) + i, mask=inside, other=0.0).to(tl.float32)
    if STATES > 1:
        v = tl.load(address(row, 5, STATE, ALIGNED) + i, mask=inside, other=0.0).to(tl.float32)
    D = -D if UPHILL else D
    D = D + lam * theta if COUPLED else D
    theta, m, v = RULE(theta, D, m, v, eta, lam, beta1, share1, beta2, share2, bias1, bias2, eps)
    tl.store(address(row, 1, THETA, ALIGNED) + i, theta.to(THETA), mask=inside)
    if STATES > 0:
        tl.store(address(row, 4, STATE, ALIGNED) + i, m.to(STATE), mask=inside)
    if STATES > 1:
        tl.store(address(row, 6, STATE, ALIGNED) + i, v.to(STATE), mask=inside)


@triton.jit
def update_kernel(
    table, numbers,
    RULE: tl.constexpr, STATES: tl.constexpr, COUPLED: tl.constexpr, UPHILL: tl.constexpr,
    THETA: tl.constexpr, STATE: tl.constexpr, ALIGNED: tl.constexpr, BLOCK: tl.constexpr,
):
    """Whole blocks first: a mask that is known to be on everywhere lets them move 16 bytes a lane."""
    row, count, group, counter = chunk_of(table)
    t = tl.load(counter) + 1.0
    eta, lam, beta1, share1, beta2, share2, bias1, bias2, eps = numbers_of(numbers + group * NUMBERS, t.to(tl.float64))
    lane = tl.arange(0, BLOCK)
    whole = count // BLOCK * BLOCK
    for start in range(0, whole, BLOCK):
        update_block(row, start + lane, tl.full((BLOCK,), True, tl.int1), eta, lam, beta1, share1, beta2, share2,
                     bias1, bias2, eps, RULE, STATES, COUPLED, UPHILL, THETA, STATE, ALIGNED)
    if whole < count:
        update_block(row, whole + lane, whole + lane < count, eta, lam, beta1, share1, beta2, share2,
                     bias1, bias2, eps, RULE, STATES, COUPLED, UPHILL, THETA, STATE, ALIGNED)


@triton.jit
def lamb_moments_block(
    row, i, inside, lam, beta1, share1, beta2, share2, bias1, bias2, eps,
    UPHILL: tl.constexpr, THETA: tl.constexpr, STATE: tl.constexpr, ALIGNED: tl.constexpr,
):
    """Writes the new moments; returns θ² and u²."""
    theta = tl.load(address(row, 0, THETA, ALIGNED) + i, mask=inside, other=0.0).to(tl.float32)
    D = tl.load(address(row, 2, THETA, ALIGNED) + i, mask=inside, other=0.0).to(tl.float32)
    m = tl.load(address(row, 3, STATE, ALIGNED) + i, mask=inside, other=0.0).to(tl.float32)
    v = tl.load(address(row, 5, STATE, ALIGNED) + i, mask=inside, other=0.0).to(tl.float32)
    m, v = moments(-D if UPHILL else D, m, v, beta1, share1, beta2, share2)
    u = tl.where(inside, direction(m, v, bias1, bias2, eps) + lam * theta, 0.0)
    tl.store(address(row, 4, tl.float32, ALIGNED) + i, m, mask=inside)
    tl.store(address(row, 6, tl.float32, ALIGNED) + i, v, mask=inside)
    return theta * theta, u * u


@triton.jit
def lamb_moments_kernel(
    table, numbers, partial, UPHILL: tl.constexpr, THETA: tl.constexpr, STATE: tl.constexpr,
    ALIGNED: tl.constexpr, BLOCK: tl.constexpr,
):
    """The new moments, and this chunk's share of ‖θ‖² and ‖u‖²."""
    row, count, group, counter = chunk_of(table)
    t = tl.load(counter) + 1.0
    _, lam, beta1, share1, beta2, share2, bias1, bias2, eps = numbers_of(numbers + group * NUMBERS, t.to(tl.float64))
    theta_squares = tl.zeros((BLOCK,), tl.float32)
    u_squares = tl.zeros((BLOCK,), tl.float32)
    lane = tl.arange(0, BLOCK)
    whole = count // BLOCK * BLOCK
    for start in range(0, whole, BLOCK):
        a, b = lamb_moments_block(
            row, start + lane, tl.full((BLOCK,), True, tl.int1), lam, beta1, share1, beta2, share2,
            bias1, bias2, eps, UPHILL, THETA, STATE, ALIGNED)
        theta_squares += a
        u_squares += b
    if whole < count:
        a, b = lamb_moments_block(
            row, whole + lane, whole + lane < count, lam, beta1, share1, beta2, share2,
            bias1, bias2, eps, UPHILL, THETA, STATE, ALIGNED)
        theta_squares += a
        u_squares += b
    at = partial + 2 * tl.program_id(0)
    tl.store(at, tl.sum(theta_squares, 0))
    tl.store(at + 1, tl.sum(u_squares, 0))


@triton.jit
def lamb_step_block(
    row, i, inside, step, lam, bias1, bias2, eps, THETA: tl.constexpr, ALIGNED: tl.constexpr
):
    theta = tl.load(address(row, 0, THETA, ALIGNED) + i, mask=inside, other=0.0).to(tl.float32)
    m = tl.load(address(row, 4, tl.float32, ALIGNED) + i, mask=inside, other=0.0)
    v = tl.load(address(row, 6, tl.float32, ALIGNED) + i, mask=inside, other=0.0)
    u = direction(m, v, bias1, bias2, eps) + lam * theta
    tl.store(address(row, 1, THETA, ALIGNED) + i, (theta - step * u).to(THETA), mask=inside)


@triton.jit
def lamb_step_kernel(
    table, numbers, partial, THETA: tl.constexpr, ALIGNED: tl.constexpr, BLOCK: tl.constexpr
):
    """θ ← θ − η (‖θ‖ / ‖u‖) u: every program of a tensor adds the tensor's shares in the same order."""
    row, count, group, counter = chunk_of(table)
    eta, lam, _, _, _, _, bias1, bias2, eps = numbers_of(
        numbers + group * NUMBERS, (tl.load(counter) + 1.0).to(tl.float64))
    lane = tl.arange(0, BLOCK)
    theta_squares = tl.zeros((BLOCK,), tl.float32)
    u_squares = tl.zeros((BLOCK,), tl.float32)
    last = tl.load(row + 11)
    for start in range(tl.load(row + 10), last, BLOCK):
        k = start + lane
        theta_squares += tl.load(partial + 2 * k, mask=k < last, other=0.0)
        u_squares += tl.load(partial + 2 * k + 1, mask=k < last, other=0.0)
    step = eta * lamb_ratio(tl.sum(theta_squares, 0), tl.sum(u_squares, 0))
    whole = count // BLOCK * BLOCK
    for start in range(0, whole, BLOCK):
        inside = tl.full((BLOCK,), True, tl.int1)
        lamb_step_block(row, start + lane, inside, step, lam, bias1, bias2, eps, THETA, ALIGNED)
    if whole < count:
        lamb_step_block(row, whole + lane, whole + lane < count, step, lam, bias1, bias2, eps, THETA, ALIGNED)


#: rule: the function, and how many states it keeps.
RULES = {
    "sgd": (sgd, 0), "momentum": (momentum, 1), "nesterov": (nesterov, 1), "adagrad": (adagrad, 1),
    "adam": (adam, 2), "adamw": (adamw, 2), "lamb": (None, 2),
}
_TYPES = {torch.float32: tl.float32, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}


def step(
    rule: str, work: Chunks, numbers: Tensor, dtype: torch.dtype, state: torch.dtype = torch.float32, *,
    coupled: bool = False, uphill: bool = False,
) -> None:
    """One step of `rule` on every tensor of `work`. Writes what the table names as outputs.

    numbers (groups, 7) float64, in the order of COLUMNS; dtype is that of θ and D. coupled: D ← D + λθ first;
    uphill: −D for D.
    """
    function, states = RULES[rule]
    table = work.table
    row = choose("optimizers", (len(table),), dtype, current_arch(table.device))
    types = {"THETA": _TYPES[dtype], "STATE": _TYPES[state], "ALIGNED": work.aligned, "BLOCK": row.BM}
    grid = (len(table),)
    if not len(table):
        return
    with work.announced():
        if rule != "lamb":
            launch(update_kernel, grid, table, numbers, row=row, RULE=function, STATES=states, COUPLED=coupled,
                   UPHILL=uphill, **types)
            return
        partial = torch.empty((len(table), 2), dtype=torch.float32, device=table.device)
        launch(lamb_moments_kernel, grid, table, numbers, partial, row=row, UPHILL=uphill, **types)
        del types["STATE"]
        launch(lamb_step_kernel, grid, table, numbers, partial, row=row, **types)


def stepped(
    rule: str, theta: Tensor, D: Tensor, states: dict[str, Tensor], t: int, numbers: dict[str, float]
) -> tuple[Tensor, ...]:
    """One step as a pure function of one tensor: new tensors for θ and its states."""
    name = f"opt.{rule}"
    update_checks.optimizer(name, theta, D, states, t)
    checks.kernel_dtype(name, theta)
    operands = [chunks.alike(one, theta) for one in (theta, D, *states.values())]
    lead = operands[0]
    wide = rule == "lamb"                   # its second launch reads the moments that the first has written
    out = [torch.empty_like(lead)]
    out += [torch.empty_like(one, dtype=torch.float32 if wide else None) for one in operands[2:]]
    columns = [lead, out[0], operands[1]]
    columns += [t for pair in zip(operands[2:], out[1:]) for t in pair]
    taken = torch.tensor(t - 1.0, dtype=torch.float32, device=theta.device)
    work = chunks.cut([columns], [taken], [0])
    row = torch.tensor([[numbers.get(one, 0.0) for one in COLUMNS]], dtype=torch.float64, device=theta.device)
    step(rule, work, row, theta.dtype, theta.dtype)
    return tuple(pointwise.cast(one, theta.dtype) for one in out)


def momentum_op(theta: Tensor, D: Tensor, v: Tensor, eta: float, mu: float) -> tuple[Tensor, ...]:
    return stepped("momentum", theta, D, {"v": v}, 1, {"eta": eta, "beta1": mu, "share": 1.0})


def nesterov_op(theta: Tensor, D: Tensor, v: Tensor, eta: float, mu: float) -> tuple[Tensor, ...]:
    return stepped("nesterov", theta, D, {"v": v}, 1, {"eta": eta, "beta1": mu, "share": 1.0})


def adagrad_op(theta: Tensor, D: Tensor, G: Tensor, eta: float, eps: float) -> tuple[Tensor, ...]:
    return stepped("adagrad", theta, D, {"G": G}, 1, {"eta": eta, "eps": eps})


def _adam(
    rule: str, theta: Tensor, D: Tensor, m: Tensor, v: Tensor, t: int, eta: float, lam: float, beta1: float,
    beta2: float, eps: float,
) -> tuple[Tensor, ...]:
    numbers = {"eta": eta, "lam": lam, "beta1": beta1, "share": 1 - beta1, "beta2": beta2, "eps": eps}
    return stepped(rule, theta, D, {"m": m, "v": v}, t, numbers)


def adam_op(
    theta: Tensor, D: Tensor, m: Tensor, v: Tensor, t: int, eta: float, beta1: float, beta2: float, eps: float
) -> tuple[Tensor, ...]:
    return _adam("adam", theta, D, m, v, t, eta, 0.0, beta1, beta2, eps)


OPS: dict[str, Any] = {
    **update.OPS, "opt.momentum": momentum_op, "opt.nesterov": nesterov_op, "opt.adagrad": adagrad_op,
    "opt.adam": adam_op, "opt.adamw": partial(_adam, "adamw"), "opt.lamb": partial(_adam, "lamb"),
}
