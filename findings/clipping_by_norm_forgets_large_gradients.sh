#!/usr/bin/env bash
# Clipping by the norm turns finite gradients into zeros when the norm overflows: in optax from a float16 of 256 on.
#
# One would guess: clipping to norm 1 gives a vector of norm 1 in the old direction, the larger the surer; if the norm
#   is no number, an error or NaN says so.
# What happens: the factor is max_norm / norm, and for an infinite norm that is 0: every gradient becomes 0, and the
#   step is skipped without a word. torch keeps the norm in the gradients' dtype, so four float16 entries of 40,000
#   are enough (their norm is 80,000), as are float32 entries beyond 1.8e19, whose squares overflow. optax squares in
#   float16 already: one entry of 300 suffices. torch's error_if_nonfinite is off unless asked for.
# Source: torch/nn/utils/clip_grad.py (clamp(max_norm / (total_norm + 1e-6), max=1)); optax/tree_utils, tree_norm.
# Whom it hurts: float16 training with a loss scale: clipping before unscaling, or a spike, is a step of nothing (or
#   of weight decay and momentum only) and looks like a plateau.
# Way round: unscale first, take the norm in float32 (or divide by the largest entry before squaring), and look at it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} torch==2.13.0 numpy==2.3.5 jax==0.10.2 jaxlib==0.10.2 optax==0.2.8
"$folder/venv/bin/python" - <<'PY'
import jax
import jax.numpy as jnp
import optax
import torch

print("torch", torch.__version__, "jax", jax.__version__, "optax", optax.__version__)


def by_torch(value, dtype):
    p = torch.nn.Parameter(torch.zeros(4, dtype=dtype))
    p.grad = torch.full((4,), value, dtype=dtype)
    torch.nn.utils.clip_grad_norm_([p], 1.0)
    return p.grad.tolist()


def by_optax(value, dtype):
    g = jnp.full(4, value, dtype)
    return optax.clip_by_global_norm(1.0).update(g, optax.EmptyState())[0].tolist()


rows = [("torch", "float16", 100.0, 0.5), ("torch", "float16", 40000.0, 0), ("torch", "float32", 1e20, 0),
        ("optax", "float16", 100.0, 0.5), ("optax", "float16", 300.0, 0), ("optax", "float32", 1e20, 0)]
held = True
for who, dtype, value, expected in rows:
    y = by_torch(value, getattr(torch, dtype)) if who == "torch" else by_optax(value, getattr(jnp, dtype))
    print(f"{who} {dtype}: four gradients of {value:g} clipped to norm 1: {y}")
    held &= all(abs(one - expected) < 1e-3 for one in y)
raise SystemExit(0 if held else "the behaviour has changed")
PY
