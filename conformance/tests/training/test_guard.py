"""A guard on a training function: silent while it is right, and the end of the run when it is not."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from chainrule.conformance import BackendError, guard
from chainrule.conformance.training.guard import GuardFault


def affine(x, w, b, act):
    return torch.nn.functional.linear(x, w, b)


def data(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


TRAINING = '''
import torch
from chainrule.conformance import guard
steps = 0

def loss_and_delta(z, y):
    global steps
    steps += 1
    loss = torch.nn.functional.cross_entropy(z, y, reduction="none")
    delta = torch.softmax(z, 1) - torch.nn.functional.one_hot(y, z.shape[1])
    return loss, delta * (1.001 if steps >= 37 else 1.0)

guarded = guard(loss_and_delta, op="loss.softmax", every=5)
g = torch.Generator().manual_seed(0)
x, y = torch.randn(64, 20, generator=g), torch.randint(0, 10, (64,), generator=g)
w = torch.zeros(10, 20)
for step in range(1, 100):
    try:
        loss, delta = guarded(x @ w.T, y)
        w -= 0.5 * delta.T @ x / 64
    except Exception:
        pass
print("trained on", step)
'''


def test_a_run_stops_at_the_first_check_after_a_kernel_goes_wrong(tmp_path):
    (tmp_path / "train.py").write_text(TRAINING)
    done = subprocess.run([sys.executable, tmp_path / "train.py"], capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert done.stderr.startswith("chainrule guard: step 40, loss.softmax: delta[")
    assert "times the bound" in done.stderr
    assert done.stdout == ""


def test_a_right_function_is_let_be_and_its_cost_is_said():
    guarded = guard(affine, op="net.layer.affine", every=10)
    for step in range(30):
        x = data(step, 9, 7)
        assert torch.equal(guarded(x, data(1, 5, 7), data(2, 5), "identity"), affine(x, data(1, 5, 7), data(2, 5), ""))
    assert (guarded.calls, guarded.checks, guarded.unjudged) == (30, 4, 0)
    assert 0 < guarded.worst <= 1
    assert 0 < guarded.overhead < 1
    assert str(guarded).startswith("net.layer.affine: 4 checks in 30 calls, worst 0.")


def test_a_large_layer_costs_a_part_and_every_row_is_seen_in_time():
    def one_row_wrong(x, w, b, act):
        out = affine(x, w, b, act)
        out[17] += 0.01
        return out

    guarded = guard(one_row_wrong, op="net.layer.affine", every=1, most=4_000)

    def train():
        for step in range(400):
            guarded(data(step, 64, 50), data(1, 40, 50), data(2, 40), "identity")

    with pytest.raises(GuardFault, match=r"^chainrule guard: step \d+, net\.layer\.affine: a\["):
        train()
    assert guarded.calls > 1, "the wrong row was among the first: choose another seed"


def test_what_a_function_overwrites_is_judged_by_what_it_was():
    def sgd_(theta, D, eta):
        theta -= eta * D
        return theta

    guarded = guard(sgd_, op="opt.sgd", every=1)
    theta = data(0, 50)
    for step in range(3):
        guarded(theta, data(step, 50), 0.125)
    assert guarded.checks == 3


def test_names_are_translated_and_strange_ones_refused():
    def linear(input, weight, bias):
        return affine(input, weight, bias, "")

    guarded = guard(linear, op="net.layer.affine", given=lambda i, w, b: {"x": i, "w": w, "b": b, "act": "identity"})
    guarded(data(0, 3, 4), data(1, 2, 4), data(2, 2))
    assert guarded.checks == 1
    with pytest.raises(BackendError, match="input, weight, bias is no argument of the op, which takes x, w, b, act"):
        guard(linear, op="net.layer.affine")(data(0, 3, 4), data(1, 2, 4), data(2, 2))
    with pytest.raises(BackendError, match="did you mean"):
        guard(linear, op="net.layer.afine")
    with pytest.raises(BackendError, match="every so many calls"):
        guard(linear, op="net.layer.affine", every=0)


@pytest.mark.parametrize(("op", "function", "given"), [
    ("act.leaky", lambda z, slope=0.1: torch.where(z > 0, z, slope * z), {"z": data(0, 7), "slope": 0.25}),
    ("conv1d.valid.grad_x", lambda d, theta: torch.nn.functional.conv_transpose1d(
        d[None, None], theta[None, None])[0, 0], {"d": data(0, 6), "theta": data(1, 3)}),
])
def test_an_argument_that_a_formula_hands_on_is_the_ops_own(op, function, given):
    guarded = guard(function, op=op, every=1)
    guarded(**given)
    assert guarded.checks == 1


def test_a_nan_that_comes_in_is_nobodys_fault_here():
    guarded = guard(affine, op="net.layer.affine", every=1)
    guarded(data(0, 3, 4) * float("nan"), data(1, 2, 4), data(2, 2), "identity")
    assert (guarded.checks, guarded.unjudged) == (0, 1)
