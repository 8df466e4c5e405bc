"""A training step as one call: the same numbers as the loop it replaces, fused or recorded; refusals with reasons."""

from __future__ import annotations

import contextlib
import copy
import warnings

import pytest
import torch
from torch import nn

from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional, patch, step
from chainrule.triton_kernels import nn as OWN
from chainrule.triton_kernels.step import make_step


def network(dtype=torch.float64, act=nn.Tanh):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 5), act(), nn.Linear(5, 4), act(), nn.Linear(4, 3)).to(dtype)


def batches(dtype=torch.float64, count=5, size=8):
    generator = torch.Generator().manual_seed(1)
    return [(torch.randn(size, 6, generator=generator).to(dtype), torch.randint(0, 3, (size,), generator=generator))
            for _ in range(count)]


def decayed(model):
    """Weights decay, intercepts do not."""
    return [{"params": [p for p in model.parameters() if p.dim() == 2], "weight_decay": 0.1},
            {"params": [p for p in model.parameters() if p.dim() == 1], "weight_decay": 0.0}]


OPTIMIZERS = {
    "sgd": lambda m: torch.optim.SGD(m.parameters(), 0.1),
    "decay": lambda m: torch.optim.SGD(decayed(m), 0.1),
    "momentum": lambda m: torch.optim.SGD(decayed(m), 0.1, momentum=0.9),
    "adamw": lambda m: torch.optim.AdamW(m.parameters(), 0.01, weight_decay=0.1),
}


def trained(model, optimizer, data, loss=nn.functional.cross_entropy):
    """The loop everybody writes."""
    means = []
    for x, y in data:
        optimizer.zero_grad()
        mean = loss(model(x), y)
        mean.backward()
        optimizer.step()
        means.append(mean.detach())
    return means


def same(one, other):
    return all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters()))


def gap(found, right):
    return max(abs(float(a.detach()) - float(b.detach())) for a, b in zip(found, right))


def distance(one, right):
    """How far a network is from the float64 run."""
    return max(float((p.detach().double() - q.detach()).abs().max())
               for p, q in zip(one.parameters(), right.parameters()))


def no_worse(ours, plain, right):
    """A chain of steps is judged by ratio: at most twice as far from the float64 run as torch in the same dtype."""
    return distance(ours, right) <= 2 * distance(plain, right)


def test_on_a_cpu_it_simply_runs():
    plain, ours = network(), network()
    means = trained(plain, OPTIMIZERS["momentum"](plain), batches())
    run = make_step(ours, nn.functional.cross_entropy, OPTIMIZERS["momentum"](ours))
    assert [run(x, y) for x, y in batches()] == means
    assert same(ours, plain)


def test_clipping_and_accumulation():
    plain, ours = network(), network()
    optimizer = OPTIMIZERS["sgd"](plain)
    data = batches(count=4)
    for pair in (data[:2], data[2:]):
        optimizer.zero_grad()
        for x, y in pair:
            (nn.functional.cross_entropy(plain(x), y) / 2).backward()
        nn.utils.clip_grad_norm_(plain.parameters(), 0.1)
        optimizer.step()
    run = make_step(ours, nn.functional.cross_entropy, OPTIMIZERS["sgd"](ours), clip=0.1, accumulate=2)
    for x, y in data:
        run(x, y)
    assert same(ours, plain)


@pytest.mark.parametrize("act", [nn.Tanh, nn.ELU, nn.LeakyReLU, nn.Sigmoid])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fused_is_the_same_training(name, act):
    right, plain, ours = network(act=act), network(torch.float32, act), network(torch.float32, act)
    truth = trained(right, OPTIMIZERS[name](right), batches())
    means = trained(plain, OPTIMIZERS[name](plain), batches(torch.float32))
    optimizer = OPTIMIZERS[name](ours)
    run = make_step(ours, functional.cross_entropy, optimizer, fused=True)
    found = [run(x, y) for x, y in batches(torch.float32)]
    last_digit = torch.finfo(torch.float32).eps                      # of a loss near 1, where both are rounded
    assert gap(found, truth) <= 2 * gap(means, truth) + last_digit
    assert no_worse(ours, plain, right)
    assert all(p.grad is None for p in ours.parameters())


