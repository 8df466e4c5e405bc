"""The quick sums of a convolution layer equal the reference's, exactly, and allow a kernel no less."""

import numpy as np
import pytest

from chainrule.conformance.judging.numbers.bounded import FLOAT32, Bounded
from chainrule.conformance.judging.numbers.lanes import exact
from chainrule.conformance.judging.operations import evaluate, literal, whole_images

LAYERS = {
    "plain": ((2, 3, 6, 5), (4, 3, 3, 2), {}),
    "strided": ((1, 2, 8, 9), (3, 2, 2, 3), {"stride": (3, 2), "padding": (1, 0)}),
    "dilated": ((2, 1, 7, 9), (2, 1, 2, 3), {"dilation": (3, 2), "padding": (2, 3)}),
    "padded beyond the filter": ((1, 1, 3, 4), (1, 1, 1, 2), {"padding": (2, 2), "stride": (1, 2)}),
}


def calls(name):
    rng = np.random.default_rng(len(name))
    x_shape, w_shape, how = LAYERS[name]
    x, w = (rng.integers(-3, 4, shape).astype(float) for shape in (x_shape, w_shape))
    b = rng.integers(-3, 4, w_shape[0]).astype(float)
    y = evaluate("conv2d.layer", exact, literal, {"x": x, "w": w, "b": b, **how})["y"]
    d = rng.integers(-3, 4, y.shape).astype(float)
    return {
        "conv2d.layer": {"x": x, "w": w, "b": b, **how, "act": "relu"},
        "conv2d.layer.grad_x": {"d": d, "w": w, "H": x_shape[2], "W": x_shape[3], **how, "z": x - 0.5, "act": "relu"},
        "conv2d.layer.grad_w": {"d": d, "x": x, "M": w_shape[2], "N": w_shape[3], **how, "w": w, "lam": 0.5, "n": 2},
    }


@pytest.mark.parametrize("name", LAYERS)
def test_whole_sums_equal_the_reference(name, monkeypatch):
    for id, call in calls(name).items():
        (walked,) = evaluate(id, exact, literal, call).values()
        (walked_bound,) = evaluate(id, lambda v: Bounded(v, FLOAT32), literal, call).values()
        with monkeypatch.context() as patch:
            patch.setattr(whole_images, "LARGE", -1)
            (whole,) = evaluate(id, exact, literal, call).values()
            (whole_bound,) = evaluate(id, lambda v: Bounded(v, FLOAT32), literal, call).values()
        assert np.array_equal(whole, walked), id
        assert np.array_equal(whole_bound.v, walked_bound.v), id
        assert np.all(whole_bound.error >= walked_bound.error * (1 - 2**-40)), id
