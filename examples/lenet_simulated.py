"""Steps of LeNet by the deck's algorithm, op by op: every op a Triton kernel in the simulator, judged as it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

import torch
from common import judgements
from fashion import Images
from rich.console import Console
from rich.progress import track
from torch import Tensor

from chainrule.triton_kernels import OPS

SHAPES = ((6, 1, 5, 5), (16, 6, 5, 5), (120, 400), (84, 120), (10, 84))
STEPS, BATCH, ETA, LAM = 30, 4, 0.05, 2.0**-10

Op = Mapping[str, Callable[..., Any]]
Network = list[tuple[Tensor, Tensor]]


def initial(random: torch.Generator) -> Network:
    """Normal weights of spread √(2/n), n the inputs of a node; intercepts 0."""
    return [(torch.randn(s, generator=random) * (2 / prod(s[1:])) ** 0.5, torch.zeros(s[0])) for s in SHAPES]


def step(op: Op, Theta: Network, x: Tensor, y: Tensor) -> tuple[Network, float]:
    """One minibatch forward and back, D = Δ/n + λΘ, and one step down; the new Θ and the mean loss."""
    n, L = len(x), len(Theta)
    a, kept = [x], []                                   # a[l] enters layer l; kept: pooled values and their places
    for w, b in Theta[:2]:
        whole = op["conv2d.layer"](x=a[-1], w=w, b=b, act="relu")
        kept.append((whole.shape, *op["pool.max"](x=whole, k=2)))
        a.append(kept[-1][1])
    flat = a[2].shape
    a[2] = a[2].reshape(n, -1)
    for w, b in Theta[2:-1]:
        a.append(op["net.layer.affine"](x=a[-1], w=w, b=b, act="relu"))
    z = op["net.layer.affine"](x=a[-1], w=Theta[-1][0], b=Theta[-1][1], act="identity")
    loss, delta = op["loss.softmax"](z=z, y=y)
    new: Network = [Theta[0]] * L
    for l in range(L - 1, 1, -1):                       # relu'(a) = relu'(z): g′ is read off a
        w, b = Theta[l]
        D, Db = op["alg.average"](delta=delta, a=a[l], w=w, lam=LAM, n=n)
        new[l] = op["opt.sgd"](theta=w, D=D, eta=ETA), op["opt.sgd"](theta=b, D=Db, eta=ETA)
        delta, _ = op["bp.delta.chain"](delta=delta, w=w, z=a[l], act="relu" if l > 2 else "identity")
    delta = delta.reshape(flat)
    for l in (1, 0):
        (w, b), ((_, _, H, W), pooled, index) = Theta[l], kept[l]
        delta = op["pool.max.grad_x"](d=delta, index=index, H=H, W=W, k=2, saved=pooled, act="relu")
        D = op["conv2d.layer.grad_w"](d=delta, x=a[l], M=w.shape[2], N=w.shape[3], w=w, lam=LAM, n=n)
        Db = op["conv2d.layer.grad_b"](d=delta, n=n)
        new[l] = op["opt.sgd"](theta=w, D=D, eta=ETA), op["opt.sgd"](theta=b, D=Db, eta=ETA)
        if l:
            delta = op["conv2d.layer.grad_x"](d=delta, w=w, H=a[l].shape[2], W=a[l].shape[3])
    return new, float(loss.double().sum()) / n


def simulated(data: Images, console: Console, steps: int = STEPS) -> int:
    """`steps` steps on kernels, every op judged, beside the same on composites; 1 if an op fails."""
    from chainrule.conformance.backend import load
    from chainrule.conformance.training.chains import ChainFault, Judged

    judged = Judged(load("triton"), "simulated")
    random = torch.Generator().manual_seed(0)
    plain = kernels = initial(random)
    losses = []
    try:
        for _ in track(range(steps), "judging", console=console, transient=True, disable=not console.is_terminal):
            chosen = torch.randint(len(data.x), (BATCH,), generator=random)
            x, y = data.x[chosen], data.y[chosen]
            plain, one = step(OPS, plain, x, y)
            kernels, other = step(judged, kernels, x, y)
            losses.append((one, other))
    except ChainFault as fault:
        console.print(f"[bold red]FAIL[/] {fault}")
        return 1
    console.print(f"{steps} steps of LeNet on {BATCH} images of {data.name} each, every op judged on the inputs it was "
                  "given; 1 is the limit\n", soft_wrap=True)
    console.print(judgements(judged))
    console.print(f"\nloss of the last step: composite {losses[-1][0]:.6f} · kernels {losses[-1][1]:.6f}")
    return 0
