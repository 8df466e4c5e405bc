"""What a compiled kernel is made of: registers, spills, shared memory, tensor-core work, transfer widths, and what the
assembler warned of. For AMD's GPUs the same, as far as their assembly text says it."""

from __future__ import annotations

import io
import math
import re
import struct
import subprocess
import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from functools import cache
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import triton
from triton.compiler.compiler import make_backend

INSTRUCTION = re.compile(r"^\s*/\*([0-9a-f]+)\*/\s*(?:@!?U?P\w+\s+)?([A-Z][\w.]+)(.*)", re.MULTILINE)
MATRIX = re.compile(r"(HGMMA|HMMA|QGMMA|DMMA|UTC\w*MMA)\b|v_mfma_")
WIDE = re.compile(r"HGMMA\.(\d+)x(\d+)x(\d+)")          # by four warps together
AMD = re.compile(r"v_mfma_\w+?_(\d+)x(\d+)x(\d+)")
TARGET = re.compile(r"0x([0-9a-f]+)\s*;?\s*$")
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


class Instruction(NamedTuple):
    at: int
    name: str
    to: int | None                      # where a branch goes


def facts(kernels: Sequence[Any], said: Mapping[str, str]) -> list[Facts]:
    """Of kernels compiled for one target, read with the tools that Triton ships; `said` is what the assembler said when
    they were compiled, by hash."""
    if not kernels or "cubin" not in kernels[0].asm:
        return [amd(kernel) for kernel in kernels]
    listings = disassembled([kernel.asm["cubin"] for kernel in kernels], kernels[0].metadata.target.arch)
    return [_facts(kernel, listing, said.get(kernel.hash, "")) for kernel, listing in zip(kernels, listings)]


def _facts(kernel: Any, listing: list[Instruction], said: str) -> Facts:
    operations = Counter(one.name for one in listing)
    return Facts(
        registers=_registers(kernel.asm["cubin"]), shared=kernel.metadata.shared,
        threads=32 * kernel.metadata.num_warps,
        spills=sum(n for name, n in operations.items() if name.split(".")[0] in ("LDL", "STL")),
        instructions=operations.total() - operations["NOP"],
        matrix={name: n for name, n in sorted(operations.items()) if MATRIX.match(name)},
        loads=_widths(operations, "LDG"), stores=_widths(operations, "STG"), copies=_widths(operations, "LDGSTS"),
        boxes={what: n for what, opcode in (("load", "UTMALDG"), ("store", "UTMASTG"))
               if (n := sum(k for name, k in operations.items() if name.startswith(opcode)))},
        loop=loop(listing), warnings=warned(said) if said else assembled(kernel),
    )


def disassembled(cubins: Sequence[bytes], arch: int) -> list[list[Instruction]]:
    """The disassembler takes a quarter of a second to start, as long as a kernel takes to compile: so it gets the
    instructions of all at once, which then stand behind one another."""
    texts = [text(cubin) for cubin in cubins]
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "kernels"
        raw.write_bytes(b"".join(texts))
        found = instructions(_run("nvdisasm", "-b", f"SM{arch}", str(raw)))
    ends = list(accumulate(map(len, texts)))
    listings: list[list[Instruction]] = [[] for _ in texts]
    for one in found:
        listings[bisect_right(ends, one.at)].append(one)
    return listings


def instructions(listing: str) -> list[Instruction]:
    found = []
    for address, name, rest in INSTRUCTION.findall(listing):
        to = TARGET.search(rest) if name.split(".")[0] == "BRA" else None
        found.append(Instruction(int(address, 16), name, int(to[1], 16) if to else None))
    return found


def text(cubin: bytes) -> bytes:
    """The instructions in a cubin, a 64-bit ELF file: all that its sections named .text hold."""
    (table,) = struct.unpack_from("<Q", cubin, 0x28)
    size, count, names = struct.unpack_from("<HHH", cubin, 0x3A)
    sections = [struct.unpack_from("<IIQQQQ", cubin, table + i * size) for i in range(count)]
    start = sections[names][4]
    return b"".join(cubin[at : at + length] for name, _, _, _, at, length in sections
                    if cubin.startswith(b".text", start + name))


def loop(listing: Sequence[Instruction]) -> dict[str, int]:
    """What the loops that multiply are made of: of each tensor-core instruction the shortest way from a place before it
    to a branch back to that place. (Waiting for a box stands out of the way, at the end, and is not counted.)"""
    bodies = [(one.to, one.at) for one in listing if one.to is not None and one.to <= one.at]
    around = [[(start, end) for start, end in bodies if start <= one.at <= end]
              for one in listing if MATRIX.match(one.name)]
    shortest = {min(those, key=lambda body: body[1] - body[0]) for those in around if those}
    inside = Counter(one.name.split(".")[0] for start, end in shortest for one in listing if start <= one.at <= end)
    return {"all": inside.total(), **{name: n for name in SHARED_MEMORY if (n := inside[name])}} if inside else {}


def _registers(cubin: bytes) -> int:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kernel.cubin"
        file.write_bytes(cubin)
        usage = _run("cuobjdump", "--dump-resource-usage", str(file))
    found = re.search(r"REG:(\d+)", usage)
    if found is None:
        raise RuntimeError(f"cuobjdump reports no registers: {usage[:200]!r}")
    return int(found[1])


def warned(said: str) -> tuple[str, ...]:
    """What ptxas warns of, a serialised tensor-core pipeline among it."""
    return tuple(sorted({line.partition(":")[2].strip() for line in said.splitlines() if "warning" in line.lower()}))


def assembled(kernel: Any) -> tuple[str, ...]:
    """The same of a kernel that Triton remembers, and with it no words: assembled again by Triton's own hand, since the
    same PTX under other flags may spill where it did not."""
    target, words = kernel.metadata.target, io.StringIO()
    with triton.knobs.nvidia.scope(), redirect_stdout(words):
        triton.knobs.nvidia.dump_ptxas_log = True
        make_backend(target).make_cubin(kernel.asm["ptx"], {}, kernel.metadata, target.arch)
    return warned(words.getvalue())


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
