"""Whom we are timed against. A peer is made from a problem; one that is not installed is listed as not run, one that
fails its own check is reported as failed, not as beaten."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from typing import Any

import attrs
import torch
from torch import Tensor

from .problems import Call, Prepare, Problem, Tensors, plain


@attrs.frozen
class Peer:
    """`make(problem)` is an implementation, or None if it has none for this op; `needs` is the module it lives in.
    `seconds` is what preparing it takes, compilation included."""

    name: str
    make: Callable[[Problem], Prepare | None] = attrs.field(repr=False)
    needs: str = "torch"
    seconds: float = 0.5

    def missing(self) -> str | None:
        if importlib.util.find_spec(self.needs) is None:
            return f"{self.needs} is not installed"
        return None


def module(name: str) -> Any:
    return importlib.import_module(name)


def eager(problem: Problem) -> Prepare:
    return problem.eager


def compiled(mode: str) -> Callable[[Problem], Prepare | None]:
    """torch.compile in this mode, of one function for all sets of tensors."""
    def make(problem: Problem) -> Prepare | None:
        torch._dynamo.reset()
        if problem.compiles is not None:
            return problem.compiles(mode)
        function = problem.text or (problem.eager.function if isinstance(problem.eager, plain) else None)
        return None if function is None else plain(torch.compile(function, mode=mode, dynamic=False))

    return make


def liger(problem: Problem) -> Prepare | None:
    if problem.op != "loss.softmax":
        return None
    LigerCrossEntropyFunction = module("liger_kernel.ops.cross_entropy").LigerCrossEntropyFunction

    def loss_and_delta(z: Tensor, y: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Its gradient replaces the logits; a sum's gradient is δ. The per-example losses it adds up are not seen."""
        with torch.enable_grad():
            z = z.detach().requires_grad_()
            loss = LigerCrossEntropyFunction.apply(z, y, None, -100, 0.0, 0.0, "sum")
            return None, torch.autograd.grad(loss[0] if isinstance(loss, tuple) else loss, z)[0]

    return plain(loss_and_delta)


def flag_gems(problem: Problem) -> Prepare:
    gems = module("flag_gems")

    def prepare(tensors: Tensors) -> Call:
        call = problem.eager(tensors)

        def under_gems() -> tuple[Tensor | None, ...]:
            with gems.use_gems():
                return call()
        return under_gems
    return prepare


def lamb(problem: Problem) -> Prepare | None:
    """timm's LAMB, for the op of that name."""
    if problem.op != "opt.lamb":
        return None
    Lamb = module("timm.optim").Lamb

    def prepare(tensors: Tensors) -> Call:
        theta = torch.nn.Parameter(tensors["theta"])
        theta.grad = tensors["D"]
        optimizer = Lamb([theta], lr=1e-3, weight_decay=1e-2, eps=1e-6, max_grad_norm=None)

        def call() -> tuple[Tensor | None, ...]:
            optimizer.step()
            return (theta.detach(),)
        return call
    return prepare


def channels_last(make: Callable[[Problem], Prepare | None]) -> Callable[[Problem], Prepare | None]:
    """torch's own images in the memory format its convolutions are fastest in, as this peer has it."""
    def peer(problem: Problem) -> Prepare | None:
        if not problem.op.startswith(("conv2d.layer", "norm.", "pool.max")):
            return None
        from .problems_images import last

        prepare = make(problem)
        return None if prepare is None else lambda tensors: prepare(last(tensors))
    return peer


def foreach(problem: Problem) -> Prepare | None:
    """torch's optimizers over lists of tensors, a launch an operation; `eager` is fused where torch has that."""
    from .problems_more import torchs

    rule = problem.op.removeprefix("opt.")
    return torchs(rule, "foreach") if problem.op.startswith("opt.") else None


def dense(problem: Problem) -> Prepare | None:
    """A layer of neighbours as a full layer, with zeros off its band."""
    from .problems_neighbours import dense

    return dense(problem)


PEERS = {peer.name: peer for peer in (
    Peer("eager", eager),
    Peer("channels_last", channels_last(eager)),
    Peer("compile channels_last", channels_last(compiled("default")), seconds=3.0),
    Peer("dense", dense),
    Peer("foreach", foreach),
    Peer("compile", compiled("default"), seconds=6.0),
    Peer("max-autotune", compiled("max-autotune-no-cudagraphs"), seconds=30.0),
    Peer("timm", lamb, "timm"),
    Peer("liger", liger, "liger_kernel"),
    Peer("flag_gems", flag_gems, "flag_gems", 3.0),
)}

#: Graphed calls of eager are what "hand-graphed eager" is: every implementation is timed both ways.
USUAL = ("eager", "compile", "flag_gems")
