"""What torch takes and no kernel does: torch's numbers, said once, an error under CHAINRULE_STRICT=1; and what is
neither's, in our words."""

from __future__ import annotations

import contextlib
import logging

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as T

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn as ours
from chainrule.triton_kernels.runtime import launch

PLACES = {"cpu": contextlib.nullcontext, "kernel": simulate}


def data(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def whole(*shape):
    return torch.arange(torch.Size(shape).numel()).reshape(shape) % 3


X, W = data(3, 5), data(4, 5, seed=1)
IMAGE, FILTERS = data(2, 3, 9, 7), data(4, 3, 2, 2, seed=1)
SHARES = torch.softmax(data(3, 5, seed=2), 1)

#: what is asked: of ours, or of torch's functions (or modules)
TAKEN = {
    "soft targets": lambda f: f.cross_entropy(X, SHARES),
    "soft targets, positions": lambda f: f.cross_entropy(data(2, 3, 4), torch.softmax(data(2, 3, 4, seed=1), 1)),
    "losses, an old reduction": lambda f: f.mse_loss(X, X + 1, size_average=False),
    "BCE, pos_weight": lambda f: f.binary_cross_entropy_with_logits(X, SHARES, pos_weight=torch.arange(5.0)),
    "BCE, weight": lambda f: f.binary_cross_entropy_with_logits(X, SHARES, data(5).abs(), reduction="none"),
    "BCE, integers": lambda f: f.binary_cross_entropy_with_logits(X, whole(3, 5).clamp(max=1).double()),
    "MSE, broadcast": lambda f: f.mse_loss(data(3, 1), data(3, 4)),
    "MSE, mixed": lambda f: f.mse_loss(X, X.double() + 1),
    "MSE, integers": lambda f: f.mse_loss(X, whole(3, 5)),
    "MSE, weight": lambda f: f.mse_loss(X, X + 1, weight=SHARES),
    "ReLU, integers": lambda f: f.relu(whole(4) - 1),
    "ReLU, in place": lambda f: f.relu(X.clone(), inplace=True),
    "leaky, in place": lambda f: f.leaky_relu(X.clone(), -0.5, True),
    "ELU, in place": lambda f: f.elu(X.clone(), 0.5, inplace=True),
    "sigmoid, complex": lambda f: f.sigmoid(X.to(torch.complex64)),
    "linear, complex": lambda f: f.linear(X.to(torch.complex64), W.to(torch.complex64)),
    "linear, of a vector of weights": lambda f: f.linear(X, data(5)),
    "conv2d, unbatched": lambda f: f.conv2d(IMAGE[0], FILTERS),
    "conv2d, same around even": lambda f: f.conv2d(IMAGE, FILTERS, padding="same"),
    "conv1d, unbatched": lambda f: f.conv1d(data(3, 6), data(2, 3, 2)),
    "conv1d, same around even": lambda f: f.conv1d(data(2, 3, 6), data(2, 3, 4), padding="same", dilation=3),
    "pool, unbatched": lambda f: f.max_pool2d(IMAGE[0], 2),
    "pool, ceil": lambda f: f.max_pool2d(IMAGE, 2, ceil_mode=True),
    "pool, dilated": lambda f: f.max_pool2d(IMAGE, 2, 1, dilation=2),
    "pool, large": lambda f: f.max_pool2d(data(1, 1, 40, 40), 19),
    "pool, integers": lambda f: f.max_pool2d(whole(1, 1, 4, 4), 2),
    "norm, empty": lambda f: f.batch_norm(data(0, 3, 2), torch.zeros(3), torch.ones(3)),
    "norm, a scale alone": lambda f: f.batch_norm(X, None, None, data(5), None, True),
    "norm, a shift alone": lambda f: f.batch_norm(X, torch.zeros(5), torch.ones(5), None, data(5)),
    "sparse": lambda f: f.linear(X.to_sparse(), W),
    "nested": lambda f: f.relu(torch.nested.nested_tensor([data(2), data(3)], layout=torch.jagged)).values(),
    "module, reflected": lambda f: seeded(f, "Conv2d", 3, 2, 3, padding=1, padding_mode="reflect")(IMAGE),
    "module, circular": lambda f: seeded(f, "Conv1d", 3, 2, 3, padding=1, padding_mode="circular")(data(2, 3, 6)),
    "module, pos_weight": lambda f: module(f, "BCEWithLogitsLoss")(pos_weight=torch.ones(5))(X, SHARES),
    "module, ceil": lambda f: module(f, "MaxPool2d")(2, ceil_mode=True)(IMAGE),
    "module, unbatched": lambda f: seeded(f, "Conv2d", 3, 2, 3)(IMAGE[0]),
    "module, one number a channel": lambda f: module(f, "BatchNorm1d")(3, affine=False).eval()(data(0, 3)),
}
#: what kernels take, though it is said otherwise
SAID_OTHERWISE = {
    "numpy's integers": lambda f: f.conv2d(IMAGE, FILTERS, None, np.int64(2), (np.int32(1),) * 2),
    "a tuple of one": lambda f: f.conv2d(IMAGE, FILTERS, None, (2,), (1,), dilation=[2]),
    "a tuple of one, in a row": lambda f: f.conv1d(data(2, 3, 9), data(2, 3, 2), None, (2,), np.int64(1), (2,)),
    "groups of numpy": lambda f: f.conv2d(data(1, 4, 5, 5), data(2, 2, 2, 2), groups=np.int64(2)),
    "a window of numpy": lambda f: f.max_pool2d(IMAGE, np.int64(2), (1,), padding=np.int64(1)),
    "no inputs": lambda f: f.linear(torch.ones(2, 3, 0), torch.ones(4, 0)),
    "no rows": lambda f: f.linear(torch.ones(0, 3, 5), W),
    "one row": lambda f: f.linear(data(5), W),
}


def module(f, name):
    return getattr(nn if f is T else ours, name)


def seeded(f, name, *sizes, **how):
    torch.manual_seed(3)
    return module(f, name)(*sizes, **how)


@pytest.fixture
def said(caplog):
    launch._said.clear()
    caplog.set_level(logging.WARNING, logger="chainrule")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.filterwarnings("ignore:Using a target size", "ignore:size_average", "ignore:Using padding='same'",
                            "ignore:The PyTorch API of nested tensors", "ignore:Sparse")
@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("name", TAKEN)
def test_torch_computes_what_no_kernel_takes(name, where, said, monkeypatch):
    wanted = TAKEN[name](T)
    with PLACES[where]() as sim:
        found = TAKEN[name](F)
        lines = said()
        TAKEN[name](F)
    assert sim is None or sim.launches == 0
    assert found.dtype == wanted.dtype
    assert torch.equal(found, wanted)
    assert len(lines) == 1
    assert said() == lines
    assert lines[0].endswith((" torch's own function runs instead", " torch's own module runs instead"))
    monkeypatch.setenv("CHAINRULE_STRICT", "1")
    with PLACES[where](), pytest.raises(RuntimeError, match=r"\(CHAINRULE_STRICT=1 allows no fallback\)$"):
        TAKEN[name](F)


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("name", SAID_OTHERWISE)
def test_kernels_take_what_is_said_otherwise(name, where, said):
    wanted, exact = SAID_OTHERWISE[name](T), SAID_OTHERWISE[name](T).double()
    with PLACES[where]() as sim:
        found = SAID_OTHERWISE[name](F)
    assert sim is None or sim.launches or not wanted.numel()
    assert said() == []
    assert found.shape == wanted.shape
    if exact.numel():
        assert (found - exact).abs().max() <= 16 * torch.finfo(torch.float32).eps * max(1.0, float(exact.abs().max()))


#: the sentence: what neither takes; the argument by the caller's own name for it
NEITHER = {
    "conv1d: the filter reaches over 9 columns": lambda: F.conv1d(data(2, 3, 8), data(4, 3, 9)),
    "conv1d: weight is float16, input is float32": lambda: F.conv1d(data(2, 3, 8), data(4, 3, 2).half()),
    "conv1d: stride = (1, 2); expected one whole number": lambda: F.conv1d(data(2, 3, 8), data(4, 3, 2), None, (1, 2)),
    "conv2d: input has 3 channels, 1 group(s) of filters read 2 each": lambda: F.conv2d(IMAGE, data(4, 2, 2, 2)),
    "conv2d: bias has 3 entries for 4 filters": lambda: F.conv2d(IMAGE, FILTERS, data(3)),
    "conv2d: stride = 1.5; expected a whole number or two": lambda: F.conv2d(IMAGE, FILTERS, None, 1.5),
    "linear: columns of input and of weight differ: 5 and 4": lambda: F.linear(X, data(3, 4)),
    "linear: input is a str; expected a tensor": lambda: F.linear("x", W),
    "cross_entropy: rows of input and entries of target differ: 3 and 4": lambda: F.cross_entropy(X, whole(4)),
    "max_pool2d: padding = 2 is more than half of the window (2, 2)": lambda: F.max_pool2d(IMAGE, 2, padding=2),
    "batch_norm: input has shape (1, 5): one value per channel": lambda: F.batch_norm(X[:1], None, None, training=True),
    "batch_norm: eps = -1.0; expected a number above 0": lambda: F.batch_norm(
        X, None, None, None, None, True, eps=-1.0),
    "batch_norm: act = 'tanh' is not fused; choose identity or relu": lambda: F.batch_norm(
        X, None, None, training=True, act="tanh"),
    "precision 'fp32' is unknown": lambda: F.conv2d(IMAGE, FILTERS, precision="fp32"),
}


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("sentence", NEITHER)
def test_what_neither_takes_is_an_error_in_our_words(sentence, where, said):
    with PLACES[where](), pytest.raises((TypeError, ValueError)) as caught:
        NEITHER[sentence]()
    assert str(caught.value).startswith(sentence)
    assert type(caught.value) in (TypeError, ValueError)
    assert said() == []


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_a_reason_is_said_once_whatever_the_sizes(said):
    for n in (2, 3, 4):
        F.mse_loss(data(n, 1), data(n, n + 1))
    assert len(said()) == 1


@pytest.mark.parametrize("where", PLACES)
def test_a_tensor_of_somebodys_own_is_asked(where):
    """As torch asks it, with our function; one that only has a name keeps it."""
    seen = []

    class Asked(torch.Tensor):
        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            seen.append(func)
            return super().__torch_function__(func, types, args, kwargs or {})

    x = X.as_subclass(Asked)
    with PLACES[where]():
        y = F.linear(x, W)
    assert F.linear in seen
    assert type(y) is Asked
    assert torch.equal(y.as_subclass(torch.Tensor), T.linear(X, W))
