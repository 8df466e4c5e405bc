"""The kernels of Triton's official tutorials, unmodified, from a checkout; without a GPU in the simulator.

    PYTHONPATH=FOLDER_OF_TUTORIALS chainrule conform tutorials_backend:backend

A tutorial runs its comparison and its benchmark when it is imported; it is taken up to its first bare call: that is
what it defines. The attention is for float16, as many keys as queries and whole tiles: it brings cases of that kind.
"""

import ast
import sys
from contextlib import nullcontext
from pathlib import Path

import torch
from theirs import at_home, imported, layer_norms, pulled

from chainrule.conformance import Backend
from chainrule.conformance.judging.cases import pinned


def defined(name):
    """What a tutorial defines before it calls anything."""
    path = next(one for folder in sys.path for one in Path(folder).glob(f"[0-9][0-9]-{name}.py"))
    tree = ast.parse(path.read_text())
    bare = [i for i, node in enumerate(tree.body)
            if isinstance(node, ast.Expr) and not isinstance(node.value, ast.Constant)]
    tree.body = tree.body[:bare[0] if bare else None]
    space = {"__name__": name.replace("-", "_"), "__file__": str(path)}
    exec(compile(tree, str(path), "exec"), space)
    return space


with imported():
    soft = defined("fused-softmax")["softmax"]
    layer_norm = defined("layer-norm")["layer_norm"]
    attention = defined("fused-attention")["attention"]


def tiles():
    """Batch, heads, queries, keys, numbers of a query and of a value; gradients in whole blocks of 128."""
    for size in ((2, 2, 64, 64, 32, 32), (1, 1, 128, 128, 64, 64)):
        yield from pinned("attn.head", "x".join(map(str, size)), "fp16", size, nullcontext)
    for op in ("attn.head", *GRADIENTS):
        for size in ((1, 2, 128, 128, 32, 32), (1, 1, 256, 256, 64, 64)):
            yield from pinned(op, f"causal-{'x'.join(map(str, size))}", "fp16", size, nullcontext, exact=None,
                              real="causal")


GRADIENTS = [f"attn.head.grad_{by}" for by in "QKV"]


backend = Backend("triton tutorials", device="cuda", dtypes=["fp16"], extra=tiles)
backend.op("net.layer.affine", skip="the tutorial's product answers in float16")


@backend.op("act.softmax")
def softmax(z):
    return soft(z.contiguous())                          # its kernels take rows without gaps


def normed(x, gamma, beta, eps):
    return layer_norm(x.contiguous(), gamma.shape, gamma.contiguous(), beta.contiguous(), eps)


layer_norms(backend, normed, torch.Tensor.contiguous)


def attended(Q, K, V, scale, keep, causal):
    if keep is not None or not Q.shape == K.shape == V.shape or Q.shape[2] % 64 or Q.shape[3] < 32:
        raise NotImplementedError("the tutorial's attention has no mask of keys, and equal shapes of whole tiles")
    Q, K, V = (one.contiguous() for one in (Q, K, V))
    return attention(Q, K, V, causal, Q.shape[-1] ** -0.5 if scale is None else scale, False, False)


@backend.op("attn.head")
def head(Q, K, V, scale=None, keep=None, causal=False):
    return attended(Q, K, V, scale, keep, causal)


def pulled_back(d, Q, K, V, scale, keep, causal):
    """Its backward pass is that of causal attention, whatever the forward pass was, in whole blocks."""
    if not causal or Q.shape[2] % 128:
        raise NotImplementedError("the tutorial's backward pass is that of causal attention alone, in blocks of 128")
    given = [one.contiguous() for one in (Q, K, V)]
    return pulled(lambda Q, K, V: attended(Q, K, V, scale, keep, causal), d.contiguous(), *given)


for place, op in enumerate(GRADIENTS):
    backend.op(op)(lambda d, Q, K, V, scale=None, keep=None, causal=False, place=place:
                   pulled_back(d, Q, K, V, scale, keep, causal)[place])
at_home(backend)
