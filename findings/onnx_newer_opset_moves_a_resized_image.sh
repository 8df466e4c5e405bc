#!/usr/bin/env bash
# Raising an ONNX model's opset moves linear resizing by up to half a pixel; lowering it changes what Softmax sums over.
#
# One would guess: onnx.version_converter keeps what a model computes, or says that it cannot. It has adapters for each
#   operator that changed, and raises for many (Clip 11 to 10, BatchNormalization 14 to 13 …).
# What happens: three adapters change the name tag alone.
#   Resize 10 to 11 (Upsample 9 to 13 goes through it): the new operator has a mode for where pixels lie; the old one's
#     way (index / scale) is none of its defaults, and is not written down. Linear weights move.
#   Hardmax 11 to 13, and Softmax or LogSoftmax 13 to 12: until 12 an axis meant "flatten from here on", from 13 on it
#     means that axis. Softmax is taken up rightly (with Flatten and Reshape), Hardmax is not, and down neither.
# Source: onnx 1.23.2, version_converter/adapters/resize_10_11.h (github.com/onnx/onnx, issue 8480) and softmax_12_13.h,
#   which has no counterpart.
# Whom it hurts: who lifts an old segmentation or super-resolution network to a newer opset for a runtime that wants it,
#   or lowers an attention for a device that has opset 12 only.
# Way round: after Resize, set coordinate_transformation_mode to asymmetric and nearest_mode to floor; before lowering,
#   transpose the axis to the end.
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

print(*(f"{name} {version(name)}" for name in ("numpy", "onnx", "onnxruntime")))
value = helper.make_tensor_value_info


def both(node, before, after, x, constants=()):
    graph = helper.make_graph([node], "g", [value("x", TensorProto.FLOAT, x.shape)],
                              [value("y", TensorProto.FLOAT, None)], list(constants))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", before)], ir_version=8)
    for one in (model, version_converter.convert_version(model, after)):
        session = onnxruntime.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"])
        yield [round(float(number), 3) for number in session.run(None, {"x": x})[0].ravel()[:4]]


line = np.arange(0, 40, 10, dtype=np.float32).reshape(1, 1, 1, 4)
twice = numpy_helper.from_array(np.array([1, 1, 1, 2], np.float32), "s")
cube = np.arange(8, dtype=np.float32).reshape(2, 2, 2)
found = {
    "Resize 10 → 11, 0 10 20 30 twice as long": list(
        both(helper.make_node("Resize", ["x", "s"], ["y"], mode="linear"), 10, 11, line, [twice])),
    "Hardmax 11 → 13 of 0 to 7 in 2 × 2 × 2, axis 1": list(
        both(helper.make_node("Hardmax", ["x"], ["y"], axis=1), 11, 13, cube)),
    "Softmax 13 → 12, the same": list(both(helper.make_node("Softmax", ["x"], ["y"], axis=1), 13, 12, cube)),
    "Softmax 11 → 13, the same": list(both(helper.make_node("Softmax", ["x"], ["y"], axis=1), 11, 13, cube))}
for what, (first, second) in found.items():
    print(f"{what}: {first}, converted {second}")
wanted = [[[0.0, 5.0, 10.0, 15.0], [0.0, 2.5, 7.5, 12.5]], [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 1.0]],
          [[0.119, 0.119, 0.881, 0.881], [0.032, 0.087, 0.237, 0.644]], [[0.032, 0.087, 0.237, 0.644]] * 2]
raise SystemExit(0 if list(found.values()) == wanted else "the behaviour has changed")
PY
