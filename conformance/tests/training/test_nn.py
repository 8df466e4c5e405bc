"""The modules against their torch twins: constructor, repr, state_dict, results and gradients, copies, autocast."""

from __future__ import annotations

import contextlib
import copy
import io

import pytest
import torch
from torch import nn

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn as ours
from chainrule.triton_kernels import optim
from chainrule.triton_kernels.runtime.launch import composites

PLACES = {"torch": contextlib.nullcontext, "composite": composites, "kernel": simulate}


def data(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


#: name: (constructor's arguments, shape of the input)
TWINS = {
    "Sigmoid": ((), (3, 5)), "Tanh": ((), (3, 5)), "ReLU": ((), (3, 5)), "LeakyReLU": ((0.3,), (3, 5)),
    "ELU": ((0.7,), (3, 5)), "GELU": (("tanh",), (3, 5)), "Softmax": ((1,), (3, 5)),
    "Linear": ((5, 4), (3, 5)), "Conv1d": ((3, 4, 3, 2, 1), (2, 3, 9)),
    "Conv2d": ((3, 4, 3, 1, 1), (2, 3, 6, 5)), "MaxPool2d": ((2,), (2, 3, 6, 5)), "BatchNorm1d": ((5,), (4, 5)),
    "BatchNorm2d": ((3,), (2, 3, 6, 5)), "BatchNorm3d": ((3,), (2, 3, 4, 2, 3)), "MaxPool1d": ((3, 2, 1), (2, 3, 9)),
    "LayerNorm": (((3, 5),), (2, 3, 5)),
}


def pair(name):
    arguments, shape = TWINS[name]
    torch.manual_seed(0)
    twin = getattr(nn, name)(*arguments)
    own = getattr(ours, name)(*arguments)
    own.load_state_dict(twin.state_dict())
    return own, twin, shape


def no_further(own, plain, exact):
    """From the float64 run: twice torch's own distance, and a rounding of the largest number for each of three sums."""
    for a, b, c in zip(own, plain, exact, strict=True):
        unit = torch.finfo(a.dtype).eps * c.abs().max()
        assert (a.double() - c).abs().max() <= 2 * (b.double() - c).abs().max() + 3 * unit


def no_further_in_all(own, plain, exact):
    """A whole network: the distances of everything together."""
    own, plain, exact = (torch.cat([t.double().flatten() for t in one]) for one in (own, plain, exact))
    assert (own - exact).norm() <= 2 * (plain - exact).norm() + torch.finfo(torch.float32).eps * exact.norm()


def results(module, x):
    """y, every gradient, and buffers"""
    x = x.clone().requires_grad_()
    y = module(x)
    gradients = torch.autograd.grad(y.sin().sum(), [x, *module.parameters()])
    return [y.detach(), *gradients, *(b.clone() for b in module.buffers() if b.is_floating_point())]


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("name", TWINS)
def test_as_the_twin(name, mode):
    own, twin, shape = pair(name)
    x = data(*shape)
    exact = results(copy.deepcopy(twin).double(), x.double())
    plain = results(copy.deepcopy(twin), x)
    with PLACES[mode]() as sim:
        found = results(own, x)
    assert sim is None or sim.launches
    no_further(found, plain, exact)


@pytest.mark.parametrize("name", TWINS)
def test_a_twin_in_all_else(name):
    own, twin, _ = pair(name)
    assert isinstance(own, type(twin))
    assert repr(own) == repr(twin)
    assert list(own.state_dict()) == list(twin.state_dict())
    for a, b in ((own, twin), (twin, own)):
        for p in a.state_dict().values():
            if p.is_floating_point():
                p.add_(0.1)
        b.load_state_dict(a.state_dict())
        for key, value in a.state_dict().items():
            assert torch.equal(value, b.state_dict()[key])


#: ours: (what makes it, its torch twin)
CARRIERS = {
    **{name: tuple(lambda module=module, name=name: getattr(module, name)(*TWINS[name][0]) for module in (ours, nn))
       for name in TWINS},
    "BatchNorm2d, bare": (lambda: ours.BatchNorm2d(3, affine=False), lambda: nn.BatchNorm2d(3, affine=False)),
    "CrossEntropyLoss": (lambda: ours.CrossEntropyLoss(torch.rand(3)), lambda: nn.CrossEntropyLoss(torch.rand(3))),
    **({"LinearCrossEntropyLoss": tuple(
        lambda module=module: module.LinearCrossEntropyLoss(4, 3, bias=True, weight=torch.rand(3))
        for module in (ours, nn))} if hasattr(nn, "LinearCrossEntropyLoss") else {}),
    "MSELoss": (ours.MSELoss, nn.MSELoss),
    "BCEWithLogitsLoss": (ours.BCEWithLogitsLoss, nn.BCEWithLogitsLoss),
    "MultiheadAttention": (lambda: ours.MultiheadAttention(6, 2, kdim=4), lambda: nn.MultiheadAttention(6, 2, kdim=4)),
    **{name: tuple(lambda lib=lib, name=name: encoder(lib, name) for lib in (ours, nn))
       for name in ("TransformerEncoderLayer", "TransformerEncoder")},
    "LinearAct": (lambda: ours.LinearAct(5, 4, "tanh"), lambda: nn.Linear(5, 4)),
    "ConvActPool": (lambda: ours.ConvActPool(3, 4, 3), lambda: nn.Conv2d(3, 4, 3)),
    "Net": (ours.Net, lambda: PlainNet()), "LeNet": (ours.LeNet, lambda: PlainNet(5, 5)),
    "ResidualBlock": (lambda: ours.ResidualBlock(3, 5, 2), lambda: PlainBlock(ours.ResidualBlock(3, 5, 2))),
    "MLP": (lambda: ours.MLP([5, 4, 3]), lambda: nn.ModuleDict({"layers": nn.ModuleList(
        [nn.Linear(5, 4), nn.Linear(4, 3)])})),
    "PatchEmbedding": (lambda: ours.PatchEmbedding(4, 2, 3, 6), lambda: PlainPatches(ours.PatchEmbedding(4, 2, 3, 6))),
    "VisionTransformer": (lambda: ours.VisionTransformer(4, 2, 2, 2, 6, 8, num_classes=3), lambda: plain_vision()),
}


class PlainPatches(nn.Module):
    """The parameters of a PatchEmbedding, by these names."""

    def __init__(self, embedding):
        super().__init__()
        for name, p in embedding.named_parameters():
            self.register_parameter(name, nn.Parameter(torch.rand_like(p)))


def plain_vision():
    layers = [nn.TransformerEncoderLayer(6, 2, 8, 0.0, "gelu", 1e-6, True, True) for _ in range(2)]
    return nn.ModuleDict({
        "embedding": PlainPatches(ours.PatchEmbedding(4, 2, 3, 6)), "layers": nn.ModuleList(layers),
        "norm": nn.LayerNorm(6), "head": nn.Linear(6, 3)})


def encoder(lib, name):
    layer = lib.TransformerEncoderLayer(6, 2, 5, norm_first=True)
    return lib.TransformerEncoder(layer, 2, lib.LayerNorm(6), False) if name == "TransformerEncoder" else layer


@pytest.mark.parametrize("name", CARRIERS)
def test_a_checkpoint_of_either_loads_into_the_other(name):
    """Through a file, both ways: the same keys, shapes, dtypes and bits; and what is loaded computes as its source."""
    for first, second in (CARRIERS[name], CARRIERS[name][::-1]):
        torch.manual_seed(1)
        source, target = first(), second()
        for buffer in source.buffers():
            buffer.add_(1)
        file = io.BytesIO()
        torch.save(source.state_dict(), file)
        file.seek(0)
        target.load_state_dict(torch.load(file), strict=True)
        for (key, a), (other, b) in zip(source.state_dict().items(), target.state_dict().items(), strict=True):
            assert key == other
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            assert torch.equal(a, b)


def test_every_module_is_carried():
    made = {name for name, kind in vars(ours).items() if isinstance(kind, type) and issubclass(kind, nn.Module)
            and kind.__module__.startswith(ours.__name__)
            and not name.startswith(("_", "Lazy"))}                 # a lazy one becomes another
    assert made <= {name.partition(",")[0] for name in CARRIERS}


@pytest.mark.parametrize("momentum", [0.1, None])
def test_batch_norm_counts_as_torch(momentum):
    own, twin = ours.BatchNorm2d(3, momentum=momentum), nn.BatchNorm2d(3, momentum=momentum)
    for seed in range(3):
        x = data(4, 3, 5, 5, seed=seed)
        own(x), twin(x)
    exact = nn.BatchNorm2d(3, momentum=momentum).double()
    for seed in range(3):
        exact(data(4, 3, 5, 5, seed=seed).double())
    assert own.num_batches_tracked == twin.num_batches_tracked == 3
    no_further([own.running_mean, own.running_var], [twin.running_mean, twin.running_var],
               [exact.running_mean, exact.running_var])
    without = ours.BatchNorm2d(3, track_running_stats=False).eval()
    assert torch.equal(without(x), ours.BatchNorm2d(3).train()(x))


class PlainNet(nn.Module):
    """The deck's code (lines 253–276) as it stands, num_flat_features supplied."""

    def __init__(self, kernel=3, side=6):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, kernel)
        self.conv2 = nn.Conv2d(6, 16, kernel)
        self.fc1 = nn.Linear(16 * side * side, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = nn.functional.max_pool2d(nn.functional.relu(self.conv1(x)), (2, 2))
        x = nn.functional.max_pool2d(nn.functional.relu(self.conv2(x)), 2)
        x = x.view(-1, x[0].numel())
        x = nn.functional.relu(self.fc1(x))
        x = nn.functional.relu(self.fc2(x))
        return self.fc3(x)


class PlainBlock(nn.Module):
    def __init__(self, block):
        super().__init__()
        self.conv1, self.conv2 = (nn.Conv2d(c.in_channels, c.out_channels, 3, c.stride, 1, bias=c.bias is not None)
                                  for c in (block.conv1, block.conv2))
        self.norm1, self.norm2 = (nn.BatchNorm2d(n.num_features) if n else None for n in (block.norm1, block.norm2))
        past = block.past
        self.past = nn.Conv2d(past.in_channels, past.out_channels, 1, past.stride, bias=False) if past else None

    def forward(self, x):
        past = x if self.past is None else self.past(x)
        inner = self.conv1(x)
        inner = torch.relu(inner if self.norm1 is None else self.norm1(inner))
        inner = self.conv2(inner)
        return torch.relu((inner if self.norm2 is None else self.norm2(inner)) + past)


NETWORKS = {
    "Net": (ours.Net, lambda own: PlainNet(), (3, 1, 32, 32)),
    "LeNet": (ours.LeNet, lambda own: PlainNet(5, 5), (2, 1, 32, 32)),
    "block": (lambda: ours.ResidualBlock(4), PlainBlock, (3, 4, 6, 6)),
    "block without norm": (lambda: ours.ResidualBlock(4, norm=False), PlainBlock, (3, 4, 6, 6)),
    "block, wider": (lambda: ours.ResidualBlock(3, 5, 2), PlainBlock, (3, 3, 7, 6)),
}


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("name", NETWORKS)
def test_networks_as_plain_torch(name, mode):
    make, plain, shape = NETWORKS[name]
    torch.manual_seed(0)
    own = make()
    twin = plain(own)
    twin.load_state_dict(own.state_dict())
    x = data(*shape)
    exact, other = results(copy.deepcopy(twin).double(), x.double()), results(copy.deepcopy(twin), x)
    with simulate(check=False) if mode == "kernel" else PLACES[mode]():
        found = results(own, x)
    no_further_in_all(found, other, exact)


def test_the_decks_count():
    assert sum(p.numel() for p in ours.Net().parameters()) == 81_194


def test_fused_layers_are_their_parts():
    torch.manual_seed(0)
    fused = ours.LinearAct(5, 4, "leaky", slope=0.25)
    x = data(3, 5)
    z = F.linear(x, fused.weight, fused.bias)
    assert torch.equal(fused(x), F.leaky_relu(z, 0.25))
    conv = ours.ConvActPool(2, 3, 3, "tanh", padding=1)
    image = data(2, 2, 6, 7)
    a = torch.tanh(nn.functional.conv2d(image, conv.weight, conv.bias, padding=1))
    assert conv(image).shape == nn.functional.max_pool2d(a, 2).shape
    no_further([conv(image).detach()], [nn.functional.max_pool2d(a, 2).detach()],
               [nn.functional.max_pool2d(a.double(), 2).detach()])
    assert "act=leaky" in repr(fused)
    assert "pool=True" in repr(conv)
    assert list(fused.state_dict()) == ["weight", "bias"]


@pytest.mark.parametrize(
    "make", [ours.Net, lambda: ours.MLP([5, 4, 3], "elu", alpha=0.5), lambda: ours.ResidualBlock(2)])
def test_copies_and_pickles(make):
    torch.manual_seed(0)
    module = make()
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    x = data(2, 1, 32, 32) if isinstance(module, ours.Net) else data(3, 5) if isinstance(module, ours.MLP) else data(
        2, 2, 5, 5)
    for again in (copy.deepcopy(module), torch.load(file, weights_only=False)):
        assert torch.equal(again(x), module(x))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype):
    """As torch: products in 16 bit, the loss in float32, float32 gradients for float32 parameters."""
    torch.manual_seed(0)
    module = nn.Sequential(ours.Conv2d(1, 2, 3), ours.BatchNorm2d(2), ours.ReLU(), nn.Flatten(), ours.Linear(32, 3))
    x, t = data(4, 1, 6, 6), torch.tensor([0, 1, 2, 1])
    with torch.autocast("cpu", dtype):
        y = module(x)
        loss = F.cross_entropy(y, t)
    assert (y.dtype, loss.dtype) == (dtype, torch.float32)
    loss.backward()
    assert {p.grad.dtype for p in module.parameters()} == {torch.float32}
    assert all(torch.isfinite(p.grad).all() for p in module.parameters())


