"""The LeNet example: it learns, repeats itself bit by bit, survives without its data, and its kernels are judged."""

import gzip
import importlib

import pytest
import torch
from rich.console import Console


@pytest.fixture
def lenet(example):
    return example("train_lenet")


@pytest.fixture
def fashion(example):
    return example("fashion")


def test_the_networks_have_the_deck_s_parameters(lenet):
    count = {which: sum(p.numel() for p in make().parameters()) for which, make in lenet.NETWORKS.items()}
    assert count == {"net": 81_194, "lenet": 61_706}


def test_the_network_is_the_reference_s(lenet):
    """torch.net and lenet with the same parameters, on one image of integers."""
    from chainrule.reference import networks

    for which, literal in ((lenet.Which.net, networks.net), (lenet.Which.lenet, networks.lenet)):
        torch.manual_seed(1)
        network = lenet.NETWORKS[which]().double()
        x = torch.randint(0, 3, (1, 1, 32, 32)).double()
        p = {}
        for name, layer in network.named_children():
            w, b = layer.weight.tolist(), layer.bias.tolist()
            p[name] = (w, b) if name.startswith("conv") else [None, *([one, *row] for one, row in zip(b, w))]
        wanted = torch.tensor(literal(p, x[0].tolist()), dtype=torch.float64)
        assert float((network(x)[0].detach() - wanted).abs().max()) <= 2.0**-40


def test_without_fashion_mnist_it_says_how_to_get_it_and_reads_digits(example, typed, lenet, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    done = typed("train_lenet", "--net", "lenet", "--epochs", 8, "--seed", 2, "--data", tmp_path, "--out", out)
    assert done.exit_code == 0, done.output
    assert "apt-get install -y dataset-fashion-mnist" in done.output
    assert "deck's lr = 0.01" in done.output
    accuracy = float(done.output.split("one cycle: accuracy ")[1].split(",")[0])
    assert accuracy >= 0.9
    for picture in ("curves.png", "confusion-lenet.png"):
        assert (out / picture).read_bytes()[:4] == b"\x89PNG"
    saved = torch.load(out / "lenet.pt", weights_only=True)
    network = lenet.NETWORKS[lenet.Which.lenet]()
    network.load_state_dict(saved)
    data = example("fashion").digits()
    right = float((example("training").answers(network, data.x_test) == data.y_test).float().mean())
    assert f"{right:.4f}" == f"{accuracy:.4f}"


def test_the_same_seed_gives_the_same_bits(lenet, fashion):
    data = fashion.digits()
    runs = [lenet.train(lenet.Which.net, lenet.Rate.ours, data, 1, seed) for seed in (3, 3, 4)]
    assert runs[0].losses == runs[1].losses != runs[2].losses
    for a, b in zip(runs[0].network.parameters(), runs[1].network.parameters()):
        assert torch.equal(a, b)


def test_every_op_of_a_simulated_step_is_judged(example, fashion):
    console = Console(record=True, width=120, file=open("/dev/null", "w"))                  # noqa: SIM115
    assert example("lenet_simulated").simulated(fashion.digits(), console, steps=1) == 0
    text = console.export_text()
    for id in ("conv2d.layer", "conv2d.layer.grad_x", "conv2d.layer.grad_w", "conv2d.layer.grad_b", "pool.max",
               "pool.max.grad_x", "bp.delta.chain", "alg.average", "loss.softmax", "opt.sgd"):
        assert f"\n{id} " in text, id
    console.file.close()


def test_a_wrong_kernel_is_named(example, fashion, monkeypatch):
    """∂x without its filter's last column, in the middle of a step."""
    from chainrule.conformance import Backend, backend
    from chainrule.triton_kernels.ops import COMPOSITES

    broken = Backend("broken")
    for id, function in COMPOSITES.items():
        broken.op(id)(function)

    @broken.op("conv2d.layer.grad_x")
    def wrong(d, w, **how):
        w = w.clone()
        w[..., -1] = 0
        return COMPOSITES["conv2d.layer.grad_x"](d=d, w=w, **how)

    monkeypatch.setattr(backend, "load", lambda name: broken)
    chains = importlib.import_module("chainrule.conformance.training.chains")
    monkeypatch.setattr(chains, "Judged", lambda loaded, mode, judged=chains.Judged: judged(loaded, "host"))
    console = Console(record=True, width=120, file=open("/dev/null", "w"))                  # noqa: SIM115
    assert example("lenet_simulated").simulated(fashion.digits(), console, steps=1) == 1
    assert "FAIL conv2d.layer.grad_x/chain/call 1: dx[" in console.export_text()
    console.file.close()


def written(path, data, kind=8):
    sizes = b"".join(n.to_bytes(4, "big") for n in data.shape)
    path.write_bytes(gzip.compress(bytes([0, 0, kind, data.dim()]) + sizes + data.numpy().tobytes()))


def test_idx_files(fashion, tmp_path):
    g = torch.Generator().manual_seed(0)
    for name, shape in zip(fashion.FILES, ((5, 28, 28), (5,), (3, 28, 28), (3,))):
        written(tmp_path / name, torch.randint(0, 10, shape, dtype=torch.uint8, generator=g))
    data = fashion.fashion(tmp_path)
    assert data.x.shape == (5, 1, 32, 32)
    assert data.y_test.tolist() == fashion.idx(tmp_path / fashion.FILES[3]).tolist()
    assert abs(float(data.x.mean())) < 2.0**-16
    written(tmp_path / "wrong", torch.zeros(3, dtype=torch.uint8), kind=13)
    with pytest.raises(ValueError, match="not an IDX file of bytes"):
        fashion.idx(tmp_path / "wrong")
    for broken in (b"", b"\0", gzip.compress(b"\0" * 99)[:20]):
        (tmp_path / "wrong").write_bytes(broken)
        with pytest.raises(ValueError, match=r"wrong: .+; fetch it again"):
            fashion.idx(tmp_path / "wrong")
    (tmp_path / fashion.FILES[0]).unlink()
    assert fashion.fashion(tmp_path) is None
