#!/usr/bin/env bash
# ncnn's 3x3 convolution: one large pixel spoils outputs that do not see it, and one NaN 36 outputs instead of 9.
#
# One would guess: an output of a 3x3 convolution depends on nine pixels per channel; its error is some ulps of the
#   products of those nine, and a library switches algorithms without changing that.
# What happens: from 16 channels on ncnn computes by Winograd's method, which adds and subtracts pixels of a whole
#   tile before multiplying. A pixel of 1e8 (or 1e4 at a ten-thousandth of that) leaves errors of a thousand in
#   outputs of the tile that do not touch it; with ordinary pixels the error is ten to twenty times the direct
#   method's. With 4 channels, or use_winograd_convolution = False, nothing leaks.
# Source: Tencent/ncnn, src/layer/x86/convolution_3x3_winograd.h; the option is on unless it is switched off.
# Whom it hurts: who masks regions with large constants, has hot pixels or outlier channels, or holds a runtime to an
#   elementwise error bound: small test layers pass and the real ones do not.
# Way round: net.opt.use_winograd_convolution = False.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
# shellcheck disable=SC2086
"$folder/venv/bin/pip" install -q ${PIP_ARGS:-} numpy==2.3.5 ncnn==1.0.20261020
"$folder/venv/bin/python" - "$folder" <<'PY'
import sys

import ncnn
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

print("ncnn", ncnn.__version__, "numpy", np.__version__)
rng = np.random.default_rng(0)


def convolve(x, w, winograd):
    net, out = ncnn.Net(), len(w)
    net.opt.use_winograd_convolution = winograd
    with open(sys.argv[1] + "/net.param", "w") as file:
        file.write(f"7767517\n2 2\nInput in 0 1 in\nConvolution conv 1 1 in out 0={out} 1=3 6={w.size}\n")
    with open(sys.argv[1] + "/net.bin", "wb") as file:
        file.write(bytes(4) + w.tobytes())                # four bytes of 0 say that float32 follows
    net.load_param(sys.argv[1] + "/net.param")
    net.load_model(sys.argv[1] + "/net.bin")
    extractor = net.create_extractor()
    extractor.input("in", ncnn.Mat(x))
    return np.array(extractor.extract("out")[1])


found = {}
for channels in (4, 16):
    w = rng.normal(size=(channels, channels, 3, 3)).astype(np.float32)
    x = rng.normal(size=(channels, 30, 30)).astype(np.float32)
    far = np.ones((28, 28), bool)
    far[8:11, 8:11] = False                               # the outputs that do not see pixel (10, 10)
    for winograd in (True, False):
        error, spoilt = [], 0
        for pixel in (1.0, 1e8, np.nan):
            x[0, 10, 10] = pixel
            right = np.einsum("cyxij,ocij->oyx", sliding_window_view(x.astype(float), (3, 3), (1, 2)), w.astype(float))
            y = convolve(x, w, winograd)
            error.append(np.abs(y - right)[:, far].max())
            spoilt = int(np.isnan(y[0]).sum())
        found[channels, winograd] = error[1] > 100, spoilt
        print(f"{channels:2} channels, Winograd {winograd}: error far from the pixel {error[0]:.1e}, with 1e8 there {error[1]:.1e}; "
              f"a NaN there spoils {spoilt} outputs")
held = found == {(4, True): (False, 9), (4, False): (False, 9), (16, True): (True, 36), (16, False): (False, 9)}
raise SystemExit(0 if held else "the behaviour has changed")
PY
