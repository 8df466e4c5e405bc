"""What is timed: an equation at one size, as we compute it and as a torch user would.

An implementation is prepared once with its tensors and then called again and again, inside a CUDA graph where that is
possible; so nothing is allocated on the host and no state is made while the clock runs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs
import torch
from torch import Tensor

from chainrule.triton_kernels import OPS
from chainrule.triton_kernels.runtime.launch import runs_kernel

from . import floors, steps
from .floors import Floor

Tensors = dict[str, Tensor]
Outputs = tuple[Tensor | None, ...]
Call = Callable[[], Outputs]
Prepare = Callable[[Tensors], Call]

UNITS = {torch.bfloat16: "bf16", torch.float16: "fp16", torch.float32: "fp32"}
LAM, MU = steps.LAM, steps.MU


@attrs.frozen
class Input:
    """Random normal numbers of spread `scale` or, where `classes` is given, random class indices."""

    shape: tuple[int, ...]
    dtype: torch.dtype = torch.bfloat16
    scale: float = 1.0
    classes: int = 0

    def make(self, device: str, generator: torch.Generator | None = None) -> Tensor:
        if device == "meta":
            return torch.empty(self.shape, dtype=torch.int64 if self.classes else self.dtype, device=device)
        if self.classes:
            return torch.randint(0, self.classes, self.shape, device=device, generator=generator)
        normal = torch.randn(self.shape, device=device, generator=generator)
        return (normal * self.scale).to(self.dtype)


@attrs.frozen
class Problem:
    """`sources`: the kernel files and chapters that a measurement speaks of; `terms`: how many products are added in an
    output, and `rounded` the dtype of its least exact result; `table` is whose rows may be tuned. torch.compile gets
    eager's function, or `text` where it does better on another, or says itself how it `compiles` in a mode. `exactly`
    is the formula in float64, where eager's is not to be had. What is `resident` finds its tensors where the previous
    call left them, as a network does at its next step."""

    op: str
    inputs: Mapping[str, Input]
    ours: Prepare
    eager: Prepare
    floor: Floor
    sources: tuple[str, ...]
    terms: int = 1
    text: Callable[..., Any] | None = None
    table: str | None = None
    rounded: torch.dtype = torch.bfloat16
    compiles: Callable[[str], Prepare] | None = None
    resident: bool = False
    exactly: Prepare | None = None

    def tensors(self, device: str, generator: torch.Generator | None = None) -> Tensors:
        return {name: one.make(device, generator) for name, one in self.inputs.items()}

    @property
    def bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in self.tensors("meta").values())


@attrs.frozen
class plain:
    """A function of the tensors alone, which needs no preparation."""

    function: Callable[..., Any]

    def __call__(self, tensors: Tensors) -> Call:
        def call() -> Outputs:
            result = self.function(**tensors)
            return result if isinstance(result, tuple) else (result,)
        return call


TORCH_ACT: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu, "identity": lambda z: z}
_PRODUCTS = ("layers", "activations", "runtime/configs.py")


def layer(B: int, I: int, O: int, act: str = "relu", dtype: torch.dtype = torch.bfloat16) -> Problem:
    inputs = {"x": Input((B, I), dtype), "w": Input((O, I), dtype, I**-0.5), "b": Input((O,), dtype)}
    ours = lambda x, w, b: OPS["net.layer.affine"](x=x, w=w, b=b, act=act)
    eager = lambda x, w, b: TORCH_ACT[act](torch.nn.functional.linear(x, w, b))
    return Problem(
        "net.layer.affine", inputs, plain(ours), plain(eager),
        floors.layer(B, I, O, dtype.itemsize, UNITS[dtype]), _PRODUCTS, I, table="net.layer.affine", rounded=dtype)


def delta(B: int, I: int, O: int, dtype: torch.dtype = torch.bfloat16) -> Problem:
    """δ of the layer below, from its sigmoid a, and the batch sum for its intercepts."""
    inputs = {"delta": Input((B, O), dtype), "w": Input((O, I), dtype, O**-0.5), "a": Input((B, I), dtype, 0.25)}

    def eager(delta: Tensor, w: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
        d = torch.ops.aten.sigmoid_backward(delta @ w, a)
        return d, d.sum(0)

    return Problem(
        "bp.delta.rec", inputs, plain(OPS["bp.delta.rec"]), plain(eager),
        floors.delta(B, I, O, dtype.itemsize, UNITS[dtype]), (*_PRODUCTS, "blocks/reduce.py"), O, table="bp.delta",
        rounded=dtype)


def average(B: int, I: int, O: int, dtype: torch.dtype = torch.bfloat16) -> Problem:
    inputs = {"delta": Input((B, O), dtype), "a": Input((B, I), dtype), "w": Input((O, I), dtype)}
    ours = lambda delta, a, w: OPS["alg.average"](delta=delta, a=a, w=w, lam=LAM, n=B)
    eager = lambda delta, a, w: (torch.addmm(w, delta.t(), a, beta=LAM, alpha=1 / B), delta.sum(0) / B)
    return Problem(
        "alg.average", inputs, plain(ours), plain(eager),
        floors.average(B, I, O, dtype.itemsize, UNITS[dtype]), _PRODUCTS, B, table="alg.average", rounded=dtype)


def descent(
    B: int, I: int, O: int, rule: str = "sgd", dtype: torch.dtype = torch.bfloat16, theta: torch.dtype = torch.float32
) -> Problem:
    """D and the step on Θ in one, δ and a in 16 bits, Θ in 32; torch has a product, a cast and a fused optimizer."""
    inputs = {"delta": Input((B, O), dtype), "a": Input((B, I), dtype), "w": Input((O, I), theta)}
    if rule == "momentum":
        inputs["v"] = Input((O, I), theta)
    mu = MU if rule == "momentum" else 0.0

    def ours(t: Tensors) -> Call:
        if not runs_kernel(t["w"]):
            return plain(text)(t)
        from chainrule.triton_kernels.updates import fused as fused_update

        tables = fused_update.tables({"eta": 1.0, "beta1": mu, "share": 1.0}, 1.0, t["w"].device)
        kept = (t["w"], *([t["v"]] if "v" in t else []))
        theta = fused_update.Parameter(kept, kept, *tables)

        def call() -> Outputs:
            fused_update.layer(rule, t["delta"], t["a"], theta, None, LAM, float(B))
            return (t["w"],)
        return call

    def eager(delta: Tensor, a: Tensor, w: Tensor, v: Tensor | None = None) -> Tensor:
        D = (delta.t() @ (a / B)).to(w.dtype)
        torch._fused_sgd_([w], [D], [] if v is None else [v], weight_decay=LAM, momentum=mu, lr=1.0, dampening=0.0,
                          nesterov=False, maximize=False, is_first_step=False)
        return w

    def text(delta: Tensor, a: Tensor, w: Tensor, v: Tensor | None = None) -> Tensor:
        D = (delta.t() @ (a / B)).to(w.dtype) + LAM * w
        return w.sub_(D if v is None else v.mul_(mu).add_(D))

    size, states = dtype.itemsize, len(inputs) - 3
    moved = size * (B * O + B * I) + 2 * theta.itemsize * (1 + states) * I * O
    return Problem(
        f"alg.average.{rule}", inputs, ours, plain(eager), Floor(2 * B * I * O, moved, UNITS[dtype]),
        ("layers", "updates"), B, text, rounded=dtype)


def softmax(B: int, K: int, dtype: torch.dtype = torch.bfloat16) -> Problem:
    inputs = {"z": Input((B, K), dtype, 3.0), "y": Input((B,), classes=K)}

    def eager(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            loss = torch.nn.functional.cross_entropy(z, y, reduction="none")
            return loss.detach(), torch.autograd.grad(loss.sum(), z)[0]

    def text(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        log = torch.log_softmax(z.float(), 1)
        here = torch.arange(K, device=z.device)[None, :] == y[:, None]
        loss = -log.gather(1, y[:, None])[:, 0]
        return loss.to(z.dtype), (log.exp() - here.float()).to(z.dtype)

    return Problem("loss.softmax", inputs, plain(OPS["loss.softmax"]), plain(eager), floors.rows(B, K, dtype.itemsize),
                   ("losses", "blocks", "runtime/configs.py"), 1, text,
                   "loss.softmax" if K <= 32768 else "loss.softmax.long", dtype)


def logits(B: int, K: int, dtype: torch.dtype = torch.float32) -> Problem:
    inputs = {"z": Input((B, K), dtype, 3.0), "y": Input((B, K), dtype, 0.3)}

    def eager(z: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y, reduction="none")
        return loss, torch.sigmoid(z) - y

    return Problem("loss.xent.logits", inputs, plain(OPS["loss.xent.logits"]), plain(eager),
                   floors.elementwise(B * K, 2, 2, dtype.itemsize), ("losses", "blocks"),
                   table="pointwise", rounded=dtype)


def activation(elements: int, act: str, dtype: torch.dtype = torch.bfloat16) -> Problem:
    return Problem(f"act.{act}", {"z": Input((elements,), dtype)}, plain(OPS[f"act.{act}"]), plain(_one(act)),
                   floors.elementwise(elements, 1, 1, dtype.itemsize), ("activations", "blocks"),
                   table="pointwise", rounded=dtype)


def _one(act: str) -> Callable[[Tensor], Tensor]:
    return lambda z: TORCH_ACT[act](z)


def step(nodes: tuple[int, ...], batch: int, rule: str = "sgd", dtype: torch.dtype = torch.float32) -> Problem:
    """A whole training step, in place: the mean loss before it, and the first weights after it."""
    from .counts import floor

    shape = steps.Mlp(nodes, batch, dtype, rule)
    moved = floor(shape)[1]
    inputs = {"x": Input((batch, nodes[0]), dtype), "y": Input((batch,), classes=nodes[-1])}
    for l, (i, o) in enumerate(shape.layers):
        inputs |= {f"w{l}": Input((o, i), dtype, i**-0.5), f"b{l}": Input((o,), dtype)}

    def network(t: Tensors) -> steps.Network:
        weights, biases = ([t[f"{kind}{l}"] for l in range(len(shape.layers))] for kind in "wb")
        zeros = [[torch.zeros_like(p) for p in group] if rule == "momentum" else [] for group in (weights, biases)]
        return steps.Network(weights, biases, *zeros)

    def ours(t: Tensors) -> Call:
        net = network(t)
        return lambda: (steps.fused(net, t["x"], t["y"]).mean(), net.weights[0])

    def eager(t: Tensors, run: Callable[..., Tensor] = steps.objective) -> Call:
        net = network(t)
        one = steps.eager(net, run)
        return lambda: (one(t["x"], t["y"]), net.weights[0].detach())

    def compiles(mode: str) -> Prepare:
        return partial(eager, run=torch.compile(steps.objective, mode=mode, dynamic=False))

    flops = 2.0 * batch * sum(i * o for i, o in shape.layers) * 3
    return Problem(f"step, {rule}", inputs, ours, eager, Floor(flops, moved, UNITS[dtype]),
                   (*_PRODUCTS, "losses", "updates", "blocks"), max(nodes),
                   rounded=dtype, compiles=compiles, resident=True)
