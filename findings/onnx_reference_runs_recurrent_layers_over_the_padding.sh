#!/usr/bin/env bash
# ONNX's reference LSTM, GRU and RNN ignore sequence_lens and clip: they run on through the padding, without a word.
#
# One would guess: the reference evaluator computes an operator's inputs and attributes, or raises where it does not.
# What happens: sequence_lens (how long each row of a padded batch is) and clip (a bound on what enters the gates) are
#   taken and dropped. The last state of a short row is that after the padding, its outputs behind its end are not 0,
#   and a reverse layer begins in the padding. onnxruntime does all of it as the operator's text has it: two rows of
#   lengths 4 and 2 have the last state of the same rows alone.
# Source: onnx/reference/ops/op_lstm.py, op_gru.py and op_rnn.py of 1.23.2: the arguments are in the signatures and in
#   nothing below them.
# Whom it hurts: who checks an exporter, a converter or a kernel for packed sequences against the reference: the right
#   one fails, and one that forgets the lengths passes.
# Way round: evaluate row by row, each at its own length; of clip compare with onnxruntime.
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
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

print(*(f"{name} {version(name)}" for name in ("numpy", "onnx", "onnxruntime")))
random = np.random.default_rng(0)
x = random.normal(size=(4, 2, 3)).astype(np.float32)                # four steps, two rows, three features
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def last_states(kind, x, lengths=None, **attributes):
    """The last hidden state of each row, by the reference and by onnxruntime."""
    generator = np.random.default_rng(1)
    given = {"x": x, "w": generator.normal(size=(1, 2 * GATES[kind], 3)).astype(np.float32),
             "r": generator.normal(size=(1, 2 * GATES[kind], 2)).astype(np.float32)}
    names = ["x", "w", "r"]
    if lengths is not None:
        given["lengths"] = np.array(lengths, np.int32)
        names += ["", "lengths"]
    inputs = [helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(value.dtype), value.shape)
              for name, value in given.items()]
    node = helper.make_node(kind, names, ["", "last"], hidden_size=2, **attributes)
    graph = helper.make_graph([node], "g", inputs, [helper.make_tensor_value_info("last", TensorProto.FLOAT, None)])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return [run(None, given)[0][0] for run in (ReferenceEvaluator(model).run, session.run)]


found = []
for kind in GATES:
    alone = last_states(kind, x[:2, 1:])[1][0]                      # the second row, whose length is 2, by itself
    far = [float(np.abs(last[1] - alone).max()) for last in last_states(kind, x, lengths=[4, 2])]
    reference, runtime = last_states(kind, x, clip=0.1)
    ignored = float(np.abs(reference - last_states(kind, x)[0]).max())
    print(f"{kind:4}: a row of length 2 in a batch of 4 steps is off by {far[0]:.3f} in the reference, {far[1]:.3f} in "
          f"onnxruntime; clip=0.1 moves the reference by {ignored:.3f}, and onnxruntime is "
          f"{np.abs(reference - runtime).max():.3f} away from it")
    found.append((far[0] > 0.05, far[1] < 1e-6, ignored == 0, np.abs(reference - runtime).max() > 0.05))
raise SystemExit(0 if found == [(True, True, True, True)] * 3 else "the behaviour has changed")
PY
