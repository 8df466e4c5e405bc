"""patch and explain: what changes, what does not and why, the same results, and back."""

from __future__ import annotations

import contextlib
import copy
import io
import pickle

import pytest
import torch
from torch import nn

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn as ours
from chainrule.triton_kernels import optim
from chainrule.triton_kernels.explain import explain
from chainrule.triton_kernels.layers import gradients
from chainrule.triton_kernels.patch import TWINS, patch, undo


class BasicBlock(nn.Module):
    """Torchvision's, in plain torch: one ReLU module for both places, the neighbours known to `forward` alone."""

    def __init__(self, inplanes, planes, stride=1, downsample=None):
        super().__init__()
        self.conv1 = nn.Conv2d(inplanes, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = downsample

    def forward(self, x):
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += identity
        return self.relu(out)


class ResNet18(nn.Module):
    """Torchvision's layout and names, with few channels so that a test takes a second."""

    def __init__(self, width=4, classes=10):
        super().__init__()
        self.inplanes = width
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            self._layer(width * 2**k, 1 if k == 0 else 2) for k in range(4))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width, classes)

    def _layer(self, planes, stride):
        downsample = None
        if stride != 1 or self.inplanes != planes:
            downsample = nn.Sequential(nn.Conv2d(self.inplanes, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))
        first = BasicBlock(self.inplanes, planes, stride, downsample)
        self.inplanes = planes
        return nn.Sequential(first, BasicBlock(planes, planes))

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


class DeckNet(nn.Module):
    """The deck's code (lines 253–276), num_flat_features supplied: pooling and ReLU are calls, not modules."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3)
        self.conv2 = nn.Conv2d(6, 16, 3)
        self.fc1 = nn.Linear(16 * 6 * 6, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = nn.functional.max_pool2d(nn.functional.relu(self.conv1(x)), (2, 2))
        x = nn.functional.max_pool2d(nn.functional.relu(self.conv2(x)), 2)
        x = x.view(-1, self.num_flat_features(x))
        x = nn.functional.relu(self.fc1(x))
        x = nn.functional.relu(self.fc2(x))
        return self.fc3(x)

    def num_flat_features(self, x):
        size = x.size()[1:]
        num_features = 1
        for s in size:
            num_features *= s
        return num_features


def rows_of_norms():
    """Every neighbourhood that is fused: norms behind a convolution, with and without ReLU, and standing alone."""
    return nn.Sequential(
        nn.Conv2d(3, 5, 3, padding="same", bias=False), nn.BatchNorm2d(5), nn.ReLU(), nn.Conv2d(5, 4, 2, 2),
        nn.BatchNorm2d(4, affine=False), nn.Tanh(), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(6),
        nn.BatchNorm1d(6), nn.ReLU(), nn.Linear(6, 3), nn.Sigmoid())


def deck():
    return nn.Sequential(
        nn.Conv2d(1, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(576, 120), nn.ReLU(), nn.Linear(120, 84), nn.LeakyReLU(0.25), nn.Linear(84, 10))


def mobile():
    """Neighbours without a kernel between those that have one."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), nn.ReLU6(inplace=True),
        nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.ReLU6(),
        nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), nn.BatchNorm2d(6), nn.ReLU(),
        nn.AdaptiveAvgPool2d((2, None)), nn.Flatten(), nn.LazyLinear(4))


MODELS = {
    "resnet18": (ResNet18, (4, 3, 32, 32)), "resnet18, narrow": (lambda: ResNet18(2), (4, 3, 16, 16)),
    "the deck's Net": (DeckNet, (2, 1, 32, 32)), "the deck's, in a row": (deck, (2, 1, 32, 32)),
    "norms": (rows_of_norms, (8, 3, 8, 6)), "mobile": (mobile, (2, 3, 9, 7)),
}
SIMULATED = ("resnet18, narrow", "the deck's Net", "norms", "mobile")


