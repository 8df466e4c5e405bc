#!/usr/bin/env bash
# onnxoptimizer's default passes drop the zeros in front of a max pool: all-negative windows change their answer.
#
# One would guess: what an optimizer merges computes the same. A Pad that writes zeros, then a pooling layer, is the
#   usual export of a framework that pads by itself, and the pooling operator has pads of its own to take them over.
# What happens: the zeros become the pool's own pads, and those stand for "nothing there": a maximum that was 0 at the
#   rim of negative activations becomes the largest negative number. The mean has the like: an average pool that
#   already pads and leaves its pads out of the count counts them from then on, so its corners shrink.
# Source: onnxoptimizer/passes/fuse_pad_into_pool.h of 0.4.2; a correction is proposed (github.com/onnx/optimizer, pull
#   request 318), and onnxsim 0.8.1 leaves the two nodes alone.
# Whom it hurts: who optimizes a network with max pooling behind anything but a ReLU, and compares on images: the rims
#   alone differ.
# Way round: name the passes, without fuse_pad_into_pool.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 onnx==1.23.2 onnxoptimizer==0.4.2 onnxruntime==1.32.0
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
import onnxoptimizer
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

print(*(f"{name} {version(name)}" for name in ("numpy", "onnx", "onnxoptimizer", "onnxruntime")))
value = helper.make_tensor_value_info
x = -np.arange(1, 10, dtype=np.float32).reshape(1, 1, 3, 3)


def answers(pool, side, **options):
    rim = numpy_helper.from_array(np.array([0, 0, 1, 1, 0, 0, 1, 1]), "rim")
    nodes = [helper.make_node("Pad", ["x", "rim"], ["padded"]),
             helper.make_node(pool, ["padded"], ["y"], kernel_shape=[3, 3], **options)]
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, [1, 1, 3, 3])],
                              [value("y", TensorProto.FLOAT, [1, 1, side, side])], [rim])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    plain = onnxruntime.SessionOptions()
    plain.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for one in (model, onnxoptimizer.optimize(model)):
        session = onnxruntime.InferenceSession(one.SerializeToString(), plain, providers=["CPUExecutionProvider"])
        yield [node.op_type for node in one.graph.node], round(float(session.run(None, {"x": x})[0][0, 0, 0, 0]), 4)


found = {"maximum in the corner": list(answers("MaxPool", 3)),
         "mean in the corner, pads of its own": list(answers("AveragePool", 5, pads=[1, 1, 1, 1]))}
for what, ((before, first), (after, second)) in found.items():
    print(f"{what}: {first} by {'+'.join(before)}, {second} by {'+'.join(after)}")
numbers = [[number for _, number in both] for both in found.values()]
raise SystemExit(0 if numbers == [[0.0, -1.0], [-0.25, -0.1111]] else "the behaviour has changed")
PY
