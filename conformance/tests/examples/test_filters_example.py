"""The filters example: the six filters through the layer are the reference's own, and the picture is written."""

import sys
from fractions import Fraction

import pytest
import torch

from chainrule import reference
from chainrule.conformance.simulator import simulate
from chainrule.triton_kernels import functional as F


@pytest.fixture
def gallery(example):
    pytest.importorskip("matplotlib")
    return example("filters")


def test_a_layer_applies_each_filter_as_printed(gallery):
    """Integer pixels; the weights are dyadic but for the box's, whose ninth is rounded as float32 rounds it."""
    x = torch.randint(0, 16, (1, 1, 9, 12)).float()
    with simulate():
        y = F.conv2d(x, gallery.filters())[0]
    image = [[int(v) for v in row] for row in x[0, 0].tolist()]
    for name, channel in zip(gallery.NAMES, y.double().tolist()):
        wanted = reference.FUNCTIONS["conv2d.valid"](image, reference.FUNCTIONS[f"filter.{name}"]())
        wrong = max(abs(Fraction(a) - b) for rows in zip(channel, wanted) for a, b in zip(*rows))
        assert wrong == 0 if name != "box" else wrong <= Fraction(15, 2**20), name


@pytest.mark.parametrize("how", [[], ["flower", "--simulate"]])
def test_the_picture_is_written(gallery, typed, tmp_path, how):
    done = typed("filters", *how, "--out", tmp_path / "new" / "filters.png")
    assert done.exit_code == 0, done.output
    picture = (tmp_path / "new" / "filters.png").read_bytes()
    assert [int.from_bytes(picture[i:i + 4], "big") for i in (16, 20)] == [1680, 624]


def test_filters_are_printed_over_one_denominator(gallery):
    assert gallery.printed(reference.FUNCTIONS["filter.gauss"]()) == "1/16 [1 2 1;  2 4 2;  1 2 1]"
    assert gallery.printed(reference.FUNCTIONS["filter.edge1"]()) == "[1 0 −1;  0 0 0;  −1 0 1]"


def test_an_unknown_photograph_is_refused(typed):
    done = typed("filters", "moon")
    assert done.exit_code == 2
    assert "china" in done.output


@pytest.mark.parametrize(
    ("module", "package"), [("sklearn.datasets", "scikit-learn"), ("matplotlib.figure", "matplotlib")])
def test_what_is_missing_is_named(typed, monkeypatch, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    done = typed("filters")
    assert done.exit_code == 2
    assert done.output == f"filters: {package} is not installed; pip install {package}\n"
