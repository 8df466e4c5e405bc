"""The vision transformer's example: it learns, repeats itself and goes on bit by bit, and draws what it looks at."""

import pytest
import torch


@pytest.fixture
def vit(example):
    return example("train_vit")


@pytest.fixture
def few(example):
    """Some of the digits."""
    data = example("fashion").digits()
    return data._replace(x=data.x[:150], y=data.y[:150], x_test=data.x_test[:50], y_test=data.y_test[:50])


def alike(a, b):
    assert a.losses == b.losses
    assert a.accuracies == b.accuracies
    assert all(map(torch.equal, a.network.state_dict().values(), b.network.state_dict().values()))


def test_it_goes_on_where_it_was_interrupted_bit_by_bit(vit, few, tmp_path):
    """Three epochs at once, and one epoch, a file, two more in a process that knows nothing else."""
    whole = vit.train(vit.Training(few, 3, 1), 3, None)
    file = tmp_path / "new" / "last.pt"
    vit.train(vit.Training(few, 3, 1), 1, file)
    torch.rand(7)
    again = vit.Training(few, 3, 1)
    again.load(torch.load(file, weights_only=True))
    assert len(again.accuracies) == 1
    alike(vit.train(again, 3, file), whole)
    state = torch.load(file, weights_only=True)
    assert state["losses"] == whole.losses
    assert [one.name for one in file.parent.iterdir()] == ["last.pt"]
    assert vit.train(vit.Training(few, 3, 2), 1, None).losses != whole.losses[:3]


def test_images_turn(vit):
    """Each image of 28 × 28 as it is, or mirrored about every other time."""
    x = vit.cropped(torch.arange(2.0 * 32 * 32).view(2, 1, 32, 32))
    draw, turned = torch.Generator().manual_seed(0), 0
    for _ in range(60):
        for image, one in zip(vit.turned(x, draw), x):
            turned += torch.equal(image, one.flip(2))
            assert torch.equal(image, one) or torch.equal(image, one.flip(2))
    assert 40 < turned < 80
    assert x.shape == (2, 1, 28, 28)
    assert x[0, 0, 0, 0] == 2 * 32 + 2


def test_the_rate_rises_and_falls(vit, few):
    training, last = vit.Training(few, 4, 0), 4 * -(-len(few.x) // vit.BATCH)
    training.schedule.base_lrs = [1.0] * len(training.schedule.base_lrs)
    rates = [lr(step) for lr in training.schedule.lr_lambdas[:1] for step in range(last + 1)]
    top = rates.index(max(rates))
    assert max(rates) == 1
    assert rates[:top + 1] == sorted(rates[:top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert abs(rates[last]) < 2.0**-40


def test_shares_of_the_class_token(vit, few):
    """Not negative; with the token's own share they add up to 1."""
    training = vit.Training(few, 1, 0)
    shares = vit.attention(training.network, vit.cropped(few.x_test))
    assert shares.shape == (50, vit.HEADS, 4, 4)
    assert shares.min() > 0
    assert shares.sum((2, 3)).max() < 1


def test_one_command(example, typed, tmp_path):
    pytest.importorskip("matplotlib")
    out = tmp_path / "out"
    options = "--epochs", 1, "--data", tmp_path, "--out", out, "--threads", 1
    done = typed("train_vit", *options)
    assert done.exit_code == 0, done.output
    assert "apt-get install -y dataset-fashion-mnist" in done.output
    for picture in ("curves.png", "confusion-vit.png", "attention.png"):
        assert (out / picture).read_bytes()[:4] == b"\x89PNG"
    before = torch.load(out / "vit.pt", weights_only=True)
    done = typed("train_vit", *options, "--resume")
    assert done.exit_code == 0, done.output
    assert "after 1 of 1 epochs" in done.output
    assert all(map(torch.equal, torch.load(out / "vit.pt", weights_only=True).values(), before.values()))
    wrong = typed("train_vit", *options, "--resume", "--seed", 3)
    assert wrong.exit_code == 2
    assert "it was made with {'seed': 0" in wrong.output
    (out / "last.pt").write_bytes(b"nothing")
    for file in (out / "last.pt", out / "gone" / "last.pt"):
        wrong = typed("train_vit", *options[:4], "--out", file.parent, "--resume")
        assert wrong.exit_code == 2
        assert wrong.output.splitlines()[-1].startswith(f"train_vit: --resume: {file}: ")


@pytest.mark.slow
def test_it_learns_the_digits(example, vit):
    run = vit.train(vit.Training(example("fashion").digits(), 40, 0), 40, None)
    assert run.accuracies[-1] >= 0.85
