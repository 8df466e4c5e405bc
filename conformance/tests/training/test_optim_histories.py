"""Optimizers keep nothing that a checkpoint cannot carry: random histories of steps, writes to the state, parameters
that grow, are replaced, removed and added, options that turn, checkpoints in place and by value, the same done to
torch's; by torch's rule, by composites and by kernels."""

from __future__ import annotations

import copy
import io
from unittest import mock

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import optim
from chainrule.triton_kernels.runtime.launch import composites
from chainrule.triton_kernels.updates import chunks

RULES = {
    "sgd": ("SGD", {}), "sgd, decay": ("SGD", {"weight_decay": 0.1}), "momentum": ("SGD", {"momentum": 0.5}),
    "nesterov": ("SGD", {"momentum": 0.5, "nesterov": True}), "uphill": ("SGD", {"momentum": 0.9, "maximize": True}),
    "dampening": ("SGD", {"momentum": 0.5, "dampening": 0.25}), "adagrad": ("Adagrad", {}),
    "adagrad, slowing": ("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.5}), "adam": ("Adam", {}),
    "adam, decay": ("Adam", {"weight_decay": 0.1}), "amsgrad": ("Adam", {"amsgrad": True}), "adamw": ("AdamW", {}),
    "adamw, uphill": ("AdamW", {"maximize": True, "betas": (0.5, 0.75)}), "adam, fused": ("Adam", {"fused": True}),
    "adamw, each": ("AdamW", {"foreach": True}), "momentum, fused": ("SGD", {"momentum": 0.75, "fused": True}),
}
SHAPES = ((3, 5), (40,), (), (1, 2, 3), (4, 9), (65,))
LATER = (*SHAPES, (0,), (0, 3), (1, 1))                 # of what is added


class Run:
    """One library's optimizer and its parameters, in one dtype."""

    def __init__(self, lib, rule, shapes, dtype):
        name, how = RULES[rule]                 # torch's fused rule goes through memory as it lies, whatever lies there
        self.how = how if lib is optim else {key: v for key, v in how.items() if key != "fused"}
        self.make, self.dtype = getattr(lib, name), dtype
        self.parameters = [nn.Parameter(self.numbers(shape, k)) for k, shape in enumerate(shapes)]
        self.optimizer = self.make(self.parameters, lr=0.05, **self.how)
        self.kept = None

    def numbers(self, shape, seed):
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(self.dtype)

    def gradient(self, p, seed):
        """Numbers as p's gradient, in one of the ways in which gradients lie in memory."""
        t = self.numbers(p.shape, seed)
        ways = (lambda: t, lambda: negative(t), lambda: self.numbers((), seed).expand(p.shape), lambda: turned(t),
                lambda: spread(t))
        return ways[seed % len(ways)]() if seed % 2 else t

    def stepped(self, i, n):
        for k, p in enumerate(self.parameters):
            p.grad = None if n % 3 == 2 and k == i % len(self.parameters) else self.gradient(p, 7 * n + k)
        self.optimizer.step()

    def closed(self, i, n):
        """The step itself asks for the gradients."""
        def closure():
            self.optimizer.zero_grad()
            loss = sum(((p - 0.5) ** 2).sum() for p in self.parameters if p.requires_grad)
            if isinstance(loss, torch.Tensor):
                loss.backward()
            return loss
        self.optimizer.step(closure)

    def state(self, i):
        return self.optimizer.state.get(self.parameters[i % len(self.parameters)]) or {}

    def tensors(self, i):
        return {key: t for key, t in self.state(i).items() if isinstance(t, torch.Tensor)}

    def counted(self, i, n):
        """A write to the count of steps in place: what `dcp.load`, a broadcast, a reset do."""
        if "step" in self.state(i):
            self.state(i)["step"].fill_(n) if n else self.state(i)["step"].zero_()

    def written(self, i, n):
        """The same to the other states."""
        for key, t in self.tensors(i).items():
            if key != "step":
                t.mul_(0.5 * n)

    def put(self, i, n):
        """Other tensors in their places; a count as older checkpoints hold it."""
        for key, t in self.tensors(i).items():
            self.state(i)[key] = torch.tensor([float(t)])[0] if key == "step" else t.clone()

    def saved(self, i, n):
        self.kept = copy.deepcopy(self.optimizer.state_dict())

    def loaded(self, i, n):
        if self.kept is not None and len(self.kept["param_groups"]) == len(self.optimizer.param_groups):
            fits = all(t.shape == p.shape for k, p in enumerate(self.parameters) for key, t in self.kept["state"].get(
                k, {}).items() if isinstance(t, torch.Tensor) and key != "step")
            if fits:
                self.optimizer.load_state_dict(copy.deepcopy(self.kept))

    def filed(self, i, n):
        """Through a file into an optimizer of its own."""
        file = io.BytesIO()
        torch.save(self.optimizer.state_dict(), file)
        file.seek(0)
        groups = [{"params": group["params"]} for group in self.optimizer.param_groups]
        self.optimizer = self.make(groups, lr=0.5, **self.how)
        self.optimizer.load_state_dict(torch.load(file))

    def grown(self, i, n):
        p = self.parameters[i % len(self.parameters)]
        p.data = self.numbers((n + 1, 11), n)
        p.grad = None
        self.optimizer.state.pop(p, None)
        self._begun(p)

    def replaced(self, i, n):
        """Another parameter stands where one stood, as large or larger; the old one is gone."""
        k = i % len(self.parameters)
        old, new = self.parameters[k], nn.Parameter(self.numbers((n + 2, 9), n))
        for group in self.optimizer.param_groups:
            group["params"] = [new if p is old else p for p in group["params"]]
        self.optimizer.state.pop(old, None)
        self.parameters[k] = new
        self._begun(new)

    def removed(self, i, n):
        """No longer trained: out of its group, or with its group."""
        if len(self.parameters) == 1:
            return
        p = self.parameters.pop(i % len(self.parameters))
        for group in self.optimizer.param_groups:
            group["params"] = [q for q in group["params"] if q is not p]
        self.optimizer.param_groups[:] = [group for group in self.optimizer.param_groups if group["params"]]
        self.optimizer.state.pop(p, None)
        self.kept = None                                    # its checkpoint has other parameters

    def appended(self, i, n):
        """Into a group by hand."""
        p = nn.Parameter(self.numbers(LATER[(i + n) % len(LATER)], n))
        self.parameters.append(p)
        self.optimizer.param_groups[i % len(self.optimizer.param_groups)]["params"].append(p)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.kept = None
        self._begun(p)

    def copied(self, i, n):
        """Parameters, optimizer and what it keeps, all at once."""
        self.parameters, self.optimizer = copy.deepcopy((self.parameters, self.optimizer))

    def frozen(self, i, n):
        self.parameters[i % len(self.parameters)].requires_grad_(bool(n % 2))

    def negated(self, i, n):
        """States as views whose sign is a bit, or whose memory is another's."""
        for key, t in self.tensors(i).items():
            if key != "step":                               # torch's lists refuse the bit
                self.state(i)[key] = (negative if n % 2 and "foreach" not in self.how else spread)(t)

    def written_over(self, i, n):
        """A parameter's numbers, as an average or an initialization writes them."""
        p = self.parameters[i % len(self.parameters)]
        p.data.copy_(self.numbers(p.shape, n)) if n % 2 else p.detach().mul_(-0.5)

    def chosen(self, i, n):
        """Options of a group that turn while it trains."""
        group = self.optimizer.param_groups[i % len(self.optimizer.param_groups)]
        if "maximize" in group and n < 2:
            group["maximize"] = not group["maximize"]
        elif "betas" in group:
            group["betas"] = (0.125 * n, 0.75)
        elif "momentum" in group and not group["nesterov"]:
            group["momentum"] = 0.125 * (n - 2)
        elif "eps" in group:
            group["eps"] = 0.25

    def added(self, i, n):
        p = nn.Parameter(self.numbers(LATER[(i + n) % len(LATER)], n))
        self.parameters.append(p)
        self.optimizer.add_param_group({"params": [p], "lr": 0.125})
        self._begun(p)

    def forgotten(self, i, n):
        self.optimizer.state.pop(self.parameters[i % len(self.parameters)], None)
        self._begun(self.parameters[i % len(self.parameters)])

    def _begun(self, p):
        """torch's Adagrad makes its states with the optimizer alone."""
        if self.how.get("initial_accumulator_value") is not None or self.make.__name__ == "Adagrad":
            start = self.how.get("initial_accumulator_value", 0.0)
            self.optimizer.state[p] = {"step": torch.tensor(0.0), "sum": torch.full_like(p.detach(), start)}

    def told(self, i, n):
        group = self.optimizer.param_groups[i % len(self.optimizer.param_groups)]
        group["lr"] = torch.tensor(0.25) if n == 5 and not group.get("foreach") and "betas" in group else 0.02 * (n + 1)
        if n % 2 and "weight_decay" in group:
            group["weight_decay"] = 0.125

    def turned(self, i, n):
        """A parameter's memory in another order, or with gaps."""
        p = self.parameters[i % len(self.parameters)]
        p.data = spread(p.data) if n == 5 else turned(p.data)


def negative(t):
    """t as a view with the negative bit."""
    return torch.complex(torch.zeros_like(t), -t).conj().imag


def turned(t):
    return t.mT.contiguous().mT if t.dim() > 1 else t


def spread(t):
    """t with a gap behind each number."""
    return torch.stack((t, t), -1)[..., 0]


ACTIONS = ("stepped", "stepped", "stepped", "stepped", "closed", "counted", "written", "put", "saved", "loaded",
           "filed", "grown", "replaced", "removed", "added", "appended", "copied", "frozen", "negated", "written_over",
           "forgotten", "told", "chosen", "turned")
HISTORIES = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 4), st.integers(0, 5)), min_size=1, max_size=9)
STARTS = st.tuples(st.sampled_from(sorted(RULES)), st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))


