"""torch.compile for a GPU that is not here: one graph of our kernels, forward and backward, which computes what the
eager launches do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
import torch
from functorch.compile import make_boxed_func
from torch import Tensor, fx
from torch._dynamo.backends.common import aot_autograd
from torch._subclasses.fake_tensor import FakeTensorMode

from chainrule.conformance.simulator import simulate
from chainrule.conformance.training.graphs import PLUMBING, AsWritten, absent_gpu, arguments_of, contents, kernel_of
from chainrule.triton_kernels import functional as F
from chainrule.triton_kernels import nn
from chainrule.triton_kernels.runtime import rooms

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*_prims_common:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*Function.*should not be instantiated:DeprecationWarning"),
]


class Recorded(Exception):
    """In place of a run."""


def stop(*_: Any) -> Any:
    raise Recorded


def compiled(function: Callable[..., Any], *calls: list[Tensor], arch: str = "sm_90", dynamic: bool = False,
             device: str = "cuda") -> Any:
    """The graphs of a function that is called on stand-ins for tensors like these; they are not run."""
    graphs: list[fx.GraphModule] = []

    def keep(graph: fx.GraphModule, _: Any) -> Any:
        graphs.append(graph)
        return make_boxed_func(stop)

    torch._dynamo.reset()
    call = torch.compile(function, fullgraph=True, backend=aot_autograd(fw_compiler=keep), dynamic=dynamic)
    for tensors in calls:
        with absent_gpu(arch), FakeTensorMode(), suppress(Recorded):
            call(*(torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=device) for t in tensors))
    return graphs


def empty(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.empty(shape, dtype=dtype)


X, W, B, IMAGE, FILTERS, C = (4, 6), (3, 6), (3,), (2, 3, 7, 6), (4, 3, 3, 3), (6,)
AFFINE, PAIR = ["affine_kernel"], ["pair_kernel"]
NORM = ["statistics_kernel", "merge_kernel", "apply_kernel"]
#: (function, its arguments, the kernels of its graph)
FUNCTIONS: dict[str, tuple[Callable[..., Any], list[Tensor], list[str]]] = {
    **{name: (getattr(F, name), [empty(*X)], ["unary_kernel"]) for name in
       ("sigmoid", "tanh", "relu", "leaky_relu", "elu", "gelu")},
    "softmax": (lambda x: F.softmax(x, 1), [empty(*X)], ["softmax_kernel"]),
    "linear": (F.linear, [empty(*X), empty(*W)], AFFINE),
    "linear_act": (lambda x, w, b: F.linear_act(x, w, b, "elu"), [empty(2, *X), empty(*W), empty(*B)], AFFINE),
    "mlp": (lambda x, w, v: F.mlp(x, [w, v], [None, None], "tanh"), [empty(*X), empty(*W), empty(2, 3)], 2 * AFFINE),
    "cross_entropy": (F.cross_entropy, [empty(*X), empty(4, dtype=torch.int64)],
                      ["softmax_rows_kernel", "mean_kernel"]),
    "linear_cross_entropy": (F.linear_cross_entropy, [empty(*X), empty(*W), empty(4, dtype=torch.int64)],
                             [*AFFINE, "softmax_rows_kernel", "mean_kernel"]),
    "mse_loss": (F.mse_loss, [empty(*X), empty(*X)], PAIR),
    "binary_cross_entropy_with_logits": (F.binary_cross_entropy_with_logits, [empty(*X), empty(*X)], PAIR),
    "locally_connected1d": (F.locally_connected1d, [empty(*X), empty(6, 3)], ["band_kernel"]),
    "shared_linear": (F.shared_linear, [empty(*X), empty(3)], ["band_kernel"]),
    "sgd": (lambda theta, D: F.sgd(theta, D, 0.5), [empty(*X), empty(*X)], ["binary_kernel"]),
    "sgd_": (lambda theta, D: F.sgd_(theta, D, 0.5), [empty(*X), empty(*X)], ["binary_kernel"]),
    "patch_embedding": (F.patch_embedding, [empty(2, 2, 4, 6), empty(3, 2, 2, 2), empty(3), empty(3), empty(7, 3)],
                        ["embed_kernel"]),
    "conv1d": (F.conv1d, [empty(2, 3, 9), empty(4, 3, 3)], ["correlate_kernel"]),
    "conv2d": (lambda x, w: F.conv2d(x, w, None, 2, 1), [empty(*IMAGE), empty(*FILTERS)], ["correlate_kernel"]),
    "conv2d_act": (lambda x, w: F.conv2d_act(x, w, None, "tanh"), [empty(*IMAGE), empty(*FILTERS)],
                   ["correlate_kernel"]),
    "conv2d_act, pooled": (lambda x, w: F.conv2d_act(x, w, pool=True), [empty(*IMAGE), empty(*FILTERS)],
                           ["conv_pool_kernel"]),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), [empty(*IMAGE)], ["pool_kernel"]),
    "max_pool2d, indices": (lambda x: F.max_pool2d(x, 2, return_indices=True), [empty(*IMAGE)], ["pool_kernel"]),
    "max_pool1d": (lambda x: F.max_pool1d(x, 2), [empty(2, 3, 7)], ["pool_kernel"]),
    "batch_norm": (lambda x, m, v, g, b: F.batch_norm(x, m, v, g, b, True), [empty(*X), *(empty(*C) for _ in range(4))],
                   NORM),
    "layer_norm": (lambda x, g, b: F.layer_norm(x, (6,), g, b), [empty(2, *X), empty(*C), empty(*C)],
                   ["forward_kernel"]),
    "add_layer_norm": (lambda x, y: F.add_layer_norm(x, y, (6,)), [empty(*X), empty(*X)], ["forward_kernel"]),
    "scaled_dot_product_attention": (
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), [empty(2, 3, 5, 8)] * 3,
        ["forward_kernel"]),
    "self_attention": (lambda x: F.self_attention(x, None, False), [empty(2, 5, 3, 4, 8)], ["forward_kernel"]),
    "batch_norm, evaluation": (lambda x, m, v: F.batch_norm(x, m, v), [empty(*X), empty(*C), empty(*C)],
                               ["roots_kernel", "apply_kernel"]),
}


def test_every_function_is_here():
    public = {name for name, value in vars(F).items()
              if callable(value) and not name.startswith("_") and value.__module__.startswith("chainrule")}
    assert {name.split(",")[0] for name in FUNCTIONS} == public - {"asked"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_one_graph_of_our_kernels(name):
    function, arguments, wanted = FUNCTIONS[name]
    (graph,) = compiled(function, arguments)
    kernels, others = contents(graph)
    assert kernels == wanted
    assert not any("chainrule" in other for other in others)


ROWS = {
    "linear_act": (lambda x, w: F.linear_act(x, w, None, "tanh"), lambda n: [empty(n, 6), empty(*W)]),
    "relu": (F.relu, lambda n: [empty(n, 6)]),
    "cross_entropy": (F.cross_entropy, lambda n: [empty(n, 6), empty(n, dtype=torch.int64)]),
    "conv2d": (F.conv2d, lambda n: [empty(n, *IMAGE[1:]), empty(*FILTERS)]),
    "max_pool2d": (lambda x: F.max_pool2d(x, 2), lambda n: [empty(n, *IMAGE[1:])]),
    "softmax": (lambda x: F.softmax(x, 1), lambda n: [empty(n, 6)]),
    "layer_norm": (lambda x: F.layer_norm(x, (6,)), lambda n: [empty(n, 6)]),
    "attention": (F.scaled_dot_product_attention, lambda n: [empty(n, 2, 7, 3)] * 3),
    "batch_norm": (lambda x: F.batch_norm(x, None, None, training=True), lambda n: [empty(n, *IMAGE[1:])]),
}


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize("name", ROWS)
def test_other_batches_use_the_same_graph(name, device):
    """Rows are chosen by classes of sizes, which a graph is guarded by, and not by the sizes themselves."""
    function, make = ROWS[name]
    assert len(compiled(function, *(make(n) for n in (5, 8, 11, 14)), dynamic=True, device=device)) == 1


def test_16_bit_products_stay_whole_where_a_gpu_moves_boxes():
    arguments = [empty(64, 64, dtype=torch.bfloat16) for _ in range(2)]
    for arch, wanted in (("sm_90", ([], ["chainrule.affine_keeping_boxes.default", "getitem"])), ("sm_80", AFFINE)):
        (graph,) = compiled(F.linear, arguments, arch=arch)
        kernels, others = contents(graph)
        assert ((kernels, others) if arch == "sm_90" else kernels) == wanted


def test_the_graph_follows_the_precision_switch():
    def entered() -> list[str]:
        (graph,) = compiled(F.linear, [empty(*X), empty(*W)])
        return [arguments_of(node)["PRECISION"] for node in graph.graph.nodes if kernel_of(node)]

    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("highest")
        assert entered() == ["ieee"]
        torch.set_float32_matmul_precision("high")
        assert entered() == ["tf32"]
    finally:
        torch.set_float32_matmul_precision(before)


def test_torch_compiles_again_when_the_switch_moves():
    graphs = []
    torch._dynamo.reset()
    before = torch.get_float32_matmul_precision()
    call = torch.compile(F.linear, fullgraph=True, backend=lambda graph, _: graphs.append(graph) or graph)
    try:
        for precision in ("highest", "high", "highest", "high"):
            torch.set_float32_matmul_precision(precision)
            call(torch.ones(X), torch.ones(W))
    finally:
        torch.set_float32_matmul_precision(before)
    assert len(graphs) == 2


def mlp_step():
    torch.manual_seed(0)
    net = nn.MLP((6, 5, 4), act="elu")
    x, target = torch.randn(7, 6), torch.tensor([0, 3, 1, 1, 2, 0, 3])
    return lambda: F.cross_entropy(net(x), target), list(net.parameters())


def net_step():
    torch.manual_seed(0)
    net, x, target = nn.Net(), torch.randn(2, 1, 32, 32), torch.tensor([1, 7])
    return lambda: F.cross_entropy(net(x), target), list(net.parameters())


def block_step():
    torch.manual_seed(0)
    block = nn.ResidualBlock(4, 4)
    x = torch.randn(2, 4, 6, 5).contiguous(memory_format=torch.channels_last)
    target = torch.ones_like(x)
    return lambda: F.mse_loss(block(x), target), list(block.parameters())


@pytest.mark.parametrize(
    ("make", "more"), [(mlp_step, 1), pytest.param(net_step, 1, marks=pytest.mark.slow), (block_step, 0)])
def test_a_compiled_training_step_computes_the_same_bits(make, more, tmp_path, monkeypatch):
    """The graphs of both passes, run as Inductor would write their kernels down, against eager launches; where the mean
    of a small batch's losses is the loss's own launch, it is one more in a graph, which is one for every batch."""
    step, parameters = make()
    with simulate() as simulator:
        loss = step()
        wanted = [loss, *torch.autograd.grad(loss, parameters)]
    runs: list[AsWritten] = []

    def keep(graph: fx.GraphModule, _: Any) -> Any:
        runs.append(AsWritten(graph, tmp_path))
        return make_boxed_func(runs[-1].run)

    # the recorder's stand-ins are for CPU tensors here, since torch without CUDA has no CUDA tensor with a gradient
    monkeypatch.setattr(rooms, "runs_kernel", lambda t: True)
    torch._dynamo.reset()
    with absent_gpu():
        call = torch.compile(step, fullgraph=True, backend=aot_autograd(fw_compiler=keep, bw_compiler=keep))
        loss = call()
        found = [loss, *torch.autograd.grad(loss, parameters)]
    for a, b in zip(found, wanted, strict=True):
        assert torch.equal(a, b)
    assert len(runs) == 2
    assert sum(run.launches for run in runs) == simulator.launches + more
    for run in runs:
        assert set(contents(run.module)[1]) <= PLUMBING | {"mean", "detach", "add"}     # torch's own count of batches


def test_gelu_has_no_kernel_that_moves_boxes():
    """Its registers would spill beside their tiles: the pointer kernel stands in the graph, and takes it eagerly."""
    arguments = [empty(64, 64, dtype=torch.bfloat16) for _ in range(2)]
    (graph,) = compiled(lambda x, w: F.linear_act(x, w, None, "gelu"), arguments, arch="sm_90")
    assert contents(graph)[0] == AFFINE
