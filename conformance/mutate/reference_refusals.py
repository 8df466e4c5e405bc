"""Bad input and the one sentence it gets from the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import frozen


@frozen
class Refusal:
    attempt: Callable[[Any], Any]
    sentence: str


def call(id: str, sentence: str, *arguments: Any, **options: Any) -> Refusal:
    return Refusal(lambda R: R.FUNCTIONS[id](*arguments, **options), sentence)


def second_function(R: Any) -> Any:
    return R.implements("act.relu")(len)


def unfit(H: int, W: int, M: int, N: int, **options: Any) -> Refusal:
    """A filter of M × N that does not fit its H × W image."""
    big, small = (M, H) if M > H else (N, W)
    return call("conv2d.valid", f"conv2d.valid: the filter is longer ({big}) than the input ({small})",
                [[1] * W] * H, [[1] * N] * M, **options)


T = [None, [1, 2, 3], [4, 5, 6]]                    # two nodes over two inputs
ROW = "length of row 1 of Theta and of a, slot 0 included: 3 and {} differ"
NEXT = "rows of Theta and length of the next layer, slot 0 included: 3 and 2 differ"
X2 = [[[1, 2, 3], [4, 5, 6]]] * 2                   # two channels of 2 × 3
K22 = [[[[1, 2]]] * 2] * 2                          # two filters over two channels

REFUSALS: tuple[Refusal, ...] = (
    Refusal(second_function, "act.relu: relu has this id already, so len needs one of its own"),
    call("net.z", ROW.format(2), T, [1, 1]),
    call("net.z", ROW.format(4), T, [1, 1, 1, 1]),
    call("net.z", "length of row 2 of Theta and of a, slot 0 included: 2 and 3 differ",
         [None, [1, 2, 3], [4, 5]], [1] * 3),
    call("net.layer.affine", ROW.format(2), T, [1, 1], abs),
    call("bp.delta.chain", NEXT, T, [None, 1], [None, 1, 1]),
    call("bp.delta.chain", ROW.format(2), T, [None, 1, 1], [None, 1]),
    call("bp.delta.rec", NEXT, T, [None, 1], [1, 1, 1]),
    call("bp.delta.rec", ROW.format(2), T, [None, 1, 1], [1, 1]),
    call("bp.delta.out", "layers of different lengths, slot 0 included: y has 2, a has 3",
         [None, 1], [1, 1, 1]),
    call("alg.delta.out", "layers of different lengths, slot 0 included: a has 3, y has 2",
         [1, 1, 1], [None, 1]),
    call("alg.accumulate", NEXT, T, [1, 1, 1], [None, 1]),
    call("alg.accumulate", ROW.format(2), T, [1, 1], [None, 1, 1]),
    call("alg.average", "alg.average: n = 0 training instances have no average", T, T, 1, 0),
    call("alg.average", NEXT, T, T[:2], 1, 1),
    call("alg", "alg.average: n = 0 training instances have no average", [None, T], [], 1),
    call("net.onehot", "net.onehot: class 0 is not among 1 … 3", 0, 3),
    call("net.onehot", "net.onehot: class 4 is not among 1 … 3", 4, 3),
    call("loss.objective", "n = 0 training instances have no average", [], [], [None], 1),
    call("loss.objective.corrected", "numbers of y and ŷ: 1 and 2 differ", [1], [1, 1], [None], 1),
    call("loss.kl", "lengths of p and q: 1 and 2 differ", [1], [1, 2]),
    call("loss.softmax", "lengths of y and z: 1 and 2 differ", [1], [1, 2]),
    call("loss.softmax.weighted", "lengths of y and z: 1 and 2 differ", [1], [1, 2], [1, 1]),
    call("loss.softmax.weighted", "lengths of w and z: 1 and 2 differ", [1, 0], [1, 2], [1]),
    call("loss.mean", "numbers of losses and of weights: 1 and 2 differ", [1], [1, 2]),
    call("opt.gd", "lengths of Theta and of its gradient: 2 and 3 differ", [1, 2], [1, 2, 3], 1),
    call("opt.adam", "opt.adam: steps are counted from t = 1, not 0", 1, 1, 0, 0, 0, 1, 0.5, 0.5, 0),
    call("conv1d.valid", "conv1d.valid: the filter is longer (4) than the input (3)", [1] * 4, [1] * 3),
    call("conv1d.valid", "theta has shape (0,); it must be a non-empty list, 1 deep", [], [1]),
    call("conv1d.valid", "x has shape (2, 1); it must be a non-empty list, 1 deep", [1], [[1], [2]]),
    call("conv1d.centred", "conv1d.centred: a filter of even length 2 has no centre; use an odd length",
         [1] * 2, [1] * 3),
    call("conv1d.centred", "conv1d.centred: a filter of even length 4 has no centre; use an odd length",
         [1] * 4, [1] * 5),
    call("conv1d.matrix", "conv1d.matrix: a filter of even length 2 has no centre; use an odd length",
         [1] * 2, 3),
    call("arch.local.layer", "arch.local.layer: a filter of even length 2 has no centre; use an odd length",
         [1], [[1] * 2], [1]),
    call("arch.local.layer", "numbers of nodes in x and of rows of w: 2 and 1 differ", [1, 1], [[1]], [1]),
    call("arch.local.layer", "numbers of intercepts b and of rows of w: 2 and 1 differ", [1], [[1]], [1, 1]),
    unfit(2, 3, 3, 3), unfit(3, 2, 3, 3),
    call("conv2d.valid", "ragged list: entry 1 has shape (1,), entry 0 has (2,)", [[1, 2], [3]], [[1]]),
    call("conv2d.valid", "ragged list: entry 2 has shape (), entry 0 has (1,)", [[1]], [[1], [1], 1]),
    call("stack.one", "channels of input and filter: 2 and 1 differ", [[[1, 1]]], [[[1]]]),
    call("stack.one", "stack.one: the filter is longer (2) than the input (1)", [[[1]]], [[[1]], [[1]]]),
    call("stack.one", "stack.one: the filter is longer (2) than the input (1)", [[[1]]], [[[1], [1]]]),
    call("conv2d.layer", "channels of the input, and of the filters over all groups: 2 and 4 differ",
         X2, K22, groups=2),
    call("conv2d.layer", "filters left over by 2 groups, and none: 1 and 0 differ",
         X2, [[[[1]]]] * 3, groups=2),
    call("conv2d.layer", "numbers of filters and of intercepts b: 2 and 1 differ", X2, K22, [1]),
    call("conv2d.layer", "conv2d.layer: size 2, stride 0 and dilation 1 must be at least 1, padding 0 at least 0",
         X2, K22, stride=(1, 0)),
    call("conv2d.layer", "conv2d.layer: size 2, stride 1 and dilation 0 must be at least 1, padding 0 at least 0",
         X2, K22, dilation=(1, 0)),
    call("conv2d.layer", "conv2d.layer: size 2, stride 1 and dilation 1 must be at least 1, padding -1 at least 0",
         X2, K22, padding=(0, -1)),
    call("conv2d.layer", "conv2d.layer: the filter is longer (4) than the input (3)", X2, K22, dilation=3),
    call("conv2d.layer", "conv2d.layer: the filter is longer (4) than the input (3)",
         [[[1]]], [[[[1] * 4]]], padding=1),
    call("pool.max", "pool.max: size 0, stride 1 and dilation 1 must be at least 1, padding 0 at least 0",
         [[1]], 0, 1),
    call("pool.max", "pool.max: the filter is longer (2) than the input (1)", [[1]], 2),
    call("pool.max", "pool.max: a window lies wholly in the padding; pad less than (1, 0)",
         [[1]], 1, 1, (1, 0)),
    call("pool.flatten", "image x has shape (2,); it must be a non-empty list, 3 deep", [1, 2]),
    call("fc.node", "lengths of row 0 of Theta and of a: 2 and 3 differ", [[1, 2]], [1, 2, 3], 0),
    call("norm.mean", "norm.mean: no numbers have no mean", []),
    call("norm.batch.running", "norm.batch.running: 1 numbers have no unbiased variance; at least 2 are needed",
         [1], 0, 1, 1),
    call("norm.layer", "lengths of x and gamma: 2 and 1 differ", [1, 2], [1], [1, 2], 0),
    call("norm.layer", "lengths of x and beta: 2 and 3 differ", [1, 2], [1, 2], [1, 2, 3], 0),
    call("net.residual", "lengths of x and f(x): 2 and 1 differ", [1, 2], [1]),
    call("attn.head", "widths of queries and keys: 2 and 1 differ", [[1, 2]], [[1]], [[1]]),
    call("attn.head", "numbers of keys and values: 1 and 2 differ", [[1]], [[1]], [[1], [2]]),
    call("norm.group", "groups and channels of x and gamma: (1, 1) and (1, 2) differ", [[[1]]], [[1, 1]], [[1]], 1),
    call("norm.group", "groups and channels of x and beta: (1, 1) and (1, 2) differ", [[[1]]], [[1]], [[1, 1]], 1),
    call("norm.instance", "channels of x and gamma: 1 and 2 differ", [[1]], [1, 1], [1], 1),
    call("norm.instance", "channels of x and beta: 1 and 2 differ", [[1]], [1], [1, 1], 1),
    call("conv2d.depthwise", "channels and filters: 1 and 2 differ", [[[1]]], [[[1]], [[1]]], 1),
    call("conv2d.transposed", "channels of the input and of the filters: 1 and 2 differ",
         [[[1]]], [[[[1]]], [[[1]]]], 1),
    call("conv2d.transposed", "conv2d.transposed: stride 0 must be at least 1", [[[1]]], [[[[1]]]], 0),
    call("net.dropout", "lengths of x and of its mask: 2 and 1 differ", [1, 2], [1], 0),
    call("aug.flip", "image x has shape (2,); it must be a non-empty list, 2 deep", [1, 2]),
    *(call("aug.crop", f"aug.crop: 1 × 2 entries from ({a}, {b}) do not lie in an image of 2 × 3",
           [[1, 2, 3], [4, 5, 6]], 1, 2, a, b) for a, b in ((-1, 0), (2, 0), (0, -1), (0, 2))),
    call("vit.patches", "vit.patches: an image of 2 × 3 does not divide into patches of 2 × 2", X2, 2),
    call("vit.patches", "vit.patches: an image of 2 × 3 does not divide into patches of 0 × 0", X2, 0),
    call("vit.patches", "vit.patches: an image of 2 × 3 does not divide into patches of 3 × 3", X2, 3),
    call("vit.embed", "shapes of tokens and positions: (2, 1) and (1, 1) differ",
         [[1]], [None, [1, 1]], [1], [[1]]),
)
