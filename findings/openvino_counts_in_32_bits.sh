#!/usr/bin/env bash
# OpenVINO's CPU computes int64 in int32 and float64 in float32: 2⁴⁰ + 1 is 1; uint8 200 + 200 is 255, not 144.
#
# One would guess: a model whose tensors are declared i64 or f64 is computed in that type, or refused; unsigned bytes
#   wrap as in NumPy and torch, and ONNX's integers.
# What happens: the plugin's kernels know 32 bits. Inputs are converted on the way in, by cutting off the upper half,
#   and converted back on the way out, so the output's type still says i64: 2⁴⁰ + 1 is 1, 2³¹·2 is 0. 1 + 1e-12 in f64
#   is 1. Small integers are computed in 32 bits and saturated: 200 + 200 is 255, 100·100 in int8 is 127, and a sum of
#   ten int8 hundreds is 127. A convert to f16 and back is no rounding: 100,000 passes.
# Source: openvinotoolkit/openvino issues 24072 (the CPU plugin's documentation lists no i64) and 35823; measured for
#   the rest.
# Whom it hurts: models that carry ids, hashes, time stamps or byte arithmetic beside the floats, and whose exported
#   graph is checked in another runtime.
# Way round: keep integers below 2³¹ and out of the graph; compare with onnx' reference on large values.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 openvino==2026.4.1
OPENVINO_TELEMETRY=0 "$folder/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import openvino
from openvino import opset13 as op

print("openvino", openvino.__version__, "numpy", np.__version__)


def run(f, x):
    name = op.parameter(list(x.shape), x.dtype)
    settings = {"INFERENCE_PRECISION_HINT": "f32"}        # no 16-bit floats, whatever the machine likes
    model = openvino.Core().compile_model(openvino.Model([f(name)], [name]), "CPU", settings)
    return model([x])[0]


def one(value, dtype):
    return np.array([value], dtype)


cases = {"2⁴⁰ + 1 in int64": (lambda x: op.add(x, op.constant(one(1, np.int64))), one(2**40, np.int64), 2**40 + 1, 1),
         "2³¹ · 2 in int64": (lambda x: op.multiply(x, op.constant(one(2, np.int64))), one(2**31, np.int64), 2**32, 0),
         "1 + 1e-12 in float64": (lambda x: op.add(x, op.constant(one(1e-12, np.float64))), one(1, np.float64), 1 + 1e-12, 1),
         "200 + 200 in uint8": (lambda x: op.add(x, x), one(200, np.uint8), 144, 255),
         "100 · 100 in int8": (lambda x: op.multiply(x, x), one(100, np.int8), 16, 127),
         "sum of ten 100 in int8": (lambda x: op.reduce_sum(x, np.array([0])), np.full(10, 100, np.int8), -24, 127),
         "1e5 through float16": (lambda x: op.convert(op.convert(x, "f16"), "f32"), one(1e5, np.float32), np.inf, 1e5)}
held = True
for name, (f, x, wanted, expected) in cases.items():
    y = run(f, x)
    print(f"{name:23} {y.dtype!s:8} {y.item()!r}, in that type {wanted!r}")
    held &= y.item() == expected
raise SystemExit(0 if held else "the behaviour has changed")
PY
