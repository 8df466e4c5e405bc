"""torch's own sample inputs, of functions (op_db), modules (module_db) and optimizers (optim_db): what torch runs, ours
runs too, and as exactly. A seeded sample of each at every push, all of them in `make full`."""

from __future__ import annotations

import contextlib
import copy
import itertools
import random
import warnings
from unittest import mock

import pytest
import torch
from torch import nn

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn as ours
from chainrule.triton_kernels import optim

pytest.importorskip("expecttest", reason="torch's databases need it")
# Importing them would forbid every other test of this process to set a flag of torch.backends.
with warnings.catch_warnings(), mock.patch.object(torch.backends, "disable_global_flags"):
    warnings.simplefilter("ignore")
    from torch.testing._internal.common_methods_invocations import op_db
    from torch.testing._internal.common_modules import module_db
    from torch.testing._internal.common_optimizers import optim_db

PLACES = {"cpu": contextlib.nullcontext, "kernel": lambda: simulate(check=False)}
FUNCTIONS = ("conv1d", "conv2d", "max_pool1d", "max_pool2d", "linear", "relu", "leaky_relu", "elu", "tanh", "sigmoid",
             "gelu", "softmax", "batch_norm", "layer_norm", "scaled_dot_product_attention", "cross_entropy", "mse_loss",
             "binary_cross_entropy_with_logits")
OPS = {op.name.rpartition(".")[2]: op for op in op_db
       if op.name.rpartition(".")[2] in FUNCTIONS and not op.variant_test_name and op.name[0] in "nts"}
MODULES = {info.name.rpartition(".")[2]: info for info in module_db if info.name.rpartition(".")[2] in (
    "Linear", "Conv1d", "Conv2d", "MaxPool1d", "MaxPool2d", "BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "Sigmoid",
    "Tanh", "ReLU", "LeakyReLU", "ELU", "GELU", "Softmax", "LayerNorm", "MultiheadAttention", "TransformerEncoderLayer",
    "CrossEntropyLoss", "MSELoss", "BCEWithLogitsLoss")}
OPTIMIZERS = {info.optim_cls.__name__: info for info in optim_db
              if info.optim_cls.__name__ in ("SGD", "Adagrad", "Adam", "AdamW")}
DTYPES = (torch.float32, torch.bfloat16)
pytestmark = pytest.mark.filterwarnings("ignore")


def copied(value, dtype=None):
    """Tensors anew, as leaves, floating ones in another dtype if one is given; everything else as it is."""
    if isinstance(value, torch.Tensor):
        t = value.detach().clone()
        t = t.to(dtype) if dtype is not None and t.is_floating_point() else t
        return t.requires_grad_(value.requires_grad)
    if isinstance(value, (list, tuple)):
        return type(value)(copied(one, dtype) for one in value)
    return {key: copied(one, dtype) for key, one in value.items()} if isinstance(value, dict) else value


def leaves(value):
    if isinstance(value, torch.Tensor):
        return [value] if value.requires_grad else []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [t for one in inner for t in leaves(one)]


def outcome(function, given, also=()):
    """Everything that comes out, every gradient, and what was written in place; or the error."""
    try:
        out = function(*given[0], **given[1])
        outs = [t for t in (out if isinstance(out, (tuple, list)) else (out,)) if isinstance(t, torch.Tensor)]
        wanting = [*leaves(given), *(p for p in also if p.requires_grad)]
        floating = [t for t in outs if t.requires_grad]
        total = sum((t.double() * torch.arange(1.0, t.numel() + 1).cos().view(t.shape)).sum() for t in floating)
        gradients = torch.autograd.grad(total, wanting, allow_unused=True) if floating else ()
    except (RuntimeError, ValueError, TypeError, IndexError, AssertionError, NotImplementedError) as error:
        return error
    return [*(t.detach() for t in outs), *gradients]


