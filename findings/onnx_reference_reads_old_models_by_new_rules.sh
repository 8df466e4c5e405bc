#!/usr/bin/env bash
# ONNX's reference evaluator runs Softmax of opset 11 by the rules of 13, and lets the batch into batch norm of opset 9.
#
# One would guess: the reference evaluator goes by the opset that a model declares; it has classes for single versions
#   (BatchNormalization_6, _9, _14), and says what it lacks ("no implementation for version …").
# What happens: there is one Softmax. A model of opset 11 with three axes has its softmax taken over one axis where its
#   opset flattens; onnxruntime flattens. And BatchNormalization of opset 9 with its one output, which is inference, is
#   normalised by the stored statistics moved a tenth of the way towards the batch's: a picture's answer depends on the
#   pictures beside it. Nothing warns.
# Source: onnx/reference/ops/op_softmax.py and op_batch_normalization.py of onnx 1.23.2.
# Whom it hurts: who checks an old model, a converter or a runtime against the reference; most published classifiers
#   with batch norm are of opset 7 to 11.
# Way round: convert to opset 15 first (both of these are converted rightly), then evaluate.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, version_converter
from onnx.reference import ReferenceEvaluator

print(*(f"{name} {version(name)}" for name in ("numpy", "onnx", "onnxruntime")))
value = helper.make_tensor_value_info


def three(node, opset, x, constants=()):
    """By onnxruntime; by the reference; by the reference after a conversion."""
    constants = [numpy_helper.from_array(np.array([number], np.float32), name) for name, number in constants]
    graph = helper.make_graph([node], "g", [value("x", TensorProto.FLOAT, x.shape)],
                              [value("y", TensorProto.FLOAT, x.shape)], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    newer = version_converter.convert_version(model, 15)
    for run in (session.run, ReferenceEvaluator(model).run, ReferenceEvaluator(newer).run):
        yield [round(float(number), 3) for number in run(None, {"x": x})[0].ravel()[:4]]


cube = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
pixels = np.array([1, 2, 3, 4], np.float32).reshape(1, 1, 2, 2)
found = {
    "Softmax 11 of 0 to 7 in 2 × 2 × 2, axis 1": list(
        three(helper.make_node("Softmax", ["x"], ["y"], axis=1), 11, cube)),
    "BatchNormalization 9 of 1 2 3 4, mean 0, variance 1": list(
        three(helper.make_node("BatchNormalization", ["x", "one", "zero", "mean", "variance"], ["y"]), 9, pixels,
              (("one", 1), ("zero", 0), ("mean", 0), ("variance", 1))))}
for what, (runtime, reference, converted) in found.items():
    print(f"{what}:\n  onnxruntime {runtime}\n  reference   {reference}\n  reference of opset 15 {converted}")
flat = [0.032, 0.087, 0.237, 0.644]
kept = [1.0, 2.0, 3.0, 4.0]
wanted = [[flat, [0.119, 0.119, 0.881, 0.881], flat], [kept, [0.741, 1.729, 2.716, 3.704], kept]]
raise SystemExit(0 if list(found.values()) == wanted else "the behaviour has changed")
PY
