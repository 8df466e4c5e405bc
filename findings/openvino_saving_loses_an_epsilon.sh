#!/usr/bin/env bash
# openvino.save_model turns an ε of 1e-9 into 0 and a weight of 1e6 into 65504; the loaded model divides by zero.
#
# One would guess: saving and loading a model changes nothing, or rounds weights to half precision where it says so; a
#   number that half precision cannot hold keeps its 32 bits, as the pass that compresses is aware of the range.
# What happens: save_model compresses float32 constants to float16 unless told not to, and keeps a constant as it is
#   only when most of its entries are out of range: a constant with one 1e-9 and one ordinary entry is compressed, and
#   1e-9 becomes 0. Large entries are clamped to 65504, quietly. Before saving, x / (0·x + ε) is 1e9; after loading it
#   is infinite.
# Source: openvino.save_model(compress_to_fp16=True); compress_float_constants.cpp, which counts entries out of range.
# Whom it hurts: per-channel constants (folded batch norms with a dead channel, ε vectors, masks of 1e9): the model
#   passes its tests in memory and fails from the file.
# Way round: compress_to_fp16=False, and compare the outputs of the file.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 openvino==2026.4.1
OPENVINO_TELEMETRY=0 "$folder/venv/bin/python" -W ignore - "$folder" <<'PY'
import sys

import numpy as np
import openvino
from openvino import opset13 as op

print("openvino", openvino.__version__, "numpy", np.__version__)
file = sys.argv[1] + "/model.xml"
constants = {"one ε": [1e-9], "ε beside 1": [1e-9, 1.0], "a mask beside 1": [1e6, 1.0]}


def quotient(numbers):
    """1 / constant, with the constant added to a zero that is only known when it runs."""
    x = op.parameter([len(numbers)], np.float32)
    zero = op.multiply(x, op.constant(np.float32(0)))
    return openvino.Model([op.divide(x, op.add(zero, op.constant(np.array(numbers, np.float32))))], [x])


def run(model, n):
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return [float(f"{y:.3g}") for y in compiled([np.ones(n, np.float32)])[0]]


found = {}
for name, numbers in constants.items():
    model = quotient(numbers)
    before = run(model, len(numbers))
    openvino.save_model(model, file)
    after = run(file, len(numbers))
    openvino.save_model(model, file, compress_to_fp16=False)
    found[name] = before, after, run(file, len(numbers))
    print(f"{name:16} {numbers!s:12} 1/c in memory {before}, from the file {after}, uncompressed {found[name][2]}")
held = (found["one ε"][1] == [1e9] and found["ε beside 1"] == ([1e9, 1.0], [np.inf, 1.0], [1e9, 1.0])
        and found["a mask beside 1"] == ([1e-6, 1.0], [1.53e-05, 1.0], [1e-6, 1.0]))
raise SystemExit(0 if held else "the behaviour has changed")
PY
