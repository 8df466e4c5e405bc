"""Witnesses of optimizers, schedules and normalization: torch's own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F

from ...reference.backprop import backprop
from .networks import DATA, NETWORK
from .row import Witness, leaf, numbers, tensor

Optimizer = Callable[..., torch.optim.Optimizer]

V = numbers(6)
GAMMA, BETA = numbers(6, seed=1), numbers(6, seed=2)
GROUPS, SCALES, SHIFTS = numbers(2, 3, 4), numbers(2, 3, seed=5), numbers(2, 3, seed=6)
EPS = 2.0**-10
THETA, D = 0.75, -0.375
LAYER, GRADIENT = numbers(4, seed=3), numbers(4, seed=4)
ETA, BETA1, BETA2 = 0.0625, 0.875, 0.96875


LAYERS = numbers(3, 4, seed=7)
with torch.random.fork_rng(devices=()):                       # whoever imports this keeps the numbers to come
    torch.manual_seed(6)
    DROPPED, MASK = torch.native_dropout(tensor(V), 0.25, True)


def drawn(how: Callable[..., Any]) -> float:
    """The first number that torch draws under this seed."""
    return float(how(torch.empty(1, dtype=torch.float64), generator=torch.Generator().manual_seed(9))[0])


def filled(how: Callable[..., Any]) -> float:
    """The first weight of a layer of 5 inputs and 3 nodes that torch fills under the same seed."""
    return float(how(torch.empty(3, 5, dtype=torch.float64), generator=torch.Generator().manual_seed(9))[0, 0])


def steps(make: Optimizer, gradients: list[Any], start: Any = THETA) -> Any:
    """θ after torch's optimizer has seen these derivatives, and what it has kept."""
    theta = leaf(start)
    optimizer = make([theta])
    for gradient in gradients:
        theta.grad = tensor(gradient)
        optimizer.step()
    return theta.tolist(), {key: value.tolist() for key, value in optimizer.state[theta].items()
                            if isinstance(value, torch.Tensor)}


def after(keys: tuple[str, ...], make: Optimizer, gradients: list[float]) -> Any:
    theta, state = steps(make, gradients)
    return [theta, *(state[key] for key in keys)]


def second(id: str, keys: tuple[str, ...], make: Optimizer, *options: Any) -> Witness:
    """The second step of an optimizer from the state torch reached in the first."""
    first = after(keys, make, [0.25])
    step = (2,) if "adam" in id else ()
    arguments = (first[0], D, *first[1:], *step, *options)
    return Witness(id, arguments, lambda: tuple(after(keys, make, [0.25, D])))


def schedule(t: int, make: Callable[[Any], Any]) -> float:
    optimizer = torch.optim.SGD([leaf(THETA)], lr=ETA)
    scheduler = make(optimizer)
    for _ in range(t):
        optimizer.step()
        scheduler.step()
    return float(scheduler.get_last_lr()[0])


def adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=ETA, betas=(BETA1, BETA2), eps=EPS)


