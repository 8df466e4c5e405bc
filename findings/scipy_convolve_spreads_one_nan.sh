#!/usr/bin/env bash
# scipy.signal.convolve spreads one NaN over the whole result, or over one window, depending on the sizes.
#
# One would guess: a convolution is local: a NaN reaches the outputs whose window contains it, and a large value
#   disturbs its neighbours only.
# What happens: method='auto' takes the FFT where it estimates it to be faster, and in a Fourier transform everything
#   touches everything: 17,001 NaN instead of 1. A single 1e12 leaves errors of 5e-7 in outputs that never meet it, 15
#   digits lost to the largest entry. Smaller arrays go the direct way and are exact, so a test on a small example
#   passes.
# Source: scipy.signal.choose_conv_method (by speed; integers are checked for precision, floats are not).
# Whom it hurts: who uses it as a reference for convolution layers, or on measurements with gaps marked as NaN.
# Way round: method='direct' for a reference.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 scipy==1.17.1
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import scipy
from scipy.signal import choose_conv_method, convolve

print("scipy", scipy.__version__, "numpy", np.__version__)
x, w = np.ones(20_000), np.full(3000, 1e-3)
gap, spike = x.copy(), x.copy()
gap[0], spike[0] = np.nan, 1e12
count = {how: int(np.isnan(convolve(gap, w, "valid", method=how)).sum()) for how in ("auto", "direct")}
small = int(np.isnan(convolve(gap[:50], w[:5], "valid")).sum())
away = {how: float(abs(convolve(spike, w, "valid", method=how)[3000:] - 3).max()) for how in ("auto", "direct")}
print(f"auto is {choose_conv_method(x, w, 'valid')}; NaN in the result: {count}; of 50 entries: {small}")
print(f"error far from a spike of 1e12: {away}")
held = count == {"auto": 17_001, "direct": 1} and small == 1 and away["auto"] > 1e6 * away["direct"]
raise SystemExit(0 if held else "the behaviour has changed")
PY
