"""The six hand-crafted filters of the deck (lines 1910–1915); each equals its transpose and its half-turn.

Run them with `conv2d`. `one` is the 1 of your number type, for the two filters that divide.
"""

from __future__ import annotations

from fractions import Fraction

from .ids import implements
from .lists import Matrix, Scalar


@implements("filter.edge1")
def edge1() -> Matrix:
    """filter.edge1   [1 0 −1; 0 0 0; −1 0 1]"""
    return [[1, 0, -1],
            [0, 0, 0],
            [-1, 0, 1]]


@implements("filter.edge2")
def edge2() -> Matrix:
    """filter.edge2   [0 1 0; 1 −4 1; 0 1 0]"""
    return [[0, 1, 0],
            [1, -4, 1],
            [0, 1, 0]]


@implements("filter.edge3")
def edge3() -> Matrix:
    """filter.edge3   [−1 −1 −1; −1 8 −1; −1 −1 −1]"""
    return [[-1, -1, -1],
            [-1, 8, -1],
            [-1, -1, -1]]


@implements("filter.sharpen")
def sharpen() -> Matrix:
    """filter.sharpen   [0 −1 0; −1 5 −1; 0 −1 0]"""
    return [[0, -1, 0],
            [-1, 5, -1],
            [0, -1, 0]]


@implements("filter.box")
def box(one: Scalar = Fraction(1)) -> Matrix:
    """filter.box   (1/9) [1 1 1; 1 1 1; 1 1 1]"""
    return [[one / 9] * 3] * 3


@implements("filter.gauss")
def gauss(one: Scalar = Fraction(1)) -> Matrix:
    """filter.gauss   (1/16) [1 2 1; 2 4 2; 1 2 1]"""
    return [[k * one / 16 for k in row] for row in ([1, 2, 1],
                                                    [2, 4, 2],
                                                    [1, 2, 1])]
