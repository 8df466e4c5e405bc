"""What a network keeps for its backward pass, and launches and moves forward and backward: ours, torch's, compiled.

Ours is the torch network patched, or a module of ours, its kernels counted in the simulator; torch's is counted by its
operators, and compiled by the kernels and library calls in Inductor's code for a CPU, which cannot be timed here but
counted. Kept are the storages that autograd packs, each once, without inputs, parameters and buffers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import attrs
import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.profiler import ProfilerActivity, profile

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn as ours
from chainrule.triton_kernels.patch import patch

from . import ligers
from .operators import Operators


class Saved(saved_tensors_hooks):
    """Bytes that autograd keeps while it is active, each storage once; not those of tensors that are there anyway."""

    def __init__(self, *given: Tensor) -> None:
        self.there = {t.untyped_storage().data_ptr() for t in given}
        self.seen: dict[int, Any] = {}

        def pack(t: Tensor) -> Tensor:
            storage = t.untyped_storage()
            if storage.data_ptr() not in self.there:
                self.seen[storage.data_ptr()] = storage         # held, so that no other takes its address
            return t

        super().__init__(pack, lambda t: t)

    @property
    def bytes(self) -> int:
        return sum(storage.nbytes() for storage in self.seen.values())


@attrs.frozen
class Network:
    """What both sides build and feed; `mine` where ours is no patched torch network. `goals`: what the
    figures are held against, by their names; `remains`: what stands between one that is missed and its goal."""

    name: str
    make: Callable[[], nn.Module]
    x: Callable[[], Tensor]
    classes: int = 0                    # of a cross entropy; without, the sum of what comes out
    mine: Callable[[], nn.Module] | None = None
    liger: bool = False                 # whether Liger has all that it needs
    goals: dict[str, float] = attrs.field(factory=dict)
    remains: str = ""

    def data(self) -> tuple[Tensor, Tensor]:
        x = self.x()
        return x, torch.arange(len(x)) * 7 % max(self.classes, 1)

    def loss(self, f: Any, out: Tensor, y: Tensor) -> Tensor:
        """By somebody's functions."""
        return f.cross_entropy(out, y) if self.classes else out.sum()      # type: ignore[no-any-return]

    def pair(self) -> tuple[nn.Module, nn.Module]:
        """Ours and torch's, of the same parameters."""
        torch.manual_seed(0)
        theirs = self.make()
        torch.manual_seed(0)
        own = self.make() if self.mine is None else self.mine()
        if self.mine is None:
            patch(own)
        else:
            own.load_state_dict(theirs.state_dict())
        return own, theirs


def saved(network: Network, net: nn.Module, f: Any, where: AbstractContextManager[Any]) -> int:
    x, y = network.data()
    kept = Saved(x, y, *net.parameters(), *net.buffers())
    with where, kept:
        network.loss(f, net(x), y)
    return kept.bytes


def moved(network: Network, net: nn.Module, f: Any, where: AbstractContextManager[Any]) -> dict[str, int]:
    """Launches and bytes forward and backward."""
    x, y = network.data()
    with where as sim, Operators() as torchs:
        torch.autograd.backward(network.loss(f, net(x), y))
    moved = torchs.bytes_read + torchs.bytes_written + (sim.bytes_read + sim.bytes_written if sim else 0)
    return {"launches": torchs.launches + (sim.launches if sim else 0), "bytes": moved}


def compiled(network: Network) -> int:
    """Kernels and library calls in Inductor's code of forward and backward, the loss among them."""
    from torch._inductor.utils import run_and_get_code

    torch._dynamo.reset()
    (x, y), (_, net) = network.data(), network.pair()
    fast = torch.compile(lambda x: network.loss(torch.nn.functional, net(x), y))
    _, codes = run_and_get_code(lambda: torch.autograd.backward(fast(x)))
    text = "\n".join(codes)
    made = set(re.findall(r"^(cpp_fused\w+)\s*=", text, re.MULTILINE))
    called = re.findall(r"^\s+(?:buf\d+ = )?(?:extern_kernels\.\w+|torch\.ops\.\w+\.[\w.]+|aten\.\w+)\(", text,
                        re.MULTILINE)
    return len(made) + len(called)


