"""Launches and bytes of a training step: ours in the simulator, torch's by its operator list, and the floor of both;
and what networks keep, launch and move (`networks`).

    python -m benchmarks.counts [--json FILE]

The floor of launches: each layer's a, the loss with its δ, both gradients of each layer, and one step on all Θ, 2L + 2
in all. The floor of bytes: each layer's a, the loss with its δ, each hidden δ, and each D with the step on Θ read their
inputs and write their results once; D itself is never in memory.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import torch
from torch import Tensor

from chainrule import readable
from chainrule.conformance.simulator import simulate

from . import floors, lenet, networks, steps
from .operators import Operators

NODES, BATCH = (784, 256, 128, 10), 64
WAYS = {"op by op": steps.by_ops, "fused": steps.fused}


@attrs.frozen
class Count:
    """Launches and bytes of one step."""

    launches: int
    bytes_read: int
    bytes_written: int

    @property
    def bytes(self) -> int:
        return self.bytes_read + self.bytes_written


@attrs.frozen
class Step:
    """A training step to be counted: what runs it, what torch runs, and the least that must be done."""

    name: str
    ours: Callable[[], Count]
    eager: Callable[[], Count]
    floor: tuple[int, float]            # launches, bytes
    parameters: int                     # bytes of Θ, and of D


def mlp(
    rule: str, how: str, dtype: torch.dtype = torch.float32, nodes: tuple[int, ...] = NODES, batch: int = BATCH
) -> Step:
    shape = steps.Mlp(nodes, batch, dtype, rule)
    name = f"{'-'.join(map(str, nodes))}, n = {batch}, {short(dtype)}, {rule}, {how}"
    parameters = dtype.itemsize * sum(o * i + o for i, o in shape.layers)
    return Step(name, lambda: simulated(shape, WAYS[how]), lambda: by_torch(shape), floor(shape), parameters)


def images(batch: int) -> Step:
    """LeNet's step."""
    def ours() -> Count:
        generator = torch.Generator().manual_seed(0)
        net = started(lenet.network(generator))
        return in_simulator(partial(lenet.by_ops, net, *lenet.data(batch, generator)))

    def eager() -> Count:
        generator = torch.Generator().manual_seed(0)
        return second(partial(lenet.eager(lenet.network(generator)), *lenet.data(batch, generator)))

    floor = lenet.LAUNCHES, sum(part.bytes for part in lenet.floor(batch))
    parameters = sum(t.nbytes for t in lenet.network(torch.Generator()).parameters)
    return Step(f"LeNet, n = {batch}, fp32, sgd, op by op", ours, eager, floor, parameters)


def simulated(shape: steps.Mlp, run: Callable[[steps.Network, Tensor, Tensor], Tensor] = steps.by_ops) -> Count:
    generator = torch.Generator().manual_seed(0)
    net = shape.network("cpu", generator)
    if run is steps.by_ops:
        started(net, steps.MU if shape.rule == "momentum" else 0.0)
    return in_simulator(partial(run, net, *shape.data("cpu", generator)))


def started(net: Any, mu: float = 0.0) -> Any:
    """The network, its optimizer's first step behind it, as torch's is."""
    with simulate(check=False):
        steps.start(net, mu)
    return net


def by_torch(shape: steps.Mlp) -> Count:
    generator = torch.Generator().manual_seed(0)
    return second(partial(steps.eager(shape.network("cpu", generator)), *shape.data("cpu", generator)))


def in_simulator(step: Callable[[], Tensor]) -> Count:
    """Our kernels, and whatever a step leaves to torch."""
    with simulate(check=False) as sim, Operators() as torchs:
        step()
    return Count(sim.launches + torchs.launches, sim.bytes_read + torchs.bytes_read,
                 sim.bytes_written + torchs.bytes_written)


def second(step: Callable[[], Tensor]) -> Count:
    """The first step makes torch's states."""
    step()
    with Operators() as counted:
        step()
    return Count(counted.launches, counted.bytes_read, counted.bytes_written)


def floor(shape: steps.Mlp) -> tuple[int, float]:
    B, size, states = shape.batch, shape.dtype.itemsize, int(shape.rule == "momentum")
    layers = shape.layers
    parts = [floors.layer(B, i, o, size, "fp32") for i, o in layers]
    parts += [floors.rows(B, layers[-1][1], size)]
    parts += [floors.delta(B, i, o, size, "fp32") for i, o in layers[1:]]
    parts += [floors.update(B, i, o, size, "fp32", states, size) for i, o in layers]
    return 2 * len(layers) + 2, sum(part.bytes for part in parts)


def short(dtype: torch.dtype) -> str:
    return {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[dtype]


def every() -> list[Step]:
    return [*(mlp(rule, how) for rule in ("sgd", "momentum") for how in WAYS), images(8)]


def counted(step: Step) -> dict[str, Any]:
    ours, eager, (launches, moved) = step.ours(), step.eager(), step.floor
    return {
        "step": step.name, "ours": attrs.asdict(ours), "eager": attrs.asdict(eager),
        "floor": {"launches": launches, "bytes": int(moved)},
        "launches_over_floor": round(ours.launches / launches, 3), "bytes_over_floor": round(ours.bytes / moved, 3),
        "eager_launches_over_floor": round(eager.launches / launches, 3),
        "eager_bytes_over_floor": round(eager.bytes / moved, 3), "parameters": step.parameters,
    }


def table(entries: list[dict[str, Any]]) -> list[str]:
    """As Markdown."""
    lines = ["| training step | launches: floor | ours | torch eager | MB moved: floor | ours | torch eager |",
             "|---|---:|---:|---:|---:|---:|---:|"]
    for e in entries:
        mb = [(e[who]["bytes_read"] + e[who]["bytes_written"]) / 1e6 for who in ("ours", "eager")]
        lines.append(
            f"| {e['step']} | {e['floor']['launches']} | {e['ours']['launches']} | {e['eager']['launches']} "
            f"| {e['floor']['bytes'] / 1e6:.2f} | {mb[0]:.2f} ({e['bytes_over_floor']:.2f}×) "
            f"| {mb[1]:.2f} ({e['eager_bytes_over_floor']:.2f}×) |")
    twice = {e["step"].partition(",")[0]: 2 * e["parameters"] / 1e6 for e in entries if "op by op" in e["step"]}
    of = ", ".join(f"{mb:.2f} MB of {name}" for name, mb in twice.items())
    return [*lines, "", f"Op by op D is written, and read again by the optimizer, which no floor has: {of}."]


def main(arguments: list[str] | None = None) -> int:
    readable()
    parser = argparse.ArgumentParser(prog="counts", description="launches and bytes of training steps")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number there")
    given = parser.parse_args(arguments)
    found: dict[str, Any] = {
        "steps": [counted(step) for step in every()], "networks": [networks.counted(one) for one in networks.NETWORKS],
        "peaks": [networks.linear_peak(one) for one in networks.LINEAR]}
    print("\n".join([*table(found["steps"]), "", *networks.table(found["networks"], found["peaks"])]))
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
