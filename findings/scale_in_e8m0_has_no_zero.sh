#!/usr/bin/env bash
# Casts to the scale format E8M0 agree on nothing but powers of two: 5 is 4 or 8, 0 NaN or 5.9e-39, -2 NaN, 2 or
#   5.9e-39.
#
# One would guess: a cast to the scale format of the microscaling formats agrees between the libraries that write and
#   read them; a scale that cannot be represented is NaN, or the nearest one, in all of them.
# What happens: E8M0 has the powers of two from 2⁻¹²⁷ to 2¹²⁷ and NaN; no zero, no sign, no infinity. ml_dtypes rounds
#   to the nearest, onnx up, and OCP's recipe for a block's scale down. ml_dtypes (and JAX with it) makes 0, -2 and
#   infinity NaN, so the scale of an all-zero block turns 32 zeros into NaN. onnx' reference takes the smallest power
#   for 0 and drops the minus sign; onnxruntime takes the smallest for -2 and the largest for infinity.
# Source: onnx' page on float8 types (round_mode and saturate of Cast); ml_dtypes/include/mxfloat.h; OCP MX v1.0, 6.3.
# Whom it hurts: who writes MXFP8 or MXFP4 weights in one library and checks them in another: a factor of two in a
#   whole block, and blocks of zeros (padding, pruned rows) that come back as NaN.
# Way round: choose the scale of a zero block by hand (1), and compute exponents as integers: floor(log2(max)) - emax.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 ml_dtypes==0.6.0 onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" -W ignore - <<'PY'
import ml_dtypes
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

print("ml_dtypes", ml_dtypes.__version__, "onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__, "numpy", np.__version__)
x = np.array([0, -2, np.inf, np.nan, 1, 3, 5], np.float32)
nodes = [helper.make_node("Cast", ["x"], ["t"], to=TensorProto.FLOAT8E8M0), helper.make_node("Cast", ["t"], ["y"], to=TensorProto.FLOAT)]
describe = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [len(x)])
graph = helper.make_graph(nodes, "g", [describe("x")], [describe("y")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 24)], ir_version=10)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
found = {"ml_dtypes": x.astype(ml_dtypes.float8_e8m0fnu).astype(np.float32),
         "onnx' reference": ReferenceEvaluator(model).run(None, {"x": x})[0], "onnxruntime": session.run(None, {"x": x})[0]}
print(f"{'float32':16} {x}")
for name, y in found.items():
    print(f"{name:16} {y}")
nan, least, most = np.nan, 2.0**-127, 2.0**127
expected = {"ml_dtypes": [nan, nan, nan, nan, 1, 4, 4], "onnx' reference": [least, 2, nan, nan, 1, 4, 8],
            "onnxruntime": [least, least, most, nan, 1, 4, 8]}
held = all(np.array_equal(found[name], np.array(y, np.float32), equal_nan=True) for name, y in expected.items())
raise SystemExit(0 if held else "the behaviour has changed")
PY
