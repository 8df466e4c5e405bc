#!/usr/bin/env bash
# In JAX the derivative at a tie depends on which name of the same function is differentiated.
#
# One would guess: max(x, 0), relu, clip and the maximum of an array have one convention at their kinks, as torch
#   gives 0 for relu and picks one winner.
# What happens: jnp.maximum(x, 0) has 0.5 at 0 and jax.nn.relu 0; jnp.max gives every tied maximum its share, max
#   pooling through lax.reduce_window gives all to the first and jnp.sort(x)[-1] all to the last; jnp.clip has 0.5 at
#   its ends, relu6 0, hard_tanh 1; jnp.abs has 1 at 0, where torch and autograd have 0. HIPS autograd shares ties
#   like jnp.max.
# Source: jax.lax.max's JVP balances equal operands; jax/_src/nn/functions.py gives relu a rule of its own.
# Whom it hurts: who rewrites a network and compares gradients on data with ties (zeros after a relu, equal pixels,
#   quantised activations): a difference of a half is no bug in the kernel.
# Way round: state the convention; use jax.nn.relu for the deck's g'(0) = 0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 jax==0.10.2 jaxlib==0.10.2 autograd==1.9.1
"$folder/venv/bin/python" - <<'PY'
import importlib.metadata

import autograd
import autograd.numpy as anp
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

print("jax", jax.__version__, "autograd", importlib.metadata.version("autograd"), "numpy", np.__version__)
tied = jnp.array([1.0, 1.0, 0.0, 0.0])
pool = lambda x: lax.reduce_window(x, -jnp.inf, lax.max, (2,), (2,), "VALID").sum()
at = lambda f, x: np.asarray(jax.grad(f)(x)).tolist()
found = {
    "maximum(x, 0) at 0": at(lambda x: jnp.maximum(x, 0.0), 0.0), "relu at 0": at(jax.nn.relu, 0.0),
    "clip(x, 0, 1) at 1": at(lambda x: jnp.clip(x, 0.0, 1.0), 1.0), "hard_tanh at 1": at(jax.nn.hard_tanh, 1.0),
    "relu6 at 6": at(jax.nn.relu6, 6.0), "abs at 0": at(jnp.abs, 0.0),
    "max of [1, 1, 0, 0]": at(jnp.max, tied), "max pool 2 of [1, 1, 0, 0]": at(pool, tied),
    "sort(x)[-1]": at(lambda x: jnp.sort(x)[-1], tied),
    "autograd: maximum(x, 0) at 0": float(autograd.grad(lambda x: anp.maximum(x, 0.0))(0.0)),
    "autograd: abs at 0": float(autograd.grad(anp.abs)(0.0)),
}
for what, value in found.items():
    print(f"{what:30} {value}")
expected = [0.5, 0.0, 0.5, 1.0, 0.0, 1.0, [0.5, 0.5, 0, 0], [1, 0, 1, 0], [0, 1, 0, 0], 0.5, 0.0]
raise SystemExit(0 if list(found.values()) == expected else "the behaviour has changed")
PY
