#!/usr/bin/env bash
# tinygrad's relu, elu and sort make NaN disappear; its leaky_relu, sigmoid and clip keep it.
#
# One would guess: NaN travels through every activation, as in NumPy, torch and JAX, so that a diverged network shows
#   in its loss.
# What happens: relu and elu are written as `x > 0` choices whose other branch is 0, and NaN is not above 0: relu(NaN)
#   = elu(NaN) = 0. leaky_relu keeps it, as its other branch is a·x. The maximum of [1, NaN, 2] is 2 and of [NaN, 1,
#   2] is NaN, and sort of [3, NaN, 1] is [1, 3, 3]: the NaN is gone and 3 is there twice.
# Source: tinygrad/tensor.py and its mixins of 0.14.0: relu is (self > 0).where(self, 0).
# Whom it hurts: who watches for NaN at the output of a network with relu, or sorts or ranks scores.
# Way round: check activations before the relu.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} tinygrad==0.14.0 numpy==2.3.5
"$folder/venv/bin/python" - <<'PY'
import importlib.metadata
import os

os.environ["DEV"] = "PYTHON"                 # tinygrad's own device in plain Python: no compiler is needed
import numpy as np
from tinygrad import Tensor

print("tinygrad", importlib.metadata.version("tinygrad"), "numpy", np.__version__)
nan = float("nan")
texts = lambda t: [str(v) for v in np.atleast_1d(t.numpy()).tolist()]
found = {
    "relu of NaN": texts(Tensor([nan]).relu()), "elu of NaN": texts(Tensor([nan]).elu()),
    "leaky_relu of NaN": texts(Tensor([nan]).leaky_relu()), "sigmoid of NaN": texts(Tensor([nan]).sigmoid()),
    "clip of NaN": texts(Tensor([nan]).clip(0, 1)),
    "max of [1, NaN, 2]": texts(Tensor([1.0, nan, 2.0]).max()), "max of [NaN, 1, 2]": texts(Tensor([nan, 1.0, 2.0]).max()),
    "sort of [3, NaN, 1]": texts(Tensor([3.0, nan, 1.0]).sort()[0]),
}
for what, value in found.items():
    print(f"{what:22} {value}")
expected = [["0.0"], ["0.0"], ["nan"], ["nan"], ["nan"], ["2.0"], ["nan"], ["1.0", "3.0", "3.0"]]
raise SystemExit(0 if list(found.values()) == expected else "the behaviour has changed")
PY
