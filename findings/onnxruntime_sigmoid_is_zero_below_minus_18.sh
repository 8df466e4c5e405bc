#!/usr/bin/env bash
# onnxruntime's CPU sigmoid is exactly 0 for z = -20, where float32 has 2.06e-09.
#
# One would guess: sigmoid of float32 is accurate until it underflows near -104, as in NumPy, torch and ONNX's
#   reference.
# What happens: the argument is clamped and a rational function approximates the rest: at -10 the result is off by 2
#   in 10,000, about from -18 on it is 0. Its Softplus is right, so -log(sigmoid(z)) of one graph is infinite while
#   softplus(-z) of the same graph is 20.
# Source: microsoft/onnxruntime issues 22557 and 26281 (values near -18 even came out negative).
# Whom it hurts: whoever takes a logarithm or an odds ratio of a probability that an exported model puts out, or
#   multiplies many of them; also tests that compare relative errors.
# Way round: export logits and apply the sigmoid outside, or export LogSigmoid as -Softplus(-z).
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
z = np.array([-10, -20, -50], np.float32)


def both(op):
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"])], "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])])
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
    return ReferenceEvaluator(m).run(None, {"x": z})[0], session.run(None, {"x": z})[0]


wanted = 1 / (1 + np.exp(-z.astype(np.float64)))
print(f"{'z':22} {z}")
zeros = {}
for op in ("Sigmoid", "Softplus"):
    for who, y in zip(("reference", "onnxruntime"), both(op)):
        zeros[op, who] = (y == 0).tolist()
        print(f"{op:9} {who:12} {y}")
print(f"{'sigmoid in float64':22} {wanted}")
expected = {("Sigmoid", "reference"): [False] * 3, ("Sigmoid", "onnxruntime"): [False, True, True],
            ("Softplus", "reference"): [False] * 3, ("Softplus", "onnxruntime"): [False] * 3}
raise SystemExit(0 if zeros == expected else "the behaviour has changed")
PY
