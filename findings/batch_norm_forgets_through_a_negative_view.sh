#!/usr/bin/env bash
# torch's batch norm never updates running statistics that are the imaginary part of a conjugate: the writes are lost.
#
# One would guess: z.conj().imag is a view like any other; what writes into a view writes into z, as copy_, mul_ and
#   add_ do, or says that it cannot.
# What happens: such a view is lazy: it carries a negative bit instead of negated numbers. Operators that do not know
#   the bit get a resolved copy from a fallback, which copies back only what the operator's schema declares as
#   written; batch_norm's schema declares its running mean and variance as plain inputs, though it writes them. The
#   copy is updated and thrown away: the statistics stay at their start, training looks right, evaluation is not
#   normalised.
# Source: measured; aten/src/ATen/native/MathBitsFallback.h; native_functions.yaml, native_batch_norm.
# Whom it hurts: complex-valued networks that keep one complex buffer and normalise its parts, and any kernel of one's
#   own whose schema hides a write.
# Way round: keep the statistics in real buffers.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} torch==2.13.0 numpy==2.3.5
"$folder/venv/bin/python" - <<'PY'
import torch

print("torch", torch.__version__)
x = torch.tensor([[1.0, 2.0], [3.0, 6.0]])
views = {"imag": lambda z: z.imag, "conj().imag": lambda z: z.conj().imag, "conj().resolve_conj().imag": lambda z: z.conj().resolve_conj().imag}
found = {}
for name, view in views.items():
    mean, variance = view(torch.zeros(2, dtype=torch.complex64)), torch.ones(2)
    for _ in range(100):
        torch.nn.functional.batch_norm(x, mean, variance, training=True, momentum=0.1)
    by_batch_norm = (mean + 0.0).tolist()
    mean.copy_(x.mean(0))
    found[name] = [round(one, 3) for one in by_batch_norm], mean.tolist()
    print(f"{name:27} negative bit {mean.is_neg()!s:5}: running mean after 100 batches {found[name][0]}, after copy_ {found[name][1]}")
mean = [2.0, 4.0]
held = found == {"imag": (mean, mean), "conj().imag": ([0.0, 0.0], mean), "conj().resolve_conj().imag": (mean, mean)}
raise SystemExit(0 if held else "the behaviour has changed")
PY
