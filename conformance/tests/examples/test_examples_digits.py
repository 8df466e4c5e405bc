"""The digits example: the algorithm slide learns to read, by composites and by kernels, and says so in a picture."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import typer
from typer.testing import CliRunner

from chainrule.conformance import Backend, BackendError
from chainrule.conformance.backend import load
from chainrule.conformance.training.chains import ChainFault, Judged
from chainrule.triton_kernels import OPS
from chainrule.triton_kernels.ops import COMPOSITES

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are in the repository, not in the wheel")


@pytest.fixture
def digits(monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("train_digits")


@pytest.fixture
def cli(digits):
    app = typer.Typer()
    app.command()(digits.main)
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


def first_steps(digits, op, steps, head):
    """Θ after a few steps on the first split."""
    split = digits.Split(0)
    Theta = digits.initial(split.random)
    for (x, y), _ in zip(digits.batches(split.x, split.y, split.random), range(steps)):
        Theta, _ = digits.step(op, Theta, x, y, head)
    return Theta


def test_a_short_training_draws_its_curve_and_prints_a_table(tmp_path):
    pytest.importorskip("sklearn")
    pytest.importorskip("matplotlib")
    command = [sys.executable, "-W", "error", str(EXAMPLES / "train_digits.py"), "--epochs", "3", "--seeds", "1",
               "--out", str(tmp_path / "digits")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sigmoid  split 0: accuracy 0." in done.stdout
    assert "softmax  loss.softmax" in done.stdout
    assert "\x1b" not in done.stdout                        # a bar and colours belong on a terminal
    assert max(len(line) for line in done.stdout.splitlines() if "picture" not in line) <= 80
    picture = (tmp_path / "digits" / "loss.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert [int.from_bytes(picture[i:i + 4], "big") for i in (16, 20)] == [1600, 672]


@pytest.mark.parametrize("head", ["sigmoid", "softmax"])
def test_mean_accuracy_over_five_splits(digits, head):
    runs = [digits.train(digits.Head(head), seed, 30) for seed in range(5)]
    assert sum(accuracies[-1] for _, accuracies in runs) / 5 >= 0.96
    for losses, _ in runs:
        assert losses[-1] < losses[0] / 20


def test_a_split_keeps_its_test_images_apart_and_repeats(digits):
    one, again, other = digits.Split(3), digits.Split(3), digits.Split(4)
    assert (len(one.x), len(one.x_test)) == (1437, 360)
    assert one.x.equal(again.x)
    assert not one.x.equal(other.x)
    both = torch.cat([one.x, one.x_test])
    assert both.sum(0).equal(torch.cat([other.x, other.x_test]).sum(0))        # sixteenths: the sums are exact
    assert digits.initial(one.random)[0][0].equal(digits.initial(again.random)[0][0])


def test_a_step_goes_down_the_gradient_of_the_objective(digits):
    """Against torch's autograd, in float64, on the mean loss plus λ/2 Σ Θ² without the intercepts."""
    split = digits.Split(0)
    x, y = split.x[:32].double(), split.y[:32]
    Theta = [(w.double(), b.double()) for w, b in digits.initial(split.random)]
    for head in (digits.Head.sigmoid, digits.Head.softmax):
        new, loss = digits.step(OPS, Theta, x, y, head)
        leaves = [t.clone().requires_grad_() for layer in Theta for t in layer]
        mean = torch_loss(leaves, x, y, head is digits.Head.softmax)
        objective = mean + digits.LAM / 2 * sum(w.square().sum() for w in leaves[::2])
        assert abs(loss - mean.item()) < torch.finfo(torch.float32).eps          # both are float64
        for old, D, stepped in zip(leaves, torch.autograd.grad(objective, leaves), [t for layer in new for t in layer]):
            assert (old - digits.ETA * D - stepped).abs().max().item() < torch.finfo(torch.float32).eps


def torch_loss(leaves, x, y, softmax):
    """The network and its mean loss as one types them in torch."""
    (w1, b1, w2, b2, w3, b3), nn = leaves, torch.nn.functional
    z = torch.sigmoid(torch.sigmoid(x @ w1.T + b1) @ w2.T + b2) @ w3.T + b3
    if softmax:
        return nn.cross_entropy(z, y)
    return nn.binary_cross_entropy_with_logits(z, nn.one_hot(y, 10).double(), reduction="sum") / len(x)


