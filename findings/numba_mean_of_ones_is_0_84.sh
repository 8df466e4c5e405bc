#!/usr/bin/env bash
# Inside numba.njit the float32 mean of 20 million ones is 0.8389: NumPy's sum under @njit is not NumPy's sum.
#
# One would guess: @njit changes the speed of x.sum() and x.mean(), and their last digits at most; NumPy's own float32
#   sum of these ones is exact.
# What happens: numba compiles them to one loop with one float32 accumulator. 2²⁴ + 1 is 2²⁴, so the sum stops at
#   16,777,216; NumPy adds pairwise in blocks. The mean of 20 million uniform random numbers is off by 5e-5, NumPy's
#   by less than 1e-7. var and std follow from the mean: of ones it is 0.026 instead of 0. With integers numba widens
#   as NumPy does.
# Source: numba/np/arraymath.py, array_sum and array_mean (the accumulator is zero of the array's dtype).
# Whom it hurts: who speeds up a loss, a normalisation or a statistic over a large float32 array and sees it drift
#   with the amount of data.
# Way round: x.sum(dtype=np.float64), which numba takes too, or an explicit loop into a float64.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 numba==0.65.1
"$folder/venv/bin/python" - <<'PY'
import numba
import numpy as np

print("numba", numba.__version__, "numpy", np.__version__)


@numba.njit
def compiled(x):
    return x.sum(), x.mean(), x.var()


@numba.njit
def wide(x):
    return x.sum(dtype=np.float64)


n = 20_000_000
ones, uniform = np.ones(n, np.float32), np.random.default_rng(0).random(n, np.float32)
found = [float(one) for one in compiled(ones)]
print(f"{n} ones: numba sum {found[0]:.0f}, mean {found[1]:.4f}, variance {found[2]:.4f}; "
      f"numpy sum {ones.sum():.0f}, mean {ones.mean()}, variance {ones.var()}; numba with dtype=float64 {wide(ones):.0f}")
mean, right = float(compiled(uniform)[1]), float(uniform.mean(dtype=np.float64))
print(f"{n} uniform numbers: mean by numba {mean:.7f}, by numpy {uniform.mean():.7f}, exact {right:.7f}")
held = (found[0] == 2**24 and abs(found[1] - 0.8388608) < 1e-6 and ones.sum() == n == wide(ones)
        and abs(mean - right) > 20 * abs(float(uniform.mean()) - right))
raise SystemExit(0 if held else "the behaviour has changed")
PY