def made(name):
    make, shape = MODELS[name]
    torch.manual_seed(0)
    x = torch.randn(shape)
    model = make()
    model(x)                                            # lazy layers, and running statistics that are not 0 and 1
    return model, x


def results(model, x):
    """Outputs, and every gradient where the mode has them."""
    y, wanted = model(x), [p for p in model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(y.square().sum(), wanted) if torch.is_grad_enabled() else ()
    return torch.cat([y.detach().double().flatten(), *(g.double().flatten() for g in gradients)])


@pytest.mark.parametrize("mode", ["training", "evaluation", "inference"])
@pytest.mark.parametrize(("name", "where", "fuse"), [
    *((name, "composite", fuse) for name in MODELS for fuse in (True, False)),
    *((name, "kernel", True) for name in SIMULATED), ("norms", "kernel", False)])
def test_the_same_results_and_back(name, where, fuse, mode):
    model, x = made(name)
    model.train(mode == "training")
    start = copy.deepcopy(model.state_dict())
    keys, text, inside = list(model.state_dict()), repr(model), {k: list(vars(m)) for k, m in model.named_modules()}
    with contextlib.nullcontext() if mode != "inference" else torch.no_grad():
        exact, plain = results(copy.deepcopy(model).double(), x.double()), results(copy.deepcopy(model), x)
        with patch(model, fuse=fuse) as report:
            assert report.changed
            assert list(model.state_dict()) == keys
            for path, module in model.named_modules():
                assert set(vars(module)) - set(inside[path]) <= {"patched_from"}
            with simulate(check=False) if where == "kernel" else contextlib.nullcontext():
                own = results(model, x)
            after = copy.deepcopy(model.state_dict())
        unit = torch.finfo(torch.float32).eps
        assert (own - exact).norm() <= 2 * (plain - exact).norm() + unit * exact.norm()
        model.load_state_dict(start)
        assert repr(model) == text
        assert {k: list(vars(m)) for k, m in model.named_modules()} == inside
        assert torch.equal(results(model, x), plain)
    moved = [key for key in keys if not torch.equal(after[key], start[key])]
    assert moved == [key for key in keys if mode == "training" and ("running" in key or "tracked" in key)]


def test_the_report_of_a_resnet(capsys):
    """Every convolution, norm and the stem's pooling are ours; all else is named, with the reason."""
    model = ResNet18()
    report = patch(model)
    print(report)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 + len(list(model.modules()))
    assert lines[0] == f"{len(report.changed)} of {len(report.changes)} modules changed"
    assert " ".join(lines[1].split()) == "(model) ResNet18 unchanged not one of torch's: its forward is its own"
    assert lines[2].split() == ["conv1", "Conv2d", "ours"]
    assert "layer2.0.downsample            Sequential         chained    joins neighbours that it runs" in lines
    assert "avgpool                        AdaptiveAvgPool2d  unchanged  there is no kernel" in lines
    assert lines[-1].split() == ["fc", "Linear", "ours"]


def test_in_evaluation_a_norm_costs_no_pass_of_its_own():
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(inplace=True))
    x = torch.randn(2, 3, 6, 6)
    model(x)
    patch(model.eval())
    with torch.no_grad(), simulate(check=False) as sim:
        model(x)
    assert sim.launches == 1
    with simulate(check=False) as sim:
        model(x)                                        # a gradient will be asked for
    assert sim.launches == 3


def test_a_patched_norm_is_still_a_norm():
    """`param_groups` leaves γ and β alone; copies, slices and pickles of a patched model compute the same."""
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU())
    patch(model)
    weights, free = optim.param_groups(model, 0.25)
    assert [id(p) for p in weights["params"]] == [id(model[0].weight)]
    assert len(free["params"]) == 3
    x = torch.randn(2, 3, 6, 6)
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    model.eval()
    for again in (copy.deepcopy(model), torch.load(file, weights_only=False).eval(), model[:]):
        assert torch.equal(again(x), model(x))
        assert type(again) is type(model)