def test_a_few_steps_through_the_kernels_are_judged_and_agree(digits):
    judged = Judged(load("triton"), "simulated")
    by_kernels = first_steps(digits, judged, 2, digits.Head.softmax)
    by_composite = first_steps(digits, OPS, 2, digits.Head.softmax)
    assert dict(judged.calls) == {"net.layer.affine": 6, "loss.softmax": 2, "bp.delta.rec": 4, "alg.average": 6,
                                  "opt.sgd": 12}
    assert set(judged.worst) == set(judged.calls)
    assert 0 < judged.fraction <= 1
    split = digits.Split(0)
    hits = [digits.right(OPS, Theta, split.x_test, split.y_test) for Theta in (by_kernels, by_composite)]
    assert abs(hits[0] - hits[1]) <= 1


@pytest.mark.slow
def test_one_epoch_through_the_kernels(cli):
    result = cli("--simulate")
    assert result.exit_code == 0, result.output
    assert "45 steps" in result.output
    assert "composite" in result.output


def with_fault(id, function):
    backend = Backend("faulty")
    for op, honest in COMPOSITES.items():
        backend.op(op)(function if op == id else honest)
    return backend


def unregularised(delta, a, w, lam, n):
    return COMPOSITES["alg.average"](delta=delta, a=a, w=w, lam=0.0, n=n)


def test_a_broken_op_is_named_at_its_first_call(digits):
    judged = Judged(with_fault("alg.average", unregularised), "host")
    with pytest.raises(ChainFault, match=r"alg\.average/chain/call 1: D\[.*\] is .*, expected .* times the bound"):
        first_steps(digits, judged, 1, digits.Head.sigmoid)


def test_a_chain_can_go_on_and_count_its_faults(digits):
    judged = Judged(with_fault("alg.average", unregularised), "host", keep_going=True)
    first_steps(digits, judged, 2, digits.Head.sigmoid)
    assert len(judged.faults) == 6
    assert all("alg.average" in fault for fault in judged.faults)
    assert judged.fraction == judged.worst["alg.average"].fraction > 1


@pytest.mark.parametrize(("wrong", "says"), [
    (lambda theta, D, eta: (theta - eta * D)[:1], "theta is torch.float32"),
    (lambda theta, D, eta: (theta - eta * D).half(), "theta is torch.float16"),
    (lambda theta, D, eta: theta.sub_(eta * D).clone(), "input theta was overwritten"),
])
def test_a_link_of_another_shape_dtype_or_manner_is_refused(digits, wrong, says):
    with pytest.raises(ChainFault, match=says):
        first_steps(digits, Judged(with_fault("opt.sgd", wrong), "host"), 1, digits.Head.softmax)


def test_a_chain_says_what_it_cannot_take():
    with pytest.raises(BackendError, match=r"empty has no function for act\.relu"):
        Judged(Backend("empty"), "host")["act.relu"]
    with pytest.raises(BackendError, match="hands on torch tensors, not numpy"):
        Judged(Backend("other", array="numpy"), "host")
    with pytest.raises(ChainFault, match=r"act\.relu: no floating tensor among the arguments z"):
        Judged(load("torch"), "host")["act.relu"](z=[1.0])


def test_scikit_learn_is_asked_for(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    result = cli("--epochs", "1")
    assert result.exit_code == 2
    assert "train_digits: scikit-learn is not installed; pip install scikit-learn" in result.output


def test_without_matplotlib_there_is_a_table_and_no_picture(cli, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "loss_curve", raising=False)
    result = cli("--epochs", "1", "--seeds", "1", "--head", "softmax", "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert "no picture: matplotlib" in result.output
    assert "pip install matplotlib" in result.output
    assert "loss.softmax" in result.output
    assert not list(tmp_path.iterdir())


def test_without_the_suite_a_simulated_run_says_what_to_install(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "chainrule.conformance.training.chains", None)
    result = cli("--simulate")
    assert result.exit_code == 2
    assert 'pip install "chainrule[conformance]"' in result.output.replace("\n", " ")


def test_an_unknown_head_is_refused(cli):
    result = cli("--head", "softmx")
    assert result.exit_code == 2
    assert "softmx" in result.output


def test_a_missing_gpu_is_said(cli, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    result = cli("--device", "cuda")
    assert result.exit_code == 2
    assert "--device cuda: torch sees no GPU on this machine" in result.output


def test_ddp_asks_for_torchrun(typed, monkeypatch):
    monkeypatch.delenv("RANK", raising=False)
    result = typed("train_ddp")
    assert result.exit_code == 2
    assert result.output == ("train_ddp: torchrun starts the processes: "
                             "torchrun --nproc-per-node 2 examples/train_ddp.py\n")
