#!/usr/bin/env bash
# paddle.mean of the integers 0 1 1 1 is 0, and of three correct answers out of four True; torch refuses, NumPy says 0.75.
#
# One would guess: the mean of integers is a fraction (NumPy, JAX), or an error that asks for a dtype (torch).
# What happens: paddle.mean keeps int32, int64 and bool: the mean is cut towards 0, of booleans it is "any", and nothing
#   warns. paddle.nanmean, median and std of the same tensor are float32. sum has the like in small types: 300 ones of
#   int8 add up to the int8 44, while cumsum widens to int64.
# Source: run here; paddle.mean's documentation lists int32, int64 and bool among its types and says nothing of the
#   result's.
# Whom it hurts: who ports an accuracy, (prediction == label).astype("int64").mean(): it is 0 until the last answer is
#   right; and who adds up 8-bit weights.
# Way round: convert first, .astype("float32"), or nanmean.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 paddlepaddle==3.3.1
"$folder/venv/bin/python" - 2>/dev/null <<'PY'
import paddle

print("paddlepaddle", paddle.__version__, "on", paddle.device.get_device())
right = paddle.to_tensor([3, 1, 4, 1]) == paddle.to_tensor([3, 1, 4, 2])
found = []
for dtype in ("int64", "int32", "bool", "float32"):
    x = right.astype(dtype)
    mean = paddle.mean(x)
    print(f"mean of {x.tolist()}: {mean.tolist()} of {mean.dtype}")
    found.append(mean.tolist())
eight = paddle.ones([300], "int8")
print(f"300 ones of int8: sum {paddle.sum(eight).tolist()}, the last of cumsum {paddle.cumsum(eight)[-1].tolist()}")
found += [paddle.sum(eight).tolist(), paddle.cumsum(eight)[-1].tolist()]
raise SystemExit(0 if found == [0, 0, True, 0.75, 44, 300] else "the behaviour has changed")
PY
