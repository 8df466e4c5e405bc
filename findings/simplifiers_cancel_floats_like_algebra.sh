#!/usr/bin/env bash
# tinygrad and PyTensor cancel floats like algebra: 0/0 is 1, NaN·0 is 0. jax.jit, too, takes (x + c) - c for x.
#
# One would guess: a graph compiler may fuse, but what it computes are IEEE floats: 0/0 and 0·NaN are NaN, (x + c) - c
#   rounds x to the grid of c, and the error term of a compensated sum is what rounding took away.
# What happens: the rewrites of tinygrad and PyTensor take x/x for 1, x - x and 0·x for 0, whatever x is. All three
#   compilers fold the constants of (x + c) - c into x, so the classic way to round to an integer, c = 1.5·2²³,
#   returns its input; JAX' answer changes when jit is put before the function. The error of 1e8 + 1 in float32 is 0
#   instead of 1 in tinygrad and PyTensor, and a term that is switched off by a factor 0 hides that it is NaN.
# Source: tinygrad/uop/symbolic.py; pytensor/tensor/rewriting/math.py, AlgebraicCanonizer; XLA's algebraic simplifier.
#   No flag says "fast math".
# Whom it hurts: double-single arithmetic, Kahan sums, rounding tricks in quantisers, checks by x - x; and who
#   compares losses between frameworks: a diverged penalty with weight 0 shows in one and not in the other.
# Way round: jnp.round and its like; realize() between the steps (tinygrad).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 tinygrad==0.14.0 pytensor==3.0.7 jax==0.10.2 jaxlib==0.10.2
PYTENSOR_FLAGS="base_compiledir=$folder/pytensor" DEV=PYTHON "$folder/venv/bin/python" -W ignore - 2>/dev/null <<'PY'
import importlib.metadata

import jax
import numpy as np
import pytensor
import tinygrad

print(*(f"{name} {importlib.metadata.version(name)}" for name in ("numpy", "tinygrad", "pytensor", "jax")))
inf, nan, c = np.inf, np.nan, 1.5 * 2**23


def error(a, b):
    """What rounding took from a + b, by Knuth's two-sum."""
    s = a + b
    t = s - a
    return (a - (s - t)) + (b - t)


cases = {"x / x": (lambda x: x / x, [0, inf, 2]), "x - x": (lambda x: x - x, [1, inf, nan]), "x * 0": (lambda x: x * 0, [1, inf, nan]),
         "(x + c) - c": (lambda x: (x + c) - c, [1.8, 0.3, -1.2])}


def by_pytensor(f, *arrays):
    names = [pytensor.tensor.vector(dtype="float32") for _ in arrays]
    return pytensor.function(names, f(*names))(*arrays)


def four(f, *values):
    arrays = [np.array(one, np.float32) for one in values]
    found = f(*arrays), f(*(tinygrad.Tensor(one) for one in arrays)).numpy(), by_pytensor(f, *arrays), jax.jit(f)(*arrays)
    return [[float(f"{one:.6g}") for one in y] for y in found]


found = {name: four(f, x) for name, (f, x) in cases.items()} | {"error of 1e8 + 1": four(error, [1e8], [1])}
for name, (ieee, tiny, tensor, jitted) in found.items():
    print(f"{name:16} {cases.get(name, [0, ''])[1]!s:17} numpy {ieee!s:17} tinygrad {tiny!s:17} pytensor {tensor!s:17} jit {jitted}")
broken = {"x / x": [nan, nan, 1.0], "x - x": [0.0, nan, nan], "x * 0": [0.0, nan, nan]}     # IEEE's answers, and JAX'
expected = {name: [y, *2 * [[float(name == "x / x")] * 3], y] for name, y in broken.items()}
expected |= {"(x + c) - c": [[2.0, 0.0, -1.0], *3 * [[1.8, 0.3, -1.2]]], "error of 1e8 + 1": [[1.0], [0.0], [0.0], [1.0]]}
raise SystemExit(0 if all(np.array_equal(found[name], y, equal_nan=True) for name, y in expected.items()) else "the behaviour has changed")
PY
