"""The embedding of patches and the vision transformer against the same models in plain torch: results, gradients,
graphs, autocast, what is refused; and vision transformers of other people, patched."""

from __future__ import annotations

import contextlib
import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as T

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn as ours
from chainrule.triton_kernels.patch import patch
from chainrule.triton_kernels.runtime.launch import composites

PLACES = {"torch": contextlib.nullcontext, "composite": composites, "kernel": lambda: simulate(check=False)}


def data(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def no_further(own, plain, exact, times=2):
    """From the float64 run: so many times torch's distance of each tensor, and a rounding."""
    for a, b, c in zip(own, plain, exact, strict=True):
        assert a.shape == c.shape
        eps = torch.finfo(b.dtype).eps
        assert (a.double() - c).norm() <= times * (b.double() - c).norm() + 2 * eps * c.norm()


def results(model, *x):
    x = [t.clone().requires_grad_() for t in x]
    y = model(*x)
    return [y.detach(), *torch.autograd.grad(y.sin().sum(), [*x, *model.parameters()])]


class Plain(nn.Module):
    """PatchEmbedding as everybody writes it: a convolution, flattened, turned round, put behind the token."""

    def __init__(self, own):
        super().__init__()
        for name, p in own.named_parameters():
            setattr(self, name, nn.Parameter(p.detach().clone()))
        self.bias = getattr(self, "bias", None)
        self._parameters = {name: self._parameters[name] for name, _ in own.named_parameters()}

    def forward(self, x):
        z = T.conv2d(x, self.weight, self._parameters.get("bias"), stride=self.weight.shape[2])
        return torch.cat((self.token.expand(len(x), 1, -1), z.flatten(2).transpose(1, 2)), 1) + self.position


IMAGES = {"oblong": ((6, 8), 2, 3, 5), "one patch": (3, 3, 2, 17), "one pixel a patch": ((2, 3), 1, 1, 4),
          "many numbers": (16, 8, 3, 33)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=lambda d: str(d)[6:])
@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("name", IMAGES)
def test_embedding(name, mode, dtype):
    size, P, C, D = IMAGES[name]
    torch.manual_seed(0)
    own = ours.PatchEmbedding(size, P, C, D, bias=name != "one patch").to(dtype)
    H, W = own.image_size
    x = data(3, C, H, W).to(dtype)
    if name == "many numbers":
        x = x.to(memory_format=torch.channels_last)
    plain = Plain(own)
    with PLACES[mode]() as sim:
        found = results(own, x)
    assert sim is None or {name: one.launches for name, one in sim.kernels.items()} == dict.fromkeys(
        ("embed_kernel", "to_patch_kernel", "to_theta_kernel", "sums_kernel"), 1)
    no_further(found, results(plain, x), results(copy.deepcopy(plain).double(), x.double()))


def test_class_token_first_and_a_position_for_it():
    own = ours.PatchEmbedding((4, 6), 2, 1, 3)
    with torch.no_grad():
        for p, number in zip((own.weight, own.bias, own.token), (0.0, 10.0, 200.0)):
            p.fill_(number)
        own.position.copy_(torch.arange(7.0)[:, None].expand(7, 3))
        z = own(data(1, 1, 4, 6))
    assert z[0, :, 0].tolist() == [200.0, 11.0, 12.0, 13.0, 14.0, 15.0, 16.0]


@pytest.mark.parametrize("wanted", ["weight", "bias", "token", "position", "x"])
def test_only_what_is_wanted_is_launched(wanted):
    own = ours.PatchEmbedding(4, 2, 1, 3)
    x = data(2, 1, 4, 4)
    for name, p in own.named_parameters():
        p.requires_grad_(name == wanted)
    x.requires_grad_(wanted == "x")
    with simulate(check=False) as sim:
        own(x).sum().backward()
    assert sim.launches == 2
    assert (x if wanted == "x" else getattr(own, wanted)).grad is not None


def test_gradients_share_no_memory():
    """What clips one in place does not clip another."""
    own = ours.PatchEmbedding(4, 2, 1, 3)
    for mode in PLACES:
        own.zero_grad()
        with PLACES[mode]():
            own(data(2, 1, 4, 4)).sum().backward()
        before = own.position.grad.clone()
        own.token.grad.zero_()
        assert torch.equal(own.position.grad, before)
        assert before.abs().min() > 0


def vision(seed=0, dropout=0.0):
    torch.manual_seed(seed)
    return ours.VisionTransformer((4, 6), 2, 2, 2, 12, 20, dropout, num_classes=3, in_channels=2)


class PlainVision(nn.Module):
    """The same in torch's modules."""

    def __init__(self, own):
        super().__init__()
        self.embedding = Plain(own.embedding)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(12, 2, 20, 0.0, "gelu", 1e-6, True, True) for _ in range(2))
        self.norm, self.head = nn.LayerNorm(12, 1e-6), nn.Linear(12, 3)
        self.load_state_dict(own.state_dict())

    def forward(self, x):
        x = self.embedding(x)
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x)[:, 0])


