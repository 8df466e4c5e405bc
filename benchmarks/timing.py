"""The time of one call on a GPU, in microseconds.

A graph holds one call for each of several input sets that together are far larger than the cache, so every call finds
its inputs in memory, as it would in training, and nothing of the host is timed. What cannot be captured is timed by
events, after a read of more than the cache holds (a write would leave lines that are written back under the clock).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import attrs
import torch

from .problems import Call, Prepare, Problem, Tensors

ROTATION, MOST_SETS = 256 * 2**20, 16
LEAST_SECONDS = 3e-3            # of one sample


def sets_for(problem: Problem) -> int:
    """How many input sets make a rotation that no cache holds."""
    working_set = problem.floor.bytes
    return 1 if problem.resident else max(1, min(MOST_SETS, int(-(-ROTATION // max(working_set, 1)))))


@attrs.define
class Timed:
    """One implementation, ready to be timed. `why` says why there is no graph."""

    method: str
    sample: Callable[[], float]
    call_us: list[float]
    why: str = ""


def prepared(prepare: Prepare, sets: Sequence[Tensors]) -> Timed:
    """Compiled, warm, and captured if that is possible."""
    calls = [prepare(tensors) for tensors in sets]
    with torch.no_grad():
        warm(calls)
        call_us = host(calls)
        try:
            graph = captured(calls)
        except Exception as refused:        # many kinds, and after each the events still work
            torch.cuda.synchronize()
            return Timed("event", by_events(calls), call_us, f"not captured: {str(refused).splitlines()[0][:120]}")
    return Timed("graph", replays(graph, len(calls)), call_us)


def warm(calls: Sequence[Call]) -> None:
    stream = torch.cuda.Stream()            # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for call in (*calls, *calls[:2]):
            call()
    torch.cuda.current_stream().wait_stream(stream)
    torch.cuda.synchronize()


def captured(calls: Sequence[Call]) -> Any:
    graph: Any = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        graph.kept = [call() for call in calls]         # outputs live in the graph's own pool
    graph.replay()
    torch.cuda.synchronize()
    return graph


def replays(graph: Any, calls: int) -> Callable[[], float]:
    once = between(graph.replay) / 1e6
    times = max(3, int(LEAST_SECONDS / max(once, 1e-7)) + 1)

    def sample() -> float:
        def repeated() -> None:
            for _ in range(times):
                graph.replay()
        return between(repeated) / times / calls

    return sample


def by_events(calls: Sequence[Call]) -> Callable[[], float]:
    flush = torch.ones(ROTATION // 4, device="cuda")

    def sample() -> float:
        total = 0.0
        for call in calls:
            flush.sum()
            total += between(call)
        return total / len(calls)

    return sample


def between(run: Callable[[], Any]) -> float:
    """Microseconds of device time between two events around `run`."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))       # type: ignore[no-untyped-call]
    start.record()
    run()
    end.record()
    end.synchronize()
    return float(start.elapsed_time(end)) * 1e3


def host(calls: Sequence[Call], repeats: int = 5) -> list[float]:
    """Plain Python calls, waited for at the end: what a user without graphs sees."""
    samples = []
    for _ in range(repeats):
        start = time.perf_counter()
        for call in calls:
            call()
        torch.cuda.synchronize()
        samples.append((time.perf_counter() - start) / len(calls) * 1e6)
    return samples
