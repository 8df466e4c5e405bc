"""Every op through its kernel, simulated, against the float64 composite: shapes, strides, dtypes, edges, misuse."""

import contextlib
import inspect
import math

import pytest
import torch

from chainrule.conformance.judging.bounds import FLOAT32, bound
from chainrule.conformance.judging.oracle import truth
from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import OPS
from chainrule.triton_kernels.ops import COMPOSITES
from chainrule.triton_kernels.runtime import configs
from chainrule.triton_kernels.runtime.configs import rows

HALVES = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8, torch.float32: 2.0**-24}
DTYPES = list(HALVES)


def data(*shape, dtype=torch.float32, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def classes(rows, K):
    return torch.arange(rows) * 7 % K


def wide(t):
    return t.double() if isinstance(t, torch.Tensor) and t.is_floating_point() else t


def tuple_of(result):
    return result if isinstance(result, tuple) else (result,)


def simulated(identity, *args, **kwargs):
    """The op's outputs; every element was stored by a kernel, no input changed, a second run has the same bits."""
    before = [a.clone() if isinstance(a, torch.Tensor) else a for a in args]
    with simulate() as sim:
        first = tuple_of(OPS[identity](*args, **kwargs))
        for out in first:
            assert bool(sim.stored(out if out.dim() else out[None]).all())
    with simulate(order="random", seed=3):
        again = tuple_of(OPS[identity](*args, **kwargs))
    for a, b in zip(args, before):
        if isinstance(a, torch.Tensor):
            assert torch.equal(a, b)
    for one, other in zip(first, again):
        assert torch.equal(one, other)
    return first


def judge(identity, *args, terms=8, **kwargs):
    """Against the composite in float64: `terms` roundings of the sum of absolute products, and one of the dtype."""
    actual = simulated(identity, *args, **kwargs)
    expected = tuple_of(COMPOSITES[identity](*map(wide, args), **kwargs))
    magnitude = tuple_of(COMPOSITES[identity](*(
        a.abs() if isinstance(a, torch.Tensor) and a.is_floating_point() else a for a in map(wide, args)), **kwargs))
    assert len(actual) == len(expected)
    for got, wanted, size in zip(actual, expected, magnitude):
        assert got.shape == wanted.shape
        assert got.dtype == next(a.dtype for a in args if isinstance(a, torch.Tensor) and a.is_floating_point())
        unit = HALVES[got.dtype]
        allowed = unit * wanted.abs() + terms * 2.0**-24 * (size.abs() + wanted.abs()) + terms * unit * 1e-4
        assert bool(((got.double() - wanted).abs() <= allowed).all())


def strided(t):
    """The same values in memory of another order, with gaps and an offset."""
    roomy = torch.full([2 * n + 1 for n in t.shape], math.nan if t.is_floating_point() else -1, dtype=t.dtype)
    if t.dim() == 2:
        roomy = roomy.t().contiguous().t()
    view = roomy[tuple(slice(1, 2 * n + 1, 2) for n in t.shape)]
    view.copy_(t)
    return view


B, I, O = 37, 45, 19
ARGUMENTS = {
    **{f"act.{act}{suffix}": lambda d: (3 * data(5, 41, dtype=d),)
       for act in ("sigmoid", "tanh", "relu", "leaky", "elu", "identity", "gelu", "gelu.tanh")
       for suffix in ("", ".prime")},
    "act.softmax": lambda d: (3 * data(6, 11, dtype=d),),
    "act.softmax.prime": lambda d: (torch.softmax(data(6, 11), 1).to(d), data(6, 11, dtype=d, seed=1)),
    "net.layer.affine": lambda d: (data(B, I, dtype=d), data(O, I, dtype=d, seed=1), data(O, dtype=d, seed=2)),
    "bp.delta.chain": lambda d: (
        data(B, O, dtype=d), data(O, I, dtype=d, seed=1), data(B, I, dtype=d, seed=2), "identity"),
    "bp.delta.rec": lambda d: (
        data(B, O, dtype=d), data(O, I, dtype=d, seed=1), data(B, I, dtype=d, seed=2).sigmoid()),
    "alg.average": lambda d: (
        data(B, O, dtype=d), data(B, I, dtype=d, seed=1), data(O, I, dtype=d, seed=2), 0.3, B),
    "opt.sgd": lambda d: (data(7, 9, dtype=d), data(7, 9, dtype=d, seed=1), 0.1),
    "loss.xent.logits": lambda d: (3 * data(6, 11, dtype=d), (data(6, 11, seed=1) > 0).to(d)),
    "loss.square": lambda d: (data(6, 11, dtype=d), data(6, 11, dtype=d, seed=1)),
    "loss.softmax": lambda d: (3 * data(6, 11, dtype=d), classes(6, 11)),
    "conv1d.valid": lambda d: (data(5, dtype=d), data(150, dtype=d, seed=1)),
    "conv1d.valid.grad_x": lambda d: (data(146, dtype=d), data(5, dtype=d, seed=1)),
    "conv1d.valid.grad_theta": lambda d: (data(146, dtype=d), data(150, dtype=d, seed=1)),
    "conv1d.centred": lambda d: (data(5, dtype=d), data(150, dtype=d, seed=1)),
    "conv1d.centred.grad_a": lambda d: (data(150, dtype=d), data(5, dtype=d, seed=1)),
    "conv1d.centred.grad_theta": lambda d: (data(150, dtype=d), data(150, dtype=d, seed=1), 5),
    "conv2d.valid": lambda d: (data(14, 17, dtype=d), data(3, 4, dtype=d, seed=1)),
    "conv2d.valid.grad_I": lambda d: (data(12, 14, dtype=d), data(3, 4, dtype=d, seed=1)),
    "conv2d.valid.grad_K": lambda d: (data(12, 14, dtype=d), data(14, 17, dtype=d, seed=1)),
}


def test_every_op_is_tested():
    own = ("arch.", "attn.", "vit.", "conv2d.layer", "pool.", "norm.", "alg.average.",
           "loss.softmax.weighted", "loss.mean")
    rules = {id for id in OPS if id.startswith("opt.")} - {"opt.sgd"}
    assert set(ARGUMENTS) == {id for id in OPS if not id.startswith(own)} - rules


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("identity", ARGUMENTS)
def test_against_the_composite(identity, dtype):
    judge(identity, *ARGUMENTS[identity](dtype), terms=60)


@pytest.mark.parametrize("identity", ARGUMENTS)
def test_strided_operands_give_the_same_bits(identity):
    args = ARGUMENTS[identity](torch.float32)
    views = [strided(a) if isinstance(a, torch.Tensor) else a for a in args]
    for plain, view in zip(simulated(identity, *args), simulated(identity, *views)):
        assert torch.equal(plain, view)


def test_expanded_and_transposed_operands():
    row, column = data(1, 41), data(5, 1, seed=1)
    judge("loss.square", row.expand(5, 41), column.expand(5, 41))
    judge("loss.square", row.expand(5, 41), data(1, 41, seed=2).expand(5, 41))
    judge("act.tanh", data(3, 4, 5).permute(2, 0, 1), terms=60)
    judge("opt.sgd", data(4, 5), data(5, 4, seed=1).t(), 0.5)
    judge("net.layer.affine", row[:, :I].expand(B, 41), data(1, 41).expand(O, 41), data(1).expand(O), terms=60)
    judge("act.relu", torch.tensor(-2.0))
    with simulate():
        assert OPS["act.relu"](data(4, 6).t()).stride() == (1, 6)


@pytest.mark.parametrize("act", ["sigmoid", "tanh", "relu", "leaky", "elu"])
def test_layer_and_delta_with_every_activation(act):
    x, w, b = ARGUMENTS["net.layer.affine"](torch.float32)
    judge("net.layer.affine", x, w, b, act, terms=200)
    judge("net.layer.affine", x, w, None, act, terms=200)
    delta, w, z, _ = ARGUMENTS["bp.delta.chain"](torch.float32)
    judge("bp.delta.chain", delta, w, z, act, terms=200)


def test_parameters_of_activations():
    z = data(40)
    judge("act.leaky", z, slope=0.25)
    judge("act.elu.prime", z, alpha=0.5)
    judge("net.layer.affine", data(3, 4), data(2, 4), None, "elu", alpha=2.0, terms=60)


@pytest.mark.parametrize("op", ["net.layer.affine", "bp.delta.chain", "alg.average"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_row_with_ragged_edges(op, dtype):
    table = "bp.delta" if op == "bp.delta.chain" else op
    every = {row for arch in ("sm_90", "sm_80", "default") for row in rows(table, arch, dtype)}
    args = ARGUMENTS[op](dtype)
    expected = [t.double() for t in tuple_of(OPS[op](*map(wide, args)))]
    for row in every:
        with configs.pinned(table, row), simulate():
            actual = tuple_of(OPS[op](*args))
        for got, wanted in zip(actual, expected):
            scale = float(wanted.abs().max())
            assert float((got.double() - wanted).abs().max()) <= (HALVES[dtype] + 60 * 2.0**-24) * scale


def test_tf32_rounds_the_operands_and_ieee_does_not():
    x, w = data(4, 64), data(3, 64, seed=1)
    with simulate():
        exact = x.double() @ w.double().t()
        ieee, tf32 = (OPS["net.layer.affine"](x, w, precision=p).double() - exact for p in ("ieee", "tf32"))
        torch.set_float32_matmul_precision("high")
        try:
            followed = OPS["net.layer.affine"](x, w).double() - exact
        finally:
            torch.set_float32_matmul_precision("highest")
    assert torch.equal(tf32, followed)
    assert float(tf32.abs().max()) > 50 * float(ieee.abs().max())


@pytest.mark.parametrize("K", [1, 2, 256, 257, 1025])
def test_softmax_in_registers(K):
    judge("loss.softmax", 5 * data(5, K), classes(5, K), terms=60)


@pytest.mark.parametrize("K", [7, 64, 65, 300])
def test_softmax_with_more_classes_than_registers(K):
    """The two-pass kernel on a short row: the online maximum moves between lanes and blocks."""
    z, y = 5 * data(6, K), classes(6, K)
    z[0] = torch.linspace(-40, 40, K)
    z[1] = torch.linspace(40, -40, K)
    z[2, : K // 2] = -90.0
    y[2] = K - 1
    with two_passes(32):
        loss, delta = simulated("loss.softmax", z, y)
    arguments = {"z": z.double().numpy(), "y": y.numpy()}
    bounds = bound("loss.softmax", arguments, "fp32", FLOAT32)
    for name, got in (("loss", loss), ("delta", delta)):
        wanted = truth("loss.softmax", arguments)[name].value
        assert (abs(got.double().numpy() - wanted) <= bounds[name].total).all()


@contextlib.contextmanager
def two_passes(width):
    """The second kernel on any row, `width` lanes at a time."""
    one, other = configs.Row(1, 1, warps=1), configs.Row(1, width, warps=1)
    with configs.pinned("loss.softmax", one), configs.pinned("loss.softmax.long", other):
        yield


@pytest.mark.parametrize("context", [lambda: two_passes(32), contextlib.nullcontext], ids=["two passes", "registers"])
def test_softmax_specials(context):
    """NaN and +∞ in a row make that row NaN; a target out of range makes it NaN; no other row notices."""
    z = data(5, 40)
    z[1, 3], z[2, 39] = math.nan, math.inf
    y = torch.tensor([0, 1, 2, 40, -1])
    with context():
        loss, delta = simulated_with_nan("loss.softmax", z, y)
    assert torch.isnan(loss).tolist() == [False, True, True, True, True]
    assert torch.isnan(delta).all(1).tolist() == [False, True, True, True, True]
    assert not torch.isnan(delta[0]).any()


def simulated_with_nan(identity, *args):
    with simulate():
        return tuple_of(OPS[identity](*args))


def test_long_reductions_are_split_and_repeatable():
    d, x = data(20_000), data(20_003, seed=1)
    judge("conv1d.valid.grad_theta", d, x, terms=200)
    judge("conv1d.centred.grad_theta", d, d.clone(), 7, terms=200)
    judge("conv2d.valid.grad_K", data(100, 150), data(101, 152, seed=1), terms=200)


EMPTY = {
    "act.tanh": (torch.empty(0, 3),),
    "net.layer.affine": (torch.empty(0, 4), data(3, 4), data(3)),
    "bp.delta.chain": (torch.empty(0, 3), data(3, 4), torch.empty(0, 4), "relu"),
    "loss.softmax": (torch.empty(0, 3), torch.empty(0, dtype=torch.int64)),
    "loss.square": (torch.empty(0), torch.empty(0)),
    "opt.sgd": (torch.empty(0), torch.empty(0), 0.1),
    "conv1d.centred": (data(3), torch.empty(0)),
}


@pytest.mark.parametrize("identity", EMPTY)
def test_empty(identity):
    judge(identity, *EMPTY[identity])


def test_no_inputs_and_no_outputs():
    judge("net.layer.affine", torch.empty(5, 0), torch.empty(3, 0), data(3))
    judge("bp.delta.chain", torch.empty(5, 0), torch.empty(0, 4), data(5, 4), "relu")
    judge("alg.average", data(5, 3), torch.empty(5, 0), torch.empty(3, 0), 0.5, 5)
    judge("alg.average", torch.empty(0, 3), torch.empty(0, 4), data(3, 4), 0.5, 5)


def test_rows_beyond_the_batch_stay_out_of_the_sum():
    """A tile's empty rows times an infinite weight are NaN; the sum over the batch is infinite."""
    w = torch.zeros(3, 4)
    w[0, 0] = math.inf
    with simulate():
        _, db = OPS["bp.delta.chain"](torch.ones(5, 3), w, torch.ones(5, 4), "identity")
    assert db.tolist() == [math.inf, 0, 0, 0]


def test_average_divides_by_n():
    """1/3 is not a float: Δ/3 and Δ · fl(1/3) differ for Δ = 3, 5, 7 … somewhere."""
    delta = torch.arange(1.0, 200.0)[None, :]
    with simulate():
        D, Db = OPS["alg.average"](delta, torch.ones(1, 1), torch.zeros(199, 1), 0.0, 3)
    assert torch.equal(D[:, 0], delta[0] / 3)
    assert torch.equal(Db, delta[0] / 3)
    assert not torch.equal(delta[0] / 3, delta[0] * (torch.ones(()) / 3))


MISUSE = {
    "act.relu: z is int64": ("act.relu", torch.arange(3)),
    "act.relu: the kernel computes in float32, float64": ("act.relu", torch.ones(2, dtype=torch.float64)),
    "act.leaky: slope = 1.5": ("act.leaky", data(3), {"slope": 1.5}),
    "act.tanh: tanh takes no alpha": ("act.tanh", data(3), {"alpha": 1.0}),
    "act.elu: elu takes no slope; its parameter is alpha": ("act.elu", data(3), {"slope": 1.0}),
    "net.layer.affine: x has shape (4,)": ("net.layer.affine", data(4), data(3, 4)),
    "net.layer.affine: columns of x and of w differ: 4 and 5": ("net.layer.affine", data(2, 4), data(3, 5)),
    "bp.delta.chain: columns of delta and rows of w differ: 4 and 3": (
        "bp.delta.chain", data(2, 4), data(3, 5), data(2, 5), "relu"),
    "bp.delta.rec: rows of delta and of a differ: 2 and 7": ("bp.delta.rec", data(2, 3), data(3, 5), data(7, 5)),
    "alg.average: n = 0": ("alg.average", data(2, 3), data(2, 5), data(3, 5), 0.1, 0),
    "alg.average: columns of a and of w differ: 5 and 6": (
        "alg.average", data(2, 3), data(2, 5), data(3, 6), 0.1, 2),
    "loss.softmax: y is int32; expected int64": ("loss.softmax", data(2, 3), torch.zeros(2, dtype=torch.int32)),
    "loss.softmax: rows of z and entries of y differ: 2 and 3": ("loss.softmax", data(2, 3), classes(3, 2)),
    "loss.square: y is float16, yhat is float32": ("loss.square", data(2), data(2).half()),
    "opt.sgd: theta has shape (2,), D has (3,)": ("opt.sgd", data(2), data(3), 0.1),
    "conv1d.centred: the filter has m = 4 entries": ("conv1d.centred", data(4), data(9)),
    "conv1d.centred.grad_theta: the filter has m = 2": ("conv1d.centred.grad_theta", data(9), data(9), 2),
    "conv1d.valid: theta is longer than x: 5 > 3": ("conv1d.valid", data(5), data(3)),
    "conv1d.valid: theta has 0 entries": ("conv1d.valid", data(0), data(3)),
    "conv2d.valid: K is longer than I: 4 > 3": ("conv2d.valid", data(5, 3), data(2, 4)),
    "conv2d.valid: I has shape (3,); expected 2 dimensions": ("conv2d.valid", data(3), data(2, 4)),
}


@pytest.mark.parametrize("message", MISUSE)
def test_misuse(message):
    identity, *args = MISUSE[message]
    kwargs = args.pop() if isinstance(args[-1], dict) else {}
    with simulate() as sim, pytest.raises((TypeError, ValueError)) as caught:
        OPS[identity](*args, **kwargs)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert sim.launches == 0
    if "kernel computes" not in message:
        with pytest.raises(type(caught.value)) as from_composite:
            OPS[identity](*args, **kwargs)
        assert str(from_composite.value) == str(caught.value)


def test_ops_keep_the_signature_of_their_composite():
    for identity in ("net.layer.affine", "alg.average", "conv1d.centred.grad_theta"):
        assert inspect.signature(OPS[identity]) == inspect.signature(COMPOSITES[identity])