@pytest.mark.parametrize("mode", PLACES)
def test_vision_transformer(mode):
    own = vision()
    plain, x = PlainVision(own), data(3, 2, 4, 6)
    with PLACES[mode]() as sim:
        found = results(own, x)
    assert sim is None or sim.launches
    wanted, exact = results(plain, x), results(copy.deepcopy(plain).double(), x.double())
    whole = [[torch.cat([t.flatten() for t in one])] for one in (found, wanted, exact)]
    no_further(*whole)
    for kernel in (False, True):
        again = copy.deepcopy(own)
        with simulate(check=False) if kernel else contextlib.nullcontext():
            assert all(map(torch.equal, results(own, x), results(again, x)))


def test_state_and_words():
    own = vision()
    names = {name.split(".")[0] for name in own.state_dict()}
    assert names == {"embedding", "layers", "norm", "head"}
    assert set(own.embedding.state_dict()) == {"weight", "bias", "token", "position"}
    torchs = nn.TransformerEncoderLayer(12, 2, 20, batch_first=True).state_dict()
    assert {name: t.shape for name, t in own.layers[1].state_dict().items()} == {k: t.shape for k, t in torchs.items()}
    assert repr(own.embedding) == "PatchEmbedding(4 × 6, patch_size=2, in_channels=2, embed_dim=12, bias=True)"
    other = vision(1)
    other.load_state_dict(own.state_dict())
    assert torch.equal(other(data(1, 2, 4, 6)), own(data(1, 2, 4, 6)))


