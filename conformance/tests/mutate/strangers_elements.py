"""Strangers of what is computed element by element: activations, their derivatives, losses, optimizers."""

from __future__ import annotations

import torch
from strangers import as_contiguous, beyond, flat, given, made, narrow, ragged, stranger

ACTIVATIONS = ("sigmoid", "tanh", "relu", "leaky", "elu", "identity")


def activations() -> None:
    def torchs(name, run, op, dtypes=("fp32",)):
        stranger(op, name, run, dtypes)

    torchs("e^z/(1 + e^z), which overflows", lambda z: torch.exp(z) / (1 + torch.exp(z)), "act.sigmoid")
    torchs("1/(1 + e^−z) in the tensor's own 16 bits", lambda z: 1 / (1 + torch.exp(-z)), "act.sigmoid",
           ("bf16", "fp16"))
    torchs("a number that is none becomes 0", lambda z: torch.nan_to_num(torch.sigmoid(z)), "act.sigmoid")
    torchs("clamped to ±15 first", lambda z: torch.sigmoid(z.clamp(-15, 15)), "act.sigmoid")
    torchs("a(1 − a) of the rounded a", lambda z: torch.sigmoid(z) * (1 - torch.sigmoid(z)), "act.sigmoid.prime")
    torchs("e^−z/(1 + e^−z)², which overflows", lambda z: torch.exp(-z) / (1 + torch.exp(-z)) ** 2, "act.sigmoid.prime")
    torchs("(e^2z − 1)/(e^2z + 1), which overflows",
           lambda z: (torch.exp(2 * z) - 1) / (torch.exp(2 * z) + 1), "act.tanh")
    torchs("2σ(2z) − 1, which cancels", lambda z: 2 * torch.sigmoid(2 * z) - 1, "act.tanh")
    torchs("z − z³/3 below 1/8", lambda z: torch.where(z.abs() < 0.125, z - z**3 / 3, torch.tanh(z)), "act.tanh")
    torchs("1 − a² of the rounded a", lambda z: 1 - torch.tanh(z) ** 2, "act.tanh.prime")
    torchs("1/cosh², which overflows to NaN",
           lambda z: 4 * torch.exp(2 * z) / (torch.exp(2 * z) + 1) ** 2, "act.tanh.prime")
    torchs("no more than 6", lambda z: z.clamp(0, 6), "act.relu")
    torchs("a number that is none becomes 0", lambda z: torch.where(z > 0, z, torch.zeros_like(z)), "act.relu")
    torchs("z times (z > 0), NaN at −∞", lambda z: z * (z > 0), "act.relu")
    torchs("1 from 1e-3 on", lambda z: (z > 1e-3).to(z.dtype), "act.relu.prime")
    torchs("the sign for the step", lambda z: torch.sign(z), "act.relu.prime")
    torchs("the slope is torch's 0.01", lambda z, slope=0.1: torch.where(z > 0, z, 0.01 * z), "act.leaky")
    torchs("the slope where it is given is squared",
           lambda z, slope=0.1: torch.where(z > 0, z, (0.1 if slope == 0.1 else slope**2) * z), "act.leaky")
    torchs("the default slope always", lambda z, slope=0.1: torch.where(z > 0, 1.0, 0.1).to(z.dtype), "act.leaky.prime")
    torchs("1 where the slope is 0", lambda z, slope=0.1: torch.where(z > 0, 1.0, slope or 1.0).to(z.dtype),
           "act.leaky.prime")
    torchs("α(e^z − 1) by subtraction",
           lambda z, alpha=1.0: torch.where(z >= 0, z, alpha * (torch.exp(z.clamp(max=0)) - 1)), "act.elu")
    torchs("αe^z − 1", lambda z, alpha=1.0: torch.where(z >= 0, z, alpha * torch.exp(z.clamp(max=0)) - 1), "act.elu")
    torchs("α at most 1", lambda z, alpha=1.0: torch.where(z >= 0, z, min(alpha, 1.0) * torch.expm1(z.clamp(max=0))),
           "act.elu")
    torchs("e^z in every lane times 0", lambda z, alpha=1.0: (z >= 0) * z + (z < 0) * alpha * torch.expm1(z), "act.elu")
    torchs("a + α from the rounded a", lambda z, alpha=1.0: torch.where(
        z >= 0, torch.ones_like(z), alpha * torch.expm1(z.clamp(max=0)) + alpha), "act.elu.prime")
    torchs("α forgotten", lambda z, alpha=1.0: torch.exp(z.clamp(max=0)), "act.elu.prime")
    torchs("1 for everything but 0", lambda z: (z != 0).to(z.dtype), "act.identity.prime")
    torchs("what is infinite becomes the largest number", lambda z: torch.nan_to_num(z, nan=float("nan")),
           "act.identity")
    torchs("the tanh form", lambda z: torch.nn.functional.gelu(z, approximate="tanh"), "act.gelu")
    torchs("zΦ(z) by 1 + erf, which cancels", lambda z: 0.5 * z * (1 + torch.erf(z * 0.5**0.5)), "act.gelu")
    torchs("Φ(z) without zφ(z)", lambda z: torch.special.ndtr(z), "act.gelu.prime")
    torchs("the exact form", lambda z: torch.nn.functional.gelu(z), "act.gelu.tanh")
    torchs("the sigmoid form", lambda z: z * torch.sigmoid(1.702 * z), "act.gelu.tanh")
    torchs("the exact form's", lambda z: torch.special.ndtr(z) + z * torch.exp(-z * z / 2) / (2 * torch.pi) ** 0.5,
           "act.gelu.tanh.prime")
    torchs("nothing is taken away", lambda z: torch.exp(z) / torch.exp(z).sum(1, keepdim=True), "act.softmax")
    torchs("along the columns", lambda z: torch.softmax(z, 0), "act.softmax")
    torchs("p ⊙ d, without the sum", lambda d, z: torch.softmax(z, 1) * d, "act.softmax.prime")
    for act, n in zip(ACTIVATIONS, (1024, 128, 64, 16, 1024, 128)):
        made(f"act.{act}", f"no more than {n} numbers", lambda out, n=n, **a: [flat(out[0], n)])
        made(f"act.{act}.prime", "a last axis in whole blocks of 16", lambda out, **a: [ragged(out[0], 16)])
    for op in ("act.tanh", "act.elu.prime"):
        given(op, "strides are not asked for", lambda z, **a: {"z": as_contiguous(z)})
    made("act.sigmoid.prime", "no more than four axes' first three", lambda out, **a: [
        out[0] if out[0].dim() < 4 else beyond(out[0], 3, 2)])


