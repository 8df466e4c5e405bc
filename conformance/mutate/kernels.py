"""Wrong Triton kernels: ours, with one line edited, run through the simulator like any backend.

Each edit must match its kernel's source exactly once, so an edit whose anchor has gone is noticed and not counted.
"""

from __future__ import annotations

import ast
import atexit
import importlib.util
import shutil
import sys
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from types import ModuleType
from unittest import mock

from attrs import field, frozen

from ... import triton_kernels
from ...triton_kernels.ops import module_of
from ..backend import Backend
from ..backends.triton import ELEMENTARY
from ..judging.judge import judge
from ..judging.verdict import FAIL, Verdict
from .planted import ordered


@frozen
class Edit:
    """Replace `old` by `new` in a kernel's module, and judge this op. `rational`: exact data alone must show it."""

    module: str
    op: str
    name: str
    old: str
    new: str
    rational: bool = True
    size: str = field(default="", kw_only=True)          # a word of the case to start with, where one shows it best

    def __str__(self) -> str:
        return f"{self.op}: {self.name}"


def _file(module: str) -> Path:
    return Path(str(triton_kernels.__file__)).parent / f"{module.replace('.', '/')}.py"


def source(module: str) -> str:
    return _file(module).read_text(encoding="utf-8")


def edited(edit: Edit) -> ModuleType:
    """The module that starts the op's kernel, executed anew with the edit in place, as is every module between; or the
    edited module alone, where the op's does not need it."""
    return executed_anew(edit.module, _text(edit), module_of(edit.op))


def executed_anew(changed: str, text: str, home: str) -> ModuleType:
    """The module `home`, in which `changed` has this text; or the changed module alone, as above."""
    fresh = all_anew(changed, text, home)
    return fresh.get(home, fresh[changed])


def all_anew(changed: str, text: str, home: str) -> dict[str, ModuleType]:
    """The changed module with this text, and every module through which `home` imports it, executed anew."""
    fresh: dict[str, ModuleType] = {}
    modules = above(changed, home)
    for module in modules:
        importlib.import_module(f"{triton_kernels.__name__}.{module}")        # ours, before any is replaced
    with ExitStack() as stack:
        for module in modules:
            fresh[module] = _executed(module, text if module == changed else source(module), stack)
    return fresh


def _text(edit: Edit) -> str:
    text = source(edit.module)
    if (times := text.count(edit.old)) != 1:
        raise ValueError(f"{edit}: {edit.old!r} stands {times} times in {_file(edit.module).name}, not once")
    return text.replace(edit.old, edit.new)


def _executed(module: str, text: str, stack: ExitStack) -> ModuleType:
    """The module from this text, in the place of ours until the stack is left."""
    place = Path(tempfile.mkdtemp(prefix="-", dir=_folder())) / f"{module}.py"
    place.write_text(text)
    ours = f"{triton_kernels.__name__}.{module}"
    package, _, leaf = ours.rpartition(".")
    spec = importlib.util.spec_from_file_location(f"{package}.edited_{place.parent.name.rpartition('-')[2]}", place)
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = found
    spec.loader.exec_module(found)
    # not patch.dict, which would also forget every other module that is imported meanwhile
    stack.callback(sys.modules.__setitem__, ours, sys.modules[ours])
    sys.modules[ours] = found
    stack.enter_context(mock.patch.object(sys.modules[package], leaf, found))
    return found


