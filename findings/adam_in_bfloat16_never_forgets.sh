#!/usr/bin/env bash
# Adam on bfloat16 parameters: the second moment never decays, as 0.999·v rounds to v.
#
# One would guess: torch.optim.Adam on a bfloat16 model is a coarser Adam: moments of 8 bits, but with their
#   half-lives of 7 and 693 steps.
# What happens: the state has the parameter's dtype. A bfloat16 has steps of 2^-8 relative, and β₂ = 0.999 asks for
#   one of 2^-10: the product rounds back, so v only ever grows. One large gradient divides every later step by it for
#   good: after 3,000 steps v is what it was after the first, where it should be 5 % of that. The first moment decays,
#   and stops at a subnormal number instead of 0. fused=True is no different.
# Source: measured; torch/optim/adam.py makes the moments with zeros_like(parameter).
# Whom it hurts: pure bfloat16 training without float32 master weights: a learning rate that silently shrinks at the
#   largest gradient ever seen.
# Way round: keep the optimizer on float32 parameters, or take β₂ ≤ 0.99.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} torch==2.13.0 numpy==2.3.5
"$folder/venv/bin/python" - <<'PY'
import torch

print("torch", torch.__version__)
found = {}
for dtype in (torch.float32, torch.bfloat16):
    for fused in (False, True):
        p = torch.nn.Parameter(torch.zeros(1, dtype=dtype))
        rule = torch.optim.Adam([p], lr=1e-3, fused=fused)
        seen = []
        for step in range(3000):
            p.grad = torch.full_like(p, 1.0 if step == 0 else 0.0)
            rule.step()
            seen.append(float(rule.state[p]["exp_avg_sq"]))
        found[dtype, fused] = round(seen[-1] / seen[0], 3)
        print(f"{str(dtype):15} fused {fused!s:5} v after 1 step {seen[0]:.3e}, after 3000 {seen[-1]:.3e}, "
              f"ratio {found[dtype, fused]} (0.999^2999 = {0.999 ** 2999:.3f}), m {float(rule.state[p]['exp_avg']):.1e}")
expected = {(torch.float32, False): 0.05, (torch.float32, True): 0.05, (torch.bfloat16, False): 1.0, (torch.bfloat16, True): 1.0}
raise SystemExit(0 if found == expected else f"the behaviour has changed: {found}")
PY
