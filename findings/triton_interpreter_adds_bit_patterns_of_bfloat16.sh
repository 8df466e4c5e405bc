#!/usr/bin/env bash
# Under TRITON_INTERPRET=1, bfloat16 1 + 1 is 1.7e38: arithmetic is done on the bit patterns.
#
# One would guess: Triton's interpreter, made to debug kernels without a GPU, computes each dtype at least
#   approximately, or refuses it.
# What happens: a bfloat16 is stored as uint16, and +, ×, comparisons, tl.sum and tl.dot work on those integers; only
#   casts (and tl.maximum) convert. The sum of 4,096 ones is 0.0, and of -1 and -2 the larger is -2. Loads, stores and
#   casts are right, so a kernel that widens to float32 first works, and one that does not returns plausible garbage.
#   The same kernels are right compiled.
# Source: triton-lang/triton issues 11584 and 11604 (closed: not supported yet); python/triton/runtime/interpreter.py,
#   `bfloat16 types are stored as uint16`.
# Whom it hurts: who tests bfloat16 kernels in the interpreter in CI, or takes it as a reference for a compiled
#   kernel.
# Way round: cast to float32 right after each load, which good kernels do anyhow.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} torch==2.13.0 triton==3.7.1 numpy==2.3.5
"$folder/venv/bin/python" - <<'PY'
import os
import pathlib
import sys
import tempfile

os.environ["TRITON_INTERPRET"] = "1"
source = """
import triton
import triton.language as tl

@triton.jit
def both(x, y, out, n: tl.constexpr):
    i = tl.arange(0, n)
    a, b = tl.load(x + i), tl.load(y + i)
    tl.store(out + i, a + b)
    tl.store(out + n + i, tl.where(a > b, a, b))
    tl.store(out + 2 * n + i, (a.to(tl.float32) + b.to(tl.float32)).to(tl.bfloat16))

@triton.jit
def total(x, out, n: tl.constexpr):
    tl.store(out, tl.sum(tl.load(x + tl.arange(0, n)), 0))
"""
folder = tempfile.mkdtemp()                  # the interpreter reads a kernel's source from its file
pathlib.Path(folder, "kernels.py").write_text(source)
sys.path.insert(0, folder)
import kernels
import torch
import triton

print("torch", torch.__version__, "triton", triton.__version__)
x, y = torch.tensor([1, -1], dtype=torch.bfloat16), torch.tensor([1, -2], dtype=torch.bfloat16)
out = torch.zeros(6, dtype=torch.bfloat16)
kernels.both[(1,)](x, y, out, 2)
added, larger, widened = out.view(3, 2).tolist()
one = torch.zeros(1, dtype=torch.bfloat16)
kernels.total[(1,)](torch.ones(4096, dtype=torch.bfloat16), one, 4096)
print(f"x {x.tolist()}  y {y.tolist()}\nx + y {added}  after .to(float32) {widened}\nlarger by where(x > y) {larger}\nsum of 4096 ones {one.item()}")
held = added[0] > 1e38 and larger == [1.0, -2.0] and widened == [2.0, -3.0] and one.item() == 0.0
raise SystemExit(0 if held else "the behaviour has changed")
PY
