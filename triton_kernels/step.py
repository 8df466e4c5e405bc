"""A training step as one call; on a GPU, as one CUDA graph, for networks that are small against a launch.

    step = make_step(model, loss, optimizer)
    for x, y in batches:
        mean = step(x, y)

On a CPU the step simply runs. On a GPU the first calls run as they are, each a real step, so that everything that is
made once has been made; then the whole step is recorded and replayed. A batch of another shape runs unrecorded, and a
number of the optimizer that has changed has the step recorded again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from . import fused_step

WARM_UP = 3


def make_step(
    model: nn.Module, loss: Callable[..., Tensor], optimizer: torch.optim.Optimizer, *, graph: bool | None = None,
    fused: bool = False, clip: float | None = None, accumulate: int = 1, narrow: torch.dtype | None = None,
) -> Step:
    """step(x, y) → the loss, detached.

    graph: record on a GPU (the default), or never. fused: the update rides on the gradient's product, and no gradient
    is stored; ValueError with the reason where something has to see it. Its n is the batch's, so a target that is to be
    ignored (-100) gives NaN there. clip: the largest length of the gradient.
    accumulate: update at every so many calls, with the mean of their gradients. narrow: with `fused`, products take
    copies of float32 parameters in this dtype, made at each step.
    """
    if accumulate < 1 or (clip is not None and not clip > 0):
        raise ValueError(f"make_step: clip = {clip} and accumulate = {accumulate}; both are positive")
    if narrow is not None and not (fused and narrow in (torch.bfloat16, torch.float16)
                                   and all(p.dtype == torch.float32 for p in model.parameters())):
        raise ValueError(f"make_step: narrow = {narrow} is for fused=True and float32 parameters; it is a 16-bit dtype")
    if not fused:
        graph = graph is not False and accumulate == 1
        return Step(Plain(model, loss, optimizer, clip, accumulate, still=graph), optimizer, graph)
    reason = fused_step.refusal(model, loss, optimizer, clip, accumulate)
    if reason is not None:
        raise ValueError(f"make_step(fused=True): {reason}; leave fused out")
    return Step(fused_step.FusedStep(model, loss, optimizer, narrow), optimizer, graph is not False)


class Plain:
    """zero_grad, forward, loss, backward, step.

    still: on a GPU gradients keep their places, since a recording holds the addresses that the optimizer's tables name.
    """

    def __init__(self, model: nn.Module, loss: Callable[..., Tensor], optimizer: torch.optim.Optimizer,
                 clip: float | None, accumulate: int, still: bool = False) -> None:
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.clip, self.accumulate, self.still, self.calls = clip, accumulate, still, 0

    def refresh(self) -> None:
        """Nothing is kept beside the optimizer."""

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        if self.calls % self.accumulate == 0:
            self.optimizer.zero_grad(set_to_none=not (self.still and x.is_cuda))
        self.calls += 1
        mean = self.loss(self.model(x), y)
        (mean if self.accumulate == 1 else mean / self.accumulate).backward()      # type: ignore[no-untyped-call]
        if self.calls % self.accumulate == 0:
            if self.clip is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.clip)
            self.optimizer.step()
        return mean.detach()


def record(run: Callable[[], Tensor]) -> tuple[Callable[[], None], Tensor]:
    """(replay, where it leaves its result): `run` recorded as a CUDA graph, not run."""
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = run()
    return graph.replay, result


class Step:
    """Runs, then records, then replays; see `make_step`."""

    def __init__(self, run: Any, optimizer: torch.optim.Optimizer, graph: bool) -> None:
        self.run, self.optimizer, self.graph = run, optimizer, graph
        self.warm = 0
        self.replay: Callable[[], None] | None = None
        self.x = self.y = self.mean = torch.empty(0)
        self.recorded: Any = None

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        self.run.refresh()
        if not (self.graph and x.is_cuda):
            return self.run(x, y)       # type: ignore[no-any-return]
        return self.replayed(x, y)

    def replayed(self, x: Tensor, y: Tensor) -> Tensor:
        """The recorded step on this batch; the first few are run, and so is a batch of another shape."""
        if self.warm < WARM_UP:
            self.warm += 1
            return self._aside(x, y)
        if self.replay is None or (self.recorded != self._numbers() and not self._kept(x, y)):
            self.x, self.y = x.clone(), y.clone()
            self._record()
        elif self.recorded != self._numbers():
            self._record()
        if not self._kept(x, y):
            return self.run(x, y)       # type: ignore[no-any-return]
        self.x.copy_(x)
        self.y.copy_(y)
        assert self.replay is not None
        self.replay()
        return self.mean.clone()

    def _record(self) -> None:
        self.replay, self.mean = record(lambda: self.run(self.x, self.y))
        self.recorded = self._numbers()

    def _aside(self, x: Tensor, y: Tensor) -> Tensor:
        """A step on another stream, as warming up before a recording asks for."""
        if not x.is_cuda:
            return self.run(x, y)       # type: ignore[no-any-return]
        stream = torch.cuda.Stream(x.device)       # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(x.device))
        with torch.cuda.stream(stream):
            mean: Tensor = self.run(x, y)
        torch.cuda.current_stream(x.device).wait_stream(stream)
        return mean

    def _kept(self, x: Tensor, y: Tensor) -> bool:
        return all(one.shape == own.shape and one.dtype == own.dtype and one.device == own.device
                   for one, own in ((x, self.x), (y, self.y)))

    def _numbers(self) -> Any:
        """What is compiled into a recording: where the numbers lie, and those that no fused step reads from memory."""
        places = [t.data_ptr() for group in self.optimizer.param_groups for p in group["params"]
                  for t in (p, *self.optimizer.state.get(p, {}).values()) if isinstance(t, Tensor)]
        if isinstance(self.run, fused_step.FusedStep):
            return places
        return places, [{k: v for k, v in group.items() if isinstance(v, int | float | tuple | bool)}
                        for group in self.optimizer.param_groups]
