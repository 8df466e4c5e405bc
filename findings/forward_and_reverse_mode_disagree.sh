#!/usr/bin/env bash
# torch's forward mode and reverse mode have different derivatives at a kink: prelu, fmax, atan2, and max of a NaN.
#
# One would guess: jvp and vjp are one linear map and its transpose; where a derivative is a convention, it is one
#   convention per function, so <u, J v> = <Jᵀ u, v> for every input.
# What happens: the two formulas are written apart. prelu at 0 has the slope 1 forwards and a backwards; fmax(x, 0) at
#   0 has 0 forwards and 1 backwards; atan2(x, x) at 0 is NaN forwards and 0 backwards, and the maximum of (NaN, 1)
#   has NaN forwards and picks the NaN backwards. relu, leaky_relu, maximum, abs, norm and clamp agree.
# Source: tools/autograd/derivatives.yaml has for each function a formula for the gradient and one named result or
#   auto.
# Whom it hurts: torch.func.hessian and Gauss-Newton products, which put one mode on the other: for prelu(x)² at 0,
#   whose gradient takes the slope a, hessian gives 2 and reverse mode twice 2·a, where 2·a² would fit; and who checks
#   gradients by comparing the modes.
# Way round: where(x > 0, x, a·x), which has one convention.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} torch==2.13.0 numpy==2.3.5
"$folder/venv/bin/python" - <<'PY'
import math

import torch
import torch.nn.functional as F
from torch.func import grad, hessian, jacrev, jvp

print("torch", torch.__version__)
zero, a = torch.zeros(()), torch.tensor(0.25)
functions = {"prelu": (lambda x: F.prelu(x, a), zero), "fmax(x, 0)": (lambda x: torch.fmax(x, zero), zero),
             "atan2(x, x)": (lambda x: torch.atan2(x, x), zero),
             "max(x, 1)": (lambda x: torch.stack([x, torch.ones(())]).max(), torch.tensor(math.nan)),
             "leaky_relu": (lambda x: F.leaky_relu(x, 0.25), zero), "relu": (F.relu, zero),
             "maximum(x, 0)": (lambda x: torch.maximum(x, zero), zero), "abs": (torch.abs, zero)}
found = {}
for name, (f, x) in functions.items():
    found[name] = jvp(f, (x,), (torch.ones(()),))[1].item(), grad(f)(x).item()
    print(f"{name:14} at {x.item():3}: forwards {found[name][0]:4}  backwards {found[name][1]:4}")
square = lambda x: F.prelu(x, a) ** 2
second = hessian(square)(zero).item(), jacrev(jacrev(square))(zero).item()
plain = hessian(lambda x: torch.where(x > 0, x, a * x) ** 2)(zero).item()
print(f"second derivative of prelu(x)² at 0: by hessian {second[0]}, by jacrev twice {second[1]}; with where {plain}")
expected = "(1.0, 0.25) (0.0, 1.0) (nan, 0.0) (nan, 1.0) (0.25, 0.25) (0.0, 0.0) (0.5, 0.5) (0.0, 0.0)"
held = " ".join(str(one) for one in found.values()) == expected and plain == 0.125 and second == (2.0, 0.5)
raise SystemExit(0 if held else "the behaviour has changed")
PY