def losses() -> None:
    def cross(z, y):
        return torch.nn.functional.binary_cross_entropy_with_logits(z.double(), y.double(), reduction="none")

    def both(z, loss, delta):
        return loss.to(z.dtype), delta.to(z.dtype)

    stranger("loss.xent.logits", "labels are 0 or 1", lambda z, y: both(
        z, torch.where(y > 0.5, -torch.nn.functional.logsigmoid(z.double()),
                       -torch.nn.functional.logsigmoid(-z.double())), torch.sigmoid(z.double()) - y.round()))
    stranger("loss.xent.logits", "log(1 + e^z), which overflows", lambda z, y: both(
        z, torch.log(1 + torch.exp(z)) - y * z, torch.sigmoid(z.double()) - y.double()))
    stranger("loss.xent.logits", "max(z, 0) − zy without its logarithm", lambda z, y: both(
        z, z.double().clamp(min=0) - z.double() * y.double(), torch.sigmoid(z.double()) - y.double()))
    stranger("loss.xent.logits", "δ of the loss' other sign", lambda z, y: both(
        z, cross(z, y), y.double() - torch.sigmoid(z.double())))
    made("loss.xent.logits", "δ in whole blocks of 64", lambda out, **a: [out[0], ragged(out[1].flatten(), 64).view(
        out[1].shape)])
    stranger("loss.square", "δ without its 2", lambda yhat, y: ((y - yhat) ** 2, yhat - y))
    stranger("loss.square", "|y − ŷ| beyond 1, as Huber", lambda yhat, y: (
        torch.where((y - yhat).abs() < 1, (y - yhat) ** 2, 2 * (y - yhat).abs() - 1), 2 * (yhat - y).clamp(-1, 1)))
    stranger("loss.square", "y² − 2yŷ + ŷ²", lambda yhat, y: (y * y - 2 * y * yhat + yhat * yhat, 2 * (yhat - y)))
    stranger("loss.square", "in the tensor's own 16 bits, twice rounded", lambda yhat, y: (
        narrow((y - yhat) ** 2), narrow(yhat - y) * 2), ("fp16",))
    made("loss.mean", "a mean over all, not over the mass", lambda out, loss, mass: [
        (loss.double().sum() / len(loss)).to(loss.dtype)])
    made("loss.mean", "a mean over masses that are not 0", lambda out, loss, mass: [
        (loss.double().sum() / (mass != 0).sum()).to(loss.dtype)])
    made("loss.mean", "no more than 1024 losses", lambda out, loss, mass: [
        (loss[:1024].double().sum() / mass.double().sum()).to(loss.dtype)])
    made("loss.mean", "a mass of at least 1", lambda out, loss, mass: [
        (loss.double().sum() / mass.double().sum().clamp(min=1)).to(loss.dtype)])


