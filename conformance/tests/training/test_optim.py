"""The optimizers as classes: torch's checkpoints in and out, schedulers, groups, one launch, misuse."""

from __future__ import annotations

import contextlib
import copy
import functools
import inspect
import io

import numpy as np
import pytest
import torch
from torch import nn

from chainrule.conformance.judging.bounds import bound
from chainrule.conformance.judging.numbers.bounded import FLOAT32
from chainrule.conformance.judging.oracle import truth
from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import optim
from chainrule.triton_kernels.runtime.launch import composites

PAIRS = {
    "sgd": (optim.SGD, torch.optim.SGD, {"lr": 0.1, "weight_decay": 0.25}),
    "momentum": (optim.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "dampened": (optim.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
    "nesterov": (optim.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 0.25}),
    "uphill": (optim.SGD, torch.optim.SGD, {"lr": 0.1, "momentum": 0.5, "maximize": True}),
    "adagrad": (optim.Adagrad, torch.optim.Adagrad, {"lr": 0.1, "lr_decay": 0.125, "weight_decay": 0.25,
                                                     "initial_accumulator_value": 0.5}),
    "adam": (optim.Adam, torch.optim.Adam, {"lr": 0.1, "weight_decay": 0.25}),
    "adamw": (optim.AdamW, torch.optim.AdamW, {"lr": 0.1, "weight_decay": 0.25}),
}
SHAPES = ((7, 5), (5,), (70, 61), ())
PLACES = {"torch": contextlib.nullcontext, "composite": composites, "kernel": simulate}


def parameters(dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    return [nn.Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in SHAPES]


def gradients(theta, seed):
    generator = torch.Generator().manual_seed(seed)
    for p in theta:
        p.grad = torch.randn(p.shape, generator=generator, dtype=torch.float32).to(p.dtype)


def run(optimizer, theta, seeds, mode="torch"):
    for seed in seeds:
        gradients(theta, seed)
        run_once(optimizer, mode)


def close(ours, theirs, exact):
    """No further from the float64 run than twice torch's float32, and one unit in the last place."""
    for a, b, c in zip(ours, theirs, exact, strict=True):
        unit = torch.finfo(a.dtype).eps * c.abs().max()
        assert (a.double() - c).abs().max() <= 2 * (b.double() - c).abs().max() + unit


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("name", PAIRS)
def test_three_steps_are_as_good_as_torchs(name, late, mode):
    """Also where a parameter gets its first gradient late: a layer frozen at first, a head added to a group."""
    ours, twin, options = PAIRS[name]
    results = []
    for make, dtype in ((ours, torch.float32), (twin, torch.float32), (twin, torch.float64)):
        theta = parameters(dtype)
        optimizer, where = make(theta, **options), mode if make is ours else "torch"
        gradients(theta, 1)
        theta[1].grad = None if late else theta[1].grad
        run_once(optimizer, where)
        run(optimizer, theta, (2, 3), where)
        results.append([p.detach() for p in theta])
    close(*results)


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("name", PAIRS)
def test_checkpoints_go_both_ways(name, mode):
    ours, twin, options = PAIRS[name]
    for first, second in ((ours, twin), (twin, ours)):
        theta, plain = parameters(), parameters()
        before, after = first(theta, **options), second(theta, **options)
        reference = twin(plain, **options)
        run(before, theta, (1, 2), mode if first is ours else "torch")
        file = io.BytesIO()
        torch.save(before.state_dict(), file)
        file.seek(0)
        saved = torch.load(file)
        assert jsonable(saved) == jsonable(before.state_dict())
        after.load_state_dict(saved)
        run(after, theta, (3, 4), mode if second is ours else "torch")
        run(reference, plain, (1, 2, 3, 4))
        exact = parameters(torch.float64)
        run(twin(exact, **options), exact, (1, 2, 3, 4))
        close(theta, plain, exact)
        a, b = after.state_dict(), reference.state_dict()
        assert a["param_groups"] == b["param_groups"]
        assert {k: sorted(v) for k, v in a["state"].items()} == {k: sorted(v) for k, v in b["state"].items()}
        if name.startswith("ad"):
            assert [float(s["step"]) for s in a["state"].values()] == [4.0] * len(SHAPES)


def jsonable(state):
    return {k: {n: v.tolist() if isinstance(v, torch.Tensor) else v for n, v in s.items()}
            for k, s in state["state"].items()}, state["param_groups"]


#: rule: (ours, the torch optimizer whose checkpoint it resumes from, options, states by letter, numbers)
MOMENTS = {"m": "exp_avg", "v": "exp_avg_sq"}
ADAM = {"t": 3, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8}
RESUMED = {
    "sgd": (optim.SGD, torch.optim.SGD, {}, {}, {}),
    "momentum": (optim.SGD, torch.optim.SGD, {"momentum": 0.9}, {"v": "momentum_buffer"}, {"mu": 0.9}),
    "nesterov": (
        optim.SGD, torch.optim.SGD, {"momentum": 0.9, "nesterov": True}, {"v": "momentum_buffer"}, {"mu": 0.9}),
    "adagrad": (optim.Adagrad, torch.optim.Adagrad, {}, {"G": "sum"}, {"eps": 1e-10}),
    "adam": (optim.Adam, torch.optim.Adam, {}, MOMENTS, ADAM),
    "adamw": (optim.AdamW, torch.optim.AdamW, {"weight_decay": 0.25}, MOMENTS, ADAM | {"lam": 0.25}),
    "lamb": (optim.LAMB, torch.optim.AdamW, {"weight_decay": 0.25}, MOMENTS, ADAM | {"lam": 0.25}),
}


@pytest.mark.parametrize("name", RESUMED)
def test_a_resumed_step_is_within_the_derived_bound(name):
    """torch's state after two steps, loaded; our third step judged by the bound of one step from that state."""
    ours, twin, options, states, numbers = RESUMED[name]
    theta = parameters()
    before = twin(theta, lr=0.1, **options)
    run(before, theta, (1, 2))
    after = ours(theta, lr=0.1, **options)
    after.load_state_dict(before.state_dict())
    start = [p.detach().double().numpy().copy() for p in theta]
    kept = [{letter: np.array(before.state[p][key].tolist()) for letter, key in states.items()} for p in theta]
    run(after, theta, (3,), "kernel")
    for p, old, state in zip(theta, start, kept, strict=True):
        arguments = {"theta": old, "D": p.grad.double().numpy(), **state, "eta": 0.1, **numbers}
        limit = bound(f"opt.{name}", arguments, "fp32", FLOAT32)
        wanted = truth(f"opt.{name}", arguments, {k: b.total for k, b in limit.items()})
        moved = p, *(after.state[p][key] for key in states.values())
        for key, actual in zip(wanted, moved, strict=True):
            error = np.abs(np.array(actual.tolist()) - wanted[key].value) - wanted[key].radius
            assert (error <= limit[key].total).all()
        assert not np.array_equal(old, np.array(p.tolist()))


@pytest.mark.parametrize(("make", "launches"), [
    (optim.SGD, 1), (optim.Adagrad, 1), (optim.Adam, 1), (optim.AdamW, 1), (optim.LAMB, 2)])
def test_one_launch_over_all_groups(make, launches):
    theta = parameters()
    optimizer = make([{"params": theta[:1]}, {"params": theta[1:], "lr": 0.5}], lr=0.25)
    gradients(theta, 1)
    with simulate() as sim:
        optimizer.step()
        assert sim.launches == launches
        optimizer.step()
        assert sim.launches == 2 * launches
    assert len(optimizer._tables) == 1


def test_groups_have_their_own_numbers():
    theta = [nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(3))]
    optimizer = optim.SGD([{"params": theta[:1]}, {"params": theta[1:], "lr": 0.5}], lr=0.25)
    for p in theta:
        p.grad = torch.ones(3)
    with simulate():
        optimizer.step()
    assert theta[0].tolist() == [0.75] * 3
    assert theta[1].tolist() == [0.5] * 3


@pytest.mark.parametrize("mode", PLACES)
def test_schedulers_of_torch(mode):
    theta = [nn.Parameter(torch.zeros(3))]
    optimizer = optim.SGD(theta, lr=1.0)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    seen = []
    for _ in range(3):
        theta[0].grad = torch.ones(3)
        run_once(optimizer, mode)
        scheduler.step()
        seen.append(theta[0][0].item())
    assert seen == [-1.0, -1.5, -1.75]


def run_once(optimizer, mode):
    with PLACES[mode]():
        return optimizer.step()


@pytest.mark.parametrize("mode", PLACES)
def test_a_tensor_as_learning_rate(mode):
    theta = [nn.Parameter(torch.zeros(3))]
    eta = torch.tensor(1.0)
    optimizer = optim.SGD(theta, lr=eta)
    for value in (1.0, 0.25):
        eta.fill_(value)
        theta[0].grad = torch.ones(3)
        run_once(optimizer, mode)
    assert theta[0].tolist() == [-1.25] * 3


@pytest.mark.parametrize("mode", PLACES)
def test_states_are_float32_for_half_parameters_and_stay_so(mode):
    for make in (optim.Adam, optim.LAMB, optim.Adagrad):
        theta = parameters(torch.bfloat16)
        optimizer = make(theta)
        run(optimizer, theta, (1,), mode)
        again = make(theta)
        again.load_state_dict(optimizer.state_dict())
        for p in theta:
            for key, value in again.state[p].items():
                assert value.dtype == torch.float32
                assert torch.equal(value, optimizer.state[p][key])


@pytest.mark.parametrize("mode", PLACES)
def test_parameters_without_a_gradient_keep_their_own_count(mode):
    theta = parameters()
    optimizer = optim.Adam(theta)
    run(optimizer, theta, (1,), mode)
    gradients(theta, 2)
    theta[2].grad = None
    still = theta[2].detach().clone()
    run_once(optimizer, mode)
    assert torch.equal(theta[2], still)
    assert [int(optimizer.state[p]["step"]) for p in theta] == [2, 2, 1, 2]


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("how", ["state", "gradient", "fused"])
def test_states_and_gradients_may_lie_in_another_order(how, mode):
    """A checkpoint of a channels_last model, or a gradient that is a transposed product."""
    options = {"lr": 0.5, "momentum": 0.5, "fused": None}

    def stepped(make, mode):
        theta = nn.Parameter(torch.arange(6.0).reshape(2, 3))
        optimizer = make([theta], **options)
        optimizer.state[theta]["momentum_buffer"] = torch.arange(6.0).reshape(3, 2).t() if how == "state" else (
            torch.ones(2, 3))
        theta.grad = torch.ones(2, 3) if how == "state" else torch.arange(6.0).reshape(3, 2).t()
        run_once(optimizer, mode)
        return theta.detach()

    wanted = stepped(torch.optim.SGD, "torch")
    options["fused"] = True if how == "fused" else None
    assert torch.equal(stepped(optim.SGD, mode), wanted)


@pytest.mark.parametrize("mode", PLACES)
def test_what_a_closure_makes_is_what_counts(mode):
    """Its gradients, in whatever order, and what it may read of the optimizer meanwhile."""
    theta = nn.Parameter(torch.zeros(2, 3))
    optimizer = optim.SGD([theta], lr=1.0)
    seen = []

    def closure():
        seen.append(copy.deepcopy(optimizer.state_dict()))
        theta.grad = torch.arange(6.0).reshape(3, 2).t()
        return torch.tensor(3.0)

    with PLACES[mode]():
        assert optimizer.step(closure) == 3
    assert torch.equal(theta.detach(), -torch.arange(6.0).reshape(3, 2).t())
    assert seen[0]["param_groups"] == optimizer.state_dict()["param_groups"]

    def sparse():
        theta.grad = torch.eye(2, 3).to_sparse()

    with PLACES[mode]():                                                    # which torch takes
        optimizer.step(sparse)
    assert torch.equal(theta.detach(), -torch.arange(6.0).reshape(3, 2).t() - torch.eye(2, 3))


def test_a_model_may_change_its_dtype_between_steps():
    theta = nn.Parameter(torch.ones(3))
    for dtype in (torch.float32, torch.float64):
        theta.data = theta.data.to(dtype)
        theta.grad = torch.ones(3, dtype=dtype)
        if dtype == torch.float32:
            optimizer = optim.SGD([theta], lr=0.5, momentum=0.5)
        optimizer.step()
    assert theta.tolist() == [-0.25] * 3


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("lost", ["step", "exp_avg", "exp_avg_sq"])
def test_what_a_state_lacks_is_made(lost, mode):
    theta = parameters()
    optimizer = optim.Adam(theta)
    run(optimizer, theta, (1,), mode)
    del optimizer.state[theta[0]][lost]
    run(optimizer, theta, (2,), mode)
    assert set(optimizer.state[theta[0]]) == set(optimizer.state[theta[1]]) == {"step", "exp_avg", "exp_avg_sq"}
    assert int(optimizer.state[theta[0]]["step"]) == (1 if lost == "step" else 2)


def test_on_a_cpu_the_fused_rule_steps_and_nobody_sees_it(monkeypatch):
    calls, right = [], torch._fused_adam_
    monkeypatch.setattr(torch, "_fused_adam_", lambda *args, **how: (calls.append(1), right(*args, **how)))
    theta = parameters()
    optimizer = optim.Adam(theta)
    options = copy.deepcopy(optimizer.param_groups[0] | {"params": None})
    run(optimizer, theta, (1, 2), "torch")
    assert len(calls) == 2
    assert optimizer.param_groups[0] | {"params": None} == options
    monkeypatch.setattr(torch, "_fused_adam_", lambda *args, **how: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_once(optimizer, "torch")
    assert optimizer.param_groups[0] | {"params": None} == options


def test_hooks_run_once_however_torchs_step_is_wrapped(monkeypatch):
    torch.optim.SGD([nn.Parameter(torch.ones(1))])                          # torch hooks its class's step
    hooked = torch.optim.SGD.step
    monkeypatch.setattr(torch.optim.SGD, "step", functools.wraps(hooked)(lambda *args: hooked(*args)))
    theta = nn.Parameter(torch.ones(3))
    theta.grad = torch.ones(3)
    optimizer, seen = optim.SGD([theta], lr=0.5), []
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    optimizer.step()
    assert seen == ["before", "after"]
    assert theta.tolist() == [0.5] * 3


def test_copies_go_on_alone():
    theta = parameters()
    optimizer = optim.Adam(theta)
    run(optimizer, theta, (1,), "kernel")
    other_theta, other = copy.deepcopy((theta, optimizer))
    run(optimizer, theta, (2,), "kernel")
    run(other, other_theta, (2,), "kernel")
    for p, q in zip(theta, other_theta, strict=True):
        assert torch.equal(p, q)
        assert p.data_ptr() != q.data_ptr()
    assert [int(s["step"]) for s in other.state.values()] == [2] * len(SHAPES)


def test_any_memory_order():
    image = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    results = []
    for order in (torch.contiguous_format, torch.channels_last):
        theta = [nn.Parameter(image.clone().contiguous(memory_format=order))]
        optimizer = optim.Adam(theta)
        for _ in range(2):
            theta[0].grad = image.square()                          # row by row, whatever θ is
            run_once(optimizer, "kernel")
        results.append(theta[0].detach().clone())
    assert torch.equal(*results)


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("name", PAIRS)
def test_another_shape_is_refused_before_anything_is_written(name, mode):
    """A checkpoint of another model, or a parameter resized in place: no kernel, ours or torch's fused, may see it."""
    ours, _, options = PAIRS[name]

    def made(*shape):
        theta = nn.Parameter(torch.ones(shape))
        optimizer = ours([theta], **options)
        theta.grad = torch.ones(shape)
        run_once(optimizer, mode)
        return theta, optimizer

    for shape, other in (((5,), (70,)), ((70,), (5,)), ((12,), (3, 4))):
        theta, optimizer = made(*shape)
        if optimizer.state[theta]:
            theta, optimizer = made(*other)
            optimizer.load_state_dict(made(*shape)[1].state_dict())
            before = theta.detach().clone()
            with pytest.raises(ValueError, match=r"has shape \(.*\), its parameter \("):
                run_once(optimizer, mode)
            assert torch.equal(theta, before)
        theta, optimizer = made(*shape)
        theta.data = torch.ones(other)
        optimizer.state.clear()
        with pytest.raises(ValueError, match=r"the gradient has shape \("):
            run_once(optimizer, mode)


@pytest.mark.parametrize("mode", PLACES)
def test_a_parameter_added_later_starts_where_the_others_did(mode):
    theta = [nn.Parameter(torch.ones(3)) for _ in range(2)]
    optimizer = optim.Adagrad(theta[:1], lr=0.5, initial_accumulator_value=3.0)
    optimizer.add_param_group({"params": theta[1:]})
    for p in theta:
        p.grad = torch.ones(3)
    run_once(optimizer, mode)
    assert theta[0].tolist() == theta[1].tolist() == [0.75] * 3


@pytest.mark.parametrize("mode", PLACES)
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_the_change_is_visible_to_autograd(momentum, mode):
    theta = nn.Parameter(torch.ones(3))
    loss = (theta * theta).sum()
    theta.grad = torch.ones(3)
    run_once(optim.SGD([theta], lr=0.5, momentum=momentum), mode)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


@pytest.mark.parametrize("mode", PLACES)
def test_lamb_where_a_length_is_zero(mode):
    """The ratio is 1: a layer of zeros moves, a layer without gradient and decay stays."""
    theta = [nn.Parameter(torch.zeros(4)), nn.Parameter(torch.ones(4))]
    optimizer = optim.LAMB(theta, lr=0.5, betas=(0.5, 0.5), eps=1.0, weight_decay=0.0)
    theta[0].grad, theta[1].grad = torch.ones(4), torch.zeros(4)
    run_once(optimizer, mode)
    assert theta[0].tolist() == [-0.25] * 4
    assert theta[1].tolist() == [1.0] * 4


@pytest.mark.parametrize("mode", PLACES)
def test_lamb_moves_each_layer_by_its_length(mode):
    """‖Δθ‖ = η ‖θ‖ for every layer, whatever its gradient's length."""
    theta = parameters()[:3]
    before = [p.detach().clone() for p in theta]
    optimizer = optim.LAMB(theta, lr=0.125)
    gradients(theta, 5)
    theta[0].grad *= 1000
    run_once(optimizer, mode)
    for p, old in zip(theta, before, strict=True):
        assert abs((p.detach() - old).norm() / old.norm() - 0.125) < 2**-20


def test_param_groups_leave_intercepts_and_norms_alone():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3), nn.LayerNorm(3))
    weights, free = optim.param_groups(net, 0.25)
    assert {id(p) for p in weights["params"]} == {id(net[0].weight), id(net[3].weight)}
    assert weights["weight_decay"] == 0.25
    assert free["weight_decay"] == 0.0
    assert len(free["params"]) == 6
    assert len(list(net.parameters())) == len(weights["params"]) + len(free["params"])


