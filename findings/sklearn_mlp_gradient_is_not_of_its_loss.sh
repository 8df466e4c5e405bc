#!/usr/bin/env bash
# scikit-learn's MLPRegressor with K outputs steps along K times the gradient of the loss it reports.
#
# One would guess: `loss_` and the step belong to one function: a solver that descends on loss_ uses its derivative.
# What happens: the squared error is averaged over samples and outputs, the backward pass divides by the samples only:
#   the gradient is K times too large. With solver='lbfgs' the line search gets a value and a slope that contradict
#   each other; with sgd the learning rate is K times the stated one, and alpha weighs K times less than the loss
#   says.
# Source: scikit-learn issue 8349 (2017) and pull request 34830 (2026), both open.
# Whom it hurts: who compares a network of their own with scikit-learn's step by step, or carries a learning rate from
#   one output to several.
# Way round: divide learning_rate_init by K and multiply alpha by K to follow the reported loss; for one output
#   nothing is wrong.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 scikit-learn==1.9.1
"$folder/venv/bin/python" - <<'PY'
import numpy as np
import sklearn
from sklearn.neural_network import MLPRegressor

print("numpy", np.__version__, "scikit-learn", sklearn.__version__)
rng = np.random.default_rng(0)
X, rate, found = rng.normal(size=(8, 3)), 1e-3, {}
for outputs in (1, 2, 4):
    Y = rng.normal(size=(8, outputs))
    target = Y if outputs > 1 else Y[:, 0]
    net = MLPRegressor(hidden_layer_sizes=(5,), activation="tanh", alpha=0.0, solver="sgd", learning_rate_init=rate,
                       momentum=0, batch_size=8, shuffle=False, random_state=0).partial_fit(X, target)
    before, residual = net.intercepts_[-1].copy(), net.predict(X).reshape(8, outputs) - Y
    net.partial_fit(X, target)
    of_loss = residual.mean(0) / outputs                  # of mean((prediction - Y)²) / 2 by the last bias
    assert np.isclose(net.loss_, (residual ** 2).mean() / 2)
    found[outputs] = ((before - net.intercepts_[-1]) / rate / of_loss).round(6).tolist()
    print(f"{outputs} outputs: loss_ {net.loss_:.6f}, step / (rate · gradient of loss_) = {found[outputs]}")
raise SystemExit(0 if all(ratio == [k] * k for k, ratio in found.items()) else "the behaviour has changed")
PY