def adamw(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.AdamW(parameters, lr=ETA, betas=(BETA1, BETA2), eps=EPS, weight_decay=0.125)


def unit_adam(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.Adam(parameters, lr=1.0, betas=(BETA1, BETA2), eps=EPS)


def direction() -> Any:
    """A step of length 1 from 0 is the direction, backwards."""
    moved, state = steps(unit_adam, [D], 0.0)
    return -moved, state["exp_avg"], state["exp_avg_sq"]


def lamb() -> Any:
    """LAMB out of torch's parts: Adam's step from 0 is its direction; lengths by torch."""
    moved, state = steps(unit_adam, [GRADIENT], [0.0] * 4)
    theta = tensor(LAYER)
    u = -tensor(moved) + 0.125 * theta
    theta = theta - ETA * theta.norm() / u.norm() * u
    return theta.tolist(), state["exp_avg"], state["exp_avg_sq"]


def batch_norm(training: bool) -> Any:
    norm = torch.nn.BatchNorm1d(1, eps=EPS, momentum=0.25, dtype=torch.float64)
    start = {"weight": 1.5, "bias": -0.5, "running_mean": 0.125, "running_var": 2.0}
    norm.load_state_dict({key: tensor([v]) for key, v in start.items()}, strict=False)
    out = norm.train(training)(tensor(V)[:, None])[:, 0].tolist()
    return out, tuple(norm.state_dict()[key].item() for key in ("running_mean", "running_var"))


def trained(data: list[Any]) -> Any:
    """torch.optim.SGD on the printed loss, an instance at a time."""
    layers = [leaf(Theta[1:]) for Theta in NETWORK[1:]]
    optimizer = torch.optim.SGD(layers, lr=0.25)
    for x, y in data:
        a = tensor(x)
        for W in layers:
            a = torch.sigmoid(F.linear(torch.cat([tensor([1]), a]), W))
        optimizer.zero_grad()
        loss: Any = -F.binary_cross_entropy(a, tensor(y))
        loss.backward()
        optimizer.step()
    return [None, *([None, *W.tolist()] for W in layers)]


def gd() -> Any:
    theta, _ = steps(lambda p: torch.optim.SGD(p, lr=0.5), [[GRADIENT, LAYER]], [LAYER, GRADIENT])
    return [None, *theta]


ROWS = [
    Witness("opt.sgd", (THETA, D, 0.25), lambda: steps(lambda p: torch.optim.SGD(p, lr=0.25), [D])[0]),
    Witness("opt.gd", ([None, LAYER, GRADIENT], [None, GRADIENT, LAYER], 0.5), gd),
    *(Witness(id, (NETWORK, DATA, 0.25, backprop), lambda: trained(DATA))
      for id in ("torch.loop", "cnn.sgd")),
    second("opt.momentum", ("momentum_buffer",),
           lambda p: torch.optim.SGD(p, lr=ETA, momentum=0.75), ETA, 0.75),
    second("opt.nesterov", ("momentum_buffer",),
           lambda p: torch.optim.SGD(p, lr=ETA, momentum=0.75, nesterov=True), ETA, 0.75),
    second("opt.adagrad", ("sum",), lambda p: torch.optim.Adagrad(p, lr=ETA, eps=EPS), ETA, EPS),
    second("opt.rmsprop", ("square_avg",), lambda p: torch.optim.RMSprop(p, lr=ETA, alpha=BETA1, eps=EPS), ETA, BETA1,
           EPS),
    *(Witness("opt.clip", (GRADIENT, c), lambda c=c: (tensor(GRADIENT) * (  # type: ignore[misc]
        c / torch.linalg.vector_norm(tensor(GRADIENT))).clamp(max=1.0)).tolist()) for c in (0.5, 64.0)),
    second("opt.adam", ("exp_avg", "exp_avg_sq"), adam, ETA, BETA1, BETA2, EPS),
    second("opt.adamw", ("exp_avg", "exp_avg_sq"), adamw, ETA, 0.125, BETA1, BETA2, EPS),
    Witness("opt.adam.direction", (D, 0.0, 0.0, 1, BETA1, BETA2, EPS), direction),
    Witness("opt.lamb", (LAYER, GRADIENT, [0.0] * 4, [0.0] * 4, 1, ETA, 0.125, BETA1, BETA2, EPS), lamb),
    *(Witness("opt.schedule.step", (ETA, t, 0.5, 3),
              partial(schedule, t, lambda o: torch.optim.lr_scheduler.StepLR(o, 3, 0.5)))
      for t in (0, 2, 3, 7)),
    Witness("opt.schedule.exponential", (ETA, 3, 0.75),
            lambda: schedule(3, lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.75))),
    *(Witness("opt.schedule.cosine", (ETA, t, 8),
              partial(schedule, t, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 8))) for t in (0, 3, 8)),
    *(Witness("opt.schedule.warmup", (ETA, t, 4), partial(
        schedule, t, lambda o: torch.optim.lr_scheduler.LinearLR(o, 0.25, 1.0, 3))) for t in (0, 2, 3, 7)),
    Witness("norm.rms", (V, GAMMA, EPS), lambda: F.rms_norm(tensor(V), (6,), tensor(GAMMA), EPS).tolist()),
    Witness("opt.schedule.inverse", (ETA, 4, 0.5),
            lambda: schedule(4, lambda o: torch.optim.lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + 0.5 * t)))),
    Witness("norm.mean", (V,), lambda: float(tensor(V).mean())),
    Witness("norm.variance", (V,), lambda: float(tensor(V).var(correction=0))),
    Witness("norm.batch", (V, 1.5, -0.5, EPS), lambda: batch_norm(True)[0]),
    Witness("norm.batch.inference", (V, 0.125, 2.0, 1.5, -0.5, EPS), lambda: batch_norm(False)[0]),
    Witness("norm.batch.running", (V, 0.125, 2.0, 0.25), lambda: batch_norm(True)[1]),
    Witness("norm.layer", (V, GAMMA, BETA, EPS),
            lambda: F.layer_norm(tensor(V), (6,), tensor(GAMMA), tensor(BETA), EPS).tolist()),
    Witness("norm.group", (GROUPS, SCALES, SHIFTS, EPS), lambda: F.group_norm(
        tensor(GROUPS).flatten(0, 1)[None], 2, tensor(SCALES).flatten(), tensor(SHIFTS).flatten(),
        EPS)[0].reshape(2, 3, 4).tolist()),
    Witness("norm.instance", (GROUPS[0], SCALES[0], SHIFTS[0], EPS), lambda: F.instance_norm(
        tensor(GROUPS[:1]), weight=tensor(SCALES[0]), bias=tensor(SHIFTS[0]), eps=EPS)[0].tolist()),
    Witness("init.glorot", (drawn(torch.Tensor.uniform_), 5, 3), lambda: filled(torch.nn.init.xavier_uniform_)),
    Witness("init.he", (drawn(torch.Tensor.normal_), 5), lambda: filled(partial(
        torch.nn.init.kaiming_normal_, nonlinearity="relu"))),
    Witness("net.dropout", (V, MASK.double().tolist(), 0.25), lambda: DROPPED.tolist()),
    Witness("aug.flip", (LAYERS,), lambda: tensor(LAYERS).flip(1).tolist()),
    *(Witness("aug.crop", (LAYERS, 2, 3, 1, b), lambda b=b: tensor(LAYERS).narrow(0, 1, 2).narrow(1, b, 3).tolist())  # type: ignore[misc]
      for b in (0, 1)),
    *(Witness("aug.shift", (LAYERS, 2, a, b), partial(lambda a, b: F.pad(
        tensor(LAYERS), (2, 2, 2, 2))[a:a + 3, b:b + 4].tolist(), a, b)) for a, b in ((0, 3), (2, 2), (4, 1))),
]
