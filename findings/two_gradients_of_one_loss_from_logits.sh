#!/usr/bin/env bash
# torch.func.grad and backward() differ for the cross entropy from logits: at logit -20, label 0, one gives 0, the other
#   2.06e-9, which is right; at -10 they differ by 0.05 %.
#
# One would guess: torch.func.grad, vjp, jacrev and vmap over them use the formulas of autograd, so that per-sample
#   gradients are those of a batch of one.
# What happens: under a torch.func transform binary_cross_entropy_with_logits is another function, composed as
#   (1 - y) z + m + log(exp(-m) + exp(-z - m)) with m = max(-z, 0), and what is differentiated is that: 1 - y and the
#   slope of the rest cancel. Outside, the gradient is sigmoid(z) - y. jacfwd agrees with backward(). softplus,
#   logsigmoid and silu have one gradient.
# Source: aten/src/ATen/functorch/PyTorchOperatorHacks.cpp, binary_cross_entropy_with_logits_hack; backward() takes the
#   formula of tools/autograd/derivatives.yaml.
# Whom it hurts: per-sample gradients by vmap(grad) (influence functions, differential privacy, gradient noise): rare
#   negatives, where most labels are 0 and logits lie below -17, count for nothing.
# Way round: differentiate by torch.autograd.grad, or softplus(z) - y z.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} torch==2.13.0 numpy==2.3.5
"$folder/venv/bin/python" - <<'PY'
import torch
import torch.nn.functional as F
from torch.func import grad, jacfwd, vmap

print("torch", torch.__version__)
label = torch.zeros(())
loss = lambda z: F.binary_cross_entropy_with_logits(z, label)
rewritten = lambda z: F.softplus(z) - label * z


def backward(f, z):
    z = z.clone().requires_grad_()
    f(z).backward()
    return z.grad.item()


found = {}
for logit in (-20.0, -10.0, 1.0):
    z = torch.tensor(logit)
    found[logit] = grad(loss)(z).item(), backward(loss, z)
    print(f"logit {logit:5}, label 0: func.grad {found[logit][0]:.6e}  backward() {found[logit][1]:.6e}  right "
          f"{torch.sigmoid(z.double()).item():.6e}")
z = torch.tensor(-20.0)
right = torch.sigmoid(z).item()
kept = (found[-20.0] == (0.0, right) and vmap(grad(loss))(z[None]).item() == 0.0 and jacfwd(loss)(z).item() == right
        and grad(rewritten)(z).item() == backward(rewritten, z) == right
        and abs(found[-10.0][0] / found[-10.0][1] - 1) > 4e-4 and abs(found[1.0][0] / found[1.0][1] - 1) < 1e-6)
raise SystemExit(0 if kept else f"the behaviour has changed: {found}")
PY