def no_further(found, wanted, exact):
    """Is ours as near to float64 as torch's is, four times, and in the same dtype and shape?"""
    assert not isinstance(found, Exception), found
    exact = wanted if isinstance(exact, Exception) else exact
    for a, b, c in zip(found, wanted, exact, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            unit = torch.finfo(a.dtype).eps if a.is_floating_point() else 0.0
            a, b, c = (t.double().nan_to_num(7e5, 8e5, 9e5).flatten() for t in (a, b, c))
            assert (a - c).norm() <= 4 * (b - c).norm() + 16 * unit * max(1.0, float(c.norm()))


def some(samples, many, seed):
    samples = list(samples if many is None else itertools.islice(samples, 100))
    return samples if many is None else random.Random(seed).sample(samples, min(many, len(samples)))


def functions(name, dtype, place, many):
    """How many samples were judged."""
    judged, theirs = 0, getattr(torch.nn.functional, name, None) or getattr(torch, name)
    torch.manual_seed(0)
    samples = (one for one in OPS[name].sample_inputs("cpu", dtype, requires_grad=True)
               if not one.kwargs.get("dropout_p"))              # what is drawn differs from call to call
    for sample in some(samples, many, name):
        given = ((sample.input, *sample.args), sample.kwargs)
        wanted = outcome(theirs, copied(given))
        if isinstance(wanted, Exception):
            continue
        exact = outcome(theirs, copied(given, torch.float64))
        with PLACES[place]():
            found = outcome(getattr(F, name), copied(given))
        no_further(found, wanted, exact)
        judged += 1
    return judged


def modules(name, dtype, place, many):
    judged, info = 0, MODULES[name]
    for training in (True, False):
        torch.manual_seed(0)
        inputs = info.module_inputs_func(info, device="cpu", dtype=dtype, requires_grad=True, training=training)
        for one in some(inputs, many, name):
            if one.forward_input is None:
                continue
            arguments, options = one.constructor_input.args, one.constructor_input.kwargs
            plain = info.module_cls(*arguments, **options).to(dtype).train(training)
            own = getattr(ours, name)(*copied(arguments), **copied(options)).to(dtype).train(training)
            own.load_state_dict(plain.state_dict())
            wide = copy.deepcopy(plain).double()
            given = (one.forward_input.args, one.forward_input.kwargs)
            wanted = outcome(plain, copied(given), list(plain.parameters()))
            if isinstance(wanted, Exception):
                continue
            exact = outcome(wide, copied(given, torch.float64), list(wide.parameters()))
            with PLACES[place]():
                found = outcome(own, copied(given), list(own.parameters()))
            no_further(found, wanted, exact)
            no_further([b.clone() for b in own.buffers()], list(plain.buffers()), list(wide.buffers()))
            judged += 1
    return judged


def optimizers(name, place, many):
    judged, info = 0, OPTIMIZERS[name]
    for one in some(info.optim_inputs_func(device="cpu"), many, name):
        def trained(lib, dtype, one=one):
            torch.manual_seed(0)
            theta = [nn.Parameter(torch.randn(4, 5).to(dtype)), nn.Parameter(torch.randn(3).to(dtype))]
            optimizer = getattr(lib, name)(theta, **copied(one.kwargs))
            for k in range(3):
                for p in theta:
                    p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(k)).to(dtype)
                optimizer.step()
            return [p.detach() for p in theta]

        try:
            wanted = trained(torch.optim, torch.float32)
        except (RuntimeError, ValueError):
            continue
        with PLACES[place]():
            found = trained(optim, torch.float32)
        no_further(found, wanted, trained(torch.optim, torch.float64))
        judged += 1
    return judged


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_functions(name, place):
    for dtype in DTYPES if place == "cpu" else DTYPES[:1]:
        assert functions(name, dtype, place, 12 if place == "cpu" else 3)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(MODULES))
def test_modules(name, place):
    assert modules(name, torch.float32, place, 6 if place == "cpu" else 2)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_optimizers(name, place):
    assert optimizers(name, place, 6)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_all_samples_of_functions(name, place):
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
        functions(name, dtype, place, None if place == "cpu" or name != "max_pool2d" else 100)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(MODULES))
def test_all_samples_of_modules(name, place):
    for dtype in (torch.float32, torch.float64):
        assert modules(name, dtype, place, None)


@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_all_samples_of_optimizers(name, place):
    assert optimizers(name, place, None)


def test_every_name_of_ours_is_in_the_databases():
    assert set(OPS) == set(FUNCTIONS)
    assert len(MODULES) == 21
    assert len(OPTIMIZERS) == 4
