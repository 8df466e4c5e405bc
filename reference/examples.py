"""The deck's two worked convolutions (lines 1774–1811, 1835–1895), whose outputs the slides lost."""

from __future__ import annotations

from .convolution import conv1d, conv2d
from .ids import implements
from .lists import Matrix, Vector

X = [1, 1, 1, 0, 0]
THETA = [1, 0, 1]
I = [[1, 1, 1, 0, 0],
     [0, 1, 1, 1, 0],
     [0, 0, 1, 1, 1],
     [0, 0, 1, 1, 0],
     [0, 1, 1, 0, 0]]
K = [[1, 0, 1],
     [0, 1, 0],
     [1, 0, 1]]


@implements("ex.conv1d")
def example_conv1d() -> Vector:
    """ex.conv1d   θ ∗ x,   θ = (1, 0, 1), x = (1, 1, 1, 0, 0)"""
    return conv1d(THETA, X)


@implements("ex.conv2d")
def example_conv2d() -> Matrix:
    """ex.conv2d   I ∗ K      (of nine entries the slide prints the first: 4)"""
    return conv2d(I, K)
