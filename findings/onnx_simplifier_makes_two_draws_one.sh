#!/usr/bin/env bash
# onnxsim and onnxoptimizer take two random draws for one: a - b of independent normals is 0 afterwards.
#
# One would guess: nodes are merged when they compute the same; RandomNormal, RandomUniform and their like compute
#   something new each time, so they are left alone, as onnxruntime's own elimination does (it keeps a list).
# What happens: two nodes of one kind with equal inputs and attributes become one node, random ones included, and
#   onnxsim's own check of simplified against original on three inputs passes. With a seed attribute each they differ
#   and stay.
# Source: eliminate_common_subexpression of onnxoptimizer 0.4.2, which runs by default; onnxsim 0.8.1 does the same.
# Whom it hurts: who exports a sampler: a diffusion step with two noises, a variational encoder with two latent
#   variables, dropout written out as noise in two layers. The output looks plausible, and is correlated.
# Way round: give every random node its own seed, or skip that pass (skipped_optimizers in onnxsim).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 onnx==1.23.2 onnxoptimizer==0.4.2 onnxsim==0.8.1 onnxruntime==1.32.0
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import numpy as np
import onnxoptimizer
import onnxruntime
import onnxsim
from onnx import TensorProto, helper

print(*(f"{name} {version(name)}" for name in ("numpy", "onnx", "onnxoptimizer", "onnxsim", "onnxruntime")))
value = helper.make_tensor_value_info


def model(op, *seeds):
    options = [{"seed": seed} for seed in seeds] or [{}, {}]
    nodes = [helper.make_node(op, ["x"], [name], **one) for name, one in zip("ab", options)]
    nodes.append(helper.make_node("Sub", ["a", "b"], ["y"]))
    graph = helper.make_graph(nodes, "g", [value("x", TensorProto.FLOAT, [1000])],
                              [value("y", TensorProto.FLOAT, [1000])])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def spread(one):
    session = onnxruntime.InferenceSession(one.SerializeToString(), providers=["CPUExecutionProvider"])
    return float(np.std(session.run(None, {"x": np.zeros(1000, np.float32)})[0]))


found = []
for op, seeds in (("RandomNormalLike", ()), ("RandomUniformLike", ()), ("RandomNormalLike", (1.0, 2.0))):
    first = model(op, *seeds)
    simple, checked = onnxsim.simplify(first, check_n=3)
    spreads = [spread(one) for one in (first, onnxoptimizer.optimize(first), simple)]
    print(f"{op}{' with seeds' if seeds else ''}: the difference of two spreads by {spreads[0]:.2f}; optimized "
          f"{spreads[1]:.2f}, simplified {spreads[2]:.2f}, which onnxsim found {'right' if checked else 'wrong'}")
    found.append(([spread > 0 for spread in spreads], checked))
wanted = [([True, False, False], True)] * 2 + [([True, True, True], True)]
raise SystemExit(0 if found == wanted else "the behaviour has changed")
PY