@pytest.mark.parametrize("kind", sorted({*TWINS.values()}, key=lambda kind: kind.__name__))
def test_layers_are_pure(kind):
    """No state beyond the torch twin's: nothing of ours runs in `__init__`, so a class can be changed in place."""
    twin = next(one for one in kind.__mro__ if one.__module__.startswith("torch."))
    own = [one for one in kind.__mro__[: kind.__mro__.index(twin)] if "__init__" in vars(one)]
    if kind is ours.TransformerEncoderLayer:                # there it changes the classes of what torch's has made
        assert [vars(module(4, 2)).keys() for module in (kind, twin)].count(vars(twin(4, 2)).keys()) == 2
    else:
        assert own == []


class Mine(nn.Linear):
    pass


#: option: why a module with it is left alone
LEFT = {
    "a subclass: its forward may differ": Mine(4, 4),
    "padding_mode='circular' has no kernel": nn.Conv2d(1, 1, 3, padding_mode="circular"),
    "padding='same' around an even filter has no kernel": nn.Conv1d(1, 1, 4, padding="same"),
    "there is no kernel": nn.Hardswish(), "float64 has no kernel": nn.Linear(2, 2, dtype=torch.float64),
    "complex64 has no kernel": nn.Conv2d(1, 1, 1, dtype=torch.complex64),
    "dilation has no kernel": nn.MaxPool2d(2, dilation=2), "ceil_mode has no kernel": nn.MaxPool2d(3, ceil_mode=True),
    "a window of 20 × 14 has no kernel": nn.MaxPool2d((20, 14)), "a window of 300 has no kernel": nn.MaxPool1d(300),
    "lazy: call it once before it is patched": nn.LazyConv2d(3, 2),
    "pos_weight has no kernel": nn.BCEWithLogitsLoss(pos_weight=torch.ones(2)),
    "eps=0.0 has no kernel": nn.BatchNorm1d(3, eps=0.0), "is ours": ours.MLP([3, 2]),
    "holds or runs other modules": nn.TransformerDecoderLayer(4, 2),
    "add_bias_kv and add_zero_attn have no kernel": nn.MultiheadAttention(4, 2, add_bias_kv=True),
    "runs its modules one by one": nn.Sequential(),
}


@pytest.mark.parametrize("why", LEFT)
def test_the_report_says_what_is_left_and_why(why):
    module = LEFT[why]
    report = patch(nn.ModuleDict({"at": module}))
    found = next(one for one in report.changes if one.path == "at")
    assert (found.now, found.why, type(module)) == (None, why, found.was)
    report.undo()


def test_fused_convolution_takes_the_pooling_in():
    model = deck()
    report = patch(model)
    assert [one.now.__name__ for one in report.changed if one.path] == [
        "Conv2d", "ReLU", "MaxPool2d"] * 2 + ["Linear", "ReLU", "Linear", "LeakyReLU", "Linear"]
    with simulate(check=False) as sim:
        model(torch.randn(1, 1, 32, 32))
    assert sim.launches == 5
    report.undo()
    patch(model, fuse=False)
    with simulate(check=False) as sim:
        model(torch.randn(1, 1, 32, 32))
    assert sim.launches == 11


def rows_of_layers(*acts):
    sizes = (7, 6, 5, 4, 3)
    torch.manual_seed(0)
    return nn.Sequential(*[
        part for i, act in enumerate(acts) for part in (nn.Linear(sizes[i], sizes[i + 1]), act) if part is not None])


