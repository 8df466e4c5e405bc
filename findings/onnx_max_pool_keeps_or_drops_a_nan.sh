#!/usr/bin/env bash
# ONNX MaxPool of a window with a NaN depends on where the NaN stands, and the reference and onnxruntime disagree
#   about it.
#
# One would guess: the maximum of [NaN, 1] is what the maximum of [1, NaN] is: NaN, as onnx's own ReduceMax, Max and
#   Relu give, and as torch's pooling gives.
# What happens: in the reference, which starts from the first element and asks `>`, a NaN in front stays and one
#   behind is skipped; in onnxruntime it is lost where it stands first and kept where it stands last. Each is the
#   other's opposite.
# Source: onnx/reference/ops/op_max_pool.py (`if Yh is None or X_data[...] > Yh`); onnxruntime measured.
# Whom it hurts: who relies on NaN to travel through an exported network to its output, and whoever tests a runtime
#   against the reference with NaN among the inputs.
# Way round: check the input of a pooling layer, or pool with ReduceMax over windows.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

print("numpy", np.__version__, "onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
nan = np.nan
x = np.array([[[[nan, 1, 1, nan]]]], np.float32)          # two windows: NaN first, NaN last


def model(node, shape):
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


pool = model(helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[1, 2], strides=[1, 2]), [1, 1, 1, 2])
whole = model(helper.make_node("ReduceMax", ["x"], ["y"]), [1, 1, 1, 1])
found = {}
for what, m in (("MaxPool", pool), ("ReduceMax", whole)):
    session = onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
    found[what, "reference"] = [str(float(v)) for v in ReferenceEvaluator(m).run(None, {"x": x})[0].ravel()]
    found[what, "onnxruntime"] = [str(float(v)) for v in session.run(None, {"x": x})[0].ravel()]
for (what, who), values in found.items():
    print(f"{what:10} {who:12} {values}")
expected = [["nan", "1.0"], ["1.0", "nan"], ["nan"], ["nan"]]
raise SystemExit(0 if list(found.values()) == expected else "the behaviour has changed")
PY
