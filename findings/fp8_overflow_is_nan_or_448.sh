#!/usr/bin/env bash
# The same overflow to float8_e4m3fn is NaN in ml_dtypes and JAX and 448 in ONNX.
#
# One would guess: a cast between two standard formats gives one number, whoever makes it.
# What happens: float8_e4m3fn has no infinity, and what lies above 464 has to become something: ml_dtypes and JAX take
#   NaN, and so does a cast with saturate=0; ONNX's Cast and QuantizeLinear saturate unless told otherwise, and make
#   448 even of infinity.
# Source: onnx's page on float8 (the tables of Cast with saturate true and false); ml_dtypes' README.
# Whom it hurts: who exports a float8 network: a value that poisoned the network during training is a quiet 448
#   afterwards, and parity checks on ordinary data never see it.
# Way round: clip to ±448 before the cast on both sides, or export with saturate=0.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 ml_dtypes==0.5.4 onnx==1.23.2 jax==0.10.2 jaxlib==0.10.2
"$folder/venv/bin/python" - <<'PY'
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

print("numpy", np.__version__, "ml_dtypes", ml_dtypes.__version__, "onnx", onnx.__version__, "jax", jax.__version__)
x = np.array([448, 464, 465, 1e4, np.inf], np.float32)


def by_onnx(**how):
    nodes = [helper.make_node("Cast", ["x"], ["q"], to=TensorProto.FLOAT8E4M3FN, **how),
             helper.make_node("Cast", ["q"], ["y"], to=TensorProto.FLOAT)]
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [5])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [5])])
    return ReferenceEvaluator(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])).run(None, {"x": x})[0]


found = {"ml_dtypes": x.astype(ml_dtypes.float8_e4m3fn), "jax": jnp.array(x).astype(jnp.float8_e4m3fn),
         "onnx": by_onnx(), "onnx, saturate=0": by_onnx(saturate=0)}
found = {what: [str(float(v)) for v in values] for what, values in found.items()}
print(f"{'from':18} {[str(float(v)) for v in x]}")
for what, values in found.items():
    print(f"{what:18} {values}")
lost, kept = ["448.0", "448.0", "nan", "nan", "nan"], ["448.0"] * 5
raise SystemExit(0 if list(found.values()) == [lost, lost, kept, lost] else "the behaviour has changed")
PY