@pytest.mark.parametrize(("acts", "touch", "deltas"), [
    ((nn.ReLU(), nn.ReLU(), None), None, 2),
    ((nn.Tanh(), nn.Tanh(), nn.Tanh(), None), None, 3),
    ((nn.LeakyReLU(0.3), nn.LeakyReLU(0.3), nn.LeakyReLU(0.2), None), None, 2),
    ((nn.GELU(), nn.GELU(), nn.GELU()), None, 2),
    ((nn.ReLU(), nn.ReLU()), None, 0),
    ((nn.ReLU(), None), lambda net: net[0].register_forward_hook(lambda *_: None), 0),
    ((nn.ReLU(), nn.ReLU(), None), lambda net: net[3].register_forward_hook(lambda *_: None), 1),
    ((nn.ReLU(), nn.ReLU(), None), lambda net: net[2].requires_grad_(False), 2),
    ((nn.ReLU(), nn.ReLU(), None), lambda net: net[2].register_parameter("bias", None), 2),
    ((nn.LeakyReLU(-0.5), nn.LeakyReLU(-0.5), None), None, 0),
], ids=lambda one: "touched" if callable(one) else str(one))
def test_layers_with_one_activation_between_them_are_one_node(acts, touch, deltas, monkeypatch):
    """Each δ ⊙ g′ behind the first layer rides on a product, as long as nobody could tell; else they go in pairs."""
    plain = rows_of_layers(*acts)
    net = copy.deepcopy(plain)
    patch(net)
    for one in (plain, net):
        (touch or (lambda net: None))(one)
    x = torch.linspace(-2, 2, 35).view(5, 7)
    exact, wanted = results(copy.deepcopy(plain).double(), x.double()), results(plain, x)
    through, both = [], gradients.gradients
    monkeypatch.setattr(gradients, "gradients", lambda *given: through.append(given[4] != "identity") or both(*given))
    with simulate(check=False) as sim:
        found = results(net, x)
    kernels = {name: seen.launches for name, seen in sim.kernels.items()}
    assert kernels.get("delta_kernel", 0) + sum(through) == deltas
    assert "column_sums_kernel" not in kernels
    unit = torch.finfo(torch.float32).eps
    assert (found - exact).norm() <= 2 * (wanted - exact).norm() + unit * exact.norm()


def test_rows_of_layers_that_do_not_fit_say_so_by_their_own_name():
    net = nn.Sequential(nn.Linear(7, 6), nn.ReLU(), nn.Linear(5, 4))
    patch(net)
    with pytest.raises(ValueError, match=r"^linear: columns of input and of weight differ: 6 and 5"):
        net(torch.zeros(2, 7))
    assert patch(nn.Sequential(nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 4))) is not None


def test_only():
    model = deck()
    report = patch(model, only=["Linear"])
    assert {one.was.__name__ for one in report.changed} == {"Linear", "Sequential"}
    assert type(model[0]) is nn.Conv2d


