#!/usr/bin/env bash
# ONNX's reference LogSoftmax and SoftmaxCrossEntropyLoss are infinite where the answer is 1000.
#
# One would guess: a reference evaluator, the yardstick for runtimes, computes log softmax in its stable form, as
#   every framework does.
# What happens: it divides first and takes the logarithm afterwards: from a distance of about 104 on, the probability
#   is 0 in float32 and its logarithm -inf. onnxruntime gives -1000. A training loss of a confident wrong answer is
#   inf.
# Source: onnx/reference/ops/op_log_softmax.py and op_softmax_cross_entropy_loss.py of 1.23.2.
# Whom it hurts: who checks a runtime or an exporter against the reference with logits of a real, confident
#   classifier, and takes the runtime's right answer for the fault.
# Way round: compare saturated cases with float64 (z - max - log sum) of your own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" - <<'PY'
import warnings

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

print("numpy", np.__version__, "onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
warnings.simplefilter("ignore")
x, target = np.array([[1000, 0]], np.float32), np.array([1])
value = helper.make_tensor_value_info


def both(node, given, shape):
    inputs = [value("x", TensorProto.FLOAT, [1, 2]), value("t", TensorProto.INT64, [1])][:len(given)]
    graph = helper.make_graph([node], "g", inputs, [value("y", TensorProto.FLOAT, shape)])
    m = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(m.SerializeToString(), providers=["CPUExecutionProvider"])
    return [str(float(run(None, given)[0].ravel()[-1])) for run in (ReferenceEvaluator(m).run, session.run)]


found = [both(helper.make_node("LogSoftmax", ["x"], ["y"]), {"x": x}, [1, 2]),
         both(helper.make_node("SoftmaxCrossEntropyLoss", ["x", "t"], ["y"]), {"x": x, "t": target}, [])]
for what, (reference, runtime) in zip(("LogSoftmax of [1000, 0]", "loss of class 1"), found):
    print(f"{what:26} reference {reference:8} onnxruntime {runtime}")
raise SystemExit(0 if found == [["-inf", "-1000.0"], ["inf", "1000.0"]] else "the behaviour has changed")
PY