def peak(run: Callable[[], Any]) -> int:
    """The most bytes that torch's allocator held at once, by its own record."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
        run()
    events = [e for e in seen.profiler.kineto_results.events() if e.name() == "[memory]"]   # type: ignore[union-attr]
    now = most = 0
    for event in sorted(events, key=lambda e: e.start_ns()):
        now += event.nbytes()
        most = max(most, now)
    return most


def normal(*shape: int, wanted: bool = False) -> Callable[[], Tensor]:
    def make() -> Tensor:
        x = torch.randn(*shape, generator=torch.Generator().manual_seed(1))
        return x.requires_grad_(wanted)
    return make


class Times(nn.Module):
    """Logits that somebody else made, so that they are no input."""

    def forward(self, x: Tensor) -> Tensor:
        return x * 1


class Block(nn.Module):
    """Two convolutions and their norms, around which x goes."""

    def __init__(self, C: int = 16) -> None:
        super().__init__()
        self.conv1, self.norm1 = nn.Conv2d(C, C, 3, 1, 1, bias=False), nn.BatchNorm2d(C)
        self.conv2, self.norm2 = nn.Conv2d(C, C, 3, 1, 1, bias=False), nn.BatchNorm2d(C)

    def forward(self, x: Tensor) -> Tensor:
        inner = nn.functional.relu(self.norm1(self.conv1(x)))
        return nn.functional.relu(self.norm2(self.conv2(inner)) + x)


def mlp(act: type[nn.Module]) -> Callable[[], nn.Module]:
    return lambda: nn.Sequential(
        nn.Linear(784, 256), act(), nn.Linear(256, 128), act(), nn.Linear(128, 10))


def lenet() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


def pre_norm() -> nn.Module:
    """A block of a vision transformer."""
    return nn.TransformerEncoderLayer(192, 3, 768, 0.0, "gelu", 1e-6, True, True)


NETWORKS = (
    Network("cross entropy, 64 × 1000", Times, normal(64, 1000, wanted=True), 1000, liger=True,
            goals={"saved_over_eager": 1.0}),
    Network("784-256-128-10, ReLU, n = 64", mlp(nn.ReLU), normal(64, 784), 10,
            goals={"saved_over_eager": 1.0}),
    Network("784-256-128-10, sigmoid, n = 64", mlp(nn.Sigmoid), normal(64, 784), 10,
            goals={"saved_over_eager": 1.0}),
    Network("LeNet, n = 8", lenet, normal(8, 1, 28, 28), 10,
            goals={"saved_over_eager": 0.195, "launches": 17, "bytes_over_eager": 0.5}),
    Network("residual block, 4 × 16 × 16 × 16", Block, normal(4, 16, 16, 16, wanted=True),
            mine=lambda: ours.ResidualBlock(16), goals={"saved_over_eager": 2.1 / 4, "launches": 10,
                                                   "bytes_over_eager": 0.7}),
    Network("pre-norm block, 2 × 197 × 192, 3 heads", pre_norm, normal(2, 197, 192, wanted=True),
            goals={"saved_over_eager": 10 / 15.03, "launches": 18, "bytes_over_eager": 0.65 * 43.5 / 65.87}),
)
#: Rows, width and classes of a loss behind a linear layer: on a CPU, and where kernels run.
LINEAR = {"linear and cross entropy, 512 × 256 → 4096": ((512, 256, 4096), False),
          "linear and cross entropy, 96 × 64 → 512, kernels": ((96, 64, 512), True)}
LINEAR_GOAL = 1.3


def counted(network: Network, others: bool = True) -> dict[str, Any]:
    """Every figure of a network; what Inductor makes of it, and Liger's, only if asked: that compiles C++, or needs
    its package."""
    figures: dict[str, Any] = {"network": network.name}
    own, theirs = network.pair()
    figures["saved"] = {"ours": saved(network, own, F, simulate(check=False)),
                        "eager": saved(network, theirs, torch.nn.functional, nullcontext())}
    own, theirs = network.pair()
    figures["moved"] = {"ours": moved(network, own, F, simulate(check=False)),
                        "eager": moved(network, theirs, torch.nn.functional, nullcontext())}
    if others:
        figures["compiled"] = compiled(network)
    if others and network.liger and ligers.there():
        figures["liger"] = {"version": ligers.version(), **moved(network, theirs, ligers, ligers.simulated()),
                            "saved": saved(network, theirs, ligers, ligers.simulated())}
    return figures | {"goals": network.goals, "remains": network.remains}


def linear_peak(name: str, others: bool = True) -> dict[str, Any]:
    """Peaks of a loss behind a linear layer beyond its inputs, in gradients of both."""
    (n, width, K), kernels = LINEAR[name]
    y = torch.arange(n) * 7 % K

    def of(run: Callable[..., Tensor], where: AbstractContextManager[Any]) -> float:
        x, w = normal(n, width, wanted=True)(), normal(K, width, wanted=True)()
        with where:
            most = peak(lambda: torch.autograd.backward(run(x, w, y)))
        return round(most / (x.nbytes + w.nbytes), 3)

    def whole(x: Tensor, w: Tensor, y: Tensor) -> Tensor:
        return torch.nn.functional.cross_entropy(torch.nn.functional.linear(x, w), y)

    found = {"ours": of(F.linear_cross_entropy, simulate(check=False) if kernels else nullcontext()),
             "eager": of(whole, nullcontext())}
    options = getattr(torch.nn, "LinearCrossEntropyOptions", None)
    if options is not None:
        theirs = torch.nn.functional.linear_cross_entropy
        found["option"] = of(lambda x, w, y: theirs(x, w, y, options=options()), nullcontext())
    if kernels and others and ligers.there():
        found["liger"] = of(ligers.linear_cross_entropy, ligers.simulated())
    return {"loss": name, "peak_over_gradients": found, "goal": LINEAR_GOAL}


def reached(entry: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """What a network's goals speak of: (the figure, the goal)."""
    figures = {"saved_over_eager": entry["saved"]["ours"] / entry["saved"]["eager"],
               "launches": entry["moved"]["ours"]["launches"],
               "bytes_over_eager": entry["moved"]["ours"]["bytes"] / entry["moved"]["eager"]["bytes"]}
    return {name: (round(figures[name], 3), goal) for name, goal in entry["goals"].items()}


