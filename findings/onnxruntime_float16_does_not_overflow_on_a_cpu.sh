#!/usr/bin/env bash
# A float16 ONNX model on onnxruntime's CPU is computed in float32: 300·300 / 300 is 300, where float16 has infinity.
#
# One would guess: tensors declared float16 hold float16 numbers: each node's output is rounded, and 90,000 is
#   infinite, as in onnx' reference and on a GPU; without graph optimisations in any case.
# What happens: there are no float16 kernels for most operators on the CPU; casts to float32 are put around them, and
#   where one such node feeds another the pair of casts between them is dropped as needless. Nothing between the
#   graph's input and output is rounded, optimisations on or off: log(exp(20)) is 20, and (2048 + 0.5) - 2048 is 0.5,
#   not 0.
# Source: onnxruntime's insert_cast_transformer.cc; microsoft/onnxruntime issues 8787 and 15977.
# Whom it hurts: who validates a half-precision export on the CPU of a build machine before it goes to a GPU:
#   overflow, absorbed increments and dead softmaxes show for the first time in production.
# Way round: validate with onnx.reference, or write Cast to float16 and back where a rounding is meant to be.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 onnx==1.23.2 onnxruntime==1.32.0
"$folder/venv/bin/python" -W ignore - <<'PY'
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

print("numpy", np.__version__, "onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)


def three(x, z, *ops):
    """A chain of two nodes by the reference and by onnxruntime, optimised and not."""
    nodes, inputs = [], {"x": np.array([x], np.float16), "z": np.array([z], np.float16)}
    for (op, *names), out in zip(ops, ("t", "y")):
        nodes.append(helper.make_node(op, names, [out]))
    describe = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT16, [1])
    graph = helper.make_graph(nodes, "g", [describe("x"), describe("z")], [describe("y")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    yield float(ReferenceEvaluator(model).run(None, inputs)[0][0])
    for level in ("ORT_DISABLE_ALL", "ORT_ENABLE_ALL"):
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
        session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        yield float(session.run(None, inputs)[0][0])


inf, found = float("inf"), {}
for name, case in {"300 * 300 / 300": (300, 300, ("Mul", "x", "z"), ("Div", "t", "x")),
                   "log(exp(20))": (20, 0, ("Exp", "x"), ("Log", "t")),
                   "(2048 + 0.5) - 2048": (2048, 0.5, ("Add", "x", "z"), ("Sub", "t", "x"))}.items():
    found[name] = list(three(*case))
    print(f"{name:20} reference {found[name][0]}, onnxruntime {found[name][1]} (optimised {found[name][2]})")
held = list(found.values()) == [[inf, 300, 300], [inf, 20, 20], [0, 0.5, 0.5]]
raise SystemExit(0 if held else "the behaviour has changed")
PY