def test_training_with_a_scaler_skips_infinite_gradients():
    torch.manual_seed(0)
    module = ours.MLP([4, 5, 3])
    optimizer = optim.SGD(module.parameters(), lr=0.5)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    before = copy.deepcopy(module.state_dict())
    with torch.autocast("cpu", torch.float16):
        loss = F.cross_entropy(module(data(6, 4)), torch.tensor([0, 1, 2, 0, 1, 2]))
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    assert scaler.get_scale() == 2.0**119
    for key, value in module.state_dict().items():
        assert torch.equal(value, before[key])


MISUSE = {
    "MLP: sizes = [3]; expected at least two": lambda: ours.MLP([3]),
    "LinearAct: activation 'mish' is unknown": lambda: ours.LinearAct(3, 2, "mish"),
    "cross_entropy: label smoothing is 1.5; expected 0 to 1": lambda: F.cross_entropy(
        torch.ones(2, 3), torch.tensor([0, 1]), label_smoothing=1.5),
    "cross_entropy: columns of input and entries of weight differ: 3 and 2": lambda: ours.CrossEntropyLoss(
        torch.ones(2))(torch.ones(2, 3), torch.tensor([0, 1])),
    "mse_loss: reduction = 'max' is unknown; choose 'mean', 'sum' or 'none'": lambda: F.mse_loss(
        torch.ones(2), torch.ones(2), reduction="max"),
    "linear: weight is float32, input is float16; expected one dtype": lambda: ours.Linear(3, 2)(
        torch.ones(1, 3).half()),
    "linear: input is int64; expected float16": lambda: ours.Linear(3, 2)(torch.ones(1, 3, dtype=torch.int64)),
    "expected 4D input": lambda: ours.BatchNorm2d(3)(torch.ones(2, 3)),
}


