#!/usr/bin/env bash
# NumPy adds bfloat16 numbers in bfloat16: a sum of ones stops at 256, while the dot product of the same ones is 1000.
#
# One would guess: np.sum, np.mean and np.var of an ml_dtypes.bfloat16 array accumulate as NumPy's own float16 mean
#   does, in float32; at worst they round a little.
# What happens: the running sum is rounded to 8 bits at every addition, so 256 + 1 stays 256: sum 256, mean 0.256, and
#   a variance less than half of the right one. `x @ x` of the same array gives 1000, as ml_dtypes' dot accumulates in
#   float32. float16 is safe only in its mean, and in sums along the fastest axis: over the slow axis its sum of 5,000
#   ones is 2,048.
# Source: jax-ml/ml_dtypes issue 63 (closed: NumPy chooses the accumulator); the dot function is in
#   ml_dtypes/_src/floats.cc.
# Whom it hurts: whoever computes a reference, a statistic or a checksum of bfloat16 weights with NumPy: a mean of a
#   layer's activations is wrong by a factor, and nothing warns.
# Way round: convert first (x.astype(np.float32)), or np.sum(x, dtype=np.float32), np.mean(x, dtype=np.float32).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 ml_dtypes==0.5.4
"$folder/venv/bin/python" - <<'PY'
import ml_dtypes
import numpy as np

print("numpy", np.__version__, "ml_dtypes", ml_dtypes.__version__)
ones = np.ones(1000, ml_dtypes.bfloat16)
ramp = np.arange(8).astype(ml_dtypes.bfloat16).repeat(1000)          # its variance is (8² - 1) / 12 = 5.25
half = np.ones((5000, 2), np.float16)
found = {
    "sum": float(ones.sum()), "mean": round(float(ones.mean()), 4), "last of cumsum": float(ones.cumsum()[-1]),
    "dot": float(ones @ ones), "sum in float32": float(ones.sum(dtype=np.float32)), "variance of 5.25": float(ramp.var()),
    "float16 sum, slow axis": float(half.sum(0)[0]), "float16 sum, fast axis": float(half.T.copy().sum(1)[0]),
    "float16 mean, slow axis": float(half.mean(0)[0]),
}
for what, value in found.items():
    print(f"{what:26} {value}")
expected = [256, 0.2559, 256, 1000, 1000, 2.046875, 2048, 5000, 1]
raise SystemExit(0 if list(found.values()) == expected else "the behaviour has changed")
PY