def trained_narrow(model, optimizer, data):
    """torch's loop over bfloat16 copies of float32 parameters."""
    for x, y in data:
        copies = {name: p.detach().bfloat16().requires_grad_() for name, p in model.named_parameters()}
        loss = nn.functional.cross_entropy(torch.func.functional_call(model, copies, x.bfloat16()), y)
        for p, slope in zip(model.parameters(), torch.autograd.grad(loss, copies.values())):
            p.grad = slope.float()
        optimizer.step()


@pytest.mark.parametrize("where", [contextlib.nullcontext, lambda: simulate(check=True, target="sm_90")],
                         ids=["composite", "kernels"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_narrow_products_and_wide_parameters(name, where):
    """Judged by ratio, as torch does the same; and a parameter that somebody else has written is seen."""
    right, plain, ours = network(), network(torch.float32), network(torch.float32)
    theirs, optimizer = OPTIMIZERS[name](plain), OPTIMIZERS[name](ours)
    truths = OPTIMIZERS[name](right)
    for one in (truths, theirs, optimizer):         # else the sign of a gradient that is all rounding decides
        one.param_groups[0]["eps"] = 1e-3
    trained(right, truths, batches())
    trained_narrow(plain, theirs, batches(torch.float32))
    run = make_step(ours, functional.cross_entropy, optimizer, fused=True, narrow=torch.bfloat16)
    with where():
        for x, y in batches(torch.float32):
            run(x, y)
        assert no_worse(ours, plain, right)
        assert all(p.dtype == torch.float32 for p in ours.parameters())
        before = run(*batches(torch.float32)[0])
        with torch.no_grad():
            for p in ours.parameters():
                p.zero_()
        mean = run(*batches(torch.float32)[0])
    assert float(mean) != float(before)
    assert torch.equal(mean, torch.tensor(3.0).bfloat16().log())


def swapped(model):
    """An average of weights takes their place, as for an evaluation."""
    average = torch.optim.swa_utils.AveragedModel(model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(0.5))
    with torch.no_grad():
        torch._foreach_mul_([p.data for p in average.module.parameters()], -0.5)
    for p, q in zip(model.parameters(), average.module.parameters()):
        p.data, q.data = q.data, p.data


def set_(model):
    with torch.no_grad():
        for p in model.parameters():
            p.set_(p.flip(0).contiguous())


#: Ways to write a parameter; of most of them neither its version nor its address tells.
WRITES = {
    "data.mul_": lambda m: [p.data.mul_(-0.5) for p in m.parameters()],
    "data.copy_": lambda m: [p.data.copy_(p.data.flip(0)) for p in m.parameters()],
    "detach().mul_": lambda m: [p.detach().mul_(-0.5) for p in m.parameters()],
    "numpy": lambda m: [p.detach().numpy().__imul__(-0.5) for p in m.parameters()],
    "an entry of data": lambda m: [p.data.view(-1)[-1:].fill_(2.0) for p in m.parameters()],
    "_foreach_mul_": lambda m: torch._foreach_mul_([p.data for p in m.parameters()], -0.5),
    "load_state_dict": lambda m: m.load_state_dict({key: -t for key, t in m.state_dict().items()}),
    "its state's tensors": lambda m: [t.neg_() for t in m.state_dict().values()],
    "vector_to_parameters": lambda m: nn.utils.vector_to_parameters(
        -nn.utils.parameters_to_vector(m.parameters()).detach(), m.parameters()),
    "an average swapped in": swapped, "set_": set_,
}


@pytest.mark.parametrize(("write", "kernels"), [
    *((write, False) for write in WRITES), *((write, True) for write in ("data.mul_", "numpy"))])
def test_narrow_copies_are_of_what_is_there(write, kernels):
    """A step that has run before does what one that knows nothing does, whoever has written to its parameters."""
    ours, plain, still = (network(torch.float32) for _ in range(3))
    how = {"fused": True, "narrow": torch.bfloat16}
    run, as_was = (make_step(m, functional.cross_entropy, OPTIMIZERS["sgd"](m), **how) for m in (ours, still))
    first, second = batches(torch.float32, count=2)
    with simulate(check=False, target="sm_90") if kernels else contextlib.nullcontext():
        for step_, model in ((run, ours), (as_was, still), (None, plain)):
            (step_ or make_step(model, functional.cross_entropy, OPTIMIZERS["sgd"](model), **how))(*first)
        WRITES[write](ours)
        WRITES[write](plain)
        anew = make_step(plain, functional.cross_entropy, OPTIMIZERS["sgd"](plain), **how)
        found, wanted, before = run(*second), anew(*second), as_was(*second)
    assert torch.equal(found, wanted)
    assert not torch.equal(found, before)
    assert same(ours, plain)


def test_narrow_is_for_fused_steps_of_float32():
    model = network(torch.float32)
    for how in ({}, {"fused": True, "narrow": torch.float32}):
        with pytest.raises(ValueError, match="is for fused=True and float32 parameters"):
            make_step(model, functional.cross_entropy, OPTIMIZERS["sgd"](model), **{"narrow": torch.bfloat16, **how})
    with pytest.raises(ValueError, match="is for fused=True and float32 parameters"):
        make_step(network(), functional.cross_entropy, OPTIMIZERS["sgd"](model), fused=True, narrow=torch.bfloat16)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fused_with_the_kernels(name):
    right, plain, ours = network(), network(torch.float32), network(torch.float32)
    trained(right, OPTIMIZERS[name](right), batches())
    trained(plain, OPTIMIZERS[name](plain), batches(torch.float32))
    run = make_step(ours, functional.cross_entropy, OPTIMIZERS[name](ours), fused=True)
    with simulate(check=True, target="sm_90") as sim:
        for x, y in batches(torch.float32):
            run(x, y)
    assert no_worse(ours, plain, right)
    assert set(sim.kernels) == {"affine_kernel", "softmax_rows_kernel", "delta_kernel", "update_product_kernel"}
    assert sim.launches == 5 * 3 * 3                # of each batch, three a layer
    assert not {"average_kernel", "average_boxes_kernel"} & set(sim.kernels)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_fused_run_goes_on_unfused(name):
    """The states are the optimizer's own."""
    data = batches(torch.float32)
    right, plain, ours = network(), network(torch.float32), network(torch.float32)
    trained(right, OPTIMIZERS[name](right), batches())
    trained(plain, OPTIMIZERS[name](plain), data)
    optimizer = OPTIMIZERS[name](ours)
    run = make_step(ours, functional.cross_entropy, optimizer, fused=True)
    for x, y in data[:3]:
        run(x, y)
    resumed = OPTIMIZERS[name](ours)
    resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    trained(ours, resumed, data[3:])
    assert no_worse(ours, plain, right)


@pytest.mark.parametrize("kernels", [False, True])
def test_a_changed_learning_rate_counts(kernels):
    right, plain, ours = network(), network(torch.float32), network(torch.float32)
    exact, one, other = (OPTIMIZERS["sgd"](model) for model in (right, plain, ours))
    run = make_step(ours, functional.cross_entropy, other, fused=True)
    for i, (x, y) in enumerate(batches(torch.float32)):
        for optimizer in (exact, one, other):
            optimizer.param_groups[0]["lr"] = 0.1 / (i + 1)
        trained(right, exact, [(x.double(), y)])
        trained(plain, one, [(x, y)])
        if kernels:
            with simulate(target="sm_90"):
                run(x, y)
        else:
            run(x, y)
    assert no_worse(ours, plain, right)


def frozen(model):
    model[0].bias.requires_grad_(False)
    return model


def hooked(model):
    model[0].weight.register_hook(lambda grad: grad)
    return model


def tied(model):
    model[0] = nn.Linear(6, 4).double()
    model[2] = nn.Linear(4, 4).double()
    model[4] = model[2]
    return model


@pytest.mark.parametrize(("model", "optimizer", "loss", "options", "words"), [
    (network, "sgd", functional.cross_entropy, {"clip": 1.0}, "clipping needs the length of the whole gradient"),
    (network, "sgd", functional.cross_entropy, {"accumulate": 4}, "accumulation over 4 batches"),
    (lambda: nn.Sequential(nn.Conv1d(1, 1, 1)), "sgd", functional.cross_entropy, {}, "it must be a Sequential"),
    (lambda: nn.Linear(6, 3), "sgd", functional.cross_entropy, {}, "the model is a Linear"),
    (network, "sgd", nn.functional.l1_loss, {}, "the loss is none of"),
    (lambda: frozen(network()), "sgd", functional.cross_entropy, {}, "a parameter is frozen"),
    (lambda: hooked(network()), "sgd", functional.cross_entropy, {}, "a hook wants to see a gradient"),
    (lambda: tied(network()), "sgd", functional.cross_entropy, {}, "two layers share a parameter"),
    (network, lambda m: torch.optim.SGD(m.parameters(), 0.1, momentum=0.9, nesterov=True), functional.cross_entropy, {},
     "the optimizer uses nesterov"),
    (network, lambda m: torch.optim.SGD(m.parameters(), 0.1, weight_decay=0.1), functional.cross_entropy, {},
     "weight_decay is on intercepts"),
    (network, lambda m: torch.optim.Adagrad(m.parameters()), functional.cross_entropy, {}, "not torch's SGD or AdamW"),
    (network, lambda m: torch.optim.SGD(m[0].parameters(), 0.1), functional.cross_entropy, {}, "not have every"),
])
def test_fused_refuses_with_a_reason(model, optimizer, loss, options, words):
    made = model()
    built = OPTIMIZERS[optimizer](made) if isinstance(optimizer, str) else optimizer(made)
    with pytest.raises(ValueError, match=words):
        make_step(made, loss, built, fused=True, **options)


def sees(*_):
    return None


LATER = {
    "a forward hook": lambda m, o: m[1].register_forward_hook(sees),
    "a hook before a layer": lambda m, o: m[0].register_forward_pre_hook(sees),
    "a backward hook": lambda m, o: m[2].register_full_backward_hook(sees),
    "a hook on the whole": lambda m, o: m.register_forward_hook(sees),
    "a forward of its own": lambda m, o: setattr(m[2], "forward", m[2].forward),
    "another layer": lambda m, o: m.insert(1, nn.LayerNorm(4).double()),
    "a frozen layer": lambda m, o: m[0].requires_grad_(False),
    "a new layer": lambda m, o: m.__setitem__(0, nn.Linear(6, 4).double()),
    "a hook before the step": lambda m, o: o.register_step_pre_hook(sees),
    "a hook behind the step": lambda m, o: o.register_step_post_hook(sees),
    "a step of its own": lambda m, o: setattr(o, "step", o.step),
    "a resized layer": lambda m, o: setattr(m[0].weight, "data", torch.zeros(7, 6, dtype=torch.float64)),
    "another rule": lambda m, o: o.param_groups[0].update(nesterov=True),
}


@pytest.mark.parametrize("later", LATER)
def test_what_comes_between_later_is_seen(later):
    model = network()
    optimizer = OPTIMIZERS["momentum"](model)
    run = make_step(model, functional.cross_entropy, optimizer, fused=True)
    x, y = batches()[0]
    run(x, y)
    LATER[later](model, optimizer)
    with pytest.raises(ValueError, match=r"by now .*; make the step again, without fused"):
        run(x, y)


def test_a_hook_on_every_module_is_seen():
    model = network()
    run = make_step(model, functional.cross_entropy, OPTIMIZERS["sgd"](model), fused=True)
    hook = nn.modules.module.register_module_forward_hook(sees)
    try:
        with pytest.raises(ValueError, match="by now a hook"):
            run(*batches()[0])
    finally:
        hook.remove()


def replaced(model, optimizer, seed):
    """Another first layer, also in the optimizer; the old one is gone."""
    old, new = model[0], nn.Linear(6, model[0].out_features, dtype=model[0].weight.dtype)
    for p in new.parameters():
        p.data = torch.randn(p.shape, generator=torch.Generator().manual_seed(seed)).to(p.dtype)
    own = dict(zip(old.parameters(), new.parameters()))
    for group in optimizer.param_groups:
        group["params"] = [own.get(p, p) for p in group["params"]]
    for p in own:
        optimizer.state.pop(p, None)
    model[0] = new


@pytest.mark.parametrize("narrow", [None, torch.bfloat16])
@pytest.mark.parametrize("kernels", [False, True])
def test_a_layer_that_is_replaced_or_written_trains_on(kernels, narrow):
    plain, ours = network(torch.float32), network(torch.float32)
    one, other = OPTIMIZERS["adamw"](plain), OPTIMIZERS["adamw"](ours)
    run = make_step(ours, functional.cross_entropy, other, fused=True, narrow=narrow)
    again = None
    for i, (x, y) in enumerate(batches(torch.float32, count=6)):
        for model, optimizer in ((plain, one), (ours, other)):
            if i == 2:
                replaced(model, optimizer, i)
            if i == 4:
                model[2].weight.data = model[2].weight.data.flip(0) * 0.5
        again = make_step(plain, functional.cross_entropy, one, fused=True, narrow=narrow)     # one that knows nothing
        with simulate(target="sm_90") if kernels else contextlib.nullcontext():
            again(x, y)
            run(x, y)
    assert set(run.run.held) == set(ours.parameters())
    assert all(torch.equal(p, q) for p, q in zip(ours.parameters(), plain.parameters(), strict=True))


def test_patched_and_our_own_layers_are_fused_too():
    plain, ours, own = network(), network(), network()
    patch.patch(ours)
    own = nn.Sequential(*(OWN.Linear(one.in_features, one.out_features).double() if isinstance(one, nn.Linear) else one
                          for one in own))
    own.load_state_dict(plain.state_dict())
    data = batches()
    for model in (plain, ours, own):
        run = make_step(model, functional.cross_entropy, OPTIMIZERS["adamw"](model), fused=True)
        for x, y in data:
            run(x, y)
    assert same(plain, ours)
    assert same(plain, own)


def test_a_count_of_steps_from_elsewhere():
    """Older checkpoints hold a number, others a tensor of another dtype; schedulers hear of the step."""
    plain, ours = network(), network()
    one, other = OPTIMIZERS["adamw"](plain), OPTIMIZERS["adamw"](ours)
    run = make_step(plain, functional.cross_entropy, one, fused=True)
    for x, y in batches():
        run(x, y)
    other.load_state_dict(copy.deepcopy(one.state_dict()))
    ours.load_state_dict(plain.state_dict())
    for k, state in enumerate(other.state.values()):
        state["step"] = float(state["step"]) if k % 2 else state["step"].double().reshape(1)[0]
    schedule = torch.optim.lr_scheduler.StepLR(other, 1)
    again = make_step(ours, functional.cross_entropy, other, fused=True)
    x, y = batches()[0]
    run(x, y)
    again(x, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        schedule.step()
    assert same(plain, ours)


def test_a_recording_follows_memory(recorder):
    """A checkpoint that is loaded brings states of its own; a recording of the old ones would train what is gone."""
    model = network()
    optimizer = OPTIMIZERS["adamw"](model)
    run = make_step(model, functional.cross_entropy, optimizer)
    for x, y in batches(count=5):
        run.run.refresh()
        run.replayed(x, y)
    assert len(recorder) == 1
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    run.replayed(x, y)
    assert len(recorder) == 2


def test_data_parallelism_is_refused(monkeypatch):
    model = network()
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    with pytest.raises(ValueError, match="data parallelism"):
        make_step(model, functional.cross_entropy, OPTIMIZERS["sgd"](model), fused=True)


@pytest.fixture
def recorder(monkeypatch):
    """A GPU's graph, as far as a CPU can play one: replaying runs on the tensors that were there when recording."""
    made = []

    def record(run):
        made.append(run)
        result = torch.empty((), dtype=torch.float64)
        return (lambda: result.copy_(run())), result
    monkeypatch.setattr(step, "record", record)
    return made


@pytest.mark.parametrize("fused", [False, True])
def test_the_first_steps_run_and_the_others_are_replayed(recorder, fused):
    plain, ours = network(), network()
    data = [*batches(count=6), *batches(count=1, size=3), *batches(count=2)]
    unrecorded = make_step(plain, functional.cross_entropy, OPTIMIZERS["adamw"](plain), fused=fused)
    means = [unrecorded(x, y) for x, y in data]
    run = make_step(ours, functional.cross_entropy, OPTIMIZERS["adamw"](ours), fused=fused)
    found = []
    for i, (x, y) in enumerate(data):
        run.run.refresh()
        found.append(run.replayed(x, y))
        assert len(recorder) == (i >= step.WARM_UP)
    assert [float(one) for one in found] == [float(one) for one in means]
    assert same(ours, plain)


@pytest.mark.parametrize(("fused", "recordings"), [(False, 2), (True, 1)])
def test_a_changed_number_is_recorded_again_where_it_was_compiled_in(recorder, fused, recordings):
    plain, ours = network(), network()
    one, other = OPTIMIZERS["sgd"](plain), OPTIMIZERS["sgd"](ours)
    unrecorded = make_step(plain, functional.cross_entropy, one, fused=fused)
    run = make_step(ours, functional.cross_entropy, other, fused=fused)
    for i, (x, y) in enumerate(batches(count=8)):
        one.param_groups[0]["lr"] = other.param_groups[0]["lr"] = 0.1 if i < 6 else 0.01
        unrecorded(x, y)
        run.run.refresh()
        run.replayed(x, y)
    assert same(ours, plain)
    assert len(recorder) == recordings