class Preset(nn.Sequential):
    """As torchvision's: a Sequential with a constructor of its own."""

    def __init__(self, channels):
        super().__init__(nn.Conv2d(channels, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.out_channels = 4


class Shifted(Preset):
    def forward(self, x):
        return super().forward(x) + 1


def test_subclasses_of_sequential():
    """One that runs as torch's is chained, keeps its name and copies; one with a forward of its own is not."""
    x = torch.randn(2, 3, 6, 6)
    model = nn.Sequential(Preset(3), Shifted(4))
    before = copy.deepcopy(model)(x)
    report = patch(model)
    again = pickle.loads(pickle.dumps(model))
    assert [type(part).__name__ for part in again] == ["Preset", "Shifted"]
    assert isinstance(again[0], Preset)
    assert type(model[1]) is Shifted
    unit = torch.finfo(torch.float32).eps
    assert (model(x) - before).abs().max() <= 4 * unit * before.abs().max()
    with simulate(check=False) as sim:
        again[0](x)
    assert sim.launches == 4
    report.undo()
    assert type(model[0]) is Preset


def test_hooks_and_two_places():
    relu = nn.ReLU()
    model = nn.Sequential(nn.Linear(3, 3), relu, nn.Linear(3, 3), relu)
    patch(model)
    x, seen = torch.randn(2, 3), []
    with simulate(check=False) as sim:
        model(x)
    assert sim.launches == 2
    handle = model[0].register_forward_hook(lambda module, args, y: seen.append(y))
    y = model[:2](x)
    assert torch.equal(torch.relu(seen[0]), y)
    handle.remove()
    with simulate(check=False) as sim:
        model(x)
    assert sim.launches == 2


def test_undo():
    """Through the report, or of a copy by its own; modules that have left the model are undone, too."""
    model = deck()
    report = patch(model)
    copied = copy.deepcopy(model)
    undo(copied)
    assert str(copied) == str(deck())
    assert {type(one).__module__.split(".")[0] for one in copied.modules()} == {"torch"}
    gone, model[1] = model[1], nn.GELU()
    report.undo()
    assert type(gone) is nn.ReLU
    assert type(model) is nn.Sequential
    assert not any("patched_from" in vars(one) for one in (gone, *model.modules()))


def test_misuse():
    model = deck()
    report = patch(model)
    with pytest.raises(ValueError, match="patched already; undo that first"):
        patch(model)
    with pytest.raises(ValueError, match="only = Conv3d is unknown; there are Linear"):
        patch(model, only=["Conv3d"])
    torch.nn.utils.parametrize.register_parametrization(model[0], "weight", nn.Identity())
    for way in (report.undo, lambda: undo(model)):
        with pytest.raises(RuntimeError, match="0 has become a ParametrizedConv2d since it was patched; undo that"):
            way()
    assert type(model[3]) is ours.Conv2d
    torch.nn.utils.parametrize.remove_parametrizations(model[0], "weight")
    report.undo()
    assert type(model[3]) is nn.Conv2d
    with pytest.raises(RuntimeError, match="already undone"):
        report.undo()


def test_explain():
    x, w, b = torch.randn(300, 64).half(), torch.randn(128, 64).half(), torch.randn(128).half()
    said = explain(F.linear_act, x, w, b, "tanh", target="sm_90")
    assert len(said.launches) == 1
    assert str(said).startswith("sm_90: 1 launch\n")
    assert "num_warps" in str(said)
    assert "no kernel runs on a CPU" in str(explain(F.linear, x, w))
    assert "no kernel computes in float64" in str(explain(F.linear, x.double(), w.double(), target="sm_90"))
    three = explain(F.batch_norm, torch.randn(8, 4), None, None, training=True, target="sm_80")
    assert [one.kernel for one in three.launches] == ["statistics_kernel", "merge_kernel", "apply_kernel"]
    with pytest.raises(ValueError, match="explain: linear was given no tensor"):
        explain(F.linear)
    with pytest.raises(ValueError, match="explain: target 'h100' is unknown; give one as 'sm_90'"):
        explain(F.linear, x, w, target="h100")


def test_explain_a_module():
    """Its parameters are neither computed with nor changed; before it is patched, nothing in it is ours."""
    model, x = deck(), torch.randn(2, 1, 32, 32)
    assert str(explain(model, x, target="sm_90")) == (
        "sm_90: nothing in Sequential is a kernel of ours: torch would run it")
    patch(model)
    before = copy.deepcopy(model.state_dict())
    said = explain(model, x, target="sm_90")
    assert [one.kernel for one in said.launches] == ["conv_pool_kernel"] * 2 + ["affine_kernel"] * 3
    assert str(said).startswith("sm_90: 5 launches\n  conv_pool_kernel  grid ")
    for momentum in (0.1, None):            # None: the mean of all batches, whose number the module reads
        norm = ours.BatchNorm2d(3, momentum=momentum)
        assert len(explain(norm, torch.randn(2, 3, 4, 4), target="sm_80").launches) == 3
        assert norm.num_batches_tracked == 0
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert "no kernel computes in float64" in str(explain(deck().double(), x, target="sm_90"))
