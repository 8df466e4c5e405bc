"""The LeNet example: it learns, repeats itself bit by bit, survives without its data, and its kernels are judged."""

import gzip
import importlib
from pathlib import Path

import pytest
import torch
import typer
from rich.console import Console
from typer.testing import CliRunner

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
pytestmark = pytest.mark.skipif(not EXAMPLES.is_dir(), reason="the examples are in the repository, not in the wheel")


@pytest.fixture
def example(monkeypatch):
    pytest.importorskip("sklearn")
    monkeypatch.syspath_prepend(EXAMPLES)
    return importlib.import_module("train_lenet")


@pytest.fixture
def fashion(example):
    return importlib.import_module("fashion")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(example, *arguments):
    app = typer.Typer()
    app.command()(example.main)
    return CliRunner().invoke(app, list(arguments))


def test_the_networks_have_the_deck_s_parameters(example):
    networks = {which: example.Net(which) for which in example.Which if which != "both"}
    count = {which: sum(p.numel() for p in network.parameters()) for which, network in networks.items()}
    assert count == {"net": 81_194, "lenet": 61_706}


def test_the_network_is_the_reference_s(example):
    """torch.net and lenet with the same parameters, on one image of integers."""
    from chainrule.reference import networks

    for which, literal in ((example.Which.net, networks.net), (example.Which.lenet, networks.lenet)):
        torch.manual_seed(1)
        network = example.Net(which).double()
        x = torch.randint(0, 3, (1, 1, 32, 32)).double()
        p = {}
        for name, layer in network.named_children():
            w, b = layer.weight.tolist(), layer.bias.tolist()
            p[name] = (w, b) if name.startswith("conv") else [None, *([one, *row] for one, row in zip(b, w))]
        wanted = torch.tensor(literal(p, x[0].tolist()), dtype=torch.float64)
        assert float((network(x)[0].detach() - wanted).abs().max()) <= 2.0**-40


def test_without_fashion_mnist_it_says_how_to_get_it_and_reads_digits(example, tmp_path):
    pytest.importorskip("matplotlib")
    done = run(example, "--net", "lenet", "--epochs", "8", "--data", str(tmp_path), "--out", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert "apt-get install -y dataset-fashion-mnist" in done.output
    assert "deck's lr = 0.01" in done.output
    accuracy = float(done.output.split("one cycle: accuracy ")[1].split(",")[0])
    assert accuracy >= 0.9
    for picture in ("curves.png", "confusion-lenet.png"):
        assert (tmp_path / "out" / picture).read_bytes()[:4] == b"\x89PNG"
    saved = torch.load(tmp_path / "out" / "lenet.pt", weights_only=True)
    network = example.Net(example.Which.lenet)
    network.load_state_dict(saved)
    data = importlib.import_module("fashion").digits()
    right = float((example.answers(network, data.x_test) == data.y_test).float().mean())
    assert f"{right:.4f}" == f"{accuracy:.4f}"


def test_the_same_seed_gives_the_same_bits(example, fashion):
    data = fashion.digits()
    runs = [example.train(example.Which.net, example.Rate.ours, data, 1, seed) for seed in (3, 3, 4)]
    assert runs[0].losses == runs[1].losses != runs[2].losses
    for a, b in zip(runs[0].network.parameters(), runs[1].network.parameters()):
        assert torch.equal(a, b)


def test_every_op_of_a_simulated_step_is_judged(example, fashion):
    console = Console(record=True, width=120, file=open("/dev/null", "w"))                  # noqa: SIM115
    assert importlib.import_module("lenet_simulated").simulated(fashion.digits(), console, steps=1) == 0
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
    chains = importlib.import_module("chainrule.conformance.chains")
    monkeypatch.setattr(chains, "Judged", lambda loaded, mode, judged=chains.Judged: judged(loaded, "host"))
    console = Console(record=True, width=120, file=open("/dev/null", "w"))                  # noqa: SIM115
    assert importlib.import_module("lenet_simulated").simulated(fashion.digits(), console, steps=1) == 1
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
    (tmp_path / fashion.FILES[0]).unlink()
    assert fashion.fashion(tmp_path) is None