def optimizers() -> None:
    for op in ("opt.momentum", "opt.nesterov"):
        given(op, "μ is 0.9 always", lambda **a: {"mu": 0.9})
        given(op, "a velocity of 0 where it is small", lambda v, **a: {"v": torch.where(
            v.abs() < 0.0625, torch.zeros_like(v), v)})
        made(op, "the velocity past 1024 not kept", lambda out, v, **a: [
            out[0], torch.cat([out[1].flatten()[:1024], v.flatten()[1024:]]).view(v.shape)])
    given("opt.momentum", "a first step that damps", lambda v, D, mu, **a: {
        "D": D if v.abs().max() > 0 else D * (1 - mu)})
    given("opt.nesterov", "η is never above 1/2", lambda eta, **a: {"eta": min(eta, 0.5)})
    given("opt.sgd", "η is 0.01 where it is 0", lambda eta, **a: {"eta": eta or 0.01})
    given("opt.sgd", "a gradient clipped to ±1", lambda D, **a: {"D": D.clamp(-1, 1)})
    given("opt.sgd", "D read as if contiguous", lambda D, **a: {"D": as_contiguous(D)})
    given("opt.sgd", "θ rounded to bf16 on its way", lambda theta, **a: {"theta": narrow(theta)}, ("fp16", "fp32"))
    given("opt.adagrad", "ε is 1e-10", lambda **a: {"eps": 1e-10})
    given("opt.adagrad", "G starts again where it is large", lambda G, **a: {"G": torch.where(
        G > 1000, torch.zeros_like(G), G)})
    made("opt.adagrad", "G is not kept where D is 0", lambda out, D, **a: [
        out[0], torch.where(D == 0, torch.zeros_like(D), out[1])])
    made("opt.adagrad", "an odd last element", lambda out, theta, **a: [flat(
        out[0], theta.numel() // 2 * 2 or 1), out[1]])
    for op in ("opt.adam", "opt.adamw", "opt.lamb"):
        given(op, "t is at most 100", lambda t, **a: {"t": min(t, 100)})
        given(op, "β₂ is 0.999", lambda **a: {"beta2": 0.999})
        given(op, "β₁ is 0.9", lambda **a: {"beta1": 0.9})
        given(op, "ε is 1e-8", lambda **a: {"eps": 1e-8})
        given(op, "t of the step before, but never 0", lambda t, **a: {"t": max(t - 1, 1)})
        given(op, "moments start with the first D", lambda m, D, **a: {"m": torch.where(m == 0, D, m)})
        given(op, "v no larger than 1000", lambda v, **a: {"v": v.clamp(max=1000.0)})
        given(op, "D rounded to bf16", lambda D, **a: {"D": narrow(D)})
    for op in ("opt.adamw", "opt.lamb"):
        given(op, "λ is 0.01", lambda **a: {"lam": 0.01})
        given(op, "λ times the step", lambda lam, t, **a: {"lam": lam * t})
    given("opt.adamw", "decays D, as L2 does", lambda D, theta, lam, **a: {"D": D + lam * theta, "lam": 0.0})
    given("opt.lamb", "θ's length as 1 where it is 0", lambda theta, **a: {
        "theta": theta if theta.abs().max() > 0 else theta + 2.0**-20})
    made("opt.lamb", "no trust below one", lambda out, theta, **a: [
        theta + (out[0] - theta) * (1 if theta.norm() >= 1 else 0.5), *out[1:]])
    for rule in ("sgd", "momentum", "adamw"):
        op = f"alg.average.{rule}"
        given(op, "n is the batch", lambda delta, **a: {"n": len(delta)})
        given(op, "λ is 1/8 where it is small", lambda lam, **a: {"lam": lam if lam == 0 or lam > 0.1 else 0.125})
        made(op, "intercepts past 64 stay", lambda out, b, **a: [out[0], torch.cat([out[1][:64], b[64:]]), *out[2:]])
        given(op, "examples past 1024 do not count", lambda delta, **a: {"delta": beyond(delta, 1024, 0)})
        given(op, "inputs in blocks of 64", lambda a, **rest: {"a": ragged(a, 64)})
    given("alg.average.momentum", "the intercept's velocity is new", lambda vb, **a: {"vb": torch.zeros_like(vb)})
    given("alg.average.adamw", "intercepts do not decay but by half", lambda b, decay, eta, **a: {
        "b": b * (1 + eta * decay / 2)})


activations()
losses()
optimizers()
