#!/usr/bin/env bash
# In MNN exp(88) is exp(87.3), softplus(100) is 87, the sigmoid of NaN is exactly 1, and gelu is the tanh formula.
#
# One would guess: elementwise functions of a deployed network are accurate to some ulps where float32 has the answer,
#   and pass NaN on, so that a broken input shows.
# What happens: exp clamps its argument to ±87.3 and takes a NaN for the lower (or upper) end. What is made of exp
#   inherits it: softplus grows to 87 and no further, exp(88) is 6.1e37 instead of 1.7e38, the sigmoid and tanh of NaN
#   are a certain 1, relu's is 0, relu6's 6, elu's -1; only softmax has NaN. gelu(0.5) is 0.345714 (tanh), not
#   0.345731 (erf).
# Source: measured through MNN.expr; alibaba/MNN, MNNExpC and its vector versions clamp.
# Whom it hurts: who deploys a detector with sigmoid outputs: a NaN from a bad sensor is a detection with confidence
#   1; losses or energies by softplus saturate.
# Way round: look for NaN in the input; relu(z) + log1p(exp(-|z|)) for softplus.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 MNN==3.6.1
"$folder/venv/bin/python" - <<'PY'
import importlib.metadata

import MNN.expr as F
import numpy as np

print("MNN", importlib.metadata.version("MNN"), "numpy", np.__version__)


def at(name, x, *more):
    return float(np.array(getattr(F, name)(F.const([x] * 8, [8], F.NCHW), *more).read())[0])


nan = float("nan")
finite = [("exp", 80.0, np.exp(80.0)), ("exp", 88.0, np.exp(88.0)), ("softplus", 80.0, 80.0), ("softplus", 100.0, 100.0),
          ("gelu", 0.5, 0.3457312)]
values = [at(name, x) for name, x, _ in finite]
for (name, x, right), y in zip(finite, values):
    print(f"{name}({x:g}) = {y:.6g}, exact {right:.6g}")
broken = {name: at(name, nan, *more) for name, *more in (("sigmoid",), ("tanh",), ("relu",), ("relu6",), ("elu", 1.0))}
print("of NaN:", broken)
off = [abs(y / right - 1) for y, (_, _, right) in zip(values, finite)]
held = (off[0] < 1e-5 and off[1] > 0.6 and off[2] < 1e-5 and off[3] > 0.12 and 3e-5 < off[4] < 7e-5
        and broken == {"sigmoid": 1.0, "tanh": 1.0, "relu": 0.0, "relu6": 6.0, "elu": -1.0})
raise SystemExit(0 if held else "the behaviour has changed")
PY
