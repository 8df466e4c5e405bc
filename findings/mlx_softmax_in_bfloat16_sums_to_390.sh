#!/usr/bin/env bash
# MLX's softmax of 100,000 equal bfloat16 logits, on a CPU: every share is 1/256, and together they are 390.
#
# One would guess: whatever the dtype of a row, its shares sum to 1 up to that dtype's rounding; every framework adds the
#   exponentials of 16-bit rows in float32.
# What happens: on MLX's CPU device they are added in the row's own type: in bfloat16 a sum of ones ends at 256, in
#   float16 at 2048, and all shares are too large: 1024 logits sum to 4, a vocabulary to hundreds. The arg max is right,
#   so greedy decoding hides it; losses and sampling by thresholds do not. logsumexp of the same row is right, so log
#   probabilities by the two ways differ by log 390 = 6.
# Source: mlx 0.32.4, mlx/backend/cpu/softmax.cpp; precise=True asks for a float32 sum.
# Whom it hurts: who tests a model in 16 bits on a machine without Metal or CUDA, or compares two ways to a probability.
# Way round: mx.softmax(x, precise=True).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} "mlx[cpu]==0.32.4"
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import mlx.core as mx

print("mlx", version("mlx"), "on", mx.default_device())
mx.set_default_device(mx.cpu)
found = []
for dtype in (mx.bfloat16, mx.float16, mx.float32):
    for long in (100, 100_000):
        row = mx.zeros((long,), dtype)
        sums = [float(mx.softmax(row, precise=how).astype(mx.float32).sum()) for how in (False, True)]
        by_log = float(mx.exp(row.astype(mx.float32) - mx.logsumexp(row).astype(mx.float32)).sum())
        print(f"{str(dtype):18} {long:7,} equal logits: the shares sum to {sums[0]:8.3f}, with precise=True to "
              f"{sums[1]:.3f}, by logsumexp to {by_log:.3f}")
        found.append((sums[0] > 10, abs(sums[1] - 1) < 0.02, abs(by_log - 1) < 0.05))
wanted = [(k in (1, 3), True, True) for k in range(6)]
raise SystemExit(0 if found == wanted else "the behaviour has changed")
PY
