#!/usr/bin/env bash
# pytorch-optimizer's Lamb first steps by ten times rate · ‖θ‖; with a rate of 0.1 the first step from 1 lands on 0.
#
# One would guess: LAMB normalises its direction and scales it by the norm of the layer, so a step is rate · ‖θ‖ long,
#   whatever the gradient, from the first one on: that is what a rate means in LAMB.
# What happens: the rate, and not the moment, is divided by 1 - β₁ᵗ. Before a normalisation that factor would cancel;
#   behind it, it stays: step t is 1 / (1 - β₁ᵗ) times too long, ten times at first, 2.4 times at the fifth, with the
#   default β₁ = 0.9. optax.lamb corrects the moments and steps by rate · ‖θ‖.
# Source: pytorch_optimizer/optimizer/lamb.py of 4.1.0 (apply_adam_debias of the step size, then the trust ratio).
# Whom it hurts: who carries a rate over from another LAMB, or warms up: the first steps are the ones warm-up shortens.
# Way round: adam_debias=True, which leaves the rate alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 torch==2.13.0 pytorch-optimizer==4.1.0 optax==0.2.8 jax==0.10.2 jaxlib==0.10.2
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import jax.numpy as jnp
import optax
import torch
from pytorch_optimizer import Lamb

print(*(f"{name} {version(name)}" for name in ("torch", "pytorch-optimizer", "optax", "jax")))
rate = 0.1


def by_torch(**options):
    theta = torch.nn.Parameter(torch.ones(1))
    rule, long = Lamb([theta], lr=rate, weight_decay=0.0, **options), []
    for _ in range(5):
        theta.data.fill_(1.0)                                # back to 1, so that every step has the same right length
        theta.grad = torch.ones(1)
        rule.step()
        long.append(round(1 - theta.item(), 3))
    return long


def by_optax():
    theta, rule = jnp.ones(1), optax.lamb(rate)
    state, long = rule.init(theta), []
    for _ in range(5):
        update, state = rule.update(jnp.ones(1), state, theta)
        long.append(round(-float(update[0]), 3))
    return long


found = {"Lamb": by_torch(), "Lamb, adam_debias": by_torch(adam_debias=True), "optax.lamb": by_optax()}
for name, long in found.items():
    print(f"{name:18} steps 1 to 5 from 1: {long}")
expected = {"Lamb": [1.0, 0.526, 0.369, 0.291, 0.244], "Lamb, adam_debias": [0.1] * 5, "optax.lamb": [0.1] * 5}
raise SystemExit(0 if found == expected else "the behaviour has changed")
PY
