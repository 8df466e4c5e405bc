#!/usr/bin/env bash
# Keras' categorical cross entropy divides the predictions by their sum: [2, 2] has the loss of [0.5, 0.5], and [-1,
#   3] that of a hard miss.
#
# One would guess: with from_logits=False the loss is -Σ t·log(p) of the numbers given; outputs that are no
#   probabilities give a loss that shows it.
# What happens: predictions are divided by their sum and clipped to [1e-7, 1 - 1e-7]: a missing softmax, a sum of 4 or
#   a negative entry all train without complaint, a row of zeros is NaN. A right answer with probability 0 costs
#   16.118 and, being clipped, has no gradient. binary_crossentropy clips, but does not rescale.
# Source: keras/src/backend/jax/nn.py, categorical_crossentropy of 3.15.1 (the other backends do the same).
# Whom it hurts: who forgets the softmax or from_logits=True: the loss goes down, to something else; and who compares
#   with torch, where nll_loss takes what it gets.
# Way round: from_logits=True with raw outputs.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 keras==3.15.1 jax==0.10.2 jaxlib==0.10.2
"$folder/venv/bin/python" - <<'PY'
import os

os.environ["KERAS_BACKEND"] = "jax"
import keras
import numpy as np

print("keras", keras.__version__, "numpy", np.__version__)
loss = lambda p: float(keras.losses.categorical_crossentropy(np.array([[1.0, 0.0]], np.float32), np.array([p], np.float32))[0])
found = {str(p): round(loss(p), 3) for p in ([0.5, 0.5], [2.0, 2.0], [200.0, 200.0], [0.0, 1.0], [-1.0, 3.0], [0.0, 0.0])}
for given, value in found.items():
    print(f"class 0, prediction {given:16} loss {value}")
expected = "{'[0.5, 0.5]': 0.693, '[2.0, 2.0]': 0.693, '[200.0, 200.0]': 0.693, '[0.0, 1.0]': 16.118, '[-1.0, 3.0]': 16.118, '[0.0, 0.0]': nan}"
raise SystemExit(0 if str(found) == expected else f"the behaviour has changed: {found}")
PY