def table(entries: list[dict[str, Any]], peaks: list[dict[str, Any]]) -> list[str]:
    """As Markdown; a figure that misses its goal has the goal beside it."""
    lines = ["| forward and backward | kB kept: ours | torch eager | launches: ours | torch eager | torch.compile "
             "| MB moved: ours | torch eager | missed |", "|---|---:|---:|---:|---:|---:|---:|---:|---|"]
    for e in entries:
        kept, went = e["saved"], e["moved"]
        missed = [f"{name.replace('_', ' ')} {is_} (goal {goal:g})" for name, (is_, goal) in reached(e).items()
                  if is_ > goal]
        lines.append(
            f"| {e['network']} | {kept['ours'] / 1e3:.1f} ({kept['ours'] / kept['eager']:.2f}×) "
            f"| {kept['eager'] / 1e3:.1f} | {went['ours']['launches']} | {went['eager']['launches']} "
            f"| {e.get('compiled', '')} | {went['ours']['bytes'] / 1e6:.2f} "
            f"({went['ours']['bytes'] / went['eager']['bytes']:.2f}×) | {went['eager']['bytes'] / 1e6:.2f} "
            f"| {'; '.join(missed)} |")
    lines += ["", *(f"- {e['network']}: Liger {one['version']}, in the simulator, keeps {one['saved'] / 1e3:.1f} kB, "
                    f"launches {one['launches']} and moves {one['bytes'] / 1e6:.2f} MB."
                    for e in entries if (one := e.get("liger")))]
    lines += [f"- {e['network']}: {e['remains']}." for e in entries if e["remains"]]
    lines += ["", "| peak beyond inputs, in gradients of both | ours | torch eager | torch's own option | Liger |",
              "|---|---:|---:|---:|---:|"]
    for p in peaks:
        of = p["peak_over_gradients"]
        figures = (f"{of[who]:.2f}" if who in of else "" for who in ("ours", "eager", "option", "liger"))
        lines.append(f"| {p['loss']} | {' | '.join(figures)} |")
    return lines
