"""Defects of pinned libraries, each with the smallest numbers that show it: `make scoreboard` brings the packages.

    python examples/defects.py            try each one again, and write the table of docs/defects.md

What crashes or reads where it must not is not here: docs/defects.md says it in words.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from scoreboard import BUILD, OLDER, PACKAGES, ROOT, THIRD, TRITON

from chainrule import in_readme, write_whole

PAGE = ROOT / "docs/defects.md"
BEGIN, END = "<!-- written by `python examples/defects.py` -->", "<!-- end of defects -->"
Try = Callable[[], tuple[Any, Any]]
KNOWN: dict[str, tuple[str, tuple[Any, ...], str, Try]] = {}


def defect(name: str, library: str, example: str, *paths: Any) -> Callable[[Try], Try]:
    """A function that gives what the library answers, and what is right; numbers that differ are a defect seen."""
    def keep(run: Try) -> Try:
        KNOWN[name] = library, paths, example, run
        return run

    return keep


def simulated() -> Any:
    from chainrule.conformance.simulator import simulate

    os.environ["GEMS_VENDOR"] = "nvidia"
    os.environ.setdefault("FLAGGEMS_CACHE_DIR", str(BUILD / "flag-gems"))
    return simulate(pretend_cuda="sm_90")


@defect("gems-maximum", "FlagGems 5.0.2", "cross entropy of two logits −200: the maximum starts at 0", THIRD, TRITON)
def gems_maximum() -> tuple[Any, Any]:
    import torch

    with simulated():
        from flag_gems.fused import cross_entropy_loss

        return float(cross_entropy_loss(torch.full((1, 2), -200.0), torch.tensor([0]), reduction="none")), np.log(2)


@defect("gems-input", "FlagGems 5.0.2", "batch norm in training without running statistics, of (1, 3): x afterwards",
        THIRD, TRITON)
def gems_input() -> tuple[Any, Any]:
    import torch

    with simulated():
        from flag_gems.ops import batch_norm

        x = torch.tensor([[1.0], [3.0]])
        batch_norm(x, torch.ones(1), torch.zeros(1), None, None, True, 0.1, 1e-5)
        return x.flatten().tolist(), [1.0, 3.0]


@defect("gems-half", "FlagGems 5.0.2",
        "batch norm in float16, (1000, 1000.5, 1001, 1002): ∂γ for δ = 1; mean and 1/σ are kept in 16 bits",
        THIRD, TRITON)
def gems_half() -> tuple[Any, Any]:
    import torch

    with simulated():
        from flag_gems.ops import batch_norm, batch_norm_backward

        x, one, zero = torch.tensor([[1000.0], [1000.5], [1001.0], [1002.0]]).half(), torch.ones(1), torch.zeros(1)
        _, mean, inverse = batch_norm(x, one, zero, zero.clone(), one.clone(), True, 0.1, 1e-5)
        back = batch_norm_backward(torch.ones_like(x), x, one, None, None, mean, inverse, True, 1e-5, [True] * 3)
        return float(back[1]), 0.0


@defect("attorch-tanh", "attorch 67c2772", "tanh(1e-5), computed as 2σ(2x) − 1", BUILD / "attorch")
def attorch_tanh() -> tuple[Any, Any]:
    import torch

    with simulated():
        from attorch.act_layers import Tanh

        return float(Tanh()(torch.tensor([1e-5]))), np.tanh(1e-5)


@defect("liger-weights", "Liger 0.8.5",
        "smoothed cross entropy, three equal logits, class weights of 30000 in float16: their sum is taken in float16",
        THIRD)
def liger_weights() -> tuple[Any, Any]:
    import torch

    with simulated():
        from liger_kernel.ops.cross_entropy import LigerCrossEntropyFunction

        weight = torch.full((3,), 30000.0).half()
        loss = LigerCrossEntropyFunction.apply(torch.zeros(1, 3), torch.tensor([0]), weight, -100, 0.0, 0.1, "mean",
                                               None, False)[0]
        return float(loss), np.log(3)


@defect("liger-transposed", "Liger 0.8.5",
        "cross entropy of three logits 5 each, transposed in memory: its slope by the label's; none is written where "
        "logits are copied first, and the logit comes back", THIRD)
def liger_transposed() -> tuple[Any, Any]:
    import torch

    with simulated():
        from liger_kernel.ops.cross_entropy import LigerCrossEntropyFunction

        z = torch.full((3, 2), 5.0).T.requires_grad_()
        LigerCrossEntropyFunction.apply(z, torch.tensor([0, 0]), None, -100, 0.0, 0.0, "sum")[0].backward()
    return float(z.grad[0, 0]), -2 / 3


def node(ready: Callable[[Any], Any], op: str, outputs: int, *arrays: Any, **attributes: Any) -> list[Any]:
    sys.path.insert(0, str(ROOT / "examples/backends"))
    from onnx_nodes import model

    run = ready(model(op, arrays, outputs, **attributes))
    return [one.ravel().tolist() for one in run(None, {f"x{i}": a for i, a in enumerate(arrays)})]


def reference(*given: Any, **attributes: Any) -> list[Any]:
    from onnx.reference import ReferenceEvaluator

    return node(lambda made: ReferenceEvaluator(made).run, *given, **attributes)


def runtime(*given: Any, **attributes: Any) -> list[Any]:
    sys.path.insert(0, str(ROOT / "examples/backends"))
    from onnx_nodes import started

    return node(started, *given, **attributes)


def row(*numbers: float, shape: tuple[int, ...] = (1, -1)) -> Any:
    return np.array(numbers, np.float32).reshape(shape)


@defect("onnx-loss", "ONNX reference 1.23.2", "SoftmaxCrossEntropyLoss of the logits (0, 1000), class 0", PACKAGES)
def onnx_loss() -> tuple[Any, Any]:
    return reference("SoftmaxCrossEntropyLoss", 1, row(0, 1000), np.array([0]), reduction="none")[0][0], 1000.0


@defect("onnx-nan", "ONNX reference 1.23.2", "MaxPool of the windows (NaN, 1) and (1, NaN)", PACKAGES)
def onnx_nan() -> tuple[Any, Any]:
    nan = float("nan")
    return reference("MaxPool", 1, row(nan, 1, 1, nan, shape=(1, 1, -1)), kernel_shape=[2], strides=[2])[0], [nan, nan]


@defect("onnx-pads", "ONNX reference 1.23.2", "MaxPool of (−1, −2, −3), windows of 2, one pad behind", PACKAGES)
def onnx_pads() -> tuple[Any, Any]:
    return (reference("MaxPool", 1, row(-1, -2, -3, shape=(1, 1, -1)), kernel_shape=[2], pads=[0, 1])[0],
            [-1.0, -2.0, -3.0])


@defect("onnx-index", "ONNX reference 1.23.2", "MaxPool's first index of a window that begins in a pad", PACKAGES)
def onnx_index() -> tuple[Any, Any]:
    image = row(-1, -2, -3, -4, shape=(1, 1, 2, 2))
    return float(reference("MaxPool", 2, image, kernel_shape=[2, 2], pads=[1, 1, 1, 1])[1][0]), 0.0


def elu() -> tuple[Any, Any]:
    return reference("Elu", 1, row(-1e-6))[0][0], np.expm1(-1e-6)


defect("onnx-elu-older", "ONNX reference 1.22.0", "Elu of −1e-6", OLDER, PACKAGES)(elu)
defect("onnx-elu", "ONNX reference 1.23.2", "Elu of −1e-6", PACKAGES)(partial(elu))


@defect("runtime-sigmoid", "onnxruntime 1.32.0", "Sigmoid of −20", PACKAGES)
def runtime_sigmoid() -> tuple[Any, Any]:
    return runtime("Sigmoid", 1, row(-20))[0][0], 1 / (1 + np.exp(20.0))


@defect("runtime-elu", "onnxruntime 1.32.0", "Elu of −1e-6, computed as e^z − 1", PACKAGES)
def runtime_elu() -> tuple[Any, Any]:
    return runtime("Elu", 1, row(-1e-6))[0][0], np.expm1(-1e-6)


@defect("runtime-pool", "onnxruntime 1.32.0", "MaxPool of a window of −∞ alone", PACKAGES)
def runtime_pool() -> tuple[Any, Any]:
    return runtime("MaxPool", 1, row(*[-np.inf] * 2, shape=(1, 1, -1)), kernel_shape=[2])[0][0], float("-inf")


@defect("jax-standardize", "jax 0.10.2", "jax.nn.standardize of (10000, 10001, 10002)")
def standardize() -> tuple[Any, Any]:
    import jax

    found = jax.nn.standardize(np.array([10000, 10001, 10002], np.float32)).tolist()
    return found, [-(1.5**0.5), 0.0, 1.5**0.5]


@defect("jax-elu", "jax 0.10.2", "jax.grad of elu at −20: through the output, y + α rounds to 0 (jax-ml/jax#39795)")
def jax_elu() -> tuple[Any, Any]:
    import jax

    return float(jax.grad(jax.nn.elu)(np.float32(-20))), np.exp(-20.0)


@defect("jax-gelu", "jax 0.10.2", "jax.grad of gelu's tanh form at 2e19: 0 times ∞")
def jax_gelu() -> tuple[Any, Any]:
    import jax

    return float(jax.grad(jax.nn.gelu)(np.float32(2e19))), 1.0


@defect("torch-func", "torch 2.13.0", "torch.func.grad of binary_cross_entropy_with_logits at −20, label 0 "
        "(backward() gives 2.061154e-09)")
def torch_func() -> tuple[Any, Any]:
    import torch

    loss = torch.nn.functional.binary_cross_entropy_with_logits
    return float(torch.func.grad(loss)(torch.tensor(-20.0), torch.tensor(0.0))), 1 / (1 + np.exp(20.0))


def tinygrad(name: str, at: float, slope: bool = False) -> float:
    from tinygrad import Context, Tensor

    with Context(DEV="PYTHON"):
        z = Tensor([at])
        value = getattr(z, name)()
        return float((value.sum().gradient(z)[0] if slope else value).numpy()[0])


@defect("tinygrad-tanh", "tinygrad 0.14.0", "tanh(1e-5), computed as 2σ(2x) − 1")
def tinygrad_tanh() -> tuple[Any, Any]:
    return tinygrad("tanh", 1e-5), np.tanh(1e-5)


@defect("tinygrad-elu", "tinygrad 0.14.0", "elu(−1e-6), computed as −relu(1 − e^x)")
def tinygrad_elu() -> tuple[Any, Any]:
    return tinygrad("elu", -1e-6), np.expm1(-1e-6)


@defect("tinygrad-slope", "tinygrad 0.14.0", "the derivative of elu at 100: 0 times ∞ (tinygrad/tinygrad#17852)")
def tinygrad_slope() -> tuple[Any, Any]:
    return tinygrad("elu", 100.0, slope=True), 1.0


@defect("tinygrad-softplus", "tinygrad 0.14.0", "softplus(−20), as log(e⁰ + e^−20): the loss of a label that is hit")
def tinygrad_softplus() -> tuple[Any, Any]:
    return tinygrad("softplus", -20.0), np.log1p(np.exp(-20.0))


@defect("tutorial-gamma", "Triton's tutorials, 05 layer norm",
        "∂γ in float16 of two rows (1, −1) and (2, −2), ε = 1, δ = 1 and −0.7905: their shares are kept in 16 bits",
        BUILD / "tutorials")
def tutorial_gamma() -> tuple[Any, Any]:
    import torch

    sys.path.insert(0, str(ROOT / "examples/backends"))
    from tutorials_backend import layer_norm

    from chainrule.conformance.simulator.pretend import pretending

    x, d = torch.tensor([[1.0, -1.0], [2.0, -2.0]]).half(), torch.tensor([[1.0, 1.0], [-0.7905, -0.7905]]).half()
    gamma = torch.ones(2).half().requires_grad_()
    with simulated(), pretending("sm_90"):
        layer_norm(x, (2,), gamma, torch.zeros(2).half(), 1.0).backward(d)
    return float(gamma.grad[0]), 0.5**0.5 + float(d[1, 0]) * 0.8**0.5


@defect("sklearn-regressor", "scikit-learn 1.9.1",
        "MLPRegressor with two outputs: its step over rate · gradient of its loss_")
def regressor() -> tuple[Any, Any]:
    from sklearn.neural_network import MLPRegressor

    X, Y = np.eye(4), np.arange(8.0).reshape(4, 2)
    net = MLPRegressor(hidden_layer_sizes=(3,), activation="tanh", solver="sgd", alpha=0.0, learning_rate_init=1e-3,
                       momentum=0, batch_size=4, shuffle=False, random_state=0).partial_fit(X, Y)
    before, slope = net.intercepts_[-1].copy(), (net.predict(X) - Y).mean(0) / 2
    net.partial_fit(X, Y)
    return float(np.round((before - net.intercepts_[-1])[0] / 1e-3 / slope[0], 6)), 1.0


@defect("optimizer-lamb", "pytorch-optimizer 4.1.0", "LAMB's first step at θ = 1, D = 1, rate 0.1, λ = 0 (optax: 0.1)",
        PACKAGES)
def lamb() -> tuple[Any, Any]:
    import torch
    from pytorch_optimizer import Lamb

    theta = torch.nn.Parameter(torch.ones(1))
    theta.grad = torch.ones(1)
    Lamb([theta], lr=0.1, weight_decay=0.0).step()
    return 1 - theta.item(), 0.1


def near(found: Any, right: Any) -> bool:
    """The same up to a few roundings of float32, NaN for NaN."""
    a, b = np.atleast_1d(np.float64(found)), np.atleast_1d(np.float64(right))
    if a.shape != b.shape:
        return False
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        return bool(np.all(same | (np.isfinite(b) & (np.abs(a - b) <= 8 * 2.0**-24 * np.abs(b)))))


def tried(paths: tuple[Any, ...], names: list[str]) -> dict[str, tuple[Any, Any]]:
    """Those that need the same packages, in a process that has them."""
    before = os.pathsep.join([*map(str, paths), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run([sys.executable, __file__, *names], env={**os.environ, "PYTHONPATH": before}, text=True,
                          stdout=subprocess.PIPE)
    return {one["name"]: (one["found"], one["right"]) for one in map(json.loads, done.stdout.splitlines())}


def shown(value: Any) -> str:
    one = [value] if isinstance(value, float) else value
    return ", ".join(f"{n:.7g}".replace("inf", "∞").replace("nan", "NaN") for n in one)


def main() -> int:
    for name in sys.argv[1:]:
        found, right = KNOWN[name][3]()
        print(json.dumps({"name": name, "found": found, "right": right}), flush=True)
    if sys.argv[1:]:
        return 0
    answers: dict[str, tuple[Any, Any]] = {}
    for paths in dict.fromkeys(one[1] for one in KNOWN.values()):
        if all(path.is_dir() for path in paths):
            answers |= tried(paths, [name for name, one in KNOWN.items() if one[1] == paths])
    lines = ["| library | example | it answers | right is | |", "|---|---|---|---|---|"]
    for name, (library, _, example, _) in KNOWN.items():
        if name not in answers:
            print(f"{library}: {example}: not tried; its packages are missing, or it raised", file=sys.stderr)
            return 1
        found, right = answers[name]
        verdict = "right" if near(found, right) else "seen"
        lines.append(f"| {library} | {example} | {shown(found)} | {shown(right)} | {verdict} |")
    write_whole(PAGE, in_readme(PAGE.read_text(encoding="utf-8"), BEGIN, END, "\n".join([BEGIN, *lines, END])))
    return 0


if __name__ == "__main__":
    sys.exit(main())
