"""The torch.library ops one by one: what a graph holds in their place for a GPU that is not here, and that it computes
what the op does."""

from __future__ import annotations

import importlib

import pytest
import torch
import triton
from torch import Tensor
from torch.utils._pytree import tree_map_only
from triton.runtime.jit import JITFunction

from chainrule.conformance.simulator import simulate
from chainrule.conformance.training.graphs import PLUMBING, AsWritten, contents, recorded
from chainrule.triton_kernels import ops
from chainrule.triton_kernels.activations import kernels as act
from chainrule.triton_kernels.images import checks as image_checks
from chainrule.triton_kernels.runtime import library

pytestmark = pytest.mark.filterwarnings("ignore:.*_prims_common:DeprecationWarning")



def data(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def places(*shape):
    return torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def running():
    return data(6, seed=2), data(6, seed=3).square()


def heads():
    return data(2, 3, 5, 6, seed=1), data(2, 3, 4, 6, seed=2), data(2, 3, 4, 8, seed=3)


def sizes(named):
    """As they stand in a graph."""
    return [n for size in named for n in (size if isinstance(size, tuple) else (size,))]


X, W, B = (4, 6), (3, 6), (3,)
IMAGE, FILTERS, OUT = (2, 3, 7, 6), (4, 3, 3, 3), (2, 4, 7, 6)
HOW = (1, 1, 1, 1)
SIZES = sizes(image_checks.layer("conv2d", IMAGE, FILTERS, *HOW))
WINDOWS = sizes(image_checks.pool("max_pool2d", IMAGE, 2, 2, 0))
#: name: (its arguments, the kernels that stand in a graph for it)
CHECKED = {
    "act_value": (lambda: (data(*X), "tanh", 0.0), ["unary_kernel"]),
    "act_backward": (lambda: (data(*X), data(*X, seed=1).t().contiguous().t(), "tanh", "z", 0.0), ["binary_kernel"]),
    "softmax": (lambda: (data(*X).t(), torch.bfloat16), ["softmax_kernel"]),
    "softmax_backward": (lambda: (data(*X), data(*X, seed=1).softmax(1)), ["gradient_kernel"]),
    "affine_keeping": (lambda: (data(*X), data(*W), data(*B), "elu", 1.0, True, "ieee"), ["affine_kernel"]),
    "affine_added": (lambda: (data(*X), data(*W), data(*B), data(4, 3), "ieee"), ["affine_kernel"]),
    "averaged": (lambda: (data(4, 3), data(*X), data(*W), 0.5, 4.0, True, "ieee"), ["average_kernel"]),
    "delta_through": (
        lambda: (data(130, 3), data(*W), data(130, 6), "tanh", "z", 0.0, "bp.delta.chain", "ieee"),
        ["delta_kernel", "column_sums_kernel"]),
    "layer_gradients": (
        lambda: (data(4, 3), data(*W), data(*X), data(*X, seed=1), "elu", "z", 1.0, 0.5, 4.0, "ieee"),
        ["gradients_kernel"]),
    "band_keeping": (lambda: (data(*X), data(6, 3), data(6), "elu", 1.0, True), ["band_kernel"]),
    "band_delta": (lambda: (data(*X), data(3)), ["band_kernel"]),
    "band_averaged": (lambda: (data(*X), data(*X, seed=1), 3, False, True, True), ["average_kernel"]),
    "attention_forward": (lambda: (*heads(), 0.5, torch.tensor([[True, True, False, True]] * 2), True, "ieee"),
                          ["forward_kernel"]),
    "attention_backward": (
        lambda: (data(2, 3, 5, 8, seed=4), *heads(), data(2, 3, 5, 8, seed=5), data(2, 3, 5, seed=6), 0.5, None, False,
                 "ieee"), ["backward_kernel"]),
    "attention_packed_backward": (
        lambda: (data(2, 3, 5, 6, seed=4), data(2, 5, 3, 3, 6), data(2, 3, 5, 6, seed=5), data(2, 3, 5, seed=6), 0.5,
                 torch.tensor([[True, True, False, True, True]] * 2), True, "ieee"), ["backward_kernel"]),
    "recalled": (
        lambda: (data(4, 3), data(*W), data(*X), "identity", 0.0, data(4), data(4).abs(), data(6), data(6), "ieee"),
        ["recalled_kernel"]),
    "embed_forward": (lambda: (data(2, 3, 4, 6), data(5, 3, 2, 2), data(5), data(5), data(7, 5), "ieee"),
                      ["embed_kernel"]),
    "embed_to_patch": (lambda: (data(2, 7, 5), data(5, 3, 2, 2), 4, 6, "ieee"), ["to_patch_kernel"]),
    "embed_to_theta": (lambda: (data(2, 7, 5), data(2, 3, 4, 6), 2, "ieee"), ["to_theta_kernel"]),
    "embed_sums": (lambda: (data(2, 7, 5),), ["sums_kernel"]),
    "loss": (lambda: ("loss.softmax", data(*X), torch.tensor([0, 5, 2, 2])), ["softmax_rows_kernel"]),
    "class_loss": (
        lambda: (data(*X), torch.tensor([0, 5, -100, 2]), data(6).abs(), -100, 0.25), ["softmax_rows_kernel"]),
    "loss_averaged": (lambda: (data(4), data(4, seed=1).abs()), ["mean_kernel"]),
    "loss_shared": (lambda: (data(*X), torch.tensor(2.0), torch.tensor(3.0)), ["share_kernel"]),
    "scaled": (lambda: (data(*X), torch.tensor(2.0), 3), ["binary_kernel"]),
    "sgd": (lambda: (data(*X), data(*X, seed=1), 0.25), ["binary_kernel"]),
    "sgd_": (lambda: (data(*X), data(*X, seed=1), 0.25), ["binary_kernel"]),
    "norm_statistics": (lambda: (data(*X), 1e-5), ["statistics_kernel", "merge_kernel"]),
    "norm_running": (lambda: (data(*X), 1e-5, *running(), 0.25), ["statistics_kernel", "merge_kernel"]),
    "norm_root": (lambda: (data(6).square(), 1e-5), ["roots_kernel"]),
    "norm_applied": (lambda: (data(*X), *running(), data(6), data(6), data(*X), True), ["apply_kernel"]),
    "norm_sums": (
        lambda: (data(*X), data(*X, seed=1), data(*X, seed=4), *running(), torch.float32, True),
        ["sums_kernel", "join_kernel"]),
    "norm_backward": (
        lambda: (data(*X), data(*X, seed=1), data(*X, seed=4), *running(), data(6), data(2, 6), True, True),
        ["grad_x_kernel"]),
    "layer_norm": (lambda: (data(*X), data(6), data(6), 1e-5, data(*X, seed=1), True), ["forward_kernel"]),
    "layer_norm_backward": (
        lambda: (data(*X), data(*X, seed=1), data(4), data(4).abs(), data(6), data(*X, seed=2), torch.float32, True,
                 True), ["backward_kernel"]),
    "convolution": (
        lambda: (data(*IMAGE), data(*FILTERS), data(4), SIZES, "tanh", 0.0, True, "ieee"), ["correlate_kernel"]),
    "convolution_backward": (
        lambda: (data(*OUT), data(*FILTERS), SIZES, data(*IMAGE), "tanh", 0.0, "ieee"), ["correlate_kernel"]),
    "convolution_averaged": (
        lambda: (data(*OUT), data(*IMAGE), data(*FILTERS), SIZES, 0.5, 4.0, True, True, "ieee"), ["average_kernel"]),
    "convolution_pooled": (
        lambda: (data(*IMAGE), data(*FILTERS), data(4), SIZES, "tanh", 0.0, True, "ieee", True),
        ["conv_pool_kernel"]),
    "max_pool": (lambda: (data(*IMAGE), WINDOWS), ["pool_kernel"]),
    "max_pool_backward": (
        lambda: (data(2, 3, 3, 3), places(2, 3, 3, 3), WINDOWS, None, "identity", "nothing", 0.0),
        ["pool_gradient_kernel"]),
    "max_pool_places": (lambda: (places(2, 3, 3, 3), WINDOWS), []),
}
MORE = {
    "recalled, an activation": (
        lambda: (data(4, 3), data(*W), data(*X), "gelu", 0.0, None, None, None, None, None), ["recalled_kernel"]),
    "delta_through, one tile": (
        lambda: (data(4, 3), data(*W), data(*X), "tanh", "z", 0.0, "bp.delta.chain", "ieee"), ["delta_kernel"]),
    "layer_gradients, nothing before": (
        lambda: (data(4, 3), data(*W), data(*X), data(*X), "identity", "nothing", 0.0, 0.0, 1.0, None),
        ["gradients_kernel"]),
    "band_keeping, shared": (lambda: (data(*X), data(3), None, "identity", 0.0, False), ["band_kernel"]),
    "band_averaged, shared, many": (
        lambda: (data(40, 6), data(40, 6, seed=1), 3, True, True, False), ["average_kernel", "join_kernel"]),
    "convolution, nothing kept": (
        lambda: (data(*IMAGE), data(*FILTERS), None, SIZES, "identity", 0.0, False, None), ["correlate_kernel"]),
    "convolution_pooled, no places": (
        lambda: (data(*IMAGE), data(*FILTERS), None, SIZES, "relu", 0.0, False, "tf32", False), ["conv_pool_kernel"]),
    "convolution_pooled, sides of 0": (
        lambda: (data(*IMAGE), data(*FILTERS), None, SIZES, "relu", 0.0, False, None, True, True),
        ["conv_pool_kernel"]),
    "max_pool_backward, by the side": (
        lambda: (data(2, 3, 3, 3), places(2, 3, 3, 3) + 4 * places(2, 3, 3, 3).flip(0).clamp(max=1), WINDOWS, None,
                 "leaky", "side", 0.25), ["pool_gradient_kernel"]),
    "convolution_averaged, intercepts alone": (
        lambda: (data(*OUT), data(*IMAGE), None, SIZES, 0.0, 1.0, False, True, None), ["average_kernel"]),
    "max_pool_backward, through g": (
        lambda: (data(2, 3, 3, 3), places(2, 3, 3, 3), WINDOWS, data(2, 3, 3, 3, seed=1), "tanh", "z", 0.0),
        ["pool_gradient_kernel"]),
    "act_value, of a normal distribution": (lambda: (data(*X), "gelu.tanh", 0.0), ["unary_kernel"]),
    "affine_keeping, gelu": (lambda: (data(*X), data(*W), data(*B), "gelu", 0.0, True, "ieee"), ["affine_kernel"]),
    "softmax, long": (lambda: (data(2, 16400), torch.float32), ["softmax_long_kernel"]),
    "layer_norm, bare and long": (
        lambda: (data(2, 2050), None, None, 1e-5, None, True), ["forward_long_kernel"]),
    "layer_norm_backward, sums alone": (
        lambda: (data(*X), data(*X, seed=1), data(4), data(4).abs(), None, None, torch.bfloat16, False, True),
        ["backward_kernel", "column_sums_kernel"]),
    "loss, square": (lambda: ("loss.square", data(*X), data(*X, seed=1)), ["pair_kernel"]),
    "loss, many classes": (lambda: ("loss.softmax", data(1, 33000), torch.tensor([7])), ["softmax_long_kernel"]),
    "affine_keeping, nothing kept": (
        lambda: (data(*X), data(6, 3).t(), None, "leaky", 0.1, False, "ieee"), ["affine_kernel"]),
}
CASES = {**CHECKED, **MORE}


def op_of(name):
    return getattr(ops.registered(), name.split(",")[0])


def test_every_op_is_checked():
    assert set(CHECKED) == set(library.OPS)


@pytest.mark.parametrize("name", CHECKED)
def test_opcheck(name):
    args = CHECKED[name][0]()
    outcome = torch.library.opcheck(op_of(name), args)
    assert set(outcome.values()) == {"SUCCESS"}


def nhwc(*shape, seed=0):
    return data(*shape, seed=seed).contiguous(memory_format=torch.channels_last)


WHOLE = sizes(image_checks.layer("conv2d", (2, 16, 7, 6), (8, 16, 3, 3), *HOW))
#: Operands that kernels which move boxes take, in 16 bits.
BOXED = {
    **{name: CHECKED[name][0] for name, (_, op) in library.OPS.items() if op.boxes and name in CHECKED},
    "convolution": lambda: (
        nhwc(2, 16, 7, 6), nhwc(8, 16, 3, 3), data(8), WHOLE, "tanh", 0.0, True, "ieee"),
    "convolution_backward": lambda: (
        nhwc(2, 8, 7, 6), nhwc(8, 16, 3, 3), WHOLE, nhwc(2, 16, 7, 6, seed=1), "tanh", 0.0, "ieee"),
    "convolution_averaged": lambda: (
        nhwc(2, 8, 7, 6), nhwc(2, 16, 7, 6), nhwc(8, 16, 3, 3), WHOLE, 0.5, 4.0, True, True, "ieee"),
    "convolution_pooled": lambda: (
        nhwc(2, 16, 7, 6), nhwc(8, 16, 3, 3), data(8), WHOLE, "tanh", 0.0, True, "ieee", True),
}


def test_every_op_with_boxes_is_checked():
    assert set(BOXED) == {name for name, (_, op) in library.OPS.items() if op.boxes}


@pytest.mark.parametrize("name", BOXED)
def test_16_bit_products_stay_whole_where_a_gpu_moves_boxes(name):
    """Opaque, and named so; the same op opens up for a GPU without boxes."""
    whole, make = op_of(f"{name}_boxes"), BOXED[name]
    assert set(torch.library.opcheck(whole, make()).values()) == {"SUCCESS"}
    args = tree_map_only(Tensor, lambda t: t.bfloat16() if t.is_floating_point() else t, make())
    kernels, others = contents(recorded(op_of(name), args, "sm_90"))
    assert not kernels
    assert f"chainrule.{name}_boxes.default" in others
    assert contents(recorded(op_of(name), args, "sm_80"))[0] == CASES[name][1]


@pytest.mark.parametrize("name", CASES)
def test_the_graph_for_a_gpu_holds_our_kernels_and_nothing_else_that_computes(name):
    make, wanted = CASES[name]
    kernels, others = contents(recorded(op_of(name), make()))
    assert kernels == wanted
    if kernels:
        assert set(others) <= PLUMBING
    else:
        assert not any("chainrule" in other for other in others)


@pytest.mark.parametrize("name", CASES)
def test_what_is_written_down_computes_the_same_bits(name, tmp_path):
    op, make = op_of(name), CASES[name][0]
    graph = recorded(op, make())
    changed = [i for i, a in enumerate(op._opoverload._schema.arguments) if a.alias_info and a.alias_info.is_write]
    with simulate():
        args = make()
        out = op(*args)
        wanted = [*(args[i] for i in changed), *(out if isinstance(out, tuple) else () if out is None else (out,))]
    found = AsWritten(graph, tmp_path).run(*(a for a in make() if isinstance(a, Tensor)))
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        assert a.stride() == b.stride()
        assert torch.equal(a, b)


def kernels_of(module):
    return [value for value in vars(importlib.import_module(module)).values() if isinstance(value, JITFunction)]


MODULES = [f"chainrule.triton_kernels.{name}" for name in (
    "blocks.pointwise", "activations.softmax", "layers.kernels", "losses.kernels", "norms.kernels", "norms.layer",
    "attention.kernels", "blocks.reduce",
    "images.layer", "images.filters", "images.pooled", "images.pool", "bands.kernels", "bands.weights")]


def meanings(function, seen):
    """Every name that a kernel reaches, with what it stands for."""
    for name in function.fn.__code__.co_names:
        value = function.fn.__globals__.get(name)
        if not isinstance(value, JITFunction | triton.language.constexpr):
            continue
        new = name not in seen
        assert seen.setdefault(name, value) is value, f"{function.__name__}: {name} means two things in one kernel"
        if new and isinstance(value, JITFunction):
            meanings(value, seen)


@pytest.mark.parametrize("module", MODULES)
def test_one_name_means_one_thing_in_a_kernel(module):
    """Inductor writes a kernel and all it calls into one file; of two meanings of a name one would be lost."""
    for kernel in kernels_of(module):
        taken = {p.name for p in kernel.params} | set(kernel.fn.__code__.co_varnames)
        for table in (act.VALUE, act.PRIME, act.PRIME_OF_A):
            for g in table.values():
                assert g.__name__ not in taken
                seen = {g.__name__: g}
                meanings(g, seen)
                meanings(kernel, seen)