def test_the_decks_average_is_what_a_step_takes():
    """One step on the mean gradient with λ: θ − η D of alg.average, exactly on dyadic data."""
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[1.0, -2, 3], [0, 4, -1]]))
        layer.bias.copy_(torch.tensor([2.0, -1]))
    x, delta = torch.tensor([[1.0, 2, 3], [-1, 0, 2]]), torch.tensor([[1.0, -1], [2, 4]])
    D = delta.t() @ x / 2 + 0.25 * layer.weight.detach()
    Db = delta.sum(0) / 2
    wanted = layer.weight.detach() - 0.5 * D, layer.bias.detach() - 0.5 * Db
    ((layer(x) * delta).sum() / 2).backward()
    with simulate():
        optim.SGD(optim.param_groups(layer, 0.25), lr=0.5).step()
    assert torch.equal(layer.weight, wanted[0])
    assert torch.equal(layer.bias, wanted[1])


def test_grad_scaler_skips_infinite_gradients():
    theta = nn.Parameter(torch.ones(3))
    optimizer = optim.Adam([theta], fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    for bad in (True, False):
        optimizer.zero_grad()
        scaler.scale((theta * (float("inf") if bad else 1.0)).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        assert torch.equal(theta.detach(), torch.ones(3)) == bad
    assert scaler.get_scale() == 2.0


@pytest.mark.parametrize("name", ["SGD", "Adagrad", "Adam", "AdamW"])
def test_a_constructor_is_its_twins(name):
    """To an editor too: ours add no `*args`."""
    assert inspect.signature(getattr(optim, name)) == inspect.signature(getattr(torch.optim, name))
    assert "__init__" not in vars(getattr(optim, name))


def misuse():
    p = nn.Parameter(torch.ones(2))
    p.grad = torch.ones(2)
    return {
        "can't optimize a non-leaf Tensor": (ValueError, lambda: optim.SGD([p * 2])),
        "Invalid learning rate": (ValueError, lambda: optim.Adam([p], lr=-1.0)),
        "LAMB: group 1 has no parameters; leave it out": (
            ValueError, lambda: optim.LAMB([{"params": [p]}, {"params": []}])),
        "LAMB: lr = -1 is out of range": (ValueError, lambda: optim.LAMB([p], lr=-1)),
        "LAMB: betas = (0.9, 1.0) is out of range": (ValueError, lambda: optim.LAMB([p], betas=(0.9, 1.0))),
        "opt.lamb: sparse gradients and complex parameters have no kernel; no optimizer of torch": (TypeError, sparse),
    }


def sparse():
    p = nn.Parameter(torch.ones(2))
    p.grad = torch.sparse_coo_tensor([[0]], [1.0], (2,), check_invariants=True)
    optim.LAMB([p], lr=0.5).step()


@pytest.mark.parametrize("message", misuse())
def test_misuse(message):
    kind, call = misuse()[message]
    with pytest.raises(kind) as caught:
        call()
    assert message in str(caught.value)


def test_strict_refuses_a_fallback(monkeypatch):
    monkeypatch.setenv("CHAINRULE_STRICT", "1")
    theta = nn.Parameter(torch.ones(3, dtype=torch.float64))
    theta.grad = torch.ones(3, dtype=torch.float64)
    with simulate(), pytest.raises(RuntimeError, match=r"opt\.sgd: no kernel computes in float64.*CHAINRULE_STRICT"):
        optim.SGD([theta], lr=0.5).step()