@cache
def _folder() -> Path:
    """Where edited modules lie as long as this process may read their source; nothing of it is left behind."""
    folder = tempfile.mkdtemp(prefix="chainrule-edited-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def above(module: str, home: str) -> list[str]:
    """The module, and every one through which `home` imports it, lowest first."""
    order: list[str] = []

    def reaches(one: str) -> bool:
        found = [reaches(other) for other in _imports(one)]         # all of them: each enters its own place
        if one == module or any(found):
            if one not in order:
                order.append(one)
            return True
        return False

    reaches(home)
    return order or [module]


@cache
def _imports(module: str) -> tuple[str, ...]:
    """The modules of kernels that this one imports as it is executed."""
    package = module.split(".")[:-1]
    names: list[str] = []
    for node in ast.parse(source(module)).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            base = [*package[: len(package) - node.level + 1], *(node.module or "").split(".")]
            names += [".".join(filter(None, [*base, one])) for one in ("", *(alias.name for alias in node.names))]
    return tuple(name for name in names if name and _file(name).is_file())


def backend_with(edit: Edit) -> Backend:
    backend = Backend("edited", device="cuda", kernels=True, elementary=ELEMENTARY)
    backend.op(edit.op)(edited(edit).OPS[edit.op])
    return backend


def hunt(edit: Edit, tiers: tuple[str, ...] = ("T0", "T1", "T3")) -> Verdict | None:
    """The verdict that catches the edited kernel, or None."""
    backend = backend_with(edit)
    chosen = ordered(edit.op, tiers, ("fp32", "fp16"))
    by_tier = sorted(chosen, key=lambda case: (case.tier, edit.size not in case.id))
    for case in by_tier:
        verdict = judge(case, backend, "simulated")
        if verdict.state == FAIL:
            return verdict
    return None


_LAYER, _CHAIN, _AVERAGE = "net.layer.affine", "bp.delta.chain", "alg.average"
_LOOP = "    for start in range(0, K, BK):\n        inside = k < K - start"
_SOFTMAX, _WEIGHTED = "loss.softmax", "loss.softmax.weighted"

EDITS = (
    Edit("blocks.tiles", _LAYER, "last K block dropped", _LOOP, _LOOP.replace("0, K, BK", "0, K // BK * BK, BK")),
    Edit("blocks.tiles", _CHAIN, "last K block dropped", _LOOP, _LOOP.replace("0, K, BK", "0, K // BK * BK, BK")),
    Edit("blocks.tiles", _AVERAGE, "last K block dropped", _LOOP, _LOOP.replace("0, K, BK", "0, K // BK * BK, BK")),
    Edit("blocks.tiles", _LAYER, "K mask missing on x", "mask=(rm < M)[:, None] & inside[None, :]",
         "mask=(rm < M)[:, None]"),
    Edit("blocks.tiles", _LAYER, "row mask missing on x", "mask=(rm < M)[:, None] & inside[None, :]",
         "mask=inside[None, :]"),
    Edit("blocks.tiles", _LAYER, "fill of masked lanes missing",
         "tile_b = tl.load(to_b, mask=inside[:, None] & (rn < N)[None, :], other=0.0)",
         "tile_b = tl.load(to_b, mask=inside[:, None] & (rn < N)[None, :])"),
    Edit("blocks.tiles", _LAYER, "pointer of x not advanced", "        to_a += step_a\n", ""),
    Edit("blocks.tiles", _LAYER, "accumulator overwritten",
         "total = tl.dot(tile_a, tile_b, total, input_precision=PRECISION)",
         "total = tl.dot(tile_a, tile_b, input_precision=PRECISION)"),
    Edit("blocks.tiles", _LAYER, "tf32 for ieee",
         "total, input_precision=PRECISION)", 'total, input_precision="tf32")'),
    Edit("blocks.tiles", _LAYER, "fp16 accumulator",
         "total = tl.dot(tile_a, tile_b, total, input_precision=PRECISION)",
         "total = tl.dot(tile_a, tile_b, total, input_precision=PRECISION).to(tl.float16).to(tl.float32)"),
    Edit("layers.kernels", _LAYER, "Θ transposed", "M, N, K, x_m, x_k, w_k, w_n, BM, BN",
         "M, N, K, x_m, x_k, w_n, w_k, BM, BN"),
    Edit("layers.kernels", _LAYER, "last column unwritten",
         "    inside = (rm < M)[:, None] & (rn < N)[None, :]\n    if KEEP_Z:",
         "    inside = (rm < M)[:, None] & (rn < N - 1)[None, :]\n    if KEEP_Z:"),
    Edit("layers.kernels", _LAYER, "column mask missing on the result",
         "    inside = (rm < M)[:, None] & (rn < N)[None, :]\n    if KEEP_Z:",
         "    inside = (rm < M)[:, None] & (rn < N + BN)[None, :]\n    if KEEP_Z:"),
    Edit("layers.kernels", _LAYER, "bias missing", "        z += tl.load(bias", "        unused = tl.load(bias"),
    Edit("layers.kernels", _LAYER, "the input x overwritten", "    tl.store(out + at, G(z",
         "    tl.store(x + rm.to(tl.int64)[:, None] * x_m + tl.zeros_like(rn)[None, :],"
         " tl.zeros_like(z).to(x.dtype.element_ty), mask=inside & (rn == 0)[None, :])\n    tl.store(out + at, G(z"),
    Edit("blocks.tiles", _LAYER, "tiles visited in the wrong group",
         "return group * GROUP + inside % height, inside // height",
         "return group * GROUP + inside % GROUP, inside // GROUP", size="64x129x66"),
    Edit("layers.kernels", _LAYER, "every tile is the first", "    tm, tn = tile_of(tl.program_id(0), M, N, BM, BN)\n"
         "    rm, rn = tm * BM + tl.arange(0, BM), tn * BN + tl.arange(0, BN)\n    z = product",
         "    tm, tn = tile_of(tl.program_id(0) * 0, M, N, BM, BN)\n"
         "    rm, rn = tm * BM + tl.arange(0, BM), tn * BN + tl.arange(0, BN)\n    z = product", size="64x129x66"),
    Edit("layers.kernels", _CHAIN, "g′ missing", "d = chained * G(s, tl.cast(p, tl.float32))", "d = chained"),
    Edit("layers.kernels", _CHAIN, "saved value for g′", "d = chained * G(s, tl.cast(p, tl.float32))",
         "d = chained * s"),
    Edit("layers.kernels", _CHAIN, "g′ of the wrong row",
         "rm.to(tl.int64)[:, None] * s_m + rn.to(tl.int64)[None, :] * s_n",
         "(rm ^ 1).to(tl.int64)[:, None] * s_m + rn.to(tl.int64)[None, :] * s_n"),
    Edit("layers.kernels", _CHAIN, "db of the first row block only", "tl.store(partial + tm.to(tl.int64) * N + rn,",
         "tl.store(partial + tm.to(tl.int64) * N + rn, (tm == 0).to(tl.float32) *", size="64x129x66"),
    Edit("layers.kernels", _CHAIN, "partial sums in one row: a race", "tl.store(partial + tm.to(tl.int64) * N + rn,",
         "tl.store(partial + rn,", size="64x129x66"),
    Edit("layers.kernels", "bp.delta.rec", "sign flipped", "d = chained * G(s, tl.cast(p, tl.float32))",
         "d = -chained * G(s, tl.cast(p, tl.float32))"),
    Edit("layers.kernels", "bp.delta.rec", "saved a for a(1 − a)", "d = chained * G(s, tl.cast(p, tl.float32))",
         "d = chained * s"),
    Edit("layers.kernels", _AVERAGE, "1/n missing", "    value = divided(total, n)\n", "    value = total\n"),
    Edit("layers.kernels", _AVERAGE, "n − 1 for n", "    n, lam = tl.cast(n, tl.float32), tl.cast(lam, tl.float32)",
         "    n, lam = tl.cast(n, tl.float32) - 1.0, tl.cast(lam, tl.float32)"),
    Edit("blocks.tiles", _AVERAGE, "2λ for λ", "return mean + lam * w", "return mean + 2.0 * lam * w"),
    Edit("blocks.tiles", _AVERAGE, "λ missing", "return mean + lam * w", "return mean"),
    Edit("layers.kernels", _AVERAGE, "intercept regularised", "divided(summed, n).to(Db",
         "(divided(summed, n) + lam).to(Db"),
    Edit("layers.kernels", _AVERAGE, "intercepts not averaged", "divided(summed, n).to(Db", "summed.to(Db"),
    Edit("layers.kernels", _AVERAGE, "Θ transposed", "rm.to(tl.int64)[:, None] * w_m + rn.to(tl.int64)[None, :] * w_n",
         "rm.to(tl.int64)[:, None] * w_n + rn.to(tl.int64)[None, :] * w_m"),
    Edit("layers.kernels", _AVERAGE, "intercepts written by every column", "if INTERCEPTS and tn == 0:\n",
         "if INTERCEPTS and tn >= 0:\n",
         rational=False, size="64x129x66"),
    Edit("updates.sgd", "opt.sgd", "ascent", "return theta - eta * D", "return theta + eta * D"),
    Edit("updates.sgd", "opt.sgd", "η missing", "return theta - eta * D", "return theta - D"),
    Edit("losses.kernels", "loss.square", "δ without the 2", "return 2.0 * (yhat - y)", "return yhat - y"),
    Edit("losses.kernels", "loss.square", "sign of δ", "return 2.0 * (yhat - y)", "return 2.0 * (y - yhat)"),
    Edit("losses.kernels", "loss.xent.logits", "δ = y − a for a − y", "return tl.where(z >= 0, (1.0 - y) - s, s - y)",
         "return -tl.where(z >= 0, (1.0 - y) - s, s - y)", False),
    Edit("losses.kernels", "loss.xent.logits", "|z| missing", "log1p(exp(-tl.abs(z)))\n", "log1p(exp(-z))\n", False),
    Edit("losses.kernels", _SOFTMAX, "largest logit not subtracted",
         "tl.where(hit, 0.0, exp(x.to(tl.float32) - largest[:, None]))",
         "tl.where(hit, 0.0, exp(x.to(tl.float32)))", False),
    Edit("losses.kernels", _SOFTMAX, "class off by one", "hit = k[None, :] == target[:, None]",
         "hit = k[None, :] == target[:, None] + 1", False),
    Edit("losses.kernels", _SOFTMAX, "lanes beyond K counted", 'mask=inside, other=-float("inf"))\n    z_target',
         "mask=inside, other=0.0)\n    z_target", False),
    Edit("losses.kernels", _SOFTMAX, "the target's logit of the first row", "to_row + target * z_k",
         "z + target * z_k", False),
    Edit("losses.kernels", _SOFTMAX, "the target among the others", "tl.where(hit, 0.0, exp(x",
         "tl.where(hit & False, 0.0, exp(x", False),
    Edit("losses.kernels", _SOFTMAX, "offset of a row in classes of the tile",
         "at_delta = r.to(tl.int64)[:, None] * K + k",
         "at_delta = r.to(tl.int64)[:, None] * CLASSES + k", False),
    Edit("losses.kernels", _WEIGHTED, "an example left out counted", "own = tl.where(counted, 1.0, 0.0)",
         "own = tl.where(counted, 1.0, 1.0)", False),
    Edit("losses.kernels", _WEIGHTED, "weight of the first class", "w + target * w_0, mask=legal & counted",
         "w + 0 * target * w_0, mask=legal & counted", False),
    Edit("losses.kernels", _WEIGHTED, "Σ w for w in the smoothed δ", "share * (p * W - w)",
         "share * (p - 1.0) * W", False),
    Edit("losses.kernels", _WEIGHTED, "gaps unweighted", "weights[None, :] * away", "away",
         False),
    Edit("signals.conv1d", "conv1d.valid", "filter flipped",
         "        f = tl.load(filter + j * f_0,", "        f = tl.load(filter + (taps - 1 - j) * f_0,"),
    Edit("signals.conv1d", "conv1d.valid", "window off by one", "t = i[:, None] + SIGN * j[None, :] + shift",
         "t = i[:, None] + SIGN * j[None, :] + shift + 1"),
    Edit("signals.conv1d", "conv1d.valid", "last tap dropped", "(j < taps)[None, :] & (t >= 0)",
         "(j < taps - 1)[None, :] & (t >= 0)"),
    Edit("signals.conv1d", "conv1d.valid.grad_x", "no bounds of the signal",
         "(j < taps)[None, :] & (t >= 0) & (t < length)",
         "(j < taps)[None, :]"),
    Edit("signals.conv1d", "conv1d.valid.grad_x", "filter not flipped",
         "correlate(\"conv1d.valid.grad_x\", theta, d, outputs, -1, 0)",
         "correlate(\"conv1d.valid.grad_x\", theta.flip(0), d, outputs, -1, 0)"),
    Edit("signals.conv1d", "conv1d.centred", "padding on the right only",
         "return correlate(\"conv1d.centred\", theta, a, a.shape[0], 1, -h)",
         "return correlate(\"conv1d.centred\", theta, a, a.shape[0], 1, 0)"),
    Edit("signals.conv1d", "conv1d.centred.grad_a", "shifted the wrong way", "d, d.shape[0], -1, h)",
         "d, d.shape[0], -1, -h)"),
    Edit("signals.conv2d", "conv2d.valid", "filter transposed", "filter + m * f_0 + n * f_1",
         "filter + n * f_0 + m * f_1"),
    Edit("signals.conv2d", "conv2d.valid", "filter flipped", "filter + m * f_0 + n * f_1,",
         "filter + (taps - 1 - t) * f_1,"),
    Edit("signals.conv2d", "conv2d.valid", "image read with its axes swapped", "image + u * i_0 + v * i_1",
         "image + u * i_1 + v * i_0"),
    Edit("signals.conv2d", "conv2d.valid", "rows and columns of the output swapped", "i, j = p // columns, p % columns",
         "j, i = p // columns, p % columns"),
    Edit("signals.conv2d", "conv2d.valid.grad_I", "not transposed: the forward sum again",
         "checks.conv2d_valid_grad_I(d, K), -1)",
         "checks.conv2d_valid_grad_I(d, K), 1)"),
    Edit("signals.conv2d", "conv2d.valid.grad_K", "no mask on the taps", "mask=t < taps, other=0.0",
         "mask=t >= 0, other=0.0"),
    Edit("activations.kernels", "act.sigmoid", "no absolute value: overflows",
         "    e = exp(-tl.abs(z))\n    return tl.where(z >= 0, 1.0, e) / (1.0 + e)",
         "    e = exp(-z)\n    return 1.0 / (1.0 + e) + 0.0 * e", False),
    Edit("activations.kernels", "act.tanh", "expm1 as exp − 1: cancels near 0", "t = expm1(-2.0 * tl.abs(z))",
         "t = exp(-2.0 * tl.abs(z)) - 1.0", False),
    Edit("activations.kernels", "act.elu", "expm1 as exp − 1: cancels near 0", "p * expm1(tl.where(z >= 0, 0.0, z))",
         "p * (exp(tl.where(z >= 0, 0.0, z)) - 1.0)", False),
    Edit("activations.kernels", "act.elu.prime", "the discarded branch overflows",
         "return tl.where(z < 0, p * exp(tl.where(z < 0, z, 0.0)), 1.0)",
         "return (z >= 0).to(tl.float32) + (z < 0).to(tl.float32) * p * tl.exp(z)", False),
    Edit("activations.kernels", "act.relu", "drops NaN", "tl.maximum(z, 0.0, propagate_nan=tl.PropagateNan.ALL)",
         "tl.maximum(z, 0.0)", False),
    Edit("activations.kernels", "act.leaky", "slope squared", "return tl.where(z > 0, z, p * z)",
         "return tl.where(z > 0, z, p * p * z)", False),
    Edit("updates.kernels", "opt.adam", "ε inside the root", "(tl.sqrt(v / bias2) + eps)", "tl.sqrt(v / bias2 + eps)",
         False),
    Edit("updates.kernels", "opt.adam", "bias correction missing", "return m / bias1 / (tl.sqrt(v / bias2) + eps)",
         "return m / (tl.sqrt(v) + eps)", False),
    Edit("updates.kernels", "opt.adagrad", "ε inside the root", "eta * D / (tl.sqrt(m) + eps)",
         "eta * D / tl.sqrt(m + eps)", False),
    Edit("updates.kernels", "opt.nesterov", "plain momentum", "eta * (D + beta1 * m)", "eta * m"),
    Edit("updates.kernels", "opt.lamb", "trust ratio of the wrong norm: of r without λθ",
         "u = tl.where(inside, direction(m, v, bias1, bias2, eps) + lam * theta, 0.0)",
         "u = tl.where(inside, direction(m, v, bias1, bias2, eps), 0.0)", False),
    Edit("updates.kernels", "opt.lamb", "step off by one", "t = tl.load(counter) + 1.0\n    _, lam",
         "t = tl.load(counter) + 2.0\n    _, lam", False),
    Edit("updates.kernels", "opt.adam", "step off by one", "t = tl.load(counter) + 1.0\n    eta, lam",
         "t = tl.load(counter) + 2.0\n    eta, lam", False),
    Edit("updates.kernels", "opt.adam", "1 − β₂ᵗ in float32", "bias2 = 1.0 - tl.exp(t * tl.log(beta2))",
         "bias2 = (1.0 - tl.exp(t * tl.log(beta2)).to(tl.float32)).to(tl.float64)", False),
    Edit("updates.kernels", "opt.adamw", "decay enters the moments",
         "m, v = moments(D, m, v, beta1, share1, beta2, share2)\n    return theta - eta * (direction(",
         "m, v = moments(D + lam * theta, m, v, beta1, share1, beta2, share2)\n    return theta - eta * (direction(",
         False),
    Edit("updates.kernels", "opt.momentum", "the ragged tail left out", "    if whole < count:\n        update_block(",
         "    if whole > count:\n        update_block("),
    Edit("updates.kernels", "opt.lamb", "trust ratio upside down",
         "tl.sqrt(theta_squares) / tl.sqrt(tl.where(given, u_squares, 1.0))",
         "tl.sqrt(u_squares) / tl.sqrt(tl.where(given, theta_squares, 1.0))", False),
    Edit("norms.kernels", "norm.batch", "squares not about the mean",
         "apart = tl.where(inside, tile - its_mean[None, :], 0.0)",
         "apart = tl.where(inside, tile, 0.0)"),
    Edit("norms.kernels", "norm.batch", "masked lanes counted",
         "apart = tl.where(inside, tile - its_mean[None, :], 0.0)",
         "apart = tile - its_mean[None, :]"),
    Edit("norms.layer", "norm.layer", "masked lanes counted", "away = tl.where(inside, tile - mu[:, None], 0.0)",
         "away = tile - mu[:, None]"),
    Edit("norms.layer", "norm.layer", "n is the tile's width", "    mu = tl.div_rn(tl.sum(tile, 1), n)",
         "    mu = tl.sum(tile, 1) / COLUMNS"),
    Edit("norms.layer", "norm.layer.grad_x", "m₂ missing", "(g - m1 - hat * m2) * s", "(g - m1) * s"),
    Edit("norms.layer", "norm.layer.grad_gamma", "1/s missing", "slopes * ((tile - mu) * s), 0.0), 0)",
         "slopes * (tile - mu), 0.0), 0)"),
    Edit("attention.kernels", "attn.head", "running maximum from 0", "m = tl.full((BM,), -float(\"inf\"), tl.float32)",
         "m = tl.zeros((BM,), tl.float32)", False),
    Edit("attention.kernels", "attn.head", "padded keys counted as e⁰",
         "z = tl.where(taking_part(s, t, S, there, CAUSAL), z, -float(\"inf\"))", ""),
    Edit("attention.kernels", "attn.head.grad_K", "masked key leaking", "B = tl.where(part, P * (g - M[None, :]), 0.0)",
         "B = share(z, logs[None, :]) * (g - M[None, :])"),
    Edit("attention.kernels", "attn.head.grad_Q", "M missing", "share(z, logs[:, None]) * (g - M[:, None])",
         "share(z, logs[:, None]) * g"),
    Edit("patches.kernels", "vit.embed", "positions shifted by one", "at = t.to(tl.int64)[:, None] * p_s[0]",
         "at = tl.maximum(t - 1, 0).to(tl.int64)[:, None] * p_s[0]"),
    Edit("patches.kernels", "vit.embed", "patch t for token t", "tl.maximum(t - 1, 0), across",
         "t % (tokens - 1), across"),
    Edit("patches.kernels", "vit.embed", "class token with the intercept", "other[None, :], first[None, :]",
         "other[None, :], first[None, :] + other[None, :]"),
    Edit("patches.kernels", "vit.embed", "columns before rows", "row, column = p // across * P, p % across * P",
         "row, column = p % across * P, p // across * P"),
    Edit("patches.kernels", "vit.embed", "last block of a patch dropped", "for start in range(0, K, BK):",
         "for start in range(0, K - BK, BK):"),
    Edit("patches.kernels", "vit.embed.grad_patch", "the class token's row", "(p + 1).to(tl.int64) * d_s[1])[:, None]",
         "p.to(tl.int64) * d_s[1])[:, None]"),
    Edit("patches.kernels", "vit.embed.grad_patch", "last number of a token dropped", "for start in range(0, D, BK):",
         "for start in range(0, D - 1, BK):"),
    Edit("patches.kernels", "vit.embed.grad_Theta", "the class token's row",
         "at = b.to(tl.int64) * d_s[0] + (p + 1).to(tl.int64) * d_s[1]",
         "at = b.to(tl.int64) * d_s[0] + p.to(tl.int64) * d_s[1]"),
    Edit("patches.kernels", "vit.embed.grad_Theta", "last patch dropped", "for start in range(0, patches, BK):",
         "patches -= 1\n    for start in range(0, patches, BK):"),
    Edit("patches.kernels", "vit.embed.grad_position", "last image dropped", "for _ in range(images):",
         "for _ in range(images - 1):"),
    Edit("patches.kernels", "vit.embed.grad_token", "written by the second row", "mask=inside & (t == 0)",
         "mask=inside & (t == 1)"),
    Edit("norms.kernels", "norm.batch.running", "σ̄² not unbiased", "tl.div_rn(m2, count - 1.0)",
         "tl.div_rn(m2, count)", False),
    Edit("norms.kernels", "norm.batch.grad_x", "m₂ missing", "(d - m1 - (x - mean) * rstd * m2)", "(d - m1)"),
    Edit("norms.kernels", "norm.batch.grad_gamma", "1/s missing", "((tile - m[None, :]) * s[None, :])",
         "(tile - m[None, :])"),
    Edit("bands.kernels", "arch.local.layer", "window turned round", "t = i - turn * ((m - 1) // 2)\n",
         "t = i + turn * ((m - 1) // 2)\n    turn: tl.constexpr = -turn\n"),
    Edit("bands.kernels", "arch.local.layer", "no bounds of the input", "met = (i < nodes) & (t >= 0) & (t < nodes)",
         "met = (i < nodes) & (t < nodes)"),
    Edit("bands.kernels", "arch.local.layer", "last tap dropped", "for _ in range(m):", "for _ in range(m - 1):"),
    Edit("bands.kernels", "arch.local.layer.grad_x", "weights of the first node that sees it",
         "        step_w -= w_i\n",
         "        step_w -= 0\n"),
    Edit("bands.weights", "arch.local.layer.grad_w", "λ on the corners",
         "exists = mask if SHARED else mask & (t >= 0) & (t < nodes)", "exists = mask"),
    Edit("bands.weights", "arch.local.layer.grad_w", "1/n missing", "    mean = divided(total, n)\n",
         "    mean = total\n"),
    Edit("bands.kernels", "arch.shared.layer", "a filter's stride from node to node", "else (0, w.stride(0))",
         "else (w.stride(0), w.stride(0))"),
    Edit("bands.weights", "arch.shared.layer.grad_theta", "one tie only", "tl.sum(sums, 0)[None, :]",
         "tl.sum(tl.where((i == 0)[:, None], sums, 0.0), 0)[None, :]"),
    Edit("bands.weights", "arch.shared.layer.grad_theta", "last step dropped", "tl.minimum((part + 1) * chunk, steps)",
         "tl.minimum((part + 1) * chunk, steps - 1)"),
    Edit("bands.weights", "arch.shared.layer.grad_theta", "last parts not joined", "for start in range(0, parts, BM):",
         "for start in range(0, parts // BM * BM, BM):", size="35x9x3"),
    Edit("bands.weights", "arch.shared.layer.grad_b", "the intercept's input 0, not 1",
         "(k == m)[None, None, :], 1.0, met",
         "(k == m)[None, None, :], 0.0, met"),
)
