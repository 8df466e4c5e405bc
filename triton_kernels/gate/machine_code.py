"""What a compiled kernel is made of: registers, spills, shared memory, tensor-core work, transfer widths."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import triton

OPCODE = re.compile(r"^\s*(?:/\*[0-9a-f]+\*/)?\s*(?:@!?U?P\w+\s+)?([A-Z][\w.]+)", re.MULTILINE)
MATRIX = re.compile(r"(HGMMA|HMMA|QGMMA|DMMA|UTC\w*MMA)\b")


@attrs.frozen
class Facts:
    registers: int
    spills: int                         # instructions that move registers to local memory or back
    shared: int
    threads: int
    instructions: int
    matrix: dict[str, int]              # tensor-core instructions by name
    loads: dict[str, int]               # by width in bits: 128, 64, 32 or less
    stores: dict[str, int]
    copies: dict[str, int]              # asynchronous, global to shared memory


def facts(kernel: Any) -> Facts:
    """Disassemble one compiled kernel with the tools that Triton ships."""
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernel.cubin"
        cubin.write_bytes(kernel.asm["cubin"])
        usage = _run("cuobjdump", "--dump-resource-usage", str(cubin))
        operations = Counter(OPCODE.findall(_run("nvdisasm", "-c", str(cubin))))
    registers = re.search(r"REG:(\d+)", usage)
    if registers is None:
        raise RuntimeError(f"cuobjdump reports no registers: {usage[:200]!r}")
    return Facts(
        registers=int(registers[1]), shared=kernel.metadata.shared, threads=32 * kernel.metadata.num_warps,
        spills=sum(n for name, n in operations.items() if name.split(".")[0] in ("LDL", "STL")),
        instructions=operations.total(),
        matrix={name: n for name, n in sorted(operations.items()) if MATRIX.match(name)},
        loads=_widths(operations, "LDG"), stores=_widths(operations, "STG"), copies=_widths(operations, "LDGSTS"),
    )


def _widths(operations: Counter[str], opcode: str) -> dict[str, int]:
    widths: Counter[str] = Counter()
    for name, n in operations.items():
        first, *suffixes = name.split(".")
        if first == opcode:
            widths[next((w for w in ("256", "128", "64") if w in suffixes), "32")] += n
    return dict(widths)


def _run(tool: str, *args: str) -> str:
    done = subprocess.run([_tool(tool), *args], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{tool} failed: {done.stderr.strip()[:200]}")
    return done.stdout


@cache
def _tool(name: str) -> str:
    return str(Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name)
