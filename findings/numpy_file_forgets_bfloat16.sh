#!/usr/bin/env bash
# np.save of a bfloat16 array writes anonymous bytes, np.load gives dtype V2 without a word; a float8_e5m2 file cannot
#   be read at all.
#
# One would guess: a dtype that NumPy accepts, prints and computes with survives np.save and np.load (or the file
#   refuses it, as it refuses objects).
# What happens: the .npy header has a type string only for NumPy's own types; ml_dtypes' bfloat16 and float8_e4m3fn
#   are of kind V, so '<V2' and '|V1' are written: what comes back has the right bytes and shape, no arithmetic, and
#   no name. float8_e5m2 is of kind f, so np.save writes '<f1', which np.load refuses as no dtype: the mistake shows
#   when the data are needed again.
# Source: numpy/lib/_format_impl.py, dtype_to_descr; ml_dtypes/_src/floats.cc gives each type its kind.
# Whom it hurts: who keeps bfloat16 weights or golden outputs of a test in .npy or .npz files.
# Way round: save x.view(np.uint16) with the dtype's name beside it, or use safetensors; what was saved as V2 is
#   rescued by loaded.view(ml_dtypes.bfloat16).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 ml_dtypes==0.5.4
"$folder/venv/bin/python" - <<'PY'
import io

import ml_dtypes
import numpy as np

print("numpy", np.__version__, "ml_dtypes", ml_dtypes.__version__)
found = {}
for dtype in (np.float16, ml_dtypes.bfloat16, ml_dtypes.float8_e4m3fn, ml_dtypes.float8_e5m2):
    file = io.BytesIO()
    np.save(file, np.array([1, 2], dtype))
    file.seek(0)
    try:
        back = np.load(file)
        found[np.dtype(dtype).name] = back.dtype.str
        print(f"{np.dtype(dtype).name:14} comes back as {back.dtype.str}: {back}")
    except ValueError as error:
        found[np.dtype(dtype).name] = "unreadable"
        print(f"{np.dtype(dtype).name:14} is written and cannot be read: {error}")
rescued = np.array([1, 2], ml_dtypes.bfloat16).view("V2").view(ml_dtypes.bfloat16)
print("rescued", rescued)
expected = {"float16": "<f2", "bfloat16": "|V2", "float8_e4m3fn": "|V1", "float8_e5m2": "unreadable"}
raise SystemExit(0 if found == expected and rescued.tolist() == [1, 2] else "the behaviour has changed")
PY
