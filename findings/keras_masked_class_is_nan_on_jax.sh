#!/usr/bin/env bash
# Keras' sparse cross entropy is NaN on JAX where a class that nobody asks for is masked by -inf, and right on torch.
#
# One would guess: a backend changes the speed and not the value; a class whose logit is -inf has the probability 0, and
#   the loss of another class is a finite number, as in torch, optax and TensorFlow.
# What happens: on JAX and on NumPy the log-probabilities are multiplied by a one-hot row and added, and 0 times -inf is
#   NaN: the loss and the whole gradient. On torch the label's own entry is taken. -1e9 in place of -inf is right on all.
# Source: keras/src/backend/jax/nn.py and numpy/nn.py, sparse_categorical_crossentropy of 3.15.1; torch/nn.py calls
#   torch's cross_entropy.
# Whom it hurts: masked actions, padded vocabularies and class subsets, trained on one backend and moved to another.
# Way round: a large negative number for the mask, or optax's softmax_cross_entropy_with_integer_labels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 torch==2.13.0
for backend in jax numpy torch; do
    KERAS_BACKEND=$backend "$folder/venv/bin/python" - <<'PY'
import math

import keras
import numpy as np

loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="none")
found = {}
for mask in (-math.inf, -1e9):
    logits = np.array([[0.0, 0.0, mask]], np.float32)
    found[mask] = float(keras.ops.convert_to_numpy(loss(np.array([0]), logits))[0])
backend = keras.backend.backend()
print(f"keras {keras.__version__} on {backend}: label 0, logits (0, 0, -inf): {found[-math.inf]:.7f}; "
      f"with -1e9: {found[-1e9]:.7f}; right: {math.log(2):.7f}")
near = lambda x: abs(x - math.log(2)) < 1e-6
kept = near(found[-1e9]) and (near(found[-math.inf]) if backend == "torch" else math.isnan(found[-math.inf]))
raise SystemExit(0 if kept else f"the behaviour has changed: {found}")
PY
done
