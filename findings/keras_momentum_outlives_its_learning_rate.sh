#!/usr/bin/env bash
# With the learning rate set to 0, Keras' SGD goes on moving: the momentum already holds the old rate.
#
# One would guess: a step is the rate times something, so rate 0 freezes the weights, and a drop by 10 makes the next
#   step 10 times smaller, as it does in torch and optax.
# What happens: the velocity is built from rate·gradient and added whole, so a new rate applies to new gradients only.
#   After a rate of 1, momentum 0.9 glides on for nine more steps' worth at rate 0; after a schedule's drop the old
#   rate fades at 0.9 a step. scikit-learn's MLP does the same. For one constant rate the two forms are equal, which
#   is why a comparison of a few steps finds nothing.
# Source: keras/src/optimizers/sgd.py; sklearn/neural_network/_stochastic_optimizers.py; pytorch/pytorch issue 1099.
# Whom it hurts: who carries a step schedule with warm-up, restarts or a final rate of 0 from one library to the
#   other, who sets the rate to 0 to freeze, and a learning-rate finder: each trial carries the last one's speed.
# Way round: layer.trainable = False to freeze; rescale the momentum by new / old rate.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 keras==3.15.1 jax==0.10.2 jaxlib==0.10.2 scikit-learn==1.9.1
KERAS_BACKEND=jax "$folder/venv/bin/python" - <<'PY'
import keras
import numpy as np
import sklearn
from sklearn.neural_network._stochastic_optimizers import SGDOptimizer

print("keras", keras.__version__, "scikit-learn", sklearn.__version__, "numpy", np.__version__)
one, rates = np.ones(1, np.float32), [1.0] + 100 * [0.0]  # one step, then frozen, so one thinks
p, keras_sgd = keras.Variable(np.zeros(1, np.float32)), keras.optimizers.SGD(1.0, momentum=0.9)
w = [np.zeros(1)]
sklearn_sgd = SGDOptimizer(w, learning_rate_init=1.0, momentum=0.9, nesterov=False)
outside = velocity = 0.0                                  # the form of torch and optax: the rate times the velocity
for rate in rates:
    keras_sgd.learning_rate.assign(rate)
    keras_sgd.apply([one], [p])
    sklearn_sgd.learning_rate = rate
    sklearn_sgd.update_params(w, [one])
    velocity = 0.9 * velocity + 1
    outside += rate * velocity
moved = {"rate outside": outside, "keras": -float(np.asarray(p.value)[0]), "scikit-learn": -float(w[0][0])}
for name, distance in moved.items():
    print(f"{name:12} moved {distance:.3f}: 1 at the rate of 1, {distance - 1:.3f} in the 100 steps at the rate of 0")
held = outside == 1 and abs(moved["keras"] - 10) < 1e-2 and abs(moved["scikit-learn"] - 10) < 1e-2
raise SystemExit(0 if held else "the behaviour has changed")
PY
