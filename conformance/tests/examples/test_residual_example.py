"""The residual example learns with and without batch norm and repeats itself; the picture of the vanishing gradient."""

import gzip
import sys
from itertools import pairwise

import pytest
import torch
import typer


@pytest.fixture
def few(example):
    """Some of the digits."""
    data = example("fashion").digits()
    return data._replace(x=data.x[:200], y=data.y[:200], x_test=data.x_test[:50], y_test=data.y_test[:50])


def test_it_learns_the_digits(example, typed, tmp_path):
    pytest.importorskip("matplotlib")
    done = typed("train_residual", "--data", tmp_path, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "apt-get install -y dataset-fashion-mnist" in done.output
    accuracy = float(done.output.split("batch norm   : accuracy ")[1].split(",")[0])
    assert accuracy >= 0.9
    assert "no batch norm: accuracy 0." in done.output
    for picture in ("curves.png", "confusion-batch-norm.png"):
        assert (tmp_path / "out" / picture).read_bytes()[:4] == b"\x89PNG"
    network = example("train_residual").ResNet(norm=True)
    network.load_state_dict(torch.load(tmp_path / "out" / "batch-norm.pt", weights_only=True))
    data = example("fashion").digits()
    right = (example("training").answers(network, data.x_test) == data.y_test).float().mean()
    assert f"{float(right):.4f}" == f"{accuracy:.4f}"


def test_the_same_seed_gives_the_same_bits(example, few):
    runs = [example("train_residual").train(True, few, 1, seed) for seed in (3, 3, 4)]
    assert runs[0].losses == runs[1].losses != runs[2].losses
    states = [run.network.state_dict() for run in runs]
    assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())


def test_an_answer_leaves_the_running_statistics_alone(example, few):
    network = example("train_residual").ResNet(norm=True)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    example("training").answers(network, few.x_test)
    assert network.training
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def left(example, kind, few, depth=8):
    """What each layer leaves of the gradient."""
    norms = [norm for _, norm in example("gradients").shown(kind, depth, 0, few, 0).norms]
    return [a / b for a, b in pairwise(norms)]


def test_a_sigmoid_leaves_at_most_a_quarter_in_every_layer(example, few):
    """σ′ ≤ ¼ and ‖Θ‖ = 1; the bound is a statement about these two only, so a ReLU breaks it."""
    assert max(left(example, "sigmoid", few)) <= 0.25
    assert min(left(example, "ReLU", few)) > 0.25
    for kind in ("residual", "residual, batch norm"):
        assert len(left(example, kind, few)) == 4
        assert min(left(example, kind, few)) > 1                # what goes past a block adds to what comes through it


def test_the_picture_is_written(example, typed, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "new" / "gradients.png"
    done = typed("gradients", "--depth", 4, "--steps", 2, "--data", tmp_path, "--out", path)
    assert done.exit_code == 0, done.output
    picture = path.read_bytes()
    assert [int.from_bytes(picture[i:i + 4], "big") for i in (16, 20)] == [1760, 736]
    for kind in example("gradients").NETWORKS:
        assert f"\n{kind} " in done.output


def test_a_picture_is_where_it_is_said_to_be(example, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    place = example("common").picture_file
    assert place("some", tmp_path / "new" / "plot") == tmp_path / "new" / "plot.png"
    assert place("some", tmp_path / "v1.2.svg") == tmp_path / "v1.2.svg"
    (tmp_path / "folder.png").mkdir()
    for out in (tmp_path / "plot.docx", tmp_path / "folder.png"):
        with pytest.raises(typer.Exit):
            place("some", out)
        assert capsys.readouterr().err.startswith(f"some: --out {out}")


def test_bad_input_is_one_sentence(typed, example, tmp_path):
    assert "gradients: --depth 5: a residual block has two layers" in typed("gradients", "--depth", 5).output
    assert typed("train_residual", "--epochs", 0).exit_code == 2
    for name in example("fashion").FILES:
        (tmp_path / name).write_bytes(gzip.compress(b"not images"))
    done = typed("train_residual", "--data", tmp_path)
    assert done.exit_code == 2
    assert done.output.startswith("train_residual: ")
    assert "not an IDX file of bytes; fetch it again" in done.output
    assert len(done.output.splitlines()) == 1


def test_without_matplotlib_there_is_a_table_and_no_picture(example, typed, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.delitem(sys.modules, "image_pictures", raising=False)
    monkeypatch.delitem(sys.modules, "gradient_picture", raising=False)
    done = typed("gradients", "--depth", 2, "--steps", 1, "--data", tmp_path, "--out", tmp_path / "picture.png")
    assert done.exit_code == 0, done.output
    assert "no picture: matplotlib" in done.output
    assert not list(tmp_path.iterdir())
