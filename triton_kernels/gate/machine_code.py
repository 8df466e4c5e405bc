"""What a compiled kernel is made of: registers, spills, shared memory, tensor-core work, transfer widths, and what the
assembler warned of. For AMD's GPUs the same, as far as their assembly text says it."""

from __future__ import annotations

import math
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
MATRIX = re.compile(r"(HGMMA|HMMA|QGMMA|DMMA|UTC\w*MMA)\b|v_mfma_")
WIDE = re.compile(r"HGMMA\.(\d+)x(\d+)x(\d+)")          # by four warps together
AMD = re.compile(r"v_mfma_\w+?_(\d+)x(\d+)x(\d+)")
LABEL = re.compile(r"^\s*(\.L_x_\d+):", re.MULTILINE)
BRANCH = re.compile(r"^.*\bBRA\b.*`\((\.L_x_\d+)\).*$", re.MULTILINE)
SHARED_MEMORY = ("LDSM", "LDS", "STSM", "STS")
NARROW = {"HMMA.16816": 16 * 8 * 16, "HMMA.1688": 16 * 8 * 8, "HMMA.1684": 16 * 8 * 4}


@attrs.frozen
class Facts:
    registers: int
    spills: int                         # instructions that move registers to local memory or back
    shared: int
    threads: int
    instructions: int                   # without the NOPs that fill it up
    matrix: dict[str, int]              # tensor-core instructions by name
    loads: dict[str, int]               # by width in bits: 128, 64, 32 or less
    stores: dict[str, int]
    copies: dict[str, int]              # asynchronous, global to shared memory
    boxes: dict[str, int]               # by tensor descriptor: loads, stores
    loop: dict[str, int]                # of the loops that multiply: all instructions, those that use shared memory
    warnings: tuple[str, ...]

    @property
    def products(self) -> int | None:
        """Multiplications that the tensor-core instructions in the text do, all warps together; None if unknown."""
        warps, total = self.threads // 32, 0
        for name, n in self.matrix.items():
            wide, amd = WIDE.match(name), AMD.match(name)
            narrow = next((size for start, size in NARROW.items() if name.startswith(start)), None)
            if wide:
                total += n * math.prod(map(int, wide.groups())) * max(warps // 4, 1)
            elif amd:
                total += n * math.prod(map(int, amd.groups())) * (warps // 2)         # a wave has 64 threads
            elif narrow:
                total += n * narrow * warps
            else:
                return None             # its size is not in its name, as on Blackwell
        return total


def facts(kernel: Any) -> Facts:
    """Disassemble one compiled kernel with the tools that Triton ships."""
    if "cubin" not in kernel.asm:
        return amd(kernel)
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernel.cubin"
        cubin.write_bytes(kernel.asm["cubin"])
        usage = _run("cuobjdump", "--dump-resource-usage", str(cubin))
        text = _run("nvdisasm", "-c", str(cubin))
    operations = Counter(OPCODE.findall(text))
    registers = re.search(r"REG:(\d+)", usage)
    if registers is None:
        raise RuntimeError(f"cuobjdump reports no registers: {usage[:200]!r}")
    return Facts(
        registers=int(registers[1]), shared=kernel.metadata.shared, threads=32 * kernel.metadata.num_warps,
        spills=sum(n for name, n in operations.items() if name.split(".")[0] in ("LDL", "STL")),
        instructions=operations.total() - operations["NOP"],
        matrix={name: n for name, n in sorted(operations.items()) if MATRIX.match(name)},
        loads=_widths(operations, "LDG"), stores=_widths(operations, "STG"), copies=_widths(operations, "LDGSTS"),
        boxes={what: n for what, opcode in (("load", "UTMALDG"), ("store", "UTMASTG"))
               if (n := sum(k for name, k in operations.items() if name.startswith(opcode)))},
        loop=loop(text), warnings=assembled(kernel.asm["ptx"]),
    )


def loop(text: str) -> dict[str, int]:
    """What the loops that multiply are made of: of each tensor-core instruction the shortest way from a label past it
    to a branch back to that label. (Waiting for a box stands out of the way, at the end, and is not counted.)"""
    labels = {found[1]: found.end() for found in LABEL.finditer(text)}
    bodies = [(labels[found[1]], found.end()) for found in BRANCH.finditer(text)
              if found[1] in labels and labels[found[1]] < found.start()]
    around = [[(start, end) for start, end in bodies if start < at.start() < end]
              for at in OPCODE.finditer(text) if MATRIX.match(at[1])]
    shortest = {min(those, key=lambda body: body[1] - body[0]) for those in around if those}
    inside = Counter(name.split(".")[0] for start, end in shortest for name in OPCODE.findall(text[start:end]))
    return {"all": inside.total(), **{name: n for name in SHARED_MEMORY if (n := inside[name])}} if inside else {}


def assembled(ptx: str) -> tuple[str, ...]:
    """What ptxas warns of, a serialised tensor-core pipeline among it; Triton does not pass its words on."""
    found = re.search(r"^\.target (sm_(\d+)\w*)", ptx, re.MULTILINE)
    arch, number = (found[1], int(found[2])) if found else ("sm_90", 90)
    assembler = "ptxas-blackwell" if number >= 100 else "ptxas"         # as Triton chooses
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "kernel.ptx"
        source.write_text(ptx)
        done = subprocess.run(
            [_tool(assembler), "-v", "--warn-on-spills", f"--gpu-name={arch}", str(source), "-o",
             str(Path(folder) / "kernel.cubin")], capture_output=True, text=True, check=False)
    if done.returncode:
        return (f"ptxas failed: {done.stderr.strip()[:200]}",)
    said = (line.partition(":")[2].strip() for line in done.stderr.splitlines() if "warning" in line.lower())
    return tuple(sorted(set(said)))


def amd(kernel: Any) -> Facts:
    """From the assembly text. A spilled register goes to scratch memory."""
    text = kernel.asm["amdgcn"]
    operations = Counter(re.findall(r"^\s+([a-z]\w+)", text, re.MULTILINE))

    def number(name: str) -> int:
        found = re.search(rf"\.{name}:\s*(\d+)", text)
        return int(found[1]) if found else 0

    def widths(kind: str) -> dict[str, int]:
        found: Counter[str] = Counter()
        for name, n in operations.items():
            if re.match(rf"(global|buffer)_{kind}", name):
                found[next((w for x, w in (("x4", "128"), ("x3", "96"), ("x2", "64")) if name.endswith(x)), "32")] += n
        return dict(found)

    return Facts(
        registers=number("vgpr_count"), spills=number("vgpr_spill_count") + number("sgpr_spill_count"),
        shared=kernel.metadata.shared, threads=64 * kernel.metadata.num_warps, instructions=operations.total(),
        matrix={name: n for name, n in sorted(operations.items()) if MATRIX.match(name)},
        loads=widths("load"), stores=widths("store"), copies={}, boxes={}, loop={}, warnings=())


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
