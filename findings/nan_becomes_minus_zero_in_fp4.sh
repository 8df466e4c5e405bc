#!/usr/bin/env bash
# A NaN quantised to FP4 or FP6 becomes -0, and infinity becomes 6 (or 7.5).
#
# One would guess: a conversion to a format without NaN refuses NaN, or saturates it to the largest number, where
#   somebody sees it.
# What happens: the OCP microscaling formats e2m1, e2m3 and e3m2 have no code for NaN; ml_dtypes maps it to minus
#   zero, and onnx's reference Cast (which uses ml_dtypes) does too. A diverged activation turns into a harmless zero;
#   the sum after it is finite.
# Source: ml_dtypes' README ('no inf, no NaN', whose representation is undefined) and include/mxfloat.h.
# Whom it hurts: who looks for NaN after quantising to see whether training or inference broke.
# Way round: look before the cast: np.isnan(x).any().
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 ml_dtypes==0.5.4 onnx==1.23.2
"$folder/venv/bin/python" - <<'PY'
import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

print("numpy", np.__version__, "ml_dtypes", ml_dtypes.__version__, "onnx", onnx.__version__)
x = np.array([np.nan, np.inf, -np.inf], np.float32)
found = {}
for dtype in (ml_dtypes.float4_e2m1fn, ml_dtypes.float6_e2m3fn, ml_dtypes.float6_e3m2fn, ml_dtypes.float8_e4m3fn):
    found[np.dtype(dtype).name] = [str(float(v)) for v in x.astype(dtype)]
nodes = [helper.make_node("Cast", ["x"], ["q"], to=TensorProto.FLOAT4E2M1),
         helper.make_node("Cast", ["q"], ["y"], to=TensorProto.FLOAT)]
graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])],
                          [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)])
found["onnx Cast to FLOAT4E2M1"] = [str(float(v)) for v in ReferenceEvaluator(model).run(None, {"x": x})[0]]
print(f"{'from':26} {[str(float(v)) for v in x]}")
for what, values in found.items():
    print(f"{what:26} {values}")
expected = {"float4_e2m1fn": ["-0.0", "6.0", "-6.0"], "float6_e2m3fn": ["-0.0", "7.5", "-7.5"],
            "float6_e3m2fn": ["-0.0", "28.0", "-28.0"], "float8_e4m3fn": ["nan", "nan", "nan"],
            "onnx Cast to FLOAT4E2M1": ["-0.0", "6.0", "-6.0"]}
raise SystemExit(0 if found == expected else "the behaviour has changed")
PY
