"""What libraries ask of a GPU while they are imported or started, answered without one: `simulate(pretend_cuda=...)`.

Inside, a tensor says that it is on `cuda:0`, what is made or moved there is a CPU tensor, `torch.cuda` describes a
device of that architecture with one idle stream, and Triton's driver is there. Nothing can be timed: a benchmark runs
once and returns NaN. Outside, everything is as before; a library that is imported inside keeps what it was told.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from ...triton_kernels.gate.offline import SHARED, target_of

#: Multiprocessors of the largest common device of an architecture, by its datasheet, and its name.
DEVICES = {"sm_70": (80, "V100"), "sm_75": (40, "T4"), "sm_80": (108, "A100"), "sm_86": (84, "A40"),
           "sm_89": (142, "L40"), "sm_90": (132, "H100"), "sm_100": (148, "B200"), "sm_120": (170, "RTX 5090")}
CUDA = torch.device("cuda", 0)
_CPU = torch.device("cpu")
_TENSOR = torch.Tensor


def _getter(name: str) -> Any:
    return getattr(_TENSOR, name).__get__


_SAYS: dict[Any, Any] = {_getter("device"): CUDA, _getter("is_cuda"): True, _getter("is_cpu"): False,
                         _TENSOR.get_device: 0}


class OnCuda(TorchFunctionMode):
    """CPU tensors that say they are on `cuda:0`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if func in _SAYS:
            return _SAYS[func]
        if func is _TENSOR.cuda:
            return args[0]
        if func is _TENSOR.cpu:
            return args[0].clone()
        if "device" in kwargs:
            kwargs = {**kwargs, "device": _here(kwargs["device"])}
        if func is _TENSOR.to:
            args = (args[0], *(_here(a) if isinstance(a, str | torch.device) else a for a in args[1:]))
        return func(*args, **kwargs)


def _here(device: Any) -> Any:
    """Where a tensor for this device is made: in this process's memory."""
    if device is None or isinstance(device, int):
        return _CPU if device is not None else None
    return _CPU if str(device).startswith("cuda") else device


class Stream:
    """A stream that has always finished."""

    cuda_stream = stream_id = device_index = 0
    device = CUDA

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None: ...

    def synchronize(self) -> None: ...

    def wait_stream(self, other: Any) -> None: ...

    def wait_event(self, event: Any) -> None: ...

    def record_event(self, event: Any = None) -> Any:
        return event or Event()

    def query(self) -> bool:
        return True


class Event(Stream):
    """An event that has happened; how long it took is not known."""

    def record(self, stream: Any = None) -> None: ...

    def wait(self, stream: Any = None) -> None: ...

    def elapsed_time(self, other: Any) -> float:
        return math.nan


class Driver:
    """As Triton's driver of such a device."""

    def __init__(self, arch: str) -> None:
        self.target, self.properties = target_of(arch), _triton_properties(arch)
        self.utils = types.SimpleNamespace(get_device_properties=lambda device: self.properties)
        self.launcher_cls = None

    def is_active(self) -> bool:
        return True

    def get_current_target(self) -> Any:
        return self.target

    def get_current_device(self) -> int:
        return 0

    def set_current_device(self, device: Any) -> None: ...

    def get_current_stream(self, device: Any = None) -> int:
        return 0

    def get_device_capability(self, device: Any = None) -> tuple[int, int]:
        return divmod(int(self.target.arch), 10)

    def get_active_torch_device(self) -> torch.device:
        return CUDA

    def get_device_interface(self) -> Any:
        return torch.cuda

    def get_benchmarker(self) -> Any:
        return bench

    def get_empty_cache_for_benchmark(self) -> torch.Tensor:
        return torch.empty(0)

    def clear_cache(self, cache: Any) -> None: ...


def bench(call: Callable[[], Any], *_: Any, quantiles: Any = None, **__: Any) -> Any:
    """`triton.testing.do_bench`: the call happens, and its time is not known."""
    call()
    return [math.nan] * len(quantiles) if quantiles else math.nan


def _triton_properties(arch: str) -> dict[str, int]:
    return {"max_shared_mem": SHARED.get(arch, 101_376), "max_num_regs": 65_536, "warpSize": 32,
            "multiprocessor_count": DEVICES[arch][0], "sm_clock_rate": 1_000_000, "mem_clock_rate": 1_000_000,
            "mem_bus_width": 4096}


def _torch_properties(arch: str) -> Any:
    major, minor = divmod(int(arch.removeprefix("sm_")), 10)
    count, name = DEVICES[arch]
    shared = SHARED.get(arch, 101_376)
    return types.SimpleNamespace(
        name=name, major=major, minor=minor, multi_processor_count=count, warp_size=32, total_memory=80 << 30,
        regs_per_multiprocessor=65_536, max_threads_per_multi_processor=2048, shared_memory_per_block=49_152,
        shared_memory_per_block_optin=shared, shared_memory_per_multiprocessor=shared, L2_cache_size=50 << 20,
        is_integrated=0, is_multi_gpu_board=0, gcnArchName="", uuid="")


def _torch_cuda(arch: str) -> dict[str, Any]:
    """What stands for functions and classes of `torch.cuda`: each an object of its own, as some tell them apart by."""
    properties, stream = _torch_properties(arch), Stream()
    says = {
        "is_available": True, "is_initialized": True, "device_count": 1, "current_device": 0, "get_arch_list": [arch],
        "get_device_capability": (properties.major, properties.minor), "get_device_name": properties.name,
        "get_device_properties": properties, "is_bf16_supported": properties.major >= 8, "current_stream": stream,
        "default_stream": stream, "memory_allocated": 0, "max_memory_allocated": 0, "memory_reserved": 0,
        "mem_get_info": (80 << 30, 80 << 30), "is_current_stream_capturing": False,
        **dict.fromkeys(("init", "_lazy_init", "set_device", "synchronize", "empty_cache", "set_stream",
                         "reset_peak_memory_stats", "manual_seed", "manual_seed_all")),
    }
    return {
        **{name: _saying(value) for name, value in says.items()},
        **{name: _entering() for name in ("device", "device_of", "stream")}, "Stream": Stream, "Event": Event,
        "get_rng_state": lambda *_: torch.get_rng_state(),
        "set_rng_state": lambda state, *_: torch.set_rng_state(state),
    }


def _saying(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


def _entering() -> Callable[..., Any]:
    return lambda *_, **__: nullcontext()


@contextmanager
def pretending(arch: str) -> Iterator[None]:
    """A device of this architecture, for as long as the block lasts."""
    if arch not in DEVICES:
        raise ValueError(f"simulate(pretend_cuda={arch!r}): known devices are {', '.join(DEVICES)}")
    import triton.testing
    from torch._dynamo import trace_rules
    from triton.runtime import driver

    from .patches import Scope

    trace_rules.get_torch_obj_rule_map()              # it keeps what it finds in `torch.cuda`, whenever first asked
    scope = Scope()
    try:
        for name, stand_in in _torch_cuda(arch).items():
            scope.set_attr(torch.cuda, name, stand_in)
        scope.set_attr(torch.version, "cuda", torch.version.cuda or "12.8")
        scope.set_attr(driver, "_active", Driver(arch))
        scope.set_attr(triton.testing, "do_bench", bench)
        scope.set_attr(triton.testing, "do_bench_cudagraph", bench)
        scope.set_attr(triton.testing.Mark, "run", lambda self, *_, **__: None)
        with OnCuda():
            yield
    finally:
        scope.restore()
