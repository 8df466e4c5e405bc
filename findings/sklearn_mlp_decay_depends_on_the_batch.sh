#!/usr/bin/env bash
# scikit-learn's MLP divides alpha by the size of the mini-batch: the same alpha decays 100 times more at batch 1 than
#   at 100, each step.
#
# One would guess: alpha is the strength of the L2 term of one objective, (1/n) Σ loss + (alpha / 2n) ‖W‖² over the n
#   samples, as its user guide prints; batches are only a way to get there.
# What happens: n is the size of the batch at hand. With a zero loss gradient, one epoch over 100 samples at rate 0.01
#   and alpha = 1 leaves 0.9999 of a weight at batch 100, 0.990 at batch 10 and 0.366 at batch 1. So batch_size is a
#   second regularisation knob, and min(200, n), its default, makes alpha depend on the size of a small data set.
# Source: sklearn/neural_network/_multilayer_perceptron.py, _compute_loss_grad (`coef_grads[layer] += self.alpha *
#   coefs_[layer]`, then divided by the samples of the batch).
# Whom it hurts: who tunes batch_size after alpha, or carries alpha to torch's weight_decay: λ = alpha / batch there.
# Way round: scale alpha with the batch.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 scikit-learn==1.9.1
"$folder/venv/bin/python" - <<'PY'
import warnings

import numpy as np
import sklearn
from sklearn.neural_network import MLPRegressor

print("numpy", np.__version__, "scikit-learn", sklearn.__version__)
warnings.simplefilter("ignore")
X, y, found = np.zeros((100, 3)), np.zeros(100), {}
for batch in (1, 10, 100):
    net = MLPRegressor(hidden_layer_sizes=(4,), activation="relu", alpha=1.0, solver="sgd", learning_rate_init=0.01,
                       momentum=0, batch_size=batch, shuffle=False, random_state=0).partial_fit(X[:1], y[:1])
    for weights, bias in zip(net.coefs_, net.intercepts_):
        weights[...], bias[...] = 1.0, 0.0                # predicts 0 for 0: no gradient but the decay's
    net.partial_fit(X, y)
    found[batch] = float(net.coefs_[0][0, 0])
    print(f"batch {batch:3}: a weight of 1 after one epoch over 100 samples: {found[batch]:.4f}")
expected = {b: (1 - 0.01 * 1.0 / b) ** (100 / b) for b in found}
raise SystemExit(0 if all(abs(found[b] - expected[b]) < 1e-9 for b in found) else "the behaviour has changed")
PY
