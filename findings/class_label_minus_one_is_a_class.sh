#!/usr/bin/env bash
# A label of -1 is the last class in optax and no class in Keras; torch refuses it. -100, torch's 'ignore', is NaN in
#   one and 0 in the other.
#
# One would guess: a label outside 0 … K - 1 is an error, or an ignored sample, everywhere in the same way.
# What happens: optax gathers by index, and JAX reads -1 from the end: padding labels of -1 train the last class, with
#   no sign of it; a label beyond the range in either direction is NaN. Keras encodes one-hot, and outside the range
#   that is a row of zeros: loss 0, no gradient, but counted in the mean's denominator, so padding makes the average
#   loss small.
# Source: optax/losses/_classification.py takes along an axis; jax.nn.one_hot documents zeros outside the range.
# Whom it hurts: who moves a data pipeline with padded labels between the frameworks.
# Way round: mask explicitly: where(label >= 0, loss, 0) over the number of real labels.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 jax==0.10.2 jaxlib==0.10.2 optax==0.2.8 keras==3.15.1
"$folder/venv/bin/python" - <<'PY'
import os

os.environ["KERAS_BACKEND"] = "jax"
import jax
import keras
import numpy as np
import optax

print("jax", jax.__version__, "optax", optax.__version__, "keras", keras.__version__)
z, labels = np.array([[1.0, 2.0, 3.0]], np.float32), (2, -1, 7, -100)
found = {
    "optax": [str(round(float(optax.softmax_cross_entropy_with_integer_labels(z, np.array([t]))[0]), 4)) for t in labels],
    "keras": [str(round(abs(float(keras.losses.sparse_categorical_crossentropy(np.array([t]), z, from_logits=True)[0])), 4))
              for t in labels],
}
print(f"{'label':6} {labels}")
for who, values in found.items():
    print(f"{who:6} {values}")
expected = {"optax": ["0.4076", "0.4076", "nan", "nan"], "keras": ["0.4076", "0.0", "0.0", "0.0"]}
raise SystemExit(0 if found == expected else f"the behaviour has changed: {found}")
PY