@pytest.mark.filterwarnings("ignore:.*Function.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("mode", ["torch", "composite"])
def test_one_graph(mode):
    torch._dynamo.reset()
    own, x = vision(), data(3, 2, 4, 6)
    compiled = torch.compile(own, fullgraph=True, backend="aot_eager")
    with PLACES[mode]():
        assert all(map(torch.equal, results(own, x), results(compiled, x)))


@pytest.mark.parametrize("narrow", [torch.bfloat16, torch.float16], ids=["bf16", "fp16"])
def test_autocast(narrow):
    """Products in 16 bits; token and positions stay float32, and with them the sequence, as in torch."""
    own = vision()
    plain, x = PlainVision(own), data(3, 2, 4, 6)
    exact = results(copy.deepcopy(plain).double(), x.double())
    with torch.autocast("cpu", narrow):
        assert own.embedding(x).dtype == plain.embedding(x).dtype == torch.float32
        wanted = results(plain, x)
        for mode in ("torch", "kernel"):
            with PLACES[mode]():
                found = results(own, x)
            assert [t.dtype for t in found] == [t.dtype for t in wanted]
            one, other, true = (torch.cat([t.double().flatten() for t in some]) for some in (found, wanted, exact))
            assert (one - true).norm() <= 4 * (other - true).norm()


def test_dropout_and_evaluation():
    own, x = vision(dropout=0.5), data(2, 2, 4, 6)
    assert not torch.equal(own(x), own(x))
    own.eval()
    assert torch.equal(own(x), vision()(x))


REFUSED = {
    "images of 5 × 6 do not divide into patches of 2 × 2": lambda: ours.PatchEmbedding((5, 6), 2, 1, 3),
    "images of 4 × 4 do not divide into patches of 0 × 0": lambda: ours.PatchEmbedding(4, 0, 1, 3),
    "tokens (a patch each, and the class token) and rows of position differ: 10 and 7": lambda: vision()(
        data(1, 2, 6, 6)),
    "an image of 4 × 5 does not divide": lambda: vision()(data(1, 2, 4, 5)),
    "channels of input and of weight differ: 1 and 2": lambda: vision()(data(1, 1, 4, 6)),
    "input has shape (2, 4, 6); expected 4 dimensions": lambda: vision()(data(2, 4, 6)),
    "expected square patches": lambda: F.patch_embedding(data(1, 1, 4, 6), data(3, 1, 2, 3), None, data(3), data(5, 3)),
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_refused(sentence):
    with pytest.raises(ValueError) as caught:
        REFUSED[sentence]()
    assert sentence in str(caught.value)


class TimmBlock(nn.Module):
    """A block as timm writes it: one product for Q, K and V, torch's attention, two residual sums."""

    def __init__(self, dim, heads, hidden):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.act, self.fc2 = nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim)

    def forward(self, x):
        B, N, D = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(B, N, 3, self.heads, D // self.heads).permute(2, 0, 3, 1, 4)
        x = x + self.proj(T.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, N, D))
        return x + self.fc2(self.act(self.fc1(self.norm2(x))))


class TimmLike(nn.Module):
    def __init__(self):
        super().__init__()
        self.proj = nn.Conv2d(2, 12, 2, 2)
        self.cls_token, self.pos_embed = nn.Parameter(data(1, 1, 12)), nn.Parameter(data(1, 7, 12, seed=1))
        self.blocks = nn.Sequential(TimmBlock(12, 2, 20), TimmBlock(12, 3, 20))
        self.norm, self.head = nn.LayerNorm(12, eps=1e-6), nn.Linear(12, 3)

    def forward(self, x):
        x = self.proj(x).flatten(2).transpose(1, 2)
        x = torch.cat((self.cls_token.expand(len(x), -1, -1), x), 1) + self.pos_embed
        return self.head(self.norm(self.blocks(x))[:, 0])


class VisionBlock(nn.Module):
    """A block as torchvision writes it: torch's MultiheadAttention, an MLP as a Sequential with dropout in it."""

    def __init__(self, dim, heads, hidden):
        super().__init__()
        self.ln_1, self.ln_2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(dim, heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Dropout(0.0), nn.Linear(hidden, dim),
                                 nn.Dropout(0.0))

    def forward(self, input):
        x = self.ln_1(input)
        x, _ = self.self_attention(x, x, x, need_weights=False)
        x = x + input
        return x + self.mlp(self.ln_2(x))


class TorchvisionLike(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv_proj = nn.Conv2d(2, 12, 2, 2)
        self.class_token, self.pos_embedding = nn.Parameter(data(1, 1, 12)), nn.Parameter(data(1, 7, 12, seed=1))
        self.layers = nn.Sequential(VisionBlock(12, 2, 20), VisionBlock(12, 4, 20))
        self.ln, self.heads = nn.LayerNorm(12, eps=1e-6), nn.Linear(12, 3)

    def forward(self, x):
        n = x.shape[0]
        x = self.conv_proj(x).reshape(n, 12, 6).permute(0, 2, 1)
        x = torch.cat([self.class_token.expand(n, -1, -1), x], dim=1) + self.pos_embedding
        return self.heads(self.ln(self.layers(x))[:, 0])


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("kind", [TimmLike, TorchvisionLike])
def test_other_peoples_patched(kind, mode):
    torch.manual_seed(0)
    plain, x = kind(), data(3, 2, 4, 6)
    model = copy.deepcopy(plain)
    report = patch(model)
    with PLACES[mode]() as sim:
        found = results(model, x)
    assert sim is None or {"forward_kernel", "backward_kernel"} <= set(sim.kernels)
    whole = [[torch.cat([t.flatten() for t in one])] for one in (
        found, results(plain, x), results(copy.deepcopy(plain).double(), x.double()))]
    no_further(*whole)
    assert {one.was.__name__ for one in report.changed} >= {"Conv2d", "LayerNorm", "Linear"}
    assert model.state_dict().keys() == plain.state_dict().keys()
    report.undo()
    assert repr(model) == repr(plain)
    assert all(map(torch.equal, results(model, x), results(plain, x)))
