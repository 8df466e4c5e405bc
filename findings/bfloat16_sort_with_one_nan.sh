#!/usr/bin/env bash
# One NaN in an ml_dtypes.bfloat16 array, and np.sort returns the other numbers out of order.
#
# One would guess: NumPy sorts NaN to the end, for every floating dtype, as it does for float16, float32 and complex
#   numbers.
# What happens: the comparison that ml_dtypes hands to NumPy finds a NaN neither below nor above anything, so what
#   stands left of it is never compared with what stands right of it: [3, 1, NaN, 2, 0] sorts to [1, 3, NaN, 0, 2].
#   np.unique and argsort follow; np.max and np.argmax are right.
# Source: ml_dtypes/_src/floats.cc, NPyCustomFloat_CompareFunc (b793a6e).
# Whom it hurts: who ranks, takes quantiles of or deduplicates bfloat16 (or float8) scores with one NaN among them: no
#   warning, a plausible answer.
# Way round: convert to float32 before sorting.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 ml_dtypes==0.5.4
"$folder/venv/bin/python" - <<'PY'
import ml_dtypes
import numpy as np

print("numpy", np.__version__, "ml_dtypes", ml_dtypes.__version__)
numbers = [3, 1, np.nan, 2, 0]
found = {}
for dtype in (np.float32, np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e5m2):
    x = np.array(numbers, dtype)
    s = np.sort(x).astype(np.float32)
    found[np.dtype(dtype).name] = ordered = bool((np.diff(s[~np.isnan(s)]) >= 0).all())
    print(f"{np.dtype(dtype).name:12} sorted {s.tolist()}  in order: {ordered}  unique {np.unique(x).astype(np.float32).tolist()}  "
          f"argmax {np.argmax(x)}")
expected = {"float32": True, "float16": True, "bfloat16": False, "float8_e5m2": False}
raise SystemExit(0 if found == expected else "the behaviour has changed")
PY
