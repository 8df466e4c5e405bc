#!/usr/bin/env bash
# PaddlePaddle's log_softmax and cross_entropy, on a CPU: no log probability is below -64, in float64 neither.
#
# One would guess: log softmax is z - max - log sum; of the logits (0, 1000) it is (-1000, 0), and cross entropy of the
#   first class is 1000.
# What happens: differences from the largest logit are cut at -64 before anything is summed. The loss of a confident
#   wrong answer is 64, whatever the logits, with hard labels, soft labels, log_softmax with nll_loss, and with
#   CrossEntropyLoss. The gradient is that of the loss without the cut, so training goes on, and the loss curve lies.
# Source: the cut is in paddle/phi/kernels/funcs (softmax and cross_entropy for a CPU); it was taken out of the parallel
#   cross entropy of GPUs in 2023 (github.com/PaddlePaddle/Paddle, pull request 53547); issue 20994 reported the 64s.
# Whom it hurts: who compares a port's losses, sums log probabilities of long sequences, or looks for outliers by loss.
# Way round: z - paddle.logsumexp(z, -1, keepdim=True), which has no cut.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 paddlepaddle==3.3.1
"$folder/venv/bin/python" - 2>/dev/null <<'PY'
import paddle
import paddle.nn.functional as F

print("paddlepaddle", paddle.__version__, "on", paddle.device.get_device())
first = paddle.to_tensor([0])
found = []
for dtype in ("float32", "float64"):
    for distance in (60.0, 100.0, 1000.0):
        z = paddle.to_tensor([[0.0, distance]], dtype=dtype, stop_gradient=False)
        loss = F.cross_entropy(z, first)
        loss.backward()
        by_hand = float((paddle.logsumexp(z, -1) - z[:, 0]).sum())
        by_log = -float(F.log_softmax(z)[0, 0])
        print(f"{dtype} logits (0, {distance:.0f}), class 0: cross entropy {float(loss):.0f}, by log_softmax "
              f"{by_log:.0f}, by logsumexp {by_hand:.0f}; gradient {z.grad.tolist()[0]}")
        found.append((float(loss), by_log, by_hand))
wanted = [(min(d, 64.0), min(d, 64.0), d) for d in (60.0, 100.0, 1000.0)] * 2
raise SystemExit(0 if found == wanted else "the behaviour has changed")
PY
