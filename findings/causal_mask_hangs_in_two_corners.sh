#!/usr/bin/env bash
# Two queries over four keys, causal: torch, JAX and ONNX let the last query see two keys, MLX all four.
#
# One would guess: "causal" has one meaning, and where there are fewer queries than keys (a chunk of new tokens behind a
#   cache) the last query sees every key, as in the lower right corner of the full square.
# What happens: torch's is_causal, JAX's is_causal and ONNX's Attention (reference and onnxruntime) hang the triangle in
#   the upper left corner: query i sees keys 0 to i, and the newest keys are never looked at. MLX's mask="causal" hangs
#   it in the lower right corner. None of them refuses or warns; with as many queries as keys they agree, so a test at
#   full length does not tell.
# Source: torch's documentation of scaled_dot_product_attention (and causal_lower_right, made for this); the text of
#   ONNX's Attention; MLX's documentation of mx.fast.scaled_dot_product_attention. All run here.
# Whom it hurts: who ports a decoder with a cache from one to the other: training agrees to the last digit, and the
#   first chunk of generation does not.
# Way round: hand over the mask; in torch causal_lower_right(L, S).
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 torch==2.13.0 jax==0.10.2 jaxlib==0.10.2 "mlx[cpu]==0.32.4" \
    onnx==1.23.2 onnxruntime==1.32.0
JAX_PLATFORMS=cpu "$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

import jax
import mlx.core as mx
import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

print(*(f"{name} {version(name)}" for name in ("torch", "jax", "mlx", "onnx", "onnxruntime")))
q, k = np.zeros((1, 1, 2, 4), np.float32), np.ones((1, 1, 4, 4), np.float32)
v = np.ones((1, 1, 4, 4), np.float32) * np.arange(4, dtype=np.float32).reshape(1, 1, 4, 1)   # a key's value is its number
values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape)
          for name, array in (("q", q), ("k", k), ("v", v), ("y", q))]
graph = helper.make_graph([helper.make_node("Attention", ["q", "k", "v"], ["y"], is_causal=1)], "g", values[:3], values[3:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 23)], ir_version=10)
session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
turned = (array.transpose(0, 2, 1, 3) for array in (q, k, v))                               # JAX has heads last
answers = {
    "torch": torch.nn.functional.scaled_dot_product_attention(*map(torch.from_numpy, (q, k, v)), is_causal=True),
    "JAX": jax.nn.dot_product_attention(*turned, is_causal=True).transpose(0, 2, 1, 3),
    "ONNX reference": ReferenceEvaluator(model).run(None, {"q": q, "k": k, "v": v})[0],
    "onnxruntime": session.run(None, {"q": q, "k": k, "v": v})[0],
    "MLX": mx.fast.scaled_dot_product_attention(*map(mx.array, (q, k, v)), scale=0.5, mask="causal")}
found = {who: [round(float(y), 3) for y in np.asarray(answer)[0, 0, :, 0]] for who, answer in answers.items()}
for who, means in found.items():
    print(f"{who:14} the mean number of the keys that are seen, by query: {means}")
upper, lower = [0.0, 0.5], [1.0, 1.5]
raise SystemExit(0 if list(found.values()) == [upper] * 4 + [lower] else "the behaviour has changed")
PY
