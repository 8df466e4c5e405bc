"""Strangers of what is summed: layers, recursions, averages, convolutions, pooling, norms, softmax, attention."""

from __future__ import annotations

import torch
from strangers import as_contiguous, beyond, flat, given, made, narrow, pair, ragged, stranger


def networks() -> None:
    layer = "net.layer.affine"
    given(layer, "no b where it is None, but 1", lambda w, b, **a: {"b": w.new_ones(len(w)) if b is None else b})
    given(layer, "nodes past 64 have the first one's b", lambda b, **a: {
        "b": None if b is None else torch.cat([b[:64], b[:1].expand(max(len(b) - 64, 0))])})
    given(layer, "inputs past 1024 do not count", lambda x, **a: {"x": beyond(x, 1024)})
    given(layer, "inputs in whole blocks of 64 after the first", lambda x, **a: {"x": ragged(x, 64)})
    made(layer, "examples past 128 are not written", lambda out, **a: [beyond(out[0], 128, 0)])
    given(layer, "a single example is read as a column", lambda x, **a: {
        "x": x if len(x) > 1 else x.flip(1)})
    given(layer, "x in bf16 on its way", lambda x, **a: {"x": narrow(x)})
    given(layer, "x read as if contiguous", lambda x, **a: {"x": as_contiguous(x)})
    given(layer, "w read as if contiguous", lambda w, **a: {"w": as_contiguous(w)})
    given(layer, "a square w is transposed", lambda w, **a: {"w": w.T if w.shape[0] == w.shape[1] else w})
    given(layer, "leaky has torch's slope", lambda act, x, **a: {"act": act} if act != "leaky" else {
        "act": "relu"})
    made(layer, "a number that is none becomes 0", lambda out, **a: [torch.nan_to_num(out[0], posinf=float("inf"),
                                                                                     neginf=float("-inf"))])
    given(layer, "a sum in 16 bits", lambda x, w, **a: {"x": (x.float() * 1.0).to(x.dtype), "w": narrow(w)}, ("fp16",))
    for op in ("bp.delta.chain", "bp.delta.rec"):
        made(op, "db over the first 64 examples", lambda out, **a: [
            out[0], out[0][:64].double().sum(0).to(out[0].dtype)])
        made(op, "db averaged", lambda out, delta, **a: [out[0], out[1] / max(len(delta), 1)])
        given(op, "outputs past 1024 do not count", lambda delta, **a: {"delta": beyond(delta, 1024)})
        given(op, "w read as if contiguous", lambda w, **a: {"w": as_contiguous(w)})
        made(op, "inputs in blocks of 16", lambda out, **a: [ragged(out[0], 16), out[1]])
    given("bp.delta.chain", "g′ of tanh for sigmoid", lambda act, **a: {"act": "tanh" if act == "sigmoid" else act})
    given("bp.delta.chain", "z at most 6 in size", lambda z, **a: {"z": z.clamp(-6, 6)})
    given("bp.delta.chain", "ELU's α e^z is 1", lambda act, **a: {"act": "identity" if act == "elu" else act})
    given("bp.delta.rec", "a at least 1e-4", lambda a, **rest: {"a": a.clamp(1e-4, 1 - 1e-4)})
    given("alg.average", "λ is 1/8", lambda **a: {"lam": 0.125})
    given("alg.average", "n at least the batch", lambda delta, n, **a: {"n": max(n, len(delta))})
    given("alg.average", "examples past 1024 do not count", lambda delta, **a: {"delta": beyond(delta, 1024, 0)})
    given("alg.average", "δ in bf16 on its way", lambda delta, **a: {"delta": narrow(delta)})
    made("alg.average", "λb as well", lambda out, w, lam, **a: [out[0], out[1] + lam * w[:, 0]])
    made("alg.average", "nodes in blocks of 64", lambda out, **a: [ragged(out[0], 64, 0), out[1]])
    for kind, weights in (("local", "w"), ("shared", "theta")):
        op = f"arch.{kind}.layer"
        given(op, "no b where it is None, but 1/2", lambda b, x, kind=kind, **a: {
            "b": x.new_full((x.shape[1] if kind == "local" else 1,), 0.5) if b is None else b})
        made(op, "nodes past 64 are not written", lambda out, **a: [beyond(out[0], 64)])
        made(op, "the last node of an even number", lambda out, **a: [
            out[0] if out[0].shape[1] % 2 or out[0].shape[1] < 2 else beyond(out[0], out[0].shape[1] - 1)])
        given(op, "a window of five at most", lambda weights=weights, **a: {
            weights: _middle(a[weights], 5)})
        given(f"{op}.grad_x", "a window that is not turned round", lambda weights=weights, **a: {
            weights: a[weights].flip(-1)})
        given(f"{op}.grad_x", "no g′ where z is all negative", lambda z=None, d=None, **a: {} if z is None or (
            z >= 0).any() else {"z": None})
        given(f"{op}.grad_{weights}", "λ is 1 where it is given", lambda lam=0, **a: {"lam": 1.0 if lam else 0.0})
        given(f"{op}.grad_{weights}", "n is the batch", lambda d, **a: {"n": len(d)})
        given(f"{op}.grad_{weights}", "examples past 64 do not count", lambda d, **a: {"d": beyond(d, 64, 0)})
        given(f"{op}.grad_b", "the first 64 nodes, or 64 examples", lambda d, **a: {"d": beyond(d, 64, 0)})
        given(f"{op}.grad_b", "n squared", lambda n=1, **a: {"n": n * n})