@pytest.mark.parametrize("message", MISUSE)
def test_misuse(message):
    with pytest.raises((TypeError, ValueError)) as caught:
        MISUSE[message]()
    assert message in str(caught.value)


@pytest.mark.parametrize(("lazy", "given", "shape"), [
    ("LazyLinear", (4,), (3, 5)), ("LazyConv1d", (4, 3), (2, 3, 9)), ("LazyConv2d", (4, 3, 2), (2, 3, 6, 5)),
    ("LazyBatchNorm1d", (), (4, 5)), ("LazyBatchNorm2d", (), (2, 3, 6, 5)), ("LazyBatchNorm3d", (), (2, 3, 4, 2, 3))])
def test_a_lazy_module_becomes_ours(lazy, given, shape):
    own, twin = getattr(ours, lazy)(*given), getattr(nn, lazy)(*given)
    x = data(*shape)
    for module in (own, twin):
        module(x)
    assert type(own) is getattr(ours, lazy.removeprefix("Lazy"))
    twin.load_state_dict(own.state_dict())
    assert torch.equal(own(x), twin(x))
    assert repr(own) == repr(twin)


def test_pooling_a_signal():
    x = data(2, 3, 11)
    for how in ((3,), (2, 1), (4, 3, 2), ((3,), (2,), (1,))):
        for own, twin in zip(F.max_pool1d(x, *how, return_indices=True),
                             nn.functional.max_pool1d(x, *how, return_indices=True), strict=True):
            assert torch.equal(own, twin)
    with simulate():
        y, at = F.max_pool1d(x, 3, 2, 1, return_indices=True)
    assert torch.equal(y, nn.functional.max_pool1d(x, 3, 2, 1))
    assert torch.equal(x.flatten(0, 1).gather(1, at.flatten(0, 1)).view_as(y), y)


@pytest.mark.parametrize("norm", [True, False])
def test_a_hook_on_every_module_sees_each_of_a_block(norm):
    block, called = ours.ResidualBlock(2, 3, norm=norm), []
    hook = nn.modules.module.register_module_forward_hook(lambda module, *_: called.append(module))
    try:
        block(data(2, 2, 4, 4))
    finally:
        hook.remove()
    assert {*block.children(), block} == set(called)
