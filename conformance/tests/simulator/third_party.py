"""Other people's kernels, unmodified, forward and backward, against torch in float64: one JSON line each.

    python third_party.py FOLDER liger|flag_gems|attorch|tutorials|differentiated

FOLDER: where the packages lie (see constraints/third-party.txt), attorch's checkout, or Triton's tutorials. A line says
`right` if no result is further from float64's than eight times what torch's own is in the same format, or eight
roundings of the largest value.
"""

from __future__ import annotations

import ast
import functools
import importlib
import json
import os
import sys
import time
import warnings
from pathlib import Path

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


def attorch(module, cls):
    return lambda *args: getattr(importlib.import_module(f"attorch.{module}"), cls).apply(*args)


@functools.cache
def defined(tutorial):
    """What a tutorial defines before its first bare call or loop: it compares and times as soon as it is imported."""
    (path,) = Path(sys.path[0]).glob(f"[0-9][0-9]-{tutorial}.py")
    body = ast.parse(path.read_text()).body
    bare = [i for i, node in enumerate(body)
            if isinstance(node, ast.For) or (isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant))]
    space = {"__name__": tutorial.replace("-", "_"), "__file__": str(path)}
    exec(compile(ast.Module(body[:bare[0] if bare else None], []), str(path), "exec"), space)
    return space


def shown(tutorial, name):
    return lambda *args: defined(tutorial)[name](*args)


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
ATTORCH = {
    **{name: (called(attorch("act_layers", "ActFuncAutoGrad"), name, 0.0, False), getattr(F, name, None), (X,))
       for name in ("sigmoid", "gelu", "silu", "tanh", "relu")},
    "glu": (called(attorch("glu_layer", "GLUAutoGrad"), -1, "sigmoid"), F.glu, (X,)),
    "softmax": (called(attorch("softmax_layers", "SoftmaxAutoGrad"), False, False), lambda x: x.softmax(-1), (X,)),
    "log_softmax": (called(attorch("softmax_layers", "SoftmaxAutoGrad"), False, True),
                    lambda x: x.log_softmax(-1), (X,)),
    "cross_entropy": (called(attorch("cross_entropy_loss_layer", "CrossEntropyLossAutoGrad"), LABELS),
                      lambda x: F.cross_entropy(x, LABELS), (X,)),
    "nll_loss": (called(attorch("nll_loss_layer", "NLLLossAutoGrad"), LABELS, "mean"),
                 lambda x: F.nll_loss(x, LABELS), (F.log_softmax(X, -1),)),
}
GROUP = [data(128, 64)[:, :32], data(128, 64)[:, 32:]]            # whole tiles: its loads have no mask
HEADS = [data(1, 2, 256, 64 + i)[..., :64] for i in range(3)]
TUTORIALS = {
    "vector-add": (shown("vector-add", "add"), torch.add, (X, Y)),
    "fused-softmax": (shown("fused-softmax", "softmax"), lambda x: x.softmax(-1), (data(5, 300),)),
    "matrix-multiplication": (shown("matrix-multiplication", "matmul"), torch.mm, (data(40, 64), data(64, 72))),
    "grouped-gemm": (lambda a, b, c, d: torch.cat(shown("grouped-gemm", "group_gemm_fn")([a, b], [c, d])),
                     lambda a, b, c, d: torch.cat([a @ c, b @ d]), (*GROUP, *(a.T for a in GROUP))),
}
DIFFERENTIATED = {
    "layer-norm": (lambda x, w, b: defined("layer-norm")["LayerNorm"].apply(x, (300,), w, b, 1e-5),
                   lambda x, w, b: F.layer_norm(x, (300,), w, b, 1e-5), (data(5, 300), data(300), data(300))),
    "fused-attention": (called(shown("fused-attention", "attention"), True, 0.125, False),
                        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=0.125), HEADS),
}
#: name: (subjects, are they differentiated, too, and in which format)
LIBRARIES = {"liger": (LIGER, True, torch.float32), "flag_gems": (FLAG_GEMS, False, torch.float32),
             "attorch": (ATTORCH, True, torch.float32), "tutorials": (TUTORIALS, False, torch.float16),
             "differentiated": (DIFFERENTIATED, True, torch.float16)}


def results(function, arguments, dtype, backward):
    given = [a.to(dtype).clone(memory_format=torch.contiguous_format).requires_grad_(backward) for a in arguments]
    out = function(*given)
    out = out[0] if isinstance(out, tuple) else out
    if backward:
        (out * torch.linspace(0.5, 1.5, out.numel(), dtype=dtype).reshape(out.shape)).sum().backward()
    return [out.detach().double(), *([g.grad.double() for g in given] if backward else [])]


def right(theirs, torchs, exact, dtype):
    def wrong(got):
        return max(float((a - b).abs().max()) for a, b in zip(got, exact))

    largest = max(float(e.abs().max()) for e in exact)
    return wrong(theirs) <= 8 * max(wrong(torchs), largest * torch.finfo(dtype).eps / 2)


def main(folder, library):
    sys.path.insert(0, folder)
    os.environ["GEMS_VENDOR"] = "nvidia"             # FlagGems asks a program of the driver's otherwise
    os.environ.setdefault("FLAGGEMS_CACHE_DIR", os.path.join(folder, "flag-gems-cache"))
    warnings.simplefilter("ignore")
    subjects, backward, dtype = LIBRARIES[library]
    for name, (theirs, torchs, arguments) in subjects.items():
        start = time.process_time()
        line = {"library": library, "name": name}
        try:
            with simulate(pretend_cuda="sm_90") as sim:
                got = results(theirs, arguments, dtype, backward)
            arguments = [a.to(dtype) for a in arguments]
            plain, exact = (results(torchs, arguments, d, backward) for d in (dtype, torch.float64))
            line |= {"launches": sim.launches, "right": right(got, plain, exact, dtype)}
        except Exception as error:                    # whatever it is, it is a line of the table
            line |= {"launches": 0, "right": False, "error": f"{type(error).__name__}: {error}"[:300]}
        print(json.dumps(line | {"seconds": round(time.process_time() - start, 1)}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
