"""Other people's kernels, unmodified, forward and backward, against torch in float64: one JSON line each.

    python third_party.py FOLDER liger|flag_gems      # FOLDER: where the packages lie, see constraints/third-party.txt

A line says `right` if no result is further from float64's than eight times what torch's own float32 is, or eight
roundings of the largest value.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import warnings

import torch
import torch.nn.functional as F

from chainrule.conformance.simulator import simulate

LABELS = torch.tensor([1, 2, 3, 4, 0])


def data(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def liger(name, cls):
    return lambda *args: getattr(importlib.import_module(f"liger_kernel.ops.{name}"), cls).apply(*args)


def gems(name):
    return lambda *args: getattr(importlib.import_module("flag_gems.ops"), name)(*args)


def first(function):
    """The first of several results."""
    return lambda *args: function(*args)[0]


def called(function, *rest):
    return lambda *args: function(*args, *rest)


X, Y, ROW, COLUMN = data(5, 48), data(5, 48) + 1, data(48), data(47)[:1]
IMAGE, CHANNEL = data(3, 8, 10), data(8)
UNIFORM = torch.full((5, 48), 1 / 48)
#: name: (theirs, torch's, the arguments that are differentiated)
LIGER = {
    "rms_norm": (called(liger("rms_norm", "LigerRMSNormFunction"), 1e-6, 0.0, "llama", True),
                 lambda x, w: F.rms_norm(x, (48,), w, 1e-6), (X, ROW)),
    "layer_norm": (called(liger("layer_norm", "LigerLayerNormFunction"), 1e-6),
                   lambda x, w, b: F.layer_norm(x, (48,), w, b, 1e-6), (X, ROW, ROW)),
    "group_norm": (called(liger("group_norm", "LigerGroupNormFunction"), 8, 4, 1e-6),
                   lambda x, w, b: F.group_norm(x, 4, w, b, 1e-6), (IMAGE, CHANNEL, CHANNEL)),
    "swiglu": (liger("swiglu", "LigerSiLUMulFunction"), lambda a, b: F.silu(a) * b, (X, Y)),
    "geglu": (liger("geglu", "LigerGELUMulFunction"), lambda a, b: F.gelu(a, approximate="tanh") * b, (X, Y)),
    "cross_entropy": (
        first(called(liger("cross_entropy", "LigerCrossEntropyFunction"), LABELS, None, -100, 0.0, 0.0, "mean", None,
                     False)), lambda x: F.cross_entropy(x, LABELS), (X,)),
    "fused_linear_cross_entropy": (
        first(called(liger("fused_linear_cross_entropy", "LigerFusedLinearCrossEntropyFunction"), LABELS)),
        lambda x, w: F.cross_entropy(x @ w.T, LABELS), (data(5, 32), data(48, 32))),
    "kl_div": (called(liger("kl_div", "LigerKLDivLossFunction"), UNIFORM, "batchmean"),
               lambda x: F.kl_div(x, UNIFORM.to(x.dtype), reduction="batchmean"), (F.log_softmax(X, -1),)),
    "softmax": (liger("softmax", "LigerSoftmaxFunction"), lambda x: x.softmax(-1), (X,)),
    "tvd": (called(liger("tvd", "LigerTVDLossFunction"), UNIFORM),
            lambda x: (x - UNIFORM.to(x.dtype)).abs().sum() / 2 / len(x), (X.softmax(-1),)),
    "dyt": (liger("dyt", "LigerDyTFunction"), lambda x, a, g, b: g * torch.tanh(a * x) + b, (X, COLUMN, ROW, ROW)),
    "relu_squared": (liger("relu_squared", "LigerReLUSquaredFunction"), lambda x: x.relu() ** 2, (X,)),
    "fused_add_rms_norm": (
        first(called(liger("fused_add_rms_norm", "LigerFusedAddRMSNormFunction"), 1e-6, 0.0, "llama", True)),
        lambda x, r, w: F.rms_norm(x + r, (48,), w, 1e-6), (X, Y, ROW)),
}
FLAG_GEMS = {
    **{name: (gems(name), getattr(torch, name, getattr(F, name, None)), (X,))
       for name in ("relu", "sigmoid", "tanh", "gelu", "silu", "exp", "sum", "mean")},
    **{name: (gems(name), getattr(torch, name), (X, Y)) for name in ("add", "mul")},
    "softmax": (called(gems("softmax"), -1), lambda x: x.softmax(-1), (X,)),
    "log_softmax": (called(gems("log_softmax"), -1), lambda x: x.log_softmax(-1), (X,)),
    "layer_norm": (lambda x, w, b: gems("layer_norm")(x, (48,), w, b)[0],
                   lambda x, w, b: F.layer_norm(x, (48,), w, b), (X, ROW, ROW)),
    "cumsum": (called(gems("cumsum"), 1), lambda x: x.cumsum(1), (X,)),
    "mm": (gems("mm"), torch.mm, (data(20, 32), data(32, 24))),
    "bmm": (gems("bmm"), torch.bmm, (data(2, 20, 32), data(2, 32, 24))),
    "rsqrt": (gems("rsqrt"), torch.rsqrt, (X.abs() + 1,)),
}
LIBRARIES = {"liger": (LIGER, True), "flag_gems": (FLAG_GEMS, False)}       # are they differentiated, too?


def results(function, arguments, dtype, backward):
    given = [a.to(dtype).clone().requires_grad_(backward) for a in arguments]
    out = function(*given)
    out = out[0] if isinstance(out, tuple) else out
    if backward:
        (out * torch.linspace(0.5, 1.5, out.numel(), dtype=dtype).reshape(out.shape)).sum().backward()
    return [out.detach().double(), *([g.grad.double() for g in given] if backward else [])]


def right(theirs, torchs, exact):
    def wrong(got):
        return max(float((a - b).abs().max()) for a, b in zip(got, exact))

    largest = max(float(e.abs().max()) for e in exact)
    return wrong(theirs) <= 8 * max(wrong(torchs), largest * 2.0**-24)


def main(folder, library):
    sys.path.insert(0, folder)
    os.environ["GEMS_VENDOR"] = "nvidia"             # FlagGems asks a program of the driver's otherwise
    os.environ.setdefault("FLAGGEMS_CACHE_DIR", os.path.join(folder, "flag-gems-cache"))
    warnings.simplefilter("ignore")
    subjects, backward = LIBRARIES[library]
    for name, (theirs, torchs, arguments) in subjects.items():
        start = time.process_time()
        line = {"library": library, "name": name}
        try:
            with simulate(pretend_cuda="sm_90") as sim:
                got = results(theirs, arguments, torch.float32, backward)
            plain, exact = (results(torchs, arguments, d, backward) for d in (torch.float32, torch.float64))
            line |= {"launches": sim.launches, "right": right(got, plain, exact)}
        except Exception as error:                    # whatever it is, it is a line of the table
            line |= {"launches": 0, "right": False, "error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(line | {"seconds": round(time.process_time() - start, 1)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
