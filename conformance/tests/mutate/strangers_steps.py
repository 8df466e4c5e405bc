"""Strangers of what is made of other ops: training steps, gradients in parts, a convolution layer with its pooling."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from strangers import RIGHT, as_contiguous, beyond, given, made, narrow, stranger

NAMES = ("w1", "b1", "w2", "b2")
LOSSES = {
    "square": lambda z, y: ((z - y) ** 2).sum(1),
    "logits": lambda z, y: F.binary_cross_entropy_with_logits(z, y, reduction="none").sum(1),
    "softmax": lambda z, y: F.cross_entropy(z, y, reduction="none"),
}
ACTS = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu, "elu": F.elu, "identity": lambda z: z,
        "leaky": lambda z: F.leaky_relu(z, 0.1)}


def by_autograd(x, y, w1, b1, w2, b2, act, loss, lam, eta, mu=0.0, mean=lambda losses, z: losses.mean(), decayed="w",
                detached=False, **v):
    """A step as people write it, in float64, with a place for what goes wrong."""
    p = {name: t.double().requires_grad_() for name, t in zip(NAMES, (w1, b1, w2, b2))}
    a = ACTS[act](F.linear(x.double(), p["w1"], p["b1"]))
    z = F.linear(a.detach() if detached else a, p["w2"], p["b2"])
    mean(LOSSES[loss](z, y if loss == "softmax" else y.double()), z).backward()
    moved, kept = [], []
    for name, t in p.items():
        D = torch.zeros_like(t) if t.grad is None else t.grad
        D = D + (lam * t.detach() if name.startswith(decayed) else 0.0)
        own = v.get(f"v{name.replace('w', '')}")
        kept.append(D if own is None else mu * own.double() + D)
        moved.append((t.detach() - eta * kept[-1]).to(w1.dtype))
    return [*moved, *((one.to(w1.dtype) for one in kept) if v else ())]


def steps() -> None:
    for op in ("net.step", "net.step.momentum"):
        stranger(op, "averaged over the outputs, too", lambda **a: by_autograd(
            **a, mean=lambda losses, z: losses.mean() / z.shape[1]))
        stranger(op, "summed", lambda **a: by_autograd(**a, mean=lambda losses, z: losses.sum()))
        stranger(op, "intercepts decay", lambda **a: by_autograd(**a, decayed=("w", "b")))
        stranger(op, "only the last layer decays", lambda **a: by_autograd(**a, decayed="w2"))
        stranger(op, "the hidden layer sees no gradient", lambda **a: by_autograd(**a, detached=True))
        given(op, "examples past 64 do not count", lambda x, y, **a: {} if len(x) <= 64 else {
            "x": x[:64], "y": y[:64]})
        given(op, "half a square", lambda y, loss, eta, **a: {} if loss != "square" else {"eta": eta / 2})
        given(op, "λ is 1/8", lambda lam, **a: {"lam": 0.125})
        given(op, "η of 0 is 1/16", lambda eta, **a: {"eta": eta or 0.0625})
        given(op, "x in bf16 on its way", lambda x, **a: {"x": narrow(x)})
        given(op, "w2 read as if contiguous", lambda w2, **a: {"w2": as_contiguous(w2)})
        given(op, "inputs past 64 do not count", lambda x, **a: {"x": beyond(x, 64)})
        made(op, "hidden nodes past 64 stay", lambda out, w1, b1, **a: [
            torch.cat([out[0][:64], w1[64:]]), torch.cat([out[1][:64], b1[64:]]), *out[2:]])
        stranger(op, "δ through the new w2", lambda op=op, **a: _through_new(op, a))
        stranger(op, "b1 larger by a 64th", lambda op=op, **a: RIGHT[op](
            **{**a, "b1": a["b1"] * (1 + 2.0**-6)}))
    given("net.step.momentum", "μ is 0.9", lambda **a: {"mu": 0.9})
    given("net.step.momentum", "velocities of intercepts start again", lambda vb1, vb2, **a: {
        "vb1": torch.zeros_like(vb1), "vb2": torch.zeros_like(vb2)})
    made("net.step.momentum", "velocities are not kept where they were 0", lambda out, v1, **a: [
        *out[:4], out[4] * (v1 != 0), *out[5:]])


def _through_new(op, a):
    """The last layer moves first, and δ goes through what it has become."""
    right = list(RIGHT[op](**a))
    old, new = by_autograd(**{**a, "lam": 0.0, "eta": 1.0, "mu": 0.0}), by_autograd(
        **{**a, "w2": right[2], "lam": 0.0, "eta": 1.0, "mu": 0.0})
    for k in (0, 1):
        right[k] = right[k] + (a["eta"] * (new[k] - old[k])).to(right[k].dtype)
    return right


def parts() -> None:
    op = "alg.accumulate.batch"
    made(op, "overwritten", lambda out, G, **a: [out[0] - G, out[1]])
    made(op, "the intercept overwritten", lambda out, Gb, **a: [out[0], out[1] - Gb])
    given(op, "n is the part's own", lambda delta, **a: {"n": len(delta)})
    given(op, "n of 1 is the part's own", lambda delta, n, **a: {"n": len(delta) if n == 1 else n})
    given(op, "averaged twice", lambda n, **a: {"n": n * n})
    given(op, "what was there averaged again", lambda G, Gb, n, **a: {"G": G / n, "Gb": Gb / n})
    given(op, "examples past 1024 do not count", lambda delta, **a: {"delta": beyond(delta, 1024, 0)})
    given(op, "a large gradient starts again", lambda G, **a: {"G": torch.where(G.abs() > 100, 0.0, G)})
    given(op, "a small gradient starts again", lambda G, **a: {"G": torch.where(G.abs() < 2.0**-5, 0.0, G)})
    given(op, "G in bf16 on its way", lambda G, **a: {"G": narrow(G)})
    given(op, "a read as if contiguous", lambda a, **rest: {"a": as_contiguous(a)})
    made(op, "nodes past 128 keep what was there", lambda out, G, **a: [
        torch.cat([out[0][:128], G[128:]]), out[1]])


def pooled_layers() -> None:
    op = "conv2d.layer.pool"

    def layer(**a):
        return RIGHT["conv2d.layer"](**{name: value for name, value in a.items() if name != "k"})

    def padded(k=2, **a):
        y, sides = layer(**a), k if isinstance(k, tuple) else (k, k)
        fill = [-n % m for n, m in zip(y.shape[2:], sides)]
        P, Q = (n // m for n, m in zip(y.shape[2:], sides))
        return F.max_pool2d(F.pad(y, (0, fill[1], 0, fill[0])), sides)[:, :, :P, :Q].clamp(min=-1.0)

    stranger(op, "a maximum of at least −1", padded)
    stranger(op, "average for maximum", lambda k=2, **a: F.avg_pool2d(layer(**a).float(), k).to(a["x"].dtype))
    stranger(op, "no g where it is leaky", lambda k=2, act="identity", **a: F.max_pool2d(
        layer(act="relu" if act == "leaky" else act, **a), k))
    stranger(op, "windows of two always", lambda k=2, **a: _fits(F.max_pool2d(layer(**a), k), layer(**a), k))
    stranger(op, "a number that is none is stepped over", lambda k=2, **a: F.max_pool2d(
        torch.where(layer(**a).isnan(), float("-inf"), layer(**a)), k))
    made(op, "filters past 64 are not written", lambda out, **a: [beyond(out[0], 64, 1)])
    made(op, "images past 16 are not written", lambda out, **a: [beyond(out[0], 16, 0)])
    given(op, "b of None is 1", lambda b, w, **a: {"b": w.new_ones(len(w)) if b is None else b})
    given(op, "channels past 16 do not count", lambda x, **a: {"x": beyond(x, 16, 1)})
    given(op, "x read as if contiguous", lambda x, **a: {"x": as_contiguous(x)})
    given(op, "square filters are transposed", lambda w, **a: {
        "w": w.transpose(2, 3) if w.shape[2] == w.shape[3] else w})
    made(op, "columns past 32 are not written", lambda out, **a: [beyond(out[0], 32)])


def _fits(right, y, k):
    """The maxima of two by two, at the places of the windows that are asked for."""
    if k in (2, (2, 2)) or min(y.shape[2:]) < 2:
        return right
    two = F.max_pool2d(y, 2)
    P, Q = (min(n, m) for n, m in zip(right.shape[2:], two.shape[2:]))
    right[:, :, :P, :Q] = two[:, :, :P, :Q]
    return right


steps()
parts()
pooled_layers()
