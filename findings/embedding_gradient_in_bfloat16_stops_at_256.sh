#!/usr/bin/env bash
# The gradient of a bfloat16 embedding stops at 256 occurrences of a token; torch's index_add and scatter_add
#   disagree.
#
# One would guess: a framework that sums, multiplies and averages bfloat16 in float32 (5,000 ones are 4,992 by sum,
#   mm, cumsum and a bias' gradient) does so wherever gradients are added up; index_add and scatter_add are one
#   function in two notations.
# What happens: rows are added into a bfloat16 buffer one after another, and 256 + 1 is 256. So it is for torch's
#   embedding, x[i], index_add and index_put(accumulate=True) on the CPU, while scatter_add widens and gives 4,992; in
#   JAX for x[i], x.at[i].add and segment_sum. float16 stops at 2,048.
# Source: measured; aten/src/ATen/native/Embedding.cpp, embedding_dense_backward_cpu, adds rows in place.
# Whom it hurts: pure 16-bit training: the most frequent tokens (a space, padding, a mask token) get a gradient too
#   small by a factor, which depends on the batch size; and graph networks, which are sums over neighbours.
# Way round: widen before (F.embedding(i, w.float())), or multiply by a one-hot matrix.
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
import torch.nn.functional as F

print("torch", torch.__version__, "jax", jax.__version__)
n, b16 = 5000, torch.bfloat16
i, ones, zeros = torch.zeros(n, dtype=torch.long), torch.ones(n, dtype=b16), torch.zeros(2, dtype=b16)
w, v = torch.zeros(2, 1, dtype=b16, requires_grad=True), torch.zeros(2, dtype=b16, requires_grad=True)
bias = torch.zeros(1, dtype=b16, requires_grad=True)
F.embedding(i, w).sum().backward()
v[i].sum().backward()
F.linear(torch.zeros(n, 1, dtype=b16), w.detach()[:1], bias).sum().backward()
j, jones, jzeros = jnp.zeros(n, int), jnp.ones(n, jnp.bfloat16), jnp.zeros(2, jnp.bfloat16)
found = {"torch sum": ones.sum(), "torch bias' gradient": bias.grad[0], "torch scatter_add": zeros.scatter_add(0, i, ones)[0],
         "torch index_add": zeros.index_add(0, i, ones)[0], "torch embedding's gradient": w.grad[0, 0],
         "torch x[i]'s gradient": v.grad[0], "jax sum": jones.sum(),
         "jax x[i]'s gradient": jax.grad(lambda x: x[j].sum())(jzeros)[0],
         "jax segment_sum": jax.ops.segment_sum(jones, j)[0]}
for name, value in found.items():
    print(f"{n} ones, {name:28} {float(value):6.0f}")
wide = {name for name, value in found.items() if float(value) == 4992}
stuck = {name for name, value in found.items() if float(value) == 256}
held = wide == {"torch sum", "torch bias' gradient", "torch scatter_add", "jax sum"} and wide | stuck == set(found)
raise SystemExit(0 if held else "the behaviour has changed")
PY