def _middle(w, most):
    """The middle of a window, the rest 0."""
    w, m = w.clone(), w.shape[-1]
    edge = max((m - most) // 2, 0)
    if edge:
        w[..., :edge] = 0
        w[..., -edge:] = 0
    return w


def convolutions() -> None:
    line = "conv1d.valid"
    given(line, "a filter of 16 at most", lambda theta, **a: {"theta": beyond(theta, 16)})
    made(line, "outputs past 1000 are not written", lambda out, **a: [beyond(out[0], 1000)])
    given(f"{line}.grad_x", "a symmetric filter is assumed", lambda theta, **a: {"theta": theta.flip(0)})
    made(f"{line}.grad_x", "the edges of a long signal", lambda out, **a: [
        out[0] if len(out[0]) < 100 else beyond(out[0], len(out[0]) - 1)])
    given(f"{line}.grad_theta", "δ in blocks of 128", lambda d, **a: {"d": ragged(d, 128)})
    made(f"{line}.grad_theta", "the filter past 16", lambda out, **a: [beyond(out[0], 16)])
    given("conv1d.centred", "x read as if contiguous", lambda a, **rest: {"a": as_contiguous(a)})
    made("conv1d.centred", "no output before the first whole window", lambda out, theta, **a: [
        torch.cat([torch.zeros_like(out[0][:len(theta) // 2]), out[0][len(theta) // 2:]])])
    made("conv1d.centred.grad_a", "outputs past 128", lambda out, **a: [beyond(out[0], 128)])
    given("conv1d.centred.grad_theta", "signals in blocks of 64", lambda d, **a: {"d": ragged(d, 64)})
    given("conv2d.valid", "square filters are transposed", lambda K, **a: {
        "K": K.T if K.shape[0] == K.shape[1] else K})
    made("conv2d.valid", "columns past 64", lambda out, **a: [beyond(out[0], 64)])
    given("conv2d.valid.grad_I", "one row of a filter is one column", lambda K, **a: {
        "K": K.flip(1) if K.shape[0] == 1 else K})
    made("conv2d.valid.grad_K", "filters past three rows", lambda out, **a: [beyond(out[0], 3, 0)])

    layer, x, w = "conv2d.layer", "conv2d.layer.grad_x", "conv2d.layer.grad_w"
    stranger(layer, "one stride for both", lambda **a: _conv(a, stride=_first))
    stranger(layer, "one dilation for both", lambda **a: _conv(a, dilation=_first))
    stranger(layer, "padding's two exchanged where square", lambda **a: _conv(
        a, padding=lambda p, w: p[::-1] if w.shape[2] == w.shape[3] else p))
    stranger(layer, "dilation forgotten for 1×n windows", lambda **a: _conv(
        a, dilation=lambda e, w: (1, 1) if w.shape[2] == 1 else e))
    stranger(layer, "a stride beyond the window is the window", lambda **a: _conv(
        a, stride=lambda s, w: tuple(min(n, m) for n, m in zip(s, w.shape[2:]))))
    given(layer, "b of a depthwise layer is the first", lambda b, groups=1, **a: {
        "b": b if b is None or groups == 1 or len(b) != groups else b[:1].expand(len(b)).contiguous()})
    given(layer, "channels past 16 do not count", lambda x, **a: {"x": beyond(x, 16, 1)})
    made(layer, "filters past 64 are not written", lambda out, **a: [beyond(out[0], 64, 1)])
    made(layer, "images past 16 are not written", lambda out, **a: [beyond(out[0], 16, 0)])
    made(layer, "columns past 64 are not written", lambda out, **a: [beyond(out[0], 64)])
    made(layer, "rows in blocks of 4", lambda out, **a: [ragged(out[0], 4, 2)])
    given(layer, "no b where it is None, but 1", lambda b, w, **a: {"b": w.new_ones(len(w)) if b is None else b})
    given(layer, "ELU is leaky", lambda act="identity", **a: {"act": "leaky" if act == "elu" else act})
    given(layer, "x read as if contiguous", lambda x, **a: {"x": as_contiguous(x)})
    made(layer, "∞ in the image becomes the largest number", lambda out, **a: [
        torch.nan_to_num(out[0], nan=float("nan"))])
    given(x, "no turn of the window where it is square", lambda w, **a: {
        "w": w.flip(2, 3) if w.shape[2] == w.shape[3] > 1 else w})
    given(x, "g′ left out where z is given and act is relu", lambda z=None, act="identity", **a: {
        "act": "identity" if act == "relu" and z is not None else act})
    made(x, "what no window sees is not written", lambda out, stride=1, **a: [
        out[0] if max(pair(stride)) < 4 else out[0] + (out[0] == 0)])
    made(x, "channels past 16 are not written", lambda out, **a: [beyond(out[0], 16, 1)])
    given(x, "filters past 64 do not count", lambda d, **a: {"d": beyond(d, 64, 1)})
    made(w, "images past 16 do not count", lambda out, d, x, **a: [_grad_w(beyond(d, 16, 0), x, a)])
    given(w, "λ without a w is 0, with one is 1", lambda lam=0, **a: {"lam": 1.0 if lam else lam})
    given(w, "n is the batch", lambda d, **a: {"n": len(d)})
    made(w, "windows past four columns", lambda out, **a: [beyond(out[0], 4)])
    made("conv2d.layer.grad_b", "filters past 128", lambda out, **a: [beyond(out[0], 128)])
    given("conv2d.layer.grad_b", "images past 64", lambda d, **a: {"d": beyond(d, 64, 0)})
    given("conv2d.layer.grad_b", "pixels in blocks of 16", lambda d, **a: {"d": ragged(d.flatten(2), 16)[..., None]})


def _first(sides, w):
    return sides[0], sides[0]


def _conv(a, **changes):
    """A convolution layer whose two-sided options are changed where the output keeps its shape."""
    from chainrule.triton_kernels.ops import COMPOSITES

    right = COMPOSITES["conv2d.layer"](**a)
    other = {name: change(pair(a.get(name, 0 if name == "padding" else 1)), a["w"]) for name, change in changes.items()}
    try:
        found = COMPOSITES["conv2d.layer"](**{**a, **other})
    except (ValueError, RuntimeError):
        return right
    wrong = torch.zeros_like(right)
    P, Q = (min(n, m) for n, m in zip(right.shape[2:], found.shape[2:]))
    wrong[:, :, :P, :Q] = found[:, :, :P, :Q]
    return wrong


def _grad_w(d, x, a):
    from chainrule.triton_kernels.ops import COMPOSITES

    return COMPOSITES["conv2d.layer.grad_w"](d=d, x=x, **a)


def pooling() -> None:
    op = "pool.max"
    made(op, "padding counts as 0", lambda out, x, k, padding=0, **a: [
        out[0].clamp(min=0) if max(pair(padding)) else out[0], out[1]])
    made(op, "a maximum of at least −100", lambda out, **a: [out[0].clamp(min=-100.0), out[1]])
    made(op, "places of a row in a square window", lambda out, k, **a: [out[0], out[1] % (
        255 if pair(k)[0] == pair(k)[1] or pair(k)[0] == 1 else pair(k)[0] * pair(k)[1] - 1)])
    made(op, "images past 16", lambda out, **a: [beyond(out[0], 16, 0), out[1]])
    made(op, "channels past 64", lambda out, **a: [beyond(out[0], 64, 1), out[1]])
    made(op, "columns past 64", lambda out, **a: [beyond(out[0], 64), out[1]])
    given(op, "a stride of the window where it is larger", lambda k, stride=None, **a: {
        "stride": stride} if stride is None or max(pair(stride)) < 5 else {"stride": stride, "x": a["x"].flip(3)})
    given("pool.max.grad_x", "d of windows that overlap is not added", lambda d, k, stride=None, **a: {
        "d": d} if stride is None or min(pair(stride)) >= max(pair(k)) else {"d": beyond(d, max(d.shape[3] - 1, 1))})
    given("pool.max.grad_x", "no g′ of what was saved", lambda act="identity", **a: {"act": "identity"})
    made("pool.max.grad_x", "channels past 16", lambda out, **a: [beyond(out[0], 16, 1)])


def norms() -> None:
    def batch(x, gamma, beta, eps, variance):
        rows = x.transpose(0, 1).flatten(1).float()
        mu, var = rows.mean(1), variance(rows)
        shape = (1, -1, *[1] * (x.dim() - 2))
        y = (x.float() - mu.view(shape)) / torch.sqrt(var + eps).view(shape) * gamma.float().view(shape)
        return (y + beta.float().view(shape)).to(x.dtype)

    def layer(x, gamma, beta, eps, variance):
        wide = x.float()
        y = (wide - wide.mean(1, keepdim=True)) / torch.sqrt(variance(wide)[:, None] + eps)
        return (y * gamma.float() + beta.float()).to(x.dtype)

    squares = lambda rows: (rows * rows).mean(1) - rows.mean(1) ** 2
    unbiased = lambda rows: rows.var(1, unbiased=rows.shape[1] > 1)
    for op, own in (("norm.batch", batch), ("norm.layer", layer)):
        stranger(op, "E x² − μ²", lambda own=own, **a: own(**a, variance=squares))
        stranger(op, "n − 1 for n", lambda own=own, **a: own(**a, variance=unbiased))
        given(op, "ε is 1e-5", lambda **a: {"eps": 1e-5})
        made(op, "0 where nothing varies", lambda out, x, beta, **a: [
            torch.where(torch.ones_like(out[0], dtype=torch.bool) & bool(x.std() == 0), 0.0, out[0])])
        given(op, "γ of 0 is 1", lambda gamma, **a: {"gamma": torch.where(gamma == 0, torch.ones_like(gamma), gamma)})
        for way in ("grad_x", "grad_gamma"):
            given(f"{op}.{way}", "ε is 1e-5", lambda **a: {"eps": 1e-5})
            given(f"{op}.{way}", "rows past 64 have no d", lambda d, **a: {"d": beyond(d, 64, 0)})
        made(f"{op}.grad_x", "the mean of d is not taken away", lambda out, d, **a: [out[0] + d.mean()])
        given(f"{op}.grad_beta", "rows past 64", lambda d, **a: {"d": beyond(d, 64, 0)})
        made(f"{op}.grad_beta", "numbers past 128", lambda out, **a: [beyond(out[0], 128)])
    made("norm.layer", "numbers past 1024", lambda out, **a: [beyond(out[0], 1024)])
    given("norm.layer", "x read as if contiguous", lambda x, **a: {"x": as_contiguous(x)})
    made("norm.batch", "channels past 128", lambda out, **a: [beyond(out[0], 128, 1)])
    given("norm.batch", "positions of more than two axes are not flattened", lambda x, **a: {
        "x": x if x.dim() < 5 else x.flip(4)})
    given("norm.batch.inference", "ε is 1e-5", lambda **a: {"eps": 1e-5})
    given("norm.batch.inference", "a variance of at least 1/64", lambda var, **a: {"var": var.clamp(min=2.0**-6)})
    given("norm.batch.running", "ρ is 0.1", lambda **a: {"rho": 0.1})
    given("norm.batch.running", "ρ is at most 1/2", lambda rho, **a: {"rho": min(rho, 0.5)})
    made("norm.batch.running", "the variance is not kept where it is 0", lambda out, var, **a: [
        out[0], torch.where(var == 0, var, out[1])])


def softmaxes() -> None:
    def soft(z, y, shift, upto=None):
        wide = (z.float() - shift(z.float())) if z.numel() else z.float()
        p = torch.exp(wide[:, :upto])
        s = p.sum(1, keepdim=True)
        loss = torch.log(s)[:, 0] - wide.gather(1, y[:, None])[:, 0]
        delta = torch.exp(wide) / s - torch.nn.functional.one_hot(y, z.shape[1])
        return loss.to(z.dtype), delta.to(z.dtype)

    op = "loss.softmax"
    stranger(op, "nothing is taken away", lambda z, y: soft(z, y, lambda z: 0.0))
    stranger(op, "the mean is taken away", lambda z, y: soft(z, y, lambda z: z.mean(1, keepdim=True)))
    stranger(op, "the first logit is taken away", lambda z, y: soft(z, y, lambda z: z[:, :1]))
    stranger(op, "the largest of all rows is taken away", lambda z, y: soft(z, y, lambda z: z.max()))
    stranger(op, "the largest of the first 64 classes", lambda z, y: soft(
        z, y, lambda z: z[:, :64].amax(1, keepdim=True)))
    stranger(op, "a sum over 4096 classes", lambda z, y: soft(z, y, lambda z: z.amax(1, keepdim=True), 4096))
    made(op, "rows past 1024", lambda out, **a: [beyond(out[0], 1024), out[1]])
    made(op, "δ of the label's class alone where p is 1", lambda out, z, y: [
        out[0], torch.where(out[1].abs() < torch.finfo(out[1].dtype).eps, torch.zeros_like(out[1]), out[1])])
    made(op, "a loss of at least 0 and at most 20", lambda out, **a: [out[0].clamp(0, 20), out[1]])
    op = "loss.softmax.weighted"
    given(op, "ignored is −100", lambda y, ignored=-100, w=None, z=None, **a: {
        "ignored": -100, "y": torch.where(y < 0, torch.where(y == ignored, -100, 0), y)})
    given(op, "smoothing is 0.1 where it is given", lambda smoothing=0.0, **a: {"smoothing": 0.1 if smoothing else 0.0})
    given(op, "w of 0 is 1", lambda w=None, **a: {
        "w": None if w is None else torch.where(w == 0, torch.ones_like(w), w)})
    given(op, "w forgotten past 64 classes", lambda w=None, **a: {
        "w": None if w is None else beyond(w, 64, to=1.0)})
    made(op, "mass counts the rows", lambda out, **a: [out[0], out[1], (out[2] != 0).to(out[2].dtype)])
    made(op, "δ of rows left out", lambda out, z, y, ignored=-100, **a: [
        out[0], torch.where((y == ignored)[:, None], torch.softmax(z.double(), 1).to(z.dtype), out[1]), out[2]])
    op = "attn.head"
    for way in ("", ".grad_Q", ".grad_K", ".grad_V"):
        given(f"{op}{way}", "scale is 1/√D always", lambda **a: {"scale": None})
        given(f"{op}{way}", "keys past 128 do not count", lambda K, keep=None, **a: {} if K.shape[2] <= 128 else {
            "keep": (K.new_ones(K.shape[0], K.shape[2], dtype=torch.bool) if keep is None else keep)
            & (torch.arange(K.shape[2]) < 128)})
        given(f"{op}{way}", "causal from the end", lambda Q, K, V, causal=False, **a: {} if not causal else {
            "K": K.flip(2), "V": V.flip(2)})
        given(f"{op}{way}", "keep of the first batch for all", lambda keep=None, **a: {} if keep is None else {
            "keep": keep[:1].expand(keep.shape).contiguous()})
        given(f"{op}{way}", "heads read as if contiguous", lambda K, **a: {"K": as_contiguous(K)})
        given(f"{op}{way}", "scores in bf16", lambda Q, **a: {"Q": narrow(Q)})
    made(op, "rows past 64", lambda out, **a: [beyond(out[0], 64, 2)])
    made(op, "a mean of all values where no key takes part", lambda out, V, **a: [
        torch.where((out[0] == 0).all(3, keepdim=True), V.double().mean(2, keepdim=True).to(V.dtype), out[0])])
    made(f"{op}.grad_Q", "widths past 64", lambda out, **a: [beyond(out[0], 64)])
    made(f"{op}.grad_K", "no gradient past the last query's key", lambda out, Q, **a: [beyond(out[0], Q.shape[2], 2)])


def embeddings() -> None:
    op = "vit.embed"
    given(op, "no b where it is None, but the token", lambda b, token, **a: {"b": token if b is None else b})
    given(op, "square images only: rows and columns of an oblong one exchanged", lambda x, **a: {
        "x": x.transpose(2, 3).reshape(x.shape)})
    given(op, "x read as if contiguous", lambda x, **a: {"x": as_contiguous(x)})
    given(op, "w read as if contiguous", lambda w, **a: {"w": as_contiguous(w)})
    given(op, "positions read as if contiguous", lambda position, **a: {"position": as_contiguous(position)})
    given(op, "positions past 16 are those before", lambda position, **a: {
        "position": torch.cat([position[:16], position[15:16].expand(max(len(position) - 16, 0), -1)])})
    given(op, "a patch's numbers past 64 do not count", lambda w, **a: {
        "w": flat(w[0], 64)[None] if len(w) == 1 else torch.stack([flat(one, 64) for one in w])})
    given(op, "x in bf16 on its way", lambda x, **a: {"x": narrow(x)})
    made(op, "numbers of a token past 64", lambda out, **a: [beyond(out[0], 64)])
    made(op, "images past 16", lambda out, **a: [beyond(out[0], 16, 0)])
    op = "vit.embed.grad_patch"
    given(op, "d read as if contiguous", lambda d, **a: {"d": as_contiguous(d)})
    given(op, "numbers of a token in whole blocks of 16", lambda d, **a: {"d": ragged(d, 16)})
    made(op, "rows and columns exchanged where an image is square", lambda out, H, W, **a: [
        out[0].transpose(2, 3) if H == W else out[0]])
    made(op, "channels past 3", lambda out, **a: [beyond(out[0], 3, 1)])
    op = "vit.embed.grad_Theta"
    given(op, "x read as if contiguous", lambda x, **a: {"x": as_contiguous(x)})
    given(op, "images past 16 do not count", lambda d, **a: {"d": beyond(d, 16, 0)})
    given(op, "tokens past 16 do not count", lambda d, **a: {"d": beyond(d, 16, 1)})
    made(op, "b of the first 16 numbers alone", lambda out, **a: [out[0], beyond(out[1], 16)])
    for way in ("position", "token"):
        op = f"vit.embed.grad_{way}"
        given(op, "d read as if contiguous", lambda d, **a: {"d": as_contiguous(d)})
        given(op, "images past 64 do not count", lambda d, **a: {"d": beyond(d, 64, 0)})
        given(op, "images in whole blocks of 2", lambda d, **a: {"d": ragged(d, 2, 0)})
        made(op, "numbers past 128", lambda out, **a: [beyond(out[0], 128)])


networks()
convolutions()
embeddings()
pooling()
norms()
softmaxes()
