#!/usr/bin/env bash
# GGUF's Q4_0 keeps the entry of largest magnitude exactly and shrinks its mirror image by an eighth; one NaN takes
#   its block of 32 along.
#
# One would guess: a symmetric quantiser of a block with ±1 gives ±1 back, and quantising -x is the negative of
#   quantising x up to rounding.
# What happens: the scale is max / -8 with the sign of the largest entry, and the 16 codes are -8 … 7: whichever
#   extreme comes first gets -8 and is exact, the other gets 7 of 8. Q5_0 loses a sixteenth likewise, Q8_0 is
#   symmetric. The scale is a float16, so a block with an entry beyond 65504·8 is all infinite, and one NaN makes 32
#   NaN.
# Source: gguf/quants.py, Q4_0.quantize_blocks (`d = max / -8`), which follows ggml's own.
# Whom it hurts: who quantises weights with paired extremes and looks at one side, or measures quantisation error by
#   sign.
# Way round: compare Q4_1 or Q8_0, or scale outliers away first.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 gguf==0.19.0
"$folder/venv/bin/python" - <<'PY'
import importlib.metadata
import warnings

import numpy as np
from gguf import GGMLQuantizationType, quants

print("gguf", importlib.metadata.version("gguf"), "numpy", np.__version__)
warnings.simplefilter("ignore")
block = np.zeros(32, np.float32)
block[:2] = 1, -1


def there_and_back(x, name):
    kind = GGMLQuantizationType[name]
    return quants.dequantize(quants.quantize(x, kind), kind)


found = {name: [there_and_back(sign * block, name)[:2].astype(float).round(3).tolist() for sign in (1, -1)] for name in ("Q4_0", "Q5_0", "Q8_0")}
for name, (plus, minus) in found.items():
    print(f"{name}: [1, -1] becomes {plus}, [-1, 1] becomes {minus}")
one = np.ones(32, np.float32)
one[3] = np.nan
lost = int(np.isnan(there_and_back(one, "Q4_0")).sum())
print(f"Q4_0: one NaN of 32 becomes {lost}")
expected = {"Q4_0": [[1.0, -0.875], [-1.0, 0.875]], "Q5_0": [[1.0, -0.938], [-1.0, 0.938]], "Q8_0": [[1.0, -1.0], [-1.0, 1.0]]}
raise SystemExit(0 if found == expected and lost == 32 else f"the behaviour has changed: {found}, {lost}")
PY
