#!/usr/bin/env bash
# Liger's cross entropy returns the logits as their own gradient where the logits are transposed in memory.
#
# One would guess: strides change nothing; what a kernel cannot read is copied first, as the code does by .contiguous().
# What happens: the kernel writes the gradient over the logits, and only if they require one. Inside an autograd function
#   the copy does not (grad mode is off there), so nothing is written, and backward() hands out the copy: the logits. The
#   loss is right. Nothing is said.
# Source: liger_kernel/ops/cross_entropy.py of 0.8.5: .contiguous(), and after it HAS_GRADIENTS=_input.requires_grad;
#   the ctx keeps what that returns.
# Whom it hurts: logits that come as (weight @ hidden.T).T, or classes first and moved last by a transpose without copy:
#   the loss is reported right while the training follows its own outputs.
# Way round: .contiguous() before the call, where autograd sees it.
#
# The kernel runs in Triton's interpreter here, which needs no GPU; it is Python that decides whether it writes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} torch==2.13.0 triton==3.7.1 numpy==2.3.5
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q --no-deps ${PIP_ARGS:-} liger-kernel==0.8.5 packaging==26.4
TRITON_INTERPRET=1 "$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import torch
import torch.nn.functional as F
from liger_kernel.ops.cross_entropy import LigerCrossEntropyFunction

print("liger-kernel", version("liger-kernel"), "torch", torch.__version__, "triton", version("triton"))
labels = torch.tensor([0, 0])
numbers = [[5.0, 5.0, 5.0], [1.0, 2.0, 3.0]]


def liger(z):
    return LigerCrossEntropyFunction.apply(z, labels, None, -100, 0.0, 0.0, "mean")[0]


def slope(loss, z):
    z = z.requires_grad_()
    value = loss(z)
    value.backward()
    return round(value.item(), 4), [[round(one, 4) for one in row] for row in z.grad.tolist()]


rows, columns = torch.tensor(numbers), torch.tensor(numbers).T.contiguous().T
right = slope(lambda z: F.cross_entropy(z, labels), torch.tensor(numbers))
found = {"contiguous": slope(liger, rows), "transposed": slope(liger, columns)}
print("torch          ", *right)
for name, one in found.items():
    print(f"Liger, {name}", *one)
kept = found["contiguous"] == right and found["transposed"] == (right[0], numbers)
raise SystemExit(0 if kept else f"the behaviour has changed: {found}")
PY
