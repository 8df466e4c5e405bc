#!/usr/bin/env bash
# JAX's random numbers of dtype bfloat16 take 128 values; a class is drawn near the front, whatever its probability.
#
# One would guess: a sample of dtype bfloat16 is drawn in float32 and rounded, so it has the right mean and tails to
#   bfloat16's precision, and thousands of values.
# What happens: the uniform number below every other distribution has bfloat16's 7 bits. normal has 128 values between
#   -2.9 and 2.5, and a mean of -0.012; bernoulli(0.001) is true 8 times as often, 1 in 128; and categorical adds a noise
#   of 128 values to the logits and takes the largest: of 1000 equal logits most share the largest noise, and the first
#   of these wins, so half of all draws are of the first 90 classes. With float16 there are 1024 values.
# Source: jax/_src/random.py of 0.10.2 (uniform fills the mantissa of the dtype that is asked for; normal, bernoulli and
#   gumbel build on it); github.com/jax-ml/jax, issue 30879, has a report on categorical.
# Whom it hurts: who samples tokens from bfloat16 logits, initialises bfloat16 weights, or drops with a bfloat16 rate.
# Way round: draw in float32 and convert; logits.astype(jnp.float32) before categorical.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 jax==0.10.2 jaxlib==0.10.2
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import jax
import jax.numpy as jnp
import numpy as np

print(*(f"{name} {version(name)}" for name in ("numpy", "jax", "jaxlib")))
key, count = jax.random.key(0), 1 << 20
found = {}
for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
    normal = np.asarray(jax.random.normal(key, (count,), dtype).astype(jnp.float32), np.float64)
    often = float(jax.random.bernoulli(key, jnp.asarray(0.001, dtype), (count,)).mean())
    drawn = np.asarray(jax.random.categorical(key, jnp.zeros(1000, dtype), shape=(4000,)))
    found[dtype.__name__] = values, lowest, highest, mean, often, middle = (
        len(np.unique(normal)), normal.min(), normal.max(), normal.mean(), often, float(np.median(drawn)))
    print(f"{dtype.__name__:9} normal: {values:7,} values from {lowest:.2f} to {highest:.2f}, mean {mean:7.4f};"
          f"  bernoulli(0.001): {often:.4f};  the middle draw of 1000 equal classes: {middle:.0f}")
narrow, _, wide = found.values()
same = (narrow[0] == 128 and narrow[2] < 2.6 and narrow[3] < -0.008 and narrow[4] > 0.007 and narrow[5] < 120
        and wide[0] > 900_000 and wide[2] > 4.4 and abs(wide[3]) < 0.004 and wide[4] < 0.0012 and 450 < wide[5] < 550)
raise SystemExit(0 if same else "the behaviour has changed")
PY
