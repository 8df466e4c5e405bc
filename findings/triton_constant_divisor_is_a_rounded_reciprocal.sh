#!/usr/bin/env bash
# With Triton 3.9 a division by a constant is a multiplication, and 41 / 41 is not 1.
#
# One would guess: `x / 41.0` in a kernel is what `x / n` with n = 41 is: one division, off by at most 2 units in the
#   last place (`div.full.f32`), and exact where the quotient is a small integer, as it was up to Triton 3.8.
# What happens: where the divisor is known when the kernel is compiled (a literal, or a tl.constexpr), 3.9 has the
#   reciprocal taken once (`div.approx` of 1 by the constant) and multiplied with every element. The float32 nearest to
#   1/41, times 41, rounds to 0.99999994; 47, 55, 61 and others fare alike. With the same divisor as a run-time
#   argument nothing changed. Means over a row of constexpr length are divisions of the first kind.
# Source: the PTX that both releases emit for sm_90; the products below are float32 arithmetic.
# Whom it hurts: who counts on exact quotients: an average of integers, `tl.floor(x / 41.0)` as an index (41 falls into
#   0), a comparison with 1.0, or bit-equality between a constexpr and a run-time divisor, or between releases.
# Way round: pass the divisor as an argument, or use tl.math.div_rn.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export TRITON_CACHE_DIR=$folder/cache
cat > "$folder/kernels.py" <<'PY'
import re
import sys

import triton
import triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource


@triton.jit
def known(x, y, N: tl.constexpr, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(y + i, tl.load(x + i) / N)


@triton.jit
def passed(x, y, n, B: tl.constexpr):
    i = tl.arange(0, B)
    tl.store(y + i, tl.load(x + i) / n)


def divisions(kernel, **constants):
    types = {name: "constexpr" if name in constants else "fp32" if name == "n" else "*fp32" for name in kernel.arg_names}
    ptx = triton.compile(ASTSource(kernel, types, constants), target=GPUTarget("cuda", 90, 32)).asm["ptx"]
    return sorted(set(re.findall(r"\b(?:div|mul|rcp)\.(?:[a-z]+\.)*f32", ptx)))


found = divisions(known, N=41, B=128), divisions(passed, B=128)
print(f"triton {triton.__version__}: by a constant {found[0]}, by an argument {found[1]}")
expected = {"3.8.0": (["div.full.f32"], ["div.full.f32"]), "3.9.0": (["div.approx.f32", "mul.f32"], ["div.full.f32"])}
sys.exit(0 if found == expected[triton.__version__] else "the behaviour has changed")
PY
for version in 3.8.0 3.9.0; do
    python3 -m venv "$folder/$version"
    # shellcheck disable=SC2086
    "$folder/$version/bin/pip" install -q ${PIP_ARGS:-} triton==$version numpy==2.3.5
    "$folder/$version/bin/python" "$folder/kernels.py"
done
"$folder/3.9.0/bin/python" - <<'PY'
import numpy as np

n = np.arange(1, 128, dtype=np.float32)
off = n[n * (np.float32(1) / n) != 1]
print("numpy", np.__version__, "n · fl(1/n) is not 1 for n =", off.astype(int).tolist())
print("41 · fl(1/41) =", np.float32(41) * (np.float32(1) / np.float32(41)))
raise SystemExit(0 if off.tolist() == [
    41, 47, 55, 61, 82, 83, 94, 97, 107, 109, 110, 115, 121, 122, 123] else "float32 has changed")
PY
