#!/usr/bin/env bash
# An in-place operation of torch changes an immutable JAX array, and a function compiled before keeps the old numbers.
#
# One would guess: JAX arrays never change, so what torch.from_dlpack makes of one is a copy, or read-only, as a
#   read-only NumPy array is marked; DLPack has a flag for that.
# What happens: the tensor shares the memory and is writable. t.add_(100) changes the JAX array, and what is computed
#   from it afterwards; a jitted function that closed over the array keeps it as a constant and answers with the old
#   values. Two expressions of the same array disagree from then on.
# Source: jax-ml/jax issue 19123 (the same on a GPU); DLPack has had a read-only bit since version 1.0 of its
#   structure.
# Whom it hurts: who hands parameters from JAX to torch for evaluation and runs an in-place layer, an optimizer or
#   nn.init on them: the JAX side trains on with changed, or half-changed, weights.
# Way round: torch.from_dlpack(x).clone().
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} torch==2.13.0 numpy==2.3.5 jax==0.10.2 jaxlib==0.10.2
"$folder/venv/bin/python" - <<'PY'
import jax
import jax.numpy as jnp
import torch

print("torch", torch.__version__, "jax", jax.__version__)
x = jnp.arange(4.0) * 1
compiled = jax.jit(lambda: x.sum())
before = float(compiled())
torch.from_dlpack(x).add_(100)
after = {"x": x.tolist(), "x.sum()": float(x.sum()), "the jitted sum": float(compiled())}
print(f"sum before {before}")
for name, value in after.items():
    print(f"after torch's add_(100): {name} = {value}")
held = before == 6 and after == {"x": [100.0, 101.0, 102.0, 103.0], "x.sum()": 406.0, "the jitted sum": 6.0}
raise SystemExit(0 if held else "the behaviour has changed")
PY
