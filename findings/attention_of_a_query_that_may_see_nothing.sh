#!/usr/bin/env bash
# A query whose keys are all masked gets zeros, NaN or the average of what it must not see, by library and by flag.
#
# One would guess: a row of the softmax that is all -inf has one outcome within a library, whichever way the attention
#   is called; need_weights only asks for a second output.
# What happens: torch's scaled_dot_product_attention gives 0, and so does nn.MultiheadAttention with
#   need_weights=False; with need_weights=True, the same module, weights and input give NaN, and every gradient of the
#   projections is NaN, though the loss never touches that row. JAX's dot_product_attention fills a boolean mask with
#   a large finite number, so the row is the average of all values, the forbidden ones included; the same mask given
#   as a bias of -inf is NaN.
# Source: pytorch/pytorch issues 41508 (2020) and 160064; only the one path calls _safe_softmax. JAX:
#   jax/_src/nn/functions.py, _apply_masks.
# Whom it hurts: who turns need_weights on to look at the attention of padded batches (left padding with a causal mask
#   makes such rows), and who ports a network and finds information from masked positions in it.
# Way round: let every query see itself, or write over such rows with where, before the projections.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} torch==2.13.0 numpy==2.3.5 jax==0.10.2 jaxlib==0.10.2
"$folder/venv/bin/python" - <<'PY'
import jax
import jax.numpy as jnp
import numpy as np
import torch

print("torch", torch.__version__, "jax", jax.__version__)
torch.manual_seed(0)
x, hidden = torch.randn(1, 3, 4), torch.zeros(3, 3, dtype=torch.bool)
hidden[0] = True                                          # query 0 may see no key
attention, found = torch.nn.MultiheadAttention(4, 1, batch_first=True), {}
for weights in (False, True):
    attention.zero_grad()
    y = attention(x, x, x, attn_mask=hidden, need_weights=weights)[0]
    y[0, 1:].sum().backward()                             # the loss is of the other two rows
    broken = bool(attention.in_proj_weight.grad.isnan().all())
    found["torch", weights] = y[0, 0].tolist(), broken
    print(f"torch need_weights={weights}: row 0 {found['torch', weights][0]}, gradient all NaN: {broken}")
q, seen = jnp.asarray(x.numpy())[:, :, None], jnp.asarray(~hidden.numpy())[None, None]
masked = jax.nn.dot_product_attention(q, q, q, mask=seen)[0, 0, 0]
biased = jax.nn.dot_product_attention(q, q, q, bias=jnp.where(seen, 0.0, -jnp.inf))[0, 0, 0]
average = x[0].mean(0).numpy()
print(f"jax mask: row 0 {masked}\n    bias of -inf {biased}\n    average of the values {average}")
held = (found["torch", False] == ([0.0] * 4, False) and np.isnan(found["torch", True][0]).all() and found["torch", True][1]
        and np.abs(masked - average).max() < 1e-6 and np.isnan(biased).all())
raise SystemExit(0 if held else "the behaviour has changed")
PY
