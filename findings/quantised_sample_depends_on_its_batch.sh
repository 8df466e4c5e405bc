#!/usr/bin/env bash
# After onnxruntime's quantize_dynamic a sample's output depends on who else is in the batch, and a NaN row turns
#   finite.
#
# One would guess: rows of a matrix product are independent, quantised or not: batching requests changes nothing but
#   the speed, and a broken row breaks itself only, visibly.
# What happens: DynamicQuantizeLinear takes one scale from the smallest and largest entry of the whole tensor. A
#   neighbour a thousand times larger leaves the sample one of the 256 codes, and its outputs are 0. A NaN in a row is
#   left out of the extremes and becomes a code like any other: that row's outputs are ordinary numbers. An infinite
#   entry, in turn, makes every row of the batch NaN.
# Source: onnx' definition of DynamicQuantizeLinear; onnxruntime.quantization.quantize_dynamic emits one per MatMul.
# Whom it hurts: servers that batch requests of strangers: answers are not reproducible, and one user's outlier spoils
#   the others'; tests with one sample never see it.
# Way round: batch 1, static scales, or per-row scales (torchao's dynamic int8 has one per token).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 onnx==1.23.2 onnxruntime==1.32.0 sympy==1.14.0
"$folder/venv/bin/python" -W ignore - "$folder" 2>/dev/null <<'PY'
import sys

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import quantize_dynamic

print("numpy", np.__version__, "onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
rng, (plain, small) = np.random.default_rng(0), (sys.argv[1] + "/" + name for name in ("plain.onnx", "int8.onnx"))
w, x = rng.normal(size=(16, 3)).astype(np.float32), rng.normal(size=(1, 16)).astype(np.float32)
graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
                          [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 16])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["rows", 3])], [numpy_helper.from_array(w, "w")])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), plain)
quantize_dynamic(plain, small, reduce_range=True)         # 7 bits: the same on CPUs that add 8-bit products with saturation
session = onnxruntime.InferenceSession(small, providers=["CPUExecutionProvider"])


def beside(entry):
    """The sample's row, and the row of a neighbour with one entry."""
    neighbour = np.zeros_like(x)
    neighbour[0, 0] = entry
    return session.run(None, {"x": np.concatenate([x, neighbour])})[0]


right, alone = (x @ w)[0], session.run(None, {"x": x})[0][0]
print("exact             ", right, "\nquantised, alone  ", alone)
error = {"alone": np.abs(alone - right).max()}
for entry in (1000.0, np.nan, np.inf):
    rows = beside(entry)
    error[entry] = np.abs(rows[0] - right).max()
    print(f"beside {entry:6}      {rows[0]}, and that row {rows[1]}")
held = (error["alone"] < 0.2 and error[1000.0] > 3 and np.isfinite(beside(np.nan)).all() and np.isnan(beside(np.inf)).all())
raise SystemExit(0 if held else "the behaviour has changed")
PY