def trained(lib, rule, shapes, history, dtype):
    run = Run(lib, rule, shapes, dtype)
    for action, i, n in [*history, ("stepped", 0, 1)]:
        getattr(run, action)(i, n)
    return run


def no_further(own, plain, exact):
    """From the float64 run no further than four times what torch's float32 is; the same counts, the same states."""
    for k, (p, q, r) in enumerate(zip(own.parameters, plain.parameters, exact.parameters, strict=True)):
        assert set(own.tensors(k)) == set(plain.tensors(k))
        pairs = [(p, q, r), *((own.tensors(k)[key], plain.tensors(k)[key], exact.tensors(k)[key])
                              for key in plain.tensors(k))]
        for a, b, c in pairs:
            a, b, c = (t.detach().double() for t in (a, b, c))
            unit = torch.finfo(torch.float32).eps * max(1.0, float(c.norm()))
            assert a.shape == b.shape
            assert (a - c).norm() <= 4 * (b - c).norm() + 16 * unit


def compared(start, history):
    rule, shapes = start
    plain, exact = (trained(torch.optim, rule, shapes, history, d) for d in (torch.float32, torch.float64))
    no_further(trained(optim, rule, shapes, history, torch.float32), plain, exact)
    with composites():
        no_further(trained(optim, rule, shapes, history, torch.float32), plain, exact)
    with mock.patch.object(chunks, "SHORTEST", 16), simulate(check=False):
        no_further(trained(optim, rule, shapes, history, torch.float32), plain, exact)


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(STARTS, HISTORIES)
def test_histories(start, history):
    compared(start, history)


@pytest.mark.slow
@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
@given(STARTS, HISTORIES)
def test_many_histories(start, history):
    compared(start, history)
