#!/usr/bin/env bash
# torch.compile undoes a Kahan sum in bfloat16: 1,000 updates of 0.001 take a weight to 2 by hand and leave it at 1
#   compiled.
#
# One would guess: compiled code computes what eager code computes, up to the last digits; a variable of dtype
#   bfloat16 holds bfloat16 numbers, and (x + y) - x shows what was added.
# What happens: Inductor widens bfloat16 to float32 when it loads and rounds when it stores, and drops the rounding in
#   between. In (t - p) - y the sum t is the unrounded one, so the error term, which is to be what rounding took from
#   t, is 0; t itself is rounded on its way out, and the loss is booked nowhere. The very lines that make a 16-bit
#   optimizer work turn into nothing, without a warning.
# Source: pytorch/pytorch issues 150638 and 168186; torch._inductor.config.emulate_precision_casts exists for
#   debugging, and is off.
# Whom it hurts: optimizers with Kahan summation or two-bfloat16 weights, stochastic rounding by an error term, and
#   fake quantisation written as casts, as soon as the step is compiled.
# Way round: torch._inductor.config.emulate_precision_casts = True restores it here, at the cost of the fusion.
# Needs a C++ compiler, which Inductor calls on a CPU.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} torch==2.13.0 numpy==2.3.5
TORCHINDUCTOR_CACHE_DIR="$folder/inductor" "$folder/venv/bin/python" -W ignore - <<'PY'
import torch

print("torch", torch.__version__)


def add(p, lost, update):
    """One step of Kahan's sum: the new sum, and what rounding took from it."""
    y = update - lost
    t = p + y
    return t, (t - p) - y


def train(step):
    p, lost, update = (torch.full((8,), value, dtype=torch.bfloat16) for value in (1.0, 0.0, 0.001))
    first = step(p, lost, update)[1][0].item()
    for _ in range(1000):
        p, lost = step(p, lost, update)
    return first, p[0].item()


found = {"eager": train(add), "torch.compile": train(torch.compile(add))}
torch._inductor.config.emulate_precision_casts = True
torch.compiler.reset()
found["emulate_precision_casts"] = train(torch.compile(add))
for name, (first, end) in found.items():
    print(f"{name:24} error term of the first update {first:.6f}, the weight after 1000 updates {end}")
held = found["eager"][1] == found["emulate_precision_casts"][1] == 2.0 and found["torch.compile"] == (0.0, 1.0)
raise SystemExit(0 if held else "the behaviour has changed")
PY
