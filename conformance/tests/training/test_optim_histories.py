"""Optimizers keep nothing that a checkpoint cannot carry: random histories of steps, writes to the state, parameters
that grow, are replaced and added, checkpoints in place and by value, the same done to torch's."""

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
from chainrule.triton_kernels.updates import chunks

RULES = {
    "sgd": ("SGD", {}), "sgd, decay": ("SGD", {"weight_decay": 0.1}), "momentum": ("SGD", {"momentum": 0.5}),
    "nesterov": ("SGD", {"momentum": 0.5, "nesterov": True}), "uphill": ("SGD", {"momentum": 0.9, "maximize": True}),
    "dampening": ("SGD", {"momentum": 0.5, "dampening": 0.25}), "adagrad": ("Adagrad", {}),
    "adagrad, slowing": ("Adagrad", {"lr_decay": 0.1, "initial_accumulator_value": 0.5}), "adam": ("Adam", {}),
    "adam, decay": ("Adam", {"weight_decay": 0.1}), "amsgrad": ("Adam", {"amsgrad": True}), "adamw": ("AdamW", {}),
    "adamw, uphill": ("AdamW", {"maximize": True, "betas": (0.5, 0.75)}),
}
SHAPES = ((3, 5), (40,), (), (1, 2, 3), (4, 9), (65,))


class Run:
    """One library's optimizer and its parameters, in one dtype."""

    def __init__(self, lib, rule, shapes, dtype):
        name, self.how = RULES[rule]
        self.make, self.dtype = getattr(lib, name), dtype
        self.parameters = [nn.Parameter(self.numbers(shape, k)) for k, shape in enumerate(shapes)]
        self.optimizer = self.make(self.parameters, lr=0.05, **self.how)
        self.kept = None

    def numbers(self, shape, seed):
        return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(self.dtype)

    def stepped(self, i, n):
        for k, p in enumerate(self.parameters):
            p.grad = None if n % 3 == 2 and k == i % len(self.parameters) else self.numbers(p.shape, 7 * n + k)
        self.optimizer.step()

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

    def added(self, i, n):
        p = nn.Parameter(self.numbers(SHAPES[n % len(SHAPES)], n))
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
        """A parameter's memory in another order."""
        p = self.parameters[i % len(self.parameters)]
        if p.dim() == 2:
            p.data = p.data.t().contiguous().t()


ACTIONS = ("stepped", "stepped", "stepped", "counted", "written", "put", "saved", "loaded", "filed", "grown",
           "replaced", "added", "forgotten", "told", "turned")
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
    with mock.patch.object(chunks, "SHORTEST", 16), simulate(check=False):
        no_further(trained(optim, rule, shapes, history, torch.float32), plain, exact)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(STARTS, HISTORIES)
def test_histories(start, history):
    compared(start, history)


@pytest.mark.slow
@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
@given(STARTS, HISTORIES)
def test_many_histories(start, history):
    compared(start, history)
