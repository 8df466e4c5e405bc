#!/usr/bin/env bash
# jax.nn.standardize of (10000, 10001, 10002) is (-316, 0, 316) instead of (-1.22, 0, 1.22).
#
# One would guess: standardising has unit variance for every row, and float32 holds these three numbers exactly.
# What happens: the variance is mean(x²) - mean(x)², which cancels to 0 in float32 from a mean of some thousand
#   deviations on; 0 is then widened by ε = 1e-5, so the row is scaled by 1 / √1e-5 = 316. ONNX's and torch's layer
#   norm give 1.22. `algorithm='stable'` exists, and is not what is taken unless asked for.
# Source: jax/_src/nn/functions.py, standardize, of 0.10.2 (its docstring names the cancellation).
# Whom it hurts: a layer norm written with it on rows with an offset (pixels, timestamps, residual streams with a
#   massive activation): not slightly wrong, 258 times too large.
# Way round: jax.nn.standardize(x, algorithm='stable'), or subtract the mean first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 jax==0.10.2 jaxlib==0.10.2
"$folder/venv/bin/python" - <<'PY'
import jax
import jax.numpy as jnp
import numpy as np

print("jax", jax.__version__, "numpy", np.__version__)
found = {}
for offset in (0.0, 100.0, 10_000.0):
    x = jnp.array([0.0, 1.0, 2.0]) + offset
    found[offset] = [round(float(jax.nn.standardize(x, **how)[2]), 2) for how in ({}, {"algorithm": "stable"})]
    print(f"offset {offset:8}: largest of three {found[offset][0]:8}, stable {found[offset][1]}")
expected = {0.0: [1.22, 1.22], 100.0: [1.23, 1.22], 10_000.0: [316.23, 1.22]}
raise SystemExit(0 if found == expected else f"the behaviour has changed: {found}")
PY
