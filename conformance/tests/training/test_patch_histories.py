"""A patched model computes what it computed, whatever is done to it afterwards: random Sequentials, random histories,
the same done to a model that was never patched."""

from __future__ import annotations

import copy

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.utils import parametrize, prune

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels.patch import patch

WIDTH, SIDE, BATCH = 3, 8, 4


class Preset(nn.Sequential):
    """A class of somebody's that runs as a Sequential."""


class Half(nn.Module):
    """A parametrization."""

    def forward(self, w):
        return w / 2


class Added(nn.Module):
    """An adapter around a layer, which keeps its names."""

    def __init__(self, base):
        super().__init__()
        self.base = base
        self.weight, self.bias = base.weight, base.bias

    def forward(self, x):
        return self.base(x) + 1


class Block(nn.Module):
    """A residual block as everybody writes it: its forward is its own, one ReLU stands twice."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False), nn.BatchNorm2d(WIDTH)
        self.conv2, self.bn2 = nn.Conv2d(WIDTH, WIDTH, 3, padding=1, bias=False), nn.BatchNorm2d(WIDTH)
        self.relu, self.downsample = nn.ReLU(inplace=True), None

    def forward(self, x):
        past = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += past
        return self.relu(y)


ACTIVATIONS = {
    "relu": nn.ReLU, "relu, in place": lambda: nn.ReLU(inplace=True), "leaky": lambda: nn.LeakyReLU(0.25),
    "leaky, above 1": lambda: nn.LeakyReLU(1.5), "leaky, in place": lambda: nn.LeakyReLU(-0.5, inplace=True),
    "elu": nn.ELU, "elu, below 0": lambda: nn.ELU(-1.0), "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "gelu": nn.GELU,
    "identity": nn.Identity,
}
IMAGES = {
    "conv": lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1), "conv, bare": lambda: nn.Conv2d(WIDTH, WIDTH, 1, bias=False),
    "conv, reflected": lambda: nn.Conv2d(WIDTH, WIDTH, 3, padding=1, padding_mode="reflect"),
    "norm": lambda: nn.BatchNorm2d(WIDTH), "norm, bare": lambda: nn.BatchNorm2d(WIDTH, affine=False),
    "norm, untracked": lambda: nn.BatchNorm2d(WIDTH, track_running_stats=False),
    "pool": lambda: nn.MaxPool2d(2), "pool, ceil": lambda: nn.MaxPool2d(2, ceil_mode=True),
    "pool, stride 1": lambda: nn.MaxPool2d(2, 1, 1), "dropout": lambda: nn.Dropout2d(0.0),
    "block": Block,
}
ROWS = {
    "linear": lambda: nn.Linear(WIDTH, WIDTH), "linear, bare": lambda: nn.Linear(WIDTH, WIDTH, bias=False),
    "norm": lambda: nn.BatchNorm1d(WIDTH), "dropout": lambda: nn.Dropout(0.0),
}


#: By what goes through a model: images, rows of numbers, and what another file adds.
KINDS = {True: IMAGES, False: ROWS}
SHAPES = {True: (WIDTH, SIDE, SIDE), False: (WIDTH,)}


def models():
    """(is it one of images, the names of its modules, its class)"""
    def named(kinds):
        return st.lists(st.sampled_from([*kinds, *kinds, *ACTIVATIONS]), min_size=2, max_size=6)
    classes = st.sampled_from([nn.Sequential, Preset])
    return st.one_of(st.tuples(st.just(True), named(IMAGES), classes), st.tuples(st.just(False), named(ROWS), classes))


def made(images, names, kind):
    kinds = {**KINDS[images], **ACTIVATIONS}
    model = kind(*(kinds[name]() for name in names))
    for norm in model.modules():
        if isinstance(norm, nn.modules.batchnorm._BatchNorm) and norm.running_mean is not None:
            norm.running_mean.normal_()
            norm.running_var.uniform_(0.5, 2.0)
    return model


# Each step of a history: (model, place, a number) → the model that goes on, or None.

def replaced(model, i, n):
    model[i] = (nn.Identity(), nn.ReLU(), nn.Tanh(), nn.LeakyReLU(0.5))[n % 4]


def sliced(model, i, n):
    return model[: max(1, i)] if n % 2 else model[min(i, len(model) - 1):]


def shortened(model, i, n):
    if len(model) > 1:
        del model[i]


def lengthened(model, i, n):
    model.append(nn.ReLU()) if n % 2 else model.insert(i, nn.Sigmoid())


def hooked(model, i, n):
    hook = (
        lambda: model[i].register_forward_hook(lambda module, args, y: y + 0.5),
        lambda: model[i].register_forward_pre_hook(lambda module, args: (args[0] * 2,)),
        lambda: model[i].register_full_backward_hook(lambda module, inputs, outputs: tuple(
            g if g is None else g * 3 for g in inputs)),
        lambda: model[i].register_full_backward_pre_hook(lambda module, outputs: tuple(g * 0.5 for g in outputs)),
        lambda: model.register_forward_hook(lambda module, args, y: y - 1))[n % 5]
    if not any(getattr(part, "inplace", False) for part in model):        # torch forbids views of hooks' outputs
        hook()


def converted(model, i, n):
    if n % 2:
        model = nn.SyncBatchNorm.convert_sync_batchnorm(model).eval()
    for j, part in enumerate(model):
        if isinstance(part, nn.BatchNorm2d):
            model[j] = nn.GroupNorm(1, WIDTH)
    return model


def frozen(model, i, n):
    for p in model[i].parameters():
        p.requires_grad_(bool(n % 2))


def copied(model, i, n):
    return copy.deepcopy(model)


def moved(model, i, n):
    model.to((torch.float64, torch.float32)[n % 2])
    if n % 4 > 1:
        model.to(memory_format=torch.channels_last)


def toggled(model, i, n):
    (model if n % 2 else model[i]).train(n % 4 > 1)


def changed(model, i, n):
    part = model[i]
    for name, value in (("negative_slope", 0.75 - n), ("alpha", 0.5 * n - 1), ("eps", 0.5), ("momentum", 0.3),
                        ("inplace", False), ("padding_mode", "zeros"), ("stride", getattr(part, "stride", 1))):
        if name in vars(part):
            setattr(part, name, value)


def overridden(model, i, n):
    before = model[i].forward
    model[i].forward = lambda x: before(x) * 0.5


def parametrized(model, i, n):
    part = model[i]
    if getattr(part, "weight", None) is None or not isinstance(part, (nn.Linear, nn.Conv2d)) or hasattr(
            part, "weight_orig"):
        return
    if n % 3 == 0 and not parametrize.is_parametrized(part):
        prune.l1_unstructured(part, "weight", 0.5)
    elif n % 3 == 1:
        parametrize.register_parametrization(part, "weight", Half())
    else:
        model[i] = Added(part)


def shared(model, i, n):
    model[i] = model[n % len(model)]


def altered(block, name, n):
    """What is done to a part of a residual block."""
    torch.manual_seed(n)
    part = getattr(block, name)
    before = part.forward
    ways = (
        lambda: setattr(block, name, nn.Identity()), lambda: setattr(block, name, nn.Tanh()),
        lambda: part.register_forward_hook(lambda module, args, y: y * 2),
        lambda: block.relu.inplace or part.register_full_backward_hook(lambda module, inputs, outputs: tuple(
            g if g is None else g * 3 for g in inputs)),
        lambda: setattr(part, "forward", lambda x: before(x) + 0.5),
        lambda: setattr(block, "downsample", nn.Sequential(
            nn.Conv2d(WIDTH, WIDTH, 1), nn.BatchNorm2d(WIDTH), nn.ReLU())),
        lambda: setattr(block, "relu", nn.ReLU()), lambda: setattr(block, "bn1", nn.GroupNorm(1, WIDTH)))
    ways[n % len(ways)]()


def inside(model, i, n):
    for block in model:
        if isinstance(block, Block):
            altered(block, ("conv1", "bn1", "conv2", "bn2", "relu")[i % 5], n)


STEPS = (replaced, sliced, shortened, lengthened, hooked, converted, frozen, copied, moved, toggled, changed,
         overridden, parametrized, shared, inside)
HISTORIES = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 5), st.integers(0, 7)), max_size=4)
WAYS = (
    lambda model, x: model(x), lambda model, x: [x := part(x) for part in model][-1],
    lambda model, x: model[len(model) // 2:](model[: len(model) // 2](x)), lambda model, x: model[0](x))


def done(model, history):
    for step, i, n in history:
        model = step(model, i % len(model), n) or model
    return model


def outcome(model, x, way):
    """What comes out, the gradients, and the buffers; or the error."""
    leaf = x.clone().requires_grad_()
    try:
        y = way(model, leaf * 1)
        recorded = [t for t in (leaf, *model.parameters()) if t.requires_grad]
        gradients = torch.autograd.grad(y.double().sin().sum(), recorded, allow_unused=True)
    except (RuntimeError, ValueError, TypeError) as error:
        return type(error)
    return [y.detach(), *(None if g is None else g for g in gradients), *(b.clone() for b in model.buffers())]


def follows(own, plain, exact):
    """As torch, where torch runs: from the float64 run no further than four times what torch's is."""
    if isinstance(plain, type):
        return
    assert not isinstance(own, type), own
    exact = plain if isinstance(exact, type) else exact
    for a, b, c in zip(own, plain, exact, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert (a.shape, a.dtype) == (b.shape, b.dtype)
            a, b, c = (t.detach().double().nan_to_num(7e7, 8e8, 9e9) for t in (a, b, c))
            unit = torch.finfo(torch.float32).eps * max(1.0, float(c.norm()))
            assert (a - c).norm() <= 4 * (b - c).norm() + 16 * unit


def compared(shape, history, way, seed, kernel=False):
    images, names, kind = shape
    torch.manual_seed(seed)
    plain = made(images, names, kind).train(bool(seed % 2))
    x = torch.randn(BATCH, *SHAPES[images])
    own = copy.deepcopy(plain)
    patch(own)
    try:
        exact, plain = done(copy.deepcopy(plain), history), done(plain, history)
    except RuntimeError:                                    # what torch forbids, a copy of pruned weights say
        return
    own = done(own, history)
    dtypes = {p.dtype for p in (*plain.parameters(), *plain.buffers()) if p.is_floating_point()}
    x = x.double() if torch.float64 in dtypes else x
    follows(outcome(own, x, way), outcome(plain, x, way), outcome(exact.double(), x.double(), way))


BLOCKS = st.lists(st.sampled_from(["block", "relu", "norm", "conv", "pool"]), max_size=2).map(
    lambda names: (True, ["block", *names], nn.Sequential))
PARTS = st.lists(st.tuples(st.sampled_from([*STEPS, *[inside] * len(STEPS)]), st.integers(0, 5), st.integers(0, 7)),
                 min_size=1, max_size=5)


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(BLOCKS, PARTS, st.sampled_from(WAYS), st.integers(0, 3))
def test_histories_of_residual_blocks(shape, history, way, seed):
    compared(shape, history, way, seed)


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(models(), HISTORIES, st.sampled_from(WAYS), st.integers(0, 3))
def test_histories(shape, history, way, seed):
    compared(shape, history, way, seed)


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, suppress_health_check=list(HealthCheck))
@given(models(), HISTORIES, st.sampled_from(WAYS), st.integers(0, 3))
def test_many_histories(shape, history, way, seed):
    compared(shape, history, way, seed)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(models(), HISTORIES, st.sampled_from(WAYS), st.integers(0, 3))
def test_histories_of_kernels(shape, history, way, seed):
    with simulate(check=False):
        compared(shape, history, way, seed)
